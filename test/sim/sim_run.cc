// SPDX-License-Identifier: MIT
// test/sim/sim_run.cc: the phases of a run and the audit at its end.
//
// Normal   start; faults and load (safety: every answer is checked); healing; liveness within liveness_us; quiet; audit; end.
#include "sim_run.h"

#include <algorithm>

#include "base/text.h"
#include "control/placement_epochs.h"
#include "role/proxy/proxy.h"
#include "role/target/target.h"
#include "sim_cluster.h"
#include "sim_load.h"
#include "sim_moves.h"
#include "sim_rows.h"
#include "sim_scenario.h"
#include "store/content_path.h"
#include "store/store_internal.h"
#include "transfer/transfer.h"

namespace etlnode {

static constexpr uint64_t second = 1'000'000;
static constexpr uint64_t start_us = 60 * second; // for the first start, without faults
// From healing to a round in which everything succeeds: longer than every back-off and deadline.
static constexpr uint64_t liveness_us = 240 * second;
static constexpr uint64_t request_us = 400 * second; // three times a client's patience, for proxy, target and pod
static constexpr uint64_t quiet_us = 100 * second;   // longer than idle_timeout_ms

struct sim_scene {
    sim_world *w = nullptr;
    sim_cluster *cluster = nullptr;
    sim_load *load = nullptr;
    sim_rows *rows = nullptr;
    sim_moves *moves = nullptr;   // null: the members stay
    sim_losses *losses = nullptr; // of a scenario
    rng loss_random;
    uint64_t faults_until_us = 0;
};

static void pass(sim_scene &s, uint64_t until_us) { sim_cluster_pass(*s.cluster, until_us); }

// Waits until nothing is in flight; false if that takes too long.
static bool settle_load(sim_scene &s, uint64_t limit_us)
{
    uint64_t until = s.w->now_us + limit_us;
    while (s.load->in_flight > 0 && sim_step(*s.w, until))
        sim_cluster_tend(*s.cluster);
    return s.load->in_flight == 0;
}

// --- faults of nodes, at times drawn in advance

struct node_fault {
    sim_scene *scene = nullptr;
    sim_fault what = sim_fault::count;
};

static sim_node &draw_target(sim_scene &s)
{
    return *s.cluster->nodes[static_cast<size_t>(sim_between(*s.w, 1, s.cluster->nodes.size() - 1))];
}

static void pause(sim_node &node)
{
    if (node.host != nullptr && !node.is_leaving)
        node.host->paused_until_us = node.world->now_us + sim_between(*node.world, 100'000, 15 * second);
}

static void on_node_fault(void *arg)
{
    auto *fault = static_cast<node_fault *>(arg);
    sim_scene &s = *fault->scene;
    sim_world &w = *s.w;
    sim_fault what = fault->what;
    delete fault;
    if (!w.faults_on)
        return;
    sim_count_hit(w, what);
    uint64_t down_us = sim_chance(w, 500) ? sim_between(w, 10'000, 500'000) : sim_between(w, 500'000, 20 * second);
    sim_node &proxy = *s.cluster->nodes[0];
    switch (what) {
    case sim_fault::proxy_crash: sim_node_crash(proxy, static_cast<memory_crash>(sim_below(w, 3)), down_us); break;
    case sim_fault::proxy_pause: pause(proxy); break;
    case sim_fault::proxy_clock_jump:
        if (proxy.host != nullptr)
            proxy.host->clock.wall_skew_ms += static_cast<int64_t>(sim_between(w, 0, 4 * 86'400'000)) - 2 * 86'400'000;
        break;
    case sim_fault::proxy_stale_map: sim_net_hold(w, "proxy", draw_target(s).name, w.now_us + sim_between(w, second, 20 * second)); break;
    case sim_fault::target_killed: sim_node_crash(draw_target(s), memory_crash::killed, down_us); break;
    case sim_fault::target_power_cut: sim_node_crash(draw_target(s), memory_crash::power_cut, down_us); break;
    case sim_fault::target_torn_disk: sim_node_crash(draw_target(s), memory_crash::torn, down_us); break;
    case sim_fault::target_pause: pause(draw_target(s)); break;
    case sim_fault::target_drained: sim_node_drain(draw_target(s), down_us); break;
    case sim_fault::kubectl_pod_deleted: sim_kube_delete_any(*w.kube); break;
    case sim_fault::kubectl_pod_evicted: sim_kube_evict_any(*w.kube); break;
    default: CHECK(false);
    }
}

static void plan_node_faults(sim_scene &s)
{
    sim_world &w = *s.w;
    for (size_t i = 0; i < sim_fault_count; i++) {
        auto fault = static_cast<sim_fault>(i);
        bool is_of_nodes = (fault >= sim_fault::proxy_crash && fault <= sim_fault::target_drained) ||
                           fault == sim_fault::kubectl_pod_deleted || fault == sim_fault::kubectl_pod_evicted;
        if (!is_of_nodes || !w.enabled[i])
            continue;
        for (uint64_t n = sim_between(w, 1, 3); n > 0; n--)
            (void)sim_after(w, nullptr, sim_below(w, s.faults_until_us - w.now_us), on_node_fault, new node_fault{&s, fault});
    }
}

// --- audit

static void audit_disk(sim_scene &s, sim_node &node, std::set<std::pair<std::string, std::string>> &seen)
{
    sim_world &w = *s.w;
    const memory_image &image = node.host->now;
    std::set<std::string> wanted;
    for (const auto &[key, row] : image.rows) {
        if (!seen.insert(key).second)
            sim_fail(w, "%s/%s lies on two targets", key.first.c_str(), key.second.c_str());
        if (row.content_id == 0)
            continue;
        if (row.in_index) {
            if (row.content.size() != row.size)
                sim_fail(w, "S4: %s: the content of %s/%s has another size than its row", node.name.c_str(), key.first.c_str(),
                    key.second.c_str());
            continue;
        }
        std::string path = content_final_path("/data", row.content_id);
        wanted.insert(path);
        uint64_t file = memory_find(image, path);
        if (file == 0)
            sim_fail(
                w, "S4: %s: the content of %s/%s is not at %s", node.name.c_str(), key.first.c_str(), key.second.c_str(), path.c_str());
        else if (image.nodes.at(file).data.size() != row.size)
            sim_fail(
                w, "S4: %s: the content of %s/%s has another size than its row", node.name.c_str(), key.first.c_str(), key.second.c_str());
    }
    for (uint64_t id : node.host->as_target->objects->unconfirmed)
        wanted.insert(content_temp_path("/data", id));
    for (const std::string &path : memory_files(image, "/data")) {
        if (!wanted.contains(path))
            sim_fail(w, "S7: %s: nobody owns %s", node.name.c_str(), path.c_str());
    }
    if (!image.garbage.empty() || !image.pending_moves.empty())
        sim_fail(w, "S7: %s: %zu contents are garbage and %zu are not in their place, long after the last change", node.name.c_str(),
            image.garbage.size(), image.pending_moves.size());
}

static void audit(sim_scene &s)
{
    sim_rows_audit(*s.cluster);
    std::set<std::pair<std::string, std::string>> seen;
    for (size_t i = 1; i < s.cluster->nodes.size(); i++)
        audit_disk(s, *s.cluster->nodes[i], seen);
}

static void audit_pods(sim_scene &s)
{
    sim_world &w = *s.w;
    const cluster_document &document = proxy_document(*s.cluster->nodes[0]->host->as_proxy);
    std::map<std::pair<std::string, std::string>, size_t> found;
    for (const auto &[name, pod] : w.kube->pods) {
        if (document_find_etl(document, pod->etl) == nullptr)
            sim_fail(w, "S7: pod %s belongs to no ETL", name.c_str());
        if (++found[{pod->etl, pod->target}] > 1)
            sim_fail(w, "S7: %s is a second pod of its ETL and target", name.c_str());
    }
    for (const cluster_etl &etl : document.etls) {
        bool is_halted = etl.stage == etl_stage::aborted && std::any_of(s.load->etls.begin(), s.load->etls.end(), [&](const sim_etl *one) {
            return one->name == etl.name && (one->is_doubtful || one->id.empty());
        });
        if (is_halted) {
            for (const auto &[key, count] : found) {
                if (key.first == etl.id)
                    sim_fail(w, "S7: the stopped ETL %s has a pod", etl.name.c_str());
            }
            continue;
        }
        if (etl.stage != etl_stage::running)
            sim_fail(w, "ETL %s is %s long after the last change", etl.name.c_str(),
                std::string(etl_stage_names[static_cast<size_t>(etl.stage)]).c_str());
        for (size_t i = 1; i < s.cluster->nodes.size(); i++) {
            const cluster_node *node = document_find_node(document, sim_node_id(*s.cluster->nodes[i]));
            bool is_spared = node != nullptr && document_placement_state(document, *node) == placement_state::maintenance;
            if (found.contains({etl.id, sim_node_id(*s.cluster->nodes[i])}) == is_spared)
                sim_fail(
                    w, "S4 or S7: ETL %s has %s pod for %s", etl.name.c_str(), is_spared ? "a" : "no", s.cluster->nodes[i]->name.c_str());
        }
    }
}

static void audit_slots(sim_scene &s)
{
    sim_world &w = *s.w;
    for (sim_node *node : s.cluster->nodes) {
        if (node->host->as_target != nullptr) {
            target &t = *node->host->as_target;
            size_t transfers = t.transfers != nullptr ? transfer_host_in_flight(*t.transfers) : 0;
            size_t requests = http_server_in_flight(*t.public_server) + http_server_in_flight(*t.pod_server);
            if (transfers + requests + t.requests.count + t.removals > 0 || t.storing || !t.held.empty())
                sim_fail(w, "stuck: %s has transfers=%zu requests=%zu calls=%zu removals=%zu storing=%d held=%zu", node->name.c_str(),
                    transfers, requests, t.requests.count, t.removals, t.storing, t.held.size());
            std::vector<etl_view> views;
            if (t.etls != nullptr)
                etl_registry_list(*t.etls, views);
            if (t.transfers != nullptr && transfer_host_remembered(*t.transfers) > views.size())
                sim_fail(w, "%s remembers %zu ETLs for its transfers and has %zu", node->name.c_str(),
                    transfer_host_remembered(*t.transfers), views.size());
        } else {
            proxy &p = *node->host->as_proxy;
            if (p.requests != nullptr || !p.starts.empty() || !p.waiters.empty() || http_server_in_flight(*p.server) > 0)
                sim_fail(w, "stuck: the proxy has requests in flight: starts=%zu waiters=%zu", p.starts.size(), p.waiters.size());
        }
        // The calls between proxy and targets keep an idle connection for a moment.
        if (sim_net_open_conns(*node->host) > 2 * s.cluster->nodes.size())
            sim_fail(w, "%s holds %zu connections long after the last request", node->name.c_str(), sim_net_open_conns(*node->host));
        if (node->host->children.size() > (node->is_target ? 2u : 0u)) // the watch and, every 60 s, a list
            sim_fail(w, "%s has %zu children", node->name.c_str(), node->host->children.size());
    }
}

// --- phases

static bool start(sim_scene &s)
{
    sim_world &w = *s.w;
    for (sim_node *node : s.cluster->nodes)
        sim_node_start(*node);
    uint64_t until = w.now_us + start_us;
    auto is_ready = [&] {
        if (!sim_cluster_is_up(*s.cluster))
            return false;
        for (size_t i = 1; i < s.cluster->nodes.size(); i++) {
            if (!lifecycle_is_ready(s.cluster->nodes[i]->host->as_target->life))
                return false;
        }
        return true;
    };
    while (!is_ready() && sim_step(w, until))
        sim_cluster_tend(*s.cluster);
    if (!is_ready()) {
        sim_fail(w, "the cluster did not start");
        return false;
    }
    s.load->is_calm = true;
    sim_load_create_bucket(*s.load, "b");
    sim_load_create_bucket(*s.load, "v");
    bool done = settle_load(s, start_us) && s.load->refused_when_calm == 0;
    if (!done)
        sim_fail(w, "buckets could not be made: %s", s.load->refusal.c_str());
    s.load->is_calm = false;
    return done;
}

static void trouble(sim_scene &s)
{
    sim_world &w = *s.w;
    uint64_t length = sim_chance(w, 100) ? sim_between(w, 60 * second, 150 * second) : sim_between(w, 10 * second, 50 * second);
    uint64_t operations = sim_between(w, 30, 250);
    size_t width = static_cast<size_t>(sim_between(w, 1, 12));
    for (size_t i = 0; i < static_cast<size_t>(sim_fault::member_join); i++)
        w.enabled[i] = sim_chance(w, 350);
    s.load->profile = static_cast<size_t>(sim_below(w, 4));
    if (s.load->profile == 2 || sim_chance(w, 500)) { // with ETLs from the beginning, so that something can be hostile
        for (uint64_t n = sim_between(w, 1, 3); n > 0; n--)
            sim_load_init(*s.load);
        for (size_t i = 0; i < 6; i++)
            sim_load_put(*s.load, *s.load->objects[i]);
        (void)settle_load(s, 30 * second);
    }
    if (s.moves != nullptr) { // so that there is something to move
        for (sim_object *o : s.load->objects)
            sim_load_put(*s.load, *o);
        (void)settle_load(s, 30 * second);
    }
    if (s.moves != nullptr)
        length = sim_moves_length(*s.moves, length);
    w.faults_on = true;
    s.faults_until_us = w.now_us + length;
    plan_node_faults(s);
    if (s.moves != nullptr)
        sim_moves_plan(*s.moves, s.faults_until_us);
    while (w.now_us < s.faults_until_us) {
        pass(s, w.now_us + sim_between(w, 0, 2 * length / operations));
        if (s.load->in_flight < width)
            sim_load_act(*s.load);
    }
    w.faults_on = false;
}

static void heal(sim_scene &s)
{
    sim_world &w = *s.w;
    sim_note(w, "healing");
    for (sim_host *host : w.hosts) {
        host->paused_until_us = 0;
        host->slow_disk_until_us = 0;
        host->no_descriptors_until_us = 0;
        host->faults.clear();
        host->space = disk_space(memory_world{}.space);
    }
    sim_net_break(w);
    sim_kube_heal(*w.kube);
    for (sim_node *node : s.cluster->nodes) {
        if (node->host == nullptr && !node->is_leaving && node->restart != nullptr)
            sim_node_start(*node);
    }
}

static void await_liveness(sim_scene &s)
{
    sim_world &w = *s.w;
    uint64_t until = w.now_us + liveness_us;
    if (!settle_load(s, request_us))
        sim_fail(w, "%zu requests have no end", s.load->in_flight);
    do {
        pass(s, w.now_us + second);
        if (!sim_cluster_is_up(*s.cluster))
            continue;
        sim_load_verify(*s.load);
        if (!settle_load(s, request_us))
            sim_fail(w, "%zu requests have no end", s.load->in_flight);
        if (s.load->refused_when_calm == 0)
            return;
    } while (w.now_us < until);
    sim_fail(w, "liveness: %llu s after healing still: %s", static_cast<unsigned long long>(liveness_us / second), s.load->refusal.c_str());
}

static const cluster_job *newest_job(sim_scene &s)
{
    const sim_host *host = s.cluster->nodes[0]->host;
    bool is_known = sim_cluster_is_up(*s.cluster) && !proxy_document(*host->as_proxy).jobs.empty();
    return is_known ? &proxy_document(*host->as_proxy).jobs.back() : nullptr;
}

// A node dies while the job runs that was just asked for. Null: it has not ended, which counts as a failure.
static const cluster_job *play_job(sim_scene &s, const char *what)
{
    sim_world &w = *s.w;
    if (!settle_load(s, request_us) || s.load->refused_when_calm > 0)
        sim_fail(w, "%s could not be started: %s", what, s.load->refusal.c_str());
    pass(s, w.now_us + sim_below(w, 2 * second));
    sim_node &victim = *s.cluster->nodes[static_cast<size_t>(sim_below(w, s.cluster->nodes.size()))];
    sim_node_crash(victim, static_cast<memory_crash>(sim_below(w, 3)), sim_between(w, second / 10, 20 * second));
    for (uint64_t until = w.now_us + liveness_us; w.now_us < until && (newest_job(s) == nullptr || newest_job(s)->ended_ns == 0);)
        pass(s, w.now_us + second);
    const cluster_job *job = newest_job(s);
    if (job != nullptr && job->ended_ns != 0)
        return job;
    sim_fail(w, "%s %s", what, job == nullptr ? "is forgotten" : "does not end");
    return nullptr;
}

// All names, or those of a bucket.
static size_t count_names(sim_scene &s, const std::string &bucket = {})
{
    size_t names = 0;
    for (size_t i = 1; i < s.cluster->nodes.size(); i++) {
        for (const auto &[name, row] : s.cluster->nodes[i]->host->now.rows)
            names += bucket.empty() || name.first == bucket ? 1 : 0;
    }
    return names;
}

// Every name ends in exactly one of done, skipped and failed. Skipped is what was made before the crash, and the ledger has not.
static void check_sums(sim_scene &s, const char *what, const cluster_job &job, size_t names, bool may_skip, bool may_fail)
{
    if (job.done + job.skipped + job.failed != names || (job.skipped > 0 && !may_skip) || (job.failed > 0 && !may_fail))
        sim_fail(*s.w, "%s of %zu names: done=%llu skipped=%llu failed=%llu", what, names, static_cast<unsigned long long>(job.done),
            static_cast<unsigned long long>(job.skipped), static_cast<unsigned long long>(job.failed));
}

static bool may_be_damaged(const sim_scene &s) { return s.w->hits[static_cast<size_t>(sim_fault::disk_bit_flip)] > 0; }

// S4 of jobs: a node dies while a job runs. One seed in four plays it with a scrub, another one with a bucket that is transformed.
static void scrub(sim_scene &s)
{
    if (s.w->seed % 4 != 1)
        return;
    s.load->refused_when_calm = 0;
    sim_load_scrub(*s.load);
    const cluster_job *job = play_job(s, "a scrub");
    if (job == nullptr)
        return;
    check_sums(s, "a scrub", *job, count_names(s), false, may_be_damaged(s));
    await_liveness(s); // stops are refused while a target is away
}

static void transform_bucket(sim_scene &s)
{
    if (!s.load->copies)
        return;
    s.load->refused_when_calm = 0;
    const size_t names = count_names(s, "b");
    sim_job asked = sim_load_transform_bucket(*s.load);
    const cluster_job *job = play_job(s, "a transform");
    if (job == nullptr)
        return;
    bool may_fail = may_be_damaged(s) || (asked.etl != nullptr && asked.etl->manners.frames == sim_manners::framing::by_close);
    check_sums(s, "a transform", *job, names, true, may_fail);
    const bool is_whole = job->failed == 0;
    await_liveness(s);
    sim_load_read_made(*s.load, asked, is_whole);
    if (!settle_load(s, request_us))
        sim_fail(*s.w, "%zu reads of what a job made have no end", s.load->in_flight);
}

static void stop_all(sim_scene &s)
{
    sim_world &w = *s.w;
    s.load->refused_when_calm = 0;
    // Include ETLs that no client knows of: the client hung up during the start, or a stop was not answered.
    for (const cluster_etl &running : proxy_document(*s.cluster->nodes[0]->host->as_proxy).etls) {
        for (sim_etl *etl : s.load->etls) {
            if (etl->name != running.name)
                continue;
            etl->id = running.id;
            sim_load_stop(*s.load, *etl);
        }
    }
    if (!settle_load(s, request_us) || s.load->refused_when_calm > 0)
        sim_fail(w, "ETLs could not be stopped: %s", s.load->refusal.c_str());
}

static void end(sim_scene &s)
{
    sim_world &w = *s.w;
    if (!sim_cluster_end(*s.cluster))
        return; // failures are reported; nothing can be freed in order
    sim_kube_clear(*w.kube);
    uint64_t until = w.now_us + 200 * second; // for segments still in flight
    while (!w.links.empty() && sim_step(w, until))
        continue;
    sim_rows_free(s.rows);
    if (s.moves != nullptr)
        sim_moves_free(s.moves);
    if (s.losses != nullptr)
        sim_losses_free(s.losses);
    sim_load_free(s.load);
    sim_kube_free(w.kube);
    sim_cluster_free(s.cluster);
    sim_free(s.w);
    s.w = nullptr;
}

static sim_result result_of(const sim_scene &s)
{
    sim_result result;
    const sim_world &w = *s.w;
    result.seed = w.seed;
    result.trace_hash = w.trace_hash;
    result.steps = w.steps;
    result.virtual_ms = w.now_us / 1000;
    result.requests = s.load->begun;
    result.answers = s.load->answered;
    result.transformed = s.load->transformed;
    std::copy(std::begin(w.hits), std::end(w.hits), std::begin(result.hits));
    result.failures = w.failures;
    return result;
}

// --- a scenario instead of faults

static bool has_settled(const sim_stage &s)
{
    const cluster_document *document = sim_cluster_document(*s.cluster);
    return document != nullptr && !placement_is_moving(document->placement) && sim_cluster_is_up(*s.cluster) && s.load->in_flight == 0 &&
           sim_losses_are_over(*s.losses);
}

static void release_disks(sim_scene &s)
{
    for (sim_host *host : s.w->hosts) {
        host->held.clear();
        sim_settle(host);
    }
}

static void play(sim_scene &s, const sim_scenario &scenario)
{
    sim_stage stage{s.w, s.cluster, s.load, nullptr};
    s.loss_random.state = s.w->seed + 1;
    s.load->guesses = false;
    stage.losses = s.losses = sim_losses_make(*s.cluster, *s.load, s.loss_random);
    for (sim_object *o : s.load->objects)
        sim_load_put(*s.load, *o);
    (void)settle_load(s, 30 * second);
    s.w->faults_on = true; // of which none is enabled
    scenario.play(stage);
    s.w->faults_on = false;
    release_disks(s);
    heal(s);
    await_liveness(s);
    for (uint64_t until = s.w->now_us + liveness_us; s.w->now_us < until && !has_settled(stage);)
        pass(s, s.w->now_us + second);
    if (!has_settled(stage))
        sim_fail(*s.w, "objects still move %llu s after everything was healed", static_cast<unsigned long long>(liveness_us / second));
    await_liveness(s);
}

sim_result sim_run_scenario(const sim_scenario &scenario, uint64_t number, bool is_verbose)
{
    sim_scene s;
    s.w = sim_make(number * 128 + 16); // sim_moves_in
    s.w->is_verbose = is_verbose;
    s.w->documents_apart = true;
    s.w->kube = sim_kube_make(*s.w);
    s.cluster = sim_cluster_make(*s.w, scenario.targets);
    s.load = sim_load_make(*s.w, *s.cluster);
    s.rows = sim_rows_make(*s.cluster);
    if (start(s)) {
        play(s, scenario);
        if (s.w->failures.empty()) {
            pass(s, s.w->now_us + quiet_us);
            audit(s);
            audit_slots(s);
        }
    }
    sim_result result = result_of(s);
    if (result.failures.empty()) {
        end(s);
        if (s.w != nullptr)
            result.failures = s.w->failures;
    }
    return result;
}

sim_result sim_run(uint64_t seed, bool is_verbose)
{
    sim_scene s;
    s.w = sim_make(seed);
    s.w->is_verbose = is_verbose;
    s.w->kube = sim_kube_make(*s.w);
    s.cluster = sim_cluster_make(*s.w, static_cast<size_t>(sim_between(*s.w, 1, 3)));
    s.load = sim_load_make(*s.w, *s.cluster);
    s.rows = sim_rows_make(*s.cluster);
    s.moves = sim_moves_in(*s.w) ? sim_moves_make(*s.cluster, *s.load) : nullptr;
    if (start(s)) {
        trouble(s);
        heal(s);
        await_liveness(s);
        if (s.moves != nullptr && s.w->failures.empty() && sim_moves_settle(*s.moves, liveness_us))
            await_liveness(s);
        if (s.w->failures.empty()) {
            pass(s, s.w->now_us + quiet_us);
            audit(s);
            audit_pods(s);
            audit_slots(s);
            scrub(s);
            transform_bucket(s);
            stop_all(s);
            pass(s, s.w->now_us + 5 * second);
            for (const auto &[name, pod] : s.w->kube->pods) {
                if (!pod->terminating || pod->server != nullptr)
                    sim_fail(*s.w, "S7: pod %s is left after everything was stopped", name.c_str());
            }
        }
    }
    sim_result result = result_of(s);
    if (result.failures.empty()) {
        end(s);
        if (s.w != nullptr)
            result.failures = s.w->failures;
    }
    return result;
}

} // namespace etlnode
