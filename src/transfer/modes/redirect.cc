// SPDX-License-Identifier: MIT
// transfer/modes/redirect.cc: hpull: the client is sent to the pod, which asks this target for the object and answers the client itself.
// For a sink that is no client the target asks the pod.
#include "codec/url.h"
#include "transfer/modes/modes.h"
#include "transfer/transfer_machine.h"

namespace etlnode {

static std::string location(transfer &t)
{
    return url_format_base(t.endpoint.client_host, t.endpoint.client_port) + mode_pod_path(t, t.config.runtime_spec);
}

static stage begin(transfer &t)
{
    call_options request;
    mode_ask_pod(t, request);
    return mode_begin_call(t, std::move(request));
}

constexpr transfer_mode redirect_mode = {.mode = etl_mode::hpull,
    .choice = read_mode::hpull,
    .refusal = nullptr,
    .begin = begin,
    .location = location,
    .sends_object = false,
    .tries_methods = false,
    .pod_reads = true,
    .passes_headers = true,
    .machine = nullptr};

} // namespace etlnode
