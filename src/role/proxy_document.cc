// SPDX-License-Identifier: MIT
// role/proxy_document.cc: the proxy's ownership of the cluster document: load it, change it, push it; who is registered and who lives.
//
// Owns     what the proxy has seen of each target, one push a target, one timer.
// Knows    cluster, http, document_queue.        Known by  proxy.cc and the handlers.
// Normal   a change is durable, then every target gets the new document; heartbeats say which version a target holds.
// Fails    a push that fails is repeated with growing pauses; a silent target gets the document when it registers again.
// Limits   push_retry_max_ms, push_wait_ms, target_silent_ms, target_count_max.
#include "role/proxy.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "cluster/placement.h"
#include "codec/json.h"
#include "codec/url.h"
#include "port/clock.h"
#include "port/meta.h"
#include "role/control.h"

// --- loading

struct proxy_load {
    proxy *p;
    void (*on_loaded)(proxy &p, error err, const std::string &detail);
};

static void finish_load(proxy_load *load, error err, const std::string &detail)
{
    proxy &p = *load->p;
    auto on_loaded = load->on_loaded;
    delete load;
    on_loaded(p, err, detail);
}

static bool was_named_by_user(const cluster_etl &etl) { return etl.id == etl.name; }

// What was initializing when the proxy ended: its caller is gone. One that the user named stays to be seen, as aborted; ids that nobody
// has been told yet are forgotten.
static bool abort_unfinished(cluster_document &document)
{
    bool changed = false;
    for (size_t i = document.etls.size(); i-- > 0;) {
        cluster_etl &etl = document.etls[i];
        if (etl.stage != etl_stage::initializing)
            continue;
        changed = true;
        LOG(warn, "etl", "etl=%s msg=\"aborted: the proxy restarted while it was initializing\"", text_escape(etl.id).c_str());
        if (was_named_by_user(etl)) {
            etl.stage = etl_stage::aborted;
            etl.last_error = "the proxy restarted while the ETL was initializing";
        } else {
            document.etls.erase(document.etls.begin() + static_cast<std::ptrdiff_t>(i));
        }
    }
    for (cluster_etl &etl : document.etls) // also those of a version that kept them
        changed = document_shed_spec(etl) || changed;
    return changed;
}

static error apply_start(void *arg, cluster_document &next)
{
    proxy &p = *static_cast<proxy_load *>(arg)->p;
    abort_unfinished(next);
    for (size_t i = next.nodes.size(); i-- > 0;) {
        if (!next.nodes[i].is_target && next.nodes[i].id != p.id)
            next.nodes.erase(next.nodes.begin() + static_cast<std::ptrdiff_t>(i)); // one proxy a cluster
    }
    cluster_node self;
    self.id = p.id;
    self.url = p.url;
    self.digest = placement_digest(p.id);
    document_put_node(next, static_cast<cluster_node &&>(self));
    return no_error;
}

static void on_started(void *arg, error err)
{
    proxy_load *load = static_cast<proxy_load *>(arg);
    load->p->loaded_version = proxy_document(*load->p).version;
    finish_load(load, err, err ? std::string("the cluster document could not be stored: ") + error_text(err) : std::string());
}

static void on_read(void *arg, error err, uint64_t version, const std::string &text)
{
    proxy_load *load = static_cast<proxy_load *>(arg);
    proxy &p = *load->p;
    cluster_document document;
    if (!err && version > 0)
        err = document_parse(text, document);
    if (err) {
        finish_load(load, err, std::string("the cluster document in the data directory could not be read: ") + error_text(err));
        return;
    }
    bool is_needed = version == 0;
    if (version == 0) {
        static constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        document.uuid = rng_text(p.e->random, alphabet, sizeof alphabet - 1, 12);
        document.created = control_time_text(clock_wall_ns(*p.e), false);
        LOG(info, "cluster", "cluster=%s msg=\"a new cluster\"", document.uuid.c_str());
    } else {
        const cluster_node *self = document_find_node(document, p.id);
        is_needed = self == nullptr || self->url != p.url;
        for (const cluster_etl &etl : document.etls)
            is_needed = is_needed || etl.stage == etl_stage::initializing || document_is_to_shed_spec(etl);
    }
    p.documents.current = static_cast<cluster_document &&>(document);
    p.documents.text = text;
    if (!is_needed) {
        p.loaded_version = version;
        proxy_push(p);
        finish_load(load, no_error, {});
        return;
    }
    document_queue_add(p.documents, {.apply = apply_start, .on_done = on_started, .arg = load});
}

