// SPDX-License-Identifier: MIT
// store/object_extras.cc: prints and parses what is kept beside an object's content.
//
// Knows    codec.        Known by  role, transfer, object.
// Normal   a JSON object with a field for each fact that there is. Bytes are base64, because names and values need not be UTF-8.
#include "store/object_extras.h"

#include "codec/json.h"

namespace etlnode {

static void add_bytes(cJSON *tree, const char *key, const std::string &bytes)
{
    if (!bytes.empty())
        json_add_text(tree, key, base64_encode(bytes));
}

std::string object_extras_print(const object_extras &extras)
{
    json_ptr tree = json_object();
    add_bytes(tree.get(), "from", extras.made_from);
    if (!extras.custom.empty()) {
        json_ptr list = json_array(); // names and values in turn
        for (const auto &[key, value] : extras.custom) {
            json_append_text(list.get(), base64_encode(key));
            json_append_text(list.get(), base64_encode(value));
        }
        json_add_tree(tree.get(), "custom", std::move(list));
    }
    if (!extras.checksum_type.empty()) {
        json_add_text(tree.get(), "checksum_type", extras.checksum_type);
        json_add_text(tree.get(), "checksum_value", extras.checksum_value);
    }
    if (extras.chunk_count > 0) {
        json_add_u64(tree.get(), "chunks", extras.chunk_count);
        json_add_u64_text(tree.get(), "chunk_size_max", extras.chunk_size_max);
    }
    return tree->child == nullptr ? std::string() : json_print(tree.get());
}

static void read_custom(const cJSON *list, object_extras &extras)
{
    for (const cJSON *item = list != nullptr ? list->child : nullptr; item != nullptr && item->next != nullptr; item = item->next->next) {
        std::string key, value;
        if (cJSON_IsString(item) && cJSON_IsString(item->next) && base64_decode(item->valuestring, key) &&
            base64_decode(item->next->valuestring, value))
            extras.custom.emplace(std::move(key), std::move(value));
    }
}

object_extras object_extras_parse(std::string_view text)
{
    object_extras extras;
    json_ptr tree;
    std::string where;
    if (!text.starts_with('{') || json_parse(text, tree, where)) {
        extras.made_from = text;
        return extras;
    }
    (void)base64_decode(json_text(tree.get(), "from"), extras.made_from);
    read_custom(json_get(tree.get(), "custom"), extras);
    extras.checksum_type = json_text(tree.get(), "checksum_type");
    extras.checksum_value = json_text(tree.get(), "checksum_value");
    extras.chunk_count = json_u64(tree.get(), "chunks", 0);
    extras.chunk_size_max = json_u64(tree.get(), "chunk_size_max", 0);
    return extras;
}

const char *object_extras_check_custom(std::string_view key, std::string_view value)
{
    if (key.empty())
        return "a name is empty";
    for (char c : key) {
        if (c == '=' || c == ',' || static_cast<unsigned char>(c) <= ' ' || c == 127)
            return "a name must not contain spaces, control characters, '=' or ','";
    }
    for (char c : value) {
        if (static_cast<unsigned char>(c) < ' ' || c == 127)
            return "a value must not contain control characters";
    }
    if (value.ends_with(' '))
        return "a value must not end with a space, which headers lose";
    return nullptr;
}

std::string object_extras_of_copy(std::string_view text, std::string_view made_from)
{
    object_extras extras = object_extras_parse(text);
    extras.made_from = made_from;
    return object_extras_print(extras);
}

} // namespace etlnode
