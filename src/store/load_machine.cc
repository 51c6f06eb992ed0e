// SPDX-License-Identifier: MIT
// store/load_machine.cc: looks an object up: its row, and its content from the index or as a descriptor.
//
// Owns     one operation of the index or the disk at a time; a descriptor, until an entry takes it; sums in progress.
// Knows    sm, port, the cache, where housekeeping believes a content to be.   Known by  store.
// Machine  load, drawn in docs/machines/load.md (generated, do not edit).
// Normal   read the row. If its content did not come with it, open the file in its most likely place, and compute its sums if they are not
//          known yet. Hand an entry to every waiting caller.
// Fails    there is no row; or no file in either place: if the row has changed meanwhile, the lookup starts again, otherwise the object is
//          corrupt; or the file has a wrong size; or no descriptor is left, even after the cache released some.
// Limits   load_restarts_max.
//
// A result is never stale: a change committed during the lookup marks it as outdated. Callers that already wait asked before the change was
// answered, so they may get either version. A later caller starts a lookup of its own, and the cache does not take the outdated result.
// No state is sm_busy, because operations of the index and the disk cannot be cancelled and always complete.
#include "store/load_machine.h"

#include <xxhash.h>

#include "sm/sm_verify.h"
#include "store/content_sums.h"
#include "store/set_aside.h"
#include "store/store_machines.h"

