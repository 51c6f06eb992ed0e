// SPDX-License-Identifier: MIT
// base/log_json.h: converts a log line of key=value pairs to a JSON object, for collectors that read JSON. Pure.
#pragma once

#include <string>
#include <string_view>

namespace etlnode {

// `line` is what log_write formats, without the newline: words, key=value, and key="value with \" and \\ and \xNN".
// Every value becomes a string, so that a key always has the same type. Words without a key are joined under "msg".
// A value that was cut at the end of a long line keeps what is left of it. Bytes that are not UTF-8 become U+FFFD.
std::string log_line_as_json(std::string_view line);

} // namespace etlnode
