// SPDX-License-Identifier: MIT
// What the proxy adds up from its targets: sums of buckets, AIStore's summaries, disks and versions of nodes.
#include "role_world.h"

using namespace etlnode;

static constexpr const char *summary = R"({"action":"summary-bck","value":{"uuid":"job"}})";

// Two targets, and the buckets "b" and "c".
static void make_cluster(role_world &w)
{
    role_add_target(w, "target-02");
    role_make_bucket(w, "b");
    role_make_bucket(w, "c");
}

static void script_usage(role_world &w, const char *first, const char *second)
{
    role_script(*w.peers[role_target_id], {.match = "GET /v1/node/usage", .body = first});
    role_script(*w.peers["target-02"], {.match = "GET /v1/node/usage", .body = second});
}

static void sums_of_all_targets_are_added(void **state)
{
    role_world &w = role_of(state);
    make_cluster(w);
    script_usage(w, R"({"buckets":[{"name":"b","objects":2,"bytes":20}]})", R"({"buckets":[{"name":"b","objects":1,"bytes":5}]})");
    role_expect(w, "GET /v1/cluster?what=usage", {}, 200,
        R"({"buckets":[{"name":"b","objects":3,"bytes":25},{"name":"c","objects":0,"bytes":0}],"missing":[]})");
    role_script(*w.peers["target-02"], {.match = "GET /v1/node/usage", .status = 500, .times = 1});
    role_expect(w, "GET /v1/cluster?what=usage", {}, 200, R"("objects":2,"bytes":20)");
    role_script(*w.peers["target-02"], {.match = "GET /v1/node/usage", .body = "nonsense", .times = 1});
    role_expect(w, "GET /v1/cluster?what=usage", {}, 200, R"("missing":["target-02"])");
    role_wait_silent(w, *w.peers[role_target_id]);
    role_expect(w, "GET /v1/cluster?what=usage", {}, 200, R"("target-01")");
}

static void summaries_are_a_job_and_its_result(void **state)
{
    role_world &w = role_of(state);
    make_cluster(w);
    script_usage(w, R"({"buckets":[{"name":"b","objects":2,"bytes":20,"min":5,"max":15}]})",
        R"({"buckets":[{"name":"b","objects":1,"bytes":4,"min":4,"max":4}]})");
    role_register(w, *w.peers[role_target_id],
        R"("object_count":2,"capacity":{"machine":"m","bytes":20,"disk":{"id":1,"size":1000,"used":1,"free":2,"out_of_space":95}},)");
    role_register(w, *w.peers["target-02"],
        R"("object_count":1,"capacity":{"machine":"m","bytes":4,"disk":{"id":1,"size":1000,"used":1,"free":2,"out_of_space":95}},)");
    const scripted_call &first = role_ask(w, "GET /v1/buckets/b?provider=ais", R"({"action":"summary-bck","value":{"uuid":""}})");
    test_eq(first.status(), 202);
    test_eq(first.answer.body.size(), 9u);
    const std::string sum = R"({"name":"b","provider":"ais","namespace":{"uuid":"","name":""},"ObjCount":{"obj_count_present":"3",)"
                            R"("obj_count_remote":"0"},"ObjSize":{"obj_min_size":4,"obj_avg_size":8,"obj_max_size":15},"TotalSize":)"
                            R"({"size_on_disk":"24","size_all_present_objs":"24","size_all_remote_objs":"0","total_disks_size":"1000"},)"
                            R"("used_pct":2,"is_present":true})";
    test_eq_text(role_ask(w, "GET /v1/buckets/b?provider=ais", summary).answer.body, "[" + sum + "]");
    const std::string all = role_ask(w, "GET /v1/buckets?provider=ais", summary).answer.body;
    test_has_text(all, "[" + sum + ",{\"name\":\"c\"");
    const scripted_call &head = role_ask(w, "HEAD /v1/buckets/b?bsumm_remote=True&presence=2");
    test_eq(head.status(), 202);
    test_eq(sim_header(head.answer, "ais-xaction-id").size(), 9u);
    test_has_text(sim_header(head.answer, "ais-bucket-props"), "\"provider\":\"ais\"");
    const scripted_call &again = role_ask(w, "HEAD /v1/buckets/b?bsumm_remote=True&presence=2&uuid=job");
    test_eq(again.status(), 200);
    test_eq_text(sim_header(again.answer, "ais-bucket-summ"), sum);
    test_has_text(sim_header(again.answer, "ais-bucket-props"), "\"provider\":\"ais\"");
    role_ask(w, "GET /v1/buckets/b", R"({"action":"summary-bck","value":{"uuid":"job","prefix":"a/b c"}})");
    test_has_text(scripted_last(*w.peers["target-02"], "GET /v1/node/usage").second, "walk=true&prefix=a%2Fb%20c&bucket=b");
}

