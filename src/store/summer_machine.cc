// SPDX-License-Identifier: MIT
// store/summer_machine.cc: computes sums for contents that an earlier version of this program stored without.
//
// Owns     one operation of the disk or the index at a time, a descriptor, one timer.
// Knows    sm, port, content_path, file_sums.   Known by  store.
// Machine  summer, drawn in docs/machines/summer.md (generated, do not edit).
// Normal   list some contents; open each file, read it slowly, compare it with the object's stored checksum, and hand its sums to the
//          index.
//          When none is left, it stays idle for good.
// Fails    a content that does not match its checksum gets sums that nothing matches, so that it is not served. A content that cannot be
//          opened or read is tried again in the next pass, after summer_retry_ms.
// Limits   summer_pause_ms after each block, summer_list_count.
//
// No state is sm_busy: operations of the disk and the index cannot be cancelled and always complete, and no caller waits.
#include "store/summer_machine.h"

#include <utility>

#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "port/clock.h"
#include "sm/sm_verify.h"
#include "store/content_path.h"
#include "store/store_machines.h"

namespace etlnode {

using S = summer::state;
using E = summer::event;

static constexpr uint32_t INDEX = 1;
static constexpr uint32_t OPEN = 2;
static constexpr uint32_t FILE_ = 4;
static constexpr uint32_t READ = 8;
static constexpr uint32_t TIMER = 16;

static void take(summer &s, E event);

static summer &summer_of(void *arg) { return *static_cast<summer *>(arg); }

// --- completions

static void log_failure(const summer &s, error err)
{
    if (err.code != error_code::stopping)
        LOG(warn, "store",
            "object=\"ais://%s/%s\" content=%016llx error=%s errno=%d msg=\"no sums could be made of the content: %s; tried again later\"",
            text_escape(s.current.bucket).c_str(), text_escape(s.current.name).c_str(),
            static_cast<unsigned long long>(s.current.content_id), error_code_name(err.code), err.sys, error_text(err));
}

static void on_listed(void *arg, error err, std::vector<index_row> rows)
{
    summer &s = summer_of(arg);
    s.on_index = false;
    s.rows.assign(std::make_move_iterator(rows.rbegin()), std::make_move_iterator(rows.rend()));
    s.is_pass_over = err || s.rows.empty();
    s.failures += err ? 1 : 0;
    take(s, err ? E::failed : E::done);
}

static void on_opened(void *arg, error err, disk_file *file, uint64_t size)
{
    summer &s = summer_of(arg);
    s.opening = false;
    s.file = file;
    s.file_size = size;
    if (err && err.code != error_code::no_such_file)
        log_failure(s, err);
    take(s, !err ? E::done : err.code == error_code::no_such_file ? E::missing : E::failed);
}

static void on_read(void *arg, error err, uint64_t checksum)
{
    summer &s = summer_of(arg);
    s.checksum = checksum;
    if (err && err.code != error_code::corrupt)
        log_failure(s, err);
    s.is_damaged = err.code == error_code::corrupt || (!err && checksum != s.current.checksum);
    s.current.sums = std::move(s.reading->sums.done);
    s.reading.reset();
    take(s, err && !s.is_damaged ? E::failed : E::done);
}

static void on_added(void *arg, error err)
{
    summer &s = summer_of(arg);
    s.on_index = false;
    if (err)
        log_failure(s, err);
    take(s, err ? E::failed : E::done);
}

static void on_timer(void *arg) { take(summer_of(arg), E::deadline); }

// --- actions

// No operation is in progress any more.
static void look_for_work(summer &s) { sm_emit(s, E::work); }

static void list(summer &s)
{
    s.on_index = true;
    index_unsummed(*s.e, s.after_id, summer_list_count, on_listed, &s);
}

static void take_next(summer &s)
{
    s.current = std::move(s.rows.back());
    s.rows.pop_back();
    s.after_id = s.current.content_id;
    s.is_damaged = false;
}

static void open_path(summer &s, const std::string &path)
{
    s.opening = true;
    disk_open(*s.e, path, disk_open_mode::read, on_opened, &s);
}

static void open_placed(summer &s) { open_path(s, content_final_path(s.dir, s.current.content_id)); }
static void open_temp(summer &s) { open_path(s, content_temp_path(s.dir, s.current.content_id)); }

static void open_next(summer &s)
{
    take_next(s);
    open_placed(s);
}

static void start_reading(summer &s)
{
    s.reading = std::make_unique<file_sums>();
    file_sums_start(*s.reading, *s.e, s.file, s.current.size, summer_pause_ms, on_read, &s);
}

static void close_file(summer &s)
{
    if (s.file != nullptr)
        disk_close(*s.e, s.file);
    s.file = nullptr;
}

static void add_sums(summer &s)
{
    close_file(s);
    if (s.is_damaged)
        s.current.sums.assign(content_sums_count(s.current.size), 0); // nothing matches these: it is not known which block is damaged
    s.on_index = true;
    index_sums_add(*s.e, s.current, on_added, &s);
}

static void add_damaged(summer &s)
{
    s.is_damaged = true;
    add_sums(s);
}

// The object or its file is gone, as lookups will report. There are no sums to compute.
static void add_nothing(summer &s)
{
    s.current.sums.clear();
    add_sums(s);
}

static void forget_next(summer &s)
{
    take_next(s);
    add_nothing(s);
}

static void count_made(summer &s)
{
    s.made++;
    look_for_work(s);
}

static void skip(summer &s)
{
    close_file(s);
    s.failures++;
    look_for_work(s);
}

static void end_pass(summer &s)
{
    if (s.made > 0)
        LOG(info, "store", "contents=%llu failed=%zu msg=\"contents stored by an earlier version have sums now\"",
            static_cast<unsigned long long>(s.made), s.failures);
    s.made = 0;
    if (s.failures > 0)
        timer_arm(*s.e, s.deadline_timer, summer_retry_ms);
}

static void begin_pass(summer &s)
{
    s.is_pass_over = false;
    s.after_id = 0;
    s.failures = 0;
    look_for_work(s);
}

static void stop_timer(summer &s) { timer_stop(*s.e, s.deadline_timer); }
static void stop_reading(summer &s) { file_sums_stop(*s.reading); }

// --- guards

static bool is_next_gone(const summer &s) { return !s.rows.empty() && s.rows.back().version == 0; }
static bool has_next(const summer &s) { return !s.rows.empty(); }
static bool has_more(const summer &s) { return !s.is_pass_over; }
static bool size_differs(const summer &s) { return s.file_size != s.current.size; }

// --- the table

static uint32_t alive(const summer &s)
{
    return (s.on_index ? INDEX : 0) | (s.opening ? OPEN : 0) | (s.file != nullptr ? FILE_ : 0) | (s.reading != nullptr ? READ : 0) |
           (s.deadline_timer != nullptr && timer_is_armed(*s.e, s.deadline_timer) ? TIMER : 0);
}

static constexpr sm_resource resources[] = {
    {INDEX, "index operation"}, {OPEN, "open under way"}, {FILE_, "file"}, {READ, "read"}, {TIMER, "timer"}};
static constexpr sm_state<summer> states[] = {
    {S::idle, sm_initial, 0, TIMER},
    {S::listing, 0, INDEX, INDEX},
    {S::opening_placed, 0, OPEN, OPEN},
    {S::opening_temp, 0, OPEN, OPEN},
    {S::opening_moved, 0, OPEN, OPEN},
    {S::reading, 0, FILE_ | READ, FILE_ | READ},
    {S::adding, 0, INDEX, INDEX},
    {S::ending, 0, 0, INDEX | OPEN | FILE_ | READ},
    {S::ended, sm_final, 0, 0},
};
static constexpr sm_row<summer> rows[] = {
    {S::idle, E::work, SM_FN(is_next_gone), SM_FN(forget_next), S::adding},
    {S::idle, E::work, SM_FN(has_next), SM_FN(open_next), S::opening_placed},
    {S::idle, E::work, SM_FN(has_more), SM_FN(list), S::listing},
    {S::idle, E::work, always, SM_FN(end_pass), S::idle},
    {S::idle, E::deadline, always, SM_FN(begin_pass), S::idle},
    {S::idle, E::stop, always, SM_FN(stop_timer), S::ended},

    {S::listing, E::done, always, SM_FN(look_for_work), S::idle},
    {S::listing, E::failed, always, SM_FN(look_for_work), S::idle},
    {S::listing, E::stop, always, nothing, S::ending},

    {S::opening_placed, E::done, SM_FN(size_differs), SM_FN(add_damaged), S::adding},
    {S::opening_placed, E::done, always, SM_FN(start_reading), S::reading},
    {S::opening_placed, E::missing, always, SM_FN(open_temp), S::opening_temp},
    {S::opening_placed, E::failed, always, SM_FN(skip), S::idle},
    {S::opening_placed, E::stop, always, nothing, S::ending},
    {S::opening_temp, E::done, SM_FN(size_differs), SM_FN(add_damaged), S::adding},
    {S::opening_temp, E::done, always, SM_FN(start_reading), S::reading},
    // Files move in one direction only: a file that is not in tmp/ now is in its place, or gone.
    {S::opening_temp, E::missing, always, SM_FN(open_placed), S::opening_moved},
    {S::opening_temp, E::failed, always, SM_FN(skip), S::idle},
    {S::opening_temp, E::stop, always, nothing, S::ending},
    {S::opening_moved, E::done, SM_FN(size_differs), SM_FN(add_damaged), S::adding},
    {S::opening_moved, E::done, always, SM_FN(start_reading), S::reading},
    {S::opening_moved, E::missing, always, SM_FN(add_nothing), S::adding},
    {S::opening_moved, E::failed, always, SM_FN(skip), S::idle},
    {S::opening_moved, E::stop, always, nothing, S::ending},

    {S::reading, E::done, always, SM_FN(add_sums), S::adding},
    {S::reading, E::failed, always, SM_FN(skip), S::idle},
    {S::reading, E::stop, always, SM_FN(stop_reading), S::ending},

    {S::adding, E::done, always, SM_FN(count_made), S::idle},
    {S::adding, E::failed, always, SM_FN(skip), S::idle},
    {S::adding, E::stop, always, nothing, S::ending},

    {S::ending, E::done, always, SM_FN(close_file), S::ended},
    {S::ending, E::missing, always, nothing, S::ended},
    {S::ending, E::failed, always, SM_FN(close_file), S::ended},
};
static constexpr sm_ignore<summer> ignores[] = {{S::ending, E::stop, "it is ending already"}};

// A content that could not get sums because it is gone is not reported.
static void note_news(summer &s, S from, E event)
{
    if (from == S::adding && event == E::done && sm_state_of(s) == S::idle && !s.current.sums.empty())
        sm_news_put(s.news, {false, s.current, s.is_damaged});
    if (sm_state_of(s) == S::ended)
        sm_news_put(s.news, {true, {}, false});
}

static constexpr sm_table<summer> table = {"summer", states, resources, rows, ignores, {}, E::stop, E::deadline, alive, nullptr, note_news};
SM_VERIFY(table);

sm_view summer_machine_view() { return sm_view_of(table); }

// --- driving it

// on_ended may free the owner, so nothing of `s` may be used after it.
static void take(summer &s, E event)
{
    sm_step(table, s, event);
    summer_news news;
    while (sm_news_take(s.news, news)) {
        if (!news.has_ended) {
            s.on_made(s.made_arg, news.row, news.is_damaged);
            continue;
        }
        timer_free(*s.e, s.deadline_timer);
        s.deadline_timer = nullptr;
        s.on_ended(s.ended_arg);
        return;
    }
}

void summer_start(summer &s, env &e, std::string dir, void (*on_made)(void *arg, const index_row &row, bool is_damaged), void *arg)
{
    s.e = &e;
    s.dir = std::move(dir);
    s.on_made = on_made;
    s.made_arg = arg;
    s.deadline_timer = timer_make(e, on_timer, &s);
    take(s, E::work);
}

void summer_stop(summer &s, void (*on_ended)(void *arg), void *arg)
{
    s.on_ended = on_ended;
    s.ended_arg = arg;
    take(s, E::stop);
}

} // namespace etlnode
