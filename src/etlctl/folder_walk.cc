// SPDX-License-Identifier: MIT
// etlctl/folder_walk.cc: reads directories in sorted pages, and follows links without going in circles.
#include "etlctl/folder_walk.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "etlctl/folder_names.h"

namespace etlnode::etlctl {

static constexpr size_t levels_max = 256;

enum class entry_kind : uint8_t { file, folder, special, dangling };

static entry_kind kind_of_mode(mode_t mode)
{
    return S_ISREG(mode) ? entry_kind::file : S_ISDIR(mode) ? entry_kind::folder : entry_kind::special;
}

static entry_kind kind_of(const folder_walk &walk, int directory, const struct dirent &entry)
{
    if (entry.d_type == DT_REG)
        return entry_kind::file;
    if (entry.d_type == DT_DIR)
        return entry_kind::folder;
    if (entry.d_type != DT_LNK && entry.d_type != DT_UNKNOWN)
        return entry_kind::special;
    struct stat status = {};
    if (fstatat(directory, entry.d_name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return entry_kind::file; // it is gone again; opening it will say so
    if (!S_ISLNK(status.st_mode))
        return kind_of_mode(status.st_mode);
    if (!walk.follows_links)
        return entry_kind::file;
    if (fstatat(directory, entry.d_name, &status, 0) != 0)
        return entry_kind::dangling;
    return kind_of_mode(status.st_mode);
}

static std::string key_of(const folder_walk &walk, int directory, const struct dirent &entry)
{
    std::string key = entry.d_name;
    switch (kind_of(walk, directory, entry)) {
    case entry_kind::file: break;
    case entry_kind::folder: key += '/'; break;
    case entry_kind::special: key.append("\0s", 2); break;
    case entry_kind::dangling: key.append("\0d", 2); break;
    }
    return key;
}

// Keeps the smallest keys behind `level.last`, as a heap whose front is the largest.
static void keep(walk_level &level, size_t keys_max, std::string key)
{
    if (!level.last.empty() && key <= level.last)
        return;
    if (level.keys.size() == keys_max) {
        level.has_more = true;
        if (key >= level.keys.front())
            return;
        std::pop_heap(level.keys.begin(), level.keys.end());
        level.keys.pop_back();
    }
    level.keys.push_back(std::move(key));
    std::push_heap(level.keys.begin(), level.keys.end());
}

static bool read_page(const folder_walk &walk, walk_level &level)
{
    level.keys.clear();
    level.next = 0;
    level.has_more = false;
    int copy = openat(level.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = copy < 0 ? nullptr : fdopendir(copy);
    if (stream == nullptr) {
        int reason = errno;
        if (copy >= 0)
            close(copy);
        errno = reason;
        return false;
    }
    errno = 0;
    while (const struct dirent *entry = readdir(stream)) {
        std::string_view name = entry->d_name;
        if (name != "." && name != ".." && !folder_is_part(name))
            keep(level, walk.keys_max, key_of(walk, level.fd, *entry));
        errno = 0;
    }
    int reason = errno;
    closedir(stream);
    std::sort_heap(level.keys.begin(), level.keys.end());
    if (!level.keys.empty())
        level.last = level.keys.back();
    errno = reason;
    return reason == 0;
}

// False with errno; ELOOP if the folder is one of those that lead to it.
static bool push_level(folder_walk &walk, int fd, std::string prefix)
{
    walk_level level;
    level.fd = fd;
    level.prefix = std::move(prefix);
    struct stat status = {};
    int reason = fstat(fd, &status) != 0 ? errno : 0;
    for (const walk_level &above : walk.levels)
        if (reason == 0 && above.device == status.st_dev && above.inode == status.st_ino)
            reason = ELOOP;
    if (reason == 0 && walk.levels.size() >= levels_max)
        reason = ENAMETOOLONG;
    level.device = status.st_dev;
    level.inode = status.st_ino;
    if (reason == 0 && !read_page(walk, level))
        reason = errno;
    if (reason != 0) {
        close(fd);
        errno = reason;
        return false;
    }
    walk.levels.push_back(std::move(level));
    return true;
}

bool walk_begin(folder_walk &walk, int fd, const name_filter *filter)
{
    walk.filter = filter;
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return copy >= 0 && push_level(walk, copy, {});
}

static std::string reason_text(int reason)
{
    if (reason == ELOOP)
        return "this symbolic link leads back to a folder above it";
    if (reason == ENAMETOOLONG)
        return "there are too many folders in one another";
    return strerror(reason);
}

static void pop_level(folder_walk &walk)
{
    bool is_used = walk.levels.back().is_used;
    if (!is_used)
        ++walk.empty_folders;
    close(walk.levels.back().fd);
    walk.levels.pop_back();
    if (!walk.levels.empty() && is_used)
        walk.levels.back().is_used = true;
}

// Enters the folder. `out_step` is set if it cannot be read.
static bool enter_folder(folder_walk &walk, const std::string &part, const std::string &name, walk_step &out_step, std::string &out_why)
{
    if (walk.filter != nullptr && filter_prunes(*walk.filter, name))
        return true;
    int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | (walk.follows_links ? 0 : O_NOFOLLOW);
    int fd = openat(walk.levels.back().fd, part.c_str(), flags);
    if (fd >= 0 && push_level(walk, fd, name + "/"))
        return true;
    int reason = errno;
    walk.levels.back().is_used = true;
    out_step = reason == ELOOP ? walk_step::special : walk_step::problem;
    out_why = reason_text(reason);
    return false;
}

walk_step walk_next(folder_walk &walk, std::string &out_name, std::string &out_why)
{
    while (!walk.levels.empty()) {
        walk_level &level = walk.levels.back();
        if (level.next == level.keys.size()) {
            if (level.has_more && !read_page(walk, level)) {
                out_why = strerror(errno);
                out_name = level.prefix.substr(0, level.prefix.empty() ? 0 : level.prefix.size() - 1);
                level.has_more = false;
                level.keys.clear();
                return walk_step::problem;
            }
            if (level.keys.empty() || level.next == level.keys.size())
                pop_level(walk);
            continue;
        }
        std::string key = std::move(level.keys[level.next++]);
        size_t nul = key.find('\0');
        bool is_folder = key.back() == '/';
        std::string part = is_folder ? key.substr(0, key.size() - 1) : key.substr(0, nul);
        out_name = level.prefix + part;
        walk_step step = walk_step::end;
        if (is_folder) {
            if (!enter_folder(walk, part, out_name, step, out_why))
                return step;
            continue;
        }
        level.is_used = true;
        if (walk.filter != nullptr && !filter_takes(*walk.filter, out_name))
            continue;
        if (nul == std::string::npos)
            return walk_step::file;
        bool is_dangling = key.back() == 'd';
        out_why = is_dangling ? "this symbolic link leads nowhere" : "this is neither a file nor a folder";
        return is_dangling ? walk_step::problem : walk_step::special;
    }
    return walk_step::end;
}

void walk_end(folder_walk &walk)
{
    while (!walk.levels.empty()) {
        close(walk.levels.back().fd);
        walk.levels.pop_back();
    }
}

} // namespace etlnode::etlctl
