// SPDX-License-Identifier: MIT
// role/target/object_actions.cc: PATCH and POST on one object: reads the body, finds the action, and does what several actions need.
//
// Owns     one object_action while its body is read; one row_question or version_removal each.
// Knows    lesson.cc, store, http.        Known by  objects.cc, and the files of the actions.
// Fails    400 a body that cannot be read or another action; 501 an action of AIStore that is not there.
#include "role/target/object_actions.h"

#include <memory>

#include "aistore/upload_name.h"
#include "base/limits.h"
#include "base/text.h"
#include "codec/json_fields.h"
#include "control/placement.h"
#include "control/placement_epochs.h"
#include "role/target/uploads.h"

namespace etlnode {

static constexpr size_t action_size_max = mib; // a list of ten thousand parts

// --- the body

static constexpr struct {
    std::string_view name;
    void (*begin)(object_action &&a);
    bool is_of_upload = false; // it needs uploadId=, and the others must not have it
} actions[] = {
    {"rename-obj", target_rename_object},
    {"check-lock", target_check_lock},
    {"mpt-upload", target_begin_upload},
    {"mpt-complete", target_complete_upload, true},
};
// AIStore's other actions on objects.
static constexpr std::string_view foreign_actions[] = {"promote", "archive", "blob-download", "prefetch-listrange"};

// Whether the fields and the query are in order; otherwise the request has been answered.
static bool admit_action(const object_action &a)
{
    static constexpr json_field fields[] = {{"action", json_field_kind::text}, {"name", json_field_kind::text}};
    std::string misfit = json_fields_misfit(a.body.get(), {}, fields);
    bool has_upload = !upload_name_of_query(exchange_head(*a.r.x).query).empty();
    std::string_view name = json_text(a.body.get(), "action");
    for (const auto &action : actions) {
        if (misfit.empty() && action.name == name && action.is_of_upload != has_upload)
            misfit = "action: " + std::string(name) +
                     (has_upload ? " is not about an upload: leave uploadId= out" : " needs uploadId=, the id that mpt-upload answered");
    }
    if (!misfit.empty())
        exchange_answer_error(*a.r.x, error_code::bad_request, misfit);
    return misfit.empty();
}

static void begin_action(object_action &&a)
{
    if (!admit_action(a))
        return;
    if (exchange_head(*a.r.x).method == "PATCH") {
        target_set_custom(std::move(a));
        return;
    }
    std::string_view name = json_text(a.body.get(), "action");
    for (const auto &action : actions) {
        if (action.name == name) {
            action.begin(std::move(a));
            return;
        }
    }
    for (std::string_view foreign : foreign_actions) {
        if (foreign == name) {
            exchange_answer_error(
                *a.r.x, error_code::not_implemented, "action \"" + std::string(name) + "\" on objects is not implemented");
            return;
        }
    }
    std::string known;
    for (const auto &action : actions)
        known.append(known.empty() ? "" : ", ").append(action.name);
    exchange_answer_error(
        *a.r.x, error_code::bad_request, "unknown action \"" + text_escape(name, 64) + "\" on an object: expected one of " + known);
}

static void on_body(void *arg, error err, std::string body)
{
    std::unique_ptr<object_action> a(static_cast<object_action *>(arg));
    target &t = *a->r.t;
    std::string where;
    if (!err)
        err = json_parse(body, a->body, where);
    if (err || !cJSON_IsObject(a->body.get()))
        exchange_answer_error(*a->r.x, err ? err.code : error_code::bad_json,
            "the body is expected to be a JSON object" +
                (where.empty() ? std::string(err ? ": " : "") + (err ? error_text(err) : "") : ": " + where));
    else
        begin_action(std::move(*a));
    open_count_end(t.requests);
}

void target_begin_action(object_request &&r)
{
    exchange &x = *r.x;
    const http_head &head = exchange_head(x);
    if (head.method != "PATCH" && head.method != "POST") {
        std::string headers;
        http_write_header(headers, "Allow", "GET, HEAD, PUT, DELETE, PATCH, POST");
        exchange_answer_error(
            x, error_code::method_not_allowed, std::string(head.method) + " is not known for objects", 0, std::move(headers));
        return;
    }
    open_count_begin(r.t->requests);
    exchange_read_all(x, action_size_max, on_body, new object_action{std::move(r), nullptr});
}

// --- the row of an object

struct row_question {
    target *t;
    std::string bucket, name;
    object_on_row on_row;
    void *arg;
    uint64_t version_above = 0;
};

static void answer_row(row_question *question, const object_row_found &found)
{
    target &t = *question->t;
    auto on_row = question->on_row;
    void *arg = question->arg;
    delete question;
    on_row(arg, found);
    open_count_end(t.store_calls);
}

static std::string missing_text(const row_question &q, error err)
{
    std::string text = "t[" + q.t->id + "]: ais://" + q.bucket + "/" + q.name;
    return err.code == error_code::object_not_found ? text + " does not exist" : text + ": " + error_text(err);
}

static void on_looked_up(void *arg, error err, std::vector<index_row> rows)
{
    auto *question = static_cast<row_question *>(arg);
    object_row_found found;
    if (!err && (rows.empty() || rows[0].is_tombstone))
        err = make_error(error_code::object_not_found);
    found.err = err;
    found.version_above = question->version_above;
    if (err)
        found.text = missing_text(*question, err);
    else
        found.row = std::move(rows[0]);
    found.row.content.clear();
    found.row.sums.clear();
    answer_row(question, found);
}

static void look_up(row_question *question)
{
    store_lookup(*question->t->objects, question->bucket, question->name, on_looked_up, question);
}

static void on_learnt(void *arg, const lesson &learnt)
{
    auto *question = static_cast<row_question *>(arg);
    target &t = *question->t;
    if (!learnt.err) {
        question->version_above = lesson_version_above(t, learnt);
        look_up(question);
        return;
    }
    object_row_found found;
    found.err = learnt.err.code == error_code::other_epoch ? make_error(error_code::unavailable) : learnt.err;
    found.text = learnt.text;
    answer_row(question, found);
}

void target_find_row(target &t, const std::string &bucket, const std::string &name, object_on_row on_row, void *arg)
{
    open_count_begin(t.store_calls);
    auto *question = new row_question{&t, bucket, name, on_row, arg};
    question->version_above = document_version_floor(t.document);
    if (target_must_learn(t, bucket, name))
        target_bring_here(t, bucket, name, on_learnt, question);
    else
        look_up(question);
}

// --- removal of one version

struct version_removal {
    target *t;
    std::string bucket, name;
    uint64_t version;
    void (*on_done)(void *arg, error err, const std::string &text);
    void *arg;
};

static void end_removal(version_removal *removal, error err, const std::string &text)
{
    target &t = *removal->t;
    auto on_done = removal->on_done;
    void *arg = removal->arg;
    delete removal;
    on_done(arg, err, text);
    open_count_end(t.store_calls);
}

static void on_removed(void *arg, error err, const index_change &)
{
    auto *removal = static_cast<version_removal *>(arg);
    if (!err && !target_has_lease(*removal->t))
        end_removal(removal, make_error(error_code::unavailable), target_lease_text(*removal->t));
    else
        end_removal(removal, err, {});
}

static void on_found(void *arg, const object_row_found &found)
{
    auto *removal = static_cast<version_removal *>(arg);
    target &t = *removal->t;
    if (found.err) {
        end_removal(removal, found.err, found.text);
        return;
    }
    if (found.row.version != removal->version) {
        end_removal(removal, make_error(error_code::conflict), {});
        return;
    }
    if (std::string why = target_move_text(t, removal->bucket, false); !why.empty()) {
        end_removal(removal, make_error(error_code::conflict), why);
        return;
    }
    if (!target_has_lease(t)) {
        end_removal(removal, make_error(error_code::unavailable), target_lease_text(t));
        return;
    }
    index_change change;
    change.what = index_change::kind::remove;
    change.row.bucket = removal->bucket;
    change.row.name = removal->name;
    change.row.tag = document_epoch(t.document);
    bool is_lost = document_has_lost_owner(t.document, placement_uname_digest(removal->bucket, removal->name));
    change.leaves_tombstone = is_lost || placement_is_moving(t.document.placement);
    change.version_above = found.version_above;
    change.has_expected = true;
    change.expected_version = removal->version;
    store_change(*t.objects, std::move(change), on_removed, removal);
}

void target_remove_version(target &t, const std::string &bucket, const std::string &name, uint64_t version,
    void (*on_done)(void *arg, error err, const std::string &text), void *arg)
{
    open_count_begin(t.store_calls);
    target_find_row(t, bucket, name, on_found, new version_removal{&t, bucket, name, version, on_done, arg});
}

} // namespace etlnode
