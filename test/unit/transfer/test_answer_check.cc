// SPDX-License-Identifier: MIT
// Test of transfer/answer_check: a pod and a witness on loopback that live, die, and answer as the case says.
#include "../http/http_world.h"

#include "base/limits.h"
#include "transfer/answer_check.h"

using namespace etlnode;

struct check_server {
    http_world *w = nullptr;
    net_listener *listener = nullptr;
    uint16_t port = 0;
    std::string says;    // to every connection
    bool closes = false; // after it has spoken
    std::vector<net_conn *> conns;
};

struct check_world {
    http_world *w = nullptr;
    check_server pod, witness;
    answer_check *check = nullptr;
    bool reported = false;
    bool complete = false;
};

static void on_accept(void *arg, net_conn *conn)
{
    check_server &s = *static_cast<check_server *>(arg);
    iovec part = {s.says.data(), s.says.size()};
    if (!s.says.empty())
        (void)net_write(*s.w->e, conn, {&part, 1});
    if (s.closes)
        net_close(*s.w->e, conn);
    else
        s.conns.push_back(conn);
}

static void serve(http_world &w, check_server &s, uint16_t port = 0)
{
    s.w = &w;
    test_ok(net_listen(*w.e, "127.0.0.1", port, on_accept, &s, &s.listener));
    s.port = net_listener_port(*w.e, s.listener);
}

// As the kernel does: closes all connections and the listener.
static void die(check_server &s)
{
    for (net_conn *conn : s.conns)
        net_close(*s.w->e, conn);
    s.conns.clear();
    if (s.listener != nullptr)
        net_listener_close(*s.w->e, s.listener);
    s.listener = nullptr;
}

static void on_verdict(void *arg, bool complete)
{
    check_world &c = *static_cast<check_world *>(arg);
    c.reported = true;
    c.complete = complete;
    c.check = nullptr;
}

static void begin(check_world &c, void **state)
{
    c.w = static_cast<http_world *>(*state);
    serve(*c.w, c.pod);
    answer_check_options options;
    options.host = "127.0.0.1";
    options.port = c.pod.port;
    options.witness_host = "127.0.0.1";
    options.witness_port = c.witness.port;
    options.instance = "local://abc/0";
    options.on_verdict = on_verdict;
    options.arg = &c;
    c.check = answer_check_begin(*c.w->e, options);
}

static bool verdict(check_world &c)
{
    answer_check_judge(*c.check);
    test_true(world_until(*c.w, [&] { return c.reported; }));
    die(c.pod);
    die(c.witness);
    uv_env_poll(*c.w->e, 5);
    return c.complete;
}

static void watch(check_world &c)
{
    answer_check_watch(*c.check);
    test_true(world_until(*c.w, [&] { return c.pod.conns.size() == 1; }));
}

static void a_pod_that_lives(void **state)
{
    check_world c;
    begin(c, state);
    watch(c);
    test_true(verdict(c));
}

static void a_pod_that_dies_with_its_answer(void **state)
{
    for (bool watched : {false, true}) {
        check_world c;
        begin(c, state);
        if (watched)
            watch(c);
        die(c.pod);
        test_false(verdict(c));
    }
}

// The gap: the end of the answer has arrived, the listener still accepts connections, and disappears a moment later.
static void a_pod_that_is_still_dying(void **state)
{
    check_world c;
    begin(c, state);
    answer_check_judge(*c.check);
    die(c.pod);
    test_true(world_until(*c.w, [&] { return c.reported; }));
    test_false(c.complete);
    uv_env_poll(*c.w->e, 5);
}

static void one_that_is_started_again_at_once(void **state)
{
    check_world c;
    begin(c, state);
    watch(c);
    uint16_t port = c.pod.port;
    die(c.pod);
    serve(*c.w, c.pod, port);
    uv_env_poll(*c.w->e, 5);
    test_false(verdict(c));
}

// The client is slow: the end is read long after the pod died and another took its place. A check at that time would find nothing wrong.
static void one_that_died_long_before_its_end_was_read(void **state)
{
    check_world c;
    begin(c, state);
    watch(c);
    uint16_t port = c.pod.port;
    die(c.pod);
    for (uint64_t waited = 0; waited < 5 * answer_settle_ms; waited += 5)
        uv_env_poll(*c.w->e, 5);
    serve(*c.w, c.pod, port);
    for (uint64_t waited = 0; waited < liveness_memory_ms + 500; waited += 50)
        uv_env_poll(*c.w->e, 50);
    test_false(verdict(c));
}

static void one_that_has_no_patience_with_silent_clients(void **state)
{
    check_world c;
    begin(c, state);
    watch(c);
    net_close(*c.w->e, c.pod.conns[0]);
    c.pod.conns.clear();
    test_true(world_until(*c.w, [&] { return c.pod.conns.size() == 1; })); // the next one is established
    uint64_t until_ms = clock_now_ms(*c.w->e) + liveness_memory_ms + 100;
    test_true(world_until(*c.w, [&] { return clock_now_ms(*c.w->e) > until_ms; }));
    test_true(verdict(c));
}

static bool with_witness(void **state, const std::string &says, bool pod_lives = true)
{
    check_world c;
    c.witness.says = says;
    c.witness.closes = true;
    serve(*static_cast<http_world *>(*state), c.witness);
    begin(c, state);
    if (!pod_lives)
        die(c.pod);
    return verdict(c);
}

static void the_witness_is_believed(void **state)
{
    test_true(with_witness(state, "local://abc server\n"));
    test_true(with_witness(state, "local://abc other\n"));
    test_false(with_witness(state, "local://abc other\n", false));
    test_false(with_witness(state, "local://abcd server\n")); // another container
    test_false(with_witness(state, "local://ab server\n"));
    test_false(with_witness(state, ""));
    test_false(with_witness(state, "local://abc server")); // it died while it spoke
    test_false(with_witness(state, "\n"));
    test_false(with_witness(state, std::string(10'000, 'x')));
}

static void a_witness_that_is_gone(void **state)
{
    check_world c;
    serve(*static_cast<http_world *>(*state), c.witness);
    die(c.witness);
    begin(c, state);
    test_false(verdict(c));
}

static void one_that_is_cancelled_says_nothing(void **state)
{
    for (bool judged : {false, true}) {
        check_world c;
        begin(c, state);
        watch(c);
        if (judged)
            answer_check_judge(*c.check);
        answer_check_cancel(*c.check);
        for (int i = 0; i < 10; i++)
            uv_env_poll(*c.w->e, 5);
        test_false(c.reported);
        die(c.pod);
        uv_env_poll(*c.w->e, 5);
    }
}

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_pod_that_lives, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(a_pod_that_dies_with_its_answer, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(a_pod_that_is_still_dying, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(one_that_is_started_again_at_once, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(one_that_died_long_before_its_end_was_read, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(one_that_has_no_patience_with_silent_clients, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(the_witness_is_believed, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(a_witness_that_is_gone, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(one_that_is_cancelled_says_nothing, world_set_up, world_tear_down),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
