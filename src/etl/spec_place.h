// SPDX-License-Identifier: MIT
// etl/spec_place.h: a refusal that names fields of a Pod, told with the places in the spec that the user wrote.
#pragma once

#include <string>
#include <string_view>

#include "codec/yaml.h"

namespace etlnode {

// kubectl's words with " (line L, column C)" behind each field path that leads somewhere in `spec_text`, and the nearest known name behind
// unknown fields: `unknown field "spec.containers[0].img" (line 8, column 5; did you mean image?)`. A path into what the node added, or to what
// is absent, gets the place of what surrounds it. Unchanged where the spec cannot be read.
std::string spec_place_explain(std::string_view refusal, std::string_view spec_text);

// " (did you mean FIELD? line L, column C says KEY)" where `mapping`, of that type of a Pod, has an unknown key near `field`; else empty.
std::string spec_place_near(const yaml_node *mapping, std::string_view type, std::string_view field);

} // namespace etlnode
