// SPDX-License-Identifier: MIT
// transfer/answer_headers.h: which headers pass between a client and a pod.
#pragma once

#include <string>
#include <string_view>

#include "codec/http_parse.h"

namespace etlnode {

// hrev: of the client's request, to the pod.
bool header_passes_to_pod(const http_head &request, std::string_view name);
// Of a pod's answer, to the client. `of_clients_request`: the pod has seen the client's request, not only the object. What passes is listed: whatever else there is, or will be, stays behind.
bool header_passes_to_client(bool of_clients_request, const http_head &answer, std::string_view name);
// Whether the head's Connection header names this one, which makes it one of this connection only.
bool header_is_named_by_connection(const http_head &head, std::string_view name);

} // namespace etlnode
