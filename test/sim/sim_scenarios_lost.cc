// SPDX-License-Identifier: MIT
// test/sim/sim_scenarios_lost.cc: directed scenarios of targets that are given up with what they hold, and come back.
#include <algorithm>

#include "role/target/target.h"
#include "sim_scenario.h"

namespace etlnode {

static constexpr uint64_t loss_us = 120 * sim_second; // 70 s of silence, and what follows

static bool has_lost(sim_stage &s)
{
    const cluster_document *document = sim_cluster_document(*s.cluster);
    return document != nullptr && !document_lost_disks(*document).empty();
}

static bool has_come_back(sim_stage &s)
{
    const cluster_document *document = sim_cluster_document(*s.cluster);
    return document != nullptr && document_lost_disks(*document).empty();
}

static bool losses_are_over(sim_stage &s) { return sim_losses_are_over(*s.losses); }

static void read_all(sim_stage &s, const std::vector<sim_object *> &objects)
{
    for (sim_object *o : objects)
        sim_load_read(*s.load, *o);
    sim_stage_wait(s, "the reads are answered", 120 * sim_second, sim_stage_is_idle);
}

// --- a target stands still while it is given up; writes wait in its sockets, or in its index

struct late_writes {
    sim_stage *stage = nullptr;
    std::vector<sim_object *> objects;
};

static void on_almost_awake(void *arg)
{
    auto &late = *static_cast<late_writes *>(arg);
    sim_load &l = *late.stage->load;
    for (sim_object *o : late.objects) {
        l.guess = 1;
        sim_chance(*late.stage->w, 800) ? sim_load_put(l, *o) : sim_load_remove(l, *o);
        l.guess = 0;
    }
}

static void on_awake(void *arg) { static_cast<sim_host *>(arg)->held.clear(); }

static void paused_and_given_up(sim_stage &s)
{
    sim_node &paused = sim_stage_target(s, 1);
    late_writes late{&s, sim_stage_owned(s, paused)};
    bool wait_in_index = sim_chance(*s.w, 500);
    if (wait_in_index) {
        paused.host->held.insert(memory_op::index_change);
        on_almost_awake(&late);
        sim_stage_pass(s, 100 * sim_ms);
    }
    sim_losses_begin(*s.losses, paused, sim_loss_kind::paused);
    uint64_t awake_us = s.w->now_us + 85 * sim_second;
    paused.host->paused_until_us = awake_us;
    if (wait_in_index)
        (void)sim_after(*s.w, paused.host, 0, on_awake, paused.host);
    else
        (void)sim_after(*s.w, nullptr, awake_us - s.w->now_us - 2 * sim_ms, on_almost_awake, &late);
    sim_stage_wait(s, "it is given up", loss_us, has_lost);
    sim_stage_pass(s, 100 * sim_ms);
    for (sim_object *o : late.objects)
        sim_load_put(*s.load, *o);
    sim_net_hold_pair(*s.w, "proxy", paused.name, awake_us + 3 * sim_second); // it does not hear of that at once
    sim_stage_pass(s, awake_us + 2 * sim_second - s.w->now_us);
    read_all(s, late.objects);
    sim_stage_wait(s, "it is back", loss_us, losses_are_over);
    read_all(s, late.objects);
}

// --- what is written or deleted since a loss stays so

static void touched_since(sim_stage &s)
{
    sim_node &lost = sim_stage_target(s, 1);
    std::vector<sim_object *> objects = sim_stage_owned(s, lost);
    for (int i = 0; i < 2; i++) { // so that versions are high
        for (sim_object *o : objects)
            sim_load_put(*s.load, *o);
        sim_stage_wait(s, "the writes are answered", 60 * sim_second, sim_stage_is_idle);
    }
    sim_losses_begin(*s.losses, lost, sim_loss_kind::down);
    sim_stage_wait(s, "it is given up", loss_us, has_lost);
    sim_stage_pass(s, 100 * sim_ms); // everybody knows it
    for (size_t i = 0; i < objects.size(); i++) {
        if (i % 3 == 0)
            sim_load_put(*s.load, *objects[i]);
        else if (i % 3 == 1)
            sim_load_remove(*s.load, *objects[i]);
    }
    sim_stage_wait(s, "the writes are answered", 60 * sim_second, sim_stage_is_idle);
    read_all(s, objects);
    sim_stage_wait(s, "it is back", loss_us, has_come_back);
    read_all(s, objects);
    sim_stage_wait(s, "everything is where it belongs", loss_us, losses_are_over);
    read_all(s, objects);
}

// --- a target joins, takes writes and is lost; older copies go on to a third target; it comes back

static void lost_in_its_join(sim_stage &s)
{
    sim_node &joins = sim_stage_target(s, 4);
    sim_node &third = sim_stage_target(s, 5);
    for (const sim_node *node : {&joins, &third}) {
        sim_stage_ask(s, "start-maintenance", *node);
        sim_stage_wait(s, "objects move", sim_second, sim_stage_moves);
        sim_stage_wait(s, "it is empty", 60 * sim_second, sim_stage_is_settled);
    }
    sim_stage_hold_calls_to(s, joins, sim_call_half::request, 200 * sim_second); // it gets nothing
    sim_stage_ask(s, "stop-maintenance", joins);
    sim_stage_wait(s, "it joins", 10 * sim_second, sim_stage_moves);
    sim_stage_wait(s, "the epoch is adopted", 20 * sim_second, sim_stage_have_adopted);
    std::vector<sim_object *> objects = sim_stage_owned(s, joins);
    for (sim_object *o : objects)
        sim_load_put(*s.load, *o);
    sim_stage_wait(s, "the writes are answered", 60 * sim_second, sim_stage_is_idle);
    sim_losses_begin(*s.losses, joins, sim_loss_kind::down);
    sim_stage_wait(s, "it is given up", loss_us, has_lost);
    sim_stage_hold_calls(s, joins, sim_call_half::request, 60 * sim_second); // when it is back, it gives nothing for a while
    sim_stage_ask(s, "stop-maintenance", third);                             // the older copies go there
    sim_stage_pass(s, 500 * sim_ms);
    read_all(s, objects);
    sim_stage_wait(s, "it is back", loss_us, has_come_back);
    sim_stage_wait(s, "the epoch is adopted", 20 * sim_second, sim_stage_have_adopted);
    sim_stage_pass(s, sim_second); // sim_losses.cc has noticed
    read_all(s, objects);
    sim_stage_wait(s, "everything is where it belongs", loss_us, losses_are_over);
    read_all(s, objects);
}

static constexpr sim_scenario all[] = {
    {"given up while it stands still", 3, paused_and_given_up},
    {"written and deleted since a loss", 3, touched_since},
    {"lost in its join", 5, lost_in_its_join},
};
const std::span<const sim_scenario> sim_lost_scenarios = all;

} // namespace etlnode
