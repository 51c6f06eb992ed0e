// SPDX-License-Identifier: MIT
// test/contract/contract_world.h: the world of the contract cases. The cases know only env, world_until and the data directory, so another
// implementation of the ports needs only its own version of the functions below.
#pragma once

#ifdef CONTRACT_SIMULATED
#include "sim_contract_world.h"
#else

#include "node_test.h"

#include <cstdlib>
#include <ftw.h>
#include <unistd.h>

#include "base/limits.h"
#include "port/clock.h"
#include "port/env.h"
#include "uv/uv_env.h"

namespace etlnode {

struct contract_world {
    env *e = nullptr;
    std::string dir; // scratch, removed at the end
};

inline contract_world *world = nullptr; // of the current case

inline bool world_copying = false; // network cases run with kernel-side copies, and again without them

inline uv_env_options world_options(bool with_index)
{
    uv_env_options options;
    options.data_dir = with_index ? world->dir + "/data" : "";
    options.seed = 11;
    options.copying = world_copying;
    return options;
}

inline void world_begin(bool with_index)
{
    std::string detail;
    error err = uv_env_make(world_options(with_index), &world->e, detail);
    if (err)
        print_error("%s\n", detail.c_str());
    test_ok(err);
}

// Ends the env. Anything that a case left open counts as its failure.
inline void world_end(bool is_clean = true)
{
    if (world->e == nullptr)
        return;
    uv_env_census left = uv_env_counts(*world->e);
    test_ok(uv_env_free(world->e));
    world->e = nullptr;
    if (is_clean) {
        test_eq(left.conns, 0u);
        test_eq(left.listeners, 0u);
        test_eq(left.connects, 0u);
        test_eq(left.timers, 0u);
        test_eq(left.procs, 0u);
        test_eq(left.files, 0u);
        test_eq(left.relays, 0u);
    }
}

inline void world_dir_make()
{
    char path[] = "/tmp/etlnode-contract-XXXXXX";
    test_true(mkdtemp(path) != nullptr);
    world = new contract_world;
    world->dir = path;
}

inline void world_dir_remove()
{
    (void)nftw(
        world->dir.c_str(), [](const char *path, const struct stat *, int, struct FTW *) { return ::remove(path); }, 16,
        FTW_DEPTH | FTW_PHYS);
    delete world;
    world = nullptr;
}

inline int world_setup(void **)
{
    world_dir_make();
    world_begin(false);
    return 0;
}

inline int world_setup_index(void **)
{
    world_dir_make();
    world_begin(true);
    return 0;
}

inline int world_teardown(void **)
{
    world_end();
    world_dir_remove();
    return 0;
}

// Runs the world until `is_true()`; false if that takes longer than `timeout_ms` of its time.
template <class Condition> bool world_until(Condition is_true, uint64_t timeout_ms = 20'000)
{
    uv_env_poll(*world->e, 0);
    uint64_t until = clock_now_ms(*world->e) + timeout_ms;
    while (!is_true()) {
        uint64_t now = clock_now_ms(*world->e);
        if (now >= until)
            return false;
        uv_env_poll(*world->e, until - now);
    }
    return true;
}

// Lets `ms` pass.
inline void world_pass(uint64_t ms)
{
    (void)world_until([] { return false; }, ms);
}

// Runs what is due now, without waiting.
inline void world_poll() { uv_env_poll(*world->e, 0); }

} // namespace etlnode

#endif
