// SPDX-License-Identifier: MIT
// kubectl_local/sandbox.cc: finds out whether this machine allows the namespaces that pods run in, and decides what to do if not.
#include "kubectl_local/sandbox.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "kubectl_local/identity.h"
#include "kubectl_local/mount_tree.h"
#include "kubectl_local/os.h"
#include "kubectl_local/pod_namespaces.h"

namespace etlnode::kubectl_local {

static constexpr uint64_t trial_limit_ms = 5'000;
static constexpr size_t trial_text_max = 4'096;

// Trials.

struct trial {
    bool done = false; // exited with success
    std::string text;  // its output; the last line gives the reason of a failure
};

static std::string without_newline(std::string text)
{
    while (text.ends_with('\n'))
        text.pop_back();
    return text;
}

// Does what container.cc does before it becomes bwrap, with as few files as possible.
static bool join_trial(const pod_namespaces &namespaces)
{
    mount_plan mounts;
    std::string text;
    mounts.binds.push_back({"image", "/usr", {}, "", "", true});
    mounts.writable_bytes = mounts.shm_bytes = 1u << 20;
    mounts.writable_files = 100;
    if (!pod_namespaces_enter_mounts(namespaces))
        text = text_format("entering a mount namespace: %s", strerror(errno));
    else if (mount_tree_build(mounts, -1, text) && !pod_namespaces_enter(namespaces))
        text = text_format("entering a network namespace: %s", strerror(errno));
    if (!text.empty())
        os_write_all(STDERR_FILENO, text + "\n");
    return text.empty();
}

// Runs a program to completion, in `box` unless that is null.
static trial run_trial(const std::vector<std::string> &words, const pod_namespaces *namespaces)
{
    trial out;
    int pipe_fds[2];
    std::vector<std::string> copy = words;
    std::vector<char *> argv;
    for (std::string &word : copy)
        argv.push_back(word.data());
    argv.push_back(nullptr);
    if (pipe2(pipe_fds, O_CLOEXEC) != 0) {
        out.text = strerror(errno);
        return out;
    }
    pid_t child = fork();
    if (child == 0) {
        char *environment[] = {nullptr};
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, nullptr);
        int null_fd = open("/dev/null", O_RDWR);
        bool ready = dup2(null_fd, 0) >= 0 && dup2(null_fd, 1) >= 0 && dup2(pipe_fds[1], 2) >= 0;
        if (ready && namespaces != nullptr)
            ready = join_trial(*namespaces);
        close_range(3, ~0u, 0);
        if (ready)
            execve(argv[0], argv.data(), environment);
        _exit(126);
    }
    close(pipe_fds[1]);
    uint64_t deadline = os_now_ms() + trial_limit_ms;
    for (bool open = child > 0; open;) {
        struct pollfd wait = {pipe_fds[0], POLLIN, 0};
        uint64_t now = os_now_ms();
        int n = now < deadline ? poll(&wait, 1, static_cast<int>(deadline - now)) : 0;
        char chunk[512];
        ssize_t got = n > 0 ? read(pipe_fds[0], chunk, sizeof chunk) : 0;
        open = got > 0 || (n < 0 && errno == EINTR);
        if (got > 0 && out.text.size() < trial_text_max)
            out.text.append(chunk, static_cast<size_t>(got));
        if (n == 0)
            kill(child, SIGKILL);
    }
    close(pipe_fds[0]);
    int status = 1;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    out.done = child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    out.text = without_newline(out.text);
    out.text = out.text.substr(out.text.rfind('\n') + 1);
    if (!out.done && out.text.empty())
        out.text = os_now_ms() >= deadline ? "no answer within 5 s" : text_format("ended with status %d", status);
    return out;
}

static std::string own_program() { return os_read_link("/proc/self/exe"); }

// Does what container.cc and pod_namespaces.cc do for a pod, with a program that exits immediately. Returns "" if it works.
static std::string try_namespaces(const std::string &bwrap)
{
    pod_namespaces namespaces;
    namespace_options mode;
    std::string text;
    mode.veth = false;
    if (!pod_namespaces_open(namespaces, "trial", "", mode, text)) {
        std::string_view lead = "cannot create a network namespace: ";
        return text.starts_with(lead) ? text.substr(lead.size(), text.find(';') - lead.size()) : text;
    }
    trial t;
    if (!bwrap.empty())
        t = run_trial({bwrap, "--unshare-pid", "--as-pid-1", "--unshare-ipc", "--unshare-uts", "--ro-bind", "/", "/", "--proc", "/proc",
                          "--dev", "/dev", "--cap-drop", "ALL", "--", bwrap, "--version"},
            &namespaces);
    pod_namespaces_close(namespaces);
    return t.done || bwrap.empty() ? "" : t.text;
}

