// SPDX-License-Identifier: MIT
// local/supervisor.cc: the process that keeps one pod running.
//
// Owns     the pod's record while it lives, its network namespace, one container run at a time, relays, probes, the log.
// Knows    container, pod_network, prober, view, status, state.     Known by  main (command `supervise`).
// Normal   network, init containers in order, the container, Ready, deletion: TERM, grace, KILL, everything removed.
// Fails    a container that ends is started again by restartPolicy: at once the first time, then after 1 s, 2 s, 4 s ... 30 s; one that
//          ran for a minute starts the series anew. A missing image is looked for every second. A supervisor that dies takes the
//          container with it; the next kubectl-local that looks starts another, which goes on from the record.
#include "local/supervisor.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "local/allow.h"
#include "local/cgroup.h"
#include "local/container.h"
#include "local/hints.h"
#include "local/identity.h"
#include "local/image.h"
#include "local/keeper.h"
#include "local/last_words.h"
#include "local/pod_limits.h"
#include "local/netbox.h"
#include "local/os.h"
#include "local/pod.h"
#include "local/pod_network.h"
#include "local/prober.h"
#include "local/sandbox.h"
#include "local/status.h"
#include "local/syscall_filter.h"
#include "local/users.h"
#include "local/view.h"
#include "local/witness.h"
#include "node/api.h"

static constexpr uint64_t backoff_first_ms = 1'000;
static constexpr uint64_t backoff_max_ms = 30'000;
static constexpr uint64_t healthy_run_ms = 60'000;    // a run this long clears the back-off
static constexpr uint64_t image_retry_ms = 1'000;
static constexpr uint64_t network_retry_ms = 5'000;
static constexpr uint64_t record_check_ms = 5'000;    // whether somebody removed the record under us
static constexpr uint64_t leave_grace_ms = 5'000;     // the supervisor itself was asked to end
static constexpr uint64_t probe_message_ms = 1'000;   // how often the reason for not being ready is refreshed

// Named by what is awaited.
enum class stage : uint8_t {
    next_attempt,  // a timer: back-off, image, network
    container_end, // a container runs (or is about to)
    deletion,      // nothing will start any more
};

struct supervisor {
    local_state state;
    pod_key key;
    std::string dir;
    os_fd lock;
    json_ptr pod;
    pod_spec spec;
    pod_status status;
    std::string published;
    std::string uid;
    bool unsandboxed = false;

    loop l;
    loop_watch signals;
    loop_timer attempt;
    loop_timer kill_timer;
    loop_timer record_check;
    loop_timer probe_message;

    stage at = stage::next_attempt;
    bool deleting = false;    // the record goes when the container is gone
    bool leaving = false;     // the record stays
    bool liveness_failed = false;
    bool swept = false;       // nothing of an earlier supervisor is left
    size_t current = 0;       // init containers first, then the container
    uint32_t crashes = 0;     // of the current container, in a row
    std::string image_trouble;

    allow_list allowed;
    user_block users; // of a pod that root runs
    pod_network network;
    witness life;
    container_run run;
    cgroup group;
    bool has_group = false;   // looked for; what could not be had is empty
    keeper keep;
    bool out_of_memory = false; // the container is being ended for it
    std::string memory_text;    // why
    std::string evicted;        // why the pod is being ended for good
    log_writer log;
    os_fd image_hold;
    prober probers[3];
};

static void start_current(supervisor &s);
static void finish(supervisor &s);

static bool is_main(const supervisor &s) { return s.current == s.spec.init_containers.size(); }
static const container_spec &current_spec(const supervisor &s) { return is_main(s) ? s.spec.container : s.spec.init_containers[s.current]; }
static container_status &current_status(supervisor &s) { return is_main(s) ? s.status.container : s.status.init[s.current]; }

static void publish(supervisor &s)
{
    status_write(s.status, s.pod.get());
    // The version differs with every write: compare without it.
    cJSON *metadata = cJSON_GetObjectItemCaseSensitive(s.pod.get(), "metadata");
    cJSON_DeleteItemFromObjectCaseSensitive(metadata, "resourceVersion");
    std::string text = json_print(s.pod.get());
    if (text == s.published)
        return;
    if (state_write_pod(s.state, s.key, s.pod.get()))
        s.published = text;
    else
        fprintf(stderr, "%s record not written: %s\n", os_time_text_ns().c_str(), strerror(errno));
}

