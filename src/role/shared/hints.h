// SPDX-License-Identifier: MIT
// role/shared/hints.h: the existing names, for a user who asked for one that does not exist.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace etlnode {

// " (did you mean \"b\"?)", " (there are: a, b, c)", " (there is: a)", " (there are none)".
std::string hint_text(std::string_view wanted, const std::vector<std::string_view> &names);
std::string hint_bucket_missing(std::string_view bucket, const std::vector<std::string_view> &names);
std::string hint_etl_missing(std::string_view etl, const std::vector<std::string_view> &names);

} // namespace etlnode
