// SPDX-License-Identifier: MIT
// transfer/modes/reverse.cc: hrev: the request that is asked goes to the pod as it is, and the pod asks this target for the object.
#include "codec/http_write.h"
#include "transfer/answer_headers.h"
#include "transfer/modes/modes.h"
#include "transfer/transfer_machine.h"

namespace etlnode {

// Copies the client's own request, except for what belongs to its connection to this target.
static void pass_on(const http_head &head, call_options &out_request)
{
    out_request.method = std::string(head.method);
    for (size_t i = 0; i < head.header_count; i++) {
        if (header_passes_to_pod(head, head.headers[i].name))
            http_write_header(out_request.headers, head.headers[i].name, head.headers[i].value);
    }
}

static stage begin(transfer &t)
{
    static constexpr size_t usual_headers_size = 256;
    call_options request;
    request.headers.reserve(usual_headers_size); // one allocation
    mode_ask_pod(t, request);
    pass_on(*t.asked, request);
    return mode_begin_call(t, std::move(request));
}

constexpr transfer_mode reverse_mode = {.mode = etl_mode::hrev,
    .choice = read_mode::hrev,
    .refusal = nullptr,
    .begin = begin,
    .location = nullptr,
    .sends_object = false,
    .tries_methods = false,
    .pod_reads = true,
    .passes_headers = true,
    .machine = nullptr};

} // namespace etlnode
