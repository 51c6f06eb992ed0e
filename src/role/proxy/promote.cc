// SPDX-License-Identifier: MIT
// role/proxy/promote.cc: POST /v1/objects/<bucket> {"action":"promote"}: begins a job that makes objects of files which targets see.
//
// Knows    control, job.        Known by  routes.cc.
// Normal   the targets are asked what they see at the path. If all see the same, each is to take the files of its own objects; otherwise
//          each takes all that it finds. The answer is the job's id.
// Fails    400 for values; 403 where no target may read it; 404 for buckets, targets and paths; 409 for too many jobs; 501 other actions.
// Limits   job_running_max, job_options_size_max.
#include "base/limits.h"
#include "base/text.h"
#include "codec/json_fields.h"
#include "codec/url.h"
#include "control/bucket_moves.h"
#include "job/promote_order.h"
#include "port/clock.h"
#include "role/proxy/jobs.h"
#include "role/shared/hints.h"

namespace etlnode {

struct promote_request : proxy_request {
    cluster_job job;
    json_ptr options;
    promote_order order;
    bool is_never_shared = false; // the client says so
    std::string refusal;          // of the change of the document
};

static constexpr json_field value_fields[] = {
    {"tid", json_field_kind::text},
    {"src", json_field_kind::text},
    {"obj", json_field_kind::text},
    {"rcr", json_field_kind::flag},
    {"ovw", json_field_kind::flag},
    {"dls", json_field_kind::flag},
    {"notshr", json_field_kind::flag},
};

static bool refuse(promote_request &r, error_code code, const std::string &text)
{
    proxy_request_fail(r, code, text);
    return false;
}

static bool read_value(promote_request &r, const cJSON *tree)
{
    const cJSON *value = json_get(tree, "value");
    if (std::string wrong = json_fields_misfit(value, "value", value_fields); !wrong.empty())
        return refuse(r, error_code::bad_request, wrong);
    const cJSON *name = json_get(tree, "name");
    if (name != nullptr && !cJSON_IsNull(name) && !cJSON_IsString(name))
        return refuse(r, error_code::bad_request, "name: expected a text");
    std::string_view source = json_text(value, "src").empty() ? json_text(tree, "name") : json_text(value, "src");
    r.options = json_object();
    json_add_text(r.options.get(), "src", source);
    for (const char *key : {"obj", "rcr", "ovw", "dls"}) {
        if (const cJSON *item = json_get(value, key); item != nullptr && !cJSON_IsNull(item))
            json_add_tree(r.options.get(), key, json_ptr(cJSON_Duplicate(item, true)));
    }
    if (!json_text(value, "tid").empty())
        json_add_text(r.options.get(), "at", json_text(value, "tid"));
    r.is_never_shared = json_bool(value, "notshr", false);
    if (std::string wrong = promote_order_read(r.options.get(), r.order); !wrong.empty())
        return refuse(r, error_code::bad_request, "value." + wrong);
    return true;
}

static error apply_job(promote_request &r, cluster_document &next)
{
    if (document_find_bucket(next, r.job.bucket) == nullptr)
        return make_error(error_code::bucket_not_found);
    r.refusal = bucket_move_conflict(next, r.job);
    if (!r.refusal.empty())
        return make_error(error_code::conflict);
    return proxy_job_admit(*r.p, next, r.job);
}

static void on_stored(promote_request &r, error err)
{
    if (err && !r.refusal.empty())
        proxy_request_fail(r, err.code, r.refusal);
    else
        proxy_job_answer_start(r, r.job, err);
}

// --- what the targets see

struct promote_views {
    size_t found = 0, asked = 0;
    bool is_allowed = false, are_same = true;
    std::string digest, why; // of the first
};

static bool take_view(promote_views &views, const broadcast_answer &answer)
{
    json_ptr tree;
    std::string where;
    if (!broadcast_succeeded(answer) || json_parse(answer.body, tree, where))
        return false;
    views.asked++;
    views.is_allowed = views.is_allowed || json_bool(tree.get(), "allowed", false);
    if (views.why.empty())
        views.why = json_text(tree.get(), "why");
    if (!json_bool(tree.get(), "found", false))
        return true;
    std::string digest(json_text(tree.get(), "digest"));
    views.are_same = views.are_same && (views.found == 0 || digest == views.digest);
    views.digest = std::move(digest);
    views.found++;
    return true;
}

static void on_views(promote_request &r, std::vector<broadcast_answer> answers)
{
    promote_views views;
    for (const broadcast_answer &answer : answers) {
        if (!take_view(views, answer)) {
            error_code code = error_code::unavailable;
            std::string text = broadcast_failure_text(answer, &code);
            proxy_request_fail(r, code, text);
            return;
        }
    }
    if (views.found == 0) {
        proxy_request_fail(r, views.is_allowed ? error_code::not_found : error_code::forbidden,
            views.why.empty() ? "no target sees " + text_escape(r.order.source, 200) : views.why);
        return;
    }
    bool is_shared = views.asked > 1 && views.found == views.asked && views.are_same && !r.is_never_shared;
    if (is_shared)
        json_add_bool(r.options.get(), "shared", true);
    r.job.options = json_print(r.options.get());
    if (r.job.options.size() > job_options_size_max)
        proxy_request_fail(r, error_code::body_too_large, "value: too long");
    else
        proxy_request_change<apply_job, on_stored>(r, true);
}

static std::vector<broadcast_peer> find_peers(const promote_request &r)
{
    std::vector<broadcast_peer> peers = proxy_target_peers(*r.p);
    if (!r.order.at.empty())
        std::erase_if(peers, [&r](const broadcast_peer &peer) { return peer.id != r.order.at; });
    return peers;
}

static void on_body(promote_request &r, std::string body)
{
    json_ptr tree;
    std::string action;
    if (!proxy_request_read_action(r, body, tree, action))
        return;
    if (action.empty()) {
        refuse(r, error_code::bad_request, "POST on the objects of a bucket: which action? expected promote");
        return;
    }
    if (action != promote_kind) {
        refuse(r, error_code::not_implemented, "action \"" + text_escape(action, 64) + "\" on the objects of a bucket is not implemented");
        return;
    }
    if (document_find_bucket(proxy_document(*r.p), r.job.bucket) == nullptr) {
        refuse(r, error_code::bucket_not_found, hint_bucket_missing(r.job.bucket, proxy_bucket_names(*r.p)));
        return;
    }
    if (!read_value(r, tree.get()))
        return;
    std::vector<broadcast_peer> peers = find_peers(r);
    if (peers.empty()) {
        refuse(r, r.order.at.empty() ? error_code::unavailable : error_code::not_found,
            r.order.at.empty() ? "the cluster has no targets" : "value.tid: there is no target " + text_escape(r.order.at, 64));
        return;
    }
    broadcast_request asked;
    asked.target = "/v1/node/promote?src=" + url_encode(r.order.source);
    asked.deadline_ms = list_timeout_ms;
    proxy_request_broadcast<on_views>(r, peers, asked);
}

static void serve_promote(proxy &p, exchange &x, const route_match &match)
{
    std::string bucket;
    if (!route_admit_query(x) || !route_decode_arg(x, match.args[0], "bucket name", bucket))
        return;
    promote_request &r = proxy_request_make<promote_request>(p, x);
    r.job.bucket = std::move(bucket);
    r.job.kind = promote_kind;
    r.job.creator = exchange_peer(x);
    r.job.created_ns = clock_wall_ns(*p.e);
    proxy_request_read<on_body>(r, json_body_size_max);
}

// --- routes

static constexpr route rows[] = {
    ROUTE("POST", "/v1/objects/{bucket}", serve_promote, "begins a job that makes objects of files that targets see: `promote`"),
};
extern constinit const std::span<const route> proxy_promote_routes = rows;

} // namespace etlnode
