// SPDX-License-Identifier: MIT
// codec/content_guard.h: contents that a browser would execute in the name of the node that hands them out.
#pragma once

#include <string>
#include <string_view>

namespace etlnode {

// Whether a browser runs what has this Content-Type (its parameters do not matter) when it is opened, or guesses that it may: HTML, every kind
// of XML (SVG too), scripts, no type, and types that say nothing.
bool content_is_executable(std::string_view content_type);
// For such a content writes the headers that keep it from running as part of this origin; else nothing.
void content_write_guard(std::string &out, std::string_view content_type);

} // namespace etlnode
