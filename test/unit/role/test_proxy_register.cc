// SPDX-License-Identifier: MIT
// Targets register with the proxy: which ones are accepted, which are refused and why, and which take part in placement.
#include "role_world.h"

#include "base/limits.h"

using namespace etlnode;

static constexpr const char *path = "POST /v1/node/register";

static void only_nodes_of_the_cluster_may_register(void **state)
{
    role_world &w = role_of(state);
    scripted_node &node = role_make_peer(w, role_target_id, "10.0.0.11");
    std::string body = role_registration(w, node);
    role_check(role_ask(w, path, body), path, 401, "calls between nodes need the header Etlnode-Cluster-Secret");
    role_check(role_ask(w, path, body, role_wrong_secret_header), path, 403, "the cluster secret is wrong");
    role_check(role_ask(w, path, body, "Etlnode-Cluster-Secret:\r\n"), path, 403, "the cluster secret is wrong");
    test_eq(proxy_document(*w.p).nodes.size(), 1);
    role_check(role_ask(w, path, body, role_secret_header), path, 200, "");
    test_eq(proxy_document(*w.p).nodes.size(), 2);
}

static void what_is_no_registration_is_refused(void **state)
{
    role_world &w = role_of(state);
    scripted_node &node = role_make_peer(w, role_target_id, "10.0.0.11");
    std::string good = role_registration(w, node);
    auto with = [&](std::string_view from, std::string_view to) {
        std::string text = good;
        text.replace(text.find(from), from.size(), to);
        return text;
    };
    struct wrong {
        std::string body;
        const char *says;
    };
    const wrong rows[] = {
        {"", "a registration is {\"id\",\"type\",\"url\",\"document_version\",\"object_count\"}: "},
        {"[]", "node: id is missing"},
        {with("\"target\"", "\"proxy\""), "a registration is"},
        {with("\"target\"", "\"guest\""), "node: type is neither"},
        {with("target-01", "t1"), "node: digest is not the digest of the id"},
        {with("http://10.0.0.11:8080", "ftp://10.0.0.11"), "node: url is not of the form http://host:port"},
        {with("\"document_version\":0", "\"document_version\":-1"), "document_version: expected a whole number"},
        {with("\"started_ns\":\"7\"", "\"started_ns\":\"soon\""), "started_ns: expected a whole number"},
        {with("\"started_ns\":\"7\"", "\"orphans\":{}"), "orphans: expected"},
        {with("\"started_ns\":\"7\"", "\"orphans\":[{\"name\":\"b\",\"created_ns\":\"1\",\"objects\":\"many\"}]"), "orphans: expected"},
    };
    for (const wrong &row : rows)
        role_check(role_ask_as_node(w, path, row.body), row.body, 400, row.says);
    test_eq(w.p->counts.registrations_refused, std::size(rows));
    test_eq(proxy_document(*w.p).nodes.size(), 1);
}

static void a_new_target_gets_the_document(void **state)
{
    role_world &w = role_of(state);
    scripted_node &node = role_add_target(w, role_target_id);
    cluster_document document;
    test_ok(document_parse(w.held[role_target_id], document));
    test_eq(document.version, proxy_document(*w.p).version);
    test_true(document_find_node(document, role_target_id)->is_target);
    test_eq(document_find_node(document, role_target_id)->flags, 0);
    // The answer to a heartbeat is empty if the target holds the document; otherwise it contains it.
    role_check(role_register(w, node), path, 204, "");
    std::string former = w.held[role_target_id];
    role_make_bucket(w, "b");
    role_take_push(w, node);
    w.held[role_target_id] = former;
    const scripted_call &call = role_register(w, node);
    role_check(call, path, 200, "\"name\":\"b\"");
    test_eq(w.p->counts.registrations, 3);
}

static void an_id_belongs_to_one(void **state)
{
    role_world &w = role_of(state);
    scripted_node &node = role_add_target(w, role_target_id);
    scripted_node *second = scripted_node_make(*w.sim, role_target_id, "10.0.0.50");
    w.peers["copy"] = second;
    role_script(node, {.match = "GET /v1/node/status", .body = R"({"id":"target-01","started_ns":"6"})", .times = 1});
    role_check(role_register(w, *second), path, 409,
        "target target-01 runs at http://10.0.0.11:8080 already: the target at http://10.0.0.50:8080");
    // The same process under another name, or one that has moved.
    role_script(node, {.match = "GET /v1/node/status", .body = R"({"id":"target-01","started_ns":"7"})", .times = 1});
    role_check(role_register(w, *second), path, 200, "http://10.0.0.50:8080");
    role_check(role_register(w, node), path, 200, "http://10.0.0.11:8080"); // the one at .50 says nothing of the kind

    scripted_node *proxys = scripted_node_make(*w.sim, role_proxy_id, "10.0.0.51");
    w.peers["proxy"] = proxys;
    role_check(role_register(w, *proxys), path, 409, "id proxy-01 is the proxy's own");
}

