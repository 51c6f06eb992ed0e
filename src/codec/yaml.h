// SPDX-License-Identifier: MIT
// codec/yaml.h: parses YAML with libyaml to a small tree that keeps each node's location. Size, depth, nodes and aliases are bounded.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "codec/json.h"

namespace etlnode {

enum class yaml_kind : uint8_t { scalar, sequence, mapping };
// The meaning of a plain scalar, resolved as kubectl does (YAML 1.1: y/yes/on are booleans, 0644 is 420, ~ is null).
enum class yaml_type : uint8_t { null, boolean, integer, real, text };

struct yaml_node {
    yaml_kind kind = yaml_kind::scalar;
    yaml_type type = yaml_type::text;
    std::string text;                               // the scalar as written, without escapes
    std::vector<std::unique_ptr<yaml_node>> keys;   // mapping
    std::vector<std::unique_ptr<yaml_node>> values; // mapping and sequence
    size_t line = 0;                                // from 1
    size_t column = 0;                              // from 1
};
using yaml_ptr = std::unique_ptr<yaml_node>;

// Parses one document. Text that opens like a JSON object is read as JSON. Aliases become copies. Merge keys are applied in the order
// written, as kubectl applies them. Documents without content do not count.
// Refused with bad_spec and `out_where` = "line L, column C: <what is wrong, what was expected>": syntax errors (in libyaml's words, such
// as "could not find expected ':'"), no document, several documents, duplicate keys, invalid UTF-8, null or a container as a key, .inf and
// .nan, tags other than the core ones. The limits in base/limits.h are spec_size_max, yaml_depth_max, yaml_node_count_max,
// yaml_alias_count_max and yaml_text_size_max.
error yaml_parse(std::string_view text, yaml_ptr &out_tree, std::string &out_where);

// The value of a mapping's key, found by the key's JSON name (`on: x` is found as "true"); null if absent or if the node is not a mapping.
const yaml_node *yaml_get(const yaml_node *mapping, std::string_view key);
// "line 3, column 5"
std::string yaml_location(const yaml_node &node);
// The JSON that kubectl would read. Numbers stay numbers (64-bit integers exact), booleans stay booleans, other keys become strings.
json_ptr yaml_to_json(const yaml_node &node);
// Prints a JSON tree as block-style YAML, for `-o yaml`. Quotes strings that would be read as another type.
std::string yaml_print(const cJSON *tree);

} // namespace etlnode
