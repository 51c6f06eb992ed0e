// SPDX-License-Identifier: MIT
// uv/uv_disk.h: a file from the inside, for uv_disk.cc, uv_guard.cc and what the network needs of files.
//
// sendfile from content that is not in the page cache would hold the loop until the disk has answered, and what is in the page cache may be
// damaged. So a connection asks first; content that is cold, or not checked, is read on the thread pool, and the connection's writable side
// counts as not ready meanwhile.
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
    size_t jobs = 0;        // on this descriptor
    bool closed = false;    // by its owner; the descriptor goes when jobs is 0
    uint64_t warm_from = 0; // [warm_from, warm_to) was in memory at warm_ms
    uint64_t warm_to = 0;
    uint64_t warm_ms = 0;
    std::unique_ptr<uv_guard> guard; // null: the content is sent as it is

    disk_file();
    ~disk_file();
};

// Frees the file when its owner has closed it and no job uses it.
void uv_file_release(disk_file *file);

// Content that is read on the thread pool, and checked where the file has a guard. Several may wait for the same.
struct uv_fetch;

// How much of [offset, offset + size) may be sent now. 0: all of it waits for uv_file_fetch, or out_err says why nothing will ever be sent.
size_t uv_file_ready(disk_file &file, uint64_t offset, size_t size, error &out_err);
// Calls uv_fetch_finished(conn) later, unless detached. The file may be closed meanwhile. What then is ready may be less than was asked for.
uv_fetch *uv_file_fetch(disk_file &file, uint64_t offset, size_t size, net_conn *conn);
void uv_fetch_detach(uv_fetch *fetch, const net_conn *conn);

void uv_guard_set(disk_file *file, uint64_t size, std::span<const uint64_t> sums, disk_on_damage on_damage, void *arg);
bool uv_guard_is_checked(disk_file *file, uint64_t offset);
void uv_guard_check(disk_file *file, uint64_t offset, disk_on_done on_done, void *arg);

} // namespace etlnode
