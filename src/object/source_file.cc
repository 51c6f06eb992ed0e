// SPDX-License-Identifier: MIT
// object/source_file.cc: a file that nobody changes as a source, read piece by piece and compared with its checksum.
//
// Owns     the descriptor from the first pull on, a buffer, one operation of the disk at a time.
// Knows    port/disk.          Known by  role.
// Fails    io; corrupt if the bytes are others, or fewer, than those that were written.
// Limits   put_buffer_size.
#include <algorithm>
#include <memory>

#include <xxhash.h>

#include "base/check.h"
#include "base/limits.h"
#include "object/source.h"
#include "port/clock.h"

namespace etlnode {

struct file_source {
    env *e = nullptr;
    std::string path;
    uint64_t size = 0;
    bool has_checksum = true;
    uint64_t checksum = 0;
    open_count *at_disk = nullptr;
    disk_file *file = nullptr;
    uint64_t given = 0; // bytes handed on
    std::unique_ptr<char[]> buffer;
    size_t filled = 0; // bytes in it that were read but not passed on
    XXH64_state_t *hash = nullptr;
    bool is_busy = false; // the disk owes an answer
    bool posted = false;
    bool closed = false;
    error err;
    net_on_ready on_ready = nullptr;
    void *ready_arg = nullptr;
};

static file_source &source_of(void *self) { return *static_cast<file_source *>(self); }

static void free_when_idle(file_source &s)
{
    if (!s.closed || s.is_busy || s.posted)
        return;
    if (s.file != nullptr)
        disk_close(*s.e, s.file);
    XXH64_freeState(s.hash);
    delete &s;
}

static void complete_wait(file_source &s)
{
    net_on_ready on_ready = s.on_ready;
    s.on_ready = nullptr;
    if (on_ready != nullptr)
        on_ready(s.ready_arg); // this may close it
}

static void begin(file_source &s)
{
    s.is_busy = true;
    open_count_begin(*s.at_disk);
}

// The count may be what the end of the node waits for, so it is the last thing.
static void end(file_source &s, error err)
{
    open_count *at_disk = s.at_disk;
    s.is_busy = false;
    if (!s.err)
        s.err = err;
    if (s.closed)
        free_when_idle(s);
    else
        complete_wait(s);
    open_count_end(*at_disk);
}

static void on_read(void *arg, error err, size_t count)
{
    file_source &s = source_of(arg);
    if (!err && count == 0)
        err = s.has_checksum ? make_error(error_code::corrupt, "a part is shorter than it was")
                             : make_error(error_code::end_of_stream, "the file was shortened meanwhile");
    s.filled = err ? 0 : count;
    if (s.filled > 0)
        XXH64_update(s.hash, s.buffer.get(), s.filled);
    if (!err && s.has_checksum && s.given + s.filled == s.size && XXH64_digest(s.hash) != s.checksum)
        err = make_error(error_code::corrupt, "a part has other bytes than it had");
    end(s, err);
}

static void on_opened(void *arg, error err, disk_file *file, uint64_t)
{
    file_source &s = source_of(arg);
    s.file = file;
    end(s, err);
}

static void go_on(file_source &s)
{
    begin(s);
    if (s.file == nullptr) {
        disk_open(*s.e, s.path, disk_open_mode::read, on_opened, &s);
        return;
    }
    if (s.buffer == nullptr)
        s.buffer = std::make_unique_for_overwrite<char[]>(put_buffer_size);
    size_t size = static_cast<size_t>(std::min<uint64_t>(put_buffer_size, s.size - s.given));
    disk_read(*s.e, s.file, s.buffer.get(), size, s.given, on_read, &s);
}

static pull_result pull(void *self, net_relay *, bool)
{
    file_source &s = source_of(self);
    if (s.is_busy)
        return {pull_state::again, {}, 0, no_error};
    if (s.err)
        return {pull_state::failed, {}, 0, s.err};
    if (s.filled > 0) {
        size_t count = s.filled;
        s.filled = 0;
        s.given += count;
        return {pull_state::bytes, {s.buffer.get(), count}, count, no_error};
    }
    if (s.given == s.size)
        return {pull_state::end, {}, 0, no_error};
    go_on(s);
    return {pull_state::again, {}, 0, no_error};
}

static void on_posted(void *arg)
{
    file_source &s = source_of(arg);
    s.posted = false;
    if (s.closed)
        free_when_idle(s);
    else
        complete_wait(s);
}

static void wait(void *self, net_on_ready on_ready, void *arg)
{
    file_source &s = source_of(self);
    s.on_ready = on_ready;
    s.ready_arg = arg;
    if (s.is_busy || s.posted)
        return;
    s.posted = true;
    clock_post(*s.e, on_posted, &s);
}

static void wait_cancel(void *self) { source_of(self).on_ready = nullptr; }
static uint64_t last_progress_ms(const void *) { return 0; }
static const char *stall_text(const void *) { return "timeout: the disk gives nothing"; }
static constexpr stream_from_ops ops = {false, pull, wait, wait_cancel, last_progress_ms, stall_text};

static void close(void *self)
{
    file_source &s = source_of(self);
    s.closed = true;
    s.on_ready = nullptr;
    free_when_idle(s);
}

static source make(env &e, uint64_t size, open_count &at_disk, file_source *s)
{
    s->e = &e;
    s->size = size;
    s->at_disk = &at_disk;
    s->hash = XXH64_createState();
    CHECK(s->hash != nullptr);
    XXH64_reset(s->hash, 0);
    source_facts facts;
    facts.size = size;
    return {std::move(facts), {&ops, s}, close, disk_patience_ms, nullptr};
}

source source_file(env &e, std::string path, uint64_t size, uint64_t checksum, open_count &at_disk)
{
    auto *s = new file_source;
    s->path = std::move(path);
    s->checksum = checksum;
    return make(e, size, at_disk, s);
}

source source_opened(env &e, disk_file *file, uint64_t size, open_count &at_disk)
{
    auto *s = new file_source;
    s->file = file;
    s->has_checksum = false;
    return make(e, size, at_disk, s);
}

} // namespace etlnode
