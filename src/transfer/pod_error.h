// SPDX-License-Identifier: MIT
// transfer/pod_error.h: a pod's error answer as one line or a few for people.
#pragma once

#include <string>
#include <string_view>

namespace etlnode {

// `body` is its beginning as it came, at most pod_error_text_max bytes. A compressed one is unpacked where that is gzip or deflate, else named;
// what is in another encoding becomes UTF-8; HTML is reduced to its text; an empty or unreadable one is replaced by the status. Never empty.
std::string pod_error_text(int status, std::string_view content_type, std::string_view content_encoding, std::string_view body);

} // namespace etlnode
