// SPDX-License-Identifier: MIT
// The proxy takes the cluster document from its targets: because its own is lost, or older, or of another line; and from a backup.
#include "role_world.h"

#include "base/limits.h"

using namespace etlnode;

static constexpr const char *recover = "POST /v1/cluster/recover";

// --- targets that hold a document

static void hold(role_world &w, scripted_node &node, const cluster_document &document)
{
    w.held[node.id] = document_print(document);
    cluster_document held;
    test_ok(document_parse(w.held[node.id], held));
    std::erase_if(node.rows, [](const scripted_row &row) { return row.match.starts_with("GET /v1/node/"); });
    role_script(node, {.match = "GET /v1/node/document", .body = w.held[node.id]});
    role_script(node, {.match = "GET /v1/node/status",
                          .body = R"({"id":")" + node.id + R"(","cluster":")" + held.uuid + R"(","stored_document":")" +
                                  document_identity_print(document_identify(held)) + R"(","object_count":2})"});
}

static void put_node(cluster_document &document, const std::string &id, const std::string &url, bool is_target = true)
{
    document_put_node(document, {.id = id, .is_target = is_target, .url = url, .digest = placement_digest(id)});
}

static void put_etl(cluster_document &document, const std::string &id, etl_stage stage)
{
    cluster_etl etl;
    etl.id = etl.name = id;
    etl.stage = stage;
    etl.pod_json = "{}";
    etl.init_json = "{}";
    etl.generation_id = "0123456789abcdef-1";
    etl.secret = "s";
    etl.wait_timeout_ms = etl.obj_timeout_ms = 1'000;
    document_put_etl(document, etl);
}

