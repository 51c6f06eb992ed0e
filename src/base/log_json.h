// SPDX-License-Identifier: MIT
// base/log_json.h: a log line of key=value pairs as one JSON object, for collectors that read JSON. Pure.
#pragma once

#include <string>
#include <string_view>

namespace etlnode {

// `line` is what log_write formats, without the newline: words, key=value, key="value with \" and \\ and \xNN". All values become texts, so that a key
// always has one type. Words that belong to no key are joined under "msg". A value that was cut at the end of a long line is taken as far as it goes.
// Bytes that are not UTF-8 become U+FFFD.
std::string log_line_as_json(std::string_view line);

} // namespace etlnode
