// SPDX-License-Identifier: MIT
// role/proxy/targets.cc: what this proxy observes of each target: whether it can be heard, and which document it holds.
//
// Owns     a presence and a publisher for each target, and one timer for callers that wait until a document is everywhere.
// Knows    control, http.        Known by  document.cc, register.cc and the handlers.
// Normal   a change is stored, and then sent to every target. Registrations, heartbeats and accepted pushes show that a target lives.
// Fails    see publisher_machine. If a target's document does not match ours, its entry says so (odds).
// Limits   push_wait_ms, target_silent_ms.
#include "role/proxy/proxy.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "codec/error_envelope.h"
#include "codec/url.h"
#include "control/peer.h"
#include "port/clock.h"

namespace etlnode {

bool proxy_target_is_silent(const proxy &p, std::string_view id)
{
    auto it = p.targets.find(std::string(id));
    return it == p.targets.end() || !presence_is_here(it->second.here);
}

const proxy_target *proxy_heard_target(const proxy &p, const std::string &id)
{
    auto found = p.targets.find(id);
    return found != p.targets.end() && presence_was_heard(found->second.here) ? &found->second : nullptr;
}

uint64_t proxy_silent_ms(const proxy &p, const std::string &id)
{
    const proxy_target *target = proxy_heard_target(p, id);
    uint64_t since = target != nullptr && target->here.heard_ms > p.started_ms ? target->here.heard_ms : p.started_ms;
    return clock_now_ms(*p.e) - since;
}

// --- the publishers' world

static void on_push_done(void *arg, call &, error err, int status, std::string body);

static uint64_t world_wanted_version(void *arg, const publisher &)
{
    const proxy_target &target = *static_cast<proxy_target *>(arg);
    const cluster_node *node = document_find_node(proxy_document(*target.owner), target.id);
    return node != nullptr && node->is_target ? proxy_document(*target.owner).version : 0;
}

static bool world_may_be_there(void *arg, const publisher &m)
{
    const proxy_target &target = *static_cast<proxy_target *>(arg);
    bool never_tried = !presence_was_heard(target.here) && m.failures == 0; // after a restart of the proxy
    return presence_is_here(target.here) || never_tried;
}

static void world_send(void *arg, publisher &)
{
    proxy_target &target = *static_cast<proxy_target *>(arg);
    proxy &p = *target.owner;
    const cluster_node *node = document_find_node(proxy_document(p), target.id); // it exists, because a version is wanted
    url_base base;
    (void)url_parse_base(node->url, base); // node_parse accepts no other URL into the document
    call_options options;
    options.host = base.host;
    options.port = base.port;
    options.method = "PUT";
    options.target = base.path + std::string(path_node_document);
    options.headers = peer_headers(p.options.cluster_secret, {});
    options.body = p.documents.text;
    options.has_body = true;
    options.answer_size_max = json_body_size_max;
    options.progress_timeout_ms = intra_call_timeout_ms;
    options.on_done = on_push_done;
    options.arg = &target;
    p.counts.pushes++;
    target.push = call_start(*p.client, std::move(options));
}

static void world_cancel(void *arg, publisher &)
{
    proxy_target &target = *static_cast<proxy_target *>(arg);
    call_cancel(*target.push);
    target.push = nullptr;
}

proxy_target &proxy_target_of(proxy &p, const std::string &id)
{
    auto known = p.targets.find(id);
    if (known != p.targets.end())
        return known->second;
    proxy_target &target = p.targets[id];
    target.owner = &p;
    target.id = id;
    target.here.sm.id = p.next_machine_id++;
    target.here.e = p.e;
    target.here.target = id;
    target.copy.sm.id = target.here.sm.id;
    target.copy.e = p.e;
    target.copy.world = {.wanted_version = world_wanted_version,
        .may_be_there = world_may_be_there,
        .send = world_send,
        .cancel = world_cancel,
        .arg = &target};
    presence_begin(target.here);
    publisher_begin(target.copy);
    return target;
}

// --- callers that wait until a document is everywhere

static bool is_pushed(const proxy &p, uint64_t version)
{
    for (const cluster_node &node : proxy_document(p).nodes) {
        auto it = p.targets.find(node.id);
        if (!node.is_target || it == p.targets.end())
            continue;
        const proxy_target &target = it->second;
        // After a restart of the proxy no target has been heard yet: the first push shows which ones live.
        bool is_asked = !presence_was_heard(target.here) && publisher_is_sending(target.copy);
        if ((is_asked || presence_is_here(target.here)) && target.copy.held_version < version)
            return false;
    }
    return true;
}

static void arm_tick(proxy &p)
{
    uint64_t due = UINT64_MAX;
    for (const proxy_waiter &waiter : p.waiters)
        due = waiter.deadline_ms < due ? waiter.deadline_ms : due;
    if (due == UINT64_MAX || p.tick == nullptr)
        return;
    uint64_t now = clock_now_ms(*p.e);
    timer_arm(*p.e, p.tick, due > now ? due - now : 0);
}

// Completes the callers whose version is everywhere or whose time is over, or (at the end) all of them.
static void release_waiters(proxy &p, bool all)
{
    uint64_t now = clock_now_ms(*p.e);
    for (size_t i = 0; i < p.waiters.size();) {
        proxy_waiter &waiter = p.waiters[i];
        if (!all && now < waiter.deadline_ms && !is_pushed(p, waiter.version)) {
            i++;
            continue;
        }
        clock_post(*p.e, waiter.on_pushed, waiter.arg);
        p.waiters.erase(p.waiters.begin() + static_cast<std::ptrdiff_t>(i));
    }
    arm_tick(p);
}

static void on_tick(void *arg) { release_waiters(*static_cast<proxy *>(arg), false); }

void proxy_wait_pushed(proxy &p, void (*on_pushed)(void *arg), void *arg)
{
    uint64_t version = proxy_document(p).version;
    if (lifecycle_is_closing(p.life) || is_pushed(p, version)) {
        clock_post(*p.e, on_pushed, arg);
        return;
    }
    p.waiters.push_back({.version = version, .deadline_ms = clock_now_ms(*p.e) + push_wait_ms, .on_pushed = on_pushed, .arg = arg});
    arm_tick(p);
}

// --- documents that do not match

void proxy_note_odds(proxy_target &target, const std::string &why)
{
    if (target.odds.empty())
        LOG(error, "cluster", "target=%s reason=\"%s\" msg=\"the documents of this proxy and of the target do not go together\"",
            target.id.c_str(), text_escape(why).c_str());
    target.odds = why;
}

std::string proxy_odds_text(const proxy &p)
{
    if (std::string behind = proxy_behind_text(p); !behind.empty())
        return behind;
    for (const auto &[id, target] : p.targets) {
        const cluster_node *node = document_find_node(proxy_document(p), id);
        if (!target.odds.empty() && node != nullptr)
            return target.odds;
    }
    return {};
}

std::string proxy_unheard_text(const proxy &p, const std::string &id, error_code &out_code)
{
    auto found = p.targets.find(id);
    bool is_at_odds = found != p.targets.end() && !found->second.odds.empty();
    out_code = is_at_odds ? error_code::diverged : error_code::unavailable;
    return is_at_odds ? found->second.odds : "target " + id + " is silent";
}

uint64_t proxy_held_by_all(const proxy &p)
{
    uint64_t held = UINT64_MAX;
    for (const cluster_node &node : proxy_document(p).nodes) {
        if (!node.is_target)
            continue;
        auto found = p.targets.find(node.id);
        uint64_t own = found != p.targets.end() ? found->second.copy.held_version : 0;
        held = own < held ? own : held;
    }
    return held;
}

bool proxy_is_at_odds(const proxy &p)
{
    bool any = false;
    for (const auto &[id, target] : p.targets) {
        if (document_find_node(proxy_document(p), id) == nullptr)
            continue;
        any = any || !target.odds.empty();
        if (target.odds.empty() && !proxy_target_is_silent(p, id))
            return false;
    }
    return any;
}

// --- pushes and their results

static void note_push_failure(proxy_target &target, error err, int status, const std::string &body)
{
    proxy &p = *target.owner;
    p.counts.push_failures++;
    error_envelope refusal = err ? error_envelope{err.code, error_text(err)} : error_envelope_read(status, body);
    // A push that was overtaken, by the answer to a registration or by the next change, says nothing about the current document.
    bool is_current = target.copy.sent_version == proxy_document(p).version;
    if (refusal.code == error_code::diverged || (refusal.code == error_code::newer_version && is_current))
        proxy_note_odds(target, refusal.message);
    const cluster_node *node = document_find_node(proxy_document(p), target.id);
    if (refusal.code == error_code::newer_version && is_current && node != nullptr)
        proxy_note_ahead(p, target.id, node->url, refusal.message);
    if (target.copy.failures == 0)
        LOG(warn, "cluster", "target=%s version=%llu reason=\"%s\" msg=\"the cluster document could not be pushed, trying again\"",
            target.id.c_str(), static_cast<unsigned long long>(target.copy.sent_version), text_escape(refusal.message).c_str());
}

static void on_push_done(void *arg, call &, error err, int status, std::string body)
{
    proxy_target &target = *static_cast<proxy_target *>(arg);
    bool ok = !err && status >= 200 && status < 300;
    target.push = nullptr;
    if (ok) {
        target.odds.clear();
        presence_heard(target.here);
    } else {
        note_push_failure(target, err, status, body);
    }
    publisher_sent(target.copy, ok);
    release_waiters(*target.owner, false);
}

void proxy_push(proxy &p)
{
    if (lifecycle_is_closing(p.life))
        return;
    for (const cluster_node &node : proxy_document(p).nodes) {
        if (node.is_target)
            proxy_target_of(p, node.id);
    }
    for (auto &[id, target] : p.targets)
        publisher_published(target.copy);
}

void proxy_note_registered(proxy_target &target, uint64_t version)
{
    target.odds.clear();
    presence_heard(target.here);
    publisher_heard(target.copy, version);
    release_waiters(*target.owner, false);
}

// --- start and shutdown

void proxy_targets_forget(proxy &p)
{
    for (auto &[id, target] : p.targets) {
        publisher_stop(target.copy);
        presence_stop(target.here);
    }
    p.targets.clear();
}

void proxy_targets_begin(proxy &p)
{
    p.tick = timer_make(*p.e, on_tick, &p);
    proxy_placement_begin(p);
}

void proxy_targets_stop(proxy &p)
{
    for (auto &[id, target] : p.targets) {
        publisher_stop(target.copy);
        presence_stop(target.here);
    }
    proxy_placement_stop(p);
    proxy_last_counts_stop(p);
    release_waiters(p, true);
    if (p.tick != nullptr)
        timer_free(*p.e, p.tick);
    p.tick = nullptr;
}

// --- targets as peers of a broadcast

std::vector<broadcast_peer> proxy_target_peers(const proxy &p)
{
    std::vector<broadcast_peer> peers;
    for (const cluster_node &node : proxy_document(p).nodes) {
        if (node.is_target)
            peers.push_back({node.id, node.url});
    }
    return peers;
}

std::vector<broadcast_peer> proxy_placed_peers(const proxy &p)
{
    std::vector<broadcast_peer> peers;
    for (const cluster_node &node : proxy_document(p).nodes) {
        if (cluster_node_is_placed(node))
            peers.push_back({node.id, node.url});
    }
    for (const cluster_node *giver : document_givers(proxy_document(p))) {
        if (!cluster_node_is_placed(*giver))
            peers.push_back({giver->id, giver->url});
    }
    return peers;
}

// It has no objects, no pods, and serves no requests.
static bool is_dispensable(const proxy &p, const cluster_node &node)
{
    placement_state state = document_placement_state(proxy_document(p), node);
    bool is_outside = state == placement_state::fresh || state == placement_state::lost;
    return state == placement_state::maintenance || (is_outside && proxy_target_is_silent(p, node.id));
}

std::vector<broadcast_peer> proxy_needed_peers(const proxy &p)
{
    std::vector<broadcast_peer> peers;
    for (const cluster_node &node : proxy_document(p).nodes) {
        if (node.is_target && !is_dispensable(p, node))
            peers.push_back({node.id, node.url});
    }
    return peers;
}

const cluster_node *proxy_silent_target(const proxy &p)
{
    for (const cluster_node &node : proxy_document(p).nodes) {
        if (node.is_target && proxy_target_is_silent(p, node.id) && !is_dispensable(p, node))
            return &node;
    }
    return nullptr;
}

} // namespace etlnode
