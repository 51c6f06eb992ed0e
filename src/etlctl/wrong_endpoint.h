// SPDX-License-Identifier: MIT
// etlctl/wrong_endpoint.h: an answer that no proxy gives: the endpoint is a target, another web server, or speaks no TLS.
#pragma once

#include "etlctl/session.h"

namespace etlnode::etlctl {

// Replaces message, hint and exit code of `f`, the failure of `reply`, when the endpoint is not a proxy; may ask the endpoint what it is.
// No effect when the failure is a proxy's own.
void wrong_endpoint_explain(session &s, const http_reply &reply, failure &f);

} // namespace etlnode::etlctl
