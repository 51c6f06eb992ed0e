// SPDX-License-Identifier: MIT
// Fields of calls: each kind takes what it should, and nothing else.
#include "node_test.h"

#include "codec/json_fields.h"

using namespace etlnode;

static constexpr json_field one_of_each[] = {
    {"name", json_field_kind::text},
    {"count", json_field_kind::whole},
    {"force", json_field_kind::flag},
    {"bck", json_field_kind::object},
    {"several", json_field_kind::list},
};

static std::string misfit(const char *text, std::string_view path)
{
    json_ptr tree;
    std::string where;
    test_ok(json_parse(text, tree, where));
    return json_fields_misfit(tree.get(), path, one_of_each);
}

static void what_fits(void **)
{
    for (const char *text : {"{}", "null", R"({"name":"a","count":5,"force":true,"bck":{},"several":[]})",
             R"({"name":"","count":"18446744073709551615","force":false,"other":{"count":-1}})",
             R"({"name":null,"count":null,"force":null,"bck":null,"several":null})"})
        test_eq_text(misfit(text, "value"), "");
    test_eq_text(json_fields_misfit(nullptr, "value", one_of_each), "");
}

static void what_does_not(void **)
{
    const struct {
        const char *text, *says;
    } cases[] = {
        {R"({"name":5})", "value.name: expected a text"},
        {R"({"name":{}})", "value.name: expected a text"},
        {R"({"count":"many"})", "value.count: expected a whole number"},
        {R"({"count":-1})", "value.count: expected a whole number"},
        {R"({"count":"-1"})", "value.count: expected a whole number"},
        {R"({"count":""})", "value.count: expected a whole number"},
        {R"({"count":1.5})", "value.count: expected a whole number"},
        {R"({"count":1e300})", "value.count: expected a whole number"},
        {R"({"count":"18446744073709551616"})", "value.count: expected a whole number"},
        {R"({"count":true})", "value.count: expected a whole number"},
        {R"({"count":[1]})", "value.count: expected a whole number"},
        {R"({"force":"yes"})", "value.force: expected true or false"},
        {R"({"force":1})", "value.force: expected true or false"},
        {R"({"bck":"b"})", "value.bck: expected an object"},
        {R"({"bck":[]})", "value.bck: expected an object"},
        {R"({"several":{}})", "value.several: expected a list"},
        {R"({"several":"b","force":1})", "value.force: expected true or false"}, // in the order of the table
        {R"("text")", "value: expected an object"},
        {"[]", "value: expected an object"},
        {"7", "value: expected an object"},
    };
    for (const auto &one : cases)
        test_eq_text(misfit(one.text, "value"), one.says);
    test_eq_text(misfit(R"({"name":5})", ""), "name: expected a text");
    test_eq_text(misfit("[]", ""), "expected an object");
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(what_fits),
        cmocka_unit_test(what_does_not),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
