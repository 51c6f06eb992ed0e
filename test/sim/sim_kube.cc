// SPDX-License-Identifier: MIT
// test/sim/sim_kube.cc: kubectl as the node sees it, and the cluster behind it.
//
// Normal   create (pods, and Services for their node ports), delete, get, get --watch and logs. Each is a child that takes time. Pods are
//          scheduled, pulled, started and probed.
// Fails    by faults of the area `kubectl`, and by those faults of pods that concern their start.
#include "sim_kube.h"

#include <algorithm>
#include <cstdlib>

#include "base/text.h"
#include "node/api.h"

namespace etlnode {

// A child process: kubectl.
struct proc {
    sim_host *host = nullptr;
    proc_options options;
    int pid = 0;
    std::string verb, pod, cluster, target; // `pod` may also name a Service
    bool is_watch = false, is_for_service = false;
    bool is_asked_to_end = false, is_late = false, is_waiting_for_delete = false;
    sim_event *work = nullptr; // its effect on the cluster
    sim_event *end = nullptr;
    sim_event *deadline = nullptr;
    sim_event *kill = nullptr;
    sim_event *output = nullptr;
    std::string stream; // of a watch: not delivered yet
    std::string out, err;
    int exit_code = 0;
    int signal = 0;
    bool fails_after = false; // creates the pod but reports that it could not
};

static sim_kube &kube_of(const proc &p) { return *p.host->sim->kube; }
static sim_world &world_of(const sim_pod &pod) { return *pod.kube->world; }

std::string sim_manners_image(const sim_manners &m)
{
    static const char *const framings[] = {"length", "chunked", "close"};
    return text_format("sim/%s-%d%d%d%d%u:v1", framings[static_cast<size_t>(m.frames)], m.only_post, m.only_put, m.is_hostile,
        m.ends_with_fin, m.unread_every);
}

static sim_manners read_manners(std::string_view image)
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

static json_ptr pod_print(const sim_pod &pod)
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

// --- watches

static bool selects(const proc &p, const sim_pod &pod) { return p.cluster == pod.cluster && p.target == pod.target; }

static void on_output(void *arg)
{
    proc *p = static_cast<proc *>(arg);
    sim_world &w = *p->host->sim;
    p->output = nullptr;
    size_t count = sim_chance(w, 200) ? static_cast<size_t>(sim_between(w, 1, p->stream.size())) : p->stream.size();
    std::string bytes = p->stream.substr(0, count);
    p->stream.erase(0, count);
    if (!p->stream.empty())
        p->output = sim_after(w, p->host, sim_between(w, 50, 2'000), on_output, p);
    p->options.on_output(p->options.arg, bytes);
}

static void stream_to(proc *p, const std::string &text)
{
    p->stream += text;
    if (p->output == nullptr)
        p->output = sim_after(*p->host->sim, p->host, sim_between(*p->host->sim, 200, 8'000), on_output, p);
}

static std::string event_text(const char *type, const sim_pod &pod)
{
    return std::string("{\"type\":\"") + type + "\",\"object\":" + json_print(pod_print(pod).get()) + "}\n";
}

static void watch_ends(proc *p);

static void emit(sim_pod &pod, const char *type)
{
    sim_world &w = world_of(pod);
    pod.version = ++pod.kube->version;
    std::string text = event_text(type, pod);
    std::vector<proc *> watches = pod.kube->watches;
    for (proc *p : watches) {
        if (!selects(*p, pod) || p->is_asked_to_end || p->end != nullptr)
            continue;
        if (sim_chance(w, 60) &&
            sim_hit(w, sim_fault::kubectl_watch_gap)) { // the API server dies: neither this event nor later ones are reported
            watch_ends(p);
            continue;
        }
        stream_to(p, text);
        if (!pod.history.empty() && sim_chance(w, 60) && sim_hit(w, sim_fault::kubectl_watch_replay))
            stream_to(p, pod.history[static_cast<size_t>(sim_below(w, pod.history.size()))]);
        if (sim_chance(w, 20) && sim_hit(w, sim_fault::kubectl_garbage_output))
            stream_to(p, "E1122 memcache.go:265] couldn't get current server API group list\n");
    }
    pod.history.push_back(std::move(text));
    if (pod.history.size() > 6)
        pod.history.erase(pod.history.begin());
}

// --- the kubelet

static void kubelet_step(void *arg);

static void schedule(sim_pod &pod, uint64_t delay_us)
{
    if (pod.next != nullptr)
        sim_cancel(world_of(pod), pod.next);
    pod.next = sim_after(world_of(pod), nullptr, delay_us, kubelet_step, &pod);
}

static void get_stuck(sim_pod &pod, sim_fault fault)
{
    pod.is_stuck = true;
    pod.stuck_by = fault;
}

static void release_deletes(sim_world &w, const std::string &name);

static void on_flap(void *arg)
{
    sim_pod &pod = *static_cast<sim_pod *>(arg);
    sim_world &w = world_of(pod);
    pod.flap = nullptr;
    if (pod.at != sim_pod::phase::running || pod.is_stuck)
        return;
    pod.ready = !pod.ready;
    emit(pod, "MODIFIED");
    if (!pod.ready || (w.faults_on && sim_chance(w, 700)))
        pod.flap = sim_after(w, nullptr, sim_between(w, 100'000, 3'000'000), on_flap, &pod);
}

static void container_starts(sim_pod &pod)
{
    sim_world &w = world_of(pod);
    pod.at = sim_pod::phase::running;
    pod.containers++;
    pod.server = sim_server_start(pod);
    if (pod.manners.is_hostile && sim_hit(w, sim_fault::pod_never_ready)) {
        get_stuck(pod, sim_fault::pod_never_ready);
        emit(pod, "MODIFIED");
        return;
    }
    emit(pod, "MODIFIED");
    bool is_slow = sim_hit(w, sim_fault::pod_slow_start);
    schedule(pod, is_slow ? sim_between(w, 2'000'000, 8'000'000) : sim_between(w, 10'000, 900'000));
}

static void pod_is_gone(sim_pod &pod)
{
    sim_kube &kube = *pod.kube;
    sim_world &w = *kube.world;
    if (pod.server != nullptr)
        sim_server_end(pod.server, pod.manners.ends_with_fin);
    pod.server = nullptr;
    emit(pod, "DELETED");
    if (pod.flap != nullptr)
        sim_cancel(w, pod.flap);
    std::string name = pod.name;
    std::erase_if(kube.services, [&](const auto &entry) { return entry.second.owner_uid == pod.uid; });
    kube.pods.erase(name);
    release_deletes(w, name);
}

static void kubelet_step(void *arg)
{
    sim_pod &pod = *static_cast<sim_pod *>(arg);
    sim_world &w = world_of(pod);
    pod.next = nullptr;
    if (pod.terminating) {
        if (!pod.is_stuck)
            pod_is_gone(pod);
        return;
    }
    switch (pod.at) {
    case sim_pod::phase::pending:
        if (sim_hit(w, sim_fault::kubectl_pending)) {
            get_stuck(pod, sim_fault::kubectl_pending);
            emit(pod, "MODIFIED");
            return;
        }
        pod.at = sim_pod::phase::pulling;
        if (sim_hit(w, sim_fault::kubectl_image_missing)) {
            get_stuck(pod, sim_fault::kubectl_image_missing);
            emit(pod, "MODIFIED");
            return;
        }
        emit(pod, "MODIFIED");
        schedule(pod, sim_between(w, 1'000, 200'000));
        break;
    case sim_pod::phase::pulling:
        pod.at = sim_pod::phase::starting;
        schedule(pod, sim_between(w, 1'000, 100'000));
        break;
    case sim_pod::phase::starting: container_starts(pod); break;
    case sim_pod::phase::running:
        pod.ready = true;
        emit(pod, "MODIFIED");
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
    sim_world &w = world_of(pod);
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
    emit(pod, "MODIFIED");
    schedule(pod, sim_between(w, 1'000, w.faults_on ? 6'000'000 : 1'000'000));
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
        schedule(*pod, sim_between(*kube.world, 1'000, 2'000'000));
    }
}

// --- kubectl's verbs

static void exit_soon(proc *p, int code, uint64_t delay_us);

static std::string label_of(const cJSON *labels, std::string_view key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(labels, std::string(key).c_str());
    return cJSON_IsString(item) ? std::string(item->valuestring) : std::string();
}

static void refuse_taken(proc *p, const char *resource, const std::string &name)
{
    p->err = std::string("Error from server (AlreadyExists): error when creating \"STDIN\": ") + resource + " \"" + name +
             "\" already exists\n";
    exit_soon(p, 1, 1'000);
}

// The request has been carried out, but kubectl may not know that.
static void end_create(proc *p)
{
    sim_world &w = *kube_of(*p).world;
    if (p->fails_after) {
        p->err = "Unable to connect to the server: net/http: TLS handshake timeout\n";
        p->out.clear();
        exit_soon(p, 1, 10'000);
        return;
    }
    exit_soon(p, 0, sim_between(w, 500, 20'000));
}

static void create_service(proc *p, const cJSON *tree)
{
    sim_kube &kube = kube_of(*p);
    const cJSON *metadata = json_get(tree, "metadata");
    const cJSON *spec = json_get(tree, "spec");
    std::string name(json_text(metadata, "name"));
    if (kube.services.contains(name)) {
        refuse_taken(p, "services", name);
        return;
    }
    sim_service service;
    service.owner_uid = json_text(cJSON_GetArrayItem(json_get(metadata, "ownerReferences"), 0), "uid");
    service.port_mark = label_of(json_get(spec, "selector"), label_node_port);
    service.target_port = static_cast<uint16_t>(json_u64(cJSON_GetArrayItem(json_get(spec, "ports"), 0), "targetPort", 0));
    service.port = kube.next_port++;
    CHECK(json_text(spec, "type") == "NodePort" && !service.port_mark.empty() && !name.empty() && name.size() <= 63 &&
          kube.next_port < 32'768);
    p->out = std::to_string(service.port);
    bool has_owner = std::any_of(
        kube.pods.begin(), kube.pods.end(), [&](const auto &entry) { return entry.second->uid == service.owner_uid; });
    sim_note(
        *kube.world, "service %s is created, port %d%s", name.c_str(), service.port, has_owner ? "" : ", and removed: its pod has gone");
    if (has_owner)
        kube.services[name] = std::move(service);
    end_create(p);
}

static void get_service(proc *p)
{
    const auto &services = kube_of(*p).services;
    auto found = services.find(p->pod);
    if (found == services.end())
        p->err = "Error from server (NotFound): services \"" + p->pod + "\" not found\n";
    else
        p->out = std::to_string(found->second.port);
    exit_soon(p, found == services.end() ? 1 : 0, sim_between(*p->host->sim, 500, 20'000));
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

static void create_pod(proc *p, json_ptr tree)
{
    sim_kube &kube = kube_of(*p);
    sim_world &w = *kube.world;
    const cJSON *metadata = json_get(tree.get(), "metadata");
    std::string name(json_text(metadata, "name"));
    if (kube.pods.contains(name)) {
        refuse_taken(p, "pods", name);
        return;
    }
    auto pod = std::make_unique<sim_pod>();
    pod->kube = &kube;
    pod->name = name;
    pod->uid = text_format("uid-%llu", static_cast<unsigned long long>(w.next_id++));
    const cJSON *labels = json_get(metadata, "labels");
    pod->cluster = label_of(labels, label_cluster);
    pod->target = label_of(labels, label_target);
    pod->etl = label_of(labels, label_etl);
    pod->port_mark = label_of(labels, label_node_port);
    const cJSON *container = cJSON_GetArrayItem(json_get(json_get(tree.get(), "spec"), "containers"), 0);
    pod->image = json_text(container, "image");
    pod->manners = read_manners(pod->image);
    pod->port = static_cast<uint16_t>(json_u64(cJSON_GetArrayItem(json_get(container, "ports"), 0), "containerPort", 0));
    const cJSON *variable = nullptr;
    cJSON_ArrayForEach(variable, json_get(container, "env"))
    {
        if (json_text(variable, "name") == env_target_url)
            pod->target_url = json_text(variable, "value");
    }
    pod->ip = text_format(
        "10.1.%llu.%llu", static_cast<unsigned long long>(w.next_id / 250), static_cast<unsigned long long>(w.next_id % 250 + 1));
    w.next_id++;
    pod->base = std::move(tree);
    sim_note(w, "pod %s is created for %s", name.c_str(), pod->target.c_str());
    sim_pod &made = *pod;
    kube.pods[name] = std::move(pod);
    emit(made, "ADDED");
    schedule(made, sim_between(w, 1'000, 60'000));
    p->out = "pod/" + name + " created\n";
    end_create(p);
}

static void create(proc *p)
{
    json_ptr tree;
    std::string where;
    if (json_parse(p->options.input, tree, where)) {
        p->err = "error: error parsing STDIN: " + where + "\n";
        exit_soon(p, 1, 1'000);
    } else if (json_text(tree.get(), "kind") == "Service") {
        create_service(p, tree.get());
    } else {
        create_pod(p, std::move(tree));
    }
}

static void delete_pod(proc *p)
{
    sim_kube &kube = kube_of(*p);
    sim_world &w = *kube.world;
    auto found = kube.pods.find(p->pod);
    if (found == kube.pods.end()) {
        exit_soon(p, 0, 2'000);
        return;
    }
    sim_pod &pod = *found->second;
    p->is_waiting_for_delete = true;
    if (pod.terminating)
        return;
    sim_note(w, "pod %s is deleted", p->pod.c_str());
    pod.terminating = true;
    pod.ready = false;
    pod.is_stuck = false;
    pod.at = pod.server != nullptr ? pod.at : sim_pod::phase::stopping;
    emit(pod, "MODIFIED");
    if (sim_hit(w, sim_fault::kubectl_delete_hangs)) {
        get_stuck(pod, sim_fault::kubectl_delete_hangs);
        if (pod.next != nullptr)
            sim_cancel(w, pod.next);
        pod.next = nullptr;
        return;
    }
    schedule(pod, sim_between(w, 20'000, 2'200'000));
}

static void release_deletes(sim_world &w, const std::string &name)
{
    for (sim_host *host : w.hosts) {
        for (proc *p : host->children) {
            if (p->is_waiting_for_delete && p->pod == name && p->end == nullptr) {
                p->out = "pod \"" + name + "\" deleted\n";
                exit_soon(p, 0, sim_between(w, 1'000, 10'000));
            }
        }
    }
}

static void list_pods(proc *p)
{
    json_ptr list = json_object();
    json_add_text(list.get(), "apiVersion", "v1");
    json_add_text(list.get(), "kind", "List");
    cJSON *items = cJSON_AddArrayToObject(list.get(), "items");
    for (auto &[name, pod] : kube_of(*p).pods) {
        if (selects(*p, *pod))
            cJSON_AddItemToArray(items, pod_print(*pod).release());
    }
    p->out = json_print(list.get());
    exit_soon(p, 0, sim_between(*p->host->sim, 500, 30'000));
}

static void begin_watch(proc *p)
{
    sim_kube &kube = kube_of(*p);
    kube.watches.push_back(p);
    for (auto &[name, pod] : kube.pods) {
        if (selects(*p, *pod))
            stream_to(p, event_text("ADDED", *pod));
    }
}

static void on_work(void *arg)
{
    proc *p = static_cast<proc *>(arg);
    sim_world &w = *p->host->sim;
    p->work = nullptr;
    if (!p->is_watch && sim_hit(w, sim_fault::kubectl_hangs))
        return; // until its deadline
    if (!p->is_watch && sim_hit(w, sim_fault::kubectl_api_error)) {
        bool is_throttled = sim_chance(w, 500);
        p->err =
            is_throttled
                ? "Error from server (TooManyRequests): the server has received too many requests and has asked us to try again later\n"
                : "Error from server (InternalError): an error on the server (\"etcdserver: request timed out\") has prevented the request "
                  "from succeeding\n";
        exit_soon(p, 1, 5'000);
        return;
    }
    if (p->verb == "create" && sim_hit(w, sim_fault::kubectl_create_refused)) {
        p->err = "Error from server (Forbidden): error when creating \"STDIN\": it is forbidden: exceeded quota\n";
        exit_soon(p, 1, 5'000);
        return;
    }
    if (!p->is_watch && p->verb == "get" && sim_hit(w, sim_fault::kubectl_garbage_output)) {
        p->out = "{\"items\": [{\"kind\": \"Po";
        exit_soon(p, 0, 5'000);
        return;
    }
    if (p->verb == "create")
        create(p);
    else if (p->verb == "delete")
        delete_pod(p);
    else if (p->verb == "logs") {
        p->out = "listening\nlast words of the container\n";
        exit_soon(p, 0, 5'000);
    } else if (p->is_watch)
        begin_watch(p);
    else if (p->is_for_service)
        get_service(p);
    else
        list_pods(p);
}

// --- the child

static void on_exit_event(void *arg)
{
    proc *p = static_cast<proc *>(arg);
    sim_world &w = *p->host->sim;
    p->end = nullptr;
    for (sim_event **event : {&p->work, &p->deadline, &p->kill, &p->output}) {
        if (*event != nullptr)
            sim_cancel(w, *event);
        *event = nullptr;
    }
    std::erase(kube_of(*p).watches, p);
    std::erase(p->host->children, p);
    proc_result result;
    result.exit_code = p->exit_code;
    result.signal = p->signal;
    result.deadline_passed = p->is_late;
    if (p->options.on_output == nullptr) {
        result.truncated = p->out.size() > p->options.out_size_max;
        result.out = std::string_view(p->out).substr(0, p->options.out_size_max);
    }
    result.err_text = std::string_view(p->err).substr(0, p->options.err_size_max);
    p->options.on_exit(p->options.arg, result);
    delete p;
}

static void exit_soon(proc *p, int code, uint64_t delay_us)
{
    if (p->end != nullptr)
        return;
    p->exit_code = code;
    p->end = sim_after(*p->host->sim, p->host, delay_us, on_exit_event, p);
}

static void watch_ends(proc *p) { exit_soon(p, 0, sim_between(*p->host->sim, 100, 50'000)); }

static void die_of(proc *p, int signal, uint64_t delay_us)
{
    if (p->end != nullptr)
        return;
    p->signal = signal;
    exit_soon(p, 0, delay_us);
}

static void on_kill(void *arg)
{
    proc *p = static_cast<proc *>(arg);
    p->kill = nullptr;
    die_of(p, 9, 500);
}

static void ask_to_end(proc *p)
{
    sim_world &w = *p->host->sim;
    if (p->is_asked_to_end)
        return;
    p->is_asked_to_end = true;
    if (!p->host->is_orphan && sim_hit(w, sim_fault::kubectl_ignores_term)) {
        p->kill = sim_after(w, p->host, p->options.kill_grace_ms * 1000, on_kill, p);
        return;
    }
    die_of(p, 15, sim_between(w, 200, 5'000));
}

static void on_deadline(void *arg)
{
    proc *p = static_cast<proc *>(arg);
    p->deadline = nullptr;
    p->is_late = true;
    ask_to_end(p);
}

static void read_selector(proc *p, std::string_view selector)
{
    for (std::string_view key : {label_cluster, label_target}) {
        size_t at = selector.find(std::string(key) + "=");
        if (at == std::string_view::npos)
            continue;
        at += key.size() + 1;
        std::string value(selector.substr(at, selector.find(',', at) - at));
        (key == label_cluster ? p->cluster : p->target) = value;
    }
}

static error proc_start(env &e, proc_options options, proc **out_proc)
{
    sim_host &host = sim_host_of(e);
    sim_world &w = *host.sim;
    *out_proc = nullptr;
    CHECK(options.on_exit != nullptr);
    if (host.is_orphan || sim_hit(w, sim_fault::kubectl_missing))
        return make_error(error_code::no_such_file, "no such program");
    auto *p = new proc;
    p->host = &host;
    p->options = std::move(options);
    p->pid = static_cast<int>(w.next_id++);
    const std::vector<std::string> &words = p->options.argv;
    p->verb = words.size() > 1 ? words[1] : "";
    for (size_t i = 2; i < words.size(); i++) {
        if (words[i] == "-l" && i + 1 < words.size())
            read_selector(p, words[i + 1]);
        p->is_watch = p->is_watch || words[i] == "--watch";
    }
    p->is_for_service = p->verb == "get" && words[2] == "service";
    if (p->verb == "delete" || p->is_for_service)
        p->pod = words[3];
    p->fails_after = p->verb == "create" && sim_hit(w, sim_fault::kubectl_create_then_fail);
    host.children.push_back(p);
    if (p->options.deadline_ms > 0)
        p->deadline = sim_after(w, &host, p->options.deadline_ms * 1000, on_deadline, p);
    p->work = sim_after(w, nullptr, sim_between(w, 5'000, 80'000), on_work, p);
    *out_proc = p;
    return no_error;
}

const proc_port sim_proc_port = {
    .spawn = proc_start,
    .terminate = ask_to_end,
    .pid = [](const proc *p) { return p->pid; },
};

void sim_proc_cut_off(sim_host *host)
{
    sim_world &w = *host->sim;
    std::vector<proc *> children = host->children;
    for (proc *p : children) {
        // A child outlives a killed parent: what it was asked to do may still happen.
        if (p->work != nullptr && (p->verb == "create" || p->verb == "delete") && sim_chance(w, 500)) {
            sim_cancel(w, p->work);
            p->work = nullptr;
            on_work(p);
        }
        if (p->end != nullptr)
            continue;
        die_of(p, 9, 100);
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
    emit(*pod, "MODIFIED");
    schedule(*pod, sim_between(*kube.world, 1'000, 2'000'000));
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
    emit(*pod, "MODIFIED");
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
