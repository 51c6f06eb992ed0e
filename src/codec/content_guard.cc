// SPDX-License-Identifier: MIT
// codec/content_guard.cc: recognises contents that a browser would execute with the node's own origin.
#include "codec/content_guard.h"

#include <algorithm>

#include "base/text.h"
#include "codec/http_write.h"

namespace etlnode {

bool content_is_executable(std::string_view content_type)
{
    if (content_type == "application/octet-stream") // the type of most contents; checked for every answer
        return false;
    std::string type(text_trim(content_type.substr(0, std::min(content_type.find_first_of(";,"), content_type.size()))));
    for (char &c : type)
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    size_t slash = type.find('/');
    if (slash == std::string::npos || slash == 0 || slash + 1 == type.size() || content_type.find(',') != std::string_view::npos)
        return true; // no type, half a type, or several: the browser guesses
    static constexpr std::string_view whole[] = {"text/html", "text/xml", "application/xml", "text/xsl", "application/unknown",
        "unknown/unknown", "*/*", "multipart/x-mixed-replace", "text/x-component", "application/x-shockwave-flash", "text/cache-manifest",
        "text/vbscript", "text/jscript", "text/livescript"};
    for (std::string_view one : whole) {
        if (type == one)
            return true;
    }
    std::string_view subtype = std::string_view(type).substr(slash + 1);
    bool is_script = subtype.find("javascript") != std::string_view::npos || subtype.find("ecmascript") != std::string_view::npos;
    return is_script || subtype.ends_with("+xml") || subtype.find("html") != std::string_view::npos;
}

void content_write_guard(std::string &out, std::string_view content_type)
{
    if (!content_is_executable(content_type))
        return;
    http_write_header(out, "X-Content-Type-Options", "nosniff");
    http_write_header(out, "Content-Security-Policy", "sandbox");
}

} // namespace etlnode
