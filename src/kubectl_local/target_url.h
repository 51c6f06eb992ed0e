// SPDX-License-Identifier: MIT
// kubectl_local/target_url.h: the parts of what AIS_TARGET_URL says. Whoever grants a way to it and whoever opens the way read it here, so that they mean the same place.
#pragma once

#include <cstdint>
#include <string>

namespace etlnode::kubectl_local {

struct target_url {
    std::string host;
    uint16_t port = 80;
    std::string rest; // path and what follows
};

// False: it is not http://HOST[:PORT][/...] with a host that may be a name or an IPv4 address.
bool target_url_split(const std::string &url, target_url &out);

} // namespace etlnode::kubectl_local
