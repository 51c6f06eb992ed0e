// SPDX-License-Identifier: MIT
// kubectl_local/supervisor_probes.cc: startup, readiness and liveness of the pod's container.
#include "kubectl_local/supervisor_state.h"

#include <cerrno>
#include <cstring>

#include <arpa/inet.h>

#include "base/text.h"
#include "kubectl_local/hints.h"
#include "node/api.h"

namespace etlnode::kubectl_local {

static constexpr uint64_t probe_message_ms = 1'000; // how often the reason for not being ready is updated

void supervisor_stop_probes(supervisor &s)
{
    for (prober &p : s.probers)
        prober_stop(p);
    loop_timer_stop(s.probe_message);
}

static const probe_spec &probe_of(const supervisor &s, probe_role role)
{
    const container_spec &container = s.spec.container;
    return role == probe_role::startup ? container.startup : role == probe_role::readiness ? container.readiness : container.liveness;
}

static void start_probe(supervisor &s, probe_role role)
{
    const probe_spec &spec = probe_of(s, role);
    if (spec.kind == probe_kind::none)
        return;
    if (spec.kind == probe_kind::unsupported) {
        if (role == probe_role::readiness)
            s.status.message = "Readiness probe failed: " + spec.why;
        return; // never ready, but not killed for a probe that cannot run
    }
    prober &p = s.probers[static_cast<size_t>(role)];
    p.spec = &spec;
    p.address = {};
    p.address.sin_family = AF_INET;
    bool has_address = s.unsandboxed && !s.spec.host_network;
    p.address.sin_port = htons(static_cast<uint16_t>(has_address ? pod_network_port(s.network, spec.port) : spec.port));
    // Probe only the pod itself. This is a process of the machine and can reach addresses that the pod cannot.
    const std::string &own = has_address ? s.network.pod_ip : s.network.namespaces.veth ? s.network.namespaces.pod_address : "";
    if (inet_pton(AF_INET, own.c_str(), &p.address.sin_addr) != 1)
        p.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    p.inside = has_address || s.network.namespaces.veth || s.spec.host_network ? nullptr : &s.network.namespaces;
    prober_start(p);
}

static void start_probes_after_startup(supervisor &s)
{
    s.status.container.started = true;
    if (s.spec.container.readiness.kind == probe_kind::none)
        s.status.container.ready = true;
    start_probe(s, probe_role::readiness);
    start_probe(s, probe_role::liveness);
}

// The URL for which kubectl-local itself listens in the pod's network namespace.
static std::string_view target_url_of(const supervisor &s)
{
    if (!s.network.target_url.empty())
        return s.network.target_url;
    const cJSON *variable;
    cJSON_ArrayForEach(variable, s.spec.container.env) if (json_text(variable, "name") == env_target_url) return json_text(
        variable, "value");
    return {};
}

// If nobody listens on the port, another listening port may be the intended one.
static std::string readiness_text(const supervisor &s, const std::string &why)
{
    bool is_refused = why.find(strerror(ECONNREFUSED)) != std::string::npos && s.run.bwrap != 0 && !s.spec.host_network &&
                      !s.unsandboxed; // otherwise the ports of other programs are visible too
    std::string hint = is_refused ? hint_of_port(s.run.bwrap, s.spec.container.readiness.port, target_url_of(s)) : "";
    return supervisor_with_hint("Readiness probe failed: " + why, hint);
}

static void on_probe_change(void *arg, prober &which)
{
    supervisor &s = *static_cast<supervisor *>(arg);
    container_status &status = s.status.container;
    switch (which.role) {
    case probe_role::startup:
        prober_stop(which);
        if (which.good)
            start_probes_after_startup(s);
        break;
    case probe_role::readiness:
        status.ready = which.good;
        if (which.good)
            witness_remember(s.port_witness);
        s.status.message = which.good ? "" : readiness_text(s, which.why);
        break;
    case probe_role::liveness: break;
    }
    supervisor_publish(s);
    if (which.good || which.role == probe_role::readiness)
        return;
    s.liveness_failed = true;
    s.status.message = text_format("%s probe failed: %s", which.role == probe_role::startup ? "Startup" : "Liveness", which.why.c_str());
    supervisor_stop_probes(s);
    supervisor_request_end(s, s.spec.grace_s * 1000);
}

// The pod reports why it is not ready, but does not repeat it for every attempt.
static void on_probe_message(void *arg)
{
    supervisor &s = *static_cast<supervisor *>(arg);
    const prober &readiness = s.probers[static_cast<size_t>(probe_role::readiness)];
    if (s.status.container.ready || s.run.bwrap == 0 || s.deleting)
        return;
    if (!readiness.why.empty())
        s.status.message = readiness_text(s, readiness.why);
    supervisor_publish(s);
    loop_timer_arm(s.l, s.probe_message, probe_message_ms);
}

void supervisor_start_probes(supervisor &s)
{
    if (s.spec.container.startup.kind != probe_kind::none)
        start_probe(s, probe_role::startup);
    else
        start_probes_after_startup(s);
    loop_timer_arm(s.l, s.probe_message, probe_message_ms);
}

void supervisor_prepare_probes(supervisor &s)
{
    for (size_t i = 0; i < 3; i++) {
        s.probers[i].l = &s.l;
        s.probers[i].role = static_cast<probe_role>(i);
        s.probers[i].on_change = on_probe_change;
        s.probers[i].arg = &s;
    }
    s.probe_message.on_timer = on_probe_message;
    s.probe_message.arg = &s;
}

} // namespace etlnode::kubectl_local
