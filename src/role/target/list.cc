// SPDX-License-Identifier: MIT
// role/target/list.cc: one page of this target's objects, for the proxy to merge, with or without the objects below a directory.
//
// Owns     one page_request a request.
// Knows    store, codec, list_merge.        Known by  routes.cc.
// Normal   one question to the index; for one level as many as it takes to skip what lies inside directories.
// Limits   list_page_size_max.
#include <algorithm>

#include "aistore/list_page.h"
#include "base/limits.h"
#include "base/text.h"
#include "codec/url.h"
#include "role/shared/list_merge.h"
#include "role/target/target.h"
#include "store/object_extras.h"

namespace etlnode {

struct page_request {
    target *t = nullptr;
    exchange *x = nullptr;
    std::string bucket, prefix, after;
    size_t count = 0;
    size_t asked = 0;       // rows that the current query asks for
    bool is_flat = false;   // one level only
    uint64_t epoch = 0;     // of placement, which the proxy asks for; 0: any
    bool wants_all = false; // also what belongs to other targets now
    list_page page;
};

static constexpr size_t flat_batch = 512; // rows per query while directories are skipped

// What this target answers in an epoch must include all that it acknowledged before.
static bool is_in_epoch(const page_request &r)
{
    return r.epoch == 0 || (r.epoch == document_epoch(r.t->document) && target_has_adopted(*r.t));
}

static void finish(page_request *r, error err)
{
    if (!err && !is_in_epoch(*r)) // the epoch has changed meanwhile, and objects may have moved
        err = make_error(error_code::other_epoch);
    if (err) {
        exchange_answer_error(*r->x, err.code, error_text(err));
    } else {
        r->page.token = r->page.entries.size() == r->count ? r->page.entries.back().name : std::string();
        r->t->metrics.list_count++;
        answer a;
        a.content_type = "application/msgpack";
        a.body = list_page_msgpack(r->page);
        exchange_answer(*r->x, std::move(a));
    }
    open_count_end(r->t->store_calls);
    delete r;
}

// As AIStore prints a map.
static std::string custom_text(const index_row &row)
{
    std::string text;
    if (row.custom.empty())
        return text;
    for (const auto &[key, value] : object_extras_parse(row.custom).custom)
        text.append(text.empty() ? "" : " ").append(key).append(":").append(value);
    return text.empty() ? text : "map[" + text + "]";
}

static list_entry entry_of(const target &t, const index_row &row)
{
    list_entry entry;
    entry.name = row.name;
    entry.size = row.size;
    entry.checksum = text_hex(row.checksum);
    entry.version = text_format("%llu", static_cast<unsigned long long>(row.version));
    entry.atime = text_format("%llu", static_cast<unsigned long long>(row.changed_ns));
    entry.location = "t[" + t.id + "]:mp[" + t.options.data_dir + "]";
    entry.custom = custom_text(row);
    entry.copies = 1;
    entry.flags = row.is_tombstone ? list_flag_tombstone : list_flag_cached;
    return entry;
}

static void ask(page_request *r);

// While nothing moves, an object that belongs to another target is not served, so it is not listed.
static bool is_hidden(const page_request &r, const index_row &row)
{
    if (r.epoch == 0 || r.wants_all)
        return false;
    const cluster_node *owner = document_place(r.t->document, r.bucket, row.name);
    return owner == nullptr || owner->id != r.t->id;
}

// Adds one row, or the directory that contains it; false if the page is full.
static bool add_row(page_request &r, const index_row &row)
{
    if (r.page.entries.size() == r.count)
        return false;
    std::string_view directory = r.is_flat ? list_directory_of(r.prefix, row.name) : std::string_view{};
    if (directory.empty()) {
        r.page.entries.push_back(entry_of(*r.t, row));
        r.after = row.name;
        return true;
    }
    if (r.after >= list_skip_after(r.prefix, directory))
        return true; // in a directory that is already in the page or precedes it
    list_entry entry;
    entry.name = directory;
    entry.flags = list_flag_directory;
    r.page.entries.push_back(std::move(entry));
    r.after = list_skip_after(r.prefix, directory);
    return true;
}

static void on_rows(void *arg, error err, std::vector<index_row> rows)
{
    page_request *r = static_cast<page_request *>(arg);
    if (err) {
        finish(r, err);
        return;
    }
    bool has_room = true;
    for (const index_row &row : rows) {
        if (!has_room)
            break;
        if (is_hidden(*r, row))
            r->after = std::max(r->after, row.name);
        else
            has_room = add_row(*r, row);
    }
    if (rows.size() < r->asked || r->page.entries.size() == r->count)
        finish(r, no_error);
    else
        ask(r);
}

static void ask(page_request *r)
{
    size_t missing = r->count - r->page.entries.size();
    r->asked = r->is_flat && missing > flat_batch ? flat_batch : missing;
    auto page = r->wants_all ? store_page_all : store_page;
    page(*r->t->objects, r->bucket, r->prefix, r->after, r->asked, on_rows, r);
}

static void on_adopted(void *arg)
{
    page_request *r = static_cast<page_request *>(arg);
    if (is_in_epoch(*r))
        ask(r);
    else
        finish(r, no_error);
}

static void serve_bucket_page(target &t, exchange &x, const route_match &match)
{
    std::string bucket;
    if (!target_admit_peer(t, x, match, bucket))
        return;
    std::string_view query = exchange_head(x).query;
    if (!lifecycle_is_ready(t.life)) {
        exchange_answer_error(x, error_code::not_ready, "the target is not ready");
        return;
    }
    if (std::string why = target_misfit_text(t); !why.empty()) {
        exchange_answer_error(x, error_code::not_ready, why);
        return;
    }
    if (document_find_bucket(t.document, bucket) == nullptr) {
        exchange_answer_error(
            x, error_code::bucket_not_found, "bucket \"ais://" + text_escape(bucket) + "\" does not exist on target " + t.id);
        return;
    }
    if (std::string why = target_emptying_text(t, bucket); !why.empty()) {
        exchange_answer_error(x, error_code::unavailable, why);
        return;
    }
    std::string count, flat;
    uint64_t wanted = 0;
    if (!url_query_get(query, "count", count) || !text_parse_u64(count, wanted) || wanted == 0 || wanted > list_page_size_max) {
        exchange_answer_error(x, error_code::bad_request, "count must be 1 to 10000");
        return;
    }
    page_request *r = new page_request;
    r->t = &t;
    r->x = &x;
    r->bucket = bucket;
    r->count = static_cast<size_t>(wanted);
    url_query_get(query, "prefix", r->prefix);
    url_query_get(query, "after", r->after);
    r->is_flat = url_query_get(query, "flat", flat) && !flat.empty();
    if (r->is_flat)
        r->after = list_skip_after(r->prefix, r->after);
    std::string epoch, versions;
    r->wants_all = url_query_get(query, "versions", versions);
    if (url_query_get(query, "epoch", epoch) && !text_parse_u64(epoch, r->epoch))
        r->epoch = UINT64_MAX; // never in force
    open_count_begin(t.store_calls);
    if (r->epoch == document_epoch(t.document) && !target_has_adopted(t))
        target_wait_adopted(t, on_adopted, r);
    else if (!is_in_epoch(*r))
        finish(r, no_error);
    else
        ask(r);
}

// --- routes

static constexpr route rows[] = {
    ROUTE("GET", "/v1/node/bucket/{bucket}", serve_bucket_page, "a page of its objects"),
};
extern constinit const std::span<const route> target_list_routes = rows;

} // namespace etlnode
