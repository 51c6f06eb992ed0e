// SPDX-License-Identifier: MIT
// role/target/properties.cc: PATCH /v1/objects/<bucket>/<object>: metadata that a user gives an object; and POST check-lock.
//
// Owns     one custom_change for each PATCH.
// Knows    object_actions.cc, store.        Known by  object_actions.cc.
// Normal   the row gets a new version with the same content, so that of two copies the one with the newer metadata wins.
// Fails    400 names or values that no header can carry, or too many of them; 404; 503 when others change the object all the time.
// Limits   tries_max, object_extras_size_max, object_custom_count_max.
#include <memory>

#include "base/text.h"
#include "codec/url.h"
#include "role/target/object_actions.h"
#include "store/object_extras.h"

namespace etlnode {

static constexpr unsigned tries_max = 256; // of several that change one object at once, one wins in each commit

struct custom_change {
    object_request r;
    std::map<std::string, std::string> given;
    bool replaces = false; // what there was goes
    unsigned tries = 0;
};

static void begin(custom_change *change);

static void refuse(custom_change *change, error_code code, const std::string &text)
{
    exchange &x = *change->r.x;
    delete change;
    exchange_answer_error(x, code, text);
}

static void on_changed(void *arg, error err, const index_change &)
{
    auto *change = static_cast<custom_change *>(arg);
    target &t = *change->r.t;
    open_count_end(t.store_calls);
    if (err.code == error_code::conflict && ++change->tries < tries_max) { // another version is there now
        begin(change);
    } else if (err.code == error_code::conflict) {
        refuse(change, error_code::unavailable, "ais://" + change->r.bucket + "/" + change->r.name + " is changed all the time: try again");
    } else if (err) {
        refuse(change, err.code, object_failure_text(change->r, err));
    } else if (!target_has_lease(t)) {
        refuse(change, error_code::unavailable, target_lease_text(t));
    } else {
        exchange &x = *change->r.x;
        delete change;
        exchange_answer(x, answer{});
    }
}

static void on_row(void *arg, const object_row_found &found)
{
    auto *change = static_cast<custom_change *>(arg);
    target &t = *change->r.t;
    if (found.err) {
        refuse(change, found.err.code, found.text);
        return;
    }
    if (std::string why = target_move_text(t, change->r.bucket, false); !why.empty()) {
        refuse(change, error_code::conflict, why);
        return;
    }
    if (!target_has_lease(t)) {
        refuse(change, error_code::unavailable, target_lease_text(t));
        return;
    }
    object_extras extras = object_extras_parse(found.row.custom);
    if (change->replaces)
        extras.custom.clear();
    for (const auto &[key, value] : change->given)
        extras.custom[key] = value;
    index_change wanted;
    wanted.row = found.row;
    wanted.row.custom = object_extras_print(extras);
    wanted.row.tag = document_epoch(t.document);
    wanted.version_above = found.version_above;
    wanted.has_expected = true;
    wanted.expected_version = found.row.version;
    if (wanted.row.custom.size() > object_extras_size_max) {
        refuse(change, error_code::bad_request, "the metadata of an object may have " + text_bytes(object_extras_size_max) + " together");
        return;
    }
    if (extras.custom.size() > object_custom_count_max) {
        refuse(change, error_code::bad_request,
            text_format(
                "the metadata of an object may have %zu names; with set-new-custom=true those that are given take the place of the %zu "
                "that there are",
                object_custom_count_max, object_extras_parse(found.row.custom).custom.size()));
        return;
    }
    open_count_begin(t.store_calls);
    store_change(*t.objects, std::move(wanted), on_changed, change);
}

static void begin(custom_change *change) { target_find_row(*change->r.t, change->r.bucket, change->r.name, on_row, change); }

static bool read_given(const cJSON *value, custom_change &change, std::string &out_problem)
{
    if (!cJSON_IsObject(value)) {
        out_problem = "value: expected an object of names and texts";
        return false;
    }
    for (const cJSON *item = value->child; item != nullptr; item = item->next) {
        const char *wrong = !cJSON_IsString(item) ? "its value must be a text"
                                                  : object_extras_check_custom(item->string, item->valuestring);
        if (wrong != nullptr) {
            out_problem = "value: \"" + text_escape(item->string, 64) + "\": " + wrong;
            return false;
        }
        change.given[item->string] = item->valuestring;
    }
    return true;
}

void target_set_custom(object_action &&a)
{
    std::string problem, replaces;
    auto change = std::make_unique<custom_change>();
    if (!read_given(json_get(a.body.get(), "value"), *change, problem)) {
        exchange_answer_error(*a.r.x, error_code::bad_request, problem);
        return;
    }
    if (url_query_get(exchange_head(*a.r.x).query, query_new_custom, replaces))
        change->replaces = replaces == "true" || replaces == "1";
    change->r = std::move(a.r);
    begin(change.release());
}

// --- locks

static void on_exists(void *arg, const object_row_found &found)
{
    exchange &x = *static_cast<exchange *>(arg);
    if (found.err)
        exchange_answer_error(x, found.err.code, found.text);
    else
        exchange_answer(x, answer{});
}

// Contents are immutable and rows change in one step, so nothing is ever locked.
void target_check_lock(object_action &&a) { target_find_row(*a.r.t, a.r.bucket, a.r.name, on_exists, a.r.x); }

} // namespace etlnode
