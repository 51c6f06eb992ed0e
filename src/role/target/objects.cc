// SPDX-License-Identifier: MIT
// role/target/objects.cc: serves the objects of a target: /v1/objects for clients, /v1/etl/_object for pods.
//
// Knows    store, transfer, control, http.   Known by  routes.cc.
#include <algorithm>
#include <array>
#include <memory>

#include "aistore/object_query.h"
#include "base/limits.h"
#include "base/text.h"
#include "codec/content_guard.h"
#include "codec/http_write.h"
#include "codec/url.h"
#include "control/peer.h"
#include "port/clock.h"
#include "role/shared/hints.h"
#include "role/target/target.h"
#include "store/object_name.h"
#include "transfer/transfer.h"
#include "transfer/upload_machine.h"

namespace etlnode {

struct object_request {
    target *t;
    exchange *x;
    std::string bucket, name;
    bool for_pod = false;
    std::string etl = {}; // for_pod: the ETL whose pod reads
};

static std::string uname_of(const object_request &r) { return "ais://" + r.bucket + "/" + r.name; }

static std::string node_prefix(const target &t) { return "t[" + t.id + "]: "; }

// AIStore's clients look for "ais://B/O does not exist".
static std::string failure_text(const object_request &r, error err)
{
    if (err.code == error_code::corrupt)
        return node_prefix(*r.t) + uname_of(r) + ": data is corrupt" + (err.what != nullptr ? std::string(": ") + err.what : "");
    if (err.code != error_code::object_not_found)
        return node_prefix(*r.t) + uname_of(r) + " " + error_text(err);
    return node_prefix(*r.t) + uname_of(r) + " does not exist";
}

// --- answers with an object

struct held_object {
    store *objects;
    const store_object *object;
    transfer_pod_read *read; // null: not for a pod
};

static void release_object(void *arg, error)
{
    auto *held = static_cast<held_object *>(arg);
    store_release(*held->objects, held->object);
    if (held->read != nullptr)
        transfer_pod_read_end(held->read);
    delete held;
}

static constexpr size_t object_headers_size = 224; // bytes: the usual size of what write_object_headers writes

static void write_object_headers(std::string &out, const index_row &row, bool whole)
{
    if (whole) {
        http_write_header(out, header_checksum_type, checksum_type_xxhash2);
        http_write_header(out, header_checksum_value, text_hex(row.checksum));
    }
    http_write_header_u64(out, header_atime, row.changed_ns);
    http_write_header_u64(out, header_version, row.version);
    if (!row.etag.empty())
        http_write_header(out, "ETag", row.etag);
    out += "Accept-Ranges: bytes\r\n";
}

static void answer_bytes(const object_request &r, const store_object *object, answer a, uint64_t offset, uint64_t size)
{
    exchange &x = *r.x;
    transfer_host *transfers = r.t->transfers;
    transfer_pod_read *read = r.for_pod && transfers != nullptr ? transfer_pod_read_begin(*transfers, x, r.etl, r.bucket, r.name, size)
                                                                : nullptr;
    auto *holder = new held_object{r.t->objects, object, read};
    if (object->file != nullptr)
        exchange_answer_file(x, std::move(a), object->file, offset, size, release_object, holder);
    else
        exchange_answer_view(x, std::move(a), std::string_view(object->content).substr(offset, size), release_object, holder);
}

static http_range range_of(const object_request &r, const index_row &row)
{
    const http_head &head = exchange_head(*r.x);
    if (!http_range_counts(http_head_get(head, "If-Range"), row.etag))
        return {};
    return http_range_parse(http_head_get(head, "Range"), row.size);
}

static void answer_object(const object_request &r, const store_object *object)
{
    target &t = *r.t;
    exchange &x = *r.x;
    const index_row &row = object->row;
    http_range range = range_of(r, row);
    answer a;
    a.content_type = "application/octet-stream";
    a.headers.reserve(object_headers_size);
    content_write_guard(a.headers, a.content_type);
    if (range.kind == http_range_kind::unsatisfiable) {
        std::string headers;
        http_write_header(headers, "Content-Range", "bytes */" + std::to_string(row.size));
        std::string text = node_prefix(t) + "range not satisfiable: " + uname_of(r) + " has " + text_bytes(row.size);
        store_release(*t.objects, object); // this may free the row
        t.metrics.get_errors++;
        exchange_answer_error(x, error_code::bad_range, text, 0, std::move(headers));
        return;
    }
    uint64_t first = 0;
    uint64_t size = row.size;
    if (range.kind == http_range_kind::part) {
        first = range.first;
        size = range.count;
        a.status = 206;
        http_write_header(a.headers, "Content-Range",
            text_format("bytes %llu-%llu/%llu", static_cast<unsigned long long>(first), static_cast<unsigned long long>(first + size - 1),
                static_cast<unsigned long long>(row.size)));
    }
    write_object_headers(a.headers, row, range.kind != http_range_kind::part);
    if (r.for_pod)
        http_write_header_u64(a.headers, "version", row.version); // a transformer of 2020 uses it as the key of its cache
    t.metrics.get_count++;
    t.metrics.get_bytes += size;
    answer_bytes(r, object, std::move(a), first, size);
}

static void answer_missing(const object_request &r, error err)
{
    r.t->metrics.get_errors++;
    exchange_answer_error(*r.x, err.code, failure_text(r, err));
}

// --- HEAD

static void add_property(std::string &out, std::string_view name, const target &t, const object_request &r, const index_row &row)
{
    if (name == "name") {
        http_write_header(out, "Ais-Name", r.name);
        http_write_header(out, "Ais-Bucket-Name", r.bucket);
        http_write_header(out, "Ais-Bucket-Provider", "ais");
    } else if (name == "checksum") {
        http_write_header(out, header_checksum_type, checksum_type_xxhash2);
        http_write_header(out, header_checksum_value, text_hex(row.checksum));
    } else if (name == "version") {
        http_write_header_u64(out, header_version, row.version);
    } else if (name == "atime") {
        http_write_header_u64(out, header_atime, row.changed_ns);
    } else if (name == "copies") {
        http_write_header(out, "Ais-Mirror-Copies", "1");
        http_write_header(out, "Ais-Mirror-Paths", "[" + t.options.data_dir + "]");
    } else if (name == "location") {
        http_write_header(out, "Ais-Location", "t[" + t.id + "]:mp[" + t.options.data_dir + "]");
    } else if (name == "last-modified") {
        http_write_header(out, "Last-Modified", http_date(row.changed_ns / 1'000'000'000));
    } else if (name == "etag" && !row.etag.empty()) {
        http_write_header(out, "ETag", row.etag);
    }
}

static constexpr std::array<std::string_view, 12> property_names = {
    "name", "size", "version", "checksum", "atime", "copies", "ec", "custom", "location", "chunked", "last-modified", "etag"};

// The properties requested by ?props=, or all of them; false if the request is wrong.
static bool write_properties(std::string &out, const object_request &r, const index_row &row, std::string &out_problem)
{
    std::string asked;
    if (url_query_is_contradictory(exchange_head(*r.x).query, "props")) {
        out_problem = "the parameter props is given twice, with different values";
        return false;
    }
    if (!url_query_get(exchange_head(*r.x).query, "props", asked)) {
        for (std::string_view name : {"name", "checksum", "version", "atime", "copies", "location", "etag", "last-modified"})
            add_property(out, name, *r.t, r, row);
        return true;
    }
    std::string_view rest = asked;
    while (!rest.empty()) {
        size_t comma = rest.find(',');
        std::string_view name = text_trim(rest.substr(0, comma));
        rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
        bool known = false;
        for (std::string_view one : property_names)
            known = known || one == name;
        if (!known) {
            out_problem = "invalid property \"" + text_escape(name) + "\" in props=";
            return false;
        }
        add_property(out, name, *r.t, r, row);
    }
    return true;
}

static void answer_head_of(const object_request &r, const store_object *object)
{
    answer a;
    a.content_type = "application/octet-stream";
    std::string problem;
    uint64_t size = object->row.size;
    uint64_t version = object->row.version;
    bool known = write_properties(a.headers, r, object->row, problem);
    store_release(*r.t->objects, object);
    if (!known) {
        exchange_answer_error(*r.x, error_code::bad_request, problem);
        return;
    }
    http_write_header(a.headers, "Ais-Present", "true");
    if (r.for_pod)
        http_write_header_u64(a.headers, "version", version);
    r.t->metrics.head_count++;
    exchange_answer_head(*r.x, std::move(a), size);
}

static void on_checked(void *arg, error err, const store_object *object)
{
    std::unique_ptr<object_request> r(static_cast<object_request *>(arg));
    open_count_end(r->t->store_calls);
    if (err)
        answer_missing(*r, err);
    else
        answer_object(*r, object);
}

// Only before the first byte can a damaged block get an answer of its own, so check the first block now.
static void answer_found(const object_request &r, const store_object *object)
{
    if (exchange_head(*r.x).method == "HEAD") {
        answer_head_of(r, object);
        return;
    }
    store &objects = *r.t->objects;
    if (object->file != nullptr) {
        http_range range = range_of(r, object->row);
        uint64_t first = range.kind == http_range_kind::part ? range.first : 0;
        if (range.kind != http_range_kind::unsatisfiable && !store_is_checked(objects, object, first)) {
            open_count_begin(r.t->store_calls);
            store_check(objects, object, first, on_checked, new object_request(r));
            return;
        }
    }
    answer_object(r, object);
}

static void on_object(void *arg, error err, const store_object *object)
{
    std::unique_ptr<object_request> r(static_cast<object_request *>(arg));
    open_count_end(r->t->store_calls);
    if (err)
        answer_missing(*r, err);
    else
        answer_found(*r, object);
}

static void serve_read(object_request &&r)
{
    const store_object *hot = store_peek(*r.t->objects, r.bucket, r.name);
    if (hot != nullptr) {
        answer_found(r, hot);
        return;
    }
    store *objects = r.t->objects;
    open_count_begin(r.t->store_calls);
    std::string bucket = r.bucket;
    std::string name = r.name;
    store_get(*objects, std::move(bucket), std::move(name), on_object, new object_request(std::move(r)));
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
    std::string_view type = http_head_get(head, header_checksum_type);
    std::string_view value = http_head_get(head, header_checksum_value);
    if (!type.empty() && type != "none" && !value.empty()) {
        if (type != checksum_type_xxhash2) {
            exchange_answer_error(
                *r.x, error_code::bad_request, "checksum type \"" + text_escape(type) + "\" is not supported: expected xxhash2");
            return;
        }
        options.has_expected_checksum = text_parse_hex_u64(value, options.expected_checksum) && value.size() <= 16;
        if (!options.has_expected_checksum) {
            exchange_answer_error(*r.x, error_code::bad_request, "checksum value \"" + text_escape(value, 32) + "\" is not 16 hex digits");
            return;
        }
    }
    for (std::string_view query : {"append_type", "uploadId", "archpath"}) {
        std::string ignored;
        if (url_query_get(head.query, query, ignored)) {
            exchange_answer_error(*r.x, error_code::not_implemented, "PUT with " + std::string(query) + "= is not implemented");
            return;
        }
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

static void on_removed(void *arg, error err)
{
    std::unique_ptr<object_request> r(static_cast<object_request *>(arg));
    open_count_end(r->t->store_calls);
    if (err) {
        r->t->metrics.delete_errors++;
        exchange_answer_error(*r->x, err.code, failure_text(*r, err));
        return;
    }
    r->t->metrics.delete_count++;
    exchange_answer(*r->x, answer{});
}

static void serve_delete(object_request &&r)
{
    store *objects = r.t->objects;
    open_count_begin(r.t->store_calls);
    std::string bucket = r.bucket;
    std::string name = r.name;
    store_remove(*objects, std::move(bucket), std::move(name), on_removed, new object_request(std::move(r)));
}

// --- paths

static bool split_names(std::string_view path, std::string_view &bucket, std::string_view &name)
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

static bool check_names(object_request &r)
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
static bool admit_etl(target &t, exchange &x, const std::string &etl)
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
        exchange_answer_error(x, error_code::etl_not_found, hint_etl_missing(etl, names));
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

static void serve_object(target &t, exchange &x, const route_match &)
{
    const http_head &head = exchange_head(x);
    if (!lifecycle_has_joined(t.life)) {
        exchange_answer_error(x, error_code::not_ready, "the target has not joined its cluster yet");
        return;
    }
    object_request r{&t, &x, {}, {}, false};
    std::string_view raw_bucket, raw_name;
    std::string_view rest = head.path.size() > path_objects.size() + 1 ? head.path.substr(path_objects.size() + 1) : std::string_view();
    if (!split_names(rest, raw_bucket, raw_name) || !url_decode(raw_bucket, r.bucket) || !url_decode(raw_name, r.name)) {
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
    if (!check_names(r))
        return;
    object_query asks;
    std::string wrong_query;
    if (error err = object_query_read(head.query, object_use_of(head.method), asks, wrong_query)) {
        exchange_answer_error(x, err.code, wrong_query);
        return;
    }
    if (asks.transform != object_transform::none && !admit_etl(t, x, asks.etl))
        return;
    if (asks.is_kept) {
        target_begin_copy(t, x, std::move(r.bucket), std::move(r.name), asks);
    } else if (asks.transform != object_transform::none) {
        transfer_begin(*t.transfers, {.x = &x,
                                         .asked = &head,
                                         .query = head.query,
                                         .bucket = std::move(r.bucket),
                                         .name = std::move(r.name),
                                         .etl = asks.etl,
                                         .by_name = asks.transform == object_transform::by_name,
                                         .to = sink_client(x)});
    } else if (reads) {
        serve_read(std::move(r));
    } else if (head.method == "PUT") {
        serve_put(std::move(r));
    } else if (head.method == "DELETE") {
        serve_delete(std::move(r));
    } else {
        std::string headers;
        http_write_header(headers, "Allow", "GET, HEAD, PUT, DELETE");
        exchange_answer_error(
            x, error_code::method_not_allowed, std::string(head.method) + " is not known for objects", 0, std::move(headers));
    }
}

// GET|HEAD /v1/etl/_object/<etl>/<secret>/<object>. The object is a uname ("ais/@#/b/o") or "b/o", with slashes escaped or not. The query
// is ignored: old servers forward the client's, and it must never start a transform inside a transform.
static void serve_pod(target &t, exchange &x, const route_match &)
{
    const http_head &head = exchange_head(x);
    if (!lifecycle_has_joined(t.life) || t.etls == nullptr) {
        exchange_answer_error(x, error_code::not_ready, "the target has not joined its cluster yet");
        return;
    }
    std::string_view rest = head.path.substr(path_pod_object.size() + 1);
    size_t first = rest.find('/');
    size_t second = first == std::string_view::npos ? first : rest.find('/', first + 1);
    std::string decoded;
    if (second == std::string_view::npos || !url_decode(rest.substr(second + 1), decoded)) {
        exchange_answer_error(x, error_code::bad_request, "expected <AIS_TARGET_URL>/BUCKET/OBJECT or <AIS_TARGET_URL>/<escaped uname>");
        return;
    }
    std::string etl_id(rest.substr(0, first));
    const etl_definition *definition = target_definition_for_pod(t, etl_id);
    if (definition == nullptr) {
        exchange_answer_error(x, error_code::etl_not_found, "etl job " + text_escape(etl_id, 64) + " does not exist");
        return;
    }
    if (definition->secret.empty() || !text_equal_secret(definition->secret, rest.substr(first + 1, second - first - 1))) {
        exchange_answer_error(x, error_code::bad_request, "the secret in the URL is not that of etl job " + etl_id);
        return;
    }
    std::string_view object = decoded;
    while (object.starts_with('/'))
        object.remove_prefix(1);
    if (object.starts_with("ais/@#/"))
        object.remove_prefix(7);
    object_request r{&t, &x, {}, {}, true, etl_id};
    std::string_view bucket, name;
    if (!split_names(object, bucket, name)) {
        exchange_answer_error(x, error_code::bad_request, "expected <AIS_TARGET_URL>/BUCKET/OBJECT or <AIS_TARGET_URL>/<escaped uname>");
        return;
    }
    r.bucket = bucket;
    r.name = name;
    if (!check_names(r))
        return;
    if (head.method != "GET" && head.method != "HEAD") {
        std::string headers;
        http_write_header(headers, "Allow", "GET, HEAD");
        exchange_answer_error(x, error_code::method_not_allowed, "pods may read objects", 0, std::move(headers));
        return;
    }
    serve_read(std::move(r));
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
    ROUTE("PATCH", "/v1/objects/{bucket}/{object...}", serve_object, "405"),
    ROUTE("POST", "/v1/objects/{bucket}/{object...}", serve_object, "405"),
    ROUTE("GET", "/v1/objects/{bucket}", serve_object_missing, "400: no object name"),
    ROUTE("HEAD", "/v1/objects/{bucket}", serve_object_missing, "400: no object name"),
    ROUTE("PUT", "/v1/objects/{bucket}", serve_object_missing, "400: no object name"),
    ROUTE("DELETE", "/v1/objects/{bucket}", serve_object_missing, "400: no object name"),
    ROUTE("POST", "/v1/objects/{bucket}", serve_not_implemented, "501: promote and the like"),
};
extern constinit const std::span<const route> target_object_routes = rows;

static constexpr route pod_rows[] = {
    ROUTE("GET", "/v1/etl/_object/{etl}/{secret}/{object...}", serve_pod, "an object, for the pod of that ETL"),
    ROUTE("HEAD", "/v1/etl/_object/{etl}/{secret}/{object...}", serve_pod, "its properties"),
};
extern constinit const std::span<const route> target_pod_object_routes = pod_rows;

} // namespace etlnode
