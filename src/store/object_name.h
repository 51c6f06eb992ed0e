// SPDX-License-Identifier: MIT
// store/object_name.h: valid names of buckets and objects (source: AIStore cmn/bck.go, cmn/cos; docs/PROTOCOL.md "Names").
#pragma once

#include <string_view>

namespace etlnode {

// Null if the name is valid; otherwise static text that says what is wrong.
// Bucket: 1-64 of [A-Za-z0-9_.-], no "..", no leading '.'. Object: 1-1,024 bytes of valid UTF-8, no NUL, no trailing '/', no leading '/',
// no "." or ".." component, not starting "~/".
const char *object_name_check_bucket(std::string_view bucket);
const char *object_name_check(std::string_view name);

} // namespace etlnode
