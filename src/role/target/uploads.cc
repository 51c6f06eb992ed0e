// SPDX-License-Identifier: MIT
// role/target/uploads.cc: objects that come in parts: multipart uploads, and appends, whose handle is such an upload.
//
// Owns     the uploads of this target: for each part a held put with its file in tmp/; an upload_completion while parts are joined.
// Knows    joins.cc, store, transfer/upload_machine.        Known by  objects.cc, object_actions.cc.
// Normal   each part is a durable file that no row names. A completion copies the parts, in order, into one object, which appears at once.
//          An append begins with the object that there is.
// Fails    after a restart, an abort, the end of its bucket, or upload_idle_ms without a request, an upload is gone, with its files: 404. A
//          completion that fails leaves the upload as it was.
// Limits   uploads_max, parts_max, parts_kept_max, upload_idle_ms. Neither a descriptor nor a buffer is held for a part.
#include "role/target/uploads.h"

#include <map>
#include <memory>
#include <set>

#include "aistore/upload_name.h"
#include "base/text.h"
#include "codec/url.h"
#include "object/source.h"
#include "port/clock.h"
#include "role/target/joins.h"
#include "store/object_extras.h"
#include "transfer/upload_machine.h"

namespace etlnode {

static constexpr size_t uploads_max = 256;       // at one target; an append holds the object that it began with open
static constexpr uint64_t parts_max = 10'000;    // of one upload, as in S3
static constexpr size_t parts_kept_max = 50'000; // of all uploads
static constexpr uint64_t upload_idle_ms = 6 * 3'600'000;
static constexpr uint64_t look_every_ms = 60'000;

struct held_part {
    put *held = nullptr;
    uint64_t size = 0;
};

struct upload_session {
    std::string id;
    std::string bucket, name;
    uint64_t bucket_created_ns = 0;
    bool is_append = false;
    const store_object *base = nullptr; // the object that an append began with
    std::map<uint64_t, held_part> parts;
    uint64_t next_number = 1; // of an append's part
    uint64_t last_ms = 0;
    bool is_joining = false;
    bool is_known = false; // to the client: its id or handle has been answered
};

struct target_uploads {
    std::map<std::string, upload_session, std::less<>> all;
    size_t parts = 0;
    timer *tick = nullptr;
};

// --- the uploads of this target

static upload_session *find(target &t, std::string_view id)
{
    auto found = t.uploads != nullptr ? t.uploads->all.find(id) : decltype(t.uploads->all)::iterator{};
    return t.uploads != nullptr && found != t.uploads->all.end() ? &found->second : nullptr;
}

// What was uploaded to a bucket must not appear in another one of that name.
static bool has_bucket(target &t, const upload_session &session)
{
    return target_has_bucket(&t, session.bucket, session.bucket_created_ns);
}

static void forget(target &t, upload_session &session)
{
    for (auto &[number, part] : session.parts)
        put_abort(*part.held);
    t.uploads->parts -= session.parts.size();
    if (session.base != nullptr)
        store_release(*t.objects, session.base);
    t.uploads->all.erase(t.uploads->all.find(session.id));
}

void target_review_uploads(target &t)
{
    if (t.uploads == nullptr)
        return;
    uint64_t now = clock_now_ms(*t.e);
    for (auto next = t.uploads->all.begin(); next != t.uploads->all.end();) {
        upload_session &session = (next++)->second;
        bool is_over = now - session.last_ms >= upload_idle_ms || !has_bucket(t, session);
        if (is_over && !session.is_joining)
            forget(t, session);
    }
}

static void on_tick(void *arg)
{
    target &t = *static_cast<target *>(arg);
    target_review_uploads(t);
    if (!t.uploads->all.empty())
        timer_arm(*t.e, t.uploads->tick, look_every_ms);
}

static void answer_full(exchange &x)
{
    exchange_answer_error(x, error_code::overloaded, "too many uploads in parts are open here: complete or abort some");
}

// Null: there are too many, or the bucket has gone meanwhile, and the request has been answered.
static upload_session *add(target &t, const object_request &r, uint64_t bucket_created_ns)
{
    if (!target_has_bucket(&t, r.bucket, bucket_created_ns)) {
        exchange_answer_error(*r.x, error_code::bucket_not_found, "bucket \"ais://" + r.bucket + "\" does not exist any more");
        return nullptr;
    }
    if (t.uploads == nullptr) {
        t.uploads = new target_uploads;
        t.uploads->tick = timer_make(*t.e, on_tick, &t);
    }
    if (t.uploads->all.size() >= uploads_max) {
        answer_full(*r.x);
        return nullptr;
    }
    if (t.uploads->all.empty())
        timer_arm(*t.e, t.uploads->tick, look_every_ms);
    std::string id = upload_name_make(t.e->random, t.id);
    upload_session &session = t.uploads->all[id];
    session.id = id;
    session.bucket = r.bucket;
    session.name = r.name;
    session.bucket_created_ns = bucket_created_ns;
    session.last_ms = clock_now_ms(*t.e);
    return &session;
}

void target_end_uploads(target &t)
{
    if (t.uploads == nullptr)
        return;
    while (!t.uploads->all.empty())
        forget(t, t.uploads->all.begin()->second);
    timer_free(*t.e, t.uploads->tick);
    delete t.uploads;
    t.uploads = nullptr;
}

bool target_is_of_upload(const target &t, const exchange &x)
{
    std::string id = upload_name_of_query(exchange_head(x).query);
    return !id.empty() && upload_name_target(id) == t.id;
}

static std::string missing_text(const object_request &r, std::string_view id)
{
    return "t[" + r.t->id + "]: upload " + text_escape(id, 100) + " of ais://" + r.bucket + "/" + r.name + " does not exist";
}

static void answer_missing(const object_request &r, std::string_view id)
{
    exchange_answer_error(*r.x, error_code::not_found, missing_text(r, id));
}

// The upload that the request names, of this object. Null: it has been answered.
static upload_session *find_of(const object_request &r)
{
    std::string id = upload_name_of_query(exchange_head(*r.x).query);
    upload_session *session = find(*r.t, id);
    if (session == nullptr || session->bucket != r.bucket || session->name != r.name || !has_bucket(*r.t, *session)) {
        answer_missing(r, id);
        return nullptr;
    }
    session->last_ms = clock_now_ms(*r.t->e);
    if (!session->is_joining)
        return session;
    exchange_answer_error(*r.x, error_code::conflict, "upload " + id + " is being completed");
    return nullptr;
}

// --- a part

static void note_part(void *arg, error err, uint64_t bytes)
{
    target &t = *static_cast<target *>(arg);
    open_count_end(t.store_calls);
    if (!err)
        target_space_note_written(t, bytes);
}

static error_code refuse_part(error_code code, std::string text, std::string &out_text)
{
    out_text = std::move(text);
    return code;
}

static error_code take_part(void *arg, const upload_part &part, put &held, uint64_t size, std::string &out_headers, std::string &out_text)
{
    target &t = *static_cast<target *>(arg);
    upload_session *session = find(t, part.id);
    if (session == nullptr)
        return refuse_part(error_code::not_found, "upload " + part.id + " does not exist", out_text);
    if (session->is_joining)
        return refuse_part(error_code::conflict, "upload " + part.id + " is being completed", out_text);
    if (size == 0 && !session->is_append)
        return refuse_part(error_code::bad_request, "invalid size (0)", out_text);
    if (t.uploads->parts >= parts_kept_max)
        return refuse_part(error_code::overloaded, "too many parts of uploads are kept here: complete or abort some", out_text);
    session->last_ms = clock_now_ms(*t.e);
    session->is_known = true;
    if (session->is_append)
        http_write_header(out_headers, header_append_handle, upload_name_handle(session->id));
    if (size == 0) { // appends nothing
        put_abort(held);
        return error_code::ok;
    }
    held_part &place = session->parts[part.number];
    if (place.held != nullptr)
        put_abort(*place.held); // replaced
    else
        t.uploads->parts++;
    place = {&held, size};
    return error_code::ok;
}

// The first append of a handle that nobody has heard of.
static void forget_unknown(target &t, upload_session &session)
{
    if (!session.is_known && !session.is_joining)
        forget(t, session);
}

static void on_part_failed(void *arg, const upload_part &part)
{
    target &t = *static_cast<target *>(arg);
    if (upload_session *session = find(t, part.id); session != nullptr)
        forget_unknown(t, *session);
}

static void begin_part(const object_request &r, upload_options options, const upload_session &session, uint64_t number)
{
    options.part = std::make_unique<upload_part>();
    options.part->id = session.id;
    options.part->number = number;
    options.part->take = take_part;
    options.part->on_failed = on_part_failed;
    options.custom.reset();
    options.on_end = note_part;
    open_count_begin(r.t->store_calls);
    upload_begin(*r.t->objects, *r.x, std::move(options));
}

static bool has_room(const object_request &r)
{
    std::string why;
    if (target_space_admits(*r.t, r.bucket, r.name, exchange_head(*r.x).length, why))
        return true;
    exchange_answer_error(*r.x, error_code::no_space, why);
    return false;
}

static void take_numbered(const object_request &r, upload_options options)
{
    std::string text;
    uint64_t number = 0;
    const http_head &head = exchange_head(*r.x);
    if (!url_query_get(head.query, query_part_number, text) || !text_parse_u64(text, number) || number == 0 || number > parts_max) {
        exchange_answer_error(*r.x, error_code::bad_request,
            "partNumber \"" + text_escape(text, 32) + "\" is not a number from 1 to " + std::to_string(parts_max));
        return;
    }
    const upload_session *session = find_of(r);
    if (session == nullptr)
        return;
    if (!head.chunked && head.length == 0)
        exchange_answer_error(*r.x, error_code::bad_request, "invalid size (0)");
    else if (has_room(r))
        begin_part(r, std::move(options), *session, number);
}

// --- the end: the parts become an object

struct upload_completion {
    target *t;
    exchange *x;
    std::string id;
};

struct part_list {
    struct piece {
        std::string path;
        uint64_t size, checksum;
    };
    target *t;
    const store_object *base; // null: none, or given
    std::vector<piece> pieces;
    size_t given = 0;
};

static void give_next(void *arg, source_chain &chain)
{
    auto &list = *static_cast<part_list *>(arg);
    target &t = *list.t;
    if (list.base != nullptr) {
        source_chain_give(chain, source_stored(*t.e, *t.objects, std::exchange(list.base, nullptr), t.store_calls, source_blocks::checked));
        return;
    }
    if (list.given == list.pieces.size()) {
        source_chain_end(chain);
        return;
    }
    part_list::piece &piece = list.pieces[list.given++];
    source_chain_give(chain, source_file(*t.e, std::move(piece.path), piece.size, piece.checksum, t.store_calls));
}

static void free_list(void *arg)
{
    std::unique_ptr<part_list> list(static_cast<part_list *>(arg));
    if (list->base != nullptr)
        store_release(*list->t->objects, list->base);
}

static void on_joined(void *arg, error err, const std::string &text, uint64_t)
{
    std::unique_ptr<upload_completion> c(static_cast<upload_completion *>(arg));
    upload_session *session = find(*c->t, c->id);
    if (session != nullptr) {
        session->is_joining = false;
        session->last_ms = clock_now_ms(*c->t->e);
    }
    if (session != nullptr && (!err || !has_bucket(*c->t, *session)))
        forget(*c->t, *session);
    if (err)
        exchange_answer_error(*c->x, err.code, text);
    else
        exchange_answer(*c->x, answer{});
}

static void join_parts(target &t, exchange &x, upload_session &session)
{
    auto list = std::make_unique<part_list>(part_list{&t, nullptr, {}, 0});
    object_extras extras;
    source_facts facts;
    facts.size = 0;
    if (session.base != nullptr) {
        list->base = store_share(*t.objects, *session.base);
        facts.size = session.base->row.size;
        extras.custom = object_extras_parse(session.base->row.custom).custom;
    }
    for (const auto &[number, part] : session.parts) {
        list->pieces.push_back({put_held_path(*part.held), part.size, put_held_checksum(*part.held)});
        facts.size += part.size;
        extras.chunk_size_max = std::max(extras.chunk_size_max, part.size);
    }
    if (!session.is_append)
        extras.chunk_count = session.parts.size();
    session.is_joining = true;
    join_request request;
    request.bucket = session.bucket;
    request.name = session.name;
    request.bucket_created_ns = session.bucket_created_ns;
    request.request_id = exchange_request_id(x);
    request.custom = object_extras_print(extras);
    request.from = source_chain_make(*t.e, std::move(facts), {give_next, free_list, list.release()});
    request.on_done = on_joined;
    request.arg = new upload_completion{&t, &x, session.id};
    target_join(t, std::move(request));
}

// --- multipart

void target_begin_upload(object_action &&a)
{
    const cluster_bucket *bucket = document_find_bucket(a.r.t->document, a.r.bucket);
    upload_session *session = add(*a.r.t, a.r, bucket != nullptr ? bucket->created_ns : 0);
    if (session == nullptr)
        return;
    session->is_known = true;
    exchange_answer_text(*a.r.x, session->id);
}

// Whether the list names exactly the parts that there are.
static bool names_all(const cJSON *list, const upload_session &session)
{
    std::set<uint64_t> named;
    if (!cJSON_IsArray(list))
        return false;
    for (const cJSON *item = list->child; item != nullptr; item = item->next) {
        uint64_t number = 0;
        if (!json_read_u64(item, "part-number", number) || !session.parts.contains(number) || !named.insert(number).second)
            return false;
    }
    return named.size() == session.parts.size();
}

void target_complete_upload(object_action &&a)
{
    upload_session *session = find_of(a.r);
    if (session == nullptr)
        return;
    if (session->parts.empty())
        exchange_answer_error(*a.r.x, error_code::bad_request, "upload " + session->id + ": no chunks");
    else if (session->is_append || !names_all(json_get(a.body.get(), "value"), *session))
        exchange_answer_error(*a.r.x, error_code::bad_request,
            "upload " + session->id + ": partial completion: the list must name each of the " + std::to_string(session->parts.size()) +
                " parts once");
    else
        join_parts(*a.r.t, *a.r.x, *session);
}

void target_abort_upload(object_request &&r)
{
    upload_session *session = find_of(r);
    if (session == nullptr)
        return;
    forget(*r.t, *session);
    exchange_answer(*r.x, answer{});
}

// --- appends

struct first_append {
    object_request r;
    upload_options options;
};

static void append_to(const object_request &r, upload_options options, upload_session &session)
{
    const http_head &head = exchange_head(*r.x);
    if (head.chunked || head.length > 0) {
        if (has_room(r))
            begin_part(r, std::move(options), session, session.next_number++);
        else
            forget_unknown(*r.t, session);
        return;
    }
    session.is_known = true;
    answer a;
    http_write_header(a.headers, header_append_handle, upload_name_handle(session.id));
    exchange_answer(*r.x, std::move(a));
}

static void on_base(void *arg, error err, const std::string &text, const store_object *object)
{
    std::unique_ptr<first_append> first(static_cast<first_append *>(arg));
    const object_request &r = first->r;
    upload_session *session = nullptr;
    if (err && err.code != error_code::object_not_found)
        exchange_answer_error(*r.x, err.code, text);
    else
        session = add(*r.t, r, first->options.bucket_created_ns);
    if (session == nullptr) {
        if (object != nullptr)
            store_release(*r.t->objects, object);
        return;
    }
    session->is_append = true;
    session->base = object;
    append_to(r, std::move(first->options), *session);
}

static void flush(const object_request &r)
{
    const http_head &head = exchange_head(*r.x);
    if (head.chunked || head.length > 0) {
        exchange_answer_error(*r.x, error_code::bad_request, "append_type=flush takes no body: append it first");
        return;
    }
    if (upload_name_of_query(head.query).empty()) {
        exchange_answer_error(*r.x, error_code::bad_request,
            "append_type=flush needs append_handle=, which the last append answered in " + std::string(header_append_handle));
        return;
    }
    if (upload_session *session = find_of(r); session != nullptr)
        join_parts(*r.t, *r.x, *session);
}

static void take_append(object_request &&r, upload_options options, std::string_view type)
{
    std::string handle;
    url_query_get(exchange_head(*r.x).query, query_append_handle, handle);
    if (type != "append" && type != "flush") {
        exchange_answer_error(*r.x, error_code::bad_request, "append_type \"" + text_escape(type, 32) + "\": expected append or flush");
    } else if (type == "flush") {
        flush(r);
    } else if (!handle.empty()) {
        if (upload_session *session = find_of(r); session != nullptr)
            append_to(r, std::move(options), *session);
    } else {
        auto *first = new first_append{std::move(r), std::move(options)};
        target_hold_object(*first->r.t, first->r.bucket, first->r.name, on_base, first);
    }
}

void target_take_part(object_request &&r, upload_options options)
{
    std::string type;
    if (url_query_get(exchange_head(*r.x).query, query_append_type, type))
        take_append(std::move(r), std::move(options), type);
    else
        take_numbered(r, std::move(options));
}

} // namespace etlnode
