// SPDX-License-Identifier: MIT
// etl/launch_machine.cc: brings one pod up, until it is Ready.
//
// Owns     one kubectl child at a time, one timer, the node port's machine.
// Knows    sm, port, kube, pod_facts, pod_last_words, node_port_machine.       Known by  pod_machine.
// Machine  launch, drawn in docs/machines/launch.md (generated, do not edit).
// Normal   Create the pod, and wait until the watch reports that it is Ready. If clients need a node port, also create a Service as soon as
//          the watch shows the pod. The Service is removed with the pod.
// Fails    If `kubectl create` fails transiently, retry with the same launch_id while there is time: the pod may exist although kubectl
//          failed. If a caller waits, give up a pod that is hopeless or late, and keep its last log lines. Otherwise give up only a pod
//          that has ended or that could not be created.
// Limits   the callers' deadline, or wait_timeout for each step; kubectl_timeout_ms; the back-off etl_create_retry_*.
#include "etl/launch_machine.h"

#include "base/limits.h"
#include "base/text.h"
#include "etl/pod_last_words.h"
#include "sm/sm_verify.h"

namespace etlnode {

using S = launch_machine::state;
using E = launch_machine::event;

static constexpr uint32_t CALL = 1, TIMER = 2, POD = 4, PORT = 8;

// ---- actions

static env &env_of(const launch_machine &m) { return env_of(*m.pod); }
static const pod_plan &plan_of(const launch_machine &m) { return *m.pod->plan; }
static const kubectl_program &kubectl_of(const launch_machine &m) { return plan_of(m).world->options->kubectl; }
static void arm(launch_machine &m, uint64_t ms) { timer_arm(env_of(m), m.deadline_timer, ms); }
static void disarm(launch_machine &m) { timer_stop(env_of(m), m.deadline_timer); }
static void arm_step(launch_machine &m) { arm(m, pod_facts_step_ms(*m.pod)); }
static void recheck_pod(launch_machine &m) { sm_emit(m, E::pod_changed); }

static void start_call(launch_machine &m, kubectl_verb verb, proc_options options)
{
    uint64_t patience_ms = kube_call_patience_ms(options);
    if (!kube_call_start(m.call, verb, std::move(options)))
        sm_emit(m, E::kubectl_failed);
    arm(m, patience_ms);
}

static void end_call(launch_machine &m)
{
    kube_call_terminate(m.call);
    arm(m, child_kill_grace_ms * 2);
}

static void create_pod(launch_machine &m)
{
    m.pod->may_exist = true;
    m.create_attempts++;
    const std::string &target_url = plan_of(m).target_url;
    start_call(
        m, kubectl_verb::create, kubectl_create(kubectl_of(m), pod_plan_build(plan_of(m), m.pod->launch_id, target_url), target_url));
    if (m.call.refused && m.create_attempts == 1)
        m.pod->may_exist = false; // nothing ran
    if (pod_facts_is_awaited(*m.pod))
        arm_step(m);
}

static void create_first(launch_machine &m)
{
    static constexpr char alphabet[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    m.pod->launch_id = rng_text(env_of(m).random, alphabet, sizeof alphabet - 1, 10);
    create_pod(m);
}

// The list shows no pod with our name.
static void create_missing(launch_machine &m)
{
    m.pod->may_exist = false;
    create_first(m);
}

// A pod that ran before this node restarted may still exist.
static void find_running_pod(launch_machine &m)
{
    m.pod->may_exist = true;
    recheck_pod(m);
}

static void adopt_pod(launch_machine &m)
{
    m.pod->launch_id = pod_facts_named(*m.pod)->launch;
    m.pod->seen = true;
    arm_step(m);
    recheck_pod(m);
}

static void note_created(launch_machine &m)
{
    m.pod->created_stamp = watch_take_stamp(*plan_of(m).world->pods);
    m.pod->name_was_taken = false;
    if (m.call.verb == kubectl_verb::create && m.call.ok)
        m.pod->record->warnings = m.call.warnings;
    arm_step(m);
    recheck_pod(m);
}

static void note_name_taken(launch_machine &m)
{
    m.pod->may_exist = true; // the other pod, under our name
    m.pod->name_was_taken = true;
    disarm(m);
}

static void note_status(launch_machine &m)
{
    m.pod->seen = m.pod->seen || pod_facts_status(*m.pod) != nullptr;
    pod_facts_note_trouble(*m.pod);
}

static void note_gone(launch_machine &m)
{
    m.pod->may_exist = false;
    disarm(m);
}

static void hurry_call(launch_machine &m) { arm_step(m); }
static void hurry_retry(launch_machine &m) { arm(m, 0); }

static void hurry_ready(launch_machine &m)
{
    arm_step(m);
    recheck_pod(m);
}

static void wait_longer(launch_machine &m)
{
    note_status(m);
    arm_step(m);
}

// ---- giving up

// If a caller waits, this is final. Otherwise it is only the current trouble.
static void note_failure(launch_machine &m, std::string_view step, std::string_view what)
{
    std::string &text = pod_facts_is_awaited(*m.pod) ? m.failure : m.pod->record->trouble;
    text = pod_text_failure(plan_of(m), step, what);
}

static std::string create_failure(const launch_machine &m)
{
    if (m.call.refused || m.create_attempts == 1)
        return pod_text_call(m.call, "kubectl create");
    return text_format("kubectl create: %llu attempts, last: ", static_cast<unsigned long long>(m.create_attempts)) + m.call.failure;
}

static void give_up_create(launch_machine &m)
{
    note_failure(m, "creating the pod", create_failure(m));
    disarm(m);
}

// Use the same launch_id: the pod may exist although kubectl failed, and it is then ours.
static void retry_create_later(launch_machine &m)
{
    m.pod->record->trouble = pod_text_failure(plan_of(m), "creating the pod", create_failure(m));
    arm(m, back_off_next(m.create_retry));
}

static void cancel_late_create(launch_machine &m)
{
    std::string limit = pod_facts_is_awaited(*m.pod) ? "wait_timeout " + text_duration(plan_of(m).definition->wait_timeout_ms)
                                                     : text_duration(kubectl_timeout_ms);
    note_failure(m, "creating the pod", "timeout: kubectl create did not end within " + limit);
    end_call(m);
}

static void note_hopeless(launch_machine &m)
{
    if (pod_facts_is_awaited(*m.pod))
        note_failure(m, "waiting for Ready", pod_facts_describe(*m.pod));
    else
        m.pod->record->trouble = pod_text_tail(pod_facts_describe(*m.pod), etl_error_text_max / 2);
}

static void note_late(launch_machine &m)
{
    std::string what = "timeout: not Ready within wait_timeout " + text_duration(plan_of(m).definition->wait_timeout_ms) + "; " +
                       pod_facts_describe(*m.pod);
    const kube_health &health = *plan_of(m).world->health;
    if (!health.kubectl_ok)
        what += "; kubectl fails: " + health.kubectl_error;
    note_failure(m, "waiting for Ready", what);
}

static void give_up_hopeless(launch_machine &m)
{
    note_hopeless(m);
    disarm(m);
}

static void give_up_late(launch_machine &m)
{
    note_late(m);
    disarm(m);
}

static void give_up_unseen(launch_machine &m)
{
    note_failure(m, "waiting for Ready", "the node cannot see its pods: " + kube_missing_right(*plan_of(m).world->health));
    disarm(m);
}

static void fetch_logs(launch_machine &m, bool of_previous_run)
{
    m.logs_of_previous_run = of_previous_run;
    start_call(m, kubectl_verb::logs, pod_last_words_call(*m.pod, of_previous_run));
}

static void fetch_logs_of_hopeless(launch_machine &m)
{
    note_hopeless(m);
    fetch_logs(m, pod_last_words_are_of_previous_run(*m.pod, true));
}

static void fetch_logs_of_late(launch_machine &m)
{
    note_late(m);
    fetch_logs(m, pod_last_words_are_of_previous_run(*m.pod, false));
}

static void fetch_logs_of_present_run(launch_machine &m) { fetch_logs(m, false); }

static void append_logs(launch_machine &m)
{
    pod_last_words_append(m.failure, m.call);
    disarm(m);
}

// ---- the node port

static void expose(launch_machine &m)
{
    m.pod->seen = true;
    disarm(m);
    node_port_expose(*m.port);
}

static void probe_port(launch_machine &m)
{
    disarm(m);
    node_port_probe(*m.port);
}

static void hurry_port(launch_machine &m) { node_port_hurry(*m.port); }

static void return_to_pod(launch_machine &m)
{
    arm_step(m);
    recheck_pod(m);
}

// For now the pod is not one that needs a port: check it again.
static void leave_port(launch_machine &m)
{
    node_port_pause(*m.port);
    return_to_pod(m);
}

static void give_up_port(launch_machine &m) { m.failure = m.port->failure; }

static void cancel_port(launch_machine &m)
{
    node_port_stop(*m.port);
    end_call(m);
}

// ---- guards

static bool is_awaited(const launch_machine &m) { return pod_facts_is_awaited(*m.pod); }
static bool is_not_listed_yet(const launch_machine &m) { return !watch_has_listed(*plan_of(m).world->pods); }
static bool has_leftover(const launch_machine &m) { return pod_facts_named(*m.pod) != nullptr; }

static bool can_adopt(const launch_machine &m)
{
    const pod_status *status = pod_facts_named(*m.pod);
    std::string why;
    return status != nullptr && status->generation == plan_of(m).definition->generation_id && status->target_url == plan_of(m).target_url &&
           !status->terminating && pod_status_judge(*status, why) != pod_verdict::ended;
}

static bool is_seen(const launch_machine &m) { return pod_facts_status(*m.pod) != nullptr; }

// An earlier attempt of this launch has created it, whatever kubectl reported. The watch must not know another pod under that name.
static bool is_created_already(const launch_machine &m)
{
    return m.create_attempts > 1 && m.call.fault == kubectl_fault::already_exists && (!has_leftover(m) || is_seen(m));
}

static bool is_name_taken(const launch_machine &m) { return !m.pod->name_was_taken && m.call.fault == kubectl_fault::already_exists; }

static bool may_create_again(const launch_machine &m)
{
    return kubectl_fault_may_pass(m.call.fault) && (!is_awaited(m) || back_off_peek(m.create_retry) < pod_facts_remaining_ms(*m.pod));
}

static bool is_ready(const launch_machine &m) { return pod_facts_is_ready(*m.pod); }
static bool is_behind_a_port(const launch_machine &m) { return m.port != nullptr && !node_port_answers(*m.port) && is_ready(m); }
static bool is_gone(const launch_machine &m) { return pod_facts_is_gone(*m.pod); }

static bool is_ended(const launch_machine &m) { return pod_facts_verdict(*m.pod) == pod_verdict::ended; }
static bool is_hopeless(const launch_machine &m)
{
    return is_awaited(m) ? is_ended(m) || pod_facts_verdict(*m.pod) == pod_verdict::hopeless : is_ended(m);
}
static bool is_hopeless_with_logs(const launch_machine &m) { return is_awaited(m) && is_hopeless(m) && pod_last_words_exist(*m.pod); }
static bool is_awaited_with_logs(const launch_machine &m) { return is_awaited(m) && pod_last_words_exist(*m.pod); }
static bool is_awaited_and_unseen(const launch_machine &m)
{
    return is_awaited(m) && !kube_missing_right(*plan_of(m).world->health).empty();
}

// Expose the pod while it starts, so that the port exists when it is Ready. Do not expose a pod that will not become Ready.
static bool can_be_exposed(const launch_machine &m)
{
    const pod_status *status = pod_facts_status(*m.pod);
    pod_verdict verdict = pod_facts_verdict(*m.pod);
    return status != nullptr && !status->terminating && !status->uid.empty() && status->container_port != 0 &&
           (verdict == pod_verdict::starting || verdict == pod_verdict::ready);
}

static bool lacks_port(const launch_machine &m) { return m.port != nullptr && m.pod->node_port == 0 && can_be_exposed(m); }
static bool must_leave_port(const launch_machine &m)
{
    return node_port_waits(*m.port) && (!can_be_exposed(m) || is_awaited_and_unseen(m));
}
static bool asked_for_previous_run(const launch_machine &m) { return m.logs_of_previous_run; }

static uint32_t alive(const launch_machine &m)
{
    return (m.call.open ? CALL : 0) | (timer_is_armed(env_of(m), m.deadline_timer) ? TIMER : 0) | (m.pod->may_exist ? POD : 0) |
           (m.port != nullptr && node_port_is_busy(*m.port) ? PORT : 0);
}

// ---- the table

static constexpr sm_resource resources[] = {{CALL, "kubectl call"}, {TIMER, "timer"}, {POD, "pod"}, {PORT, "node port"}};

static constexpr sm_state<launch_machine> states[] = {
    //  state                  kind        must alive          may be alive
    {S::idle, sm_initial, 0, 0},
    {S::awaiting_list, 0, POD, POD},
    {S::creating, sm_busy, CALL | TIMER, CALL | TIMER | POD},
    {S::awaiting_create_retry, sm_busy, TIMER | POD, TIMER | POD},
    {S::cancelling_create, sm_busy, CALL | TIMER | POD, CALL | TIMER | POD},
    {S::awaiting_ready, sm_busy, TIMER | POD, TIMER | POD},
    {S::awaiting_port, sm_busy, POD | PORT, POD | PORT, 0, "the node port's own deadlines"},
    {S::fetching_logs, sm_busy, CALL | TIMER | POD, CALL | TIMER | POD},
    {S::cancelling, sm_busy, TIMER | POD, CALL | TIMER | POD | PORT},
    {S::ready, sm_final, POD, POD},
    {S::given_up, sm_final, 0, POD},
    {S::name_taken, sm_final, POD, POD},
    {S::gone, sm_final, 0, 0},
    {S::stopped, sm_final, 0, POD},
};

static constexpr sm_row<launch_machine> rows[] = {
    //  from                   on                 guard                         action                            to
    {S::idle, E::launch, always, SM_FN(create_first), S::creating},
    {S::idle, E::adopt, always, SM_FN(find_running_pod), S::awaiting_list},
    {S::idle, E::stop, always, nothing, S::stopped},

    {S::awaiting_list, E::pod_changed, SM_FN(is_not_listed_yet), nothing, S::awaiting_list},
    {S::awaiting_list, E::pod_changed, SM_FN(can_adopt), SM_FN(adopt_pod), S::awaiting_ready},
    {S::awaiting_list, E::pod_changed, SM_FN(has_leftover), SM_FN(note_name_taken), S::name_taken},
    {S::awaiting_list, E::pod_changed, always, SM_FN(create_missing), S::creating},
    {S::awaiting_list, E::hurry, always, SM_FN(create_first), S::creating},
    {S::awaiting_list, E::stop, always, nothing, S::stopped},

    {S::creating, E::kubectl_ok, always, SM_FN(note_created), S::awaiting_ready},
    {S::creating, E::kubectl_failed, SM_FN(is_created_already), SM_FN(note_created), S::awaiting_ready},
    {S::creating, E::kubectl_failed, SM_FN(is_name_taken), SM_FN(note_name_taken), S::name_taken},
    {S::creating, E::kubectl_failed, SM_FN(may_create_again), SM_FN(retry_create_later), S::awaiting_create_retry},
    {S::creating, E::kubectl_failed, always, SM_FN(give_up_create), S::given_up},
    {S::creating, E::hurry, always, SM_FN(hurry_call), S::creating},
    {S::creating, E::deadline, always, SM_FN(cancel_late_create), S::cancelling_create},
    {S::creating, E::stop, always, SM_FN(end_call), S::cancelling},

    {S::awaiting_create_retry, E::deadline, always, SM_FN(create_pod), S::creating},
    {S::awaiting_create_retry, E::pod_changed, SM_FN(is_seen), SM_FN(note_created), S::awaiting_ready},
    {S::awaiting_create_retry, E::pod_changed, always, nothing, S::awaiting_create_retry},
    {S::awaiting_create_retry, E::hurry, always, SM_FN(hurry_retry), S::awaiting_create_retry},
    {S::awaiting_create_retry, E::stop, always, SM_FN(disarm), S::stopped},

    {S::cancelling_create, E::kubectl_ok, always, SM_FN(disarm), S::given_up},
    {S::cancelling_create, E::kubectl_failed, always, SM_FN(disarm), S::given_up},
    {S::cancelling_create, E::deadline, always, SM_FN(end_call), S::cancelling_create},
    {S::cancelling_create, E::stop, always, nothing, S::cancelling},

    {S::awaiting_ready, E::pod_changed, SM_FN(is_behind_a_port), SM_FN(probe_port), S::awaiting_port},
    {S::awaiting_ready, E::pod_changed, SM_FN(is_ready), SM_FN(disarm), S::ready},
    {S::awaiting_ready, E::pod_changed, SM_FN(is_gone), SM_FN(note_gone), S::gone},
    {S::awaiting_ready, E::pod_changed, SM_FN(is_hopeless_with_logs), SM_FN(fetch_logs_of_hopeless), S::fetching_logs},
    {S::awaiting_ready, E::pod_changed, SM_FN(is_hopeless), SM_FN(give_up_hopeless), S::given_up},
    {S::awaiting_ready, E::pod_changed, SM_FN(is_awaited_and_unseen), SM_FN(give_up_unseen), S::given_up},
    {S::awaiting_ready, E::pod_changed, SM_FN(lacks_port), SM_FN(expose), S::awaiting_port},
    {S::awaiting_ready, E::pod_changed, always, SM_FN(note_status), S::awaiting_ready},
    {S::awaiting_ready, E::hurry, always, SM_FN(hurry_ready), S::awaiting_ready},
    {S::awaiting_ready, E::deadline, SM_FN(is_awaited_with_logs), SM_FN(fetch_logs_of_late), S::fetching_logs},
    {S::awaiting_ready, E::deadline, SM_FN(is_awaited), SM_FN(give_up_late), S::given_up},
    {S::awaiting_ready, E::deadline, always, SM_FN(wait_longer), S::awaiting_ready},
    {S::awaiting_ready, E::stop, always, SM_FN(disarm), S::stopped},

    {S::awaiting_port, E::port_moved, always, SM_FN(return_to_pod), S::awaiting_ready},
    {S::awaiting_port, E::port_ended, always, SM_FN(give_up_port), S::given_up},
    {S::awaiting_port, E::pod_changed, SM_FN(must_leave_port), SM_FN(leave_port), S::awaiting_ready},
    {S::awaiting_port, E::pod_changed, always, nothing, S::awaiting_port},
    {S::awaiting_port, E::hurry, always, SM_FN(hurry_port), S::awaiting_port},
    {S::awaiting_port, E::stop, always, SM_FN(cancel_port), S::cancelling},

    {S::fetching_logs, E::kubectl_ok, always, SM_FN(append_logs), S::given_up},
    {S::fetching_logs, E::kubectl_failed, SM_FN(asked_for_previous_run), SM_FN(fetch_logs_of_present_run), S::fetching_logs},
    {S::fetching_logs, E::kubectl_failed, always, SM_FN(append_logs), S::given_up},
    {S::fetching_logs, E::deadline, always, SM_FN(end_call), S::fetching_logs},
    {S::fetching_logs, E::stop, always, SM_FN(end_call), S::cancelling},

    {S::cancelling, E::kubectl_ok, always, SM_FN(disarm), S::stopped},
    {S::cancelling, E::kubectl_failed, always, SM_FN(disarm), S::stopped},
    {S::cancelling, E::port_ended, always, SM_FN(disarm), S::stopped},
    {S::cancelling, E::deadline, always, SM_FN(end_call), S::cancelling},
};

static constexpr sm_ignore<launch_machine> ignores[] = {
    //  in                     event              why it is harmless
    {S::creating, E::pod_changed, "the pod is checked when create has ended"},
    {S::cancelling_create, E::pod_changed, "the pod is about to be removed"},
    {S::fetching_logs, E::pod_changed, "it has failed already"},
    {S::cancelling, E::pod_changed, "it is stopping"},

    {S::cancelling_create, E::hurry, "a failure from before the caller came is retried with another pod"},
    {S::cancelling, E::stop, "it is stopping already"},
};

static bool call_is_counted(const launch_machine &m) { return m.call.open || !kube_call_is_running(m.call); }
static bool retry_is_bounded(const launch_machine &m) { return back_off_is_bounded(m.create_retry); }
static bool failure_is_bounded(const launch_machine &m) { return m.failure.size() <= etl_error_text_max; }

static constexpr sm_invariant<launch_machine> invariants[] = {
    {"call_is_counted", call_is_counted},
    {"retry_is_bounded", retry_is_bounded},
    {"failure_is_bounded", failure_is_bounded},
};

static void note_event(launch_machine &m, E event)
{
    if (event == E::kubectl_ok || event == E::kubectl_failed)
        kube_call_close(m.call);
}

static void report_to_owner(launch_machine &m, S from, E event);

static constexpr sm_table<launch_machine> table = {
    "launch", states, resources, rows, ignores, invariants, E::stop, E::deadline, alive, note_event, report_to_owner};
SM_VERIFY(table);

static void report_to_owner(launch_machine &m, S from, E event)
{
    if (sm_state_of(m) == from)
        return;
    pod_plan_log_step(plan_of(m), table.name, sm_name(from), sm_name(sm_state_of(m)), sm_name(event));
    if (sm_is_final(table, m))
        sm_news_put(m.news, launch_news::ended);
}

sm_view launch_machine_view() { return sm_view_of(table); }

// ---- events in

static E event_of(node_port_news news)
{
    switch (news) {
    case node_port_news::moved: return E::port_moved;
    case node_port_news::waiting: return E::pod_changed; // the pod was not checked while kubectl ran
    case node_port_news::ended: return E::port_ended;
    }
    return E::port_ended;
}

static void take_port_news(launch_machine &m)
{
    node_port_news news;
    while (m.port != nullptr && sm_news_take(m.port->news, news))
        sm_step(table, m, event_of(news));
}

static void take(launch_machine &m, E event)
{
    sm_step(table, m, event);
    take_port_news(m);
}

static void happen(launch_machine &m, E event)
{
    take(m, event);
    m.on_news(m.arg);
}

static void timer_fired(void *arg) { happen(*static_cast<launch_machine *>(arg), E::deadline); }

static void call_ended(void *arg)
{
    auto &m = *static_cast<launch_machine *>(arg);
    // The end of a log call, or of a call that we ended ourselves, says nothing about kubectl.
    if (sm_state_of(m) == S::creating)
        kube_health_note(m.call);
    happen(m, m.call.ok ? E::kubectl_ok : E::kubectl_failed);
}

static void port_has_news(void *arg)
{
    auto &m = *static_cast<launch_machine *>(arg);
    take_port_news(m);
    m.on_news(m.arg);
}

// ---- interface

launch_machine *launch_make(pod_facts &pod, uint64_t id, void (*on_news)(void *arg), void *arg)
{
    auto *m = new launch_machine;
    m->sm.id = id;
    m->pod = &pod;
    m->on_news = on_news;
    m->arg = arg;
    m->call.e = &env_of(pod);
    m->call.health = pod.plan->world->health;
    m->call.on_end = call_ended;
    m->call.arg = m;
    m->create_retry = {etl_create_retry_min_ms, etl_create_retry_max_ms};
    m->deadline_timer = timer_make(env_of(pod), timer_fired, m);
    if (pod_plan_wants_node_port(*pod.plan)) {
        m->port = node_port_make(pod, port_has_news, m);
        m->port->sm.id = id;
        sm_set_owner(*m->port, table, *m);
    }
    return m;
}

void launch_free(launch_machine *m)
{
    if (m == nullptr)
        return;
    CHECK(!m->call.open);
    CHECK(!m->sm.stepping);
    node_port_free(m->port);
    timer_free(env_of(*m), m->deadline_timer);
    delete m;
}

void launch_begin(launch_machine &m) { take(m, E::launch); }
void launch_adopt(launch_machine &m) { take(m, E::adopt); }
void launch_recheck_pod(launch_machine &m) { take(m, E::pod_changed); }
void launch_hurry(launch_machine &m) { take(m, E::hurry); }
void launch_stop(launch_machine &m) { take(m, E::stop); }

bool launch_is_final(const launch_machine &m) { return sm_is_final(table, m); }
bool launch_is_busy(const launch_machine &m) { return (sm_state_of(m) != S::idle && !launch_is_final(m)) || m.news.count > 0; }

} // namespace etlnode
