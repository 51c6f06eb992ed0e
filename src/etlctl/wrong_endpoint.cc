// SPDX-License-Identifier: MIT
// etlctl/wrong_endpoint.cc: explains what the endpoint is if it is not a proxy.
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

static constexpr const char *hint_name_proxy = "name the proxy with --endpoint URL or ETLNODE_ENDPOINT";

static bool is_tls_on_plain_text(const session &s, const http_reply &reply)
{
    return s.endpoint.starts_with("https://") && reply.outcome != http_outcome::answered &&
           (reply.problem.find("wrong version number") != std::string::npos ||
               reply.problem.find("packet length too long") != std::string::npos);
}

// A TLS server answers plain text with an alert, or with an error text if it understands HTTP.
static bool is_plain_text_on_tls(const session &s, const http_reply &reply)
{
    if (!s.endpoint.starts_with("http://"))
        return false;
    if (reply.outcome == http_outcome::answered)
        return reply.status == 400 && text_lower(reply.body).find("https") != std::string::npos &&
               http_header(reply, header_request_id).empty();
    return reply.problem.find("HTTP/0.9") != std::string::npos && reply.body.empty();
}

// A node of etlnode or AIStore answers errors with a JSON object that has a message. An answer without a body proves nothing.
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

// What answers at `s.endpoint` if it is not a proxy. It can be a target; `out_proxy` is then its proxy's public URL. Or it is the address
// where a target's pods read objects; that listener knows no other request.
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

// Errors that a target or its listener for pods gives to a request meant for a proxy, or for an object on another target.
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
        explain(f, s.endpoint + " does not speak plain HTTP; it may speak TLS",
            "--endpoint https://" + s.endpoint.substr(std::string_view("http://").size()));
        return;
    }
    if (is_another_server(reply)) {
        std::string type(http_header(reply, "Content-Type"));
        type = format_message(type.substr(0, type.find(';')));
        explain(f,
            text_format("%s is not an etlnode (status %d%s%s)", s.endpoint.c_str(), reply.status, type.empty() ? "" : ", ", type.c_str()),
            hint_name_proxy);
        return;
    }
    if (reply.outcome != http_outcome::answered || !may_be_no_proxy(f) || !reply.url.starts_with(s.endpoint))
        return;
    size_t path = s.endpoint.find('/', s.endpoint.find("://") + 3);
    if (f.code == "not_found" && path != std::string::npos) { // a gateway would have removed the path
        explain(
            f, s.endpoint.substr(0, path) + " has nothing below " + s.endpoint.substr(path), "--endpoint " + s.endpoint.substr(0, path));
        return;
    }
    std::string proxy;
    switch (kind_of_node(s, proxy)) {
    case node_kind::target:
        if (f.code != "object_not_found") // a target answers for its own objects, and sends those on who ask for others
            explain(f, s.endpoint + " is a target; its proxy is " + proxy, "--endpoint " + proxy);
        return;
    case node_kind::pods_only:
        explain(f, s.endpoint + " is the address where a target's pods read objects; it serves no other clients", hint_name_proxy);
        return;
    case node_kind::unknown: return;
    }
}

} // namespace etlnode::etlctl
