// SPDX-License-Identifier: MIT
// uv/uv_disk.cc: file operations on the thread pool.
//
// Owns     the descriptors of open files; every call is one job.
// Known by uv_net.cc, uv_guard.cc (uv_disk.h).
// Fails    with the errno of the call. Opening refuses links, directories and devices where a file is expected.
// Limits   concurrent fsyncs: see uv_job_start_sync.
#include "uv/uv_disk.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/check.h"
#include "base/limits.h"

namespace etlnode {

static constexpr size_t write_behind_size = 8 * mib;

enum class disk_call : uint8_t { open, close, read, write, sync, sync_dir, rename, unlink, make_dir, list, space, work };

struct disk_job {
    uv_job job;
    disk_call call = disk_call::open;
    disk_file *file = nullptr;
    int fd = -1;
    std::string path;
    std::string path_to;
    disk_open_mode mode = disk_open_mode::read;
    void *buffer = nullptr;
    const void *bytes = nullptr;
    size_t size = 0;
    uint64_t offset = 0;
    std::vector<std::string> names; // of a directory (result), or the paths to remove
    // Results.
    error err;
    size_t count = 0;
    uint64_t file_size = 0;
    disk_space space;
    disk_run run = nullptr;
    union {
        disk_on_done on_done = nullptr;
        disk_on_open on_open;
        disk_on_read on_read;
        disk_on_list on_list;
        disk_on_space on_space;
    };
    void *arg = nullptr;
};

// On a pool thread.

static void run_open(disk_job &j)
{
    int flags = O_CLOEXEC | O_NOFOLLOW;
    switch (j.mode) {
    case disk_open_mode::read: flags |= O_RDONLY | O_NONBLOCK; break; // opening a FIFO must not block the thread
    case disk_open_mode::create_new: flags |= O_RDWR | O_CREAT | O_EXCL; break;
    case disk_open_mode::create_or_open: flags |= O_RDWR | O_CREAT | O_NONBLOCK; break;
    }
    j.fd = open(j.path.c_str(), flags, 0600);
    if (j.fd < 0) {
        j.err = error_from_errno(errno, nullptr);
        return;
    }
    struct stat info {};
    if (fstat(j.fd, &info) != 0)
        j.err = error_from_errno(errno, "fstat");
    else if (!S_ISREG(info.st_mode))
        j.err = make_error(error_code::permission, "not a regular file");
    else
        j.file_size = static_cast<uint64_t>(info.st_size);
    if (j.err) {
        close(j.fd);
        j.fd = -1;
    }
}

static void run_read(disk_job &j)
{
    while (j.count < j.size) {
        ssize_t count = pread(j.fd, static_cast<char *>(j.buffer) + j.count, j.size - j.count, static_cast<off_t>(j.offset + j.count));
        if (count == 0)
            return;
        if (count > 0)
            j.count += static_cast<size_t>(count);
        else if (errno != EINTR) {
            j.err = error_from_errno(errno, "read");
            return;
        }
    }
}

// A large file is on its way to the device before its sync, so that this is short and the device works while the rest comes.
static void write_behind(const disk_job &j)
{
    uint64_t end = (j.offset + j.size) / write_behind_size * write_behind_size;
    if (end > j.offset && end > 0)
        (void)sync_file_range(j.fd, static_cast<off_t>(end - write_behind_size), write_behind_size, SYNC_FILE_RANGE_WRITE);
}

static void run_write(disk_job &j)
{
    while (j.count < j.size) {
        ssize_t count = pwrite(
            j.fd, static_cast<const char *>(j.bytes) + j.count, j.size - j.count, static_cast<off_t>(j.offset + j.count));
        if (count > 0)
            j.count += static_cast<size_t>(count);
        else if (count == 0 || errno != EINTR) {
            j.err = error_from_errno(count == 0 ? ENOSPC : errno, "write");
            return;
        }
    }
    write_behind(j);
}

static void run_sync_dir(disk_job &j)
{
    int fd = open(j.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        j.err = error_from_errno(errno, "open of the directory");
        return;
    }
    if (fsync(fd) != 0)
        j.err = error_from_errno(errno, "fsync of the directory");
    close(fd);
}

static void run_list(disk_job &j)
{
    DIR *dir = opendir(j.path.c_str());
    if (dir == nullptr) {
        j.err = error_from_errno(errno, "open of the directory");
        return;
    }
    errno = 0;
    while (dirent *entry = readdir(dir)) {
        if (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0)
            j.names.emplace_back(entry->d_name);
        errno = 0;
    }
    if (errno != 0) {
        j.err = error_from_errno(errno, "read of the directory");
        j.names.clear();
    }
    closedir(dir);
    std::sort(j.names.begin(), j.names.end());
}

static void run_space(disk_job &j)
{
    struct statvfs info {};
    if (statvfs(j.path.c_str(), &info) != 0) {
        j.err = error_from_errno(errno, "statvfs");
        return;
    }
    struct stat place {};
    if (stat(j.path.c_str(), &place) != 0) {
        j.err = error_from_errno(errno, "stat");
        return;
    }
    uint64_t unit = info.f_frsize;
    j.space.id = place.st_dev;
    j.space.size = info.f_blocks * unit;
    j.space.used = (info.f_blocks - std::min(info.f_bfree, info.f_blocks)) * unit;
    j.space.free = info.f_bavail * unit;
}

static void run_call(uv_job *job)
{
    auto &j = *static_cast<disk_job *>(job->owner);
    switch (j.call) {
    case disk_call::open: run_open(j); break;
    case disk_call::close: close(j.fd); break; // closing an unlinked file frees its blocks, which takes time
    case disk_call::read: run_read(j); break;
    case disk_call::write: run_write(j); break;
    case disk_call::sync:
        if (fdatasync(j.fd) != 0) // sufficient: it also syncs the size, which is needed to read the content back
            j.err = error_from_errno(errno, "fsync");
        break;
    case disk_call::sync_dir: run_sync_dir(j); break;
    case disk_call::rename:
        if (rename(j.path.c_str(), j.path_to.c_str()) != 0)
            j.err = error_from_errno(errno, "rename");
        break;
    case disk_call::unlink:
        for (const std::string &path : j.names)
            if (unlink(path.c_str()) != 0 && errno != ENOENT && !j.err)
                j.err = error_from_errno(errno, "unlink");
        break;
    case disk_call::make_dir:
        if (mkdir(j.path.c_str(), 0700) != 0 && errno != EEXIST)
            j.err = error_from_errno(errno, "mkdir");
        break;
    case disk_call::list: run_list(j); break;
    case disk_call::space: run_space(j); break;
    case disk_call::work: j.run(j.arg); break;
    }
}

// On the loop.

disk_file *uv_file_make(uv_world &w, int fd)
{
    auto *file = new disk_file;
    file->world = &w;
    file->fd = fd;
    uv_link_add(w.files, file->link, file);
    w.counts.files++;
    return file;
}

static void finish_call(uv_job *job);

static disk_job *new_job(disk_call call, void *arg)
{
    auto *j = new disk_job;
    j->call = call;
    j->arg = arg;
    j->job.owner = j;
    j->job.run = run_call;
    j->job.done = finish_call;
    return j;
}

void uv_file_release(disk_file *file)
{
    if (!file->closed || file->jobs > 0)
        return;
    disk_job *j = new_job(disk_call::close, nullptr);
    j->fd = file->fd;
    uv_job_start(*file->world, j->job);
    delete file;
}

static void finish_call(uv_job *job)
{
    auto *j = static_cast<disk_job *>(job->owner);
    if (j->file != nullptr)
        j->file->jobs--;
    switch (j->call) {
    case disk_call::open: j->on_open(j->arg, j->err, j->err ? nullptr : uv_file_make(*job->world, j->fd), j->file_size); break;
    case disk_call::close: break;
    case disk_call::read: j->on_read(j->arg, j->err, j->err ? 0 : j->count); break;
    case disk_call::list: j->on_list(j->arg, j->err, j->names); break;
    case disk_call::space: j->on_space(j->arg, j->err, j->space); break;
    case disk_call::write:
    case disk_call::sync:
    case disk_call::sync_dir:
    case disk_call::rename:
    case disk_call::unlink:
    case disk_call::work:
    case disk_call::make_dir: j->on_done(j->arg, j->err); break;
    }
    delete j;
}

static void start_on_file(disk_job *j, disk_file *file)
{
    CHECK(!file->closed);
    file->jobs++;
    j->file = file;
    j->fd = file->fd;
}

static void disk_open_start(env &e, const std::string &path, disk_open_mode mode, disk_on_open on_open, void *arg)
{
    disk_job *j = new_job(disk_call::open, arg);
    j->path = path;
    j->mode = mode;
    j->on_open = on_open;
    uv_job_start(uv_world_of(e), j->job);
}

static void disk_close_file(disk_file *file)
{
    CHECK(!file->closed);
    file->closed = true;
    uv_link_remove(file->link);
    file->world->counts.files--;
    uv_file_release(file);
}

static void disk_read_start(disk_file *file, void *buffer, size_t size, uint64_t offset, disk_on_read on_read, void *arg)
{
    disk_job *j = new_job(disk_call::read, arg);
    start_on_file(j, file);
    j->buffer = buffer;
    j->size = size;
    j->offset = offset;
    j->on_read = on_read;
    uv_job_start(*file->world, j->job);
}

static void disk_write_start(disk_file *file, const void *bytes, size_t size, uint64_t offset, disk_on_done on_done, void *arg)
{
    disk_job *j = new_job(disk_call::write, arg);
    start_on_file(j, file);
    j->bytes = bytes;
    j->size = size;
    j->offset = offset;
    j->on_done = on_done;
    uv_job_start(*file->world, j->job);
}

static void disk_sync_start(disk_file *file, disk_on_done on_done, void *arg)
{
    disk_job *j = new_job(disk_call::sync, arg);
    start_on_file(j, file);
    j->on_done = on_done;
    uv_job_start_sync(*file->world, j->job);
}

static void disk_sync_dir_start(env &e, const std::string &path, disk_on_done on_done, void *arg)
{
    disk_job *j = new_job(disk_call::sync_dir, arg);
    j->path = path;
    j->on_done = on_done;
    uv_job_start_sync(uv_world_of(e), j->job);
}

static void start_on_path(env &e, disk_call call, const std::string &path, const std::string &path_to, disk_on_done on_done, void *arg)
{
    disk_job *j = new_job(call, arg);
    j->path = path;
    j->path_to = path_to;
    j->on_done = on_done;
    uv_job_start(uv_world_of(e), j->job);
}

static void disk_rename_start(env &e, const std::string &from, const std::string &to, disk_on_done on_done, void *arg)
{
    start_on_path(e, disk_call::rename, from, to, on_done, arg);
}

static void disk_unlink_start(env &e, std::vector<std::string> paths, disk_on_done on_done, void *arg)
{
    disk_job *j = new_job(disk_call::unlink, arg);
    j->names = std::move(paths);
    j->on_done = on_done;
    uv_job_start(uv_world_of(e), j->job);
}

static void disk_make_dir_start(env &e, const std::string &path, disk_on_done on_done, void *arg)
{
    start_on_path(e, disk_call::make_dir, path, {}, on_done, arg);
}

static void disk_list_start(env &e, const std::string &path, disk_on_list on_list, void *arg)
{
    disk_job *j = new_job(disk_call::list, arg);
    j->path = path;
    j->on_list = on_list;
    uv_job_start(uv_world_of(e), j->job);
}

static void disk_space_start(env &e, const std::string &path, disk_on_space on_space, void *arg)
{
    disk_job *j = new_job(disk_call::space, arg);
    j->path = path;
    j->on_space = on_space;
    uv_job_start(uv_world_of(e), j->job);
}

static disk_file *disk_twin_of(disk_file *file)
{
    CHECK(!file->closed);
    int fd = fcntl(file->fd, F_DUPFD_CLOEXEC, 0);
    return fd >= 0 ? uv_file_make(*file->world, fd) : nullptr;
}

static void disk_work_start(env &e, disk_file *file, disk_run run, disk_on_done on_done, void *arg)
{
    disk_job *j = new_job(disk_call::work, arg);
    if (file != nullptr)
        start_on_file(j, file);
    j->run = run;
    j->on_done = on_done;
    uv_job_start(uv_world_of(e), j->job);
}

static size_t disk_read_at_once(disk_file *file, void *buffer, size_t size, uint64_t offset, error &out_err)
{
    disk_job j;
    j.fd = file->fd;
    j.buffer = buffer;
    j.size = size;
    j.offset = offset;
    run_read(j);
    if (!j.err && j.count > 0 && !uv_guard_is_sound(*file, buffer, j.count, offset))
        j.err = make_error(error_code::corrupt);
    out_err = j.err;
    return j.err ? 0 : j.count;
}

int uv_disk_file_descriptor(const disk_file *file)
{
    CHECK(!file->closed);
    return file->fd;
}

void uv_disk_end_all(uv_world &w)
{
    while (!uv_link_is_empty(w.files))
        disk_close_file(static_cast<disk_file *>(w.files.next->owner));
}

const disk_port uv_disk_port = {
    .open = disk_open_start,
    .close = disk_close_file,
    .read = disk_read_start,
    .write = disk_write_start,
    .sync = disk_sync_start,
    .sync_dir = disk_sync_dir_start,
    .rename = disk_rename_start,
    .unlink = disk_unlink_start,
    .make_dir = disk_make_dir_start,
    .list = disk_list_start,
    .space = disk_space_start,
    .guard = uv_guard_set,
    .is_checked = uv_guard_is_checked,
    .check = uv_guard_check,
    .twin = disk_twin_of,
    .work = disk_work_start,
    .read_now = disk_read_at_once,
};

} // namespace etlnode
