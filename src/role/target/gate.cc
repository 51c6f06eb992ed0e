// SPDX-License-Identifier: MIT
// role/target/gate.cc: what must hold before this target makes a new version of an object, while objects move between targets.
//
// Owns     one gate_work for each put that asks for leave.
// Knows    control/placement_epochs, lesson.cc.        Known by  objects.cc, copies.cc.
// Normal   while nothing moves, at once. Else the former owners are asked; the new version is above all that they have.
// Fails    503: another target owns the object now, or a former owner cannot be reached; nothing is stored.
#include "base/limits.h"
#include "base/text.h"
#include "codec/http_write.h"
#include "control/placement.h"
#include "control/placement_epochs.h"
#include "role/target/moves.h"

namespace etlnode {

// In the steady state two comparisons of numbers.
bool target_must_learn(const target &t, std::string_view bucket, std::string_view name)
{
    return !t.document.placement.former.empty() || (!target_has_adopted(t) && !target_may_decide(t, placement_uname_digest(bucket, name)));
}

static bool must_ask(void *arg, std::string_view bucket, std::string_view name)
{
    const target &t = *static_cast<target *>(arg);
    return !target_has_lease(t) || !t.bucket_moves.empty() || target_must_learn(t, bucket, name) ||
           target_owner_elsewhere(t, bucket, name) != nullptr;
}

static put_leave refusal(error_code code, std::string text)
{
    put_leave leave;
    leave.err = make_error(code);
    leave.text = std::move(text);
    return leave;
}

static put_leave bucket_refusal(const std::string &bucket)
{
    return refusal(error_code::bucket_not_found, "bucket \"ais://" + bucket +
                                                     "\" does not exist any more: it was destroyed during the upload, even if there is a "
                                                     "new one of that name");
}

// A client sends its body again, to the owner. Nothing was stored.
static put_leave redirection(const target &t, const cluster_node &owner, const std::string &bucket, const std::string &name)
{
    put_leave leave = refusal(error_code::unavailable, "t[" + t.id + "]: ais://" + bucket + "/" + name +
                                                           " was not stored: it belongs to target " + owner.id +
                                                           " now, to which the answer redirects: send it again");
    leave.status = 307;
    http_write_header(leave.headers, "Location", target_address_at(t, owner, bucket, name));
    return leave;
}

static store_terms terms_of(const target &t, uint64_t version_above)
{
    store_terms terms;
    terms.tag = document_epoch(t.document);
    terms.version_above = version_above;
    return terms;
}

// The proxy may give this target up, with what it holds, when it was silent for long.
std::string target_lease_text(const target &t)
{
    return "target " + t.id + " takes no changes: the proxy has not answered its heartbeats for " + text_duration(target_lease_ms) +
           ", or not yet since it started";
}

struct gate_work {
    target *t;
    uint64_t created_ns;
    bool by_job;
    std::string bucket, name;
    put_on_leave on_leave;
    void *owner;
};

static void on_learnt(void *arg, const lesson &learnt)
{
    gate_work work = std::move(*static_cast<gate_work *>(arg));
    delete static_cast<gate_work *>(arg);
    target &t = *work.t;
    put_leave leave;
    const cluster_node *other = target_owner_elsewhere(t, work.bucket, work.name);
    if (other != nullptr && learnt.err.code == error_code::other_epoch)
        leave = redirection(t, *other, work.bucket, work.name);
    else if (learnt.err)
        leave = refusal(learnt.err.code == error_code::other_epoch ? error_code::unavailable : learnt.err.code, learnt.text);
    else if (!target_has_lease(t))
        leave = refusal(error_code::unavailable, target_lease_text(t));
    else if (!target_has_bucket(&t, work.bucket, work.created_ns))
        leave = bucket_refusal(work.bucket);
    else if (std::string why = target_move_text(t, work.bucket, work.by_job); !why.empty())
        leave = refusal(error_code::conflict, std::move(why));
    else
        leave.terms = terms_of(t, lesson_version_above(t, learnt));
    work.on_leave(work.owner, leave);
}

static void ask(
    target &t, bool by_job, const std::string &bucket, const std::string &name, uint64_t created_ns, put_on_leave on_leave, void *owner)
{
    if (!target_has_bucket(&t, bucket, created_ns)) {
        on_leave(owner, bucket_refusal(bucket));
        return;
    }
    if (std::string why = target_move_text(t, bucket, by_job); !why.empty()) {
        on_leave(owner, refusal(error_code::conflict, std::move(why)));
        return;
    }
    if (const cluster_node *other = target_owner_elsewhere(t, bucket, name)) {
        on_leave(owner, redirection(t, *other, bucket, name));
        return;
    }
    if (!target_has_lease(t)) {
        on_leave(owner, refusal(error_code::unavailable, target_lease_text(t)));
        return;
    }
    if (target_must_learn(t, bucket, name)) {
        target_learn(t, {bucket, name, false, {}}, on_learnt, new gate_work{&t, created_ns, by_job, bucket, name, on_leave, owner});
        return;
    }
    put_leave leave;
    leave.terms = terms_of(t, document_version_floor(t.document));
    on_leave(owner, leave);
}

static error confirm(void *arg)
{
    return target_has_lease(*static_cast<const target *>(arg)) ? no_error : make_error(error_code::unavailable, "the lease has ended");
}

template <bool by_job>
static void ask_for(void *arg, const std::string &bucket, const std::string &name, uint64_t created_ns, put_on_leave on_leave, void *owner)
{
    ask(*static_cast<target *>(arg), by_job, bucket, name, created_ns, on_leave, owner);
}

put_gate target_put_gate(bool by_job) { return {must_ask, by_job ? ask_for<true> : ask_for<false>, confirm}; }

void target_set_terms(target &t)
{
    if (t.objects != nullptr)
        store_set_terms(*t.objects, terms_of(t, document_version_floor(t.document)));
}

} // namespace etlnode
