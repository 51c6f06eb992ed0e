// SPDX-License-Identifier: MIT
// role/proxy/usage.cc: what the cluster's objects amount to, by bucket, from all targets: for etlctl, and as AIStore's bucket summary.
//
// Knows    bucket_sum, aistore/bucket_summary, control.        Known by  cluster.cc, buckets.cc.
// Normal   ?what=usage adds up the sums that targets keep. A summary walks: AIStore's clients ask for a job's id first (202), and with it
//          for the result; here the second request makes the result, so no job has to be remembered.
// Fails    503 if a target that holds objects cannot be heard: a sum without it would be wrong. ?what=usage names such targets instead.
// Limits   usage_timeout_ms.
#include "role/proxy/usage.h"

#include <set>

#include "aistore/bucket_summary.h"
#include "aistore/cluster_config.h"
#include "base/limits.h"
#include "base/text.h"
#include "codec/http_write.h"
#include "codec/json_fields.h"
#include "codec/url.h"
#include "role/proxy/request.h"
#include "role/shared/bucket_sum.h"

namespace etlnode {

struct usage_request : proxy_request {
    std::vector<std::string> silent; // targets that were not asked
};

struct summary_request : proxy_request {
    std::string bucket; // empty: all
    bool is_head = false;
};

static constexpr std::string_view header_summary = "Ais-Bucket-Summ";
static constexpr std::string_view header_job = "Ais-Xaction-Id";

// Adds what a target answered. False: the answer cannot be read.
static bool add_answer(bucket_sums &sums, const broadcast_answer &one)
{
    bucket_sums more;
    if (bucket_sums_parse(one.body, more))
        return false;
    bucket_sums_add(sums, more);
    return true;
}

// --- ?what=usage

static void on_usage(usage_request &r, std::vector<broadcast_answer> answers)
{
    bucket_sums sums;
    for (const cluster_bucket &bucket : proxy_document(*r.p).buckets)
        sums[bucket.name] = {};
    for (const broadcast_answer &one : answers) {
        if (!broadcast_succeeded(one) || !add_answer(sums, one))
            r.silent.push_back(one.id);
    }
    json_ptr tree = bucket_sums_json(sums);
    cJSON *missing = json_add_array(tree.get(), "missing");
    for (const std::string &id : r.silent)
        json_append_text(missing, id);
    proxy_request_answer_json(r, tree.get());
}

void proxy_usage_serve(proxy &p, exchange &x)
{
    usage_request &r = proxy_request_make<usage_request>(p, x);
    std::vector<broadcast_peer> peers;
    for (const broadcast_peer &peer : proxy_placed_peers(p)) {
        if (proxy_target_is_silent(p, peer.id))
            r.silent.push_back(peer.id);
        else
            peers.push_back(peer);
    }
    broadcast_request request;
    request.target = path_node_usage;
    request.deadline_ms = etl_status_timeout_ms;
    proxy_request_broadcast<on_usage>(r, peers, request);
}

// --- summaries

// Of the targets that are placed; a disk that several of them share counts once.
static uint64_t disks_size(const proxy &p)
{
    std::set<std::pair<std::string, uint64_t>> seen;
    uint64_t size = 0;
    for (const broadcast_peer &peer : proxy_placed_peers(p)) {
        auto found = p.targets.find(peer.id);
        if (found == p.targets.end() || !found->second.capacity.is_disk_known)
            continue;
        const node_capacity &capacity = found->second.capacity;
        if (seen.insert({capacity.machine, capacity.disk.id}).second)
            size += capacity.disk.size;
    }
    return size;
}

static json_ptr summary_of(const proxy &p, const std::string &bucket, const bucket_sum &sum)
{
    return bucket_summary_json({.bucket = bucket,
        .objects = sum.objects,
        .bytes = sum.bytes,
        .size_min = sum.size_min,
        .size_max = sum.size_max,
        .disks_size = disks_size(p)});
}

static std::string props_header(const cluster_bucket &bucket)
{
    std::string headers;
    http_write_header(headers, header_bucket_props, json_print(cluster_config_bucket_json(bucket).get()));
    return headers;
}

static void answer_head(summary_request &r, const bucket_sum &sum)
{
    const cluster_bucket *bucket = document_find_bucket(proxy_document(*r.p), r.bucket);
    if (bucket == nullptr) {
        proxy_request_fail(r, error_code::bucket_not_found, "bucket \"ais://" + r.bucket + "\" does not exist");
        return;
    }
    answer a;
    a.headers = props_header(*bucket);
    http_write_header(a.headers, header_summary, json_print(summary_of(*r.p, r.bucket, sum).get()));
    proxy_request_answer(r, std::move(a));
}

static void on_walked(summary_request &r, std::vector<broadcast_answer> answers)
{
    if (const broadcast_answer *failed = broadcast_first_failure(answers)) {
        error_code code = error_code::unavailable;
        std::string text = broadcast_failure_text(*failed, &code);
        proxy_request_fail(r, code, text);
        return;
    }
    bucket_sums sums;
    for (const cluster_bucket &bucket : proxy_document(*r.p).buckets) {
        if (r.bucket.empty() || bucket.name == r.bucket)
            sums[bucket.name] = {};
    }
    for (const broadcast_answer &one : answers) {
        if (!add_answer(sums, one)) {
            proxy_request_fail(r, error_code::internal, "target " + one.id + " answered with sums that cannot be read");
            return;
        }
    }
    if (r.is_head) {
        answer_head(r, sums[r.bucket]);
        return;
    }
    json_ptr list = json_array();
    for (const auto &[name, sum] : sums)
        json_append(list.get(), summary_of(*r.p, name, sum));
    proxy_request_answer_json(r, list.get());
}

static void walk(summary_request &r, const std::string &prefix)
{
    proxy &p = *r.p;
    std::vector<broadcast_peer> peers = proxy_placed_peers(p);
    for (const broadcast_peer &peer : peers) {
        if (proxy_target_is_silent(p, peer.id)) {
            error_code code = error_code::unavailable;
            std::string why = proxy_unheard_text(p, peer.id, code);
            proxy_request_fail(r, code, "the summary would not be complete: " + why);
            return;
        }
    }
    broadcast_request request;
    request.target = std::string(path_node_usage) + "?walk=true&prefix=" + url_encode(prefix);
    if (!r.bucket.empty())
        request.target += "&bucket=" + url_encode(r.bucket);
    request.deadline_ms = usage_timeout_ms;
    request.stop_at_failure = true;
    proxy_request_broadcast<on_walked>(r, peers, request);
}

static std::string new_job_id(proxy &p)
{
    static constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    return rng_text(p.e->random, alphabet, sizeof alphabet - 1, 9);
}

void proxy_summary_serve(proxy &p, exchange &x, const std::string &bucket, const cJSON *value)
{
    static constexpr json_field fields[] = {{"uuid", json_field_kind::text}, {"prefix", json_field_kind::text}};
    if (std::string misfit = json_fields_misfit(value, "value", fields); !misfit.empty()) {
        exchange_answer_error(x, error_code::bad_request, misfit);
        return;
    }
    if (json_text(value, "uuid").empty()) {
        answer a;
        a.status = 202;
        a.body = new_job_id(p);
        exchange_answer(x, std::move(a));
        return;
    }
    summary_request &r = proxy_request_make<summary_request>(p, x);
    r.bucket = bucket;
    walk(r, std::string(json_text(value, "prefix")));
}

void proxy_summary_serve_head(proxy &p, exchange &x, const cluster_bucket &bucket)
{
    std::string job;
    url_query_get(exchange_head(x).query, "uuid", job);
    if (job.empty()) {
        answer a;
        a.status = 202;
        a.headers = props_header(bucket);
        http_write_header(a.headers, header_job, new_job_id(p));
        exchange_answer(x, std::move(a));
        return;
    }
    summary_request &r = proxy_request_make<summary_request>(p, x);
    r.bucket = bucket.name;
    r.is_head = true;
    walk(r, {});
}

} // namespace etlnode
