// SPDX-License-Identifier: MIT
// aistore/batch.cc: parses a get-batch, names its items and describes them.
//
// Knows    codec.            Known by  role/proxy/batches.cc, role/target/batches.cc.
// Limits   items_max.
#include "aistore/batch.h"

#include "base/text.h"
#include "codec/json_fields.h"

namespace etlnode {

static constexpr size_t items_max = 100'000;

static error refuse(std::string text, std::string &out_text)
{
    out_text = std::move(text);
    return make_error(error_code::bad_request);
}

// start needs a length; -1 is to the end.
static bool read_range(const cJSON *item, batch_member &out_item)
{
    const cJSON *start = json_get(item, "start");
    const cJSON *length = json_get(item, "length");
    bool to_end = cJSON_IsNumber(length) && length->valuedouble == -1;
    uint64_t first = 0, count = 0;
    if (start != nullptr && !json_read_u64(item, "start", first))
        return false;
    if (length != nullptr && !to_end && !json_read_u64(item, "length", count))
        return false;
    if (first > 0 && !to_end && count == 0)
        return false;
    out_item.start = first;
    out_item.length = count > 0 ? count : UINT64_MAX;
    return out_item.length == UINT64_MAX || out_item.start <= UINT64_MAX - out_item.length;
}

static error read_item(const cJSON *item, std::string_view bucket, size_t number, batch &out_batch, std::string &out_text)
{
    static constexpr json_field fields[] = {{"objname", json_field_kind::text}, {"bucket", json_field_kind::text},
        {"provider", json_field_kind::text}, {"archpath", json_field_kind::text}, {"opaque", json_field_kind::text}};
    std::string place = "in[" + std::to_string(number) + "]", where = place + ": ";
    if (!cJSON_IsObject(item))
        return refuse(where + "expected an object", out_text);
    if (std::string wrong = json_fields_misfit(item, place, fields); !wrong.empty())
        return refuse(wrong, out_text);
    batch_member one;
    one.name = json_text(item, "objname");
    one.bucket = json_text(item, "bucket");
    one.archpath = json_text(item, "archpath");
    one.opaque = json_text(item, "opaque");
    if (one.bucket.empty())
        one.bucket = bucket;
    std::string_view provider = json_text(item, "provider");
    if (one.name.empty())
        return refuse(where + "objname is missing", out_text);
    if (one.bucket.empty())
        return refuse(where + "bucket is missing, and the path has none", out_text);
    if (!provider.empty() && provider != "ais")
        return refuse(where + "provider \"" + text_escape(provider, 32) + "\": only ais is here", out_text);
    if (!read_range(item, one))
        return refuse(where + "start and length are no range: start is not negative, and length is positive or -1", out_text);
    if (!one.archpath.empty() && (one.start > 0 || one.length != UINT64_MAX)) {
        out_text = where + "a part of a member is not implemented: ask for all of it, without start and length";
        return make_error(error_code::not_implemented);
    }
    out_batch.items.push_back(std::move(one));
    return no_error;
}

error batch_parse(std::string_view body, std::string_view bucket, batch &out_batch, std::string &out_text)
{
    json_ptr tree;
    std::string where;
    batch b;
    if (json_parse(body, tree, where) || !cJSON_IsObject(tree.get()))
        return refuse("the body is expected to be a JSON object" + (where.empty() ? std::string() : ": " + where), out_text);
    static constexpr json_field fields[] = {
        {"mime", json_field_kind::text}, {"coer", json_field_kind::flag}, {"onob", json_field_kind::flag}, {"strm", json_field_kind::flag}};
    if (std::string wrong = json_fields_misfit(tree.get(), {}, fields); !wrong.empty())
        return refuse(wrong, out_text);
    const cJSON *list = json_get(tree.get(), "in");
    if (!cJSON_IsArray(list) || list->child == nullptr)
        return refuse("in: expected a list of objects", out_text);
    size_t number = 0;
    for (const cJSON *item = list->child; item != nullptr; item = item->next) {
        if (number == items_max)
            return refuse("in: more than " + std::to_string(items_max) + " objects in one batch", out_text);
        if (error err = read_item(item, bucket, number++, b, out_text))
            return err;
    }
    if (std::string_view mime = json_text(tree.get(), "mime"); !mime.empty())
        b.mime = mime;
    b.continues = json_bool(tree.get(), "coer", false);
    b.only_names = json_bool(tree.get(), "onob", false);
    b.is_streamed = json_bool(tree.get(), "strm", false);
    out_batch = std::move(b);
    return no_error;
}

std::string batch_name(const batch &b, const batch_member &item)
{
    std::string name = item.problem.empty() ? std::string() : "__404__/";
    if (!b.only_names)
        name.append(item.bucket).append("/");
    name.append(item.name);
    if (!item.archpath.empty())
        name.append("/").append(item.archpath);
    return name;
}

std::string batch_metadata(const batch &b, std::string_view id)
{
    json_ptr tree = json_object();
    json_add_text(tree.get(), "uuid", id);
    json_ptr out = json_array();
    for (const batch_member &item : b.items) {
        json_ptr one = json_object();
        json_add_text(one.get(), "objname", item.name);
        json_add_text(one.get(), "bucket", item.bucket);
        json_add_text(one.get(), "provider", "ais");
        if (!item.archpath.empty())
            json_add_text(one.get(), "archpath", item.archpath);
        if (!item.opaque.empty())
            json_add_text(one.get(), "opaque", item.opaque);
        if (!item.problem.empty())
            json_add_text(one.get(), "err_msg", item.problem);
        json_add_u64(one.get(), "size", item.size);
        json_append(out.get(), std::move(one));
    }
    json_add_tree(tree.get(), "out", std::move(out));
    return json_print(tree.get());
}

} // namespace etlnode
