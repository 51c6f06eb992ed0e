// SPDX-License-Identifier: MIT
// kubectl_local/supervisor_network.cc: the pod's namespaces and addresses, and the context from which a container's view is built.
#include "kubectl_local/supervisor_state.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/text.h"
#include "kubectl_local/pod_limits.h"
#include "kubectl_local/pod_namespaces.h"
#include "kubectl_local/termination_message.h"
#include "node/api.h"

namespace etlnode::kubectl_local {

static void annotate(supervisor &s, std::string_view name, const std::string &value)
{
    cJSON *metadata = cJSON_GetObjectItemCaseSensitive(s.pod.get(), "metadata");
    cJSON *annotations = cJSON_GetObjectItemCaseSensitive(metadata, "annotations");
    if (!cJSON_IsObject(annotations)) {
        cJSON_DeleteItemFromObjectCaseSensitive(metadata, "annotations");
        annotations = json_add_object(metadata, "annotations");
    }
    std::string key(name);
    cJSON_DeleteItemFromObjectCaseSensitive(annotations, key.c_str());
    json_add_text(annotations, key.c_str(), value);
}

static std::string old_address(const supervisor &s)
{
    std::string key(annotation_local_address);
    return std::string(json_text(json_get(json_get(s.pod.get(), "metadata"), "annotations"), key.c_str()));
}

static bool is_dying(void *arg) { return container_is_dying(static_cast<supervisor *>(arg)->run); }

static pid_t living_command(void *arg)
{
    const supervisor &s = *static_cast<supervisor *>(arg);
    return s.run.command == 0 || container_is_dying(s.run) ? 0 : s.run.command;
}

static std::string container_id(void *arg) { return static_cast<supervisor *>(arg)->status.container.id; }

// Answers that the former server began must not be attributed to the new one. The node distinguishes them by the container's id.
static void on_server_replaced(void *arg)
{
    supervisor &s = *static_cast<supervisor *>(arg);
    std::string &id = s.status.container.id;
    id = std::string(status_run_of(id)) + "." + std::to_string(s.port_witness.replaced + 1);
    fprintf(stderr, "%s another process or program now serves the port: the container id changes to %s\n", os_time_text_ns().c_str(),
        id.c_str());
    supervisor_publish(s);
}

// Writes the annotation even without a witness, because a spec must not set it.
static void open_witness(supervisor &s)
{
    witness &w = s.port_witness;
    std::string address;
    w.l = &s.l;
    w.port = s.spec.container.ports.empty() ? 0 : s.spec.container.ports[0];
    if (s.unsandboxed && !s.spec.host_network)
        w.port = static_cast<uint16_t>(pod_network_port(s.network, w.port));
    w.living_command = living_command;
    w.container_id = container_id;
    w.on_replaced = on_server_replaced;
    w.arg = &s;
    if (w.listener.fd == -1 && w.port != 0 && !witness_open(w, address))
        fprintf(stderr, "%s no witness for the node: %s\n", os_time_text_ns().c_str(), strerror(errno));
    annotate(s, annotation_local_witness, address);
}

// The pod's AIS_TARGET_URL, if the creator of the pod granted that address. A spec alone grants nothing.
static std::string granted_target(const supervisor &s)
{
    std::string url;
    const cJSON *variable;
    cJSON_ArrayForEach(variable, s.spec.container.env) if (json_text(variable, "name") == env_target_url)
        url = json_text(variable, "value");
    if (url.empty() || allow_has_target(s.allowed, url))
        return url;
    fprintf(
        stderr, "%s AIS_TARGET_URL names an address that was not granted to the pod: the pod cannot reach it\n", os_time_text_ns().c_str());
    return "";
}

// Opens the pod's namespaces: users, mounts, network.
bool supervisor_open_network(supervisor &s)
{
    std::string text;
    pod_network &n = s.network;
    namespace_options options;
    n.unsandboxed = s.unsandboxed;
    if (!s.unsandboxed && geteuid() == 0 && s.users.count == 0 && !users_choose(s.dir, s.users, text))
        fprintf(stderr, "%s %s: root in the pod is root outside, without its privileges\n", os_time_text_ns().c_str(), text.c_str());
    options.users = s.users;
    container_context context = supervisor_context_of(s, s.spec.container);
    context.owner = s.users.base;
    if (!view_make_volumes(s.spec, context, text) || !os_make_dirs(termination_message_dir(s.dir))) {
        supervisor_set_waiting(s, "CreateContainerError", text);
        return false;
    }
    for (const pod_volume &volume : s.spec.volumes)
        if (volume.in_memory)
            options.memory.push_back({view_volume_dir(context, volume.name),
                limits_memory_volume(volume, limits_read(s.spec.container.object)), local_memory_files_max});
    options.memory.push_back({termination_message_dir(s.dir), termination_message_room, termination_message_files_max});
    const cJSON *one;
    cJSON_ArrayForEach(one, json_get(json_get(s.spec.object, "securityContext"), "sysctls"))
        options.sysctls.emplace_back(json_text(one, "name"), json_text(one, "value"));
    if (!pod_network_open(n, s.l, s.spec, granted_target(s), s.uid, old_address(s), std::move(options), is_dying, &s, text)) {
        supervisor_set_waiting(s, "CreateContainerError", text);
        return false;
    }
    s.status.host_ip = n.host_ip;
    s.status.pod_ip = n.pod_ip;
    if (!n.address.empty())
        annotate(s, annotation_local_address, n.address);
    open_witness(s);
    return true;
}

container_context supervisor_context_of(const supervisor &s, const container_spec &container)
{
    container_context context;
    context.scratch = s.dir;
    context.hostname = s.key.name.substr(0, 63);
    context.pod_ip = s.status.pod_ip;
    context.host_ip = s.status.host_ip;
    context.pod = s.pod.get();
    context.host_network = s.spec.host_network;
    context.kind = s.network.namespaces.kind;
    context.owner = context.kind == user_mapping::block ? s.users.base : 0;
    context.identity = identity_read(s.spec.object, container.object);
    context.allowed = s.allowed;
    context.writable_bytes = limits_writable(limits_read(container.object));
    context.target_url = s.network.target_url;
    return context;
}

} // namespace etlnode::kubectl_local
