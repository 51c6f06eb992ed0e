// SPDX-License-Identifier: MIT
// control/peer.cc: calls between the nodes of one cluster, and the secret that authenticates them.
//
// Knows    http, codec.        Known by  role, broadcast.
// Fails    401 without the secret, 403 with a wrong one.
#include "control/peer.h"

#include "base/log.h"
#include "base/text.h"
#include "codec/http_write.h"
#include "node/api.h"

namespace etlnode {

bool peer_admit(std::string_view cluster_secret, exchange &x)
{
    std::string_view given = http_head_get(exchange_head(x), header_cluster_secret);
    if (given.data() == nullptr) {
        exchange_answer_error(x, error_code::unauthorized, "calls between nodes need the header Etlnode-Cluster-Secret");
        return false;
    }
    if (!text_equal_secret(given, cluster_secret)) {
        LOG(warn, "control", "peer=%s msg=\"a call between nodes had a wrong cluster secret\"", exchange_peer(x).c_str());
        exchange_answer_error(x, error_code::forbidden, "the cluster secret is wrong");
        return false;
    }
    return true;
}

bool peer_shows_secret(std::string_view cluster_secret, const exchange &x)
{
    std::string_view given = http_head_get(exchange_head(x), header_cluster_secret);
    return given.data() != nullptr && text_equal_secret(given, cluster_secret);
}

std::string peer_headers(std::string_view cluster_secret, std::string_view request_id)
{
    std::string headers;
    if (!cluster_secret.empty())
        http_write_header(headers, header_cluster_secret, cluster_secret);
    if (!request_id.empty())
        http_write_header(headers, header_request_id, request_id);
    return headers;
}

} // namespace etlnode
