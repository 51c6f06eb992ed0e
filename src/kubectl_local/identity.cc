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
    const cJSON *said = field(context, "capabilities");
    std::vector<std::string> kept(std::begin(default_capabilities), std::end(default_capabilities));
    const cJSON *one;
    cJSON_ArrayForEach(one, field(said, "drop"))
    {
        std::string_view name = name_of(one);
        if (name == "ALL")
            kept.clear();
        std::erase(kept, name);
    }
    cJSON_ArrayForEach(one, field(said, "add"))
    {
        std::string name(name_of(one));
        if (std::find(kept.begin(), kept.end(), name) == kept.end() && !name.empty())
            kept.push_back(name);
    }
    for (std::string &name : kept)
        name.insert(0, "CAP_");
    return kept;
}

bool identity_is_root(const container_identity &who) { return who.user == 0 && who.group == 0 && who.groups.empty(); }

container_identity identity_read(const cJSON *spec, const cJSON *container)
{
    container_identity who;
    const cJSON *pod = field(spec, "securityContext");
    const cJSON *own = field(container, "securityContext");
    if (!read_id(field(own, "runAsUser"), who.user))
        read_id(field(pod, "runAsUser"), who.user);
    if (!read_id(field(own, "runAsGroup"), who.group))
        read_id(field(pod, "runAsGroup"), who.group);
    const cJSON *one;
    uint32_t id = 0;
    cJSON_ArrayForEach(one, field(pod, "supplementalGroups")) if (read_id(one, id)) who.groups.push_back(id);
    who.has_fs_group = read_id(field(pod, "fsGroup"), who.fs_group);
    if (who.has_fs_group && std::find(who.groups.begin(), who.groups.end(), who.fs_group) == who.groups.end())
        who.groups.push_back(who.fs_group);
    who.capabilities = read_capabilities(own);
    who.read_only_root = cJSON_IsTrue(field(own, "readOnlyRootFilesystem"));
    return who;
}

} // namespace etlnode::kubectl_local