static void wait_for(supervisor &s, uint64_t after_ms)
{
    s.at = stage::next_attempt;
    loop_timer_arm(s.l, s.attempt, after_ms);
}

// Where this process reaches memory of the pod's: in the mounts of the process that holds them.
static std::string memory_root(const supervisor &s) { return s.unsandboxed ? "" : text_format("/proc/%d/root", s.network.box.helper); }

static void set_waiting(supervisor &s, const std::string &reason, const std::string &message)
{
    container_status &status = current_status(s);
    status.state = container_state();
    status.state.reason = reason;
    status.state.message = message;
    status.ready = false;
    status.started = false;
    s.status.message = message;
}

// Network.

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

// Written even when there is none: a spec must not name one of its own.
static void open_witness(supervisor &s)
{
    witness &w = s.life;
    std::string address;
    w.l = &s.l;
    w.port = s.spec.container.ports.empty() ? 0 : s.spec.container.ports[0];
    w.living_command = living_command;
    w.container_id = container_id;
    w.arg = &s;
    if (w.listener.fd == -1 && w.port != 0 && !witness_open(w, address))
        fprintf(stderr, "%s no witness for the node: %s\n", os_time_text_ns().c_str(), strerror(errno));
    annotate(s, annotation_local_witness, address);
}

static view_place place_of(const supervisor &s, const container_spec &container);

// What the pod's AIS_TARGET_URL says, where whoever made the pod has said so too: the words of a spec open nothing.
static std::string granted_target(const supervisor &s)
{
    std::string url;
    const cJSON *variable;
    cJSON_ArrayForEach(variable, s.spec.container.env) if (json_text(variable, "name") == env_target_url) url = json_text(variable, "value");
    if (url.empty() || allow_has_target(s.allowed, url))
        return url;
    fprintf(stderr, "%s AIS_TARGET_URL names no target that was handed over with the pod: there is no way to it\n", os_time_text_ns().c_str());
    return "";
}

// The pod's namespaces: users, mounts, network.
static bool open_network(supervisor &s)
{
    std::string text;
    pod_network &n = s.network;
    netbox_wish wish;
    n.unsandboxed = s.unsandboxed;
    if (!s.unsandboxed && geteuid() == 0 && s.users.count == 0 && !users_choose(s.dir, s.users, text))
        fprintf(stderr, "%s %s: root in the pod is root outside, without its rights\n", os_time_text_ns().c_str(), text.c_str());
    wish.users = s.users;
    view_place place = place_of(s, s.spec.container);
    place.owner = s.users.base;
    if (!view_make_volumes(s.spec, place, text) || !os_make_dirs(last_words_dir(s.dir))) {
        set_waiting(s, "CreateContainerError", text);
        return false;
    }
    for (const pod_volume &volume : s.spec.volumes)
        if (volume.in_memory)
            wish.memory.push_back({view_volume_dir(place, volume.name), limits_memory_volume(volume, limits_read(s.spec.container.object)), local_memory_files_max});
    wish.memory.push_back({last_words_dir(s.dir), last_words_room, last_words_files_max});
    const cJSON *one;
    cJSON_ArrayForEach(one, json_get(json_get(s.spec.object, "securityContext"), "sysctls"))
        wish.sysctls.emplace_back(json_text(one, "name"), json_text(one, "value"));
    if (!pod_network_open(n, s.l, s.spec, granted_target(s), s.uid, old_address(s), std::move(wish), is_dying, &s, text)) {
        set_waiting(s, "CreateContainerError", text);
        return false;
    }
    s.status.host_ip = n.host_ip;
    s.status.pod_ip = n.pod_ip;
    if (!n.address.empty())
        annotate(s, annotation_local_address, n.address);
    open_witness(s);
    return true;
}

// Probes.

static void stop_probes(supervisor &s)
{
    for (prober &p : s.probers)
        prober_stop(p);
    loop_timer_stop(s.probe_message);
}

static const probe_spec &probe_of(const supervisor &s, probe_role role)
{
    const container_spec &container = s.spec.container;
    return role == probe_role::startup ? container.startup : role == probe_role::readiness ? container.readiness : container.liveness;
}

