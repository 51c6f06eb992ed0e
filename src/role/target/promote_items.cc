// SPDX-License-Identifier: MIT
// role/target/promote_items.cc: one file of this machine that becomes an object.
//
// Owns     the file until the join has it, a timer for another try.
// Knows    port/folder.h, joins.cc, lesson.cc.        Known by  promote_jobs.cc.
// Normal   look at the object, here or at its owner: what was made from this very file stays, and so does any other one unless it is to be
//          replaced. Otherwise the file is stored. If it is to go, it goes when the object is durable.
// Fails    what lies at this node or at the owner is tried again without end, what may pass job_tries_max times.
// Limits   failure_text_max.
#include "role/target/promotes.h"

#include <xxhash.h>

#include "base/back_off.h"
#include "base/limits.h"
#include "base/text.h"
#include "codec/error_envelope.h"
#include "codec/url.h"
#include "job/job_origin.h"
#include "node/api.h"
#include "object/source.h"
#include "port/clock.h"
#include "role/target/joins.h"
#include "role/target/moves.h"
#include "store/object_extras.h"
#include "store/object_name.h"

namespace etlnode {

static constexpr uint64_t pause_min_ms = 500;
static constexpr uint64_t pause_max_ms = 8'000;

struct promote_item {
    target *t = nullptr;
    promote_wish wish;
    std::string made_from;
    bool is_stopped = false, is_busy = false; // busy: a callback will come
    timer *again = nullptr;
    back_off pause = {pause_min_ms, pause_max_ms, 0};
    uint64_t tries = 0, started_ns = 0;
    std::string waiting;
    share_outcome outcome;
};

// --- the end

static void end(promote_item &item)
{
    timer_free(*item.t->e, item.again);
    share_outcome outcome = std::move(item.outcome);
    outcome.is_stopped = item.is_stopped;
    share_item_ended(*item.wish.run, &item, outcome);
    delete &item;
}

static void end_well(promote_item &item, job_outcome what)
{
    item.is_stopped = false;
    item.outcome.what = what;
    item.outcome.bytes = item.wish.file.size;
    end(item);
}

static void end_badly(promote_item &item, error err, const std::string &text)
{
    item.outcome.what = job_outcome::failed;
    item.outcome.failure = {.bucket = item.wish.bucket,
        .name = item.wish.name,
        .status = error_http_status(err.code),
        .text = text_cut(text, failure_text_max),
        .request_id = item.wish.job,
        .tries = item.tries};
    end(item);
}

static void fail(promote_item &item, error err, std::string text)
{
    item.is_busy = false;
    if (text.empty())
        text = item.wish.path + ": " + (err.what != nullptr ? err.what : error_text(err));
    bool lies_here = share_lies_here(err.code);
    if (item.is_stopped) {
        end(item);
    } else if (lies_here || (error_is_retryable(err.code) && item.tries < job_tries_max)) {
        item.tries -= lies_here ? 1 : 0;
        item.waiting = std::move(text);
        timer_arm(*item.t->e, item.again, lies_here ? job_rest_ms : back_off_next(item.pause));
    } else {
        end_badly(item, err, text);
    }
}

// --- the file goes

static void on_removed(void *arg, error err)
{
    promote_item &item = *static_cast<promote_item *>(arg);
    if (err && err.code != error_code::no_such_file)
        end_badly(item, err, item.wish.path + " is stored, but stays: " + (err.what != nullptr ? err.what : error_text(err)));
    else
        end_well(item, job_outcome::done);
}

static void finish(promote_item &item, job_outcome what)
{
    if (item.wish.removes)
        folder_remove(*item.t->e, item.wish.root, item.wish.path, item.wish.file, on_removed, &item);
    else
        end_well(item, what);
}

// --- the file becomes an object

static void on_stored(void *arg, error err, const std::string &text, uint64_t)
{
    promote_item &item = *static_cast<promote_item *>(arg);
    if (err)
        fail(item, err, text);
    else
        finish(item, job_outcome::done);
}

static void on_open(void *arg, error err, disk_file *file, uint64_t size)
{
    promote_item &item = *static_cast<promote_item *>(arg);
    if (err) {
        fail(item, err, {});
        return;
    }
    if (size != item.wish.file.size) { // it counts as it is now, and is not removed
        item.wish.file.size = size;
        item.wish.file.changed_ns = 0;
    }
    join_request request;
    request.bucket = item.wish.bucket;
    request.name = item.wish.name;
    request.request_id = item.wish.job;
    request.made_from = item.made_from;
    request.from = source_opened(*item.t->e, file, size, item.t->store_calls);
    request.on_done = on_stored;
    request.arg = &item;
    target_join(*item.t, std::move(request));
}

// --- the look at the object

static void go_on(promote_item &item, bool exists, std::string_view origin)
{
    if (job_origin_is_same(origin, item.made_from))
        finish(item, job_origin_job(origin) == item.wish.job ? job_outcome::done : job_outcome::skipped);
    else if (item.is_stopped)
        end(item);
    else if (exists && !item.wish.overwrites)
        end_well(item, job_outcome::skipped);
    else
        folder_open(*item.t->e, item.wish.root, item.wish.path, on_open, &item);
}

static void on_row(void *arg, error err, std::vector<index_row> rows)
{
    promote_item &item = *static_cast<promote_item *>(arg);
    bool exists = !err && !rows.empty() && !rows.front().is_tombstone;
    if (err && err.code != error_code::object_not_found)
        fail(item, err, {});
    else
        go_on(item, exists, exists ? object_extras_parse(rows.front().custom).made_from : std::string());
}

static void on_learnt(void *arg, const lesson &learnt)
{
    promote_item &item = *static_cast<promote_item *>(arg);
    bool exists = !learnt.err && learnt.best.version != 0 && !learnt.best.is_tombstone;
    if (learnt.err && learnt.err.code != error_code::object_not_found)
        fail(item, learnt.err, learnt.text);
    else
        go_on(item, exists, exists ? object_extras_parse(learnt.best.custom).made_from : std::string());
}

// --- at the owner

static bool read_answer(promote_item &item, error err, int status, const std::string &body)
{
    if (!err && status == 200)
        return true;
    error_envelope refusal = error_envelope_read(status, body);
    fail(item, make_error(err ? error_code::unavailable : refusal.code), err ? std::string(error_text(err)) : refusal.message);
    return false;
}

static void on_presence(void *arg, call &, error err, int status, std::string body)
{
    promote_item &item = *static_cast<promote_item *>(arg);
    if (read_answer(item, err, status, body))
        go_on(item, body == "present", {});
}

static bool ask_owner(promote_item &item, std::string target, void (*on_done)(void *arg, call &, error err, int status, std::string body))
{
    const cluster_node *owner = target_owner_elsewhere(*item.t, item.wish.bucket, item.wish.name);
    if (owner == nullptr) { // it has changed: look again
        fail(item, make_error(error_code::other_epoch), {});
        return false;
    }
    call_options options = target_peer_call(*item.t, *owner, "GET", target);
    options.answer_size_max = 64 * kib;
    options.on_done = on_done;
    options.arg = &item;
    target_start_peer_call(*item.t, std::move(options));
    return true;
}

static void on_origin(void *arg, call &, error err, int status, std::string body)
{
    promote_item &item = *static_cast<promote_item *>(arg);
    if (!read_answer(item, err, status, body))
        return;
    const cluster_bucket *bucket = document_find_bucket(item.t->document, item.wish.bucket);
    if (!body.empty() || item.wish.overwrites || bucket == nullptr)
        go_on(item, !body.empty(), body);
    else
        (void)ask_owner(item,
            std::string(path_node_presence) + "/" + url_encode(item.wish.bucket) + "?object=" + url_encode(item.wish.name) +
                "&created=" + std::to_string(bucket->created_ns),
            on_presence);
}

static void look(promote_item &item)
{
    target &t = *item.t;
    const promote_wish &wish = item.wish;
    if (target_owner_elsewhere(t, wish.bucket, wish.name) != nullptr)
        (void)ask_owner(
            item, std::string(path_node_origin) + "/" + url_encode(wish.bucket) + "?object=" + url_encode(wish.name), on_origin);
    else if (target_must_learn(t, wish.bucket, wish.name))
        target_learn(t, {wish.bucket, wish.name, false, {}}, on_learnt, &item);
    else
        store_lookup(*t.objects, wish.bucket, wish.name, on_row, &item);
}

static void try_once(void *arg)
{
    promote_item &item = *static_cast<promote_item *>(arg);
    target &t = *item.t;
    item.is_busy = true;
    item.waiting.clear();
    item.tries++;
    if (item.is_stopped)
        end(item);
    else if (t.objects == nullptr || !t.was_accepted)
        fail(item, make_error(error_code::not_ready), "the target has not joined its cluster yet");
    else
        look(item);
}

// --- begin and stop

// The same file, of this target or of all, in the same state.
static std::string describe_origin(const promote_wish &wish)
{
    std::string text = wish.seen_by + '\0' + wish.root + '\0' + wish.path + '\0' + std::to_string(wish.file.size) + '\0' +
                       std::to_string(wish.file.changed_ns);
    return job_origin_print(XXH64(text.data(), text.size(), 0), wish.job, {}, wish.path);
}

promote_item *promote_item_begin(target &t, promote_wish wish)
{
    auto *item = new promote_item;
    item->t = &t;
    item->made_from = describe_origin(wish);
    item->wish = std::move(wish);
    item->started_ns = clock_wall_ns(*t.e);
    item->again = timer_make(*t.e, try_once, item);
    item->is_busy = true;
    clock_post(*t.e, try_once, item);
    return item;
}

void promote_item_stop(promote_item &item)
{
    if (item.is_stopped)
        return;
    item.is_stopped = true;
    if (item.is_busy)
        return;
    timer_stop(*item.t->e, item.again);
    item.is_busy = true;
    clock_post(*item.t->e, try_once, &item);
}

share_progress promote_item_progress(const promote_item &item)
{
    return {.name = item.wish.name, .bytes = 0, .total = item.wish.file.size, .started_ns = item.started_ns, .waiting = item.waiting};
}

} // namespace etlnode
