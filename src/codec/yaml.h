// SPDX-License-Identifier: MIT
// codec/yaml.h: libyaml to a small tree that knows where each node stood, with bounds on size, depth, nodes and aliases.
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
// What a plain scalar means, resolved as kubectl resolves it (YAML 1.1: y/yes/on are booleans, 0644 is 420, ~ is null).
enum class yaml_type : uint8_t { null, boolean, integer, real, text };

struct yaml_node {
    yaml_kind kind = yaml_kind::scalar;
    yaml_type type = yaml_type::text;
    std::string text;                               // scalar as written, unescaped
    std::vector<std::unique_ptr<yaml_node>> keys;   // mapping
    std::vector<std::unique_ptr<yaml_node>> values; // mapping and sequence
    size_t line = 0;                                // from 1
    size_t column = 0;                              // from 1
};
using yaml_ptr = std::unique_ptr<yaml_node>;

// One document. Refused, with bad_spec and `out_where` = "line L, column C: <what is wrong, what was expected>": syntax errors (libyaml's
// own words, e.g. "could not find expected ':'"), no document, several documents, duplicate keys, not UTF-8, over the limits of
// base/limits.h (spec_size_max, yaml_depth_max, yaml_node_count_max, yaml_alias_count_max, yaml_text_size_max), null or a container as a key,
// .inf and .nan, tags other than the core ones. Aliases become copies; merge keys are applied in the order written, as kubectl applies them;
// documents without content do not count. Text that opens like a JSON object is read as JSON.
error yaml_parse(std::string_view text, yaml_ptr &out_tree, std::string &out_where);

// The value of a key of a mapping, by the key's name in JSON (`on: x` is found as "true"); null when absent or not a mapping.
const yaml_node *yaml_get(const yaml_node *mapping, std::string_view key);
// "line 3, column 5"
std::string yaml_place(const yaml_node &node);
// The JSON that kubectl would have read: numbers stay numbers (64-bit integers exact), booleans booleans, non-string keys become strings.
json_ptr yaml_to_json(const yaml_node &node);
// A JSON tree as block-style YAML, for `-o yaml`. Strings that would be read as something else are quoted.
std::string yaml_print(const cJSON *tree);

} // namespace etlnode
