// SPDX-License-Identifier: MIT
// kubectl_local/supervisor.h: the process that keeps one pod running.
#pragma once

#include "kubectl_local/state.h"

namespace etlnode::kubectl_local {

// Takes the pod's record lock and does not return before the pod has ended or was removed. At once when another supervisor
// holds the lock. Returns the exit code.
int supervisor_main(const local_state &state, const pod_key &key);

} // namespace etlnode::kubectl_local
