// SPDX-License-Identifier: MIT
// etl/spec_tree.h: a spec document, YAML or JSON, as one kind of tree whose nodes know their place; refusals that say where.
// Used by etl_spec.cc, etl_init.cc and etl_pod.cc only.
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
    json_ptr json; // the same content, as kubectl would have read it
};

// YAML or JSON. Refused with bad_spec and "line L, column C: ..." for whatever yaml_parse refuses (codec/yaml.h).
error spec_document_parse(std::string_view text, spec_document &out_document, std::string &out_reason);
// As above, JSON only.
error spec_document_parse_json(std::string_view text, spec_document &out_document, std::string &out_reason);

// JSON that was printed here before. Numbers keep all their digits, which json_parse cannot promise. Null when it is damaged.
json_ptr spec_parse_exactly(const std::string &text);

// bad_spec and out_reason = "line L, column C: <what>, expected <expected>".
error spec_refuse(const yaml_node &at, const std::string &what, std::string_view expected, std::string &out_reason);

// " (did you mean FIELD? line L, column C says KEY)" where `field` is not in `mapping` and a key is two edits away; else empty.
std::string spec_near_miss(const yaml_node *mapping, std::string_view field);
bool spec_is_absent(const yaml_node *node); // null pointer or a null value
bool spec_is_empty(const yaml_node *node);  // absent, or a list or mapping without entries, or the empty text
bool spec_is_text(const yaml_node *node);
// One more warning; at most warnings_max.
void spec_warn(std::vector<std::string> &warnings, std::string text);
// What people write for a key, beyond what a slip of the hand makes of it.
struct spec_misnomer {
    std::string_view wrong, right;
};
// A key that is none of `known` is refused, at its place, where it is a near miss of one of them or a misnomer; else the node goes on without it
// and a warning says so. `what` is what the key is one of: "annotation", "key of runtime".
error spec_check_key(const yaml_node &key, std::string_view what, std::span<const std::string_view> known,
    std::span<const spec_misnomer> misnomers, std::vector<std::string> &warnings, std::string &out_reason);
// The key's own node, for refusing the key; null when absent.
const yaml_node *spec_key(const yaml_node *mapping, std::string_view key);
// What a node is, for people: `the number 80`, `the text "80"`, `a list`, `null`, `missing`.
std::string spec_words(const yaml_node *node);
// A duration as Go writes it, above 0 and at most `max_ms`; `name` is the field's, for the refusal.
error spec_read_duration(const yaml_node &node, std::string_view name, uint64_t max_ms, uint64_t &out_ms, std::string &out_reason);

} // namespace etlnode
