// SPDX-License-Identifier: MIT
// etl/pod_last_words.cc: the text that describes a failed pod to people.
//
// Knows    kube, kube_call, pod_facts.       Known by  the pods' machines, etl_machine.
// Limits   etl_error_text_max, pod_log_lines_shown, pod_log_timeout_ms.
#include "etl/pod_last_words.h"

#include "base/limits.h"
#include "base/text.h"

namespace etlnode {

std::string pod_text_tail(std::string_view text, size_t size_max)
{
    if (text.size() <= size_max)
        return std::string(text);
    text.remove_prefix(text.size() - size_max);
    size_t line_end = text.find('\n');
    return "..." + std::string(line_end < 200 ? text.substr(line_end) : text); // npos is not less
}

std::string pod_text_context(const pod_plan &plan)
{
    return "target " + plan.world->options->target_id + ", ETL " + plan.definition->id + ", pod " + plan.pod_name;
}

std::string pod_text_failure(const pod_plan &plan, std::string_view step, std::string_view what)
{
    std::string text = pod_text_context(plan) + ": " + std::string(step) + ": " + std::string(what);
    if (text.size() > etl_error_text_max / 2)
        text = text.substr(0, etl_error_text_max / 2) + "...";
    return text;
}

std::string pod_text_call(const kube_call &call, std::string_view command)
{
    return call.refused ? call.failure : std::string(command) + ": " + call.failure;
}

// The container that failed, according to the last status.
static const container_status *failed_container(const pod_facts &pod)
{
    const pod_status *status = pod_facts_status(pod);
    return status != nullptr ? pod_status_failed_container(*status) : nullptr;
}

bool pod_last_words_exist(const pod_facts &pod) { return failed_container(pod) != nullptr; }

bool pod_last_words_are_of_previous_run(const pod_facts &pod, bool keeps_ending)
{
    const container_status *container = failed_container(pod);
    if (container == nullptr || !container->has_last)
        return false;
    return container->state == container_state::waiting || (keeps_ending && container->state == container_state::running);
}

proc_options pod_last_words_call(const pod_facts &pod, bool of_previous_run)
{
    const pod_status *status = pod_facts_status(pod);
    const container_status *container = failed_container(pod);
    bool is_init = container != nullptr && container != &status->main;
    std::string_view name = is_init ? std::string_view(container->name) : std::string_view();
    return kubectl_logs(
        pod.plan->world->options->kubectl, pod.plan->pod_name, name, of_previous_run, pod_log_lines_shown, pod_log_timeout_ms);
}

static void append_lines(std::string &failure, std::string_view text)
{
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r'))
        text.remove_suffix(1);
    std::string lines = pod_text_tail(text, etl_error_text_max - failure.size() - 64);
    for (char &c : lines) {
        if (static_cast<uint8_t>(c) < 0x20 && c != '\n' && c != '\t') // an error text must not control a terminal
            c = '?';
    }
    if (!lines.empty())
        failure += "\nlast log lines of the pod:\n" + lines;
}

void pod_last_words_append(std::string &failure, const kube_call &call)
{
    if (call.ok)
        append_lines(failure, call.out);
    else
        failure += "\nthe pod's log could not be read: " + pod_text_call(call, "kubectl logs").substr(0, kib);
}

} // namespace etlnode