static std::string try_tracing(const local_state &state)
{
    std::string scratch = state.dir + "/tmp/trial-" + os_random_hex(8);
    std::string options = scratch + ".options";
    std::string content;
    for (const char *word : {"--ro-bind", "/", "/"})
        content += std::string(word) + '\0';
    if (!os_write_file(options, content, 0600))
        return text_format("%s: %s", options.c_str(), strerror(errno));
    std::string self = own_program();
    trial t = run_trial({self, "run-unsandboxed", "--args-file", options, "--scratch", scratch, "--", "/bin/sh", "-c", ":"}, nullptr);
    unlink(options.c_str());
    os_remove_tree(scratch);
    return t.done ? "" : t.text;
}

// Containers.

static bool lacks_admin()
{
    // Checks the bounding set: without CAP_SYS_ADMIN in it, no program can give the container's root the right to mount.
    std::string text;
    size_t at;
    uint64_t set = 0;
    static constexpr unsigned cap_sys_admin = 21;
    return os_read_file("/proc/self/status", text) && (at = text.find("CapBnd:\t")) != std::string::npos &&
           text_parse_hex_u64(text.substr(at + 8, 16), set) && (set >> cap_sys_admin & 1) == 0;
}

// "id parent major:minor root mountpoint ...": the fifth word is the mount point.
static bool has_mount_on_root(const std::string &mounts)
{
    for (size_t at = 0; at < mounts.size();) {
        size_t end = std::min(mounts.find('\n', at), mounts.size());
        std::string_view line = std::string_view(mounts).substr(at, end - at);
        for (int i = 0; i < 4 && !line.empty(); i++)
            line.remove_prefix(std::min(line.find(' ') + 1, line.size()));
        if (line.starts_with("/ "))
            return true;
        at = end + 1;
    }
    return false;
}

static bool is_chroot()
{
    struct stat own;
    struct stat first;
    if (stat("/", &own) == 0 && stat(os_root_of(1).c_str(), &first) == 0)
        return own.st_dev != first.st_dev || own.st_ino != first.st_ino;
    // Used if process 1 cannot be inspected: nothing is mounted on a root that is merely a directory.
    std::string mounts;
    return os_read_file("/proc/self/mountinfo", mounts) && !mounts.empty() && !has_mount_on_root(mounts);
}

static std::string find_place()
{
    for (const char *file : {"/.dockerenv", "/run/.dockerenv", "/run/.containerenv"})
        if (os_exists(file))
            return file;
    const char *variable = getenv("container");
    if (variable != nullptr && *variable != '\0')
        return "the variable `container`";
    std::string text;
    if (os_read_file("/proc/1/cgroup", text))
        for (const char *word : {"docker", "kubepods", "containerd", "lxc", "libpod"})
            if (text.find(word) != std::string::npos)
                return "/proc/1/cgroup";
    if (is_chroot())
        return "a root directory that is not that of process 1";
    return lacks_admin() ? "a root without CAP_SYS_ADMIN" : "";
}

// The results, cached.

struct findings {
    std::string namespaces; // the reason if they do not work; empty if they do
    std::string tracing;    // the same; only tried if namespaces fail
    bool has_bwrap = false;
};

static std::string file_mark(const std::string &path)
{
    struct stat about;
    if (path.empty() || stat(path.c_str(), &about) != 0)
        return path + ":none";
    return text_format("%s:%llu:%llu:%lld:%lld", path.c_str(), static_cast<unsigned long long>(about.st_dev),
        static_cast<unsigned long long>(about.st_ino), static_cast<long long>(about.st_size), static_cast<long long>(about.st_mtim.tv_sec));
}

// Everything on which the results depend.
static std::string cache_key(const std::string &bwrap)
{
    std::string boot;
    std::string status;
    os_read_file("/proc/sys/kernel/random/boot_id", boot);
    os_read_file("/proc/self/status", status);
    std::string out = text_format("uid %u ", geteuid()) + without_newline(boot);
    for (const char *key : {"CapEff:", "CapBnd:", "Seccomp:", "NoNewPrivs:"}) {
        size_t at = status.find(key);
        if (at != std::string::npos)
            out += " " + status.substr(at, status.find('\n', at) - at);
    }
    for (const char *ns : {"user", "mnt", "net", "pid"})
        out += " " + os_read_link(std::string("/proc/self/ns/") + ns);
    std::string value;
    for (const char *path : {"/proc/sys/kernel/unprivileged_userns_clone", "/proc/sys/user/max_user_namespaces",
             "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"})
        if (os_read_file(path, value))
            out += " " + without_newline(value);
    std::replace(out.begin(), out.end(), '\t', ' ');
    return out + " " + file_mark("/") + " " + file_mark(bwrap) + " " + file_mark(own_program());
}

