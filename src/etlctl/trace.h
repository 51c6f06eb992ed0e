// SPDX-License-Identifier: MIT
// etlctl/trace.h: masks secrets in what -v and --trace-http print. Pure.
#pragma once

#include <string>
#include <string_view>

namespace etlnode::etlctl {

// Masks a header line or request line. The values of Authorization, Cookie and the cluster secret become ***. So do the secret in a pod's
// object URL, passwords in URLs, and query values with names like token, secret or signature.
std::string trace_mask_line(std::string_view line);

} // namespace etlnode::etlctl
