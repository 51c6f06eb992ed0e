// SPDX-License-Identifier: MIT
// etl/spec_choice.h: reads one of the user's choices (etl_definition.h) from the tree of a spec.
#pragma once

#include <string>
#include <string_view>

#include "codec/yaml.h"
#include "etl/etl_definition.h"

namespace etlnode {

// Reads `value`, an annotation or a field of a message, as `choice`. `name` is its name there, for error texts. Values that mean "the
// default" to AIStore change nothing: 0 and "" as a duration, "" as a communication type.
error spec_read_choice(
    const etl_choice &choice, const yaml_node &value, std::string_view name, etl_config &config, std::string &out_reason);

} // namespace etlnode
