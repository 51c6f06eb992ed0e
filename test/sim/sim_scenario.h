// SPDX-License-Identifier: MIT
// test/sim/sim_scenario.h: directed scenarios: what random schedules meet too rarely, played on purpose and under many latencies.
//
// Each is written against one rule of the protocol, so that a program without that rule breaks a promise in it (docs/TESTING.md has the
// table). The workload is judged as in random runs; nothing else goes wrong meanwhile.
#pragma once

#include <span>

#include "sim_losses.h"
#include "sim_run.h"

namespace etlnode {

struct sim_stage {
    sim_world *w = nullptr;
    sim_cluster *cluster = nullptr;
    sim_load *load = nullptr;
    sim_losses *losses = nullptr;
};

struct sim_scenario {
    const char *name = nullptr;
    size_t targets = 0; // all of them are placed, and hold objects
    void (*play)(sim_stage &s) = nullptr;
};

// sim_scenarios.cc, sim_scenarios_lost.cc, sim_scenarios_back.cc
extern const std::span<const sim_scenario> sim_moving_scenarios;
extern const std::span<const sim_scenario> sim_lost_scenarios;
extern const std::span<const sim_scenario> sim_back_scenarios;

// The scenario, then healing and the audit. `number` draws the latencies.
sim_result sim_run_scenario(const sim_scenario &scenario, uint64_t number, bool is_verbose);

// --- for scenarios (sim_stage.cc)

inline constexpr uint64_t sim_ms = 1'000;
inline constexpr uint64_t sim_second = 1'000'000;

void sim_stage_pass(sim_stage &s, uint64_t us);
// Waits until `is_so`; if that takes longer than `limit_us`, the scenario has failed, since it does not play what it should.
bool sim_stage_wait(sim_stage &s, const char *what, uint64_t limit_us, bool (*is_so)(sim_stage &s));
sim_node &sim_stage_target(sim_stage &s, size_t number);
// Objects of bucket "b" that this target owns now.
std::vector<sim_object *> sim_stage_owned(sim_stage &s, const sim_node &node);
// An operator's change of the members. It is not waited for.
void sim_stage_ask(sim_stage &s, const char *action, const sim_node &node);
// All targets that run have adopted the epoch in force, and are in one.
bool sim_stage_have_adopted(sim_stage &s);
bool sim_stage_moves(sim_stage &s);
bool sim_stage_is_settled(sim_stage &s);
bool sim_stage_is_idle(sim_stage &s); // no request of a client is open
// The calls of a target to all others.
void sim_stage_hold_calls(sim_stage &s, const sim_node &from, sim_call_half half, uint64_t for_us);
// The calls of all other targets to one.
void sim_stage_hold_calls_to(sim_stage &s, const sim_node &to, sim_call_half half, uint64_t for_us);
// The disk does not execute these operations for a while.
void sim_stage_hold_disk(sim_stage &s, sim_node &node, memory_op op, uint64_t for_us);

} // namespace etlnode
