// SPDX-License-Identifier: MIT
// control/presence_machine.h: whether one target can be heard.
#pragma once

#include <cstdint>
#include <string>

#include "port/clock.h"
#include "sm/sm.h"
#include "sm/sm_render.h"

namespace etlnode {

struct presence {
    enum class state : uint8_t { unheard, present, silent, left };
    enum class event : uint8_t { heard, deadline, stop };
    sm_core sm;
    env *e = nullptr;
    timer *deadline_timer = nullptr;
    std::string target;    // for the log
    uint64_t heard_ms = 0; // last registration, heartbeat or accepted push
};

// Requires: `m.e` and `m.target` are set.
void presence_begin(presence &m);
void presence_heard(presence &m);
// Ends it: no timer remains. May be called in any state.
void presence_stop(presence &m);

// The proxy heard from it within target_silent_ms.
bool presence_is_here(const presence &m);
// The proxy has heard from it since this process started.
bool presence_was_heard(const presence &m);

sm_view presence_machine_view();

} // namespace etlnode
