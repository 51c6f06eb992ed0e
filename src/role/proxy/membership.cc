// SPDX-License-Identifier: MIT
// role/proxy/membership.cc: changes of the membership that a person asks for: a target is drained, activated, taken out, or gets a disk.
//
// Knows    control/placement_epochs, http.          Known by  routes.cc.
// Normal   the document is changed and the targets hold it before the answer; its text is the id of the rebalance, if objects move.
// Fails    409 with what to do: the last placed target, a target that may still take writes, another number of objects than the caller saw.
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "codec/json_fields.h"
#include "role/proxy/jobs.h"
#include "role/proxy/request.h"
#include "role/shared/hints.h"

namespace etlnode {

enum class member_action : uint8_t { drain, activate, decommission, replace, forget };

static constexpr struct {
    std::string_view name;
    member_action action;
} actions[] = {
    {"start-maintenance", member_action::drain},
    {"stop-maintenance", member_action::activate},
    {"decommission-node", member_action::decommission},
    {"replace-disk", member_action::replace},
    {"forget-disk", member_action::forget},
};

struct member_request : proxy_request {
    member_action action = member_action::decommission;
    std::string target;
    std::string disk; // the new one, or the one to forget
    bool is_silent = false;
    bool leaves_damaged = false; // of a drain
    std::string why;             // a refused change
    uint64_t lost_count = 0;     // of objects that are lost with the target
    bool is_lost_count_known = false;
};

static void fail_unknown(member_request &r)
{
    std::vector<std::string_view> names;
    for (const cluster_node &node : proxy_document(*r.p).nodes) {
        if (node.is_target)
            names.push_back(node.id);
    }
    proxy_request_fail(r, error_code::not_found, "there is no target \"" + text_escape(r.target) + "\"" + hint_text(r.target, names));
}

// --- the change

// A drained target has no pods. It starts those that it needs, and joins when they serve (placement.cc).
static placement_refusal activate(const member_request &r, cluster_document &next)
{
    placement_refusal refused = placement_want(next, r.target);
    const cluster_node *node = document_find_node(next, r.target);
    if (refused.err || node == nullptr)
        return refused;
    bool is_draining = document_placement_state(next, *node) == placement_state::draining; // its pods are still there
    std::string ids[] = {r.target};
    return is_draining || proxy_join_obstacle(*r.p, next, *node).empty() ? placement_join(next, ids) : refused;
}

// Also of a target that is being drained already: then the damaged objects that it still has are left.
static placement_refusal drain(const member_request &r, cluster_document &next, node_want want)
{
    placement_refusal refused = placement_drain(next, r.target, want);
    if (!refused.err && r.leaves_damaged)
        proxy_job_leave_damaged(*r.p, next, r.target);
    return refused;
}

static placement_refusal change_epoch(member_request &r, cluster_document &next)
{
    switch (r.action) {
    case member_action::drain: return drain(r, next, node_want::maintenance);
    case member_action::activate: return activate(r, next);
    case member_action::decommission:
        return r.is_silent ? placement_lose(next, r.target, proxy_silent_ms(*r.p, r.target)) : drain(r, next, node_want::leave);
    case member_action::replace: return placement_replace(next, r.target, r.disk, proxy_silent_ms(*r.p, r.target));
    case member_action::forget: return placement_forget(next, r.disk);
    }
    return {};
}

static error apply_member_change(member_request &r, cluster_document &next)
{
    placement_refusal refused = change_epoch(r, next);
    r.why = refused.why;
    return refused.err;
}

static void log_loss(const member_request &r)
{
    std::string lost = r.is_lost_count_known ? std::to_string(r.lost_count) : std::string("unknown");
    LOG(warn, "cluster",
        "target=%s objects=%s msg=\"removed from the cluster: what only it held is gone, unless it comes back with its data\"",
        r.target.c_str(), lost.c_str());
}

static void on_changed(member_request &r, error err)
{
    if (err.code == error_code::not_found && r.why.empty()) {
        fail_unknown(r);
        return;
    }
    if (err) {
        proxy_request_fail(r, err.code, r.why.empty() ? error_text(err) : r.why.c_str());
        return;
    }
    if (r.is_silent)
        log_loss(r);
    const cluster_placement &placement = proxy_document(*r.p).placement;
    answer a;
    if (placement_is_moving(placement)) {
        a.content_type = "text/plain";
        a.body = "g" + std::to_string(placement.epoch);
    }
    proxy_request_answer(r, std::move(a));
}

// --- what is refused before

// AIStore's clients send the flags of `decommission-node`.
static constexpr json_field value_fields[] = {
    {"sid", json_field_kind::text},
    {"objects", json_field_kind::whole},
    {"leave_damaged", json_field_kind::flag},
    {"force", json_field_kind::flag},
    {"rm_user_data", json_field_kind::flag},
    {"skip_rebalance", json_field_kind::flag},
    {"keep_initial_config", json_field_kind::flag},
    {"no_shutdown", json_field_kind::flag},
};

// Only lose what the caller was shown.
static bool admit_count(member_request &r, const cJSON *value)
{
    const proxy_last_count *last = proxy_last_count_of(*r.p, r.target);
    r.is_lost_count_known = last != nullptr;
    r.lost_count = last != nullptr ? last->objects : 0;
    const cJSON *shown = json_get(value, "objects");
    uint64_t expected = json_u64(value, "objects", UINT64_MAX);
    if (shown != nullptr && !(r.is_lost_count_known && expected == r.lost_count)) {
        std::string holds = r.is_lost_count_known ? std::to_string(r.lost_count) + (r.lost_count == 1 ? " object" : " objects")
                                                  : std::string("an unknown number of objects");
        proxy_request_fail(r, error_code::conflict, "target " + r.target + " holds " + holds + ", not " + std::to_string(expected));
        return false;
    }
    return true;
}

static bool admit_drain(member_request &r)
{
    if (!r.is_silent)
        return true;
    proxy_request_fail(r, error_code::conflict,
        "target " + r.target +
            " is silent, so what it holds cannot be moved: start it first, or take it out with what only it holds "
            "(etlctl target rm " +
            r.target + ")");
    return false;
}

static bool admit_activation(member_request &r, const cluster_node &node)
{
    bool is_back = document_placement_state(proxy_document(*r.p), node) == placement_state::draining;
    std::string obstacle = is_back || cluster_node_is_placed(node) ? std::string() : proxy_activation_obstacle(*r.p, node.id);
    if (obstacle.empty())
        return true;
    proxy_request_fail(r, error_code::conflict, "target " + r.target + " cannot be activated: " + obstacle);
    return false;
}

static bool admit_replacement(member_request &r)
{
    auto found = r.p->targets.find(r.target);
    r.disk = found != r.p->targets.end() ? found->second.other_disk : std::string();
    if (!r.disk.empty())
        return true;
    proxy_request_fail(r, error_code::conflict,
        "no target with another data directory has registered as " + r.target +
            ": start it with an empty --data-dir and the same id first");
    return false;
}

// By the id of a lost target, if only one had it, or by its disk.
static bool find_forgotten(member_request &r)
{
    std::vector<std::string_view> names;
    size_t found = 0;
    std::vector<placed_disk> lost = document_lost_disks(proxy_document(*r.p));
    for (const placed_disk &one : lost) {
        names.push_back(one.id);
        if (one.id != r.target && one.disk != r.target)
            continue;
        r.disk = one.disk;
        found++;
    }
    if (found == 0)
        proxy_request_fail(
            r, error_code::not_found, "no lost target is called \"" + text_escape(r.target) + "\"" + hint_text(r.target, names));
    else if (found > 1)
        proxy_request_fail(
            r, error_code::conflict, "several data directories of target " + r.target + " are lost: say which one (etlctl cluster show)");
    return found == 1;
}

static bool admit(member_request &r, const cJSON *value)
{
    if (r.action == member_action::forget)
        return find_forgotten(r);
    const cluster_node *node = document_find_node(proxy_document(*r.p), r.target);
    if (node == nullptr || !node->is_target) {
        fail_unknown(r);
        return false;
    }
    r.is_silent = proxy_target_is_silent(*r.p, r.target);
    switch (r.action) {
    case member_action::drain: return admit_drain(r);
    case member_action::activate: return admit_activation(r, *node);
    case member_action::decommission: return !r.is_silent || admit_count(r, value);
    case member_action::replace: return admit_replacement(r) && admit_count(r, value);
    case member_action::forget: break;
    }
    return true;
}

static std::string action_names()
{
    std::string names;
    for (const auto &one : actions)
        names += std::string(one.name) + ", ";
    return names + "start, stop";
}

static bool find_action(member_request &r, std::string_view name)
{
    for (const auto &one : actions) {
        if (one.name != name)
            continue;
        r.action = one.action;
        return true;
    }
    return false;
}

static void on_body(member_request &r, std::string body)
{
    json_ptr tree;
    std::string action;
    if (!proxy_request_read_action(r, body, tree, action))
        return;
    if (action == "start" || action == "stop") {
        proxy &p = *r.p;
        (void)proxy_job_action(p, proxy_request_release(r), action, json_get(tree.get(), "value"));
        return;
    }
    if (!find_action(r, action)) {
        proxy_request_fail(
            r, error_code::not_implemented, "action \"" + text_escape(action) + "\" is not implemented; there are: " + action_names());
        return;
    }
    if (std::string odds = proxy_odds_text(*r.p); !odds.empty()) {
        proxy_request_fail(r, error_code::diverged, odds);
        return;
    }
    const cJSON *value = json_get(tree.get(), "value");
    r.target = json_text(value, "sid");
    r.leaves_damaged = json_bool(value, "leave_damaged", false);
    std::string misfit = json_fields_misfit(value, "value", value_fields);
    if (misfit.empty() && cJSON_IsNull(json_get(value, "objects"))) // of what is lost, only a number is an answer
        misfit = "value.objects: expected a whole number";
    if (!misfit.empty())
        proxy_request_fail(r, error_code::bad_request, misfit);
    else if (r.target.empty())
        proxy_request_fail(r, error_code::bad_request, "value.sid: which target? expected its id");
    else if (admit(r, value))
        proxy_request_change<apply_member_change, on_changed>(r, true);
}

static void serve_cluster_change(proxy &p, exchange &x, const route_match &)
{
    proxy_request_read<on_body>(proxy_request_make<member_request>(p, x), json_body_size_max);
}

// --- routes

static constexpr route rows[] = {
    ROUTE("PUT", "/v1/cluster", serve_cluster_change,
        "action `start-maintenance`, `stop-maintenance`, `decommission-node`, `replace-disk` or `forget-disk`, value `{\"sid\"}`: a target "
        "gives its objects, takes some, leaves or is lost, goes on with another directory, is given up. Jobs: `start` and `stop`"),
};
extern constinit const std::span<const route> proxy_membership_routes = rows;

} // namespace etlnode
