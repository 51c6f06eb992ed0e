// SPDX-License-Identifier: MIT
// codec/yaml_scalar.h: the meaning of a plain scalar, for YAML's reader and printer.
#pragma once

#include <string>
#include <string_view>

#include "codec/yaml.h"

namespace etlnode {

struct yaml_scalar {
    yaml_type type = yaml_type::text;
    std::string json = {};   // a number's JSON token; "true", "false", "null"; unused for text
    bool not_finite = false; // .inf and .nan, which have no JSON token
};

// YAML 1.1 as kubectl's library reads it. It deviates from the standard in places; test/golden/yaml shows where.
yaml_scalar yaml_scalar_resolve(std::string_view text);

} // namespace etlnode
