// SPDX-License-Identifier: MIT
// etl/etl_machine.cc: one start of one ETL on this target, from an accepted definition to a removed pod.
//
// Owns     one kubectl child at a time, one timer, one connect (to the pod, or to its node port), the knowledge whether a pod may exist.
// Knows    sm, port, kube, watch_machine (reads what is known of pods).       Known by  etl_registry.
// Machine  etl, drawn in docs/machines/etl.md (generated, do not edit).
// Normal   create, wait for Ready, serve, drain, delete. With hpull_address: node_port also a Service, made when the pod is seen; it goes with the pod.
// Fails    create fails in a way that may pass: again, with the same launch mark, while there is time. Asked for: create refused, a right
//          missing, hopeless pod, wait_timeout: log lines, delete, `failed` with its reason. By itself: it tries again.
//          While serving: a container that ends is Kubernetes' to restart; a pod that is gone is made again.
// Limits   wait_timeout, kubectl_timeout_ms, etl_error_text_max, the back-offs of base/limits.h.
#include "etl/etl_machine.h"

#include <algorithm>

#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "etl/etl_service.h"
#include "etl/etl_spec.h"
#include "etl/spec_tree.h"
#include "sm/sm_verify.h"

using S = etl::state;
using E = etl::event;

static constexpr uint32_t CALL = 1, TIMER = 2, POD = 4, PROBE = 8;

// ---- what is known of the pod

static env &env_of(const etl &m) { return *m.host->e; }
static uint64_t now_of(const etl &m) { return clock_now_ms(env_of(m)); }
static bool is_armed(const etl &m) { return timer_is_armed(env_of(m), m.alarm); }

// The pod we believe in, as last told; null when it is not known (yet, or any more).
static const pod_status *own_pod(const etl &m)
{
    const pod_status *pod = watch_find(*m.host->pods, m.pod_name);
    return pod != nullptr && pod->launch == m.launch_id ? pod : nullptr;
}

static bool address_of(const etl &m, const pod_status &pod, std::string &out_host, uint16_t &out_port)
{
    if (m.host->options->kubectl_is_local && !pod.local_address.empty())
        return pod_address_parse(pod.local_address, out_host, out_port);
    out_host = pod.pod_ip;
    out_port = pod.container_port;
    return !out_host.empty() && out_port != 0;
}

// kubectl-local's addresses are those of this machine already.
static bool wants_node_port(const etl &m)
{
    return m.definition.mode == communication::hpull && m.definition.hpull_address == client_address::node_port && !m.host->options->kubectl_is_local;
}

// Where hpull sends clients. False where that is not known yet.
static bool client_address_of(const etl &m, const pod_status &pod, std::string &out_host, uint16_t &out_port)
{
    if (!wants_node_port(m))
        return address_of(m, pod, out_host, out_port);
    out_host = m.host->options->node_address.empty() ? pod.host_ip : m.host->options->node_address;
    out_port = m.node_port;
    return !out_host.empty() && out_port != 0;
}

static pod_verdict verdict_of(const etl &m)
{
    const pod_status *pod = own_pod(m);
    std::string why;
    return pod != nullptr ? pod_status_judge(*pod, why) : pod_verdict::starting;
}

static std::string describe_pod(const etl &m)
{
    const pod_status *pod = own_pod(m);
    return pod != nullptr ? pod_status_describe(*pod) : std::string("its status is not known");
}

// ---- texts

static std::string bounded_tail(std::string_view text, size_t max)
{
    if (text.size() <= max)
        return std::string(text);
    text.remove_prefix(text.size() - max);
    size_t line_end = text.find('\n');
    return "..." + std::string(line_end != std::string_view::npos && line_end < 200 ? text.substr(line_end) : text);
}

static std::string place_text(const etl &m)
{
    return "target " + m.host->options->target_id + ", ETL " + m.definition.id + ", pod " + m.pod_name;
}

// The reason first, in half of the room; log lines get the rest.
static void note_failure(etl &m, std::string_view step, std::string_view what)
{
    m.failure = place_text(m) + ": " + std::string(step) + ": " + std::string(what);
    if (m.failure.size() > etl_error_text_max / 2)
        m.failure = m.failure.substr(0, etl_error_text_max / 2) + "...";
}

static void append_log_lines(etl &m, std::string_view text)
{
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r'))
        text.remove_suffix(1);
    std::string lines = bounded_tail(text, etl_error_text_max - m.failure.size() - 64);
    for (char &c : lines) {
        if (static_cast<uint8_t>(c) < 0x20 && c != '\n' && c != '\t') // no terminal tricks in an error text
            c = '?';
    }
    if (!lines.empty())
        m.failure += "\nlast log lines of the pod:\n" + lines;
}

// ---- actions

static void arm(etl &m, uint64_t ms) { timer_arm(env_of(m), m.alarm, ms); }
static void disarm(etl &m) { timer_stop(env_of(m), m.alarm); }
static void look(etl &m) { sm_emit(m, E::pod_changed); }

static uint64_t start_remaining(const etl &m)
{
    uint64_t now = now_of(m);
    return m.start_deadline_ms > now ? m.start_deadline_ms - now : 0;
}

static void start_call(etl &m, kubectl_verb verb, proc_options options)
{
    m.call_open = true;
    uint64_t patience = options.deadline_ms + options.kill_grace_ms + 1'000; // the child's own deadline comes first
    if (!kube_call_start(m.call, verb, std::move(options)))
        sm_emit(m, E::kubectl_failed);
    arm(m, patience);
}

// Somebody waits until his deadline; else each step has wait_timeout.
static void arm_start(etl &m) { arm(m, m.asked ? start_remaining(m) : m.definition.wait_timeout_ms); }
static uint64_t next_delay(uint64_t delay_ms, uint64_t min_ms, uint64_t max_ms) { return delay_ms == 0 ? min_ms : std::min(delay_ms * 2, max_ms); }

static void begin_turn(etl &m) { arm_start(m); }

static etl_pod_context context_of(const etl &m, const std::string &target_url)
{
    const etl_registry_options &options = *m.host->options;
    etl_pod_context context = {options.cluster_id, options.target_id, m.definition.id, m.definition.generation_id, options.node_name,
                               target_url, "", m.launch_id, options.owner_name, options.owner_uid, options.security, wants_node_port(m)};
    context.suffix = etl_pod_suffix(context, m.definition.name);
    return context;
}

static std::string build_pod(const etl &m, const std::string &target_url) { return etl_pod_build(m.pod.get(), m.definition.name, context_of(m, target_url)); }

static void create_pod(etl &m)
{
    m.pod_may_exist = true;
    m.create_attempts++;
    start_call(m, kubectl_verb::create, kubectl_create(m.host->options->kubectl, build_pod(m, m.target_url), m.target_url));
    if (m.call.refused && m.create_attempts == 1)
        m.pod_may_exist = false; // nothing ran
    if (m.asked)
        arm(m, start_remaining(m));
}

static void forget_port(etl &m)
{
    m.node_port = 0;
    m.expose_delay_ms = 0;
    m.port_answers = false;
}

