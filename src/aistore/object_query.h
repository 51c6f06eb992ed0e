// SPDX-License-Identifier: MIT
// aistore/object_query.h: what the query of a request for an object asks for; slips of the hand are refused, not passed over.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace etlnode {

// How the client named the transform: the answers to failures differ (docs/PROTOCOL.md).
enum class object_transform : uint8_t { none, by_id, by_name };

// What the request does with the object: GET and HEAD; PUT; the rest.
enum class object_use : uint8_t { read, put, other };
object_use object_use_of(std::string_view method);

struct object_query {
    object_transform transform = object_transform::none;
    std::string etl; // id or name; not empty when there is a transform
    // PUT with object_to=: the object is the source, and this one the destination.
    bool is_kept = false;
    std::string to_bucket, to_name; // names as they are, not checked
};

// `out_text` says in words for the user why the query is refused. A client that asked for a transform in any way never gets the plain
// object: a misspelt key, an empty name, or a broken escape is bad_request; what is known and not served here is not_implemented.
// The work is linear in the query's size.
error object_query_read(std::string_view query, object_use use, object_query &out_query, std::string &out_text);

} // namespace etlnode
