// SPDX-License-Identifier: MIT
// codec/yaml_scalar.h: what a plain scalar means, for the reader and the printer of YAML.
#pragma once

#include <string>
#include <string_view>

#include "codec/yaml.h"

namespace etlnode {

struct yaml_scalar {
    yaml_type type = yaml_type::text;
    std::string json = {};   // a number's JSON token; "true", "false", "null"; unused for text
    bool not_finite = false; // .inf and .nan, for which JSON has no token
};

// YAML 1.1 as kubectl's library reads it, which is not YAML 1.1 to the letter: test/golden/yaml shows where.
yaml_scalar yaml_scalar_resolve(std::string_view text);

} // namespace etlnode
