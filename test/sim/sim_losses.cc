// SPDX-License-Identifier: MIT
// test/sim/sim_losses.cc: one loss after its steps: silence, the request to give the target up, its return or the end of its old disk.
//
// Normal   what only the lost disk has may be missing from the request on, or be older, until all targets know that it is back. What was
//          written since then must be there all the time.
#include "sim_losses.h"

#include <algorithm>

#include "base/limits.h"
#include "base/text.h"
#include "control/placement_epochs.h"
#include "role/target/target.h"
#include "sim_rows.h"

namespace etlnode {

static constexpr uint64_t second = 1'000'000;
static constexpr uint64_t look_us = second / 2;

enum class loss_step : uint8_t { silent, asking, lost, returning, forgetting, over };

struct sim_loss {
    sim_losses *owner = nullptr;
    sim_node *node = nullptr;
    sim_loss_kind kind = sim_loss_kind::down;
    loss_step step = loss_step::silent;
    std::string disk; // the one that is lost
    uint64_t due_us = 0;
    std::vector<std::pair<sim_object *, size_t>> marks; // what may be missing; index in object->writes
};

struct sim_losses {
    sim_cluster *cluster = nullptr;
    sim_load *load = nullptr;
    rng *random = nullptr;
    std::vector<sim_loss *> all;
};

static uint64_t now_us(const sim_losses &s) { return s.cluster->world->now_us; }
static uint64_t between(sim_losses &s, uint64_t low, uint64_t high) { return low + rng_below(*s.random, high - low + 1); }

static bool is_lost(const sim_losses &s, const std::string &disk)
{
    const cluster_document *document = sim_cluster_document(*s.cluster);
    if (document == nullptr)
        return false;
    std::vector<placed_disk> lost = document_lost_disks(*document);
    return std::any_of(lost.begin(), lost.end(), [&](const placed_disk &one) { return one.disk == disk; });
}

// --- what may be missing

static void mark(sim_loss &loss)
{
    sim_losses &s = *loss.owner;
    const memory_image &disk = sim_node_disk(*loss.node);
    for (sim_object *o : s.load->objects) {
        uint64_t version = sim_rows_version(disk, o->bucket, o->name);
        uint64_t elsewhere = 0;
        for (const sim_node *node : s.cluster->nodes) {
            if (node != loss.node)
                elsewhere = std::max(elsewhere, sim_rows_version(sim_node_disk(*node), o->bucket, o->name));
        }
        if (version <= elsewhere)
            continue;
        loss.marks.emplace_back(o, o->writes.size());
        sim_write missing;
        missing.start_us = missing.end_us = now_us(s);
        missing.is_absent = missing.is_loss = true;
        o->writes.push_back(missing);
    }
}

// Reads that begin from now on see again what there was.
static void unmark(sim_loss &loss)
{
    for (auto [object, index] : loss.marks)
        object->writes[index].until_us = now_us(*loss.owner);
    loss.marks.clear();
}

// --- steps

static void on_asked(void *arg, int status)
{
    auto &loss = *static_cast<sim_loss *>(arg);
    sim_note(*loss.owner->cluster->world, "%s is given up: status %d", loss.node->name.c_str(), status);
    loss.step = is_lost(*loss.owner, loss.disk) ? loss_step::lost : loss_step::silent;
    loss.due_us = now_us(*loss.owner) + between(*loss.owner, second, 10 * second);
}

static void on_forgotten(void *arg, int status)
{
    auto &loss = *static_cast<sim_loss *>(arg);
    loss.step = status == 200 ? loss_step::over : loss_step::lost;
}

static void ask(sim_loss &loss)
{
    loss.step = loss_step::asking;
    if (loss.marks.empty())
        mark(loss);
    loss.node->is_lost = loss.kind != sim_loss_kind::replaced;
    const char *action = loss.kind == sim_loss_kind::replaced ? "replace-disk" : "decommission-node";
    sim_load_member(
        *loss.owner->load, text_format(R"({"action":"%s","value":{"sid":"%s"}})", action, loss.node->id.c_str()), on_asked, &loss);
}

static bool is_quiet(const sim_losses &s)
{
    const cluster_document *document = sim_cluster_document(*s.cluster);
    return document != nullptr && !placement_is_moving(document->placement) && sim_cluster_is_up(*s.cluster);
}

// Every target is in the epoch of the proxy's document, and asks whom that one says.
static bool is_known_everywhere(const sim_losses &s)
{
    const cluster_document *document = sim_cluster_document(*s.cluster);
    return document != nullptr && std::all_of(s.cluster->nodes.begin(), s.cluster->nodes.end(), [&](const sim_node *node) {
        bool is_up = node->host != nullptr && node->host->is_started && !node->host->has_failed;
        return !node->is_target || (is_up && node->host->as_target->placement.adopted == document_epoch(*document));
    });
}

static void look_at_lost(sim_loss &loss)
{
    sim_losses &s = *loss.owner;
    if (loss.kind != sim_loss_kind::replaced) {
        if (loss.node->host == nullptr && loss.node->restart != nullptr)
            sim_node_start(*loss.node);
        loss.step = loss_step::returning;
    } else if (is_quiet(s) && s.load->is_calm) {
        loss.step = loss_step::forgetting;
        sim_load_member(*s.load, text_format(R"({"action":"forget-disk","value":{"sid":"%s"}})", loss.disk.c_str()), on_forgotten, &loss);
    }
}

static void on_look(void *arg)
{
    auto &loss = *static_cast<sim_loss *>(arg);
    sim_losses &s = *loss.owner;
    bool is_back = loss.kind != sim_loss_kind::replaced && loss.node->host != nullptr && loss.node->host->paused_until_us < now_us(s);
    switch (loss.step) {
    case loss_step::silent:
        if (is_back) // everything was healed before
            loss.step = loss_step::returning;
        else if (now_us(s) >= loss.due_us)
            ask(loss);
        break;
    case loss_step::lost:
        if (now_us(s) >= loss.due_us || s.load->is_calm)
            look_at_lost(loss);
        break;
    case loss_step::returning:
        if (is_back && !is_lost(s, loss.disk) && is_known_everywhere(s)) {
            unmark(loss);
            loss.node->is_lost = false;
        }
        if (is_back && is_quiet(s) && !is_lost(s, loss.disk)) {
            unmark(loss);
            loss.node->is_lost = false;
            loss.step = loss_step::over;
            sim_note(*s.cluster->world, "%s is back", loss.node->name.c_str());
        }
        break;
    case loss_step::asking:
    case loss_step::forgetting:
    case loss_step::over: break;
    }
    if (loss.step != loss_step::over)
        (void)sim_after(*s.cluster->world, nullptr, look_us, on_look, &loss);
}

// --- the beginning

// As soon as it goes on, before it has heard anything.
static void on_wake(void *arg)
{
    auto &loss = *static_cast<sim_loss *>(arg);
    sim_losses &s = *loss.owner;
    if (!s.cluster->world->faults_on)
        return;
    auto at = std::find(s.cluster->nodes.begin(), s.cluster->nodes.end(), loss.node);
    sim_load_write_at(*s.load, static_cast<size_t>(at - s.cluster->nodes.begin()));
}

void sim_losses_begin(sim_losses &s, sim_node &node, sim_loss_kind kind)
{
    bool is_possible = node.host != nullptr && node.host->as_target != nullptr && !node.host->as_target->disk.empty() && !node.id.empty() &&
                       !node.is_leaving;
    for (const sim_loss *loss : s.all)
        is_possible = is_possible && (loss->node != &node || loss->step == loss_step::over);
    if (!is_possible)
        return;
    auto *loss = new sim_loss;
    loss->owner = &s;
    loss->node = &node;
    loss->kind = kind;
    loss->disk = node.host->as_target->disk;
    loss->due_us = now_us(s) + target_lost_ms * 1'000 + between(s, second, 4 * second);
    s.all.push_back(loss);
    if (kind == sim_loss_kind::paused) {
        node.host->paused_until_us = loss->due_us + between(s, 0, 20 * second);
        for (size_t i = 0; i < 8; i++) // some wait there for it
            (void)sim_after(
                *s.cluster->world, nullptr, node.host->paused_until_us - now_us(s) + between(s, 0, 4'000) - 2'000, on_wake, loss);
    } else {
        sim_node_crash(node, static_cast<memory_crash>(rng_below(*s.random, 3)), 3'600 * second);
    }
    if (kind == sim_loss_kind::replaced) {
        mark(*loss);
        node.image = memory_empty();
        node.options.id = node.id;
        node.adopted_max = 0;
        node.stored_max = {};
        sim_node_start(node);
    }
    (void)sim_after(*s.cluster->world, nullptr, look_us, on_look, loss);
}

bool sim_losses_are_over(const sim_losses &s)
{
    return std::all_of(s.all.begin(), s.all.end(), [](const sim_loss *loss) { return loss->step == loss_step::over; });
}

sim_losses *sim_losses_make(sim_cluster &c, sim_load &l, rng &random) { return new sim_losses{&c, &l, &random, {}}; }

void sim_losses_free(sim_losses *s)
{
    for (sim_loss *loss : s->all)
        delete loss;
    delete s;
}

} // namespace etlnode
