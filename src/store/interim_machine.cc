// SPDX-License-Identifier: MIT
// store/interim_machine.cc: keeps a content that has no name: a small one in memory, a larger one in a file without a name.
//
// Owns     the bytes in memory; one file of tmp/, which has a name only between its creation and the next operation.
// Knows    sm, port.     Known by  object/sink_interim.cc.
// Machine  interim, drawn in docs/machines/interim.md (generated, do not edit).
// Normal   small: end. Otherwise: open at the first spill, remove the name, write, end.
// Fails    without a descriptor or space, or after a disk error: the caller gets the error, and the file is closed, which frees its space.
// Limits   interim_memory_size.
//
// As in the put, no state is sm_busy: operations of the disk cannot be cancelled and always complete. The file is never synced, because
// nothing of it outlives the process. Its blocks have sums, like those of every content, so that damage is found when they are read.
#include "store/interim_machine.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "sm/sm_verify.h"
#include "store/store_machines.h"

namespace etlnode {

using S = interim::state;
using E = interim::event;

static constexpr uint32_t OPEN = 1;
static constexpr uint32_t FILE_ = 2;
static constexpr uint32_t UNLINK = 4;
static constexpr uint32_t WRITE = 8;
static constexpr uint32_t POST = 16;

static void take(interim &i, E event);

static interim &of(void *arg) { return *static_cast<interim *>(arg); }

static void begin(interim &i, uint32_t operation) { i.under_way |= operation; }
static void end(interim &i, uint32_t operation) { i.under_way &= ~operation; }

static void keep_failure(interim &i, error err)
{
    if (err && !i.failure)
        i.failure = err;
}

// --- completions

static void on_opened(void *arg, error err, disk_file *file, uint64_t)
{
    interim &i = of(arg);
    end(i, OPEN);
    i.file = file;
    if (err.code == error_code::too_many_files && !i.has_evicted) {
        take(i, E::no_descriptors);
        return;
    }
    keep_failure(i, err);
    take(i, err ? E::open_failed : E::opened);
}

static void on_unlinked(void *arg, error err)
{
    interim &i = of(arg);
    end(i, UNLINK);
    if (err)
        housekeeping_add_orphan(i.owner->housekeeper, i.sm.id); // which retries the removal
    take(i, E::unlinked);
}

static void on_file_written(void *arg, error err)
{
    interim &i = of(arg);
    end(i, WRITE);
    keep_failure(i, err);
    take(i, err ? E::write_failed : E::written);
}

static void on_posted(void *arg)
{
    interim &i = of(arg);
    end(i, POST);
    take(i, E::posted);
}

// --- actions

static std::string path_of(const interim &i) { return content_temp_path(i.owner->options.dir, i.sm.id); }

static void open_file(interim &i)
{
    begin(i, OPEN);
    disk_open(*i.owner->e, path_of(i), disk_open_mode::create_new, on_opened, &i);
}

static void evict_and_open(interim &i)
{
    i.has_evicted = true;
    cache_evict_files(i.owner->cache, cache_evict_count);
    open_file(i);
}

static void unlink_name(interim &i)
{
    begin(i, UNLINK);
    disk_unlink(*i.owner->e, {path_of(i)}, on_unlinked, &i);
}

static void start_write(interim &i)
{
    content_sums_add(i.sums, i.held.data(), i.held.size());
    begin(i, WRITE);
    disk_write(*i.owner->e, i.file, i.held.data(), i.held.size(), i.row.size, on_file_written, &i);
}

static void count_written(interim &i)
{
    i.row.size += i.held.size();
    i.held.clear();
}

static void close_file(interim &i)
{
    if (i.file != nullptr)
        disk_close(*i.owner->e, i.file);
    i.file = nullptr;
}

// interim_end returns before its caller hears of the end.
static void post_end(interim &i)
{
    begin(i, POST);
    clock_post(*i.owner->e, on_posted, &i);
}

static void make_object(interim &i)
{
    const bool is_in_memory = i.file == nullptr;
    if (is_in_memory)
        i.row.size = i.held.size();
    content_sums_end(i.sums);
    i.row.sums = std::move(i.sums.done);
    i.row.checksum = XXH64_digest(i.hash);
    i.row.content_id = i.sm.id;
    i.row.version = i.sm.id;
    i.row.changed_ns = clock_wall_ns(*i.owner->e);
    store_entry *entry = cache_make_entry(
        std::move(i.row), std::exchange(i.file, nullptr), is_in_memory ? std::move(i.held) : std::string(), is_in_memory);
    store_guard(*i.owner, *entry);
    i.made = cache_acquire(i.owner->cache, *entry);
}

static void make_object_of_last(interim &i)
{
    count_written(i);
    make_object(i);
}

// --- guards

static bool has_file(const interim &i) { return i.file != nullptr; }
static bool has_rest(const interim &i) { return has_file(i) && !i.held.empty(); }

// --- the table

static uint32_t alive(const interim &i) { return i.under_way | (i.file != nullptr ? FILE_ : 0); }
static bool held_fits(const interim &i) { return i.held.size() <= interim_memory_size; }

static constexpr sm_resource resources[] = {
    {OPEN, "open under way"}, {FILE_, "file"}, {UNLINK, "unlink under way"}, {WRITE, "write under way"}, {POST, "posted end"}};
static constexpr sm_state<interim> states[] = {
    {S::filling, sm_initial, 0, FILE_},
    {S::opening, 0, OPEN, OPEN},
    {S::unnaming, 0, FILE_ | UNLINK, FILE_ | UNLINK},
    {S::writing, 0, FILE_ | WRITE, FILE_ | WRITE},
    {S::writing_last, 0, FILE_ | WRITE, FILE_ | WRITE},
    {S::ending, 0, POST, FILE_ | POST},
    {S::failed, 0, 0, 0},
    {S::abandoned, 0, 0, OPEN | FILE_ | UNLINK | WRITE | POST},
    {S::done, sm_final, 0, 0},
};
static constexpr sm_row<interim> rows[] = {
    {S::filling, E::spill_asked, SM_FN(has_file), SM_FN(start_write), S::writing},
    {S::filling, E::spill_asked, always, SM_FN(open_file), S::opening},
    {S::filling, E::end_asked, SM_FN(has_rest), SM_FN(start_write), S::writing_last},
    {S::filling, E::end_asked, always, SM_FN(post_end), S::ending},
    {S::filling, E::stop, always, SM_FN(close_file), S::done},

    {S::opening, E::opened, always, SM_FN(unlink_name), S::unnaming},
    {S::opening, E::no_descriptors, always, SM_FN(evict_and_open), S::opening},
    {S::opening, E::open_failed, always, nothing, S::failed},
    {S::opening, E::stop, always, nothing, S::abandoned},
    {S::unnaming, E::unlinked, always, SM_FN(start_write), S::writing},
    {S::unnaming, E::stop, always, nothing, S::abandoned},

    {S::writing, E::written, always, SM_FN(count_written), S::filling},
    {S::writing, E::write_failed, always, SM_FN(close_file), S::failed}, // the space is free at once
    {S::writing, E::stop, always, nothing, S::abandoned},
    {S::writing_last, E::written, always, SM_FN(make_object_of_last), S::done},
    {S::writing_last, E::write_failed, always, SM_FN(close_file), S::done},
    {S::writing_last, E::stop, always, nothing, S::abandoned},
    {S::ending, E::posted, always, SM_FN(make_object), S::done},
    {S::ending, E::stop, always, nothing, S::abandoned},

    {S::failed, E::stop, always, nothing, S::done},

    {S::abandoned, E::opened, always, SM_FN(unlink_name), S::abandoned},
    {S::abandoned, E::no_descriptors, always, nothing, S::done},
    {S::abandoned, E::open_failed, always, nothing, S::done},
    {S::abandoned, E::unlinked, always, SM_FN(close_file), S::done},
    {S::abandoned, E::written, always, SM_FN(close_file), S::done},
    {S::abandoned, E::write_failed, always, SM_FN(close_file), S::done},
    {S::abandoned, E::posted, always, SM_FN(close_file), S::done},
};
static constexpr sm_ignore<interim> ignores[] = {{S::abandoned, E::stop, "it has been told already"}};
static constexpr sm_invariant<interim> invariants[] = {{"held_fits", held_fits}};

static void note_news(interim &i, S from, E event)
{
    if (sm_state_of(i) == S::done)
        sm_news_put(i.news, i.on_done != nullptr ? interim_news::finished : interim_news::aborted);
    else if ((from == S::opening && event == E::open_failed) || (from == S::writing && (event == E::written || event == E::write_failed)))
        sm_news_put(i.news, interim_news::written);
}

// There is no busy state, and so no deadline: the table names stop instead.
static constexpr sm_table<interim> table = {
    "interim", states, resources, rows, ignores, invariants, E::stop, E::stop, alive, nullptr, note_news};
SM_VERIFY(table);

sm_view interim_machine_view() { return sm_view_of(table); }

// --- driving it

static void free_interim(interim &i)
{
    XXH64_freeState(i.hash);
    delete &i;
}

// The interim is freed before its caller is called back.
static void finish(interim &i)
{
    store &s = *i.owner;
    auto on_done = i.on_done;
    void *arg = i.done_arg;
    error failure = i.failure;
    const store_object *made = i.made;
    free_interim(i);
    on_done(arg, failure, made);
    store_unref(s);
}

static void free_aborted(interim &i)
{
    store &s = *i.owner;
    free_interim(i);
    store_unref(s);
}

// An event causes at most one piece of news. Delivering it may free the interim.
static void take(interim &i, E event)
{
    sm_step(table, i, event);
    interim_news news;
    if (!sm_news_take(i.news, news))
        return;
    switch (news) {
    case interim_news::written: std::exchange(i.on_written, nullptr)(i.written_arg, i.failure); return; // this may abort it
    case interim_news::finished: finish(i); return;
    case interim_news::aborted: free_aborted(i); return;
    }
}

// --- the functions of interim.h

interim *interim_start(store &s, std::string bucket, std::string name)
{
    CHECK(!s.closing);
    auto *i = new interim;
    i->owner = &s;
    i->sm.id = s.next_content_id++;
    i->row.bucket = std::move(bucket);
    i->row.name = std::move(name);
    i->hash = XXH64_createState();
    CHECK(i->hash != nullptr);
    XXH64_reset(i->hash, 0);
    store_ref(s);
    return i;
}

size_t interim_add(interim &i, std::string_view bytes)
{
    CHECK(i.on_written == nullptr);
    bytes = bytes.substr(0, interim_memory_size - i.held.size());
    XXH64_update(i.hash, bytes.data(), bytes.size());
    i.held += bytes;
    return bytes.size();
}

size_t interim_room(const interim &i) { return interim_memory_size - i.held.size(); }
bool interim_is_full(const interim &i) { return i.held.size() == interim_memory_size; }

void interim_spill(interim &i, void (*on_written)(void *arg, error err), void *arg)
{
    CHECK(i.on_written == nullptr && !i.held.empty());
    i.on_written = on_written;
    i.written_arg = arg;
    take(i, E::spill_asked);
}

void interim_end(interim &i, void (*on_done)(void *arg, error err, const store_object *object), void *arg)
{
    CHECK(i.on_written == nullptr && i.on_done == nullptr);
    i.on_done = on_done;
    i.done_arg = arg;
    take(i, E::end_asked);
}

void interim_abort(interim &i)
{
    i.on_written = nullptr;
    i.on_done = nullptr;
    take(i, E::stop);
}

} // namespace etlnode
