// SPDX-License-Identifier: MIT
// codec/yaml.cc: turns libyaml's events into a tree that knows lines and columns, and that tree into JSON.
//
// Owns     trees through yaml_ptr.
// Knows    base, json, libyaml.      Known by  etl, etlnode (configuration), etlctl.
// Order    it counts events as they arrive, so that excessive depth, nodes and aliases are refused before they use memory. Aliases become
//          copies. A mapping is completed (duplicate keys, merge keys) at its end.
// Limits   spec_size_max, yaml_depth_max, yaml_node_count_max, yaml_alias_count_max, yaml_text_size_max.
#include "codec/yaml.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "base/check.h"
#include "base/limits.h"
#include "base/text.h"
#include "codec/source_location.h"
#include "codec/yaml_builder.h"
#include "codec/yaml_scalar.h"

namespace etlnode {

static_assert(json_depth_max <= yaml_depth_max, "a spec written as JSON is judged by the JSON reader");

// The JSON token of a node that is not text.
static std::string scalar_token(const yaml_node &node)
{
    yaml_scalar r = yaml_scalar_resolve(node.text);
    // `!!float 5` and JSON's 1e2: the type decides, even if the token looks like an integer.
    return r.type == yaml_type::text ? "null" : r.json;
}

// The JSON name of a key.
static std::string key_text(const yaml_node &key)
{
    return key.kind == yaml_kind::scalar && key.type != yaml_type::text ? scalar_token(key) : key.text;
}

// ---- building the tree

error yaml_refuse_at(yaml_builder &b, size_t line, size_t column, std::string_view problem)
{
    *b.where = text_format("line %zu, column %zu: ", line, column) + std::string(problem);
    return make_error(error_code::bad_spec);
}

static error refuse_mark(yaml_builder &b, const yaml_mark_t &mark, std::string_view problem)
{
    return yaml_refuse_at(b, mark.line + 1, mark.column + 1, problem);
}

static error refuse_node(yaml_builder &b, const yaml_node &node, std::string_view problem)
{
    return yaml_refuse_at(b, node.line, node.column, problem);
}

// Counts a node and its text before any memory is used for them.
error yaml_count_node(yaml_builder &b, size_t line, size_t column, size_t text_size)
{
    if (++b.node_count > yaml_node_count_max)
        return yaml_refuse_at(b, line, column, text_format("more than %zu values, aliases included", yaml_node_count_max));
    b.text_size += text_size;
    if (b.text_size > yaml_text_size_max)
        return yaml_refuse_at(b, line, column, text_format("more than %zu bytes of text, aliases included", yaml_text_size_max));
    return no_error;
}

static error check_depth(yaml_builder &b, size_t depth, size_t line, size_t column)
{
    if (depth > yaml_depth_max)
        return yaml_refuse_at(b, line, column, text_format("nested deeper than %zu levels", yaml_depth_max));
    return no_error;
}

static bool is_merge_key(const yaml_node &key) { return key.kind == yaml_kind::scalar && key.type == yaml_type::null && key.text == "<<"; }

static error copy_node(yaml_builder &b, const yaml_node &from, size_t depth, size_t line, size_t column, yaml_ptr &out_node)
{
    if (error err = yaml_count_node(b, line, column, from.text.size()))
        return err;
    if (from.kind != yaml_kind::scalar)
        if (error err = check_depth(b, depth + 1, line, column))
            return err;
    yaml_ptr copy(new yaml_node);
    copy->kind = from.kind;
    copy->type = from.type;
    copy->text = from.text;
    copy->line = from.line;
    copy->column = from.column;
    for (const yaml_ptr &key : from.keys) {
        yaml_ptr made;
        if (error err = copy_node(b, *key, depth + 1, line, column, made))
            return err;
        copy->keys.push_back(std::move(made));
    }
    for (const yaml_ptr &value : from.values) {
        yaml_ptr made;
        if (error err = copy_node(b, *value, depth + 1, line, column, made))
            return err;
        copy->values.push_back(std::move(made));
    }
    out_node = std::move(copy);
    return no_error;
}

// Sorts keys by their JSON name, so that duplicates become neighbours.
error yaml_check_duplicates(yaml_builder &b, const yaml_node &mapping)
{
    std::vector<std::pair<std::string, size_t>> names;
    names.reserve(mapping.keys.size());
    for (size_t i = 0; i < mapping.keys.size(); i++)
        names.emplace_back(is_merge_key(*mapping.keys[i]) ? std::string(1, '\0') : key_text(*mapping.keys[i]), i);
    std::sort(names.begin(), names.end());
    for (size_t i = 1; i < names.size(); i++) {
        if (names[i].first != names[i - 1].first)
            continue;
        const yaml_node &first = *mapping.keys[names[i - 1].second];
        const yaml_node &second = *mapping.keys[names[i].second];
        std::string name = text_escape(second.text, 64);
        return refuse_node(b, second, text_format("duplicate key \"%s\", first at %s", name.c_str(), yaml_location(first).c_str()));
    }
    return no_error;
}

using key_index = std::map<std::string, size_t, std::less<>>;

// Sets a key of `mapping`, and replaces the value of an equal key.
static void set_key(yaml_builder &b, yaml_node &mapping, key_index &index, yaml_ptr key, yaml_ptr value)
{
    auto [at, is_new] = index.try_emplace(key_text(*key), mapping.keys.size());
    if (is_new) {
        mapping.keys.push_back(std::move(key));
        mapping.values.push_back(std::move(value));
        return;
    }
    std::swap(mapping.values[at->second], value);
    b.replaced.push_back(std::move(value));
}

static error merge_from(yaml_builder &b, yaml_node &mapping, key_index &index, const yaml_node &source)
{
    for (size_t i = 0; i < source.keys.size(); i++) {
        yaml_ptr key, value;
        if (error err = copy_node(b, *source.keys[i], b.stack.size(), source.line, source.column, key))
            return err;
        if (error err = copy_node(b, *source.values[i], b.stack.size(), source.line, source.column, value))
            return err;
        set_key(b, mapping, index, std::move(key), std::move(value));
    }
    return no_error;
}

// Applies `<<` keys as kubectl's library does, in the order written: a key after `<<` wins, and a key before it is overwritten. In a list
// of mappings the earlier one wins.
static error apply_merges(yaml_builder &b, yaml_node &mapping)
{
    std::vector<yaml_ptr> keys = std::move(mapping.keys);
    std::vector<yaml_ptr> values = std::move(mapping.values);
    mapping.keys.clear();
    mapping.values.clear();
    key_index index;
    for (size_t i = 0; i < keys.size(); i++) {
        if (!is_merge_key(*keys[i])) {
            set_key(b, mapping, index, std::move(keys[i]), std::move(values[i]));
            continue;
        }
        const yaml_node &value = *values[i];
        b.replaced.push_back(std::move(values[i]));
        bool fits = value.kind != yaml_kind::scalar;
        if (value.kind == yaml_kind::sequence)
            for (const yaml_ptr &element : value.values)
                fits = fits && element->kind == yaml_kind::mapping;
        if (!fits)
            return refuse_node(b, value, "a merge key needs a mapping or a list of mappings");
        size_t count = value.kind == yaml_kind::mapping ? 1 : value.values.size();
        for (size_t j = count; j > 0; j--)
            if (error err = merge_from(b, mapping, index, value.kind == yaml_kind::mapping ? value : *value.values[j - 1]))
                return err;
    }
    return no_error;
}

static error finish_mapping(yaml_builder &b, yaml_node &mapping)
{
    if (error err = yaml_check_duplicates(b, mapping))
        return err;
    for (const yaml_ptr &key : mapping.keys)
        if (is_merge_key(*key))
            return apply_merges(b, mapping);
    return no_error;
}

static error check_key(yaml_builder &b, const yaml_node &key)
{
    if (key.kind != yaml_kind::scalar)
        return refuse_node(b, key, "a mapping or a list as a key, text expected");
    if (key.type == yaml_type::null && !is_merge_key(key))
        return refuse_node(b, key, "null as a key, text expected; quote it if it is meant as text");
    return no_error;
}

// Hands a finished scalar or copy, or a container still to be filled, to its parent. `out_node`: its final location.
static error attach_node(yaml_builder &b, yaml_ptr node, yaml_node *&out_node)
{
    out_node = node.get();
    if (b.stack.empty()) {
        b.root = std::move(node);
        return no_error;
    }
    yaml_frame &top = b.stack.back();
    if (top.node->kind == yaml_kind::sequence) {
        top.node->values.push_back(std::move(node));
    } else if (top.key == nullptr) {
        if (error err = check_key(b, *node))
            return err;
        top.key = std::move(node);
    } else {
        top.node->keys.push_back(std::move(top.key));
        top.node->values.push_back(std::move(node));
    }
    return no_error;
}

static std::string_view text_of(const yaml_char_t *text)
{
    return text == nullptr ? std::string_view() : reinterpret_cast<const char *>(text);
}

// The slot of a node's anchor, or null if it has none. A name that is used again refers to the new node from here on.
static yaml_anchor *name_node(yaml_builder &b, const yaml_char_t *name, const yaml_node *node, bool finished)
{
    if (name == nullptr)
        return nullptr;
    yaml_anchor &slot = b.anchors[std::string(text_of(name))];
    slot = {.node = node, .finished = finished};
    return &slot;
}

// ---- tags

static constexpr std::string_view tag_prefix = "tag:yaml.org,2002:";

static error refuse_tag(yaml_builder &b, const yaml_mark_t &mark, std::string_view tag)
{
    std::string shown = tag.starts_with(tag_prefix) ? "!!" + std::string(tag.substr(tag_prefix.size())) : std::string(tag);
    static constexpr const char *problem = "tag %s is not supported, expected !!str, !!int, !!float, !!bool, !!null or !!binary";
    return refuse_mark(b, mark, text_format(problem, text_escape(shown, 64).c_str()));
}

static const char *type_name(yaml_type type)
{
    switch (type) {
    case yaml_type::null: return "null";
    case yaml_type::boolean: return "a boolean";
    case yaml_type::integer: return "an integer";
    case yaml_type::real: return "a number";
    case yaml_type::text: return "text";
    }
    return "";
}

static error apply_tag(yaml_builder &b, const yaml_mark_t &mark, std::string_view tag, yaml_node &node)
{
    std::string_view name = tag.starts_with(tag_prefix) ? tag.substr(tag_prefix.size()) : std::string_view();
    if (name == "str" || tag == "!") {
        node.type = yaml_type::text;
        return no_error;
    }
    if (name == "binary") {
        std::string packed, bytes;
        for (char c : node.text)
            if (c != '\n' && c != '\r')
                packed += c;
        if (!base64_decode(packed, bytes))
            return refuse_mark(b, mark, "!!binary that is not base64");
        if (!text_is_utf8(bytes))
            return refuse_mark(b, mark, "!!binary that is not UTF-8 text, which JSON cannot hold");
        node.text = std::move(bytes);
        node.type = yaml_type::text;
        return no_error;
    }
    yaml_type wanted = yaml_type::text;
    if (name == "int")
        wanted = yaml_type::integer;
    else if (name == "float")
        wanted = yaml_type::real;
    else if (name == "bool")
        wanted = yaml_type::boolean;
    else if (name == "null")
        wanted = yaml_type::null;
    else
        return refuse_tag(b, mark, tag);
    yaml_scalar r = yaml_scalar_resolve(node.text);
    bool widened = wanted == yaml_type::real && r.type == yaml_type::integer;
    if (r.type != wanted && !widened)
        return refuse_mark(b, mark,
            text_format("\"%s\" is %s, its tag says %s", text_escape(node.text, 64).c_str(), type_name(r.type), type_name(wanted)));
    node.type = wanted;
    return no_error;
}

// ---- events

static error on_scalar(yaml_builder &b, const yaml_event_t &event)
{
    const yaml_mark_t &mark = event.start_mark;
    std::string_view value(reinterpret_cast<const char *>(event.data.scalar.value), event.data.scalar.length);
    if (error err = yaml_count_node(b, mark.line + 1, mark.column + 1, value.size()))
        return err;
    if (value.find('\0') != std::string_view::npos)
        return refuse_mark(b, mark, "a NUL character");
    yaml_ptr node(new yaml_node{.text = std::string(value), .keys = {}, .values = {}, .line = mark.line + 1, .column = mark.column + 1});
    bool is_key = !b.stack.empty() && b.stack.back().node->kind == yaml_kind::mapping && b.stack.back().key == nullptr;
    bool plain = event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE && event.data.scalar.plain_implicit;
    if (event.data.scalar.tag != nullptr) {
        if (error err = apply_tag(b, mark, text_of(event.data.scalar.tag), *node))
            return err;
    } else if (plain && is_key && value == "<<") {
        node->type = yaml_type::null; // marks it as a merge key; a quoted "<<" is text
    } else if (plain) {
        node->type = yaml_scalar_resolve(value).type;
    }
    if (node->type == yaml_type::real && yaml_scalar_resolve(value).not_finite)
        return refuse_mark(b, mark, text_format("%s, which JSON cannot hold; quote it if it is meant as text", node->text.c_str()));
    yaml_node *at = nullptr;
    if (error err = attach_node(b, std::move(node), at))
        return err;
    name_node(b, event.data.scalar.anchor, at, true);
    return no_error;
}

static error on_alias(yaml_builder &b, const yaml_event_t &event)
{
    const yaml_mark_t &mark = event.start_mark;
    std::string_view name = text_of(event.data.alias.anchor);
    if (++b.alias_count > yaml_alias_count_max)
        return refuse_mark(b, mark, text_format("more than %zu aliases", yaml_alias_count_max));
    auto found = b.anchors.find(name);
    if (found == b.anchors.end())
        return refuse_mark(b, mark, text_format("unknown anchor \"%s\"", text_escape(name, 64).c_str()));
    if (!found->second.finished)
        return refuse_mark(b, mark, text_format("anchor \"%s\" contains itself", text_escape(name, 64).c_str()));
    yaml_ptr copy;
    if (error err = copy_node(b, *found->second.node, b.stack.size(), mark.line + 1, mark.column + 1, copy))
        return err;
    yaml_node *at = nullptr;
    return attach_node(b, std::move(copy), at);
}

static error on_container(yaml_builder &b, const yaml_mark_t &mark, yaml_kind kind, const yaml_char_t *tag, const yaml_char_t *name)
{
    if (error err = yaml_count_node(b, mark.line + 1, mark.column + 1, 0))
        return err;
    if (error err = check_depth(b, b.stack.size() + 1, mark.line + 1, mark.column + 1))
        return err;
    std::string_view expected_tag = kind == yaml_kind::mapping ? "tag:yaml.org,2002:map" : "tag:yaml.org,2002:seq";
    if (tag != nullptr && text_of(tag) != expected_tag && text_of(tag) != "!")
        return refuse_tag(b, mark, text_of(tag));
    yaml_ptr node(new yaml_node{.kind = kind, .text = {}, .keys = {}, .values = {}, .line = mark.line + 1, .column = mark.column + 1});
    yaml_node *at = nullptr;
    if (error err = attach_node(b, std::move(node), at))
        return err;
    b.stack.push_back({.node = at, .named = name_node(b, name, at, false)});
    return no_error;
}

static error on_container_end(yaml_builder &b)
{
    yaml_frame top = std::move(b.stack.back());
    b.stack.pop_back();
    if (top.node->kind == yaml_kind::mapping)
        if (error err = finish_mapping(b, *top.node))
            return err;
    if (top.named != nullptr && top.named->node == top.node)
        top.named->finished = true;
    return no_error;
}

// A document without content ("---" at the end of a file, or only comments) does not count.
static bool is_empty_scalar(const yaml_event_t &event)
{
    return event.type == YAML_SCALAR_EVENT && event.data.scalar.length == 0 && event.data.scalar.plain_implicit &&
           event.data.scalar.tag == nullptr && event.data.scalar.anchor == nullptr;
}

static error on_event(yaml_builder &b, const yaml_event_t &event)
{
    bool is_node = event.type == YAML_SCALAR_EVENT || event.type == YAML_ALIAS_EVENT || event.type == YAML_SEQUENCE_START_EVENT ||
                   event.type == YAML_MAPPING_START_EVENT;
    if (is_node && b.stack.empty()) {
        if (is_empty_scalar(event))
            return no_error;
        if (b.result != nullptr)
            return refuse_mark(b, b.document_start, "a second document starts here, one expected");
    }
    switch (event.type) {
    case YAML_DOCUMENT_START_EVENT: b.document_start = event.start_mark; return no_error;
    case YAML_DOCUMENT_END_EVENT:
        if (b.root != nullptr)
            b.result = std::move(b.root);
        b.anchors.clear();
        return no_error;
    case YAML_SCALAR_EVENT: return on_scalar(b, event);
    case YAML_ALIAS_EVENT: return on_alias(b, event);
    case YAML_SEQUENCE_START_EVENT:
        return on_container(b, event.start_mark, yaml_kind::sequence, event.data.sequence_start.tag, event.data.sequence_start.anchor);
    case YAML_MAPPING_START_EVENT:
        return on_container(b, event.start_mark, yaml_kind::mapping, event.data.mapping_start.tag, event.data.mapping_start.anchor);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: return on_container_end(b);
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT: return no_error;
    }
    return no_error;
}

static error refuse_syntax(yaml_builder &b, const yaml_parser_t &parser)
{
    std::string problem = parser.problem != nullptr ? parser.problem : "not YAML";
    if (parser.error == YAML_READER_ERROR) {
        size_t line, column;
        source_location_find(b.text, parser.problem_offset, line, column);
        return yaml_refuse_at(b, line, column, problem);
    }
    size_t line, column;
    if (source_location_find_tab(b.text, parser.problem_mark.line + 1, line, column)) // the commonest cause, for which libyaml has no words
        return yaml_refuse_at(b, line, column, "a tab; YAML is indented with spaces");
    if (parser.context != nullptr)
        problem += text_format(
            " (%s at line %zu, column %zu)", parser.context, parser.context_mark.line + 1, parser.context_mark.column + 1);
    return refuse_mark(b, parser.problem_mark, problem);
}

static error read_events(yaml_builder &b, yaml_parser_t &parser)
{
    while (true) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event))
            return refuse_syntax(b, parser);
        bool last = event.type == YAML_STREAM_END_EVENT;
        error err = on_event(b, event);
        yaml_event_delete(&event);
        if (err || last)
            return err;
    }
}

