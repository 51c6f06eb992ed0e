// SPDX-License-Identifier: MIT
// The secret that nodes of a cluster present to each other.
#include "../../sim/scripted_node.h"

#include "base/log.h"
#include "control/peer.h"

using namespace etlnode;

static constexpr const char *secret = "a secret of many letters";

struct fixture {
    sim_world *sim = nullptr;
    sim_host *node = nullptr, *caller = nullptr;
    http_server *server = nullptr;
    int admitted = 0, shown = 0;
};

static void on_request(void *arg, exchange &x)
{
    fixture &f = *static_cast<fixture *>(arg);
    f.shown += peer_shows_secret(secret, x) ? 1 : 0;
    if (!peer_admit(secret, x))
        return;
    f.admitted++;
    exchange_answer(x, {});
}

static int set_up(void **state)
{
    auto *f = new fixture;
    f->sim = sim_make(7);
    f->node = sim_host_make(*f->sim, sim_host_kind::client, "node", "10.0.0.1", memory_empty());
    f->caller = sim_host_make(*f->sim, sim_host_kind::client, "caller", "10.0.0.2", memory_empty());
    http_server_options options;
    options.name = "public";
    options.node_id = "node";
    options.on_request = on_request;
    options.arg = f;
    test_ok(http_server_start(f->node->e, options, "10.0.0.1", 8080, &f->server));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    auto *f = static_cast<fixture *>(*state);
    http_server_stop(*f->server);
    scripted_pass(*f->sim, 5'000);
    sim_host_free(f->caller);
    sim_host_free(f->node);
    scripted_world_free(f->sim);
    delete f;
    return 0;
}

static void only_the_secret_opens(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    struct shown {
        std::string headers;
        int status;
        const char *says;
    };
    std::string name = "Etlnode-Cluster-Secret: ";
    const shown rows[] = {
        {"", 401, "calls between nodes need the header Etlnode-Cluster-Secret"},
        {"Authorization: " + std::string(secret) + "\r\n", 401, "calls between nodes need"},
        {name + "\r\n", 403, "the cluster secret is wrong"},
        {name + "a secret of many letter\r\n", 403, "the cluster secret is wrong"},
        {name + secret + "s\r\n", 403, "the cluster secret is wrong"},
        {name + "A secret of many letters\r\n", 403, "the cluster secret is wrong"},
        {name + secret + "\r\n", 200, ""},
        {peer_headers(secret, {}), 200, ""},
        {peer_headers(secret, "request-7"), 200, ""},
        {peer_headers({}, "request-7"), 401, "calls between nodes need"},
    };
    int good = 0;
    scripted_call call;
    for (const shown &row : rows) {
        scripted_begin(call, *f.caller, "10.0.0.1", 8080, "GET /", {}, row.headers);
        test_true(scripted_until(*f.sim, [&] { return call.running == nullptr; }));
        test_eq(call.status(), row.status);
        test_has_text(call.answer.body, row.says);
        good += row.status == 200 ? 1 : 0;
        test_eq(f.admitted, good);
        test_eq(f.shown, good); // both functions agree
    }
    test_eq_text(peer_headers(secret, "request-7"), name + secret + "\r\nX-Request-Id: request-7\r\n");
    test_eq_text(peer_headers({}, {}), "");
}

int main()
{
    log_set_level(log_level::error);
    const CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(only_the_secret_opens, set_up, tear_down)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
