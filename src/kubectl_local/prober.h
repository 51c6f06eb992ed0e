// SPDX-License-Identifier: MIT
// kubectl_local/prober.h: repeats the attempts of a startup, readiness or liveness probe during one container run.
//
// Unlike a kubelet, a probe that waits for its first success tries immediately, then every 10 to 100 ms, but never less often than its
// period. So Ready follows within milliseconds after the server listens. After the first success the period and the thresholds apply.
#pragma once

#include <string>

#include "kubectl_local/probe.h"

namespace etlnode::kubectl_local {

enum class probe_role : uint8_t { startup, readiness, liveness };

struct prober {
    loop *l = nullptr;
    // The verdict has changed: startup succeeded or finally failed, readiness changed, or liveness finally failed.
    void (*on_change)(void *arg, prober &which) = nullptr;
    void *arg = nullptr;

    probe_role role = probe_role::readiness;
    const probe_spec *spec = nullptr; // Lifetime: while it runs
    pod_namespaces *inside = nullptr;
    struct sockaddr_in address = {};
    probe_try once;
    loop_timer next;
    bool running = false;
    bool good = false; // the verdict
    uint64_t begun_ms = 0;
    uint32_t successes = 0;
    uint32_t failures = 0;
    std::string why; // reason of the latest failure
};

// Requires: l, on_change, arg, role, spec, inside and address are set.
void prober_start(prober &p);
void prober_stop(prober &p);

} // namespace etlnode::kubectl_local
