// SPDX-License-Identifier: MIT
// test/sim/sim_scenarios.cc: directed scenarios of objects that move.
#include <algorithm>

#include "role/target/target.h"
#include "sim_http.h"
#include "sim_link.h"
#include "sim_rows.h"
#include "sim_scenario.h"

namespace etlnode {

// Target 3 is drained, and its messages about moves leave it only after a while. Everybody is in the new epoch then.
static std::vector<sim_object *> drain_slowly(sim_stage &s, uint64_t held_us)
{
    sim_node &giver = sim_stage_target(s, 3);
    std::vector<sim_object *> given = sim_stage_owned(s, giver);
    sim_stage_hold_calls(s, giver, sim_call_half::request, held_us);
    sim_stage_ask(s, "start-maintenance", giver);
    sim_stage_wait(s, "objects move", sim_second, sim_stage_moves);
    sim_stage_wait(s, "the epoch is adopted", sim_second, sim_stage_have_adopted);
    return given;
}

// The new owners answer a list before anything has moved, the giver after it has given everything.
static void list_beside_moves(sim_stage &s)
{
    (void)drain_slowly(s, 100 * sim_ms);
    sim_net_hold_pair(*s.w, "proxy", sim_stage_target(s, 3).name, s.w->now_us + 2 * sim_second);
    sim_load_list(*s.load, "b");
    for (size_t size : {3u, 7u})
        sim_load_list_page(*s.load, "b", "", size);
    sim_stage_wait(s, "the lists are answered", 60 * sim_second, sim_stage_is_idle);
}

// A read has found nothing at the new owner. Its question reaches the giver when that has given everything.
static void question_after_the_move(sim_stage &s)
{
    sim_stage_hold_calls_to(s, sim_stage_target(s, 3), sim_call_half::request, 2 * sim_second);
    std::vector<sim_object *> given = drain_slowly(s, 100 * sim_ms);
    sim_net_hold_calls(*s.w, sim_stage_target(s, 1).name, "proxy", sim_call_half::request, s.w->now_us + 4 * sim_second); // no settling
    for (sim_object *o : given)
        sim_load_read(*s.load, *o);
    sim_stage_wait(s, "the reads are answered", 60 * sim_second, sim_stage_is_idle);
}

// The giver hears that its objects were taken when they are its own again, and have been given back.
static void answer_after_a_flip(sim_stage &s)
{
    sim_node &giver = sim_stage_target(s, 3);
    sim_stage_hold_calls(s, giver, sim_call_half::answer, 5 * sim_second);
    (void)drain_slowly(s, 50 * sim_ms);
    sim_stage_pass(s, sim_between(*s.w, 200, 800) * sim_ms);
    sim_stage_ask(s, "stop-maintenance", giver);
    sim_stage_pass(s, 8 * sim_second);
    for (sim_object *o : s.load->objects)
        sim_load_read(*s.load, *o);
    sim_stage_wait(s, "the reads are answered", 60 * sim_second, sim_stage_is_idle);
}

// The index of the new owners is slow when they take objects.
static void slow_taking(sim_stage &s)
{
    (void)drain_slowly(s, 100 * sim_ms);
    for (size_t i : {1u, 2u})
        sim_stage_hold_disk(s, sim_stage_target(s, i), memory_op::index_change, 2 * sim_second);
    sim_stage_pass(s, 3 * sim_second);
}

// Objects are deleted while their copies are under way, and the new owners start again before those arrive.
static void deleted_on_the_way(sim_stage &s)
{
    std::vector<sim_object *> given = drain_slowly(s, 5 * sim_second);
    for (sim_object *o : given)
        sim_load_remove(*s.load, *o);
    sim_load_list(*s.load, "b");
    sim_stage_wait(s, "the deletes are answered", 60 * sim_second, sim_stage_is_idle);
    sim_load_list(*s.load, "b");
    if (sim_chance(*s.w, 500)) {
        for (size_t i : {1u, 2u})
            sim_node_crash(sim_stage_target(s, i), memory_crash::power_cut, 100 * sim_ms);
    }
    sim_stage_pass(s, 8 * sim_second);
    for (sim_object *o : given)
        sim_load_read(*s.load, *o);
    sim_stage_wait(s, "the reads are answered", 60 * sim_second, sim_stage_is_idle);
}

// Objects with several versions are deleted while nothing moves. Their next owners must not begin with a lower one.
static void deleted_before_the_move(sim_stage &s)
{
    std::vector<sim_object *> given = sim_stage_owned(s, sim_stage_target(s, 3));
    for (int i = 0; i < 3; i++) {
        for (sim_object *o : given)
            i < 2 ? sim_load_put(*s.load, *o) : sim_load_remove(*s.load, *o);
        sim_stage_wait(s, "the writes are answered", 60 * sim_second, sim_stage_is_idle);
    }
    (void)drain_slowly(s, sim_below(*s.w, 2) * 200 * sim_ms);
    for (size_t i = 0; i < given.size(); i += 2)
        sim_load_put(*s.load, *given[i]);
    sim_stage_wait(s, "nothing moves", 60 * sim_second, sim_stage_is_settled);
    for (size_t i = 1; i < given.size(); i += 2)
        sim_load_put(*s.load, *given[i]);
    sim_stage_wait(s, "the writes are answered", 60 * sim_second, sim_stage_is_idle);
}

// Overwrites wait for the index of their target when another target becomes the owner, and is read and written.
static void late_commits(sim_stage &s)
{
    sim_node &comes = sim_stage_target(s, 3);
    (void)drain_slowly(s, sim_ms);
    sim_stage_wait(s, "everything was given", 60 * sim_second, sim_stage_is_settled);
    sim_stage_pass(s, sim_second);
    for (size_t i : {1u, 2u})
        sim_stage_hold_disk(s, sim_stage_target(s, i), memory_op::index_change, 3 * sim_second);
    for (sim_object *o : s.load->objects)
        sim_load_put(*s.load, *o);
    sim_stage_pass(s, 300 * sim_ms);
    sim_stage_ask(s, "stop-maintenance", comes);
    sim_stage_wait(s, "objects move", 2 * sim_second, sim_stage_moves);
    for (sim_object *o : sim_stage_owned(s, comes))
        sim_chance(*s.w, 500) ? sim_load_put(*s.load, *o) : sim_load_read(*s.load, *o);
    sim_stage_pass(s, 3 * sim_second);
    sim_stage_wait(s, "all is answered", 60 * sim_second, sim_stage_is_idle);
    for (sim_object *o : s.load->objects)
        sim_load_read(*s.load, *o);
}

// The document of an epoch is not durable yet when the power fails.
static void epoch_in_memory(sim_stage &s)
{
    sim_node &victim = sim_stage_target(s, 1);
    sim_stage_hold_disk(s, victim, memory_op::meta_swap, 10 * sim_second);
    sim_stage_ask(s, "start-maintenance", sim_stage_target(s, 3));
    sim_stage_wait(s, "objects move", sim_second, sim_stage_moves);
    for (sim_object *o : sim_stage_owned(s, victim)) // also those that come
        sim_load_put(*s.load, *o);
    sim_stage_pass(s, sim_between(*s.w, 10, 1'000) * sim_ms);
    sim_node_crash(victim, memory_crash::power_cut, 100 * sim_ms);
    sim_stage_pass(s, 2 * sim_second);
}

// --- messages about moves, sent once more in a later epoch

struct sim_capture {
    sim_stage *stage = nullptr;
    std::map<uint64_t, std::pair<sim_message, std::string>> open; // by connection
    std::vector<std::pair<std::string, std::string>> requests;    // name of the host, bytes
};

static void on_carried(void *arg, sim_link &link, std::string_view bytes)
{
    auto &c = *static_cast<sim_capture *>(arg);
    if (!link.from.starts_with("target") || !link.to.starts_with("target"))
        return;
    auto &[message, text] = c.open[link.id];
    while (!bytes.empty() && message.at != sim_message::state::broken) {
        size_t used = sim_message_feed(message, bytes);
        text.append(bytes.substr(0, used));
        bytes.remove_prefix(used);
        if (message.at != sim_message::state::complete)
            continue;
        if (message.second.starts_with("/v1/node/move"))
            c.requests.emplace_back(link.to, text);
        message = {};
        text.clear();
    }
}

static void send_again(sim_stage &s, const sim_capture &c)
{
    for (const auto &[to, bytes] : c.requests) {
        for (const sim_node *node : s.cluster->nodes) {
            if (node->name != to)
                continue;
            sim_call call;
            call.host = s.load->clients;
            call.address = node->options.listen_host;
            call.port = 8080;
            call.request = bytes;
            call.timeout_us = 30 * sim_second;
            sim_call_start(call);
        }
    }
}

// After everything has settled, and objects were deleted or overwritten, all messages about moves come once more.
static void moves_of_an_old_epoch(sim_stage &s)
{
    sim_capture capture;
    capture.stage = &s;
    s.w->on_carried = on_carried;
    s.w->carried_arg = &capture;
    std::vector<sim_object *> given = drain_slowly(s, sim_ms);
    sim_stage_wait(s, "everything was given", 60 * sim_second, sim_stage_is_settled);
    s.w->on_carried = nullptr;
    if (capture.requests.empty())
        sim_fail(*s.w, "no message about moves was seen");
    for (sim_object *o : given)
        sim_chance(*s.w, 700) ? sim_load_remove(*s.load, *o) : sim_load_put(*s.load, *o);
    sim_stage_wait(s, "the deletes are answered", 60 * sim_second, sim_stage_is_idle);
    bool is_moving_again = sim_chance(*s.w, 500);
    if (is_moving_again)
        sim_stage_ask(s, "stop-maintenance", sim_stage_target(s, 3));
    sim_stage_pass(s, sim_between(*s.w, 1, 3'000) * sim_ms);
    send_again(s, capture);
    sim_stage_pass(s, 2 * sim_second);
    for (sim_object *o : given)
        sim_load_read(*s.load, *o);
    sim_stage_wait(s, "the reads are answered", 60 * sim_second, sim_stage_is_idle);
}

static constexpr sim_scenario all[] = {
    {"a list beside moves", 3, list_beside_moves},
    {"a question after the move", 3, question_after_the_move},
    {"the answer of a move after a flip", 3, answer_after_a_flip},
    {"an owner whose index is slow", 3, slow_taking},
    {"deleted on the way", 3, deleted_on_the_way},
    {"deleted before the move", 3, deleted_before_the_move},
    {"late commits", 3, late_commits},
    {"an epoch that is only in memory", 3, epoch_in_memory},
    {"messages of an old epoch", 3, moves_of_an_old_epoch},
};
const std::span<const sim_scenario> sim_moving_scenarios = all;

} // namespace etlnode