static void start_probe(supervisor &s, probe_role role)
{
    const probe_spec &spec = probe_of(s, role);
    if (spec.kind == probe_kind::none)
        return;
    if (spec.kind == probe_kind::unsupported) {
        if (role == probe_role::readiness)
            s.status.message = "Readiness probe failed: " + spec.why;
        return; // never ready; never killed by a probe we cannot make
    }
    prober &p = s.probers[static_cast<size_t>(role)];
    p.spec = &spec;
    p.address = {};
    p.address.sin_family = AF_INET;
    bool has_address = s.unsandboxed && !s.spec.host_network;
    p.address.sin_port = htons(static_cast<uint16_t>(has_address ? pod_network_port(s.network, spec.port) : spec.port));
    // Never anywhere else than to the pod: this is a process of the machine's, and goes where the pod may not.
    const std::string &own = has_address ? s.network.pod_ip : s.network.box.veth ? s.network.box.pod_address : "";
    if (inet_pton(AF_INET, own.c_str(), &p.address.sin_addr) != 1)
        p.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    p.inside = has_address || s.network.box.veth || s.spec.host_network ? nullptr : &s.network.box;
    prober_start(p);
}

static void start_probes_after_startup(supervisor &s)
{
    s.status.container.started = true;
    if (s.spec.container.readiness.kind == probe_kind::none)
        s.status.container.ready = true;
    start_probe(s, probe_role::readiness);
    start_probe(s, probe_role::liveness);
}

static void ask_to_end(supervisor &s, uint64_t grace_ms)
{
    if (s.run.bwrap == 0)
        return;
    if (!s.run.started || grace_ms == 0) {
        container_kill(s.run);
        return;
    }
    container_terminate(s.run);
    if (s.run.killed)
        return;
    if (!s.kill_timer.armed || s.kill_timer.at_ms > os_now_ms() + grace_ms) // asked again: only ever sooner
        loop_timer_arm(s.l, s.kill_timer, grace_ms);
}

static std::string with_hint(const std::string &text, const std::string &hint) { return hint.empty() ? text : text + " (hint: " + hint + ")"; }

// What kubectl-local itself listens for in the pod's network namespace.
static std::string_view target_url_of(const supervisor &s)
{
    if (!s.network.target_url.empty())
        return s.network.target_url;
    const cJSON *variable;
    cJSON_ArrayForEach(variable, s.spec.container.env) if (json_text(variable, "name") == env_target_url) return json_text(variable, "value");
    return {};
}

// Where nobody listens on the port, what else is listened on may be what was meant.
static std::string readiness_text(const supervisor &s, const std::string &why)
{
    bool is_refused = why.find(strerror(ECONNREFUSED)) != std::string::npos && s.run.bwrap != 0 && !s.spec.host_network && !s.unsandboxed; // else others' ports are seen too
    std::string hint = is_refused ? hint_of_port(s.run.bwrap, s.spec.container.readiness.port, target_url_of(s)) : "";
    return with_hint("Readiness probe failed: " + why, hint);
}

static void on_probe_change(void *arg, prober &which)
{
    supervisor &s = *static_cast<supervisor *>(arg);
    container_status &status = s.status.container;
    switch (which.role) {
    case probe_role::startup:
        prober_stop(which);
        if (which.good)
            start_probes_after_startup(s);
        break;
    case probe_role::readiness:
        status.ready = which.good;
        s.status.message = which.good ? "" : readiness_text(s, which.why);
        break;
    case probe_role::liveness:
        break;
    }
    publish(s);
    if (which.good || which.role == probe_role::readiness)
        return;
    s.liveness_failed = true;
    s.status.message = text_format("%s probe failed: %s", which.role == probe_role::startup ? "Startup" : "Liveness", which.why.c_str());
    stop_probes(s);
    ask_to_end(s, s.spec.grace_s * 1000);
}

// The pod says why it is not ready, but not with every try.
static void on_probe_message(void *arg)
{
    supervisor &s = *static_cast<supervisor *>(arg);
    const prober &readiness = s.probers[static_cast<size_t>(probe_role::readiness)];
    if (s.status.container.ready || s.run.bwrap == 0 || s.deleting)
        return;
    if (!readiness.why.empty())
        s.status.message = readiness_text(s, readiness.why);
    publish(s);
    loop_timer_arm(s.l, s.probe_message, probe_message_ms);
}

// Containers.

static void on_known(void *arg)
{
    supervisor &s = *static_cast<supervisor *>(arg);
    netbox_guard(s.network.box, s.run.command);
    // The tracer has them all below it, those too that left the command.
    keeper_start(s.keep, s.unsandboxed ? s.run.bwrap : s.run.command);
}

