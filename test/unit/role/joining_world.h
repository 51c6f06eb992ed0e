// SPDX-License-Identifier: MIT
// test/unit/role/joining_world.h: placements of moving_world.h in which the target under test joins, or sees another join.
#pragma once

#include "moving_world.h"

namespace etlnode {

// target-02 had everything; target-01, under test, joins in epoch 2.
inline const std::vector<moving_ids> joining = {{"target-02"}, {"target-01", "target-02"}};
// ... and in this one in epoch 3, after target-03.
inline const std::vector<moving_ids> twice = {{"target-02"}, {"target-02", "target-03"}, {"target-01", "target-02", "target-03"}};

// Names of objects that come to this target with the join, and of those that stay elsewhere.
inline std::string coming(size_t nth = 0) { return moving_name(joining, {"target-02", "target-01"}, nth); }
inline std::string staying() { return moving_name(joining, {"target-02", "target-02"}); }

inline int set_up_joined(void **state)
{
    role_set_up_member(state);
    moving_begin(role_of(state), joining.front());
    moving_join(role_of(state), {"target-01"});
    return 0;
}

inline int set_up_twice(void **state)
{
    role_set_up_member(state);
    moving_begin(role_of(state), twice.front());
    moving_join(role_of(state), {"target-03"});
    moving_join(role_of(state), {"target-01"});
    return 0;
}

// target-01 has everything, and target-02 joins only with the test.
inline int set_up_growing(void **state)
{
    role_set_up_member(state);
    moving_begin(role_of(state), growing.front());
    role_script(peer_of(role_of(state), "target-02"), {.match = "PUT /v1/node/move", .status = 503}); // nothing leaves
    return 0;
}

} // namespace etlnode
