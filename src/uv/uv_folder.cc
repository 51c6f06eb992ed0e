// SPDX-License-Identifier: MIT
// uv/uv_folder.cc: looks for files below a folder without following any link.
//
// Owns     the descriptors on the way to a file; every call is one job of the thread pool.
// Normal   each part of a path is opened relative to the one before, so a folder that is moved or replaced meanwhile leads nowhere else.
// Fails    with the errno of the call; permission for links and for parts that lead upwards.
#include "uv/uv_disk.h"

#include <algorithm>
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

#include "port/folder.h"

namespace etlnode {

enum class folder_call : uint8_t { look, open, remove };

struct folder_job {
    uv_job job;
    folder_call call = folder_call::look;
    std::string root, path;
    size_t count_max = 0;
    folder_entry as_seen;
    // Results.
    error err;
    bool is_folder = false;
    std::vector<folder_entry> entries;
    int fd = -1;
    uint64_t size = 0;
    union {
        folder_on_look on_look = nullptr;
        disk_on_open on_open;
        disk_on_done on_done;
    };
    void *arg = nullptr;
};

// --- on a pool thread

static error fail_by_errno(int number)
{
    bool is_link = number == ELOOP || number == ENOTDIR;
    return is_link ? make_error(error_code::permission, "a link, or not a folder") : error_from_errno(number, nullptr);
}

static bool is_part(std::string_view part) { return !part.empty() && part != "." && part != ".."; }

// The folder that holds the last part of the path. The caller closes it. -1: `j.err` says why.
static int open_parent(folder_job &j, std::string &out_last)
{
    int fd = open(j.root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        j.err = error_from_errno(errno, "the folder that the target may read");
        return -1;
    }
    std::string_view rest = j.path;
    while (fd >= 0) {
        size_t slash = rest.find('/');
        std::string part(rest.substr(0, slash));
        if (!is_part(part) && !j.path.empty()) {
            j.err = make_error(error_code::permission, "not a path below the folder");
            break;
        }
        if (slash == std::string_view::npos) {
            out_last = part.empty() ? "." : part;
            return fd;
        }
        int next = openat(fd, part.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0)
            j.err = fail_by_errno(errno);
        close(fd);
        fd = next;
        rest.remove_prefix(slash + 1);
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

static folder_entry entry_of(std::string name, const struct stat &info)
{
    return {.name = std::move(name),
        .is_folder = S_ISDIR(info.st_mode),
        .size = static_cast<uint64_t>(info.st_size),
        .changed_ns = static_cast<uint64_t>(info.st_mtim.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(info.st_mtim.tv_nsec)};
}

static void read_folder(folder_job &j, int fd)
{
    DIR *dir = fdopendir(fd);
    if (dir == nullptr) {
        j.err = error_from_errno(errno, "open of the folder");
        close(fd);
        return;
    }
    errno = 0;
    while (const dirent *found = readdir(dir)) {
        struct stat info {};
        bool is_there = is_part(found->d_name) && fstatat(dirfd(dir), found->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0;
        if (is_there && (S_ISREG(info.st_mode) || S_ISDIR(info.st_mode)))
            j.entries.push_back(entry_of(found->d_name, info));
        if (j.entries.size() > j.count_max) {
            j.err = make_error(error_code::body_too_large, "the folder has too many entries");
            break;
        }
        errno = 0;
    }
    if (errno != 0 && !j.err)
        j.err = error_from_errno(errno, "read of the folder");
    closedir(dir);
    std::sort(j.entries.begin(), j.entries.end(), [](const folder_entry &a, const folder_entry &b) { return a.name < b.name; });
}

// Opening a FIFO or a device must neither wait nor have an effect, so it is looked at before.
static int open_last(folder_job &j, int parent, const std::string &name, struct stat &out_info)
{
    if (fstatat(parent, name.c_str(), &out_info, AT_SYMLINK_NOFOLLOW) != 0) {
        j.err = fail_by_errno(errno);
        return -1;
    }
    if (!S_ISREG(out_info.st_mode) && !S_ISDIR(out_info.st_mode)) {
        j.err = make_error(error_code::permission, "neither a file nor a folder");
        return -1;
    }
    int fd = openat(parent, name.c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        j.err = fail_by_errno(errno);
    else if (fstat(fd, &out_info) != 0)
        j.err = error_from_errno(errno, "fstat");
    if (j.err && fd >= 0)
        close(fd);
    return j.err ? -1 : fd;
}

static void look(folder_job &j, int parent, const std::string &name)
{
    struct stat info {};
    int fd = open_last(j, parent, name, info);
    if (fd < 0)
        return;
    j.is_folder = S_ISDIR(info.st_mode);
    if (j.is_folder) {
        read_folder(j, fd);
        return;
    }
    if (S_ISREG(info.st_mode))
        j.entries.push_back(entry_of({}, info));
    else
        j.err = make_error(error_code::permission, "neither a file nor a folder");
    close(fd);
}

static void open_file(folder_job &j, int parent, const std::string &name)
{
    struct stat info {};
    j.fd = open_last(j, parent, name, info);
    if (j.fd < 0)
        return;
    j.size = static_cast<uint64_t>(info.st_size);
    if (S_ISREG(info.st_mode))
        return;
    j.err = make_error(error_code::permission, "not a regular file");
    close(j.fd);
}

static void remove_file(folder_job &j, int parent, const std::string &name)
{
    struct stat info {};
    if (fstatat(parent, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
        j.err = fail_by_errno(errno);
        return;
    }
    folder_entry now = entry_of({}, info);
    if (!S_ISREG(info.st_mode) || now.size != j.as_seen.size || now.changed_ns != j.as_seen.changed_ns)
        j.err = make_error(error_code::conflict, "the file was changed meanwhile");
    else if (unlinkat(parent, name.c_str(), 0) != 0)
        j.err = error_from_errno(errno, "unlink");
}

static void run(uv_job *job)
{
    folder_job &j = *static_cast<folder_job *>(job->owner);
    std::string name;
    int parent = open_parent(j, name);
    if (parent < 0)
        return;
    switch (j.call) {
    case folder_call::look: look(j, parent, name); break;
    case folder_call::open: open_file(j, parent, name); break;
    case folder_call::remove: remove_file(j, parent, name); break;
    }
    close(parent);
}

// --- on the loop

static void finish(uv_job *job)
{
    auto *j = static_cast<folder_job *>(job->owner);
    switch (j->call) {
    case folder_call::look: j->on_look(j->arg, j->err, j->is_folder, std::move(j->entries)); break;
    case folder_call::open: j->on_open(j->arg, j->err, j->err ? nullptr : uv_file_make(*job->world, j->fd), j->size); break;
    case folder_call::remove: j->on_done(j->arg, j->err); break;
    }
    delete j;
}

static folder_job *new_job(folder_call call, const std::string &root, const std::string &path, void *arg)
{
    auto *j = new folder_job;
    j->call = call;
    j->root = root;
    j->path = path;
    j->arg = arg;
    j->job.owner = j;
    j->job.run = run;
    j->job.done = finish;
    return j;
}

static void start_look(env &e, const std::string &root, const std::string &path, size_t count_max, folder_on_look on_look, void *arg)
{
    folder_job *j = new_job(folder_call::look, root, path, arg);
    j->count_max = count_max;
    j->on_look = on_look;
    uv_job_start(uv_world_of(e), j->job);
}

static void start_open(env &e, const std::string &root, const std::string &path, disk_on_open on_open, void *arg)
{
    folder_job *j = new_job(folder_call::open, root, path, arg);
    j->on_open = on_open;
    uv_job_start(uv_world_of(e), j->job);
}

static void start_remove(
    env &e, const std::string &root, const std::string &path, const folder_entry &as_seen, disk_on_done on_done, void *arg)
{
    folder_job *j = new_job(folder_call::remove, root, path, arg);
    j->as_seen = as_seen;
    j->on_done = on_done;
    uv_job_start(uv_world_of(e), j->job);
}

const folder_port uv_folder_port = {.look = start_look, .open = start_open, .remove = start_remove};

} // namespace etlnode
