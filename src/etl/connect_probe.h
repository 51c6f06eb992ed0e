// SPDX-License-Identifier: MIT
// etl/connect_probe.h: one connect at a time that only asks whether anybody answers; the connection is closed at once.
#pragma once

#include <cstdint>
#include <string>

#include "port/net.h"

namespace etlnode {

// Owned by a machine. After an accepted start on_end comes once; after a refused one, and after a cancel, never.
struct connect_probe {
    env *e = nullptr;
    void (*on_end)(void *arg, bool answered) = nullptr;
    void *arg = nullptr;

    net_connect_call *call = nullptr;
    bool open = false; // started, and its end has not been handled: see connect_probe_close
};

// False: the connect failed at once.
bool connect_probe_start(connect_probe &probe, const std::string &host, uint16_t port);
void connect_probe_cancel(connect_probe &probe);
// Its end has been handled.
inline void connect_probe_close(connect_probe &probe) { probe.open = false; }

} // namespace etlnode
