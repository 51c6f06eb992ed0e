// SPDX-License-Identifier: MIT
// kube/kubectl_fault.cc: interprets kubectl's stderr.
//
// Knows    port (proc_result), base.      Known by  etl.
#include "kube/kubectl_fault.h"

#include <iterator>

#include "base/text.h"

namespace etlnode {

static_assert(kubectl_fault_count == static_cast<size_t>(kubectl_fault::other) + 1);

static bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

struct wording {
    std::string_view part;
    kubectl_fault fault;
};

// The first match counts. Reasons in brackets are the API server's own and come first.
static constexpr wording wordings[] = {
    {"(AlreadyExists)", kubectl_fault::already_exists},
    {"(Forbidden)", kubectl_fault::forbidden},
    {"(Invalid)", kubectl_fault::other}, // quotes the spec, which may contain any words
    {"(BadRequest)", kubectl_fault::other},
    {"(NotFound)", kubectl_fault::other},
    {"(Conflict)", kubectl_fault::too_many_requests}, // several creates at once exceeded the namespace's quota
    {"(TooManyRequests)", kubectl_fault::too_many_requests},
    {"Too many requests", kubectl_fault::too_many_requests},
    {"status code 429", kubectl_fault::too_many_requests},
    {"(Expired)", kubectl_fault::expired},
    {"(Gone)", kubectl_fault::expired},
    {"status code 410", kubectl_fault::expired},
    {"too old resource version", kubectl_fault::expired},
    {"(Timeout)", kubectl_fault::timeout},
    {"(ServerTimeout)", kubectl_fault::timeout},
    {"(InternalError)", kubectl_fault::server_error},
    {"(ServiceUnavailable)", kubectl_fault::server_error},
    {"etcdserver: ", kubectl_fault::server_error},
    {"currently unable to handle the request", kubectl_fault::server_error},
    {"status code 5", kubectl_fault::server_error},
    {"an error on the server (", kubectl_fault::server_error},
    {"x509: ", kubectl_fault::other}, // asking again does not repair a certificate
    {"Client.Timeout exceeded", kubectl_fault::timeout},
    {"context deadline exceeded", kubectl_fault::timeout},
    {"timeout awaiting response", kubectl_fault::timeout},
    {"TLS handshake timeout", kubectl_fault::timeout},
    {"i/o timeout", kubectl_fault::timeout},
    {"timed out waiting for the condition", kubectl_fault::timeout},
    {"was refused - did you specify", kubectl_fault::unreachable},
    {"connection refused", kubectl_fault::unreachable},
    {"connection reset by peer", kubectl_fault::unreachable},
    {"no route to host", kubectl_fault::unreachable},
    {"network is unreachable", kubectl_fault::unreachable},
    {"no such host", kubectl_fault::unreachable},
    {"unexpected EOF", kubectl_fault::unreachable},
    {": EOF", kubectl_fault::unreachable},
    {"http2: client connection", kubectl_fault::unreachable},
    {"use of closed network connection", kubectl_fault::unreachable},
};

kubectl_fault kubectl_fault_of(const proc_result &result)
{
    if (result.err)
        return kubectl_fault::not_started;
    if (result.deadline_passed)
        return kubectl_fault::timeout;
    if (result.truncated)
        return kubectl_fault::output;
    if (result.signal != 0)
        return kubectl_fault::killed;
    if (result.exit_code == 0)
        return kubectl_fault::none;
    for (const wording &w : wordings) {
        if (has(result.err_text, w.part))
            return w.fault;
    }
    return kubectl_fault::other;
}

bool kubectl_fault_may_pass(kubectl_fault fault)
{
    switch (fault) {
    case kubectl_fault::timeout:
    case kubectl_fault::unreachable:
    case kubectl_fault::too_many_requests:
    case kubectl_fault::server_error:
    case kubectl_fault::expired: return true;
    case kubectl_fault::none:
    case kubectl_fault::not_started:
    case kubectl_fault::killed:
    case kubectl_fault::output:
    case kubectl_fault::forbidden:
    case kubectl_fault::already_exists:
    case kubectl_fault::other: break;
    }
    return false;
}

// Extracts the text between `before` and the next `after`, starting at `at`, which moves behind it. False if they are missing.
static bool between(std::string_view text, std::string_view before, std::string_view after, size_t &at, std::string &out)
{
    size_t begin = text.find(before, at);
    if (begin == std::string_view::npos)
        return false;
    begin += before.size();
    size_t end = text.find(after, begin);
    if (end == std::string_view::npos)
        return false;
    out = text_escape(text.substr(begin, end - begin), 253);
    at = end;
    return true;
}

std::string kubectl_missing_right(std::string_view words, bool watches)
{
    size_t at = words.find("is forbidden: User \"");
    if (at == std::string_view::npos) {
        bool is_mute = watches && has(words, "(Forbidden): unknown (get ");
        return is_mute ? "the Role needs verbs [watch] on pods in the namespace and for the service account of this node" : std::string();
    }
    std::string user;
    std::string verb;
    std::string resource;
    std::string group;
    if (!between(words, "User \"", "\" cannot ", at, user) || !between(words, "cannot ", " resource \"", at, verb) ||
        !between(words, "resource \"", "\" in API group \"", at, resource) || !between(words, "API group \"", "\"", at, group))
        return {};
    std::string ns;
    bool has_namespace = between(words, "in the namespace \"", "\"", at, ns);
    std::string out = "the Role needs verbs [" + verb + "] on " + resource + (group.empty() ? "" : "." + group);
    out += has_namespace ? " in namespace " + ns : " in all namespaces";
    return out + " for " + user;
}

} // namespace etlnode
