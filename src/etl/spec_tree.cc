// SPDX-License-Identifier: MIT
// etl/spec_tree.cc: reads values of a spec, and refuses them with their location.
//
// Knows    codec.                    Known by  etl_spec, etl_message, etl_pod.
// Limits   those of yaml_parse.
#include "etl/spec_tree.h"

#include "base/limits.h"
#include "base/text.h"

namespace etlnode {

error spec_refuse(const yaml_node &at, const std::string &what, std::string_view expected, std::string &out_reason)
{
    out_reason = yaml_location(at) + ": " + what + ", expected " + std::string(expected);
    return make_error(error_code::bad_spec);
}

error spec_document_parse(std::string_view text, spec_document &out_document, std::string &out_reason)
{
    out_document = spec_document();
    if (error err = yaml_parse(text, out_document.tree, out_reason))
        return make_error(error_code::bad_spec);
    out_document.json = yaml_to_json(*out_document.tree);
    return no_error;
}

error spec_document_parse_json(std::string_view text, spec_document &out_document, std::string &out_reason)
{
    json_ptr tree;
    if (text.size() <= spec_size_max) {
        if (error err = json_parse(text, tree, out_reason))
            return make_error(error_code::bad_spec);
    }
    return spec_document_parse(text, out_document, out_reason);
}

json_ptr spec_parse_exactly(const std::string &text)
{
    yaml_ptr tree;
    json_ptr out;
    std::string where;
    if (!yaml_parse(text, tree, where))
        return yaml_to_json(*tree);
    if (error err = json_parse(text, out, where)) // beyond the limits of JSON, as a spec whose aliases were expanded may be
        return json_ptr();
    return out;
}

bool spec_is_absent(const yaml_node *node) { return node == nullptr || (node->kind == yaml_kind::scalar && node->type == yaml_type::null); }

bool spec_is_text(const yaml_node *node) { return node != nullptr && node->kind == yaml_kind::scalar && node->type == yaml_type::text; }

bool spec_is_empty(const yaml_node *node)
{
    if (spec_is_absent(node))
        return true;
    return node->kind == yaml_kind::scalar ? node->type == yaml_type::text && node->text.empty() : node->values.empty();
}

static constexpr size_t short_key_size = 4; // every second word is two edits away from so short a key

error spec_check_key(const yaml_node &key, std::string_view what, std::span<const std::string_view> known,
    std::span<const spec_misnomer> misnomers, std::vector<std::string> &warnings, std::string &out_reason)
{
    std::string lower = text_lower(std::string_view(key.text).substr(0, 64)); // longer than any known key
    std::string_view meant;
    for (const spec_misnomer &row : misnomers) {
        if (lower == row.wrong)
            meant = row.right;
    }
    for (std::string_view one : known) {
        if (key.text == one)
            return no_error;
        if (meant.empty() && text_is_near(lower, one, one.size() <= short_key_size ? 1 : 2))
            meant = one;
    }
    std::string name = std::string(what) + " \"" + text_escape(key.text, 64) + "\"";
    if (!meant.empty())
        return spec_refuse(key, "unknown " + name, std::string(meant), out_reason);
    spec_warn(warnings, yaml_location(key) + ": " + name + " is not known here and has no effect");
    return no_error;
}

void spec_warn(std::vector<std::string> &warnings, std::string text)
{
    if (warnings.size() >= warnings_max)
        return;
    warnings.push_back(warnings.size() + 1 == warnings_max ? "further warnings are omitted" : std::move(text));
}

const yaml_node *spec_key(const yaml_node *mapping, std::string_view key)
{
    if (mapping == nullptr || mapping->kind != yaml_kind::mapping)
        return nullptr;
    for (const yaml_ptr &candidate : mapping->keys) {
        if (candidate->text == key)
            return candidate.get();
    }
    return nullptr;
}

std::string spec_near_miss(const yaml_node *mapping, std::string_view field)
{
    if (mapping == nullptr || mapping->kind != yaml_kind::mapping || spec_key(mapping, field) != nullptr)
        return {};
    for (const yaml_ptr &key : mapping->keys) {
        if (text_is_near(text_lower(std::string_view(key->text).substr(0, 64)), text_lower(field), 2))
            return " (did you mean " + std::string(field) + "? " + yaml_location(*key) + " says " + text_escape(key->text, 80) + ")";
    }
    return {};
}

std::string spec_words(const yaml_node *node)
{
    if (node == nullptr)
        return "missing";
    if (node->kind == yaml_kind::sequence)
        return "a list";
    if (node->kind == yaml_kind::mapping)
        return "a mapping";
    std::string value = text_escape(node->text, 80);
    switch (node->type) {
    case yaml_type::null: return "null";
    case yaml_type::boolean: return "the boolean " + value;
    case yaml_type::integer:
    case yaml_type::real: return "the number " + value;
    case yaml_type::text: break;
    }
    return "\"" + value + "\"";
}

error spec_read_duration(const yaml_node &node, std::string_view name, uint64_t max_ms, uint64_t &out_ms, std::string &out_reason)
{
    uint64_t ms = 0;
    if (!spec_is_text(&node) || !text_parse_duration_ms(node.text, ms) || ms == 0 || ms > max_ms)
        return spec_refuse(node, std::string(name) + " is " + spec_words(&node),
            "a duration above 0 and up to " + text_duration(max_ms) + ", such as \"30s\" or \"1m30s\"", out_reason);
    out_ms = ms;
    return no_error;
}

} // namespace etlnode
