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

// Names of fields have any case; numbers may be texts. Clients read one kind only.
static void what_is_kept_has_the_names_and_kinds_that_clients_read(void **)
{
    std::string props, why;
    test_ok(
        set(R"({"Versioning":{"Enabled":false},"MIRROR":{"copies":"3"},"chunks":{"chunk_size":"64KiB"},"lru":{"dont_evict_time":"2h"}})",
            props, why));
    test_eq_text(
        props, R"({"versioning":{"enabled":false},"mirror":{"copies":3},"chunks":{"chunk_size":"64KiB"},"lru":{"dont_evict_time":"2h"}})");
    test_ok(set(R"({"versioning":{"ENABLED":true},"Mirror":{"Copies":4}})", props, why)); // the same, not beside it
    test_eq_text(props, R"({"mirror":{"copies":4},"chunks":{"chunk_size":"64KiB"},"lru":{"dont_evict_time":"2h"}})");
    json_ptr tree = cluster_config_bucket_json({.name = "b", .props = props});
    test_true(cJSON_IsNumber(json_get(json_get(tree.get(), "mirror"), "copies")));
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
        {R"({"mirror":{"copies":[]}})", error_code::bad_request, "mirror.copies: expected a whole number"},
        {R"({"mirror":{"copies":"abc"}})", error_code::bad_request, "mirror.copies: expected a whole number"},
        {R"({"mirror":{"copies":1.5}})", error_code::bad_request, "mirror.copies: expected a whole number"},
        {R"({"mirror":{"copies":1e999}})", error_code::bad_request, "mirror.copies: expected a whole number"},
        {R"({"lru":{"dont_evict_time":5}})", error_code::bad_request, "lru.dont_evict_time: expected a text"},
        {R"({"lru":{"dont_evict_time":"soon"}})", error_code::bad_request, "lru.dont_evict_time: expected a duration"},
        {R"({"chunks":{"chunk_size":"big"}})", error_code::bad_request, "chunks.chunk_size: expected a size"},
        {R"({"chunks":{"flags":"x"}})", error_code::bad_request, "chunks.flags: expected a text of digits"},
        {R"({"Mirror":{"Enabled":true}})", error_code::not_implemented, "mirror.enabled cannot be true"},
        {R"({"MIRROR":{"ENABLED":true}})", error_code::not_implemented, "mirror.enabled cannot be true"},
        {R"({"Checksum":{"Type":"crc"}})", error_code::bad_request, "is no type of checksum"},
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
    std::string text = R"({"ec":{"compression":")" + std::string(bucket_props_size_max, 'h') + "\"}}";
    test_eq_enum(set(text.c_str(), props, why).code, error_code::bad_request);
    test_has_text(why, "at most 768 bytes");
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(what_is_harmless_is_kept_and_shown),
        cmocka_unit_test(what_is_kept_has_the_names_and_kinds_that_clients_read),
        cmocka_unit_test(what_would_be_a_lie_is_refused),
        cmocka_unit_test(what_is_fixed_may_be_repeated),
        cmocka_unit_test(the_size_is_limited),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
