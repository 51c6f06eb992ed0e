// SPDX-License-Identifier: MIT
// role/target/unmoved.cc: reads of a large object that has not moved yet: its former owner gives the content, and the owner passes it on.
//
// Owns     one unmoved_read for each such read, one given_part for each content whose first block is being checked.
// Knows    lesson.cc, store, object, http.        Known by  objects.cc, moves.cc.
// Normal   the owner knows the row, so it answers HEAD and judges Range by itself. It asks for the bytes only, and the client gets them as
//          they come. The former owner checks each block before it leaves. The object itself comes with the rebalance.
// Fails    the content has vanished before its first byte: the read begins again. It breaks off later: so does the answer.
// Limits   tries_max, intra_call_timeout_ms.
#include <memory>

#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "control/placement_epochs.h"
#include "http/pump.h"
#include "object/source.h"
#include "role/target/objects.h"

namespace etlnode {

// --- at the former owner

struct given_content {
    store *objects;
    const store_object *object;
};

static void release_content(void *arg, error)
{
    std::unique_ptr<given_content> given(static_cast<given_content *>(arg));
    store_release(*given->objects, given->object);
}

struct given_part {
    target *t;
    exchange *x;
    http_range range;
};

static void give(const given_part &part, const store_object *object)
{
    store &objects = *part.t->objects;
    uint64_t size = object->row.size;
    answer a;
    a.content_type = "application/octet-stream";
    uint64_t first = 0;
    uint64_t count = size;
    if (part.range.kind == http_range_kind::part) {
        first = part.range.first;
        count = part.range.count;
        a.status = 206;
        http_write_header(a.headers, "Content-Range",
            "bytes " + std::to_string(first) + "-" + std::to_string(first + count - 1) + "/" + std::to_string(size));
    }
    auto *given = new given_content{&objects, object};
    if (object->file != nullptr)
        exchange_answer_file(*part.x, std::move(a), object->file, first, count, release_content, given);
    else
        exchange_answer_view(*part.x, std::move(a), std::string_view(object->content).substr(first, count), release_content, given);
}

static void on_first_block(void *arg, error err, const store_object *object)
{
    std::unique_ptr<given_part> part(static_cast<given_part *>(arg));
    target &t = *part->t;
    if (err)
        exchange_answer_error(*part->x, err.code, "t[" + t.id + "]: the content cannot be given: " + error_text(err));
    else
        give(*part, object);
    open_count_end(t.store_calls);
}

void target_give_content(target &t, exchange &x, const store_object *object)
{
    given_part part{&t, &x, http_range_parse(http_head_get(exchange_head(x), "Range"), object->row.size)};
    if (part.range.kind == http_range_kind::unsatisfiable) {
        store_release(*t.objects, object);
        exchange_answer_error(x, error_code::bad_range, "t[" + t.id + "]: the content has no such part");
        return;
    }
    uint64_t first = part.range.kind == http_range_kind::part ? part.range.first : 0;
    if (object->file == nullptr || store_is_checked(*t.objects, object, first)) {
        give(part, object);
        return;
    }
    open_count_begin(t.store_calls);
    store_check(*t.objects, object, first, on_first_block, new given_part(part));
}

// --- at the owner

static constexpr unsigned tries_max = 3;

struct unmoved_read {
    object_request r;
    index_row row;
    std::string giver;
    http_range range;
    uint64_t size = 0; // of the bytes that are asked for
    source from = {};
    sink to = {};
};

static void end_read(unmoved_read *u)
{
    target &t = *u->r.t;
    source_close(u->from);
    delete u;
    open_count_end(t.requests);
}

static void refuse(unmoved_read *u, error_code code, const std::string &why)
{
    const object_request &r = u->r;
    r.t->metrics.get_errors++;
    exchange_answer_error(*r.x, code, lesson_refusal(*r.t, r.bucket, r.name, why));
    end_read(u);
}

// The content was moved or overwritten meanwhile, or the epoch has changed.
static void read_again(unmoved_read *u)
{
    if (++u->r.tries >= tries_max) {
        refuse(u, error_code::unavailable, "its content vanished again and again while it was asked for");
        return;
    }
    object_read_moving(object_request(u->r));
    end_read(u);
}

static void on_pumped(void *arg, error err, uint64_t bytes)
{
    auto *u = static_cast<unmoved_read *>(arg);
    if (!err && bytes == u->size) {
        sink_commit_now(u->to);
        end_read(u);
        return;
    }
    if (err.code != error_code::canceled) // the client has not gone
        LOG(warn, "placement", "peer=%s object=\"%s\" error=\"%s\" msg=\"a content that was passed on broke off\"", u->giver.c_str(),
            text_escape(u->r.bucket + "/" + u->r.name).c_str(), error_text(err));
    sink_abandon(u->to); // the client sees that it is cut
    end_read(u);
}

static void pass_on(unmoved_read *u, call &c)
{
    target &t = *u->r.t;
    u->from = source_call(c, intra_call_timeout_ms);
    u->to = sink_client(*u->r.x);
    uint64_t first = 0;
    answer a = object_answer_head(u->r, u->row, u->range, first, u->size);
    http_write_header(a.headers, "Content-Type", a.content_type);
    t.metrics.get_count++;
    t.metrics.get_bytes += u->size;
    sink_begin(u->to, {.size = u->size, .status = a.status, .headers = std::move(a.headers)});
    pump_options options;
    options.source_timeout_ms = intra_call_timeout_ms;
    options.sink_timeout_ms = body_stall_timeout_ms;
    options.has_length = true;
    options.length = u->size;
    options.on_done = on_pumped;
    options.arg = u;
    pump_start(*t.e, sink_stream(u->to), u->from.from, std::move(options));
}

static void on_head(void *arg, call &c, const http_head &head)
{
    auto *u = static_cast<unmoved_read *>(arg);
    bool is_part = u->range.kind == http_range_kind::part;
    if (head.status == (is_part ? 206 : 200) && head.has_length && head.length == u->size) {
        pass_on(u, c);
        return;
    }
    int status = head.status;
    call_close(c);
    std::string why;
    if (status == 404 || status == 409) {
        read_again(u);
    } else if (status == 200 && is_part) { // a node of a former version gives no parts
        u->r.brings_all = true;
        read_again(u);
    } else {
        error err = lesson_judge_giver(u->giver, status, why);
        refuse(u, err.code, why);
    }
}

static void on_failed(void *arg, call &, error err, int, std::string)
{
    auto *u = static_cast<unmoved_read *>(arg);
    refuse(u, error_code::unavailable, "target " + u->giver + " has it and cannot be reached: " + error_text(err));
}

void object_read_unmoved(object_request &&r, const lesson &learnt)
{
    target &t = *r.t;
    const index_row &row = learnt.best;
    if (exchange_head(*r.x).method == "HEAD") {
        object_answer_properties(r, row);
        return;
    }
    http_range range = object_range_of(r, row);
    if (range.kind == http_range_kind::unsatisfiable) {
        object_answer_bad_range(r, row.size);
        return;
    }
    open_count_begin(t.requests);
    auto *u = new unmoved_read{.r = std::move(r), .row = row, .giver = learnt.best_at, .range = range};
    u->size = range.kind == http_range_kind::part ? range.count : row.size;
    const cluster_node *node = document_find_node(t.document, u->giver);
    const cluster_bucket *bucket = document_find_bucket(t.document, u->r.bucket);
    if (node == nullptr || bucket == nullptr) {
        read_again(u);
        return;
    }
    call_options asking = target_peer_call(
        t, *node, "GET", lesson_question_target(t, u->r.bucket, u->r.name, bucket->created_ns) + "&version=" + std::to_string(row.version));
    if (range.kind == http_range_kind::part)
        http_write_header(
            asking.headers, "Range", "bytes=" + std::to_string(range.first) + "-" + std::to_string(range.first + range.count - 1));
    asking.on_head = on_head;
    asking.on_done = on_failed;
    asking.arg = u;
    target_start_peer_call(t, std::move(asking));
}

} // namespace etlnode
