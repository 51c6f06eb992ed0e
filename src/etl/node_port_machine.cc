// SPDX-License-Identifier: MIT
// etl/node_port_machine.cc: the port on its Kubernetes node through which clients reach one pod.
//
// Owns     one kubectl child at a time, one timer, one connect.
// Knows    sm, port, kube, pod_facts.        Known by  launch_machine.
// Machine  node_port, drawn in docs/machines/node_port.md (generated, do not edit).
// Normal   Create a Service that the pod owns, and take the port that kubectl prints. When the pod is Ready, connect until the port
//          answers.
// Fails    If the Service exists already (an earlier attempt made it), read its port. After a transient failure, retry while there is time.
//          After another failure, end if a caller waits for the pod, else retry. Accept a port that never answers: clients may reach it.
// Limits   kubectl_timeout_ms, the back-off etl_expose_retry_*, etl_port_wait_ms.
#include "etl/node_port_machine.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "etl/pod_last_words.h"
#include "sm/sm_verify.h"

namespace etlnode {

using S = node_port_machine::state;
using E = node_port_machine::event;

static constexpr uint32_t CALL = 1, TIMER = 2, PROBE = 4;

// ---- actions

static env &env_of(const node_port_machine &m) { return env_of(*m.pod); }
static const kubectl_program &kubectl_of(const node_port_machine &m) { return m.pod->plan->world->options->kubectl; }
static void arm(node_port_machine &m, uint64_t ms) { timer_arm(env_of(m), m.deadline_timer, ms); }
static void disarm(node_port_machine &m) { timer_stop(env_of(m), m.deadline_timer); }
static void arm_remaining(node_port_machine &m) { arm(m, pod_facts_remaining_ms(*m.pod)); }

static void start_call(node_port_machine &m, kubectl_verb verb, proc_options options)
{
    uint64_t patience_ms = kube_call_patience_ms(options);
    if (!kube_call_start(m.call, verb, std::move(options)))
        sm_emit(m, E::kubectl_failed);
    arm(m, pod_facts_is_awaited(*m.pod) ? pod_facts_remaining_ms(*m.pod) : patience_ms);
}

// The Service is named after this launch. A second attempt, even after a restart of this node, finds what the first one created.
static void create_service(node_port_machine &m) { start_call(m, kubectl_verb::expose, kubectl_expose(kubectl_of(m), m.service)); }

static void begin_exposing(node_port_machine &m)
{
    m.service = pod_facts_build_service(*m.pod);
    create_service(m);
}

static void read_port(node_port_machine &m)
{
    start_call(m, kubectl_verb::get_port, kubectl_get_port(kubectl_of(m), pod_facts_service_name(*m.pod)));
}

static void note_port(node_port_machine &m)
{
    (void)kubectl_parse_port(m.call.out, m.pod->node_port); // call_ended has checked it
    back_off_reset(m.expose_retry);
    m.pod->record->trouble.clear();
    disarm(m);
}

static const char *command_of(const node_port_machine &m)
{
    return m.call.verb == kubectl_verb::expose ? "kubectl create service" : "kubectl get service";
}
static std::string failure_text(const node_port_machine &m, std::string_view what)
{
    return pod_text_failure(*m.pod->plan, "exposing the pod", what);
}

static void give_up(node_port_machine &m)
{
    m.failure = failure_text(m, pod_text_call(m.call, command_of(m)));
    disarm(m);
}

static void retry_later(node_port_machine &m)
{
    m.pod->record->trouble = failure_text(m, pod_text_call(m.call, command_of(m)));
    arm(m, back_off_next(m.expose_retry));
}

static void retry_now(node_port_machine &m) { arm(m, 0); }

static void end_call(node_port_machine &m)
{
    kube_call_terminate(m.call);
    arm(m, child_kill_grace_ms * 2);
}

static void cancel_late_call(node_port_machine &m)
{
    m.failure = failure_text(m, std::string("timeout: ") + command_of(m) + " did not end within wait_timeout " +
                                    text_duration(m.pod->plan->definition->wait_timeout_ms) + "; " + pod_facts_describe(*m.pod));
    end_call(m);
}

// A NodePort opens some time after the API server has allocated it. Probe it at the node's own address: --node-address may be reachable by
// clients only.
static void probe_node_port(node_port_machine &m)
{
    connect_probe_cancel(m.probe);
    const pod_status *status = pod_facts_status(*m.pod);
    if (!connect_probe_start(m.probe, status != nullptr ? status->host_ip : std::string(), m.pod->node_port))
        sm_emit(m, E::probe_failed);
    arm(m, etl_probe_timeout_ms);
}

static void begin_probing(node_port_machine &m)
{
    m.probe_until_ms = clock_now_ms(env_of(m)) + etl_port_wait_ms;
    probe_node_port(m);
}

static void retry_node_port_probe(node_port_machine &m) { arm(m, etl_port_knock_ms); }

static void stop_probing(node_port_machine &m)
{
    connect_probe_cancel(m.probe);
    disarm(m);
}

static void accept_unverified_port(node_port_machine &m)
{
    LOG(warn, "etl", "etl=%s pod=%s port=%u msg=\"the node port does not answer this target; clients are redirected to it anyway\"",
        m.pod->plan->definition->id.c_str(), m.pod->plan->pod_name.c_str(), static_cast<unsigned>(m.pod->node_port));
    stop_probing(m);
}

// ---- guards

static bool is_awaited(const node_port_machine &m) { return pod_facts_is_awaited(*m.pod); }

// An earlier attempt has created the Service, or this one has and did not print the port.
static bool is_exposed_already(const node_port_machine &m)
{
    return m.call.fault == kubectl_fault::already_exists || m.call.fault == kubectl_fault::output;
}

static bool is_hopeless(const node_port_machine &m)
{
    return is_awaited(m) && (!kubectl_fault_may_pass(m.call.fault) || back_off_peek(m.expose_retry) >= pod_facts_remaining_ms(*m.pod));
}

static bool may_probe_again(const node_port_machine &m)
{
    return clock_now_ms(env_of(m)) < m.probe_until_ms && (!is_awaited(m) || pod_facts_remaining_ms(*m.pod) > 0);
}

static uint32_t alive(const node_port_machine &m)
{
    return (m.call.open ? CALL : 0) | (timer_is_armed(env_of(m), m.deadline_timer) ? TIMER : 0) | (m.probe.open ? PROBE : 0);
}

// ---- the table

static constexpr sm_resource resources[] = {{CALL, "kubectl call"}, {TIMER, "timer"}, {PROBE, "probe"}};

static constexpr sm_state<node_port_machine> states[] = {
    //  state                  kind        must alive      may be alive
    {S::idle, sm_initial, 0, 0},
    {S::exposing, sm_busy, CALL | TIMER, CALL | TIMER},
    {S::reading_port, sm_busy, CALL | TIMER, CALL | TIMER},
    {S::awaiting_expose_retry, sm_busy, TIMER, TIMER},
    {S::known, 0, 0, 0},
    {S::awaiting_answer, sm_busy, TIMER, TIMER | PROBE},
    {S::answering, 0, 0, 0},
    {S::cancelling, sm_busy, CALL | TIMER, CALL | TIMER},
    {S::ended, sm_final, 0, 0},
};

static constexpr sm_row<node_port_machine> rows[] = {
    //  from                   on                 guard                      action                         to
    {S::idle, E::expose, always, SM_FN(begin_exposing), S::exposing},
    {S::idle, E::stop, always, nothing, S::ended},

    {S::exposing, E::kubectl_ok, always, SM_FN(note_port), S::known},
    {S::exposing, E::kubectl_failed, SM_FN(is_exposed_already), SM_FN(read_port), S::reading_port},
    {S::exposing, E::kubectl_failed, SM_FN(is_hopeless), SM_FN(give_up), S::ended},
    {S::exposing, E::kubectl_failed, always, SM_FN(retry_later), S::awaiting_expose_retry},
    {S::exposing, E::hurry, always, SM_FN(arm_remaining), S::exposing},
    {S::exposing, E::deadline, SM_FN(is_awaited), SM_FN(cancel_late_call), S::cancelling},
    {S::exposing, E::deadline, always, SM_FN(end_call), S::exposing},
    {S::exposing, E::stop, always, SM_FN(end_call), S::cancelling},

    {S::reading_port, E::kubectl_ok, always, SM_FN(note_port), S::known},
    {S::reading_port, E::kubectl_failed, SM_FN(is_hopeless), SM_FN(give_up), S::ended},
    {S::reading_port, E::kubectl_failed, always, SM_FN(retry_later), S::awaiting_expose_retry},
    {S::reading_port, E::hurry, always, SM_FN(arm_remaining), S::reading_port},
    {S::reading_port, E::deadline, SM_FN(is_awaited), SM_FN(cancel_late_call), S::cancelling},
    {S::reading_port, E::deadline, always, SM_FN(end_call), S::reading_port},
    {S::reading_port, E::stop, always, SM_FN(end_call), S::cancelling},

    {S::awaiting_expose_retry, E::deadline, always, SM_FN(create_service), S::exposing},
    {S::awaiting_expose_retry, E::hurry, always, SM_FN(retry_now), S::awaiting_expose_retry},
    {S::awaiting_expose_retry, E::pause, always, SM_FN(disarm), S::idle},
    {S::awaiting_expose_retry, E::stop, always, SM_FN(disarm), S::ended},

    {S::known, E::probe, always, SM_FN(begin_probing), S::awaiting_answer},
    {S::known, E::stop, always, nothing, S::ended},

    {S::awaiting_answer, E::probe_ok, always, SM_FN(stop_probing), S::answering},
    {S::awaiting_answer, E::probe_failed, always, SM_FN(retry_node_port_probe), S::awaiting_answer},
    {S::awaiting_answer, E::deadline, SM_FN(may_probe_again), SM_FN(probe_node_port), S::awaiting_answer},
    {S::awaiting_answer, E::deadline, always, SM_FN(accept_unverified_port), S::answering},
    {S::awaiting_answer, E::stop, always, SM_FN(stop_probing), S::ended},

    {S::answering, E::stop, always, nothing, S::ended},

    {S::cancelling, E::kubectl_ok, always, SM_FN(disarm), S::ended},
    {S::cancelling, E::kubectl_failed, always, SM_FN(disarm), S::ended},
    {S::cancelling, E::deadline, always, SM_FN(end_call), S::cancelling},
};

static constexpr sm_ignore<node_port_machine> ignores[] = {
    //  in                     event              why it is harmless
    {S::awaiting_answer, E::hurry, "the wait for the port ends after etl_port_wait_ms anyway"},
    {S::cancelling, E::hurry, "it has failed already"},
    {S::cancelling, E::stop, "it is ending already"},
};

static bool call_is_counted(const node_port_machine &m) { return m.call.open || !kube_call_is_running(m.call); }
static bool retry_is_bounded(const node_port_machine &m) { return back_off_is_bounded(m.expose_retry); }
static bool known_port_is_one(const node_port_machine &m)
{
    S s = sm_state_of(m);
    return m.pod->node_port != 0 || (s != S::known && s != S::awaiting_answer && s != S::answering);
}

static constexpr sm_invariant<node_port_machine> invariants[] = {
    {"call_is_counted", call_is_counted},
    {"retry_is_bounded", retry_is_bounded},
    {"known_port_is_one", known_port_is_one},
};

static void note_event(node_port_machine &m, E event)
{
    if (event == E::kubectl_ok || event == E::kubectl_failed)
        kube_call_close(m.call);
    if (event == E::probe_ok || event == E::probe_failed)
        connect_probe_close(m.probe);
}

static void report_to_owner(node_port_machine &m, S from, E event)
{
    S now = sm_state_of(m);
    if (now == from)
        return;
    pod_plan_log_step(*m.pod->plan, "node_port", sm_name(from), sm_name(now), sm_name(event));
    if (now == S::known || now == S::answering)
        sm_news_put(m.news, node_port_news::moved);
    else if (now == S::awaiting_expose_retry)
        sm_news_put(m.news, node_port_news::waiting);
    else if (now == S::ended)
        sm_news_put(m.news, node_port_news::ended);
}

static constexpr sm_table<node_port_machine> table = {
    "node_port", states, resources, rows, ignores, invariants, E::stop, E::deadline, alive, note_event, report_to_owner};
SM_VERIFY(table);

sm_view node_port_machine_view() { return sm_view_of(table); }

// ---- events in

static void happen(node_port_machine &m, E event)
{
    sm_step(table, m, event);
    m.on_news(m.arg);
}

static void timer_fired(void *arg) { happen(*static_cast<node_port_machine *>(arg), E::deadline); }

static void call_ended(void *arg)
{
    auto &m = *static_cast<node_port_machine *>(arg);
    bool is_wanted = sm_state_of(m) != S::cancelling;
    uint16_t port = 0;
    if (is_wanted && m.call.ok && !kubectl_parse_port(m.call.out, port)) {
        m.call.ok = false;
        m.call.fault = kubectl_fault::output;
        m.call.failure = "it printed no port: \"" + text_escape(m.call.out, 200) + "\"";
    }
    // A call that we ended ourselves, or a Service that exists already, says nothing about kubectl.
    if (is_wanted && m.call.fault != kubectl_fault::already_exists)
        kube_health_note(m.call);
    happen(m, m.call.ok ? E::kubectl_ok : E::kubectl_failed);
}

static void probe_ended(void *arg, bool answered)
{
    happen(*static_cast<node_port_machine *>(arg), answered ? E::probe_ok : E::probe_failed);
}

// ---- interface

node_port_machine *node_port_make(pod_facts &pod, void (*on_news)(void *arg), void *arg)
{
    auto *m = new node_port_machine;
    m->pod = &pod;
    m->on_news = on_news;
    m->arg = arg;
    m->call.e = m->probe.e = &env_of(pod);
    m->call.health = pod.plan->world->health;
    m->call.on_end = call_ended;
    m->call.arg = m->probe.arg = m;
    m->probe.on_end = probe_ended;
    m->expose_retry = {etl_expose_retry_min_ms, etl_expose_retry_max_ms};
    m->deadline_timer = timer_make(env_of(pod), timer_fired, m);
    return m;
}

void node_port_free(node_port_machine *m)
{
    if (m == nullptr)
        return;
    CHECK(alive(*m) == 0);
    CHECK(!m->sm.stepping);
    timer_free(env_of(*m), m->deadline_timer);
    delete m;
}

void node_port_expose(node_port_machine &m) { sm_step(table, m, E::expose); }
void node_port_probe(node_port_machine &m) { sm_step(table, m, E::probe); }
void node_port_hurry(node_port_machine &m) { sm_step(table, m, E::hurry); }
void node_port_pause(node_port_machine &m) { sm_step(table, m, E::pause); }
void node_port_stop(node_port_machine &m) { sm_step(table, m, E::stop); }

bool node_port_waits(const node_port_machine &m) { return sm_state_of(m) == S::awaiting_expose_retry; }
bool node_port_answers(const node_port_machine &m) { return sm_state_of(m) == S::answering; }
bool node_port_is_busy(const node_port_machine &m) { return alive(m) != 0 || m.news.count > 0; }

} // namespace etlnode
