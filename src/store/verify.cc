// SPDX-License-Identifier: MIT
// store/verify.cc: reads one object from the disk and compares it with its checksums.
//
// Owns     one descriptor, one timer. It waits for one thing at a time, so it is not a machine.
// Knows    store_internal, file_sums.     Known by  job/kinds.
// Normal   row; file, where it is now; blocks at the caller's pace; sums of blocks, then the checksum of the whole.
// Fails    damage is logged and counted like damage that a reader meets. A file that is missing although the row still names it is damage.
// Limits   load_restarts_max readings of a row that is overwritten again and again.
#include "store/verify.h"

#include <memory>
#include <utility>

#include <xxhash.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/text.h"
#include "store/content_path.h"
#include "store/set_aside.h"
#include "store/store_internal.h"

namespace etlnode {

struct verify {
    store *owner = nullptr;
    verify_request request;
    index_row row;
    unsigned rounds = 0; // rows read so far
    bool is_stopped = false;
    bool is_temp = false;     // the file is looked for in tmp/
    bool was_in_temp = false; // it has been looked for there
    disk_file *file = nullptr;
    std::unique_ptr<file_sums> reading;
    timer *pause_timer = nullptr;
    verify_outcome outcome;
};

static void read_row(verify &v);

static void close_file(verify &v)
{
    v.reading.reset();
    if (v.file != nullptr)
        disk_close(*v.owner->e, v.file);
    v.file = nullptr;
}

static void finish(verify &v)
{
    close_file(v);
    if (v.pause_timer != nullptr)
        timer_free(*v.owner->e, v.pause_timer);
    store &s = *v.owner;
    verify_request request = std::move(v.request);
    verify_outcome outcome = std::move(v.outcome);
    delete &v;
    request.on_done(request.arg, outcome);
    store_unref(s);
}

static void finish_with(verify &v, error err, std::string detail)
{
    v.outcome.err = err;
    v.outcome.detail = detail.empty() && err ? std::string(error_text(err)) : std::move(detail);
    finish(v);
}

static void finish_damaged(verify &v, uint64_t offset, std::string detail)
{
    store_note_damage(*v.owner, v.row, offset, detail.c_str());
    finish_with(v, make_error(error_code::corrupt), std::move(detail));
}

// --- the bytes of a file

static std::string offset_text(uint64_t offset) { return text_format("offset %llu", static_cast<unsigned long long>(offset)); }

// The first block that does not match; the number of blocks if all do.
static size_t first_damaged(const std::vector<uint64_t> &known, const std::vector<uint64_t> &read)
{
    size_t i = 0;
    while (i < known.size() && i < read.size() && known[i] == read[i])
        i++;
    return i;
}

static void on_read(void *arg, error err, uint64_t checksum)
{
    verify &v = *static_cast<verify *>(arg);
    v.outcome.bytes = v.reading->done;
    if (err.code == error_code::corrupt) {
        finish_damaged(v, v.reading->done, "the content file ends before the object does");
        return;
    }
    if (err) {
        finish_with(v, err, {});
        return;
    }
    const std::vector<uint64_t> &read = v.reading->sums.done;
    size_t block = first_damaged(v.row.sums, read);
    bool has_sums = !v.row.sums.empty();
    bool is_whole = checksum == v.row.checksum;
    uint64_t offset = uint64_t{block} * content_block_size;
    if (has_sums && (v.row.sums.size() != read.size() || block < read.size()))
        finish_damaged(v, offset,
            "the block at " + offset_text(offset) +
                (is_whole ? " does not match its recorded sum, but the content as a whole is what was stored" : " is not what was stored"));
    else if (!is_whole)
        finish_damaged(v, 0, "the content does not match its checksum");
    else
        finish(v);
}

static void on_opened(void *arg, error err, disk_file *file, uint64_t size);

static void open_file(verify &v)
{
    const std::string &dir = v.owner->options.dir;
    std::string path = v.is_temp ? content_temp_path(dir, v.row.content_id) : content_final_path(dir, v.row.content_id);
    disk_open(*v.owner->e, path, disk_open_mode::read, on_opened, &v);
}

// Files move in one direction only, from tmp/ to their place. So after a look into both, the place is looked at once more. Then the row is
// read again: a file that is gone belongs to an object that was replaced or removed meanwhile, or it is lost.
static void look_elsewhere(verify &v)
{
    if (v.is_temp || !v.was_in_temp) {
        v.is_temp = !v.is_temp;
        v.was_in_temp = true;
        open_file(v);
        return;
    }
    read_row(v);
}

static void on_opened(void *arg, error err, disk_file *file, uint64_t size)
{
    verify &v = *static_cast<verify *>(arg);
    v.file = file;
    if (v.is_stopped)
        err = make_error(error_code::stopping);
    if (err.code == error_code::no_such_file) {
        look_elsewhere(v);
        return;
    }
    if (err) {
        finish_with(v, err, {});
        return;
    }
    if (size != v.row.size) {
        finish_damaged(v, 0,
            text_format("the content file has %llu bytes, the object %llu", static_cast<unsigned long long>(size),
                static_cast<unsigned long long>(v.row.size)));
        return;
    }
    v.reading = std::make_unique<file_sums>();
    v.reading->pause_after = v.request.pause_after;
    v.reading->pause_arg = v.request.arg;
    file_sums_start(*v.reading, *v.owner->e, v.file, v.row.size, 0, on_read, &v);
}

// --- the row

static void on_pause_end(void *arg) { finish(*static_cast<verify *>(arg)); }

static void check_small(verify &v)
{
    v.outcome.bytes = v.row.size;
    if (v.row.size > 0 && XXH64(v.row.content.data(), v.row.content.size(), 0) != v.row.checksum) {
        finish_damaged(v, 0, "the content in the index does not match its checksum");
        return;
    }
    uint64_t pause_ms = v.request.pause_after != nullptr ? v.request.pause_after(v.request.arg, v.row.size) : 0;
    if (pause_ms == 0) {
        finish(v);
        return;
    }
    v.pause_timer = timer_make(*v.owner->e, on_pause_end, &v);
    timer_arm(*v.owner->e, v.pause_timer, pause_ms);
}

static void on_row(void *arg, error err, std::vector<index_row> rows)
{
    verify &v = *static_cast<verify *>(arg);
    if (v.is_stopped)
        err = make_error(error_code::stopping);
    if (err.code == error_code::corrupt) {
        v.row.bucket = v.request.bucket;
        v.row.name = v.request.name;
        finish_damaged(v, 0, error_text(err));
        return;
    }
    if (err) {
        finish_with(v, err, {});
        return;
    }
    uint64_t sought = v.row.content_id; // 0: this is the first row
    v.row = std::move(rows.front());
    if (store_row_is_damaged(v.row)) {
        finish_damaged(v, 0, store_damaged_row_text);
        return;
    }
    if (v.row.in_index || v.row.content_id == 0 || v.row.size == 0) {
        check_small(v);
        return;
    }
    if (sought == v.row.content_id) {
        finish_damaged(v, 0, "the content file is missing");
        return;
    }
    v.is_temp = v.was_in_temp = false;
    open_file(v);
}

static void read_row(verify &v)
{
    if (v.rounds++ >= load_restarts_max) {
        finish_with(v, make_error(error_code::overloaded, "the object is overwritten faster than it can be read"), {});
        return;
    }
    index_get(*v.owner->e, v.request.bucket, v.request.name, on_row, &v);
}

verify *store_verify(store &s, verify_request request)
{
    CHECK(!s.closing);
    auto *v = new verify;
    v->owner = &s;
    v->request = std::move(request);
    store_ref(s);
    read_row(*v);
    return v;
}

void store_verify_stop(verify &v)
{
    v.is_stopped = true;
    if (v.reading != nullptr)
        file_sums_stop(*v.reading);
    if (v.pause_timer != nullptr)
        timer_arm(*v.owner->e, v.pause_timer, 0);
}

} // namespace etlnode
