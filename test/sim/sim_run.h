// SPDX-License-Identifier: MIT
// test/sim/sim_run.h: one run: a cluster, a workload, faults, healing, an audit; all of it from one seed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim.h"

namespace etlnode {

struct sim_result {
    uint64_t seed = 0;
    uint64_t trace_hash = 0;
    uint64_t steps = 0;
    uint64_t virtual_ms = 0;
    uint64_t requests = 0, answers = 0, transformed = 0;
    uint64_t hits[sim_fault_count] = {};
    std::vector<std::string> failures;
};

sim_result sim_run(uint64_t seed, bool is_verbose);

} // namespace etlnode
