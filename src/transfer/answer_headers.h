// SPDX-License-Identifier: MIT
// transfer/answer_headers.h: the headers that pass between a client and a pod.
#pragma once

#include <string>
#include <string_view>

#include "codec/http_parse.h"

namespace etlnode {

// hrev: whether a header of the client's request goes to the pod.
bool header_passes_to_pod(const http_head &request, std::string_view name);
// Whether a header of a pod's answer goes to the client. `of_clients_request`: the pod has seen the client's request, not only the object.
// Only listed headers pass.
bool header_passes_to_client(bool of_clients_request, const http_head &answer, std::string_view name);
// Whether the Connection header of the head names this header, which limits it to this connection.
bool header_is_named_by_connection(const http_head &head, std::string_view name);

} // namespace etlnode
