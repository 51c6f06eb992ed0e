// SPDX-License-Identifier: MIT
// kubectl_local/target_url.cc: splits the URL in AIS_TARGET_URL.
#include "kubectl_local/target_url.h"

#include <string_view>

#include "base/text.h"

namespace etlnode::kubectl_local {

bool target_url_split(const std::string &url, target_url &out)
{
    static constexpr std::string_view scheme = "http://";
    out = target_url();
    if (!url.starts_with(scheme))
        return false;
    std::string authority = url.substr(scheme.size(), url.find_first_of("/?#", scheme.size()) - scheme.size());
    out.rest = url.substr(scheme.size() + authority.size());
    size_t colon = authority.rfind(':');
    uint64_t port = 80;
    if (authority.empty() || authority.front() == '[' || authority.find('@') != std::string::npos)
        return false;
    if (colon != std::string::npos && (!text_parse_u64(std::string_view(authority).substr(colon + 1), port) || port == 0 || port > 65535))
        return false;
    out.host = authority.substr(0, colon);
    out.port = static_cast<uint16_t>(port);
    return !out.host.empty();
}

} // namespace etlnode::kubectl_local
