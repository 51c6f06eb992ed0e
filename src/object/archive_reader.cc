// SPDX-License-Identifier: MIT
// object/archive_reader.cc: reads an archive with libarchive, whose calls block: each step of the work runs on the thread pool.
//
// Owns     the handle of libarchive, the hold of the object, a buffer; one step at a time.
// Knows    libarchive, gunzip, store, port/disk.        Known by  role/target.
// Normal   a step looks at members until one is wanted or enough was looked at, or reads a piece of the member. Blocks of the object are
//          compared with their checksums as they are read. What is packed is passed over in steps, too, because the pool has few threads;
//          gzip is unpacked here, because libarchive does not compare its checksums, and read to its end when the archive has ended.
// Fails    in words for the client. A step that is not wanted any more ends at its next block.
// Limits   members_per_step, bytes_per_step, piece_size, expansion_factor and expansion_free.
#include "object/archive_reader.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>

#include <archive.h>
#include <archive_entry.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/text.h"
#include "object/archive_locale.h"
#include "object/gunzip.h"
#include "port/clock.h"

namespace etlnode {

static constexpr size_t members_per_step = 2'000;
static constexpr size_t bytes_per_step = 4 * mib; // unpacked, to pass over them
static constexpr size_t piece_size = put_buffer_size;
// What an archive may expand to, altogether: this much, and so many times its size.
static constexpr uint64_t expansion_free = 64 * mib;
static constexpr uint64_t expansion_factor = 200;

enum class step_kind : uint8_t { find, read };

struct archive_reader {
    env *e = nullptr;
    store *objects = nullptr;
    const store_object *object = nullptr;
    open_count *at_disk = nullptr;
    // Of the step under way, or its result: one thread has them at a time.
    archive *handle = nullptr;
    archive_entry *entry = nullptr;
    step_kind kind = step_kind::find;
    archive_wants wants = nullptr;
    const void *wants_arg = nullptr;
    archive_visit visit = nullptr; // instead: with each member
    void *visit_arg = nullptr;
    std::unique_ptr<char[]> block; // of the object
    uint64_t position = 0;         // in the object
    gunzip *unpacker = nullptr;    // null: it is no gzip
    std::string_view packed;       // of a block, not unpacked yet
    bool is_passing = false;       // over what is left of a member
    bool is_draining = false;      // the archive has ended, its gzip has not
    uint64_t drained = 0;
    std::unique_ptr<char[]> piece; // of a member
    size_t piece_filled = 0;
    uint64_t expanded = 0; // of members' bytes
    bool is_found = false, is_at_end = false;
    archive_member member;
    error err;
    std::string why;

