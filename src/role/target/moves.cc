// SPDX-License-Identifier: MIT
// role/target/moves.cc: what a target answers other targets while objects move: to questions of an owner, and to objects that a former
// owner gives.
//
// Owns     one struct for each request in progress.
// Knows    store, transfer, control, http.        Known by  routes.cc.
// Normal   a question is answered from this target's own index, never forwarded. An object that is given is stored under the version that
//          it has; the answer comes when this copy, or a newer one, is durable here.
// Fails    409 other_epoch: the two targets are in different epochs, and nothing was done. Each object of a batch has its own outcome.
// Limits   move_batch_size_max.
#include "role/target/moves.h"

#include <memory>
#include <vector>

#include <xxhash.h>

#include "base/limits.h"
#include "base/text.h"
#include "codec/http_write.h"
#include "codec/url.h"
#include "control/placement.h"
#include "control/placement_epochs.h"
#include "node/api.h"
#include "store/set_aside.h"
#include "transfer/upload_machine.h"

namespace etlnode {

// What a message of another target says of itself.
struct peer_message {
    uint64_t epoch = 0;
    uint64_t created_ns = 0; // of the bucket, if it names one
    std::string disk;        // of the sender
};

static peer_message message_of(const exchange &x)
{
    const http_head &head = exchange_head(x);
    peer_message m;
    std::string number;
    if (!url_query_get(head.query, "epoch", number) || !text_parse_u64(number, m.epoch))
        m.epoch = UINT64_MAX; // never in force
    if (url_query_get(head.query, "created", number) && !text_parse_u64(number, m.created_ns))
        m.created_ns = 0;
    (void)url_query_get(head.query, "disk", m.disk);
    return m;
}

static void refuse_epoch(target &t, exchange &x)
{
    exchange_answer_error(x, error_code::other_epoch,
        text_format("target %s is in epoch %llu of the placement, or has another document", t.id.c_str(),
            static_cast<unsigned long long>(document_epoch(t.document))));
}

static bool is_same_bucket(const target &t, const std::string &bucket, uint64_t created_ns)
{
    const cluster_bucket *known = document_find_bucket(t.document, bucket);
    return known != nullptr && known->created_ns == created_ns;
}

// Whether this target may take the row in the epoch of the message.
static bool is_fitting(const target &t, uint64_t epoch, const index_row &row, uint64_t created_ns)
{
    return epoch == document_epoch(t.document) && is_same_bucket(t, row.bucket, created_ns) &&
           target_emptying_text(t, row.bucket).empty() && target_owner_elsewhere(t, row.bucket, row.name) == nullptr;
}

// --- admission: the sender is in this target's epoch, which is adopted

struct peer_request {
    target *t = nullptr;
    exchange *x = nullptr;
    peer_message message;
    std::string bucket, name; // of a question
    void (*serve)(peer_request *r) = nullptr;
};

static void end_request(peer_request *r)
{
    target &t = *r->t;
    delete r;
    open_count_end(t.store_calls);
}

static void admit(void *arg)
{
    auto *r = static_cast<peer_request *>(arg);
    target &t = *r->t;
    if (std::string why = target_misfit_text(t); !why.empty()) {
        exchange_answer_error(*r->x, error_code::unavailable, why);
        end_request(r);
    } else if (r->message.epoch != document_epoch(t.document)) {
        refuse_epoch(t, *r->x);
        end_request(r);
    } else if (target_has_adopted(t)) {
        r->serve(r);
    } else if (lifecycle_is_draining(t.life)) {
        exchange_answer_error(*r->x, error_code::stopping, "the target is shutting down");
        end_request(r);
    } else {
        target_wait_adopted(t, admit, r);
    }
}

static peer_request *make_request(target &t, exchange &x, void (*serve)(peer_request *r))
{
    open_count_begin(t.store_calls);
    return new peer_request{&t, &x, message_of(x), {}, {}, serve};
}

// --- GET /v1/node/object/<bucket>/<object>: a question

static void on_row(void *arg, error err, std::vector<index_row> rows)
{
    auto *r = static_cast<peer_request *>(arg);
    if (r->message.epoch != document_epoch(r->t->document)) {
        refuse_epoch(*r->t, *r->x);
    } else if (err && err.code != error_code::object_not_found) {
        exchange_answer_error(*r->x, err.code, error_text(err));
    } else {
        json_ptr tree = json_object();
        if (!rows.empty())
            json_add_tree(tree.get(), "row", moved_row_print(rows.front()));
        json_add_u64_text(tree.get(), "removed_max", index_removed_max(*r->t->e, r->bucket));
        exchange_answer_json(*r->x, tree.get());
    }
    end_request(r);
}

static void on_content(void *arg, error err, const store_object *object)
{
    auto *r = static_cast<peer_request *>(arg);
    target &t = *r->t;
    exchange &x = *r->x;
    std::string version;
    uint64_t wanted = 0;
    bool is_named = url_query_get(exchange_head(x).query, "version", version) && text_parse_u64(version, wanted);
    if (!err && (!is_named || object->row.version != wanted)) {
        store_release(*t.objects, object);
        err = make_error(error_code::object_not_found);
    }
    if (err) {
        exchange_answer_error(x, err.code, "t[" + t.id + "]: this version of ais://" + r->bucket + "/" + r->name + ": " + error_text(err));
        end_request(r);
        return;
    }
    target_give_content(t, x, object);
    end_request(r);
}

static void serve_question(peer_request *r)
{
    target &t = *r->t;
    if (!is_same_bucket(t, r->bucket, r->message.created_ns)) {
        refuse_epoch(t, *r->x); // one of the two does not know yet that the bucket was made, or made again
        end_request(r);
        return;
    }
    if (std::string why = target_emptying_text(t, r->bucket); !why.empty()) {
        exchange_answer_error(*r->x, error_code::unavailable, why);
        end_request(r);
        return;
    }
    std::string version;
    if (url_query_get(exchange_head(*r->x).query, "version", version))
        store_get(*t.objects, r->bucket, r->name, on_content, r);
    else
        store_lookup(*t.objects, r->bucket, r->name, on_row, r);
}

static void serve_object_question(target &t, exchange &x, const route_match &match)
{
    std::string bucket, name;
    if (!target_admit_peer(t, x, match, bucket) || !route_decode_arg(x, match.args[1], "name", name))
        return;
    peer_request *r = make_request(t, x, serve_question);
    r->bucket = std::move(bucket);
    r->name = std::move(name);
    admit(r);
}

// --- PUT /v1/node/move: a batch

struct move_batch {
    target *t = nullptr;
    exchange *x = nullptr;
    peer_message message;
    std::vector<moved_item> items;
    std::vector<const char *> outcomes;
    size_t open = 0;
};

struct batch_item {
    move_batch *batch;
    size_t index;
};

static void answer_batch(move_batch *b)
{
    json_ptr tree = json_object();
    cJSON *outcomes = json_add_array(tree.get(), "outcomes");
    for (const char *outcome : b->outcomes)
        json_append_text(outcomes, outcome);
    json_add_bool(tree.get(), "serves_clients", target_serves_clients(*b->t));
    exchange_answer_json(*b->x, tree.get());
    target &t = *b->t;
    delete b;
    open_count_end(t.store_calls);
}

static void end_item(batch_item *item, const char *outcome)
{
    move_batch *b = item->batch;
    b->outcomes[item->index] = outcome;
    delete item;
    b->open--;
    if (b->open == 0)
        answer_batch(b);
}

static void on_moved(void *arg, error err, const index_change &)
{
    auto *item = static_cast<batch_item *>(arg);
    const index_row &row = item->batch->items[item->index].row;
    if (!err && !store_row_is_damaged(row))
        target_space_note_written(*item->batch->t, row.size);
    if (!err)
        end_item(item, "stored");
    else if (err.code == error_code::conflict)
        end_item(item, "have");
    else
        end_item(item, err.code == error_code::no_space ? "no_space" : "busy");
}

// The change is handed over in the epoch of the message, or not at all.
static void commit_item(batch_item *item)
{
    move_batch &b = *item->batch;
    target &t = *b.t;
    moved_item &moved = b.items[item->index];
    index_row &row = moved.row;
    if (!is_fitting(t, b.message.epoch, row, moved.created_ns) || !target_has_lease(t)) {
        end_item(item, target_has_lease(t) ? "bucket" : "busy");
        return;
    }
    bool is_whole = row.is_tombstone || store_row_is_damaged(row) || XXH64(row.content.data(), row.content.size(), 0) == row.checksum;
    if (!is_whole) {
        end_item(item, "checksum");
        return;
    }
    index_change change;
    change.what = index_change::kind::put_moved;
    change.origin_tag = row.tag;
    change.row = std::move(row);
    change.row.tag = document_moved_tag(t.document, placement_uname_digest(change.row.bucket, change.row.name), change.origin_tag);
    store_change(*t.objects, std::move(change), on_moved, item);
}

static void on_item_learnt(void *arg, const lesson &learnt)
{
    auto *item = static_cast<batch_item *>(arg);
    if (learnt.err)
        end_item(item, "busy");
    else
        commit_item(item);
}

// Other former owners may have a newer copy, which then is fetched first.
static bool has_others(const target &t, const index_row &row, const std::string &giver_disk)
{
    std::vector<std::string> without = t.placement.ended;
    without.push_back(giver_disk);
    const cluster_node *self = document_find_node(t.document, t.id);
    const cluster_bucket *bucket = document_find_bucket(t.document, row.bucket);
    if (self == nullptr || bucket == nullptr)
        return false;
    bool is_missing = false;
    return !document_ask_set(t.document, placement_uname_digest(row.bucket, row.name), *self, bucket->created_epoch, without, is_missing)
                .empty() ||
           is_missing;
}

static void begin_item(batch_item *item)
{
    move_batch &b = *item->batch;
    const index_row &row = b.items[item->index].row;
    bool has_content = !row.is_tombstone && !store_row_is_damaged(row);
    bool fits = !has_content || store_fits_index(*b.t->objects, row.size);
    std::string why;
    if (!fits)
        end_item(item, "size");
    else if (has_content && !target_space_admits(*b.t, row.bucket, row.name, row.size, why))
        end_item(item, "no_space");
    else if (has_others(*b.t, row, b.message.disk))
        target_learn(*b.t, {row.bucket, row.name, true, b.message.disk, row.version, row.tag}, on_item_learnt, item);
    else
        commit_item(item);
}

static void on_batch(void *arg, error err, std::string body)
{
    auto *r = static_cast<peer_request *>(arg);
    auto batch = std::make_unique<move_batch>();
    batch->t = r->t;
    batch->x = r->x;
    batch->message = r->message;
    std::string_view rest = body;
    while (!err && !rest.empty()) {
        moved_item item;
        err = moved_item_take(rest, item);
        batch->items.push_back(std::move(item));
    }
    if (err || r->message.epoch != document_epoch(r->t->document)) {
        if (err)
            exchange_answer_error(*r->x, err.code, error_text(err));
        else
            refuse_epoch(*r->t, *r->x);
        end_request(r);
        return;
    }
    delete r; // the batch counts as the request
    move_batch *b = batch.release();
    b->outcomes.assign(b->items.size(), "busy");
    b->open = b->items.size() + 1;
    size_t count = b->items.size();
    for (size_t i = 0; i < count; i++)
        begin_item(new batch_item{b, i});
    b->open--;
    if (b->open == 0)
        answer_batch(b);
}

static void serve_batch(peer_request *r) { exchange_read_all(*r->x, move_batch_size_max, on_batch, r); }

// --- PUT /v1/node/move with a row in the head: one large object

struct move_upload {
    target *t = nullptr;
    exchange *x = nullptr;
    peer_message message;
    moved_item item;
};

static void note_upload_ended(void *arg, error err, uint64_t bytes)
{
    std::unique_ptr<move_upload> m(static_cast<move_upload *>(arg));
    if (!err)
        target_space_note_written(*m->t, bytes);
    open_count_end(m->t->store_calls);
}

static bool upload_has_bucket(void *arg, std::string_view bucket, uint64_t created_ns)
{
    return target_has_bucket(static_cast<move_upload *>(arg)->t, bucket, created_ns);
}

// The epoch may have changed while the content came.
static bool upload_must_ask(void *, std::string_view, std::string_view) { return true; }

static void leave_upload(void *arg, const std::string &, const std::string &, uint64_t, put_on_leave on_leave, void *owner)
{
    const move_upload &m = *static_cast<move_upload *>(arg);
    put_leave leave;
    if (!is_fitting(*m.t, m.message.epoch, m.item.row, m.item.created_ns)) {
        leave.err = make_error(error_code::other_epoch);
        leave.text = "the placement has changed while the object was moved";
    } else if (!target_has_lease(*m.t)) {
        leave.err = make_error(error_code::unavailable);
        leave.text = target_lease_text(*m.t);
    }
    on_leave(owner, leave);
}

static void begin_upload(move_upload *m)
{
    target &t = *m->t;
    index_row &row = m->item.row;
    if (!is_fitting(t, m->message.epoch, row, m->item.created_ns)) {
        refuse_epoch(t, *m->x);
        delete m;
        open_count_end(t.store_calls);
        return;
    }
    upload_options options;
    options.bucket = row.bucket;
    options.name = row.name;
    options.node_id = t.id;
    options.content_type = row.content_type;
    options.has_expected_checksum = true;
    options.expected_checksum = row.checksum;
    options.bucket_created_ns = m->item.created_ns;
    options.is_bucket_there = upload_has_bucket;
    options.on_end = note_upload_ended;
    options.arg = m;
    options.gate = {upload_must_ask, leave_upload, nullptr};
    options.copy = std::make_unique<put_copy>(put_copy{row, row.tag});
    options.copy->row.tag = document_moved_tag(t.document, placement_uname_digest(row.bucket, row.name), row.tag);
    upload_begin(*t.objects, *m->x, std::move(options));
}

static void on_upload_learnt(void *arg, const lesson &learnt)
{
    auto *m = static_cast<move_upload *>(arg);
    if (!learnt.err) {
        begin_upload(m);
        return;
    }
    target &t = *m->t;
    exchange_answer_error(*m->x, learnt.err.code, learnt.text);
    delete m;
    open_count_end(t.store_calls);
}

static void serve_upload(peer_request *r)
{
    auto m = std::make_unique<move_upload>();
    m->t = r->t;
    m->x = r->x;
    m->message = r->message;
    std::string_view given = http_head_get(exchange_head(*r->x), header_moved_row);
    index_row &row = m->item.row;
    json_ptr tree;
    std::string where;
    error err = json_parse(given, tree, where);
    if (!err)
        err = moved_row_parse(tree.get(), row);
    if (!err && (row.is_tombstone || store_row_is_damaged(row) || !json_read_u64(tree.get(), "created_ns", m->item.created_ns)))
        err = make_error(error_code::bad_json, "the moved row lacks something");
    if (err) {
        exchange_answer_error(*r->x, err.code, error_text(err));
        end_request(r);
        return;
    }
    delete r; // m counts as the request
    target &t = *m->t;
    std::string why;
    if (!target_space_admits(t, row.bucket, row.name, row.size, why)) {
        exchange_answer_error(*m->x, error_code::no_space, why);
        open_count_end(t.store_calls);
        return;
    }
    if (has_others(t, row, m->message.disk)) {
        lesson_wish wish{row.bucket, row.name, true, m->message.disk, row.version, row.tag};
        target_learn(t, std::move(wish), on_upload_learnt, m.release());
    } else {
        begin_upload(m.release());
    }
}

static void serve_move(target &t, exchange &x, const route_match &match)
{
    std::string none;
    if (!target_admit_peer(t, x, match, none))
        return;
    bool is_large = http_head_get(exchange_head(x), header_moved_row).data() != nullptr;
    admit(make_request(t, x, is_large ? serve_upload : serve_batch));
}

// --- POST /v1/node/move-end

struct move_end {
    target *t = nullptr;
    exchange *x = nullptr;
    peer_message message;
    size_t open = 1;
    error err;
};

static void end_one(move_end *m)
{
    if (--m->open > 0)
        return;
    target &t = *m->t;
    if (m->err) {
        exchange_answer_error(*m->x, m->err.code, error_text(m->err));
    } else if (m->message.epoch != document_epoch(t.document)) {
        refuse_epoch(t, *m->x);
    } else {
        target_note_ended(t, m->message.epoch, m->message.disk);
        answer a;
        a.status = 204;
        exchange_answer(*m->x, std::move(a));
    }
    delete m;
    open_count_end(t.store_calls);
}

static void on_raised(void *arg, error err, const index_change &)
{
    auto *m = static_cast<move_end *>(arg);
    if (err)
        m->err = err;
    end_one(m);
}

static void raise(move_end *m, const cJSON *one)
{
    target &t = *m->t;
    index_change change;
    change.what = index_change::kind::raise_removed;
    uint64_t created_ns = 0;
    bool is_good = base64_decode(json_text(one, "bucket"), change.row.bucket) && json_read_u64(one, "removed_max", change.row.version) &&
                   json_read_u64(one, "created_ns", created_ns) && change.row.version <= INT64_MAX;
    if (!is_good) {
        m->err = make_error(error_code::bad_json);
        return;
    }
    if (!is_same_bucket(t, change.row.bucket, created_ns)) {
        m->err = make_error(error_code::other_epoch);
        return;
    }
    m->open++;
    store_change(*t.objects, std::move(change), on_raised, m);
}

static void on_end_body(void *arg, error err, std::string body)
{
    auto *r = static_cast<peer_request *>(arg);
    auto *m = new move_end{r->t, r->x, r->message, 1, err};
    delete r; // m counts as the request
    json_ptr tree;
    std::string where;
    if (!m->err)
        m->err = json_parse(body, tree, where);
    if (!m->err && !cJSON_IsArray(json_get(tree.get(), "buckets")))
        m->err = make_error(error_code::bad_json);
    if (!m->err && m->message.epoch == document_epoch(m->t->document)) {
        const cJSON *one = nullptr;
        cJSON_ArrayForEach(one, json_get(tree.get(), "buckets")) raise(m, one);
    }
    end_one(m);
}

static void serve_end(peer_request *r) { exchange_read_all(*r->x, json_body_size_max, on_end_body, r); }

static void serve_move_end(target &t, exchange &x, const route_match &match)
{
    std::string none;
    if (target_admit_peer(t, x, match, none))
        admit(make_request(t, x, serve_end));
}

// --- routes

static constexpr route rows[] = {
    ROUTE("GET", "/v1/node/object/{bucket}/{object...}", serve_object_question,
        "its row of an object, for the object's owner; with `?version=` the content"),
    ROUTE("PUT", "/v1/node/move", serve_move, "objects that a former owner gives"),
    ROUTE("POST", "/v1/node/move-end", serve_move_end, "a former owner has given all"),
};
extern constinit const std::span<const route> target_move_routes = rows;

} // namespace etlnode