static findings run_trials(const local_state &state)
{
    findings out;
    std::string bwrap = os_find_program("bwrap");
    std::string path = state.dir + "/sandbox.json";
    std::string now = cache_key(bwrap);
    std::string text;
    std::string where;
    json_ptr cached;
    out.has_bwrap = !bwrap.empty();
    if (os_read_file(path, text) && !json_parse(text, cached, where) && json_text(cached.get(), "circumstances") == now) {
        out.namespaces = json_text(cached.get(), "namespaces");
        out.tracing = json_text(cached.get(), "tracing");
        return out;
    }
    out.namespaces = try_namespaces(bwrap);
    if (!out.namespaces.empty())
        out.tracing = try_tracing(state);
    json_ptr found = json_object();
    json_add_text(found.get(), "circumstances", now);
    json_add_text(found.get(), "namespaces", out.namespaces);
    json_add_text(found.get(), "tracing", out.tracing);
    os_replace_file(path, json_print(found.get())); // if this fails, the next call repeats the trial
    return out;
}

sandbox_report sandbox_detect(const local_state &state, sandbox_mode mode)
{
    findings f = run_trials(state);
    sandbox_report out;
    if (f.namespaces.empty() && !f.has_bwrap) {
        out.kind = sandbox_kind::refused;
        out.failure = "bwrap not found";
        out.text = "bwrap not found: kubectl-local needs bubblewrap (Debian: apt-get install bubblewrap)";
        return out;
    }
    if (f.namespaces.empty()) {
        out.text = "pods run in namespaces of their own";
        return out;
    }
    out.failure = f.namespaces;
    out.place = geteuid() == 0 ? find_place() : "";
    std::string lead = text_format("namespaces cannot be created here (%s)", f.namespaces.c_str());
    out.kind = sandbox_kind::refused;
    if (!f.tracing.empty())
        out.text = lead + ", and processes cannot be traced either (" + f.tracing +
                   "): pods cannot run here; use a machine or a container that allows one of them";
    else if (mode == sandbox_mode::none || !out.place.empty()) {
        out.kind = sandbox_kind::none;
        out.text = lead + ": pods run unsandboxed, as processes of this machine's " + (geteuid() == 0 ? "root" : "user");
    } else {
        out.text = lead + ": pods would run unsandboxed, which by default is only allowed for root in a container. --sandbox=none "
                          "(kubectl-local, etlnode) allows it";
        if (geteuid() != 0)
            out.text += "; to sandbox them, enable unprivileged user namespaces (sysctl user.max_user_namespaces, "
                        "kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns)";
    }
    return out;
}

bool sandbox_parse_mode(const std::string &flag, sandbox_mode &out_mode, std::string &out_text)
{
    const char *variable = getenv("KUBECTL_LOCAL_SANDBOX");
    std::string value = !flag.empty() ? flag : variable != nullptr ? variable : "";
    out_mode = value == "none" ? sandbox_mode::none : sandbox_mode::automatic;
    if (value.empty() || value == "auto" || value == "none")
        return true;
    out_text = text_format(
        "%s must be auto or none, not \"%s\"", !flag.empty() ? "--sandbox" : "KUBECTL_LOCAL_SANDBOX", text_escape(value, 80).c_str());
    return false;
}

std::string sandbox_find_need(const cJSON *pod)
{
    const cJSON *spec = json_get(pod, "spec");
    if (cJSON_GetArraySize(json_get(json_get(spec, "securityContext"), "sysctls")) > 0)
        return "spec.securityContext.sysctls";
    for (const char *list : {"initContainers", "containers"}) {
        const cJSON *one;
        int index = 0;
        cJSON_ArrayForEach(one, json_get(spec, list))
        {
            if (!identity_is_root(identity_read(spec, one)))
                return text_format("the user of spec.%s[%d] (securityContext)", list, index);
            index++;
        }
    }
    return "";
}

bool sandbox_pod_is_unsandboxed(const cJSON *pod)
{
    return json_text(json_get(json_get(pod, "metadata"), "annotations"), std::string(annotation_sandbox).c_str()) == "none";
}

void sandbox_mark_pod(cJSON *pod, sandbox_kind kind)
{
    cJSON *metadata = cJSON_GetObjectItemCaseSensitive(pod, "metadata");
    cJSON *annotations = cJSON_GetObjectItemCaseSensitive(metadata, "annotations");
    if (!cJSON_IsObject(annotations) && kind != sandbox_kind::none)
        return;
    if (!cJSON_IsObject(annotations)) {
        cJSON_DeleteItemFromObjectCaseSensitive(metadata, "annotations");
        annotations = json_add_object(metadata, "annotations");
    }
    std::string key(annotation_sandbox);
    cJSON_DeleteItemFromObjectCaseSensitive(annotations, key.c_str()); // a spec must not set it
    if (kind == sandbox_kind::none)
        json_add_text(annotations, key.c_str(), sandbox_kind_names[static_cast<size_t>(kind)]);
}

} // namespace etlnode::kubectl_local
