// SPDX-License-Identifier: MIT
// kubectl_local/state.cc: the state directory: pod records, their supervisors, and notifications for watchers.
#include "kubectl_local/state.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "kubectl_local/os.h"

namespace etlnode::kubectl_local {

bool state_open(local_state &state, const std::string &dir, std::string &out_text)
{
    std::string path = dir;
    const char *value;
    if (path.empty() && (value = getenv("KUBECTL_LOCAL_STATE")) != nullptr)
        path = value;
    if (path.empty() && (value = getenv("XDG_STATE_HOME")) != nullptr && *value != '\0')
        path = std::string(value) + "/etlnode/local";
    if (path.empty() && (value = getenv("HOME")) != nullptr && *value != '\0')
        path = std::string(value) + "/.local/state/etlnode/local";
    if (path.empty()) {
        out_text = "no location for the state directory: use --state-dir, or set KUBECTL_LOCAL_STATE or HOME";
        return false;
    }
    bool made = os_make_dirs(path + "/pods") && os_make_dirs(path + "/tmp", 0700) && os_make_dirs(path + "/images");
    char absolute[PATH_MAX];
    if (!made || realpath(path.c_str(), absolute) == nullptr) {
        out_text = text_format("state directory %s: %s", path.c_str(), strerror(errno));
        return false;
    }
    state.dir = absolute;
    value = getenv("KUBECTL_LOCAL_IMAGES");
    state.images = value != nullptr && *value != '\0' ? value : state.dir + "/images";
    os_fd changes(open((state.dir + "/changes").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    if (changes.fd < 0) {
        out_text = text_format("state directory %s: %s", path.c_str(), strerror(errno));
        return false;
    }
    return true;
}

std::string state_pod_dir(const local_state &state, const pod_key &key) { return state.dir + "/pods/" + key.ns + "/" + key.name; }

std::vector<pod_key> state_list_pods(const local_state &state, const std::string &ns)
{
    std::vector<pod_key> keys;
    std::vector<std::string> namespaces;
    if (!ns.empty())
        namespaces.push_back(ns);
    else
        os_list(state.dir + "/pods", namespaces);
    for (const std::string &space : namespaces) {
        std::vector<std::string> names;
        os_list(state.dir + "/pods/" + space, names);
        for (const std::string &name : names)
            keys.push_back({space, name});
    }
    return keys;
}

bool state_read_pod(const local_state &state, const pod_key &key, json_ptr &out_pod)
{
    std::string text;
    std::string where;
    if (!os_read_file(state_pod_dir(state, key) + "/pod.json", text))
        return false;
    return !json_parse(text, out_pod, where);
}

std::string state_pod_uid(const cJSON *pod) { return std::string(json_text(json_get(pod, "metadata"), "uid")); }

// Holds the lock that serialises all writes to one state directory.
struct version_lock {
    os_fd file;
    uint64_t next = 0;
};

static bool take_version(const local_state &state, version_lock &lock)
{
    lock.file.reset(open((state.dir + "/resource_version").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    if (lock.file.fd < 0)
        return false;
    while (flock(lock.file.fd, LOCK_EX) != 0)
        if (errno != EINTR)
            return false;
    char text[32] = {};
    ssize_t n = pread(lock.file.fd, text, sizeof text - 1, 0);
    uint64_t last = 0;
    if (n < 0 || (n > 0 && !text_parse_u64(std::string_view(text, static_cast<size_t>(n)), last)))
        last = static_cast<uint64_t>(time(nullptr)); // the counter is torn: continue above any value it can have reached
    lock.next = last + 1;
    std::string written = text_format("%llu", static_cast<unsigned long long>(lock.next));
    return pwrite(lock.file.fd, written.data(), written.size(), 0) == static_cast<ssize_t>(written.size());
}

static void notify_watchers(const local_state &state)
{
    os_fd changes(open((state.dir + "/changes").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    if (changes.fd >= 0 && pwrite(changes.fd, "\n", 1, 0) != 1)
        return; // on a full disk watchers still check every second
}

static void set_version(cJSON *pod, uint64_t version)
{
    cJSON *metadata = cJSON_GetObjectItemCaseSensitive(pod, "metadata");
    cJSON_DeleteItemFromObjectCaseSensitive(metadata, "resourceVersion");
    json_add_u64_text(metadata, "resourceVersion", version);
}

state_create_result state_create_pod(
    const local_state &state, const pod_key &key, cJSON *pod, const std::string &allowed, std::string &out_text)
{
    std::string final_dir = state_pod_dir(state, key);
    std::string fresh = state.dir + "/tmp/new-" + os_random_hex(12);
    out_text.clear();
    state_create_result result = state_create_result::failed;
    {
        version_lock lock;
        if (!take_version(state, lock)) {
            out_text = text_format("%s/resource_version: %s", state.dir.c_str(), strerror(errno));
            return result;
        }
        set_version(pod, lock.next);
        bool made = os_make_dirs(state.dir + "/pods/" + key.ns) && mkdir(fresh.c_str(), 0700) == 0 && os_write_file(fresh + "/lock", "") &&
                    os_write_file(fresh + "/allowed.json", allowed) && os_write_file(fresh + "/pod.json", json_print(pod));
        if (made && rename(fresh.c_str(), final_dir.c_str()) == 0)
            result = state_create_result::created;
        else if (made && (errno == ENOTEMPTY || errno == EEXIST))
            result = state_create_result::exists;
        else
            out_text = text_format("%s: %s", final_dir.c_str(), strerror(errno));
    }
    if (result == state_create_result::created)
        notify_watchers(state);
    else
        os_remove_tree(fresh);
    return result;
}

bool state_write_pod(const local_state &state, const pod_key &key, cJSON *pod)
{
    {
        version_lock lock;
        if (!take_version(state, lock))
            return false;
        set_version(pod, lock.next);
        if (!os_replace_file(state_pod_dir(state, key) + "/pod.json", json_print(pod)))
            return false;
    }
    notify_watchers(state);
    return true;
}

void state_remove_pod(const local_state &state, const pod_key &key)
{
    std::string trash = state.dir + "/tmp/old-" + os_random_hex(12);
    if (rename(state_pod_dir(state, key).c_str(), trash.c_str()) != 0) {
        if (errno == ENOENT)
            return; // another process was faster, and the name may already belong to another pod
        trash = state_pod_dir(state, key);
    }
    notify_watchers(state);
    os_remove_tree(trash);
}

pid_t state_supervisor_pid(const local_state &state, const pod_key &key)
{
    os_fd file(open((state_pod_dir(state, key) + "/lock").c_str(), O_RDWR | O_CLOEXEC));
    if (file.fd < 0)
        return 0;
    struct flock lock = {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    if (fcntl(file.fd, F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK)
        return 0;
    return lock.l_pid;
}

int state_lock_pod(const local_state &state, const pod_key &key)
{
    std::string path = state_pod_dir(state, key) + "/lock";
    os_fd file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    if (file.fd < 0)
        return -1;
    struct flock lock = {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    if (fcntl(file.fd, F_SETLK, &lock) != 0)
        return -1;
    struct stat mine;
    struct stat named;
    if (fstat(file.fd, &mine) != 0 || stat(path.c_str(), &named) != 0 || mine.st_ino != named.st_ino || mine.st_dev != named.st_dev)
        return -1; // the pod was removed, or replaced, while we waited
    return file.release();
}

// The supervisor gets the variables needed to find programs and to report, but not the caller's secrets.
static std::vector<std::string> supervisor_environment()
{
    static constexpr const char *kept[] = {"PATH", "HOME", "XDG_STATE_HOME", "K8S_HOST_NAME", "KUBECTL_LOCAL_IMAGES",
        "KUBECTL_LOCAL_NETWORK", "TZ", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"};
    std::vector<std::string> out;
    for (const char *name : kept)
        if (const char *value = getenv(name))
            out.push_back(std::string(name) + "=" + value);
    return out;
}

[[noreturn]] static void become_supervisor(int null_fd, int log_fd, char *const *argv, char *const *environment)
{
    // After a fork, only async-signal-safe calls are allowed.
    setsid();
    pid_t inner = fork();
    if (inner != 0)
        _exit(inner < 0 ? 1 : 0);
    dup2(null_fd, 0);
    dup2(log_fd, 1);
    dup2(log_fd, 2);
    close_range(3, ~0u, 0);
    if (chdir("/") != 0)
        _exit(1);
    umask(022);
    signal(SIGPIPE, SIG_IGN);
    execve("/proc/self/exe", argv, environment);
    _exit(1);
}

bool state_spawn_supervisor(const local_state &state, const pod_key &key, std::string &out_text)
{
    std::string dir = state_pod_dir(state, key);
    os_fd null_fd(open("/dev/null", O_RDWR | O_CLOEXEC));
    os_fd log_fd(open((dir + "/supervisor.log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
    if (null_fd.fd < 0 || log_fd.fd < 0) {
        out_text = text_format("%s: %s", dir.c_str(), strerror(errno));
        return false;
    }
    std::vector<std::string> args = {"kubectl-local", "--state-dir=" + state.dir, "supervise", key.ns + "/" + key.name};
    std::vector<std::string> env = supervisor_environment();
    std::vector<char *> argv;
    std::vector<char *> environment;
    for (std::string &arg : args)
        argv.push_back(arg.data());
    argv.push_back(nullptr);
    for (std::string &entry : env)
        environment.push_back(entry.data());
    environment.push_back(nullptr);
    pid_t outer = fork();
    if (outer == 0)
        become_supervisor(null_fd.fd, log_fd.fd, argv.data(), environment.data());
    int status = 1;
    if (outer < 0 || waitpid(outer, &status, 0) < 0 || status != 0) {
        out_text = text_format("cannot start a supervisor: %s", strerror(errno));
        return false;
    }
    return true;
}

bool state_ensure_supervisor(const local_state &state, const pod_key &key, const cJSON *pod)
{
    std::string_view phase = json_text(json_get(pod, "status"), "phase");
    bool ended = phase == "Succeeded" || phase == "Failed";
    if (ended && !os_exists(state_pod_dir(state, key) + "/terminate"))
        return false;
    if (state_supervisor_pid(state, key) != 0)
        return false;
    std::string text;
    return state_spawn_supervisor(state, key, text);
}

void state_watch_open(state_watch &watch, const local_state &state)
{
    watch.inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (watch.inotify >= 0 && inotify_add_watch(watch.inotify, (state.dir + "/changes").c_str(), IN_MODIFY) < 0)
        state_watch_close(watch);
}

void state_watch_close(state_watch &watch)
{
    if (watch.inotify >= 0)
        close(watch.inotify);
    watch.inotify = -1;
}

bool state_watch_wait(state_watch &watch, int timeout_ms, int output_fd, const std::vector<int> &pidfds)
{
    std::vector<struct pollfd> set;
    set.push_back({watch.inotify, POLLIN, 0}); // poll ignores negative descriptors
    set.push_back({output_fd, 0, 0});
    for (int fd : pidfds)
        set.push_back({fd, POLLIN, 0});
    int timeout = watch.inotify < 0 ? std::min(timeout_ms, 50) : timeout_ms;
    int n = poll(set.data(), set.size(), timeout);
    if (n > 0 && set[0].revents != 0) {
        alignas(struct inotify_event) char events[4096];
        while (read(watch.inotify, events, sizeof events) > 0) {
        }
    }
    return !(n > 0 && (set[1].revents & POLLERR) != 0);
}

} // namespace etlnode::kubectl_local
