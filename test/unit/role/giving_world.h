// SPDX-License-Identifier: MIT
// test/unit/role/giving_world.h: the target of moving_world.h has everything, and gives what belongs to others. For the tests of
// rebalance.cc and giving.cc.
#pragma once

#include "moving_world.h"

namespace etlnode {

// As `growing`, and then target-03 joins, or both at once.
inline const std::vector<moving_ids> further = {{"target-01"}, {"target-01", "target-02"}, {"target-01", "target-02", "target-03"}};
inline const std::vector<moving_ids> both = {{"target-01"}, {"target-01", "target-02", "target-03"}};

inline constexpr const char *move = "PUT /v1/node/move?";
inline constexpr const char *move_end = "POST /v1/node/move-end?";

inline std::string going(size_t nth = 0) { return moving_name(growing, {"target-01", "target-02"}, nth); }
inline std::string staying(size_t nth = 0) { return moving_name(growing, {"target-01", "target-01"}, nth); }

inline int set_up(void **state)
{
    role_set_up_member(state);
    moving_begin(role_of(state), growing.front());
    return 0;
}

inline void put_here(role_world &w, const std::string &name, std::string_view content = "content")
{
    role_check(role_ask(w, moving_object("PUT", name), content), "PUT", 200, "");
}

inline bool is_here(const role_world &w, const std::string &name) { return w.node->now.rows.contains({"b", name}); }

// From now on the peer says this of each object of a batch.
inline void answer_moves(role_world &w, const char *peer, const char *outcome, size_t times = SIZE_MAX)
{
    std::string outcomes;
    for (size_t i = 0; i < 50; i++)
        outcomes += std::string(i > 0 ? ",\"" : "\"") + outcome + "\"";
    role_script(peer_of(w, peer), {.match = move, .body = "{\"outcomes\":[" + outcomes + "],\"serves_clients\":false}", .times = times});
}

inline std::vector<moved_item> items_of(const sim_message &asked)
{
    std::vector<moved_item> items;
    std::string_view rest = asked.body;
    while (!rest.empty())
        test_ok(moved_item_take(rest, items.emplace_back()));
    return items;
}

template <class Condition> bool until(role_world &w, Condition is_true) { return scripted_until(*w.sim, is_true); }
inline size_t count(role_world &w, const char *peer, const char *match) { return scripted_count(peer_of(w, peer), match); }
inline bool await_end(role_world &w, const char *peer = "target-02")
{
    return until(w, [&] { return count(w, peer, move_end) > 0; });
}
inline std::string shares(role_world &w) { return role_ask_as_node(w, "GET /v1/node/jobs").answer.body; }

} // namespace etlnode
