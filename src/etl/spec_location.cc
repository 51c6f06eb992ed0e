// SPDX-License-Identifier: MIT
// etl/spec_location.cc: finds the lines and columns of the user's spec for the field paths in a refusal.
//
// Owns     nothing: text in, text out.
// Knows    codec, kube/pod_schema.   Known by  etl_spec, role/proxy.
// The refusal may be an API server's or kubectl-local's. Both write paths as "spec.containers[0].env[2].name". The decoder writes them
// without indices ("Go struct field EnvVar.spec.containers.env.value").
#include "etl/spec_location.h"

#include <algorithm>
#include <vector>

#include "base/text.h"
#include "etl/spec_tree.h"
#include "kube/pod_schema.h"

namespace etlnode {

static constexpr size_t locations_max = 20; // in one refusal

static bool is_path_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
}

// The path that begins at `at`, including its brackets; empty if there is none.
static std::string_view path_at(std::string_view text, size_t at)
{
    std::string_view rest = text.substr(at);
    if (!rest.starts_with("spec.") && !rest.starts_with("metadata.") && !rest.starts_with("spec:"))
        return {};
    size_t end = 0;
    while (end < rest.size() && (is_path_char(rest[end]) || rest[end] == '[')) {
        size_t close = rest[end] == '[' ? rest.find(']', end) : end;
        if (close == std::string_view::npos)
            break;
        end = close + 1;
    }
    return rest.substr(0, end);
}

// Takes the next step, ".name" or "[key]", from a path.
static std::string_view next_step(std::string_view &path)
{
    bool is_bracket = path.starts_with('[');
    path.remove_prefix(path.starts_with('.') || is_bracket ? 1 : 0);
    size_t end = std::min(is_bracket ? path.find(']') : path.find_first_of(".["), path.size());
    std::string_view step = path.substr(0, end);
    path.remove_prefix(std::min(end + (is_bracket ? 1 : 0), path.size()));
    return step;
}

// The location of the path, or of the deepest part of it that exists.
static std::string source_location_of(const yaml_node &root, std::string_view path)
{
    const yaml_node *at = &root;
    const yaml_node *shown = &root;
    while (!path.empty()) {
        std::string_view step = next_step(path);
        uint64_t index = 0;
        if (at->kind == yaml_kind::sequence && text_parse_u64(step, index) && index < at->values.size()) {
            at = shown = at->values[index].get();
            continue;
        }
        const yaml_node *key = spec_key(at, step);
        if (key == nullptr)
            break;
        shown = key;
        at = yaml_get(at, step);
    }
    return yaml_location(*shown);
}

static bool is_called(const yaml_node &node, std::string_view word)
{
    if (node.kind != yaml_kind::scalar)
        return word == (node.kind == yaml_kind::sequence ? "array" : "object");
    switch (node.type) {
    case yaml_type::null: return false;
    case yaml_type::boolean: return word == "bool";
    case yaml_type::integer:
    case yaml_type::real: return word == "number";
    case yaml_type::text: return word == "string";
    }
    return false;
}

// The first value of that kind below any element of the lists on the path, because the decoder says neither which element nor where.
static const yaml_node *first_called(const yaml_node &at, std::string_view path, std::string_view word)
{
    if (path.empty() && is_called(at, word))
        return &at;
    if (at.kind == yaml_kind::sequence || (path.empty() && at.kind == yaml_kind::mapping)) {
        for (const yaml_ptr &value : at.values) {
            if (const yaml_node *found = first_called(*value, path, word))
                return found;
        }
        return nullptr;
    }
    if (path.empty())
        return nullptr;
    std::string_view step = next_step(path);
    const yaml_node *next = yaml_get(&at, step);
    return next != nullptr ? first_called(*next, path, word) : nullptr;
}

static std::string_view word_after(std::string_view text, std::string_view before)
{
    size_t at = text.find(before);
    if (at == std::string_view::npos)
        return {};
    std::string_view rest = text.substr(at + before.size());
    return rest.substr(0, rest.find(' '));
}

static std::string explain_decoder(std::string_view refusal, const yaml_node &root)
{
    std::string_view kind = word_after(refusal, "json: cannot unmarshal ");
    std::string_view where = word_after(refusal, " into Go struct field ");
    size_t dot = where.find('.');
    if (kind.empty() || dot == std::string_view::npos)
        return std::string(refusal);
    const yaml_node *found = first_called(root, where.substr(dot + 1), kind);
    return std::string(refusal) + (found != nullptr ? " (" + yaml_location(*found) + ")" : "");
}

// What may precede a path: nothing, "* ", "invalid: " and similar, or the quote of an unknown field.
static bool may_begin(std::string_view before)
{
    return before.empty() || before.ends_with('\n') || before.ends_with("* ") || before.ends_with(": ") ||
           before.ends_with("unknown field \"");
}

static std::string hint_of(std::string_view path)
{
    size_t dot = path.rfind('.');
    std::string_view parent = dot == std::string_view::npos ? std::string_view() : path.substr(0, dot);
    std::string_view nearest = pod_schema_nearest(pod_schema_type_at(parent), path.substr(dot == std::string_view::npos ? 0 : dot + 1));
    return nearest.empty() ? std::string() : "; did you mean " + std::string(nearest) + "?";
}

std::string spec_location_explain(std::string_view refusal, std::string_view spec_text)
{
    yaml_ptr tree;
    std::string where;
    if (yaml_parse(spec_text, tree, where))
        return std::string(refusal);
    if (refusal.find(" into Go struct field ") != std::string_view::npos)
        return explain_decoder(refusal, *tree);
    std::string out;
    size_t places = 0;
    for (size_t at = 0; at < refusal.size();) {
        std::string_view path = may_begin(refusal.substr(0, at)) && places < locations_max ? path_at(refusal, at) : std::string_view();
        bool is_unknown = refusal.substr(0, at).ends_with("unknown field \"");
        std::string_view rest = refusal.substr(at + path.size());
        if (path.empty() || !rest.starts_with(is_unknown ? "\"" : ":")) {
            out += refusal[at++];
            continue;
        }
        places++;
        at += path.size() + (is_unknown ? 1 : 0);
        out += std::string(path) + (is_unknown ? "\"" : "") + " (" + source_location_of(*tree, path);
        if (is_unknown && refusal.substr(at).starts_with(" (did you mean ")) { // the refusal already contains a suggestion
            out += "; ";
            at += 2;
            continue;
        }
        out += (is_unknown ? hint_of(path) : "") + ")";
    }
    return out;
}

std::string spec_location_near(const yaml_node *mapping, std::string_view type, std::string_view field)
{
    if (mapping == nullptr || mapping->kind != yaml_kind::mapping)
        return {};
    for (const yaml_ptr &key : mapping->keys) {
        if (pod_schema_type(type, key->text).empty() && pod_schema_nearest(type, key->text) == field)
            return " (did you mean " + std::string(field) + "? " + yaml_location(*key) + " says " + text_escape(key->text, 80) + ")";
    }
    return {};
}

} // namespace etlnode
