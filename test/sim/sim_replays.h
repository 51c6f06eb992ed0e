// SPDX-License-Identifier: MIT
// test/sim/sim_replays.h: calls between targets that arrive a second time, at once or much later, as those of a giver that heard no answer.
#pragma once

#include "sim_cluster.h"

namespace etlnode {

struct sim_replays;

// `from`: the host that sends them again.
sim_replays *sim_replays_make(sim_cluster &c, sim_host &from, rng &random);
void sim_replays_free(sim_replays *r);

} // namespace etlnode
