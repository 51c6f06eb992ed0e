// SPDX-License-Identifier: MIT
// kubectl_local/prober.h: the series of tries that makes a startup, readiness or liveness probe of one container run.
//
// Unlike a kubelet, a probe that waits for its first success tries at once and then every 10 to 100 ms, never more seldom than its
// period: Ready comes milliseconds after the server listens. From then on the period counts, and the thresholds.
#pragma once

#include <string>

#include "kubectl_local/probe.h"

namespace etlnode::kubectl_local {

enum class probe_role : uint8_t { startup, readiness, liveness };

struct prober {
    loop *l = nullptr;
    // The verdict has changed: startup succeeded or failed for good, readiness came or went, liveness failed for good.
    void (*on_change)(void *arg, prober &which) = nullptr;
    void *arg = nullptr;

    probe_role role = probe_role::readiness;
    const probe_spec *spec = nullptr; // Lifetime: while it runs
    netbox *inside = nullptr;
    struct sockaddr_in address = {};
    probe_try once;
    loop_timer next;
    bool running = false;
    bool good = false; // the verdict
    uint64_t begun_ms = 0;
    uint32_t successes = 0;
    uint32_t failures = 0;
    std::string why; // of the latest failure
};

// Requires: l, on_change, arg, role, spec, inside, address are set.
void prober_start(prober &p);
void prober_stop(prober &p);

} // namespace etlnode::kubectl_local
