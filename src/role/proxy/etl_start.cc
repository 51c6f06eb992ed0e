// SPDX-License-Identifier: MIT
// role/proxy/etl_start.cc: starts ETLs: POST /v1/etl/init (2020), PUT /v1/etl (today), POST /v1/etl/<id>/start.
//
// Knows    etl/etl_spec, etl_rollout.cc.        Known by  routes.cc.
// Normal   read the spec, look at what would refuse the start, hand it to a rollout.
// Fails    400 spec (with line and column); 409; 503 without targets or with a silent one.
// Limits   spec_size_max, json_body_size_max.
#include "role/proxy/request.h"

#include "base/limits.h"
#include "base/text.h"
#include "codec/http_write.h"
#include "codec/json.h"
#include "codec/url.h"
#include "control/placement.h"
#include "etl/etl_spec.h"
#include "port/clock.h"

namespace etlnode {

struct etl_restart_request : proxy_request {
    std::string etl;
};

static constexpr char id_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
static constexpr std::string_view reserved_names[] = {"init", "build", "list", "logs", "stop", "_object"};

static bool has_capital(std::string_view text)
{
    for (char c : text) {
        if (c >= 'A' && c <= 'Z')
            return true;
    }
    return false;
}

// Ten characters with a capital. This is never a name, because pod names have no capitals, and always a legal Kubernetes label.
static std::string make_id(proxy &p)
{
    for (;;) {
        std::string id = rng_text(p.e->random, id_alphabet, sizeof id_alphabet - 1, 10);
        if (has_capital(id) && document_find_etl(proxy_document(p), id) == nullptr && p.starts.find(id) == p.starts.end())
            return id;
    }
}

// Job id of one start: derived from ETL id and generation, so every node computes the same one.
std::string proxy_etl_job_id(const cluster_etl &etl)
{
    uint64_t digest = placement_digest(etl.id + "/" + etl.generation_id);
    std::string id = "etl-";
    for (int i = 0; i < 10; i++) {
        id += id_alphabet[digest % (sizeof id_alphabet - 1)];
        digest /= sizeof id_alphabet - 1;
    }
    return id;
}

// Checks everything that a start checks before it contacts the targets, but starts nothing.
static void answer_dry_run(proxy &p, exchange &x, const etl_spec &spec, const cluster_etl &etl)
{
    const cluster_document &document = proxy_document(p);
    const cluster_etl *known = document_find_etl(document, etl.id);
    if (!etl.id.empty() &&
        ((known != nullptr && known->id == etl.id && !document_is_failed_start(*known)) || p.starts.find(etl.id) != p.starts.end())) {
        exchange_answer_error(
            x, error_code::already_exists, "etl job " + text_escape(etl.id) + " already exists", 0, proxy_warning_headers(spec.warnings));
        return;
    }
    answer a;
    a.content_type = "application/json";
    a.headers = proxy_warning_headers(spec.warnings);
    a.body = spec.pod_json;
    exchange_answer(x, std::move(a));
}

// A trial must never start anything: misspellings of the key, values that are neither true nor false, and contradictions are refused.
static bool read_dry_run(exchange &x, bool &out_dry)
{
    std::string_view query = exchange_head(x).query;
    std::string key, value;
    bool is_broken = false;
    bool is_given = false;
    out_dry = false;
    while (url_query_next(query, key, value, is_broken)) {
        bool is_key = key == "dry_run";
        if (!is_key && text_is_near(text_lower(key), "dry_run", 2)) {
            exchange_answer_error(x, error_code::bad_request, "unknown parameter \"" + text_escape(key, 64) + "\": did you mean dry_run?");
            return false;
        }
        bool is_no = value == "false" || value == "0";
        if (is_key && !text_is_true(value) && !is_no) {
            exchange_answer_error(x, error_code::bad_request, "dry_run=" + text_escape(value, 64) + ": write true or false");
            return false;
        }
        if (is_key && is_given && out_dry == is_no) {
            exchange_answer_error(x, error_code::bad_request, "dry_run is given twice, with different values");
            return false;
        }
        out_dry = is_key ? !is_no : out_dry;
        is_given = is_given || is_key;
    }
    return true;
}

static void begin_start(proxy &p, exchange &x, cluster_etl etl, const etl_spec *spec, bool is_restart, bool answers_id)
{
    bool is_dry = false;
    if (!read_dry_run(x, is_dry))
        return;
    if (lifecycle_is_draining(p.life)) {
        exchange_answer_error(x, error_code::stopping, "the proxy is shutting down");
        return;
    }
    if (proxy_needed_peers(p).empty()) {
        exchange_answer_error(x, error_code::unavailable, "no targets are registered: an ETL needs at least one");
        return;
    }
    // A target that holds another document counts as silent, but the reason for that is more helpful.
    if (std::string odds = proxy_odds_text(p); !odds.empty()) {
        exchange_answer_error(x, error_code::diverged, odds);
        return;
    }
    if (const cluster_node *silent = proxy_silent_target(p)) {
        exchange_answer_error(x, error_code::unavailable, "target " + silent->id + " is silent: an ETL starts on all targets or on none");
        return;
    }
    if (etl.pod_json.size() > etl_pod_size_max || etl.init_json.size() > etl_init_size_max) {
        exchange_answer_error(x, error_code::bad_spec,
            text_format("invalid ETL spec: with its aliases expanded it is larger than %zu MiB", etl_pod_size_max / mib));
        return;
    }
    if (spec != nullptr && is_dry) {
        answer_dry_run(p, x, *spec, etl);
        return;
    }
    if (p.starts.find(etl.id) != p.starts.end()) {
        std::string name = text_escape(etl.id);
        if (is_restart)
            exchange_answer_error(x, error_code::conflict, "invalid action \"can't start ETL[" + name + "] during Initializing stage\"",
                400); // as for one that runs
        else
            exchange_answer_error(x, error_code::already_exists, "etl job " + name + " already exists: it is being started");
        return;
    }
    proxy_rollout_begin(p, x, std::move(etl),
        spec != nullptr ? std::span<const std::string>(spec->warnings) : std::span<const std::string>(), is_restart, answers_id);
}

// --- handlers

static cluster_etl etl_of_spec(const etl_spec &spec)
{
    cluster_etl etl;
    static_cast<etl_config &>(etl) = spec;
    etl.name = spec.name;
    etl.pod_json = spec.pod_json;
    return etl;
}

static void on_init_2020_body(proxy_request &r, std::string body)
{
    proxy &p = *r.p;
    etl_spec spec;
    std::string reason;
    if (error err = etl_spec_parse_pod(body, spec, reason)) {
        proxy_request_fail(r, err.code, "invalid ETL spec: " + reason);
        return;
    }
    cluster_etl etl = etl_of_spec(spec);
    etl.id = make_id(p);
    json_ptr init = json_object();
    json_add_text(init.get(), "name", spec.name);
    json_add_text(init.get(), "communication", etl_mode_names[static_cast<size_t>(spec.mode)]);
    json_add_text(init.get(), "init_timeout", text_duration(spec.wait_timeout_ms));
    json_add_text(init.get(), "obj_timeout", text_duration(spec.obj_timeout_ms));
    json_add_bool(init.get(), "support_direct_put", false);
    json_add_text(init.get(), "spec", base64_encode(body));
    etl.init_json = json_print(init.get());
    begin_start(p, proxy_request_release(r), std::move(etl), &spec, false, true);
}

static void serve_etl_init_2020(proxy &p, exchange &x, const route_match &)
{
    proxy_request_read<on_init_2020_body>(proxy_request_make(p, x), spec_size_max);
}

static void on_init_body(proxy_request &r, std::string body)
{
    proxy &p = *r.p;
    etl_spec spec;
    std::string reason;
    if (error err = etl_spec_parse_init(body, spec, reason)) {
        proxy_request_fail(r, err.code, "invalid ETL spec: " + reason);
        return;
    }
    for (std::string_view reserved : reserved_names) {
        if (spec.name == reserved) {
            proxy_request_fail(r, error_code::bad_spec, "invalid ETL spec: the name \"" + spec.name + "\" is reserved");
            return;
        }
    }
    json_ptr init;
    if (json_parse(body, init, reason)) {
        proxy_request_fail(r, error_code::bad_json, reason);
        return;
    }
    cluster_etl etl = etl_of_spec(spec);
    etl.id = spec.name;
    etl.init_json = json_print(init.get());
    begin_start(p, proxy_request_release(r), std::move(etl), &spec, false, false);
}

static void serve_etl_init(proxy &p, exchange &x, const route_match &)
{
    proxy_request_read<on_init_body>(proxy_request_make(p, x), json_body_size_max);
}

static void on_start_body(etl_restart_request &r, std::string)
{
    proxy &p = *r.p;
    const cluster_etl *known = document_find_etl(proxy_document(p), r.etl);
    if (known == nullptr) {
        proxy_request_fail(r, error_code::etl_not_found, proxy_etl_missing_text(p, r.etl));
        return;
    }
    begin_start(p, proxy_request_release(r), *known, nullptr, true, false);
}

static void serve_etl_start(proxy &p, exchange &x, const route_match &match)
{
    std::string id;
    if (!route_decode_arg(x, match.args[0], "ETL id", id))
        return;
    etl_restart_request &r = proxy_request_make<etl_restart_request>(p, x);
    r.etl = std::move(id);
    proxy_request_read<on_start_body>(r, json_body_size_max);
}

// --- routes

static constexpr route rows[] = {
    ROUTE("POST", "/v1/etl/init", serve_etl_init_2020, "start an ETL from a Pod spec (YAML or JSON body); 200 with its id as text"),
    ROUTE("PUT", "/v1/etl", serve_etl_init, "start an ETL from an ETL spec or a Pod spec in JSON; 200 with a job id as text"),
    ROUTE("POST", "/v1/etl/{id}/start", serve_etl_start, "start an ETL that was stopped; 200 with a job id as text"),
};
extern constinit const std::span<const route> proxy_etl_start_routes = rows;

} // namespace etlnode
