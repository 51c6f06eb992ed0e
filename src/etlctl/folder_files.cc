// SPDX-License-Identifier: MIT
// etlctl/folder_files.cc: opens, writes, commits and removes files below a folder, one part of the name after the other.
#include "etlctl/folder_files.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/text.h"
#include "etlctl/folder_names.h"

namespace etlnode::etlctl {

// ---- signals

static constexpr int parts_max = 1'024;

// Temporary names for the signal handler: written only while the signals are blocked.
struct part_slot {
    int directory; // 0: free; descriptors 0 to 2 are the standard streams
    char name[NAME_MAX + 1];
};
static part_slot part_slots[parts_max];
static volatile sig_atomic_t signal_seen;

static void on_signal(int number)
{
    if (signal_seen == 0) {
        signal_seen = number;
        return;
    }
    for (const part_slot &slot : part_slots)
        if (slot.directory != 0)
            unlinkat(slot.directory, slot.name, 0);
    _exit(128 + number);
}

void folder_watch_signals()
{
    struct sigaction action = {};
    action.sa_handler = on_signal; // without SA_RESTART: a wait ends
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGINT);
    sigaddset(&action.sa_mask, SIGTERM);
    for (int number : {SIGINT, SIGTERM}) {
        struct sigaction old = {};
        sigaction(number, nullptr, &old);
        if (old.sa_handler != SIG_IGN)
            sigaction(number, &action, nullptr);
    }
}

int folder_signal() { return signal_seen; }
bool folder_is_signalled() { return signal_seen != 0; }

static sigset_t block_signals()
{
    sigset_t set;
    sigset_t old;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, &old);
    return old;
}

static void unblock_signals(const sigset_t &old) { sigprocmask(SIG_SETMASK, &old, nullptr); }

// ---- folders

static bool make_all(const std::string &path)
{
    for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1))
        if (mkdir(path.substr(0, slash).c_str(), 0777) != 0 && errno != EEXIST)
            return false;
    return mkdir(path.c_str(), 0777) == 0 || errno == EEXIST;
}

bool folder_open(folder_root &root, const std::string &path, bool makes, std::string &out_why)
{
    bool is_made = !makes || make_all(path);
    if (is_made)
        root.fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root.fd < 0)
        out_why = text_format("%s: %s", path.c_str(), errno == ENOTDIR ? "is not a folder" : strerror(errno));
    return root.fd >= 0;
}

void folder_close(folder_root &root)
{
    if (root.cached_fd >= 0)
        close(root.cached_fd);
    if (root.fd >= 0)
        close(root.fd);
    root = folder_root{};
}

