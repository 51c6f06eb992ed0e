// SPDX-License-Identifier: MIT
// transfer/answer_headers.cc: the headers that pass between a client and a pod. The reasons are in docs/decisions/0023.
#include "transfer/answer_headers.h"

#include <algorithm>
#include <span>

#include "base/text.h"
#include "codec/http_write.h"

namespace etlnode {

static bool is_one_of(std::string_view name, std::span<const std::string_view> names)
{
    return std::any_of(names.begin(), names.end(), [&](std::string_view one) { return text_equal_ignore_case(one, name); });
}

static bool begins_with(std::string_view name, std::string_view prefix)
{
    return name.size() >= prefix.size() && text_equal_ignore_case(name.substr(0, prefix.size()), prefix);
}

bool header_is_named_by_connection(const http_head &head, std::string_view name)
{
    for (size_t i = 0; i < head.header_count && !name.empty(); i++) {
        if (!text_equal_ignore_case(head.headers[i].name, "Connection"))
            continue;
        std::string_view rest = head.headers[i].value;
        while (!rest.empty()) {
            size_t comma = std::min(rest.find(','), rest.size());
            if (text_equal_ignore_case(text_trim(rest.substr(0, comma)), name))
                return true;
            rest.remove_prefix(std::min(comma + 1, rest.size()));
        }
    }
    return false;
}

bool header_passes_to_pod(const http_head &request, std::string_view name)
{
    static constexpr std::string_view kept_back[] = {"Host", "Content-Length", "Authorization", "Cookie", "Expect", "X-Request-Id"};
    return !is_one_of(name, kept_back) && !begins_with(name, "Etlnode-") && !http_header_is_hop_by_hop(name) &&
           !header_is_named_by_connection(request, name);
}

// X-... headers belong to the transformer, except those with a meaning for the node, for browser security, or for proxies in front of the
// node.
static bool is_custom(std::string_view name)
{
    static constexpr std::string_view meant_for_others[] = {"X-Request-Id", "X-Content-Type-Options", "X-Frame-Options", "X-XSS-Protection",
        "X-UA-Compatible", "X-Sendfile", "X-Sendfile-Type", "X-Reproxy-URL", "X-Real-IP", "X-HTTP-Method-Override", "X-Powered-By",
        "X-DNS-Prefetch-Control", "X-Permitted-Cross-Domain-Policies"};
    return begins_with(name, "X-") && !is_one_of(name, meant_for_others) && !begins_with(name, "X-Accel-") &&
           !begins_with(name, "X-Forwarded-") && !begins_with(name, "X-Lighttpd-") && !begins_with(name, "X-Content-Security-") &&
           !begins_with(name, "X-WebKit-");
}

bool header_passes_to_client(bool of_clients_request, const http_head &answer, std::string_view name)
{
    if (header_is_named_by_connection(answer, name))
        return false;
    if (text_equal_ignore_case(name, "Content-Range"))
        return answer.status == 206;
    // They describe the bytes.
    static constexpr std::string_view of_content[] = {"Content-Type", "Content-Encoding", "Content-Language", "Content-Disposition"};
    if (is_one_of(name, of_content))
        return true;
    if (!of_clients_request)
        return false;
    // They describe the version, and who may cache it for how long.
    static constexpr std::string_view of_version[] = {"ETag", "Last-Modified", "Cache-Control", "Expires", "Vary", "Accept-Ranges",
        "Content-MD5", "Digest", "Repr-Digest", "Content-Digest", "Warning"};
    return is_one_of(name, of_version) || is_custom(name);
}

} // namespace etlnode
