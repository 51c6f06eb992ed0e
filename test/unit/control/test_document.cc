// SPDX-License-Identifier: MIT
#include "node_test.h"

#include <array>

#include "base/limits.h"
#include "control/document.h"
#include "control/placement.h"

using namespace etlnode;

static cluster_node node_of(const char *id, bool is_target, const char *url, uint32_t flags = 0)
{
    return {.id = id, .is_target = is_target, .url = url, .digest = placement_digest(id), .flags = flags, .heard_ms = 77};
}

static cluster_document *sample = nullptr;

static int make_sample(void **)
{
    sample = new cluster_document;
    sample->version = 9007199254740993ull; // not representable as a double
    sample->uuid = "cluster-1";
    sample->created = "2026-01-02 03:04:05";
    sample->next_generation = 5;
    document_put_node(*sample, node_of("t2bbbbbb", true, "http://127.0.0.1:4712"));
    document_put_node(*sample, node_of("p1", false, "http://[::1]:8080", node_flag_maintenance));
    document_put_node(*sample, node_of("p2", false, "http://10.0.0.1:51080"));
    document_put_node(*sample, node_of("t1aaaaaa", true, "http://node-1.example:4711"));
    document_put_bucket(*sample, {"transform", 1800000000123456789ull});
    document_put_bucket(*sample, {"a", 1});
    cluster_etl etl;
    etl.id = "aBcDeFgHiJ";
    etl.name = "transformer-md5";
    etl.mode = etl_mode::hrev;
    etl.pod_json = "{\"kind\":\"Pod\",\"text\":\"\\\" \\n é\"}";
    etl.init_json = "{}";
    etl.wait_timeout_ms = 60000;
    etl.obj_timeout_ms = 45000;
    etl.require_framing = true;
    etl.reuse_connections = false;
    etl.stage = etl_stage::running;
    etl.generation = 4;
    etl.generation_id = "0123456789abcdef-4";
    etl.secret = "s3cret";
    etl.last_error = "it\nfailed";
    etl.started_ns = 1800000000123456789ull;
    document_put_etl(*sample, etl);
    etl.id = "ZZZZZZZZZZ";
    etl.name = "other";
    etl.runtime_spec = true;
    etl.hpull_address = client_address::node_port;
    document_put_etl(*sample, etl);
    return 0;
}

static int drop_sample(void **)
{
    delete sample;
    return 0;
}

static void a_document_survives_printing(void **)
{
    std::string text = document_print(*sample);
    cluster_document back;
    test_ok(document_parse(text, back));
    test_eq(back.version, sample->version);
    test_eq_text(back.uuid, "cluster-1");
    test_eq_text(back.created, "2026-01-02 03:04:05");
    test_eq(back.next_generation, 5u);
    test_eq(back.nodes.size(), 4u);
    test_eq_text(back.nodes[2].id, "t1aaaaaa"); // in order
    test_eq(back.nodes[2].digest, placement_digest("t1aaaaaa"));
    test_true(back.nodes[2].is_target);
    test_eq(back.nodes[2].heard_ms, 0u); // the proxy's observations are not part of it
    test_eq(back.nodes[0].flags, node_flag_maintenance);
    test_eq(back.buckets[1].created_ns, 1800000000123456789ull);
    test_eq(back.etls.size(), 2u);
    const cluster_etl &etl = back.etls[1];
    test_eq_text(etl.id, "aBcDeFgHiJ");
    test_eq_enum(etl.mode, etl_mode::hrev);
    test_eq_text(etl.pod_json, sample->etls[1].pod_json);
    test_true(etl.require_framing);
    test_false(etl.reuse_connections);
    test_false(etl.runtime_spec);
    test_true(back.etls[0].runtime_spec);
    test_eq_enum(etl.hpull_address, client_address::pod_ip);
    test_eq_enum(back.etls[0].hpull_address, client_address::node_port);
    test_eq_enum(etl.stage, etl_stage::running);
    test_eq(etl.generation, 4u);
    test_eq_text(etl.secret, "s3cret");
    test_eq_text(etl.last_error, "it\nfailed");
    test_eq(etl.wait_timeout_ms, 60000u);
    test_eq(etl.started_ns, 1800000000123456789ull);
    test_eq_text(document_print(back), text);
}

static std::string replaced(std::string text, std::string_view from, std::string_view to)
{
    size_t at = text.find(from);
    return at == std::string::npos ? "not found" : text.replace(at, from.size(), to);
}

