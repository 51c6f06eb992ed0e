// SPDX-License-Identifier: MIT
// kubectl_local/pod_rule_helpers.h: helpers of the rules for several fields of a Pod: reading a field, and refusals that many rules share.
#pragma once

#include <initializer_list>

#include "kubectl_local/pod_names.h"
#include "kubectl_local/pod_rules.h"

namespace etlnode::kubectl_local {

inline const cJSON *field(const cJSON *object, const char *key) { return cJSON_GetObjectItemCaseSensitive(object, key); }
inline bool is_set(const cJSON *item) { return item != nullptr && !cJSON_IsNull(item); }

inline std::string_view text_of(const cJSON *object, const char *key)
{
    const cJSON *item = field(object, key);
    return cJSON_IsString(item) ? std::string_view(item->valuestring) : std::string_view();
}

inline double number_of(const cJSON *object, const char *key, double fallback)
{
    const cJSON *item = field(object, key);
    return cJSON_IsNumber(item) ? item->valuedouble : fallback;
}

inline bool is_list_empty(const cJSON *list) { return cJSON_GetArraySize(list) == 0; }

inline void check_form(pod_check &check, name_form form, const std::string &path, std::string_view text)
{
    for (const std::string &fault : pod_name_faults(form, text))
        refuse_invalid_text(check, path, text, fault);
}

// Checks a relative path that must stay below its base.
inline void check_relative(pod_check &check, const std::string &path, std::string_view text)
{
    if (text.starts_with('/'))
        refuse_invalid_text(check, path, text, "must be a relative path");
    if (("/" + std::string(text) + "/").find("/../") != std::string::npos)
        refuse_invalid_text(check, path, text, "must not contain '..'");
}

// Of the named fields, the first one that is set is checked further; every other one is forbidden. Returns how many are set.
inline size_t only_one_of(pod_check &check, const cJSON *value, const std::string &path, std::initializer_list<const char *> keys,
    const char *detail, pod_skip &skip)
{
    size_t count = 0;
    for (const char *key : keys) {
        if (!is_set(field(value, key)))
            continue;
        if (count++ > 0) {
            refuse_forbidden(check, path + "." + key, detail);
            skip.push_back(key);
        }
    }
    return count;
}

} // namespace etlnode::kubectl_local
