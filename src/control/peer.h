// SPDX-License-Identifier: MIT
// control/peer.h: calls between the nodes of one cluster.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "http/server/exchange.h"

namespace etlnode {

// True if the caller is a node of this cluster. Otherwise the request has been answered with 401 or 403.
bool peer_admit(std::string_view cluster_secret, exchange &x);
// Whether the request carries this cluster's secret. A request without it may come from a client.
bool peer_shows_secret(std::string_view cluster_secret, const exchange &x);
// Header lines for a call to another node: the secret and the request id.
std::string peer_headers(std::string_view cluster_secret, std::string_view request_id);

} // namespace etlnode
