// SPDX-License-Identifier: MIT
// aistore/provider.h: `provider` and `namespace` of a query: where AIStore's clients think that a bucket is.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace etlnode {

// AIStore's provider name for a name or alias ("s3" -> "aws", "" -> "ais"); empty when nobody knows it.
std::string_view provider_of(std::string_view name);
// Refused: what names something that is not here; `out_text` says so. A bucket of another provider is one that does not exist; with `bucket`
// empty, it was to be made, which is not implemented.
error provider_check(std::string_view query, std::string_view bucket, std::string &out_text);

} // namespace etlnode