static void on_started(void *arg)
{
    supervisor &s = *static_cast<supervisor *>(arg);
    container_status &status = current_status(s);
    status.state = container_state();
    status.state.phase = container_phase::running;
    status.state.started = time(nullptr);
    s.status.message.clear();
    if (is_main(s)) {
        s.status.phase = "Running";
        pod_network_let_in(s.network, s.spec);
        if (s.spec.container.startup.kind != probe_kind::none)
            start_probe(s, probe_role::startup);
        else
            start_probes_after_startup(s);
        loop_timer_arm(s.l, s.probe_message, probe_message_ms);
    } else
        status.started = true;
    publish(s);
}

static view_place place_of(const supervisor &s, const container_spec &container)
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

// Root in the pod becomes whoever the spec names; where one id is mapped, bwrap has given it the name.
static void change_user(const view_place &place, std::vector<std::string> &command)
{
    const container_identity &who = place.who;
    if (place.kind == netbox_kind::own_user || identity_is_root(who))
        return;
    std::string groups;
    for (uint32_t group : who.groups)
        groups += (groups.empty() ? "" : ",") + std::to_string(group);
    std::vector<std::string> words = {os_find_program("setpriv"), "--reuid", std::to_string(who.user), "--regid", std::to_string(who.group)};
    if (groups.empty())
        words.push_back("--clear-groups");
    else
        words.insert(words.end(), {"--groups", groups});
    words.push_back("--");
    command.insert(command.begin(), words.begin(), words.end());
}

// The container is ended, and the next one of the pod starts as after any other end.
static void on_memory(void *arg, const std::string &message)
{
    supervisor &s = *static_cast<supervisor *>(arg);
    s.out_of_memory = true;
    s.memory_text = message;
    container_kill(s.run);
}

// As the kubelet does: the pod has failed, whatever its restartPolicy says.
static void on_evict(void *arg, const std::string &message)
{
    supervisor &s = *static_cast<supervisor *>(arg);
    s.evicted = message;
    stop_probes(s);
    container_kill(s.run);
}

// The control groups a container goes into, with its limits; what they cannot keep is looked after from here.
static std::vector<std::string> prepare_limits(supervisor &s, const container_spec &container)
{
    if (!s.has_group)
        cgroup_open(s.group, {}, "kubectl-local-" + s.uid);
    s.has_group = true;
    container_limits limits = limits_read(container.object);
    cgroup_set(s.group, {limits.memory, limits.cpu, local_tasks_max});
    keeper_prepare(s.keep, {s.spec, container, s.dir, s.group, s.unsandboxed, memory_root(s)});
    s.out_of_memory = false;
    s.memory_text.clear();
    return cgroup_join_files(s.group);
}

// An image that is missing may be made at any time: looked for every second. False: the attempt ends here.
static bool find_image(supervisor &s, image_reference &out_reference, image_config &out_config)
{
    const std::string &name = current_spec(s).image;
    reference_verdict verdict = image_parse_reference(name, out_reference);
    if (verdict == reference_verdict::invalid) {
        set_waiting(s, "InvalidImageName",
                    text_format("Failed to apply default image tag \"%s\": couldn't parse image name \"%s\": invalid reference format",
                                                       name.c_str(), name.c_str()));
        publish(s);
        s.at = stage::deletion;
        return false;
    }
    std::string text;
    if (verdict == reference_verdict::digest)
        text = text_format("image \"%s\": kubectl-local has no digests; name a tag", name.c_str());
    else {
        s.image_hold.reset(image_hold(s.state, out_reference));
        if (image_load(s.state, out_reference, out_config, text)) {
            s.image_trouble.clear();
            return true;
        }
    }
    bool first = s.image_trouble.empty();
    s.image_trouble = text;
    if (first)
        set_waiting(s, "ErrImagePull", text);
    else
        set_waiting(s, "ImagePullBackOff", text_format("Back-off pulling image \"%s\": ErrImagePull: %s", name.c_str(), text.c_str()));
    publish(s);
    wait_for(s, image_retry_ms);
    return false;
}

static uint64_t next_delay(supervisor &s)
{
    uint64_t delay = s.crashes == 0 ? 0 : std::min(backoff_first_ms << std::min<uint32_t>(s.crashes - 1, 10), backoff_max_ms);
    s.crashes++;
    return delay;
}

// What could not be started at all is tried again as if it had crashed.
static void retry_later(supervisor &s, const char *reason, const std::string &text)
{
    set_waiting(s, reason, text);
    publish(s);
    wait_for(s, std::max(next_delay(s), backoff_first_ms));
}

