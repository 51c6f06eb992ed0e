// SPDX-License-Identifier: MIT
// role/target/orphans.cc: objects of buckets that the cluster document does not name, and that nobody destroyed.
//
// Owns     t.orphans and its copy in the data directory.
// Knows    control, store.        Known by  document.cc, heartbeat.cc, node_api.cc.
// Normal   there are none. A restored or chosen document may lack a bucket; its objects then stay until a document names the bucket again,
//          says that it was destroyed, or has another bucket of that name.
// Limits   orphan_count_max in the list; orphans_reported_max of them in a heartbeat.
#include <algorithm>

#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "codec/json.h"
#include "port/meta.h"
#include "role/target/target.h"

namespace etlnode {

static constexpr const char *orphans_document = "orphans";
static constexpr size_t count_page_size = 1'000;

// --- the list

static std::string print_list(const target &t)
{
    json_ptr tree = json_object();
    cJSON *buckets = json_add_array(tree.get(), "buckets");
    for (const target_orphan &orphan : t.orphans) {
        json_ptr row = json_object();
        json_add_text(row.get(), "name", orphan.bucket.name);
        json_add_u64_text(row.get(), "created_ns", orphan.bucket.created_ns);
        json_append(buckets, std::move(row));
    }
    return json_print(tree.get());
}

static error parse_list(std::string_view text, std::vector<target_orphan> &out_orphans)
{
    json_ptr tree;
    std::string where;
    const cJSON *buckets = json_parse(text, tree, where) ? nullptr : json_get(tree.get(), "buckets");
    if (!cJSON_IsArray(buckets))
        return make_error(error_code::corrupt);
    const cJSON *row = nullptr;
    cJSON_ArrayForEach(row, buckets)
    {
        target_orphan orphan;
        if (!json_read_text(row, "name", bucket_name_size_max, orphan.bucket.name) ||
            !json_read_u64(row, "created_ns", orphan.bucket.created_ns))
            return make_error(error_code::corrupt);
        out_orphans.push_back(std::move(orphan));
    }
    return no_error;
}

struct orphans_load {
    target *t;
    void (*on_loaded)(target &t, error err, const std::string &detail);
};

static void on_read(void *arg, error err, uint64_t version, const std::string &text)
{
    orphans_load load = *static_cast<orphans_load *>(arg);
    delete static_cast<orphans_load *>(arg);
    target &t = *load.t;
    t.orphans_version = version;
    if (!err && version > 0)
        err = parse_list(text, t.orphans);
    // The list is stored before the document that made it: a kill in between leaves buckets in both.
    std::erase_if(t.orphans, [&](const target_orphan &orphan) { return document_find_bucket(t.document, orphan.bucket.name) != nullptr; });
    load.on_loaded(t, err,
        err ? std::string("the list of orphaned buckets in the data directory could not be read: ") + error_text(err) : std::string());
}

void target_orphans_load(target &t, void (*on_loaded)(target &t, error err, const std::string &detail))
{
    meta_read(*t.e, orphans_document, on_read, new orphans_load{&t, on_loaded});
}

// --- a new document

static void note_orphan(target &t, const cluster_bucket &bucket)
{
    LOG(error, "store",
        "bucket=%s msg=\"the new cluster document does not name this bucket, and does not say that it was destroyed: its objects are kept, "
        "but not served\"",
        text_escape(bucket.name).c_str());
    if (t.orphans.size() >= orphan_count_max)
        t.orphans.erase(t.orphans.begin());
    t.orphans.push_back({.bucket = bucket});
    t.has_unstored_orphans = true;
}

std::vector<std::string> target_orphans_sort_out(target &t, const cluster_document &next)
{
    std::vector<std::string> emptied;
    for (size_t i = t.orphans.size(); i-- > 0;) {
        const cluster_bucket &bucket = t.orphans[i].bucket;
        bucket_fate fate = document_bucket_fate(next, bucket);
        if (fate == bucket_fate::orphaned)
            continue;
        if (fate == bucket_fate::removed)
            emptied.push_back(bucket.name);
        else
            LOG(warn, "store", "bucket=%s msg=\"the cluster document names this bucket again: its objects are served\"",
                text_escape(bucket.name).c_str());
        t.orphans.erase(t.orphans.begin() + static_cast<std::ptrdiff_t>(i));
        t.has_unstored_orphans = true;
    }
    for (const cluster_bucket &bucket : t.document.buckets) {
        bucket_fate fate = document_bucket_fate(next, bucket);
        if (fate == bucket_fate::removed)
            emptied.push_back(bucket.name);
        else if (fate == bucket_fate::orphaned)
            note_orphan(t, bucket);
    }
    return emptied;
}

// --- storing

struct orphans_swap {
    target *t;
    uint64_t version;
    void (*on_stored)(target &t, error err);
};

static void swap_list(target &t, void (*on_stored)(target &t, error err));

// A swap that seemed to fail has succeeded.
static void on_version(void *arg, error err, uint64_t version, const std::string &)
{
    orphans_swap swap = *static_cast<orphans_swap *>(arg);
    delete static_cast<orphans_swap *>(arg);
    target &t = *swap.t;
    if (err) {
        t.has_unstored_orphans = true;
        swap.on_stored(t, err);
        return;
    }
    t.orphans_version = version;
    swap_list(t, swap.on_stored);
}

static void on_swap(void *arg, error err)
{
    orphans_swap swap = *static_cast<orphans_swap *>(arg);
    delete static_cast<orphans_swap *>(arg);
    target &t = *swap.t;
    if (err.code == error_code::conflict) {
        meta_read(*t.e, orphans_document, on_version, new orphans_swap{swap});
        return;
    }
    if (err) {
        LOG(error, "store", "error=\"%s\" msg=\"the list of orphaned buckets could not be stored\"", error_text(err));
        t.has_unstored_orphans = true;
    } else {
        t.orphans_version = swap.version;
    }
    swap.on_stored(t, err);
}

static void swap_list(target &t, void (*on_stored)(target &t, error err))
{
    t.has_unstored_orphans = false; // a change that comes meanwhile sets it again
    meta_swap(*t.e, orphans_document, t.orphans_version, t.orphans_version + 1, print_list(t), on_swap,
        new orphans_swap{&t, t.orphans_version + 1, on_stored});
}

void target_orphans_store(target &t, void (*on_stored)(target &t, error err)) { swap_list(t, on_stored); }

// --- counting

struct orphans_count {
    target *t;
    cluster_bucket bucket;
    std::string after;
    uint64_t objects = 0;
};

static target_orphan *find_orphan(target &t, const cluster_bucket &bucket)
{
    auto found = std::find_if(t.orphans.begin(), t.orphans.end(),
        [&](const target_orphan &orphan) { return orphan.bucket.name == bucket.name && orphan.bucket.created_ns == bucket.created_ns; });
    return found != t.orphans.end() ? &*found : nullptr;
}

static void on_rows(void *arg, error err, std::vector<index_row> rows)
{
    auto *count = static_cast<orphans_count *>(arg);
    target &t = *count->t;
    target_orphan *orphan = find_orphan(t, count->bucket);
    count->objects += rows.size();
    if (!err && rows.size() == count_page_size && orphan != nullptr && !lifecycle_is_draining(t.life)) {
        count->after = rows.back().name;
        store_page(*t.objects, count->bucket.name, {}, count->after, count_page_size, on_rows, count);
        return;
    }
    if (orphan != nullptr) {
        orphan->objects = count->objects; // after an error: at least so many
        orphan->is_counted = true;
    }
    delete count;
    t.is_counting_orphans = false;
    target_orphans_count(t);
    open_count_end(t.store_calls);
}

void target_orphans_count(target &t)
{
    if (t.is_counting_orphans || lifecycle_is_draining(t.life))
        return;
    auto next = std::find_if(t.orphans.begin(), t.orphans.end(), [](const target_orphan &orphan) { return !orphan.is_counted; });
    if (next == t.orphans.end())
        return;
    t.is_counting_orphans = true;
    open_count_begin(t.store_calls);
    store_page(*t.objects, next->bucket.name, {}, {}, count_page_size, on_rows, new orphans_count{&t, next->bucket, {}, 0});
}

uint64_t target_orphans_objects(const target &t)
{
    uint64_t sum = 0;
    for (const target_orphan &orphan : t.orphans)
        sum += orphan.objects;
    return sum;
}

json_ptr target_orphans_json(const target &t)
{
    json_ptr list = json_array();
    for (size_t i = 0; i < t.orphans.size() && i < orphans_reported_max; i++) {
        json_ptr row = json_object();
        json_add_text(row.get(), "name", t.orphans[i].bucket.name);
        json_add_u64_text(row.get(), "created_ns", t.orphans[i].bucket.created_ns);
        json_add_u64(row.get(), "objects", t.orphans[i].objects);
        json_append(list.get(), std::move(row));
    }
    return list;
}

} // namespace etlnode
