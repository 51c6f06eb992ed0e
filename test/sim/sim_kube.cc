// SPDX-License-Identifier: MIT
// test/sim/sim_kube.cc: the cluster behind kubectl: pods are scheduled, pulled, started and probed.
//
// Fails    by those faults of the area `kubectl`, and of pods, that concern their start.
#include "sim_kube.h"

#include "base/text.h"
#include "node/api.h"

namespace etlnode {

std::string sim_manners_image(const sim_manners &m)
{
    static const char *const framings[] = {"length", "chunked", "close"};
    return text_format("sim/%s-%d%d%d%d%u:v1", framings[static_cast<size_t>(m.frames)], m.only_post, m.only_put, m.is_hostile,
        m.ends_with_fin, m.unread_every);
}

sim_manners sim_manners_read(std::string_view image)
{
    sim_manners m;
    m.frames = image.starts_with("sim/chunked") ? sim_manners::framing::chunked
               : image.starts_with("sim/close") ? sim_manners::framing::by_close
                                                : sim_manners::framing::length;
    size_t dash = image.find('-');
    if (dash != std::string_view::npos && dash + 5 < image.size()) {
        m.only_post = image[dash + 1] == '1';
        m.only_put = image[dash + 2] == '1';
        m.is_hostile = image[dash + 3] == '1';
        m.ends_with_fin = image[dash + 4] == '1';
        m.unread_every = static_cast<unsigned>(image[dash + 5] - '0');
    }
    return m;
}

// --- a pod as kubectl prints it

static void add_container_status(const sim_pod &pod, cJSON *statuses, const std::string &name)
{
    cJSON *entry = cJSON_CreateObject();
    cJSON_AddItemToArray(statuses, entry);
    json_add_text(entry, "name", name);
    cJSON_AddBoolToObject(entry, "ready", pod.ready);
    json_add_u64(entry, "restartCount", pod.restarts);
    if (pod.containers > 0)
        json_add_text(entry, "containerID", text_format("sim://%s-%llu", pod.uid.c_str(), static_cast<unsigned long long>(pod.containers)));
    cJSON *state = cJSON_AddObjectToObject(entry, "state");
    switch (pod.at) {
    case sim_pod::phase::pending:
    case sim_pod::phase::starting: json_add_text(cJSON_AddObjectToObject(state, "waiting"), "reason", "ContainerCreating"); break;
    case sim_pod::phase::pulling: {
        cJSON *waiting = cJSON_AddObjectToObject(state, "waiting");
        json_add_text(waiting, "reason", pod.is_stuck ? "ErrImagePull" : "ContainerCreating");
        if (pod.is_stuck)
            json_add_text(waiting, "message", "failed to pull and unpack image \"" + pod.image + "\": not found");
        break;
    }
    case sim_pod::phase::running: json_add_text(cJSON_AddObjectToObject(state, "running"), "startedAt", "2026-01-01T00:00:00Z"); break;
    case sim_pod::phase::backing_off: json_add_text(cJSON_AddObjectToObject(state, "waiting"), "reason", "CrashLoopBackOff"); break;
    case sim_pod::phase::evicted:
    case sim_pod::phase::stopping: {
        cJSON *terminated = cJSON_AddObjectToObject(state, "terminated");
        cJSON_AddNumberToObject(terminated, "exitCode", 137);
        json_add_text(terminated, "reason", "Error");
        break;
    }
    }
    if (pod.has_ended_before) {
        cJSON *last = cJSON_AddObjectToObject(cJSON_AddObjectToObject(entry, "lastState"), "terminated");
        cJSON_AddNumberToObject(last, "exitCode", pod.last_exit);
        json_add_text(last, "reason", pod.last_reason);
    }
}

json_ptr sim_pod_print(const sim_pod &pod)
{
    json_ptr tree(cJSON_Duplicate(pod.base.get(), true));
    cJSON *metadata = cJSON_GetObjectItem(tree.get(), "metadata");
    json_add_text(metadata, "uid", pod.uid);
    json_add_text(metadata, "resourceVersion", std::to_string(pod.version));
    json_add_text(metadata, "creationTimestamp", "2026-01-01T00:00:00Z");
    if (pod.terminating)
        json_add_text(metadata, "deletionTimestamp", "2026-01-01T00:00:01Z");
    cJSON *spec = cJSON_GetObjectItem(tree.get(), "spec");
    cJSON *status = cJSON_AddObjectToObject(tree.get(), "status");
    bool is_scheduled = pod.at != sim_pod::phase::pending;
    json_add_text(status, "phase", pod.at == sim_pod::phase::evicted ? "Failed" : pod.containers > 0 ? "Running" : "Pending");
    if (pod.at == sim_pod::phase::evicted)
        json_add_text(status, "reason", "Evicted");
    if (is_scheduled) {
        json_add_text(status, "podIP", pod.ip);
        json_add_text(status, "hostIP", sim_machine_address(pod.target));
    }
    cJSON *conditions = cJSON_AddArrayToObject(status, "conditions");
    auto add_condition = [&](const char *type, bool holds, const char *message) {
        cJSON *condition = cJSON_CreateObject();
        cJSON_AddItemToArray(conditions, condition);
        json_add_text(condition, "type", type);
        json_add_text(condition, "status", holds ? "True" : "False");
        if (!holds)
            json_add_text(condition, "message", message);
    };
    add_condition("PodScheduled", is_scheduled, "0/1 nodes are available");
    add_condition("Ready", pod.ready, "containers with unready status");
    const cJSON *container = cJSON_GetArrayItem(cJSON_GetObjectItem(spec, "containers"), 0);
    if (is_scheduled)
        add_container_status(pod, cJSON_AddArrayToObject(status, "containerStatuses"), std::string(json_text(container, "name")));
    return tree;
}

// --- the kubelet

static void kubelet_step(void *arg);

void sim_pod_schedule(sim_pod &pod, uint64_t delay_us)
{
    if (pod.next != nullptr)
        sim_cancel(sim_pod_world(pod), pod.next);
    pod.next = sim_after(sim_pod_world(pod), nullptr, delay_us, kubelet_step, &pod);
}

void sim_pod_get_stuck(sim_pod &pod, sim_fault fault)
{
    pod.is_stuck = true;
    pod.stuck_by = fault;
}

static void on_flap(void *arg)
{
    sim_pod &pod = *static_cast<sim_pod *>(arg);
    sim_world &w = sim_pod_world(pod);
    pod.flap = nullptr;
    if (pod.at != sim_pod::phase::running || pod.is_stuck)
        return;
    pod.ready = !pod.ready;
    sim_pod_emit(pod, "MODIFIED");
    if (!pod.ready || (w.faults_on && sim_chance(w, 700)))
        pod.flap = sim_after(w, nullptr, sim_between(w, 100'000, 3'000'000), on_flap, &pod);
}

static void container_starts(sim_pod &pod)
{
    sim_world &w = sim_pod_world(pod);
    pod.at = sim_pod::phase::running;
    pod.containers++;
    pod.server = sim_server_start(pod);
    if (pod.manners.is_hostile && sim_hit(w, sim_fault::pod_never_ready)) {
        sim_pod_get_stuck(pod, sim_fault::pod_never_ready);
        sim_pod_emit(pod, "MODIFIED");
        return;
    }
    sim_pod_emit(pod, "MODIFIED");
    bool is_slow = sim_hit(w, sim_fault::pod_slow_start);
    sim_pod_schedule(pod, is_slow ? sim_between(w, 2'000'000, 8'000'000) : sim_between(w, 10'000, 900'000));
}

static void pod_is_gone(sim_pod &pod)
{
    sim_kube &kube = *pod.kube;
    sim_world &w = *kube.world;
    if (pod.server != nullptr)
        sim_server_end(pod.server, pod.manners.ends_with_fin);
    pod.server = nullptr;
    sim_pod_emit(pod, "DELETED");
    if (pod.flap != nullptr)
        sim_cancel(w, pod.flap);
    std::string name = pod.name;
    std::erase_if(kube.services, [&](const auto &entry) { return entry.second.owner_uid == pod.uid; });
    kube.pods.erase(name);
    sim_kube_release_deletes(w, name);
}

static void kubelet_step(void *arg)
{
    sim_pod &pod = *static_cast<sim_pod *>(arg);
    sim_world &w = sim_pod_world(pod);
    pod.next = nullptr;
    if (pod.terminating) {
        if (!pod.is_stuck)
            pod_is_gone(pod);
        return;
    }
    switch (pod.at) {
    case sim_pod::phase::pending:
        if (sim_hit(w, sim_fault::kubectl_pending)) {
            sim_pod_get_stuck(pod, sim_fault::kubectl_pending);
            sim_pod_emit(pod, "MODIFIED");
            return;
        }
        pod.at = sim_pod::phase::pulling;
        if (sim_hit(w, sim_fault::kubectl_image_missing)) {
            sim_pod_get_stuck(pod, sim_fault::kubectl_image_missing);
            sim_pod_emit(pod, "MODIFIED");
            return;
        }
        sim_pod_emit(pod, "MODIFIED");
        sim_pod_schedule(pod, sim_between(w, 1'000, 200'000));
        break;
    case sim_pod::phase::pulling:
        pod.at = sim_pod::phase::starting;
        sim_pod_schedule(pod, sim_between(w, 1'000, 100'000));
        break;
    case sim_pod::phase::starting: container_starts(pod); break;
    case sim_pod::phase::running:
        pod.ready = true;
        sim_pod_emit(pod, "MODIFIED");
        if (pod.flap == nullptr && pod.manners.is_hostile && sim_hit(w, sim_fault::pod_ready_flap))
            pod.flap = sim_after(w, nullptr, sim_between(w, 100'000, 5'000'000), on_flap, &pod);
        break;
    case sim_pod::phase::backing_off:
        pod.restarts++;
        container_starts(pod);
        break;
    case sim_pod::phase::evicted:
    case sim_pod::phase::stopping: break;
    }
}

void sim_pod_crash(sim_pod &pod, int exit_code, const char *reason)
{
    if (pod.server == nullptr || pod.terminating)
        return;
    sim_world &w = sim_pod_world(pod);
    sim_note(w, "container of %s ends with %d", pod.name.c_str(), exit_code);
    sim_server *server = pod.server;
    pod.server = nullptr;
    sim_server_end(server, pod.manners.ends_with_fin);
    pod.ready = false;
    pod.has_ended_before = true;
    pod.last_exit = exit_code;
    pod.last_reason = reason;
    pod.at = sim_pod::phase::backing_off;
    pod.is_stuck = false;
    sim_pod_emit(pod, "MODIFIED");
    sim_pod_schedule(pod, sim_between(w, 1'000, w.faults_on ? 6'000'000 : 1'000'000));
}

void sim_kube_power_lost(sim_kube &kube, const std::string &target_id)
{
    for (auto &[name, pod] : kube.pods) {
        if (pod->target == target_id)
            sim_pod_crash(*pod, 137, "Error");
    }
}

void sim_kube_heal(sim_kube &kube)
{
    for (auto &[name, pod] : kube.pods) {
        if (!pod->is_stuck)
            continue;
        pod->is_stuck = false;
        sim_pod_schedule(*pod, sim_between(*kube.world, 1'000, 2'000'000));
    }
}

std::string sim_machine_address(const std::string &target_id)
{
    uint64_t sum = 0;
    for (char c : target_id)
        sum = sum * 31 + static_cast<uint8_t>(c);
    return text_format("%s%llu.%llu", sim_machine_network, static_cast<unsigned long long>(sum / 250 % 250),
        static_cast<unsigned long long>(sum % 250 + 1));
}

void sim_kube_route(sim_kube &kube, std::string &address, uint16_t &port)
{
    if (!address.starts_with(sim_machine_network))
        return;
    for (const auto &[name, service] : kube.services) {
        for (const auto &[pod_name, pod] : kube.pods) {
            if (service.port != port || pod->port_mark != service.port_mark || sim_machine_address(pod->target) != address)
                continue;
            address = pod->ip;
            port = service.target_port;
            return;
        }
    }
}

// --- what foreign clients do to pods

static sim_pod *draw_pod(sim_kube &kube)
{
    std::vector<sim_pod *> pods;
    for (auto &[name, pod] : kube.pods) {
        if (!pod->terminating && pod->at != sim_pod::phase::evicted)
            pods.push_back(pod.get());
    }
    return pods.empty() ? nullptr : pods[static_cast<size_t>(sim_below(*kube.world, pods.size()))];
}

void sim_kube_delete_any(sim_kube &kube)
{
    sim_pod *pod = draw_pod(kube);
    if (pod == nullptr)
        return;
    sim_note(*kube.world, "somebody deletes pod %s", pod->name.c_str());
    pod->terminating = true;
    pod->ready = false;
    pod->is_stuck = false;
    sim_pod_emit(*pod, "MODIFIED");
    sim_pod_schedule(*pod, sim_between(*kube.world, 1'000, 2'000'000));
}

void sim_kube_evict_any(sim_kube &kube)
{
    sim_pod *pod = draw_pod(kube);
    if (pod == nullptr)
        return;
    sim_note(*kube.world, "pod %s is evicted", pod->name.c_str());
    if (pod->server != nullptr)
        sim_server_end(pod->server, pod->manners.ends_with_fin);
    pod->server = nullptr;
    pod->ready = false;
    pod->is_stuck = false;
    pod->at = sim_pod::phase::evicted;
    if (pod->next != nullptr)
        sim_cancel(*kube.world, pod->next);
    pod->next = nullptr;
    sim_pod_emit(*pod, "MODIFIED");
}

// --- the whole

sim_kube *sim_kube_make(sim_world &w)
{
    auto *kube = new sim_kube;
    kube->world = &w;
    return kube;
}

void sim_kube_clear(sim_kube &kube)
{
    while (!kube.pods.empty()) {
        sim_pod &pod = *kube.pods.begin()->second;
        if (pod.next != nullptr)
            sim_cancel(*kube.world, pod.next);
        pod.next = nullptr;
        pod_is_gone(pod);
    }
}

void sim_kube_free(sim_kube *kube)
{
    CHECK(kube->pods.empty());
    CHECK(kube->services.empty());
    delete kube;
}

} // namespace etlnode
