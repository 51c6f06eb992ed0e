// SPDX-License-Identifier: MIT
// role/shared/control.cc: what the handlers of both roles have in common.
//
// Knows    http, codec.            Known by  the handlers of this folder.
// Limits   node_id_size_max, hint_names_max.
#include "role/shared/control.h"

#include <ctime>

#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "codec/http_write.h"
#include "codec/json.h"
#include "codec/url.h"
#include "node/api.h"
#include "port/clock.h"

namespace etlnode {

static constexpr size_t hint_names_max = 5;

// What the log shows of a path: the secret of a pod stays out of it.
static std::string path_for_log(std::string_view target)
{
    std::string prefix = std::string(path_pod_object) + "/";
    if (!target.starts_with(prefix))
        return text_escape(target);
    std::string_view rest = target.substr(prefix.size());
    size_t etl = rest.find('/');
    size_t secret = etl == std::string_view::npos ? etl : rest.find('/', etl + 1);
    if (secret == std::string_view::npos)
        return prefix + "...";
    return prefix + text_escape(rest.substr(0, etl)) + "/..." + text_escape(rest.substr(secret));
}

static bool has_room(control_log &log, uint64_t second)
{
    if (second == log.second && log.written == refusals_logged_max) {
        log.dropped++;
        return false;
    }
    if (second != log.second) {
        if (log.dropped > 0)
            LOG(info, "http", "count=%llu msg=\"more requests were answered 503\"", static_cast<unsigned long long>(log.dropped));
        log = {.second = second};
    }
    log.written++;
    return true;
}

void control_log_answer(const char *role, control_log &log, exchange &x, int status)
{
    const http_head &head = exchange_head(x);
    bool is_object = head.path.starts_with(std::string(path_objects) + "/") || head.path.starts_with(path_pod_object);
    bool is_routine = head.path == path_node_register || head.path == path_health || head.path == path_metrics;
    bool is_plain = (is_object || is_routine) && status < 500;
    log_level level = is_plain ? log_level::debug : log_level::info;
    if (!log_enabled(level) || (status == 503 && !log_enabled(log_level::debug) && !has_room(log, clock_now_ms(exchange_env(x)) / 1000)))
        return;
    std::string_view id = exchange_request_id(x);
    uint64_t took = clock_now_ms(exchange_env(x)) - exchange_started_ms(x);
    log_write(level, "http", "role=%s request=%.*s peer=%s method=%s target=%s status=%d ms=%llu", role, static_cast<int>(id.size()),
        id.data(), exchange_peer(x).c_str(), text_escape(head.method).c_str(), path_for_log(head.target).c_str(), status,
        static_cast<unsigned long long>(took));
}

void control_answer_no_route(exchange &x, const route_match &match)
{
    const http_head &head = exchange_head(x);
    if (!match.allow.empty()) {
        std::string headers;
        http_write_header(headers, "Allow", match.allow);
        exchange_answer_error(x, error_code::method_not_allowed,
            "method " + text_escape(head.method) + " is not allowed for " + text_escape(head.path) + "; allowed: " + match.allow, 0,
            headers);
        return;
    }
    exchange_answer_error(x, error_code::not_found, "there is no " + text_escape(head.path) + " here");
}

// What could be allowed is named as --allowed-host takes it.
static std::string strange_host_text(std::string_view host)
{
    if (text_trim(host).empty())
        return "the Host of the request is empty: call this node by its IP address or by one of its names";
    std::string shown = text_escape(host, 200);
    std::string_view name = host.substr(0, host.rfind(':')); // an IPv6 address is never strange
    if (!web_host_rule_is_good(name) || name.starts_with("*"))
        return "\"" + shown + "\" is no host name: call this node by its IP address or by one of its names";
    return "this node does not know itself as \"" + shown + "\": use its IP address, or start it with --allowed-host " + std::string(name);
}

bool control_admit_web(const web_guard &guard, exchange &x)
{
    const http_head &head = exchange_head(x);
    switch (web_guard_judge(guard, head)) {
    case web_verdict::pass: return true;
    case web_verdict::strange_host: {
        std::string_view sent = http_head_get(head, "Host");
        exchange_answer_error(
            x, error_code::misdirected, strange_host_text(!head.authority.empty() && web_guard_knows(guard, sent) ? head.authority : sent));
        return false;
    }
    case web_verdict::strange_origin: {
        std::string_view sent = http_head_get(head, "Origin");
        std::string name = text_escape(sent, 200);
        bool can_be_allowed = web_origin_is_good(sent);
        exchange_answer_error(x, error_code::forbidden,
            sent.data() == nullptr ? "a web page of another origin may not change anything here"
                                   : "a web page of origin \"" + name + "\" may not change anything here" +
                                         (can_be_allowed ? "; if it is yours, start the node with --allowed-origin " + name : ""));
        return false;
    }
    }
    return false;
}

bool control_decode_arg(exchange &x, std::string_view raw, const char *what, std::string &out_text)
{
    if (url_decode(raw, out_text) && !out_text.empty())
        return true;
    const char *fault = raw.find("%00") != std::string_view::npos ? " in the path has a NUL byte (%00), which no name may have: "
                                                                  : " in the path is not properly percent-encoded: ";
    exchange_answer_error(x, error_code::bad_request, std::string("the ") + what + fault + text_escape(raw));
    return false;
}

std::string_view control_provider(std::string_view name)
{
    struct alias {
        std::string_view name, provider;
    };
    static constexpr alias aliases[] = {{"", "ais"}, {"ais", "ais"}, {"aws", "aws"}, {"s3", "aws"}, {"gcp", "gcp"}, {"gs", "gcp"},
        {"azure", "azure"}, {"az", "azure"}, {"oci", "oci"}, {"oc", "oci"}, {"ht", "ht"}, {"http", "ht"}};
    for (const alias &row : aliases) {
        if (row.name == name)
            return row.provider;
    }
    return {};
}

// AIStore's own words: its clients look for the bucket's URL in them.
static std::string missing_backend_text(std::string_view provider, std::string_view bucket)
{
    struct backend {
        std::string_view provider, scheme, name;
    };
    static constexpr backend backends[] = {
        {"aws", "s3", "AWS"}, {"gcp", "gs", "GCP"}, {"azure", "az", "Azure"}, {"oci", "oc", "OCI"}, {"ht", "ht", "HTTP"}};
    for (const backend &row : backends) {
        if (row.provider == provider)
            return "failed to lookup bucket " + std::string(row.scheme) + "://" + text_escape(bucket) + ", err: " + std::string(row.name) +
                   " backend is missing in the cluster configuration";
    }
    return "provider " + std::string(provider) + " is not supported";
}

// Whether the query gives `name` once more, with another value than `first`.
static bool is_given_otherwise(std::string_view query, std::string_view name, std::string_view first)
{
    std::string key, value;
    bool is_broken = false;
    while (url_query_next(query, key, value, is_broken)) {
        if (key == name && (is_broken || value != first))
            return true;
    }
    return false;
}

bool control_check_provider(exchange &x, std::string_view bucket)
{
    std::string_view query = exchange_head(x).query;
    std::string value;
    if (url_query_get(query, "provider", value)) {
        if (is_given_otherwise(query, "provider", value)) {
            exchange_answer_error(x, error_code::bad_request, "the parameter provider is given twice, with different values");
            return false;
        }
        std::string_view provider = control_provider(value);
        if (provider.empty()) {
            exchange_answer_error(x, error_code::bad_request, "unknown provider \"" + text_escape(value) + "\"; known here: ais");
            return false;
        }
        if (provider != "ais" && !bucket.empty()) {
            exchange_answer_error(x, error_code::bucket_not_found, missing_backend_text(provider, bucket));
            return false;
        }
        if (provider != "ais") {
            exchange_answer_error(x, error_code::not_implemented,
                "provider \"" + std::string(provider) + "\" is not supported: this cluster has only ais:// buckets");
            return false;
        }
    }
    value.clear();
    if (url_query_get(query, "namespace", value) && !value.empty() && value != "@#" && value != "@" && value != "#") {
        exchange_answer_error(x, error_code::not_implemented,
            "namespace \"" + text_escape(value) + "\" is not supported: this cluster has only the global namespace");
        return false;
    }
    return true;
}

std::string control_hint(std::string_view wanted, const std::vector<std::string_view> &names)
{
    if (names.empty())
        return " (there are none)";
    std::string_view nearest = text_nearest(wanted, names);
    if (!nearest.empty())
        return " (did you mean \"" + text_escape(nearest) + "\"?)";
    std::string out = names.size() == 1 ? " (there is: " : " (there are: ";
    for (size_t i = 0; i < names.size() && i < hint_names_max; i++)
        out += (i > 0 ? ", " : "") + text_escape(names[i]);
    if (names.size() > hint_names_max)
        out += text_format(" and %zu more", names.size() - hint_names_max);
    return out + ")";
}

std::string control_bucket_missing_text(std::string_view bucket, const std::vector<std::string_view> &names)
{
    return "bucket \"ais://" + text_escape(bucket) + "\" does not exist" + control_hint(bucket, names);
}

std::string control_etl_missing_text(std::string_view etl, const std::vector<std::string_view> &names)
{
    return "etl job " + text_escape(etl) + " does not exist" + control_hint(etl, names);
}

std::string control_uptime_headers(uint64_t node_ms, uint64_t cluster_ms)
{
    std::string headers;
    http_write_header_u64(headers, header_cluster_uptime, cluster_ms * 1'000'000);
    http_write_header_u64(headers, header_node_uptime, node_ms * 1'000'000);
    return headers;
}

bool control_is_node_id(std::string_view id)
{
    if (id.size() < 8 || id.size() > node_id_size_max)
        return false;
    for (char c : id) {
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
        if (!good)
            return false;
    }
    return true;
}

std::string control_time_text(uint64_t wall_ns, bool rfc3339)
{
    time_t seconds = static_cast<time_t>(wall_ns / 1'000'000'000);
    tm parts{};
    gmtime_r(&seconds, &parts);
    char text[32];
    size_t size = strftime(text, sizeof text, rfc3339 ? "%Y-%m-%dT%H:%M:%SZ" : "%Y-%m-%d %H:%M:%S", &parts);
    return std::string(text, size);
}

} // namespace etlnode
