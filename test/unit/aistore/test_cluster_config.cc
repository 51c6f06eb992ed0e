// SPDX-License-Identifier: MIT
// The configuration that AIStore's clients read: everything that they require is present and describes this cluster.
#include "node_test.h"

#include "aistore/cluster_config.h"

using namespace etlnode;

// "section.key" of the tree, with numbers and booleans as JSON writes them.
static std::string at(const cJSON *tree, std::string_view path)
{
    for (size_t dot = path.find('.'); dot != std::string_view::npos; dot = path.find('.')) {
        tree = cJSON_GetObjectItemCaseSensitive(tree, std::string(path.substr(0, dot)).c_str());
        path.remove_prefix(dot + 1);
    }
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(tree, std::string(path).c_str());
    if (item == nullptr)
        return "nothing";
    return cJSON_IsString(item) ? item->valuestring : json_print(item);
}

struct setting {
    const char *path, *value;
};

static void check(const json_ptr &tree, std::span<const setting> settings)
{
    for (const setting &one : settings) {
        std::string value = at(tree.get(), one.path);
        if (value != one.value)
            test_fail("%s is %s, not %s", one.path, value.c_str(), one.value);
    }
}

static void the_cluster_has_every_section(void **)
{
    cluster_document document;
    document.uuid = "CLUSTERuuid1";
    document.created = "2026-01-02 03:04:05";
    json_ptr tree = cluster_config_json(document, "http://proxy:8080", 90);
    const setting settings[] = {
        {"uuid", "CLUSTERuuid1"},
        {"lastupdate_time", "2026-01-02 03:04:05"},
        {"config_version", "0"},
        {"space.out_of_space", "90"},
        {"space.highwm", "85"},
        {"proxy.primary_url", "http://proxy:8080"},
        {"proxy.original_url", "http://proxy:8080"},
        {"proxy.discovery_url", ""},
        {"proxy.non_electable", "true"},
        {"checksum.type", "xxhash2"}, // the type that answers carry
        {"checksum.validate_cold_get", "false"},
        {"versioning.enabled", "true"},
        {"mirror.enabled", "false"},
        {"mirror.copies", "1"},
        {"ec.enabled", "false"},
        {"lru.enabled", "false"},
        {"rebalance.enabled", "false"},
        {"resilver.enabled", "false"},
        {"auth.enabled", "false"},
        {"tracing.enabled", "false"},
        {"rate_limit.backend.enabled", "false"},
        {"rate_limit.frontend.enabled", "false"},
        {"net.http.use_https", "false"},
        {"net.l4.proto", "tcp"},
        {"backend", "{}"},
        {"features", "0"},
        {"timeout.cplane_operation", "10s"}, // the limits of this node, as Go writes durations
        {"timeout.max_keepalive", "10s"},
        {"timeout.max_host_busy", "10s"},
        {"timeout.startup_time", "25s"},
        {"timeout.join_startup_time", "30s"},
        {"timeout.send_file_time", "30s"},
        {"memsys.min_free", "0B"},
        {"chunks.max_monolithic_size", "1TiB"},
    };
    check(tree, settings);
}

static void a_bucket_has_its_properties(void **)
{
    json_ptr tree = cluster_config_bucket_json({.name = "b", .created_ns = 18'000'000'000'000'000'001ull});
    const setting settings[] = {
        {"provider", "ais"},
        {"bid", "18000000000000000001"}, // with all digits, as a string
        {"created", "18000000000000000001"},
        {"access", "18446744073709551615"}, // everything
        {"features", "0"},
        {"extra", "{}"},
        {"backend_bck.name", ""},
        {"backend_bck.provider", ""},
        {"backend_bck.namespace", R"({"uuid":"","name":""})"},
        {"checksum.type", "xxhash2"},
        {"mirror.enabled", "false"},
        {"versioning.enabled", "true"},
        {"proxy", "nothing"}, // sections of the cluster only
        {"rebalance", "nothing"},
        {"uuid", "nothing"},
    };
    check(tree, settings);
}

int main()
{
    const CMUnitTest tests[] = {cmocka_unit_test(the_cluster_has_every_section), cmocka_unit_test(a_bucket_has_its_properties)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
