// SPDX-License-Identifier: MIT
// etlctl/trace.h: what -v and --trace-http print of a request, with secrets masked. Pure.
#pragma once

#include <string>
#include <string_view>

namespace etlnode::etlctl {

// One header line or request line: values of Authorization, Cookie and the cluster secret become ***, and so do the secret in a
// pod's object URL, passwords in URLs, and query values named like secrets (token, secret, signature).
std::string trace_mask_line(std::string_view line);

} // namespace etlnode::etlctl
