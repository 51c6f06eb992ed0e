// SPDX-License-Identifier: MIT
// etl/etl_registry.cc: the ETLs of one target.
//
// Owns     the watch, one machine for each start, the children that fetch logs and remove leftovers, the waiting callers.
// Knows    etl_machine, watch_machine; etl_ref.cc and etl_wanted.cc share its fields.       Known by  role, transfer (reads).
// Normal   Any change schedules one `settle()`, which completes callers, reports changed ETLs and frees finished ones. Nothing is reported
//          from inside a call or a step.
// Fails    for each ETL, see etl_machine.cc.
// Limits   etl_count_max, pod_log_calls_max, one sweep at a time.
#include <algorithm>

#include "base/check.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "etl/etl_registry_internal.h"

namespace etlnode {

static void settle(void *arg);

void etl_registry_wake(etl_registry &r)
{
    if (r.settle_posted)
        return;
    r.settle_posted = true;
    clock_post(*r.e, settle, &r);
}

void etl_registry_complete(etl_registry &r, on_text on_done, void *arg, error err, std::string text)
{
    if (on_done != nullptr)
        r.completions.push_back({on_done, arg, err, std::move(text)});
    etl_registry_wake(r);
}

// ---- reports of the machines and the watch

static void machine_stepped(void *arg, etl &) { etl_registry_wake(*static_cast<etl_registry *>(arg)); }

static void pod_changed(void *arg, std::string_view pod_name)
{
    auto &r = *static_cast<etl_registry *>(arg);
    bool is_expected = false;
    for (size_t i = 0; i < r.etls.size(); i++) {
        etl &m = *r.etls[i];
        if (etl_is_final(m) || m.plan.pod_name != pod_name)
            continue;
        is_expected = true;
        etl_recheck_pod(m);
    }
    if (!is_expected)
        etl_registry_wake(r); // removes leftovers: a pod may appear after its start was given up
}

static void list_taken(void *arg)
{
    auto &r = *static_cast<etl_registry *>(arg);
    for (size_t i = 0; i < r.etls.size(); i++) {
        if (!etl_is_final(*r.etls[i]))
            etl_recheck_pod(*r.etls[i]);
    }
    etl_registry_wake(r); // removes leftovers
}

static void watch_is_over(void *arg)
{
    auto &r = *static_cast<etl_registry *>(arg);
    r.watch_ended = true;
    etl_registry_wake(r);
}

static void make_watch(etl_registry &r)
{
    watch_host host = {pod_changed, list_taken, watch_is_over, &r};
    r.watch_ended = false;
    r.pods = watch_make(*r.e, host, r.options.kubectl, r.options.cluster_id, r.options.target_id, r.health);
    r.host.pods = r.pods;
}

// ---- leftovers

static bool is_claimed(const etl_registry &r, const pod_status &pod)
{
    return std::any_of(r.etls.begin(), r.etls.end(), [&](const etl *m) { return etl_claims_pod(*m, pod); });
}

static void sweep_ended(void *arg)
{
    auto &r = *static_cast<etl_registry *>(arg);
    kube_health_note(r.sweep);
    if (r.sweep.ok)
        LOG(info, "etl", "pod=%s msg=\"removed a pod that belongs to no ETL\"", r.sweeping.c_str());
    else
        LOG(warn, "etl", "pod=%s msg=\"cannot remove a pod that belongs to no ETL\" reason=\"%s\"", r.sweeping.c_str(),
            text_escape(r.sweep.failure).c_str());
    r.sweeping.clear();
    etl_registry_wake(r);
}

// Removes one pod at a time. A pod that could not be removed is retried after the next list. A removed one leaves the watch's memory.
static void sweep_next(etl_registry &r)
{
    if (!r.has_synced || r.shutting_down || kube_call_is_running(r.sweep) || !watch_has_listed(*r.pods))
        return;
    for (auto &[name, pod] : r.pods->pods) {
        if (pod.status.terminating || is_claimed(r, pod.status) || pod.swept_at == r.pods->listed_from)
            continue;
        pod.swept_at = r.pods->listed_from;
        r.sweeping = name;
        if (kube_call_start(r.sweep, kubectl_verb::remove, kubectl_delete(r.options.kubectl, name, 0)))
            return;
        r.sweeping.clear();
        return;
    }
}

// ---- logs

static void log_call_ended(void *arg)
{
    auto &call = *static_cast<log_call *>(arg);
    call.ended = true;
    if (call.call.ok)
        etl_registry_complete(*call.registry, call.on_done, call.arg, no_error, call.call.out);
    else
        etl_registry_complete(*call.registry, call.on_done, call.arg,
            make_error(call.registry->shutting_down ? error_code::canceled : error_code::unavailable),
            "kubectl logs: " + call.call.failure);
}

void etl_registry_logs(etl_registry &registry, std::string_view id, uint64_t since_s, on_text on_done, void *arg)
{
    etl_registry &r = registry;
    const etl *m = etl_registry_current(r, id);
    if (m == nullptr) {
        etl_registry_complete(r, on_done, arg, make_error(error_code::etl_not_found), "target " + r.options.target_id + " has no such ETL");
        return;
    }
    if (!etl_has_pod(*m) || r.shutting_down) {
        std::string why(etl_view_of(*m).last_error);
        etl_registry_complete(r, on_done, arg, make_error(error_code::not_ready),
            "target " + r.options.target_id + ": there is no pod now" + (why.empty() ? "" : ": " + why));
        return;
    }
    if (r.log_calls.size() >= pod_log_calls_max) {
        etl_registry_complete(r, on_done, arg, make_error(error_code::overloaded), "too many log requests in progress");
        return;
    }
    auto *call = new log_call;
    call->registry = &r;
    call->on_done = on_done;
    call->arg = arg;
    call->call.e = r.e;
    call->call.health = &r.health;
    call->call.on_end = log_call_ended;
    call->call.arg = call;
    r.log_calls.push_back(call);
    if (!kube_call_start(call->call, kubectl_verb::logs,
            kubectl_logs(r.options.kubectl, m->plan.pod_name, "", false, pod_log_lines_max, kubectl_timeout_ms, since_s)))
        log_call_ended(call);
}

const etl_registry_health &etl_registry_get_health(const etl_registry &registry) { return registry.health; }

// ---- settle: compares the state with what was reported

// A start that waited for this pod to be gone may begin.
static void free_machine(etl_registry &r, etl *m)
{
    etl_ref &ref = *m->ref;
    std::erase(ref.starts, m);
    std::erase(r.etls, m);
    for (etl *other : ref.starts) {
        if (other->predecessor != m)
            continue;
        other->predecessor = nullptr;
        if (!etl_is_final(*other))
            etl_send(*other, etl::event::predecessor_gone);
    }
    etl_free(m);
}

static etl *machine_of(const etl_registry &r, uint64_t machine_id)
{
    for (etl *m : r.etls) {
        if (m->sm.id == machine_id)
            return m;
    }
    return nullptr;
}

static void settle_starts(etl_registry &r)
{
    std::vector<start_waiter> waiting;
    uint64_t now = clock_now_ms(*r.e);
    uint64_t next = 0;
    for (const start_waiter &w : r.start_waiters) {
        const etl *m = machine_of(r, w.machine_id);
        error err;
        std::string text;
        if (m == nullptr)
            etl_registry_complete(r, w.on_done, w.arg, make_error(error_code::canceled), "the ETL was stopped");
        else if (etl_start_is_decided(*m, err, text))
            etl_registry_complete(r, w.on_done, w.arg, err, std::move(text));
        else if (!etl_is_awaited(*m) && w.deadline_ms <= now)
            etl_registry_complete(r, w.on_done, w.arg, make_error(error_code::etl_init_failed), etl_start_missed_text(*m));
        else {
            waiting.push_back(w);
            if (!etl_is_awaited(*m) && (next == 0 || w.deadline_ms < next))
                next = w.deadline_ms;
        }
    }
    r.start_waiters = std::move(waiting);
    if (next != 0)
        timer_arm(*r.e, r.start_timer, next - now);
    else
        timer_stop(*r.e, r.start_timer);
}

static void settle_stops(etl_registry &r)
{
    std::vector<stop_waiter> waiting;
    for (const stop_waiter &w : r.stop_waiters) {
        const etl *left = nullptr;
        for (const etl *m : r.etls) {
            if (m->definition.id == w.id && etl_is_stopping(*m) && !etl_is_final(*m))
                left = m;
        }
        if (left == nullptr)
            etl_registry_complete(r, w.on_done, w.arg, no_error, "");
        else if (etl_registry_delete_failures(r, w.id) > w.failures_before)
            etl_registry_complete(r, w.on_done, w.arg, make_error(error_code::unavailable), etl_delete_error(*left));
        else
            waiting.push_back(w);
    }
    r.stop_waiters = std::move(waiting);
}

static void settle_reports(etl_registry &r, std::vector<etl_ref *> &changed)
{
    for (etl *m : r.etls) {
        etl_view view = etl_view_of(*m);
        if (!etl_is_current(*m) ||
            (view.phase == m->reported.phase && view.ready == m->reported.ready && *view.endpoint == m->reported.endpoint))
            continue;
        m->reported = {view.phase, view.ready, *view.endpoint};
        changed.push_back(etl_ref_acquire(*m->ref));
    }
}

static void free_ended(etl_registry &r, std::vector<etl_ref *> &changed)
{
    for (size_t i = 0; i < r.etls.size();) {
        etl *m = r.etls[i];
        if (!etl_is_final(*m)) {
            i++;
            continue;
        }
        etl_ref &ref = *etl_ref_acquire(*m->ref);
        bool was_current = etl_is_current(*m);
        free_machine(r, m);
        if (was_current)
            changed.push_back(&ref);
        else
            etl_ref_release(ref);
    }
    for (size_t i = 0; i < r.log_calls.size();) {
        if (!r.log_calls[i]->ended) {
            i++;
            continue;
        }
        delete r.log_calls[i];
        r.log_calls.erase(r.log_calls.begin() + static_cast<ptrdiff_t>(i));
    }
}

static bool is_shut_down(const etl_registry &r)
{
    return r.shutting_down && r.watch_ended && r.etls.empty() && r.log_calls.empty() && !kube_call_is_running(r.sweep);
}

// Requires: nothing is in progress: never begun, or shut down.
static void destroy(etl_registry *r)
{
    CHECK(r->log_calls.empty());
    CHECK(!kube_call_is_running(r->sweep));
    while (!r->etls.empty()) {
        etl_ref &ref = *r->etls.front()->ref;
        std::erase(ref.starts, r->etls.front());
        etl_free(r->etls.front());
        r->etls.erase(r->etls.begin());
        etl_ref_free_if_unused(ref);
    }
    CHECK(r->refs.empty());
    watch_free(r->pods);
    timer_free(*r->e, r->start_timer);
    delete r;
}

static void revive_watch(etl_registry &r)
{
    // The watch machine ends by itself only after a fault of its own (counted in its table). The node continues with a new one.
    watch_free(r.pods);
    make_watch(r);
    watch_begin(*r.pods);
}

static void settle(void *arg)
{
    auto &r = *static_cast<etl_registry *>(arg);
    r.settle_posted = false;
    if (r.freed) {
        destroy(&r);
        return;
    }
    if (r.watch_ended && r.has_begun && !r.shutting_down)
        revive_watch(r);
    std::vector<etl_ref *> changed;
    settle_reports(r, changed);
    settle_starts(r);
    free_ended(r, changed);
    settle_stops(r);
    sweep_next(r);
    // What the callbacks below cause is settled separately, after the current completion.
    std::vector<completion> completions = std::move(r.completions);
    r.completions.clear();
    for (etl_ref *ref : changed) {
        if (r.options.on_change != nullptr)
            r.options.on_change(r.options.arg, *ref);
        etl_ref_release(*ref);
    }
    for (const completion &c : completions)
        c.on_done(c.arg, c.err, c.text);
    if (r.settle_posted || !is_shut_down(r) || r.on_shut_down == nullptr)
        return;
    auto on_done = r.on_shut_down;
    r.on_shut_down = nullptr;
    on_done(r.shut_down_arg); // may free the registry
}

// ---- life

static void start_clock_fired(void *arg) { etl_registry_wake(*static_cast<etl_registry *>(arg)); }

etl_registry *etl_registry_make(env &e, const etl_registry_options &options)
{
    CHECK(!options.kubectl.empty());
    auto *r = new etl_registry;
    r->e = &e;
    r->options = options;
    r->host = {{&e, &r->options, nullptr, &r->health, &r->pods_made}, machine_stepped, r};
    r->sweep.e = &e;
    r->sweep.health = &r->health;
    r->sweep.on_end = sweep_ended;
    r->sweep.arg = r;
    r->start_timer = timer_make(e, start_clock_fired, r);
    make_watch(*r);
    return r;
}

void etl_registry_begin(etl_registry &registry)
{
    if (registry.has_begun || registry.shutting_down)
        return;
    registry.has_begun = true;
    watch_begin(*registry.pods);
}

void etl_registry_shut_down(etl_registry &registry, void (*on_done)(void *arg), void *arg)
{
    etl_registry &r = registry;
    CHECK(!r.shutting_down);
    r.shutting_down = true;
    r.on_shut_down = on_done;
    r.shut_down_arg = arg;
    for (const stop_waiter &w : r.stop_waiters)
        etl_registry_complete(
            r, w.on_done, w.arg, make_error(error_code::stopping), "the node is shutting down; the pod is removed when it is back");
    for (const start_waiter &w : r.start_waiters)
        etl_registry_complete(r, w.on_done, w.arg, make_error(error_code::stopping), "the node is shutting down");
    r.stop_waiters.clear();
    r.start_waiters.clear();
    for (etl *m : r.etls) {
        if (!etl_is_final(*m))
            etl_shut_down(*m);
    }
    for (log_call *call : r.log_calls)
        kube_call_terminate(call->call);
    kube_call_terminate(r.sweep);
    watch_stop(*r.pods);
    etl_registry_wake(r);
}

void etl_registry_free(etl_registry *registry)
{
    if (registry == nullptr)
        return;
    if (registry->settle_posted)
        registry->freed = true; // the posted call needs it once more
    else
        destroy(registry);
}

} // namespace etlnode
