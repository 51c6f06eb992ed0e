// SPDX-License-Identifier: MIT
// etlctl/wrong_endpoint.h: recognises an endpoint that is not a proxy: a target, another web server, or one that does not speak TLS.
#pragma once

#include "etlctl/session.h"

namespace etlnode::etlctl {

// If the endpoint is not a proxy, replaces message, hint and exit code of `f`, the failure of `reply`. May ask the endpoint what it is. Has
// no effect on failures that a proxy reported.
void wrong_endpoint_explain(session &s, const http_reply &reply, failure &f);

} // namespace etlnode::etlctl