static void launch(etl &m)
{
    static constexpr char alphabet[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    m.goal = etl_goal::run;
    m.seen = false;
    m.launch_id = rng_text(env_of(m).random, alphabet, sizeof alphabet - 1, 10);
    forget_port(m);
    m.create_attempts = 0;
    m.create_delay_ms = 0;
    create_pod(m);
}

static void launch_afresh(etl &m)
{
    m.pod_may_exist = false; // the list shows none
    launch(m);
}

// A restored ETL whose pod may be running since an earlier life of this node.
static void look_for_pod(etl &m)
{
    m.pod_may_exist = true;
    disarm(m);
    look(m);
}

static void adopt(etl &m)
{
    const pod_status *pod = watch_find(*m.host->pods, m.pod_name);
    m.launch_id = pod->launch;
    forget_port(m);
    m.seen = true;
    arm(m, m.definition.wait_timeout_ms);
    look(m);
}

static void note_created(etl &m)
{
    m.created_stamp = watch_take_stamp(*m.host->pods);
    m.name_was_taken = false;
    if (m.call.verb == kubectl_verb::create && m.call.ok)
        m.warnings = m.call.warnings;
    arm_start(m);
    look(m);
}

static void note_status(etl &m)
{
    m.seen = m.seen || own_pod(m) != nullptr;
    std::string why;
    const pod_status *pod = own_pod(m);
    if (pod != nullptr && pod_status_judge(*pod, why) != pod_verdict::ready)
        m.trouble = bounded_tail(why, etl_error_text_max / 2);
}

static void take_request(etl &m)
{
    switch (sm_state_of(m)) {
    case S::awaiting_ready:
    case S::launching:
    case S::exposing:
    case S::reading_port:
    case S::awaiting_turn: arm(m, start_remaining(m)); break;
    case S::awaiting_relaunch:
    case S::awaiting_expose_retry:
    case S::awaiting_create_retry: arm(m, 0); break;
    default: break;
    }
    if (sm_state_of(m) == S::awaiting_ready)
        look(m);
}

static void log_restart(const etl &m, const pod_status &pod)
{
    LOG(warn, "etl", "etl=%s pod=%s exit_code=%lld reason=\"%s\" restarts=%llu msg=\"the container had ended and runs again\"", m.definition.id.c_str(), m.pod_name.c_str(),
        static_cast<long long>(pod.main.last_exit_code), text_escape(pod.main.last_reason).c_str(), static_cast<unsigned long long>(m.restarts));
}

static void note_address(etl &m, const pod_status &pod)
{
    (void)address_of(m, pod, m.endpoint.host, m.endpoint.port);
    (void)client_address_of(m, pod, m.endpoint.client_host, m.endpoint.client_port);
    if (!m.host->options->kubectl_is_local || !pod_address_parse(pod.local_witness, m.endpoint.witness_host, m.endpoint.witness_port))
        m.endpoint.witness_port = 0;
}

static void begin_serving(etl &m)
{
    const pod_status *pod = own_pod(m);
    disarm(m);
    note_address(m, *pod);
    std::string instance = pod_status_instance(*pod);
    if (m.served && !m.endpoint.instance.empty() && instance != m.endpoint.instance) {
        m.restarts++;
        log_restart(m, *pod);
    }
    m.endpoint.instance = instance;
    m.restart_count = pod->main.restart_count;
    m.seen = true;
    if (!m.served)
        m.host->health->starts_served++;
    m.served = true;
    m.passes_probe = true;
    m.asked = false;
    m.suspected = false;
    m.serving_since_ms = now_of(m);
    m.failure.clear();
    m.trouble.clear();
}

// Serving goes on; the address and the container may be others.
static void refresh(etl &m)
{
    const pod_status *pod = own_pod(m);
    if (pod == nullptr)
        return;
    note_address(m, *pod);
    std::string instance = pod_status_instance(*pod);
    if (instance != m.endpoint.instance) {
        m.restarts += pod->main.restart_count > m.restart_count ? pod->main.restart_count - m.restart_count : 1;
        m.restart_count = pod->main.restart_count;
        m.endpoint.instance = instance;
        log_restart(m, *pod);
    }
    if (pod->ready != m.passes_probe) {
        m.passes_probe = pod->ready;
        m.readiness_changes++;
        LOG(info, "etl", "etl=%s pod=%s ready=%s msg=\"the pod's readiness probe has changed its mind; requests go on\"", m.definition.id.c_str(), m.pod_name.c_str(),
            pod->ready ? "true" : "false");
    }
}

static void pause_serving(etl &m) { m.trouble = bounded_tail(describe_pod(m), etl_error_text_max / 2); }

static void wait_for_return(etl &m)
{
    note_status(m);
    m.trouble = m.suspected ? "the pod refused a connection; " + m.trouble : m.trouble;
}

static void suspect(etl &m)
{
    m.suspected = true;
    m.trouble = "the pod refuses connections";
    bool was_steady = now_of(m) - m.serving_since_ms >= 5 * etl_probe_max_ms;
    m.probe_delay_ms = next_delay(was_steady ? 0 : m.probe_delay_ms, etl_probe_min_ms, etl_probe_max_ms);
    arm(m, m.probe_delay_ms);
}

static void on_probe(void *arg, error err, net_conn *conn);

static void start_connect(etl &m, const std::string &host, uint16_t port)
{
    m.probe_open = true;
    arm(m, etl_probe_timeout_ms);
    if (error err = net_connect(env_of(m), host.c_str(), port, on_probe, &m, &m.probe)) {
        m.probe = nullptr;
        sm_emit(m, E::probe_failed);
    }
}

static void start_probe(etl &m) { start_connect(m, m.endpoint.host, m.endpoint.port); }

static void cancel_probe(etl &m)
{
    if (m.probe != nullptr)
        net_connect_cancel(env_of(m), m.probe);
    m.probe = nullptr;
    m.probe_open = false;
}

static void wait_to_probe(etl &m)
{
    cancel_probe(m);
    m.probe_delay_ms = std::min(m.probe_delay_ms * 2, etl_probe_max_ms);
    arm(m, m.probe_delay_ms);
    look(m);
}

static void resume(etl &m)
{
    cancel_probe(m);
    disarm(m);
    m.suspected = false;
    m.serving_since_ms = now_of(m);
    m.trouble.clear();
    look(m); // what was told of the pod while the probe ran
}

static void arm_relaunch(etl &m)
{
    uint64_t delay = 0;
    if (!m.relaunch_at_once) {
        bool was_steady = m.served && m.serving_since_ms != 0 && now_of(m) - m.serving_since_ms >= etl_steady_ms;
        m.relaunch_delay_ms = next_delay(was_steady ? 0 : m.relaunch_delay_ms, etl_relaunch_min_ms, etl_relaunch_max_ms);
        delay = m.relaunch_delay_ms;
    }
    m.relaunch_at_once = false;
    m.serving_since_ms = 0;
    arm(m, m.asked ? std::min(delay, start_remaining(m)) : delay);
}

static void note_gone(etl &m)
{
    m.pod_may_exist = false;
    m.trouble = "the pod was deleted from outside; another one is being made";
    arm_relaunch(m);
}

static void note_deleted_for_relaunch(etl &m)
{
    m.pod_may_exist = false;
    m.delete_delay_ms = 0;
    m.delete_error.clear();
    arm_relaunch(m);
}

static void note_deleted(etl &m)
{
    m.pod_may_exist = false;
    m.delete_error.clear();
    disarm(m);
}

static void remove_pod(etl &m) { start_call(m, kubectl_verb::remove, kubectl_delete(m.host->options->kubectl, m.pod_name, m.grace_s)); }

static void remove_to_stop(etl &m)
{
    cancel_probe(m);
    m.goal = etl_goal::stop;
    remove_pod(m);
}

// A pod that will not run again; another one after a while.
static void remove_to_run(etl &m)
{
    pause_serving(m);
    m.goal = etl_goal::run;
    remove_pod(m);
}

// A pod of our name that is not what we would create; then ours at once.
static void replace(etl &m)
{
    m.goal = etl_goal::run;
    m.relaunch_at_once = true;
    m.name_was_taken = true;
    m.pod_may_exist = true;
    remove_pod(m);
}

static void give_up_create(etl &m)
{
    std::string tries = m.create_attempts > 1 ? text_format("tried %llu times, at last: ", static_cast<unsigned long long>(m.create_attempts)) : std::string();
    note_failure(m, "creating the pod", m.call.refused ? m.call.failure : "kubectl create: " + tries + m.call.failure);
    m.goal = etl_goal::fail;
    disarm(m);
}

static void remove_after_create(etl &m)
{
    give_up_create(m);
    remove_pod(m);
}

static void retry_create_later(etl &m)
{
    give_up_create(m);
    m.goal = etl_goal::run;
    m.trouble = m.failure;
    arm_relaunch(m);
}

static void remove_and_create_later(etl &m)
{
    give_up_create(m);
    m.goal = etl_goal::run;
    m.trouble = m.failure;
    remove_pod(m);
}

static uint64_t next_create_delay(const etl &m) { return next_delay(m.create_delay_ms, etl_create_retry_min_ms, etl_create_retry_max_ms); }

// With the same launch mark: the pod may be there although kubectl failed, and is ours then.
static void wait_to_create(etl &m)
{
    give_up_create(m);
    m.goal = etl_goal::run;
    m.trouble = m.failure;
    m.create_delay_ms = next_create_delay(m);
    arm(m, m.create_delay_ms);
}

static void end_call(etl &m)
{
    kube_call_terminate(m.call);
    arm(m, child_kill_grace_ms * 2);
}

static void cancel_create(etl &m)
{
    note_failure(m, "creating the pod", "timeout: kubectl create did not end within " + (m.asked ? "wait_timeout " + text_duration(m.definition.wait_timeout_ms) : text_duration(kubectl_timeout_ms)));
    m.goal = m.asked ? etl_goal::fail : etl_goal::run;
    end_call(m);
}

static void cancel_to_stop(etl &m)
{
    m.goal = etl_goal::stop;
    end_call(m);
}

static void note_stop(etl &m) { m.goal = etl_goal::stop; }

// ---- the node port

static void start_port_call(etl &m, kubectl_verb verb, proc_options options)
{
    start_call(m, verb, std::move(options));
    if (m.asked)
        arm(m, start_remaining(m));
}

// Its name is this launch's: a second try, in this life of the node or the next, finds what the first has made.
static void expose(etl &m)
{
    const pod_status *pod = own_pod(m);
    m.seen = true;
    std::string service = etl_service_build(m.definition.name, context_of(m, m.target_url), {pod->name, pod->uid, pod->container_port});
    start_port_call(m, kubectl_verb::expose, kubectl_expose(m.host->options->kubectl, std::move(service)));
}

static void read_port(etl &m)
{
    start_port_call(m, kubectl_verb::get_port, kubectl_get_port(m.host->options->kubectl, etl_service_name(m.definition.name, m.launch_id)));
}

static void await_ready_again(etl &m)
{
    arm_start(m);
    look(m);
}

static void note_port(etl &m)
{
    (void)kubectl_parse_port(m.call.out, m.node_port); // call_ended has seen to it
    m.expose_delay_ms = 0;
    m.trouble.clear();
    await_ready_again(m);
}

static const char *port_call_name(const etl &m) { return m.call.verb == kubectl_verb::expose ? "kubectl create service" : "kubectl get service"; }

static void note_not_exposed(etl &m) { note_failure(m, "exposing the pod", m.call.refused ? m.call.failure : port_call_name(m) + (": " + m.call.failure)); }

static void remove_unexposed(etl &m)
{
    note_not_exposed(m);
    m.goal = etl_goal::fail;
    remove_pod(m);
}

static uint64_t next_expose_delay(const etl &m) { return next_delay(m.expose_delay_ms, etl_expose_retry_min_ms, etl_expose_retry_max_ms); }

static void wait_to_expose(etl &m)
{
    note_not_exposed(m);
    m.trouble = m.failure;
    m.expose_delay_ms = next_expose_delay(m);
    arm(m, m.expose_delay_ms);
    look(m); // what was told of the pod while the call ran
}

// kube-proxy opens the port some time after the API server has given it. At the address that Kubernetes knows: another one may be meant for
// clients only.
static void knock(etl &m)
{
    cancel_probe(m);
    const pod_status *pod = own_pod(m);
    start_connect(m, pod != nullptr ? pod->host_ip : std::string(), m.node_port);
}

static void knock_first(etl &m)
{
    m.port_until_ms = now_of(m) + etl_port_wait_ms;
    knock(m);
}

static void wait_to_knock(etl &m) { arm(m, etl_port_knock_ms); }

static void note_port_answers(etl &m)
{
    cancel_probe(m);
    m.port_answers = true;
    await_ready_again(m);
}

static void take_port_as_it_is(etl &m)
{
    LOG(warn, "etl", "etl=%s pod=%s port=%u msg=\"the node port does not answer this target; clients are sent there all the same\"", m.definition.id.c_str(), m.pod_name.c_str(),
        static_cast<unsigned>(m.node_port));
    note_port_answers(m);
}

static void cancel_exposing(etl &m)
{
    note_failure(m, "exposing the pod", std::string("timeout: ") + port_call_name(m) + " did not end within wait_timeout " + text_duration(m.definition.wait_timeout_ms) + "; " + describe_pod(m));
    m.goal = etl_goal::fail;
    end_call(m);
}

// ---- log lines, and the ends of a start

static void fetch_logs(etl &m, bool previous)
{
    const pod_status *pod = own_pod(m);
    const container_status *container = pod != nullptr ? pod_status_failed_container(*pod) : nullptr;
    bool is_init = container != nullptr && container != &pod->main;
    m.previous_logs = previous;
    start_call(m, kubectl_verb::logs, kubectl_logs(m.host->options->kubectl, m.pod_name, is_init ? std::string_view(container->name) : std::string_view(), previous,
                               pod_log_lines_shown, pod_log_timeout_ms));
}

// Between two runs, and for a container that keeps ending, the words that matter are those of the run that ended.
static bool wants_previous_logs(const etl &m, bool keeps_ending)
{
    const pod_status *pod = own_pod(m);
    const container_status *container = pod != nullptr ? pod_status_failed_container(*pod) : nullptr;
    if (container == nullptr || !container->has_last)
        return false;
    return container->state == container_state::waiting || (keeps_ending && container->state == container_state::running);
}

static void give_up_hopeless(etl &m)
{
    note_failure(m, "waiting for Ready", describe_pod(m));
    m.goal = etl_goal::fail;
}

static void give_up_waiting(etl &m)
{
    std::string what = "timeout: not Ready within wait_timeout " + text_duration(m.definition.wait_timeout_ms) + "; " + describe_pod(m);
    if (!m.host->health->kubectl_ok)
        what += "; kubectl fails: " + m.host->health->kubectl_error;
    note_failure(m, "waiting for Ready", what);
    m.goal = etl_goal::fail;
}

static void remove_unseen(etl &m)
{
    note_failure(m, "waiting for Ready", "the node cannot see its pods: " + etl_registry_missing_right(*m.host->health));
    m.goal = etl_goal::fail;
    remove_pod(m);
}

static void fetch_logs_of_hopeless(etl &m)
{
    give_up_hopeless(m);
    fetch_logs(m, wants_previous_logs(m, true));
}
static void remove_hopeless(etl &m)
{
    give_up_hopeless(m);
    remove_pod(m);
}
static void fetch_logs_of_late(etl &m)
{
    give_up_waiting(m);
    fetch_logs(m, wants_previous_logs(m, false));
}
static void remove_late(etl &m)
{
    give_up_waiting(m);
    remove_pod(m);
}
static void fetch_present_logs(etl &m) { fetch_logs(m, false); }

static void keep_logs_and_remove(etl &m)
{
    append_log_lines(m, m.call.out);
    remove_pod(m);
}

static void remove_without_logs(etl &m)
{
    if (m.goal == etl_goal::fail)
        m.failure += "\nthe pod's log could not be read: " + (m.call.refused ? m.call.failure : "kubectl logs: " + m.call.failure).substr(0, kib);
    remove_pod(m);
}

static void wait_longer(etl &m)
{
    note_status(m);
    arm(m, m.definition.wait_timeout_ms);
}

static void give_up_turn(etl &m)
{
    note_failure(m, "waiting for the pod of an earlier start to be removed", "timeout: it is still there after wait_timeout " + text_duration(m.definition.wait_timeout_ms));
}

static void drain(etl &m)
{
    cancel_probe(m);
    m.goal = etl_goal::stop;
    arm(m, std::min(etl_drain_timeout_ms, m.definition.obj_timeout_ms));
}

static void retry_delete_later(etl &m)
{
    m.delete_failures++;
    m.delete_error = place_text(m) + ": deleting the pod: " + (m.call.refused ? m.call.failure : "kubectl delete: " + m.call.failure);
    m.delete_delay_ms = next_delay(m.delete_delay_ms, etl_delete_retry_min_ms, etl_delete_retry_max_ms);
    arm(m, m.delete_delay_ms);
}

// Somebody waits for this start, and the leftover that is in its way cannot be removed.
static void give_up_replacing(etl &m)
{
    retry_delete_later(m);
    m.failure = m.delete_error.substr(0, etl_error_text_max / 2);
    m.goal = etl_goal::fail;
}

static void settle_stopped(etl &m)
{
    m.goal = etl_goal::stop;
    disarm(m);
}

// The node ends: children and timers go, the pod stays.
static void close_down(etl &m)
{
    cancel_probe(m);
    kube_call_terminate(m.call);
    arm(m, m.call_open ? child_kill_grace_ms * 2 : 0);
}

// ---- guards

static bool is_asked(const etl &m) { return m.asked; }
static bool has_predecessor(const etl &m) { return m.predecessor != nullptr; }
static bool is_not_listed_yet(const etl &m) { return !watch_has_listed(*m.host->pods); }
static bool has_leftover(const etl &m) { return watch_find(*m.host->pods, m.pod_name) != nullptr; }

static bool can_adopt(const etl &m)
{
    const pod_status *pod = watch_find(*m.host->pods, m.pod_name);
    if (pod == nullptr)
        return false;
    std::string why;
    return pod->generation == m.definition.generation_id && pod->target_url == m.target_url && !pod->terminating &&
           pod_status_judge(*pod, why) != pod_verdict::ended;
}

// An earlier try of this launch has made it, whatever kubectl said then. What the watch knows under that name must not be another one.
static bool is_made_already(const etl &m)
{
    const pod_status *pod = watch_find(*m.host->pods, m.pod_name);
    return m.create_attempts > 1 && m.call.fault == kubectl_fault::already_exists && (pod == nullptr || pod->launch == m.launch_id);
}

static bool is_seen(const etl &m) { return own_pod(m) != nullptr; }
static bool name_is_taken(const etl &m) { return !m.name_was_taken && m.call.fault == kubectl_fault::already_exists; }
static bool never_ran(const etl &m) { return m.call.refused && !m.pod_may_exist; }
static bool never_ran_and_asked(const etl &m) { return never_ran(m) && m.asked; }
static bool may_create_again(const etl &m) { return kubectl_fault_may_pass(m.call.fault) && (!m.asked || next_create_delay(m) < start_remaining(m)); }

// Seen and then missing, or missing in a list that was started after it had been created.
static bool is_gone(const etl &m) { return own_pod(m) == nullptr && (m.seen || m.created_stamp < m.host->pods->listed_from); }

static bool is_ready(const etl &m)
{
    std::string host;
    uint16_t port = 0;
    const pod_status *pod = own_pod(m);
    return pod != nullptr && verdict_of(m) == pod_verdict::ready && address_of(m, *pod, host, port) && client_address_of(m, *pod, host, port);
}

static bool is_behind_a_port(const etl &m) { return wants_node_port(m) && !m.port_answers && is_ready(m); }
static bool may_knock(const etl &m) { return now_of(m) < m.port_until_ms && (!m.asked || start_remaining(m) > 0); }

// While it starts: when it is Ready the port has long been there. Not where it will not get Ready.
static bool can_be_exposed(const etl &m)
{
    const pod_status *pod = own_pod(m);
    return pod != nullptr && !pod->terminating && !pod->uid.empty() && pod->container_port != 0 && (verdict_of(m) == pod_verdict::starting || verdict_of(m) == pod_verdict::ready);
}

static bool lacks_port(const etl &m) { return wants_node_port(m) && m.node_port == 0 && can_be_exposed(m); }

// An earlier try has made it, or this one has and did not say the port.
static bool is_exposed_already(const etl &m) { return m.call.fault == kubectl_fault::already_exists || m.call.fault == kubectl_fault::output; }
static bool cannot_be_exposed(const etl &m) { return m.asked && (!kubectl_fault_may_pass(m.call.fault) || next_expose_delay(m) >= start_remaining(m)); }

static bool has_logs(const etl &m)
{
    const pod_status *pod = own_pod(m);
    return pod != nullptr && pod_status_failed_container(*pod) != nullptr;
}

static bool is_ended(const etl &m) { return verdict_of(m) == pod_verdict::ended; }
static bool is_hopeless(const etl &m) { return verdict_of(m) == pod_verdict::hopeless || is_ended(m); }
static bool has_ended_unasked(const etl &m) { return !m.asked && is_ended(m); }
static bool is_hopeless_with_logs(const etl &m) { return m.asked && is_hopeless(m) && has_logs(m); }
static bool is_hopeless_and_asked(const etl &m) { return m.asked && is_hopeless(m); }
static bool is_asked_and_blind(const etl &m) { return m.asked && !etl_registry_missing_right(*m.host->health).empty(); }
static bool is_asked_with_logs(const etl &m) { return m.asked && has_logs(m); }

// Traffic stops for the container's end and for deletion, not for a failed probe: a busy server still serves.
static bool is_down(const etl &m)
{
    const pod_status *pod = own_pod(m);
    if (pod == nullptr || pod->terminating || pod->main.state != container_state::running)
        return true;
    return pod_status_instance(*pod) != m.endpoint.instance && !is_ready(m);
}

static bool is_back(const etl &m)
{
    const pod_status *pod = own_pod(m);
    return is_ready(m) && (!m.suspected || pod_status_instance(*pod) != m.endpoint.instance);
}

static bool may_probe(const etl &m)
{
    const pod_status *pod = own_pod(m);
    return m.suspected && pod != nullptr && !pod->terminating && pod->main.state == container_state::running && pod_status_instance(*pod) == m.endpoint.instance;
}

static bool has_requests(const etl &m) { return m.ref->slots_taken > 0; }
static bool used_previous_logs(const etl &m) { return m.previous_logs && m.goal == etl_goal::fail; }
static bool is_to_run(const etl &m) { return m.goal == etl_goal::run; }
static bool is_to_fail(const etl &m) { return m.goal == etl_goal::fail; }
static bool is_to_run_and_asked(const etl &m) { return m.goal == etl_goal::run && m.asked; }
static bool a_call_is_open(const etl &m) { return m.call_open; }

static uint32_t alive(const etl &m)
{
    return (m.call_open ? CALL : 0) | (is_armed(m) ? TIMER : 0) | (m.pod_may_exist ? POD : 0) | (m.probe_open ? PROBE : 0);
}

// ---- the table

static constexpr sm_resource resources[] = {{CALL, "kubectl call"}, {TIMER, "timer"}, {POD, "pod"}, {PROBE, "probe"}};

static constexpr int starting = static_cast<int>(etl_phase::starting), in_service = static_cast<int>(etl_phase::serving),
                     stopping = static_cast<int>(etl_phase::stopping), has_failed = static_cast<int>(etl_phase::failed), gone = static_cast<int>(etl_phase::gone);

static constexpr sm_state<etl> states[] = {
    //  state                      name                     kind        must alive            may be alive           public phase
    {S::received,              sm_initial, 0,                    0,                     starting},
    {S::awaiting_turn,         sm_busy,    TIMER,                TIMER,                 starting},
    {S::awaiting_list,         0,          POD,                  POD,                   starting},
    {S::launching,             sm_busy,    CALL | TIMER,         CALL | TIMER | POD,    starting},
    {S::awaiting_create_retry, sm_busy,    TIMER | POD,          TIMER | POD,           starting},
    {S::cancelling,            sm_busy,    CALL | TIMER | POD,   CALL | TIMER | POD,    stopping},
    {S::awaiting_ready,        sm_busy,    TIMER | POD,          TIMER | POD,           starting},
    {S::exposing,              sm_busy,    CALL | TIMER | POD,   CALL | TIMER | POD,    starting},
    {S::reading_port,          sm_busy,    CALL | TIMER | POD,   CALL | TIMER | POD,    starting},
    {S::awaiting_expose_retry, sm_busy,    TIMER | POD,          TIMER | POD,           starting},
    {S::awaiting_port,         sm_busy,    TIMER | POD,          TIMER | POD | PROBE,   starting},
    {S::fetching_logs,         sm_busy,    CALL | TIMER | POD,   CALL | TIMER | POD,    starting},
    {S::serving,               0,          POD,                  POD,                   in_service},
    {S::awaiting_return,       0,          POD,                  TIMER | POD,           in_service},
    {S::probing,               sm_busy,    TIMER | POD | PROBE,  TIMER | POD | PROBE,   in_service},
    {S::draining,              sm_busy,    TIMER | POD,          TIMER | POD,           stopping},
    {S::deleting,              sm_busy,    CALL | TIMER | POD,   CALL | TIMER | POD,    stopping},
    {S::awaiting_delete_retry, sm_busy,    TIMER | POD,          TIMER | POD,           stopping},
    {S::awaiting_relaunch,     sm_busy,    TIMER,                TIMER,                 starting},
    {S::failed,                0,          0,                    0,                     has_failed},
    {S::closing,               sm_busy,    TIMER,                CALL | TIMER | POD,    stopping},
    {S::stopped,               sm_final,   0,                    0,                     gone},
    {S::closed,                sm_final,   0,                    POD,                   gone},
};

static constexpr sm_row<etl> rows[] = {
    //  from                       on                   guard                         action                             to
    {S::received,              E::start,            SM_FN(has_predecessor),       SM_FN(begin_turn),                 S::awaiting_turn},
    {S::received,              E::start,            always,                       SM_FN(launch),                     S::launching},
    {S::received,              E::restore,          SM_FN(has_predecessor),       SM_FN(begin_turn),                 S::awaiting_turn},
    {S::received,              E::restore,          always,                       SM_FN(look_for_pod),               S::awaiting_list},
    {S::received,              E::stop,             always,                       nothing,                           S::stopped},
    {S::received,              E::shut_down,        always,                       SM_FN(close_down),                 S::closing},

    {S::awaiting_turn,         E::turn,             SM_FN(is_asked),              SM_FN(launch),                     S::launching},
    {S::awaiting_turn,         E::turn,             always,                       SM_FN(look_for_pod),               S::awaiting_list},
    {S::awaiting_turn,         E::start,            always,                       SM_FN(take_request),               S::awaiting_turn},
    {S::awaiting_turn,         E::deadline,         SM_FN(is_asked),              SM_FN(give_up_turn),               S::failed},
    {S::awaiting_turn,         E::deadline,         always,                       SM_FN(begin_turn),                 S::awaiting_turn},
    {S::awaiting_turn,         E::stop,             always,                       SM_FN(settle_stopped),             S::stopped},
    {S::awaiting_turn,         E::shut_down,        always,                       SM_FN(close_down),                 S::closing},

    {S::awaiting_list,         E::pod_changed,      SM_FN(is_not_listed_yet),     nothing,                           S::awaiting_list},
    {S::awaiting_list,         E::pod_changed,      SM_FN(can_adopt),             SM_FN(adopt),                      S::awaiting_ready},
    {S::awaiting_list,         E::pod_changed,      SM_FN(has_leftover),          SM_FN(replace),                    S::deleting},
    {S::awaiting_list,         E::pod_changed,      always,                       SM_FN(launch_afresh),              S::launching},
    {S::awaiting_list,         E::start,            always,                       SM_FN(launch),                     S::launching},
    {S::awaiting_list,         E::stop,             always,                       SM_FN(remove_to_stop),             S::deleting},
    {S::awaiting_list,         E::shut_down,        always,                       SM_FN(close_down),                 S::closing},

    {S::launching,             E::kubectl_ok,       always,                       SM_FN(note_created),               S::awaiting_ready},
    {S::launching,             E::kubectl_failed,   SM_FN(is_made_already),       SM_FN(note_created),               S::awaiting_ready},
    {S::launching,             E::kubectl_failed,   SM_FN(name_is_taken),         SM_FN(replace),                    S::deleting},
    {S::launching,             E::kubectl_failed,   SM_FN(never_ran_and_asked),   SM_FN(give_up_create),             S::failed},
    {S::launching,             E::kubectl_failed,   SM_FN(never_ran),             SM_FN(retry_create_later),         S::awaiting_relaunch},
    {S::launching,             E::kubectl_failed,   SM_FN(may_create_again),      SM_FN(wait_to_create),             S::awaiting_create_retry},
    {S::launching,             E::kubectl_failed,   SM_FN(is_asked),              SM_FN(remove_after_create),        S::deleting},
    {S::launching,             E::kubectl_failed,   always,                       SM_FN(remove_and_create_later),    S::deleting},
    {S::launching,             E::start,            always,                       SM_FN(take_request),               S::launching},
    {S::launching,             E::deadline,         always,                       SM_FN(cancel_create),              S::cancelling},
    {S::launching,             E::stop,             always,                       SM_FN(cancel_to_stop),             S::cancelling},
    {S::launching,             E::shut_down,        always,                       SM_FN(close_down),                 S::closing},

    {S::awaiting_create_retry, E::deadline,         always,                       SM_FN(create_pod),                 S::launching},
    {S::awaiting_create_retry, E::pod_changed,      SM_FN(is_seen),               SM_FN(note_created),               S::awaiting_ready},
    {S::awaiting_create_retry, E::pod_changed,      always,                       nothing,                           S::awaiting_create_retry},
    {S::awaiting_create_retry, E::start,            always,                       SM_FN(take_request),               S::awaiting_create_retry},
    {S::awaiting_create_retry, E::stop,             always,                       SM_FN(remove_to_stop),             S::deleting},
    {S::awaiting_create_retry, E::shut_down,        always,                       SM_FN(close_down),                 S::closing},

    {S::cancelling,            E::kubectl_ok,       always,                       SM_FN(remove_pod),                 S::deleting},
    {S::cancelling,            E::kubectl_failed,   always,                       SM_FN(remove_pod),                 S::deleting},
    {S::cancelling,            E::start,            always,                       SM_FN(take_request),               S::cancelling},
    {S::cancelling,            E::deadline,         always,                       SM_FN(end_call),                   S::cancelling},
    {S::cancelling,            E::stop,             always,                       SM_FN(note_stop),                  S::cancelling},
    {S::cancelling,            E::shut_down,        always,                       SM_FN(close_down),                 S::closing},

    {S::awaiting_ready,        E::pod_changed,      SM_FN(is_behind_a_port),      SM_FN(knock_first),                S::awaiting_port},
    {S::awaiting_ready,        E::pod_changed,      SM_FN(is_ready),              SM_FN(begin_serving),              S::serving},
    {S::awaiting_ready,        E::pod_changed,      SM_FN(is_gone),               SM_FN(note_gone),                  S::awaiting_relaunch},
    {S::awaiting_ready,        E::pod_changed,      SM_FN(has_ended_unasked),     SM_FN(remove_to_run),              S::deleting},
    {S::awaiting_ready,        E::pod_changed,      SM_FN(is_hopeless_with_logs), SM_FN(fetch_logs_of_hopeless),     S::fetching_logs},
    {S::awaiting_ready,        E::pod_changed,      SM_FN(is_hopeless_and_asked), SM_FN(remove_hopeless),            S::deleting},
    {S::awaiting_ready,        E::pod_changed,      SM_FN(is_asked_and_blind),    SM_FN(remove_unseen),              S::deleting},
    {S::awaiting_ready,        E::pod_changed,      SM_FN(lacks_port),            SM_FN(expose),                     S::exposing},
    {S::awaiting_ready,        E::pod_changed,      always,                       SM_FN(note_status),                S::awaiting_ready},
    {S::awaiting_ready,        E::start,            always,                       SM_FN(take_request),               S::awaiting_ready},
    {S::awaiting_ready,        E::deadline,         SM_FN(is_asked_with_logs),    SM_FN(fetch_logs_of_late),         S::fetching_logs},
    {S::awaiting_ready,        E::deadline,         SM_FN(is_asked),              SM_FN(remove_late),                S::deleting},
    {S::awaiting_ready,        E::deadline,         always,                       SM_FN(wait_longer),                S::awaiting_ready},
    {S::awaiting_ready,        E::stop,             always,                       SM_FN(remove_to_stop),             S::deleting},
    {S::awaiting_ready,        E::shut_down,        always,                       SM_FN(close_down),                 S::closing},

    {S::exposing,              E::kubectl_ok,       always,                       SM_FN(note_port),                  S::awaiting_ready},
    {S::exposing,              E::kubectl_failed,   SM_FN(is_exposed_already),    SM_FN(read_port),                  S::reading_port},
    {S::exposing,              E::kubectl_failed,   SM_FN(cannot_be_exposed),     SM_FN(remove_unexposed),           S::deleting},
    {S::exposing,              E::kubectl_failed,   always,                       SM_FN(wait_to_expose),             S::awaiting_expose_retry},
    {S::exposing,              E::start,            always,                       SM_FN(take_request),               S::exposing},
    {S::exposing,              E::deadline,         SM_FN(is_asked),              SM_FN(cancel_exposing),            S::cancelling},
    {S::exposing,              E::deadline,         always,                       SM_FN(end_call),                   S::exposing},
    {S::exposing,              E::stop,             always,                       SM_FN(cancel_to_stop),             S::cancelling},
    {S::exposing,              E::shut_down,        always,                       SM_FN(close_down),                 S::closing},

    {S::reading_port,          E::kubectl_ok,       always,                       SM_FN(note_port),                  S::awaiting_ready},
    {S::reading_port,          E::kubectl_failed,   SM_FN(cannot_be_exposed),     SM_FN(remove_unexposed),           S::deleting},
    {S::reading_port,          E::kubectl_failed,   always,                       SM_FN(wait_to_expose),             S::awaiting_expose_retry},
    {S::reading_port,          E::start,            always,                       SM_FN(take_request),               S::reading_port},
    {S::reading_port,          E::deadline,         SM_FN(is_asked),              SM_FN(cancel_exposing),            S::cancelling},
    {S::reading_port,          E::deadline,         always,                       SM_FN(end_call),                   S::reading_port},
    {S::reading_port,          E::stop,             always,                       SM_FN(cancel_to_stop),             S::cancelling},
    {S::reading_port,          E::shut_down,        always,                       SM_FN(close_down),                 S::closing},

    {S::awaiting_expose_retry, E::deadline,         always,                       SM_FN(await_ready_again),          S::awaiting_ready},
    {S::awaiting_expose_retry, E::pod_changed,      SM_FN(can_be_exposed),        nothing,                           S::awaiting_expose_retry},
    {S::awaiting_expose_retry, E::pod_changed,      always,                       SM_FN(await_ready_again),          S::awaiting_ready},
    {S::awaiting_expose_retry, E::start,            always,                       SM_FN(take_request),               S::awaiting_expose_retry},
    {S::awaiting_expose_retry, E::stop,             always,                       SM_FN(remove_to_stop),             S::deleting},
    {S::awaiting_expose_retry, E::shut_down,        always,                       SM_FN(close_down),                 S::closing},

    {S::awaiting_port,         E::probe_ok,         always,                       SM_FN(note_port_answers),          S::awaiting_ready},
    {S::awaiting_port,         E::probe_failed,     always,                       SM_FN(wait_to_knock),              S::awaiting_port},
    {S::awaiting_port,         E::deadline,         SM_FN(may_knock),             SM_FN(knock),                      S::awaiting_port},
    {S::awaiting_port,         E::deadline,         always,                       SM_FN(take_port_as_it_is),         S::awaiting_ready},
    {S::awaiting_port,         E::start,            always,                       nothing,                           S::awaiting_port},
    {S::awaiting_port,         E::stop,             always,                       SM_FN(remove_to_stop),             S::deleting},
    {S::awaiting_port,         E::shut_down,        always,                       SM_FN(close_down),                 S::closing},

    {S::fetching_logs,         E::kubectl_ok,       always,                       SM_FN(keep_logs_and_remove),       S::deleting},
    {S::fetching_logs,         E::kubectl_failed,   SM_FN(used_previous_logs),    SM_FN(fetch_present_logs),         S::fetching_logs},
    {S::fetching_logs,         E::kubectl_failed,   always,                       SM_FN(remove_without_logs),        S::deleting},
    {S::fetching_logs,         E::deadline,         always,                       SM_FN(end_call),                   S::fetching_logs},
    {S::fetching_logs,         E::stop,             always,                       SM_FN(cancel_to_stop),             S::fetching_logs},
    {S::fetching_logs,         E::shut_down,        always,                       SM_FN(close_down),                 S::closing},

    {S::serving,               E::pod_changed,      SM_FN(is_gone),               SM_FN(note_gone),                  S::awaiting_relaunch},
    {S::serving,               E::pod_changed,      SM_FN(is_ended),              SM_FN(remove_to_run),              S::deleting},
    {S::serving,               E::pod_changed,      SM_FN(is_down),               SM_FN(pause_serving),              S::awaiting_return},
    {S::serving,               E::pod_changed,      always,                       SM_FN(refresh),                    S::serving},
    {S::serving,               E::refused,          always,                       SM_FN(suspect),                    S::awaiting_return},
    {S::serving,               E::stop,             SM_FN(has_requests),          SM_FN(drain),                      S::draining},
    {S::serving,               E::stop,             always,                       SM_FN(remove_to_stop),             S::deleting},
    {S::serving,               E::shut_down,        always,                       SM_FN(close_down),                 S::closing},

    {S::awaiting_return,       E::pod_changed,      SM_FN(is_gone),               SM_FN(note_gone),                  S::awaiting_relaunch},
    {S::awaiting_return,       E::pod_changed,      SM_FN(is_ended),              SM_FN(remove_to_run),              S::deleting},
    {S::awaiting_return,       E::pod_changed,      SM_FN(is_back),               SM_FN(begin_serving),              S::serving},
    {S::awaiting_return,       E::pod_changed,      always,                       SM_FN(wait_for_return),            S::awaiting_return},
    {S::awaiting_return,       E::deadline,         SM_FN(may_probe),             SM_FN(start_probe),                S::probing},
    {S::awaiting_return,       E::deadline,         always,                       SM_FN(wait_to_probe),              S::awaiting_return},
    {S::awaiting_return,       E::stop,             SM_FN(has_requests),          SM_FN(drain),                      S::draining},
    {S::awaiting_return,       E::stop,             always,                       SM_FN(remove_to_stop),             S::deleting},
    {S::awaiting_return,       E::shut_down,        always,                       SM_FN(close_down),                 S::closing},

    {S::probing,               E::probe_ok,         always,                       SM_FN(resume),                     S::serving},
    {S::probing,               E::probe_failed,     always,                       SM_FN(wait_to_probe),              S::awaiting_return},
    {S::probing,               E::deadline,         always,                       SM_FN(wait_to_probe),              S::awaiting_return},
    {S::probing,               E::stop,             SM_FN(has_requests),          SM_FN(drain),                      S::draining},
    {S::probing,               E::stop,             always,                       SM_FN(remove_to_stop),             S::deleting},
    {S::probing,               E::shut_down,        always,                       SM_FN(close_down),                 S::closing},

    {S::draining,              E::drained,          always,                       SM_FN(remove_to_stop),             S::deleting},
    {S::draining,              E::deadline,         always,                       SM_FN(remove_to_stop),             S::deleting},
    {S::draining,              E::shut_down,        always,                       SM_FN(close_down),                 S::closing},

    {S::deleting,              E::kubectl_ok,       SM_FN(is_to_run),             SM_FN(note_deleted_for_relaunch),  S::awaiting_relaunch},
    {S::deleting,              E::kubectl_ok,       SM_FN(is_to_fail),            SM_FN(note_deleted),               S::failed},
    {S::deleting,              E::kubectl_ok,       always,                       SM_FN(note_deleted),               S::stopped},
    {S::deleting,              E::kubectl_failed,   SM_FN(is_to_run_and_asked),   SM_FN(give_up_replacing),          S::awaiting_delete_retry},
    {S::deleting,              E::kubectl_failed,   always,                       SM_FN(retry_delete_later),         S::awaiting_delete_retry},
    {S::deleting,              E::start,            always,                       SM_FN(take_request),               S::deleting},
    {S::deleting,              E::deadline,         always,                       SM_FN(end_call),                   S::deleting},
    {S::deleting,              E::stop,             always,                       SM_FN(note_stop),                  S::deleting},
    {S::deleting,              E::shut_down,        always,                       SM_FN(close_down),                 S::closing},

    {S::awaiting_delete_retry, E::deadline,         always,                       SM_FN(remove_pod),                 S::deleting},
    {S::awaiting_delete_retry, E::start,            always,                       SM_FN(remove_pod),                 S::deleting},
    {S::awaiting_delete_retry, E::stop,             always,                       SM_FN(remove_to_stop),             S::deleting},
    {S::awaiting_delete_retry, E::shut_down,        always,                       SM_FN(close_down),                 S::closing},

    {S::awaiting_relaunch,     E::deadline,         always,                       SM_FN(launch),                     S::launching},
    {S::awaiting_relaunch,     E::start,            always,                       SM_FN(take_request),               S::awaiting_relaunch},
    {S::awaiting_relaunch,     E::stop,             always,                       SM_FN(settle_stopped),             S::stopped},
    {S::awaiting_relaunch,     E::shut_down,        always,                       SM_FN(close_down),                 S::closing},

    {S::failed,                E::stop,             always,                       SM_FN(settle_stopped),             S::stopped},
    {S::failed,                E::shut_down,        always,                       SM_FN(close_down),                 S::closing},

    {S::closing,               E::kubectl_ok,       always,                       SM_FN(disarm),                     S::closed},
    {S::closing,               E::kubectl_failed,   always,                       SM_FN(disarm),                     S::closed},
    {S::closing,               E::deadline,         SM_FN(a_call_is_open),        SM_FN(close_down),                 S::closing},
    {S::closing,               E::deadline,         always,                       nothing,                           S::closed},
};

static constexpr sm_ignore<etl> ignores[] = {
    //  in                         event              why it is harmless
    {S::awaiting_turn,         E::pod_changed,    "it has no pod yet"},
    {S::launching,             E::pod_changed,    "the pod is looked at when create has ended"},
    {S::cancelling,            E::pod_changed,    "the pod is about to be removed"},
    {S::exposing,              E::pod_changed,    "the pod is looked at when the call has ended"},
    {S::reading_port,          E::pod_changed,    "the pod is looked at when the call has ended"},
    {S::awaiting_port,         E::pod_changed,    "the pod is looked at when the port answers, or long enough does not"},
    {S::fetching_logs,         E::pod_changed,    "the start has failed already"},
    {S::probing,               E::pod_changed,    "the pod is looked at when the probe has ended"},
    {S::draining,              E::pod_changed,    "the pod is about to be removed"},
    {S::deleting,              E::pod_changed,    "the pod is being removed"},
    {S::awaiting_delete_retry, E::pod_changed,    "the next delete will tell"},
    {S::awaiting_relaunch,     E::pod_changed,    "that is the pod before"},
    {S::failed,                E::pod_changed,    "it has no pod any more"},
    {S::closing,               E::pod_changed,    "the node ends"},

    {S::awaiting_list,         E::refused,        "a late report of a pod before"},
    {S::launching,             E::refused,        "a late report of the pod before"},
    {S::awaiting_create_retry, E::refused,        "a late report of the pod before"},
    {S::cancelling,            E::refused,        "a late report of the pod before"},
    {S::awaiting_ready,        E::refused,        "a late report of the pod before"},
    {S::exposing,              E::refused,        "a late report of the pod before"},
    {S::reading_port,          E::refused,        "a late report of the pod before"},
    {S::awaiting_expose_retry, E::refused,        "a late report of the pod before"},
    {S::awaiting_port,         E::refused,        "a late report of the pod before"},
    {S::awaiting_return,       E::refused,        "it is not Ready already"},
    {S::probing,               E::refused,        "our own connect will tell"},
    {S::draining,              E::refused,        "the pod is about to be removed"},
    {S::deleting,              E::refused,        "the pod is being removed"},
    {S::awaiting_delete_retry, E::refused,        "the pod is being removed"},
    {S::awaiting_relaunch,     E::refused,        "a late report of the pod before"},
    {S::closing,               E::refused,        "the node ends"},

    {S::failed,                E::turn,           "it gave up waiting for it"},
    {S::closing,               E::turn,           "the node ends"},

    {S::draining,              E::stop,           "it is stopping already"},
    {S::closing,               E::stop,           "the node ends; the pod is removed by the next document's sweep"},
    {S::closing,               E::shut_down,      "it is closing already"},
};

static bool pod_has_a_name(const etl &m) { return !m.pod_may_exist || !m.pod_name.empty(); }
static bool call_is_counted(const etl &m) { return m.call_open || !kube_call_is_running(m.call); }
static bool asked_has_a_deadline(const etl &m) { return !m.asked || m.start_deadline_ms > 0; }
static bool serving_has_an_address(const etl &m)
{
    return sm_state_of(m) != S::serving || (!m.endpoint.host.empty() && m.endpoint.port != 0 && !m.endpoint.client_host.empty() && m.endpoint.client_port != 0);
}
static bool back_offs_are_bounded(const etl &m)
{
    return m.relaunch_delay_ms <= etl_relaunch_max_ms && m.create_delay_ms <= etl_create_retry_max_ms && m.expose_delay_ms <= etl_expose_retry_max_ms &&
           m.delete_delay_ms <= etl_delete_retry_max_ms && m.probe_delay_ms <= etl_probe_max_ms;
}
static bool failed_has_a_reason(const etl &m) { return sm_state_of(m) != S::failed || !m.failure.empty(); }
static bool texts_are_bounded(const etl &m)
{
    return m.failure.size() <= etl_error_text_max && m.delete_error.size() <= 2 * etl_error_text_max;
}

static constexpr sm_invariant<etl> invariants[] = {
    {"pod_has_a_name", pod_has_a_name},
    {"call_is_counted", call_is_counted},
    {"asked_has_a_deadline", asked_has_a_deadline},
    {"serving_has_an_address", serving_has_an_address},
    {"back_offs_are_bounded", back_offs_are_bounded},
    {"failed_has_a_reason", failed_has_a_reason},
    {"texts_are_bounded", texts_are_bounded},
};

static void note_event(etl &m, E event)
{
    if (event == E::kubectl_ok || event == E::kubectl_failed)
        m.call_open = false;
    if (event == E::probe_ok || event == E::probe_failed)
        m.probe_open = false;
}

// The reason is whole when the removal of the pod has begun: who waits for it need not wait for that.
static bool has_start_failed(const etl &m)
{
    S s = sm_state_of(m);
    return s == S::failed || (m.goal == etl_goal::fail && !m.failure.empty() && (s == S::deleting || s == S::awaiting_delete_retry));
}

static void report_step(etl &m, S from, E event)
{
    // Counted when the reason is whole: whoever waited is told then, and may end the ETL before its pod is gone.
    if (!m.failure_counted && has_start_failed(m)) {
        m.failure_counted = true;
        m.host->health->starts_failed++;
    }
    if (sm_state_of(m) != from)
        LOG(info, "etl", "etl=%s pod=%s from=%s state=%s event=%s", m.definition.id.c_str(), m.pod_name.c_str(), sm_name(from), etl_state_name(m), sm_name(event));
}

static constexpr sm_table<etl> table = {"etl", states, resources, rows, ignores, invariants, E::stop, E::deadline, alive, note_event, report_step};
SM_VERIFY(table);

sm_view etl_machine_view() { return sm_view_of(table); }

// ---- events in

void etl_send(etl &m, E event)
{
    sm_step(table, m, event);
    m.host->on_step(m.host->arg, m);
}

static void alarm_fired(void *arg) { etl_send(*static_cast<etl *>(arg), E::deadline); }

static void call_ended(void *arg)
{
    auto &m = *static_cast<etl *>(arg);
    bool is_for_port = sm_state_of(m) == S::exposing || sm_state_of(m) == S::reading_port;
    uint16_t port = 0;
    if (is_for_port && m.call.ok && !kubectl_parse_port(m.call.out, port)) {
        m.call.ok = false;
        m.call.fault = kubectl_fault::output;
        m.call.failure = "it printed no port: \"" + text_escape(m.call.out, 200) + "\"";
    }
    // What a log call says of itself, what we ended ourselves, and a Service that is there already, says nothing about kubectl.
    bool counts = sm_state_of(m) == S::launching || sm_state_of(m) == S::deleting || (is_for_port && m.call.fault != kubectl_fault::already_exists);
    if (counts)
        kube_health_note(m.call);
    etl_send(m, m.call.ok ? E::kubectl_ok : E::kubectl_failed);
}

static void on_probe(void *arg, error err, net_conn *conn)
{
    auto &m = *static_cast<etl *>(arg);
    m.probe = nullptr;
    if (conn != nullptr)
        net_close(env_of(m), conn);
    etl_send(m, err ? E::probe_failed : E::probe_ok);
}

// ---- interface

static uint64_t grace_of(const cJSON *pod)
{
    const cJSON *grace = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(pod, "spec"), "terminationGracePeriodSeconds");
    if (!cJSON_IsNumber(grace) || grace->valuedouble < 0)
        return pod_delete_grace_default_s;
    return static_cast<uint64_t>(std::clamp(grace->valuedouble, 1.0, 3600.0));
}

