// SPDX-License-Identifier: MIT
// test/sim/sim_scenarios_back.cc: directed scenarios of a node that comes back with an old copy of its disk.
#include "role/target/target.h"
#include "sim_scenario.h"

namespace etlnode {

static void begin_with(sim_stage &s, sim_node &node, const memory_image &image, bool is_old)
{
    sim_note(*s.w, "%s gets %s disk", node.name.c_str(), is_old ? "an old" : "its last");
    node.image = image;
    node.is_set_back = is_old;
    sim_node_start(node);
}

static void read_everything(sim_stage &s)
{
    for (sim_object *o : s.load->objects)
        sim_load_read(*s.load, *o);
    sim_load_list(*s.load, "b");
    sim_stage_wait(s, "the reads are answered", 200 * sim_second, sim_stage_is_idle);
}

static void change_objects(sim_stage &s)
{
    for (sim_object *o : s.load->objects)
        sim_chance(*s.w, 600) ? sim_load_put(*s.load, *o) : sim_load_remove(*s.load, *o);
    sim_stage_wait(s, "the writes are answered", 60 * sim_second, sim_stage_is_idle);
}

static void move_and_settle(sim_stage &s, const char *action, const sim_node &node)
{
    sim_stage_ask(s, action, node);
    sim_stage_wait(s, "objects move", 20 * sim_second, sim_stage_moves);
    sim_stage_wait(s, "nothing moves", 60 * sim_second, sim_stage_is_settled);
}

// The target is off until the proxy calls it silent. What it answers then must be right, or nothing.
static void target_with_old_disk(sim_stage &s, bool in_one_epoch)
{
    sim_node &node = sim_stage_target(s, 1);
    memory_image old = memory_take(*node.host, memory_crash::killed);
    change_objects(s);
    if (!in_one_epoch) {
        move_and_settle(s, "start-maintenance", sim_stage_target(s, 3));
        move_and_settle(s, "stop-maintenance", sim_stage_target(s, 3));
        change_objects(s);
    }
    sim_stage_pass(s, 5 * sim_second); // the proxy has heard of the changes
    sim_node_crash(node, memory_crash::power_cut, 3'600 * sim_second);
    memory_image last = node.image;
    sim_stage_pass(s, 20 * sim_second);
    begin_with(s, node, old, true);
    sim_stage_pass(s, sim_between(*s.w, 10, 5'000) * sim_ms);
    read_everything(s);
    sim_node_crash(node, memory_crash::killed, 3'600 * sim_second);
    sim_stage_pass(s, sim_second);
    begin_with(s, node, last, false);
    sim_stage_pass(s, 10 * sim_second);
    read_everything(s);
}

static void disk_of_a_former_epoch(sim_stage &s) { target_with_old_disk(s, false); }
static void disk_of_this_epoch(sim_stage &s) { target_with_old_disk(s, true); }

// The targets have the newer document; the proxy takes it when it has heard all of them.
static void proxy_with_old_disk(sim_stage &s)
{
    sim_node &proxy = sim_stage_target(s, 0);
    sim_node &away = sim_stage_target(s, 1);
    memory_image old = memory_take(*proxy.host, memory_crash::killed);
    move_and_settle(s, "start-maintenance", sim_stage_target(s, 3));
    change_objects(s);
    bool is_moving = sim_chance(*s.w, 500);
    if (is_moving)
        sim_stage_ask(s, "stop-maintenance", sim_stage_target(s, 3));
    sim_stage_pass(s, sim_between(*s.w, 0, 3'000) * sim_ms);
    bool is_one_away = sim_chance(*s.w, 500);
    if (is_one_away)
        sim_node_crash(away, memory_crash::killed, 25 * sim_second);
    sim_node_crash(proxy, memory_crash::killed, 3'600 * sim_second);
    begin_with(s, proxy, old, true);
    sim_stage_pass(s, sim_between(*s.w, 10, 5'000) * sim_ms);
    read_everything(s);
    sim_stage_pass(s, 60 * sim_second);
    read_everything(s);
    change_objects(s);
}

static constexpr sim_scenario all[] = {
    {"a target with a disk of a former epoch", 3, disk_of_a_former_epoch},
    {"a proxy with an old disk", 3, proxy_with_old_disk},
    {"a target with an old disk of this epoch", 3, disk_of_this_epoch},
};
const std::span<const sim_scenario> sim_back_scenarios = all;

} // namespace etlnode