// Of the cluster whose proxy was lost.
static cluster_document lost_document()
{
    cluster_document document;
    document.uuid = "CLUSTERuuid1";
    document.created = "2026-01-02 03:04:05";
    document_begin_term(document, 0x1111'2222'3333'4444);
    document.version = 3;
    document.next_generation = 9;
    put_node(document, "proxy-00", "http://10.0.0.9:8080", false);
    put_node(document, "target-01", "http://10.0.0.11:8080");
    put_node(document, "target-02", "http://10.0.0.12:8080");
    document_put_bucket(document, {.name = "b", .created_ns = 7});
    put_etl(document, "begun", etl_stage::initializing);
    put_etl(document, "runs", etl_stage::running);
    return document;
}

static scripted_node &make_holder(role_world &w, const std::string &id, const cluster_document &document)
{
    scripted_node &node = role_make_peer(w, id, text_format("10.0.0.%zu", w.peers.size() + 11));
    node.rows.push_back({.match = "PUT /v1/node/document", .status = 204});
    hold(w, node, document);
    return node;
}

static json_ptr plan_of(role_world &w, const std::string &body)
{
    const scripted_call &call = role_ask_as_node(w, recover, body);
    role_check(call, body, 200, "");
    json_ptr tree;
    std::string where;
    test_ok(json_parse(call.answer.body, tree, where));
    return tree;
}

static std::string confirm_of(role_world &w, const std::string &more = {})
{
    json_ptr plan = plan_of(w, "{" + more + "}");
    std::string confirm(json_text(plan.get(), "confirm"));
    test_true(!confirm.empty());
    return "{" + more + (more.empty() ? "" : ",") + "\"confirm\":\"" + confirm + "\"}";
}

static void a_lost_document_is_taken_from_the_targets(void **state)
{
    role_world &w = role_of(state);
    scripted_node &node = make_holder(w, "target-01", lost_document());
    scripted_node &second = make_holder(w, "target-02", lost_document());
    std::string own = proxy_document(*w.p).uuid;
    role_check(role_ask(w, recover, "{}"), recover, 401, "calls between nodes need the header");
    role_check(role_ask_as_node(w, recover, "{}"), recover, 400, "no target has tried to register here");
    role_check(role_ask_as_node(w, recover, R"({"from":["ftp://x"]})"), recover, 400, "is not of the form http://host:port");
    role_check(role_ask_as_node(w, recover, R"({"from":"x"})"), recover, 400, "from and without are lists of texts");
    role_check(role_register(w, node), "register", 409, "etlctl cluster recover --from http://10.0.0.11:8080");
    role_expect(w, "GET /v1/cluster?what=nodes", {}, 200, R"("url":"http://10.0.0.11:8080")");

    json_ptr plan = plan_of(w, "{}"); // of whoever tried to register
    test_eq(cJSON_GetArraySize(json_get(plan.get(), "documents")), 1);
    test_eq(cJSON_GetArraySize(json_get(plan.get(), "missing")), 0);
    test_eq_text(json_text(cJSON_GetArrayItem(json_get(plan.get(), "documents"), 0), "text"), "version 3 (term 1-11112222)");
    test_eq_text(cJSON_GetArrayItem(json_get(plan.get(), "aborted"), 0)->valuestring, "begun");
    test_eq_text(proxy_document(*w.p).uuid, own); // nothing was changed
    role_check(role_ask_as_node(w, recover, R"({"confirm":"2.1.0.0"})"), recover, 409, "another document than the one that was shown");

    role_check(role_ask_as_node(w, recover, confirm_of(w)), recover, 200, R"("version":4,"silent":[])");
    const cluster_document &document = proxy_document(*w.p);
    test_eq_text(document.uuid, "CLUSTERuuid1");
    test_eq(document.version, 4);
    test_eq(document.terms.size(), 2);
    test_eq(document.next_generation, 9 + recovery_generation_step);
    test_eq(document.losses, 1);
    test_eq_enum(document_find_etl(document, "begun")->stage, etl_stage::aborted);
    test_eq_enum(document_find_etl(document, "runs")->stage, etl_stage::running);
    test_true(document_find_node(document, "proxy-00") == nullptr && document_find_node(document, role_proxy_id) != nullptr);
    for (scripted_node *one : {&node, &second}) { // they took it as a descendant of theirs
        cluster_document former;
        test_ok(document_parse(w.held[one->id], former));
        role_take_push(w, *one);
        cluster_document taken;
        test_ok(document_parse(w.held[one->id], taken));
        test_eq_enum(document_relate(document_identify(former), taken), document_relation::ancestor);
        test_eq(taken.version, 4);
    }
    role_expect(w, "GET /v1/objects/b/o", {}, 301);
    role_make_bucket(w, "c");
    test_true(document_find_bucket(proxy_document(*w.p), "c")->created_ns > 7);
    // It is durable.
    role_stop(w);
    role_start(w);
    test_eq_text(proxy_document(*w.p).uuid, "CLUSTERuuid1");
}

static void a_missing_target_must_be_named(void **state)
{
    role_world &w = role_of(state);
    make_holder(w, "target-01", lost_document());
    std::string from = R"("from":["http://10.0.0.11:8080"])";
    json_ptr plan = plan_of(w, "{" + from + "}");
    test_eq_text(cJSON_GetArrayItem(json_get(plan.get(), "missing"), 0)->valuestring, "target-02");
    test_eq(cJSON_GetArraySize(json_get(plan.get(), "failures")), 1);
    role_check(role_ask_as_node(w, recover, confirm_of(w, from)), recover, 409, "not heard: target-02");
    from += R"(,"without":["target-02"])";
    role_check(role_ask_as_node(w, recover, confirm_of(w, from)), recover, 200, R"("version":4,"silent":["target-02"])");
}

static void a_proxy_whose_cluster_has_targets_keeps_it(void **state)
{
    role_world &w = role_of(state);
    hold(w, *w.peers[role_target_id], proxy_document(*w.p));
    cluster_document other = lost_document();
    document_remove_node(other, "target-01");
    make_holder(w, "target-02", other);
    std::string uuid = proxy_document(*w.p).uuid;
    json_ptr plan = plan_of(w, R"({"from":["http://10.0.0.12:8080"]})");
    test_has_text(cJSON_GetArrayItem(json_get(plan.get(), "failures"), 0)->valuestring, "belongs to cluster CLUSTERuuid1");
    test_true(json_bool(plan.get(), "in_order", false));
    role_check(role_ask_as_node(w, recover, confirm_of(w)), recover, 409, "there is nothing to recover");
    test_eq_text(proxy_document(*w.p).uuid, uuid);
}

// --- the proxy is behind

// As the targets hold it: the proxy was started with an older directory.
static cluster_document newer_document(const role_world &w)
{
    cluster_document next = proxy_document(*w.p);
    next.version++;
    document_put_bucket(next, {.name = "later", .created_ns = UINT64_MAX / 2});
    return next;
}

static void a_proxy_that_is_behind_catches_up(void **state)
{
    role_world &w = role_of(state);
    role_make_bucket(w, "b");
    scripted_node &node = *w.peers[role_target_id];
    role_take_push(w, node);
    cluster_document next = newer_document(w);
    put_node(next, "target-02", "http://10.0.0.12:8080"); // it joined meanwhile
    hold(w, node, next);
    role_check(role_register(w, node), "register", 409, "the proxy's data directory is older");
    test_true(scripted_until(*w.sim, [&] { return w.p->gathering == nullptr; }));
    const role_case refused[] = {
        {"GET /v1/objects/b/o", nullptr, 409,
            "not heard yet: target-02. If it does not come back: etlctl cluster recover --without target-02"},
        {"PUT /v1/objects/b/o", "", 409, "not heard yet: target-02"},
        {"POST /v1/buckets/c", R"({"action":"create-bck"})", 409, "not heard yet: target-02"},
        {"DELETE /v1/buckets/b", R"({"action":"destroy-bck"})", 409, "not heard yet: target-02"},
        {"GET /v1/buckets/b", R"({"action":"list","value":{}})", 409, "the list would not be complete"},
        {"GET /v1/health?readiness=true", nullptr, 503, "not heard yet: target-02"},
        {"GET /v1/cluster?what=nodes", nullptr, 200, "\"behind\":\"target target-01 holds version"},
        {"GET /v1/cluster/backup", nullptr, 409, "this would not be the newest document", role_secret_header},
    };
    role_check_cases(w, refused);
    uint64_t version = proxy_document(*w.p).version;
    // A target that it does not know must not change its document either.
    scripted_node &third = role_make_peer(w, "target-03", "10.0.0.13");
    role_check(role_register(w, third), "register", 409, "the proxy's document is older than that of its targets");
    test_eq(proxy_document(*w.p).version, version);

    scripted_node *second = scripted_node_make(*w.sim, "target-02", "10.0.0.12");
    w.peers["target-02"] = second;
    second->rows.push_back({.match = "PUT /v1/node/document", .status = 204});
    hold(w, *second, next);
    role_register(w, *second); // this makes it look again
    test_true(scripted_until(*w.sim, [&] { return w.p->ahead.empty() && proxy_document(*w.p).version == version + 2; }));
    test_true(document_find_bucket(proxy_document(*w.p), "later") != nullptr);
    test_true(document_find_node(proxy_document(*w.p), "target-02") != nullptr);
    test_true(scripted_until(*w.sim, [&] { return w.p->targets["target-02"].copy.held_version == version + 2; }));
    role_expect(w, "GET /v1/objects/later/o", {}, 301);
    role_make_bucket(w, "c");
}

// It had a newer document, and died before anybody could read it.
static void a_newer_document_that_is_gone_can_be_given_up(void **state)
{
    role_world &w = role_of(state);
    role_make_bucket(w, "b");
    role_add_target(w, "target-02");
    scripted_node &second = *w.peers["target-02"];
    role_take_push(w, second);
    hold(w, *w.peers[role_target_id], proxy_document(*w.p));
    uint64_t version = proxy_document(*w.p).version;
    w.held["target-02"] = document_print(newer_document(w));
    role_script(second, {.match = "GET /v1/node/status", .status = 500});
    role_check(role_register(w, second), "register", 409, "the proxy's data directory is older");
    test_true(scripted_until(*w.sim, [&] { return w.p->gathering == nullptr; }));
    role_expect(w, "GET /v1/objects/b/o", {}, 409, "it could not be read");
    json_ptr plan = plan_of(w, "{}");
    test_false(json_bool(plan.get(), "in_order", true));
    test_eq_text(cJSON_GetArrayItem(json_get(plan.get(), "missing"), 0)->valuestring, "target-02");
    std::string without = R"("without":["target-02"])";
    role_check(role_ask_as_node(w, recover, confirm_of(w, without)), recover, 200, "");
    test_eq(proxy_document(*w.p).version, version + 1);
    test_true(w.p->ahead.empty());
    role_make_bucket(w, "c");
    // If it comes back, its document is not taken for an ancestor.
    w.seen["target-02"] = second.asked.size();
    role_check(role_register(w, second), "register", 409, "they have diverged");
}

// It only claims to be newer. One strange target must not stop the others.
static void a_document_of_another_line_does_not_stop_the_proxy(void **state)
{
    role_world &w = role_of(state);
    role_make_bucket(w, "b");
    role_add_target(w, "target-02");
    scripted_node &node = *w.peers[role_target_id];
    role_take_push(w, node);
    role_take_push(w, *w.peers["target-02"]);
    hold(w, *w.peers["target-02"], proxy_document(*w.p));
    cluster_document other = proxy_document(*w.p);
    other.terms.clear();
    document_begin_term(other, 5);
    other.terms.back().number = 7;
    other.version += 4;
    hold(w, node, other);
    role_check(role_register(w, node), "register", 409, "the proxy's data directory is older");
    test_true(scripted_until(*w.sim, [&] { return w.p->ahead.empty(); }));
    test_has_text(w.p->targets[role_target_id].odds, "diverged");
    role_check(role_register(w, node), "register", 409, "they have diverged");
    test_true(w.p->ahead.empty());
    role_expect(w, "GET /v1/health?readiness=true", {}, 200, "diverged");
    // The operator chooses.
    json_ptr plan = plan_of(w, "{}");
    test_has_text(json_text(plan.get(), "problem"), "diverged");
    test_eq(cJSON_GetArraySize(json_get(plan.get(), "documents")), 2);
    role_check(role_ask_as_node(w, recover, confirm_of(w, R"("take":"proxy-01")")), recover, 200, "");
    test_eq(proxy_document(*w.p).version, other.version + 1);
    test_eq(proxy_document(*w.p).supersedes.size(), 1);
    role_take_push(w, node);
    role_check(role_register(w, node), "register", 204, "");
    test_eq_text(w.p->targets[role_target_id].odds, "");
}

// --- buckets

static void a_destroyed_bucket_is_recorded_until_all_targets_hold_it(void **state)
{
    role_world &w = role_of(state);
    role_make_bucket(w, "b");
    uint64_t created_ns = document_find_bucket(proxy_document(*w.p), "b")->created_ns;
    scripted_node &node = *w.peers[role_target_id];
    role_wait_silent(w, node);
    role_expect(w, "DELETE /v1/buckets/b", R"({"action":"destroy-bck"})", 200);
    role_make_bucket(w, "b");
    role_make_bucket(w, "c");
    const cluster_document &document = proxy_document(*w.p);
    test_eq(document.destroyed.size(), 1); // the silent target holds an older document
    test_eq_text(document.destroyed[0].name, "b");
    test_eq(document.destroyed[0].created_ns, created_ns);
    test_true(document_find_bucket(document, "b")->created_ns > created_ns);
    scripted_listen(node);
    role_check(role_register(w, node), "register", 200, "\"destroyed\"");
    role_check(role_register(w, node), "register", 204, "");
    role_make_bucket(w, "d");
    test_true(proxy_document(*w.p).destroyed.empty());
}

static void objects_of_unknown_buckets_are_reported_and_removed(void **state)
{
    role_world &w = role_of(state);
    scripted_node &node = *w.peers[role_target_id];
    role_take_push(w, node);
    role_check(
        role_register(w, node, R"("object_count":3,"orphans":[{"name":"gone","created_ns":"5","objects":3}],)"), "register", 204, "");
    role_expect(w, "GET /v1/cluster?what=nodes", {}, 200, R"("orphans":[{"bucket":"gone","objects":3}])");
    role_expect(
        w, "POST /v1/buckets/gone", R"({"action":"create-bck"})", 409, "targets still hold objects of a former bucket \"ais://gone\"");
    role_expect(w, "DELETE /v1/buckets/gone", R"({"action":"destroy-bck"})", 200);
    test_eq(proxy_document(*w.p).destroyed.size(), 1);
    test_eq(proxy_document(*w.p).destroyed[0].created_ns, 5);
    role_make_bucket(w, "gone");
    role_expect(w, "DELETE /v1/buckets/never", R"({"action":"destroy-bck"})", 404);
}

// --- backup and restore

static void a_backup_is_the_whole_document(void **state)
{
    role_world &w = role_of(state);
    role_make_bucket(w, "b");
    role_check(role_ask(w, "GET /v1/cluster/backup"), "backup", 401, "");
    test_eq_text(role_ask_as_node(w, "GET /v1/cluster/backup").answer.body, w.p->documents.text);
}

static void a_backup_is_restored_unless_a_newer_document_is_there(void **state)
{
    role_world &w = role_of(state);
    static constexpr const char *restore = "POST /v1/cluster/restore";
    scripted_node &node = make_holder(w, "target-01", lost_document());
    make_holder(w, "target-02", lost_document());
    std::string backup = document_print(lost_document());
    role_check(role_ask(w, restore, backup), restore, 401, "");
    role_check(role_ask_as_node(w, restore, "{}"), restore, 400, "this is no backup of a cluster document");
    role_check(role_ask_as_node(w, std::string(restore) + "?take=x", backup), restore, 400, "there are backup and newest");
    role_check(role_ask_as_node(w, restore, backup), restore, 200, R"("cluster":"CLUSTERuuid1","version":4)");
    role_expect(w, "GET /v1/objects/b/o", {}, 301);
    role_make_bucket(w, "later");
    for (const char *id : {"target-01", "target-02"}) {
        role_take_push(w, *w.peers[id]);
        hold(w, *w.peers[id], proxy_document(*w.p));
    }
    role_check(role_ask_as_node(w, restore, backup), restore, 409, "etlctl cluster recover loses nothing");
    role_check(role_ask_as_node(w, std::string(restore) + "?force_old=true", backup), restore, 200, "");
    test_true(document_find_bucket(proxy_document(*w.p), "later") != nullptr);
    role_take_push(w, node);
    cluster_document taken;
    test_ok(document_parse(w.held["target-01"], taken));
    test_eq(taken.version, proxy_document(*w.p).version);
    cluster_document other = lost_document();
    other.uuid = "CLUSTERuuid2";
    role_check(role_ask_as_node(w, restore, document_print(other)), restore, 409, "which has targets of its own");
}

// --- --recover-from

static int set_up_recovering(void **state)
{
    role_world *w = role_world_make(false);
    *state = w;
    w->options.recover_from = {"http://10.0.0.11:8080"};
    return 0;
}

static void a_start_recovers(void **state)
{
    role_world &w = role_of(state);
    make_holder(w, "target-01", lost_document());
    role_start(w);
    test_true(static_cast<bool>(w.start_err));
    test_has_text(w.start_detail, "not heard: target-02");
    role_stop(w);
    make_holder(w, "target-02", lost_document());
    w.image = memory_empty();
    role_start(w);
    test_ok(w.start_err);
    test_eq_text(proxy_document(*w.p).uuid, "CLUSTERuuid1");
    test_eq(proxy_document(*w.p).version, 4);
    role_stop(w);
    role_start(w); // it has a document now, in which it begins epochs
    test_eq(proxy_document(*w.p).version, 5);
    role_stop(w);
    role_start(w);
    test_eq(proxy_document(*w.p).version, 5);
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_lost_document_is_taken_from_the_targets, role_set_up_proxy, role_tear_down),
        cmocka_unit_test_setup_teardown(a_missing_target_must_be_named, role_set_up_proxy, role_tear_down),
        cmocka_unit_test_setup_teardown(a_proxy_whose_cluster_has_targets_keeps_it, role_set_up_cluster, role_tear_down),
        cmocka_unit_test_setup_teardown(a_proxy_that_is_behind_catches_up, role_set_up_cluster, role_tear_down),
        cmocka_unit_test_setup_teardown(a_newer_document_that_is_gone_can_be_given_up, role_set_up_cluster, role_tear_down),
        cmocka_unit_test_setup_teardown(a_document_of_another_line_does_not_stop_the_proxy, role_set_up_cluster, role_tear_down),
        cmocka_unit_test_setup_teardown(a_destroyed_bucket_is_recorded_until_all_targets_hold_it, role_set_up_cluster, role_tear_down),
        cmocka_unit_test_setup_teardown(objects_of_unknown_buckets_are_reported_and_removed, role_set_up_cluster, role_tear_down),
        cmocka_unit_test_setup_teardown(a_backup_is_the_whole_document, role_set_up_cluster, role_tear_down),
        cmocka_unit_test_setup_teardown(a_backup_is_restored_unless_a_newer_document_is_there, role_set_up_proxy, role_tear_down),
        cmocka_unit_test_setup_teardown(a_start_recovers, set_up_recovering, role_tear_down),
    };
    return role_main(tests);
}
