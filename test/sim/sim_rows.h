// SPDX-License-Identifier: MIT
// test/sim/sim_rows.h: watches the rows of every disk, and judges each change at the moment at which it takes effect.
//
// What clients see is judged elsewhere. Here is what must hold between targets: versions only grow; copies are of something that was
// written; what is removed because another target has it is there; who decides about an object asked nobody who may still decide himself.
#pragma once

#include <map>
#include <string>

#include "sim_cluster.h"

namespace etlnode {

struct sim_rows;

// Of the cluster's bucket "b", which is never destroyed.
sim_rows *sim_rows_make(sim_cluster &c);
void sim_rows_free(sim_rows *r);
// Every change of this host's index is judged from now on.
void sim_rows_watch(sim_host &host);
// Call often: epochs never go back, also over restarts.
void sim_rows_look(sim_cluster &c);
// The highest version of an object on this disk, tombstones included; 0: none.
uint64_t sim_rows_version(const memory_image &disk, const std::string &bucket, const std::string &name);
// Nothing moves and every disk is here: each object lies where it belongs, once, and nothing else is left.
void sim_rows_audit(sim_cluster &c);

} // namespace etlnode
