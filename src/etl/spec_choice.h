// SPDX-License-Identifier: MIT
// etl/spec_choice.h: one choice of the user (etl_definition.h), read from the tree of a spec.
#pragma once

#include <string>
#include <string_view>

#include "codec/yaml.h"
#include "etl/etl_definition.h"

namespace etlnode {

// `value` stands for `choice` in an annotation or in a field of a message; `name` is its name there, for the refusal. What means "the default" to
// AIStore changes nothing: 0 and "" as a duration, "" as a communication type.
error spec_read_choice(
    const etl_choice &choice, const yaml_node &value, std::string_view name, etl_config &config, std::string &out_reason);

} // namespace etlnode