namespace etlnode {

using S = load::state;
using E = load::event;

static constexpr uint32_t INDEX = 1;
static constexpr uint32_t OPEN = 2;
static constexpr uint32_t FILE_ = 4;
static constexpr uint32_t SUMS = 8;

static void take(load &l, E event);

// --- completions

static void on_row(void *arg, error err, std::vector<index_row> rows)
{
    load &l = *static_cast<load *>(arg);
    l.on_index = false;
    l.failure = err;
    if (!err && rows.size() != 1)
        l.failure = make_error(error_code::internal, "the index answered without a row");
    if (!l.failure)
        l.row = std::move(rows[0]);
    if (!l.failure && store_row_is_damaged(l.row))
        l.failure = make_error(error_code::corrupt, store_damaged_row_text);
    take(l, l.failure ? E::failed : E::row_read);
}

static void on_open(void *arg, error err, disk_file *file, uint64_t size)
{
    load &l = *static_cast<load *>(arg);
    l.opening = false;
    l.file = file;
    l.file_size = size;
    l.failure = err;
    E event = E::opened;
    if (err.code == error_code::no_such_file)
        event = E::missing;
    else if (err.code == error_code::too_many_files && !l.has_evicted)
        event = E::no_descriptors;
    else if (err)
        event = E::failed;
    take(l, event);
}

static void on_summed(void *arg, error err, uint64_t checksum)
{
    load &l = *static_cast<load *>(arg);
    l.row.sums = std::move(l.sums->sums.done);
    l.sums.reset();
    l.checksum = checksum;
    l.failure = err;
    take(l, err ? E::failed : E::summed);
}

// --- actions

static void read_row(load &l)
{
    l.on_index = true;
    index_get(*l.owner->e, l.bucket, l.name, on_row, &l);
}

static void start_open(load &l, const std::string &path)
{
    l.opening = true;
    disk_open(*l.owner->e, path, disk_open_mode::read, on_open, &l);
}

static void open_placed(load &l) { start_open(l, content_final_path(l.owner->options.dir, l.row.content_id)); }
static void open_temp(load &l) { start_open(l, content_temp_path(l.owner->options.dir, l.row.content_id)); }

static void evict(load &l)
{
    l.has_evicted = true;
    cache_evict_files(l.owner->cache, cache_evict_count);
}

static void evict_and_open_placed(load &l)
{
    evict(l);
    open_placed(l);
}

static void evict_and_open_temp(load &l)
{
    evict(l);
    open_temp(l);
}

static void close_file(load &l)
{
    if (l.file != nullptr)
        disk_close(*l.owner->e, l.file);
    l.file = nullptr;
}

static void take_nothing(load &l) { l.has_content = true; }

static void take_content(load &l)
{
    l.content = std::move(l.row.content);
    l.row.content.clear();
    l.has_content = true;
}

static void read_row_again(load &l)
{
    l.missing_id = l.row.content_id;
    l.restarts++;
    read_row(l);
}

static void fail_missing(load &l) { l.failure = make_error(error_code::corrupt, "the content file of the object is missing"); }

static void fail_changing(load &l) { l.failure = make_error(error_code::io, "the object is overwritten faster than it can be opened"); }

static void fail_size(load &l)
{
    close_file(l);
    l.failure = make_error(error_code::corrupt, "the content file of the object has the wrong size");
}

static void fail_sums(load &l)
{
    close_file(l);
    l.failure = make_error(error_code::corrupt, "the sums of the object's content are damaged");
}

// The background pass will also reach this content, and store its sums.
static void make_sums(load &l)
{
    l.sums = std::make_unique<file_sums>();
    file_sums_start(*l.sums, *l.owner->e, l.file, l.row.size, 0, on_summed, &l);
}

static void stop_sums(load &l) { file_sums_stop(*l.sums); }

static void fail_checksum(load &l)
{
    close_file(l);
    l.failure = make_error(error_code::corrupt, "the content of the object does not match its checksum");
}

static void fail_content(load &l) { l.failure = make_error(error_code::corrupt, "the content of the object does not match its checksum"); }

static void fail_stopping(load &l)
{
    close_file(l);
    l.failure = make_error(error_code::stopping);
}

// --- guards

// The row still names the content that was found in neither place.
static bool is_missing(const load &l) { return l.row.content_id != 0 && l.row.content_id == l.missing_id; }
static bool is_empty(const load &l) { return l.row.size == 0; }
static bool has_pending_move(const load &l) { return housekeeping_has_pending_move(l.owner->housekeeper, l.row.content_id); }
// Contents of earlier versions have no sums until the background pass has computed them. Until then, a large one is sent unchecked.
static bool lacks_sums(const load &l) { return l.row.sums.empty() && l.row.size <= load_sum_size_max; }
static bool checksum_differs(const load &l) { return l.checksum != l.row.checksum; }
static bool sums_differ(const load &l) { return !l.row.sums.empty() && l.row.sums.size() != content_sums_count(l.row.size); }
static bool size_differs(const load &l) { return l.file_size != l.row.size; }
static bool may_restart(const load &l) { return l.restarts < load_restarts_max; }
static bool is_in_index(const load &l) { return l.row.in_index; }
static bool content_differs(const load &l)
{
    return l.row.in_index && (l.row.content.size() != l.row.size || XXH64(l.row.content.data(), l.row.content.size(), 0) != l.row.checksum);
}

// --- the table

static uint32_t alive(const load &l)
{
    return (l.on_index ? INDEX : 0) | (l.opening ? OPEN : 0) | (l.file != nullptr ? FILE_ : 0) | (l.sums != nullptr ? SUMS : 0);
}
static bool restarts_are_bounded(const load &l) { return l.restarts <= load_restarts_max; }
static bool somebody_waits(const load &l) { return !l.waits.empty(); }

static constexpr sm_resource resources[] = {
    {INDEX, "index operation"}, {OPEN, "open under way"}, {FILE_, "file"}, {SUMS, "sums being made"}};
static constexpr sm_state<load> states[] = {
    {S::awaiting_row, sm_initial, INDEX, INDEX}, {S::opening_placed, 0, OPEN, OPEN}, {S::opening_temp, 0, OPEN, OPEN},
    {S::opening_moved, 0, OPEN, OPEN}, {S::summing, 0, FILE_ | SUMS, FILE_ | SUMS}, {S::stopping, 0, 0, INDEX | OPEN | FILE_ | SUMS},
    {S::done, sm_final, 0, FILE_}, // the entry takes the file
};
static constexpr sm_row<load> rows[] = {
    {S::awaiting_row, E::row_read, SM_FN(is_missing), SM_FN(fail_missing), S::done},
    {S::awaiting_row, E::row_read, SM_FN(is_empty), SM_FN(take_nothing), S::done},
    {S::awaiting_row, E::row_read, SM_FN(content_differs), SM_FN(fail_content), S::done},
    {S::awaiting_row, E::row_read, SM_FN(is_in_index), SM_FN(take_content), S::done},
    {S::awaiting_row, E::row_read, SM_FN(has_pending_move), SM_FN(open_temp), S::opening_temp},
    {S::awaiting_row, E::row_read, always, SM_FN(open_placed), S::opening_placed},
    {S::awaiting_row, E::failed, always, nothing, S::done},
    {S::awaiting_row, E::stop, always, nothing, S::stopping},

    {S::opening_placed, E::opened, SM_FN(size_differs), SM_FN(fail_size), S::done},
    {S::opening_placed, E::opened, SM_FN(sums_differ), SM_FN(fail_sums), S::done},
    {S::opening_placed, E::opened, SM_FN(lacks_sums), SM_FN(make_sums), S::summing},
    {S::opening_placed, E::opened, always, nothing, S::done},
    {S::opening_placed, E::missing, always, SM_FN(open_temp), S::opening_temp},
    {S::opening_placed, E::no_descriptors, always, SM_FN(evict_and_open_placed), S::opening_placed},
    {S::opening_placed, E::failed, always, nothing, S::done},
    {S::opening_placed, E::stop, always, nothing, S::stopping},

    {S::opening_temp, E::opened, SM_FN(size_differs), SM_FN(fail_size), S::done},
    {S::opening_temp, E::opened, SM_FN(sums_differ), SM_FN(fail_sums), S::done},
    {S::opening_temp, E::opened, SM_FN(lacks_sums), SM_FN(make_sums), S::summing},
    {S::opening_temp, E::opened, always, nothing, S::done},
    // Files move in one direction only: a file that is not in tmp/ now is in its place, or gone.
    {S::opening_temp, E::missing, always, SM_FN(open_placed), S::opening_moved},
    {S::opening_temp, E::no_descriptors, always, SM_FN(evict_and_open_temp), S::opening_temp},
    {S::opening_temp, E::failed, always, nothing, S::done},
    {S::opening_temp, E::stop, always, nothing, S::stopping},

    {S::opening_moved, E::opened, SM_FN(size_differs), SM_FN(fail_size), S::done},
    {S::opening_moved, E::opened, SM_FN(sums_differ), SM_FN(fail_sums), S::done},
    {S::opening_moved, E::opened, SM_FN(lacks_sums), SM_FN(make_sums), S::summing},
    {S::opening_moved, E::opened, always, nothing, S::done},
    {S::opening_moved, E::missing, SM_FN(may_restart), SM_FN(read_row_again), S::awaiting_row},
    {S::opening_moved, E::missing, always, SM_FN(fail_changing), S::done},
    {S::opening_moved, E::no_descriptors, always, SM_FN(evict_and_open_placed), S::opening_moved},
    {S::opening_moved, E::failed, always, nothing, S::done},
    {S::opening_moved, E::stop, always, nothing, S::stopping},

    {S::summing, E::summed, SM_FN(checksum_differs), SM_FN(fail_checksum), S::done},
    {S::summing, E::summed, always, nothing, S::done},
    {S::summing, E::failed, always, SM_FN(close_file), S::done},
    {S::summing, E::stop, always, SM_FN(stop_sums), S::stopping},

    {S::stopping, E::row_read, always, SM_FN(fail_stopping), S::done},
    {S::stopping, E::opened, always, SM_FN(fail_stopping), S::done},
    {S::stopping, E::missing, always, SM_FN(fail_stopping), S::done},
    {S::stopping, E::no_descriptors, always, SM_FN(fail_stopping), S::done},
    {S::stopping, E::failed, always, SM_FN(fail_stopping), S::done},
};
static constexpr sm_ignore<load> ignores[] = {{S::stopping, E::stop, "it is stopping already"}};
static constexpr sm_invariant<load> invariants[] = {{"restarts_are_bounded", restarts_are_bounded}, {"somebody_waits", somebody_waits}};
static void note_news(load &l, S, E)
{
    if (sm_state_of(l) == S::done)
        sm_news_put(l.news, load_news::ended);
}

// There is no busy state, and so no deadline: the table names stop instead.
static constexpr sm_table<load> table = {"load", states, resources, rows, ignores, invariants, E::stop, E::stop, alive, nullptr, note_news};
SM_VERIFY(table);

sm_view load_machine_view() { return sm_view_of(table); }

// --- driving it

// Unique, because neither part contains a NUL byte.
static std::string load_key(std::string_view bucket, std::string_view name)
{
    std::string key;
    key.reserve(bucket.size() + 1 + name.size());
    key.append(bucket).append(1, '\0').append(name);
    return key;
}

static void outdate(load &l)
{
    if (!l.is_outdated)
        l.owner->joinable_loads.erase(load_key(l.bucket, l.name));
    l.is_outdated = true;
}

static void unlink_load(load &l)
{
    (l.previous != nullptr ? l.previous->next : l.owner->loads) = l.next;
    if (l.next != nullptr)
        l.next->previous = l.previous;
}

// Completes all callers and frees the load. A callback may do anything, even close the store.
static void finish(load &l)
{
    store &s = *l.owner;
    std::vector<load_wait> waits = std::move(l.waits);
    error failure = l.failure;
    if (failure.code == error_code::corrupt) {
        l.row.bucket = l.bucket; // the index may not have returned a row
        l.row.name = l.name;
        store_note_damage(s, l.row, 0, error_text(failure));
    }
    store_entry *entry = nullptr;
    if (!failure) {
        entry = cache_make_entry(std::move(l.row), l.file, std::move(l.content), l.has_content);
        store_guard(s, *entry);
        for (size_t i = 0; i < waits.size(); i++)
            cache_acquire(s.cache, *entry);
        if (!l.is_outdated && l.use == store_use::again)
            cache_insert(s.cache, *entry);
    }
    outdate(l);
    unlink_load(l);
    delete &l;
    for (const load_wait &wait : waits)
        wait.on_object(wait.arg, failure, entry != nullptr ? &entry->object : nullptr);
    store_unref(s);
}

static void take(load &l, E event)
{
    sm_step(table, l, event);
    load_news news;
    if (sm_news_take(l.news, news))
        finish(l);
}

void load_request(store &s, std::string bucket, std::string name, store_on_object on_object, void *arg, store_use use)
{
    load *&joinable = s.joinable_loads[load_key(bucket, name)];
    if (joinable != nullptr) {
        joinable->waits.push_back({on_object, arg});
        if (use == store_use::again)
            joinable->use = use;
        return;
    }
    auto *l = new load;
    joinable = l;
    l->sm.id = s.next_load_id++;
    l->owner = &s;
    l->bucket = std::move(bucket);
    l->name = std::move(name);
    l->waits.push_back({on_object, arg});
    l->use = use;
    l->next = s.loads;
    if (s.loads != nullptr)
        s.loads->previous = l;
    s.loads = l;
    store_ref(s);
    read_row(*l);
}

void load_stop_all(store &s)
{
    // Stopping a load only changes its state. It ends with the operation in progress.
    for (load *l = s.loads; l != nullptr; l = l->next)
        take(*l, E::stop);
}

void load_outdate(store &s, std::string_view bucket, std::string_view name)
{
    auto found = s.joinable_loads.find(load_key(bucket, name));
    if (found != s.joinable_loads.end())
        outdate(*found->second);
}

void load_outdate_bucket(store &s, std::string_view bucket)
{
    for (load *l = s.loads; l != nullptr; l = l->next) {
        if (l->bucket == bucket)
            outdate(*l);
    }
}

} // namespace etlnode