// The printed form of the large texts is cached, but must never outlive them.
static void what_changed_is_printed_anew(void **)
{
    cluster_document document = *sample;
    document_printer printer;
    std::string before = document_print(document);
    test_eq_text(document_print(document, printer), before);
    test_eq_text(document_print(document, printer), before);
    test_eq(printer.known.size(), size_t{2});
    printer.known[1].text += ",\"mark\":1"; // unchanged texts are not printed again
    test_has_text(document_print(document, printer), "\"mark\":1");
    cluster_document copy = document;
    copy.etls[0].pod_json.back() = ']'; // of the same size
    copy.etls[1].init_json = "{\"x\":1}";
    copy.etls[1].stage = etl_stage::aborted;
    cluster_document read;
    test_ok(document_parse(document_print(copy, printer), read));
    test_eq_text(read.etls[0].pod_json, copy.etls[0].pod_json);
    test_eq_text(read.etls[1].init_json, copy.etls[1].init_json);
    test_eq_enum(read.etls[1].stage, etl_stage::aborted);
    printer = document_printer();
    test_eq_text(document_print(document, printer), before);
    cluster_etl twin = document.etls[1]; // the same texts under another id
    twin.id = "YYYYYYYYYY";
    document_put_etl(document, twin);
    test_eq_text(document_print(document, printer), document_print(document));
    document.etls.clear();
    test_ok(document_parse(document_print(document, printer), read));
    test_eq(read.etls.size(), size_t{0});
    test_eq(printer.known.size(), size_t{0});
}

static cluster_etl failed_start(const std::string &pod, const std::string &init)
{
    cluster_etl etl = sample->etls[0];
    etl.pod_json = pod;
    etl.init_json = init;
    etl.stage = etl_stage::aborted;
    etl.started_ns = 0;
    return etl;
}

