// SPDX-License-Identifier: MIT
// codec/content_guard.h: contents that a browser would execute with the origin of the node that serves them.
#pragma once

#include <string>
#include <string_view>

namespace etlnode {

// Whether a browser executes, or may guess that it should execute, a content with this Content-Type when a user opens it. That holds for
// HTML, every kind of XML (SVG included), scripts, a missing type, and types that say nothing. Parameters of the type do not matter.
bool content_is_executable(std::string_view content_type);
// Writes headers that keep such a content from running as part of this origin; nothing for other contents.
void content_write_guard(std::string &out, std::string_view content_type);

} // namespace etlnode