// What the spec leaves to this node.
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

std::string etl_pod_shown(const etl &m) { return build_pod(m, pod_url_of(*m.host->options, m.definition, "SECRET")); }

etl *etl_make(const etl_host &host, etl_ref &ref, const etl_definition &definition, uint64_t id)
{
    const etl_registry_options &options = *host.options;
    auto *m = new etl;
    m->sm.id = id;
    m->host = &host;
    m->ref = &ref;
    m->definition = definition;
    m->pod = spec_parse_exactly(definition.pod_json);
    m->definition.pod_json = std::string(); // the tree holds it
    apply_defaults(m->definition, m->pod.get(), options);
    m->target_url = pod_url_of(options, definition, definition.secret);
    m->grace_s = grace_of(m->pod.get());
    etl_pod_context context;
    context.cluster_id = options.cluster_id;
    context.target_id = options.target_id;
    context.etl_id = definition.id;
    context.generation_id = definition.generation_id;
    context.node_name = options.node_name;
    m->pod_name = etl_pod_name(definition.name, etl_pod_suffix(context, definition.name), options.node_name.empty() ? options.target_id : options.node_name);
    m->call.e = host.e;
    m->call.health = host.health;
    m->call.on_end = call_ended;
    m->call.arg = m;
    m->alarm = timer_make(*host.e, alarm_fired, m);
    return m;
}

