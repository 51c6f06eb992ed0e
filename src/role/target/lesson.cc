// SPDX-License-Identifier: MIT
// role/target/lesson.cc: what is known of one object while the cluster moves: the owner asks all former owners that may still have it.
//
// Owns     one lesson_work a question.
// Knows    control/placement_epochs, store, object, http.        Known by  objects.cc, moves.cc.
// Normal   once this epoch is adopted: all are asked at once; but a read needs nobody if the row here was committed since others owned the
//          object. Then the row here is read, in any case, because a copy may have been moved here meanwhile. If the newest copy is
//          elsewhere and is wanted, it is fetched and stored here.
// Fails    503: a former owner cannot be reached, or the placement changes again and again.
// Limits   attempts_max, intra_call_timeout_ms.
#include <algorithm>
#include <memory>
#include <vector>

#include "base/check.h"
#include "base/limits.h"
#include "base/text.h"
#include "codec/error_envelope.h"
#include "codec/url.h"
#include "control/placement.h"
#include "control/placement_epochs.h"
#include "http/pump.h"
#include "object/source.h"
#include "role/target/moves.h"
#include "store/set_aside.h"

namespace etlnode {

static constexpr unsigned attempts_max = 6;

struct lesson_work;

struct lesson_question {
    lesson_work *owner = nullptr;
    cluster_node node;
    error err;
    std::string text;
    index_row row; // version 0: it has none
    uint64_t removed_max = 0;
};

struct lesson_work {
    target *t = nullptr;
    lesson_wish wish;
    uint64_t digest = 0;
    uint64_t created_ns = 0;
    unsigned attempts = 0;
    unsigned cuts = 0; // copies that broke off
    std::vector<std::unique_ptr<lesson_question>> questions;
    size_t open = 0; // questions without an answer
    lesson result;
    lesson_on_learnt on_learnt = nullptr;
    void *arg = nullptr;
    // The copy that is being fetched.
    sink to;
    source from;
    pump *bytes = nullptr;
};

// --- who owns an object

const cluster_node *target_owner_elsewhere(const target &t, std::string_view bucket, std::string_view name)
{
    const cluster_node *owner = document_place(t.document, bucket, name);
    return owner != nullptr && owner->id != t.id ? owner : nullptr;
}

bool target_row_is_newest(const target &t, std::string_view bucket, std::string_view name, uint64_t tag)
{
    if (!placement_is_moving(t.document.placement))
        return true;
    uint64_t digest = placement_uname_digest(bucket, name);
    const cluster_node *self = document_find_node(t.document, t.id);
    return self != nullptr && target_may_decide(t, digest) && document_is_authoritative(t.document, digest, *self, tag);
}

uint64_t lesson_version_above(const target &t, const lesson &learnt)
{
    return std::max({learnt.best.version, learnt.removed_max, document_version_floor(t.document)});
}

std::string lesson_refusal(const target &t, const std::string &bucket, const std::string &name, const std::string &why)
{
    return "t[" + t.id + "]: ais://" + bucket + "/" + name + " cannot be served now: " + why;
}

std::string lesson_question_target(const target &t, const std::string &bucket, const std::string &name, uint64_t created_ns)
{
    return "/v1/node/object/" + url_encode(bucket) + "/" + url_encode_path(name) +
           text_format("?epoch=%llu&created=%llu", static_cast<unsigned long long>(document_epoch(t.document)),
               static_cast<unsigned long long>(created_ns));
}

error lesson_judge_giver(const std::string &giver, int status, std::string &out_why)
{
    bool is_damaged = status == 500;
    out_why = is_damaged
                  ? "target " + giver + ", which has it, finds it damaged, or cannot read it: store it again under this name, or delete it"
                  : text_format("target %s, which has it, answered %d", giver.c_str(), status);
    return make_error(is_damaged ? error_code::corrupt : error_code::unavailable);
}

// --- the end

static void finish(lesson_work *w)
{
    CHECK(w->open == 0);
    target &t = *w->t;
    w->result.epoch = document_epoch(t.document);
    w->on_learnt(w->arg, w->result);
    delete w;
    open_count_end(t.store_calls);
}

static void fail(lesson_work *w, error_code code, std::string text)
{
    w->result.err = make_error(code);
    w->result.text = lesson_refusal(*w->t, w->wish.bucket, w->wish.name, text);
    finish(w);
}

static void begin(lesson_work *w);

static void on_again(void *arg) { begin(static_cast<lesson_work *>(arg)); }

// --- fetching a copy

static void end_copy(lesson_work &w)
{
    if (w.bytes != nullptr)
        pump_cancel(*w.bytes);
    w.bytes = nullptr;
    source_close(w.from);
    sink_abandon(w.to);
}

// The object is at `best_at` and cannot be stored here.
static void fail_here(lesson_work *w, error err, const std::string &text)
{
    std::string why = err.code == error_code::no_space ? "its disk is full: remove objects, or give it more room" : text;
    fail(w, error_code::unavailable,
        "objects are moving, and target " + w->t->id + " cannot store this one, which target " + w->result.best_at + " has: " + why);
}

static void take_copy(lesson_work *w)
{
    w->result.here = w->result.best;
    w->result.best_at.clear();
    finish(w);
}

static void on_copied(void *arg, const sink_outcome &outcome)
{
    auto *w = static_cast<lesson_work *>(arg);
    w->to = {};
    if (!outcome.err)
        take_copy(w);
    else if (outcome.err.code == error_code::conflict) // it, or a newer one, has just been moved here
        begin(w);
    else
        fail_here(w, outcome.err, outcome.text);
}

// A target that was stopped is not there when it is asked again. One that is there and breaks off again cannot read what it has.
static void try_again_or_fail(lesson_work *w)
{
    const std::string giver = w->result.best_at;
    if (++w->cuts < 2)
        begin(w);
    else
        fail(w, error_code::corrupt,
            "target " + giver +
                ", which has it, breaks off while it gives it: it is damaged there, or cannot be read: store it again under this name, or "
                "delete it");
}

static void on_pumped(void *arg, error err, uint64_t bytes)
{
    auto *w = static_cast<lesson_work *>(arg);
    w->bytes = nullptr;
    if (err || bytes != w->result.best.size) {
        const sink_outcome here = sink_failure(w->to);
        end_copy(*w);
        if (err.code == error_code::no_space || here.err)
            fail_here(w, here.err ? here.err : err, here.err ? here.text : std::string(error_text(err)));
        else
            try_again_or_fail(w);
        return;
    }
    source_close(w->from);
    sink_commit(w->to, on_copied, w);
}

// The former owner has the row and does not give the content.
static void fail_copy(lesson_work *w, int status)
{
    std::string why;
    error err = lesson_judge_giver(w->result.best_at, status, why);
    end_copy(*w);
    fail(w, err.code, why);
}

static void on_copy_head(void *arg, call &c, const http_head &head)
{
    auto *w = static_cast<lesson_work *>(arg);
    if (head.status != 200) {
        call_close(c);
        if (head.status == 404 || head.status == 409)
            begin(w); // it was moved or overwritten meanwhile, or the epoch has changed
        else
            fail_copy(w, head.status);
        return;
    }
    w->from = source_call(c, intra_call_timeout_ms);
    const index_row &best = w->result.best;
    sink_begin(w->to, {.size = best.size, .content_type = best.content_type, .has_checksum = true, .checksum = best.checksum});
    pump_options options;
    options.source_timeout_ms = intra_call_timeout_ms;
    options.has_length = true;
    options.length = best.size;
    options.on_done = on_pumped;
    options.arg = w;
    w->bytes = pump_start(*w->t->e, sink_stream(w->to), w->from.from, std::move(options));
}

static void on_copy_failed(void *arg, call &, error err, int, std::string)
{
    auto *w = static_cast<lesson_work *>(arg);
    end_copy(*w);
    fail(w, error_code::unavailable, "target " + w->result.best_at + " has it and cannot be reached: " + error_text(err));
}

static void on_row_stored(void *arg, error err, const index_change &)
{
    auto *w = static_cast<lesson_work *>(arg);
    if (!err)
        take_copy(w);
    else if (err.code == error_code::conflict)
        begin(w);
    else
        fail(w, err.code, error_text(err));
}

static std::string question_target(const lesson_work &w) { return lesson_question_target(*w.t, w.wish.bucket, w.wish.name, w.created_ns); }

static void fetch_copy(lesson_work *w)
{
    target &t = *w->t;
    const index_row &best = w->result.best;
    index_row copy = best;
    copy.tag = document_moved_tag(t.document, w->digest, best.tag);
    if (best.is_tombstone || store_row_is_damaged(best)) {
        index_change change;
        change.what = index_change::kind::put_moved;
        change.origin_tag = best.tag;
        change.row = std::move(copy);
        store_change(*t.objects, std::move(change), on_row_stored, w);
        return;
    }
    const cluster_node *node = document_find_node(t.document, w->result.best_at);
    if (node == nullptr) {
        begin(w);
        return;
    }
    sink_put_options options;
    options.bucket = w->wish.bucket;
    options.name = w->wish.name;
    options.node_id = t.id;
    options.bucket_created_ns = w->created_ns;
    options.is_bucket_there = target_has_bucket;
    options.arg = &t;
    options.copy = std::make_unique<put_copy>(put_copy{std::move(copy), best.tag});
    w->to = sink_put(*t.e, *t.objects, std::move(options));
    call_options asking = target_peer_call(
        t, *node, "GET", question_target(*w) + text_format("&version=%llu", static_cast<unsigned long long>(best.version)));
    asking.on_head = on_copy_head;
    asking.on_done = on_copy_failed;
    asking.arg = w;
    target_start_peer_call(t, std::move(asking));
}

// --- the row here

static void on_here(void *arg, error err, std::vector<index_row> rows)
{
    auto *w = static_cast<lesson_work *>(arg);
    if (err && err.code != error_code::object_not_found) {
        fail(w, err.code, error_text(err));
        return;
    }
    if (document_epoch(w->t->document) != w->result.epoch) {
        begin(w);
        return;
    }
    lesson &result = w->result;
    if (!rows.empty()) {
        result.here = std::move(rows.front());
        result.here.content.clear();
        result.here.sums.clear();
    }
    if (!moved_row_is_newer(result.best, result.here)) {
        result.best = result.here;
        result.best_at.clear();
    }
    index_row given;
    given.version = w->wish.given_version;
    given.tag = w->wish.given_tag;
    bool is_left_there = !result.best.is_tombstone && result.best.size > w->wish.copy_size_max;
    if (w->wish.wants_copy && !is_left_there && !result.best_at.empty() && moved_row_is_newer(result.best, given))
        fetch_copy(w);
    else
        finish(w);
}

// --- asking

static void judge(lesson_work *w)
{
    for (const auto &question : w->questions) {
        if (question->err.code == error_code::other_epoch) {
            target_exchange_documents(*w->t, question->node, on_again, w);
            return;
        }
        if (question->err) {
            fail(w, error_code::unavailable,
                "objects are moving, and target " + question->node.id + ", which may have it, gives no answer: " + question->text);
            return;
        }
    }
    for (const auto &question : w->questions) {
        w->result.removed_max = std::max(w->result.removed_max, question->removed_max);
        if (!moved_row_is_newer(question->row, w->result.best))
            continue;
        w->result.best = question->row;
        w->result.best_at = question->node.id;
    }
    store_lookup(*w->t->objects, w->wish.bucket, w->wish.name, on_here, w);
}

static void read_answer(lesson_question &q, error err, int status, std::string_view body)
{
    if (err || status != 200) {
        error_envelope envelope = err ? error_envelope{err.code, error_text(err)} : error_envelope_read(status, body);
        q.err = make_error(envelope.code);
        q.text = envelope.message;
        return;
    }
    json_ptr tree;
    std::string where;
    q.err = json_parse(body, tree, where);
    bool is_whole = !q.err && json_read_u64(tree.get(), "removed_max", q.removed_max);
    const cJSON *row = json_get(tree.get(), "row");
    if (is_whole && row != nullptr)
        q.err = moved_row_parse(row, q.row);
    else if (!is_whole)
        q.err = make_error(error_code::bad_json);
    q.text = error_text(q.err);
}

static void on_answer(void *arg, call &, error err, int status, std::string body)
{
    lesson_question &q = *static_cast<lesson_question *>(arg);
    lesson_work *w = q.owner;
    read_answer(q, err, status, body);
    w->open--;
    if (w->open == 0)
        judge(w);
}

// Those that may have the object, apart from this target.
static std::vector<const cluster_node *> others(const lesson_work &w, bool &out_is_missing)
{
    const target &t = *w.t;
    std::vector<std::string> ended = t.placement.ended;
    if (!w.wish.without_disk.empty())
        ended.push_back(w.wish.without_disk);
    const cluster_node *self = document_find_node(t.document, t.id);
    const cluster_bucket *bucket = document_find_bucket(t.document, w.wish.bucket);
    out_is_missing = false;
    if (self == nullptr || bucket == nullptr)
        return {};
    return document_ask_set(t.document, w.digest, *self, bucket->created_epoch, ended, out_is_missing);
}

static void ask(lesson_work *w)
{
    static constexpr size_t row_answer_size_max = 256 * kib;
    target &t = *w->t;
    if (lifecycle_is_closing(t.life)) {
        fail(w, error_code::stopping, "the target is shutting down");
        return;
    }
    bool is_missing = false;
    std::vector<const cluster_node *> nodes = others(*w, is_missing);
    if (is_missing) {
        fail(w, error_code::unavailable, "objects are moving, and a target that may have it is not in the cluster now");
        return;
    }
    if (nodes.empty()) { // the last one has given all meanwhile
        store_lookup(*t.objects, w->wish.bucket, w->wish.name, on_here, w);
        return;
    }
    for (const cluster_node *node : nodes) {
        auto question = std::make_unique<lesson_question>();
        question->owner = w;
        question->node = *node;
        w->questions.push_back(std::move(question));
    }
    w->open = w->questions.size();
    for (const auto &question : w->questions) {
        call_options options = target_peer_call(t, question->node, "GET", question_target(*w));
        options.answer_size_max = row_answer_size_max;
        options.on_done = on_answer;
        options.arg = question.get();
        target_start_peer_call(t, std::move(options));
    }
}

// A row that was committed here since the others owned the object is above all that they have.
static void on_first_look(void *arg, error err, std::vector<index_row> rows)
{
    auto *w = static_cast<lesson_work *>(arg);
    bool is_same_epoch = document_epoch(w->t->document) == w->result.epoch;
    bool is_known = !rows.empty() && target_row_is_newest(*w->t, w->wish.bucket, w->wish.name, rows.front().tag);
    if (!is_same_epoch || is_known || (err && err.code != error_code::object_not_found))
        on_here(w, err, std::move(rows));
    else
        ask(w);
}

// Begins anew, in the epoch that is in force now.
static void begin(lesson_work *w)
{
    target &t = *w->t;
    end_copy(*w);
    w->questions.clear();
    w->result = {};
    if (lifecycle_is_draining(t.life) && !target_may_decide(t, w->digest)) {
        fail(w, error_code::stopping, "the target is shutting down");
        return;
    }
    if (++w->attempts > attempts_max) {
        fail(w, error_code::unavailable, "the placement of objects changes too often");
        return;
    }
    const cluster_node *self = document_find_node(t.document, t.id);
    const cluster_bucket *bucket = document_find_bucket(t.document, w->wish.bucket);
    if (self == nullptr || bucket == nullptr || target_owner_elsewhere(t, w->wish.bucket, w->wish.name) != nullptr) {
        fail(w, error_code::other_epoch, "it belongs to another target now");
        return;
    }
    if (!target_may_decide(t, w->digest)) {
        w->attempts--;
        target_wait_adopted(t, on_again, w);
        return;
    }
    w->created_ns = bucket->created_ns;
    w->result.epoch = document_epoch(t.document);
    bool is_missing = false;
    std::vector<const cluster_node *> nodes = others(*w, is_missing);
    if (nodes.empty() && !is_missing)
        store_lookup(*t.objects, w->wish.bucket, w->wish.name, on_here, w);
    else if (w->wish.wants_copy)
        store_lookup(*t.objects, w->wish.bucket, w->wish.name, on_first_look, w);
    else
        ask(w); // before a new version is made, each former owner must be in this epoch
}

void target_learn(target &t, lesson_wish wish, lesson_on_learnt on_learnt, void *arg)
{
    auto *w = new lesson_work;
    w->t = &t;
    w->digest = placement_uname_digest(wish.bucket, wish.name);
    w->wish = std::move(wish);
    w->on_learnt = on_learnt;
    w->arg = arg;
    open_count_begin(t.store_calls);
    clock_post(*t.e, on_again, w);
}

} // namespace etlnode
