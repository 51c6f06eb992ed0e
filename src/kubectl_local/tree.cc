// SPDX-License-Identifier: MIT
// kubectl_local/tree.cc: removes and measures directory trees that a pod has filled, through descriptors, whatever their depth.
//
// A pod chooses names, modes and depth. A path may be longer than the system accepts, so nothing below the top is accessed by path. Neither
// the stack nor the number of open descriptors grows with the depth.
#include "kubectl_local/tree.h"

#include <cerrno>
#include <set>
#include <utility>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "kubectl_local/os.h"

namespace etlnode::kubectl_local {

// Opens a directory for reading and writing, whatever its mode was. -1 if it is not a directory, or not ours.
static int open_to_clear(int parent, const char *name)
{
    os_fd place(openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (place.fd < 0)
        return -1;
    std::string self = text_format("/proc/self/fd/%d", place.fd);
    struct stat about;
    if (fstat(place.fd, &about) != 0)
        return -1;
    if ((about.st_mode & 0700) != 0700 && chmod(self.c_str(), 0700) != 0)
        return -1;
    return openat(place.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static std::vector<std::string> names_in(int fd)
{
    std::vector<std::string> names;
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy < 0 ? nullptr : fdopendir(copy);
    if (dir == nullptr) {
        if (copy >= 0)
            close(copy);
        return names;
    }
    while (struct dirent *entry = readdir(dir)) {
        std::string_view name = entry->d_name;
        if (name != "." && name != "..")
            names.emplace_back(name);
    }
    closedir(dir);
    return names;
}

static bool is_directory(int parent, const std::string &name)
{
    struct stat about;
    return fstatat(parent, name.c_str(), &about, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(about.st_mode);
}

// Empties a directory below the top: removes its files, and moves its directories up next to it. True if something was removed or moved.
static bool raise_children(int top, const std::string &name, const std::string &fresh, uint64_t &count)
{
    os_fd dir(open_to_clear(top, name.c_str()));
    bool moved = false;
    if (dir.fd < 0)
        return false;
    for (const std::string &child : names_in(dir.fd)) {
        if (!is_directory(dir.fd, child)) {
            moved = unlinkat(dir.fd, child.c_str(), 0) == 0 || moved;
            continue;
        }
        if (unlinkat(dir.fd, child.c_str(), AT_REMOVEDIR) == 0) {
            moved = true;
            continue;
        }
        os_fd opened(open_to_clear(dir.fd, child.c_str())); // moving a directory writes to it, because its ".." changes
        moved = renameat(dir.fd, child.c_str(), top,
                    text_format("%s-%llu", fresh.c_str(), static_cast<unsigned long long>(count++)).c_str()) == 0 ||
                moved;
    }
    return moved;
}

bool os_remove_tree(const std::string &path)
{
    struct stat about;
    if (lstat(path.c_str(), &about) != 0)
        return errno == ENOENT;
    if (!S_ISDIR(about.st_mode))
        return unlink(path.c_str()) == 0 || errno == ENOENT;
    os_fd top(open_to_clear(AT_FDCWD, path.c_str()));
    std::string fresh = "raised-" + os_random_hex(12);
    uint64_t count = 0;
    for (bool progress = top.fd >= 0; progress;) {
        progress = false;
        for (const std::string &name : names_in(top.fd)) {
            if (!is_directory(top.fd, name)) {
                progress = unlinkat(top.fd, name.c_str(), 0) == 0 || progress;
                continue;
            }
            progress = raise_children(top.fd, name, fresh, count) || progress;
            progress = unlinkat(top.fd, name.c_str(), AT_REMOVEDIR) == 0 || progress;
        }
    }
    return rmdir(path.c_str()) == 0 || errno == ENOENT;
}

// Usage.

struct walk_level {
    DIR *dir = nullptr;
};

tree_use tree_measure(const std::string &path)
{
    tree_use use;
    std::vector<walk_level> levels;
    std::set<std::pair<dev_t, ino_t>> linked; // files with several names, whose bytes count once
    int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0)
        levels.push_back({fdopendir(fd)});
    else
        use.is_whole = errno == ENOENT;
    while (!levels.empty()) {
        DIR *dir = levels.back().dir;
        struct dirent *entry = dir != nullptr ? readdir(dir) : nullptr;
        if (entry == nullptr) {
            if (dir != nullptr)
                closedir(dir);
            levels.pop_back();
            continue;
        }
        std::string_view name = entry->d_name;
        struct stat about;
        if (name == "." || name == ".." || fstatat(dirfd(dir), entry->d_name, &about, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        bool is_seen = !S_ISDIR(about.st_mode) && about.st_nlink > 1 && !linked.insert({about.st_dev, about.st_ino}).second;
        use.bytes += is_seen ? 0 : static_cast<uint64_t>(about.st_blocks) * 512;
        if (++use.files >= tree_files_max) {
            use.is_whole = false;
            break;
        }
        if (!S_ISDIR(about.st_mode))
            continue;
        // Directories that are too deep or closed are not measured. A caller that enforces a limit treats that as exceeding it.
        int below = levels.size() < tree_depth_max ? openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                                                   : -1;
        if (below < 0)
            use.is_whole = false;
        else
            levels.push_back({fdopendir(below)});
    }
    for (const walk_level &level : levels)
        if (level.dir != nullptr)
            closedir(level.dir);
    return use;
}

} // namespace etlnode::kubectl_local
