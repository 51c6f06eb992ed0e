// SPDX-License-Identifier: MIT
// cli/wrong_endpoint.cc: tells what is there instead of a proxy.
//
// Knows    http_client, json.     Known by  session.
#include "cli/wrong_endpoint.h"

#include "base/text.h"
#include "cli/format.h"
#include "codec/json.h"
#include "node/api.h"

static constexpr uint64_t question_timeout_ms = 2'000;

static bool is_tls_on_plain_text(const session &s, const http_reply &reply)
{
    return s.endpoint.starts_with("https://") && reply.outcome != http_outcome::answered &&
           (reply.problem.find("wrong version number") != std::string::npos || reply.problem.find("packet length too long") != std::string::npos);
}

// Nodes, AIStore's as well, answer errors in JSON; nothing of theirs is HTML.
static bool is_another_server(const http_reply &reply)
{
    std::string type = text_lower(http_header(reply, "Content-Type"));
    return reply.outcome == http_outcome::answered && reply.status >= 400 && http_header(reply, header_request_id).empty() &&
           (type.starts_with("text/html") || type.starts_with("application/xhtml"));
}

// The public URL of the proxy that a target follows; empty when `s.endpoint` is no target.
static std::string proxy_of_target(session &s)
{
    http_reply reply;
    http_perform(s.http, session_request(s, "GET", session_url(s, path_daemon) + "?what=smap", question_timeout_ms), reply);
    json_ptr map;
    std::string where;
    if (reply.outcome != http_outcome::answered || reply.status != 200 || json_parse(reply.body, map, where))
        return {};
    const cJSON *target = nullptr;
    cJSON_ArrayForEach(target, json_get(map.get(), "tmap")) {
        if (json_text(json_get(target, "public_net"), "direct_url") == s.endpoint)
            return std::string(json_text(json_get(json_get(map.get(), "proxy_si"), "public_net"), "direct_url"));
    }
    return {};
}

void wrong_endpoint_explain(session &s, const http_reply &reply, failure &f)
{
    if (is_tls_on_plain_text(s, reply)) {
        f.message = "the server speaks plain HTTP";
        f.hint = "write http://" + s.endpoint.substr(std::string_view("https://").size());
        f.exit = exit_code::unavailable;
        return;
    }
    if (is_another_server(reply)) {
        std::string type(http_header(reply, "Content-Type"));
        f.message = text_format("%s is no etlnode (status %d, %s)", s.endpoint.c_str(), reply.status, format_message(type.substr(0, type.find(';'))).c_str());
        f.hint = "name the proxy with --endpoint URL or ETLNODE_ENDPOINT";
        f.exit = exit_code::unavailable;
        f.retryable = false;
        return;
    }
    // A target knows its own part of the API only.
    if (reply.outcome != http_outcome::answered || reply.status != 404 || f.code != "not_found" || !reply.url.starts_with(s.endpoint))
        return;
    std::string proxy = proxy_of_target(s);
    if (proxy.empty())
        return;
    f.message = s.endpoint + " is a target; its proxy is " + proxy;
    f.hint = "--endpoint " + proxy;
    f.exit = exit_code::unavailable;
}
