// SPDX-License-Identifier: MIT
// role/target/rename.cc: POST {"action":"rename-obj"}: an object gets another name in its bucket, here or at another target.
//
// Owns     one renaming for each such request.
// Knows    object_actions.cc, copies.cc, transfer.        Known by  object_actions.cc.
// Normal   the object is copied; when the copy is durable, the version that was copied is removed. So at every moment the content has the
//          old name, the new one, or both.
// Fails    as a copy does, and then the old name stays. After a kill in between there are both, and a repeat ends it. Whoever overwrites
//          the old name meanwhile begins the copy again.
// Limits   tries_max.
#include <memory>

#include "base/text.h"
#include "control/peer.h"
#include "port/clock.h"
#include "role/target/copies.h"
#include "role/target/object_actions.h"
#include "store/object_name.h"
#include "transfer/transfer.h"

namespace etlnode {

static constexpr unsigned tries_max = 8;

struct renaming {
    object_request r;
    std::string to_name;
    std::string request_id;
    unsigned tries = 0;
    uint64_t version = 0; // before the copy: if it is still there afterwards, it is what was copied
    error err;            // of the copy
    int status = 0;
    std::string text;
};

static void begin(renaming *m);

static void end(renaming *m, error_code code, const std::string &text, int status = 0)
{
    exchange &x = *m->r.x;
    target &t = *m->r.t;
    delete m;
    if (code != error_code::ok)
        exchange_answer_error(x, code, text, status);
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

static void go_on(void *arg)
{
    auto *m = static_cast<renaming *>(arg);
    if (m->err)
        end(m, m->err.code, m->text, m->status);
    else
        target_remove_version(*m->r.t, m->r.bucket, m->r.name, m->version, on_removed, m);
}

static void on_copied(void *arg, const transfer_report &report)
{
    auto *m = static_cast<renaming *>(arg);
    if (report.outcome != transfer_outcome::ok) {
        m->err = make_error(report.code);
        m->text = report.text;
        m->status = report.status;
    }
    clock_post(*m->r.t->e, go_on, m);
}

static void on_row(void *arg, const object_row_found &found)
{
    auto *m = static_cast<renaming *>(arg);
    target &t = *m->r.t;
    sink to;
    copy_refusal refusal;
    m->version = found.row.version;
    if (found.err)
        end(m, found.err.code, found.text);
    else if (!target_has_lease(t))
        end(m, error_code::unavailable, target_lease_text(t));
    else if (!target_copy_sink(t, {.bucket = m->r.bucket, .name = m->to_name, .request_id = m->request_id}, to, refusal))
        end(m, refusal.code, refusal.text);
    else // without the exchange: a client that leaves does not end it in the middle
        transfer_begin(*t.transfers,
            {.request_id = m->request_id, .bucket = m->r.bucket, .name = m->r.name, .to = to, .on_done = on_copied, .arg = m});
}

static void begin(renaming *m) { target_find_row(*m->r.t, m->r.bucket, m->r.name, on_row, m); }

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
    if (a.r.t->transfers == nullptr) {
        exchange_answer_error(x, error_code::not_ready, "the target has not joined its cluster yet");
        return;
    }
    auto m = std::make_unique<renaming>();
    m->request_id = exchange_request_id(x);
    m->r = std::move(a.r);
    m->to_name = std::move(name);
    open_count_begin(m->r.t->requests);
    begin(m.release());
}

} // namespace etlnode
