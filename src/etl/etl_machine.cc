// SPDX-License-Identifier: MIT
// etl/etl_machine.cc: one start of one ETL on this target, from an accepted definition until its last pod is gone.
//
// Owns     one pod at a time (a machine of its own), one timer.
// Knows    sm, port, pod_machine, pod_facts.       Known by  etl_registry.
// Machine  etl, drawn in docs/machines/etl.md (generated, do not edit).
// Normal   Wait until the pod of an earlier start is gone, launch a pod, serve, wait for requests in flight, remove the pod.
// Fails    If a caller waits for the start, a pod that will not become Ready ends it: `failed`, with a reason. Otherwise, and once it has
//          served, another pod is created after a pause.
// Limits   the callers' deadline, etl_idle_wait_ms, the back-off etl_relaunch_*.
#include "etl/etl_machine.h"

#include <algorithm>

#include "base/limits.h"
#include "base/text.h"
#include "etl/etl_spec.h"
#include "etl/pod_last_words.h"
#include "etl/spec_tree.h"
#include "sm/sm_verify.h"

namespace etlnode {

using S = etl::state;
using E = etl::event;

static constexpr uint32_t TIMER = 1, POD = 2;

// ---- actions

static env &env_of(const etl &m) { return *m.host->e; }
static uint64_t now_of(const etl &m) { return clock_now_ms(env_of(m)); }
static void arm(etl &m, uint64_t ms) { timer_arm(env_of(m), m.deadline_timer, ms); }
static void disarm(etl &m) { timer_stop(env_of(m), m.deadline_timer); }

static uint64_t remaining_ms(const etl &m)
{
    uint64_t now = now_of(m);
    return m.start_deadline_ms > now ? m.start_deadline_ms - now : 0;
}

// Waits for the earlier pod no longer than the callers of this start wait. If there are none, checks again after wait_timeout.
static void wait_for_predecessor(etl &m) { arm(m, etl_is_awaited(m) ? remaining_ms(m) : m.definition.wait_timeout_ms); }

static void make_pod(etl &m);

static void launch_pod(etl &m)
{
    disarm(m);
    make_pod(m);
    pod_machine_launch(*m.pod, m.start_deadline_ms);
}

// A start without callers may follow a restart of this node: its pod may be running.
static void begin_pod(etl &m)
{
    if (etl_is_awaited(m)) {
        launch_pod(m);
        return;
    }
    disarm(m);
    make_pod(m);
    pod_machine_adopt(*m.pod);
}

static void hurry_pod(etl &m) { pod_machine_hurry(*m.pod, m.start_deadline_ms); }
static void hurry_retry(etl &m) { arm(m, 0); }

static void remove_pod(etl &m)
{
    disarm(m);
    pod_machine_remove(*m.pod);
}

static void begin_serving(etl &m)
{
    m.start_deadline_ms = 0;
    m.serving_since_ms = now_of(m);
    m.failure.clear();
}

// The back-off starts over after a pod that served for a while.
static void plan_pause(etl &m)
{
    if (m.serving_since_ms != 0 && now_of(m) - m.serving_since_ms >= etl_steady_ms)
        back_off_reset(m.relaunch);
    m.pause_ms = back_off_next(m.relaunch);
    m.serving_since_ms = 0;
}

// The obstacle to our pod is being removed, so there is no reason to pause afterwards.
static void plan_no_pause(etl &m)
{
    m.pause_ms = 0;
    m.serving_since_ms = 0;
}

static void wait_to_launch(etl &m) { arm(m, etl_is_awaited(m) ? std::min(m.pause_ms, remaining_ms(m)) : m.pause_ms); }

static void note_lost(etl &m)
{
    m.record.trouble = "the pod was deleted from outside; creating another one";
    plan_pause(m);
    wait_to_launch(m);
}

static void note_failed(etl &m) { m.failure = pod_machine_failure(*m.pod); }
static void note_stuck(etl &m) { m.delete_failures++; }

// A caller waits for this start, and the pod that blocks it cannot be removed.
static void fail_stuck(etl &m)
{
    note_stuck(m);
    m.failure = m.pod->delete_error.substr(0, etl_error_text_max / 2);
}

static void fail_predecessor_wait(etl &m)
{
    m.failure = pod_text_failure(m.plan, "waiting for the pod of an earlier start to be removed",
        "timeout: it is still there after wait_timeout " + text_duration(m.definition.wait_timeout_ms));
}

static void await_idle(etl &m) { arm(m, std::min(etl_idle_wait_ms, m.definition.obj_timeout_ms)); }

// ---- guards

static bool is_awaited(const etl &m) { return etl_is_awaited(m); }
static bool has_predecessor(const etl &m) { return m.predecessor != nullptr; }
static bool has_requests(const etl &m) { return m.ref->slots_taken > 0; }

static uint32_t alive(const etl &m)
{
    return (timer_is_armed(env_of(m), m.deadline_timer) ? TIMER : 0) | (m.pod != nullptr && pod_machine_is_busy(*m.pod) ? POD : 0);
}

// ---- the table

static constexpr sm_resource resources[] = {{TIMER, "timer"}, {POD, "pod"}};

static constexpr int is_starting = static_cast<int>(etl_phase::starting), in_service = static_cast<int>(etl_phase::serving),
                     is_stopping = static_cast<int>(etl_phase::stopping), has_failed = static_cast<int>(etl_phase::failed),
                     gone = static_cast<int>(etl_phase::gone);
static constexpr const char *pods_clock = "the pod's own deadlines";

static constexpr sm_state<etl> states[] = {
    //  state                 kind        must alive   may be alive  public phase  other clock
    {S::received, sm_initial, 0, 0, is_starting},
    {S::awaiting_predecessor, sm_busy, TIMER, TIMER, is_starting},
    {S::starting, sm_busy, POD, POD, is_starting, pods_clock},
    {S::clearing, sm_busy, POD, POD, is_starting, pods_clock},
    {S::awaiting_retry, sm_busy, TIMER, TIMER, is_starting},
    {S::serving, 0, POD, POD, in_service},
    {S::awaiting_return, 0, POD, POD, in_service},
    {S::relaunching, sm_busy, POD, POD, in_service, pods_clock},
    {S::replacing, sm_busy, POD, POD, in_service, pods_clock},
    {S::awaiting_relaunch, sm_busy, TIMER, TIMER, in_service},
    {S::awaiting_idle, sm_busy, TIMER | POD, TIMER | POD, is_stopping},
    {S::stopping, sm_busy, POD, POD, is_stopping, pods_clock},
    {S::failing, sm_busy, POD, POD, is_stopping, pods_clock},
    {S::stuck, sm_busy, POD, POD, has_failed, pods_clock},
    {S::failed, 0, 0, 0, has_failed},
    {S::stopped, sm_final, 0, 0, gone},
};

static constexpr sm_row<etl> rows[] = {
    //  from                  on                   guard                   action                 to
    {S::received, E::start, SM_FN(has_predecessor), SM_FN(wait_for_predecessor), S::awaiting_predecessor},
    {S::received, E::start, always, SM_FN(begin_pod), S::starting},
    {S::received, E::stop, always, nothing, S::stopped},

    {S::awaiting_predecessor, E::predecessor_gone, always, SM_FN(begin_pod), S::starting},
    {S::awaiting_predecessor, E::start, always, SM_FN(wait_for_predecessor), S::awaiting_predecessor},
    {S::awaiting_predecessor, E::deadline, SM_FN(is_awaited), SM_FN(fail_predecessor_wait), S::failed},
    {S::awaiting_predecessor, E::deadline, always, SM_FN(wait_for_predecessor), S::awaiting_predecessor},
    {S::awaiting_predecessor, E::stop, always, SM_FN(disarm), S::stopped},

    {S::starting, E::pod_ready, always, SM_FN(begin_serving), S::serving},
    {S::starting, E::pod_failed, always, SM_FN(note_failed), S::failing},
    {S::starting, E::pod_unusable, always, SM_FN(plan_pause), S::clearing},
    {S::starting, E::pod_name_taken, always, SM_FN(plan_no_pause), S::clearing},
    {S::starting, E::pod_ended, always, SM_FN(note_lost), S::awaiting_retry},
    {S::starting, E::start, always, SM_FN(hurry_pod), S::starting},
    {S::starting, E::stop, always, SM_FN(remove_pod), S::stopping},

    {S::clearing, E::pod_ended, always, SM_FN(wait_to_launch), S::awaiting_retry},
    {S::clearing, E::pod_stuck, SM_FN(is_awaited), SM_FN(fail_stuck), S::stuck},
    {S::clearing, E::pod_stuck, always, SM_FN(note_stuck), S::clearing},
    {S::clearing, E::start, always, SM_FN(hurry_pod), S::clearing},
    {S::clearing, E::stop, always, SM_FN(remove_pod), S::stopping},

    {S::awaiting_retry, E::deadline, always, SM_FN(launch_pod), S::starting},
    {S::awaiting_retry, E::start, always, SM_FN(hurry_retry), S::awaiting_retry},
    {S::awaiting_retry, E::stop, always, SM_FN(disarm), S::stopped},

    {S::serving, E::pod_down, always, nothing, S::awaiting_return},
    {S::serving, E::pod_unusable, always, SM_FN(plan_pause), S::replacing},
    {S::serving, E::pod_ended, always, SM_FN(note_lost), S::awaiting_relaunch},
    {S::serving, E::stop, SM_FN(has_requests), SM_FN(await_idle), S::awaiting_idle},
    {S::serving, E::stop, always, SM_FN(remove_pod), S::stopping},

    {S::awaiting_return, E::pod_ready, always, SM_FN(begin_serving), S::serving},
    {S::awaiting_return, E::pod_unusable, always, SM_FN(plan_pause), S::replacing},
    {S::awaiting_return, E::pod_ended, always, SM_FN(note_lost), S::awaiting_relaunch},
    {S::awaiting_return, E::stop, SM_FN(has_requests), SM_FN(await_idle), S::awaiting_idle},
    {S::awaiting_return, E::stop, always, SM_FN(remove_pod), S::stopping},

    {S::relaunching, E::pod_ready, always, SM_FN(begin_serving), S::serving},
    {S::relaunching, E::pod_unusable, always, SM_FN(plan_pause), S::replacing},
    {S::relaunching, E::pod_name_taken, always, SM_FN(plan_no_pause), S::replacing},
    {S::relaunching, E::pod_ended, always, SM_FN(note_lost), S::awaiting_relaunch},
    {S::relaunching, E::stop, always, SM_FN(remove_pod), S::stopping},

    {S::replacing, E::pod_ended, always, SM_FN(wait_to_launch), S::awaiting_relaunch},
    {S::replacing, E::pod_stuck, always, SM_FN(note_stuck), S::replacing},
    {S::replacing, E::stop, always, SM_FN(remove_pod), S::stopping},

    {S::awaiting_relaunch, E::deadline, always, SM_FN(launch_pod), S::relaunching},
    {S::awaiting_relaunch, E::stop, always, SM_FN(disarm), S::stopped},

    {S::awaiting_idle, E::became_idle, always, SM_FN(remove_pod), S::stopping},
    {S::awaiting_idle, E::deadline, always, SM_FN(remove_pod), S::stopping},
    {S::awaiting_idle, E::pod_ended, always, SM_FN(disarm), S::stopped},

    {S::stopping, E::pod_ended, always, nothing, S::stopped},
    {S::stopping, E::pod_stuck, always, SM_FN(note_stuck), S::stopping},
    {S::stopping, E::stop, always, SM_FN(remove_pod), S::stopping},

    {S::failing, E::pod_ended, always, nothing, S::failed},
    {S::failing, E::pod_stuck, always, SM_FN(note_stuck), S::stuck},
    {S::failing, E::stop, always, SM_FN(remove_pod), S::stopping},

    {S::stuck, E::pod_ended, always, nothing, S::failed},
    {S::stuck, E::pod_stuck, always, SM_FN(note_stuck), S::stuck},
    {S::stuck, E::stop, always, SM_FN(remove_pod), S::stopping},

    {S::failed, E::stop, always, nothing, S::stopped},
};

static constexpr sm_ignore<etl> ignores[] = {
    //  in                    event                why it is harmless
    {S::awaiting_idle, E::pod_ready, "new requests are refused already"},
    {S::awaiting_idle, E::pod_down, "the pod is about to be removed"},
    {S::awaiting_idle, E::pod_unusable, "the pod is about to be removed"},
    {S::awaiting_idle, E::pod_stuck, "it is deleted again as soon as no request uses it"},

    {S::failed, E::predecessor_gone, "it gave up waiting for that"},

    {S::awaiting_idle, E::stop, "it is stopping already"},
};

static bool relaunch_is_bounded(const etl &m) { return back_off_is_bounded(m.relaunch) && m.pause_ms <= etl_relaunch_max_ms; }
static bool failed_has_a_reason(const etl &m)
{
    S s = sm_state_of(m);
    return (s != S::failing && s != S::stuck && s != S::failed) || !m.failure.empty();
}
static bool failure_is_bounded(const etl &m) { return m.failure.size() <= etl_error_text_max; }
static bool nobody_waits_for_what_has_served(const etl &m) { return !etl_has_served(m) || !etl_is_awaited(m); }

static constexpr sm_invariant<etl> invariants[] = {
    {"relaunch_is_bounded", relaunch_is_bounded},
    {"failed_has_a_reason", failed_has_a_reason},
    {"failure_is_bounded", failure_is_bounded},
    {"nobody_waits_for_what_has_served", nobody_waits_for_what_has_served},
};

// The reason is complete when the pod's removal begins, so callers need not wait for the removal.
static bool is_failure(S s) { return s == S::failing || s == S::stuck || s == S::failed; }

static void note_step(etl &m, S from, E event)
{
    S now = sm_state_of(m);
    if (now == from)
        return;
    pod_plan_log_step(m.plan, "etl", sm_name(from), sm_name(now), sm_name(event));
    if (is_failure(now) && !is_failure(from))
        m.host->health->starts_failed++;
    if (now == S::serving && from == S::starting)
        m.host->health->starts_served++;
}

static constexpr sm_table<etl> table = {
    "etl", states, resources, rows, ignores, invariants, E::stop, E::deadline, alive, nullptr, note_step};
SM_VERIFY(table);

sm_view etl_machine_view() { return sm_view_of(table); }

// ---- events in

static E event_of(pod_news news)
{
    switch (news) {
    case pod_news::ready: return E::pod_ready;
    case pod_news::down: return E::pod_down;
    case pod_news::failed: return E::pod_failed;
    case pod_news::unusable: return E::pod_unusable;
    case pod_news::name_taken: return E::pod_name_taken;
    case pod_news::stuck: return E::pod_stuck;
    case pod_news::ended: return E::pod_ended;
    }
    return E::pod_ended;
}

static void take_pod_news(etl &m)
{
    pod_news news;
    while (m.pod != nullptr && sm_news_take(m.pod->news, news))
        sm_step(table, m, event_of(news));
    m.host->on_step(m.host->arg, m);
}

static void pod_has_news(void *arg) { take_pod_news(*static_cast<etl *>(arg)); }

void etl_send(etl &m, E event)
{
    sm_step(table, m, event);
    take_pod_news(m);
}

static void timer_fired(void *arg) { etl_send(*static_cast<etl *>(arg), E::deadline); }

// The previous pod has ended some time ago; none of its calls is in progress.
static void make_pod(etl &m)
{
    bool name_was_taken = m.pod != nullptr && m.pod->facts.name_was_taken;
    pod_machine_free(m.pod);
    m.pod = pod_machine_make(m.plan, m.record, pod_has_news, &m);
    m.pod->facts.name_was_taken = name_was_taken;
    sm_set_owner(*m.pod, table, m);
}

void etl_start(etl &m, uint64_t deadline_ms)
{
    m.start_deadline_ms = deadline_ms;
    etl_send(m, E::start);
}

void etl_keep_trying(etl &m)
{
    m.start_deadline_ms = 0;
    if (m.pod != nullptr)
        pod_machine_keep_trying(*m.pod);
}

void etl_stop(etl &m) { etl_send(m, E::stop); }

void etl_shut_down(etl &m)
{
    if (m.pod != nullptr)
        pod_machine_shut_down(*m.pod); // before the stop, which would remove it
    etl_send(m, E::stop);
}

void etl_recheck_pod(etl &m)
{
    if (m.pod != nullptr)
        pod_machine_recheck(*m.pod);
    m.host->on_step(m.host->arg, m); // called even without a pod of its own: the registry removes what arrives late
}

void etl_report_refused(etl &m)
{
    if (m.pod != nullptr)
        pod_machine_report_refused(*m.pod);
}

// ---- interface

static uint64_t grace_of(const cJSON *pod)
{
    const cJSON *grace = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(pod, "spec"), "terminationGracePeriodSeconds");
    if (!cJSON_IsNumber(grace) || grace->valuedouble < 0)
        return pod_delete_grace_default_s;
    return static_cast<uint64_t>(std::clamp(grace->valuedouble, 1.0, 3600.0));
}

