// SPDX-License-Identifier: MIT
// test/sim/sim_contract_world.h: the simulator's world for the contract cases (test/contract/contract_world.h). What the cases ask of
// libuv, they also ask of the simulated network. Otherwise the simulator could prove things about a network that does not exist.
#pragma once

#include "node_test.h"

#include "base/limits.h"
#include "sim.h"

namespace etlnode {

struct contract_world {
    env *e = nullptr;
    std::string dir = "/data";
    sim_world *sim = nullptr;
    sim_host *host = nullptr;
};

inline contract_world *world = nullptr; // of the current case
inline bool world_copying = false;      // makes no difference here

inline void world_settle() { sim_settle(world->host); }

// Ends the env. Anything that a case left open counts as its failure (checked by sim_host_free).
inline void world_end()
{
    (void)sim_step(*world->sim, world->sim->now_us);
    while (!world->sim->links.empty() && sim_step(*world->sim, world->sim->now_us + 1'000'000)) {
    }
    sim_host_free(world->host);
    while (!world->sim->links.empty() && sim_step(*world->sim, world->sim->now_us + 1'000'000)) {
    }
    sim_free(world->sim);
}

inline int world_setup(void **)
{
    world = new contract_world;
    world->sim = sim_make(11);
    world->host = sim_host_make(*world->sim, sim_host_kind::client, "contract", "127.0.0.1", memory_empty());
    world->e = &world->host->e;
    return 0;
}

// The index is that of the memory world, which each host has.
inline int world_setup_index(void **state) { return world_setup(state); }

inline int world_teardown(void **)
{
    world_end();
    delete world;
    world = nullptr;
    return 0;
}

// Runs what is due now, without waiting.
inline void world_poll()
{
    world_settle();
    while (sim_step(*world->sim, world->sim->now_us + 1'000)) {
    }
}

// Runs the world until `is_true()`; false if that takes longer than `timeout_ms` of its time.
template <class Condition> bool world_until(Condition is_true, uint64_t timeout_ms = 20'000)
{
    world_settle();
    uint64_t until = world->sim->now_us + timeout_ms * 1'000;
    while (!is_true()) {
        if (!sim_step(*world->sim, until))
            return is_true();
    }
    return true;
}

// Lets `ms` pass.
inline void world_pass(uint64_t ms)
{
    (void)world_until([] { return false; }, ms);
}

} // namespace etlnode
