// SPDX-License-Identifier: MIT
// role/target/download_items.cc: one object of a download.
//
// Owns     its fetch until the join has it, a timer for another try.
// Knows    port/fetch.h, joins.cc, lesson.cc.        Known by  download_jobs.cc.
// Normal   look at the object: what was made from this very link stays. Otherwise the link is fetched, and stored as it comes; the object
//          appears when all of it is durable.
// Fails    what may pass is tried again: what lies at this node without end, what lies at the web job_tries_max times.
// Limits   connect_timeout_ms, stall_timeout_ms, redirects_max, failure_text_max.
#include "role/target/downloads.h"

#include <xxhash.h>

#include "base/back_off.h"
#include "base/limits.h"
#include "base/text.h"
#include "job/job_origin.h"
#include "object/source.h"
#include "port/clock.h"
#include "role/target/joins.h"
#include "role/target/moves.h"
#include "store/object_extras.h"

namespace etlnode {

static constexpr uint64_t connect_timeout_ms = 30'000;
static constexpr uint64_t stall_timeout_ms = 60'000;
static constexpr uint64_t patience_ms = stall_timeout_ms + 30'000; // the fetch itself ends before
static constexpr unsigned redirects_max = 10;
static constexpr uint64_t pause_min_ms = 500;
static constexpr uint64_t pause_max_ms = 8'000;

struct download_item {
    target *t = nullptr;
    download_wish wish;
    std::string made_from;
    fetch *from = nullptr; // asked, and perhaps of a source that the join has
    fetch_notes notes;
    bool is_storing = false; // the join has the source
    bool is_busy = false;    // a callback will come
    bool is_stopped = false;
    timer *again = nullptr;
    back_off pause = {pause_min_ms, pause_max_ms, 0};
    uint64_t tries = 0;
    uint64_t total = 0, started_ns = 0;
    std::string waiting;
    share_outcome outcome;
};

// --- the end

static void end(download_item &item)
{
    timer_free(*item.t->e, item.again);
    share_outcome outcome = std::move(item.outcome);
    outcome.is_stopped = item.is_stopped;
    share_item_ended(*item.wish.run, &item, outcome);
    delete &item;
}

static void end_well(download_item &item, job_outcome what, uint64_t bytes)
{
    item.is_stopped = false;
    item.outcome.what = what;
    item.outcome.bytes = bytes;
    end(item);
}

static void end_badly(download_item &item, int status, const std::string &text)
{
    item.outcome.what = job_outcome::failed;
    item.outcome.failure = {.bucket = item.wish.bucket,
        .name = item.wish.name,
        .status = status,
        .text = text_cut(text, failure_text_max),
        .request_id = item.wish.job,
        .tries = item.tries};
    end(item);
}

static void rest(download_item &item, uint64_t ms, std::string why)
{
    item.waiting = std::move(why);
    timer_arm(*item.t->e, item.again, ms);
}

// --- what went wrong

// At this node, or at another one of the cluster.
static void fail_here(download_item &item, error err, const std::string &text)
{
    if (item.is_stopped) {
        end(item);
        return;
    }
    std::string why = text.empty() ? error_text(err) : text;
    if (share_lies_here(err.code)) {
        item.tries--; // the web is not to blame
        rest(item, job_rest_ms, why);
    } else if (error_is_retryable(err.code) && item.tries < job_tries_max) {
        rest(item, back_off_next(item.pause), why);
    } else {
        end_badly(item, error_http_status(err.code), why);
    }
}

// At the web.
static void fail_there(download_item &item, const fetch_failure &failed)
{
    if (item.is_stopped) {
        end(item);
        return;
    }
    std::string why = item.wish.link + ": " + failed.text;
    if (failed.may_pass && item.tries < job_tries_max)
        rest(item, back_off_next(item.pause), why);
    else
        end_badly(item, failed.status != 0 ? failed.status : error_http_status(failed.err.code), why);
}

// --- bytes

static void on_stored(void *arg, error err, const std::string &text, uint64_t bytes)
{
    download_item &item = *static_cast<download_item *>(arg);
    item.is_busy = item.is_storing = false;
    item.from = nullptr;
    if (!err)
        end_well(item, job_outcome::done, bytes);
    else if (item.notes.failed.err)
        fail_there(item, item.notes.failed);
    else
        fail_here(item, err, text);
}

static void on_head(void *arg, const fetch_head &head)
{
    download_item &item = *static_cast<download_item *>(arg);
    target &t = *item.t;
    if (head.failed.err) {
        fetch_failure failed = head.failed;
        fetch_close(*t.e, item.from);
        item.from = nullptr;
        item.is_busy = false;
        fail_there(item, failed);
        return;
    }
    item.total = head.size != UINT64_MAX ? head.size : 0;
    item.notes = {};
    item.is_storing = true;
    join_request request;
    request.bucket = item.wish.bucket;
    request.name = item.wish.name;
    request.request_id = item.wish.job;
    request.made_from = item.made_from;
    request.from = source_fetch(*t.e, item.from, head.size, patience_ms, item.notes);
    request.on_done = on_stored;
    request.arg = &item;
    target_join(t, std::move(request));
}

static void ask(download_item &item)
{
    target &t = *item.t;
    fetch_options options;
    options.url = item.wish.link;
    options.rules = &t.options.downloads;
    options.ca_file = t.options.download_ca;
    options.connect_timeout_ms = connect_timeout_ms;
    options.stall_timeout_ms = stall_timeout_ms;
    options.timeout_ms = item.wish.timeout_ms;
    options.rate = item.wish.rate;
    options.redirects_max = redirects_max;
    options.on_head = on_head;
    options.arg = &item;
    item.is_busy = true;
    item.from = fetch_start(*t.e, std::move(options));
}

// --- the look at the object

static void go_on(download_item &item, const index_row *row)
{
    std::string origin = row != nullptr ? object_extras_parse(row->custom).made_from : std::string();
    if (job_origin_is_same(origin, item.made_from))
        end_well(item, job_origin_job(origin) == item.wish.job ? job_outcome::done : job_outcome::skipped, row->size);
    else if (item.is_stopped)
        end(item);
    else
        ask(item);
}

static void on_row(void *arg, error err, std::vector<index_row> rows)
{
    download_item &item = *static_cast<download_item *>(arg);
    item.is_busy = false;
    if (err && err.code != error_code::object_not_found)
        fail_here(item, err, {});
    else
        go_on(item, err || rows.empty() || rows.front().is_tombstone ? nullptr : &rows.front());
}

static void on_learnt(void *arg, const lesson &learnt)
{
    download_item &item = *static_cast<download_item *>(arg);
    item.is_busy = false;
    if (learnt.err && learnt.err.code != error_code::object_not_found)
        fail_here(item, learnt.err, learnt.text);
    else
        go_on(item, learnt.err || learnt.best.version == 0 || learnt.best.is_tombstone ? nullptr : &learnt.best);
}

static void try_once(void *arg)
{
    download_item &item = *static_cast<download_item *>(arg);
    target &t = *item.t;
    item.is_busy = false;
    item.waiting.clear();
    item.tries++;
    if (item.is_stopped) {
        end(item);
        return;
    }
    if (t.objects == nullptr || !t.was_accepted) {
        fail_here(item, make_error(error_code::not_ready), "the target has not joined its cluster yet");
        return;
    }
    if (target_owner_elsewhere(t, item.wish.bucket, item.wish.name) != nullptr) {
        item.outcome.is_elsewhere = true;
        end(item);
        return;
    }
    item.is_busy = true;
    if (target_must_learn(t, item.wish.bucket, item.wish.name))
        target_learn(t, {item.wish.bucket, item.wish.name, false, {}}, on_learnt, &item);
    else
        store_lookup(*t.objects, item.wish.bucket, item.wish.name, on_row, &item);
}

// --- begin and stop

download_item *download_item_begin(target &t, download_wish wish)
{
    auto *item = new download_item;
    item->t = &t;
    item->made_from = job_origin_print(XXH64(wish.link.data(), wish.link.size(), 0), wish.job, {}, wish.link);
    item->wish = std::move(wish);
    item->started_ns = clock_wall_ns(*t.e);
    item->again = timer_make(*t.e, try_once, item);
    item->is_busy = true;
    clock_post(*t.e, try_once, item);
    return item;
}

void download_item_stop(download_item &item)
{
    if (item.is_stopped)
        return;
    item.is_stopped = true;
    if (item.from != nullptr && (!item.is_storing || !item.notes.is_closed)) {
        fetch_abort(*item.t->e, item.from);
    } else if (!item.is_busy) { // it waits for its next try
        timer_stop(*item.t->e, item.again);
        item.is_busy = true;
        clock_post(*item.t->e, try_once, &item);
    }
}

share_progress download_item_progress(const download_item &item)
{
    return {.name = item.wish.name,
        .bytes = item.is_storing ? item.notes.given : 0,
        .total = item.total,
        .started_ns = item.started_ns,
        .waiting = item.waiting};
}

} // namespace etlnode
