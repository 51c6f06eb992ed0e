// SPDX-License-Identifier: MIT
// kubectl_local/target_url.h: splits the URL in AIS_TARGET_URL. The check of grants and the relay both use it, so that they agree on the
// address.
#pragma once

#include <cstdint>
#include <string>

namespace etlnode::kubectl_local {

struct target_url {
    std::string host;
    uint16_t port = 80;
    std::string rest; // path and everything after it
};

// False if it is not http://HOST[:PORT][/...], where HOST may be a name or an IPv4 address.
bool target_url_split(const std::string &url, target_url &out);

} // namespace etlnode::kubectl_local
