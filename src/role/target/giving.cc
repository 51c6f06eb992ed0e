// SPDX-License-Identifier: MIT
// role/target/giving.cc: a target gives objects to their owners, and removes each when its owner has it durably.
//
// Owns     one rebalance_delivery for each batch and each large object on its way.
// Knows    store, object, http, control/moved_row.        Known by  rebalance.cc.
// Normal   small objects and tombstones go in batches, one for each owner; large ones one by one. The removal is bound to the version that
//          was given, and to the epoch in which it was.
// Fails    an object that its owner did not take, or that is damaged, stays here; a damaged one until its owner has a newer one. An owner
//          that is full is left alone for the rest of the pass.
// Limits   move_batch_size_max bytes in a batch; large_open_max large objects at a time.
#include <memory>

#include "base/limits.h"
#include "base/text.h"
#include "codec/error_envelope.h"
#include "codec/http_write.h"
#include "codec/url.h"
#include "control/placement.h"
#include "http/pump.h"
#include "node/api.h"
#include "object/source.h"
#include "role/target/rebalance.h"
#include "store/set_aside.h"

namespace etlnode {

static constexpr size_t large_open_max = 4;
static constexpr size_t answer_size_max = 1 * mib;

struct rebalance_delivery {
    rebalance *owner = nullptr;
    cluster_node node;
    std::vector<index_row> rows = {}; // without contents
    std::string body = {};
    bool is_left = false;       // one damaged object, without its content,
    std::string kept_name = {}; // of which this file is what is left
    // A large object.
    source_blocks blocks = source_blocks::unchecked; // its owner compares the checksum
    source from = {};
    sink to = {};
    pump *bytes = nullptr;
};

// --- removing what another target has

static void on_removed(void *arg, error err, const index_change &change)
{
    auto &r = *static_cast<rebalance *>(arg);
    if (!err) {
        r.row.done++;
        r.row.bytes += change.before.size;
    }
    // A conflict: it was changed meanwhile, before this epoch was adopted; the next pass gives it again.
    if (err && err.code != error_code::conflict && err.code != error_code::object_not_found)
        rebalance_note_failure(r, std::string("a row that was given away could not be removed: ") + error_text(err));
    rebalance_end_one(r);
}

// What failed does not count as done.
static void on_left_removed(void *arg, error err, const index_change &)
{
    auto &r = *static_cast<rebalance *>(arg);
    if (err && err.code != error_code::conflict && err.code != error_code::object_not_found)
        rebalance_note_failure(r, std::string("the row of a damaged object could not be removed: ") + error_text(err));
    rebalance_end_one(r);
}

// Bound to the version that was given, and to the epoch in which it was.
static void remove_given(rebalance &r, const index_row &row, void (*on_done)(void *arg, error err, const index_change &change) = on_removed)
{
    if (!rebalance_is_in_force(r))
        return;
    index_change change;
    change.what = row.is_tombstone ? index_change::kind::drop_tombstone : index_change::kind::remove;
    change.row.bucket = row.bucket;
    change.row.name = row.name;
    change.has_expected = true;
    change.expected_version = row.version;
    change.is_moved = true;
    rebalance_begin_one(r);
    store_change(*r.t->objects, std::move(change), on_done, &r);
}

// --- damage

static uint64_t created_ns_of(const rebalance &r, const std::string &bucket)
{
    const cluster_bucket *known = document_find_bucket(r.t->document, bucket);
    return known != nullptr ? known->created_ns : 0;
}

struct damage_question {
    rebalance *owner;
    index_row row;
    std::string why;
    cluster_node node;
};

static void send_batch(rebalance_delivery *d);

// An operator wants the target to be empty, even if that leaves damaged objects behind.
static bool leaves_damaged(const rebalance &r)
{
    const cluster_job *job = document_find_job(r.t->document, r.row.id);
    json_ptr options;
    std::string where;
    if (job == nullptr || json_parse(job->options, options, where))
        return false;
    const cJSON *one = nullptr;
    const cJSON *targets = json_get(options.get(), "leave_damaged");
    cJSON_ArrayForEach(one, targets)
    {
        if (cJSON_IsString(one) && one->valuestring == r.t->id)
            return true;
    }
    return false;
}

static void on_set_aside(void *arg, error err, const std::string &name)
{
    std::unique_ptr<damage_question> q(static_cast<damage_question *>(arg));
    rebalance &r = *q->owner;
    if (err) {
        rebalance_note_item_failure(r, q->row, 500, q->why + "; what is left of it could not be set aside: " + error_text(err));
    } else if (rebalance_is_in_force(r)) {
        auto *d = new rebalance_delivery{.owner = &r, .node = q->node, .is_left = true, .kept_name = name};
        q->row.content_id = 0; // that is what makes it damaged
        q->row.in_index = false;
        moved_item_append(d->body, {q->row, created_ns_of(r, q->row.bucket)});
        d->rows.push_back(std::move(q->row));
        send_batch(d);
    }
    rebalance_end_one(r);
}

// First what is left of it is safe, then the owner gets the row, then it goes here.
static void leave_behind(std::unique_ptr<damage_question> q)
{
    rebalance &r = *q->owner;
    rebalance_begin_one(r);
    store_set_aside(*r.t->objects, q->row.bucket, q->row.name, on_set_aside, q.get());
    (void)q.release();
}

static std::string left_text(const rebalance_delivery &d)
{
    std::string text = "it was damaged, and moved without its content: store it again, or delete it";
    return d.kept_name.empty() ? text : text + ". What is left of it is in " + d.owner->t->options.data_dir + "/" + d.kept_name;
}

static void on_owner_row(void *arg, call &, error err, int status, std::string body)
{
    std::unique_ptr<damage_question> q(static_cast<damage_question *>(arg));
    rebalance &r = *q->owner;
    json_ptr tree;
    std::string where;
    index_row theirs;
    bool is_answer = !err && status == 200 && !json_parse(body, tree, where);
    const cJSON *row = json_get(tree.get(), "row");
    if (is_answer && row != nullptr && !moved_row_parse(row, theirs) && !moved_row_is_newer(q->row, theirs))
        remove_given(r, q->row);
    else if (is_answer && leaves_damaged(r) && rebalance_is_in_force(r))
        leave_behind(std::move(q));
    else
        rebalance_note_item_failure(r, q->row, 500, q->why);
    rebalance_end_one(r);
}

// It cannot be given. But it may have been stored again or deleted at its owner, and then nobody needs it any more.
static void note_damaged(rebalance &r, const index_row &row, std::string why)
{
    const cluster_node *owner = target_owner_elsewhere(*r.t, row.bucket, row.name);
    if (owner == nullptr || !rebalance_is_in_force(r)) {
        rebalance_note_item_failure(r, row, 500, std::move(why));
        return;
    }
    std::string target = "/v1/node/object/" + url_encode(row.bucket) + "/" + url_encode_path(row.name) +
                         text_format("?epoch=%llu&created=%llu", static_cast<unsigned long long>(r.epoch),
                             static_cast<unsigned long long>(created_ns_of(r, row.bucket)));
    call_options options = target_peer_call(*r.t, *owner, "GET", target);
    options.answer_size_max = answer_size_max;
    options.on_done = on_owner_row;
    auto *q = new damage_question{&r, row, std::move(why), *owner};
    q->row.content.clear();
    q->row.sums.clear();
    options.arg = q;
    rebalance_begin_one(r);
    target_start_peer_call(*r.t, std::move(options));
}

// --- batches

static void note_full(rebalance &r, const cluster_node &node)
{
    r.full[node.id] = "target " + node.id + " is full";
    rebalance_note_failure(r, r.full[node.id]);
    r.waiting = r.why;
}

static void on_exchanged(void *arg) { rebalance_end_one(*static_cast<rebalance *>(arg)); }

// What the owner said of one object of a batch (moves.cc).
static void note_refusal(rebalance &r, const rebalance_delivery &d, const index_row &row, std::string_view outcome)
{
    if (outcome == "no_space")
        note_full(r, d.node);
    else if (outcome == "checksum")
        note_damaged(r, row, "its content does not match its checksum");
    else
        rebalance_note_failure(
            r, "target " + d.node.id + " did not take ais://" + row.bucket + "/" + text_escape(row.name) + ": " + std::string(outcome));
}

static void take_outcomes(rebalance &r, const rebalance_delivery &d, std::string_view body)
{
    json_ptr tree;
    std::string where;
    (void)static_cast<bool>(json_parse(body, tree, where)); // then there are no outcomes
    r.owner_serves_clients = r.owner_serves_clients || json_bool(tree.get(), "serves_clients", false);
    const cJSON *outcomes = json_get(tree.get(), "outcomes");
    for (size_t i = 0; i < d.rows.size(); i++) {
        const cJSON *one = cJSON_GetArrayItem(outcomes, static_cast<int>(i));
        std::string_view outcome = cJSON_IsString(one) ? one->valuestring : "none";
        bool is_there = outcome == "stored" || outcome == "have";
        if (is_there && d.is_left) {
            rebalance_note_left(r, d.rows[i], left_text(d));
            remove_given(r, d.rows[i], on_left_removed);
        } else if (is_there) {
            remove_given(r, d.rows[i]);
        }
        if (!is_there)
            note_refusal(r, d, d.rows[i], outcome);
    }
}

static void on_batch_answer(void *arg, call &, error err, int status, std::string body)
{
    std::unique_ptr<rebalance_delivery> d(static_cast<rebalance_delivery *>(arg));
    rebalance &r = *d->owner;
    if (!err && status == 200) {
        take_outcomes(r, *d, body);
    } else {
        error_envelope envelope = err ? error_envelope{err.code, error_text(err)} : error_envelope_read(status, body);
        rebalance_note_failure(r, "target " + d->node.id + ": " + envelope.message);
        if (envelope.code == error_code::other_epoch) {
            rebalance_begin_one(r);
            target_exchange_documents(*r.t, d->node, on_exchanged, &r);
        }
    }
    rebalance_end_one(r);
}

static void send_batch(rebalance_delivery *d)
{
    rebalance &r = *d->owner;
    if (!rebalance_is_in_force(r)) {
        delete d;
        return;
    }
    call_options options = target_peer_call(*r.t, d->node, "PUT", target_message_target(*r.t, path_node_move, r.epoch));
    options.body = std::move(d->body);
    options.has_body = true;
    options.answer_size_max = answer_size_max;
    options.progress_timeout_ms = peer_patience_ms;
    options.on_done = on_batch_answer;
    options.arg = d;
    rebalance_begin_one(r);
    target_start_peer_call(*r.t, std::move(options));
}

static void add_to_batch(rebalance &r, index_row row)
{
    const cluster_node *owner = target_owner_elsewhere(*r.t, row.bucket, row.name);
    if (owner == nullptr || r.full.contains(owner->id))
        return;
    rebalance_delivery *&d = r.filling[owner->id];
    if (d == nullptr)
        d = new rebalance_delivery{.owner = &r, .node = *owner};
    moved_item_append(d->body, {row, created_ns_of(r, row.bucket)});
    r.page_bytes += row.content.size();
    row.content.clear();
    d->rows.push_back(std::move(row));
    if (d->body.size() >= move_batch_size_max / 2)
        send_batch(std::exchange(d, nullptr));
}

static void flush_batches(rebalance &r)
{
    for (auto &[id, d] : r.filling) {
        if (d != nullptr)
            send_batch(std::exchange(d, nullptr));
    }
    r.filling.clear();
}

// --- contents

static void note_unreadable(rebalance &r, const index_row &row, error err)
{
    if (err.code == error_code::corrupt)
        note_damaged(r, row, "it is damaged");
    else if (err.code != error_code::object_not_found) // then it was deleted meanwhile
        rebalance_note_failure(r, std::string("an object could not be read: ") + error_text(err));
}

struct small_read {
    rebalance *owner;
    index_row row;
};

static void on_small(void *arg, error err, const store_object *object)
{
    std::unique_ptr<small_read> read(static_cast<small_read *>(arg));
    rebalance &r = *read->owner;
    if (err)
        note_unreadable(r, read->row, err);
    if (!err && rebalance_is_in_force(r)) {
        index_row row = object->row;
        row.content = object->content;
        row.sums.clear();
        if (object->has_content || row.size == 0)
            add_to_batch(r, std::move(row));
        else
            r.large.push_back(std::move(row)); // it was overwritten by a larger one
    }
    if (!err)
        store_release(*r.t->objects, object);
    if (--r.reads == 0)
        flush_batches(r);
    rebalance_end_one(r);
}

static void give_small(rebalance &r)
{
    std::vector<index_row> rows = std::move(r.small);
    r.small.clear();
    r.reads = 1;
    for (index_row &row : rows) {
        if (row.is_tombstone || store_row_is_damaged(row)) {
            add_to_batch(r, std::move(row));
            continue;
        }
        rebalance_begin_one(r);
        r.reads++;
        auto *read = new small_read{&r, std::move(row)};
        store_get(*r.t->objects, read->row.bucket, read->row.name, on_small, read, store_use::once);
    }
    if (--r.reads == 0)
        flush_batches(r);
}

// --- large objects

static void begin_large(rebalance &r, index_row row, const cluster_node &owner, source_blocks blocks);

static void end_large(rebalance_delivery *pointer)
{
    std::unique_ptr<rebalance_delivery> d(pointer);
    source_close(d->from);
    sink_abandon(d->to);
    std::erase(d->owner->large_going, d.get());
    d->owner->large_open--;
    rebalance_give_large(*d->owner);
    rebalance_end_one(*d->owner);
}

static void note_large_failure(rebalance &r, const rebalance_delivery &d, error err, const std::string &text)
{
    if (err.code == error_code::no_space)
        note_full(r, d.node);
    else if (err.code == error_code::corrupt)
        note_damaged(r, d.rows.front(), "it is damaged");
    else if (err.code == error_code::checksum_mismatch && d.blocks == source_blocks::unchecked && rebalance_is_in_force(r))
        begin_large(r, d.rows.front(), d.node, source_blocks::as_read); // this finds the damaged block, and logs it
    else if (err.code == error_code::checksum_mismatch)
        note_damaged(r, d.rows.front(), "its content does not match its checksum");
    else
        rebalance_note_failure(r, text);
}

static void on_large_committed(void *arg, const sink_outcome &outcome)
{
    auto *d = static_cast<rebalance_delivery *>(arg);
    rebalance &r = *d->owner;
    d->to = {};
    if (!outcome.err || outcome.err.code == error_code::conflict) // a conflict: it, or a newer one, is there
        remove_given(r, d->rows.front());
    else
        note_large_failure(r, *d, outcome.err, outcome.text);
    end_large(d);
}

static void on_large_pumped(void *arg, error err, uint64_t)
{
    auto *d = static_cast<rebalance_delivery *>(arg);
    d->bytes = nullptr;
    if (err) {
        const sink_outcome &failure = sink_failure(d->to);
        bool is_there = failure.err.code == error_code::conflict; // it said so before it had read all
        if (is_there)
            remove_given(*d->owner, d->rows.front());
        else
            note_large_failure(*d->owner, *d, failure.err ? failure.err : err, failure.err ? failure.text : error_text(err));
        end_large(d);
        return;
    }
    source_close(d->from);
    sink_commit(d->to, on_large_committed, d);
}

static std::string row_header(const rebalance &r, const index_row &row)
{
    json_ptr tree = moved_row_print(row);
    json_add_u64_text(tree.get(), "created_ns", created_ns_of(r, row.bucket));
    std::string line;
    http_write_header(line, header_moved_row, json_print(tree.get()));
    return line;
}

static void on_large(void *arg, error err, const store_object *object)
{
    auto *d = static_cast<rebalance_delivery *>(arg);
    rebalance &r = *d->owner;
    if (err || !rebalance_is_in_force(r)) {
        if (!err)
            store_release(*r.t->objects, object);
        else
            note_unreadable(r, d->rows.front(), err);
        end_large(d);
        return;
    }
    const index_row &row = object->row;
    d->rows = {row};
    d->rows.front().sums.clear();
    call_options where = target_peer_call(*r.t, d->node, "PUT", target_message_target(*r.t, path_node_move, r.epoch));
    sink_peer_options options;
    options.client = r.t->client;
    options.host = where.host;
    options.port = where.port;
    options.target = where.target;
    options.headers = where.headers + row_header(r, row);
    options.bucket = row.bucket;
    options.name = row.name;
    options.node_id = r.t->id;
    options.peer_id = d->node.id;
    d->to = sink_peer(*r.t->e, std::move(options));
    sink_begin(d->to, {.size = row.size, .content_type = row.content_type, .has_checksum = true, .checksum = row.checksum});
    d->from = source_stored(*r.t->e, *r.t->objects, object, r.t->store_calls, d->blocks);
    pump_options moving;
    moving.has_length = true;
    moving.length = row.size;
    moving.on_done = on_large_pumped;
    moving.arg = d;
    r.page_bytes += row.size;
    d->bytes = pump_start(*r.t->e, sink_stream(d->to), d->from.from, std::move(moving));
    r.large_going.push_back(d);
}

static void begin_large(rebalance &r, index_row row, const cluster_node &owner, source_blocks blocks)
{
    rebalance_begin_one(r);
    r.large_open++;
    auto *d = new rebalance_delivery{.owner = &r, .node = owner, .blocks = blocks};
    d->rows.push_back(std::move(row));
    store_get(*r.t->objects, d->rows.front().bucket, d->rows.front().name, on_large, d, store_use::once);
}

bool rebalance_give_large(rebalance &r)
{
    bool began = false;
    while (!r.large.empty() && r.large_open < (target_serves_clients(*r.t) ? 1 : large_open_max)) {
        index_row row = std::move(r.large.back());
        r.large.pop_back();
        const cluster_node *owner = target_owner_elsewhere(*r.t, row.bucket, row.name);
        if (owner == nullptr || !rebalance_is_in_force(r) || r.full.contains(owner->id))
            continue;
        began = true;
        begin_large(r, std::move(row), *owner, source_blocks::unchecked);
    }
    return began;
}

void rebalance_cut_large(rebalance &r)
{
    while (!r.large_going.empty()) {
        rebalance_delivery *d = r.large_going.front();
        if (d->bytes != nullptr)
            pump_cancel(*d->bytes);
        rebalance_note_failure(r, "this target is shutting down");
        end_large(d);
    }
}

void rebalance_give(rebalance &r)
{
    if (!r.small.empty())
        give_small(r);
    rebalance_give_large(r);
}

} // namespace etlnode
