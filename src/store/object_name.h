// SPDX-License-Identifier: MIT
// store/object_name.h: which names buckets and objects may have (source: AIStore cmn/bck.go, cmn/cos; docs/PROTOCOL.md "Names").
#pragma once

#include <string_view>

namespace etlnode {

// Null when the name is good, else static text that says what is wrong with it.
// Bucket: 1-64 of [A-Za-z0-9_.-], no "..", no leading '.'. Object: 1-1,024 bytes of valid UTF-8, no NUL, no trailing '/', no leading '/',
// no "." or ".." component, not starting "~/".
const char *object_name_check_bucket(std::string_view bucket);
const char *object_name_check(std::string_view name);

} // namespace etlnode
