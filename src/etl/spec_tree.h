// SPDX-License-Identifier: MIT
// etl/spec_tree.h: a spec, YAML or JSON, as one kind of tree whose nodes know their location, and refusals that name it.
// Used only by etl_spec.cc, etl_message.cc and etl_pod.cc.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "codec/json.h"
#include "codec/yaml.h"
#include "node/api.h"

namespace etlnode {

struct spec_document {
    yaml_ptr tree; // for checks: every node with line and column
    json_ptr json; // the same content, as kubectl would read it
};

// Parses YAML or JSON. Refused with bad_spec and "line L, column C: ..." if yaml_parse refuses it (codec/yaml.h).
error spec_document_parse(std::string_view text, spec_document &out_document, std::string &out_reason);
// The same, for JSON only.
error spec_document_parse_json(std::string_view text, spec_document &out_document, std::string &out_reason);

// Parses JSON that this program printed. Unlike with json_parse, numbers keep all their digits. Null if it is damaged.
json_ptr spec_parse_exactly(const std::string &text);

// bad_spec and out_reason = "line L, column C: <what>, expected <expected>".
error spec_refuse(const yaml_node &at, const std::string &what, std::string_view expected, std::string &out_reason);

// " (did you mean FIELD? line L, column C says KEY)" if `mapping` lacks `field` but has a key two edits away; otherwise empty.
std::string spec_near_miss(const yaml_node *mapping, std::string_view field);
bool spec_is_absent(const yaml_node *node); // null pointer or a null value
bool spec_is_empty(const yaml_node *node);  // absent, a list or mapping without entries, or an empty text
bool spec_is_text(const yaml_node *node);
// Adds a warning; keeps at most warnings_max.
void spec_warn(std::vector<std::string> &warnings, std::string text);
// A wrong name that people use for a key although it is not a typing error.
struct spec_misnomer {
    std::string_view wrong, right;
};
// Checks a key that should be one of `known`. A near miss or a misnomer is refused at its location. Any other unknown key is ignored with a
// warning. `what` describes the keys: "annotation", "key of runtime".
error spec_check_key(const yaml_node &key, std::string_view what, std::span<const std::string_view> known,
    std::span<const spec_misnomer> misnomers, std::vector<std::string> &warnings, std::string &out_reason);
// The key's own node, for refusing the key; null if absent.
const yaml_node *spec_key(const yaml_node *mapping, std::string_view key);
// Describes a node for people: `the number 80`, `the text "80"`, `a list`, `null`, `missing`.
std::string spec_words(const yaml_node *node);
// Reads a duration as Go writes it, above 0 and at most `max_ms`. `name` is the field's name, for error texts.
error spec_read_duration(const yaml_node &node, std::string_view name, uint64_t max_ms, uint64_t &out_ms, std::string &out_reason);

} // namespace etlnode
