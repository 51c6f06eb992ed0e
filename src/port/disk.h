// SPDX-License-Identifier: MIT
// port/disk.h: files, accessed off the loop thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "port/env.h"

namespace etlnode {

struct disk_file; // opaque; freed by disk_close

enum class disk_open_mode : uint8_t { read, create_new, create_or_open };

// Of the file system that holds a path, in bytes, as statvfs and df(1) count them.
struct disk_space {
    uint64_t id = 0; // of the file system on this machine, while it is mounted
    uint64_t size = 0;
    uint64_t used = 0;
    uint64_t free = 0; // what this process may still write; used + free may be less than size, because root keeps a reserve
};

using disk_on_done = void (*)(void *arg, error err);
using disk_on_open = void (*)(void *arg, error err, disk_file *file, uint64_t size);
using disk_on_read = void (*)(void *arg, error err, size_t count);
using disk_on_damage = void (*)(void *arg, uint64_t offset);
using disk_on_space = void (*)(void *arg, error err, const disk_space &space);
using disk_run = void (*)(void *arg);
using disk_on_list = void (*)(void *arg, error err, const std::vector<std::string> &names);

struct disk_port {
    void (*open)(env &e, const std::string &path, disk_open_mode mode, disk_on_open on_open, void *arg);
    void (*close)(disk_file *file);
    void (*read)(disk_file *file, void *buffer, size_t size, uint64_t offset, disk_on_read on_read, void *arg);
    void (*write)(disk_file *file, const void *bytes, size_t size, uint64_t offset, disk_on_done on_done, void *arg);
    void (*sync)(disk_file *file, disk_on_done on_done, void *arg);
    void (*sync_dir)(env &e, const std::string &path, disk_on_done on_done, void *arg);
    void (*rename)(env &e, const std::string &from, const std::string &to, disk_on_done on_done, void *arg);
    void (*unlink)(env &e, std::vector<std::string> paths, disk_on_done on_done, void *arg);
    void (*make_dir)(env &e, const std::string &path, disk_on_done on_done, void *arg);
    void (*list)(env &e, const std::string &path, disk_on_list on_list, void *arg);
    void (*space)(env &e, const std::string &path, disk_on_space on_space, void *arg);
    void (*guard)(disk_file *file, uint64_t size, std::span<const uint64_t> sums, disk_on_damage on_damage, void *arg);
    bool (*is_checked)(disk_file *file, uint64_t offset);
    void (*check)(disk_file *file, uint64_t offset, disk_on_done on_done, void *arg);
    disk_file *(*twin)(disk_file *file);
    void (*work)(env &e, disk_file *file, disk_run run, disk_on_done on_done, void *arg);
    size_t (*read_now)(disk_file *file, void *buffer, size_t size, uint64_t offset, error &out_err);
};

// Every call below completes exactly once, after it returned. It cannot be cancelled, so `arg` must outlive the completion.

// `size` is the file's size when it was opened. The file is null if err is set. create_new fails with already_exists.
inline void disk_open(env &e, const std::string &path, disk_open_mode mode, disk_on_open on_open, void *arg)
{
    e.disk->open(e, path, mode, on_open, arg);
}
// No completion; the pointer is invalid at once. Requires: no operation on the file is in progress.
inline void disk_close(env &e, disk_file *file) { e.disk->close(file); }
// count < size only at the end of the file. Lifetime: `buffer` must live until the completion.
inline void disk_read(env &e, disk_file *file, void *buffer, size_t size, uint64_t offset, disk_on_read on_read, void *arg)
{
    e.disk->read(file, buffer, size, offset, on_read, arg);
}
// Writes everything or reports an error (no_space, io). Lifetime: `bytes` must live until the completion.
inline void disk_write(env &e, disk_file *file, const void *bytes, size_t size, uint64_t offset, disk_on_done on_done, void *arg)
{
    e.disk->write(file, bytes, size, offset, on_done, arg);
}
// On completion, content and size are on the device.
inline void disk_sync(env &e, disk_file *file, disk_on_done on_done, void *arg) { e.disk->sync(file, on_done, arg); }
// On completion, all creations, renames and removals in the directory are on the device.
inline void disk_sync_dir(env &e, const std::string &path, disk_on_done on_done, void *arg) { e.disk->sync_dir(e, path, on_done, arg); }
inline void disk_rename(env &e, const std::string &from, const std::string &to, disk_on_done on_done, void *arg)
{
    e.disk->rename(e, from, to, on_done, arg);
}
// Removes all of them. A file that does not exist is fine. The error is that of the first file that could not be removed; the others are
// gone.
inline void disk_unlink(env &e, std::vector<std::string> paths, disk_on_done on_done, void *arg)
{
    e.disk->unlink(e, std::move(paths), on_done, arg);
}
// An existing directory is fine. Parents are not created.
inline void disk_make_dir(env &e, const std::string &path, disk_on_done on_done, void *arg) { e.disk->make_dir(e, path, on_done, arg); }
// Names in bytewise order, without "." and "..".
inline void disk_list(env &e, const std::string &path, disk_on_list on_list, void *arg) { e.disk->list(e, path, on_list, arg); }
// How full the file system is that holds `path`. Meaningful only without an error.
inline void disk_ask_space(env &e, const std::string &path, disk_on_space on_space, void *arg) { e.disk->space(e, path, on_space, arg); }

// --- contents that must not be sent if they are damaged

// `sums`: XXH3 (64 bits, seed 0) of each block of content_block_size bytes; the last block is shorter; `size` is their total.
// From now on net_send_file sends only bytes of blocks that were recently verified, and fails with `corrupt` at any other.
// on_damage is called in a completion, for each damaged block, until disk_close. Call this once for a file, before any of it is sent.
inline void disk_guard(env &e, disk_file *file, uint64_t size, std::span<const uint64_t> sums, disk_on_damage on_damage, void *arg)
{
    e.disk->guard(file, size, sums, on_damage, arg);
}
// Whether the block at `offset` can be sent without reading it first. True for a file without a guard.
inline bool disk_is_checked(env &e, disk_file *file, uint64_t offset) { return e.disk->is_checked(file, offset); }
// The same file once more, without a guard: for bytes that their receiver compares with a checksum. Null: no descriptor is left.
inline disk_file *disk_twin(env &e, disk_file *file) { return e.disk->twin(file); }
// Verifies the block at `offset`. Completes once: ok, corrupt, or a read error.
inline void disk_check(env &e, disk_file *file, uint64_t offset, disk_on_done on_done, void *arg)
{
    e.disk->check(file, offset, on_done, arg);
}

// --- work of libraries that read by themselves

// Calls `run` off the loop thread, so it may take its time, but it must not touch anything that the loop uses meanwhile. A file stays open
// for it; null: there is none.
inline void disk_work(env &e, disk_file *file, disk_run run, disk_on_done on_done, void *arg) { e.disk->work(e, file, run, on_done, arg); }
// Inside `run` only: reads at once. Of a guarded file, `offset` begins a block, `size` is a block's, and a damaged block is `corrupt`.
// count < size only at the end of the file.
inline size_t disk_read_now(env &e, disk_file *file, void *buffer, size_t size, uint64_t offset, error &out_err)
{
    return e.disk->read_now(file, buffer, size, offset, out_err);
}

} // namespace etlnode
