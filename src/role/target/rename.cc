// SPDX-License-Identifier: MIT
// role/target/rename.cc: POST {"action":"rename-obj"}: an object gets another name in its bucket, here or at another target.
//
// Owns     one renaming for each such request.
// Knows    object_actions.cc, joins.cc.        Known by  object_actions.cc.
// Normal   the object is copied; when the copy is durable, the version that was copied is removed. So at every moment the content has the
//          old name, the new one, or both. Of several that share a name, one at a time.
// Fails    as a copy does, and then the old name stays. After a kill in between there are both, and a repeat ends it. Whoever overwrites
//          the old name meanwhile begins the copy again.
// Limits   tries_max.
#include <memory>

#include "base/text.h"
#include "port/clock.h"
#include "role/target/joins.h"
#include "role/target/object_actions.h"
#include "store/object_name.h"

namespace etlnode {

static constexpr unsigned tries_max = 8;

struct renaming {
    object_request r;
    std::string to_name;
    uint64_t bucket_created_ns = 0;
    std::string request_id;
    unsigned tries = 0;
    uint64_t version = 0;   // that was copied
    bool is_begun = false;  // otherwise it waits for another one
    bool is_copied = false; // the new name has what the object was
};

static void begin(renaming *m);

// --- one at a time

static bool share_a_name(const renaming &a, const renaming &b)
{
    return a.r.bucket == b.r.bucket && (a.r.name == b.r.name || a.r.name == b.to_name || a.to_name == b.r.name || a.to_name == b.to_name);
}

static void begin_if_first(renaming *m)
{
    for (const renaming *other : m->r.t->renames) {
        if (other == m)
            break;
        if (share_a_name(*other, *m))
            return;
    }
    m->is_begun = true;
    begin(m);
}

static void leave(renaming *m)
{
    std::vector<renaming *> &all = m->r.t->renames;
    std::erase(all, m);
    const std::vector<renaming *> now = all;
    for (renaming *other : now) {
        if (!other->is_begun && share_a_name(*other, *m))
            begin_if_first(other);
    }
}

// --- the way of one

static void end(renaming *m, error_code code, const std::string &text)
{
    exchange &x = *m->r.x;
    target &t = *m->r.t;
    leave(m);
    delete m;
    if (code != error_code::ok)
        exchange_answer_error(x, code, text);
    else
        exchange_answer(x, answer{});
    open_count_end(t.requests);
}

static void on_removed(void *arg, error err, const std::string &text)
{
    auto *m = static_cast<renaming *>(arg);
    bool is_gone = !err || err.code == error_code::object_not_found; // somebody else may have removed it, too
    if (is_gone)
        end(m, error_code::ok, {});
    else if (err.code != error_code::conflict || !text.empty())
        end(m, err.code, text.empty() ? object_failure_text(m->r, err) : text);
    else if (++m->tries < tries_max)
        begin(m);
    else
        end(m, error_code::unavailable, "ais://" + m->r.bucket + "/" + m->r.name + " is overwritten all the time: try again");
}

static void on_joined(void *arg, error err, const std::string &text, uint64_t)
{
    auto *m = static_cast<renaming *>(arg);
    m->is_copied = m->is_copied || !err;
    if (err)
        end(m, err.code, text);
    else
        target_remove_version(*m->r.t, m->r.bucket, m->r.name, m->version, on_removed, m);
}

// Without the exchange: a client that leaves does not end it in the middle.
static void on_object(void *arg, error err, const std::string &text, const store_object *object)
{
    auto *m = static_cast<renaming *>(arg);
    target &t = *m->r.t;
    if (err.code == error_code::object_not_found && m->is_copied) { // it was overwritten behind the copy, and then removed
        end(m, error_code::ok, {});
        return;
    }
    if (err) {
        end(m, err.code, text);
        return;
    }
    m->version = object->row.version;
    join_request request;
    request.bucket = m->r.bucket;
    request.name = m->to_name;
    request.bucket_created_ns = m->bucket_created_ns;
    request.request_id = m->request_id;
    request.custom = object->row.custom;
    request.from = source_stored(*t.e, *t.objects, object, t.store_calls, source_blocks::checked);
    request.on_done = on_joined;
    request.arg = m;
    target_join(t, std::move(request));
}

static void refuse_late(void *arg) { end(static_cast<renaming *>(arg), error_code::stopping, "the node is shutting down"); }

// One that has waited may come when the time to drain is up.
static void begin(renaming *m)
{
    target &t = *m->r.t;
    if (lifecycle_is_closing(t.life))
        clock_post(*t.e, refuse_late, m);
    else
        target_hold_object(t, m->r.bucket, m->r.name, on_object, m);
}

void target_rename_object(object_action &&a)
{
    exchange &x = *a.r.x;
    std::string name(json_text(a.body.get(), "name"));
    if (const char *wrong = object_name_check(name)) {
        exchange_answer_error(x, error_code::bad_name, "name: invalid object name \"" + text_escape(name, 100) + "\": " + wrong);
        return;
    }
    if (name == a.r.name) {
        exchange_answer_error(x, error_code::bad_request, "name: the object has this name already");
        return;
    }
    auto m = std::make_unique<renaming>();
    m->request_id = exchange_request_id(x);
    m->r = std::move(a.r);
    m->to_name = std::move(name);
    const cluster_bucket *bucket = document_find_bucket(m->r.t->document, m->r.bucket);
    m->bucket_created_ns = bucket != nullptr ? bucket->created_ns : 0; // it may have gone; then there is no object
    open_count_begin(m->r.t->requests);
    m->r.t->renames.push_back(m.get());
    begin_if_first(m.release());
}

} // namespace etlnode