// What the tracer is told besides bubblewrap's options (guest_view.h).
static bool add_places(const supervisor &s, const stage_plan &stage, std::vector<std::string> &args, std::string &out_text)
{
    std::vector<std::pair<std::string, std::string>> paths;
    if (!stage_resolve(stage, paths, out_text))
        return false;
    std::vector<std::string> more;
    for (const auto &[name, path] : paths)
        more.insert(more.end(), {"--place", name, path});
    if (!s.spec.host_network)
        more.insert(more.end(), {"--pod-address", s.network.pod_ip, "--port-shift", std::to_string(s.network.port_shift)});
    args.insert(args.begin(), more.begin(), more.end());
    return true;
}

static void start_current(supervisor &s)
{
    const container_spec &container = current_spec(s);
    container_status &status = current_status(s);
    if (!s.spec.unsupported.empty()) {
        set_waiting(s, "CreateContainerConfigError", s.spec.unsupported);
        publish(s);
        s.at = stage::deletion;
        return;
    }
    if (!s.network.open && !open_network(s)) {
        publish(s);
        wait_for(s, network_retry_ms);
        return;
    }
    image_reference image;
    image_config config;
    if (!find_image(s, image, config))
        return;
    status.image_id = config.id;
    view_place place = place_of(s, container);
    place.rootfs = image_dir(s.state, image) + "/rootfs";
    env_list env = view_environment(container, config, place);
    std::vector<std::string> command = view_command(container, config, env);
    std::vector<std::string> args;
    stage_plan stage;
    std::string text;
    if (command.empty()) {
        retry_later(s, "CreateContainerError", text_format("no command specified: neither the pod nor image %s names one",
                                                           image_text(image).c_str()));
        return;
    }
    // Without namespaces this program takes bubblewrap's place.
    std::vector<std::string> stand_in;
    if (s.unsandboxed)
        stand_in = {"kubectl-local", "run-unsandboxed", "--scratch", s.dir + "/view"};
    std::string bwrap = s.unsandboxed ? os_read_link("/proc/self/exe") : os_find_program("bwrap");
    if (bwrap.empty()) {
        retry_later(s, "CreateContainerError", "bwrap not found: kubectl-local needs bubblewrap (Debian: apt-get install bubblewrap)");
        return;
    }
    os_fd filter;
    if (view_build(s.spec, container, config, place, env, args, stage, text)) {
        bool chroot = std::find(place.who.capabilities.begin(), place.who.capabilities.end(), "CAP_SYS_CHROOT") != place.who.capabilities.end();
        filter.reset(syscall_filter_make({chroot}, text));
    }
    if (filter.fd < 0) {
        retry_later(s, "CreateContainerError", text);
        return;
    }
    last_words_forget(memory_root(s) + last_words_dir(s.dir), container);
    if (s.unsandboxed && !add_places(s, stage, args, text)) {
        retry_later(s, "RunContainerError", text);
        return;
    }
    // What an earlier supervisor could not take along: it would hold the network namespace and the image.
    if (!s.swept && os_exists(s.dir + "/marked"))
        container_kill_marked(s.uid);
    s.swept = true;
    os_write_file(s.dir + "/marked", "");
    // An init container has a log of its own.
    std::string log_path = is_main(s) ? s.dir + "/log" : s.dir + "/log-" + container.name;
    if (s.log.path != log_path) {
        log_close(s.log);
        log_open(s.log, log_path);
    }
    bool again = !status.id.empty();
    if (again) {
        status.restarts++;
        log_turn(s.log);
    }
    std::string old_id = status.id;
    status.id = "local://" + os_random_hex(64);
    s.liveness_failed = false;
    s.run.l = &s.l;
    s.run.log = &s.log;
    s.run.on_known = on_known;
    s.run.on_started = on_started;
    s.run.arg = &s;
    if (!s.unsandboxed)
        change_user(place, command);
    std::vector<std::string> groups = prepare_limits(s, container);
    if (!container_spawn(s.run, {bwrap, s.network.box, stage, args, command, s.uid, groups, local_files_max, local_tasks_max, filter.fd, stand_in}, text)) {
        status.id = old_id; // nothing has run
        status.restarts -= again ? 1 : 0;
        retry_later(s, "RunContainerError", text);
        return;
    }
    s.at = stage::container_end;
}

static void on_attempt(void *arg)
{
    supervisor &s = *static_cast<supervisor *>(arg);
    if (!s.deleting && !s.leaving)
        start_current(s);
}

