// SPDX-License-Identifier: MIT
// store/put_machine.cc: writes one object: a small one into the index, a larger one into tmp/<id>, synced, and then its row into the index.
//
// Owns     one file in tmp/, if any, until its row is committed; a descriptor; a buffer.
// Knows    sm, port, group_sync.     Known by  store; its callers see store.h only.
// Machine  put, drawn in docs/machines/put.md (generated, do not edit).
// Normal   small: commit, answer. Otherwise: open at the first write, write, sync file and directory together, commit, answer. Housekeeping
//          moves the content to its place after the answer.
// Fails    without a descriptor or space, after a disk error, a wrong checksum or a refused commit, the file in tmp/ is removed and the
//          caller gets the error.
// Limits   put_buffer_size, index_content_size_max.
//
// An empty object has content id 0. No state is sm_busy: operations of the disk and the index cannot be cancelled and always complete; in
// awaiting_first, awaiting_more and failed, the machine waits for its caller, whose own deadlines (such as a stalled client) end in
// put_abort.
#include "store/put_machine.h"

#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "sm/sm_verify.h"
#include "store/store_machines.h"

namespace etlnode {

using S = put::state;
using E = put::event;

static constexpr uint32_t OPEN = 1;
static constexpr uint32_t FILE_ = 2;
static constexpr uint32_t TEMP = 4;
static constexpr uint32_t WRITE = 8;
static constexpr uint32_t FILE_SYNC = 16;
static constexpr uint32_t DIR_SYNC = 32;
static constexpr uint32_t COMMIT = 64;
static constexpr uint32_t UNLINK = 128;
static constexpr uint32_t POST = 256;

static void take(put &p, E event);

static put &put_of(void *arg) { return *static_cast<put *>(arg); }

static void begin(put &p, uint32_t operation) { p.under_way |= operation; }
static void end(put &p, uint32_t operation) { p.under_way &= ~operation; }

static void keep_failure(put &p, error err)
{
    if (err && !p.failure)
        p.failure = err;
}

// --- completions

static void on_opened(void *arg, error err, disk_file *file, uint64_t)
{
    put &p = put_of(arg);
    end(p, OPEN);
    p.file = file;
    if (err.code == error_code::too_many_files && !p.has_evicted) {
        take(p, E::no_descriptors);
        return;
    }
    if (!err)
        begin(p, TEMP);
    keep_failure(p, err);
    take(p, err ? E::open_failed : E::opened);
}

static void on_file_written(void *arg, error err)
{
    put &p = put_of(arg);
    end(p, WRITE);
    keep_failure(p, err);
    take(p, err ? E::write_failed : E::written);
}

static void on_file_synced(void *arg, error err)
{
    put &p = put_of(arg);
    end(p, FILE_SYNC);
    keep_failure(p, err);
    take(p, err ? E::sync_failed : E::file_synced);
}

static void on_dir_synced(void *arg, error err)
{
    put &p = put_of(arg);
    end(p, DIR_SYNC);
    keep_failure(p, err);
    take(p, err ? E::sync_failed : E::dir_synced);
}

static void on_committed(void *arg, error err, index_change &change)
{
    put &p = put_of(arg);
    end(p, COMMIT);
    keep_failure(p, err);
    p.row = std::move(change.row);
    p.row.content.clear(); // the index owns its bytes now
    p.row.sums.clear();
    p.before = std::move(change.before);
    take(p, err ? E::commit_failed : E::committed);
}

static void on_unlinked(void *arg, error err)
{
    put &p = put_of(arg);
    end(p, UNLINK);
    if (err)
        housekeeping_add_orphan(p.owner->housekeeper, p.content_id); // which retries the removal
    end(p, TEMP);
    take(p, E::unlinked);
}

static void on_refused(void *arg)
{
    put &p = put_of(arg);
    end(p, POST);
    take(p, E::refused);
}

static void on_posted(void *arg)
{
    put &p = put_of(arg);
    end(p, POST);
    take(p, E::posted);
}

// --- actions

static void open_file(put &p)
{
    begin(p, OPEN);
    disk_open(*p.owner->e, content_temp_path(p.owner->options.dir, p.content_id), disk_open_mode::create_new, on_opened, &p);
}

static void evict_and_open(put &p)
{
    p.has_evicted = true;
    cache_evict_files(p.owner->cache, cache_evict_count);
    open_file(p);
}

static void start_write(put &p)
{
    begin(p, WRITE);
    disk_write(*p.owner->e, p.file, p.buffer.get(), p.write_size, p.row.size, on_file_written, &p);
}

static void count_written(put &p)
{
    p.row.size += p.write_size;
    p.write_size = 0;
}

// There is no file, so nothing else has to happen before the answer.
static void post_mismatch(put &p)
{
    p.row.checksum = p.checksum; // for whoever says what it should have been
    keep_failure(p, make_error(error_code::checksum_mismatch));
    begin(p, POST);
    clock_post(*p.owner->e, on_refused, &p);
}

// put_commit returns before its caller hears that the put is held.
static void post_ready(put &p)
{
    begin(p, POST);
    clock_post(*p.owner->e, on_posted, &p);
}

static void close_file(put &p)
{
    if (p.file != nullptr)
        disk_close(*p.owner->e, p.file);
    p.file = nullptr;
}

static void lend_buffer(put &p)
{
    std::vector<std::unique_ptr<char[]>> &spare = p.owner->spare_buffers;
    if (p.buffer != nullptr && spare.size() < put_buffers_kept_max)
        spare.push_back(std::move(p.buffer));
    p.buffer.reset();
}

// A put may be held for long, and then it holds neither a descriptor nor a buffer. What it wrote is in its file.
static void hold_file(put &p)
{
    close_file(p);
    lend_buffer(p);
}

static void unlink_temp(put &p)
{
    close_file(p);
    begin(p, UNLINK);
    disk_unlink(*p.owner->e, {content_temp_path(p.owner->options.dir, p.content_id)}, on_unlinked, &p);
}

static void unlink_mismatch(put &p)
{
    p.row.checksum = p.checksum;
    keep_failure(p, make_error(error_code::checksum_mismatch));
    unlink_temp(p);
}

// The name was created when the file was opened, so both syncs may run at once.
static void sync_both(put &p)
{
    count_written(p);
    begin(p, FILE_SYNC);
    disk_sync(*p.owner->e, p.file, on_file_synced, &p);
    begin(p, DIR_SYNC);
    group_sync_request(p.owner->temp_sync, on_dir_synced, &p);
}

static void set_terms(index_change &change, const store_terms &terms)
{
    change.what = index_change::kind::put;
    change.row.tag = terms.tag;
    change.version_above = terms.version_above;
    change.has_expected = terms.has_expected;
    change.expected_version = terms.expected_version;
}

static void set_copy(index_change &change, const index_change &copy)
{
    change.what = index_change::kind::put_moved;
    change.origin_tag = copy.origin_tag;
    change.row.version = copy.row.version;
    change.row.tag = copy.row.tag;
    change.row.changed_ns = copy.row.changed_ns;
    change.row.etag = copy.row.etag;
    change.row.custom = copy.row.custom;
}

static void commit_row(put &p)
{
    close_file(p);
    index_change change;
    p.row.checksum = p.checksum;
    p.row.content_id = p.row.size > 0 ? p.content_id : 0;
    p.row.sums = std::move(p.sums.done);
    p.row.changed_ns = clock_wall_ns(*p.owner->e);
    change.row = std::move(p.row); // the completion returns it
    if (p.copy)
        set_copy(change, *p.copy);
    else
        set_terms(change, p.terms ? *p.terms : p.owner->terms);
    begin(p, COMMIT);
    index_commit(*p.owner->e, std::move(change), on_committed, &p);
}

static void commit_with_content(put &p)
{
    p.row.in_index = p.write_size > 0;
    p.row.content.assign(p.buffer.get(), p.write_size);
    count_written(p);
    commit_row(p);
}

// A content that has no file yet fits into the index.
static bool has_temp(const put &p) { return (p.under_way & TEMP) != 0; }

static void commit_held(put &p)
{
    if (has_temp(p))
        commit_row(p);
    else
        commit_with_content(p);
}

// Housekeeping owns it now, if there is one.
static void hand_over(put &p) { end(p, TEMP); }

// A commit that failed with a disk error may still be found after a crash, and then its content must exist. A later successful commit, or
// the next start, proves that it will not. A content in the index is part of the commit, so there is nothing to keep.
static void leave_temp(put &p)
{
    if (has_temp(p))
        store_retain_unconfirmed(*p.owner, p.content_id);
    end(p, TEMP);
}

// --- guards

static bool checksum_differs(const put &p) { return p.has_expected && p.checksum != p.expected_checksum; }
static bool fits_index(const put &p) { return p.write_size <= p.owner->options.index_content_size_max; }
static bool is_held(const put &p) { return p.on_ready != nullptr; }
static bool fits_index_held(const put &p) { return fits_index(p) && is_held(p); }
static bool has_last(const put &p) { return p.write_size > 0; }
// Without space nothing of the commit was written, so it cannot be found later. A conflict committed nothing.
static bool may_unlink(const put &p)
{
    return has_temp(p) && (p.failure.code == error_code::no_space || p.failure.code == error_code::conflict);
}

// --- the table

static uint32_t alive(const put &p) { return p.under_way | (p.file != nullptr ? FILE_ : 0); }
static bool write_fits_buffer(const put &p) { return p.write_size <= put_buffer_size; }
static bool commit_has_a_caller(const put &p) { return !p.commit_was_asked || p.on_done != nullptr; }

static constexpr sm_resource resources[] = {{OPEN, "open under way"}, {FILE_, "file"}, {TEMP, "temporary name"}, {WRITE, "write under way"},
    {FILE_SYNC, "file sync under way"}, {DIR_SYNC, "directory sync under way"}, {COMMIT, "commit under way"}, {UNLINK, "unlink under way"},
    {POST, "posted refusal"}};
static constexpr sm_state<put> states[] = {
    {S::awaiting_first, sm_initial, 0, 0},
    {S::opening_to_write, 0, OPEN, OPEN},
    {S::opening_to_commit, 0, OPEN, OPEN},
    {S::opening_aborted, 0, OPEN, OPEN},
    {S::awaiting_more, 0, FILE_ | TEMP, FILE_ | TEMP},
    {S::writing, 0, FILE_ | TEMP | WRITE, FILE_ | TEMP | WRITE},
    {S::writing_aborted, 0, FILE_ | TEMP | WRITE, FILE_ | TEMP | WRITE},
    {S::writing_last, 0, FILE_ | TEMP | WRITE, FILE_ | TEMP | WRITE},
    {S::syncing, 0, FILE_ | TEMP | FILE_SYNC | DIR_SYNC, FILE_ | TEMP | FILE_SYNC | DIR_SYNC},
    {S::syncing_file, 0, FILE_ | TEMP | FILE_SYNC, FILE_ | TEMP | FILE_SYNC},
    {S::syncing_dir, 0, FILE_ | TEMP | DIR_SYNC, FILE_ | TEMP | DIR_SYNC},
    {S::sync_failed, 0, FILE_ | TEMP, FILE_ | TEMP | FILE_SYNC | DIR_SYNC},
    {S::readying, 0, POST, POST},
    {S::held, 0, 0, TEMP},
    {S::committing, 0, COMMIT, COMMIT | TEMP},
    {S::unlinking_failed, 0, TEMP | UNLINK, TEMP | UNLINK},
    {S::unlinking_aborted, 0, TEMP | UNLINK, TEMP | UNLINK},
    {S::unlinking_unwritten, 0, TEMP | UNLINK, TEMP | UNLINK},
    {S::failed, 0, 0, 0},
    {S::refusing_commit, 0, POST, POST},
    {S::done, sm_final, 0, 0},
};
static constexpr sm_row<put> rows[] = {
    {S::awaiting_first, E::write_asked, always, SM_FN(open_file), S::opening_to_write},
    {S::awaiting_first, E::commit_asked, SM_FN(checksum_differs), SM_FN(post_mismatch), S::refusing_commit},
    {S::awaiting_first, E::commit_asked, SM_FN(fits_index_held), SM_FN(post_ready), S::readying},
    {S::awaiting_first, E::commit_asked, SM_FN(fits_index), SM_FN(commit_with_content), S::committing},
    {S::awaiting_first, E::commit_asked, always, SM_FN(open_file), S::opening_to_commit},
    {S::awaiting_first, E::stop, always, nothing, S::done},

    {S::opening_to_write, E::opened, always, SM_FN(start_write), S::writing},
    {S::opening_to_write, E::no_descriptors, always, SM_FN(evict_and_open), S::opening_to_write},
    {S::opening_to_write, E::open_failed, always, nothing, S::failed},
    {S::opening_to_write, E::stop, always, nothing, S::opening_aborted},

    {S::opening_to_commit, E::opened, always, SM_FN(start_write), S::writing_last},
    {S::opening_to_commit, E::no_descriptors, always, SM_FN(evict_and_open), S::opening_to_commit},
    {S::opening_to_commit, E::open_failed, always, nothing, S::done},

    {S::opening_aborted, E::opened, always, SM_FN(unlink_temp), S::unlinking_aborted},
    {S::opening_aborted, E::no_descriptors, always, nothing, S::done},
    {S::opening_aborted, E::open_failed, always, nothing, S::done},

    {S::awaiting_more, E::write_asked, always, SM_FN(start_write), S::writing},
    {S::awaiting_more, E::commit_asked, SM_FN(checksum_differs), SM_FN(unlink_mismatch), S::unlinking_failed},
    {S::awaiting_more, E::commit_asked, SM_FN(has_last), SM_FN(start_write), S::writing_last},
    {S::awaiting_more, E::commit_asked, always, SM_FN(sync_both), S::syncing},
    {S::awaiting_more, E::stop, always, SM_FN(unlink_temp), S::unlinking_aborted},

    {S::writing, E::written, always, SM_FN(count_written), S::awaiting_more},
    // Free the space at once; the caller aborts later, at its own pace.
    {S::writing, E::write_failed, always, SM_FN(unlink_temp), S::unlinking_unwritten},
    {S::writing, E::stop, always, nothing, S::writing_aborted},
    {S::writing_aborted, E::written, always, SM_FN(unlink_temp), S::unlinking_aborted},
    {S::writing_aborted, E::write_failed, always, SM_FN(unlink_temp), S::unlinking_aborted},
    {S::writing_last, E::written, always, SM_FN(sync_both), S::syncing},
    {S::writing_last, E::write_failed, always, SM_FN(unlink_temp), S::unlinking_failed},

    {S::syncing, E::file_synced, always, nothing, S::syncing_dir},
    {S::syncing, E::dir_synced, always, nothing, S::syncing_file},
    {S::syncing, E::sync_failed, always, nothing, S::sync_failed},
    {S::syncing_file, E::file_synced, SM_FN(is_held), SM_FN(hold_file), S::held},
    {S::syncing_file, E::file_synced, always, SM_FN(commit_row), S::committing},
    {S::syncing_file, E::sync_failed, always, SM_FN(unlink_temp), S::unlinking_failed},
    {S::syncing_dir, E::dir_synced, SM_FN(is_held), SM_FN(hold_file), S::held},
    {S::syncing_dir, E::dir_synced, always, SM_FN(commit_row), S::committing},
    {S::syncing_dir, E::sync_failed, always, SM_FN(unlink_temp), S::unlinking_failed},
    {S::sync_failed, E::file_synced, always, SM_FN(unlink_temp), S::unlinking_failed},
    {S::sync_failed, E::dir_synced, always, SM_FN(unlink_temp), S::unlinking_failed},
    {S::sync_failed, E::sync_failed, always, SM_FN(unlink_temp), S::unlinking_failed},

    {S::readying, E::posted, always, nothing, S::held},
    {S::held, E::released, always, SM_FN(commit_held), S::committing},
    {S::held, E::stop, SM_FN(has_temp), SM_FN(unlink_temp), S::unlinking_aborted},
    {S::held, E::stop, always, nothing, S::done},

    {S::committing, E::committed, always, SM_FN(hand_over), S::done},
    {S::committing, E::commit_failed, SM_FN(may_unlink), SM_FN(unlink_temp), S::unlinking_failed},
    {S::committing, E::commit_failed, always, SM_FN(leave_temp), S::done},

    {S::unlinking_failed, E::unlinked, always, nothing, S::done},
    {S::unlinking_aborted, E::unlinked, always, nothing, S::done},
    {S::unlinking_unwritten, E::unlinked, always, nothing, S::failed},
    {S::unlinking_unwritten, E::stop, always, nothing, S::unlinking_aborted},

    {S::failed, E::stop, always, nothing, S::done},
    {S::refusing_commit, E::refused, always, nothing, S::done},
};
static constexpr const char *ends_by_itself = "after put_commit the put ends by itself; after put_abort it has been told";
static constexpr sm_ignore<put> ignores[] = {
    {S::opening_to_commit, E::stop, ends_by_itself},
    {S::opening_aborted, E::stop, ends_by_itself},
    {S::writing_aborted, E::stop, ends_by_itself},
    {S::writing_last, E::stop, ends_by_itself},
    {S::syncing, E::stop, ends_by_itself},
    {S::syncing_file, E::stop, ends_by_itself},
    {S::syncing_dir, E::stop, ends_by_itself},
    {S::sync_failed, E::stop, ends_by_itself},
    {S::readying, E::stop, ends_by_itself},
    {S::committing, E::stop, ends_by_itself},
    {S::unlinking_failed, E::stop, ends_by_itself},
    {S::unlinking_aborted, E::stop, ends_by_itself},
    {S::refusing_commit, E::stop, ends_by_itself},
};
static constexpr sm_invariant<put> invariants[] = {{"write_fits_buffer", write_fits_buffer}, {"commit_has_a_caller", commit_has_a_caller}};
static bool is_write_over(S from, E event)
{
    return (from == S::opening_to_write && event == E::open_failed) ||
           (from == S::writing && (event == E::written || event == E::write_failed));
}

static void note_news(put &p, S from, E event)
{
    if (sm_state_of(p) == S::done)
        sm_news_put(p.news, p.commit_was_asked ? put_news::finished : put_news::aborted);
    else if (sm_state_of(p) == S::held)
        sm_news_put(p.news, put_news::ready);
    else if (is_write_over(from, event))
        sm_news_put(p.news, put_news::written);
}

// There is no busy state, and so no deadline: the table names stop instead.
static constexpr sm_table<put> table = {"put", states, resources, rows, ignores, invariants, E::stop, E::stop, alive, nullptr, note_news};
SM_VERIFY(table);

sm_view put_machine_view() { return sm_view_of(table); }

// --- driving it

static void free_put(put &p)
{
    lend_buffer(p);
    XXH64_freeState(p.hash);
    delete &p;
}

// The put is freed before its caller is called back.
static void finish(put &p)
{
    store &s = *p.owner;
    error failure = p.failure;
    index_row row = std::move(p.row);
    auto on_done = p.on_done;
    void *done_arg = p.done_arg;
    if (failure) {
        s.counts.put_failures++;
    } else {
        s.counts.puts++;
        s.counts.put_bytes += row.size;
        store_forget(s, row.bucket, row.name);
        if (row.content_id != 0 && !row.in_index)
            housekeeping_add_move(s.housekeeper, row.content_id);
        store_discard_content(s, p.before);
        store_commit_succeeded(s);
    }
    free_put(p);
    on_done(done_arg, failure, row);
    store_unref(s);
}

static void free_aborted(put &p)
{
    store &s = *p.owner;
    free_put(p);
    store_unref(s);
}

// An event causes at most one piece of news. Delivering it may free the put.
static void take(put &p, E event)
{
    sm_step(table, p, event);
    put_news news;
    if (!sm_news_take(p.news, news))
        return;
    switch (news) {
    case put_news::written: std::exchange(p.on_written, nullptr)(p.written_arg, p.failure); return; // this may abort the put
    case put_news::ready: p.on_ready(p.ready_arg); return;                                          // this may abort the put
    case put_news::finished: finish(p); return;
    case put_news::aborted: free_aborted(p); return;
    }
}

// --- the functions of store.h

put *put_start(store &s, std::string bucket, std::string name, std::string content_type)
{
    CHECK(!s.closing);
    auto *p = new put;
    p->owner = &s;
    p->content_id = s.next_content_id++;
    p->sm.id = p->content_id;
    p->row.bucket = std::move(bucket);
    p->row.name = std::move(name);
    p->row.content_type = std::move(content_type);
    if (s.spare_buffers.empty()) {
        p->buffer = std::make_unique_for_overwrite<char[]>(put_buffer_size);
    } else {
        p->buffer = std::move(s.spare_buffers.back());
        s.spare_buffers.pop_back();
    }
    store_ref(s);
    return p;
}

std::span<char> put_buffer(put &p)
{
    CHECK(p.on_written == nullptr);
    return {p.buffer.get(), put_buffer_size};
}

void put_write(put &p, size_t size, void (*on_written)(void *arg, error err), void *arg)
{
    CHECK(size <= put_buffer_size);
    CHECK(p.on_written == nullptr);
    CHECK(!p.commit_was_asked);
    if (p.hash == nullptr) {
        p.hash = XXH64_createState();
        CHECK(p.hash != nullptr);
        XXH64_reset(p.hash, 0);
    }
    XXH64_update(p.hash, p.buffer.get(), size);
    content_sums_add(p.sums, p.buffer.get(), size);
    p.write_size = size;
    p.on_written = on_written;
    p.written_arg = arg;
    take(p, E::write_asked);
}

void put_commit(put &p, size_t size, bool has_expected, uint64_t expected_checksum,
    void (*on_done)(void *arg, error err, const index_row &row), void *arg)
{
    CHECK(size <= put_buffer_size);
    CHECK(p.on_written == nullptr);
    CHECK(!p.commit_was_asked);
    if (p.hash != nullptr)
        XXH64_update(p.hash, p.buffer.get(), size);
    p.checksum = p.hash != nullptr ? XXH64_digest(p.hash) : XXH64(p.buffer.get(), size, 0);
    p.write_size = size;
    p.commit_was_asked = true;
    if (p.hash != nullptr || !fits_index(p)) {
        content_sums_add(p.sums, p.buffer.get(), size);
        content_sums_end(p.sums);
    }
    p.has_expected = has_expected;
    p.expected_checksum = expected_checksum;
    p.on_done = on_done;
    p.done_arg = arg;
    take(p, E::commit_asked);
}

void put_set_terms(put &p, const store_terms &terms) { p.terms = terms; }

void put_set_custom(put &p, std::string custom) { p.row.custom = std::move(custom); }

void put_set_copy(put &p, const index_row &row, uint64_t origin_tag)
{
    p.copy = std::make_unique<index_change>();
    p.copy->row = row;
    p.copy->origin_tag = origin_tag;
}

void put_hold(put &p, void (*on_ready)(void *arg), void *arg)
{
    CHECK(!p.commit_was_asked);
    p.on_ready = on_ready;
    p.ready_arg = arg;
}

bool put_commits_at_once(const put &p, size_t size) { return p.hash == nullptr && store_fits_index(*p.owner, size); }

std::string put_held_path(const put &p)
{
    CHECK(sm_state_of(p) == S::held && has_temp(p));
    return content_temp_path(p.owner->options.dir, p.content_id);
}

uint64_t put_held_checksum(const put &p) { return p.checksum; }

void put_release(put &p) { take(p, E::released); }

void put_abort(put &p)
{
    CHECK(!p.commit_was_asked || sm_state_of(p) == S::held);
    p.commit_was_asked = false; // nobody waits for it any more
    p.on_written = nullptr;
    take(p, E::stop);
}

} // namespace etlnode