static void on_stored(void *arg) { proxy_push(*static_cast<proxy *>(arg)); }
static void on_tick(void *arg);

void proxy_document_load(proxy &p, void (*on_loaded)(proxy &p, error err, const std::string &detail))
{
    p.documents.e = p.e;
    p.documents.on_stored = on_stored;
    p.documents.arg = &p;
    p.tick = timer_make(*p.e, on_tick, &p);
    meta_read(*p.e, p.documents.name, on_read, new proxy_load{&p, on_loaded});
}

// --- pushing

bool proxy_target_is_silent(const proxy &p, std::string_view id)
{
    auto it = p.targets.find(std::string(id));
    return it == p.targets.end() || !it->second.heard || clock_now_ms(*p.e) - it->second.heard_ms > target_silent_ms;
}

static proxy_target &target_of(proxy &p, const std::string &id)
{
    proxy_target &target = p.targets[id];
    target.owner = &p;
    target.id = id;
    return target;
}

static bool is_pushed(const proxy &p, uint64_t version)
{
    for (const cluster_node &node : proxy_document(p).nodes) {
        auto it = p.targets.find(node.id);
        if (!node.is_target || it == p.targets.end())
            continue;
        // After a restart of the proxy nobody has been heard yet: the first push tells who lives.
        bool is_asked = !it->second.heard && it->second.push != nullptr;
        if ((is_asked || !proxy_target_is_silent(p, node.id)) && it->second.acked_version < version)
            return false;
    }
    return true;
}

// Waiters whose version is everywhere, or whose time is up, or (at the end) all of them.
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
}

static void arm_tick(proxy &p)
{
    uint64_t due = UINT64_MAX;
    for (const proxy_waiter &waiter : p.waiters)
        due = waiter.deadline_ms < due ? waiter.deadline_ms : due;
    for (const auto &[id, target] : p.targets) {
        if (target.push == nullptr && target.push_due_ms > 0 && target.push_due_ms < due)
            due = target.push_due_ms;
        if (target.heard && !target.is_silence_told && target.heard_ms + target_silent_ms + 1 < due)
            due = target.heard_ms + target_silent_ms + 1;
    }
    if (due == UINT64_MAX || p.tick == nullptr)
        return;
    uint64_t now = clock_now_ms(*p.e);
    timer_arm(*p.e, p.tick, due > now ? due - now : 0);
}

static void mark_heard(proxy &p, proxy_target &target)
{
    if (!target.heard || target.is_silence_told)
        LOG(info, "cluster", "target=%s msg=\"target is here\"", target.id.c_str());
    target.heard = true;
    target.is_silence_told = false;
    target.heard_ms = clock_now_ms(*p.e);
}

static void note_odds(proxy_target &target, const std::string &why)
{
    if (target.odds.empty())
        LOG(error, "cluster", "target=%s reason=\"%s\" msg=\"the documents of this proxy and of the target do not go together\"", target.id.c_str(), text_escape(why).c_str());
    target.odds = why;
}

