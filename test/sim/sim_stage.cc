// SPDX-License-Identifier: MIT
// test/sim/sim_stage.cc: what directed scenarios are made of.
#include <algorithm>

#include "base/text.h"
#include "control/placement.h"
#include "control/placement_epochs.h"
#include "role/target/target.h"
#include "sim_scenario.h"

namespace etlnode {

static constexpr uint64_t look_us = 500;

void sim_stage_pass(sim_stage &s, uint64_t us) { sim_cluster_pass(*s.cluster, s.w->now_us + us); }

bool sim_stage_wait(sim_stage &s, const char *what, uint64_t limit_us, bool (*is_so)(sim_stage &s))
{
    uint64_t until = s.w->now_us + limit_us;
    while (s.w->now_us < until && !is_so(s))
        sim_stage_pass(s, look_us);
    if (is_so(s))
        return true;
    sim_fail(*s.w, "the scenario waited %llu s for this: %s", static_cast<unsigned long long>(limit_us / sim_second), what);
    return false;
}

sim_node &sim_stage_target(sim_stage &s, size_t number) { return *s.cluster->nodes[number]; }

std::vector<sim_object *> sim_stage_owned(sim_stage &s, const sim_node &node)
{
    std::vector<sim_object *> owned;
    const cluster_document *document = sim_cluster_document(*s.cluster);
    for (sim_object *o : s.load->objects) {
        const cluster_node *owner = document != nullptr && o->bucket == "b" ? document_place(*document, o->bucket, o->name) : nullptr;
        if (owner != nullptr && owner->id == node.id)
            owned.push_back(o);
    }
    return owned;
}

void sim_stage_ask(sim_stage &s, const char *action, const sim_node &node)
{
    sim_note(*s.w, "operator: %s of %s", action, node.name.c_str());
    sim_load_member(*s.load, text_format(R"({"action":"%s","value":{"sid":"%s"}})", action, node.id.c_str()), nullptr, nullptr);
}

bool sim_stage_have_adopted(sim_stage &s)
{
    const cluster_document *document = sim_cluster_document(*s.cluster);
    return document != nullptr && std::all_of(s.cluster->nodes.begin(), s.cluster->nodes.end(), [&](const sim_node *node) {
        return !node->is_target || node->host == nullptr || node->is_lost ||
               node->host->as_target->placement.adopted == document_epoch(*document);
    });
}

bool sim_stage_moves(sim_stage &s)
{
    const cluster_document *document = sim_cluster_document(*s.cluster);
    return document != nullptr && placement_is_moving(document->placement);
}

bool sim_stage_is_settled(sim_stage &s)
{
    return sim_cluster_document(*s.cluster) != nullptr && !sim_stage_moves(s) && sim_stage_is_idle(s);
}

bool sim_stage_is_idle(sim_stage &s) { return s.load->in_flight == 0; }

void sim_stage_hold_calls(sim_stage &s, const sim_node &from, sim_call_half half, uint64_t for_us)
{
    for (const sim_node *node : s.cluster->nodes) {
        if (node->is_target && node != &from)
            sim_net_hold_calls(*s.w, from.name, node->name, half, s.w->now_us + for_us);
    }
}

void sim_stage_hold_calls_to(sim_stage &s, const sim_node &to, sim_call_half half, uint64_t for_us)
{
    for (const sim_node *node : s.cluster->nodes) {
        if (node->is_target && node != &to)
            sim_net_hold_calls(*s.w, node->name, to.name, half, s.w->now_us + for_us);
    }
}

static void on_disk_released(void *arg)
{
    if (sim_host *host = static_cast<sim_node *>(arg)->host) {
        host->held.clear();
        sim_settle(host);
    }
}

void sim_stage_hold_disk(sim_stage &s, sim_node &node, memory_op op, uint64_t for_us)
{
    if (node.host == nullptr)
        return;
    node.host->held.insert(op);
    (void)sim_after(*s.w, nullptr, for_us, on_disk_released, &node);
}

} // namespace etlnode
