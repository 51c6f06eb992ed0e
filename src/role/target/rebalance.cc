// SPDX-License-Identifier: MIT
// role/target/rebalance.cc: a target goes through its index for what belongs to other targets now, until nothing is left.
//
// Owns     one pass at a time, and a timer.
// Knows    giving.cc, store, control/placement_epochs, http.        Known by  placement.cc, jobs.cc, target.cc.
// Normal   rows and tombstones are read page by page, and those of other owners are given. A whole pass that finds none is the proof that
//          nothing is left, because after an epoch is adopted nothing that belongs elsewhere comes. Then every placed target hears it,
//          again and again until the epoch has settled, because it may forget it with a restart. While nothing moves, a pass drops the
//          tombstones that are needed no more.
// Fails    an object that cannot be given stays where it is, readable; the pass is repeated after a rest.
// Limits   page_size rows at a time, fewer while clients are served; --rebalance-rate.
#include "role/target/rebalance.h"

#include <algorithm>
#include <memory>

#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "codec/error_envelope.h"
#include "control/placement.h"
#include "control/placement_epochs.h"
#include "job/job_host.h"
#include "node/api.h"
#include "store/set_aside.h"

namespace etlnode {

// Rows. Each page keeps both loops for a moment, so a pass begins with small ones, and keeps to them while clients are served.
static constexpr size_t page_size_min = 32;
static constexpr size_t page_size_max = 512;
// How much longer than its work a pass rests while clients are served. Two givers and a receiver then work for less than a twentieth of the
// time together, so that a client's request rarely meets a machine whose cores are all busy with what moves.
static constexpr uint64_t rest_factor = 64;
static constexpr uint64_t rest_ms = 1'000;
static constexpr uint64_t full_rest_ms = 5'000;     // a receiver is full
static constexpr uint64_t damaged_rest_ms = 30'000; // each try reads the damaged objects, and logs them
static constexpr uint64_t ledger_wait_ms = 20;
static constexpr uint64_t sweep_rest_ms = 60'000;
static constexpr size_t answer_size_max = 1 * mib;
static constexpr uint64_t ledger_step = 256;   // objects between two changes of the ledger
static constexpr uint64_t failed_max = 10'000; // names of a pass that the ledger keeps

static void next_page(rebalance &r);
static void page_ended(rebalance &r);
static void begin_pass(rebalance &r);

bool rebalance_is_in_force(const rebalance &r)
{
    return !r.is_stopped && document_epoch(r.t->document) == r.epoch && !target_rebalance_is_paused(*r.t);
}

void rebalance_note_failure(rebalance &r, std::string why)
{
    r.has_failed = r.may_pass = true;
    r.why = std::move(why);
}

void rebalance_note_item_failure(rebalance &r, const index_row &row, int status, std::string why)
{
    r.has_failed = true;
    r.why = "ais://" + row.bucket + "/" + text_escape(row.name) + ": " + why;
    if (++r.row.failed <= failed_max)
        r.failures.push_back({.bucket = row.bucket, .name = row.name, .status = status, .text = std::move(why), .tries = 1});
}

void rebalance_note_left(rebalance &r, const index_row &row, std::string what)
{
    r.row.failed++;
    if (++r.left <= failed_max)
        r.failures.push_back({.bucket = row.bucket, .name = row.name, .status = 500, .text = std::move(what), .tries = 1});
}

void rebalance_begin_one(rebalance &r) { r.open++; }

void rebalance_end_one(rebalance &r)
{
    if (--r.open == 0)
        page_ended(r);
}

// --- when it runs

static void rest(rebalance &r, uint64_t ms)
{
    r.is_running = false;
    if (!r.is_stopped)
        timer_arm(*r.t->e, r.wake, ms);
    open_count_end(r.t->store_calls);
}

static void run(rebalance &r)
{
    if (!r.is_running)
        open_count_begin(r.t->store_calls);
    r.is_running = true;
}

// --- the ledger

static void on_ledger(void *arg, error err)
{
    auto &r = *static_cast<rebalance *>(arg);
    if (err)
        LOG(warn, "placement", "error=\"%s\" msg=\"the counts of the job could not be stored\"", error_text(err));
    rebalance_end_one(r);
}

// The counts are a few hundred objects behind at most after a crash; what was moved is right in any case.
static void note_counts(rebalance &r)
{
    uint64_t counted = r.row.done + r.row.failed;
    bool is_due = counted < r.ledgered || counted - r.ledgered >= ledger_step || r.is_last_page;
    bool is_news = counted != r.ledgered || !r.failures.empty(); // the same number of failures may have other texts
    if (!is_news || r.row.id.empty() || !is_due)
        return;
    r.ledgered = r.row.done + r.row.failed;
    ledger_change change;
    change.job = r.row;
    change.failures.swap(r.failures);
    rebalance_begin_one(r);
    ledger_commit(*r.t->e, std::move(change), on_ledger, &r);
}

// --- the end of a pass

struct rebalance_end {
    rebalance *owner = nullptr;
    cluster_node node;
};

static void tell_next_round(rebalance &r)
{
    if (!r.has_failed && rebalance_is_in_force(r)) {
        if (r.told_epoch != r.epoch)
            LOG(info, "placement", "epoch=%llu moved=%llu bytes=%llu msg=\"nothing is left here that belongs to other targets\"",
                static_cast<unsigned long long>(r.epoch), static_cast<unsigned long long>(r.row.done),
                static_cast<unsigned long long>(r.row.bytes));
        r.told_epoch = r.epoch;
        r.row.failed = r.left;
        r.waiting.clear();
        target_note_clean(*r.t, r.epoch);
    } else if (r.has_failed) {
        r.waiting = r.why;
    }
    rest(r, heartbeat_interval_ms);
}

static void on_end_answer(void *arg, call &, error err, int status, std::string body)
{
    std::unique_ptr<rebalance_end> end(static_cast<rebalance_end *>(arg));
    rebalance &r = *end->owner;
    if (err || status != 204) {
        error_envelope envelope = err ? error_envelope{err.code, error_text(err)} : error_envelope_read(status, body);
        rebalance_note_failure(r, "target " + end->node.id + " has not heard that everything was given: " + envelope.message);
        if (envelope.code == error_code::other_epoch) {
            target_exchange_documents(
                *r.t, end->node,
                [](void *owner) {
                    auto &mine = *static_cast<rebalance *>(owner);
                    if (--mine.open == 0)
                        tell_next_round(mine);
                },
                &r);
            return;
        }
    }
    if (--r.open == 0)
        tell_next_round(r);
}

static std::string end_body(const rebalance &r)
{
    json_ptr tree = json_object();
    cJSON *buckets = json_add_array(tree.get(), "buckets");
    for (const auto &[bucket, version] : index_removed(*r.t->e)) {
        const cluster_bucket *known = document_find_bucket(r.t->document, bucket);
        if (known == nullptr)
            continue;
        json_ptr one = json_object();
        json_add_text(one.get(), "bucket", base64_encode(bucket));
        json_add_u64_text(one.get(), "created_ns", known->created_ns);
        json_add_u64_text(one.get(), "removed_max", version);
        json_append(buckets, std::move(one));
    }
    return json_print(tree.get());
}

static void tell_all(rebalance &r)
{
    std::string body = end_body(r);
    r.has_failed = false;
    r.open = 1;
    for (const cluster_node &node : r.t->document.nodes) {
        if (!cluster_node_is_placed(node) || node.id == r.t->id)
            continue;
        call_options options = target_peer_call(*r.t, node, "POST", target_message_target(*r.t, path_node_move_end, r.epoch));
        options.body = body;
        options.has_body = true;
        options.answer_size_max = answer_size_max;
        options.on_done = on_end_answer;
        options.arg = new rebalance_end{&r, node};
        r.open++;
        target_start_peer_call(*r.t, std::move(options));
    }
    if (--r.open == 0)
        tell_next_round(r);
}

static void pass_ended(rebalance &r)
{
    if (r.has_failed)
        LOG(warn, "placement", "epoch=%llu reason=\"%s\" msg=\"not everything could be given; it stays readable here\"",
            static_cast<unsigned long long>(r.epoch), text_escape(r.why).c_str());
    if (r.has_failed && r.waiting.empty())
        r.waiting = r.why;
    if (r.is_taking) {
        found_given(r, r.has_failed ? r.why : std::string());
        rest(r, 1);
        return;
    }
    if (r.is_sweep || !rebalance_is_in_force(r)) {
        rest(r, r.is_sweep && !r.has_failed && rebalance_is_in_force(r) ? sweep_rest_ms : 1);
        return;
    }
    if (r.has_failed)
        rest(r, !r.full.empty() ? full_rest_ms : r.may_pass ? rest_ms : damaged_rest_ms);
    else if (r.saw_any)
        begin_pass(r); // the proof is a pass that finds nothing
    else
        tell_all(r);
}

// --- pages

static void on_swept(void *arg, error err, const index_change &)
{
    auto &r = *static_cast<rebalance *>(arg);
    if (err && err.code != error_code::conflict && err.code != error_code::object_not_found)
        rebalance_note_failure(r, std::string("a tombstone could not be dropped: ") + error_text(err));
    rebalance_end_one(r);
}

static void drop_tombstone(rebalance &r, const index_row &row)
{
    if (document_has_lost_owner(r.t->document, placement_uname_digest(row.bucket, row.name)))
        return;
    index_change change;
    change.what = index_change::kind::drop_tombstone;
    change.row.bucket = row.bucket;
    change.row.name = row.name;
    change.has_expected = true;
    change.expected_version = row.version;
    rebalance_begin_one(r);
    store_change(*r.t->objects, std::move(change), on_swept, &r);
}

static void on_page(void *arg, error err, std::vector<index_row> rows)
{
    auto &r = *static_cast<rebalance *>(arg);
    if (err)
        rebalance_note_failure(r, std::string("the index could not be read: ") + error_text(err));
    r.is_last_page = rows.size() < r.page_size;
    if (!rows.empty())
        r.after = rows.back().name;
    for (index_row &row : rows) {
        if (!rebalance_is_in_force(r))
            break;
        if (r.is_sweep && row.is_tombstone) {
            drop_tombstone(r, row);
        } else if (!r.is_sweep && target_owner_elsewhere(*r.t, row.bucket, row.name) != nullptr) {
            r.saw_any = true;
            bool is_small = row.is_tombstone || store_row_is_damaged(row) || store_fits_index(*r.t->objects, row.size);
            (is_small ? r.small : r.large).push_back(std::move(row));
        }
    }
    rebalance_give(r);
    rebalance_end_one(r);
}

// How long the next page waits: as the operator's rate says; or, while clients are served, several times as long as the last page took.
static uint64_t pause_ms(rebalance &r)
{
    target &t = *r.t;
    uint64_t now_ms = clock_now_ms(*t.e);
    if (t.options.rebalance_rate > 0) {
        r.pace.rate = t.options.rebalance_rate;
        return job_pace_take(r.pace, now_ms, r.page_bytes, false);
    }
    if (r.page_bytes == 0 || !r.is_yielding)
        return 0;
    return std::clamp<uint64_t>((now_ms - r.page_began_ms) * rest_factor, 1, rest_ms);
}

static void page_ended(rebalance &r)
{
    r.is_yielding = r.owner_serves_clients || target_serves_clients(*r.t);
    if (r.ledger_due) {
        r.ledger_due = false;
        note_counts(r);
        if (r.open > 0)
            return; // again when it is stored
    }
    uint64_t wait_ms = rebalance_is_in_force(r) ? pause_ms(r) : 0;
    if (wait_ms == 0) {
        next_page(r);
        return;
    }
    r.is_resting = true;
    timer_arm(*r.t->e, r.wake, wait_ms);
}

// The next bucket of the document in order; empty: the pass is over.
static const std::string *bucket_after(const rebalance &r)
{
    for (const cluster_bucket &bucket : r.t->document.buckets) {
        if (r.bucket.empty() || bucket.name > r.bucket)
            return &bucket.name;
    }
    return nullptr;
}

static void next_page(rebalance &r)
{
    if (!rebalance_is_in_force(r)) {
        pass_ended(r);
        return;
    }
    if (r.bucket.empty() || r.is_last_page) {
        const std::string *next = bucket_after(r);
        if (next == nullptr) {
            pass_ended(r);
            return;
        }
        r.bucket = *next;
        r.after.clear();
    }
    r.page_began_ms = clock_now_ms(*r.t->e);
    r.page_bytes = 0;
    r.owner_serves_clients = false;
    r.ledger_due = true;
    rebalance_begin_one(r);
    r.page_size = r.is_yielding ? page_size_min : std::clamp(r.page_size * 2, page_size_min, page_size_max);
    store_page_all(*r.t->objects, r.bucket, "", r.after, r.page_size, on_page, &r);
}

static void begin_pass(rebalance &r)
{
    run(r);
    bool is_moving = placement_is_moving(r.t->document.placement);
    r.is_taking = !is_moving && r.found.is_taking;
    r.is_sweep = !is_moving && !r.is_taking;
    r.bucket.clear();
    r.after.clear();
    r.is_last_page = false;
    r.saw_any = r.has_failed = r.may_pass = false;
    r.is_yielding = target_serves_clients(*r.t);
    r.page_size = 0;
    r.row.failed = r.left;
    r.row.pass++;
    r.failures.clear();
    r.full.clear();
    r.waiting.clear();
    next_page(r);
}

// --- when

static bool is_lost(const target &t)
{
    const cluster_node *self = document_find_node(t.document, t.id);
    if (self == nullptr)
        return true;
    const std::vector<former_epoch> &former = t.document.placement.former;
    return std::any_of(former.begin(), former.end(), [self](const former_epoch &epoch) {
        return std::any_of(epoch.targets.begin(), epoch.targets.end(),
            [self](const placed_disk &one) { return one.standing == placed_standing::lost && placed_disk_is(one, *self); });
    });
}

static void on_share_ended(void *arg, error err)
{
    auto &r = *static_cast<rebalance *>(arg);
    if (err)
        LOG(warn, "placement", "error=\"%s\" msg=\"the counts of the job could not be stored\"", error_text(err));
    r.open--;
    rest(r, 0);
}

// The share of a job that is over keeps its counts.
static void end_share(rebalance &r)
{
    const cluster_job *job = document_find_job(r.t->document, r.row.id);
    if (job == nullptr || job->ended_ns == 0)
        return;
    r.row.state = job->state;
    r.row.ended_ns = job->ended_ns;
    job_host_put_row(*r.t->jobs, r.row);
    ledger_change change;
    change.job = r.row;
    change.failures.swap(r.failures);
    r.open++;
    run(r);
    ledger_commit(*r.t->e, std::move(change), on_share_ended, &r);
}

static void enter_epoch(rebalance &r, uint64_t epoch)
{
    if (!r.row.id.empty())
        end_share(r);
    found_note_epoch(r, r.told_epoch != 0 && r.told_epoch == r.epoch && !placement_is_moving(r.t->document.placement), epoch);
    r.epoch = epoch;
    r.left = 0;
    r.row = target_rebalance_row(*r.t, epoch);
    r.ledgered = r.row.done + r.row.failed;
    r.failures.clear();
    r.waiting.clear();
}

// Clean in this epoch, and everybody has heard it lately: only those who restarted must hear it again.
static void look(rebalance &r)
{
    target &t = *r.t;
    bool may = !r.is_running && !r.is_stopped && t.objects != nullptr && !lifecycle_is_draining(t.life) && target_has_adopted(t) &&
               !is_lost(t);
    if (!may)
        return;
    if (!target_knows_jobs(t)) {
        timer_arm(*t.e, r.wake, ledger_wait_ms);
        return;
    }
    bool is_moving = placement_is_moving(t.document.placement);
    uint64_t epoch = document_epoch(t.document);
    if (r.epoch != epoch)
        enter_epoch(r, epoch);
    if (target_rebalance_is_paused(t) || r.is_running)
        return;
    if (is_moving && r.told_epoch == epoch) {
        run(r);
        tell_all(r);
    } else if (is_moving || r.found.is_taking || index_tombstone_count(*t.e) > 0) {
        begin_pass(r);
    }
}

static void on_wake(void *arg)
{
    auto &r = *static_cast<rebalance *>(arg);
    if (!r.is_resting) {
        look(r);
        found_look(r);
        return;
    }
    r.is_resting = false;
    next_page(r);
}

void target_rebalance_look(target &t)
{
    if (t.giving == nullptr) {
        t.giving = new rebalance;
        t.giving->t = &t;
        t.giving->wake = timer_make(*t.e, on_wake, t.giving);
    }
    if (!t.giving->is_running)
        timer_arm(*t.e, t.giving->wake, 1);
}

void target_rebalance_stop(target &t)
{
    if (t.giving == nullptr)
        return;
    rebalance &r = *t.giving;
    found_stop(r);
    r.is_stopped = true;
    if (r.is_resting)
        timer_arm(*t.e, r.wake, 0); // the pass ends now
    else
        timer_stop(*t.e, r.wake);
}

void target_rebalance_cut(target &t)
{
    if (t.giving != nullptr)
        rebalance_cut_large(*t.giving);
}

void target_rebalance_free(target &t)
{
    if (t.giving == nullptr)
        return;
    found_stop(*t.giving);
    timer_free(*t.e, t.giving->wake);
    delete t.giving;
    t.giving = nullptr;
}

} // namespace etlnode