void etl_free(etl *m)
{
    CHECK(!m->call_open);
    CHECK(!m->probe_open);
    CHECK(!m->sm.stepping);
    timer_free(env_of(*m), m->alarm);
    delete m;
}

const char *etl_state_name(const etl &m) { return sm_name(sm_state_of(m)); }
bool etl_is_final(const etl &m) { return sm_is_final(table, m); }

bool etl_is_stopping(const etl &m)
{
    S s = sm_state_of(m);
    return etl_is_final(m) || s == S::closing || s == S::draining || (m.goal == etl_goal::stop && s != S::failed);
}

bool etl_can_be_joined(const etl &m)
{
    S s = sm_state_of(m);
    return !etl_is_stopping(m) && s != S::failed && (m.goal == etl_goal::run || s == S::awaiting_turn);
}

std::string etl_start_missed_text(const etl &m)
{
    std::string why(etl_view_of(m).last_error);
    return place_text(m) + ": it was Ready before, and is not Ready within wait_timeout " + text_duration(m.definition.wait_timeout_ms) + (why.empty() ? "" : "; " + why);
}

bool etl_start_is_decided(const etl &m, error &out_err, std::string &out_text)
{
    out_text.clear();
    if (etl_is_stopping(m)) {
        out_err = make_error(error_code::canceled, "the ETL was stopped before its pod was Ready");
        out_text = place_text(m) + ": the ETL was stopped before its pod was Ready";
        return true;
    }
    if (m.goal == etl_goal::run && sm_state_of(m) == S::serving) {
        out_err = no_error;
        return true;
    }
    if (!has_start_failed(m))
        return false;
    out_err = make_error(error_code::etl_init_failed);
    out_text = m.failure;
    return true;
}

