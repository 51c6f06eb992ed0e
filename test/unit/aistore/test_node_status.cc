// SPDX-License-Identifier: MIT
// What a node says of itself, with the keys and kinds of values that AIStore's clients read without a check.
#include "node_test.h"

#include "aistore/node_status.h"

using namespace etlnode;

static cluster_document make_document()
{
    cluster_document document;
    document.uuid = "CLUSTERuuid1";
    document.version = 7;
    for (bool is_target : {false, true}) {
        cluster_node node;
        node.id = is_target ? "target-01" : "proxy-01";
        node.is_target = is_target;
        node.url = is_target ? "http://10.0.0.2:80" : "http://10.0.0.1:80";
        node.digest = 5;
        document_put_node(document, node);
    }
    document_put_bucket(document, {.name = "b", .created_ns = 5});
    return document;
}

static node_facts facts_of(const cluster_document &document)
{
    node_facts facts;
    facts.document = &document;
    facts.id = "target-01";
    facts.is_target = true;
    facts.data_dir = "/data";
    facts.proxy_url = "http://10.0.0.1:80";
    facts.uptime_ms = 3;
    facts.capacity = {.version = "1.2",
        .is_known = true,
        .is_disk_known = true,
        .disk = {.id = 9, .size = 1000, .used = 960, .free = 40},
        .out_of_space = 95};
    facts.machine = {.memory = 1000, .memory_available = 250, .load = {2, 1, 0.5}, .processors = 4};
    facts.counts = {{"get.n", 4}, {"get.size", 44}};
    return facts;
}

static void status_has_what_tables_show(void **)
{
    cluster_document document = make_document();
    json_ptr tree = node_status_json(facts_of(document));
    test_eq_text(json_text(tree.get(), "ais_version"), "1.2.");
    test_eq_text(json_text(tree.get(), "deployment"), "linux");
    test_eq_text(json_text(json_get(tree.get(), "snode"), "daemon_id"), "target-01");
    test_eq_text(json_text(tree.get(), "smap_version"), "7");
    const cJSON *tracker = json_get(tree.get(), "tracker");
    test_eq(json_u64(tracker, "state.flags", 0), 6u);
    test_eq(json_u64(tracker, "up.ns.time", 0), 3'000'000u);
    test_eq(json_u64(tracker, "get.size", 0), 44u);
    const cJSON *capacity = json_get(tree.get(), "capacity");
    test_eq_text(json_print(capacity),
        R"({"mountpaths":{"/data":{"mountpath_label":"","fs":{"Fs":"","FsType":"","FsID":"9,0"},"disks":[],"used":"960","avail":"40",)"
        R"("pct_used":96}},"cs_err":"out of space: the disk is used to 96.0%","total_used":"960","total_avail":"40","pct_max":96,)"
        R"("pct_avg":96,"pct_min":96})");
    const cJSON *cluster = json_get(tree.get(), "cluster");
    test_eq_text(json_text(json_get(json_get(cluster, "smap"), "Primary"), "id"), "proxy-01");
    test_eq_text(json_text(json_get(cluster, "bmd"), "version"), "7");
    test_eq(json_u64(cluster, "flags", 0), 6u);
    test_eq_text(json_print(json_get(tree.get(), "sys_info")),
        R"({"mem_used":750,"mem_avail":250,"pct_mem_used":75,"pct_cpu_used":50,"load_avg":{"One":2,"Five":1,"Fifteen":0.5}})");
}

static void a_proxy_has_no_disk_of_objects(void **)
{
    cluster_document document = make_document();
    node_facts facts = facts_of(document);
    facts.id = "proxy-01";
    facts.is_target = false;
    facts.pod_name = "proxy-0";
    facts.is_on_kubernetes = true;
    facts.machine = {};
    json_ptr tree = node_status_json(facts);
    test_true(json_get(tree.get(), "capacity") == nullptr);
    test_eq_text(json_text(tree.get(), "deployment"), "K8s");
    test_eq_text(json_text(tree.get(), "k8s_pod_name"), "proxy-0");
    test_has_text(json_print(json_get(tree.get(), "sys_info")), R"("pct_cpu_used":0)"); // nothing is divided by nothing
    test_eq_text(json_print(node_mountpaths_json(facts).get()), R"({"available":[],"waiting_dd":[],"disabled":[]})");
    facts.id = "unknown-node"; // not in the document yet
    test_eq_text(json_print(json_get(node_status_json(facts).get(), "snode")), "{}");
}

static void metrics_paths_and_buckets(void **)
{
    cluster_document document = make_document();
    node_facts facts = facts_of(document);
    test_eq_text(json_print(node_metrics_json(facts).get()),
        R"({"state.flags":"gauge","up.ns.time":"special","get.n":"counter","get.size":"size"})");
    test_eq_text(json_print(node_mountpaths_json(facts).get()), R"({"available":["/data"],"waiting_dd":[],"disabled":[]})");
    json_ptr buckets = node_buckets_json(document);
    test_eq_text(json_text(buckets.get(), "uuid"), "CLUSTERuuid1");
    test_eq_text(json_text(buckets.get(), "version"), "7");
    const cJSON *space = json_get(json_get(json_get(buckets.get(), "providers"), "ais"), "@#");
    test_eq_text(json_text(json_get(space, "b"), "provider"), "ais");
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(status_has_what_tables_show),
        cmocka_unit_test(a_proxy_has_no_disk_of_objects),
        cmocka_unit_test(metrics_paths_and_buckets),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
