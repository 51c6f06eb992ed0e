// SPDX-License-Identifier: MIT
// etlctl/usage_commands.cc: df and du: how full disks are, and how much buckets hold.
#include "etlctl/commands.h"

#include <ctime>
#include <set>

#include "base/text.h"
#include "codec/url.h"
#include "etlctl/format.h"
#include "etlctl/name.h"
#include "node/api.h"

namespace etlnode::etlctl {

failure fetch_usage(session &s, json_ptr &out_usage)
{
    http_request request = session_request(s, "GET", session_url(s, path_cluster) + "?what=usage", control_timeout_ms);
    return fetch_json(s, request, "cannot read what buckets hold", {}, cJSON_Object, out_usage);
}

// ---- df

static constexpr column df_columns[] = {
    {"TARGET", "id", cell_kind::text, false},
    {"STATE", "state", cell_kind::text, false},
    {"OBJECTS", "objects", cell_kind::count, false},
    {"BYTES", "bytes", cell_kind::bytes, false},
    {"SIZE", "diskSize", cell_kind::bytes, false},
    {"USED", "diskUsed", cell_kind::bytes, false},
    {"FREE", "diskFree", cell_kind::bytes, false},
    {"USED%", "usedPercent", cell_kind::count, false},
    {"LIMIT%", "outOfSpace", cell_kind::count, true},
    {"DISK", "diskState", cell_kind::text, true},
};

struct disk_total {
    uint64_t objects = 0, bytes = 0, size = 0, used = 0, free = 0;
    bool is_complete = true; // every target has reported
    std::set<std::string> disks;
};

static void add_target(disk_total &total, const cJSON *node)
{
    const cJSON *disk = json_get(node, "disk");
    total.is_complete = total.is_complete && json_get(node, "objects") != nullptr && disk != nullptr;
    total.objects += json_u64(node, "objects", 0);
    total.bytes += json_u64(node, "bytes", 0);
    if (disk == nullptr || !total.disks.insert(std::string(json_text(disk, "id"))).second)
        return;
    total.size += json_u64(disk, "size", 0);
    total.used += json_u64(disk, "used", 0);
    total.free += json_u64(disk, "free", 0);
}

static json_ptr total_item(const disk_total &total)
{
    json_ptr item = json_object();
    json_add_u64(item.get(), "objects", total.objects);
    json_add_u64(item.get(), "bytes", total.bytes);
    json_add_u64(item.get(), "diskSize", total.size);
    json_add_u64(item.get(), "diskUsed", total.used);
    json_add_u64(item.get(), "diskFree", total.free);
    double whole = static_cast<double>(total.used) + static_cast<double>(total.free);
    double tenths = whole > 0 ? static_cast<double>(total.used) * 1000 / whole : 0;
    cJSON_AddNumberToObject(item.get(), "usedPercent", static_cast<double>(static_cast<uint64_t>(tenths)) / 10);
    json_add_bool(item.get(), "complete", total.is_complete);
    return item;
}

exit_code command_df(session &s)
{
    list_printer list = session_list(s, "Disk", df_columns, "id");
    failure f = session_check_list(s, list);
    json_ptr nodes;
    if (!f)
        f = fetch_nodes(s, nodes);
    if (!f && nodes == nullptr)
        f = failure_make(exit_code::other, "cannot read the state of the nodes", "the server does not report disks",
            "is " + s.endpoint + " the proxy of an etlnode cluster?");
    if (f)
        return session_fail(s, f);
    bool for_people = s.format == output_format::table || s.format == output_format::wide;
    disk_total total;
    size_t targets = 0;
    const cJSON *node = nullptr;
    cJSON_ArrayForEach(node, json_get(nodes.get(), "nodes"))
    {
        if (json_text(node, "role") != "target")
            continue;
        add_target(total, node);
        list_add(list, node_state_item(node, for_people));
        targets++;
    }
    if (for_people && targets > 1 && s.opt.sort_by.empty()) {
        json_ptr item = total_item(total);
        json_add_text(item.get(), "id", "total");
        list_add(list, std::move(item));
    }
    list.siblings = json_object();
    json_add_tree(list.siblings.get(), "total", total_item(total));
    list_end(list);
    f = session_flush(s);
    if (for_people)
        print_node_problems(s, nodes.get());
    if (for_people && !total.is_complete)
        fprintf(stderr, "%s: the total is not complete: not every target has reported\n", s.program.c_str());
    return f ? session_fail(s, f) : exit_code::ok;
}

// ---- du

static constexpr column du_columns[] = {
    {"NAME", "name", cell_kind::text, false},
    {"OBJECTS", "objects", cell_kind::count, false},
    {"BYTES", "bytes", cell_kind::bytes, false},
};

static json_ptr du_item(const std::string &name, uint64_t objects, uint64_t bytes)
{
    json_ptr item = json_object();
    json_add_text(item.get(), "name", name);
    json_add_u64(item.get(), "objects", objects);
    json_add_u64(item.get(), "bytes", bytes);
    return item;
}

static failure of_bucket(session &s, const std::string &bucket, json_ptr &usage, json_ptr &out_item)
{
    failure f;
    if (usage == nullptr)
        f = fetch_usage(s, usage);
    if (f)
        return f;
    const cJSON *one = nullptr;
    const cJSON *found = nullptr;
    cJSON_ArrayForEach(one, json_get(usage.get(), "buckets")) if (json_text(one, "name") == bucket) found = one;
    if (found == nullptr) {
        f = failure_make(exit_code::not_found, "cannot sum up " + name_bucket_uri(bucket), "the bucket does not exist");
        f.code = "bucket_not_found";
        return f;
    }
    if (const cJSON *silent = cJSON_GetArrayItem(json_get(usage.get(), "missing"), 0)) {
        std::string id = format_message(cJSON_GetStringValue(silent) != nullptr ? cJSON_GetStringValue(silent) : "?");
        return failure_make(exit_code::unavailable, "cannot sum up " + name_bucket_uri(bucket),
            "the sum would be too small: target " + id + " cannot be heard", "etlctl cluster show");
    }
    out_item = du_item(bucket, json_u64(found, "objects", 0), json_u64(found, "bytes", 0));
    return {};
}

// The first answer is the id of a job; with it the server is asked until the sums are there. AIStore knows this request, too.
static failure of_prefix(session &s, const object_ref &ref, json_ptr &out_item)
{
    std::string job;
    uint64_t began_ms = session_clock_ms();
    for (;;) {
        json_ptr message = json_object();
        json_add_text(message.get(), "action", "summary-bck");
        json_add_text(message.get(), "name", "");
        cJSON *value = json_add_object(message.get(), "value");
        json_add_text(value, "uuid", job);
        json_add_text(value, "prefix", ref.object);
        json_add_bool(value, "cached", true);
        json_add_bool(value, "present", true);
        std::string body = json_print(message.get());
        std::string url = session_url(s, path_buckets) + "/" + url_encode(ref.bucket) + "?provider=ais";
        http_request request = session_request(s, "GET", url, control_timeout_ms * 2);
        request.body = body;
        request.has_body = true;
        request.headers.push_back("Content-Type: application/json");
        http_reply reply;
        failure f = session_perform(s, request, "cannot sum up", name_object_uri(ref.bucket, ref.object), reply);
        if (f)
            return f;
        if (reply.status == 202) {
            if (session_clock_ms() - began_ms > control_timeout_ms * 10)
                return failure_make(exit_code::timeout, "cannot sum up " + name_object_uri(ref.bucket, ref.object), "no answer came");
            job = job.empty() ? reply.body : job;
            const struct timespec pause = {.tv_sec = 0, .tv_nsec = 100'000'000};
            nanosleep(&pause, nullptr);
            continue;
        }
        json_ptr tree;
        std::string where;
        const cJSON *sum = nullptr;
        if (!json_parse(reply.body, tree, where))
            sum = cJSON_GetArrayItem(tree.get(), 0);
        if (sum == nullptr)
            return failure_make(
                exit_code::other, "cannot sum up " + name_object_uri(ref.bucket, ref.object), "the answer is not a summary");
        out_item = du_item(ref.bucket + "/" + ref.object, json_u64(json_get(sum, "ObjCount"), "obj_count_present", 0),
            json_u64(json_get(sum, "TotalSize"), "size_all_present_objs", 0));
        return {};
    }
}

exit_code command_du(session &s)
{
    std::vector<object_ref> refs(s.opt.words.size());
    std::string why;
    for (size_t i = 0; i < refs.size(); i++)
        if (!name_parse_ref(s.opt.words[i], refs[i], why))
            return session_fail(s, usage_failure(why));
    list_printer list = session_list(s, "Usage", du_columns, "name");
    failure f = session_check_list(s, list);
    json_ptr usage;
    for (size_t i = 0; i < refs.size() && !f; i++) {
        json_ptr item;
        f = refs[i].object.empty() ? of_bucket(s, refs[i].bucket, usage, item) : of_prefix(s, refs[i], item);
        if (f)
            f.bucket = refs[i].bucket;
        else
            list_add(list, std::move(item));
    }
    if (f)
        return session_fail(s, f);
    list_end(list);
    f = session_flush(s);
    return f ? session_fail(s, f) : exit_code::ok;
}

} // namespace etlnode::etlctl