static error refuse_empty(yaml_builder &b) { return yaml_refuse_at(b, 1, 1, "there is nothing, expected a YAML document"); }

static error parse_yaml(yaml_builder &b)
{
    yaml_parser_t parser;
    int made = yaml_parser_initialize(&parser);
    CHECK(made != 0);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, reinterpret_cast<const unsigned char *>(b.text.data()), b.text.size());
    error err = read_events(b, parser);
    yaml_parser_delete(&parser);
    if (err)
        return err;
    if (b.result == nullptr)
        return refuse_empty(b);
    return no_error;
}

error yaml_parse(std::string_view text, yaml_ptr &out_tree, std::string &out_where)
{
    out_tree.reset();
    if (text.starts_with("\xef\xbb\xbf"))
        text.remove_prefix(3);
    yaml_builder b{.text = text, .where = &out_where};
    if (text.size() > spec_size_max)
        return yaml_refuse_at(b, 1, 1, text_format("larger than %zu bytes", spec_size_max));
    if (!text_is_utf8(text)) {
        size_t line, column;
        source_location_find(text, source_location_utf8_size(text), line, column);
        return yaml_refuse_at(b, line, column, "not UTF-8");
    }
    if (text.empty()) // libyaml does not accept a null pointer
        return refuse_empty(b);
    size_t first = text.find_first_not_of(" \t\r\n");
    if (first != std::string_view::npos && text[first] == '{') {
        bool is_json = false;
        error err = yaml_build_json(b, is_json);
        // YAML's own braces need no quotes. A text that opens like JSON is judged as JSON.
        size_t second = text.find_first_not_of(" \t\r\n", first + 1);
        bool looks_like_json = second == std::string_view::npos || text[second] == '"' || text[second] == '}';
        if (err && (is_json || looks_like_json))
            return err;
        if (!err) {
            out_tree = std::move(b.result);
            return no_error;
        }
    }
    if (error err = parse_yaml(b))
        return err;
    out_tree = std::move(b.result);
    out_where.clear();
    return no_error;
}