// Defaults for what the spec leaves to this node.
static void apply_defaults(etl_definition &definition, const cJSON *pod, const etl_registry_options &options)
{
    if (definition.wait_timeout_ms == 0)
        definition.wait_timeout_ms = wait_timeout_default_ms;
    if (definition.obj_timeout_ms == 0)
        definition.obj_timeout_ms = obj_timeout_default_ms;
    const std::string name(annotation_require_framing);
    bool is_said = json_get(json_get(json_get(pod, "metadata"), "annotations"), name.c_str()) != nullptr;
    definition.require_framing = definition.require_framing || (options.require_framing && !is_said);
}

static std::string pod_url_of(const etl_registry_options &options, const etl_definition &definition, std::string_view secret)
{
    return options.pod_url + std::string(path_pod_object) + "/" + definition.id + "/" + std::string(secret);
}

static std::string pod_name_of(const etl_registry_options &options, const etl_definition &definition)
{
    etl_pod_context context;
    context.cluster_id = options.cluster_id;
    context.target_id = options.target_id;
    context.etl_id = definition.id;
    context.generation_id = definition.generation_id;
    context.node_name = options.node_name;
    return etl_pod_name(
        definition.name, etl_pod_suffix(context, definition.name), options.node_name.empty() ? options.target_id : options.node_name);
}

