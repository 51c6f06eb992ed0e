// SPDX-License-Identifier: MIT
// etlctl/wrong_endpoint.cc: tells what is there instead of a proxy.
//
// Knows    http_client, json.     Known by  session.
#include "etlctl/wrong_endpoint.h"

#include "base/text.h"
#include "codec/json.h"
#include "etlctl/format.h"
#include "node/api.h"

namespace etlnode::etlctl {

static constexpr uint64_t question_timeout_ms = 2'000;

static void explain(failure &f, std::string message, std::string hint)
{
    f.message = std::move(message);
    f.hint = std::move(hint);
    f.exit = exit_code::unavailable;
    f.retryable = false;
}

static constexpr const char *name_another = "name the proxy with --endpoint URL or ETLNODE_ENDPOINT";

static bool is_tls_on_plain_text(const session &s, const http_reply &reply)
{
    return s.endpoint.starts_with("https://") && reply.outcome != http_outcome::answered &&
           (reply.problem.find("wrong version number") != std::string::npos ||
               reply.problem.find("packet length too long") != std::string::npos);
}

// A TLS server answers plain text with an alert, or, if it knows HTTP, with a text of its own.
static bool is_plain_text_on_tls(const session &s, const http_reply &reply)
{
    if (!s.endpoint.starts_with("http://"))
        return false;
    if (reply.outcome == http_outcome::answered)
        return reply.status == 400 && text_lower(reply.body).find("https") != std::string::npos &&
               http_header(reply, header_request_id).empty();
    return reply.problem.find("HTTP/0.9") != std::string::npos && reply.body.empty();
}

// Errors of nodes, AIStore's as well, are JSON objects with a message. What has no body says nothing.
static bool is_another_server(const http_reply &reply)
{
    if (reply.outcome != http_outcome::answered || reply.status < 400 || !http_header(reply, header_request_id).empty() ||
        reply.body.empty())
        return false;
    json_ptr tree;
    std::string where;
    return json_parse(reply.body, tree, where) || json_text(tree.get(), "message").empty();
}

enum class node_kind : uint8_t { unknown, target, pods_only };

// What answers at `s.endpoint`, where a request has shown that it is no proxy: a target, whose proxy's public URL is told; or the address from
// which the pods of a target read objects, which knows nothing else.
static node_kind kind_of_node(session &s, std::string &out_proxy)
{
    http_reply reply;
    http_perform(s.http, session_request(s, "GET", session_url(s, path_daemon) + "?what=smap", question_timeout_ms), reply);
    json_ptr map;
    std::string where;
    if (reply.outcome != http_outcome::answered || json_parse(reply.body, map, where))
        return node_kind::unknown;
    if (reply.status == 404 && json_text(map.get(), "code") == "not_found")
        return node_kind::pods_only;
    if (reply.status != 200)
        return node_kind::unknown;
    const cJSON *target = nullptr;
    cJSON_ArrayForEach(target, json_get(map.get(), "tmap"))
    {
        if (json_text(json_get(target, "public_net"), "direct_url") != s.endpoint)
            continue;
        out_proxy = json_text(json_get(json_get(map.get(), "proxy_si"), "public_net"), "direct_url");
        return node_kind::target;
    }
    return node_kind::unknown;
}

// What a target, or its listener for pods, says of a request that is for a proxy, or of an object that another target holds.
static bool may_be_no_proxy(const failure &f)
{
    return f.code == "not_found" || f.code == "method_not_allowed" || f.code == "not_redirected" || f.code == "object_not_found" ||
           f.code == "bucket_not_found";
}

void wrong_endpoint_explain(session &s, const http_reply &reply, failure &f)
{
    if (is_tls_on_plain_text(s, reply)) {
        explain(
            f, s.endpoint + " speaks plain HTTP, not TLS", "--endpoint http://" + s.endpoint.substr(std::string_view("https://").size()));
        return;
    }
    if (is_plain_text_on_tls(s, reply)) {
        explain(f, s.endpoint + " does not speak plain HTTP; perhaps TLS",
            "--endpoint https://" + s.endpoint.substr(std::string_view("http://").size()));
        return;
    }
    if (is_another_server(reply)) {
        std::string type(http_header(reply, "Content-Type"));
        type = format_message(type.substr(0, type.find(';')));
        explain(f,
            text_format("%s is no etlnode (status %d%s%s)", s.endpoint.c_str(), reply.status, type.empty() ? "" : ", ", type.c_str()),
            name_another);
        return;
    }
    if (reply.outcome != http_outcome::answered || !may_be_no_proxy(f) || !reply.url.starts_with(s.endpoint))
        return;
    size_t path = s.endpoint.find('/', s.endpoint.find("://") + 3);
    if (f.code == "not_found" && path != std::string::npos) { // a gateway would have taken the path away
        explain(
            f, s.endpoint.substr(0, path) + " has nothing below " + s.endpoint.substr(path), "--endpoint " + s.endpoint.substr(0, path));
        return;
    }
    std::string proxy;
    switch (kind_of_node(s, proxy)) {
    case node_kind::target: explain(f, s.endpoint + " is a target; its proxy is " + proxy, "--endpoint " + proxy); return;
    case node_kind::pods_only:
        explain(f, s.endpoint + " is where the pods of a target read objects; it serves nobody else", name_another);
        return;
    case node_kind::unknown: return;
    }
}

} // namespace etlnode::etlctl
