// SPDX-License-Identifier: MIT
// role/target/members.cc: finds an object, a part of it or a member of an archive, here or at its owner, and opens it as a source.
//
// Owns     one member_question for each until it is open.
// Knows    joins.cc, object/archive_reader, http.        Known by  archives.cc, batches.cc.
// Fails    404 bucket, object, member; 400 a range or an archive that is none; 503 an owner that cannot be reached.
#include "role/target/members.h"

#include <algorithm>
#include <memory>

#include "base/limits.h"
#include "base/text.h"
#include "codec/error_envelope.h"
#include "codec/http_write.h"
#include "codec/url.h"
#include "node/api.h"
#include "object/archive_reader.h"
#include "port/clock.h"
#include "role/shared/hints.h"
#include "role/target/joins.h"
#include "role/target/moves.h"
#include "store/object_name.h"

namespace etlnode {

struct member_question {
    target *t = nullptr;
    member_wish wish;
    member_on_open on_open = nullptr; // null: cancelled
    void *arg = nullptr;
    archive_reader *reader = nullptr;
    std::string owner;
    error err; // of a refusal that is posted
    std::string text;
};

static std::string uname_of(const member_question &q)
{
    return (q.wish.archpath.empty() ? "" : q.wish.archpath + " in ") + "ais://" + q.wish.bucket + "/" + q.wish.name;
}

static void reply(member_question *question, error err, const std::string &text, source from, uint64_t size)
{
    std::unique_ptr<member_question> q(question);
    if (q->on_open == nullptr)
        source_close(from);
    else
        q->on_open(q->arg, err, text, std::move(from), size);
    open_count_end(q->t->requests);
}

static void refuse(member_question *q, error_code code, const std::string &text) { reply(q, make_error(code), text, {}, 0); }

// --- here

static bool wants_path(const void *arg, std::string_view path)
{
    return archive_plain_path(path) == archive_plain_path(static_cast<const member_question *>(arg)->wish.archpath);
}

static void on_member(void *arg, error err, std::string_view why, const archive_member *member)
{
    auto *q = static_cast<member_question *>(arg);
    archive_reader *reader = q->reader;
    std::string text = "ais://" + q->wish.bucket + "/" + q->wish.name + ": " + std::string(why);
    error_code code = err                 ? err.code
                      : member == nullptr ? error_code::object_not_found
                      : member->has_size  ? error_code::ok
                                          : error_code::bad_request;
    if (code != error_code::ok || q->wish.only_size || q->on_open == nullptr) {
        uint64_t size = member != nullptr ? member->size : 0;
        archive_close(reader);
        if (code == error_code::object_not_found)
            text = uname_of(*q) + " does not exist";
        reply(q, code == error_code::ok ? no_error : make_error(code), text, {}, size);
        return;
    }
    uint64_t size = member->size;
    reply(q, no_error, {}, archive_last_member_source(reader, *member), size);
}

static void open_part(member_question *q, const store_object *object)
{
    target &t = *q->t;
    uint64_t whole = object->row.size;
    if (q->wish.start > 0 && q->wish.start >= whole) {
        store_release(*t.objects, object);
        refuse(q, error_code::bad_request, uname_of(*q) + ": the range begins behind its " + text_bytes(whole));
        return;
    }
    uint64_t size = std::min(q->wish.length, whole - q->wish.start);
    if (q->wish.only_size) {
        store_release(*t.objects, object);
        reply(q, no_error, {}, {}, size);
        return;
    }
    reply(q, no_error, {}, source_stored_part(*t.e, *t.objects, object, t.store_calls, q->wish.start, size), size);
}

static void on_held(void *arg, error err, const std::string &text, const store_object *object)
{
    auto *q = static_cast<member_question *>(arg);
    target &t = *q->t;
    if (err) {
        reply(q, err, text, {}, 0);
    } else if (q->wish.archpath.empty()) {
        open_part(q, object);
    } else {
        q->reader = archive_open(*t.e, *t.objects, object, t.store_calls);
        archive_next(*q->reader, wants_path, q, on_member, q);
    }
}

// --- at the owner

// What an owner says about a failure, if all of it has come. The call has ended then.
static std::string reason_of(call &c, int status)
{
    source answer = source_call(c, peer_patience_ms);
    std::string body;
    bool is_whole = source_take_whole(answer, body);
    source_close(answer);
    return is_whole ? error_envelope_read(status, body).message : std::string();
}

static void on_head(void *arg, call &c, const http_head &head)
{
    auto *q = static_cast<member_question *>(arg);
    bool is_good = (head.status == 200 || head.status == 206) && !head.chunked && head.length != length_unknown;
    uint64_t size = head.length;
    if (is_good && !q->wish.only_size) {
        reply(q, no_error, {}, source_call(c, peer_patience_ms), size);
        return;
    }
    int status = head.status;
    std::string why = is_good ? std::string() : reason_of(c, status);
    if (is_good)
        call_cancel(c);
    if (is_good)
        reply(q, no_error, {}, {}, size);
    else if (status == 404)
        refuse(q, error_code::object_not_found, uname_of(*q) + " does not exist");
    else if (status == 416 && q->wish.start == 0) // the object is empty
        reply(q, no_error, {}, q->wish.only_size ? source{} : source_memory(*q->t->e, {}, {}), 0);
    else if (status == 416)
        refuse(q, error_code::bad_request, uname_of(*q) + ": the range begins behind its end");
    else
        refuse(q, status >= 400 && status < 500 ? error_code::bad_request : error_code::unavailable,
            uname_of(*q) + " cannot be read: target " + q->owner + " answered " + std::to_string(status) + (why.empty() ? "" : ": " + why));
}

static void on_failed(void *arg, call &, error err, int, std::string)
{
    auto *q = static_cast<member_question *>(arg);
    refuse(q, error_code::unavailable, "target " + q->owner + ", which has " + uname_of(*q) + ", cannot be reached: " + error_text(err));
}

static void ask_owner(member_question *q, const cluster_node &node)
{
    target &t = *q->t;
    const member_wish &wish = q->wish;
    std::string path = std::string(path_objects) + "/" + url_encode(wish.bucket) + "/" + url_encode_path(wish.name) + "?" +
                       std::string(query_placement) + "=" + std::to_string(document_epoch(t.document));
    if (!wish.archpath.empty())
        path += "&archpath=" + url_encode(wish.archpath);
    call_options options = target_peer_call(t, node, "GET", path);
    if (wish.start > 0 || wish.length != UINT64_MAX)
        http_write_header(options.headers, "Range",
            "bytes=" + std::to_string(wish.start) + "-" + (wish.length != UINT64_MAX ? std::to_string(wish.start + wish.length - 1) : ""));
    q->owner = node.id;
    options.on_head = on_head;
    options.on_done = on_failed;
    options.arg = q;
    call_start(*t.client, std::move(options));
}

// --- the question

static void post_refusal(void *arg)
{
    auto *q = static_cast<member_question *>(arg);
    reply(q, q->err, std::string(q->text), {}, 0);
}

static const char *name_problem(const member_wish &wish)
{
    if (const char *wrong = object_name_check_bucket(wish.bucket))
        return wrong;
    if (const char *wrong = object_name_check(wish.name))
        return wrong;
    return wish.archpath.empty() ? nullptr : archive_check_member(wish.archpath);
}

member_question *target_open_member(target &t, member_wish wish, member_on_open on_open, void *arg)
{
    auto *q = new member_question;
    q->t = &t;
    q->wish = std::move(wish);
    q->on_open = on_open;
    q->arg = arg;
    open_count_begin(t.requests);
    const char *wrong = name_problem(q->wish);
    const cluster_node *node = document_place(t.document, q->wish.bucket, q->wish.name);
    if (wrong != nullptr) {
        q->err = make_error(error_code::bad_name);
        q->text = "\"" + text_escape(uname_of(*q), 200) + "\": " + wrong;
    } else if (document_find_bucket(t.document, q->wish.bucket) == nullptr) {
        std::vector<std::string_view> names;
        for (const cluster_bucket &one : t.document.buckets)
            names.push_back(one.name);
        q->err = make_error(error_code::bucket_not_found);
        q->text = hint_bucket_missing(q->wish.bucket, names);
    } else if (node == nullptr) {
        q->err = make_error(error_code::unavailable);
        q->text = "no target is registered that could hold " + uname_of(*q);
    } else if (!q->wish.archpath.empty() && (q->wish.start > 0 || q->wish.length != UINT64_MAX)) {
        q->err = make_error(error_code::not_implemented);
        q->text = uname_of(*q) + ": a part of a member is not implemented";
    }
    if (q->err)
        clock_post(*t.e, post_refusal, q);
    else if (node->id == t.id)
        target_hold_object(t, q->wish.bucket, q->wish.name, on_held, q);
    else
        ask_owner(q, *node);
    return q;
}

void target_cancel_member(member_question *question) { question->on_open = nullptr; }

} // namespace etlnode
