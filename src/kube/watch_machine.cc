// SPDX-License-Identifier: MIT
// kube/watch_machine.cc: the resident watch, and the lists that accompany it.
//
// Owns     the watch child, at most one list child, one timer, the known pods.
// Knows    sm, port, kube.           Known by  etl_registry; pod_facts (reads pods).
// Machine  watch, drawn in docs/machines/watch.md (generated, do not edit).
// Normal   It starts watch and list together, lists a second time when the watch has surely opened, and then every watch_relist_ms.
// Fails    Every watch ends sooner or later: after a back-off, both start again. Garbage or too large an event ends the watch.
// Limits   watch_event_size_max, watched_pods_max, watch_restart_max_ms.
#include "kube/watch_machine.h"

#include <algorithm>

#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "sm/sm_verify.h"

namespace etlnode {

using S = watch::state;
using E = watch::event;

static constexpr size_t gone_uids_max = 256;
static constexpr uint32_t WATCH = 1, LIST = 2, TIMER = 4;

// ---- actions

static void arm(watch &w, uint64_t ms) { timer_arm(*w.e, w.deadline_timer, ms); }
static void watch_output(void *arg, std::string_view bytes);

static void start_list(watch &w)
{
    w.list_started = watch_take_stamp(w);
    proc_options call = kubectl_list(w.program, w.cluster_id, w.target_id);
    arm(w, call.deadline_ms + call.kill_grace_ms + 1'000);
    if (!kube_call_start(w.list, kubectl_verb::list, std::move(call)))
        sm_emit(w, E::list_failed);
}

static void start_both(watch &w)
{
    w.settle_pending = true;
    w.problem.clear();
    w.watch_started_ms = clock_now_ms(*w.e);
    watch_stream_reset(w.stream);
    proc_options call = kubectl_watch(w.program, w.cluster_id, w.target_id);
    call.on_output = watch_output;
    if (!kube_call_start(w.watching, kubectl_verb::watch, std::move(call)))
        sm_emit(w, E::watch_ended);
    start_list(w);
}

static void arm_relist(watch &w)
{
    arm(w, w.settle_pending ? watch_settle_ms : watch_relist_ms);
    w.settle_pending = false;
}

static void arm_list_retry(watch &w) { arm(w, watch_restart_max_ms); }

static void arm_restart(watch &w)
{
    bool was_healthy = clock_now_ms(*w.e) - w.watch_started_ms >= watch_stable_ms;
    w.restart_delay_ms = was_healthy || w.restart_delay_ms == 0 ? watch_restart_min_ms
                                                                : std::min(w.restart_delay_ms * 2, watch_restart_max_ms);
    w.health->watch_restarts++;
    arm(w, w.restart_delay_ms);
}

static void end_list(watch &w)
{
    kube_call_terminate(w.list);
    arm(w, child_kill_grace_ms * 2);
}

static void end_children(watch &w)
{
    kube_call_terminate(w.watching);
    end_list(w);
}

static void disarm(watch &w) { timer_stop(*w.e, w.deadline_timer); }
// ---- guards

static bool a_list_runs(const watch &w) { return w.list.open; }
static bool a_watch_runs(const watch &w) { return w.watching.open; }
static uint32_t alive(const watch &w)
{
    return (w.watching.open ? WATCH : 0) | (w.list.open ? LIST : 0) | (timer_is_armed(*w.e, w.deadline_timer) ? TIMER : 0);
}

static constexpr sm_resource resources[] = {{WATCH, "watch child"}, {LIST, "list child"}, {TIMER, "timer"}};

static constexpr sm_state<watch> states[] = {
    //  state              name             kind        must alive            may be alive
    {S::idle, sm_initial, 0, 0},
    {S::listing, sm_busy, WATCH | LIST | TIMER, WATCH | LIST | TIMER},
    {S::watching, 0, WATCH | TIMER, WATCH | TIMER},
    {S::listing_alone, sm_busy, LIST | TIMER, LIST | TIMER},
    {S::backing_off, sm_busy, TIMER, TIMER},
    {S::ending, sm_busy, TIMER, WATCH | LIST | TIMER},
    {S::ended, sm_final, 0, 0},
};

static constexpr sm_row<watch> rows[] = {
    //  from               on              guard                 action                  to
    {S::idle, E::begin, always, SM_FN(start_both), S::listing},
    {S::idle, E::stop, always, nothing, S::ended},

    {S::listing, E::list_ok, always, SM_FN(arm_relist), S::watching},
    {S::listing, E::list_failed, always, SM_FN(arm_list_retry), S::watching},
    {S::listing, E::watch_ended, always, nothing, S::listing_alone},
    {S::listing, E::deadline, always, SM_FN(end_list), S::listing},
    {S::listing, E::stop, always, SM_FN(end_children), S::ending},

    {S::watching, E::deadline, always, SM_FN(start_list), S::listing},
    {S::watching, E::watch_ended, always, SM_FN(arm_restart), S::backing_off},
    {S::watching, E::stop, always, SM_FN(end_children), S::ending},

    {S::listing_alone, E::list_ok, always, SM_FN(arm_restart), S::backing_off},
    {S::listing_alone, E::list_failed, always, SM_FN(arm_restart), S::backing_off},
    {S::listing_alone, E::deadline, always, SM_FN(end_list), S::listing_alone},
    {S::listing_alone, E::stop, always, SM_FN(end_children), S::ending},

    {S::backing_off, E::deadline, always, SM_FN(start_both), S::listing},
    {S::backing_off, E::stop, always, SM_FN(disarm), S::ended},

    {S::ending, E::watch_ended, SM_FN(a_list_runs), nothing, S::ending},
    {S::ending, E::watch_ended, always, SM_FN(disarm), S::ended},
    {S::ending, E::list_ok, SM_FN(a_watch_runs), nothing, S::ending},
    {S::ending, E::list_ok, always, SM_FN(disarm), S::ended},
    {S::ending, E::list_failed, SM_FN(a_watch_runs), nothing, S::ending},
    {S::ending, E::list_failed, always, SM_FN(disarm), S::ended},
    {S::ending, E::deadline, always, SM_FN(end_children), S::ending},
};

static constexpr sm_ignore<watch> ignores[] = {
    //  in             event      why it is harmless
    {S::ending, E::stop, "it is ending already"},
};

static bool pods_are_bounded(const watch &w) { return w.pods.size() <= watched_pods_max && w.gone_uids.size() <= gone_uids_max; }
static bool back_off_is_bounded(const watch &w) { return w.restart_delay_ms <= watch_restart_max_ms; }
static bool children_are_counted(const watch &w)
{
    return (w.watching.open || !kube_call_is_running(w.watching)) && (w.list.open || !kube_call_is_running(w.list));
}
static constexpr sm_invariant<watch> invariants[] = {
    {"pods_are_bounded", pods_are_bounded},
    {"back_off_is_bounded", back_off_is_bounded},
    {"children_are_counted", children_are_counted},
};

static void note_event(watch &w, E event)
{
    if (event == E::watch_ended)
        kube_call_close(w.watching);
    if (event == E::list_ok || event == E::list_failed)
        kube_call_close(w.list);
}

static void post_ended(void *arg)
{
    auto &w = *static_cast<watch *>(arg);
    w.host.on_ended(w.host.arg);
}

static void report_end(watch &w, S, E)
{
    if (sm_state_of(w) == S::ended)
        clock_post(*w.e, post_ended, &w);
}

static constexpr sm_table<watch> table = {
    "watch", states, resources, rows, ignores, invariants, E::stop, E::deadline, alive, note_event, report_end};
SM_VERIFY(table);

sm_view watch_machine_view() { return sm_view_of(table); }

// ---- events in

static void dispatch(watch &w, E event) { sm_step(table, w, event); }

static void timer_fired(void *arg) { dispatch(*static_cast<watch *>(arg), E::deadline); }

// ---- the known pods

static bool is_gone_uid(const watch &w, const std::string &uid)
{
    return std::find(w.gone_uids.begin(), w.gone_uids.end(), uid) != w.gone_uids.end();
}

static void note_gone(watch &w, const std::string &uid)
{
    if (uid.empty() || is_gone_uid(w, uid))
        return;
    if (w.gone_uids.size() == gone_uids_max)
        w.gone_uids.erase(w.gone_uids.begin());
    w.gone_uids.push_back(uid);
}

static bool is_ours(const watch &w, const pod_status &pod)
{
    return pod.label_cluster == kubectl_label_value(w.cluster_id) && pod.label_target == kubectl_label_value(w.target_id);
}

// False if the status is not news: older than the known one, or of a pod that is known to be gone.
static bool take_status(watch &w, pod_status &&pod)
{
    if (!is_ours(w, pod) || is_gone_uid(w, pod.uid))
        return false;
    auto known = w.pods.find(pod.name);
    if (known != w.pods.end() && pod_status_is_older(pod, known->second.status))
        return false;
    if (known == w.pods.end() && w.pods.size() >= watched_pods_max)
        return false;
    watched_pod &entry = w.pods[pod.name];
    entry.status = std::move(pod);
    entry.touched = watch_take_stamp(w);
    return true;
}

static bool take_deletion(watch &w, const pod_status &pod)
{
    note_gone(w, pod.uid);
    auto known = w.pods.find(pod.name);
    if (known == w.pods.end() || known->second.status.uid != pod.uid)
        return false;
    w.pods.erase(known);
    watch_take_stamp(w);
    return true;
}

static void take_list(watch &w, std::vector<pod_status> &listed)
{
    std::vector<std::string> names;
    for (pod_status &pod : listed) {
        names.push_back(pod.name);
        (void)take_status(w, std::move(pod));
    }
    std::sort(names.begin(), names.end());
    for (auto it = w.pods.begin(); it != w.pods.end();) {
        // News that arrived during the list may be newer than the list. The next list decides.
        bool is_lost = it->second.touched <= w.list_started && !std::binary_search(names.begin(), names.end(), it->first);
        if (is_lost)
            note_gone(w, it->second.status.uid);
        it = is_lost ? w.pods.erase(it) : std::next(it);
    }
    w.listed_from = w.list_started;
}

// ---- children

static void end_watch(watch &w, kubectl_fault fault, const std::string &problem)
{
    w.problem = problem;
    w.problem_fault = fault;
    LOG(warn, "etl", "msg=\"restarting the watch of pods\" reason=\"%s\"", text_escape(problem).c_str());
    kube_call_terminate(w.watching);
}

static void take_event(watch &w, std::string_view object, std::vector<std::string> &changed)
{
    watch_event event;
    std::string where;
    if (error err = watch_event_parse(object, event, where)) {
        end_watch(w, kubectl_fault::output, std::string("damaged watch event: ") + where);
        return;
    }
    std::string name = event.pod.name;
    bool is_news = false;
    switch (event.type) {
    case watch_event_type::added:
    case watch_event_type::modified: is_news = take_status(w, std::move(event.pod)); break;
    case watch_event_type::deleted: is_news = take_deletion(w, event.pod); break;
    case watch_event_type::bookmark: break;
    case watch_event_type::failed:
        end_watch(w, event.expired ? kubectl_fault::expired : kubectl_fault::server_error, "the API server ended it: " + event.message);
        break;
    }
    if (is_news)
        changed.push_back(name);
}

static void watch_output(void *arg, std::string_view bytes)
{
    // The call's owner pointer is the kube_call; its arg leads to the watch.
    auto &w = *static_cast<watch *>(static_cast<kube_call *>(arg)->arg);
    if (!w.problem.empty() || sm_state_of(w) == S::ending)
        return;
    std::vector<std::string> objects;
    error err = watch_stream_feed(w.stream, bytes, objects);
    std::vector<std::string> changed;
    for (const std::string &object : objects) {
        if (w.problem.empty())
            take_event(w, object, changed);
    }
    if (err && w.problem.empty())
        end_watch(w, kubectl_fault::output, error_text(err));
    for (const std::string &name : changed)
        w.host.on_pod(w.host.arg, name);
}

static void watch_child_ended(void *arg)
{
    auto &w = *static_cast<watch *>(arg);
    bool lived = clock_now_ms(*w.e) - w.watch_started_ms >= watch_stable_ms;
    bool is_wanted = sm_state_of(w) != S::ending;
    kubectl_fault fault = !w.problem.empty() ? w.problem_fault : w.watching.fault;
    w.health->watch_right = is_wanted ? w.watching.missing_right : std::string();
    if (is_wanted && fault == kubectl_fault::expired)
        w.health->watch_expiries++; // normal: it happens to every watch sooner or later
    else if (is_wanted && !w.problem.empty())
        kube_health_note_failure(*w.health, fault, "watch: " + w.problem);
    else if (is_wanted && !w.watching.ok && !lived)
        kube_health_note_failure(*w.health, fault, "watch: " + w.watching.failure);
    dispatch(w, E::watch_ended);
    if (!w.health->watch_right.empty())
        w.host.on_list(w.host.arg);
}

static void list_child_ended(void *arg)
{
    auto &w = *static_cast<watch *>(arg);
    std::string where;
    std::vector<pod_status> listed;
    bool ok = w.list.ok;
    if (ok) {
        if (error err = pod_list_parse(w.list.out, listed, where)) {
            ok = false;
            w.list.ok = false;
            w.list.fault = kubectl_fault::output;
            w.list.failure = std::string(error_text(err)) + ": " + where;
        }
    }
    if (!ok)
        w.list.failure = "list: " + w.list.failure;
    w.list.out = std::string();
    bool is_wanted = sm_state_of(w) != S::ending;
    if (is_wanted) {
        kube_health_note(w.list);
        w.health->list_right = w.list.missing_right;
        if (ok && w.watching.open && clock_now_ms(*w.e) - w.watch_started_ms >= watch_settle_ms)
            w.health->watch_right.clear(); // a watch that is refused does not live that long
        if (ok)
            take_list(w, listed);
    }
    dispatch(w, ok ? E::list_ok : E::list_failed);
    if (is_wanted && (ok || !w.health->list_right.empty()))
        w.host.on_list(w.host.arg);
}

// ---- interface

watch *watch_make(env &e, const watch_host &host, const kubectl_program &program, std::string_view cluster_id, std::string_view target_id,
    kube_health &health)
{
    auto *w = new watch;
    w->sm.id = 1;
    w->e = &e;
    w->host = host;
    w->program = program;
    w->cluster_id = cluster_id;
    w->target_id = target_id;
    w->health = &health;
    for (kube_call *call : {&w->watching, &w->list}) {
        call->e = &e;
        call->health = &health;
        call->arg = w;
    }
    w->watching.on_end = watch_child_ended;
    w->list.on_end = list_child_ended;
    w->deadline_timer = timer_make(e, timer_fired, w);
    return w;
}

void watch_begin(watch &w) { dispatch(w, E::begin); }
void watch_stop(watch &w) { dispatch(w, E::stop); }

void watch_free(watch *w)
{
    if (w == nullptr)
        return;
    CHECK(!w->watching.open);
    CHECK(!w->list.open);
    timer_free(*w->e, w->deadline_timer);
    delete w;
}

const pod_status *watch_find(const watch &w, std::string_view pod_name)
{
    auto known = w.pods.find(pod_name);
    return known != w.pods.end() ? &known->second.status : nullptr;
}

} // namespace etlnode
