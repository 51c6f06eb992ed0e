// SPDX-License-Identifier: MIT
// kubectl_local/guest_view.cc: translates paths of an unsandboxed container to paths on this machine, and back.
#include "kubectl_local/guest_view.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "kubectl_local/mount_tree.h"
#include "kubectl_local/os.h"

namespace etlnode::kubectl_local {

// Building the view.

static const guest_binding &binding_of(const guest_view &view, const std::string &guest, std::string &out_rest)
{
    std::string at = guest == "/" ? "" : guest;
    for (;;) {
        auto found = view.bindings.find(at);
        if (found != view.bindings.end()) {
            out_rest = guest == "/" ? "" : guest.substr(at.size());
            return found->second;
        }
        at.resize(at.rfind('/')); // "" is always bound
    }
}

static std::string host_of(const guest_view &view, const std::string &guest)
{
    std::string rest;
    const guest_binding &binding = binding_of(view, guest, rest);
    if (rest.empty())
        return binding.host;
    return (binding.host == "/" ? "" : binding.host) + rest;
}

static std::string real_path(const std::string &path)
{
    char out[PATH_MAX];
    return realpath(path.c_str(), out) != nullptr ? out : "";
}

struct guest_builder {
    guest_view &view;
    std::string scratch;
    std::map<std::string, std::string> places; // of the names below mount_tree_dir
    unsigned memories = 0;
    mode_t mode = 0;
    bool has_mode = false;
};

// Only the pod's own directories may be renamed; directories bound from elsewhere belong to others.
static bool is_ours(const guest_builder &m, const std::string &host) { return host == m.scratch || host.starts_with(m.scratch + "/"); }

static std::string parent_of(const std::string &path)
{
    size_t slash = path.rfind('/');
    return slash == std::string::npos || slash == 0 ? "/" : path.substr(0, slash);
}

static void make_parents(guest_builder &m, const std::string &guest)
{
    std::string host = host_of(m.view, parent_of(guest));
    if (is_ours(m, host))
        os_make_dirs(host);
}

static void bind(guest_builder &m, const std::string &guest, const std::string &host, bool read_only)
{
    std::string key = guest == "/" ? "" : guest;
    // Hide earlier bindings below this path, as a mount does.
    for (auto below = m.view.bindings.lower_bound(key + "/");
         !key.empty() && below != m.view.bindings.end() && below->first.starts_with(key + "/");)
        below = m.view.bindings.erase(below);
    m.view.bindings[key] = {host, read_only};
    if (host == guest)
        m.view.guests[host] = guest;
    else
        m.view.guests.try_emplace(host, guest);
}

// The location on this machine of what would have been mounted below mount_tree_dir.
static std::string source_location_of(const guest_builder &m, const std::string &source)
{
    std::string lead = std::string(mount_tree_dir) + "/";
    size_t slash = source.find('/', lead.size());
    auto found = source.starts_with(lead)
                     ? m.places.find(source.substr(lead.size(), slash == std::string::npos ? slash : slash - lead.size()))
                     : m.places.end();
    return found == m.places.end() ? source : found->second + (slash == std::string::npos ? "" : source.substr(slash));
}

static bool make_binding(
    guest_builder &m, const std::string &wanted, const std::string &guest, bool read_only, bool may_miss, std::string &out_text)
{
    std::string source = source_location_of(m, wanted);
    std::string host = real_path(source);
    struct stat about = {};
    if (host.empty() || stat(host.c_str(), &about) != 0) {
        out_text = text_format("Can't find source path %s: %s", source.c_str(), strerror(errno));
        return may_miss;
    }
    make_parents(m, guest);
    std::string place = host_of(m.view, guest);
    if (is_ours(m, place) && !os_exists(place)) {
        if (S_ISDIR(about.st_mode))
            os_make_dirs(place);
        else
            os_write_file(place, ""); // the name must appear in its directory
    }
    bind(m, guest, host, read_only);
    return true;
}

static bool make_memory(guest_builder &m, const std::string &guest, std::string &out_text)
{
    std::string host = m.scratch + "/mem/" + std::to_string(m.memories++);
    make_parents(m, guest);
    std::string place = host_of(m.view, guest);
    if (is_ours(m, place))
        os_make_dirs(place);
    if (!os_make_dirs(host) || chmod(host.c_str(), m.has_mode ? m.mode : 0755) != 0) {
        out_text = text_format("%s: %s", host.c_str(), strerror(errno));
        return false;
    }
    bind(m, guest, host, false);
    return true;
}

static void make_link(guest_builder &m, const std::string &text, const std::string &guest)
{
    make_parents(m, guest);
    std::string place = host_of(m.view, guest);
    if (is_ours(m, place))
        (void)symlink(text.c_str(), place.c_str());
}

// Exclude the entries of /proc that do not belong to a process. They are the kernel's, and a pod that runs as the machine's root could
// write some of them.
static bool make_processes(guest_builder &m, const std::string &guest, std::string &out_text)
{
    if (!make_binding(m, "/proc", guest, false, false, out_text))
        return false;
    std::vector<std::string> names;
    os_list("/proc", names);
    for (const std::string &name : names) {
        uint64_t pid = 0;
        struct stat about;
        std::string path = "/proc/" + name;
        bool is_shown = lstat(path.c_str(), &about) == 0 && !S_ISLNK(about.st_mode); // self, mounts and net lead to a process
        if (is_shown && !text_parse_u64(name, pid))
            bind(m, guest + "/" + name, path, true);
    }
    return true;
}

static bool make_devices(guest_builder &m, const std::string &guest, std::string &out_text)
{
    if (!make_memory(m, guest, out_text))
        return false;
    for (const char *name : {"null", "zero", "full", "random", "urandom", "tty", "ptmx"})
        if (!make_binding(m, std::string("/dev/") + name, guest + "/" + name, false, true, out_text))
            return false;
    static constexpr std::pair<const char *, const char *> links[] = {{"fd", "/proc/self/fd"}, {"stdin", "/proc/self/fd/0"},
        {"stdout", "/proc/self/fd/1"}, {"stderr", "/proc/self/fd/2"}, {"core", "/proc/kcore"}};
    for (const auto &[name, text] : links)
        make_link(m, text, guest + "/" + name);
    m.mode = 01777;
    m.has_mode = true;
    return make_memory(m, guest + "/shm", out_text) && make_binding(m, "/dev/pts", guest + "/pts", false, true, out_text);
}

// The number of arguments of bubblewrap options that have no effect without namespaces.
struct idle_option {
    std::string_view name;
    size_t words;
};
static constexpr idle_option idle_options[] = {
    {"--unshare-user", 0},
    {"--unshare-user-try", 0},
    {"--unshare-ipc", 0},
    {"--unshare-pid", 0},
    {"--unshare-net", 0},
    {"--unshare-uts", 0},
    {"--unshare-cgroup", 0},
    {"--unshare-cgroup-try", 0},
    {"--unshare-all", 0},
    {"--share-net", 0},
    {"--userns", 1},
    {"--userns2", 1},
    {"--disable-userns", 0},
    {"--assert-userns-disabled", 0},
    {"--pidns", 1},
    {"--uid", 1},
    {"--gid", 1},
    {"--as-pid-1", 0},
    {"--die-with-parent", 0},
    {"--new-session", 0},
    {"--cap-add", 1},
    {"--cap-drop", 1},
    {"--seccomp", 1},
    {"--add-seccomp-fd", 1},
    {"--lock-file", 1},
    {"--sync-fd", 1},
    {"--block-fd", 1},
    {"--userns-block-fd", 1},
    {"--info-fd", 1},
    {"--mqueue", 1},
    {"--exec-label", 1},
    {"--file-label", 1},
    {"--size", 1},
};

// Applies an option with one value. False with `out_text` if it fails.
static bool apply_one_value(guest_builder &m, const std::string &name, const std::string &value, std::string &out_text)
{
    if (name == "--tmpfs")
        return make_memory(m, value, out_text);
    if (name == "--proc")
        return make_processes(m, value, out_text);
    if (name == "--dev")
        return make_devices(m, value, out_text);
    if (name == "--dir") {
        make_parents(m, value);
        std::string place = host_of(m.view, value);
        if (is_ours(m, place))
            os_make_dirs(place);
    } else if (name == "--remount-ro") {
        auto found = m.view.bindings.find(value == "/" ? "" : value);
        if (found != m.view.bindings.end())
            found->second.read_only = true;
    } else if (name == "--chdir") {
        m.view.dir = value;
    } else if (name == "--hostname") {
        m.view.hostname = value;
    } else if (name == "--pod-address") {
        m.view.pod_address = value;
    } else if (name == "--port-shift") {
        m.view.port_shift = static_cast<unsigned>(strtoul(value.c_str(), nullptr, 10));
    } else if (name == "--perms") {
        m.mode = static_cast<unsigned>(strtoul(value.c_str(), nullptr, 8));
    }
    return true;
}

// Applies an option with two values. False with `out_text` if it fails.
static bool apply_two_values(
    guest_builder &m, const std::string &name, const std::string &first, const std::string &second, std::string &out_text)
{
    if (name == "--symlink") {
        make_link(m, first, second);
    } else if (name == "--setenv") {
        m.view.env.emplace_back(first, second);
    } else if (name == "--place") {
        m.places[first] = second;
        if (first == "image") {
            m.view.image = real_path(second);
            m.view.image_fd = open(m.view.image.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
        }
    } else {
        return make_binding(m, first, second, name.starts_with("--ro-"), name.ends_with("-try"), out_text);
    }
    return true;
}

// 0 if the option is unknown.
static size_t count_values(std::string_view name)
{
    static constexpr std::string_view with_one[] = {
        "--tmpfs", "--proc", "--dev", "--dir", "--remount-ro", "--chdir", "--hostname", "--pod-address", "--port-shift", "--perms"};
    static constexpr std::string_view with_two[] = {
        "--ro-bind", "--bind", "--dev-bind", "--ro-bind-try", "--bind-try", "--dev-bind-try", "--symlink", "--setenv", "--place"};
    if (std::find(std::begin(with_one), std::end(with_one), name) != std::end(with_one))
        return 1;
    return std::find(std::begin(with_two), std::end(with_two), name) != std::end(with_two) ? 2 : 0;
}

// Applies the option at `at` and moves `at` behind it and its values.
static bool take_option(guest_builder &m, const std::vector<std::string> &options, size_t &at, std::string &out_text)
{
    const std::string &name = options[at];
    for (const idle_option &idle : idle_options)
        if (name == idle.name) {
            at += 1 + idle.words;
            return at <= options.size();
        }
    if (name == "--clearenv") {
        m.view.env.clear();
        at++;
        return true;
    }
    size_t values = count_values(name);
    if (values == 0) {
        out_text = text_format("option %s is not supported without namespaces", text_escape(name, 80).c_str());
        return false;
    }
    if (at + values >= options.size()) {
        out_text = text_format("option %s needs a value", name.c_str());
        return false;
    }
    bool done = values == 2 ? apply_two_values(m, name, options[at + 1], options[at + 2], out_text)
                            : apply_one_value(m, name, options[at + 1], out_text);
    m.has_mode = name == "--perms"; // applies only to the next option
    at += 1 + values;
    return done;
}

// The places outside volumes that a container may write to. A sandbox uses memory for them; here they are directories of the pod.
static bool make_writable(guest_builder &m)
{
    m.places["w"] = m.scratch + "/w";
    m.places["shm"] = m.scratch + "/shm";
    bool done = os_make_dirs(m.scratch + "/shm") && chmod((m.scratch + "/shm").c_str(), 01777) == 0;
    for (const char *name : mount_tree_writable) {
        std::string path = m.scratch + "/w/" + name;
        done = done && os_make_dirs(path) && chmod(path.c_str(), std::string_view(name).ends_with("tmp") ? 01777 : 0755) == 0;
    }
    return done;
}

bool guest_view_make(guest_view &view, const std::string &scratch, const std::vector<std::string> &options, std::string &out_text)
{
    guest_builder m{view, "", {}, 0, 0, false};
    if (!os_remove_tree(scratch) || !os_make_dirs(scratch + "/root") || (m.scratch = real_path(scratch)).empty() || !make_writable(m)) {
        out_text = text_format("%s: %s", scratch.c_str(), strerror(errno));
        return false;
    }
    view.root = m.scratch + "/root";
    bind(m, "/", view.root, false);
    for (size_t at = 0; at < options.size();)
        if (!take_option(m, options, at, out_text))
            return false;
    std::string file = m.scratch + "/hostname";
    if (view.hostname.empty() || !view.bindings.contains("/proc"))
        return true;
    if (!os_write_file(file, view.hostname + "\n")) {
        out_text = text_format("%s: %s", file.c_str(), strerror(errno));
        return false;
    }
    bind(m, "/proc/sys/kernel/hostname", file, true);
    return true;
}

void guest_view_follow_image(guest_view &view)
{
    if (view.image_fd < 0)
        return;
    std::string now = os_read_link(text_format("/proc/self/fd/%d", view.image_fd));
    if (now.empty() || now == view.image)
        return;
    std::unordered_map<std::string, std::string> guests;
    auto moved = [&](const std::string &host) {
        bool is_inside = host == view.image || host.starts_with(view.image + "/");
        return is_inside ? now + host.substr(view.image.size()) : host;
    };
    for (auto &[guest, binding] : view.bindings)
        binding.host = moved(binding.host);
    for (const auto &[host, guest] : view.guests)
        guests.emplace(moved(host), guest);
    view.guests = std::move(guests);
    view.image = now;
}

// Following paths.

static constexpr unsigned links_max = 40; // as in the kernel

std::string guest_name_of(const guest_view &view, const std::string &host)
{
    for (std::string at = host;;) {
        auto found = view.guests.find(at);
        if (found != view.guests.end()) {
            std::string rest = at == "/" ? (host == "/" ? "" : host) : host.substr(at.size());
            std::string name = (found->second == "/" ? "" : found->second) + rest;
            return name.empty() ? "/" : name;
        }
        size_t slash = at.rfind('/');
        if (slash == std::string::npos || at == "/")
            return host;
        at.resize(std::max<size_t>(slash, 1));
    }
}

bool guest_is_read_only(const guest_view &view, std::string_view host)
{
    static constexpr std::string_view removed = " (deleted)";
    static constexpr std::string_view nameless[] = {"/memfd:", "/dev/zero", "/SYSV"};
    if (host.ends_with(removed)) {
        for (std::string_view lead : nameless)
            if (host.starts_with(lead))
                return false;
        host.remove_suffix(removed.size());
    }
    if (!host.starts_with('/'))
        return false;
    // If a file is bound twice, the writable binding counts, unless another binding covers it there.
    for (const auto &[guest, binding] : view.bindings) {
        std::string_view base = binding.host == "/" ? std::string_view() : std::string_view(binding.host);
        bool holds = host.starts_with(base) && (host.size() == base.size() || host[base.size()] == '/');
        if (binding.read_only || !holds)
            continue;
        std::string name = guest + std::string(host.substr(base.size()));
        std::string rest;
        if (&binding_of(view, name.empty() ? "/" : name, rest) == &binding)
            return false;
    }
    return true;
}

// Links of /proc that the kernel follows directly, whatever their text says.
static bool is_magic(std::string_view host)
{
    if (!host.starts_with("/proc/"))
        return false;
    size_t slash = host.rfind('/');
    std::string_view name = host.substr(slash + 1);
    std::string_view dir = host.substr(0, slash);
    return name == "exe" || name == "cwd" || name == "root" || dir.ends_with("/fd") || dir.ends_with("/map_files") || dir.ends_with("/ns");
}

struct walk {
    const guest_view &view;
    std::string guest; // without a trailing slash; "" is the root
    std::string host;
    unsigned links = 0;
};

static void go_to_root(walk &w)
{
    w.guest.clear();
    w.host = w.view.root;
    auto found = w.view.bindings.find("");
    if (found != w.view.bindings.end())
        w.host = found->second.host;
}

static void go_up(walk &w)
{
    size_t slash = w.guest.rfind('/');
    w.guest.resize(slash == std::string::npos ? 0 : slash);
    w.host = host_of(w.view, w.guest.empty() ? "/" : w.guest);
}

static void go_down(walk &w, std::string_view name)
{
    w.guest += '/';
    w.guest += name;
    auto found = w.view.bindings.find(w.guest);
    if (found != w.view.bindings.end()) {
        w.host = found->second.host;
        return;
    }
    if (w.host != "/")
        w.host += '/';
    w.host += name;
}

// Translates names of /proc that depend on the caller. False if the container has no such process.
static bool translate_process(const walk &w, const guest_caller &caller, std::string &name)
{
    if (w.host != "/proc")
        return true;
    uint64_t pid = 0;
    if (name == "self")
        name = std::to_string(caller.tgid);
    else if (name == "thread-self")
        name = text_format("%d/task/%d", caller.tgid, caller.tid);
    else if (text_parse_u64(name, pid))
        return caller.is_inside == nullptr || caller.is_inside(caller.arg, static_cast<pid_t>(pid));
    return true;
}

enum class link_step : uint8_t { followed, resolved, failed };

// The walk stands on a link. followed: `out_text` is its text for the container. resolved: the kernel follows it, and `out_path` is set.
static link_step read_link(const walk &w, bool is_last, bool wants_dir, std::string &out_text, guest_path &out_path)
{
    out_text = os_read_link(w.host);
    if (!is_magic(w.host))
        return link_step::followed;
    if (w.host.ends_with("/root")) {
        out_text = "/";
        return link_step::followed;
    }
    if (is_last && !w.host.ends_with("/cwd")) {
        // A pipe or a removed file has no path, so the kernel follows this link. What is allowed depends on the file that it leads to.
        out_path.guest = w.guest;
        out_path.host = w.host + (wants_dir ? "/" : "");
        out_path.read_only = out_text.empty() || guest_is_read_only(w.view, out_text);
        return link_step::resolved;
    }
    if (!out_text.starts_with('/'))
        return link_step::failed;
    out_text = guest_name_of(w.view, out_text);
    return link_step::followed;
}

// Removes the first name from `in_out_left`; empty if there is none.
static std::string next_name(std::string &in_out_left)
{
    size_t from = in_out_left.find_first_not_of('/');
    if (from == std::string::npos)
        return {};
    size_t end = std::min(in_out_left.find('/', from), in_out_left.size());
    std::string name = in_out_left.substr(from, end - from);
    in_out_left.erase(0, end);
    return name;
}

static void finish_walk(const walk &w, bool wants_dir, guest_path &out_path)
{
    std::string rest;
    out_path.guest = w.guest.empty() ? "/" : w.guest;
    out_path.read_only = binding_of(w.view, out_path.guest, rest).read_only;
    out_path.host = w.host + (wants_dir && w.host != "/" ? "/" : "");
}

int guest_resolve(const guest_view &view, const guest_caller &caller, const std::string &base, std::string_view path, bool follow_last,
    guest_path &out_path)
{
    walk w{view, "", "", 0};
    go_to_root(w);
    std::string left = path.starts_with('/') ? std::string(path) : base + "/" + std::string(path);
    bool wants_dir = path.ends_with('/');
    for (std::string name = next_name(left); !name.empty(); name = next_name(left)) {
        bool is_last = left.find_first_not_of('/') == std::string::npos;
        if (name == ".")
            continue;
        if (name == "..") {
            go_up(w);
            continue;
        }
        if (!translate_process(w, caller, name))
            return ENOENT;
        std::string dir_guest = w.guest;
        std::string dir_host = w.host;
        go_down(w, name);
        struct stat about;
        if (lstat(w.host.c_str(), &about) != 0) {
            if (is_last && errno == ENOENT)
                break;
            return errno;
        }
        if (!S_ISLNK(about.st_mode)) {
            if (!is_last && !S_ISDIR(about.st_mode))
                return ENOTDIR;
            continue;
        }
        if (is_last && !follow_last && !wants_dir)
            break;
        if (++w.links > links_max)
            return ELOOP;
        std::string text;
        link_step step = read_link(w, is_last, wants_dir, text, out_path);
        if (step != link_step::followed)
            return step == link_step::resolved ? 0 : ENOTDIR;
        if (text.starts_with('/'))
            go_to_root(w);
        else {
            w.guest = dir_guest;
            w.host = dir_host;
        }
        left = text + "/" + left;
        wants_dir = wants_dir || (is_last && text.ends_with('/'));
        if (is_last)
            while (left.ends_with('/'))
                left.pop_back();
    }
    finish_walk(w, wants_dir, out_path);
    return 0;
}

std::string guest_link_text(const guest_view &view, const guest_path &link)
{
    std::string text = os_read_link(link.host);
    if (!is_magic(link.host) || !text.starts_with('/'))
        return text;
    return link.host.ends_with("/root") ? "/" : guest_name_of(view, text);
}

} // namespace etlnode::kubectl_local
