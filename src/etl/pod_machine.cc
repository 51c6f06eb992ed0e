// SPDX-License-Identifier: MIT
// etl/pod_machine.cc: one pod of an ETL, until it is gone.
//
// Owns     its launch (a machine of its own), one kubectl child at a time, one timer, one connect, and whether the pod may exist.
// Knows    sm, port, kube, pod_facts, launch_machine.        Known by  etl_machine.
// Machine  pod, drawn in docs/machines/pod.md (generated, do not edit).
// Normal   The pod comes up, serves, and is deleted when its owner asks for that.
// Fails    A pod that will not serve any more is removed, and the owner gets the reason. Kubernetes restarts a container that has ended.
//          A pod that refuses connections is suspected: connect to it until it answers. A failed delete is repeated for ever.
// Limits   kubectl_timeout_ms, the back-offs etl_probe_* and etl_delete_retry_*, etl_probe_timeout_ms.
#include "etl/pod_machine.h"

#include "base/limits.h"
#include "etl/pod_last_words.h"
#include "sm/sm_verify.h"

namespace etlnode {

using S = pod_machine::state;
using E = pod_machine::event;

static constexpr uint32_t CALL = 1, TIMER = 2, POD = 4, PROBE = 8, LAUNCH = 16;

// ---- actions

static env &env_of(const pod_machine &m) { return env_of(m.facts); }
static uint64_t now_of(const pod_machine &m) { return clock_now_ms(env_of(m)); }
static void arm(pod_machine &m, uint64_t ms) { timer_arm(env_of(m), m.deadline_timer, ms); }
static void disarm(pod_machine &m) { timer_stop(env_of(m), m.deadline_timer); }
static void recheck_pod(pod_machine &m) { sm_emit(m, E::pod_changed); }
static std::string &trouble_of(pod_machine &m) { return m.facts.record->trouble; }

static void begin_launch(pod_machine &m) { launch_begin(*m.launch); }
static void begin_adoption(pod_machine &m) { launch_adopt(*m.launch); }
static void recheck_launch(pod_machine &m) { launch_recheck_pod(*m.launch); }
static void hurry_launch(pod_machine &m) { launch_hurry(*m.launch); }
static void stop_launch(pod_machine &m) { launch_stop(*m.launch); }

static void begin_serving(pod_machine &m)
{
    disarm(m);
    pod_facts_begin_serving(m.facts);
    m.serving_since_ms = now_of(m);
}

static void update_served_pod(pod_machine &m) { pod_facts_update_serving(m.facts); }
static void note_down(pod_machine &m) { trouble_of(m) = pod_text_tail(pod_facts_describe(m.facts), etl_error_text_max / 2); }
static void note_status(pod_machine &m) { pod_facts_note_trouble(m.facts); }

static void note_gone(pod_machine &m)
{
    m.facts.may_exist = false;
    disarm(m);
}

// ---- suspicion: the pod has refused a connection

static void note_suspected(pod_machine &m)
{
    trouble_of(m).clear();
    pod_facts_note_trouble(m.facts);
    std::string &trouble = trouble_of(m);
    trouble = trouble.empty() ? "the pod refuses connections" : "the pod refused a connection; " + trouble;
}

static void begin_suspicion(pod_machine &m)
{
    trouble_of(m) = "the pod refuses connections";
    if (now_of(m) - m.serving_since_ms >= 5 * etl_probe_max_ms)
        back_off_reset(m.probe_retry);
    arm(m, back_off_next(m.probe_retry));
}

static void probe_pod(pod_machine &m)
{
    const etl_endpoint &endpoint = m.facts.record->endpoint;
    if (!connect_probe_start(m.probe, endpoint.host, endpoint.port))
        sm_emit(m, E::probe_failed);
    arm(m, etl_probe_timeout_ms);
}

static void probe_later(pod_machine &m)
{
    connect_probe_cancel(m.probe);
    arm(m, back_off_next(m.probe_retry));
    recheck_pod(m); // it was not checked while the probe ran
}

static void end_suspicion(pod_machine &m)
{
    connect_probe_cancel(m.probe);
    disarm(m);
    m.serving_since_ms = now_of(m);
    trouble_of(m).clear();
    recheck_pod(m);
}

// ---- removal

static void delete_pod(pod_machine &m)
{
    const pod_plan &plan = *m.facts.plan;
    connect_probe_cancel(m.probe);
    proc_options options = kubectl_delete(plan.world->options->kubectl, plan.pod_name, plan.grace_s);
    uint64_t patience_ms = kube_call_patience_ms(options);
    if (!kube_call_start(m.call, kubectl_verb::remove, std::move(options)))
        sm_emit(m, E::kubectl_failed);
    arm(m, patience_ms);
}

static void delete_unusable(pod_machine &m)
{
    note_down(m);
    delete_pod(m);
}

static void note_deleted(pod_machine &m)
{
    m.delete_error.clear();
    note_gone(m);
}

static void retry_delete_later(pod_machine &m)
{
    m.delete_error = pod_text_context(*m.facts.plan) + ": deleting the pod: " + pod_text_call(m.call, "kubectl delete");
    arm(m, back_off_next(m.delete_retry));
}

static void end_call(pod_machine &m)
{
    kube_call_terminate(m.call);
    arm(m, child_kill_grace_ms * 2);
}

static void close_launch(pod_machine &m)
{
    if (launch_is_busy(*m.launch))
        launch_stop(*m.launch);
    end_call(m);
}

static void close_now(pod_machine &m)
{
    connect_probe_cancel(m.probe);
    disarm(m);
}

// ---- guards

static bool is_ready(const pod_machine &m) { return pod_facts_is_ready(m.facts); }
static bool is_gone(const pod_machine &m) { return pod_facts_is_gone(m.facts); }
static bool is_ended(const pod_machine &m) { return pod_facts_verdict(m.facts) == pod_verdict::ended; }
static bool is_up(const pod_machine &m) { return sm_state_of(*m.launch) == launch_machine::state::ready; }
static bool has_no_pod(const pod_machine &m) { return !m.facts.may_exist; }
static bool is_of_served_instance(const pod_machine &m, const pod_status &status)
{
    return pod_status_instance(status) == m.facts.record->endpoint.instance;
}

// Traffic stops if the container has ended or is being deleted. It continues if only the readiness probe fails: a busy server still serves.
static bool is_down(const pod_machine &m)
{
    const pod_status *status = pod_facts_status(m.facts);
    if (status == nullptr || status->terminating || status->main.state != container_state::running)
        return true;
    return !is_of_served_instance(m, *status) && !is_ready(m);
}

// An instance that refused a connection is not trusted until it has answered.
static bool is_ready_anew(const pod_machine &m)
{
    const pod_status *status = pod_facts_status(m.facts);
    return status != nullptr && is_ready(m) && !is_of_served_instance(m, *status);
}

static bool may_answer(const pod_machine &m)
{
    const pod_status *status = pod_facts_status(m.facts);
    return status != nullptr && !status->terminating && status->main.state == container_state::running && is_of_served_instance(m, *status);
}

static uint32_t alive(const pod_machine &m)
{
    return (m.call.open ? CALL : 0) | (timer_is_armed(env_of(m), m.deadline_timer) ? TIMER : 0) | (m.facts.may_exist ? POD : 0) |
           (m.probe.open ? PROBE : 0) | (launch_is_busy(*m.launch) ? LAUNCH : 0);
}

// ---- the table

static constexpr sm_resource resources[] = {{CALL, "kubectl call"}, {TIMER, "timer"}, {POD, "pod"}, {PROBE, "probe"}, {LAUNCH, "launch"}};

static constexpr sm_state<pod_machine> states[] = {
    //  state                  kind        must alive           may be alive
    {S::idle, sm_initial, 0, 0},
    {S::coming_up, sm_busy, LAUNCH, LAUNCH | POD, 0, "the launch's own deadlines"},
    {S::serving, 0, POD, POD},
    {S::awaiting_return, 0, POD, POD},
    {S::suspected, sm_busy, TIMER | POD, TIMER | POD},
    {S::probing, sm_busy, TIMER | POD | PROBE, TIMER | POD | PROBE},
    {S::cancelling, sm_busy, LAUNCH, LAUNCH | POD, 0, "the launch's own deadlines"},
    {S::deleting, sm_busy, CALL | TIMER | POD, CALL | TIMER | POD},
    {S::awaiting_delete_retry, sm_busy, TIMER | POD, TIMER | POD},
    {S::closing, sm_busy, TIMER, CALL | TIMER | POD | LAUNCH},
    {S::gone, sm_final, 0, 0},
    {S::closed, sm_final, 0, POD},
};

static constexpr sm_row<pod_machine> rows[] = {
    //  from                   on                 guard                 action                     to
    {S::idle, E::launch, always, SM_FN(begin_launch), S::coming_up},
    {S::idle, E::adopt, always, SM_FN(begin_adoption), S::coming_up},
    {S::idle, E::remove, always, nothing, S::gone},
    {S::idle, E::shut_down, always, nothing, S::closed},

    {S::coming_up, E::launch_ended, SM_FN(is_up), SM_FN(begin_serving), S::serving},
    {S::coming_up, E::launch_ended, SM_FN(has_no_pod), nothing, S::gone},
    {S::coming_up, E::launch_ended, always, SM_FN(delete_pod), S::deleting},
    {S::coming_up, E::pod_changed, always, SM_FN(recheck_launch), S::coming_up},
    {S::coming_up, E::hurry, always, SM_FN(hurry_launch), S::coming_up},
    {S::coming_up, E::remove, always, SM_FN(stop_launch), S::cancelling},
    {S::coming_up, E::shut_down, always, SM_FN(close_launch), S::closing},

    {S::serving, E::pod_changed, SM_FN(is_gone), SM_FN(note_gone), S::gone},
    {S::serving, E::pod_changed, SM_FN(is_ended), SM_FN(delete_unusable), S::deleting},
    {S::serving, E::pod_changed, SM_FN(is_down), SM_FN(note_down), S::awaiting_return},
    {S::serving, E::pod_changed, always, SM_FN(update_served_pod), S::serving},
    {S::serving, E::refused, always, SM_FN(begin_suspicion), S::suspected},
    {S::serving, E::remove, always, SM_FN(delete_pod), S::deleting},
    {S::serving, E::shut_down, always, nothing, S::closed},

    {S::awaiting_return, E::pod_changed, SM_FN(is_gone), SM_FN(note_gone), S::gone},
    {S::awaiting_return, E::pod_changed, SM_FN(is_ended), SM_FN(delete_unusable), S::deleting},
    {S::awaiting_return, E::pod_changed, SM_FN(is_ready), SM_FN(begin_serving), S::serving},
    {S::awaiting_return, E::pod_changed, always, SM_FN(note_status), S::awaiting_return},
    {S::awaiting_return, E::remove, always, SM_FN(delete_pod), S::deleting},
    {S::awaiting_return, E::shut_down, always, nothing, S::closed},

    {S::suspected, E::pod_changed, SM_FN(is_gone), SM_FN(note_gone), S::gone},
    {S::suspected, E::pod_changed, SM_FN(is_ended), SM_FN(delete_unusable), S::deleting},
    {S::suspected, E::pod_changed, SM_FN(is_ready_anew), SM_FN(begin_serving), S::serving},
    {S::suspected, E::pod_changed, always, SM_FN(note_suspected), S::suspected},
    {S::suspected, E::deadline, SM_FN(may_answer), SM_FN(probe_pod), S::probing},
    {S::suspected, E::deadline, always, SM_FN(probe_later), S::suspected},
    {S::suspected, E::remove, always, SM_FN(delete_pod), S::deleting},
    {S::suspected, E::shut_down, always, SM_FN(close_now), S::closed},

    {S::probing, E::probe_ok, always, SM_FN(end_suspicion), S::serving},
    {S::probing, E::probe_failed, always, SM_FN(probe_later), S::suspected},
    {S::probing, E::deadline, always, SM_FN(probe_later), S::suspected},
    {S::probing, E::remove, always, SM_FN(delete_pod), S::deleting},
    {S::probing, E::shut_down, always, SM_FN(close_now), S::closed},

    {S::cancelling, E::launch_ended, always, SM_FN(delete_pod), S::deleting},
    {S::cancelling, E::shut_down, always, SM_FN(close_launch), S::closing},

    {S::deleting, E::kubectl_ok, always, SM_FN(note_deleted), S::gone},
    {S::deleting, E::kubectl_failed, always, SM_FN(retry_delete_later), S::awaiting_delete_retry},
    {S::deleting, E::deadline, always, SM_FN(end_call), S::deleting},
    {S::deleting, E::shut_down, always, SM_FN(end_call), S::closing},

    {S::awaiting_delete_retry, E::deadline, always, SM_FN(delete_pod), S::deleting},
    {S::awaiting_delete_retry, E::hurry, always, SM_FN(delete_pod), S::deleting},
    {S::awaiting_delete_retry, E::remove, always, SM_FN(delete_pod), S::deleting},
    {S::awaiting_delete_retry, E::shut_down, always, SM_FN(close_now), S::closed},

    {S::closing, E::launch_ended, always, SM_FN(disarm), S::closed},
    {S::closing, E::kubectl_ok, always, SM_FN(disarm), S::closed},
    {S::closing, E::kubectl_failed, always, SM_FN(disarm), S::closed},
    {S::closing, E::deadline, always, SM_FN(end_call), S::closing},
};

static constexpr sm_ignore<pod_machine> ignores[] = {
    //  in                     event              why it is harmless
    {S::probing, E::pod_changed, "the pod is checked when the probe has ended"},
    {S::cancelling, E::pod_changed, "the pod is about to be removed"},
    {S::deleting, E::pod_changed, "the pod is being removed"},
    {S::awaiting_delete_retry, E::pod_changed, "the next delete finds out"},
    {S::closing, E::pod_changed, "the node ends"},

    {S::coming_up, E::refused, "a late report about the previous pod"},
    {S::awaiting_return, E::refused, "it does not serve anyway"},
    {S::suspected, E::refused, "our own connect finds out"},
    {S::probing, E::refused, "our own connect finds out"},
    {S::cancelling, E::refused, "the pod is about to be removed"},
    {S::deleting, E::refused, "the pod is being removed"},
    {S::awaiting_delete_retry, E::refused, "the pod is being removed"},
    {S::closing, E::refused, "the node ends"},

    {S::deleting, E::hurry, "the delete in progress cannot be sped up"},

    {S::cancelling, E::remove, "it is about to be removed"},
    {S::deleting, E::remove, "it is being removed"},
    {S::closing, E::remove, "the node ends; if the document no longer has the ETL, the restarted node removes the pod"},
    {S::closing, E::shut_down, "it is closing already"},
};

static bool call_is_counted(const pod_machine &m) { return m.call.open || !kube_call_is_running(m.call); }
static bool pod_has_a_name(const pod_machine &m) { return !m.facts.may_exist || !m.facts.plan->pod_name.empty(); }
static bool serving_has_an_address(const pod_machine &m)
{
    const etl_endpoint &endpoint = m.facts.record->endpoint;
    return sm_state_of(m) != S::serving ||
           (!endpoint.host.empty() && endpoint.port != 0 && !endpoint.client_host.empty() && endpoint.client_port != 0);
}
static bool back_offs_are_bounded(const pod_machine &m)
{
    return back_off_is_bounded(m.probe_retry) && back_off_is_bounded(m.delete_retry);
}
static bool texts_are_bounded(const pod_machine &m)
{
    return m.delete_error.size() <= 2 * etl_error_text_max && m.facts.record->trouble.size() <= etl_error_text_max;
}

static constexpr sm_invariant<pod_machine> invariants[] = {
    {"call_is_counted", call_is_counted},
    {"pod_has_a_name", pod_has_a_name},
    {"serving_has_an_address", serving_has_an_address},
    {"back_offs_are_bounded", back_offs_are_bounded},
    {"texts_are_bounded", texts_are_bounded},
};

static void note_event(pod_machine &m, E event)
{
    if (event == E::kubectl_ok || event == E::kubectl_failed)
        kube_call_close(m.call);
    if (event == E::probe_ok || event == E::probe_failed)
        connect_probe_close(m.probe);
}

static void report_launch_end(pod_machine &m)
{
    using L = launch_machine::state;
    L outcome = sm_state_of(*m.launch);
    if (outcome == L::name_taken)
        sm_news_put(m.news, pod_news::name_taken);
    else if (outcome != L::ready && outcome != L::gone)
        sm_news_put(m.news, m.launch->failure.empty() ? pod_news::unusable : pod_news::failed);
}

static void report_to_owner(pod_machine &m, S from, E event)
{
    S now = sm_state_of(m);
    if (now == from)
        return;
    pod_plan_log_step(*m.facts.plan, "pod", sm_name(from), sm_name(now), sm_name(event));
    if (from == S::coming_up && event == E::launch_ended)
        report_launch_end(m);
    if (now == S::serving)
        sm_news_put(m.news, pod_news::ready);
    if (from == S::serving && (now == S::awaiting_return || now == S::suspected))
        sm_news_put(m.news, pod_news::down);
    if (now == S::deleting && event == E::pod_changed)
        sm_news_put(m.news, pod_news::unusable);
    if (now == S::awaiting_delete_retry)
        sm_news_put(m.news, pod_news::stuck);
    if (now == S::gone || now == S::closed)
        sm_news_put(m.news, pod_news::ended);
}

static constexpr sm_table<pod_machine> table = {
    "pod", states, resources, rows, ignores, invariants, E::remove, E::deadline, alive, note_event, report_to_owner};
SM_VERIFY(table);

sm_view pod_machine_view() { return sm_view_of(table); }

// ---- events in

static void take_launch_news(pod_machine &m)
{
    launch_news news;
    while (sm_news_take(m.launch->news, news))
        sm_step(table, m, E::launch_ended);
}

static void take(pod_machine &m, E event)
{
    sm_step(table, m, event);
    take_launch_news(m);
}

static void happen(pod_machine &m, E event)
{
    take(m, event);
    m.on_news(m.arg);
}

static void timer_fired(void *arg) { happen(*static_cast<pod_machine *>(arg), E::deadline); }

static void call_ended(void *arg)
{
    auto &m = *static_cast<pod_machine *>(arg);
    if (sm_state_of(m) == S::deleting) // a call that we ended ourselves says nothing about kubectl
        kube_health_note(m.call);
    happen(m, m.call.ok ? E::kubectl_ok : E::kubectl_failed);
}

static void probe_ended(void *arg, bool answered) { happen(*static_cast<pod_machine *>(arg), answered ? E::probe_ok : E::probe_failed); }

static void launch_has_news(void *arg)
{
    auto &m = *static_cast<pod_machine *>(arg);
    take_launch_news(m);
    m.on_news(m.arg);
}

// ---- interface

pod_machine *pod_machine_make(const pod_plan &plan, pod_record &record, void (*on_news)(void *arg), void *arg)
{
    auto *m = new pod_machine;
    m->sm.id = ++*plan.world->pods_made;
    m->facts.plan = &plan;
    m->facts.record = &record;
    m->on_news = on_news;
    m->arg = arg;
    m->call.e = m->probe.e = plan.world->e;
    m->call.health = plan.world->health;
    m->call.on_end = call_ended;
    m->call.arg = m->probe.arg = m;
    m->probe.on_end = probe_ended;
    m->probe_retry = {etl_probe_min_ms, etl_probe_max_ms};
    m->delete_retry = {etl_delete_retry_min_ms, etl_delete_retry_max_ms};
    m->deadline_timer = timer_make(*plan.world->e, timer_fired, m);
    m->launch = launch_make(m->facts, m->sm.id, launch_has_news, m);
    sm_set_owner(*m->launch, table, *m);
    return m;
}

void pod_machine_free(pod_machine *m)
{
    if (m == nullptr)
        return;
    CHECK((alive(*m) & ~POD) == 0);
    CHECK(!m->sm.stepping);
    launch_free(m->launch);
    timer_free(env_of(*m), m->deadline_timer);
    delete m;
}

void pod_machine_launch(pod_machine &m, uint64_t deadline_ms)
{
    m.facts.deadline_ms = deadline_ms;
    take(m, E::launch);
}

void pod_machine_adopt(pod_machine &m) { take(m, E::adopt); }

void pod_machine_hurry(pod_machine &m, uint64_t deadline_ms)
{
    m.facts.deadline_ms = deadline_ms;
    take(m, E::hurry);
}

void pod_machine_keep_trying(pod_machine &m) { m.facts.deadline_ms = 0; }

void pod_machine_remove(pod_machine &m)
{
    if (!sm_is_final(table, m))
        take(m, E::remove);
}

void pod_machine_shut_down(pod_machine &m)
{
    if (!sm_is_final(table, m))
        take(m, E::shut_down);
}

void pod_machine_recheck(pod_machine &m)
{
    if (!sm_is_final(table, m))
        happen(m, E::pod_changed);
}

void pod_machine_report_refused(pod_machine &m)
{
    if (!sm_is_final(table, m))
        happen(m, E::refused);
}

bool pod_machine_is_busy(const pod_machine &m) { return (sm_state_of(m) != S::idle && !sm_is_final(table, m)) || m.news.count > 0; }
const std::string &pod_machine_failure(const pod_machine &m) { return m.launch->failure; }

} // namespace etlnode
