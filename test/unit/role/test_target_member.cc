// SPDX-License-Identifier: MIT
// The target as a node: its registration with the proxy, health in each state, start and shutdown.
#include "role_world.h"

#include "base/limits.h"

using namespace etlnode;

static constexpr const char *path = "POST /v1/node/register";

static scripted_node &proxy_of(role_world &w) { return *w.peers[role_proxy_id]; }
static bool heard_again(role_world &w, size_t count) { return scripted_count(proxy_of(w), path) > count; }

static void await_beat(role_world &w)
{
    size_t count = scripted_count(proxy_of(w), path);
    test_true(scripted_until(*w.sim, [&] { return heard_again(w, count); }));
    scripted_pass(*w.sim, 200); // its answer has arrived, too
}

static void it_says_what_it_holds(void **state)
{
    role_world &w = role_of(state);
    await_beat(w);
    const sim_message &first = scripted_last(proxy_of(w), path);
    test_eq_text(sim_header(first, "etlnode-cluster-secret"), role_secret);
    test_eq_text(first.body,
        text_format(
            R"({"id":"target-01","type":"target","url":"http://10.0.0.2:8080","digest":"%llu","flags":"0","disk":"%s",)"
            R"("cluster":"","document_version":0,"document_term":"0","document_tag":"0","document_digest":"0","object_count":0,"change_count":"0",)"
            R"("started_ns":"%llu",)"
            R"("capacity":{"version":"unit","machine":"node1","bytes":0,"disk":{"id":"1","size":100000000,"used":10000000,)"
            R"("free":90000000,"out_of_space":95}}})",
            static_cast<unsigned long long>(placement_digest(role_target_id)), w.t->disk.c_str(),
            static_cast<unsigned long long>(w.t->started_ns)));
    test_eq(w.t->disk.size(), disk_id_size);

    // The answer is the document, which takes effect at once; the next registration reports that it is held.
    document_put_bucket(w.document, {.name = "b", .created_ns = 5});
    role_script(proxy_of(w), {.match = path, .body = role_next_document(w), .times = 1});
    role_script(proxy_of(w), {.match = path, .status = 204});
    std::swap(proxy_of(w).rows[0], proxy_of(w).rows[1]);
    await_beat(w);
    role_expect(w, "GET /v1/health?readiness=true", {}, 200);
    role_check(role_ask(w, "PUT /v1/objects/b/o?pid=p&utm=1", "x"), "PUT", 200, "");
    await_beat(w);
    const sim_message &next = scripted_last(proxy_of(w), path);
    test_has_text(next.body, R"("cluster":"CLUSTERuuid1","document_version":1,"document_term":"1","document_tag":"1229801703532086340")");
    test_has_text(next.body, "\"object_count\":1");
}

