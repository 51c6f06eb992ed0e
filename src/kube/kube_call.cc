// SPDX-License-Identifier: MIT
// kube/kube_call.cc: one kubectl child at a time.
//
// Owns     the child.                Knows  port, kube.      Known by  watch_machine; in etl: the registry and the pods' machines.
// Limits   those of its proc_options.
#include "kube/kube_call.h"

#include "base/check.h"
#include "base/limits.h"
#include "port/clock.h"

namespace etlnode {

void kube_health_note_failure(kube_health &health, kubectl_fault fault, const std::string &failure)
{
    health.kubectl_ok = false;
    health.kubectl_error = failure.substr(0, kib);
    health.kubectl_failures++;
    health.failures_by_kind[static_cast<size_t>(fault)]++;
}

void kube_health_note(const kube_call &call)
{
    if (!call.ok) {
        kube_health_note_failure(*call.health, call.fault, call.failure);
        return;
    }
    call.health->kubectl_ok = true;
    call.health->kubectl_error.clear();
    call.health->has_succeeded = true;
    call.health->succeeded_ms = clock_now_ms(*call.e);
}

// Keeps the warnings that kubectl relays from the API server, and kubectl-local's about features that it lacks.
static void keep_warnings(kube_call &call, std::string_view text)
{
    constexpr std::string_view prefix = "Warning: ";
    while (!text.empty() && call.warnings.size() < warnings_max) {
        size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
        if (line.ends_with('\r'))
            line.remove_suffix(1);
        if (line.starts_with(prefix) && line.size() > prefix.size())
            call.warnings.emplace_back(line.substr(prefix.size(), warning_size_max));
    }
}

static void child_ended(void *arg, const proc_result &result)
{
    auto &call = *static_cast<kube_call *>(arg);
    call.child = nullptr;
    call.fault = kubectl_fault_of(result);
    if (call.fault == kubectl_fault::output && call.verb == kubectl_verb::logs)
        call.fault = kubectl_fault::none; // log lines that reached their limit are still good
    call.ok = call.fault == kubectl_fault::none;
    call.out = result.out;
    if (call.ok)
        keep_warnings(call, result.err_text);
    if (!call.ok) {
        call.failure = kubectl_failure_text(result, call.deadline_ms);
        call.missing_right = kubectl_missing_right(result.err_text, call.verb == kubectl_verb::watch);
        if (!call.missing_right.empty())
            call.failure = call.missing_right + ": " + call.failure;
    }
    call.on_end(call.arg);
}

bool kube_call_start(kube_call &call, kubectl_verb verb, proc_options options)
{
    CHECK(call.child == nullptr);
    call.open = true;
    call.ok = false;
    call.refused = false;
    call.out.clear();
    call.warnings.clear();
    call.verb = verb;
    call.fault = kubectl_fault::none;
    call.missing_right.clear();
    call.failure.clear();
    call.deadline_ms = options.deadline_ms;
    options.on_exit = child_ended;
    options.arg = &call;
    call.health->kubectl_calls++;
    call.health->calls_by_verb[static_cast<size_t>(verb)]++;
    kubectl_program program = {options.argv.front()};
    error err = proc_spawn(*call.e, std::move(options), &call.child);
    if (!err)
        return true;
    call.child = nullptr;
    call.refused = true;
    call.failure = kubectl_refusal_text(program, err);
    call.fault = kubectl_fault::not_started;
    kube_health_note(call);
    return false;
}

void kube_call_terminate(kube_call &call)
{
    if (call.child != nullptr)
        proc_terminate(*call.e, call.child);
}

} // namespace etlnode
