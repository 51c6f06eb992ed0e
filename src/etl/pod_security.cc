// SPDX-License-Identifier: MIT
// etl/pod_security.cc: adds to a user's Pod what the Pod Security standards require and the Pod leaves open. It changes nothing else.
//
// Knows    codec.                    Known by  etl_pod.
#include "etl/pod_security.h"

#include <string>

#include "base/limits.h"
#include "base/text.h"
#include "codec/json.h"

namespace etlnode {

static constexpr uint64_t privileged_ports = 1024;
static constexpr std::string_view port_sysctl = "net.ipv4.ip_unprivileged_port_start";

static const cJSON *field(const cJSON *object, const char *key)
{
    return cJSON_IsObject(object) ? cJSON_GetObjectItemCaseSensitive(object, key) : nullptr;
}

static bool is_said(const cJSON *object, const char *key)
{
    const cJSON *item = field(object, key);
    return item != nullptr && !cJSON_IsNull(item);
}

// The mapping with that name; created if it is missing; null if the user wrote something else, which Kubernetes will refuse.
static cJSON *mapping(cJSON *object, const char *key)
{
    if (is_said(object, key)) {
        cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
        return cJSON_IsObject(item) ? item : nullptr;
    }
    cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    return json_add_object(object, key);
}

static void add_bool(cJSON *object, const char *key, bool value)
{
    if (is_said(object, key))
        return;
    cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    json_add_bool(object, key, value);
}

static bool has_capability(const cJSON *capabilities, std::string_view name)
{
    const cJSON *item = nullptr;
    cJSON_ArrayForEach(item, field(capabilities, "add"))
    {
        if (!cJSON_IsString(item))
            continue;
        std::string_view text = item->valuestring;
        text.remove_prefix(text.starts_with("CAP_") ? 4 : 0);
        if (text == name || text == "ALL")
            return true;
    }
    return false;
}

static uint64_t port_of(const cJSON *container)
{
    const cJSON *port = field(cJSON_GetArrayItem(field(container, "ports"), 0), "containerPort");
    uint64_t number = 0;
    return port != nullptr && text_parse_u64(json_print(port), number) ? number : 0;
}

// Only for "restricted": the standard "baseline" leaves root the container engines' default capabilities, which images rely on.
static void fill_capabilities(cJSON *context, uint64_t port)
{
    cJSON *capabilities = mapping(context, "capabilities");
    if (capabilities == nullptr || is_said(capabilities, "drop"))
        return;
    bool adds = is_said(capabilities, "add");
    cJSON_DeleteItemFromObjectCaseSensitive(capabilities, "drop");
    json_append_text(json_add_array(capabilities, "drop"), "ALL");
    if (port == 0 || port >= privileged_ports || has_capability(capabilities, "NET_BIND_SERVICE"))
        return;
    cJSON *list = cJSON_GetObjectItemCaseSensitive(capabilities, "add");
    if (!adds) {
        cJSON_DeleteItemFromObjectCaseSensitive(capabilities, "add");
        list = json_add_array(capabilities, "add");
    }
    if (cJSON_IsArray(list))
        json_append_text(list, "NET_BIND_SERVICE");
}

static void fill_container(cJSON *container, uint64_t port, pod_security level)
{
    const cJSON *said = field(container, "securityContext");
    if (cJSON_IsTrue(field(said, "privileged")))
        return; // the container asked for everything
    cJSON *context = mapping(container, "securityContext");
    if (context == nullptr)
        return;
    // Kubernetes refuses this combination.
    if (!has_capability(field(context, "capabilities"), "SYS_ADMIN"))
        add_bool(context, "allowPrivilegeEscalation", false);
    if (level == pod_security::restricted)
        fill_capabilities(context, port);
}

static bool has_sysctl(const cJSON *context)
{
    const cJSON *item = nullptr;
    cJSON_ArrayForEach(item, field(context, "sysctls"))
    {
        const cJSON *name = field(item, "name");
        if (cJSON_IsString(name) && name->valuestring == port_sysctl)
            return true;
    }
    return false;
}

// A non-root user keeps no capability, so let every user listen on low ports: the setting affects only the pod's own network.
static void open_low_ports(cJSON *context)
{
    if (has_sysctl(context) || (is_said(context, "sysctls") && !cJSON_IsArray(field(context, "sysctls"))))
        return;
    json_ptr entry = json_object();
    json_add_text(entry.get(), "name", port_sysctl);
    json_add_text(entry.get(), "value", "0");
    cJSON *list = cJSON_GetObjectItemCaseSensitive(context, "sysctls");
    if (!cJSON_IsArray(list)) {
        cJSON_DeleteItemFromObjectCaseSensitive(context, "sysctls");
        list = json_add_array(context, "sysctls");
    }
    json_append(list, std::move(entry));
}

static void fill_user(cJSON *context, uint64_t port, bool uses_host_network)
{
    if (cJSON_IsFalse(field(context, "runAsNonRoot")))
        return;
    add_bool(context, "runAsNonRoot", true);
    if (!is_said(context, "runAsUser")) {
        cJSON_DeleteItemFromObjectCaseSensitive(context, "runAsUser");
        json_add_u64(context, "runAsUser", pod_user_default);
    }
    if (port != 0 && port < privileged_ports && !uses_host_network)
        open_low_ports(context);
}

void pod_security_fill(cJSON *pod_spec, pod_security level)
{
    const cJSON *system = field(field(pod_spec, "os"), "name");
    if (level == pod_security::off || (cJSON_IsString(system) && std::string_view(system->valuestring) == "windows"))
        return; // Windows supports none of this, and Kubernetes refuses it there
    uint64_t port = port_of(cJSON_GetArrayItem(field(pod_spec, "containers"), 0));
    if (cJSON *context = mapping(pod_spec, "securityContext")) {
        if (cJSON *profile = is_said(context, "seccompProfile") ? nullptr : mapping(context, "seccompProfile"))
            json_add_text(profile, "type", "RuntimeDefault");
        if (level == pod_security::restricted)
            fill_user(context, port, cJSON_IsTrue(field(pod_spec, "hostNetwork")));
    }
    cJSON *container = nullptr;
    cJSON_ArrayForEach(container, field(pod_spec, "initContainers")) fill_container(container, 0, level);
    cJSON_ArrayForEach(container, field(pod_spec, "containers")) fill_container(container, port, level);
}

} // namespace etlnode
