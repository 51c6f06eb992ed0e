// SPDX-License-Identifier: MIT
// etl/connect_probe.h: one connect at a time that only finds out whether a server answers. The connection is closed at once.
#pragma once

#include <cstdint>
#include <string>

#include "port/net.h"

namespace etlnode {

// Owned by a machine. An accepted start is followed by exactly one on_end; a refused or cancelled one by none.
struct connect_probe {
    env *e = nullptr;
    void (*on_end)(void *arg, bool answered) = nullptr;
    void *arg = nullptr;

    net_connect_call *call = nullptr;
    bool open = false; // started, and its end has not been handled: see connect_probe_close
};

// False if the connect failed at once.
bool connect_probe_start(connect_probe &probe, const std::string &host, uint16_t port);
void connect_probe_cancel(connect_probe &probe);
// Marks its end as handled.
inline void connect_probe_close(connect_probe &probe) { probe.open = false; }

} // namespace etlnode
