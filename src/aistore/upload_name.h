// SPDX-License-Identifier: MIT
// aistore/upload_name.h: the names of uploads in parts, which say where the parts are: ids of multipart uploads, and handles of appends.
#pragma once

#include <string>
#include <string_view>

#include "base/rng.h"

namespace etlnode {

inline constexpr std::string_view query_upload_id = "uploadId";
inline constexpr std::string_view query_part_number = "partNumber";
inline constexpr std::string_view query_append_type = "append_type";
inline constexpr std::string_view query_append_handle = "append_handle";
inline constexpr std::string_view header_append_handle = "Ais-Append-Handle";

// Nine letters and digits, then "-" and the target.
std::string upload_name_make(rng &random, std::string_view target_id);
// The same upload as a handle: the target, then "|" and the nine letters.
std::string upload_name_handle(std::string_view id);
// The id that a query names, by uploadId or append_handle; empty: none.
std::string upload_name_of_query(std::string_view query);
// The target that an id names; empty: it is no such id. Lifetime: that of `id`.
std::string_view upload_name_target(std::string_view id);
// Why the query of a request that is no read cannot be about an upload in parts: parameters that contradict each other, or of which one is
// missing. Empty: it can, or it is about none. Without this check a part might be stored as the whole object, or at another target.
std::string upload_query_misfit(std::string_view method, std::string_view query);

} // namespace etlnode
