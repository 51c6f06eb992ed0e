// SPDX-License-Identifier: MIT
// kubectl_local/watch.cc: `get pods --watch`: what there is, then every change, until killed or nobody reads.
//
// State against state: whenever something may have changed, all records are looked at and compared with what was told last. So a
// burst of writes may be told as one MODIFIED with the latest state, but no pod and no end is missed. A pod that vanished and came
// back under the same name in between is told as DELETED and ADDED, by its uid.
#include <map>

#include <ctime>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kubectl_local/commands.h"
#include "kubectl_local/os.h"
#include "kubectl_local/pod.h"

namespace etlnode::kubectl_local {

static constexpr int look_again_ms = 1000;           // beside inotify and pidfds, for records lost behind our back
static constexpr uint64_t first_supervisor_ms = 300; // how long the maker of a pod may take to start its supervisor

struct told_pod {
    std::string uid;
    std::string version;
    json_ptr pod;
    bool matches = false;
    struct stat file = {};
    bool seen = false;
    int pidfd = -1;              // of its supervisor
    bool was_supervised = false; // we have seen one
    uint64_t alone_since_ms = 0; // a pod just made gets its supervisor from whoever made it
};

struct watcher {
    const command &c;
    std::string name;
    const selector &wanted;
    const output_format &format;
    bool as_events = false;
    bool initial = true; // the list before the changes
    table t = {};
    bool header_done = false;
    bool with_sandbox = false;                 // as the first pod has it
    std::map<std::string, told_pod> pods = {}; // by namespace/name
    bool broken = false;                       // nobody reads
    bool look_soon = false;                    // a pod has no supervisor yet
};

static void tell(watcher &w, const char *type, const cJSON *pod)
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

static void forget(watcher &w, told_pod &pod)
{
    if (pod.matches && pod.pod != nullptr)
        tell(w, "DELETED", pod.pod.get());
    if (pod.pidfd >= 0)
        close(pod.pidfd);
    pod.pidfd = -1;
}

static bool same_file(const struct stat &a, const struct stat &b)
{
    return a.st_ino == b.st_ino && a.st_size == b.st_size && a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

// Keeps an eye on the supervisor: its end wakes us, and we start another.
static void keep_supervised(watcher &w, const pod_key &key, told_pod &told)
{
    if (told.pidfd >= 0)
        return;
    pid_t supervisor = state_supervisor_pid(w.c.state, key);
    if (supervisor > 0) {
        told.pidfd = static_cast<int>(syscall(SYS_pidfd_open, supervisor, 0));
        told.was_supervised = true;
        return;
    }
    if (told.alone_since_ms == 0)
        told.alone_since_ms = os_now_ms();
    if (told.was_supervised || os_now_ms() - told.alone_since_ms >= first_supervisor_ms) {
        told.was_supervised = false; // the next one gets its time
        told.alone_since_ms = 0;
        w.look_soon = state_heal_pod(w.c.state, key, told.pod.get()) || w.look_soon;
    } else
        w.look_soon = true;
}

static void look_at(watcher &w, const pod_key &key)
{
    told_pod &told = w.pods[key.ns + "/" + key.name];
    struct stat file;
    std::string path = state_pod_dir(w.c.state, key) + "/pod.json";
    if (stat(path.c_str(), &file) != 0)
        return; // seen stays false: gone
    if (told.pod != nullptr && same_file(file, told.file)) {
        told.seen = true;
        keep_supervised(w, key, told);
        return;
    }
    json_ptr pod;
    if (!state_read_pod(w.c.state, key, pod))
        return;
    told.seen = true;
    told.file = file;
    std::string uid = state_pod_uid(pod.get());
    std::string version(json_text(json_get(pod.get(), "metadata"), "resourceVersion"));
    bool is_new = told.pod == nullptr;
    if (!is_new && told.uid != uid) {
        forget(w, told);
        is_new = true;
    }
    bool changed = is_new || told.version != version;
    told.uid = uid;
    told.version = version;
    told.matches = selector_matches(w.wanted, json_get(json_get(pod.get(), "metadata"), "labels"));
    told.pod = std::move(pod);
    if (told.matches && changed)
        tell(w, is_new ? "ADDED" : "MODIFIED", told.pod.get());
    keep_supervised(w, key, told);
}

static void look_at_all(watcher &w)
{
    w.look_soon = false;
    for (auto &[name, told] : w.pods)
        told.seen = false;
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

// Closes what has ended, so that the next look starts a new supervisor.
static void drop_ended_supervisors(watcher &w)
{
    for (auto &[name, told] : w.pods) {
        size_t slash = name.find('/');
        pod_key key = {name.substr(0, slash), name.substr(slash + 1)};
        if (told.pidfd < 0 || state_supervisor_pid(w.c.state, key) != 0)
            continue;
        close(told.pidfd);
        told.pidfd = -1;
    }
}

int watch_pods(const command &c, const std::string &name, const selector &wanted, const output_format &format)
{
    watcher w{c, name, wanted, format};
    w.as_events = options_bool(c.o, "output-watch-events", false);
    state_ear ear;
    state_ear_open(ear, c.state);
    look_at_all(w);
    w.initial = false;
    while (!w.broken) {
        std::vector<int> pidfds;
        for (const auto &[key, told] : w.pods)
            if (told.pidfd >= 0)
                pidfds.push_back(told.pidfd);
        if (!state_ear_wait(ear, w.look_soon ? 50 : look_again_ms, STDOUT_FILENO, pidfds))
            break;
        drop_ended_supervisors(w);
        look_at_all(w);
    }
    for (auto &[key, told] : w.pods)
        if (told.pidfd >= 0)
            close(told.pidfd);
    state_ear_close(ear);
    return 0;
}

} // namespace etlnode::kubectl_local
