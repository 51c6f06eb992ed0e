// SPDX-License-Identifier: MIT
// etl/etl_definition.cc: the user's choices, and a definition as JSON.
//
// Knows    codec.         Known by  etl_spec, etl_message, control/document, role.
// Limits   etl_name_size_max, wait_timeout_max_ms, obj_timeout_max_ms.
#include "etl/etl_definition.h"

#include "base/limits.h"

namespace etlnode {

static constexpr etl_choice choices[] = {
    //  annotation                    message key           key in JSON          every format  field
    {annotation_communication, "communication", "communication", true, &etl_config::mode},
    {annotation_wait_timeout, "init_timeout", "wait_timeout_ms", true,
        etl_duration_field{&etl_config::wait_timeout_ms, wait_timeout_max_ms}},
    {annotation_obj_timeout, "obj_timeout", "obj_timeout_ms", true, etl_duration_field{&etl_config::obj_timeout_ms, obj_timeout_max_ms}},
    {annotation_require_framing, "", "require_framing", true, &etl_config::require_framing},
    {annotation_reuse_connections, "", "reuse_connections", false, &etl_config::reuse_connections},
    {annotation_hpull_address, "", "hpull_address", false, &etl_config::hpull_address},
    {annotation_direct_put, "support_direct_put", "direct_put", false, &etl_config::direct_put},
    {"", "", "runtime_spec", true, &etl_config::runtime_spec},
};

std::span<const etl_choice> etl_choices() { return choices; }

static void print_choice(cJSON *tree, const etl_choice &choice, const etl_config &config)
{
    std::visit(
        overloaded{
            [](etl_no_field) {},
            [&](etl_mode etl_config::*field) { json_add_text(tree, choice.key, etl_mode_names[static_cast<size_t>(config.*field)]); },
            [&](client_address etl_config::*field) {
                json_add_text(tree, choice.key, client_address_names[static_cast<size_t>(config.*field)]);
            },
            [&](bool etl_config::*field) { json_add_bool(tree, choice.key, config.*field); },
            [&](etl_duration_field field) { json_add_u64_text(tree, choice.key, config.*field.ms); },
        },
        choice.field);
}

template <class E, size_t N> static bool parse_word(const cJSON *tree, const char *key, const std::string_view (&words)[N], E &out_value)
{
    size_t index = 0;
    bool is_known = json_read_word(tree, key, words, index);
    out_value = is_known ? static_cast<E>(index) : out_value;
    return is_known;
}

static bool parse_choice(const cJSON *tree, const etl_choice &choice, etl_config &config)
{
    if (choice.key == nullptr || (!choice.is_in_every_format && json_get(tree, choice.key) == nullptr))
        return true;
    return std::visit(
        overloaded{
            [](etl_no_field) { return true; },
            [&](etl_mode etl_config::*field) { return parse_word(tree, choice.key, etl_mode_names, config.*field); },
            [&](client_address etl_config::*field) { return parse_word(tree, choice.key, client_address_names, config.*field); },
            [&](bool etl_config::*field) { return json_read_bool(tree, choice.key, config.*field); },
            [&](etl_duration_field field) { return json_read_u64(tree, choice.key, config.*field.ms); },
        },
        choice.field);
}

static constexpr size_t small_text_max = 256;

void etl_definition_print(cJSON *tree, const etl_definition &definition)
{
    json_add_text(tree, "id", definition.id);
    json_add_text(tree, "name", definition.name);
    for (const etl_choice &choice : choices)
        print_choice(tree, choice, definition);
    json_add_text(tree, "generation_id", definition.generation_id);
    json_add_text(tree, "secret", definition.secret);
}

bool etl_definition_parse(const cJSON *tree, etl_definition &out_definition)
{
    bool is_good = json_read_text(tree, "id", etl_name_size_max, out_definition.id) && !out_definition.id.empty() &&
                   json_read_text(tree, "name", small_text_max, out_definition.name) &&
                   json_read_text(tree, "generation_id", small_text_max, out_definition.generation_id) &&
                   json_read_text(tree, "secret", small_text_max, out_definition.secret);
    for (const etl_choice &choice : choices)
        is_good = is_good && parse_choice(tree, choice, out_definition);
    return is_good;
}

} // namespace etlnode