    std::atomic<bool> is_unwanted = false; // the step may stop
    bool is_working = false;
    bool is_closed = false;
    archive_on_member on_member = nullptr;
    void *member_arg = nullptr;
    // The source of the member.
    bool has_source = false;
    bool is_last = false; // the reader is closed with the source
    bool is_posted = false;
    net_on_ready on_ready = nullptr;
    void *ready_arg = nullptr;
};

bool archive_is_name(std::string_view name)
{
    for (std::string_view end : {".tar", ".tgz", ".tar.gz", ".zip", ".tar.lz4"}) {
        if (name.size() > end.size() && name.ends_with(end))
            return true;
    }
    return false;
}

const char *archive_check_member(std::string_view path)
{
    if (path.starts_with('/'))
        return "is an absolute path";
    for (std::string_view rest = path; !rest.empty();) {
        size_t slash = rest.find('/');
        if (rest.substr(0, slash) == "..")
            return "leaves the folder of its archive";
        rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
    }
    return nullptr;
}

std::string_view archive_plain_path(std::string_view path)
{
    while (path.size() > 2 && path.starts_with("./"))
        path.remove_prefix(2);
    return path;
}

// --- on a thread of the pool

static uint64_t size_of(const archive_reader &r) { return r.object->row.size; }
static uint64_t expansion_max(const archive_reader &r) { return expansion_free + expansion_factor * size_of(r); }

static int set_error(archive_reader &r, error_code code, std::string why)
{
    if (!r.err)
        r.why = std::move(why);
    if (!r.err)
        r.err = make_error(code);
    archive_set_error(r.handle, EINVAL, "stopped");
    return ARCHIVE_FATAL;
}

// Whether to go on. A bomb is noticed here, too, because one call of libarchive may pass over a whole member.
static bool may_go_on(archive_reader &r)
{
    if (r.is_unwanted.load(std::memory_order_relaxed)) {
        set_error(r, error_code::canceled, "nobody wants it any more");
        return false;
    }
    int64_t unpacked = archive_filter_bytes(r.handle, 0);
    if (std::max(r.expanded, unpacked > 0 ? static_cast<uint64_t>(unpacked) : 0) + r.drained <= expansion_max(r))
        return true;
    set_error(r, error_code::bad_request,
        "it expands to more than " + text_bytes(expansion_max(r)) + ", which is the limit for an archive of " + text_bytes(size_of(r)));
    return false;
}

// What follows of the object.
static la_ssize_t read_block(archive_reader &r, const void **out_bytes)
{
    if (r.position >= size_of(r))
        return 0;
    size_t within = static_cast<size_t>(r.position % content_block_size);
    uint64_t begin = r.position - within;
    size_t size = static_cast<size_t>(std::min<uint64_t>(content_block_size, size_of(r) - begin));
    const char *bytes = nullptr;
    if (r.object->file == nullptr) {
        bytes = r.object->content.data() + begin;
    } else {
        error err;
        size_t count = disk_read_now(*r.e, r.object->file, r.block.get(), size, begin, err);
        if (err || count != size)
            return set_error(r, err ? err.code : error_code::corrupt, err ? error_text(err) : "the content is shorter than it was");
        bytes = r.block.get();
    }
    *out_bytes = bytes + within;
    r.position = begin + size;
    return static_cast<la_ssize_t>(size - within);
}

static la_ssize_t read_unpacked(archive_reader &r, const void **out_bytes)
{
    for (;;) {
        std::string_view bytes;
        switch (gunzip_pull(*r.unpacker, r.packed, bytes)) {
        case gunzip_state::bytes: *out_bytes = bytes.data(); return static_cast<la_ssize_t>(bytes.size());
        case gunzip_state::ended: return 0;
        case gunzip_state::damaged: return set_error(r, error_code::bad_request, "it is damaged: its gzip has another checksum or length");
        case gunzip_state::hungry: break;
        }
        const void *block = nullptr;
        la_ssize_t count = read_block(r, &block);
        if (count < 0 || (count == 0 && gunzip_may_end(*r.unpacker)))
            return count;
        if (count == 0)
            return set_error(r, error_code::bad_request, "it is damaged: its gzip is cut off");
        r.packed = {static_cast<const char *>(block), static_cast<size_t>(count)};
    }
}

static la_ssize_t on_read(archive *, void *arg, const void **out_bytes)
{
    auto &r = *static_cast<archive_reader *>(arg);
    if (!may_go_on(r))
        return ARCHIVE_FATAL;
    return r.unpacker != nullptr ? read_unpacked(r, out_bytes) : read_block(r, out_bytes);
}

static la_int64_t on_skip(archive *, void *arg, la_int64_t count)
{
    auto &r = *static_cast<archive_reader *>(arg);
    if (count <= 0)
        return 0;
    uint64_t skipped = std::min<uint64_t>(static_cast<uint64_t>(count), size_of(r) - std::min(r.position, size_of(r)));
    r.position += skipped;
    return static_cast<la_int64_t>(skipped);
}

static la_int64_t on_seek(archive *, void *arg, la_int64_t offset, int whence)
{
    auto &r = *static_cast<archive_reader *>(arg);
    int64_t base = whence == SEEK_CUR ? static_cast<int64_t>(r.position) : whence == SEEK_END ? static_cast<int64_t>(size_of(r)) : 0;
    int64_t to = base + offset;
    if (to < 0 || static_cast<uint64_t>(to) > size_of(r))
        return ARCHIVE_FATAL;
    r.position = static_cast<uint64_t>(to);
    return to;
}

static void note_failure(archive_reader &r)
{
    if (r.err)
        return;
    const char *text = archive_error_string(r.handle);
    r.err = make_error(error_code::bad_request);
    r.why = "it is no archive, or damaged: " + text_escape(text != nullptr ? text : "unknown format", 200);
}

static bool open_handle(archive_reader &r)
{
    r.handle = archive_read_new();
    CHECK(r.handle != nullptr);
    const void *begin = nullptr;
    la_ssize_t count = read_block(r, &begin);
    if (count < 0)
        return false;
    r.packed = {static_cast<const char *>(begin), static_cast<size_t>(count)};
    archive_read_support_format_tar(r.handle);
    archive_read_set_read_callback(r.handle, on_read);
    archive_read_set_callback_data(r.handle, &r);
    if (gunzip_is_gzip(r.packed)) {
        r.unpacker = gunzip_make();
    } else {
        r.position = 0;
        archive_read_support_format_zip(r.handle);
        archive_read_support_filter_lz4(r.handle);
        archive_read_set_skip_callback(r.handle, on_skip);
        archive_read_set_seek_callback(r.handle, on_seek);
    }
    bool is_open = archive_read_open1(r.handle) == ARCHIVE_OK;
    if (!is_open)
        note_failure(r);
    return is_open;
}

// Why the member at hand cannot be read; null: it can.
static const char *fault_of(archive_reader &r, std::string_view path)
{
    if (const char *wrong = archive_check_member(path))
        return wrong;
    if (archive_entry_hardlink(r.entry) != nullptr)
        return "is a link, not a file";
    if (archive_entry_filetype(r.entry) != AE_IFREG)
        return archive_entry_filetype(r.entry) == AE_IFDIR   ? "is a folder, not a file"
               : archive_entry_filetype(r.entry) == AE_IFLNK ? "is a link, not a file"
                                                             : "is a device or the like, not a file";
    return archive_entry_is_encrypted(r.entry) != 0 ? "is encrypted" : nullptr;
}

static void note_member(archive_reader &r, std::string_view path)
{
    r.member.path = path;
    r.member.has_size = archive_entry_size_is_set(r.entry) != 0;
    r.member.size = r.member.has_size ? static_cast<uint64_t>(std::max<la_int64_t>(0, archive_entry_size(r.entry))) : 0;
}

// The next member is the right one: whether it may be read.
static void judge_member(archive_reader &r, std::string_view path)
{
    if (const char *wrong = fault_of(r, path)) {
        set_error(r, error_code::bad_request, "the member \"" + text_escape(path, 200) + "\" " + wrong);
        return;
    }
    note_member(r, path);
    r.is_found = true;
}

static void visit_member(archive_reader &r, std::string_view path)
{
    if (fault_of(r, path) != nullptr)
        return;
    note_member(r, path);
    r.visit(r.visit_arg, r.member);
}

// Otherwise what is passed over is not even read.
static bool is_packed(const archive_reader &r) { return r.unpacker != nullptr || archive_filter_code(r.handle, 0) != ARCHIVE_FILTER_NONE; }

// False: it is enough for one step, or cannot be read.
static bool spend(size_t &budget, size_t size)
{
    budget -= std::min(budget, size);
    return budget > 0;
}

static bool pass_over(archive_reader &r, size_t &budget)
{
    while (r.is_passing) {
        const void *bytes = nullptr;
        size_t size = 0;
        la_int64_t offset = 0;
        int got = archive_read_data_block(r.handle, &bytes, &size, &offset);
        if (got == ARCHIVE_EOF) {
            r.is_passing = false;
        } else if (got != ARCHIVE_OK && got != ARCHIVE_WARN) {
            note_failure(r);
            return false;
        } else if (!spend(budget, size)) {
            return false;
        }
    }
    return true;
}

// Behind the archive: only there is the checksum of its gzip.
static void drain(archive_reader &r, size_t &budget)
{
    r.is_draining = r.unpacker != nullptr;
    while (r.is_draining) {
        const void *bytes = nullptr;
        la_ssize_t count = on_read(r.handle, &r, &bytes);
        if (count < 0)
            return;
        r.is_draining = count > 0;
        r.drained += static_cast<uint64_t>(count);
        if (!spend(budget, static_cast<size_t>(count)))
            return;
    }
    r.is_at_end = true;
}

static void find(archive_reader &r)
{
    if (r.handle == nullptr && !open_handle(r))
        return;
    size_t budget = bytes_per_step;
    if (r.is_draining)
        drain(r, budget);
    for (size_t i = 0; i < members_per_step && !r.err && !r.is_draining && !r.is_at_end && pass_over(r, budget); i++) {
        int got = archive_read_next_header(r.handle, &r.entry);
        if (got == ARCHIVE_EOF) {
            drain(r, budget);
            return;
        }
        if ((got != ARCHIVE_OK && got != ARCHIVE_WARN) || !may_go_on(r)) { // ARCHIVE_RETRY: a damaged member was passed over
            note_failure(r);
            return;
        }
        r.is_passing = is_packed(r); // unless it is read
        const char *path = archive_entry_pathname(r.entry);
        if (path != nullptr && r.visit != nullptr)
            visit_member(r, path);
        if (path == nullptr || r.visit != nullptr || !r.wants(r.wants_arg, path))
            continue;
        judge_member(r, path);
        return;
    }
}

static void read_piece(archive_reader &r)
{
    if (!may_go_on(r))
        return;
    la_ssize_t count = archive_read_data(r.handle, r.piece.get(), piece_size);
    if (count < 0) {
        note_failure(r);
        return;
    }
    r.piece_filled = static_cast<size_t>(count);
    r.expanded += r.piece_filled;
    r.is_at_end = count == 0;
}

static void run(void *arg)
{
    archive_locale utf8;
    auto &r = *static_cast<archive_reader *>(arg);
    if (r.kind == step_kind::find)
        find(r);
    else
        read_piece(r);
}

// --- on the loop

static void on_worked(void *arg, error);

static void work(archive_reader &r, step_kind kind)
{
    CHECK(!r.is_working);
    r.is_working = true;
    r.kind = kind;
    open_count_begin(*r.at_disk);
    disk_work(*r.e, r.object->file, run, on_worked, &r);
}

static void free_when_idle(archive_reader &r)
{
    if (!r.is_closed || r.is_working || r.is_posted || r.has_source)
        return;
    if (r.handle != nullptr)
        archive_read_free(r.handle);
    gunzip_free(r.unpacker);
    store_release(*r.objects, r.object);
    delete &r;
}

static void report_member(archive_reader &r)
{
    if (!r.err && !r.is_found && !r.is_at_end) { // enough for one step
        work(r, step_kind::find);
        return;
    }
    archive_on_member on_member = r.on_member;
    r.on_member = nullptr;
    on_member(r.member_arg, r.err, r.why, r.err || !r.is_found ? nullptr : &r.member);
}

static void complete_wait(archive_reader &r)
{
    net_on_ready on_ready = r.on_ready;
    r.on_ready = nullptr;
    if (on_ready != nullptr)
        on_ready(r.ready_arg); // this may close it
}

static void on_worked(void *arg, error)
{
    auto &r = *static_cast<archive_reader *>(arg);
    open_count *at_disk = r.at_disk;
    r.is_working = false;
    if (r.is_closed)
        free_when_idle(r);
    else if (r.kind == step_kind::find)
        report_member(r);
    else
        complete_wait(r);
    open_count_end(*at_disk);
}

archive_reader *archive_open(env &e, store &objects, const store_object *object, open_count &at_disk)
{
    auto *r = new archive_reader;
    r->e = &e;
    r->objects = &objects;
    r->object = object;
    r->at_disk = &at_disk;
    if (object->file != nullptr)
        r->block = std::make_unique_for_overwrite<char[]>(content_block_size);
    return r;
}

static void look(archive_reader &r, archive_on_member on_member, void *arg)
{
    CHECK(!r.is_closed && !r.has_source);
    r.on_member = on_member;
    r.member_arg = arg;
    r.is_found = r.is_at_end = false;
    work(r, step_kind::find);
}

void archive_next(archive_reader &r, archive_wants wants, const void *wants_arg, archive_on_member on_member, void *arg)
{
    r.wants = wants;
    r.wants_arg = wants_arg;
    r.visit = nullptr;
    look(r, on_member, arg);
}

void archive_each(archive_reader &r, archive_visit visit, void *visit_arg, archive_on_member on_end, void *arg)
{
    r.visit = visit;
    r.visit_arg = visit_arg;
    look(r, on_end, arg);
}

std::string_view archive_why(const archive_reader &r) { return r.why; }

void archive_stop(archive_reader &r) { r.is_unwanted.store(true, std::memory_order_relaxed); }

void archive_close(archive_reader *r)
{
    r->is_closed = true;
    r->on_member = nullptr;
    r->is_unwanted.store(true, std::memory_order_relaxed);
    free_when_idle(*r);
}

// --- the content of a member as a source

static archive_reader &reader_of(void *self) { return *static_cast<archive_reader *>(self); }

static pull_result pull(void *self, net_relay *, bool)
{
    archive_reader &r = reader_of(self);
    if (r.is_working)
        return {pull_state::again, {}, 0, no_error};
    if (r.err)
        return {pull_state::failed, {}, 0, make_error(r.err.code, "the archive cannot be read")};
    if (r.is_at_end)
        return {pull_state::end, {}, 0, no_error};
    if (r.piece_filled > 0) {
        size_t count = r.piece_filled;
        r.piece_filled = 0;
        return {pull_state::bytes, {r.piece.get(), count}, count, no_error};
    }
    work(r, step_kind::read);
    return {pull_state::again, {}, 0, no_error};
}

static void on_posted(void *arg)
{
    archive_reader &r = reader_of(arg);
    r.is_posted = false;
    if (r.has_source)
        complete_wait(r);
    else
        free_when_idle(r);
}

static void wait(void *self, net_on_ready on_ready, void *arg)
{
    archive_reader &r = reader_of(self);
    r.on_ready = on_ready;
    r.ready_arg = arg;
    if (r.is_working || r.is_posted)
        return;
    r.is_posted = true;
    clock_post(*r.e, on_posted, &r);
}

static void wait_cancel(void *self) { reader_of(self).on_ready = nullptr; }
static uint64_t last_progress_ms(const void *) { return 0; }
static const char *stall_text(const void *) { return "timeout: the archive gives nothing"; }
static constexpr stream_from_ops ops = {false, pull, wait, wait_cancel, last_progress_ms, stall_text};

static void close(void *self)
{
    archive_reader &r = reader_of(self);
    r.has_source = false;
    r.on_ready = nullptr;
    if (r.is_last)
        archive_close(&r);
    else
        free_when_idle(r);
}

source archive_member_source(archive_reader &r, const archive_member &member)
{
    CHECK(!r.has_source && !r.is_working);
    r.has_source = true;
    r.is_at_end = false;
    r.piece_filled = 0;
    if (r.piece == nullptr)
        r.piece = std::make_unique_for_overwrite<char[]>(piece_size);
    source_facts facts;
    facts.size = member.has_size ? member.size : stream_size_unknown;
    return {std::move(facts), {&ops, &r}, close, disk_patience_ms, nullptr};
}

source archive_last_member_source(archive_reader *r, const archive_member &member)
{
    source from = archive_member_source(*r, member);
    r->is_last = true;
    return from;
}

} // namespace etlnode
