// SPDX-License-Identifier: MIT
// transfer/reverse.cc: hrev: the client's own request goes to the pod, which asks this target for the object.
#include "base/text.h"
#include "codec/http_write.h"
#include "transfer/modes.h"
#include "transfer/transfer_machine.h"

static bool is_passed_on(std::string_view name)
{
    static constexpr std::string_view kept_back[] = {"Host", "Content-Length", "Authorization", "Cookie", "Expect", "X-Request-Id"};
    for (std::string_view one : kept_back) {
        if (text_equal_ignore_case(one, name))
            return false;
    }
    return !http_header_is_hop_by_hop(name);
}

void reverse_request(transfer &t, call_options &out_request)
{
    const http_head &head = exchange_head(*t.x);
    out_request.method = std::string(head.method);
    out_request.target = mode_pod_path(t, t.runtime_spec);
    for (size_t i = 0; i < head.header_count; i++) {
        if (is_passed_on(head.headers[i].name))
            http_write_header(out_request.headers, head.headers[i].name, head.headers[i].value);
    }
}
