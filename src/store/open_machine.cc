// SPDX-License-Identifier: MIT
// store/open_machine.cc: opens a store: creates its directories and sorts out what the last run left in tmp/.
//
// Owns     the store, until it is handed over or the start fails.
// Knows    sm, port, housekeeping.         Known by  callers of store_open.
// Machine  open, drawn in docs/machines/open.md (generated, do not edit).
// Normal   create directories, list tmp/, read pending moves and garbage. Housekeeping moves the pending contents, unlinks files that no
//          row names and, once the store is ready, the garbage. It reads neither rows nor objects/, however many there are. But if the
//          index is new and objects/ is not empty, the old index was lost: then objects/ is set aside.
// Fails    any error of the disk or the index before housekeeping takes over; after that, housekeeping retries by itself.
//
// No state is sm_busy: operations of the disk and the index always complete, and housekeeping settles or waits for its next retry.
#include "store/open_machine.h"

#include <algorithm>

#include "base/log.h"
#include "base/text.h"
#include "port/clock.h"
#include "sm/sm_verify.h"
#include "store/store_machines.h"

namespace etlnode {

using S = store_opening::state;
using E = store_opening::event;

static constexpr uint32_t DISK = 1;
static constexpr uint32_t INDEX = 2;
static constexpr uint32_t KEEPER = 4;

static constexpr std::string_view aside_prefix = "objects.lost-";

static void take(store_opening &o, E event);

static store_opening &opening_of(void *arg) { return *static_cast<store_opening *>(arg); }

// --- completions

static void on_disk_done(void *arg, error err)
{
    store_opening &o = opening_of(arg);
    o.on_disk = false;
    o.failure = err;
    take(o, err ? E::failed : E::done);
}

static void on_listed(void *arg, error err, const std::vector<std::string> &names)
{
    store_opening &o = opening_of(arg);
    for (const std::string &name : names) {
        uint64_t id = 0;
        if (content_name_parse(name, id))
            o.in_temp.push_back(id);
        else
            LOG(warn, "store", "name=\"%s\" msg=\"a file in tmp/ that is not ours is left alone\"", text_escape(name).c_str());
    }
    on_disk_done(arg, err);
}

static void on_objects_listed(void *arg, error err, const std::vector<std::string> &names)
{
    opening_of(arg).has_strangers = !names.empty();
    on_disk_done(arg, err);
}

// Logged at each start, until an operator has dealt with them.
static void on_root_listed(void *arg, error err, const std::vector<std::string> &names)
{
    for (const std::string &name : names) {
        if (name.starts_with(aside_prefix))
            LOG(warn, "store",
                "folder=\"%s/%s\" msg=\"content files of another node.db lie here: nothing reads them, nothing removes them; delete them, "
                "or put their node.db back\"",
                text_escape(opening_of(arg).owner->options.dir).c_str(), text_escape(name).c_str());
    }
    on_disk_done(arg, err);
}

static void on_index_ids(store_opening &o, error err, std::vector<uint64_t> &target, const std::vector<uint64_t> &ids)
{
    o.on_index = false;
    o.failure = err;
    target = ids;
    take(o, err ? E::failed : E::done);
}

static void on_pending_moves(void *arg, error err, const std::vector<uint64_t> &ids)
{
    on_index_ids(opening_of(arg), err, opening_of(arg).pending_moves, ids);
}
static void on_garbage(void *arg, error err, const std::vector<uint64_t> &ids)
{
    on_index_ids(opening_of(arg), err, opening_of(arg).garbage, ids);
}

static void on_settled(void *arg)
{
    opening_of(arg).settling = false;
    take(opening_of(arg), E::done);
}

// --- actions

static void make_dir(store_opening &o, const std::string &path)
{
    o.on_disk = true;
    disk_make_dir(*o.owner->e, path, on_disk_done, &o);
}

static void make_temp(store_opening &o) { make_dir(o, content_temp_dir(o.owner->options.dir)); }
static void make_objects(store_opening &o) { make_dir(o, content_objects_dir(o.owner->options.dir)); }

static void list_objects(store_opening &o)
{
    o.on_disk = true;
    disk_list(*o.owner->e, content_objects_dir(o.owner->options.dir), on_objects_listed, &o);
}

// A new index would assign the ids of these files again, and new contents would overwrite them.
static void set_aside(store_opening &o)
{
    const std::string &dir = o.owner->options.dir;
    std::string aside = dir + "/" + std::string(aside_prefix) + std::to_string(clock_wall_ns(*o.owner->e) / 1'000'000);
    LOG(error, "store",
        "folder=\"%s\" msg=\"node.db is new, but objects/ holds content files: they are another database's, and are set aside\"",
        text_escape(aside).c_str());
    o.on_disk = true;
    disk_rename(*o.owner->e, content_objects_dir(dir), aside, on_disk_done, &o);
}

static void list_root(store_opening &o)
{
    o.on_disk = true;
    disk_list(*o.owner->e, o.owner->options.dir, on_root_listed, &o);
}

static void sync_root(store_opening &o)
{
    o.on_disk = true;
    disk_sync_dir(*o.owner->e, o.owner->options.dir, on_disk_done, &o);
}

static void list_temp(store_opening &o)
{
    o.on_disk = true;
    disk_list(*o.owner->e, content_temp_dir(o.owner->options.dir), on_listed, &o);
}

static void read_pending_moves(store_opening &o)
{
    o.on_index = true;
    index_pending_moves(*o.owner->e, on_pending_moves, &o);
}

static void read_garbage(store_opening &o)
{
    o.on_index = true;
    index_garbage(*o.owner->e, on_garbage, &o);
}

// Larger than every id that a file or the index may still have.
static void choose_next_id(store_opening &o)
{
    uint64_t highest = index_content_id_max(*o.owner->e);
    for (const std::vector<uint64_t> *ids : {&o.in_temp, &o.pending_moves, &o.garbage}) {
        for (uint64_t id : *ids)
            highest = id < content_id_limit ? std::max(highest, id) : highest;
    }
    o.owner->next_content_id = highest + 1;
}

static void start_housekeeping(store_opening &o)
{
    store &s = *o.owner;
    choose_next_id(o);
    std::sort(o.pending_moves.begin(), o.pending_moves.end());
    store_ref(s);
    housekeeping_start(s.housekeeper, *s.e, s.options.dir);
    size_t orphans = 0;
    for (uint64_t id : o.in_temp) {
        if (std::binary_search(o.pending_moves.begin(), o.pending_moves.end(), id))
            continue;
        orphans++;
        housekeeping_add_orphan(s.housekeeper, id);
    }
    for (uint64_t id : o.pending_moves)
        housekeeping_add_move(s.housekeeper, id);
    for (uint64_t id : o.garbage)
        housekeeping_add_garbage(s.housekeeper, id);
    store_ref(s);
    summer_start(s.sums, *s.e, s.options.dir, store_note_sums, &s);
    o.settling = true;
    housekeeping_when_settled(s.housekeeper, on_settled, &o);
    LOG(info, "store", "objects=%llu abandoned=%zu pending_moves=%zu garbage=%zu msg=\"store opened\"",
        static_cast<unsigned long long>(index_object_count(*s.e)), orphans, o.pending_moves.size(), o.garbage.size());
}

// --- guards

static bool is_index_new(const store_opening &o) { return index_object_count(*o.owner->e) == 0 && index_content_id_max(*o.owner->e) == 0; }
static bool has_strangers(const store_opening &o) { return o.has_strangers; }

// --- the table

static uint32_t alive(const store_opening &o) { return (o.on_disk ? DISK : 0) | (o.on_index ? INDEX : 0) | (o.settling ? KEEPER : 0); }

static constexpr sm_resource resources[] = {{DISK, "disk operation"}, {INDEX, "index operation"}, {KEEPER, "housekeeping's answer"}};
static constexpr sm_state<store_opening> states[] = {
    {S::making_temp, sm_initial, DISK, DISK},
    {S::making_objects, 0, DISK, DISK},
    {S::listing_objects, 0, DISK, DISK},
    {S::setting_aside, 0, DISK, DISK},
    {S::syncing_root, 0, DISK, DISK},
    {S::listing_temp, 0, DISK, DISK},
    {S::listing_root, 0, DISK, DISK},
    {S::reading_pending_moves, 0, INDEX, INDEX},
    {S::reading_garbage, 0, INDEX, INDEX},
    {S::settling, 0, KEEPER, KEEPER},
    {S::ready, sm_final, 0, 0},
    {S::failed, sm_final, 0, 0},
};
static constexpr sm_row<store_opening> rows[] = {
    {S::making_temp, E::done, always, SM_FN(make_objects), S::making_objects},
    {S::making_temp, E::failed, always, nothing, S::failed},
    {S::making_objects, E::done, SM_FN(is_index_new), SM_FN(list_objects), S::listing_objects},
    {S::making_objects, E::done, always, SM_FN(sync_root), S::syncing_root},
    {S::making_objects, E::failed, always, nothing, S::failed},
    {S::listing_objects, E::done, SM_FN(has_strangers), SM_FN(set_aside), S::setting_aside},
    {S::listing_objects, E::done, always, SM_FN(sync_root), S::syncing_root},
    {S::listing_objects, E::failed, always, nothing, S::failed},
    {S::setting_aside, E::done, always, SM_FN(make_objects), S::making_objects},
    {S::setting_aside, E::failed, always, nothing, S::failed},
    {S::syncing_root, E::done, always, SM_FN(list_temp), S::listing_temp},
    {S::syncing_root, E::failed, always, nothing, S::failed},
    {S::listing_temp, E::done, always, SM_FN(list_root), S::listing_root},
    {S::listing_temp, E::failed, always, nothing, S::failed},
    {S::listing_root, E::done, always, SM_FN(read_pending_moves), S::reading_pending_moves},
    {S::listing_root, E::failed, always, nothing, S::failed},
    {S::reading_pending_moves, E::done, always, SM_FN(read_garbage), S::reading_garbage},
    {S::reading_pending_moves, E::failed, always, nothing, S::failed},
    {S::reading_garbage, E::done, always, SM_FN(start_housekeeping), S::settling},
    {S::reading_garbage, E::failed, always, nothing, S::failed},
    {S::settling, E::done, always, nothing, S::ready},
};
static constexpr sm_ignore<store_opening> ignores[] = {{S::settling, E::failed, "the housekeeping has the work and tries again by itself"}};
static void note_news(store_opening &o, S, E)
{
    if (sm_state_of(o) == S::ready || sm_state_of(o) == S::failed)
        sm_news_put(o.news, open_news::ended);
}

// A start cannot be stopped: it ends early only by a failure. There is no busy state, and so no deadline.
static constexpr sm_table<store_opening> table = {
    "open", states, resources, rows, ignores, {}, E::failed, E::failed, alive, nullptr, note_news};
SM_VERIFY(table);

sm_view open_machine_view() { return sm_view_of(table); }

// --- driving it

static void take(store_opening &o, E event)
{
    sm_step(table, o, event);
    open_news news;
    if (!sm_news_take(o.news, news))
        return;
    store *s = o.owner;
    error failure = o.failure;
    auto on_ready = o.on_ready;
    void *arg = o.arg;
    delete &o;
    if (failure) {
        delete s; // housekeeping was not started, so there are no other references
        s = nullptr;
    }
    on_ready(arg, failure, s);
}

void store_open(env &e, const store_options &options, void (*on_ready)(void *arg, error err, store *s), void *arg)
{
    auto *s = new store;
    s->e = &e;
    s->options = options;
    s->options.index_content_size_max = std::min(options.index_content_size_max, index_content_size_max);
    cache_init(s->cache, e, rng_next(e.random), options.cached_objects_max, options.cached_inline_max, options.cached_bytes_max);
    s->temp_sync.e = &e;
    s->temp_sync.path = content_temp_dir(options.dir);
    auto *o = new store_opening;
    o->owner = s;
    o->on_ready = on_ready;
    o->arg = arg;
    make_temp(*o);
}

} // namespace etlnode
