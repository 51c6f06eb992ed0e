// SPDX-License-Identifier: MIT
// A target whose disk gets full, and what it says of its objects and its disk: refusals, reports, metrics, sums of buckets.
#include "role_world.h"

#include "base/limits.h"

using namespace etlnode;

static constexpr const char *beat = "POST /v1/node/register";
static constexpr const char *put_line = "PUT /v1/objects/b/o?pid=p&utm=1";

static scripted_node &proxy_of(role_world &w) { return *w.peers[role_proxy_id]; }

// Of a disk of 1,000,000 bytes.
static void set_used(role_world &w, uint64_t used)
{
    w.node->space = {.id = 3, .size = 1'000'000, .used = used, .free = 1'000'000 - used};
    scripted_pass(*w.sim, space_poll_ms + 500); // an answer given before
    test_true(w.t->space.is_known);
    test_eq(w.t->space.last.used, used);
}

static void a_full_disk_refuses_writes_only(void **state)
{
    role_world &w = role_of(state);
    role_check(role_ask(w, put_line, "before"), "PUT", 200, "");
    set_used(w, 949'999);
    role_check(role_ask(w, put_line, "x"), "PUT", 200, "");
    role_check(role_ask(w, put_line, "two"), "PUT", 507,
        "t[target-01]: cannot store ais://b/o: the object has 3 bytes, and the disk of target target-01 has room for 1 before it is used "
        "to 95% (--out-of-space); remove objects, or give it more room; reads and deletes go on");
    set_used(w, 950'000);
    const role_case full[] = {
        {put_line, "y", 507, "is used to 95.0%, and from 95% (--out-of-space) it stores nothing; remove objects"},
        {put_line, "", 507, "it stores nothing"}, // an empty object, too: its row needs room
        {"PUT /v1/objects/b/o?pid=p&utm=1&object_to=ais%2F%40%23%2Fb%2Fcopy", nullptr, 507, "cannot store ais://b/copy: the disk"},
        {"GET /v1/objects/b/o", nullptr, 200, "x"},
        {"HEAD /v1/objects/b/o", nullptr, 200, ""},
        {"GET /v1/health?readiness=true", nullptr, 200, ""},
        {"DELETE /v1/objects/b/o?pid=p&utm=1", nullptr, 200, ""},
    };
    role_check_cases(w, full);
    test_eq(w.t->space.refused, 4u);
    test_has_text(role_ask(w, "GET /metrics").answer.body, "\netlnode_disk_refused_total 4\n");
    set_used(w, 100); // it recovers by itself
    role_check(role_ask(w, put_line, "again"), "PUT", 200, "");
}

static void without_a_limit_the_disk_decides(void **state)
{
    role_world &w = role_of(state);
    w.t->options.out_of_space = 100;
    set_used(w, 1'000'000);
    role_check(role_ask(w, put_line, "x"), "PUT", 200, "");
}

// Between two regular questions: what was written since the last answer counts.
static void a_burst_makes_it_ask_sooner(void **state)
{
    role_world &w = role_of(state);
    set_used(w, 900'000);
    uint64_t asked = w.node->executed[memory_op::space];
    w.node->space.used = 960'000;
    w.node->space.free = 40'000;
    role_check(role_ask(w, put_line, std::string(100, 'x')), "PUT", 200, "");
    test_eq(w.node->executed[memory_op::space], asked);
    role_check(role_ask(w, put_line, std::string(20'000, 'x')), "PUT", 200, "");
    test_true(scripted_until(
        *w.sim, [&] { return w.t->space.state == space_state::full; }, space_poll_ms / 4));
    role_check(role_ask(w, put_line, "x"), "PUT", 507, "it stores nothing");
}

static void a_disk_that_does_not_answer_refuses_nothing(void **state)
{
    role_world &w = role_of(state);
    set_used(w, 10);
    role_fail_disk(w, memory_op::space, error_code::io, {}, 1'000);
    scripted_pass(*w.sim, 3 * space_poll_ms);
    test_true(w.t->space.has_failed);
    role_check(role_ask(w, put_line, "x"), "PUT", 200, "");
    w.node->faults.clear();
    set_used(w, 960'000);
    test_false(w.t->space.has_failed);
    role_check(role_ask(w, put_line, "x"), "PUT", 507, "it stores nothing");
}

static void it_reports_what_it_holds_and_how_full_it_is(void **state)
{
    role_world &w = role_of(state);
    role_check(role_ask(w, put_line, "12345"), "PUT", 200, "");
    set_used(w, 920'000);
    scripted_pass(*w.sim, heartbeat_interval_ms + 500);
    test_has_text(scripted_last(proxy_of(w), beat).body,
        R"("capacity":{"version":"unit","machine":"node1","bytes":5,"disk":{"id":"3","size":1000000,"used":920000,"free":80000,)"
        R"("out_of_space":95}})");
    const std::string metrics = role_ask(w, "GET /metrics").answer.body;
    for (const char *line : {"etlnode_store_objects 1", "etlnode_store_bytes 5", "etlnode_bucket_objects{bucket=\"b\"} 1",
             "etlnode_bucket_bytes{bucket=\"b\"} 5", "etlnode_disk_size_bytes 1000000", "etlnode_disk_used_bytes 920000",
             "etlnode_disk_free_bytes 80000", "etlnode_disk_nearly_full 1", "etlnode_disk_full 0"})
        test_has_text(metrics, "\n" + std::string(line) + "\n");
    set_used(w, 960'000);
    test_has_text(role_ask(w, "GET /metrics").answer.body, "\netlnode_disk_full 1\n");
}

static void it_describes_itself_as_aistores_nodes_do(void **state)
{
    role_world &w = role_of(state);
    set_used(w, 500'000);
    const role_case cases[] = {
        {"GET /v1/daemon?what=node_status", nullptr, 200, R"("ais_version":"unit.")"},
        {"GET /v1/daemon?what=node_status", nullptr, 200, R"("daemon_id":"target-01")"},
        {"GET /v1/daemon?what=node_status", nullptr, 200, R"("total_used":"500000","total_avail":"500000","pct_max":50)"},
        {"GET /v1/daemon?what=mountpaths", nullptr, 200, R"({"available":["/data"],"waiting_dd":[],"disabled":[]})"},
        {"GET /v1/daemon?what=sysinfo", nullptr, 200, R"({"mem_used":750,"mem_avail":250)"},
        {"GET /v1/daemon?what=metrics", nullptr, 200, R"("get.n":"counter")"},
        {"GET /v1/daemon?what=config", nullptr, 200, R"("rebalance":{)"},
        {"GET /v1/daemon?what=bmd", nullptr, 200, R"("@#":{"b":{)"},
        {"GET /v1/daemon?what=software_version", nullptr, 200, R"("version":"unit")"},
        {"GET /v1/daemon?what=tls_certificate", nullptr, 501, "what=tls_certificate is not implemented; there are: log, smap, node_status"},
    };
    role_check_cases(w, cases);
}

// Many buckets do not make many series.
static void metrics_name_the_largest_buckets(void **state)
{
    role_world &w = role_of(state);
    for (size_t i = 0; i < metrics_buckets_max + 5; i++) {
        index_row row;
        row.bucket = text_format("bucket-%03zu", i);
        row.name = "o";
        row.size = 1'000 + i;
        w.node->now.rows[{row.bucket, row.name}] = row;
    }
    const std::string metrics = role_ask(w, "GET /metrics").answer.body;
    test_has_text(metrics, "\netlnode_bucket_bytes{bucket=\"bucket-104\"} 1104\n");
    test_has_text(metrics, "\netlnode_bucket_bytes{bucket=\"bucket-005\"} 1005\n");
    test_eq(metrics.find("bucket-004"), std::string::npos);
    test_has_text(metrics, "\netlnode_bucket_objects{bucket=\"(others)\"} 5\n");
    test_has_text(metrics, "\netlnode_bucket_bytes{bucket=\"(others)\"} 5010\n");
    w.node->now.rows.clear();
}

static void it_sums_up_its_buckets(void **state)
{
    role_world &w = role_of(state);
    document_put_bucket(w.document, {.name = "c", .created_ns = 6});
    role_check(role_push(w), "push", 204, "");
    for (const char *name : {"b/dir/1", "b/dir/2", "b/zoo", "c/only"})
        role_check(role_ask(w, std::string("PUT /v1/objects/") + name + "?pid=p&utm=1", name), "PUT", 200, "");
    index_row foreign; // of a bucket that the document does not have
    foreign.bucket = "gone";
    foreign.name = "o";
    w.node->now.rows[{"gone", "o"}] = foreign;
    struct row {
        const char *query;
        const char *body;
    };
    const row rows[] = {
        {"", R"({"buckets":[{"name":"b","objects":3,"bytes":19},{"name":"c","objects":1,"bytes":6}]})"},
        {"?bucket=b", R"({"buckets":[{"name":"b","objects":3,"bytes":19}]})"},
        {"?bucket=none", R"({"buckets":[]})"},
        {"?bucket=gone", R"({"buckets":[]})"},
        {"?bucket=b&walk=true", R"({"buckets":[{"name":"b","objects":3,"bytes":19,"min":5,"max":7}]})"},
        {"?bucket=b&prefix=dir%2F", R"({"buckets":[{"name":"b","objects":2,"bytes":14,"min":7,"max":7}]})"},
        {"?bucket=b&prefix=none", R"({"buckets":[{"name":"b","objects":0,"bytes":0}]})"},
        {"?walk=true", R"({"buckets":[{"name":"b","objects":3,"bytes":19,"min":5,"max":7},)"
                       R"({"name":"c","objects":1,"bytes":6,"min":6,"max":6}]})"},
    };
    for (const row &one : rows)
        test_eq_text(role_ask_as_node(w, std::string("GET /v1/node/usage") + one.query).answer.body, one.body);
    role_check(role_ask(w, "GET /v1/node/usage"), "a stranger", 401, "calls between nodes need");
    w.node->now.rows.erase({"gone", "o"});
}

// More rows than one question to the index returns.
static void a_walk_takes_page_after_page(void **state)
{
    role_world &w = role_of(state);
    for (size_t i = 0; i < 2'500; i++) {
        index_row row;
        row.bucket = "b";
        row.name = text_format("n%04zu", i);
        row.size = i;
        w.node->now.rows[{row.bucket, row.name}] = row;
    }
    test_eq_text(role_ask_as_node(w, "GET /v1/node/usage?walk=1").answer.body,
        R"({"buckets":[{"name":"b","objects":2500,"bytes":3123750,"min":0,"max":2499}]})");
    test_eq_text(role_ask_as_node(w, "GET /v1/node/usage?bucket=b&prefix=n1").answer.body,
        R"({"buckets":[{"name":"b","objects":1000,"bytes":1499500,"min":1000,"max":1999}]})");
    role_fail_disk(w, memory_op::index_page, error_code::io);
    role_check(role_ask_as_node(w, "GET /v1/node/usage?walk=1"), "a disk error", 500, "input/output error");
    w.node->now.rows.clear();
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_full_disk_refuses_writes_only, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(without_a_limit_the_disk_decides, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(a_burst_makes_it_ask_sooner, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(a_disk_that_does_not_answer_refuses_nothing, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(it_reports_what_it_holds_and_how_full_it_is, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(it_describes_itself_as_aistores_nodes_do, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(metrics_name_the_largest_buckets, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(it_sums_up_its_buckets, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(a_walk_takes_page_after_page, role_set_up_member, role_tear_down),
    };
    return role_main(tests);
}
