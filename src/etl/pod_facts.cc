// SPDX-License-Identifier: MIT
// etl/pod_facts.cc: what a target knows about one pod of an ETL.
//
// Knows    kube, watch_machine (reads the known pods), etl_spec, etl_service.
// Known by pod_machine, launch_machine, node_port_machine, pod_last_words, etl_machine.
#include "etl/pod_facts.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "etl/etl_service.h"
#include "etl/etl_spec.h"
#include "etl/pod_last_words.h"

namespace etlnode {

// ---- the status

const pod_status *pod_facts_named(const pod_facts &pod) { return watch_find(*pod.plan->world->pods, pod.plan->pod_name); }

const pod_status *pod_facts_status(const pod_facts &pod)
{
    const pod_status *status = pod_facts_named(pod);
    return status != nullptr && status->launch == pod.launch_id ? status : nullptr;
}

pod_verdict pod_facts_verdict(const pod_facts &pod)
{
    const pod_status *status = pod_facts_status(pod);
    std::string why;
    return status != nullptr ? pod_status_judge(*status, why) : pod_verdict::starting;
}

std::string pod_facts_describe(const pod_facts &pod)
{
    const pod_status *status = pod_facts_status(pod);
    return status != nullptr ? pod_status_describe(*status) : std::string("its status is not known");
}

bool pod_facts_is_gone(const pod_facts &pod)
{
    return pod_facts_status(pod) == nullptr && (pod.seen || pod.created_stamp < pod.plan->world->pods->listed_from);
}

void pod_plan_log_step(const pod_plan &plan, const char *machine, const char *from, const char *to, const char *event)
{
    LOG(info, "etl", "etl=%s pod=%s machine=%s from=%s state=%s event=%s", plan.definition->id.c_str(), plan.pod_name.c_str(), machine,
        from, to, event);
}

// ---- its addresses

bool pod_plan_wants_node_port(const pod_plan &plan)
{
    const etl_definition &definition = *plan.definition;
    return etl_mode_redirects[static_cast<size_t>(definition.mode)] && definition.hpull_address == client_address::node_port &&
           !plan.world->options->kubectl_is_local;
}

static bool address_of(const pod_facts &pod, const pod_status &status, std::string &out_host, uint16_t &out_port)
{
    if (pod.plan->world->options->kubectl_is_local && !status.local_address.empty())
        return pod_address_parse(status.local_address, out_host, out_port);
    out_host = status.pod_ip;
    out_port = status.container_port;
    return !out_host.empty() && out_port != 0;
}

// The address to which hpull redirects clients. False: it is not known yet.
static bool client_address_of(const pod_facts &pod, const pod_status &status, std::string &out_host, uint16_t &out_port)
{
    if (!pod_plan_wants_node_port(*pod.plan))
        return address_of(pod, status, out_host, out_port);
    const std::string &node_address = pod.plan->world->options->node_address;
    out_host = node_address.empty() ? status.host_ip : node_address;
    out_port = pod.node_port;
    return !out_host.empty() && out_port != 0;
}

bool pod_facts_is_ready(const pod_facts &pod)
{
    std::string host;
    uint16_t port = 0;
    const pod_status *status = pod_facts_status(pod);
    return status != nullptr && pod_facts_verdict(pod) == pod_verdict::ready && address_of(pod, *status, host, port) &&
           client_address_of(pod, *status, host, port);
}

// ---- time

uint64_t pod_facts_remaining_ms(const pod_facts &pod)
{
    uint64_t now = clock_now_ms(env_of(pod));
    return pod.deadline_ms > now ? pod.deadline_ms - now : 0;
}

uint64_t pod_facts_step_ms(const pod_facts &pod)
{
    return pod_facts_is_awaited(pod) ? pod_facts_remaining_ms(pod) : pod.plan->definition->wait_timeout_ms;
}

// ---- the record

void pod_facts_note_trouble(const pod_facts &pod)
{
    std::string why;
    const pod_status *status = pod_facts_status(pod);
    if (status != nullptr && pod_status_judge(*status, why) != pod_verdict::ready)
        pod.record->trouble = pod_text_tail(why, etl_error_text_max / 2);
}

static void note_address(const pod_facts &pod, const pod_status &status)
{
    etl_endpoint &endpoint = pod.record->endpoint;
    (void)address_of(pod, status, endpoint.host, endpoint.port);
    (void)client_address_of(pod, status, endpoint.client_host, endpoint.client_port);
    if (!pod.plan->world->options->kubectl_is_local ||
        !pod_address_parse(status.local_witness, endpoint.witness_host, endpoint.witness_port))
        endpoint.witness_port = 0;
}

static void log_restart(const pod_facts &pod, const pod_status &status)
{
    LOG(warn, "etl", "etl=%s pod=%s exit_code=%lld reason=\"%s\" restarts=%llu msg=\"the container ended and was restarted\"",
        pod.plan->definition->id.c_str(), pod.plan->pod_name.c_str(), static_cast<long long>(status.main.last_exit_code),
        text_escape(status.main.last_reason).c_str(), static_cast<unsigned long long>(pod.record->restarts));
}

void pod_facts_begin_serving(pod_facts &pod)
{
    const pod_status &status = *pod_facts_status(pod);
    pod_record &record = *pod.record;
    note_address(pod, status);
    std::string instance = pod_status_instance(status);
    if (!record.endpoint.instance.empty() && instance != record.endpoint.instance) {
        record.restarts++;
        log_restart(pod, status);
    }
    record.endpoint.instance = instance;
    record.restart_count = status.main.restart_count;
    record.passes_probe = true;
    record.trouble.clear();
    pod.seen = true;
    pod.deadline_ms = 0;
}

void pod_facts_update_serving(const pod_facts &pod)
{
    const pod_status *status = pod_facts_status(pod);
    if (status == nullptr)
        return;
    pod_record &record = *pod.record;
    note_address(pod, *status);
    std::string instance = pod_status_instance(*status);
    if (instance != record.endpoint.instance) {
        record.restarts += status->main.restart_count > record.restart_count ? status->main.restart_count - record.restart_count : 1;
        record.restart_count = status->main.restart_count;
        record.endpoint.instance = instance;
        log_restart(pod, *status);
    }
    if (status->ready != record.passes_probe) {
        record.passes_probe = status->ready;
        record.readiness_changes++;
        LOG(info, "etl", "etl=%s pod=%s ready=%s msg=\"the pod's readiness changed; it keeps receiving requests\"",
            pod.plan->definition->id.c_str(), pod.plan->pod_name.c_str(), status->ready ? "true" : "false");
    }
}

// ---- what to create

static etl_pod_context context_of(const pod_plan &plan, std::string_view launch_id, const std::string &target_url)
{
    const etl_registry_options &options = *plan.world->options;
    const etl_definition &definition = *plan.definition;
    etl_pod_context context = {options.cluster_id, options.target_id, definition.id, definition.generation_id, options.node_name,
        target_url, "", std::string(launch_id), options.owner_name, options.owner_uid, options.security, pod_plan_wants_node_port(plan)};
    context.suffix = etl_pod_suffix(context, definition.name);
    return context;
}

std::string pod_plan_build(const pod_plan &plan, std::string_view launch_id, const std::string &target_url)
{
    return etl_pod_build(plan.users_pod, plan.definition->name, context_of(plan, launch_id, target_url));
}

std::string pod_facts_build_service(const pod_facts &pod)
{
    const pod_plan &plan = *pod.plan;
    const pod_status &status = *pod_facts_status(pod);
    return etl_service_build(
        plan.definition->name, context_of(plan, pod.launch_id, plan.target_url), {status.name, status.uid, status.container_port});
}

std::string pod_facts_service_name(const pod_facts &pod) { return etl_service_name(pod.plan->definition->name, pod.launch_id); }

} // namespace etlnode