static void a_summary_that_would_be_too_small_is_refused(void **state)
{
    role_world &w = role_of(state);
    make_cluster(w);
    script_usage(w, R"({"buckets":[]})", "nonsense");
    const role_case cases[] = {
        {"GET /v1/buckets/none", summary, 404, "bucket \"ais://none\" does not exist"},
        {"HEAD /v1/buckets/none?bsumm_remote=1", nullptr, 404, "bucket \"ais://none\" does not exist"},
        {"GET /v1/buckets/b", summary, 500, "target target-02 answered with sums that cannot be read"},
    };
    role_check_cases(w, cases);
    role_script(*w.peers["target-02"],
        {.match = "GET /v1/node/usage", .status = 503, .body = R"({"status":503,"message":"is being emptied","code":"unavailable"})"});
    role_expect(w, "GET /v1/buckets/b", summary, 503, "target target-02: is being emptied");
    role_wait_silent(w, *w.peers[role_target_id]);
    role_expect(w, "GET /v1/buckets/b", summary, 503, "the summary would not be complete: target target-01 is silent");
}

static void disks_and_versions_of_nodes_are_shown(void **state)
{
    role_world &w = role_of(state);
    scripted_node &node = *w.peers[role_target_id];
    role_register(w, node,
        R"("object_count":4,"capacity":{"version":"9.9","machine":"m","bytes":44,"disk":{"id":7,"size":1000,"used":960,"free":40,)"
        R"("out_of_space":95}},)");
    role_expect(w, "GET /v1/cluster?what=nodes", {}, 200,
        R"("objects":4,"version":"9.9","bytes":44,"disk":{"id":"m:7","size":1000,"used":960,"free":40,"used_percent":96,)"
        R"("out_of_space":95,"state":"full"},"reason":"")");
    role_register(w, node, R"("object_count":4,)"); // a target of a former version
    role_expect(w, "GET /v1/cluster?what=nodes", {}, 200, R"("objects":4,"reason":"")");
    role_check(role_register(w, node, R"("object_count":4,"capacity":{"bytes":"x"},)"), "register", 400,
        "the registration of target target-01: capacity.bytes: expected a whole number");
}

static void a_node_is_asked_through_the_proxy(void **state)
{
    role_world &w = role_of(state);
    scripted_node &node = *w.peers[role_target_id];
    role_script(node, {.match = "GET /v1/daemon", .body = R"({"from":"target"})"});
    const role_case cases[] = {
        {"GET /v1/reverse/daemon?what=node_status", nullptr, 400, "missing node ID"},
        {"GET /v1/reverse/daemon?what=node_status", nullptr, 404, "node ID not present in Smap v", "Ais-Node-Id: nobody-01\r\n"},
        {"GET /v1/reverse/daemon?what=node_status", nullptr, 200, R"("daemon_id":"proxy-01")", "Ais-Node-Id: proxy-01\r\n"},
        {"GET /v1/reverse/daemon?what=smap", nullptr, 200, R"("tmap":{"target-01")", "Ais-Node-Id: proxy-01\r\n"},
        {"GET /v1/reverse/daemon?what=none", nullptr, 501, "what=none is not implemented", "Ais-Node-Id: proxy-01\r\n"},
        {"GET /v1/reverse/daemon?what=mountpaths&x=1", nullptr, 200, R"({"from":"target"})", "Ais-Node-Id: target-01\r\n"},
        {"PUT /v1/reverse/daemon", "", 405, "allowed: GET", "Ais-Node-Id: target-01\r\n"},
    };
    role_check_cases(w, cases);
    test_eq_text(scripted_last(node, "GET /v1/daemon").second, "/v1/daemon?what=mountpaths&x=1");
    role_script(node, {.match = "GET /v1/daemon", .status = 501, .body = R"({"status":501,"message":"not here"})"});
    role_check(role_ask(w, "GET /v1/reverse/daemon?what=log", {}, "Ais-Node-Id: target-01\r\n"), "refused there", 501, "not here");
    role_wait_silent(w, node);
    role_check(role_ask(w, "GET /v1/reverse/daemon?what=smap", {}, "Ais-Node-Id: target-01\r\n"), "silent", 503, "target-01 is silent");
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sums_of_all_targets_are_added, role_set_up_cluster, role_tear_down),
        cmocka_unit_test_setup_teardown(summaries_are_a_job_and_its_result, role_set_up_cluster, role_tear_down),
        cmocka_unit_test_setup_teardown(a_summary_that_would_be_too_small_is_refused, role_set_up_cluster, role_tear_down),
        cmocka_unit_test_setup_teardown(a_node_is_asked_through_the_proxy, role_set_up_cluster, role_tear_down),
        cmocka_unit_test_setup_teardown(disks_and_versions_of_nodes_are_shown, role_set_up_cluster, role_tear_down),
    };
    return role_main(tests);
}
