// SPDX-License-Identifier: MIT
// etlctl/bucket_commands.cc: bucket create, ls and rm; helpers that all commands share.
#include "etlctl/commands.h"

#include <cstdio>
#include <cstring>

#include "base/text.h"
#include "codec/url.h"
#include "etlctl/format.h"
#include "etlctl/name.h"
#include "node/api.h"

namespace etlnode::etlctl {

failure usage_failure(std::string message, std::string hint)
{
    return failure_make(exit_code::usage, {}, std::move(message), std::move(hint));
}

failure parse_count(const char *option, const std::string &text, uint64_t &out)
{
    if (text.empty() || (text_parse_u64(text, out) && out > 0))
        return {};
    return usage_failure(text_format("%s \"%s\": write a number of at least 1", option, text_escape(text).c_str()));
}

failure fetch_json(session &s, const http_request &request, const char *doing, const std::string &name, int shape, json_ptr &out_tree)
{
    http_reply reply;
    failure f = session_perform(s, request, doing, name, reply);
    if (f)
        return f;
    std::string where;
    error bad = json_parse(reply.body, out_tree, where);
    bool fits = !bad && (out_tree->type & 0xff) == shape;
    if (fits)
        return {};
    f = failure_make(exit_code::other, name.empty() ? doing : std::string(doing) + " " + name,
        bad ? "the answer is not JSON: " + where : std::string("the answer does not have the expected form"),
        "is " + s.endpoint + " the proxy of an etlnode cluster?");
    f.code = "bad_answer";
    f.request_id = s.request_id;
    return f;
}

static std::string bucket_url(const session &s, const std::string &bucket)
{
    return session_url(s, path_buckets) + "/" + url_encode(bucket);
}

static failure send_bucket_action(session &s, const char *method, const std::string &bucket, const char *action, const char *doing)
{
    std::string body = text_format("{\"action\":\"%s\",\"name\":\"\",\"value\":null}", action);
    http_request request = session_request(s, method, bucket_url(s, bucket), control_timeout_ms);
    request.body = body;
    request.has_body = true;
    request.headers.push_back("Content-Type: application/json");
    http_reply reply;
    failure f = session_perform(s, request, doing, name_bucket_uri(bucket), reply);
    f.bucket = bucket;
    return f;
}

exit_code command_bucket_create(session &s)
{
    std::vector<std::string> buckets(s.opt.words.size());
    std::string why;
    for (size_t i = 0; i < buckets.size(); ++i)
        if (!name_parse_bucket(s.opt.words[i], buckets[i], why))
            return session_fail(s, usage_failure(why));
    size_t failed = 0;
    exit_code first = exit_code::ok;
    for (const std::string &bucket : buckets) {
        if (session_plan(s, "POST", bucket_url(s, bucket), "action create-bck"))
            continue;
        failure f = send_bucket_action(s, "POST", bucket, "create-bck", "cannot create bucket");
        if (f.exit == exit_code::conflict && s.opt.exist_ok)
            f.exit = exit_code::ok;
        if (f) {
            exit_code exit = session_fail(s, f);
            first = failed++ == 0 ? exit : first;
        } else {
            session_note(s, "\"%s\" bucket created", bucket.c_str());
        }
    }
    if (failed == 0 || failed == buckets.size())
        return first;
    return s.worst = exit_code::partial;
}

static constexpr column bucket_columns[] = {
    {"NAME", "name", cell_kind::text, false},
    {"PROVIDER", "provider", cell_kind::text, false},
    {"NAMESPACE", "namespace", cell_kind::text, true},
    {"OBJECTS", "objects", cell_kind::count, true},
    {"BYTES", "bytes", cell_kind::bytes, true},
};

static failure fetch_buckets(session &s, uint64_t timeout_ms, json_ptr &out_tree)
{
    static constexpr std::string_view body = "{\"action\":\"list\",\"name\":\"\",\"value\":null}";
    http_request request = session_request(s, "GET", session_url(s, path_buckets) + "?provider=ais", timeout_ms);
    request.body = body;
    request.has_body = true;
    request.headers.push_back("Content-Type: application/json");
    request.headers.push_back("Accept: application/json");
    return fetch_json(s, request, "cannot list buckets", {}, cJSON_Array, out_tree);
}

// The namespace in its "@uuid#name" form; empty for the global namespace.
static std::string namespace_text(const cJSON *bucket)
{
    const cJSON *ns = json_get(bucket, "namespace");
    std::string uuid(json_text(ns, "uuid"));
    std::string name(json_text(ns, "name"));
    return uuid.empty() && name.empty() ? std::string() : "@" + uuid + "#" + name;
}

// Only formats that show the numbers ask the targets for them.
static bool needs_usage(const session &s)
{
    return s.format != output_format::name && (s.format != output_format::table || !s.opt.sort_by.empty());
}

// Adds the sums of the bucket, or null if a target could not be asked.
static void add_usage(cJSON *item, const cJSON *usage)
{
    const cJSON *one = nullptr;
    const cJSON *found = nullptr;
    bool is_complete = cJSON_GetArraySize(json_get(usage, "missing")) == 0;
    cJSON_ArrayForEach(one, json_get(usage, "buckets")) if (json_text(one, "name") == json_text(item, "name")) found = one;
    for (const char *key : {"objects", "bytes"}) {
        if (found != nullptr && is_complete)
            json_add_u64(item, key, json_u64(found, key, 0));
        else
            cJSON_AddNullToObject(item, key);
    }
}

exit_code command_bucket_ls(session &s)
{
    list_printer list = session_list(s, "Bucket", bucket_columns, "name");
    failure f = session_check_list(s, list);
    json_ptr tree;
    if (!f)
        f = fetch_buckets(s, control_timeout_ms, tree);
    if (f)
        return session_fail(s, f);
    json_ptr usage;
    if (needs_usage(s))
        (void)fetch_usage(s, usage); // an older server, or AIStore, does not know it
    const cJSON *entry = nullptr;
    cJSON_ArrayForEach(entry, tree.get())
    {
        json_ptr item = json_object();
        json_add_text(item.get(), "name", json_text(entry, "name"));
        json_add_text(item.get(), "provider", json_text(entry, "provider"));
        output_add_text(item.get(), "namespace", namespace_text(entry));
        if (usage != nullptr)
            add_usage(item.get(), usage.get());
        list_add(list, std::move(item));
    }
    list_end(list);
    f = session_flush(s);
    const cJSON *missing = json_get(usage.get(), "missing");
    if (s.format == output_format::wide && cJSON_GetArraySize(missing) > 0)
        fprintf(stderr, "%s: target %s cannot be heard, so sums are unknown\n", s.program.c_str(),
            format_message(cJSON_GetStringValue(cJSON_GetArrayItem(missing, 0))).c_str());
    return f ? session_fail(s, f) : exit_code::ok;
}

exit_code command_bucket_rm(session &s)
{
    std::string bucket;
    std::string why;
    if (!name_parse_bucket(s.opt.words[0], bucket, why))
        return session_fail(s, usage_failure(why, "to remove an object: etlctl object rm " + s.opt.words[0]));
    if (session_plan(s, "DELETE", bucket_url(s, bucket), "action destroy-bck"))
        return exit_code::ok;
    failure f;
    if (!s.opt.yes) {
        object_page page;
        f = fetch_object_page(s, bucket, {}, "name", 1, {}, control_timeout_ms, page);
        f.doing = "cannot remove bucket " + name_bucket_uri(bucket);
        bool holds_objects = !f && cJSON_GetArraySize(page.entries) > 0;
        if (holds_objects && !s.in_is_tty)
            return session_fail(s, usage_failure("bucket " + name_bucket_uri(bucket) + " holds objects",
                                       "to remove them too: etlctl bucket rm " + bucket + " --yes"));
        if (holds_objects && !session_ask(s, "bucket " + name_bucket_uri(bucket) + " holds objects; remove all of them?"))
            return session_fail(s, failure_make(exit_code::other, {}, "nothing was removed"));
    }
    if (!f)
        f = send_bucket_action(s, "DELETE", bucket, "destroy-bck", "cannot remove bucket");
    if (f.exit == exit_code::not_found && s.opt.ignore_not_found)
        return exit_code::ok;
    if (f)
        return session_fail(s, f);
    session_note(s, "\"%s\" bucket removed", bucket.c_str());
    return exit_code::ok;
}

std::vector<std::string> bucket_names(session &s)
{
    std::vector<std::string> out;
    json_ptr tree;
    failure f = fetch_buckets(s, 0, tree);
    const cJSON *entry = nullptr;
    if (!f)
        cJSON_ArrayForEach(entry, tree.get()) out.emplace_back(json_text(entry, "name"));
    return out;
}

} // namespace etlnode::etlctl
