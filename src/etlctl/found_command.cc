// SPDX-License-Identifier: MIT
// etlctl/found_command.cc: target found: objects of a target that belong to other targets though nothing moves.
#include "etlctl/commands.h"

#include "base/text.h"
#include "codec/url.h"
#include "etlctl/format.h"
#include "node/api.h"

namespace etlnode::etlctl {

static constexpr uint64_t page_size = 1'000;
static constexpr uint64_t poll_ms = 200;

static constexpr column found_columns[] = {
    {"OBJECT", "object", cell_kind::text, false},
    {"SIZE", "size", cell_kind::bytes, false},
    {"VERSION", "version", cell_kind::text, false},
    {"CHANGED", "changed", cell_kind::text, false},
};

static std::string found_url(const session &s, const std::string &id, const std::string &more = {})
{
    return session_url(s, path_cluster) + "/found/" + url_encode(id) + more;
}

static std::string count_text(uint64_t count) { return format_count(count) + (count == 1 ? " object" : " objects"); }

// ---- names

static json_ptr found_item(const cJSON *entry)
{
    json_ptr item = json_object();
    output_add_text(item.get(), "object", std::string(json_text(entry, "bucket")) + "/" + std::string(json_text(entry, "name")));
    json_add_u64(item.get(), "size", json_u64(entry, "size", 0));
    json_add_text(item.get(), "version", json_text(entry, "version"));
    json_add_text(item.get(), "changed", format_time_ns(json_u64(entry, "changed_ns", 0)));
    return item;
}

static exit_code list_found(session &s, const std::string &id)
{
    list_printer list = session_list(s, "FoundObject", found_columns, "object");
    failure f = session_check_list(s, list);
    json_ptr page;
    bool has_more = true;
    while (!f && has_more) {
        std::string more = "?count=" + std::to_string(page_size);
        const cJSON *entries = json_get(page.get(), "objects");
        if (const cJSON *last = cJSON_GetArrayItem(entries, cJSON_GetArraySize(entries) - 1); last != nullptr)
            more += "&after_bucket=" + url_encode(json_text(last, "bucket")) + "&after_name=" + url_encode(json_text(last, "name"));
        json_ptr next;
        f = fetch_json(s, session_request(s, "GET", found_url(s, id, more), control_timeout_ms), "cannot list what was found on target", id,
            cJSON_Object, next);
        if (f)
            return session_fail(s, f);
        page = std::move(next);
        const cJSON *entry = nullptr;
        cJSON_ArrayForEach(entry, json_get(page.get(), "objects")) list_add(list, found_item(entry));
        has_more = json_bool(page.get(), "more", false) && cJSON_GetArraySize(json_get(page.get(), "objects")) > 0;
        if (has_more)
            list_flush(list);
    }
    list_end(list);
    if (!f)
        f = session_flush(s);
    return f ? session_fail(s, f) : exit_code::ok;
}

// ---- --give

// How many there are, and whether they go to their owners at this moment.
static failure fetch_found(session &s, const std::string &id, json_ptr &out_found)
{
    return fetch_json(s, session_request(s, "GET", found_url(s, id, "?count=1"), control_timeout_ms), "cannot see what was found on target",
        id, cJSON_Object, out_found);
}

// Until the target has given what it can, and has counted what is left.
static exit_code wait_taken(session &s, const std::string &id, uint64_t before)
{
    uint64_t began_ms = session_clock_ms();
    for (;;) {
        json_ptr found;
        failure f = fetch_found(s, id, found);
        if (f)
            return session_fail(s, f);
        if (!json_bool(found.get(), "taking", false)) {
            uint64_t left = json_u64(found.get(), "found", 0);
            session_note(s, "%s went to their owners", count_text(before > left ? before - left : 0).c_str());
            if (left == 0)
                return exit_code::ok;
            std::string why = format_message(json_text(found.get(), "why"));
            return session_fail(s, failure_make(exit_code::partial, {},
                                       "target " + format_message(id) + " still has " + count_text(left) + " of other targets" +
                                           (why.empty() ? std::string() : ": " + why),
                                       "etlctl target found " + format_message(id)));
        }
        if (s.timeout_ms != 0 && session_clock_ms() - began_ms >= s.timeout_ms)
            return session_fail(
                s, failure_make(exit_code::timeout, {}, "the objects are still being given; it goes on", "etlctl target ls"));
        session_sleep_ms(poll_ms);
    }
}

static exit_code take_found(session &s, const std::string &id)
{
    json_ptr found;
    failure f = fetch_found(s, id, found);
    uint64_t count = json_u64(found.get(), "found", 0);
    std::string shown = format_message(id);
    std::string what = count_text(count) + " (" + format_size(json_u64(found.get(), "bytes", 0)) + ") of target " + shown;
    if (session_plan(s, "POST", found_url(s, id), "give away " + what))
        return exit_code::ok;
    if (f)
        return session_fail(s, f);
    if (count == 0) {
        session_note(s, "target %s has no objects that belong to other targets", shown.c_str());
        return exit_code::ok;
    }
    exit_code code = exit_code::ok;
    std::string question = what + (count == 1 ? " goes to its owner" : " go to their owners") +
                           ", which keep newer versions; what was deleted meanwhile comes back";
    if (!confirm(s, question, "etlctl target found " + shown + " --give", code))
        return code;
    json_ptr body = json_object();
    json_add_u64(body.get(), "objects", count);
    std::string text = json_print(body.get());
    http_request request = session_request(s, "POST", found_url(s, id), control_timeout_ms);
    request.body = text;
    request.has_body = true;
    request.headers.push_back("Content-Type: application/json");
    http_reply reply;
    f = session_perform(s, request, "cannot give away what was found on target", id, reply);
    return f ? session_fail(s, f) : wait_taken(s, id, count);
}

exit_code command_target_found(session &s)
{
    const std::string &id = s.opt.words[0];
    return s.opt.take_found ? take_found(s, id) : list_found(s, id);
}

} // namespace etlnode::etlctl
