// SPDX-License-Identifier: MIT
// uv/uv_disk.h: a file's internals, for uv_disk.cc, uv_guard.cc and the network.
//
// sendfile of content outside the page cache would block the loop until the disk has answered, and content in the page cache may be
// damaged. So a connection asks first. Content that is not in memory, or not verified, is read on the thread pool; meanwhile the
// connection's writable side counts as not ready.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <ctime>

#include "uv/uv_world.h"

namespace etlnode {

struct uv_guard;
struct net_conn;

struct disk_file {
    uv_world *world = nullptr;
    uv_link link;
    int fd = -1;
    size_t jobs = 0;        // jobs that use this descriptor
    bool closed = false;    // by the caller; the descriptor is closed when jobs is 0
    uint64_t warm_from = 0; // [warm_from, warm_to) was in memory at warm_ms
    uint64_t warm_to = 0;
    uint64_t warm_ms = 0;
    std::unique_ptr<uv_guard> guard; // null: the content is sent unchecked

    disk_file();
    ~disk_file();
};

// A file that a job has opened. For the loop.
disk_file *uv_file_make(uv_world &w, int fd);
// Frees the file if the caller has closed it and no job uses it.
void uv_file_release(disk_file *file);

// Content being read on the thread pool, and verified if the file has a guard. Several callers may wait for the same fetch.
struct uv_fetch;

// How many bytes of [offset, offset + size) may be sent now. 0: uv_file_fetch must come first, or out_err says why it is pointless.
size_t uv_file_ready(disk_file &file, uint64_t offset, size_t size, error &out_err);
// Calls uv_fetch_finished(conn) later, unless detached. The file may be closed meanwhile. Fewer bytes than requested may then be ready.
uv_fetch *uv_file_fetch(disk_file &file, uint64_t offset, size_t size, net_conn *conn);
void uv_fetch_detach(uv_fetch *fetch, const net_conn *conn);

void uv_guard_set(disk_file *file, uint64_t size, std::span<const uint64_t> sums, disk_on_damage on_damage, void *arg);
bool uv_guard_is_checked(disk_file *file, uint64_t offset);
// On any thread: whether `bytes` are those of the block at `offset`. True without a guard.
bool uv_guard_is_sound(const disk_file &file, const void *bytes, size_t size, uint64_t offset);
void uv_guard_check(disk_file *file, uint64_t offset, disk_on_done on_done, void *arg);

} // namespace etlnode
