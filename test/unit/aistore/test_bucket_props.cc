// SPDX-License-Identifier: MIT
// Properties of buckets: what can be set and is shown back, and what is refused.
#include "node_test.h"

#include "aistore/bucket_props.h"
#include "aistore/cluster_config.h"
#include "base/limits.h"

using namespace etlnode;

static error set(const char *text, std::string &props, std::string &why)
{
    json_ptr value;
    std::string where;
    test_ok(json_parse(text, value, where));
    return bucket_props_set(value.get(), props, why);
}

static void what_is_harmless_is_kept_and_shown(void **)
{
    std::string props, why;
    test_ok(
        set(R"({"versioning":{"enabled":false},"checksum":{"type":"md5"},"mirror":{"copies":2,"enabled":false},"ec":null})", props, why));
    test_eq_text(props, R"({"versioning":{"enabled":false},"checksum":{"type":"md5"},"mirror":{"copies":2}})");
    json_ptr tree = cluster_config_bucket_json({.name = "b", .props = props});
    test_false(json_bool(json_get(tree.get(), "versioning"), "enabled", true));
    test_eq_text(std::string(json_text(json_get(tree.get(), "checksum"), "type")), "md5");
    test_eq(json_u64(json_get(tree.get(), "mirror"), "copies", 0), 2u);
    test_false(json_bool(json_get(tree.get(), "mirror"), "enabled", true));
    test_ok(set(R"({"versioning":{"enabled":true},"checksum":{"type":"xxhash2"}})", props, why)); // as they were
    test_eq_text(props, R"({"mirror":{"copies":2}})");
    test_ok(set("null", props, why));
    test_ok(set(R"({"mirror":{"copies":1}})", props, why));
    test_eq_text(props, "");
}

static void what_would_be_a_lie_is_refused(void **)
{
    struct row {
        const char *value;
        error_code code;
        const char *says;
    };
    const row rows[] = {
        {R"({"mirror":{"enabled":true}})", error_code::not_implemented, "mirror.enabled cannot be true: there is one copy"},
        {R"({"ec":{"enabled":true}})", error_code::not_implemented, "ec.enabled"},
        {R"({"lru":{"enabled":true}})", error_code::not_implemented, "nothing is ever evicted"},
        {R"({"rate_limit":{"frontend":{"enabled":true}}})", error_code::not_implemented, "rate_limit.frontend.enabled"},
        {R"({"write_policy":{"data":"delayed"}})", error_code::not_implemented, "durable"},
        {R"({"access":"4095"})", error_code::not_implemented, "access"},
        {R"({"backend_bck":{"name":"x"}})", error_code::not_implemented, "backend_bck.name"},
        {R"({"mirrors":{"enabled":true}})", error_code::bad_request, "unknown property mirrors"},
        {R"({"mirror":{"copy":1}})", error_code::bad_request, "unknown property mirror.copy"},
        {R"({"mirror":true})", error_code::bad_request, "mirror: expected an object"},
        {R"({"versioning":{"enabled":"yes"}})", error_code::bad_request, "versioning.enabled: expected true or false"},
        {R"({"mirror":{"copies":[]}})", error_code::bad_request, "mirror.copies: expected a number"},
        {R"({"checksum":{"type":"crc"}})", error_code::bad_request, "is no type of checksum"},
        {"[]", error_code::bad_request, "expected an object"},
    };
    for (const row &one : rows) {
        std::string props = R"({"mirror":{"copies":2}})", why;
        test_eq_enum(set(one.value, props, why).code, one.code);
        test_has_text(why, one.says);
        test_eq_text(props, R"({"mirror":{"copies":2}})");
    }
}

static void what_is_fixed_may_be_repeated(void **)
{
    std::string props, why;
    test_ok(set(R"({"mirror":{"enabled":false},"access":"18446744073709551615","features":"0","provider":"ais"})", props, why));
    test_eq_text(props, "");
}

static void the_size_is_limited(void **)
{
    std::string props, why;
    std::string text = R"({"lru":{"dont_evict_time":")" + std::string(bucket_props_size_max, 'h') + "\"}}";
    test_eq_enum(set(text.c_str(), props, why).code, error_code::bad_request);
    test_has_text(why, "at most 768 bytes");
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(what_is_harmless_is_kept_and_shown),
        cmocka_unit_test(what_would_be_a_lie_is_refused),
        cmocka_unit_test(what_is_fixed_may_be_repeated),
        cmocka_unit_test(the_size_is_limited),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
