// SPDX-License-Identifier: MIT
// role/target/objects.cc: serves the objects of a target to clients: /v1/objects.
//
// Knows    store, transfer, control, http.   Known by  routes.cc.
#include <algorithm>
#include <array>
#include <memory>

#include "aistore/object_query.h"
#include "aistore/upload_name.h"
#include "base/limits.h"
#include "base/text.h"
#include "codec/content_guard.h"
#include "codec/http_write.h"
#include "codec/url.h"
#include "control/peer.h"
#include "port/clock.h"
#include "role/shared/hints.h"
#include "role/target/archive_append.h"
#include "role/target/archives.h"
#include "role/target/copies.h"
#include "role/target/moves.h"
#include "role/target/object_actions.h"
#include "role/target/objects.h"
#include "role/target/rebalance.h"
#include "role/target/uploads.h"
#include "store/object_extras.h"
#include "store/object_name.h"
#include "transfer/pipeline.h"
#include "transfer/upload_machine.h"

namespace etlnode {

static std::string node_prefix(const target &t) { return "t[" + t.id + "]: "; }

// --- GET and HEAD

// A client is sent on to the owner; a pod gets the object through this target.
static void answer_elsewhere(const object_request &r, const cluster_node &owner)
{
    if (r.for_pod)
        target_forward_read(*r.t, *r.x, owner, r.bucket, r.name);
    else
        target_send_on(*r.t, *r.x, owner);
}

static void on_object(void *arg, error err, const store_object *object)
{
    std::unique_ptr<object_request> r(static_cast<object_request *>(arg));
    open_count_end(r->t->store_calls);
    // The placement may have changed since the lookup began. What was brought here in this one may have been given away in the next.
    bool is_in_doubt = err.code == error_code::object_not_found && target_must_learn(*r->t, r->bucket, r->name) &&
                       r->epoch != document_epoch(r->t->document);
    if (is_in_doubt) {
        object_read_moving(std::move(*r));
        return;
    }
    const cluster_node *owner = err.code == error_code::object_not_found ? target_owner_elsewhere(*r->t, r->bucket, r->name) : nullptr;
    if (owner != nullptr)
        answer_elsewhere(*r, *owner);
    else if (err)
        object_answer_missing(*r, err);
    else
        object_answer_found(*r, object);
}

static void load_and_answer(object_request &&r)
{
    store *objects = r.t->objects;
    open_count_begin(r.t->store_calls);
    r.epoch = document_epoch(r.t->document);
    std::string bucket = r.bucket;
    std::string name = r.name;
    store_get(*objects, std::move(bucket), std::move(name), on_object, new object_request(std::move(r)));
}

static void on_brought(void *arg, const lesson &learnt)
{
    std::unique_ptr<object_request> r(static_cast<object_request *>(arg));
    const cluster_node *owner = learnt.err ? target_owner_elsewhere(*r->t, r->bucket, r->name) : nullptr;
    if (owner != nullptr)
        answer_elsewhere(*r, *owner);
    else if (learnt.err)
        exchange_answer_error(*r->x, learnt.err.code, learnt.text);
    else if (!learnt.best_at.empty())
        object_read_unmoved(std::move(*r), learnt);
    else if (learnt.here.version == 0 || learnt.here.is_tombstone)
        object_answer_missing(*r, make_error(error_code::object_not_found));
    else
        load_and_answer(std::move(*r));
}

// While objects move, only the owner answers, and only with the newest copy that any target has.
void object_read_moving(object_request &&r)
{
    target &t = *r.t;
    if (const cluster_node *owner = target_owner_elsewhere(t, r.bucket, r.name)) {
        answer_elsewhere(r, *owner);
        return;
    }
    const store_object *hot = store_peek(*t.objects, r.bucket, r.name);
    if (hot != nullptr && target_row_is_newest(t, r.bucket, r.name, hot->row.tag)) {
        object_answer_found(r, hot);
        return;
    }
    if (hot != nullptr)
        store_release(*t.objects, hot);
    // To bring a small content here takes no longer than to pass it through, and the next reader finds it.
    static constexpr uint64_t brought_size_max = put_buffer_size;
    uint64_t brought_max = exchange_head(*r.x).method == "HEAD" ? 0 : r.brings_all ? UINT64_MAX : brought_size_max;
    auto *waiting = new object_request(std::move(r));
    target_learn(t, {waiting->bucket, waiting->name, true, {}, 0, 0, brought_max}, on_brought, waiting);
}

void object_serve_read(object_request &&r)
{
    if (target_must_learn(*r.t, r.bucket, r.name)) {
        object_read_moving(std::move(r));
        return;
    }
    const store_object *hot = store_peek(*r.t->objects, r.bucket, r.name);
    if (hot != nullptr)
        object_answer_found(r, hot);
    else
        load_and_answer(std::move(r));
}

bool target_serves_clients(const target &t)
{
    static constexpr uint64_t moment_ms = 250;
    return t.last_client_ms != 0 && clock_now_ms(*t.e) - t.last_client_ms < moment_ms;
}

// --- PUT and DELETE

void target_note_put(void *arg, error err, uint64_t bytes)
{
    target &t = *static_cast<target *>(arg);
    open_count_end(t.store_calls);
    if (err) {
        t.metrics.put_errors++;
        return;
    }
    t.metrics.put_count++;
    t.metrics.put_bytes += bytes;
    target_space_note_written(t, bytes);
}

// What another target says that the object was made from, and what it kept beside the content.
static void read_extras(const object_request &r, object_extras &out_extras)
{
    const http_head &head = exchange_head(*r.x);
    std::string kept;
    if (!peer_shows_secret(r.t->options.cluster_secret, *r.x))
        return;
    if (std::string_view given = http_head_get(head, header_extras); !given.empty() && base64_decode(given, kept))
        out_extras = object_extras_parse(kept);
    out_extras.made_from = http_head_get(head, header_made_from);
}

// The checksum that the client sends with the content. False: it is none, and the request has been answered.
static bool read_checksum(const object_request &r, upload_options &options, object_extras &out_extras)
{
    const http_head &head = exchange_head(*r.x);
    std::string type = text_lower(http_head_get(head, header_checksum_type));
    std::string_view value = http_head_get(head, header_checksum_value);
    if (type.empty() && !value.empty()) {
        exchange_answer_error(*r.x, error_code::bad_request,
            std::string(header_checksum_value) + " is given without " + std::string(header_checksum_type) + ": which type is it?");
        return false;
    }
    if (type.empty() || type == "none" || value.empty())
        return true;
    if (type == checksum_type_xxhash2) {
        options.has_expected_checksum = text_parse_hex_u64(value, options.expected_checksum) && value.size() <= 16;
        if (!options.has_expected_checksum)
            exchange_answer_error(*r.x, error_code::bad_request, "checksum value \"" + text_escape(value, 32) + "\" is not 16 hex digits");
        return options.has_expected_checksum;
    }
    auto digest = std::make_unique<upload_digest>();
    digest->computed = content_digest_begin(type);
    digest->type = type;
    digest->given = text_lower(value);
    if (!digest->computed) {
        exchange_answer_error(*r.x, error_code::bad_request,
            "checksum type \"" + text_escape(type, 32) + "\" is not supported: expected " + std::string(checksum_type_xxhash2) + ", " +
                content_digest_types());
        return false;
    }
    size_t size = content_digest_size(*digest->computed);
    if (digest->given.size() != size || digest->given.find_first_not_of("0123456789abcdef") != std::string::npos) {
        exchange_answer_error(*r.x, error_code::bad_request,
            "checksum value \"" + text_escape(value, 32) + "\" is not " + std::to_string(size) + " hex digits");
        return false;
    }
    out_extras.checksum_type = digest->type;
    out_extras.checksum_value = digest->given;
    options.digest = std::move(digest);
    return true;
}

static void serve_put(object_request &&r)
{
    const http_head &head = exchange_head(*r.x);
    upload_options options;
    options.bucket = r.bucket;
    options.name = r.name;
    options.node_id = r.t->id;
    options.bucket_created_ns = document_find_bucket(r.t->document, r.bucket)->created_ns;
    options.is_bucket_there = target_has_bucket;
    options.on_end = target_note_put;
    options.arg = r.t;
    object_extras extras;
    read_extras(r, extras);
    bool by_job = !extras.made_from.empty();
    options.gate = target_put_gate(by_job);
    if (std::string why = target_move_text(*r.t, r.bucket, by_job); !why.empty()) {
        exchange_answer_error(*r.x, error_code::conflict, why);
        return;
    }
    if (!read_checksum(r, options, extras))
        return;
    if (std::string kept = object_extras_print(extras); !kept.empty())
        options.custom = std::make_unique<std::string>(std::move(kept));
    std::string ignored, member;
    if (url_query_get(head.query, "archpath", member)) {
        target_append_member(std::move(r), member);
        return;
    }
    if (url_query_get(head.query, query_upload_id, ignored) || url_query_get(head.query, query_append_type, ignored)) {
        target_take_part(std::move(r), std::move(options));
        return;
    }
    std::string why;
    if (!target_space_admits(*r.t, r.bucket, r.name, head.length, why)) {
        r.t->metrics.put_errors++;
        exchange_answer_error(*r.x, error_code::no_space, why);
        return;
    }
    uint64_t pause_ms = 0; // a transform may pause for longer than a client may
    if (peer_shows_secret(r.t->options.cluster_secret, *r.x) && text_parse_u64(http_head_get(head, header_pause), pause_ms))
        exchange_set_body_patience(*r.x, body_stall_timeout_ms + std::min(pause_ms, obj_timeout_max_ms));
    open_count_begin(r.t->store_calls);
    upload_begin(*r.t->objects, *r.x, std::move(options));
}

static void answer_removed(const object_request &r, error err, const std::string &text)
{
    if (err) {
        r.t->metrics.delete_errors++;
        exchange_answer_error(*r.x, err.code, text.empty() ? object_failure_text(r, err) : text);
        return;
    }
    r.t->metrics.delete_count++;
    exchange_answer(*r.x, answer{});
}

static void on_removed(void *arg, error err)
{
    std::unique_ptr<object_request> r(static_cast<object_request *>(arg));
    open_count_end(r->t->store_calls);
    if (!err && !target_has_lease(*r->t))
        answer_removed(*r, make_error(error_code::unavailable), target_lease_text(*r->t));
    else
        answer_removed(*r, err, {});
}

static void on_removed_moving(void *arg, error err, const std::string &text)
{
    std::unique_ptr<object_request> r(static_cast<object_request *>(arg));
    answer_removed(*r, err, text);
}

static void serve_delete(object_request &&r)
{
    if (std::string id; url_query_get(exchange_head(*r.x).query, query_upload_id, id)) {
        target_abort_upload(std::move(r));
        return;
    }
    if (std::string why = target_move_text(*r.t, r.bucket, false); !why.empty()) {
        exchange_answer_error(*r.x, error_code::conflict, why);
        return;
    }
    if (target_must_learn(*r.t, r.bucket, r.name)) {
        auto *waiting = new object_request(std::move(r));
        target_delete_moving(*waiting->t, waiting->bucket, waiting->name, on_removed_moving, waiting);
        return;
    }
    store *objects = r.t->objects;
    open_count_begin(r.t->store_calls);
    std::string bucket = r.bucket;
    std::string name = r.name;
    store_remove(*objects, std::move(bucket), std::move(name), on_removed, new object_request(std::move(r)));
}

// --- paths

bool object_split_names(std::string_view path, std::string_view &bucket, std::string_view &name)
{
    size_t slash = path.find('/');
    if (slash == std::string_view::npos)
        return false;
    bucket = path.substr(0, slash);
    name = path.substr(slash + 1);
    return true;
}

// How the document of the target that sends this request relates to this one's. A client sends none: `equal`.
static document_relation relation_of_sender(const object_request &r)
{
    document_identity sender;
    std::string_view given = http_head_get(exchange_head(*r.x), header_document);
    if (!peer_shows_secret(r.t->options.cluster_secret, *r.x) || !document_identity_parse(given, sender))
        return document_relation::equal;
    return document_relate(sender, r.t->document);
}

// The sender's document has the bucket. Only if that document is not newer is the bucket really gone.
static void answer_bucket_missing(const object_request &r)
{
    switch (relation_of_sender(r)) {
    case document_relation::newer:
        exchange_answer_error(*r.x, error_code::unavailable,
            node_prefix(*r.t) + "bucket ais://" + r.bucket +
                " is not known here yet: this target's cluster document is older than the sender's");
        return;
    case document_relation::diverged:
        exchange_answer_error(*r.x, error_code::diverged,
            node_prefix(*r.t) + "bucket ais://" + r.bucket +
                " is not known here: the cluster documents of sender and receiver have diverged");
        return;
    case document_relation::equal:
    case document_relation::ancestor: break;
    }
    std::vector<std::string_view> names;
    for (const cluster_bucket &bucket : r.t->document.buckets)
        names.push_back(bucket.name);
    exchange_answer_error(*r.x, error_code::bucket_not_found, hint_bucket_missing(r.bucket, names));
}

bool object_check_names(const object_request &r)
{
    const char *wrong = object_name_check_bucket(r.bucket);
    if (wrong != nullptr) {
        exchange_answer_error(*r.x, error_code::bad_name, "bucket name \"" + text_escape(r.bucket, 100) + "\": " + wrong);
        return false;
    }
    wrong = object_name_check(r.name);
    if (wrong != nullptr) {
        exchange_answer_error(*r.x, error_code::bad_name, "object name \"" + text_escape(r.name, 100) + "\": " + wrong);
        return false;
    }
    if (document_find_bucket(r.t->document, r.bucket) == nullptr) {
        answer_bucket_missing(r);
        return false;
    }
    if (std::string why = target_emptying_text(*r.t, r.bucket); !why.empty()) {
        exchange_answer_error(*r.x, error_code::unavailable, why);
        return false;
    }
    return true;
}

static bool is_redirected(const http_head &head)
{
    std::string proxy_id;
    std::string unix_ns;
    return url_query_get(head.query, query_proxy_id, proxy_id) && url_query_get(head.query, query_unix_ns, unix_ns) && !proxy_id.empty() &&
           !unix_ns.empty();
}

// Whether the ETL may exist; otherwise the request has been answered.
static bool admit_etl(target &t, exchange &x, const std::string &etl, const char *suffix = "")
{
    if (t.transfers == nullptr) {
        exchange_answer_error(x, error_code::not_ready, "the target has not joined its cluster yet");
        return false;
    }
    const cluster_etl *asked = document_find_etl(t.document, etl);
    etl_view view;
    bool runs_here = etl_registry_find(*t.etls, etl, view); // possible before the document that contains it has arrived
    if (asked == nullptr && !runs_here) {
        std::vector<std::string_view> names;
        for (const cluster_etl &known : t.document.etls)
            names.push_back(known.id);
        exchange_answer_error(x, error_code::etl_not_found, hint_etl_missing(etl, names) + suffix);
        return false;
    }
    if (!t.was_accepted) {
        exchange_answer_error(x, error_code::not_ready,
            "target " + t.id + " has started and the proxy has not accepted it yet: it uses no pods until then. Plain objects are served");
        return false;
    }
    if (asked != nullptr && asked->stage == etl_stage::aborted && !runs_here) {
        exchange_answer_error(
            x, error_code::etl_not_found, "etl job " + etl + " does not exist now: it is stopped, and can be started again");
        return false;
    }
    return true;
}

// AIStore's clients look for "entry not found".
static bool admit_etls(target &t, exchange &x, const object_query &asks)
{
    if (asks.transform != object_transform::none && !admit_etl(t, x, asks.etl))
        return false;
    for (const std::string &etl : asks.pipeline) {
        if (!admit_etl(t, x, etl, ": etl_pipeline: entry not found"))
            return false;
    }
    return true;
}

// A read through an ETL, or a copy: the object comes here first, if another target still has it.
struct transformed_read {
    object_request r;
    object_query asks;
};

static void begin_transformed(transformed_read &&read)
{
    object_request &r = read.r;
    if (read.asks.is_kept) {
        target_begin_copy(*r.t, *r.x, std::move(r.bucket), std::move(r.name), read.asks);
        return;
    }
    const http_head &head = exchange_head(*r.x);
    target_begin_transfer(*r.t,
        {.x = r.x,
            .asked = &head,
            .query = head.query,
            .bucket = std::move(r.bucket),
            .name = std::move(r.name),
            .etl = read.asks.etl,
            .by_name = read.asks.transform == object_transform::by_name,
            .to = sink_client(*r.x)},
        read.asks.pipeline);
}

static void on_source_brought(void *arg, const lesson &learnt)
{
    std::unique_ptr<transformed_read> read(static_cast<transformed_read *>(arg));
    object_request &r = read->r;
    const cluster_node *owner = learnt.err ? target_owner_elsewhere(*r.t, r.bucket, r.name) : nullptr;
    if (owner != nullptr)
        target_send_on(*r.t, *r.x, *owner);
    else if (learnt.err)
        exchange_answer_error(*r.x, learnt.err.code, learnt.text);
    else
        begin_transformed(std::move(*read));
}

static void serve_transformed(transformed_read &&read)
{
    object_request &r = read.r;
    if (!target_must_learn(*r.t, r.bucket, r.name)) {
        begin_transformed(std::move(read));
        return;
    }
    auto *waiting = new transformed_read(std::move(read));
    target_bring_here(*waiting->r.t, waiting->r.bucket, waiting->r.name, on_source_brought, waiting);
}

// Only the owner changes an object or reads it through an ETL. A plain read finds that out itself, when it finds nothing; but what was
// found here of others is served to nobody.
static bool is_sent_on(const object_request &r, bool is_plain_read)
{
    if (is_plain_read && !found_any(*r.t))
        return false;
    const cluster_node *owner = target_owner_elsewhere(*r.t, r.bucket, r.name);
    if (owner != nullptr)
        target_send_on(*r.t, *r.x, *owner);
    return owner != nullptr;
}

static void serve_object(target &t, exchange &x, const route_match &)
{
    const http_head &head = exchange_head(x);
    if (!lifecycle_has_joined(t.life)) {
        exchange_answer_error(x, error_code::not_ready, "the target has not joined its cluster yet");
        return;
    }
    if (std::string why = target_misfit_text(t); !why.empty()) {
        exchange_answer_error(x, error_code::not_ready, why);
        return;
    }
    object_request r{&t, &x, {}, {}, false};
    std::string_view raw_bucket, raw_name;
    std::string_view rest = head.path.size() > path_objects.size() + 1 ? head.path.substr(path_objects.size() + 1) : std::string_view();
    if (!object_split_names(rest, raw_bucket, raw_name) || !url_decode(raw_bucket, r.bucket) || !url_decode(raw_name, r.name)) {
        exchange_answer_error(
            x, error_code::bad_request, "expected /v1/objects/BUCKET/OBJECT, percent-encoded once, and no NUL byte in it");
        return;
    }
    bool reads = head.method == "GET" || head.method == "HEAD";
    if (!reads && !is_redirected(head)) {
        exchange_answer_error(x, error_code::not_redirected,
            node_prefix(t) + std::string(head.method) + " is expected to be redirected here by the proxy: send it to the proxy");
        return;
    }
    if (!object_check_names(r) || !target_knows_placement(t, x))
        return;
    if (!http_head_has(head, header_cluster_secret)) // another target works for a job
        t.last_client_ms = clock_now_ms(*t.e);
    object_query asks;
    std::string wrong_query;
    if (error err = object_query_read(head.query, object_use_of(head.method), asks, wrong_query)) {
        exchange_answer_error(x, err.code, wrong_query);
        return;
    }
    if (std::string wrong = reads ? std::string() : upload_query_misfit(head.method, head.query); !wrong.empty()) {
        exchange_answer_error(x, error_code::bad_request, wrong);
        return;
    }
    bool is_of_upload = !reads && target_is_of_upload(t, x);
    if (!is_of_upload && is_sent_on(r, reads && asks.transform == object_transform::none))
        return;
    if (!admit_etls(t, x, asks))
        return;
    if ((!reads || asks.is_kept) && !target_has_lease(t)) {
        exchange_answer_error(x, error_code::unavailable, target_lease_text(t));
        return;
    }
    bool is_in_archive = !asks.member.empty() || !asks.pattern.empty();
    if (is_in_archive && head.method == "HEAD") {
        exchange_answer_error(x, error_code::not_implemented, "HEAD of a member of an archive is not implemented");
    } else if (is_in_archive && http_head_has(head, "Range")) {
        exchange_answer_error(
            x, error_code::bad_range, "a byte range of a member of an archive is not served: ask for all of it, without Range");
    } else if (is_in_archive) {
        target_read_archive(std::move(r), asks);
    } else if (asks.is_kept || asks.transform != object_transform::none) {
        serve_transformed({std::move(r), asks});
    } else if (reads) {
        object_serve_read(std::move(r));
    } else if (head.method == "PUT") {
        serve_put(std::move(r));
    } else if (head.method == "DELETE") {
        serve_delete(std::move(r));
    } else {
        target_begin_action(std::move(r));
    }
}

static void serve_object_missing(target &, exchange &x, const route_match &) { route_answer_object_missing(x); }
static void serve_not_implemented(target &, exchange &x, const route_match &match) { route_answer_not_implemented(x, *match.found); }

// --- routes

static constexpr route rows[] = {
    ROUTE("GET", "/v1/objects/{bucket}/{object...}", serve_object, "its content, or transformed with `?uuid=` or `?etl_name=`"),
    ROUTE("HEAD", "/v1/objects/{bucket}/{object...}", serve_object, "its properties"),
    ROUTE("PUT", "/v1/objects/{bucket}/{object...}", serve_object,
        "store the object; with `?object_to=` keep a copy of it, or with `etl_name` too its transform, under another name"),
    ROUTE("DELETE", "/v1/objects/{bucket}/{object...}", serve_object, "remove the object"),
    ROUTE("PATCH", "/v1/objects/{bucket}/{object...}", serve_object, "changes the metadata that the user gave it"),
    ROUTE("POST", "/v1/objects/{bucket}/{object...}", serve_object, "an action on it: `rename-obj`, `check-lock`"),
    ROUTE("GET", "/v1/objects/{bucket}", serve_object_missing, "400: no object name"),
    ROUTE("HEAD", "/v1/objects/{bucket}", serve_object_missing, "400: no object name"),
    ROUTE("PUT", "/v1/objects/{bucket}", serve_object_missing, "400: no object name"),
    ROUTE("DELETE", "/v1/objects/{bucket}", serve_object_missing, "400: no object name"),
    ROUTE("POST", "/v1/objects/{bucket}", serve_not_implemented, "501: promote and the like"),
};
extern constinit const std::span<const route> target_object_routes = rows;

} // namespace etlnode