etl *etl_make(const etl_host &host, etl_ref &ref, const etl_definition &definition, uint64_t id)
{
    const etl_registry_options &options = *host.options;
    auto *m = new etl;
    m->sm.id = id;
    m->host = &host;
    m->ref = &ref;
    m->definition = definition;
    m->users_pod = spec_parse_exactly(definition.pod_json);
    m->definition.pod_json = std::string(); // the tree holds it
    apply_defaults(m->definition, m->users_pod.get(), options);
    m->plan = {&host, &m->definition, m->users_pod.get(), pod_url_of(options, definition, definition.secret),
        pod_name_of(options, definition), grace_of(m->users_pod.get())};
    m->relaunch = {etl_relaunch_min_ms, etl_relaunch_max_ms};
    m->deadline_timer = timer_make(*host.e, timer_fired, m);
    return m;
}

void etl_free(etl *m)
{
    CHECK(!m->sm.stepping);
    pod_machine_free(m->pod);
    timer_free(env_of(*m), m->deadline_timer);
    delete m;
}

bool etl_is_final(const etl &m) { return sm_is_final(table, m); }

bool etl_is_stopping(const etl &m)
{
    S s = sm_state_of(m);
    return s == S::awaiting_idle || s == S::stopping || s == S::stopped;
}

