// SPDX-License-Identifier: MIT
// role/proxy/etl.cc: existing ETLs: list, show, logs, health, stop, remove, in both generations of the API.
//
// Knows    control, http, broadcast.        Known by  routes.cc.
// Normal   it answers from the document, with what the targets add within a bounded time.
// Fails    404 with the existing names. A target that does not answer in time shows zeros, or its row says so.
// Limits   etl_status_timeout_ms, etl_logs_timeout_ms, etl_remove_timeout_ms.
#include "role/proxy/jobs.h"
#include "role/proxy/request.h"

#include "aistore/times.h"
#include "base/limits.h"
#include "base/text.h"
#include "codec/json.h"
#include "codec/url.h"
#include "role/shared/hints.h"
#include "transfer/modes/modes.h"

namespace etlnode {

struct etl_request : proxy_request {
    std::string etl;
    std::string job;     // the job whose failures are requested; empty: all
    json_ptr job_errors; // of that job, as AIStore shows them
};

struct etl_end_request : proxy_request {
    std::string etl;
    bool keep_aborted = false; // stop, not delete
    std::string late;          // lines about targets that cannot confirm that its pods are gone
};

std::string proxy_etl_missing_text(const proxy &p, std::string_view id_or_name)
{
    std::vector<std::string_view> names;
    size_t named = 0;
    for (const cluster_etl &etl : proxy_document(p).etls) {
        names.push_back(etl.id);
        if (etl.name != etl.id)
            names.push_back(etl.name);
        named += etl.name == id_or_name ? 1 : 0;
    }
    if (named > 1)
        return text_format("etl job %s does not exist: %zu ETLs have that name, use the id of one", text_escape(id_or_name).c_str(), named);
    return hint_etl_missing(id_or_name, names);
}

// The ETL in the path, or null: the request has then been answered with 404.
const cluster_etl *proxy_etl_find(proxy &p, exchange &x, std::string_view raw)
{
    std::string id;
    if (!route_decode_arg(x, raw, "ETL id", id))
        return nullptr;
    const cluster_etl *etl = document_find_etl(proxy_document(p), id);
    if (etl == nullptr)
        exchange_answer_error(x, error_code::etl_not_found, proxy_etl_missing_text(p, id));
    return etl;
}

static std::string_view stage_name(const cluster_etl &etl) { return etl_stage_names[static_cast<size_t>(etl.stage)]; }
static std::string_view etl_mode_name(const cluster_etl &etl) { return etl_mode_names[static_cast<size_t>(etl.mode)]; }

std::vector<broadcast_peer> proxy_speaking_peers(const proxy &p)
{
    std::vector<broadcast_peer> peers;
    for (const broadcast_peer &peer : proxy_target_peers(p)) {
        if (!proxy_target_is_silent(p, peer.id))
            peers.push_back(peer);
    }
    return peers;
}

std::string proxy_node_etl_path(std::string_view id, std::string_view more)
{
    return std::string(path_node_etl) + "/" + url_encode(id) + std::string(more);
}

// --- lists

static void serve_etl_list_2020(proxy &p, exchange &x, const route_match &)
{
    json_ptr list = json_array();
    for (const cluster_etl &etl : proxy_document(p).etls) {
        json_ptr one = json_object();
        json_add_text(one.get(), "id", etl.id);
        json_add_text(one.get(), "name", etl.name);
        json_add_text(one.get(), "communication", etl_mode_name(etl));
        json_add_text(one.get(), "stage", stage_name(etl));
        json_append(list.get(), std::move(one));
    }
    exchange_answer_json(x, list.get());
}

struct etl_sums {
    uint64_t objects = 0, in_bytes = 0, out_bytes = 0, errors = 0, restarts = 0, ready = 0;
};

static void add_sums(std::map<std::string, etl_sums> &sums, const cJSON *list)
{
    const cJSON *one = nullptr;
    cJSON_ArrayForEach(one, list)
    {
        etl_sums &sum = sums[std::string(json_text(one, "id"))];
        sum.objects += json_u64(one, "obj_count", 0);
        sum.in_bytes += json_u64(one, "in_bytes", 0);
        sum.out_bytes += json_u64(one, "out_bytes", 0);
        sum.errors += json_u64(one, "errors", 0);
        sum.restarts += json_u64(one, "restarts", 0);
        sum.ready += json_bool(one, "ready", false) ? 1 : 0;
    }
}

// Placed targets that are silent, and therefore not asked.
static std::vector<std::string> unheard_targets(const proxy &p)
{
    std::vector<std::string> ids;
    for (const broadcast_peer &peer : proxy_placed_peers(p)) {
        if (proxy_target_is_silent(p, peer.id))
            ids.push_back(peer.id);
    }
    return ids;
}

static void on_list_answers(proxy_request &r, std::vector<broadcast_answer> answers)
{
    std::map<std::string, etl_sums> sums;
    std::vector<std::string> without = unheard_targets(*r.p);
    for (const broadcast_answer &answer : answers) {
        json_ptr tree;
        std::string where;
        if (broadcast_succeeded(answer) && !json_parse(answer.body, tree, where))
            add_sums(sums, tree.get());
        else
            without.push_back(answer.id);
    }
    json_ptr list = json_array();
    for (const cluster_etl &etl : proxy_document(*r.p).etls) {
        const etl_sums &sum = sums[etl.id];
        json_ptr one = json_object();
        json_add_text(one.get(), "id", etl.id);
        json_add_text(one.get(), "stage", stage_name(etl));
        json_add_text(one.get(), "xaction_id", proxy_etl_job_id(etl));
        json_add_u64(one.get(), "obj_count", sum.objects);
        json_add_u64(one.get(), "in_bytes", sum.in_bytes);
        json_add_u64(one.get(), "out_bytes", sum.out_bytes);
        json_add_text(one.get(), "name", etl.name);
        json_add_text(one.get(), "communication", etl_mode_name(etl));
        json_add_u64(one.get(), "errors", sum.errors);
        json_add_u64(one.get(), "restarts", sum.restarts);
        json_add_u64(one.get(), "ready", sum.ready);
        json_add_u64(one.get(), "targets", proxy_needed_peers(*r.p).size());
        if (!without.empty()) { // a sum without some targets must not look like a complete one
            json_add_bool(one.get(), "partial", true);
            cJSON *ids = json_add_array(one.get(), "counters_without");
            for (const std::string &id : without)
                json_append_text(ids, id);
        }
        json_append(list.get(), std::move(one));
    }
    proxy_request_answer_json(r, list.get());
}

static void serve_etl_list(proxy &p, exchange &x, const route_match &)
{
    if (proxy_document(p).etls.empty()) {
        json_ptr list = json_array();
        exchange_answer_json(x, list.get());
        return;
    }
    broadcast_request request;
    request.target = path_node_etl;
    request.deadline_ms = etl_status_timeout_ms;
    proxy_request_broadcast<on_list_answers>(proxy_request_make(p, x), proxy_speaking_peers(p), request);
}

// --- one ETL

// One target's answer about one ETL; if there is none, a null tree and the reason.
static json_ptr read_status(const broadcast_answer &answer, std::string &out_reason)
{
    json_ptr tree;
    if (!broadcast_succeeded(answer)) {
        out_reason = broadcast_failure_text(answer, nullptr);
        return tree;
    }
    std::string where;
    if (json_parse(answer.body, tree, where)) {
        out_reason = "its answer is not JSON: " + where;
        tree.reset();
    }
    return tree;
}

static const broadcast_answer *answer_of(const std::vector<broadcast_answer> &answers, std::string_view target)
{
    for (const broadcast_answer &answer : answers) {
        if (answer.id == target)
            return &answer;
    }
    return nullptr;
}

static json_ptr target_row(const proxy &p, const cluster_node &node, const std::vector<broadcast_answer> &answers)
{
    const broadcast_answer *answer = answer_of(answers, node.id);
    error_code code = error_code::unavailable;
    std::string reason = answer == nullptr ? proxy_unheard_text(p, node.id, code) : std::string();
    json_ptr status;
    if (answer != nullptr)
        status = read_status(*answer, reason);
    json_ptr row = json_object();
    json_add_text(row.get(), "target_id", node.id);
    if (status == nullptr) {
        bool has_none = answer != nullptr && answer->status == 404;
        json_add_text(row.get(), "phase", has_none ? "gone" : "unknown");
        json_add_text(row.get(), "pod_name", "");
        json_add_bool(row.get(), "ready", false);
        json_add_text(row.get(), "address", "");
        json_add_text(row.get(), "client_url", "");
        json_add_u64(row.get(), "restarts", 0);
        json_add_u64(row.get(), "unframed", 0);
        json_add_text(row.get(), "last_error", has_none ? std::string() : reason);
    } else {
        json_add_text(row.get(), "phase", json_text(status.get(), "phase"));
        json_add_text(row.get(), "pod_name", json_text(status.get(), "pod_name"));
        json_add_bool(row.get(), "ready", json_bool(status.get(), "ready", false));
        json_add_text(row.get(), "address", json_text(status.get(), "address"));
        json_add_text(row.get(), "client_url", json_text(status.get(), "client_url"));
        json_add_u64(row.get(), "restarts", json_u64(status.get(), "restarts", 0));
        json_add_u64(row.get(), "unframed", json_u64(status.get(), "unframed", 0));
        json_add_text(row.get(), "last_error", json_text(status.get(), "last_error"));
        if (json_get(status.get(), "pod") != nullptr)
            json_add_text(row.get(), "pod", json_text(status.get(), "pod"));
    }
    json_add_bool(row.get(), "maintenance", (node.flags & node_flag_maintenance) != 0);
    return row;
}

static void on_show_answers(etl_request &r, std::vector<broadcast_answer> answers)
{
    const proxy &p = *r.p;
    const cluster_etl *etl = document_find_etl(proxy_document(p), r.etl);
    if (etl == nullptr) { // removed meanwhile
        proxy_request_fail(r, error_code::etl_not_found, proxy_etl_missing_text(p, r.etl));
        return;
    }
    json_ptr tree = json_object();
    json_ptr init;
    std::string where;
    if (json_parse(etl->init_json, init, where))
        init = json_object();
    json_add_tree(tree.get(), "init_msg", std::move(init));
    etl_reported_failures failures = proxy_etl_failures(answers);
    // Without a job, and with the ETL's own, it is the list of reads.
    bool wants_reads = r.job.empty() || r.job == proxy_etl_job_id(*etl);
    json_add_tree(tree.get(), "obj_errors", wants_reads ? proxy_etl_obj_errors(failures) : std::move(r.job_errors));
    json_add_u64(tree.get(), "errors", failures.count);
    json_add_text(tree.get(), "id", etl->id);
    json_add_text(tree.get(), "name", etl->name);
    json_add_text(tree.get(), "stage", stage_name(*etl));
    json_add_text(tree.get(), "communication", etl_mode_name(*etl));
    if (transfer_mode_of(etl->mode).location != nullptr)
        json_add_text(tree.get(), "hpull_address", client_address_names[static_cast<size_t>(etl->hpull_address)]);
    json_add_text(tree.get(), "xaction_id", proxy_etl_job_id(*etl));
    json_add_text(tree.get(), "generation", etl->generation_id);
    json_add_text(tree.get(), "started", etl->started_ns > 0 ? times_utc_text(etl->started_ns, true) : std::string());
    json_add_text(tree.get(), "last_error", etl->last_error);
    if (etl->pod_json.empty())
        json_add_bool(tree.get(), "spec_kept", false);
    cJSON *targets = json_add_array(tree.get(), "targets");
    for (const cluster_node &node : proxy_document(p).nodes) {
        if (node.is_target)
            json_append(targets, target_row(*r.p, node, answers));
    }
    proxy_request_answer_json(r, tree.get());
}

static const char *health_word(const cJSON *status)
{
    std::string_view phase = json_text(status, "phase");
    if (phase == "serving")
        return json_bool(status, "ready", false) ? "Running" : "NotReady";
    if (phase == "starting")
        return "Pending";
    if (phase == "stopping")
        return "Terminating";
    return phase == "failed" ? "Failed" : "NotFound";
}

static void on_health_answers(etl_request &r, std::vector<broadcast_answer> answers)
{
    json_ptr list = json_array();
    for (const cluster_node &node : proxy_document(*r.p).nodes) {
        if (!node.is_target)
            continue;
        const broadcast_answer *answer = answer_of(answers, node.id);
        std::string reason;
        json_ptr status;
        if (answer != nullptr)
            status = read_status(*answer, reason);
        bool has_none = answer != nullptr && answer->status == 404;
        json_ptr one = json_object();
        json_add_text(one.get(), "target_id", node.id);
        json_add_text(one.get(), "health_status", status != nullptr ? health_word(status.get()) : has_none ? "NotFound" : "Unknown");
        json_append(list.get(), std::move(one));
    }
    proxy_request_answer_json(r, list.get());
}

template <auto on_answers> static void ask_status(etl_request &r)
{
    broadcast_request request;
    request.target = proxy_node_etl_path(r.etl, "?failures=true");
    std::string asks;
    if (url_query_get(exchange_head(*r.x).query, "pods", asks) && text_is_true(asks))
        request.target += "&pod=true";
    request.deadline_ms = etl_status_timeout_ms;
    proxy_request_broadcast<on_answers>(r, proxy_speaking_peers(*r.p), request);
}

static void on_job_failures(etl_request &r, std::vector<broadcast_answer> answers)
{
    r.job_errors = proxy_job_obj_errors(answers);
    ask_status<on_show_answers>(r);
}

static void ask_job_failures(etl_request &r)
{
    broadcast_request request;
    request.target = "/v1/node/jobs/" + url_encode(r.job) + "/failures";
    request.deadline_ms = etl_status_timeout_ms;
    proxy_request_broadcast<on_job_failures>(r, proxy_speaking_peers(*r.p), request);
}

static etl_request *make_request(proxy &p, exchange &x, const route_match &match)
{
    const cluster_etl *etl = proxy_etl_find(p, x, match.args[0]);
    if (etl == nullptr)
        return nullptr;
    etl_request &r = proxy_request_make<etl_request>(p, x);
    r.etl = etl->id;
    r.job_errors = json_array();
    url_query_get(exchange_head(x).query, "uuid", r.job);
    return &r;
}

static void serve_etl_show(proxy &p, exchange &x, const route_match &match)
{
    etl_request *r = make_request(p, x, match);
    if (r != nullptr && document_find_job(proxy_document(p), r->job) != nullptr)
        ask_job_failures(*r);
    else if (r != nullptr)
        ask_status<on_show_answers>(*r);
}

static void serve_etl_health(proxy &p, exchange &x, const route_match &match)
{
    if (etl_request *r = make_request(p, x, match); r != nullptr)
        ask_status<on_health_answers>(*r);
}

// --- logs

// Its pods are gone, but the reason of the failure contains their last lines.
static std::string kept_logs(const cluster_etl *etl, std::string_view target, bool is_only_one)
{
    if (etl == nullptr || etl->stage != etl_stage::aborted || etl->last_error.empty())
        return {};
    bool names_target = etl->last_error.starts_with("target " + std::string(target));
    return names_target || is_only_one ? etl->last_error + "\n" : std::string();
}

static void on_logs_answers(etl_request &r, std::vector<broadcast_answer> answers)
{
    const cluster_etl *etl = document_find_etl(proxy_document(*r.p), r.etl);
    json_ptr list = json_array();
    bool any = false;
    for (const broadcast_answer &answer : answers) {
        std::string kept = broadcast_succeeded(answer) ? std::string() : kept_logs(etl, answer.id, answers.size() == 1);
        json_ptr one = json_object();
        json_add_text(one.get(), "target_id", answer.id);
        json_add_text(one.get(), "logs", base64_encode(broadcast_succeeded(answer) ? answer.body : kept));
        if (!broadcast_succeeded(answer) && kept.empty())
            json_add_text(one.get(), "error", broadcast_failure_text(answer, nullptr));
        any = any || broadcast_succeeded(answer) || !kept.empty();
        json_append(list.get(), std::move(one));
    }
    if (!any && !answers.empty()) {
        error_code code = error_code::ok;
        std::string text = broadcast_failure_text(answers.front(), &code);
        proxy_request_fail(r, code, text);
        return;
    }
    proxy_request_answer_json(r, list.get()); // sorted by target id, like the document
}

static void serve_etl_logs(proxy &p, exchange &x, const route_match &match)
{
    const cluster_etl *etl = proxy_etl_find(p, x, match.args[0]);
    if (etl == nullptr)
        return;
    std::vector<broadcast_peer> peers = proxy_target_peers(p);
    if (match.arg_count > 1) {
        std::string target;
        if (!route_decode_arg(x, match.args[1], "target id", target))
            return;
        std::vector<std::string_view> names;
        for (const broadcast_peer &peer : peers)
            names.push_back(peer.id);
        const cluster_node *node = document_find_node(proxy_document(p), target);
        if (node == nullptr || !node->is_target) {
            exchange_answer_error(x, error_code::not_found,
                "target \"" + text_escape(target) + "\" does not exist" + hint_text(target, names), 400); // AIStore's status
            return;
        }
        peers = {{node->id, node->url}};
    }
    std::string since;
    uint64_t since_s = 0;
    if (url_query_get(exchange_head(x).query, query_since, since) && (!text_parse_u64(since, since_s) || since_s == 0)) {
        exchange_answer_error(x, error_code::bad_request, "since=" + text_escape(since, 50) + ": write a number of seconds, 1 or more");
        return;
    }
    etl_request &r = proxy_request_make<etl_request>(p, x);
    r.etl = etl->id;
    broadcast_request request;
    request.target = proxy_node_etl_path(etl->id, since_s > 0 ? "/logs?" + std::string(query_since) + "=" + since : "/logs");
    request.deadline_ms = etl_logs_timeout_ms;
    proxy_request_broadcast<on_logs_answers>(r, peers, request);
}

// --- stop and remove: the document says it, and the targets report when the pods are gone

static error apply_end(etl_end_request &r, cluster_document &next)
{
    cluster_etl *etl = document_find_etl(next, r.etl);
    if (etl == nullptr || etl->id != r.etl)
        return make_error(error_code::etl_not_found);
    if (r.keep_aborted) {
        etl->stage = etl_stage::aborted;
        etl->last_error.clear();
    } else {
        document_remove_etl(next, r.etl);
    }
    proxy_jobs_end_with_etl(next, r.etl);
    return no_error;
}

static void on_ended_answers(etl_end_request &r, std::vector<broadcast_answer> answers)
{
    std::string late = r.late;
    for (const broadcast_answer &answer : answers) {
        if (!broadcast_succeeded(answer))
            late += broadcast_failure_text(answer, nullptr) + "\n";
    }
    answer a;
    if (!late.empty()) {
        a.status = 202; // stopped and removed here; the named targets continue to remove its pods by themselves
        a.content_type = "text/plain; charset=utf-8";
        a.body = "stopped; pods are still being removed:\n" + late;
    }
    proxy_request_answer(r, std::move(a));
}

static void on_ended(etl_end_request &r, error err)
{
    if (err.code == error_code::etl_not_found) {
        proxy_request_fail(r, err.code, proxy_etl_missing_text(*r.p, r.etl));
        return;
    }
    if (err) {
        proxy_request_fail(r, err.code, error_text(err));
        return;
    }
    broadcast_request request;
    request.target = proxy_node_etl_path(r.etl, "/gone?version=" + std::to_string(proxy_document(*r.p).version));
    request.deadline_ms = etl_remove_timeout_ms;
    for (const cluster_node &node : proxy_document(*r.p).nodes) {
        error_code code = error_code::unavailable;
        if (node.is_target && proxy_target_is_silent(*r.p, node.id))
            r.late += proxy_unheard_text(*r.p, node.id, code) + "\n";
    }
    proxy_request_broadcast<on_ended_answers>(r, proxy_speaking_peers(*r.p), request);
}

static void end_etl(proxy &p, exchange &x, const route_match &match, bool keep_aborted)
{
    const cluster_etl *etl = proxy_etl_find(p, x, match.args[0]);
    if (etl == nullptr)
        return;
    etl_end_request &r = proxy_request_make<etl_end_request>(p, x);
    r.etl = etl->id;
    r.keep_aborted = keep_aborted;
    proxy_request_change<apply_end, on_ended>(r, false);
}

static void serve_etl_delete(proxy &p, exchange &x, const route_match &match) { end_etl(p, x, match, false); }
static void serve_etl_stop(proxy &p, exchange &x, const route_match &match) { end_etl(p, x, match, true); }

static void serve_etl_metrics(proxy &, exchange &x, const route_match &)
{
    exchange_answer_error(
        x, error_code::not_found, "there are no metrics of pods here: GET /metrics of the targets has those of transforms");
}

// --- routes

static constexpr route rows[] = {
    ROUTE("GET", "/v1/etl/list", serve_etl_list_2020, "`[{\"id\",\"name\",...}]`"),
    ROUTE("GET", "/v1/etl/logs/{id}", serve_etl_logs, "the last log lines of its pods"),
    ROUTE("GET", "/v1/etl/logs/{id}/{target}", serve_etl_logs, "of one target's pod"),
    ROUTE("DELETE", "/v1/etl/stop/{id}", serve_etl_delete, "remove its pods and forget it"),
    ROUTE("GET", "/v1/etl", serve_etl_list, "all ETLs with stage and counters"),
    ROUTE("GET", "/v1/etl/{id}", serve_etl_show, "one ETL: spec, stage, its pods"),
    ROUTE("DELETE", "/v1/etl/{id}", serve_etl_delete, "remove its pods and forget it"),
    ROUTE("POST", "/v1/etl/{id}/stop", serve_etl_stop, "remove its pods, keep it as `Aborted`"),
    ROUTE("GET", "/v1/etl/{id}/logs", serve_etl_logs, "the last log lines of its pods"),
    ROUTE("GET", "/v1/etl/{id}/logs/{target}", serve_etl_logs, "of one target's pod"),
    ROUTE("GET", "/v1/etl/{id}/health", serve_etl_health, "the phase of its pods"),
    ROUTE("GET", "/v1/etl/{id}/metrics", serve_etl_metrics, "404: see `/metrics` of the targets"),
};
extern constinit const std::span<const route> proxy_etl_routes = rows;

} // namespace etlnode
