// SPDX-License-Identifier: MIT
// etl/spec_location.h: adds locations in the user's spec to a refusal that names fields of a Pod.
#pragma once

#include <string>
#include <string_view>

#include "codec/yaml.h"

namespace etlnode {

// Returns kubectl's words with " (line L, column C)" after each field path that exists in `spec_text`, and a similar known name after
// unknown fields: `unknown field "spec.containers[0].img" (line 8, column 5; did you mean image?)`. A path into something absent, or added
// by the node, gets the location of what surrounds it. If the spec cannot be read, the text stays unchanged.
std::string spec_location_explain(std::string_view refusal, std::string_view spec_text);

// " (did you mean FIELD? line L, column C says KEY)" if `mapping`, of that type of a Pod, has an unknown key similar to `field`; else
// empty.
std::string spec_location_near(const yaml_node *mapping, std::string_view type, std::string_view field);

} // namespace etlnode
