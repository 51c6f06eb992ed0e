// SPDX-License-Identifier: MIT
// test/sim/sim_moves.h: targets come and go while clients work: what an operator does, and what happens to nodes meanwhile.
#pragma once

#include "sim_cluster.h"
#include "sim_load.h"

namespace etlnode {

struct sim_moves;

sim_moves *sim_moves_make(sim_cluster &c, sim_load &l);
void sim_moves_free(sim_moves *m);
// Draws which faults this run has. Returns how long it must be for them: `length_us` or longer.
uint64_t sim_moves_length(sim_moves &m, uint64_t length_us);
// Draws what happens from now to `until_us`, in its own sequence, so that the other faults keep their course.
void sim_moves_plan(sim_moves &m, uint64_t until_us);
// Everything is healed. Some targets that are out are activated. False: objects still move long after that (reported).
bool sim_moves_settle(sim_moves &m, uint64_t limit_us);

} // namespace etlnode
