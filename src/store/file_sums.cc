// SPDX-License-Identifier: MIT
// store/file_sums.cc: reads a whole file piece by piece, for its checksum and the sums of its blocks.
#include "store/file_sums.h"

#include <algorithm>

#include "base/check.h"
#include "base/limits.h"

namespace etlnode {

file_sums::~file_sums()
{
    XXH64_freeState(hash);
    if (deadline_timer != nullptr)
        timer_free(*e, deadline_timer);
}

static void finish(file_sums &f, error err)
{
    content_sums_end(f.sums);
    f.on_done(f.arg, err, XXH64_digest(f.hash)); // this may free `f`
}

static void on_read(void *arg, error err, size_t count);

static void read_next(file_sums &f)
{
    f.pausing = false;
    size_t size = static_cast<size_t>(std::min<uint64_t>(content_block_size, f.size - f.done));
    disk_read(*f.e, f.file, f.piece.get(), size, f.done, on_read, &f);
}

static void on_timer(void *arg)
{
    file_sums &f = *static_cast<file_sums *>(arg);
    if (f.stopped)
        finish(f, make_error(error_code::stopping));
    else
        read_next(f);
}

static void on_read(void *arg, error err, size_t count)
{
    file_sums &f = *static_cast<file_sums *>(arg);
    if (!err && count < std::min<uint64_t>(content_block_size, f.size - f.done))
        err = make_error(error_code::corrupt, "the content file of the object has the wrong size");
    if (!err && f.stopped)
        err = make_error(error_code::stopping);
    if (err) {
        finish(f, err);
        return;
    }
    XXH64_update(f.hash, f.piece.get(), count);
    content_sums_add(f.sums, f.piece.get(), count);
    f.done += count;
    uint64_t pause_ms = f.pause_after != nullptr ? f.pause_after(f.pause_arg, count) : f.pause_ms;
    if (f.done == f.size) {
        finish(f, no_error);
    } else if (pause_ms > 0) {
        f.pausing = true;
        timer_arm(*f.e, f.deadline_timer, pause_ms);
    } else {
        read_next(f);
    }
}

void file_sums_start(file_sums &f, env &e, disk_file *file, uint64_t size, uint64_t pause_ms,
    void (*on_done)(void *arg, error err, uint64_t checksum), void *arg)
{
    CHECK(size > 0);
    f.e = &e;
    f.file = file;
    f.size = size;
    f.pause_ms = pause_ms;
    f.on_done = on_done;
    f.arg = arg;
    f.deadline_timer = timer_make(e, on_timer, &f);
    f.hash = XXH64_createState();
    CHECK(f.hash != nullptr);
    XXH64_reset(f.hash, 0);
    f.piece = std::make_unique_for_overwrite<char[]>(content_block_size);
    read_next(f);
}

void file_sums_stop(file_sums &f)
{
    f.stopped = true;
    if (!f.pausing)
        return;
    timer_stop(*f.e, f.deadline_timer);
    clock_post(*f.e, on_timer, &f);
}

} // namespace etlnode
