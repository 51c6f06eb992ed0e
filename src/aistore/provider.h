// SPDX-License-Identifier: MIT
// aistore/provider.h: `provider` and `namespace` of a query: where AIStore's clients think that a bucket is.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "codec/json.h"

namespace etlnode {

// AIStore's provider name for a name or alias ("s3" -> "aws", "" -> "ais"); empty if it is unknown.
std::string_view provider_of(std::string_view name);
// Refuses names of unsupported things; `out_text` says why. A bucket of another provider does not exist; if `bucket` is empty, it was to be
// created, which is not implemented.
error provider_check(std::string_view query, std::string_view bucket, std::string &out_text);
// Reads a bucket in a body, {"name","provider","namespace"}: an empty name if `tree` is null or says none. `path` leads to it in texts.
error provider_read_bucket(const cJSON *tree, const std::string &path, std::string &out_name, std::string &out_text);

} // namespace etlnode
