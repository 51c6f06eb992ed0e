// SPDX-License-Identifier: MIT
// object/archive_writer.cc: makes an archive with libarchive, piece by piece, from members that come one after the other.
//
// Owns     the handle of libarchive, the source of the member that is being packed, what was packed and not read yet.
// Knows    libarchive, port/disk.        Known by  role/target.
// Normal   a tar is made on the loop, because that only copies; what compresses runs on the thread pool, one piece at a time.
// Fails    with the failure of a member; with bad_request if a member has another size than was said.
#include "object/archive_writer.h"

#include <memory>

#include <archive.h>
#include <archive_entry.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/text.h"
#include "object/archive_locale.h"
#include "port/clock.h"

namespace etlnode {

struct archive_writer {
    env *e = nullptr;
    archive_writer_options options;
    bool compresses = false, is_zip = false;
    archive *handle = nullptr;
    source member;
    uint64_t left = 0; // of the member's bytes
    std::string out;   // packed
    std::string given; // to the reader, until its next pull
    std::string_view piece;
    bool is_asked = false, has_ended = false, is_finished = false;
    bool is_working = false, is_posted = false, is_closed = false;
    error err;
    net_on_ready on_ready = nullptr; // of a wait for a member that is to come, or for the pool
    void *ready_arg = nullptr;
};

static archive_writer &writer_of(void *self) { return *static_cast<archive_writer *>(self); }

// --- libarchive

static la_ssize_t on_write(archive *, void *arg, const void *bytes, size_t size)
{
    static_cast<std::string *>(arg)->append(static_cast<const char *>(bytes), size);
    return static_cast<la_ssize_t>(size);
}

enum class packing : uint8_t { tar, gzip, lz4, zip, none };

static packing packing_of(std::string_view mime)
{
    static constexpr struct {
        std::string_view end;
        packing how;
    } kinds[] = {
        {".tar", packing::tar}, {".tgz", packing::gzip}, {".tar.gz", packing::gzip}, {".tar.lz4", packing::lz4}, {".zip", packing::zip}};
    for (const auto &kind : kinds) {
        if (mime.ends_with(kind.end) || mime == kind.end.substr(1))
            return kind.how;
    }
    return packing::none;
}

bool archive_can_make(std::string_view mime) { return packing_of(mime) != packing::none; }

static archive *open_handle(packing how, std::string &out)
{
    archive *handle = archive_write_new();
    CHECK(handle != nullptr);
    if (how == packing::zip)
        archive_write_set_format_zip(handle);
    else
        archive_write_set_format_pax_restricted(handle);
    if (how == packing::gzip) {
        archive_write_add_filter_gzip(handle);
        archive_write_set_filter_option(handle, "gzip", "timestamp", nullptr); // equal members make equal archives
    } else if (how == packing::lz4) {
        archive_write_add_filter_lz4(handle);
        archive_write_set_filter_option(handle, "lz4", "block-checksum", "1"); // the one at the end is seldom reached
    }
    archive_write_set_bytes_per_block(handle, 0);
    archive_write_set_bytes_in_last_block(handle, 1);
    CHECK(archive_write_open(handle, &out, nullptr, on_write, nullptr) == ARCHIVE_OK);
    return handle;
}

static bool write_header(archive *handle, std::string_view path, uint64_t size)
{
    archive_locale utf8;
    archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, std::string(path).c_str());
    archive_entry_set_size(entry, static_cast<la_int64_t>(size));
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_mtime(entry, 0, 0);
    int got = archive_write_header(handle, entry);
    archive_entry_free(entry);
    return got >= ARCHIVE_WARN;
}

std::string archive_tar_header(std::string_view path, uint64_t size)
{
    std::string out;
    archive *handle = open_handle(packing::tar, out);
    CHECK(write_header(handle, path, size));
    std::string head = out;
    archive_write_free(handle);
    return head;
}

// --- packing

static void fail(archive_writer &w, error err)
{
    if (!w.err)
        w.err = err;
}

static void pack_piece(void *arg)
{
    archive_writer &w = writer_of(arg);
    if (archive_write_data(w.handle, w.piece.data(), w.piece.size()) != static_cast<la_ssize_t>(w.piece.size()))
        fail(w, make_error(error_code::internal, "a member could not be packed"));
}

static void finish_all(void *arg)
{
    archive_writer &w = writer_of(arg);
    if (archive_write_close(w.handle) != ARCHIVE_OK)
        fail(w, make_error(error_code::internal, "the archive could not be ended"));
    w.is_finished = true;
}

static void free_when_idle(archive_writer &w)
{
    if (!w.is_closed || w.is_working || w.is_posted)
        return;
    source_close(w.member);
    archive_write_free(w.handle);
    delete &w;
}

static void complete_wait(archive_writer &w)
{
    net_on_ready on_ready = w.on_ready;
    w.on_ready = nullptr;
    if (on_ready != nullptr)
        on_ready(w.ready_arg); // this may close it
}

static void on_worked(void *arg, error)
{
    archive_writer &w = writer_of(arg);
    open_count *at_work = w.options.at_work;
    w.is_working = false;
    if (w.is_closed)
        free_when_idle(w);
    else
        complete_wait(w);
    open_count_end(*at_work);
}

