// SPDX-License-Identifier: MIT
// transfer/modes/reverse.cc: hrev: the client's own request goes to the pod, which asks this target for the object. What is kept is asked for by the node.
#include "codec/http_write.h"
#include "transfer/answer_headers.h"
#include "transfer/modes/modes.h"
#include "transfer/transfer_machine.h"

namespace etlnode {

static void request(transfer &t, call_options &out_request)
{
    mode_ask_pod(t, out_request);
    if (t.is_kept)
        return;
    const http_head &head = exchange_head(*t.x);
    out_request.method = std::string(head.method);
    for (size_t i = 0; i < head.header_count; i++) {
        if (header_passes_to_pod(head, head.headers[i].name))
            http_write_header(out_request.headers, head.headers[i].name, head.headers[i].value);
    }
}

constexpr transfer_mode reverse_mode = {.mode = etl_mode::hrev,
    .choice = read_mode::hrev,
    .request = request,
    .location = nullptr,
    .sends_object = false,
    .pod_reads = true,
    .passes_headers = true};

} // namespace etlnode
