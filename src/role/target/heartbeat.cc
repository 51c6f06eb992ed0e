// SPDX-License-Identifier: MIT
// role/target/heartbeat.cc: what a target reports to the proxy with every heartbeat, and what it does with the answer.
//
// Owns     one call.
// Knows    member_machine, http, control.        Known by  target.cc.
// Normal   at the end, when nothing can change any more, it registers once more, so that the proxy knows how many objects it holds.
//          The first accepted registration lets the ETLs begin: before it, no pod is created, adopted or removed.
// Fails    a proxy of another cluster and this target refuse each other; the member machine pauses and tries again.
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "codec/error_envelope.h"
#include "codec/json.h"
#include "codec/url.h"
#include "control/member_machine.h"
#include "control/peer.h"
#include "control/placement.h"
#include "node/api.h"
#include "port/index.h"
#include "role/target/job_names.h"
#include "role/target/target.h"

namespace etlnode {

static void on_taken(void *arg, error err)
{
    target &t = *static_cast<target *>(arg);
    if (!err && t.membership != nullptr)
        member_beat_now(*t.membership); // reports to the proxy which version is held now
}

// From here on the pods with this target's name are ours: no other process with a copy of the data directory has been accepted.
static void note_accepted(target &t)
{
    if (t.was_accepted)
        return;
    t.was_accepted = true;
    target_sync_etls(t);
    target_held_document_taken(t);
}

static void on_answer(void *arg, call &, error err, int status, std::string body)
{
    target &t = *static_cast<target *>(arg);
    t.registration = nullptr;
    member &m = *t.membership;
    if (err) {
        member_answered(m, member_answer::unreachable, error_text(err));
        return;
    }
    if (status != 200 && status != 204) {
        error_envelope refusal = error_envelope_read(status, body);
        bool starting = status == 503;
        if (refusal.code == error_code::diverged || refusal.code == error_code::newer_version)
            target_note_odds(t, refusal.message);
        if (refusal.code == error_code::other_epoch)
            t.unfit = refusal.message;
        member_answered(
            m, starting ? member_answer::unreachable : member_answer::refused, text_format("status %d: ", status) + refusal.message);
        return;
    }
    std::string detail;
    if (status == 200 && target_take_document_text(t, body, detail)) {
        member_answered(m, member_answer::refused, detail);
        return;
    }
    t.odds.clear();
    t.unfit.clear();
    t.lease_ms = t.registration_sent_ms + target_lease_ms;
    note_accepted(t);
    member_answered(m, member_answer::accepted, {});
    target_ask_for_names(t);
    if (status == 200)
        target_wait_stored(t, on_taken, &t);
}

static call *start_registration(target &t, void (*on_done)(void *arg, call &, error err, int status, std::string body))
{
    cluster_node self;
    self.id = t.id;
    self.is_target = true;
    self.url = t.url;
    self.digest = placement_digest(t.id);
    self.disk = t.disk;
    json_ptr tree = node_print(self);
    json_add_text(tree.get(), "cluster", t.document.uuid);
    json_add_u64(tree.get(), "document_version", t.stored.version);
    json_add_u64_text(tree.get(), "document_term", t.stored.term);
    json_add_u64_text(tree.get(), "document_tag", t.stored.tag);
    json_add_u64_text(tree.get(), "document_digest", t.stored.digest);
    json_add_u64(tree.get(), "object_count", store_object_count(*t.objects));
    json_add_u64_text(tree.get(), "change_count", index_change_count(*t.e));
    json_add_u64_text(tree.get(), "started_ns", t.started_ns);
    if (!t.orphans.empty())
        json_add_tree(tree.get(), "orphans", target_orphans_json(t));
    json_add_tree(tree.get(), "capacity", capacity_json(target_capacity(t)));
    if (t.document.placement.epoch > 0)
        json_add_tree(tree.get(), "placement", placement_report_print(target_placement_report(t)));
    if (json_ptr jobs = target_job_reports(t, false); cJSON_GetArraySize(jobs.get()) > 0)
        json_add_tree(tree.get(), "jobs", std::move(jobs));
    url_base base;
    bool good = url_parse_base(t.options.proxy_url, base);
    (void)good; // checked by target_start
    call_options options;
    options.host = base.host;
    options.port = base.port;
    options.method = "POST";
    options.target = base.path + std::string(path_node_register);
    options.headers = peer_headers(t.options.cluster_secret, {});
    options.body = json_print(tree.get());
    options.has_body = true;
    options.answer_size_max = call_answer_size_max;
    options.connect_timeout_ms = intra_call_timeout_ms / 2;
    options.progress_timeout_ms = intra_call_timeout_ms;
    options.on_done = on_done;
    options.arg = &t;
    return call_start(*t.client, std::move(options));
}

static void send_registration(void *arg, member &)
{
    target &t = *static_cast<target *>(arg);
    t.registration_sent_ms = clock_boot_ms(*t.e);
    t.registration = start_registration(t, on_answer);
}

// Without epochs of placement nobody is declared lost while it may take writes.
bool target_has_lease(const target &t) { return t.document.placement.epoch == 0 || clock_boot_ms(*t.e) <= t.lease_ms; }

static void cancel_call(target &t)
{
    if (t.registration != nullptr)
        call_cancel(*t.registration);
    t.registration = nullptr;
}

static void cancel_registration(void *arg, member &) { cancel_call(*static_cast<target *>(arg)); }

void target_heartbeat_begin(target &t)
{
    t.membership = new member;
    t.membership->sm.id = 1;
    t.membership->e = t.e;
    t.membership->world = {.send = send_registration, .cancel = cancel_registration, .arg = &t};
    member_begin(*t.membership);
}

// --- the last report

static void on_last_answer(void *arg, call &, error err, int status, std::string)
{
    target &t = *static_cast<target *>(arg);
    t.registration = nullptr;
    if (err || (status != 200 && status != 204))
        LOG(info, "member", "reason=\"%s\" msg=\"the proxy did not take the last count of objects\"",
            err ? error_text(err) : text_format("status %d", status).c_str());
    lifecycle_last_word_sent(t.life);
}

bool target_heartbeat_has_last_word(const target &t)
{
    return t.was_registered && t.registration == nullptr && t.client != nullptr && t.objects != nullptr;
}

void target_heartbeat_send_last_word(target &t)
{
    t.was_registered = false;
    t.registration = start_registration(t, on_last_answer);
}

void target_heartbeat_end(target &t)
{
    if (t.membership == nullptr) {
        cancel_call(t);
        return;
    }
    t.was_registered = t.membership->accepted_ms > 0 && t.membership->refusals == 0;
    member_stop(*t.membership);
    delete t.membership;
    t.membership = nullptr;
}

} // namespace etlnode
