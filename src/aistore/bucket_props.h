// SPDX-License-Identifier: MIT
// aistore/bucket_props.h: properties of buckets that AIStore's clients set. Pure.
//
// This cluster keeps and shows what changes nothing that a user could rely on, for example the type of a checksum or sizes that only
// matter to features that are off. It refuses what would promise something that it does not do, for example a second copy.
#pragma once

#include <string>

#include "base/error.h"
#include "codec/json.h"

namespace etlnode {

// Adds the properties in `value` to `props`, the JSON text of those that are set ("": none). Errors: bad_request for an unknown property
// or a value of another kind, not_implemented for what this cluster does not do; `out_why` says which.
error bucket_props_set(const cJSON *value, std::string &props, std::string &out_why);
// Replaces in `tree`, a bucket's properties as clients read them, those that are set.
void bucket_props_show(cJSON *tree, const std::string &props);

} // namespace etlnode
