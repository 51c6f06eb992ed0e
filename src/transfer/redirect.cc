// SPDX-License-Identifier: MIT
// transfer/redirect.cc: hpull: the client is sent to the pod, which asks this target for the object and answers the client itself.
#include "codec/url.h"
#include "transfer/modes.h"
#include "transfer/transfer_machine.h"

std::string redirect_location(transfer &t) { return url_format_base(t.endpoint.client_host, t.endpoint.client_port) + mode_pod_path(t, t.config.runtime_spec); }
