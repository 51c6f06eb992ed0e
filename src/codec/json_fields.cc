// SPDX-License-Identifier: MIT
// codec/json_fields.cc: whether the fields of a call's body are of the kinds that the call reads.
//
// Knows    json.            Known by  role, aistore.
#include "codec/json_fields.h"

namespace etlnode {

static bool is_absent(const cJSON *item) { return item == nullptr || cJSON_IsNull(item); }

// Empty: it fits.
static std::string_view expected(const cJSON *object, const json_field &field)
{
    const cJSON *item = json_get(object, field.key);
    uint64_t number = 0;
    if (is_absent(item))
        return {};
    switch (field.kind) {
    case json_field_kind::text: return cJSON_IsString(item) ? "" : "a text";
    case json_field_kind::whole: return json_read_u64(object, field.key, number) ? "" : "a whole number";
    case json_field_kind::flag: return cJSON_IsBool(item) ? "" : "true or false";
    case json_field_kind::object: return cJSON_IsObject(item) ? "" : "an object";
    case json_field_kind::list: return cJSON_IsArray(item) ? "" : "a list";
    }
    return {};
}

std::string json_fields_misfit(const cJSON *object, std::string_view path, std::span<const json_field> fields)
{
    if (is_absent(object))
        return {};
    if (!cJSON_IsObject(object))
        return std::string(path) + (path.empty() ? "" : ": ") + "expected an object";
    for (const json_field &field : fields) {
        if (std::string_view wanted = expected(object, field); !wanted.empty())
            return std::string(path) + (path.empty() ? "" : ".") + field.key + ": expected " + std::string(wanted);
    }
    return {};
}

} // namespace etlnode
