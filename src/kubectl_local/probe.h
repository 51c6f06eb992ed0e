// SPDX-License-Identifier: MIT
// kubectl_local/probe.h: a single attempt of a tcpSocket or httpGet probe, without blocking.
#pragma once

#include <string>
#include <string_view>

#include <netinet/in.h>

#include "kubectl_local/loop.h"
#include "kubectl_local/pod.h"
#include "kubectl_local/pod_namespaces.h"

namespace etlnode::kubectl_local {

struct probe_try {
    loop *l = nullptr;
    void (*on_result)(void *arg, bool good, const std::string &why) = nullptr;
    void *arg = nullptr;
    loop_watch watch;
    loop_timer deadline;
    int fd = -1;
    bool connecting = false;
    bool is_http = false;
    std::string request;
    size_t sent = 0;
    std::string answer;
    std::string target; // for messages
};

// The request path of a probe as a kubelet builds it: escaped where HTTP requires it, without a fragment, with a leading slash.
std::string probe_path(std::string_view path);

// Requires: no attempt is running; l and on_result are set. `inside` null: probe from the host. Calls back before it returns only if the
// attempt fails immediately.
void probe_start(probe_try &probe, const probe_spec &spec, pod_namespaces *inside, const struct sockaddr_in &address);
bool probe_is_running(const probe_try &probe);
// Cancels the attempt: no result will follow.
void probe_stop(probe_try &probe);

} // namespace etlnode::kubectl_local