static void end_pod(supervisor &s, const char *phase)
{
    s.status.phase = phase;
    s.at = stage::deletion;
    witness_close(s.life);
    pod_network_close(s.network);
    cgroup_remove(s.group);
    publish(s);
    loop_stop(s.l); // the record stays; whoever deletes it needs no supervisor
}

static void next_init(supervisor &s)
{
    s.current++;
    s.crashes = 0;
    if (is_main(s)) {
        s.status.initialized = true;
        if (s.status.container.id.empty())
            set_waiting(s, "PodInitializing", "");
    }
    publish(s);
    start_current(s);
}

static void start_again(supervisor &s, const container_end &end)
{
    container_status &status = current_status(s);
    status.last = status.state;
    status.has_last = true;
    uint64_t delay = next_delay(s);
    if (end.never_started && delay == 0)
        set_waiting(s, "RunContainerError", end.text);
    else if (delay > 0)
        set_waiting(s, "CrashLoopBackOff",
                    text_format("back-off %s restarting failed container=%s pod=%s_%s(%s)%s%s", text_duration(delay).c_str(),
                                status.name.c_str(),
                                s.key.name.c_str(), s.key.ns.c_str(), s.uid.c_str(), end.never_started ? ": " : "", end.text.c_str()));
    else
        s.status.message = status.state.message; // `terminated` is shown until the new one runs
    publish(s);
    wait_for(s, delay);
}

static void container_ended(supervisor &s, const container_end &end)
{
    container_status &status = current_status(s);
    stop_probes(s);
    keeper_stop(s.keep);
    bool oom = s.out_of_memory || (end.exit_code == 128 + SIGKILL && cgroup_oom_kills(s.group) > s.keep.oom_before);
    loop_timer_stop(s.kill_timer);
    pod_network_container_ended(s.network);
    time_t now = time(nullptr);
    time_t started = status.state.phase == container_phase::running ? status.state.started : now;
    bool was_long = os_now_ms() - s.run.spawned_ms >= healthy_run_ms;
    status.state = container_state();
    status.state.phase = container_phase::terminated;
    status.state.exit_code = end.exit_code;
    status.state.reason = end.never_started ? "StartError" : oom ? "OOMKilled" : end.exit_code == 0 ? "Completed" : "Error";
    if (oom && s.memory_text.empty())
        s.memory_text = keeper_memory_text(s.keep);
    std::string words = last_words_read(memory_root(s) + last_words_dir(s.dir), current_spec(s), end.exit_code, s.log.path);
    status.state.message = !words.empty() ? words : s.liveness_failed ? s.status.message : oom ? s.memory_text : end.text;
    status.state.started = started;
    status.state.finished = now;
    status.state.container_id = status.id;
    status.ready = !is_main(s) && end.exit_code == 0;
    status.started = false;
    s.status.message = status.state.message;
    if (was_long)
        s.crashes = 0;
    if (s.deleting || s.leaving) {
        finish(s);
        return;
    }
    if (!s.evicted.empty()) {
        s.status.reason = "Evicted";
        s.status.message = s.evicted;
        end_pod(s, "Failed");
        return;
    }
    bool failed = end.exit_code != 0;
    if (!is_main(s) && !failed) {
        next_init(s);
        return;
    }
    bool again = is_main(s) ? s.spec.restart == restart_policy::always || (failed && s.spec.restart == restart_policy::on_failure)
                            : s.spec.restart != restart_policy::never;
    if (again)
        start_again(s, end);
    else
        end_pod(s, failed ? "Failed" : "Succeeded");
}

// Deletion and signals.

static void finish(supervisor &s)
{
    s.at = stage::deletion;
    if (s.deleting && s.status.container.state.phase == container_phase::terminated)
        s.status.phase = s.status.container.state.exit_code == 0 ? "Succeeded" : "Failed";
    publish(s);
    witness_close(s.life);
    pod_network_close(s.network);
    cgroup_remove(s.group);
    log_close(s.log);
    s.image_hold.reset(-1);
    image_sweep(s.state);
    if (s.deleting && geteuid() == 0)
        netbox_release_address(s.status.pod_ip);
    if (s.deleting)
        state_remove_pod(s.state, s.key); // last: whoever waits for the deletion finds nothing left
    loop_stop(s.l);
}