static void documents_that_do_not_go_together_are_reported(void **state)
{
    role_world &w = role_of(state);
    scripted_node &node = role_add_target(w, role_target_id);
    role_take_push(w, node);
    std::string held = w.held[role_target_id];
    cluster_document document;
    test_ok(document_parse(held, document));
    cluster_document next = document;
    next.version += 5;
    w.held[role_target_id] = document_print(next);
    role_check(role_register(w, node), path, 409, "the proxy's data directory is older. It takes the newer document when");
    const scripted_call &health = role_ask(w, "GET /v1/health?readiness=true");
    role_check(health, "health", 503, "the proxy's data directory is older"); // every target that was heard reports that
    role_expect(w, "GET /v1/cluster?what=nodes", {}, 200, "\"state\":\"diverged\"");

    next = document;
    next.created = "2000-01-01 00:00:00"; // the same version of the same term, but a different text
    w.held[role_target_id] = document_print(next);
    role_check(role_register(w, node), path, 409, "they have diverged, one of the two data directories was restored or copied");

    w.held[role_target_id] = held;
    role_check(role_register(w, node), path, 204, "");
    role_expect(w, "GET /v1/health?readiness=true", {}, 200);
}

static void a_target_of_another_cluster_is_a_stranger(void **state)
{
    role_world &w = role_of(state);
    scripted_node &node = role_make_peer(w, role_target_id, "10.0.0.11");
    cluster_document other = role_first_document(w);
    other.version = 3;
    w.held[role_target_id] = document_print(other);
    role_check(role_register(w, node), path, 409,
        "target target-01 belongs to cluster CLUSTERuuid1, this is cluster " + proxy_document(*w.p).uuid);
    const scripted_call &nodes = role_ask(w, "GET /v1/cluster?what=nodes");
    role_check(nodes, "nodes", 200, R"("strangers":[{"id":"target-01","cluster":"CLUSTERuuid1","peer":"10.0.1.1:)");
    scripted_pass(*w.sim, 2 * register_back_off_max_ms + 1'000);
    role_expect(w, "GET /v1/cluster?what=nodes", {}, 200, "\"strangers\":[]"); // it has given up
}

static void a_known_id_has_one_disk(void **state)
{
    role_world &w = role_of(state);
    scripted_node &node = *w.peers[role_target_id];
    test_eq_text(document_find_node(proxy_document(*w.p), role_target_id)->disk, "target0100000000");
    role_check(role_register(w, node, R"("disk":"bbbbbbbbbbbbbbbb","object_count":0,)"), path, 409,
        "target target-01 has another data directory (bbbbbbbbbbbbbbbb) than before (target0100000000): start it with that one. If it is "
        "lost, give it up with what only it held: etlctl target replace target-01");
    role_check(role_register(w, node, R"("disk":"tooshort","object_count":0,)"), path, 400, "disk is not of 16 characters");
    std::string former = role_registration(w, node, "\"object_count\":0,");
    size_t at = former.find(R"("disk":"target0100000000",)");
    test_true(at != std::string::npos);
    former.erase(at, std::string_view(R"("disk":"target0100000000",)").size());
    role_check(role_ask_as_node(w, path, former), path, 204, ""); // a former version of the program again
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_nodes_of_the_cluster_may_register, role_set_up_proxy, role_tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_registration_is_refused, role_set_up_proxy, role_tear_down),
        cmocka_unit_test_setup_teardown(a_new_target_gets_the_document, role_set_up_proxy, role_tear_down),
        cmocka_unit_test_setup_teardown(an_id_belongs_to_one, role_set_up_proxy, role_tear_down),
        cmocka_unit_test_setup_teardown(documents_that_do_not_go_together_are_reported, role_set_up_proxy, role_tear_down),
        cmocka_unit_test_setup_teardown(a_target_of_another_cluster_is_a_stranger, role_set_up_proxy, role_tear_down),
        cmocka_unit_test_setup_teardown(a_known_id_has_one_disk, role_set_up_cluster, role_tear_down),
    };
    return role_main(tests);
}
