// SPDX-License-Identifier: MIT
// role/target/usage.cc: what the objects of this target amount to, by bucket: from the index's own sums, or by a walk for a prefix.
//
// Owns     one usage_walk for each walk.
// Knows    store, bucket_sum.        Known by  routes.cc.
// Normal   without `walk` it answers at once. A walk reads the index page by page, so that other lookups come in between.
// Fails    503 until ready, while draining, and for a bucket whose former objects are not gone yet.
// Limits   walk_page rows at a time.
#include "codec/url.h"
#include "role/shared/bucket_sum.h"
#include "role/target/target.h"

#include "base/text.h"

namespace etlnode {

static constexpr size_t walk_page = 1'000; // rows

struct usage_walk {
    target *t = nullptr;
    exchange *x = nullptr;
    std::vector<std::string> buckets = {}; // to walk through
    size_t at = 0;
    std::string prefix, after = {};
    bucket_sums sums = {};
};

// Buckets of the document, whose objects are this cluster's.
static bool is_counted(const target &t, const std::string &bucket)
{
    return document_find_bucket(t.document, bucket) != nullptr && target_emptying_text(t, bucket).empty();
}

static void end(usage_walk *r, error_code code, const std::string &text)
{
    if (code == error_code::ok)
        exchange_answer_json(*r->x, bucket_sums_json(r->sums).get());
    else
        exchange_answer_error(*r->x, code, text);
    open_count_end(r->t->requests);
    delete r;
}

static void ask(usage_walk *r);

static void on_rows(void *arg, error err, std::vector<index_row> rows)
{
    auto *r = static_cast<usage_walk *>(arg);
    if (err || exchange_is_gone(*r->x)) {
        end(r, err ? err.code : error_code::canceled, error_text(err));
        return;
    }
    if (lifecycle_is_draining(r->t->life)) {
        end(r, error_code::stopping, "the target is shutting down");
        return;
    }
    bucket_sum &sum = r->sums[r->buckets[r->at]];
    for (const index_row &row : rows)
        bucket_sum_add_object(sum, row.size);
    if (rows.size() == walk_page) {
        r->after = rows.back().name;
    } else {
        r->after.clear();
        r->at++;
    }
    ask(r);
}

static void ask(usage_walk *r)
{
    if (r->at == r->buckets.size())
        end(r, error_code::ok, {});
    else
        store_page(*r->t->objects, r->buckets[r->at], r->prefix, r->after, walk_page, on_rows, r);
}

// ?bucket=: only this one. &prefix=: only names that start with it. &walk=true: with the sizes of the smallest and the largest object.
static void serve_usage(target &t, exchange &x, const route_match &match)
{
    std::string none;
    if (!target_admit_peer(t, x, match, none))
        return;
    if (!lifecycle_is_ready(t.life)) {
        exchange_answer_error(x, error_code::not_ready, "the target is not ready");
        return;
    }
    std::string_view query = exchange_head(x).query;
    std::string bucket, prefix, walk;
    bool is_one = url_query_get(query, "bucket", bucket);
    url_query_get(query, "prefix", prefix);
    bool walks = !prefix.empty() || (url_query_get(query, "walk", walk) && text_is_true(walk));
    std::string why = is_one ? target_emptying_text(t, bucket) : std::string();
    if (!why.empty()) {
        exchange_answer_error(x, error_code::unavailable, why);
        return;
    }
    auto *r = new usage_walk{.t = &t, .x = &x, .prefix = std::move(prefix)};
    for (const auto &[name, usage] : store_bucket_usage(*t.objects)) {
        if ((is_one && name != bucket) || !is_counted(t, name))
            continue;
        if (walks)
            r->buckets.push_back(name);
        else
            r->sums[name] = {.objects = usage.objects, .bytes = usage.bytes};
    }
    open_count_begin(t.requests);
    ask(r);
}

// --- routes

static constexpr route rows[] = {
    ROUTE("GET", "/v1/node/usage", serve_usage, "objects and bytes of its buckets; `?bucket=`, `?prefix=`, `?walk=true`"),
};
extern constinit const std::span<const route> target_usage_routes = rows;

} // namespace etlnode