static void work(archive_writer &w, disk_run run)
{
    if (!w.compresses) {
        run(&w);
        return;
    }
    w.is_working = true;
    open_count_begin(*w.options.at_work);
    disk_work(*w.e, nullptr, run, on_worked, &w);
}

static void end_member(archive_writer &w)
{
    if (w.left > 0)
        fail(w, make_error(error_code::bad_request, "a member is shorter than it was said to be"));
    else if (archive_write_finish_entry(w.handle) != ARCHIVE_OK)
        fail(w, make_error(error_code::internal, "a member could not be ended"));
    source_close(w.member);
}

// False: the member gives nothing now.
static bool take_from_member(archive_writer &w)
{
    pull_result got = w.member.from.ops->pull(w.member.from.self, nullptr, false);
    switch (got.state) {
    case pull_state::again: return false;
    case pull_state::end: end_member(w); return true;
    case pull_state::failed: fail(w, got.err); return true;
    case pull_state::relayed:
    case pull_state::file:
    case pull_state::bytes: break;
    }
    if (got.bytes.size() > w.left) {
        fail(w, make_error(error_code::bad_request, "a member is longer than it was said to be"));
        return true;
    }
    w.left -= got.bytes.size();
    w.piece = got.bytes;
    work(w, pack_piece);
    return !w.is_working;
}

static pull_result pull(void *self, net_relay *, bool)
{
    archive_writer &w = writer_of(self);
    for (;;) {
        if (w.is_working)
            return {pull_state::again, {}, 0, no_error};
        if (w.err)
            return {pull_state::failed, {}, 0, w.err};
        if (!w.out.empty()) {
            w.given.swap(w.out);
            w.out.clear();
            return {pull_state::bytes, w.given, w.given.size(), no_error};
        }
        if (w.is_finished)
            return {pull_state::end, {}, 0, no_error};
        if (source_is_open(w.member)) {
            if (!take_from_member(w))
                return {pull_state::again, {}, 0, no_error};
        } else if (w.has_ended) {
            work(w, finish_all);
        } else {
            if (!w.is_asked) {
                w.is_asked = true;
                w.options.next(w.options.arg, w);
            }
            if (w.is_asked)
                return {pull_state::again, {}, 0, no_error};
        }
    }
}

// --- the ends

static void on_posted(void *arg)
{
    archive_writer &w = writer_of(arg);
    w.is_posted = false;
    if (w.is_closed)
        free_when_idle(w);
    else
        complete_wait(w);
}

static void post(archive_writer &w)
{
    if (!w.is_posted)
        clock_post(*w.e, on_posted, &w);
    w.is_posted = true;
}

static void wait(void *self, net_on_ready on_ready, void *arg)
{
    archive_writer &w = writer_of(self);
    if (source_is_open(w.member) && !w.is_working) {
        source_wait(w.member, on_ready, arg);
        return;
    }
    w.on_ready = on_ready;
    w.ready_arg = arg;
    if (!w.is_working && !w.is_asked)
        post(w);
}

static void wait_cancel(void *self)
{
    archive_writer &w = writer_of(self);
    w.on_ready = nullptr;
    if (source_is_open(w.member))
        w.member.from.ops->wait_cancel(w.member.from.self);
}

static uint64_t last_progress_ms(const void *self)
{
    const auto &w = *static_cast<const archive_writer *>(self);
    return source_is_open(w.member) ? source_last_progress_ms(w.member) : 0;
}
static const char *stall_text(const void *) { return "timeout: the next member does not come"; }
static constexpr stream_from_ops ops = {false, pull, wait, wait_cancel, last_progress_ms, stall_text};

static void close(void *self)
{
    archive_writer &w = writer_of(self);
    w.is_closed = true;
    w.on_ready = nullptr;
    if (!w.is_working)
        source_close(w.member);
    if (w.options.on_closed != nullptr)
        w.options.on_closed(w.options.arg);
    free_when_idle(w);
}

static void come(archive_writer &w)
{
    CHECK(w.is_asked && !w.is_closed);
    w.is_asked = false;
    if (w.on_ready != nullptr)
        post(w);
}

void archive_give(archive_writer &w, std::string_view path, uint64_t size, source from)
{
    w.member = std::move(from);
    w.left = size;
    bool is_kept = !w.is_zip || text_is_utf8(path); // a tar keeps the bytes
    if (!is_kept || !write_header(w.handle, path, size))
        fail(w, make_error(error_code::bad_request, "a member's name cannot be kept in such an archive"));
    come(w);
}

void archive_end(archive_writer &w)
{
    w.has_ended = true;
    come(w);
}

void archive_fail(archive_writer &w, error err)
{
    fail(w, err);
    come(w);
}

source archive_writer_source(env &e, archive_writer_options options)
{
    auto *w = new archive_writer;
    packing how = packing_of(options.mime);
    CHECK(how != packing::none);
    w->e = &e;
    w->options = std::move(options);
    w->compresses = how != packing::tar;
    w->is_zip = how == packing::zip;
    w->handle = open_handle(how, w->out);
    uint64_t patience_ms = w->options.patience_ms;
    return {source_facts{}, {&ops, w}, close, patience_ms != 0 ? patience_ms : disk_patience_ms, nullptr};
}

} // namespace etlnode
