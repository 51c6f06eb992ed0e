// SPDX-License-Identifier: MIT
// kubectl_local/supervisor.h: the process that keeps one pod running.
#pragma once

#include "kubectl_local/state.h"

namespace etlnode::kubectl_local {

// Takes the pod's record lock, and returns when the pod has ended or was removed. Returns immediately if another supervisor holds the lock.
// The result is the exit code.
int supervisor_main(const local_state &state, const pod_key &key);

} // namespace etlnode::kubectl_local
