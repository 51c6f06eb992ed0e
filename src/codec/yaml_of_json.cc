// SPDX-License-Identifier: MIT
// codec/yaml_of_json.cc: builds the tree of a YAML text from a JSON text, with the line and column of each value.
//
// Knows    base, json.      Known by  yaml.cc.
// Normal   the JSON reader parses the text, so that tabs and escapes have their JSON meaning. A walk over the same text finds the
//          locations.
// Limits   yaml_node_count_max, yaml_text_size_max, json_depth_max.
#include "codec/yaml_builder.h"

#include <cstring>

#include "codec/json.h"
#include "codec/yaml_scalar.h"

namespace etlnode {

struct json_walk {
    yaml_builder *b = nullptr;
    size_t at = 0;
    size_t line = 1;
    size_t column = 1;
};

static void step(json_walk &w)
{
    char c = w.b->text[w.at++];
    if (c == '\n') {
        w.line++;
        w.column = 1;
    } else if ((static_cast<uint8_t>(c) & 0xc0) != 0x80) {
        w.column++;
    }
}

// Advances to the next byte of a value or key. Requires: json_parse accepted the text.
static void step_to_value(json_walk &w)
{
    while (w.at < w.b->text.size() && std::string_view(" \t\r\n,:").find(w.b->text[w.at]) != std::string_view::npos)
        step(w);
}

static std::string_view step_over_scalar(json_walk &w)
{
    size_t start = w.at;
    std::string_view text = w.b->text;
    if (text[w.at] == '"') {
        step(w);
        while (text[w.at] != '"') {
            if (text[w.at] == '\\')
                step(w);
            step(w);
        }
        step(w);
    } else {
        while (w.at < text.size() && std::string_view(" \t\r\n,:]}").find(text[w.at]) == std::string_view::npos)
            step(w);
    }
    return text.substr(start, w.at - start);
}

static error walk_text(json_walk &w, const char *value, yaml_ptr &out_node)
{
    step_to_value(w);
    if (error err = yaml_count_node(*w.b, w.line, w.column, strlen(value)))
        return err;
    out_node.reset(new yaml_node{.text = value, .keys = {}, .values = {}, .line = w.line, .column = w.column});
    step_over_scalar(w);
    return no_error;
}

static error walk_value(json_walk &w, const cJSON *item, yaml_ptr &out_node);

static error walk_container(json_walk &w, const cJSON *item, yaml_node &node)
{
    step(w);
    for (const cJSON *child = item->child; child != nullptr; child = child->next) {
        yaml_ptr key, value;
        if (node.kind == yaml_kind::mapping) {
            if (error err = walk_text(w, child->string, key))
                return err;
            node.keys.push_back(std::move(key));
        }
        if (error err = walk_value(w, child, value))
            return err;
        node.values.push_back(std::move(value));
    }
    step_to_value(w);
    step(w);
    return node.kind == yaml_kind::mapping ? yaml_check_duplicates(*w.b, node) : no_error;
}

static error walk_value(json_walk &w, const cJSON *item, yaml_ptr &out_node)
{
    if (cJSON_IsString(item))
        return walk_text(w, item->valuestring, out_node);
    step_to_value(w);
    if (error err = yaml_count_node(*w.b, w.line, w.column, 0))
        return err;
    yaml_ptr node(new yaml_node{.text = {}, .keys = {}, .values = {}, .line = w.line, .column = w.column});
    if (cJSON_IsObject(item) || cJSON_IsArray(item)) {
        node->kind = cJSON_IsObject(item) ? yaml_kind::mapping : yaml_kind::sequence;
        if (error err = walk_container(w, item, *node))
            return err;
    } else {
        node->text = step_over_scalar(w);
        node->type = yaml_scalar_resolve(node->text).type;
        // Only a number beyond the range of a double is left; JSON readers refuse it.
        if (node->type == yaml_type::text)
            return yaml_refuse_at(*w.b, node->line, node->column, "number out of range");
    }
    out_node = std::move(node);
    return no_error;
}

error yaml_build_json(yaml_builder &b, bool &out_is_json)
{
    json_ptr tree;
    error err = json_parse(b.text, tree, *b.where);
    out_is_json = !err;
    if (err)
        return make_error(error_code::bad_spec);
    json_walk w{.b = &b};
    return walk_value(w, tree.get(), b.result);
}

} // namespace etlnode
