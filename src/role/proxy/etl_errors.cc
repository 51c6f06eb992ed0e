// SPDX-License-Identifier: MIT
// role/proxy/etl_errors.cc: failed reads through an ETL, collected from the targets.
//
// Knows    control, broadcast.        Known by  proxy.cc, etl.cc.
// Normal   every target reports its most recent failures; the newest of all are shown, sorted by time.
// Fails    404. A target that does not answer is named, and its failures are missing.
// Limits   failures_kept_max, etl_status_timeout_ms.
#include "job/job_report.h"
#include "role/proxy/request.h"

#include <algorithm>
#include <set>

#include "aistore/times.h"
#include "base/limits.h"
#include "base/text.h"
#include "codec/json.h"
#include "codec/url.h"

namespace etlnode {

struct etl_errors_request : proxy_request {
    std::string etl;
};

etl_reported_failures proxy_etl_failures(const std::vector<broadcast_answer> &answers)
{
    etl_reported_failures out;
    for (const broadcast_answer &answer : answers) {
        json_ptr tree;
        std::string where;
        if (!broadcast_succeeded(answer) || json_parse(answer.body, tree, where)) {
            if (answer.status != 404) // the target has no such ETL, so nothing of it failed there
                out.missing.push_back(answer.id);
            continue;
        }
        const cJSON *failures = json_get(tree.get(), "failures");
        out.count += json_u64(failures, "count", 0);
        const cJSON *one = nullptr;
        cJSON_ArrayForEach(one, json_get(failures, "errors"))
        {
            uint64_t wall_ns = 0;
            if (text_parse_u64(json_text(one, "time"), wall_ns))
                out.last.push_back({wall_ns, answer.id, one});
        }
        out.answers.push_back(std::move(tree));
    }
    std::stable_sort(out.last.begin(), out.last.end(),
        [](const etl_reported_failure &a, const etl_reported_failure &b) { return a.wall_ns < b.wall_ns; });
    if (out.last.size() > failures_kept_max)
        out.last.erase(out.last.begin(), out.last.end() - failures_kept_max);
    return out;
}

json_ptr proxy_etl_obj_errors(const etl_reported_failures &failures)
{
    std::vector<const cJSON *> newest;
    std::set<std::string_view> seen;
    for (size_t i = failures.last.size(); i-- > 0;) {
        if (seen.insert(json_text(failures.last[i].from, "object")).second)
            newest.push_back(failures.last[i].from);
    }
    json_ptr list = json_array();
    for (size_t i = newest.size(); i-- > 0;) {
        json_ptr one = json_object();
        json_add_text(one.get(), "obj_name", json_text(newest[i], "object"));
        json_add_text(one.get(), "msg", json_text(newest[i], "text"));
        json_add_u64(one.get(), "ecode", json_u64(newest[i], "status", 0));
        json_append(list.get(), std::move(one));
    }
    return list;
}

json_ptr proxy_job_obj_errors(const std::vector<broadcast_answer> &answers)
{
    json_ptr list = json_array();
    for (const broadcast_answer &answer : answers) {
        json_ptr tree;
        std::string where;
        if (!broadcast_succeeded(answer) || json_parse(answer.body, tree, where))
            continue;
        const cJSON *item = nullptr;
        cJSON_ArrayForEach(item, tree.get())
        {
            ledger_failure failure;
            if (!job_failure_parse(item, failure))
                continue;
            json_ptr one = json_object();
            json_add_text(one.get(), "obj_name", "ais://" + failure.bucket + "/" + failure.name);
            json_add_text(one.get(), "msg", failure.text);
            json_add_u64(one.get(), "ecode", static_cast<uint64_t>(failure.status));
            json_append(list.get(), std::move(one));
        }
    }
    return list;
}

static void on_answers(etl_errors_request &r, std::vector<broadcast_answer> answers)
{
    etl_reported_failures failures = proxy_etl_failures(answers);
    json_ptr tree = json_object();
    json_add_text(tree.get(), "id", r.etl);
    json_add_u64(tree.get(), "count", failures.count);
    cJSON *list = json_add_array(tree.get(), "errors");
    for (const etl_reported_failure &failure : failures.last) {
        json_ptr one = json_object();
        json_add_text(one.get(), "time", times_utc_text(failure.wall_ns, true));
        json_add_text(one.get(), "target_id", failure.target);
        json_add_text(one.get(), "object", json_text(failure.from, "object"));
        json_add_u64(one.get(), "status", json_u64(failure.from, "status", 0));
        json_add_text(one.get(), "text", json_text(failure.from, "text"));
        json_add_text(one.get(), "request_id", json_text(failure.from, "request_id"));
        json_add_bool(one.get(), "cut", json_bool(failure.from, "cut", false));
        json_append(list, std::move(one));
    }
    cJSON *missing = json_add_array(tree.get(), "missing");
    for (const cluster_node &node : proxy_document(*r.p).nodes) {
        bool is_silent = node.is_target && proxy_target_is_silent(*r.p, node.id);
        if (is_silent || std::find(failures.missing.begin(), failures.missing.end(), node.id) != failures.missing.end())
            json_append_text(missing, node.id);
    }
    proxy_request_answer_json(r, tree.get());
}

static void serve_etl_errors(proxy &p, exchange &x, const route_match &match)
{
    const cluster_etl *etl = proxy_etl_find(p, x, match.args[0]);
    if (etl == nullptr)
        return;
    etl_errors_request &r = proxy_request_make<etl_errors_request>(p, x);
    r.etl = etl->id;
    broadcast_request request;
    request.target = std::string(path_node_etl) + "/" + url_encode(etl->id) + "?failures=true";
    request.deadline_ms = etl_status_timeout_ms;
    proxy_request_broadcast<on_answers>(r, proxy_speaking_peers(p), request);
}

// --- routes

static constexpr route rows[] = {
    ROUTE("GET", "/v1/etl/{id}/errors", serve_etl_errors, "the last reads through it that failed, of all targets"),
};
extern constinit const std::span<const route> proxy_etl_error_routes = rows;

} // namespace etlnode
