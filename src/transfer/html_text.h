// SPDX-License-Identifier: MIT
// transfer/html_text.h: what a person would read in a page of HTML.
#pragma once

#include <string>
#include <string_view>

namespace etlnode {

// No tags, no scripts, styles and comments, character references decoded, white space folded. UTF-8 in and out. What looks like a tag and is no
// element of HTML ("a < b", "List<String>") is text. The title is left out, as pages repeat it below; where they do not, it is all there is.
std::string html_text(std::string_view html);

bool html_is_page(std::string_view content_type, std::string_view body);
// What <meta charset> or its older form says within the first kilobyte; empty: nothing.
std::string_view html_charset(std::string_view html);

} // namespace etlnode
