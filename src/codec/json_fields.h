// SPDX-License-Identifier: MIT
// codec/json_fields.h: whether the fields of a call's body are of the kinds that the call reads.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "codec/json.h"

namespace etlnode {

enum class json_field_kind : uint8_t {
    text,
    whole, // a whole number, or one in decimal digits as a text
    flag,
    object,
    list,
};

struct json_field {
    const char *key;
    json_field_kind kind;
};

// What is wrong with the first of `fields` that is there and of another kind, or out of range: "value.objects: expected a whole number".
// Empty: nothing. An absent field fits, and so does null, which Go's clients send for it. `object` itself may be absent or null, too.
// `path` leads to the object, for example "value"; empty: it is the body.
std::string json_fields_misfit(const cJSON *object, std::string_view path, std::span<const json_field> fields);

} // namespace etlnode
