// SPDX-License-Identifier: MIT
// transfer/reverse.cc: hrev: the client's own request goes to the pod, which asks this target for the object. What is kept is asked for by the node.
#include "codec/http_write.h"
#include "transfer/answer_headers.h"
#include "transfer/modes.h"
#include "transfer/transfer_machine.h"

void reverse_request(transfer &t, call_options &out_request)
{
    const http_head &head = exchange_head(*t.x);
    out_request.method = std::string(head.method);
    out_request.target = mode_pod_path(t, t.config.runtime_spec);
    if (t.is_kept) {
        out_request.method = "GET";
        return;
    }
    for (size_t i = 0; i < head.header_count; i++) {
        if (header_passes_to_pod(head, head.headers[i].name))
            http_write_header(out_request.headers, head.headers[i].name, head.headers[i].value);
    }
}
