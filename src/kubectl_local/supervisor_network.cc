// SPDX-License-Identifier: MIT
// kubectl_local/supervisor_network.cc: the pod's namespaces and addresses, and what a container's view is made of.
#include "kubectl_local/supervisor_state.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/text.h"
#include "kubectl_local/last_words.h"
#include "kubectl_local/netbox.h"
#include "kubectl_local/pod_limits.h"
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

// The answers that the former server began must not pass for the new one's: the node tells them apart by the container's id.
static void on_server_replaced(void *arg)
{
    supervisor &s = *static_cast<supervisor *>(arg);
    std::string &id = s.status.container.id;
    id = std::string(status_run_of(id)) + "." + std::to_string(s.life.replaced + 1);
    fprintf(stderr, "%s another process or program serves the port: the container is called %s from now on\n", os_time_text_ns().c_str(),
        id.c_str());
    supervisor_publish(s);
}

// Written even when there is none: a spec must not name one of its own.
static void open_witness(supervisor &s)
{
    witness &w = s.life;
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

// What the pod's AIS_TARGET_URL says, where whoever made the pod has said so too: the words of a spec open nothing.
static std::string granted_target(const supervisor &s)
{
    std::string url;
    const cJSON *variable;
    cJSON_ArrayForEach(variable, s.spec.container.env) if (json_text(variable, "name") == env_target_url)
        url = json_text(variable, "value");
    if (url.empty() || allow_has_target(s.allowed, url))
        return url;
    fprintf(
        stderr, "%s AIS_TARGET_URL names no target that was handed over with the pod: there is no way to it\n", os_time_text_ns().c_str());
    return "";
}

// The pod's namespaces: users, mounts, network.
bool supervisor_open_network(supervisor &s)
{
    std::string text;
    pod_network &n = s.network;
    netbox_wish wish;
    n.unsandboxed = s.unsandboxed;
    if (!s.unsandboxed && geteuid() == 0 && s.users.count == 0 && !users_choose(s.dir, s.users, text))
        fprintf(stderr, "%s %s: root in the pod is root outside, without its rights\n", os_time_text_ns().c_str(), text.c_str());
    wish.users = s.users;
    view_place place = supervisor_place_of(s, s.spec.container);
    place.owner = s.users.base;
    if (!view_make_volumes(s.spec, place, text) || !os_make_dirs(last_words_dir(s.dir))) {
        supervisor_set_waiting(s, "CreateContainerError", text);
        return false;
    }
    for (const pod_volume &volume : s.spec.volumes)
        if (volume.in_memory)
            wish.memory.push_back({view_volume_dir(place, volume.name), limits_memory_volume(volume, limits_read(s.spec.container.object)),
                local_memory_files_max});
    wish.memory.push_back({last_words_dir(s.dir), last_words_room, last_words_files_max});
    const cJSON *one;
    cJSON_ArrayForEach(one, json_get(json_get(s.spec.object, "securityContext"), "sysctls"))
        wish.sysctls.emplace_back(json_text(one, "name"), json_text(one, "value"));
    if (!pod_network_open(n, s.l, s.spec, granted_target(s), s.uid, old_address(s), std::move(wish), is_dying, &s, text)) {
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

view_place supervisor_place_of(const supervisor &s, const container_spec &container)
{
    view_place place;
    place.scratch = s.dir;
    place.hostname = s.key.name.substr(0, 63);
    place.pod_ip = s.status.pod_ip;
    place.host_ip = s.status.host_ip;
    place.pod = s.pod.get();
    place.host_network = s.spec.host_network;
    place.kind = s.network.box.kind;
    place.owner = place.kind == netbox_kind::block ? s.users.base : 0;
    place.who = identity_read(s.spec.object, container.object);
    place.allowed = s.allowed;
    place.writable_bytes = limits_writable(limits_read(container.object));
    place.target_url = s.network.target_url;
    return place;
}

} // namespace etlnode::kubectl_local