bool etl_can_be_joined(const etl &m)
{
    bool is_giving_up = m.pod != nullptr && !pod_machine_failure(*m.pod).empty();
    return !etl_is_stopping(m) && !is_failure(sm_state_of(m)) && !is_giving_up;
}

bool etl_is_awaited(const etl &m) { return m.start_deadline_ms != 0; }
bool etl_has_served(const etl &m) { return etl_phase_of(m) == etl_phase::serving; }
bool etl_has_pod(const etl &m) { return m.pod != nullptr && m.pod->facts.may_exist; }
std::string etl_delete_error(const etl &m) { return m.pod != nullptr ? m.pod->delete_error : std::string(); }

std::string etl_start_missed_text(const etl &m)
{
    std::string why(etl_view_of(m).last_error);
    return pod_text_context(m.plan) + ": it was Ready before, but did not become Ready again within wait_timeout " +
           text_duration(m.definition.wait_timeout_ms) + (why.empty() ? "" : "; " + why);
}

bool etl_start_is_decided(const etl &m, error &out_err, std::string &out_text)
{
    out_text.clear();
    if (etl_is_stopping(m)) {
        out_err = make_error(error_code::canceled, "the ETL was stopped before its pod was Ready");
        out_text = pod_text_context(m.plan) + ": the ETL was stopped before its pod was Ready";
        return true;
    }
    if (sm_state_of(m) == S::serving) {
        out_err = no_error;
        return true;
    }
    if (!is_failure(sm_state_of(m)))
        return false;
    out_err = make_error(error_code::etl_init_failed);
    out_text = m.failure;
    return true;
}

