// SPDX-License-Identifier: MIT
// etl/kube_call.cc: one kubectl child at a time.
//
// Owns     the child.                Knows  port, kube.      Known by  etl_machine, watch_machine, etl_registry.
// Limits   those of the proc_options it is given.
#include "etl/kube_call.h"

#include "base/check.h"
#include "base/limits.h"
#include "kube/kubectl.h"

void kube_health_note(etl_registry_health &health, bool ok, const std::string &failure)
{
    health.kubectl_ok = ok;
    health.kubectl_error = ok ? std::string() : failure.substr(0, kib);
    health.kubectl_failures += ok ? 0 : 1;
}

static void child_ended(void *arg, const proc_result &result)
{
    auto &call = *static_cast<kube_call *>(arg);
    call.child = nullptr;
    bool is_cut = result.truncated && call.may_be_cut;
    call.ok = is_cut || (!result.err && !result.deadline_passed && !result.truncated && result.signal == 0 && result.exit_code == 0);
    call.out = result.out;
    call.error_words = result.err_text;
    call.failure = call.ok ? std::string() : kubectl_failure_text(result, call.deadline_ms);
    call.on_end(call.arg);
}

bool kube_call_start(kube_call &call, proc_options options)
{
    CHECK(call.child == nullptr);
    call.ok = false;
    call.refused = false;
    call.out.clear();
    call.error_words.clear();
    call.failure.clear();
    call.deadline_ms = options.deadline_ms;
    options.on_exit = child_ended;
    options.arg = &call;
    call.health->kubectl_calls++;
    kubectl_program program = {options.argv.front()};
    error err = proc_spawn(*call.e, std::move(options), &call.child);
    if (!err)
        return true;
    call.child = nullptr;
    call.refused = true;
    call.failure = kubectl_refusal_text(program, err);
    kube_health_note(*call.health, false, call.failure);
    return false;
}

void kube_call_terminate(kube_call &call)
{
    if (call.child != nullptr)
        proc_terminate(*call.e, call.child);
}