// ---- reading a tree

const yaml_node *yaml_get(const yaml_node *mapping, std::string_view key)
{
    if (mapping == nullptr || mapping->kind != yaml_kind::mapping)
        return nullptr;
    for (size_t i = 0; i < mapping->keys.size(); i++) {
        const yaml_node &candidate = *mapping->keys[i];
        if (candidate.type == yaml_type::text ? candidate.text == key : key_text(candidate) == key)
            return mapping->values[i].get();
    }
    return nullptr;
}

std::string yaml_location(const yaml_node &node) { return text_format("line %zu, column %zu", node.line, node.column); }

json_ptr yaml_to_json(const yaml_node &node)
{
    if (node.kind == yaml_kind::mapping) {
        json_ptr object = json_object();
        for (size_t i = 0; i < node.keys.size(); i++)
            json_add_tree(object.get(), key_text(*node.keys[i]).c_str(), yaml_to_json(*node.values[i]));
        return object;
    }
    if (node.kind == yaml_kind::sequence) {
        json_ptr array = json_array();
        for (const yaml_ptr &value : node.values)
            json_append(array.get(), yaml_to_json(*value));
        return array;
    }
    cJSON *item = nullptr;
    if (node.type == yaml_type::text)
        item = cJSON_CreateString(node.text.c_str());
    else if (node.type == yaml_type::null)
        item = cJSON_CreateNull();
    else if (node.type == yaml_type::boolean)
        item = cJSON_CreateBool(scalar_token(node) == "true");
    else
        item = cJSON_CreateRaw(scalar_token(node).c_str());
    CHECK(item != nullptr);
    return json_ptr(item);
}

} // namespace etlnode