etl_phase etl_phase_of(const etl &m)
{
    auto phase = static_cast<etl_phase>(sm_state_row(table, m).stage);
    S s = sm_state_of(m);
    bool is_removing = s == S::deleting || s == S::awaiting_delete_retry || s == S::cancelling;
    if (is_removing && m.goal == etl_goal::run)
        phase = etl_phase::starting;
    if (is_removing && m.goal == etl_goal::fail && m.delete_failures > 0)
        phase = etl_phase::failed;
    // An ETL that served once stays in service while its pod is made again.
    if (phase == etl_phase::starting && m.served)
        phase = etl_phase::serving;
    return phase;
}

etl_view etl_view_of(const etl &m)
{
    etl_view view;
    view.definition = &m.definition;
    view.endpoint = &m.endpoint;
    view.phase = etl_phase_of(m);
    view.ready = sm_state_of(m) == S::serving;
    view.pod_name = m.pod_name;
    view.last_error = m.goal == etl_goal::fail || sm_state_of(m) == S::failed ? m.failure : !m.delete_error.empty() ? m.delete_error : m.trouble;
    view.restarts = m.restarts;
    view.warnings = m.warnings;
    view.readiness_changes = m.readiness_changes;
    return view;
}

bool etl_claims_pod(const etl &m, const pod_status &pod)
{
    S s = sm_state_of(m);
    bool is_done = etl_is_final(m) || s == S::failed || s == S::awaiting_turn;
    return !is_done && pod.name == m.pod_name;
}
