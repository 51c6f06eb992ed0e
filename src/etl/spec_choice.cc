// SPDX-License-Identifier: MIT
// etl/spec_choice.cc: reads one of the user's choices from the tree of a spec.
//
// Knows    codec, spec_tree.         Known by  etl_spec, etl_message.
// Fails    bad_spec with "line L, column C: what, expected what".
#include "etl/spec_choice.h"

#include <algorithm>

#include "base/text.h"
#include "etl/etl_mode_list.h"
#include "etl/spec_tree.h"

namespace etlnode {

// Also without "://".
static bool is_mode(std::string_view text, std::string_view name) { return text == name || text == name.substr(0, name.find(':')); }

static bool parse_mode(std::string_view text, etl_mode &out_mode)
{
    for (size_t i = 0; i < std::size(etl_mode_names); i++) {
        if (is_mode(text, etl_mode_names[i])) {
            out_mode = static_cast<etl_mode>(i);
            return true;
        }
    }
    return false;
}

static error read_mode(const yaml_node &node, std::string_view name, etl_mode &out_mode, std::string &out_reason)
{
    if (spec_is_empty(&node) || (spec_is_text(&node) && parse_mode(node.text, out_mode)))
        return no_error;
    std::string what = std::string(name) + " is " + spec_words(&node);
    bool is_foreign = false;
    for (const etl_foreign_mode &foreign : etl_foreign_modes) {
        if (!spec_is_text(&node) || !is_mode(node.text, foreign.name))
            continue;
        is_foreign = true;
        what.append(", ").append(foreign.what);
    }
    std::string expected(etl_mode_list);
    std::string_view nearest = text_nearest(node.text, etl_mode_names);
    if (!nearest.empty() && !is_foreign)
        expected += " (did you mean " + std::string(nearest) + "?)";
    return spec_refuse(node, what, expected, out_reason);
}

static error read_address(const yaml_node &node, std::string_view name, client_address &out_address, std::string &out_reason)
{
    static constexpr std::string_view ways[][2] = {{"pod_ip", "podip"}, {"node_port", "nodeport"}};
    std::string text = text_lower(node.text);
    for (size_t i = 0; i < std::size(ways); i++) {
        if (text == ways[i][0] || text == ways[i][1]) {
            out_address = static_cast<client_address>(i);
            return no_error;
        }
    }
    return spec_refuse(node, std::string(name) + " is " + spec_words(&node), "\"pod_ip\" or \"node_port\"", out_reason);
}

static error read_bool(const yaml_node &node, std::string_view name, bool &out_value, std::string &out_reason)
{
    static constexpr std::string_view yes[] = {"true", "1", "yes", "y", "on", "t"};
    static constexpr std::string_view no[] = {"false", "0", "no", "n", "off", "f"};
    std::string text = text_lower(node.text);
    out_value = std::find(std::begin(yes), std::end(yes), text) != std::end(yes);
    if (out_value || std::find(std::begin(no), std::end(no), text) != std::end(no))
        return no_error;
    return spec_refuse(node, std::string(name) + " is " + spec_words(&node), "\"true\" or \"false\"", out_reason);
}

static error read_duration(
    const yaml_node &node, std::string_view name, etl_duration_field field, etl_config &config, std::string &out_reason)
{
    bool is_default = spec_is_empty(&node) || (node.kind == yaml_kind::scalar && (node.text == "0" || node.text == "0s"));
    return is_default ? no_error : spec_read_duration(node, name, field.max_ms, config.*field.ms, out_reason);
}

// AIStore's own templates leave a placeholder there. It is a wish, so what cannot be read is none.
static error read_flag(const yaml_node &node, std::string_view name, bool etl_config::*field, etl_config &config, std::string &out_reason)
{
    std::string ignored;
    if (field != &etl_config::direct_put)
        return read_bool(node, name, config.*field, out_reason);
    (void)read_bool(node, name, config.*field, ignored);
    return no_error;
}

error spec_read_choice(const etl_choice &choice, const yaml_node &value, std::string_view name, etl_config &config, std::string &out_reason)
{
    return std::visit(overloaded{
                          [](etl_no_field) { return no_error; },
                          [&](etl_mode etl_config::*field) { return read_mode(value, name, config.*field, out_reason); },
                          [&](client_address etl_config::*field) { return read_address(value, name, config.*field, out_reason); },
                          [&](bool etl_config::*field) { return read_flag(value, name, field, config, out_reason); },
                          [&](etl_duration_field field) { return read_duration(value, name, field, config, out_reason); },
                      },
        choice.field);
}

} // namespace etlnode
