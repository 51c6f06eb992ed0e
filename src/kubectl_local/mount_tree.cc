// SPDX-License-Identifier: MIT
// kubectl_local/mount_tree.cc: builds the mount tree of a container before bubblewrap starts. Each source is opened once, without following
// links out of it.
#include "kubectl_local/mount_tree.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/text.h"
#include "kubectl_local/os.h"

namespace etlnode::kubectl_local {

static int open_beneath(int root, const std::string &path)
{
    struct open_how how = {};
    how.flags = O_PATH | O_CLOEXEC;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    int fd;
    do
        fd = static_cast<int>(syscall(SYS_openat2, root, path.c_str(), &how, sizeof how));
    while (fd < 0 && errno == EAGAIN); // another process renamed something meanwhile, and the kernel asks to try again
    return fd;
}

static bool give_to_pod(int parent, const std::string &name, uid_t owner)
{
    os_fd created(openat(parent, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    std::string self = text_format("/proc/self/fd/%d", created.fd);
    return created.fd >= 0 && fchownat(created.fd, "", owner, owner, AT_EMPTY_PATH) == 0 && chmod(self.c_str(), 0777) == 0;
}

// Creates missing names one after the other, each beneath `root`.
static bool make_beneath(int root, const mount_step &step, uid_t owner)
{
    for (size_t end = 0; end < step.path.size();) {
        end = std::min(step.path.find('/', end + 1), step.path.size());
        std::string part = step.path.substr(0, end);
        size_t slash = part.rfind('/');
        std::string name = slash == std::string::npos ? part : part.substr(slash + 1);
        if (name.empty() || name == ".")
            continue;
        os_fd parent(slash == std::string::npos ? dup(root) : open_beneath(root, part.substr(0, slash)));
        if (parent.fd < 0)
            return false;
        bool last_file = end == step.path.size() && step.make == mount_create::file;
        int rc;
        if (last_file) {
            rc = openat(parent.fd, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
            if (rc >= 0)
                close(rc);
        } else
            rc = mkdirat(parent.fd, name.c_str(), 0755);
        if (rc < 0 && errno != EEXIST)
            return false;
        if (rc >= 0 && step.give_to_pod && !give_to_pod(parent.fd, name, owner))
            return false;
    }
    return true;
}

static bool has_type(int fd, const std::string &wanted)
{
    struct stat about;
    if (fstat(fd, &about) != 0)
        return false;
    if (wanted.starts_with("Directory"))
        return S_ISDIR(about.st_mode);
    if (wanted.starts_with("File"))
        return S_ISREG(about.st_mode);
    if (wanted == "Socket")
        return S_ISSOCK(about.st_mode);
    if (wanted == "CharDevice")
        return S_ISCHR(about.st_mode);
    return wanted == "BlockDevice" ? S_ISBLK(about.st_mode) : true;
}

static int open_source(const mount_bind &bind, uid_t owner, std::string &out_text)
{
    std::string path = bind.root;
    os_fd at(open(bind.root.c_str(), O_PATH | O_CLOEXEC));
    int problem = at.fd < 0 ? errno : 0;
    for (const mount_step &step : bind.steps) {
        if (problem != 0)
            break;
        if (step.path.empty())
            continue;
        path += "/" + step.path;
        int next = open_beneath(at.fd, step.path);
        if (next < 0 && errno == ENOENT && step.make != mount_create::nothing)
            next = make_beneath(at.fd, step, owner) ? open_beneath(at.fd, step.path) : -1;
        problem = next < 0 ? errno : 0;
        at.reset(next);
    }
    if (problem == 0 && has_type(at.fd, bind.wanted))
        return at.release();
    std::string why = problem == EXDEV || problem == ELOOP ? "a link leads out of it"
                      : problem != 0                       ? strerror(problem)
                                                           : "it is not a " + bind.wanted;
    if (bind.volume.empty())
        out_text = text_format("%s: %s", path.c_str(), why.c_str());
    else if (!bind.wanted.empty() && (problem == 0 || problem == ENOENT))
        out_text = text_format("MountVolume.SetUp failed for volume \"%s\" : hostPath type check failed: %s is not a %s",
            bind.volume.c_str(), path.c_str(), bind.wanted.c_str());
    else
        out_text = text_format("MountVolume.SetUp failed for volume \"%s\" : %s: %s", bind.volume.c_str(), path.c_str(), why.c_str());
    return -1;
}

bool mount_tree_resolve(const mount_plan &plan, std::vector<std::pair<std::string, std::string>> &out_paths, std::string &out_text)
{
    for (const mount_bind &bind : plan.binds) {
        os_fd source(open_source(bind, geteuid(), out_text));
        if (source.fd < 0)
            return false;
        out_paths.emplace_back(bind.name, os_read_link(text_format("/proc/self/fd/%d", source.fd)));
    }
    return true;
}

static bool attach(const mount_bind &bind, int source, int user_ns, std::string &out_text)
{
    std::string place = std::string(mount_tree_dir) + "/" + bind.name;
    struct stat about;
    bool created = fstat(source, &about) == 0;
    if (created && S_ISDIR(about.st_mode))
        created = mkdir(place.c_str(), 0755) == 0;
    else if (created)
        created = os_write_file(place, "");
    os_fd tree(created ? open_tree(source, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE) : -1);
    if (tree.fd >= 0 && bind.map_ids && user_ns >= 0) {
        struct mount_attr attributes = {};
        attributes.attr_set = MOUNT_ATTR_IDMAP;
        attributes.userns_fd = static_cast<uint64_t>(user_ns);
        // If the file system or the kernel does not support this, files of root appear as nobody's: readable by everyone or not at all.
        (void)!mount_setattr(tree.fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof attributes);
    }
    if (tree.fd >= 0 && move_mount(tree.fd, "", AT_FDCWD, place.c_str(), MOVE_MOUNT_F_EMPTY_PATH) == 0)
        return true;
    out_text = text_format("mounting %s: %s", place.c_str(), strerror(errno));
    return false;
}

static bool make_writable(const mount_plan &plan, std::string &out_text)
{
    std::string base = std::string(mount_tree_dir) + "/w";
    std::string shm = std::string(mount_tree_dir) + "/shm";
    std::string options = text_format("mode=0755,size=%llu,nr_inodes=%llu,uid=%u,gid=%u",
        static_cast<unsigned long long>(plan.writable_bytes), static_cast<unsigned long long>(plan.writable_files), plan.owner, plan.owner);
    std::string shm_options = text_format("mode=1777,size=%llu,nr_inodes=%llu,uid=%u,gid=%u",
        static_cast<unsigned long long>(plan.shm_bytes), static_cast<unsigned long long>(plan.writable_files), plan.owner, plan.owner);
    bool done = mkdir(base.c_str(), 0755) == 0 && mkdir(shm.c_str(), 0755) == 0 &&
                mount("tmpfs", base.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) == 0 &&
                mount("tmpfs", shm.c_str(), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, shm_options.c_str()) == 0;
    for (const char *name : mount_tree_writable) {
        std::string path = base + "/" + name;
        bool shared = std::string_view(name).ends_with("tmp");
        done = done && mkdir(path.c_str(), 0755) == 0 && chown(path.c_str(), plan.owner, plan.owner) == 0 &&
               chmod(path.c_str(), shared ? 01777 : 0755) == 0;
    }
    if (!done)
        out_text = text_format("memory for the container: %s", strerror(errno));
    return done;
}

bool mount_tree_build(const mount_plan &plan, int user_ns, std::string &out_text)
{
    // Open all sources before covering the directory, because they may be inside it.
    std::vector<int> sources;
    bool done = true;
    for (const mount_bind &bind : plan.binds) {
        int fd = open_source(bind, plan.owner, out_text);
        if (fd < 0) {
            done = false;
            break;
        }
        sources.push_back(fd);
    }
    if (done && mount("tmpfs", mount_tree_dir, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=4m") != 0) {
        out_text = text_format("mounting %s: %s", mount_tree_dir, strerror(errno));
        done = false;
    }
    done = done && make_writable(plan, out_text);
    for (size_t i = 0; i < sources.size(); i++) {
        done = done && attach(plan.binds[i], sources[i], user_ns, out_text);
        close(sources[i]);
    }
    return done;
}

} // namespace etlnode::kubectl_local
