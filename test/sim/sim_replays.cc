// SPDX-License-Identifier: MIT
// test/sim/sim_replays.cc: listens to the connections between targets, and sends some requests once more.
#include "sim_replays.h"

#include "sim_http.h"
#include "sim_link.h"

namespace etlnode {

static constexpr size_t request_size_max = 1 << 20;
static constexpr uint64_t second = 1'000'000;

// What has come of the present request of one connection.
struct replay_tap {
    sim_message request;
    std::string bytes;
};

struct sim_replays {
    sim_cluster *cluster = nullptr;
    sim_host *from = nullptr;
    rng *random = nullptr;
    std::map<uint64_t, replay_tap> taps; // by connection
};

struct replay {
    sim_replays *owner = nullptr;
    std::string address, bytes;
};

static void on_due(void *arg)
{
    std::unique_ptr<replay> again(static_cast<replay *>(arg));
    sim_world &w = *again->owner->cluster->world;
    if (!w.faults_on)
        return;
    sim_count_hit(w, sim_fault::member_call_doubled);
    sim_call call;
    call.host = again->owner->from;
    call.address = again->address;
    call.port = 8080;
    call.request = std::move(again->bytes);
    call.timeout_us = 30 * second;
    sim_call_start(call);
}

static void consider(sim_replays &r, const sim_link &link, const replay_tap &tap)
{
    sim_world &w = *r.cluster->world;
    bool is_between_targets = tap.request.second.starts_with("/v1/node/") && w.faults_on && rng_below(*r.random, 10) == 0;
    if (!is_between_targets)
        return;
    for (const sim_node *node : r.cluster->nodes) {
        if (node->name != link.to)
            continue;
        static constexpr uint64_t longest[] = {1'000, second, 60 * second};
        uint64_t delay = rng_below(*r.random, longest[rng_below(*r.random, std::size(longest))]);
        (void)sim_after(w, nullptr, delay, on_due, new replay{&r, node->options.listen_host, tap.bytes});
    }
}

static void on_carried(void *arg, sim_link &link, std::string_view bytes)
{
    auto &r = *static_cast<sim_replays *>(arg);
    if (!link.from.starts_with("target") || !link.to.starts_with("target"))
        return;
    replay_tap &tap = r.taps[link.id];
    while (!bytes.empty() && tap.request.at != sim_message::state::broken) {
        size_t used = sim_message_feed(tap.request, bytes);
        if (tap.bytes.size() < request_size_max)
            tap.bytes.append(bytes.substr(0, used));
        bytes.remove_prefix(used);
        if (tap.request.at != sim_message::state::complete)
            continue;
        if (tap.bytes.size() < request_size_max)
            consider(r, link, tap);
        tap = {};
    }
}

sim_replays *sim_replays_make(sim_cluster &c, sim_host &from, rng &random)
{
    auto *r = new sim_replays{&c, &from, &random, {}};
    c.world->on_carried = on_carried;
    c.world->carried_arg = r;
    return r;
}

void sim_replays_free(sim_replays *r)
{
    r->cluster->world->on_carried = nullptr;
    delete r;
}

} // namespace etlnode
