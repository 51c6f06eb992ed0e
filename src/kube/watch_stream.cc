// SPDX-License-Identifier: MIT
// kube/watch_stream.cc: finds the ends of JSON objects by counting braces outside strings.
//
// Knows    codec, kube/kubectl.h.      Known by  watch_machine.
// Limits   watch_event_size_max.
#include "kube/watch_stream.h"

#include "base/limits.h"
#include "base/text.h"
#include "kube/kubectl.h"

namespace etlnode {

static bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

// Advances by one byte of an object; true if the byte ends the object.
static bool step_over(watch_stream &stream, char c)
{
    if (stream.in_string) {
        if (stream.escaped)
            stream.escaped = false;
        else if (c == '\\')
            stream.escaped = true;
        else if (c == '"')
            stream.in_string = false;
        return false;
    }
    if (c == '"')
        stream.in_string = true;
    else if (c == '{' || c == '[')
        stream.depth++;
    else if (c == '}' || c == ']')
        stream.depth--;
    return stream.depth == 0;
}

error watch_stream_feed(watch_stream &stream, std::string_view bytes, std::vector<std::string> &out_objects)
{
    if (stream.failed)
        return make_error(error_code::bad_json, "the watch's output was damaged before");
    size_t begin = 0; // where the part of the object in `bytes` begins
    for (size_t i = 0; i < bytes.size(); i++) {
        if (stream.depth == 0) {
            if (is_space(bytes[i]))
                continue;
            if (bytes[i] != '{') {
                stream.failed = true;
                return make_error(error_code::bad_json, "the watch printed something that is not a JSON object");
            }
            begin = i;
        }
        if (!step_over(stream, bytes[i]))
            continue;
        stream.pending.append(bytes.substr(begin, i + 1 - begin));
        if (stream.pending.size() > watch_event_size_max)
            break;
        out_objects.push_back(std::move(stream.pending));
        stream.pending = std::string();
        begin = i + 1;
    }
    if (stream.depth > 0)
        stream.pending.append(bytes.substr(begin));
    if (stream.pending.size() > watch_event_size_max) {
        stream.failed = true;
        stream.pending = std::string();
        return make_error(error_code::body_too_large, "a watch event is too large");
    }
    return no_error;
}

void watch_stream_reset(watch_stream &stream) { stream = watch_stream(); }

error watch_event_parse(std::string_view object, watch_event &out_event, std::string &out_where)
{
    out_event = watch_event();
    json_ptr tree;
    if (error err = kubectl_parse_json(object, tree, out_where))
        return err;
    std::string_view type = json_text(tree.get(), "type");
    const cJSON *payload = json_get(tree.get(), "object");
    if (!cJSON_IsObject(payload)) {
        out_where = "an event without an object";
        return make_error(error_code::bad_json, "a watch event without an object");
    }
    if (type == "BOOKMARK")
        return no_error;
    if (type == "ERROR") {
        out_event.type = watch_event_type::failed;
        out_event.message = text_escape(json_text(payload, "message"));
        std::string_view reason = json_text(payload, "reason");
        out_event.expired = json_u64(payload, "code", 0) == 410 || reason == "Expired" || reason == "Gone";
        return no_error;
    }
    if (type == "ADDED")
        out_event.type = watch_event_type::added;
    else if (type == "MODIFIED")
        out_event.type = watch_event_type::modified;
    else if (type == "DELETED")
        out_event.type = watch_event_type::deleted;
    else {
        out_where = "unknown event type \"" + text_escape(type, 40) + "\"";
        return make_error(error_code::bad_json, "a watch event of an unknown type");
    }
    if (error err = pod_status_parse(payload, out_event.pod)) {
        out_where = error_text(err);
        return err;
    }
    return no_error;
}

} // namespace etlnode
