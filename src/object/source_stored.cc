// SPDX-License-Identifier: MIT
// object/source_stored.cc: an object of this target as a source: from memory, as a part of its file, or read piece by piece.
//
// Owns     a reference to the object, a buffer if the other end takes no file, one read at a time.
// Knows    store, port/disk.          Known by  transfer.
// Fails    io; corrupt if the file has become shorter, or if a block to be checked is damaged.
// Limits   put_buffer_size, content_block_size.
#include <algorithm>
#include <memory>

#include "base/limits.h"
#include "object/source.h"
#include "port/clock.h"

namespace etlnode {

struct stored_source {
    env *e = nullptr;
    store *objects = nullptr;
    const store_object *object = nullptr;
    disk_file *file = nullptr; // the object's, or a twin of it; null: the content is in memory
    open_count *at_disk = nullptr;
    uint64_t given = 0; // bytes handed on, or skipped
    uint64_t end = 0;   // of what is asked for
    std::unique_ptr<char[]> buffer;
    size_t filled = 0;    // bytes in it that were read but not passed on
    bool reading = false; // or a block is being checked
    source_blocks blocks = source_blocks::as_read;
    bool posted = false; // run_waiter is due
    bool closed = false;
    error err;
    net_on_ready on_ready = nullptr;
    void *ready_arg = nullptr;
};

static stored_source &source_of(void *self) { return *static_cast<stored_source *>(self); }

static void free_when_idle(stored_source &s)
{
    if (!s.closed || s.reading || s.posted)
        return;
    delete &s;
}

static void complete_wait(stored_source &s)
{
    net_on_ready on_ready = s.on_ready;
    s.on_ready = nullptr;
    if (on_ready != nullptr)
        on_ready(s.ready_arg);
}

static void on_posted(void *arg)
{
    stored_source &s = source_of(arg);
    s.posted = false;
    if (s.closed)
        free_when_idle(s);
    else
        complete_wait(s); // this may close it
}

static void release(stored_source &s)
{
    if (s.file != s.object->file)
        disk_close(*s.e, s.file);
    s.file = nullptr;
    store_release(*s.objects, s.object);
    s.object = nullptr;
}

static void on_read(void *arg, error err, size_t count)
{
    stored_source &s = source_of(arg);
    s.reading = false;
    open_count_end(*s.at_disk);
    if (s.closed) {
        release(s);
        free_when_idle(s);
        return;
    }
    s.err = err;
    if (!err && count == 0)
        s.err = make_error(error_code::corrupt, "the content is shorter than it was");
    s.filled = count;
    complete_wait(s);
}

static void start_read(stored_source &s)
{
    if (s.buffer == nullptr)
        s.buffer = std::make_unique_for_overwrite<char[]>(put_buffer_size);
    s.reading = true;
    open_count_begin(*s.at_disk);
    uint64_t block_left = content_block_size - s.given % content_block_size;
    size_t size = static_cast<size_t>(std::min<uint64_t>(block_left, s.end - s.given));
    disk_read(*s.e, s.file, s.buffer.get(), size, s.given, on_read, &s);
}

static void on_checked(void *arg, error err)
{
    stored_source &s = source_of(arg);
    if (err || s.closed) {
        on_read(arg, err, 0);
        return;
    }
    open_count_end(*s.at_disk);
    start_read(s);
}

// Each read covers one block.
static_assert(put_buffer_size == content_block_size);

static pull_result read_on(stored_source &s)
{
    if (s.reading)
        return {pull_state::again, {}, 0, no_error};
    if (s.blocks == source_blocks::checked && !disk_is_checked(*s.e, s.file, s.given)) {
        s.reading = true;
        open_count_begin(*s.at_disk);
        disk_check(*s.e, s.file, s.given, on_checked, &s);
    } else {
        start_read(s);
    }
    return {pull_state::again, {}, 0, no_error};
}

static pull_result pull(void *self, net_relay *, bool takes_file)
{
    stored_source &s = source_of(self);
    if (s.err)
        return {pull_state::failed, {}, 0, s.err};
    uint64_t left = s.end - s.given;
    if (left == 0)
        return {pull_state::end, {}, 0, no_error};
    if (s.file == nullptr) {
        std::string_view bytes = std::string_view(s.object->content).substr(static_cast<size_t>(s.given), static_cast<size_t>(left));
        s.given += left;
        return {pull_state::bytes, bytes, bytes.size(), no_error};
    }
    if (takes_file) {
        uint64_t offset = s.given;
        s.given += left;
        return {pull_state::file, {}, static_cast<size_t>(left), no_error, s.file, offset};
    }
    if (s.filled == 0)
        return read_on(s);
    size_t count = s.filled;
    s.filled = 0;
    s.given += count;
    return {pull_state::bytes, {s.buffer.get(), count}, count, no_error};
}

static void wait(void *self, net_on_ready on_ready, void *arg)
{
    stored_source &s = source_of(self);
    s.on_ready = on_ready;
    s.ready_arg = arg;
    if (s.reading || s.posted)
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
    stored_source &s = source_of(self);
    s.closed = true;
    s.on_ready = nullptr;
    if (!s.reading)
        release(s);
    free_when_idle(s);
}

static stored_source *make(
    env &e, store &objects, const store_object *object, open_count &at_disk, source_blocks blocks, uint64_t offset, uint64_t size)
{
    auto *s = new stored_source;
    s->e = &e;
    s->objects = &objects;
    s->object = object;
    s->file = object->file;
    s->at_disk = &at_disk;
    s->blocks = blocks;
    s->given = offset;
    s->end = offset + size;
    return s;
}

source source_stored_part(env &e, store &objects, const store_object *object, open_count &at_disk, uint64_t offset, uint64_t size)
{
    const index_row &row = object->row;
    stored_source *s = make(e, objects, object, at_disk, source_blocks::checked, offset, size);
    return {{size, row.content_type, row.etag, row.version}, {&ops, s}, close, disk_patience_ms, nullptr};
}

source source_stored(env &e, store &objects, const store_object *object, open_count &at_disk, source_blocks blocks)
{
    stored_source *s = make(e, objects, object, at_disk, blocks, 0, object->row.size);
    if (object->file != nullptr && blocks == source_blocks::unchecked)
        s->file = disk_twin(e, object->file);
    if (s->file == nullptr) // no descriptor is left
        s->file = object->file;
    const index_row &row = object->row;
    return {
        {row.size, row.content_type, row.etag, row.version, true, row.checksum, row.custom}, {&ops, s}, close, disk_patience_ms, nullptr};
}

} // namespace etlnode