// The folder that `prefix` ("a/b/") names; -1 with errno and, in `out_at`, the part that is the reason.
static int walk_to(const folder_root &root, std::string_view prefix, bool makes, std::string &out_at)
{
    int fd = openat(root.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t begin = 0; fd >= 0 && begin < prefix.size();) {
        size_t slash = prefix.find('/', begin);
        std::string part(prefix.substr(begin, slash - begin));
        begin = slash + 1;
        int next = openat(fd, part.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0 && errno == ENOENT && makes && (mkdirat(fd, part.c_str(), 0777) == 0 || errno == EEXIST))
            next = openat(fd, part.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int reason = errno;
        struct stat status = {};
        if (next < 0 && reason == ENOTDIR && fstatat(fd, part.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(status.st_mode))
            reason = ELOOP;
        close(fd);
        fd = next;
        if (fd < 0) {
            out_at = prefix.substr(0, slash);
            errno = reason;
        }
    }
    return fd;
}

// A descriptor that stays the root's own.
static int parent_of(folder_root &root, const std::string &name, bool makes, std::string &out_why)
{
    size_t slash = name.rfind('/');
    std::string prefix = slash == std::string::npos ? std::string() : name.substr(0, slash + 1);
    if (prefix.empty())
        return root.fd;
    if (root.cached_fd >= 0 && root.cached == prefix)
        return root.cached_fd;
    std::string at;
    int fd = walk_to(root, prefix, makes, at);
    if (fd < 0) {
        out_why = errno == ELOOP     ? at + " is a symbolic link, which could lead out of the folder"
                  : errno == ENOTDIR ? at + " is a file, and a folder of that name is needed"
                                     : at + ": " + strerror(errno);
        return -1;
    }
    if (root.cached_fd >= 0)
        close(root.cached_fd);
    root.cached = prefix;
    root.cached_fd = fd;
    return fd;
}

static std::string last_part(const std::string &name)
{
    size_t slash = name.rfind('/');
    return slash == std::string::npos ? name : name.substr(slash + 1);
}

// ---- files that are written

static bool is_full_errno(int reason) { return reason == ENOSPC || reason == EDQUOT; }

static std::string part_name(int number)
{
    static unsigned count;
    return std::string(folder_part_prefix) + text_format("%d-%d-%u", static_cast<int>(getpid()), number, count++) +
           std::string(folder_part_suffix);
}

static bool open_named(folder_file &file)
{
    int slot = 0;
    while (slot < parts_max && part_slots[slot].directory != 0)
        ++slot;
    if (slot == parts_max) {
        errno = EMFILE;
        return false;
    }
    file.part = part_name(slot);
    sigset_t old = block_signals();
    file.fd = openat(file.directory, file.part.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    int reason = errno;
    if (file.fd >= 0) {
        memcpy(part_slots[slot].name, file.part.c_str(), file.part.size() + 1);
        part_slots[slot].directory = file.directory;
        file.slot = slot;
    } else {
        file.part.clear();
    }
    unblock_signals(old);
    errno = reason;
    return file.fd >= 0;
}

bool folder_file_open(folder_root &root, const std::string &name, folder_file &out_file, std::string &out_why, bool &out_is_full)
{
    int parent = parent_of(root, name, true, out_why);
    if (parent < 0) {
        out_is_full = is_full_errno(errno);
        return false;
    }
    out_file.name = last_part(name);
    out_file.directory = fcntl(parent, F_DUPFD_CLOEXEC, 3);
    struct stat status = {};
    bool is_there = out_file.directory >= 0 && fstatat(out_file.directory, out_file.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
    if (is_there && !S_ISREG(status.st_mode) && !S_ISLNK(status.st_mode)) {
        out_why = S_ISDIR(status.st_mode) ? "a folder of this name is there"
                                          : "what is there under this name is neither a file nor a folder";
        folder_file_drop(out_file);
        return false;
    }
    static const bool has_proc = access("/proc/self/fd", X_OK) == 0;
    if (out_file.directory >= 0 && has_proc)
        out_file.fd = openat(out_file.directory, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
    if (out_file.directory >= 0 && out_file.fd < 0 && !is_full_errno(errno))
        open_named(out_file);
    if (out_file.fd < 0) {
        out_is_full = is_full_errno(errno);
        out_why = strerror(errno);
        folder_file_drop(out_file);
    }
    return out_file.fd >= 0;
}

bool folder_file_write(folder_file &file, const char *bytes, size_t size, std::string &out_why, bool &out_is_full)
{
    while (size > 0) {
        ssize_t wrote = write(file.fd, bytes, size);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0) {
            out_is_full = is_full_errno(errno);
            out_why = text_format("cannot write the file: %s", strerror(errno));
            return false;
        }
        bytes += wrote;
        size -= static_cast<size_t>(wrote);
    }
    return true;
}

// Gives a file without a name its name. One that exists cannot be replaced in one step, so it goes through a temporary name.
static bool link_file(folder_file &file)
{
    std::string self = text_format("/proc/self/fd/%d", file.fd);
    if (linkat(AT_FDCWD, self.c_str(), file.directory, file.name.c_str(), AT_SYMLINK_FOLLOW) == 0)
        return true;
    if (errno != EEXIST)
        return false;
    std::string part = part_name(file.fd);
    sigset_t old = block_signals();
    bool is_done = linkat(AT_FDCWD, self.c_str(), file.directory, part.c_str(), AT_SYMLINK_FOLLOW) == 0;
    if (is_done && renameat(file.directory, part.c_str(), file.directory, file.name.c_str()) != 0) {
        int reason = errno;
        unlinkat(file.directory, part.c_str(), 0);
        errno = reason;
        is_done = false;
    }
    unblock_signals(old);
    return is_done;
}

static bool rename_file(folder_file &file)
{
    sigset_t old = block_signals();
    bool is_done = renameat(file.directory, file.part.c_str(), file.directory, file.name.c_str()) == 0;
    if (is_done) {
        part_slots[file.slot].directory = 0;
        file.part.clear();
        file.slot = -1;
    }
    unblock_signals(old);
    return is_done;
}

bool folder_file_commit(folder_file &file, std::string &out_why)
{
    bool is_done = file.part.empty() ? link_file(file) : rename_file(file);
    int reason = errno;
    if (is_done && close(file.fd) != 0) { // a quota may be noticed only now
        reason = errno;
        unlinkat(file.directory, file.name.c_str(), 0);
        is_done = false;
    }
    if (is_done)
        file.fd = -1;
    else
        out_why = reason == EISDIR ? "a folder of this name is there" : strerror(reason);
    folder_file_drop(file);
    return is_done;
}

void folder_file_drop(folder_file &file)
{
    if (file.fd >= 0)
        close(file.fd);
    if (!file.part.empty()) {
        sigset_t old = block_signals();
        unlinkat(file.directory, file.part.c_str(), 0);
        part_slots[file.slot].directory = 0;
        unblock_signals(old);
    }
    if (file.directory >= 0)
        close(file.directory);
    file = folder_file{};
}

// ---- files that are there

folder_found folder_look(folder_root &root, const std::string &name, uint64_t &out_size)
{
    std::string ignored;
    int parent = parent_of(root, name, false, ignored);
    struct stat status = {};
    if (parent < 0 || fstatat(parent, last_part(name).c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
        return folder_found::nothing;
    out_size = static_cast<uint64_t>(status.st_size);
    return S_ISREG(status.st_mode) ? folder_found::file : folder_found::other;
}

int folder_read(folder_root &root, const std::string &name)
{
    // Without O_NONBLOCK the open of a pipe that took the file's place would wait for ever.
    return openat(root.fd >= 0 ? root.fd : AT_FDCWD, name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

std::string folder_checksum(folder_root &root, const std::string &name)
{
    int fd = folder_read(root, name);
    if (fd < 0)
        return {};
    static constexpr size_t block = 256 * 1024;
    std::vector<char> buffer(block);
    XXH64_state_t *hash = XXH64_createState();
    XXH64_reset(hash, 0);
    ssize_t got = 0;
    while ((got = read(fd, buffer.data(), buffer.size())) > 0 || (got < 0 && errno == EINTR))
        if (got > 0)
            XXH64_update(hash, buffer.data(), static_cast<size_t>(got));
    std::string text = got == 0 ? text_hex(XXH64_digest(hash)) : std::string();
    XXH64_freeState(hash);
    close(fd);
    return text;
}

bool folder_remove(folder_root &root, const std::string &name, std::string &out_why)
{
    int parent = parent_of(root, name, false, out_why);
    if (parent < 0)
        return false;
    if (unlinkat(parent, last_part(name).c_str(), 0) != 0 && errno != ENOENT) {
        out_why = strerror(errno);
        return false;
    }
    std::string at = name;
    for (size_t slash = at.rfind('/'); slash != std::string::npos; slash = at.rfind('/')) {
        at.resize(slash);
        int above = parent_of(root, at, false, out_why);
        if (above < 0 || unlinkat(above, last_part(at).c_str(), AT_REMOVEDIR) != 0)
            break; // it is not empty
        if (root.cached_fd >= 0 && root.cached == at + "/") {
            close(root.cached_fd);
            root.cached_fd = -1;
        }
    }
    return true;
}

} // namespace etlnode::etlctl
