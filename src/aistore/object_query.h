// SPDX-License-Identifier: MIT
// aistore/object_query.h: parses the query of a request for an object. Misspelled parameters are refused instead of ignored.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace etlnode {

// How the client named the transform, because answers to failures differ (docs/PROTOCOL.md).
enum class object_transform : uint8_t { none, by_id, by_name };

// What the request does with the object: GET and HEAD; PUT; the rest.
enum class object_use : uint8_t { read, put, other };
object_use object_use_of(std::string_view method);

struct object_query {
    object_transform transform = object_transform::none;
    std::string etl;                   // id or name; not empty if there is a transform
    std::vector<std::string> pipeline; // the ETLs that follow it
    // PUT with object_to=: the request's object is the source, and this is the destination.
    bool is_kept = false;
    std::string to_bucket, to_name; // names as sent, unchecked
    // GET: the object is an archive, and members of it are asked for: one path, or all whose path agrees with a pattern. Both empty: it is
    // not.
    std::string member;
    std::string pattern, pattern_mode;
};

// `out_text` tells the user why the query is refused. A client that requests a transform in any way never gets the plain object: a
// misspelled key, an empty name or a broken escape is bad_request, and a known but unsupported parameter is not_implemented. The work is
// linear in the query's size.
error object_query_read(std::string_view query, object_use use, object_query &out_query, std::string &out_text);

} // namespace etlnode