static void a_failed_start_keeps_no_large_spec(void **)
{
    const std::string large(900'000, 'x');
    cluster_etl small = failed_start("{\"kind\":\"Pod\"}", "{\"name\":\"a\"}");
    test_false(document_shed_spec(small));
    test_eq_text(small.pod_json, "{\"kind\":\"Pod\"}");

    cluster_etl etl = failed_start(large, "{\"name\":\"a\",\"init_timeout\":\"45s\",\"spec\":\"" + large + "\"}");
    test_true(document_shed_spec(etl));
    test_eq_text(etl.pod_json, "");
    test_eq_text(etl.init_json, "{\"name\":\"a\",\"init_timeout\":\"45s\",\"spec\":\"\"}"); // its other fields stay visible
    test_eq_text(etl.last_error, sample->etls[0].last_error);
    test_eq_text(etl.generation_id, sample->etls[0].generation_id); // which contains the spec's digest
    test_false(document_shed_spec(etl));

    std::string many;
    for (int i = 0; i < 20'000; i++)
        many += std::string(many.empty() ? "" : ",") + "{\"name\":\"V\",\"value\":\"x\"}";
    etl = failed_start(large, "{\"name\":\"a\",\"runtime\":{\"image\":\"i\",\"env\":[" + many + "]}}");
    test_true(document_shed_spec(etl));
    test_true(etl.init_json.size() < failed_start_spec_max);
    test_has_text(etl.init_json, "\"image\":\"i\"");
    // Nested values, long lists and texts that are not JSON are not kept.
    std::string members;
    for (int i = 0; i < 2'000; i++)
        members += (i > 0 ? ",\"m" : "\"m") + std::to_string(i) + "\":1";
    for (const std::string &init : {"{" + members + "}", large}) {
        etl = failed_start(large, init);
        test_true(document_shed_spec(etl));
        test_eq_text(etl.init_json, "{\"name\":\"other\",\"communication\":\"hrev://\"}");
    }
    // An ETL that served or runs is restarted with everything it has.
    etl = failed_start(large, large);
    etl.started_ns = 1;
    test_false(document_shed_spec(etl));
    etl.started_ns = 0;
    etl.stage = etl_stage::running;
    test_false(document_shed_spec(etl));
    test_eq(etl.pod_json.size(), large.size());
}

static void a_document_from_before_node_ports_is_read(void **)
{
    std::string text = document_print(*sample);
    for (const char *words : {"\"hpull_address\":\"pod_ip\",", "\"hpull_address\":\"node_port\","})
        text = replaced(text, words, "");
    cluster_document back;
    test_ok(document_parse(text, back));
    test_eq_enum(back.etls[0].hpull_address, client_address::pod_ip);
}

static void damaged_documents_are_refused(void **)
{
    std::string good = document_print(*sample);
    struct damage {
        std::string_view from, to;
        error_code expected;
    };
    const damage cases[] = {
        {"\"format\":1", "\"format\":2", error_code::newer_version},
        {"\"format\":1", "\"format\":0", error_code::corrupt},
        {"\"format\":1,", "", error_code::corrupt},
        {"\"version\":\"9007199254740993\"", "\"version\":\"99999999999999999999\"", error_code::corrupt},
        {"\"version\":\"9007199254740993\"", "\"version\":\"-1\"", error_code::corrupt},
        {"\"version\":\"9007199254740993\"", "\"version\":true", error_code::corrupt},
        {"\"uuid\":\"cluster-1\"", "\"uuid\":7", error_code::corrupt},
        {"\"nodes\":[", "\"nodez\":[", error_code::corrupt},
        {"\"type\":\"target\"", "\"type\":\"tarjet\"", error_code::corrupt},
        {"\"id\":\"t1aaaaaa\"", "\"id\":\"t2bbbbbb\"", error_code::corrupt},
        {"\"id\":\"t1aaaaaa\"", "\"id\":\"a b\"", error_code::corrupt},
        {"http://127.0.0.1:4712", "ftp://127.0.0.1:4712", error_code::corrupt},
        {"http://127.0.0.1:4712", "http://127.0.0.1:4712/x", error_code::corrupt},
        {"\"name\":\"transform\"", "\"name\":\"a\"", error_code::corrupt}, // twice
        {"\"stage\":\"Running\"", "\"stage\":\"Walking\"", error_code::corrupt},
        {"hrev://", "hrev", error_code::corrupt},
        {"\"hpull_address\":\"pod_ip\"", "\"hpull_address\":\"host\"", error_code::corrupt},
        {"\"hpull_address\":\"pod_ip\"", "\"hpull_address\":null", error_code::corrupt},
        {"\"id\":\"ZZZZZZZZZZ\"", "\"id\":\"aBcDeFgHiJ\"", error_code::corrupt},
        {"{", "[", error_code::corrupt},
    };
    for (const damage &d : cases) {
        std::string text = replaced(good, d.from, d.to);
        cluster_document out;
        out.version = 123;
        error err = document_parse(text, out);
        if (err.code != d.expected)
            print_error("%.*s -> %.*s\n", static_cast<int>(d.from.size()), d.from.data(), static_cast<int>(d.to.size()), d.to.data());
        test_eq_enum(err.code, d.expected);
        test_eq(out.version, 123u); // untouched
    }
    for (size_t size = 0; size < good.size(); size += 7) {
        cluster_document out;
        test_eq_enum(document_parse(std::string_view(good).substr(0, size), out).code, error_code::corrupt);
    }
}

static void an_etl_is_found_by_id_and_by_unique_name(void **)
{
    test_eq_text(document_find_etl(*sample, "aBcDeFgHiJ")->name, "transformer-md5");
    test_eq_text(document_find_etl(*sample, "other")->id, "ZZZZZZZZZZ");
    test_true(document_find_etl(*sample, "nobody") == nullptr);
    cluster_etl twin;
    twin.id = "Twin567890";
    twin.name = "other";
    document_put_etl(*sample, twin);
    test_true(document_find_etl(*sample, "other") == nullptr);
    test_true(document_remove_etl(*sample, "Twin567890"));
    test_false(document_remove_etl(*sample, "Twin567890"));
    const cluster_document &fixed = *sample;
    test_true(document_find_etl(fixed, "other") != nullptr);
}

static void buckets_and_nodes_keep_their_order(void **)
{
    document_put_bucket(*sample, {"b", 2});
    test_eq_text(sample->buckets[1].name, "b");
    document_put_bucket(*sample, {"b", 3});
    test_eq(sample->buckets.size(), 3u);
    test_eq(document_find_bucket(*sample, "b")->created_ns, 3u);
    test_true(document_remove_bucket(*sample, "b"));
    test_false(document_remove_bucket(*sample, "b"));
    cluster_node &node = document_put_node(*sample, node_of("p2", false, "http://127.0.0.1:1"));
    test_eq_text(node.url, "http://127.0.0.1:1");
    test_eq(sample->nodes.size(), 4u);
    test_true(document_find_node(*sample, "p3") == nullptr);
}

static void an_object_is_placed_on_targets_only(void **)
{
    cluster_document d;
    for (const char *id : {"t1aaaaaa", "t2bbbbbb", "t3cccccc", "t4dddddd"})
        document_put_node(d, node_of(id, true, "http://h:1"));
    document_put_node(d, node_of("p1", false, "http://h:1"));
    test_eq_text(document_place(d, "bck", "obj")->id, "t4dddddd");
    test_eq_text(document_place(d, "bck", "你好世界")->id, "t1aaaaaa");
    test_eq_text(document_place(d, "transform", "shard.in")->id, "t1aaaaaa");
    document_find_node(d, "t1aaaaaa")->flags = node_flag_maintenance;
    test_eq_text(document_place(d, "transform", "shard.in")->id, "t2bbbbbb");
    document_find_node(d, "t2bbbbbb")->flags = node_flag_decommission;
    test_eq_text(document_place(d, "transform", "shard.in")->id, "t4dddddd");
    for (cluster_node &node : d.nodes)
        node.flags = node_flag_maintenance;
    test_true(document_place(d, "transform", "shard.in") == nullptr);
    // The same result as with lists of digests, for many names.
    std::array<uint64_t, 4> digests{};
    size_t count = 0;
    for (cluster_node &node : d.nodes) {
        node.flags = 0;
        if (node.is_target)
            digests[count++] = node.digest;
    }
    for (int i = 0; i < 1000; i++) {
        std::string name = std::to_string(i);
        size_t index = placement_choose(placement_digest(placement_uname("b", name)), digests, {});
        test_eq(document_place(d, "b", name)->digest, digests[index]);
    }
}

static void the_map_is_what_aistores_clients_read(void **)
{
    std::string text = json_print(document_smap(*sample).get());
    json_ptr tree;
    std::string where;
    test_ok(json_parse(text, tree, where));
    test_eq_text(json_text(tree.get(), "version"), "9007199254740993");
    test_eq_text(json_text(tree.get(), "uuid"), "cluster-1");
    test_eq_text(json_text(tree.get(), "creation_time"), "2026-01-02 03:04:05");
    test_eq_text(json_text(json_get(tree.get(), "proxy_si"), "daemon_id"), "p2"); // p1 is in maintenance
    const cJSON *target = json_get(json_get(tree.get(), "tmap"), "t1aaaaaa");
    test_eq_text(json_text(target, "daemon_type"), "target");
    for (const char *net : {"public_net", "intra_data_net", "intra_control_net"}) {
        test_eq_text(json_text(json_get(target, net), "node_ip_addr"), "node-1.example");
        test_eq_text(json_text(json_get(target, net), "daemon_port"), "4711");
        test_eq_text(json_text(json_get(target, net), "direct_url"), "http://node-1.example:4711");
    }
    test_has_text(text, "\"id_digest\":7121389483902232619"); // a number with all its digits
    test_has_text(text, "\"flags\":4");
    test_eq_text(json_text(json_get(json_get(json_get(tree.get(), "pmap"), "p1"), "public_net"), "node_ip_addr"), "::1");
    cluster_document empty;
    test_has_text(json_print(document_smap(empty).get()), "\"tmap\":{}");
}

static void a_node_is_parsed_strictly(void **)
{
    cluster_node node = node_of("t1", true, "http://127.0.0.1:80", node_flag_maintenance);
    cluster_node back;
    test_ok(node_parse(node_print(node).get(), back));
    test_eq_text(back.id, "t1");
    test_eq(back.digest, node.digest);
    test_eq(back.flags, node_flag_maintenance);
    node.digest++;
    test_eq_enum(node_parse(node_print(node).get(), back).code, error_code::bad_json);
    test_eq_enum(node_parse(nullptr, back).code, error_code::bad_json);
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_document_survives_printing, make_sample, drop_sample),
        cmocka_unit_test_setup_teardown(what_changed_is_printed_anew, make_sample, drop_sample),
        cmocka_unit_test_setup_teardown(a_failed_start_keeps_no_large_spec, make_sample, drop_sample),
        cmocka_unit_test_setup_teardown(a_document_from_before_node_ports_is_read, make_sample, drop_sample),
        cmocka_unit_test_setup_teardown(damaged_documents_are_refused, make_sample, drop_sample),
        cmocka_unit_test_setup_teardown(an_etl_is_found_by_id_and_by_unique_name, make_sample, drop_sample),
        cmocka_unit_test_setup_teardown(buckets_and_nodes_keep_their_order, make_sample, drop_sample),
        cmocka_unit_test(an_object_is_placed_on_targets_only),
        cmocka_unit_test_setup_teardown(the_map_is_what_aistores_clients_read, make_sample, drop_sample),
        cmocka_unit_test(a_node_is_parsed_strictly),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
