// SPDX-License-Identifier: MIT
// test/sim/sim_kubectl.cc: kubectl as the node sees it.
//
// Normal   create (pods, and Services for their node ports), delete, get, get --watch and logs. Each is a child that takes time.
// Fails    by faults of the area `kubectl`.
#include <algorithm>
#include <cstdlib>

#include "base/text.h"
#include "node/api.h"
#include "sim_kube.h"

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
    return std::string("{\"type\":\"") + type + "\",\"object\":" + json_print(sim_pod_print(pod).get()) + "}\n";
}

static void watch_ends(proc *p);

void sim_pod_emit(sim_pod &pod, const char *type)
{
    sim_world &w = sim_pod_world(pod);
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
    pod->manners = sim_manners_read(pod->image);
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
    sim_pod_emit(made, "ADDED");
    sim_pod_schedule(made, sim_between(w, 1'000, 60'000));
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
    sim_pod_emit(pod, "MODIFIED");
    if (sim_hit(w, sim_fault::kubectl_delete_hangs)) {
        sim_pod_get_stuck(pod, sim_fault::kubectl_delete_hangs);
        if (pod.next != nullptr)
            sim_cancel(w, pod.next);
        pod.next = nullptr;
        return;
    }
    sim_pod_schedule(pod, sim_between(w, 20'000, 2'200'000));
}

void sim_kube_release_deletes(sim_world &w, const std::string &name)
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
            cJSON_AddItemToArray(items, sim_pod_print(*pod).release());
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
    .machine =
        [](env &) {
            return machine_load{.memory = 1000, .memory_available = 250, .load = {2, 1, 0.5}, .processors = 4};
        },
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

} // namespace etlnode
