// SPDX-License-Identifier: MIT
// role/shared/access_log.cc: writes a line for each answer.
//
// Knows    http, base/log.            Known by  proxy.cc, target.cc.
// Limits   refusals_logged_max.
#include "role/shared/access_log.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "node/api.h"
#include "port/clock.h"

namespace etlnode {

// The path as it appears in the log: without the secret of a pod.
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

static bool has_room(access_log &log, uint64_t second)
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

void access_log_answer(access_log &log, const char *role, exchange &x, int status)
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

} // namespace etlnode
