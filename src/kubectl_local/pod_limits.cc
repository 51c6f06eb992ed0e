// SPDX-License-Identifier: MIT
// kubectl_local/pod_limits.cc: resource limits: those of the spec, those that always apply, and those that cannot be enforced here.
#include "kubectl_local/pod_limits.h"

#include <algorithm>
#include <iterator>

#include <unistd.h>

#include "base/text.h"
#include "kubectl_local/os.h"
#include "kubectl_local/quantity.h"

namespace etlnode::kubectl_local {

static double amount(const std::string &text)
{
    quantity found;
    std::string fault;
    return !text.empty() && quantity_parse(text, found, fault) && found.value > 0 ? static_cast<double>(found.value) : 0;
}

uint64_t limits_bytes(const std::string &text)
{
    double value = amount(text);
    return value <= 0 ? 0 : value < 1 ? 1 : value > 9e18 ? uint64_t{9'000'000'000'000'000'000} : static_cast<uint64_t>(value);
}

std::string limits_text(uint64_t bytes)
{
    static constexpr const char *units[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
    size_t unit = 0;
    double value = static_cast<double>(bytes);
    for (; value >= 1024 && unit + 1 < std::size(units); unit++)
        value /= 1024;
    std::string text = text_format("%.1f", value);
    if (text.ends_with(".0"))
        text.resize(text.size() - 2);
    return text + units[unit];
}

static std::string limit_text(const cJSON *container, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json_get(json_get(container, "resources"), "limits"), name);
    if (cJSON_IsString(item))
        return item->valuestring;
    return cJSON_IsNumber(item) ? json_print(item) : "";
}

container_limits limits_read(const cJSON *container)
{
    container_limits limits;
    limits.memory_text = limit_text(container, "memory");
    limits.ephemeral_text = limit_text(container, "ephemeral-storage");
    limits.memory = limits_bytes(limits.memory_text);
    limits.ephemeral = limits_bytes(limits.ephemeral_text);
    limits.cpu = amount(limit_text(container, "cpu"));
    return limits;
}

static uint64_t memory_share()
{
    long pages = sysconf(_SC_PHYS_PAGES);
    long size = sysconf(_SC_PAGESIZE);
    uint64_t all = pages > 0 && size > 0 ? static_cast<uint64_t>(pages) * static_cast<uint64_t>(size) : 0;
    return std::min(local_writable_max, std::max<uint64_t>(all / 8, 16u << 20));
}

uint64_t limits_writable(const container_limits &limits)
{
    uint64_t bytes = memory_share();
    return limits.ephemeral != 0 ? std::max<uint64_t>(std::min(bytes, limits.ephemeral), 1u << 20) : bytes;
}

uint64_t limits_memory_volume(const pod_volume &volume, const container_limits &limits)
{
    uint64_t stated = limits_bytes(volume.size_limit);
    uint64_t bytes = stated != 0 ? stated : memory_share();
    return limits.memory != 0 ? std::min(bytes, limits.memory) : bytes;
}

bool limits_are_set(const cJSON *spec)
{
    for (const char *list : {"initContainers", "containers"}) {
        const cJSON *container;
        cJSON_ArrayForEach(container, json_get(spec, list))
        {
            container_limits limits = limits_read(container);
            if (limits.memory != 0 || limits.cpu > 0)
                return true;
        }
    }
    return false;
}

std::vector<std::string> limits_warnings(const cJSON *spec, const cgroup &group)
{
    std::vector<std::string> out;
    bool is_root = geteuid() == 0;
    for (const char *list : {"initContainers", "containers"}) {
        const cJSON *container;
        size_t index = 0;
        cJSON_ArrayForEach(container, json_get(spec, list))
        {
            std::string at = text_format("spec.%s[%zu].resources.limits", list, index++);
            container_limits limits = limits_read(container);
            if (limits.cpu > 0 && !cgroup_has(group, cgroup_kind::cpu))
                out.push_back(at + "[cpu]: cannot be enforced, because control groups cannot be created here: the container may use more");
            if (limits.memory > 0 && !cgroup_has(group, cgroup_kind::memory))
                out.push_back(at +
                              "[memory]: control groups cannot be created here, so the usage is checked four times a second; between two "
                              "checks the container may use more");
        }
    }
    std::string spaces;
    if (is_root && os_read_file("/proc/sys/user/max_user_namespaces", spaces) && text_trim(spaces) == "0")
        out.push_back("root cannot create a user namespace here (sysctl user.max_user_namespaces is 0): root in the pod is root of this "
                      "machine, without its capabilities");
    const cJSON *context = json_get(spec, "securityContext");
    for (const char *key : {"fsGroup", "supplementalGroups"})
        if (!is_root && json_get(context, key) != nullptr)
            out.push_back(
                text_format("spec.securityContext.%s: has no effect for an ordinary user: the container has a single group", key));
    const cJSON *one;
    cJSON_ArrayForEach(one, json_get(context, "sysctls")) if (!json_text(one, "name").starts_with("net."))
        out.push_back(text_format("spec.securityContext.sysctls: %s is not set here", text_escape(json_text(one, "name"), 100).c_str()));
    return out;
}

} // namespace etlnode::kubectl_local
