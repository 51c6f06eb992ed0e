// SPDX-License-Identifier: MIT
// store/housekeeping_machine.cc: moves and removes content files, one operation at a time.
//
// Owns     one operation of the disk or the index at a time, one timer, the queues.
// Knows    sm, port, content_path.   Known by  store, its puts and lookups.
// Machine  housekeeping, drawn in docs/machines/housekeeping.md (generated, do not edit).
// Normal   take an orphan, a move or some garbage (the latter two alternate) and handle it. When a batch is full or old, sync its
//          directories and update the index.
// Fails    a failed operation is queued again and retried after housekeeping_retry_ms. Nothing is lost: a lookup also finds contents in
//          tmp/.
// Limits   housekeeping_batch_count, housekeeping_remove_count, housekeeping_batch_delay_ms, housekeeping_retry_ms.
//
// No state is sm_busy, because operations of the disk and the index cannot be cancelled and always complete (port/disk.h), and no caller
// waits.
#include "store/housekeeping_machine.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "base/log.h"
#include "port/index.h"
#include "sm/sm_verify.h"
#include "store/store_machines.h"

namespace etlnode {

using S = housekeeping::state;
using E = housekeeping::event;

static constexpr uint32_t DISK = 1;
static constexpr uint32_t INDEX = 2;
static constexpr uint32_t TIMER = 4;

static constexpr size_t dirty_temp = content_group_count;

static void take(housekeeping &k, E event);
static const char *state_name(const housekeeping &k);

// --- completions

static E event_of(error err)
{
    if (!err)
        return E::done;
    return err.code == error_code::no_such_file ? E::missing : E::failed;
}

static void log_failure(const housekeeping &k, E event, error err)
{
    if (event == E::failed && sm_state_of(k) != S::ending)
        LOG(warn, "store", "housekeeping=%s error=%s errno=%d msg=\"%s; tried again later\"", state_name(k), error_code_name(err.code),
            err.sys, error_text(err));
}

static void on_disk_done(void *arg, error err)
{
    housekeeping &k = *static_cast<housekeeping *>(arg);
    k.on_disk = false;
    log_failure(k, event_of(err), err);
    take(k, event_of(err));
}

static void on_index_done(void *arg, error err)
{
    housekeeping &k = *static_cast<housekeeping *>(arg);
    k.on_index = false;
    log_failure(k, err ? E::failed : E::done, err);
    take(k, err ? E::failed : E::done);
}

static void on_timer(void *arg) { take(*static_cast<housekeeping *>(arg), E::deadline); }

// --- helpers of actions and guards

static uint64_t take_first(std::deque<uint64_t> &queue)
{
    uint64_t id = queue.front();
    queue.pop_front();
    return id;
}

static size_t batch_count(const housekeeping &k) { return k.moved.size() + k.removed.size(); }

static void forget_garbage_moves(housekeeping &k)
{
    while (!k.moves.empty() && !k.pending_moves.contains(k.moves.front()))
        k.moves.pop_front(); // it became garbage before the move
}

static void begin_batch(housekeeping &k)
{
    if (batch_count(k) == 0)
        k.batch_since_ms = clock_now_ms(*k.e);
}

// --- actions

// No operation is in progress any more: the next step checks the queues.
static void look_for_work(housekeeping &k)
{
    forget_garbage_moves(k);
    if (!k.orphans.empty() || !k.moves.empty() || !k.garbage.empty() || batch_count(k) > 0)
        sm_emit(k, E::work);
}

static void unlink_orphan(housekeeping &k)
{
    timer_stop(*k.e, k.deadline_timer);
    k.current = take_first(k.orphans);
    k.on_disk = true;
    disk_unlink(*k.e, {content_temp_path(k.dir, k.current)}, on_disk_done, &k);
}

static void rename_current(housekeeping &k)
{
    k.on_disk = true;
    disk_rename(*k.e, content_temp_path(k.dir, k.current), content_final_path(k.dir, k.current), on_disk_done, &k);
}

static void rename_next(housekeeping &k)
{
    timer_stop(*k.e, k.deadline_timer);
    k.current = take_first(k.moves);
    k.moved_last = true;
    rename_current(k);
}

static void make_group_dir(housekeeping &k)
{
    k.ready.reset(content_group(k.current));
    k.on_disk = true;
    disk_make_dir(*k.e, content_group_dir(k.dir, content_group(k.current)), on_disk_done, &k);
}

static void make_next_group_dir(housekeeping &k)
{
    timer_stop(*k.e, k.deadline_timer);
    k.current = take_first(k.moves);
    k.moved_last = true;
    make_group_dir(k);
}

// Do this before anything moves into the directory, which an earlier run may have created but not synced. A put's sync of tmp/ may make a
// move durable at any time.
static void sync_objects_dir(housekeeping &k)
{
    k.on_disk = true;
    disk_sync_dir(*k.e, content_objects_dir(k.dir), on_disk_done, &k);
}

static void rename_into_ready(housekeeping &k)
{
    k.ready.set(content_group(k.current));
    rename_current(k);
}

// Also if the file was not in tmp/: then an earlier run moved it but could not report that.
static void note_moved(housekeeping &k)
{
    if (k.pending_moves.erase(k.current) > 0) { // otherwise it became garbage during the move
        begin_batch(k);
        k.moved.push_back(k.current);
        k.dirty.set(content_group(k.current));
        k.dirty.set(dirty_temp);
    }
    look_for_work(k);
}

// They are in their place or still in tmp/: none of them is being moved.
static void unlink_garbage(housekeeping &k)
{
    timer_stop(*k.e, k.deadline_timer);
    k.moved_last = false;
    std::vector<std::string> paths;
    size_t room = housekeeping_batch_count - batch_count(k);
    while (!k.garbage.empty() && k.removing.size() < std::min(housekeeping_remove_count, room)) {
        uint64_t id = take_first(k.garbage);
        k.removing.push_back(id);
        paths.push_back(content_final_path(k.dir, id));
        paths.push_back(content_temp_path(k.dir, id));
    }
    k.on_disk = true;
    disk_unlink(*k.e, std::move(paths), on_disk_done, &k);
}

static void note_removed(housekeeping &k)
{
    begin_batch(k);
    for (uint64_t id : k.removing) {
        k.removed.push_back(id);
        k.dirty.set(content_group(id));
    }
    k.dirty.set(dirty_temp);
    k.removing.clear();
    look_for_work(k);
}

static void sync_next(housekeeping &k)
{
    timer_stop(*k.e, k.deadline_timer);
    size_t which = 0;
    while (which < dirty_temp && !k.dirty.test(which))
        which++;
    k.current = which;
    k.dirty.reset(which);
    k.on_disk = true;
    std::string path = which == dirty_temp ? content_temp_dir(k.dir) : content_group_dir(k.dir, static_cast<unsigned>(which));
    disk_sync_dir(*k.e, path, on_disk_done, &k);
}

static void mark_placed(housekeeping &k)
{
    k.on_index = true;
    index_placed(*k.e, k.moved, on_index_done, &k);
}

static void clear_garbage(housekeeping &k)
{
    k.on_index = true;
    index_garbage_clear(*k.e, k.removed, on_index_done, &k);
}

static void forget_moved(housekeeping &k)
{
    k.moved.clear();
    look_for_work(k);
}

static void forget_moved_and_clear_garbage(housekeeping &k)
{
    k.moved.clear();
    clear_garbage(k);
}

static void forget_removed(housekeeping &k)
{
    for (uint64_t id : k.removed)
        k.garbage_known.erase(id);
    k.removed.clear();
    look_for_work(k);
}

static void wait_for_work(housekeeping &k)
{
    uint64_t age = clock_now_ms(*k.e) - k.batch_since_ms;
    if (batch_count(k) > 0 && !timer_is_armed(*k.e, k.deadline_timer))
        timer_arm(*k.e, k.deadline_timer, age < housekeeping_batch_delay_ms ? housekeeping_batch_delay_ms - age : 0);
}

static void arm_retry(housekeeping &k) { timer_arm(*k.e, k.deadline_timer, housekeeping_retry_ms); }

static void requeue_orphan(housekeeping &k)
{
    k.orphans.push_back(k.current);
    arm_retry(k);
}

static void requeue_move(housekeeping &k)
{
    k.moves.push_back(k.current);
    arm_retry(k);
}

static void requeue_garbage(housekeeping &k)
{
    k.garbage.insert(k.garbage.end(), k.removing.begin(), k.removing.end());
    k.removing.clear();
    arm_retry(k);
}

static void keep_dirty(housekeeping &k)
{
    k.dirty.set(static_cast<size_t>(k.current));
    arm_retry(k);
}

static void stop_timer(housekeeping &k) { timer_stop(*k.e, k.deadline_timer); }

// --- guards

static bool batch_is_due(const housekeeping &k)
{
    size_t count = batch_count(k);
    return count >= housekeeping_batch_count || (count > 0 && clock_now_ms(*k.e) - k.batch_since_ms >= housekeeping_batch_delay_ms);
}
static bool has_orphan(const housekeeping &k) { return !k.orphans.empty(); }
static bool has_move(const housekeeping &k) { return !k.moves.empty(); }
static bool has_ready_move(const housekeeping &k) { return has_move(k) && k.ready.test(content_group(k.moves.front())); }
static bool has_garbage(const housekeeping &k) { return !k.garbage.empty(); }
// Alternate moves and deletions. A steady stream of uploads would otherwise starve deletion and fill the disk.
static bool garbage_is_next(const housekeeping &k) { return has_garbage(k) && k.moved_last; }
static bool has_dirty(const housekeeping &k) { return k.dirty.any(); }
static bool has_moved(const housekeeping &k) { return !k.moved.empty(); }
static bool has_removed(const housekeeping &k) { return !k.removed.empty(); }

// --- the table

static uint32_t alive(const housekeeping &k)
{
    return (k.on_disk ? DISK : 0) | (k.on_index ? INDEX : 0) |
           (k.deadline_timer != nullptr && timer_is_armed(*k.e, k.deadline_timer) ? TIMER : 0);
}
static bool one_operation(const housekeeping &k) { return !(k.on_disk && k.on_index); }
static bool batch_is_bounded(const housekeeping &k) { return batch_count(k) <= housekeeping_batch_count; }

static constexpr sm_resource resources[] = {{DISK, "disk operation"}, {INDEX, "index operation"}, {TIMER, "timer"}};
static constexpr sm_state<housekeeping> states[] = {
    {S::idle, sm_initial, 0, TIMER},
    {S::unlinking_orphan, 0, DISK, DISK},
    {S::moving, 0, DISK, DISK},
    {S::making_dir, 0, DISK, DISK},
    {S::syncing_objects, 0, DISK, DISK},
    {S::moving_again, 0, DISK, DISK},
    {S::removing, 0, DISK, DISK},
    {S::syncing, 0, DISK, DISK},
    {S::marking, 0, INDEX, INDEX},
    {S::clearing, 0, INDEX, INDEX},
    {S::awaiting_retry, 0, TIMER, TIMER},
    {S::ending, 0, 0, DISK | INDEX},
    {S::ended, sm_final, 0, 0},
};
static constexpr sm_row<housekeeping> rows[] = {
    // The batch comes first; otherwise a steady stream of puts would keep it from ever finishing.
    {S::idle, E::work, SM_FN(batch_is_due), SM_FN(sync_next), S::syncing},
    {S::idle, E::work, SM_FN(has_orphan), SM_FN(unlink_orphan), S::unlinking_orphan},
    {S::idle, E::work, SM_FN(garbage_is_next), SM_FN(unlink_garbage), S::removing},
    {S::idle, E::work, SM_FN(has_ready_move), SM_FN(rename_next), S::moving},
    {S::idle, E::work, SM_FN(has_move), SM_FN(make_next_group_dir), S::making_dir},
    {S::idle, E::work, SM_FN(has_garbage), SM_FN(unlink_garbage), S::removing},
    {S::idle, E::work, always, SM_FN(wait_for_work), S::idle},
    {S::idle, E::deadline, always, SM_FN(look_for_work), S::idle},
    {S::idle, E::stop, always, SM_FN(stop_timer), S::ended},

    {S::unlinking_orphan, E::done, always, SM_FN(look_for_work), S::idle},
    {S::unlinking_orphan, E::failed, always, SM_FN(requeue_orphan), S::awaiting_retry},
    {S::unlinking_orphan, E::stop, always, nothing, S::ending},

    {S::moving, E::done, always, SM_FN(note_moved), S::idle},
    {S::moving, E::missing, always, SM_FN(make_group_dir), S::making_dir},
    {S::moving, E::failed, always, SM_FN(requeue_move), S::awaiting_retry},
    {S::moving, E::stop, always, nothing, S::ending},
    {S::making_dir, E::done, always, SM_FN(sync_objects_dir), S::syncing_objects},
    {S::making_dir, E::missing, always, SM_FN(requeue_move), S::awaiting_retry},
    {S::making_dir, E::failed, always, SM_FN(requeue_move), S::awaiting_retry},
    {S::making_dir, E::stop, always, nothing, S::ending},
    {S::syncing_objects, E::done, always, SM_FN(rename_into_ready), S::moving_again},
    {S::syncing_objects, E::missing, always, SM_FN(requeue_move), S::awaiting_retry},
    {S::syncing_objects, E::failed, always, SM_FN(requeue_move), S::awaiting_retry},
    {S::syncing_objects, E::stop, always, nothing, S::ending},
    {S::moving_again, E::done, always, SM_FN(note_moved), S::idle},
    {S::moving_again, E::missing, always, SM_FN(note_moved), S::idle},
    {S::moving_again, E::failed, always, SM_FN(requeue_move), S::awaiting_retry},
    {S::moving_again, E::stop, always, nothing, S::ending},

    {S::removing, E::done, always, SM_FN(note_removed), S::idle},
    {S::removing, E::failed, always, SM_FN(requeue_garbage), S::awaiting_retry},
    {S::removing, E::stop, always, nothing, S::ending},

    {S::syncing, E::done, SM_FN(has_dirty), SM_FN(sync_next), S::syncing},
    {S::syncing, E::done, SM_FN(has_moved), SM_FN(mark_placed), S::marking},
    {S::syncing, E::done, always, SM_FN(clear_garbage), S::clearing},
    // A group whose directory was never created: its garbage had not left tmp/. tmp/ itself comes last.
    {S::syncing, E::missing, SM_FN(has_dirty), SM_FN(sync_next), S::syncing},
    {S::syncing, E::missing, always, SM_FN(keep_dirty), S::awaiting_retry},
    {S::syncing, E::failed, always, SM_FN(keep_dirty), S::awaiting_retry},
    {S::syncing, E::stop, always, nothing, S::ending},

    {S::marking, E::done, SM_FN(has_removed), SM_FN(forget_moved_and_clear_garbage), S::clearing},
    {S::marking, E::done, always, SM_FN(forget_moved), S::idle},
    {S::marking, E::failed, always, SM_FN(arm_retry), S::awaiting_retry},
    {S::marking, E::stop, always, nothing, S::ending},
    {S::clearing, E::done, always, SM_FN(forget_removed), S::idle},
    {S::clearing, E::failed, always, SM_FN(arm_retry), S::awaiting_retry},
    {S::clearing, E::stop, always, nothing, S::ending},

    {S::awaiting_retry, E::deadline, always, SM_FN(look_for_work), S::idle},
    {S::awaiting_retry, E::stop, always, SM_FN(stop_timer), S::ended},
    {S::ending, E::done, always, nothing, S::ended},
    {S::ending, E::missing, always, nothing, S::ended},
    {S::ending, E::failed, always, nothing, S::ended},
};
static constexpr const char *looked_at_later = "the queues are looked at when this operation is done";
static constexpr const char *found_again = "the next start finds it again";
static constexpr sm_ignore<housekeeping> ignores[] = {
    {S::unlinking_orphan, E::work, looked_at_later},
    {S::moving, E::work, looked_at_later},
    {S::making_dir, E::work, looked_at_later},
    {S::syncing_objects, E::work, looked_at_later},
    {S::moving_again, E::work, looked_at_later},
    {S::removing, E::work, looked_at_later},
    {S::syncing, E::work, looked_at_later},
    {S::marking, E::work, looked_at_later},
    {S::clearing, E::work, looked_at_later},
    {S::awaiting_retry, E::work, "the timer looks at the queues"},
    {S::ending, E::work, found_again},
    {S::ended, E::work, found_again},
    {S::ending, E::stop, "it is ending already"},
};
static constexpr sm_invariant<housekeeping> invariants[] = {{"one_operation", one_operation}, {"batch_is_bounded", batch_is_bounded}};
static bool is_settled(const housekeeping &k)
{
    return sm_state_of(k) == S::awaiting_retry || (sm_state_of(k) == S::idle && k.orphans.empty() && k.moves.empty());
}

static void post_settled(housekeeping &k)
{
    if (k.on_settled == nullptr || !is_settled(k))
        return;
    clock_post(*k.e, k.on_settled, k.settled_arg);
    k.on_settled = nullptr;
}

// Work found at the end of a step comes before any report that there is none.
static void note_news(housekeeping &k, S, E)
{
    if (k.sm.follow_up_count == 0)
        post_settled(k);
    if (sm_state_of(k) == S::ended)
        sm_news_put(k.news, housekeeping_news::ended);
}

static constexpr sm_table<housekeeping> table = {
    "housekeeping", states, resources, rows, ignores, invariants, E::stop, E::deadline, alive, nullptr, note_news};
SM_VERIFY(table);

static const char *state_name(const housekeeping &k) { return sm_name(sm_state_of(k)); }

sm_view housekeeping_machine_view() { return sm_view_of(table); }

// --- driving it

// on_ended may free the owner, so nothing of `k` may be used after it.
static void take(housekeeping &k, E event)
{
    sm_step(table, k, event);
    housekeeping_news news;
    if (!sm_news_take(k.news, news))
        return;
    timer_free(*k.e, k.deadline_timer);
    k.deadline_timer = nullptr;
    k.on_ended(k.ended_arg);
}

// Something was queued.
static void note_work(housekeeping &k)
{
    forget_garbage_moves(k);
    take(k, E::work);
}

void housekeeping_start(housekeeping &k, env &e, std::string dir)
{
    k.e = &e;
    k.dir = std::move(dir);
    k.deadline_timer = timer_make(e, on_timer, &k);
}

void housekeeping_add_move(housekeeping &k, uint64_t id)
{
    k.pending_moves.insert(id);
    k.moves.push_back(id);
    note_work(k);
}

void housekeeping_add_garbage(housekeeping &k, uint64_t id)
{
    if (!k.garbage_known.insert(id).second)
        return;
    k.pending_moves.erase(id);
    k.garbage.push_back(id);
    note_work(k);
}

void housekeeping_add_orphan(housekeeping &k, uint64_t id)
{
    k.orphans.push_back(id);
    note_work(k);
}

void housekeeping_when_settled(housekeeping &k, void (*on_settled)(void *arg), void *arg)
{
    k.on_settled = on_settled;
    k.settled_arg = arg;
    post_settled(k);
}

void housekeeping_stop(housekeeping &k, void (*on_ended)(void *arg), void *arg)
{
    k.on_ended = on_ended;
    k.ended_arg = arg;
    take(k, E::stop);
}

} // namespace etlnode
