// SPDX-License-Identifier: MIT
// test/sim/sim_losses.h: targets that are given up with what they hold, and that come back, or get another disk.
#pragma once

#include <string>

#include "sim_cluster.h"
#include "sim_load.h"

namespace etlnode {

enum class sim_loss_kind : uint8_t {
    down,     // it is off, and later it is back
    paused,   // it stands still while it is given up, and then goes on
    replaced, // it gets an empty disk under its id; the old one never comes back
};

struct sim_losses;

sim_losses *sim_losses_make(sim_cluster &c, sim_load &l, rng &random);
void sim_losses_free(sim_losses *s);
// The target is silent from now on, and is given up as soon as the proxy allows it.
void sim_losses_begin(sim_losses &s, sim_node &node, sim_loss_kind kind);
// Every target is back, or has its new disk; for good ones that were replaced the old disk is given up for ever.
bool sim_losses_are_over(const sim_losses &s);

} // namespace etlnode
