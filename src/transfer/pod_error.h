// SPDX-License-Identifier: MIT
// transfer/pod_error.h: turns a pod's error answer into a few lines for people.
#pragma once

#include <string>
#include <string_view>

namespace etlnode {

// `body` is the beginning of the answer as it arrived, at most pod_error_text_max bytes. gzip and deflate are unpacked; another compression
// is named. Other encodings become UTF-8, HTML is reduced to its text, and an empty or unreadable body is replaced by the status. Never
// empty.
std::string pod_error_text(int status, std::string_view content_type, std::string_view content_encoding, std::string_view body);

} // namespace etlnode
