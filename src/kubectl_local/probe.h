// SPDX-License-Identifier: MIT
// kubectl_local/probe.h: one try of a tcpSocket or httpGet probe, at a time, without blocking.
#pragma once

#include <string>
#include <string_view>

#include <netinet/in.h>

#include "kubectl_local/loop.h"
#include "kubectl_local/netbox.h"
#include "kubectl_local/pod.h"

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

// What a probe of this path asks for, as a kubelet reads it: escaped where HTTP needs it, without a fragment, with a slash in front.
std::string probe_path(std::string_view path);

// Requires: no try is under way; l, on_result are set. `inside` null: probe from the host. Calls back before it returns only when
// the try fails at once.
void probe_start(probe_try &probe, const probe_spec &spec, netbox *inside, const struct sockaddr_in &address);
bool probe_is_running(const probe_try &probe);
// No result will come.
void probe_stop(probe_try &probe);

} // namespace etlnode::kubectl_local
