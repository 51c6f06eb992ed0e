// SPDX-License-Identifier: MIT
// kubectl_local/pod_fields.cc: evaluates fieldRef and resourceFieldRef.
#include "kubectl_local/pod_fields.h"

#include <algorithm>
#include <cmath>

#include <unistd.h>

#include "base/text.h"
#include "kubectl_local/quantity.h"

namespace etlnode::kubectl_local {

static std::string member(const cJSON *object, std::string_view key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, std::string(key).c_str());
    return cJSON_IsString(item) ? std::string(item->valuestring) : std::string();
}

std::string pod_field_value(const cJSON *pod, std::string_view path)
{
    if (path == "spec.serviceAccountName" && member(json_get(pod, "spec"), "serviceAccountName").empty())
        return "default";
    if (path == "spec.host")
        path = "spec.nodeName";
    size_t dot = path.find('.');
    const cJSON *part = cJSON_GetObjectItemCaseSensitive(pod, std::string(path.substr(0, dot)).c_str());
    std::string_view rest = path.substr(dot + 1);
    size_t open = rest.find("['");
    if (open == std::string_view::npos)
        return member(part, rest);
    part = cJSON_GetObjectItemCaseSensitive(part, std::string(rest.substr(0, open)).c_str());
    return member(part, rest.substr(open + 2, rest.size() - open - 4));
}

static long double amount_of(const cJSON *list, std::string_view name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(list, std::string(name).c_str());
    quantity amount;
    std::string fault;
    if (item == nullptr || !quantity_parse(cJSON_IsString(item) ? item->valuestring : json_print(item), amount, fault))
        return -1;
    return amount.value;
}

std::string pod_resource_value(const cJSON *resources, std::string_view name, std::string_view divisor)
{
    size_t dot = name.find('.');
    std::string_view what = name.substr(dot + 1);
    long double amount = amount_of(json_get(resources, std::string(name.substr(0, dot)).c_str()), what);
    if (amount < 0 && name.starts_with("requests.")) // a missing request defaults to the limit
        amount = amount_of(json_get(resources, "limits"), what);
    if (amount < 0 && name.starts_with("limits.") && what == "cpu")
        amount = static_cast<long double>(sysconf(_SC_NPROCESSORS_ONLN));
    else if (amount < 0 && name.starts_with("limits.") && what == "memory")
        amount = static_cast<long double>(sysconf(_SC_PHYS_PAGES)) * static_cast<long double>(sysconf(_SC_PAGE_SIZE));
    quantity unit;
    std::string fault;
    if (divisor.empty() || !quantity_parse(divisor, unit, fault) || unit.value <= 0)
        unit.value = 1;
    long double count = std::max<long double>(amount, 0) / unit.value;
    bool is_whole = std::fabs(count - std::round(count)) < 1e-9L; // 2 in units of 1m is 2000, not slightly more
    return text_format("%.0Lf", is_whole ? std::round(count) : std::ceil(count));
}

} // namespace etlnode::kubectl_local