static void health_follows_its_stages(void **state)
{
    role_world &w = role_of(state);
    const role_case alone[] = {
        {"GET /v1/health", nullptr, 200, ""},
        {"GET /v1/health?readiness=true", nullptr, 503, "the target has not joined its cluster yet"},
        {"GET /v1/health?prr=true", nullptr, 503, "this node is a target, not the primary proxy"},
        {"GET /metrics", nullptr, 200, "etlnode_up 0"},
    };
    role_check_cases(w, alone);
    test_eq_text(sim_header(role_ask(w, "GET /v1/health").answer, "ais-cluster-uptime"), "0");
    role_check(role_push(w), "push", 204, "");
    test_true(scripted_until(*w.sim, [&] { return etl_registry_get_health(*w.t->etls).has_succeeded; }));
    const scripted_call &ready = role_ask(w, "GET /v1/health?readiness=true");
    role_check(ready, "ready", 200, R"({"kubectl":{"ok":true,"calls":)");
    test_has_text(ready.answer.body, R"("failures":{},"last_error":"","seconds_since_success":0,"watch_restarts":0)");
    test_eq_text(sim_header(ready.answer, "content-type"), "application/json");
    role_check(role_ask(w, "GET /v1/health?prr=true"), "prr", 503, "this node is a target, not the primary proxy");
    role_expect(w, "GET /v1/daemon?what=smap", {}, 200, "\"tmap\":{\"target-01\"");

    // If kubectl fails for a while, the target stays ready.
    w.sim->certain[static_cast<size_t>(sim_fault::kubectl_api_error)] = true;
    scripted_pass(*w.sim, watch_relist_ms + 5'000);
    const scripted_call &failing = role_ask(w, "GET /v1/health?readiness=true");
    role_check(failing, "failing", 200, R"({"kubectl":{"ok":false,)");
}

static void answers_of_the_proxy_are_taken_for_what_they_are(void **state)
{
    role_world &w = role_of(state);
    scripted_node &proxy = proxy_of(w);
    cluster_document other = w.document;
    other.uuid = "CLUSTERuuid2";
    other.version = 9;
    struct reported {
        int status;
        std::string body;
        const char *odds;
    };
    const reported rows[] = {
        {204, "", ""}, {409, R"({"code":"conflict","message":"it belongs to another cluster"})", ""},
        {409, R"({"code":"newer_version","message":"the proxy's data directory is older"})", "the proxy's data directory is older"},
        {204, "", ""}, {409, R"({"code":"diverged","message":"they have diverged"})", "they have diverged"},
        {503, R"({"message":"the proxy is starting"})", "they have diverged"}, {204, "", ""}, {200, "no document", ""},
        {200, document_print(other), ""}, // of another cluster: refused
    };
    for (const reported &one : rows) {
        proxy.rows.clear();
        proxy.rows.push_back({.match = path, .status = one.status, .body = one.body});
        await_beat(w);
        test_eq_text(w.t->odds, one.odds);
        test_eq_text(w.t->document.uuid, "CLUSTERuuid1");
        role_expect(w, "GET /v1/health?readiness=true", {}, *one.odds != '\0' ? 503 : 200, one.odds);
    }
}

// What was overwritten or deleted since the directory was copied must not be seen, also while the proxy still sends clients here.
static void a_directory_that_is_not_admitted_serves_nothing(void **state)
{
    role_world &w = role_of(state);
    scripted_node &proxy = proxy_of(w);
    const std::string object = "GET /v1/objects/b/o";
    role_expect(w, object, {}, 404, "does not exist");
    proxy.rows.clear();
    proxy.rows.push_back({.match = path, .status = 409, .body = R"({"code":"other_epoch","message":"it was restored"})"});
    await_beat(w);
    role_expect(w, object, {}, 503, "serves nothing, because the proxy refuses its data directory: it was restored");
    proxy.rows[0] = {.match = path, .status = 503, .body = R"({"message":"the proxy is starting"})"};
    await_beat(w);
    role_expect(w, object, {}, 503, "it was restored");
    proxy.rows[0] = {.match = path, .status = 204};
    await_beat(w);
    role_expect(w, object, {}, 404, "does not exist");
}

// A proxy that refuses is asked at growing intervals.
static void a_refused_target_backs_off(void **state)
{
    role_world &w = role_of(state);
    scripted_node &proxy = proxy_of(w);
    proxy.rows.clear();
    proxy.rows.push_back({.match = path, .status = 409});
    await_beat(w);
    size_t before = proxy.asked.size();
    scripted_pass(*w.sim, 10 * register_back_off_max_ms);
    size_t asked = proxy.asked.size() - before;
    test_true(asked >= 9 && asked <= 15);
    proxy.rows[0].status = 503; // not ready yet, which is not a refusal
    await_beat(w);
    before = proxy.asked.size();
    scripted_pass(*w.sim, 10 * heartbeat_interval_ms);
    test_true(proxy.asked.size() - before >= 9);
}

// --- start and end

static void what_it_held_is_there_after_a_restart(void **state)
{
    role_world &w = role_of(state);
    role_check(role_ask(w, "PUT /v1/objects/b/o?pid=p&utm=1", "abc"), "PUT", 200, "");
    role_stop(w);
    scripted_silence(proxy_of(w)); // objects are served before the proxy is reachable
    role_start(w);
    test_ok(w.start_err);
    test_eq_text(role_ask(w, "GET /v1/objects/b/o").answer.body, "abc");
    role_expect(w, "GET /v1/health?readiness=true", {}, 200);
}

static void a_start_that_fails_says_why(void **state)
{
    role_world &w = role_of(state);
    const role_bad_start operations[] = {
        {memory_op::meta_read, "node", "the node's id could not be read: "},
        {memory_op::make_dir, "", "the store in /data could not be opened: "},
        {memory_op::meta_read, "cluster", "the cluster document in the data directory could not be read: "},
    };
    const role_bad_document documents[] = {
        {"cluster", 7, document_print(w.document), "the cluster document in the data directory has a version that is not its own"},
        {"cluster", 1, "[]", "the cluster document in the data directory could not be read: "},
        {"node", 1, R"({"id":"proxy-01","role":"proxy"})",
            "the data directory belongs to a proxy (proxy-01), this is a target: use another --data-dir"},
    };
    role_check_bad_starts(w, operations, documents);
}

static void options_that_cannot_be_are_refused(void **state)
{
    role_world &w = role_of(state);
    struct wrong {
        std::string node_options::*option;
        const char *value, *says;
    };
    const wrong rows[] = {
        {&node_options::cluster_secret, "", "a node needs a cluster secret"},
        {&node_options::proxy_url, "", "the proxy's URL must be http://host:port"},
        {&node_options::proxy_url, "https://p:1", "the proxy's URL must be http://host:port"},
        {&node_options::advertise_url, "p", "the advertised URL must be http://host:port"},
        {&node_options::pod_url, "ftp://p:1", "the URL for pods must be http://host:port"},
    };
    for (const wrong &row : rows) {
        node_options options = w.options;
        options.*row.option = row.value;
        target *none = nullptr;
        error err = target_start(w.client->e, options, role_on_ready, &w, &none);
        test_eq_enum(err.code, error_code::invalid_argument);
        test_eq_text(err.what, row.says);
        test_true(none == nullptr);
    }
}

// Pods have the pod listener's address, so a port that was chosen for it is kept.
static void the_port_for_pods_is_kept(void **state)
{
    role_world &w = role_of(state);
    role_stop(w);
    w.options.pod_listen_port = 0;
    role_start(w);
    test_ok(w.start_err);
    uint16_t port = target_pod_port(*w.t);
    test_true(port != 0);
    role_stop(w);
    role_start(w);
    test_eq(target_pod_port(*w.t), port);
}

static void a_drain_lets_requests_end_and_reports_the_last_count(void **state)
{
    role_world &w = role_of(state);
    await_beat(w); // the proxy has accepted it
    scripted_node &proxy = proxy_of(w);
    scripted_call &call = role_begin_slow_put(w, "PUT /v1/objects/b/o?pid=p&utm=1", "abc", 2'000);
    test_true(scripted_until(*w.sim, [&] { return w.t->store_calls.count == 1; }));
    role_begin_drain(w);
    scripted_pass(*w.sim, 1'000);
    test_false(w.is_drained);
    test_true(role_ask(w, "GET /v1/health").how == sim_call::ending::refused);
    size_t before = scripted_count(proxy, path);
    role_check(role_await(w, call), "PUT", 200, "");
    test_true(scripted_until(
        *w.sim, [&] { return w.is_drained; }, 5'000));
    test_eq(scripted_count(proxy, path), before + 1);
    test_has_text(scripted_last(proxy, path).body, "\"object_count\":1");
}

static void a_drain_cuts_what_takes_too_long(void **state)
{
    role_world &w = role_of(state);
    scripted_call &call = role_begin_slow_put(w, "PUT /v1/objects/b/o?pid=p&utm=1", "abc", UINT64_MAX);
    test_true(scripted_until(*w.sim, [&] { return w.t->store_calls.count == 1; }));
    uint64_t began_us = w.sim->now_us;
    role_begin_drain(w);
    test_true(scripted_until(
        *w.sim, [&] { return w.is_drained; }, drain_timeout_ms + 5'000));
    test_true(w.sim->now_us - began_us > (drain_timeout_ms - 1) * 1'000); // timers count whole milliseconds
    test_true(scripted_until(
        *w.sim, [&] { return call.running == nullptr; }, 5'000));
    test_true(call.how != sim_call::ending::answered || call.status() != 200);
    test_eq(store_object_count(*w.t->objects), 0);
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_says_what_it_holds, role_set_up_target, role_tear_down),
        cmocka_unit_test_setup_teardown(health_follows_its_stages, role_set_up_target, role_tear_down),
        cmocka_unit_test_setup_teardown(answers_of_the_proxy_are_taken_for_what_they_are, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(a_directory_that_is_not_admitted_serves_nothing, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(a_refused_target_backs_off, role_set_up_target, role_tear_down),
        cmocka_unit_test_setup_teardown(what_it_held_is_there_after_a_restart, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(a_start_that_fails_says_why, role_set_up_target, role_tear_down),
        cmocka_unit_test_setup_teardown(options_that_cannot_be_are_refused, role_set_up_target, role_tear_down),
        cmocka_unit_test_setup_teardown(the_port_for_pods_is_kept, role_set_up_target, role_tear_down),
        cmocka_unit_test_setup_teardown(a_drain_lets_requests_end_and_reports_the_last_count, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(a_drain_cuts_what_takes_too_long, role_set_up_member, role_tear_down),
    };
    return role_main(tests);
}