static void take_termination(supervisor &s)
{
    std::string text;
    std::string where;
    json_ptr request;
    if (!os_read_file(s.dir + "/terminate", text) || json_parse(text, request, where))
        return;
    uint64_t grace = json_u64(request.get(), "gracePeriodSeconds", s.spec.grace_s);
    bool first = !s.deleting;
    s.deleting = true;
    loop_timer_stop(s.attempt);
    cJSON *metadata = cJSON_GetObjectItemCaseSensitive(s.pod.get(), "metadata");
    cJSON_DeleteItemFromObjectCaseSensitive(metadata, "deletionTimestamp");
    cJSON_DeleteItemFromObjectCaseSensitive(metadata, "deletionGracePeriodSeconds");
    json_add_text(metadata, "deletionTimestamp", os_time_text(time(nullptr) + static_cast<time_t>(grace)));
    json_add_u64(metadata, "deletionGracePeriodSeconds", grace);
    if (first)
        stop_probes(s);
    publish(s);
    if (s.run.bwrap == 0)
        finish(s);
    else
        ask_to_end(s, grace * 1000);
}

static void leave(supervisor &s)
{
    s.leaving = true;
    loop_timer_stop(s.attempt);
    stop_probes(s);
    if (s.run.bwrap == 0)
        finish(s);
    else
        ask_to_end(s, std::min(s.spec.grace_s * 1000, leave_grace_ms));
}

// What kept the container from starting, or ended it at once, with a way out where one is known.
static void explain_end(const supervisor &s, container_end &end)
{
    image_reference image;
    bool known = image_parse_reference(current_spec(s).image, image) == reference_verdict::good;
    std::string hint = end.never_started ? hint_of_start(end.text, known ? image_dir(s.state, image) + "/rootfs" : "") : hint_of_exit(end.exit_code, s.log.last_line);
    if (!hint.empty())
        end.text = end.text.empty() ? "hint: " + hint : with_hint(end.text, hint);
}

static void reap(supervisor &s)
{
    int status = 0;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == s.network.box.helper) {
            // Cannot live on without its network; the next supervisor makes a new one.
            fprintf(stderr, "%s the network helper died\n", os_time_text_ns().c_str());
            s.network.box.helper = 0;
            container_kill(s.run);
            leave(s);
            continue;
        }
        if (pid != s.run.bwrap)
            continue; // an orphan of a container, adopted as its subreaper
        container_end end;
        container_reaped(s.run, status, end);
        explain_end(s, end);
        container_ended(s, end);
    }
}

static void on_signal(void *arg, uint32_t)
{
    supervisor &s = *static_cast<supervisor *>(arg);
    struct signalfd_siginfo info;
    while (read(s.signals.fd, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
        if (info.ssi_signo == SIGUSR1)
            take_termination(s);
        else if (info.ssi_signo != SIGCHLD && !s.deleting)
            leave(s);
    }
    reap(s);
}

static void on_kill_timer(void *arg) { container_kill(static_cast<supervisor *>(arg)->run); }

static bool record_is_ours(const supervisor &s)
{
    struct stat mine;
    struct stat named;
    return fstat(s.lock.fd, &mine) == 0 && stat((s.dir + "/lock").c_str(), &named) == 0 && mine.st_ino == named.st_ino;
}

static void on_record_check(void *arg)
{
    supervisor &s = *static_cast<supervisor *>(arg);
    if (record_is_ours(s)) {
        loop_timer_arm(s.l, s.record_check, record_check_ms);
        return;
    }
    fprintf(stderr, "%s the record is gone\n", os_time_text_ns().c_str());
    s.leaving = true;
    loop_timer_stop(s.attempt);
    stop_probes(s);
    if (s.run.bwrap != 0)
        container_kill(s.run);
    else
        finish(s);
}

// Start.

static void fill_status(supervisor &s)
{
    pod_status old;
    status_read(s.pod.get(), old);
    s.status = pod_status();
    s.status.started = old.started != 0 ? old.started : time(nullptr);
    s.status.initialized = s.spec.init_containers.empty();
    auto fill = [](container_status &status, const container_spec &spec) {
        status.name = spec.name;
        status.image = spec.image;
    };
    for (size_t i = 0; i < s.spec.init_containers.size(); i++) {
        s.status.init.emplace_back();
        if (i < old.init.size())
            s.status.init.back() = old.init[i];
        fill(s.status.init.back(), s.spec.init_containers[i]);
    }
    container_status &main = s.status.container;
    main = old.container;
    fill(main, s.spec.container);
    main.ready = main.started = false;
    // The container of an earlier supervisor died with it.
    if (main.state.phase == container_phase::running) {
        main.state.phase = container_phase::terminated;
        main.state.exit_code = 128 + SIGKILL;
        main.state.reason = "ContainerStatusUnknown";
        main.state.message = "The container ended together with its supervisor";
        main.state.finished = time(nullptr);
        main.state.container_id = main.id;
    }
    if (main.state.phase == container_phase::terminated) {
        main.last = main.state;
        main.has_last = true;
    } else if (main.id.empty()) {
        main.state = container_state();
        main.state.reason = s.spec.init_containers.empty() ? "ContainerCreating" : "PodInitializing";
    }
    for (container_status &one : s.status.init)
        if (one.id.empty()) {
            one.state = container_state();
            one.state.reason = "PodInitializing";
        }
}

static bool open_signals(supervisor &s)
{
    sigset_t set;
    sigemptyset(&set);
    for (int number : {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1})
        sigaddset(&set, number);
    int fd = sigprocmask(SIG_BLOCK, &set, nullptr) == 0 ? signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK) : -1;
    if (fd < 0)
        return false;
    s.signals.on_event = on_signal;
    s.signals.arg = &s;
    loop_watch_add(s.l, s.signals, fd, EPOLLIN);
    return true;
}

