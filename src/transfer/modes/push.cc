// SPDX-License-Identifier: MIT
// transfer/modes/push.cc: hpush: the object is the body of a POST (or PUT) to the pod. Content-Length always: servers of 2020 know nothing else.
#include "codec/http_write.h"
#include "transfer/modes/modes.h"
#include "transfer/transfer_machine.h"

namespace etlnode {

static void request(transfer &t, call_options &out_request)
{
    out_request.method = t.by_put ? "PUT" : "POST";
    out_request.target = mode_pod_path(t, false);
    http_write_header(out_request.headers, "Content-Type", "application/octet-stream");
    std::string_view range = transfer_asked(t, "Range");
    if (!range.empty() && !http_head_has(exchange_head(*t.x), "If-Range")) // a transformed object has no version that a client could name
        http_write_header(out_request.headers, "Range", range);
    out_request.has_body = true;
    if (t.object->file != nullptr) {
        out_request.file = t.object->file;
        out_request.file_size = t.object->row.size;
    } else {
        out_request.body = t.object->content;
    }
}

constexpr transfer_mode push_mode = {.mode = etl_mode::hpush,
    .choice = read_mode::hpush,
    .request = request,
    .location = nullptr,
    .sends_object = true,
    .pod_reads = false,
    .passes_headers = false};

} // namespace etlnode
