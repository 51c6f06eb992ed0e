// SPDX-License-Identifier: MIT
// store/file_sums.h: reads a whole file piece by piece, for its checksum and the sums of its blocks.
//
// Owned by a lookup or the summer, for contents that were stored without sums. It waits for one thing at a time, so it is not a machine.
#pragma once

#include <cstdint>
#include <memory>

#include "port/clock.h"
#include "port/disk.h"
#include "store/content_sums.h"

namespace etlnode {

struct file_sums {
    env *e = nullptr;
    disk_file *file = nullptr; // the owner's
    uint64_t size = 0;
    uint64_t done = 0;     // bytes
    uint64_t pause_ms = 0; // pause after each piece, or, if it is set:
    uint64_t (*pause_after)(void *arg, uint64_t bytes) = nullptr;
    void *pause_arg = nullptr;
    bool stopped = false;
    bool pausing = false;
    timer *deadline_timer = nullptr;
    XXH64_state_t *hash = nullptr;
    std::unique_ptr<char[]> piece;
    content_sums sums; // complete if on_done was called without an error
    void (*on_done)(void *arg, error err, uint64_t checksum) = nullptr;
    void *arg = nullptr;

    ~file_sums();
};

// Completes once. Errors: io; corrupt if the file is shorter than `size`; stopping. Requires: `f` and the file outlive it.
void file_sums_start(file_sums &f, env &e, disk_file *file, uint64_t size, uint64_t pause_ms,
    void (*on_done)(void *arg, error err, uint64_t checksum), void *arg);
// It then completes soon.
void file_sums_stop(file_sums &f);

} // namespace etlnode
