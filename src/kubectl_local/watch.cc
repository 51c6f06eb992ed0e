// SPDX-License-Identifier: MIT
// kubectl_local/watch.cc: `get pods --watch`: prints the present state, then every change, until it is killed or the reader has gone.
//
// It compares states: whenever something may have changed, it compares all records with what was last reported. So a burst of writes may be
// reported as one MODIFIED with the latest state, but no pod and no end is missed. A pod that was replaced under the same name in between
// is reported as DELETED and ADDED, because its uid differs.
#include <map>

#include <ctime>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kubectl_local/commands.h"
#include "kubectl_local/os.h"
#include "kubectl_local/pod.h"

namespace etlnode::kubectl_local {

static constexpr int recheck_ms = 1000;              // in addition to inotify and pidfds, for records lost without notice
static constexpr uint64_t first_supervisor_ms = 300; // how long the creator of a pod may take to start its supervisor

struct reported_pod {
    std::string uid;
    std::string version;
    json_ptr pod;
    bool matches = false;
    struct stat file = {};
    bool seen = false;
    int pidfd = -1;              // of its supervisor
    bool was_supervised = false; // whether one has been seen
    uint64_t alone_since_ms = 0; // when the missing supervisor was first noticed; 0 if there is one
};

struct watcher {
    const command &c;
    std::string name;
    const selector &wanted;
    const output_format &format;
    bool as_events = false;
    bool initial = true; // the list that precedes the changes
    table t = {};
    bool header_done = false;
    bool with_sandbox = false;                     // whether the first pod has it
    std::map<std::string, reported_pod> pods = {}; // by namespace/name
    bool broken = false;                           // the reader has gone
    bool recheck_soon = false;                     // a pod has no supervisor yet
};

static void report(watcher &w, const char *type, const cJSON *pod)
{
    std::string out;
    std::string text;
    bool is_table = w.format.kind == output_kind::table || w.format.kind == output_kind::wide;
    if (w.initial && options_bool(w.c.o, "watch-only", false))
        return;
    if (is_table) {
        bool wide = w.format.kind == output_kind::wide;
        std::vector<std::vector<std::string>> rows;
        if (!w.header_done)
            w.with_sandbox = sandbox_pod_is_unsandboxed(pod);
        std::vector<std::string> cells = print_pod_cells(pod, wide, w.c.all_namespaces, time(nullptr), w.with_sandbox);
        std::vector<std::string> header = print_pod_header(wide, w.c.all_namespaces, w.with_sandbox);
        if (w.as_events) {
            cells.insert(cells.begin(), type);
            header.insert(header.begin(), "EVENT");
        }
        if (!w.header_done && !options_bool(w.c.o, "no-headers", false))
            rows.push_back(header);
        w.header_done = true;
        rows.push_back(cells);
        out = print_rows(w.t, rows);
    } else if (w.as_events) {
        json_ptr event = json_object();
        json_add_text(event.get(), "type", type);
        json_add_tree(event.get(), "object", json_ptr(cJSON_Duplicate(pod, true)));
        out = print_json(event.get());
    } else if (w.format.kind == output_kind::json)
        out = print_json(pod);
    else if (w.format.kind == output_kind::name)
        out = "pod/" + std::string(json_text(json_get(pod, "metadata"), "name")) + "\n";
    else if (!print_template(pod, w.format, out, text)) {
        command_fail(text);
        w.broken = true;
        return;
    }
    w.broken = !command_write(out) || w.broken;
}

static void forget(watcher &w, reported_pod &pod)
{
    if (pod.matches && pod.pod != nullptr)
        report(w, "DELETED", pod.pod.get());
    if (pod.pidfd >= 0)
        close(pod.pidfd);
    pod.pidfd = -1;
}

static bool same_file(const struct stat &a, const struct stat &b)
{
    return a.st_ino == b.st_ino && a.st_size == b.st_size && a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

// Watches the supervisor. When it ends, the watcher wakes up and starts another.
static void keep_supervised(watcher &w, const pod_key &key, reported_pod &reported)
{
    if (reported.pidfd >= 0)
        return;
    pid_t supervisor = state_supervisor_pid(w.c.state, key);
    if (supervisor > 0) {
        reported.pidfd = static_cast<int>(syscall(SYS_pidfd_open, supervisor, 0));
        reported.was_supervised = true;
        return;
    }
    if (reported.alone_since_ms == 0)
        reported.alone_since_ms = os_now_ms();
    if (reported.was_supervised || os_now_ms() - reported.alone_since_ms >= first_supervisor_ms) {
        reported.was_supervised = false; // the next one gets its own time to start
        reported.alone_since_ms = 0;
        w.recheck_soon = state_ensure_supervisor(w.c.state, key, reported.pod.get()) || w.recheck_soon;
    } else
        w.recheck_soon = true;
}

static void look_at(watcher &w, const pod_key &key)
{
    reported_pod &reported = w.pods[key.ns + "/" + key.name];
    struct stat file;
    std::string path = state_pod_dir(w.c.state, key) + "/pod.json";
    if (stat(path.c_str(), &file) != 0)
        return; // `seen` stays false, so it is reported as deleted
    if (reported.pod != nullptr && same_file(file, reported.file)) {
        reported.seen = true;
        keep_supervised(w, key, reported);
        return;
    }
    json_ptr pod;
    if (!state_read_pod(w.c.state, key, pod))
        return;
    reported.seen = true;
    reported.file = file;
    std::string uid = state_pod_uid(pod.get());
    std::string version(json_text(json_get(pod.get(), "metadata"), "resourceVersion"));
    bool is_new = reported.pod == nullptr;
    if (!is_new && reported.uid != uid) {
        forget(w, reported);
        is_new = true;
    }
    bool changed = is_new || reported.version != version;
    reported.uid = uid;
    reported.version = version;
    reported.matches = selector_matches(w.wanted, json_get(json_get(pod.get(), "metadata"), "labels"));
    reported.pod = std::move(pod);
    if (reported.matches && changed)
        report(w, is_new ? "ADDED" : "MODIFIED", reported.pod.get());
    keep_supervised(w, key, reported);
}

static void inspect_all(watcher &w)
{
    w.recheck_soon = false;
    for (auto &[name, reported] : w.pods)
        reported.seen = false;
    for (const pod_key &key : state_list_pods(w.c.state, w.c.all_namespaces ? "" : w.c.ns))
        if ((w.name.empty() || key.name == w.name) && pod_name_is_valid(key.name))
            look_at(w, key);
    for (auto at = w.pods.begin(); at != w.pods.end();) {
        if (at->second.seen) {
            ++at;
            continue;
        }
        forget(w, at->second);
        at = w.pods.erase(at);
    }
}

// Closes pidfds of ended supervisors, so that the next check starts a new one.
static void drop_ended_supervisors(watcher &w)
{
    for (auto &[name, reported] : w.pods) {
        size_t slash = name.find('/');
        pod_key key = {name.substr(0, slash), name.substr(slash + 1)};
        if (reported.pidfd < 0 || state_supervisor_pid(w.c.state, key) != 0)
            continue;
        close(reported.pidfd);
        reported.pidfd = -1;
    }
}

int watch_pods(const command &c, const std::string &name, const selector &wanted, const output_format &format)
{
    watcher w{c, name, wanted, format};
    w.as_events = options_bool(c.o, "output-watch-events", false);
    state_watch changes;
    state_watch_open(changes, c.state);
    inspect_all(w);
    w.initial = false;
    while (!w.broken) {
        std::vector<int> pidfds;
        for (const auto &[key, reported] : w.pods)
            if (reported.pidfd >= 0)
                pidfds.push_back(reported.pidfd);
        if (!state_watch_wait(changes, w.recheck_soon ? 50 : recheck_ms, STDOUT_FILENO, pidfds))
            break;
        drop_ended_supervisors(w);
        inspect_all(w);
    }
    for (auto &[key, reported] : w.pods)
        if (reported.pidfd >= 0)
            close(reported.pidfd);
    state_watch_close(changes);
    return 0;
}

} // namespace etlnode::kubectl_local
