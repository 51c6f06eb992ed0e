// SPDX-License-Identifier: MIT
// kubectl_local/identity.cc: the users, groups and capabilities of a container, from the securityContext of the pod and the container.
#include "kubectl_local/identity.h"

#include <algorithm>
#include <string_view>

namespace etlnode::kubectl_local {

// The capabilities that container engines leave to root, except NET_RAW. With NET_RAW a pod could send frames past the rules that prevent
// it from calling out.
static constexpr std::string_view default_capabilities[] = {
    "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"};

static const cJSON *field(const cJSON *object, const char *key)
{
    return cJSON_IsObject(object) ? cJSON_GetObjectItemCaseSensitive(object, key) : nullptr;
}

static bool read_id(const cJSON *item, uint32_t &out_id)
{
    if (!cJSON_IsNumber(item) || item->valuedouble < 0 || item->valuedouble > 2147483647.0)
        return false;
    out_id = static_cast<uint32_t>(item->valuedouble);
    return true;
}

static std::string_view name_of(const cJSON *item)
{
    std::string_view name = cJSON_IsString(item) ? item->valuestring : "";
    return name.starts_with("CAP_") ? name.substr(4) : name;
}

static std::vector<std::string> read_capabilities(const cJSON *context)
{
    const cJSON *capabilities = field(context, "capabilities");
    std::vector<std::string> names(std::begin(default_capabilities), std::end(default_capabilities));
    const cJSON *one;
    cJSON_ArrayForEach(one, field(capabilities, "drop"))
    {
        std::string_view name = name_of(one);
        if (name == "ALL")
            names.clear();
        std::erase(names, name);
    }
    cJSON_ArrayForEach(one, field(capabilities, "add"))
    {
        std::string name(name_of(one));
        if (std::find(names.begin(), names.end(), name) == names.end() && !name.empty())
            names.push_back(name);
    }
    for (std::string &name : names)
        name.insert(0, "CAP_");
    return names;
}

bool identity_is_root(const container_identity &out) { return out.user == 0 && out.group == 0 && out.groups.empty(); }

container_identity identity_read(const cJSON *spec, const cJSON *container)
{
    container_identity out;
    const cJSON *pod = field(spec, "securityContext");
    const cJSON *own = field(container, "securityContext");
    if (!read_id(field(own, "runAsUser"), out.user))
        read_id(field(pod, "runAsUser"), out.user);
    if (!read_id(field(own, "runAsGroup"), out.group))
        read_id(field(pod, "runAsGroup"), out.group);
    const cJSON *one;
    uint32_t id = 0;
    cJSON_ArrayForEach(one, field(pod, "supplementalGroups")) if (read_id(one, id)) out.groups.push_back(id);
    out.has_fs_group = read_id(field(pod, "fsGroup"), out.fs_group);
    if (out.has_fs_group && std::find(out.groups.begin(), out.groups.end(), out.fs_group) == out.groups.end())
        out.groups.push_back(out.fs_group);
    out.capabilities = read_capabilities(own);
    out.read_only_root = cJSON_IsTrue(field(own, "readOnlyRootFilesystem"));
    return out;
}

} // namespace etlnode::kubectl_local
