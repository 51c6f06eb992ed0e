// SPDX-License-Identifier: MIT
// role/proxy/placement.cc: changes of the placed targets that nobody asks for: new targets join, an epoch settles, targets that left are
// forgotten.
//
// Owns     p.moves: one change of the document at a time, and a timer.
// Knows    control/placement_epochs.        Known by  register.cc, targets.cc, proxy.cc.
// Normal   each heartbeat may show that something is due. New targets wait a moment for others, so that they join in one epoch.
// Fails    a change that cannot be stored is tried again with the next heartbeat.
// Limits   join_pause_ms, join_wait_max_ms.
#include <algorithm>

#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "control/placement_epochs.h"
#include "role/proxy/proxy.h"

namespace etlnode {

// --- settling

static bool has_settled(const proxy &p, const cluster_document &document, const cluster_node &node)
{
    const proxy_target *target = proxy_heard_target(p, node.id);
    return target != nullptr && target->placement.settled == document.placement.epoch;
}

bool proxy_has_settled(const proxy &p, const cluster_document &document)
{
    if (!placement_is_moving(document.placement))
        return false;
    for (const cluster_node &node : document.nodes) {
        if (cluster_node_is_placed(node) && !has_settled(p, document, node))
            return false;
    }
    std::vector<const cluster_node *> givers = document_givers(document);
    return std::all_of(givers.begin(), givers.end(), [&](const cluster_node *node) { return has_settled(p, document, *node); });
}

// --- joining

// What a person must mend before a target can be placed; empty: nothing.
std::string proxy_activation_obstacle(const proxy &p, const std::string &id)
{
    const proxy_target *target = proxy_heard_target(p, id);
    if (target == nullptr || !presence_is_here(target->here))
        return "it is not heard";
    if (target->is_count_known && target->object_count > 0)
        return "it holds " + text_format("%llu", static_cast<unsigned long long>(target->object_count)) +
               " objects from an earlier time, which may have been deleted since: start it with an empty data directory";
    return {};
}

// Why a new target is not placed yet; empty: nothing is missing.
std::string proxy_join_obstacle(const proxy &p, const cluster_document &document, const cluster_node &node)
{
    if (std::string obstacle = proxy_activation_obstacle(p, node.id); !obstacle.empty())
        return obstacle;
    const proxy_target *target = proxy_heard_target(p, node.id);
    if (target->placement.adopted != document_epoch(document))
        return "it has not taken the cluster document yet";
    if (!target->placement.etls_serve)
        return "its ETLs do not serve yet (etlctl etl ls)";
    return {};
}

// A target that the operator wants to be placed, and that is not.
static bool is_new(const cluster_document &document, const cluster_node &node)
{
    return node.is_target && node.want == node_want::placed && document_placement_state(document, node) == placement_state::fresh;
}

static bool is_ready_to_join(const proxy &p, const cluster_document &document, const cluster_node &node)
{
    return is_new(document, node) && proxy_join_obstacle(p, document, node).empty();
}

static std::vector<std::string> ready_to_join(const proxy &p, const cluster_document &document)
{
    std::vector<std::string> ids;
    for (const cluster_node &node : document.nodes) {
        if (is_ready_to_join(p, document, node))
            ids.push_back(node.id);
    }
    return ids;
}

// A target that will be ready soon: it just came.
static bool is_about_to_join(const proxy &p, const cluster_document &document)
{
    return std::any_of(document.nodes.begin(), document.nodes.end(), [&](const cluster_node &node) {
        return is_new(document, node) && !is_ready_to_join(p, document, node) && !proxy_target_is_silent(p, node.id);
    });
}

// How long those that are ready still wait for others.
static uint64_t join_wait_ms(proxy &p, size_t ready)
{
    uint64_t now = clock_now_ms(*p.e);
    if (ready == 0) {
        p.moves.first_ready_ms = p.moves.last_ready_ms = 0;
        p.moves.ready_count = 0;
        return 0;
    }
    if (p.moves.first_ready_ms == 0)
        p.moves.first_ready_ms = now;
    if (ready != p.moves.ready_count)
        p.moves.last_ready_ms = now;
    p.moves.ready_count = ready;
    uint64_t pause = is_about_to_join(p, proxy_document(p)) ? join_wait_max_ms : join_pause_ms;
    uint64_t due = std::min(p.moves.last_ready_ms + pause, p.moves.first_ready_ms + join_wait_max_ms);
    return due > now ? due - now : 0;
}

// --- the change

static bool is_forgettable(const proxy &p, const cluster_document &document, const cluster_node &node)
{
    return node.is_target && placement_is_gone(document, node) && proxy_target_is_silent(p, node.id);
}

static bool forget_gone(const proxy &p, cluster_document &document)
{
    size_t before = document.nodes.size();
    for (size_t i = document.nodes.size(); i-- > 0;) {
        if (is_forgettable(p, document, document.nodes[i]))
            document_remove_node(document, std::string(document.nodes[i].id));
    }
    return document.nodes.size() < before;
}

// Judged anew for the document that the change applies to.
static error apply_due(void *arg, cluster_document &next)
{
    proxy &p = *static_cast<proxy *>(arg);
    bool is_change = forget_gone(p, next);
    if (proxy_has_settled(p, next))
        is_change = !placement_settle(next).err || is_change;
    if (p.moves.joins_now) {
        std::vector<std::string> ids = ready_to_join(p, next);
        placement_refusal refused = placement_join(next, ids);
        if (refused.err && p.moves.refusal != refused.why)
            LOG(warn, "placement", "reason=\"%s\" msg=\"new targets cannot join yet\"", text_escape(refused.why).c_str());
        p.moves.refusal = refused.why;
        is_change = is_change || (!refused.err && !ids.empty());
    }
    return is_change ? no_error : make_error(error_code::conflict);
}

static void on_done(void *arg, error err)
{
    proxy &p = *static_cast<proxy *>(arg);
    p.moves.is_changing = false;
    const cluster_placement &placement = proxy_document(p).placement;
    if (err && err.code != error_code::conflict)
        LOG(error, "placement", "error=\"%s\" msg=\"the placement could not be changed\"", error_text(err));
    if (!err)
        LOG(info, "placement", "epoch=%llu settled=%llu former=%zu msg=\"%s\"", static_cast<unsigned long long>(placement.epoch),
            static_cast<unsigned long long>(placement.settled), placement.former.size(),
            placement_is_moving(placement) ? "objects move" : "nothing moves");
    if (!err)
        proxy_placement_check(p); // more may be due
}

static bool has_forgettable(const proxy &p, const cluster_document &document)
{
    return std::any_of(
        document.nodes.begin(), document.nodes.end(), [&](const cluster_node &node) { return is_forgettable(p, document, node); });
}

void proxy_placement_check(proxy &p)
{
    const cluster_document &document = proxy_document(p);
    if (document.placement.epoch == 0 || p.moves.is_changing || p.moves.due == nullptr)
        return;
    size_t ready = ready_to_join(p, document).size();
    uint64_t wait_ms = join_wait_ms(p, ready);
    p.moves.joins_now = ready > 0 && wait_ms == 0;
    if (ready > 0 && wait_ms > 0)
        timer_arm(*p.e, p.moves.due, wait_ms);
    if (!p.moves.joins_now && !proxy_has_settled(p, document) && !has_forgettable(p, document))
        return;
    if (!proxy_odds_text(p).empty())
        return;
    p.moves.is_changing = true;
    document_queue_add(p.documents, {.apply = apply_due, .on_done = on_done, .arg = &p});
}

static void on_due(void *arg) { proxy_placement_check(*static_cast<proxy *>(arg)); }

void proxy_placement_begin(proxy &p) { p.moves.due = timer_make(*p.e, on_due, &p); }

void proxy_placement_stop(proxy &p)
{
    if (p.moves.due != nullptr)
        timer_free(*p.e, p.moves.due);
    p.moves.due = nullptr;
}

} // namespace etlnode
