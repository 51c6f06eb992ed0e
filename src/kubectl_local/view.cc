// SPDX-License-Identifier: MIT
// kubectl_local/view.cc: a container's view: bubblewrap's arguments for its files, environment and command.
//
// The host's /usr and /etc are read-only, with the image's files over them. Nothing else of the host is visible. The root, /tmp, /run and
// the like are memory. Files that are not the host's are named by their location in mount_tree.h, where they are mounted before bwrap
// starts. bwrap cannot create names below a read-only bind. If an image adds such names, the directory is assembled entry by entry.
#include "kubectl_local/view.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "kubectl_local/os.h"
#include "kubectl_local/pod_fields.h"
#include "kubectl_local/termination_message.h"
#include "node/api.h"

namespace etlnode::kubectl_local {

static constexpr const char *default_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
static constexpr size_t merge_entries_max = 2'500; // the number of binds for one image; bwrap accepts 9,000 arguments
static constexpr size_t etc_entries_max = 20'000;

// Environment and command.

static void set_env(env_list &env, const std::string &name, const std::string &value)
{
    auto found = std::find_if(env.begin(), env.end(), [&](const auto &entry) { return entry.first == name; });
    if (found != env.end())
        env.erase(found);
    env.emplace_back(name, value);
}

// The addresses are known before the record contains them.
static std::string field_value(std::string_view path, const container_context &context)
{
    if (path == "status.podIP" || path == "status.podIPs")
        return context.pod_ip;
    if (path == "status.hostIP" || path == "status.hostIPs")
        return context.host_ip;
    return pod_field_value(context.pod, path);
}

env_list view_environment(const container_spec &container, const image_config &image, const container_context &context)
{
    env_list env = image.env;
    set_env(env, "HOSTNAME", context.hostname);
    const cJSON *variable;
    cJSON_ArrayForEach(variable, container.env)
    {
        const cJSON *name = cJSON_GetObjectItemCaseSensitive(variable, "name");
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(variable, "value");
        const cJSON *from = cJSON_GetObjectItemCaseSensitive(variable, "valueFrom");
        const cJSON *by_field = cJSON_GetObjectItemCaseSensitive(from, "fieldRef");
        const cJSON *by_resource = cJSON_GetObjectItemCaseSensitive(from, "resourceFieldRef");
        if (cJSON_IsObject(by_field))
            set_env(env, name->valuestring, field_value(json_text(by_field, "fieldPath"), context));
        else if (cJSON_IsObject(by_resource))
            set_env(env, name->valuestring,
                pod_resource_value(container.resources, json_text(by_resource, "resource"), json_text(by_resource, "divisor")));
        else if (cJSON_IsObject(from))
            continue; // the variable of a missing optional Secret or ConfigMap is not set
        else if (name->valuestring == env_target_url && !context.target_url.empty())
            set_env(env, name->valuestring, context.target_url);
        else
            set_env(env, name->valuestring, cJSON_IsString(value) ? pod_expand(value->valuestring, env) : "");
    }
    bool has_path = std::any_of(env.begin(), env.end(), [](const auto &entry) { return entry.first == "PATH"; });
    if (!has_path)
        set_env(env, "PATH", default_path);
    bool has_home = std::any_of(env.begin(), env.end(), [](const auto &entry) { return entry.first == "HOME"; });
    if (!has_home)
        set_env(env, "HOME", "/root");
    return env;
}

std::vector<std::string> view_command(const container_spec &container, const image_config &image, const env_list &env)
{
    std::vector<std::string> out;
    // A command from the spec is expanded; one from the image is not.
    if (container.has_command)
        for (const std::string &word : container.command)
            out.push_back(pod_expand(word, env));
    else
        out = image.entrypoint;
    if (container.has_args)
        for (const std::string &word : container.args)
            out.push_back(pod_expand(word, env));
    else if (!container.has_command)
        out.insert(out.end(), image.cmd.begin(), image.cmd.end());
    return out;
}

// Files.

struct view_builder {
    std::vector<std::string> &args;
    const std::string &rootfs;
    size_t merged = 0;
};

static void add(view_builder &b, std::initializer_list<std::string> words) { b.args.insert(b.args.end(), words); }

static std::string staged(const char *name) { return std::string(mount_tree_dir) + "/" + name; }

// The path at which bwrap finds a file of the image. The host's own files keep their paths.
static std::string source_of(const view_builder &b, const std::string &path)
{
    bool from_image = path.starts_with(b.rootfs) && (path.size() == b.rootfs.size() || path[b.rootfs.size()] == '/');
    return from_image ? staged("image") + path.substr(b.rootfs.size()) : path;
}

enum class file_kind : uint8_t { none, file, directory, link };

static file_kind kind_of(const std::string &path)
{
    struct stat about;
    if (lstat(path.c_str(), &about) != 0)
        return file_kind::none;
    return S_ISLNK(about.st_mode) ? file_kind::link : S_ISDIR(about.st_mode) ? file_kind::directory : file_kind::file;
}

static void bind_entry(view_builder &b, const std::string &source, const std::string &place)
{
    if (kind_of(source) == file_kind::link)
        add(b, {"--symlink", os_read_link(source), place});
    else
        add(b, {"--ro-bind", source_of(b, source), place});
}

// Whether binds alone can overlay the host's directory with the image's: same names, same kinds, no links.
static bool fits_over(const std::string &image, const std::string &host)
{
    std::vector<std::string> names;
    if (!os_list(image, names))
        return false;
    for (const std::string &name : names) {
        file_kind mine = kind_of(image + "/" + name);
        if (mine != kind_of(host + "/" + name) || mine == file_kind::link)
            return false;
        if (mine == file_kind::directory && !fits_over(image + "/" + name, host + "/" + name))
            return false;
    }
    return true;
}

static void bind_over(view_builder &b, const std::string &image, const std::string &place)
{
    std::vector<std::string> names;
    os_list(image, names);
    for (const std::string &name : names) {
        if (kind_of(image + "/" + name) == file_kind::directory)
            bind_over(b, image + "/" + name, place + "/" + name);
        else
            add(b, {"--ro-bind", source_of(b, image + "/" + name), place + "/" + name});
        b.merged++;
    }
}

// The host's `place`, overlaid with the image's.
static bool merge(view_builder &b, const std::string &image, const std::string &place)
{
    if (fits_over(image, place)) {
        add(b, {"--ro-bind", place, place});
        bind_over(b, image, place);
        return b.merged <= merge_entries_max;
    }
    std::vector<std::string> names;
    std::vector<std::string> mine;
    os_list(place, names);
    os_list(image, mine);
    names.insert(names.end(), mine.begin(), mine.end());
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    b.merged += names.size();
    add(b, {"--dir", place});
    for (const std::string &name : names) {
        std::string below = place + "/" + name;
        std::string from_image = image + "/" + name;
        file_kind here = kind_of(from_image);
        if (here == file_kind::none)
            bind_entry(b, below, below);
        else if (here == file_kind::directory && kind_of(below) == file_kind::directory) {
            if (below == "/usr/local")
                add(b, {"--ro-bind", source_of(b, from_image), below}); // the image's own programs, not the host's
            else if (!merge(b, from_image, below))
                return false;
        } else
            bind_entry(b, from_image, below);
        if (b.merged > merge_entries_max)
            return false;
    }
    return true;
}

static bool only_usr_local(const std::string &image_usr)
{
    std::vector<std::string> names;
    os_list(image_usr, names);
    return names.size() == 1 && names[0] == "local";
}

static bool add_usr(view_builder &b, const std::string &rootfs)
{
    if (kind_of(rootfs + "/usr") != file_kind::directory)
        add(b, {"--ro-bind", "/usr", "/usr"});
    else if (only_usr_local(rootfs + "/usr") && os_is_dir("/usr/local"))
        add(b, {"--ro-bind", "/usr", "/usr", "--ro-bind", source_of(b, rootfs + "/usr/local"), "/usr/local"});
    else
        return merge(b, rootfs + "/usr", "/usr");
    return true;
}

// If root may not create a user namespace, root in the container is root outside. Then hide everything that others cannot read.
static void hide_private(view_builder &b, const std::string &image, const std::string &dir, size_t &seen)
{
    std::vector<std::string> names;
    os_list(dir, names);
    for (const std::string &name : names) {
        std::string path = dir + "/" + name;
        struct stat about;
        if (++seen > etc_entries_max || lstat(path.c_str(), &about) != 0 || S_ISLNK(about.st_mode))
            continue;
        bool from_image = !image.empty() && os_exists(image + "/" + name);
        if (S_ISDIR(about.st_mode) && (about.st_mode & 0005) == 0005)
            hide_private(b, from_image ? image + "/" + name : "", path, seen);
        else if (from_image)
            continue;
        else if (S_ISDIR(about.st_mode))
            add(b, {"--tmpfs", path, "--remount-ro", path});
        else if ((about.st_mode & 0004) == 0)
            add(b, {"--ro-bind", "/dev/null", path});
    }
}

static bool add_generated(view_builder &b, const container_context &context, std::string &out_text)
{
    std::string hosts = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";
    if (!context.pod_ip.empty())
        hosts += context.pod_ip + "\t" + context.hostname + "\n";
    struct generated {
        const char *path;
        std::string content;
    } files[] = {
        {"/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"},
        {"/etc/group", "root:x:0:\nnogroup:x:65534:\n"},
        {"/etc/hostname", context.hostname + "\n"},
        {"/etc/hosts", hosts},
        {"/etc/resolv.conf", context.host_network ? "" : "# no network beyond the node\n"},
    };
    if (!os_make_dirs(context.scratch + "/etc")) {
        out_text = text_format("%s/etc: %s", context.scratch.c_str(), strerror(errno));
        return false;
    }
    for (const generated &file : files) {
        bool from_image = os_exists(context.rootfs + file.path);
        // A bind cannot cover a link. A resolv.conf that is managed elsewhere dangles in the container, which has no network anyway.
        if (from_image || file.content.empty() || kind_of(file.path) != file_kind::file)
            continue;
        std::string source = context.scratch + "/etc" + (strrchr(file.path, '/'));
        if (!os_write_file(source, file.content)) {
            out_text = text_format("%s: %s", source.c_str(), strerror(errno));
            return false;
        }
        add(b, {"--ro-bind", staged("etc") + strrchr(file.path, '/'), file.path});
    }
    return true;
}

static bool add_etc(view_builder &b, const container_context &context, std::string &out_text)
{
    std::string image = context.rootfs + "/etc";
    bool has_image = kind_of(image) == file_kind::directory;
    if (!has_image)
        add(b, {"--ro-bind", "/etc", "/etc"});
    else if (!merge(b, image, "/etc")) {
        out_text = "the image has too many files under /etc";
        return false;
    }
    size_t seen = 0;
    if (context.kind == user_mapping::root)
        hide_private(b, has_image ? image : "", "/etc", seen);
    return add_generated(b, context, out_text);
}

// Root without capabilities still owns root's files in /proc. Kernel settings must not be writable, and kernel secrets not readable. bwrap
// covers some of these only if it finds them writable, which it does not for /proc/sys as root.
static void cover_proc(view_builder &b, user_mapping kind)
{
    for (const char *path : {"/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs"})
        if (os_exists(path))
            add(b, {"--ro-bind", path, path});
    for (const char *path : {"/proc/kcore", "/proc/keys", "/proc/key-users", "/proc/kmsg", "/proc/latency_stats", "/proc/timer_list",
             "/proc/sched_debug", "/proc/interrupts"})
        if (os_exists(path))
            add(b, {"--ro-bind", "/dev/null", path});
    // Only root can read these. In a pod with its own user ids nobody is root.
    for (const char *path :
        {"/proc/vmallocinfo", "/proc/slabinfo", "/proc/pagetypeinfo", "/proc/kpagecount", "/proc/kpageflags", "/proc/kpagecgroup"})
        if (kind == user_mapping::root && os_exists(path))
            add(b, {"--ro-bind", "/dev/null", path});
    for (const char *path : {"/proc/acpi", "/proc/asound", "/proc/scsi"})
        if (os_is_dir(path))
            add(b, {"--tmpfs", path, "--remount-ro", path});
}

// Names that the image never provides directly.
static bool is_special(const std::string &name)
{
    static constexpr std::string_view special[] = {"usr", "etc", "proc", "dev", "sys", "tmp", "run"};
    return std::find(std::begin(special), std::end(special), name) != std::end(special);
}

// The directories that programs expect to be writable: one piece of memory with one limit. The image's files there are laid over it.
static void add_writable(view_builder &b, const container_context &context, const std::vector<std::string> &names)
{
    struct {
        const char *path;
        const char *name;
    } places[] = {{"/tmp", "w/tmp"}, {"/run", "w/run"}, {"/root", "w/home"}, {"/var/tmp", "w/var-tmp"}};
    for (const auto &one : places) {
        bool is_var = std::string_view(one.path).starts_with("/var");
        bool brings_var = std::find(names.begin(), names.end(), "var") != names.end();
        if (is_var && brings_var && kind_of(context.rootfs + one.path) != file_kind::directory)
            continue; // a name cannot be created below a read-only directory
        if (is_var && !brings_var)
            add(b, {"--dir", "/var"});
        if (context.identity.read_only_root)
            add(b, {"--perms", std::string_view(one.path).ends_with("tmp") ? "1777" : "0755", "--dir", one.path});
        else
            add(b, {"--bind", staged(one.name), one.path});
        std::vector<std::string> below;
        os_list(context.rootfs + one.path, below);
        for (const std::string &name : below)
            if (!is_var)
                bind_entry(b, context.rootfs + one.path + "/" + name, std::string(one.path) + "/" + name);
    }
}

static bool add_root(view_builder &b, const container_context &context, const std::string &message_path, std::string &out_text)
{
    if (!add_usr(b, context.rootfs)) {
        out_text = "the image has too many files under /usr; put them under /usr/local or a directory of their own";
        return false;
    }
    std::vector<std::string> names;
    os_list(context.rootfs, names);
    for (const char *name : {"bin", "sbin", "lib", "lib32", "lib64", "libx32"}) {
        bool from_image = std::find(names.begin(), names.end(), name) != names.end();
        std::string host = std::string("/") + name;
        if (!from_image && os_exists(host))
            bind_entry(b, host, host);
        else if (from_image && kind_of(host) == file_kind::directory && kind_of(context.rootfs + host) == file_kind::directory) {
            // The host's /usr is not merged: overlay the host's files with the image's.
            if (!merge(b, context.rootfs + host, host)) {
                out_text = text_format("the image has too many files under %s", host.c_str());
                return false;
            }
            std::erase(names, name);
        } else if (from_image && kind_of(host) == file_kind::link && kind_of(context.rootfs + host) == file_kind::directory) {
            out_text = text_format("the image has a directory %s, which is a link into /usr on this host; put the files into usr%s",
                host.c_str(), host.c_str());
            return false;
        }
    }
    if (!add_etc(b, context, out_text))
        return false;
    add(b, {"--proc", "/proc", "--dev", "/dev", "--bind", staged("shm"), "/dev/shm"});
    if (message_path.starts_with("/dev/"))
        add(b, {"--bind", staged("message"), message_path});
    add(b, {"--remount-ro", "/dev"});
    cover_proc(b, context.kind);
    for (const std::string &name : names)
        if (!is_special(name) && name != "root")
            bind_entry(b, context.rootfs + "/" + name, "/" + name);
    add_writable(b, context, names);
    return true;
}

// Volumes.

// A host path, resolved from the directory that the owner allowed. Components in between may be links, but none may lead out.
static bool bind_host_path(mount_bind &bind, const pod_volume &volume, const allow_list &allowed, std::string &out_text)
{
    std::string path;
    const allow_path *entry = allow_normalize(volume.host_path, path) ? allow_find(allowed, path) : nullptr;
    if (entry == nullptr) {
        out_text = text_format("MountVolume.SetUp failed for volume \"%s\" : hostPath %s is not allowed on this machine",
            volume.name.c_str(), text_escape(volume.host_path, 200).c_str());
        return false;
    }
    bind.root = entry->path;
    bind.wanted = volume.host_type;
    bind.map_ids = true;
    // Nothing is created in a directory that pods may only read.
    mount_create make = !entry->writable                          ? mount_create::nothing
                        : volume.host_type == "DirectoryOrCreate" ? mount_create::directory
                        : volume.host_type == "FileOrCreate"      ? mount_create::file
                                                                  : mount_create::nothing;
    if (path != entry->path)
        bind.steps.push_back({path.substr(entry->path == "/" ? 1 : entry->path.size() + 1), make, false});
    return true;
}

// The directory itself is ours, even while the pod fills it.
static bool make_volume(const std::string &path, const container_context &context, std::string &out_text)
{
    if (os_is_dir(path))
        return true;
    uid_t group = context.identity.has_fs_group ? context.owner + context.identity.fs_group : context.owner;
    mode_t mode = context.identity.has_fs_group ? 02777 : 0777;
    bool made = os_make_dirs(path.substr(0, path.rfind('/'))) && mkdir(path.c_str(), 0777) == 0 &&
                (context.owner == 0 || chown(path.c_str(), context.owner, group) == 0) && chmod(path.c_str(), mode) == 0;
    if (!made)
        out_text = text_format("%s: %s", path.c_str(), strerror(errno));
    return made;
}

std::string view_volume_dir(const container_context &context, const std::string &volume) { return context.scratch + "/volumes/" + volume; }

bool view_make_volumes(const pod_spec &spec, const container_context &context, std::string &out_text)
{
    for (const pod_volume &volume : spec.volumes)
        if (!volume.is_host && !make_volume(view_volume_dir(context, volume.name), context, out_text))
            return false;
    return true;
}

// bubblewrap creates missing parents of a mount for their owner only, so another user of the container could not pass through them.
static void add_parents(view_builder &b, std::string_view path)
{
    for (size_t slash = path.find('/', 1); slash != std::string_view::npos; slash = path.find('/', slash + 1))
        add(b, {"--dir", std::string(path.substr(0, slash))});
}

static bool add_mounts(view_builder &b, const pod_spec &spec, const container_spec &container, const container_context &context,
    const env_list &env, mount_plan &mounts, std::string &out_text)
{
    size_t index = 0;
    for (const pod_mount &mount : container.mounts) {
        auto volume = std::find_if(
            spec.volumes.begin(), spec.volumes.end(), [&](const pod_volume &one) { return one.name == mount.volume; });
        if (volume == spec.volumes.end())
            continue; // pod_read_spec has already reported this
        mount_bind bind;
        bind.name = "v" + std::to_string(index++);
        bind.volume = volume->name;
        bind.root = view_volume_dir(context, volume->name);
        if (volume->is_host && !bind_host_path(bind, *volume, context.allowed, out_text))
            return false;
        std::string sub_path = mount.sub_path_expr.empty() ? mount.sub_path : pod_expand(mount.sub_path_expr, env);
        if (!mount.sub_path_expr.empty() &&
            (sub_path.find("..") != std::string::npos || sub_path.starts_with("/") || sub_path.find("$(") != std::string::npos)) {
            out_text = text_format("subPath \"%s\" of volume \"%s\" is not a relative path without \"..\"",
                text_escape(sub_path, 200).c_str(), volume->name.c_str());
            return false;
        }
        // An earlier container of this pod may have placed links here, so resolve beneath the volume or not at all.
        const allow_path *entry = volume->is_host ? allow_find(context.allowed, volume->host_path) : nullptr;
        bool is_granted_read_only = volume->is_host && (entry == nullptr || !entry->writable);
        bind.steps.push_back({sub_path, is_granted_read_only ? mount_create::nothing : mount_create::directory, !volume->is_host});
        if (!sub_path.empty())
            bind.wanted.clear();
        bool read_only = mount.read_only || is_granted_read_only;
        add_parents(b, mount.path);
        add(b, {read_only ? "--ro-bind" : "--bind", staged(bind.name.c_str()), mount.path});
        mounts.binds.push_back(std::move(bind));
    }
    return true;
}

static void add_identity(view_builder &b, const container_context &context)
{
    // With a single mapped id, for an ordinary user, bwrap creates another user namespace in which that id has the wanted name.
    if (context.kind == user_mapping::own_user && (context.identity.user != 0 || context.identity.group != 0))
        add(b, {"--unshare-user", "--uid", std::to_string(context.identity.user), "--gid", std::to_string(context.identity.group)});
    add(b, {"--cap-drop", "ALL"});
    if (context.kind == user_mapping::own_user && context.identity.user != 0)
        return;
    for (const std::string &name : context.identity.capabilities)
        if (context.kind != user_mapping::root || name == "CAP_NET_BIND_SERVICE") // the machine's root gets nothing else
            add(b, {"--cap-add", name});
    // Needed to switch to the wanted user, who then has none of them.
    if (context.kind == user_mapping::block && !identity_is_root(context.identity))
        add(b, {"--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"});
}

bool view_build(const pod_spec &spec, const container_spec &container, const image_config &image, const container_context &context,
    const env_list &env, std::vector<std::string> &out_args, mount_plan &out_mounts, std::string &out_text)
{
    out_args.clear();
    out_mounts = mount_plan();
    out_mounts.owner = context.owner;
    out_mounts.writable_bytes = context.writable_bytes;
    out_mounts.writable_files = local_memory_files_max;
    out_mounts.shm_bytes = local_shm_size;
    out_mounts.binds.push_back({"image", context.rootfs, {}, "", "", true});
    view_builder b{out_args, context.rootfs};
    add(b, {"--unshare-pid", "--as-pid-1", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--die-with-parent", "--new-session",
               "--hostname", context.hostname.substr(0, 63)});
    add_identity(b, context);
    add(b, {"--bind", staged("w/root"), "/"});
    if (!add_root(b, context, container.message_path, out_text) || !add_mounts(b, spec, container, context, env, out_mounts, out_text))
        return false;
    if (!container.message_path.starts_with("/dev/")) {
        add_parents(b, container.message_path);
        add(b, {"--bind", staged("message"), container.message_path});
    }
    out_mounts.binds.push_back(
        {"message", termination_message_dir(context.scratch), {{container.name, mount_create::file, true}}, "", "", false});
    out_mounts.binds.push_back({"etc", context.scratch + "/etc", {}, "", "", true});
    if (context.identity.read_only_root)
        add(b, {"--remount-ro", "/"});
    add(b, {"--clearenv"});
    for (const auto &[name, value] : env)
        add(b, {"--setenv", name, value});
    std::string dir = !container.working_dir.empty() ? container.working_dir : !image.working_dir.empty() ? image.working_dir : "/";
    add(b, {"--chdir", dir});
    for (const std::string &arg : out_args)
        if (arg.find('\0') != std::string::npos) {
            out_text = "a name or value contains a NUL byte";
            return false;
        }
    return true;
}

} // namespace etlnode::kubectl_local
