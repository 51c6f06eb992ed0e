// SPDX-License-Identifier: MIT
// transfer/html_text.h: the text that a person would read in an HTML page.
#pragma once

#include <string>
#include <string_view>

namespace etlnode {

// Without tags, scripts, styles and comments; character references are decoded, and white space is folded. UTF-8 in and out. Something that
// looks like a tag but is not an HTML element ("a < b", "List<String>") counts as text. The title is omitted, because pages usually repeat
// it; if there is nothing else, it is the result.
std::string html_text(std::string_view html);

bool html_is_page(std::string_view content_type, std::string_view body);
// The encoding in <meta charset> or its older form, within the first kilobyte; empty if there is none.
std::string_view html_charset(std::string_view html);

} // namespace etlnode
