// SPDX-License-Identifier: MIT
// role/target/found.cc: objects here that belong to other targets, though nothing moves.
//
// Owns     r.found: one count at a time, and a timer; one found_list for each page of names.
// Knows    store, control.        Known by  rebalance.cc, health.cc, metrics.cc, routes.cc.
// Normal   there are none. Each start reads the index once, slowly, while nothing moves; so does a new epoch, unless this target has just
//          proved that it holds none. What is found is shown, and not served: whether it was deleted meanwhile, nobody can know. When a
//          person says so, a pass (rebalance.cc) gives each object to its owner, which keeps the newer version.
// Fails    an index that cannot be read: the count is made again after a while.
// Limits   page_size rows at a time; found_page_max names in an answer.
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "codec/json.h"
#include "codec/url.h"
#include "control/placement_epochs.h"
#include "role/target/rebalance.h"

namespace etlnode {

static constexpr size_t page_size = 500;        // rows
static constexpr size_t found_page_max = 1'000; // names
static constexpr size_t why_size_max = 1'024;   // bytes
static constexpr uint64_t begin_pause_ms = 2'000;
static constexpr uint64_t page_pause_ms = 20;
static constexpr uint64_t page_pause_serving_ms = 200; // while clients are served
static constexpr uint64_t failed_pause_ms = 60'000;

// The next bucket of the document in order; null: there is none.
static const std::string *bucket_after(const target &t, const std::string &bucket)
{
    for (const cluster_bucket &one : t.document.buckets) {
        if (bucket.empty() || one.name > bucket)
            return &one.name;
    }
    return nullptr;
}

// --- counting

static bool may_count(const rebalance &r)
{
    const target &t = *r.t;
    return t.objects != nullptr && !r.found.is_stopped && !lifecycle_is_draining(t.life) && target_has_adopted(t) &&
           !placement_is_moving(t.document.placement) && document_find_node(t.document, t.id) != nullptr;
}

static void note_counted(rebalance &r)
{
    found_objects &f = r.found;
    f.objects = f.counting.objects;
    f.bytes = f.counting.bytes;
    f.epoch = f.counting.epoch;
    f.is_recounting = false;
    if (f.objects > 0)
        LOG(warn, "placement",
            "objects=%llu msg=\"objects were found here that belong to other targets, though nothing moves: they are not served (etlctl "
            "target found)\"",
            static_cast<unsigned long long>(f.objects));
}

static void on_rows(void *arg, error err, std::vector<index_row> rows)
{
    auto &r = *static_cast<rebalance *>(arg);
    target &t = *r.t;
    found_count &counting = r.found.counting;
    counting.is_reading = false;
    bool counts = may_count(r) && counting.epoch == document_epoch(t.document);
    for (const index_row &row : rows) {
        if (counts && target_owner_elsewhere(t, row.bucket, row.name) != nullptr) {
            counting.objects++;
            counting.bytes += row.size;
        }
    }
    counting.is_bucket_over = err || rows.size() < page_size;
    if (!rows.empty())
        counting.after = rows.back().name;
    counting.is_begun = counts && !err; // otherwise it begins anew when it can
    if (!r.found.is_stopped && counts)
        timer_arm(*t.e, r.found.wake, err ? failed_pause_ms : target_serves_clients(t) ? page_pause_serving_ms : page_pause_ms);
    else if (!r.found.is_stopped)
        found_look(r);
    open_count_end(t.store_calls);
}

static void count_next(rebalance &r)
{
    target &t = *r.t;
    found_count &counting = r.found.counting;
    if (counting.is_bucket_over) {
        const std::string *next = bucket_after(t, counting.bucket);
        if (next == nullptr) {
            counting.is_begun = false;
            note_counted(r);
            return;
        }
        counting.bucket = *next;
        counting.after.clear();
    }
    counting.is_reading = true;
    open_count_begin(t.store_calls);
    store_page(*t.objects, counting.bucket, {}, counting.after, page_size, on_rows, &r);
}

static void on_wake(void *arg)
{
    auto &r = *static_cast<rebalance *>(arg);
    found_count &counting = r.found.counting;
    uint64_t epoch = document_epoch(r.t->document);
    if (!may_count(r) || counting.is_reading || r.found.epoch == epoch)
        return; // what lets it count, looks again
    if (!counting.is_begun || counting.epoch != epoch)
        counting = {.epoch = epoch, .is_begun = true, .is_bucket_over = true};
    count_next(r);
}

void found_look(rebalance &r)
{
    found_objects &f = r.found;
    uint64_t epoch = document_epoch(r.t->document);
    if (!may_count(r) || f.is_taking || f.epoch == epoch || f.counting.is_reading || (f.counting.is_begun && f.counting.epoch == epoch))
        return;
    if (f.wake == nullptr)
        f.wake = timer_make(*r.t->e, on_wake, &r);
    if (!timer_is_armed(*r.t->e, f.wake))
        timer_arm(*r.t->e, f.wake, f.is_recounting ? 1 : begin_pause_ms);
}

void found_note_epoch(rebalance &r, bool has_none, uint64_t epoch)
{
    r.found.is_taking = r.found.is_recounting = false;
    r.found.why.clear();
    if (!has_none)
        return; // they are counted anew
    r.found.objects = r.found.bytes = 0;
    r.found.epoch = epoch;
}

void found_stop(rebalance &r)
{
    r.found.is_stopped = true;
    if (r.found.wake != nullptr)
        timer_free(*r.t->e, r.found.wake);
    r.found.wake = nullptr;
}

// --- what others are told

bool found_is_known(const target &t)
{
    return t.giving != nullptr && (t.giving->found.epoch == document_epoch(t.document) || t.giving->found.is_recounting);
}

bool found_any(const target &t) { return found_is_known(t) && t.giving->found.objects > 0; }

static void add_report(cJSON *tree, const char *key, const found_objects &f)
{
    json_add_u64(tree, key, f.objects);
    json_add_u64_text(tree, "bytes", f.bytes);
    json_add_bool(tree, "taking", f.is_taking || f.is_recounting);
    json_add_text(tree, "why", f.why);
}

json_ptr found_report(const target &t)
{
    if (!found_is_known(t) || (t.giving->found.objects == 0 && !t.giving->found.is_taking && !t.giving->found.is_recounting))
        return nullptr;
    json_ptr tree = json_object();
    add_report(tree.get(), "objects", t.giving->found);
    return tree;
}

// --- giving them to their owners

void found_given(rebalance &r, const std::string &why)
{
    r.found.is_taking = false;
    r.found.is_recounting = true;
    r.found.why = why.substr(0, why_size_max);
    r.found.epoch = 0;
    found_look(r);
}

static bool is_ready(target &t, exchange &x)
{
    if (t.giving != nullptr && may_count(*t.giving) && found_is_known(t))
        return true;
    exchange_answer_error(x, error_code::conflict,
        "objects move between targets now, or target " + t.id +
            " has not counted yet what it holds of others: try again when nothing moves");
    return false;
}

// POST /v1/node/found
static void serve_take(target &t, exchange &x, const route_match &match)
{
    std::string none, text;
    uint64_t shown = 0;
    if (!target_admit_peer(t, x, match, none) || !is_ready(t, x))
        return;
    if (!url_query_get(exchange_head(x).query, "objects", text) || !text_parse_u64(text, shown)) {
        exchange_answer_error(x, error_code::bad_request, "objects: expected a number");
        return;
    }
    found_objects &f = t.giving->found;
    if (shown != f.objects) {
        exchange_answer_error(x, error_code::conflict,
            text_format("target %s has found %llu objects that belong to others, not %llu", t.id.c_str(),
                static_cast<unsigned long long>(f.objects), static_cast<unsigned long long>(shown)));
        return;
    }
    f.is_taking = true;
    f.why.clear();
    LOG(warn, "placement", "objects=%llu msg=\"the objects that were found here go to their owners\"",
        static_cast<unsigned long long>(f.objects));
    target_rebalance_look(t);
    answer a;
    a.status = 204;
    exchange_answer(x, std::move(a));
}

// --- GET /v1/node/found: names

struct found_list {
    target *t = nullptr;
    exchange *x = nullptr;
    std::string bucket, after;
    uint64_t count = 0;
    json_ptr rows = {};
};

static void end_list(found_list *list, error_code code, bool has_more)
{
    target &t = *list->t;
    if (code == error_code::ok) {
        json_ptr tree = json_object();
        json_add_tree(tree.get(), "objects", std::move(list->rows));
        json_add_bool(tree.get(), "more", has_more);
        add_report(tree.get(), "found", t.giving->found);
        exchange_answer_json(*list->x, tree.get());
    } else {
        exchange_answer_error(*list->x, code, error_code_text(code));
    }
    delete list;
    open_count_end(t.requests);
}

static void list_next(found_list *list);

static void add_row(found_list &list, const index_row &row)
{
    json_ptr one = json_object();
    json_add_text(one.get(), "bucket", row.bucket);
    json_add_text(one.get(), "name", row.name);
    json_add_u64(one.get(), "size", row.size);
    json_add_u64_text(one.get(), "version", row.version);
    json_add_u64_text(one.get(), "changed_ns", row.changed_ns);
    json_append(list.rows.get(), std::move(one));
}

static void on_list_rows(void *arg, error err, std::vector<index_row> rows)
{
    auto *list = static_cast<found_list *>(arg);
    target &t = *list->t;
    if (err || exchange_is_gone(*list->x) || lifecycle_is_draining(t.life)) {
        end_list(list, err ? err.code : error_code::stopping, false);
        return;
    }
    for (const index_row &row : rows) {
        if (target_owner_elsewhere(t, row.bucket, row.name) == nullptr)
            continue;
        if (static_cast<uint64_t>(cJSON_GetArraySize(list->rows.get())) >= list->count) {
            end_list(list, error_code::ok, true);
            return;
        }
        add_row(*list, row);
    }
    if (rows.size() < page_size) {
        const std::string *next = bucket_after(t, list->bucket);
        list->bucket = next != nullptr ? *next : std::string();
        list->after.clear();
    } else {
        list->after = rows.back().name;
    }
    list_next(list);
}

static void list_next(found_list *list)
{
    if (list->bucket.empty())
        end_list(list, error_code::ok, false);
    else
        store_page(*list->t->objects, list->bucket, {}, list->after, page_size, on_list_rows, list);
}

static void serve_names(target &t, exchange &x, const route_match &match)
{
    std::string none, text;
    if (!target_admit_peer(t, x, match, none))
        return;
    uint64_t count = found_page_max;
    std::string_view query = exchange_head(x).query;
    if (url_query_get(query, "count", text) && (!text_parse_u64(text, count) || count == 0 || count > found_page_max)) {
        exchange_answer_error(x, error_code::bad_request, "count: expected a number up to " + std::to_string(found_page_max));
        return;
    }
    if (!is_ready(t, x))
        return;
    auto *list = new found_list{.t = &t, .x = &x, .bucket = {}, .after = {}, .count = count, .rows = json_array()};
    (void)url_query_get(query, "after_bucket", list->bucket);
    (void)url_query_get(query, "after_name", list->after);
    const std::string *first = list->bucket.empty() ? bucket_after(t, {}) : &list->bucket;
    if (first == nullptr)
        list->bucket.clear();
    else if (first != &list->bucket)
        list->bucket = *first;
    open_count_begin(t.requests);
    list_next(list);
}

// --- routes

static constexpr route rows[] = {
    ROUTE("GET", "/v1/node/found", serve_names,
        "objects here that belong to other targets though nothing moves, and how many; `?after_bucket=`, `?after_name=`, `?count=`"),
    ROUTE("POST", "/v1/node/found", serve_take, "gives them to their owners; `?objects=`: how many the caller has seen"),
};
extern constinit const std::span<const route> target_found_routes = rows;

} // namespace etlnode