static void start(supervisor &s)
{
    for (size_t i = 0; i < 3; i++) {
        s.probers[i].l = &s.l;
        s.probers[i].role = static_cast<probe_role>(i);
        s.probers[i].on_change = on_probe_change;
        s.probers[i].arg = &s;
    }
    s.keep.l = &s.l;
    s.keep.on_memory = on_memory;
    s.keep.on_evict = on_evict;
    s.keep.arg = &s;
    struct {
        loop_timer *timer;
        void (*on_timer)(void *);
    } timers[] = {{&s.attempt, on_attempt}, {&s.kill_timer, on_kill_timer}, {&s.record_check, on_record_check},
        {&s.probe_message, on_probe_message}};
    for (auto &one : timers) {
        one.timer->on_timer = one.on_timer;
        one.timer->arg = &s;
    }
    loop_timer_arm(s.l, s.record_check, record_check_ms);
    bool was_running = s.status.container.state.phase == container_phase::terminated;
    if (os_exists(s.dir + "/terminate")) {
        take_termination(s);
        return;
    }
    if (was_running && (s.spec.restart == restart_policy::never
                        || (s.spec.restart == restart_policy::on_failure && s.status.container.state.exit_code == 0))) {
        end_pod(s, s.status.container.state.exit_code == 0 ? "Succeeded" : "Failed");
        return;
    }
    if (!s.status.container.id.empty())
        publish(s); // at once, so that nobody takes the dead container for a living one
    start_current(s);
}

static void read_allowed(supervisor &s)
{
    std::string text;
    std::string where;
    json_ptr tree;
    if (os_read_file(s.dir + "/allowed.json", text) && !json_parse(text, tree, where))
        allow_from_json(tree.get(), s.allowed);
}

int supervisor_main(const local_state &state, const pod_key &key)
{
    supervisor s;
    s.state = state;
    s.key = key;
    s.dir = state_pod_dir(state, key);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    // Signals first: whoever sees the lock held may send one.
    if (!loop_open(s.l) || !open_signals(s))
        return 1;
    s.lock.reset(state_lock_pod(state, key));
    int code = 0;
    if (s.lock.fd >= 0 && state_read_pod(state, key, s.pod)) {
        s.uid = state_pod_uid(s.pod.get());
        s.unsandboxed = sandbox_pod_is_unsandboxed(s.pod.get());
        pod_read_spec(s.pod.get(), s.spec);
        read_allowed(s);
        fill_status(s);
        std::string_view phase = json_text(json_get(s.pod.get(), "status"), "phase");
        bool ended = phase == "Succeeded" || phase == "Failed";
        if (!ended || os_exists(s.dir + "/terminate")) {
            start(s);
            loop_run(s.l);
        }
        log_close(s.log);
    } else if (s.lock.fd >= 0) {
        // Torn by a power cut before anybody was told that it exists.
        fprintf(stderr, "%s unreadable record removed\n", os_time_text_ns().c_str());
        state_remove_pod(state, key);
    }
    int fd = s.signals.fd;
    loop_watch_remove(s.l, s.signals);
    close(fd);
    loop_close(s.l);
    return code;
}