etl_phase etl_phase_of(const etl &m) { return static_cast<etl_phase>(sm_state_row(table, m).label); }

// The current problem: why the start failed, else why its pod cannot be removed, else what keeps the pod from serving.
static std::string_view last_error_of(const etl &m)
{
    if (is_failure(sm_state_of(m)))
        return m.failure;
    if (sm_state_of(m) == S::starting && !pod_machine_failure(*m.pod).empty())
        return pod_machine_failure(*m.pod);
    if (m.pod != nullptr && !m.pod->delete_error.empty())
        return m.pod->delete_error;
    return m.record.trouble;
}

etl_view etl_view_of(const etl &m)
{
    etl_view view;
    view.definition = &m.definition;
    view.endpoint = &m.record.endpoint;
    view.phase = etl_phase_of(m);
    view.ready = sm_state_of(m) == S::serving;
    view.pod_name = m.plan.pod_name;
    view.last_error = last_error_of(m);
    view.restarts = m.record.restarts;
    view.warnings = m.record.warnings;
    view.readiness_changes = m.record.readiness_changes;
    return view;
}

std::string etl_pod_shown(const etl &m)
{
    return pod_plan_build(
        m.plan, m.pod != nullptr ? m.pod->facts.launch_id : std::string(), pod_url_of(*m.host->options, m.definition, "SECRET"));
}

bool etl_claims_pod(const etl &m, const pod_status &pod)
{
    S s = sm_state_of(m);
    bool is_done = etl_is_final(m) || s == S::failed || s == S::awaiting_predecessor;
    return !is_done && pod.name == m.plan.pod_name;
}

} // namespace etlnode
