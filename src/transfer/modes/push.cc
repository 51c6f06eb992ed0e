// SPDX-License-Identifier: MIT
// transfer/modes/push.cc: hpush: the object is the body of a POST or PUT to the pod. Always with Content-Length, for servers of 2020.
#include "codec/http_write.h"
#include "transfer/modes/modes.h"
#include "transfer/transfer_machine.h"

namespace etlnode {

static stage begin(transfer &t)
{
    static constexpr size_t usual_headers_size = 256;
    call_options request;
    request.headers.reserve(usual_headers_size); // one allocation
    request.method = t.by_put ? "PUT" : "POST";
    request.target = mode_pod_path(t, false);
    http_write_header(request.headers, "Content-Type", "application/octet-stream");
    std::string_view range = transfer_asked(t, "Range");
    if (!range.empty() && !http_head_has(*t.asked, "If-Range")) // a transformed object has no version that a client could name
        http_write_header(request.headers, "Range", range);
    request.has_body = true;
    if (t.object->file != nullptr) {
        request.file = t.object->file;
        request.file_size = t.object->row.size;
    } else {
        request.body = t.object->content;
    }
    return mode_begin_call(t, std::move(request));
}

constexpr transfer_mode push_mode = {.mode = etl_mode::hpush,
    .choice = read_mode::hpush,
    .refusal = nullptr,
    .begin = begin,
    .location = nullptr,
    .sends_object = true,
    .tries_methods = true,
    .pod_reads = false,
    .passes_headers = false,
    .machine = nullptr};

} // namespace etlnode