std::string proxy_odds_text(const proxy &p)
{
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

static void on_push_done(void *arg, call &, error err, int status, std::string body)
{
    proxy_target &target = *static_cast<proxy_target *>(arg);
    proxy &p = *target.owner;
    target.push = nullptr;
    if (!err && status >= 200 && status < 300) {
        target.push_failures = 0;
        target.push_due_ms = 0;
        target.odds.clear();
        mark_heard(p, target);
        if (target.acked_version < target.push_version)
            target.acked_version = target.push_version;
    } else {
        p.counts.push_failures++;
        target.push_failures++;
        uint64_t pause = push_retry_min_ms;
        for (uint64_t i = 1; i < target.push_failures && pause < push_retry_max_ms; i++)
            pause *= 2;
        target.push_due_ms = clock_now_ms(*p.e) + (pause < push_retry_max_ms ? pause : push_retry_max_ms);
        control_error told = err ? control_error{err.code, error_text(err)} : control_read_error(status, body);
        // A push that was overtaken, by the answer to a registration or by the next change, says nothing about the document of now.
        bool is_current = target.push_version == proxy_document(p).version;
        if (told.code == error_code::diverged || (told.code == error_code::newer_version && is_current))
            note_odds(target, told.message);
        if (target.push_failures == 1) {
            const std::string &why = told.message;
            LOG(warn, "cluster", "target=%s version=%llu reason=\"%s\" msg=\"the cluster document could not be pushed, trying again\"", target.id.c_str(),
                static_cast<unsigned long long>(target.push_version), text_escape(why).c_str());
        }
    }
    proxy_push(p);
    release_waiters(p, false);
    arm_tick(p);
}

static void push_to(proxy &p, proxy_target &target, const cluster_node &node)
{
    url_base base;
    target.push_due_ms = 0;
    if (!url_parse_base(node.url, base))
        return;
    call_options options;
    options.host = base.host;
    options.port = base.port;
    options.method = "PUT";
    options.target = base.path + std::string(path_node_document);
    options.headers = control_peer_headers(p.options, {});
    options.body = p.documents.text;
    options.has_body = true;
    options.answer_size_max = json_body_size_max;
    options.progress_timeout_ms = intra_call_timeout_ms;
    options.on_done = on_push_done;
    options.arg = &target;
    target.push_version = proxy_document(p).version;
    p.counts.pushes++;
    target.push = call_start(*p.client, static_cast<call_options &&>(options));
}

void proxy_push(proxy &p)
{
    if (p.cut_off)
        return;
    uint64_t now = clock_now_ms(*p.e);
    uint64_t version = proxy_document(p).version;
    for (auto &[id, target] : p.targets) { // nothing is due any more: else the tick would come back at once, for ever
        if (target.acked_version >= version || document_find_node(proxy_document(p), id) == nullptr)
            target.push_due_ms = 0;
    }
    for (const cluster_node &node : proxy_document(p).nodes) {
        if (!node.is_target)
            continue;
        proxy_target &target = target_of(p, node.id);
        if (target.acked_version >= version || target.push != nullptr || target.push_due_ms > now)
            continue;
        bool never_tried = !target.heard && target.push_failures == 0; // after a restart of the proxy
        if (proxy_target_is_silent(p, node.id) && !never_tried) {
            target.push_due_ms = 0; // it gets the document when it registers
            continue;
        }
        push_to(p, target, node);
    }
    arm_tick(p);
}

static void tell_silence(proxy &p)
{
    for (auto &[id, target] : p.targets) {
        if (!target.heard || target.is_silence_told || !proxy_target_is_silent(p, id))
            continue;
        target.is_silence_told = true;
        LOG(warn, "cluster", "target=%s msg=\"target is silent: its objects are unavailable until it is heard again\"", id.c_str());
    }
}

static void on_tick(void *arg)
{
    proxy &p = *static_cast<proxy *>(arg);
    tell_silence(p);
    proxy_push(p);
    release_waiters(p, false);
    arm_tick(p);
}

void proxy_wait_pushed(proxy &p, void (*on_pushed)(void *arg), void *arg)
{
    uint64_t version = proxy_document(p).version;
    if (p.cut_off || is_pushed(p, version)) {
        clock_post(*p.e, on_pushed, arg);
        return;
    }
    p.waiters.push_back({.version = version, .deadline_ms = clock_now_ms(*p.e) + push_wait_ms, .on_pushed = on_pushed, .arg = arg});
    arm_tick(p);
}

void proxy_document_stop(proxy &p)
{
    for (auto &[id, target] : p.targets) {
        if (target.push != nullptr)
            call_cancel(*target.push);
        target.push = nullptr;
    }
    release_waiters(p, true);
    if (p.tick != nullptr)
        timer_free(*p.e, p.tick);
    p.tick = nullptr;
}

std::vector<gather_peer> proxy_target_peers(const proxy &p)
{
    std::vector<gather_peer> peers;
    for (const cluster_node &node : proxy_document(p).nodes) {
        if (node.is_target)
            peers.push_back({node.id, node.url});
    }
    return peers;
}

std::vector<gather_peer> proxy_placed_peers(const proxy &p)
{
    std::vector<gather_peer> peers;
    for (const cluster_node &node : proxy_document(p).nodes) {
        if (node.is_target && (node.flags & (node_flag_maintenance | node_flag_decommission)) == 0)
            peers.push_back({node.id, node.url});
    }
    return peers;
}

static bool is_dispensable(const proxy &p, const cluster_node &node) { return (node.flags & node_flag_maintenance) != 0 && proxy_target_is_silent(p, node.id); }

std::vector<gather_peer> proxy_needed_peers(const proxy &p)
{
    std::vector<gather_peer> peers;
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

// --- registration

static void note_heard(proxy_request &r)
{
    proxy_target &target = target_of(*r.p, r.node.id);
    mark_heard(*r.p, target);
    target.object_count = r.peer_objects;
    target.is_count_known = r.is_peer_count_known;
    // What it says it holds counts, also when that is less than before: its data directory may have been replaced.
    target.acked_version = r.peer_document.version;
    target.odds.clear();
    target.push_due_ms = 0;
    target.push_failures = 0;
}

static void answer_member(proxy_request &r)
{
    proxy &p = *r.p;
    note_heard(r);
    p.counts.registrations++;
    answer a;
    if (r.peer_document.version == proxy_document(p).version) { // and equal: on_registration has compared them
        a.status = 204;
    } else {
        a.content_type = "application/json";
        a.body = p.documents.text;
    }
    proxy_request_answer(r, static_cast<answer &&>(a));
    release_waiters(p, false);
    arm_tick(p);
}

static bool may_hold_objects(const proxy_request &r) { return !r.is_peer_count_known || r.peer_objects > 0; }

static error apply_member(void *arg, cluster_document &next)
{
    proxy_request &r = *static_cast<proxy_request *>(arg);
    if (cluster_node *known = document_find_node(next, r.node.id)) {
        known->url = r.node.url;
        if (document_may_return(next, *known))
            document_return(next, *known);
        return no_error;
    }
    size_t targets = 0;
    for (const cluster_node &node : next.nodes)
        targets += node.is_target ? 1 : 0;
    if (targets >= target_count_max)
        return make_error(error_code::conflict, "the cluster has as many targets as it may have");
    r.node.flags = 0;
    bool is_departed = document_has_left(next, r.node.id);
    bool may_return = is_departed && r.is_peer_of_cluster && document_may_return(next, r.node);
    // What it missed may have been written or deleted elsewhere: then its copies must not show up again.
    if (!next.buckets.empty() && !may_return && (r.holds_objects || (is_departed && may_hold_objects(r))))
        r.node.flags |= node_flag_maintenance;
    cluster_node &node = document_put_node(next, r.node);
    if (may_return)
        document_return(next, node);
    return no_error;
}

static void on_member_stored(proxy_request &r, error err)
{
    if (err) {
        r.p->counts.registrations_refused++;
        proxy_request_fail(r, err.code, error_text(err));
        return;
    }
    const cluster_node *node = document_find_node(proxy_document(*r.p), r.node.id);
    if (node != nullptr && (node->flags & node_flag_maintenance) != 0)
        LOG(warn, "cluster", "target=%s reason=\"%s\" msg=\"the target joins in maintenance: it gets no objects, and what it holds is in no list\"", r.node.id.c_str(),
            text_escape(proxy_maintenance_text(proxy_document(*r.p), *node)).c_str());
    answer_member(r);
}

// What the other targets hold decides whether a new one may take part in placement at once.
static void on_counts(proxy_request &r, std::vector<gather_answer> answers)
{
    bool is_empty = true;
    for (const gather_answer &one : answers) {
        json_ptr tree;
        std::string where;
        if (!gather_succeeded(one) || json_parse(one.body, tree, where) || json_u64(tree.get(), "object_count", 1) > 0)
            is_empty = false;
    }
    r.holds_objects = !is_empty;
    proxy_request_change(r, apply_member, false, on_member_stored);
}

static void refuse_member(proxy_request &r, error_code code, const std::string &text)
{
    r.p->counts.registrations_refused++;
    LOG(warn, "cluster", "peer=%s reason=\"%s\" msg=\"registration refused\"", exchange_peer(*r.x).c_str(), text_escape(text).c_str());
    proxy_request_fail(r, code, text);
}

static void refuse_stranger(proxy_request &r, std::string_view uuid)
{
    proxy &p = *r.p;
    const std::string &own = proxy_document(p).uuid;
    if (p.strangers.size() < stranger_count_max || p.strangers.find(r.node.id) != p.strangers.end())
        p.strangers[r.node.id] = {.cluster = std::string(uuid), .peer = exchange_peer(*r.x), .heard_ms = clock_now_ms(*p.e)};
    refuse_member(r, error_code::conflict,
        "target " + r.node.id + " belongs to cluster " + text_escape(uuid) + ", this is cluster " + own + ". If the proxy of " + text_escape(uuid) +
            " has lost its data directory: stop this proxy and start it with a copy of that directory, the target's objects are untouched. If the target is to join this cluster: start it with an empty data directory");
}

static void refuse_lineage(proxy_request &r, document_relation relation)
{
    bool is_newer = relation == document_relation::newer;
    std::string text = "target " + r.node.id + " holds " + document_identity_text(r.peer_document) + " of the cluster document, the proxy " + document_identity_text(document_identify(proxy_document(*r.p)));
    text += is_newer ? ": the proxy's data directory is older. Start the proxy with the newer directory"
                     : ": they have diverged, one of the two data directories was restored or copied. Start the proxy with the directory that the targets know, or the target with an empty one";
    if (document_find_node(proxy_document(*r.p), r.node.id) != nullptr)
        note_odds(target_of(*r.p, r.node.id), text);
    refuse_member(r, is_newer ? error_code::newer_version : error_code::diverged, text);
}

// The first number of a registration that is none; empty: what is there is right. A target of before leaves some out.
static std::string wrong_number(const cJSON *tree)
{
    for (const char *key : {"document_version", "document_term", "document_tag", "document_digest", "object_count", "started_ns"}) {
        bool is_right = json_get(tree, key) == nullptr || json_u64(tree, key, 0) == json_u64(tree, key, 1); // an unfit one is the fallback
        if (!is_right)
            return std::string(key) + ": expected a whole number";
    }
    return {};
}

static void admit_member(proxy_request &r)
{
    proxy &p = *r.p;
    const cluster_document &document = proxy_document(p);
    const cluster_node *known = document_find_node(document, r.node.id);
    LOG(info, "cluster", "target=%s url=%s msg=\"%s\"", r.node.id.c_str(), text_escape(r.node.url).c_str(), known == nullptr ? "a new target" : known->url == r.node.url ? "a target is placed again" : "a target has a new URL");
    std::vector<gather_peer> peers = proxy_target_peers(p);
    bool uploads = p.upload_ms > 0 && clock_now_ms(*p.e) - p.upload_ms < upload_settle_ms;
    if (known != nullptr || document.buckets.empty() || uploads || peers.empty()) {
        r.holds_objects = uploads || may_hold_objects(r);
        proxy_request_change(r, apply_member, false, on_member_stored);
        return;
    }
    gather_request request;
    request.target = "/v1/node/status";
    request.deadline_ms = etl_status_timeout_ms;
    proxy_request_gather(r, peers, request, on_counts);
}

// Two processes of one id, one of which runs with a copy of the other's data directory, would take turns, and objects go to either.
static void on_former(proxy_request &r, std::vector<gather_answer> answers)
{
    const cluster_node *known = document_find_node(proxy_document(*r.p), r.node.id);
    json_ptr tree;
    std::string where;
    bool is_other = known != nullptr && gather_succeeded(answers[0]) && !json_parse(answers[0].body, tree, where) && json_text(tree.get(), "id") == r.node.id;
    uint64_t started_ns = is_other ? json_u64(tree.get(), "started_ns", 0) : 0;
    if (started_ns == 0 || started_ns == r.peer_started_ns) { // gone, or the same one by a second name
        admit_member(r);
        return;
    }
    refuse_member(r, error_code::conflict,
        "target " + r.node.id + " runs at " + known->url + " already: the target at " + text_escape(r.node.url) +
            " has a copy of its data directory. End one of the two, and start it with an empty directory if both are to be in the cluster");
}

static void on_registration(proxy_request &r, std::string body)
{
    proxy &p = *r.p;
    json_ptr tree;
    std::string where;
    error err = json_parse(body, tree, where);
    if (!err)
        err = node_parse(tree.get(), r.node);
    url_base base;
    if (err || !r.node.is_target || !control_is_node_id(r.node.id) || !url_parse_base(r.node.url, base)) {
        refuse_member(r, error_code::bad_json, "a registration is {\"id\",\"type\",\"url\",\"document_version\",\"object_count\"}: " + (where.empty() && err ? error_text(err) : where));
        return;
    }
    if (std::string wrong = wrong_number(tree.get()); !wrong.empty()) {
        refuse_member(r, error_code::bad_json, "the registration of target " + r.node.id + ": " + wrong);
        return;
    }
    r.node.digest = placement_digest(r.node.id);
    r.node.flags = 0;
    r.peer_document = {.term = json_u64(tree.get(), "document_term", 0), .tag = json_u64(tree.get(), "document_tag", 0),
                       .version = json_u64(tree.get(), "document_version", 0), .digest = json_u64(tree.get(), "document_digest", 0)};
    r.peer_objects = json_u64(tree.get(), "object_count", 0);
    r.is_peer_count_known = json_get(tree.get(), "object_count") != nullptr;
    r.peer_started_ns = json_u64(tree.get(), "started_ns", 0);
    std::string_view uuid = json_text(tree.get(), "cluster");
    const cluster_document &document = proxy_document(p);
    if (!uuid.empty() && uuid != document.uuid) {
        refuse_stranger(r, uuid);
        return;
    }
    r.is_peer_of_cluster = !uuid.empty();
    if (json_get(tree.get(), "document_digest") == nullptr && r.peer_document.version <= document.version) // a target of before: only its version is known
        r.peer_document = r.peer_document.version == document.version ? document_identify(document) : document_identity{};
    document_relation relation = document_relate(r.peer_document, document);
    if (relation == document_relation::newer || relation == document_relation::diverged) {
        refuse_lineage(r, relation);
        return;
    }
    const cluster_node *known = document_find_node(document, r.node.id);
    if (known != nullptr && !known->is_target) {
        refuse_member(r, error_code::conflict, "id " + r.node.id + " is the proxy's own");
        return;
    }
    if (known != nullptr && known->url == r.node.url && !document_may_return(document, *known)) {
        answer_member(r);
        return;
    }
    if (known == nullptr || known->url == r.node.url || r.peer_started_ns == 0) {
        admit_member(r);
        return;
    }
    gather_request request;
    request.target = "/v1/node/status";
    request.deadline_ms = intra_call_timeout_ms / 2; // the target waits for that long
    proxy_request_gather(r, {{known->id, known->url}}, request, on_former);
}

void proxy_serve_register(proxy &p, exchange &x)
{
    if (!control_admit_peer(p.options, x))
        return;
    proxy_request_read(proxy_request_make(p, x), json_body_size_max, on_registration);
}
