// SPDX-License-Identifier: MIT
// kubectl_local/pod_decode.cc: checks a Pod object against the table of fields, like the API server's strict decoder.
#include "kubectl_local/pod_decode.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "kube/pod_schema.h"
#include "kubectl_local/quantity.h"

namespace etlnode::kubectl_local {

struct place {
    std::string path;       // "spec.containers[0]", for unknown fields
    std::string fields;     // "spec.containers", as the decoder names a value's position
    std::string_view owner; // the type that the field belongs to
};

// The name that Go's decoder gives to a value.
static std::string value_word(const cJSON *value, bool with_number)
{
    if (cJSON_IsNumber(value))
        return with_number ? "number " + json_print(value) : "number";
    return cJSON_IsString(value) ? "string" : cJSON_IsBool(value) ? "bool" : cJSON_IsArray(value) ? "array" : "object";
}

static std::string go_type(std::string_view type)
{
    if (type.starts_with("[]"))
        return "[]" + go_type(type.substr(2));
    if (type.starts_with("map "))
        return "map[string]" + go_type(type.substr(4));
    bool is_struct = type[0] >= 'A' && type[0] <= 'Z';
    return (is_struct ? "v1." : "") + std::string(type);
}

// The first value of a wrong type is reported. An exception is a value with a decoder of its own (a quantity, a port, a time): an error
// there ends the decoding and is reported instead.
static void refuse(pod_decoding &out, std::string fault, bool is_final = false)
{
    if (out.is_final || (!out.fault.empty() && !is_final))
        return;
    out.fault = std::move(fault);
    out.is_final = is_final;
}

static void refuse_type(
    pod_decoding &out, const place &at, const cJSON *value, std::string_view type, bool with_number = false, bool is_final = false)
{
    refuse(out,
        text_format("json: cannot unmarshal %s into Go struct field %s.%s of type %s", value_word(value, with_number).c_str(),
            std::string(at.owner).c_str(), at.fields.c_str(), go_type(type).c_str()),
        is_final);
}

static void decode_value(const cJSON *value, std::string_view type, const place &at, pod_decoding &out);

static std::vector<const cJSON *> sorted(const cJSON *object)
{
    std::vector<const cJSON *> out;
    const cJSON *entry;
    cJSON_ArrayForEach(entry, object) out.push_back(entry);
    std::sort(out.begin(), out.end(), [](const cJSON *a, const cJSON *b) { return std::string_view(a->string) < b->string; });
    return out;
}

static std::string joined(const std::string &before, std::string_view name)
{
    return before + (before.empty() ? "" : ".") + std::string(name);
}

static void decode_struct(const cJSON *value, std::string_view type, const place &at, pod_decoding &out)
{
    for (const cJSON *entry : sorted(value)) {
        std::string_view field_type = pod_schema_type(type, entry->string);
        place inner = {joined(at.path, entry->string), joined(at.fields, entry->string), type};
        if (field_type.empty())
            out.unknown.push_back(inner.path);
        else
            decode_value(entry, field_type, inner, out);
    }
}

static void decode_integer(const cJSON *value, std::string_view type, const place &at, pod_decoding &out)
{
    double limit = type == "int32" ? 2147483648.0 : 9223372036854775808.0;
    if (!cJSON_IsNumber(value))
        refuse_type(out, at, value, type);
    else if (value->valuedouble != std::floor(value->valuedouble) || value->valuedouble < -limit || value->valuedouble >= limit)
        refuse_type(out, at, value, type, true);
}

static void decode_quantity(const cJSON *value, pod_decoding &out)
{
    quantity parsed;
    std::string fault;
    std::string text = cJSON_IsString(value) ? std::string(text_trim(value->valuestring)) : json_print(value);
    if (!quantity_parse(text, parsed, fault))
        refuse(out, fault, true);
}

static bool looks_like_time(std::string_view text)
{
    static constexpr std::string_view form = "dddd-dd-ddTdd:dd:dd";
    if (text.size() < form.size() + 1)
        return false;
    for (size_t i = 0; i < form.size(); i++) {
        bool fits = form[i] == 'd' ? text[i] >= '0' && text[i] <= '9' : text[i] == form[i];
        if (!fits)
            return false;
    }
    return true;
}

static void decode_value(const cJSON *value, std::string_view type, const place &at, pod_decoding &out)
{
    if (cJSON_IsNull(value) || type == "any")
        return;
    if ((type == "string" && !cJSON_IsString(value)) || (type == "bool" && !cJSON_IsBool(value))) {
        refuse_type(out, at, value, type);
    } else if (type == "int32" || type == "int64") {
        decode_integer(value, type, at, out);
    } else if (type == "quantity") {
        decode_quantity(value, out);
    } else if (type == "intOrString") {
        bool is_integer = cJSON_IsNumber(value) && value->valuedouble == std::floor(value->valuedouble) &&
                          std::fabs(value->valuedouble) < 2147483648.0;
        if (!is_integer && !cJSON_IsString(value))
            refuse_type(out, at, value, "int32", cJSON_IsNumber(value), true);
    } else if (type == "time") {
        if (!cJSON_IsString(value) || !looks_like_time(value->valuestring))
            refuse(out, text_format("parsing time %s: expected a time such as \"2006-01-02T15:04:05Z\"", json_print(value).c_str()), true);
    } else if (type.starts_with("[]")) {
        if (!cJSON_IsArray(value)) {
            refuse_type(out, at, value, type);
            return;
        }
        const cJSON *entry;
        size_t index = 0;
        cJSON_ArrayForEach(entry, value)
        {
            place inner = at;
            inner.path += text_format("[%zu]", index++);
            decode_value(entry, type.substr(2), inner, out);
        }
    } else if (type.starts_with("map ")) {
        if (!cJSON_IsObject(value)) {
            refuse_type(out, at, value, type);
            return;
        }
        for (const cJSON *entry : sorted(value))
            decode_value(entry, type.substr(4), at, out);
    } else if (!pod_schema_fields(type).empty()) {
        if (cJSON_IsObject(value))
            decode_struct(value, type, at, out);
        else
            refuse_type(out, at, value, type);
    }
}

void pod_decode(const cJSON *pod, pod_decoding &out)
{
    out = pod_decoding();
    const cJSON *metadata = cJSON_GetObjectItemCaseSensitive(pod, "metadata");
    if (metadata != nullptr)
        decode_value(metadata, "ObjectMeta", {"metadata", "metadata", "Pod"}, out);
    out.in_metadata = !out.fault.empty();
    if (out.in_metadata)
        return;
    out.unknown.clear();
    decode_struct(pod, "Pod", place(), out);
}

std::string pod_decode_hint(const std::string &unknown)
{
    size_t dot = unknown.rfind('.');
    std::string parent = dot == std::string::npos ? "" : unknown.substr(0, dot);
    std::string_view type = pod_schema_type_at(parent);
    return std::string(pod_schema_nearest(type, unknown.substr(dot == std::string::npos ? 0 : dot + 1)));
}

} // namespace etlnode::kubectl_local
