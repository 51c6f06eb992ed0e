// SPDX-License-Identifier: MIT
// role/target/objects_moving.cc: requests for objects while they move between targets, and requests that reach another target than the
// owner.
//
// Owns     one moving_request, or one forwarded_read, a request.
// Knows    lesson.cc, gate.cc, control/placement_epochs, http.        Known by  objects.cc.
// Normal   a client at the wrong target is sent on to the owner; a pod, which cannot follow, gets the object through this target. The owner
//          fetches an object that a former owner still has, stores it, and then serves it like any other.
// Fails    503: a former owner that may have the object cannot be reached.
#include <memory>

#include "base/limits.h"
#include "base/text.h"
#include "codec/http_write.h"
#include "codec/url.h"
#include "control/member_machine.h"
#include "control/placement.h"
#include "control/placement_epochs.h"
#include "http/pump.h"
#include "node/api.h"
#include "object/source.h"
#include "role/target/moves.h"

namespace etlnode {

// --- at another target than the owner

bool target_knows_placement(target &t, exchange &x)
{
    std::string given;
    uint64_t epoch = 0;
    if (!url_query_get(exchange_head(x).query, query_placement, given) || !text_parse_u64(given, epoch) ||
        epoch <= document_epoch(t.document))
        return true;
    if (t.membership != nullptr)
        member_beat_now(*t.membership); // the answer brings the document
    exchange_answer_error(x, error_code::unavailable,
        text_format("target %s has not heard of placement %llu yet", t.id.c_str(), static_cast<unsigned long long>(epoch)));
    return false;
}

void target_send_on(const target &t, exchange &x, const cluster_node &owner)
{
    const http_head &head = exchange_head(x);
    answer a;
    a.status = head.method == "GET" ? 301 : 307;
    std::string query = url_query_without(head.query, {query_placement});
    std::string location = owner.url + std::string(head.path) + "?" + query + (query.empty() ? "" : "&") + std::string(query_placement) +
                           "=" + std::to_string(document_epoch(t.document));
    http_write_header(a.headers, "Location", location);
    if (a.status == 301)
        http_write_header(a.headers, "Cache-Control", "no-store");
    exchange_answer(x, std::move(a));
}

std::string target_address_at(const target &t, const cluster_node &owner, const std::string &bucket, const std::string &name)
{
    std::string proxy_id;
    for (const cluster_node &node : t.document.nodes)
        proxy_id = node.is_target ? proxy_id : node.id;
    return owner.url + std::string(path_objects) + "/" + url_encode(bucket) + "/" + url_encode_path(name) + "?" +
           std::string(query_proxy_id) + "=" + proxy_id + "&" + std::string(query_unix_ns) + "=" + std::to_string(clock_wall_ns(*t.e)) +
           "&" + std::string(query_placement) + "=" + std::to_string(document_epoch(t.document));
}

struct forwarded_read {
    target *t = nullptr;
    exchange *x = nullptr;
    std::string owner_id;
    source from;
    sink to;
};

static void end_read(forwarded_read *r)
{
    target &t = *r->t;
    source_close(r->from);
    delete r;
    open_count_end(t.requests);
}

static void on_read_pumped(void *arg, error err, uint64_t)
{
    auto *r = static_cast<forwarded_read *>(arg);
    if (err)
        sink_abandon(r->to); // the pod sees that it is cut
    else
        sink_commit_now(r->to);
    end_read(r);
}

static void on_read_head(void *arg, call &c, const http_head &head)
{
    auto *r = static_cast<forwarded_read *>(arg);
    r->from = source_call(c, peer_patience_ms);
    r->to = sink_client(*r->x);
    std::string headers;
    for (std::string_view name : {std::string_view("Content-Range"), std::string_view("Content-Type"), std::string_view("ETag"),
             std::string_view("version"), header_version, header_checksum_type, header_checksum_value, header_atime}) {
        if (std::string_view value = http_head_get(head, name); !value.empty())
            http_write_header(headers, name, value);
    }
    uint64_t size = head.chunked ? stream_size_unknown : head.length;
    if (exchange_head(*r->x).method == "HEAD") {
        sink_head whole{.size = size, .status = head.status, .headers = std::move(headers), .is_bodyless = true};
        std::string none;
        sink_answer(r->to, whole, none);
        sink_commit_now(r->to);
        end_read(r);
        return;
    }
    sink_begin(r->to, {.size = size, .status = head.status, .headers = std::move(headers)});
    pump_options options;
    options.source_timeout_ms = peer_patience_ms;
    options.has_length = size != stream_size_unknown;
    options.length = options.has_length ? size : 0;
    options.on_done = on_read_pumped;
    options.arg = r;
    pump_start(*r->t->e, sink_stream(r->to), r->from.from, std::move(options));
}

static void on_read_failed(void *arg, call &, error err, int, std::string)
{
    auto *r = static_cast<forwarded_read *>(arg);
    exchange_answer_error(
        *r->x, error_code::unavailable, "target " + r->owner_id + ", which has the object, cannot be reached: " + error_text(err));
    end_read(r);
}

void target_forward_read(target &t, exchange &x, const cluster_node &owner, const std::string &bucket, const std::string &name)
{
    auto *r = new forwarded_read{&t, &x, owner.id, {}, {}};
    open_count_begin(t.requests);
    const http_head &head = exchange_head(x);
    call_options options = target_peer_call(t, owner, std::string(head.method),
        std::string(path_objects) + "/" + url_encode(bucket) + "/" + url_encode_path(name) + "?" + std::string(query_placement) + "=" +
            std::to_string(document_epoch(t.document)));
    if (std::string_view range = http_head_get(head, "Range"); !range.empty())
        http_write_header(options.headers, "Range", range);
    options.on_head = on_read_head;
    options.on_done = on_read_failed;
    options.arg = r;
    call_start(*t.client, std::move(options));
}

// --- at the owner: first the object comes here

static bool is_object(const index_row &row) { return row.version > 0 && !row.is_tombstone; }

void target_bring_here(target &t, const std::string &bucket, const std::string &name, lesson_on_learnt on_here, void *arg)
{
    target_learn(t, {bucket, name, true, {}}, on_here, arg);
}

// --- DELETE

struct moving_delete {
    target *t = nullptr;
    std::string bucket, name;
    bool was_there = false;
    void (*on_done)(void *arg, error err, const std::string &text) = nullptr;
    void *arg = nullptr;
};

static void finish_delete(moving_delete *d, error err, const std::string &text)
{
    target &t = *d->t;
    auto on_done = d->on_done;
    void *arg = d->arg;
    delete d;
    on_done(arg, err, text);
    open_count_end(t.store_calls);
}

static void on_buried(void *arg, error err, const index_change &)
{
    auto *d = static_cast<moving_delete *>(arg);
    if (!target_has_lease(*d->t))
        finish_delete(d, make_error(error_code::unavailable), target_lease_text(*d->t));
    else
        finish_delete(d, err || d->was_there ? err : make_error(error_code::object_not_found), {});
}

static void on_delete_learnt(void *arg, const lesson &learnt)
{
    auto *d = static_cast<moving_delete *>(arg);
    target &t = *d->t;
    if (learnt.err) {
        finish_delete(d, learnt.err.code == error_code::other_epoch ? make_error(error_code::unavailable) : learnt.err, learnt.text);
        return;
    }
    if (!target_has_lease(t)) {
        finish_delete(d, make_error(error_code::unavailable), target_lease_text(t));
        return;
    }
    if (std::string why = target_move_text(t, d->bucket, false); !why.empty()) {
        finish_delete(d, make_error(error_code::conflict), why);
        return;
    }
    d->was_there = is_object(learnt.best);
    bool is_lost = document_has_lost_owner(t.document, placement_uname_digest(d->bucket, d->name));
    if (!d->was_there && !is_lost) {
        finish_delete(d, make_error(error_code::object_not_found), {});
        return;
    }
    index_change change;
    change.what = index_change::kind::remove;
    change.row.bucket = d->bucket;
    change.row.name = d->name;
    change.row.tag = document_epoch(t.document);
    change.leaves_tombstone = is_lost || placement_is_moving(t.document.placement);
    change.version_above = lesson_version_above(t, learnt);
    store_change(*t.objects, std::move(change), on_buried, d);
}

void target_delete_moving(target &t, const std::string &bucket, const std::string &name,
    void (*on_done)(void *arg, error err, const std::string &text), void *arg)
{
    open_count_begin(t.store_calls);
    target_learn(t, {bucket, name, false, {}}, on_delete_learnt, new moving_delete{&t, bucket, name, false, on_done, arg});
}

} // namespace etlnode
