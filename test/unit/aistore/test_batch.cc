// SPDX-License-Identifier: MIT
// test of aistore/batch: what clients ask for, what their items are called, and what they hear about them.
#include "node_test.h"

#include "aistore/batch.h"

using namespace etlnode;

static std::string verdict(std::string_view body, std::string_view bucket = "b")
{
    batch b;
    std::string text;
    error err = batch_parse(body, bucket, b, text);
    if (err)
        return text;
    std::string out = b.mime + (b.continues ? " coer" : "") + (b.only_names ? " onob" : "") + (b.is_streamed ? " strm" : "");
    for (const batch_member &item : b.items)
        out += " " + batch_name(b, item) + "@" + std::to_string(item.start) + "+" +
               (item.length == UINT64_MAX ? "" : std::to_string(item.length));
    return out;
}

static void what_is_asked_for(void **)
{
    test_eq_text(verdict(R"({"in":[{"objname":"o"}]})"), ".tar b/o@0+");
    test_eq_text(
        verdict(R"({"in":[{"objname":"o","bucket":"c","provider":"ais","archpath":"x/y"}],"mime":".tgz","coer":true,"strm":true})"),
        ".tgz coer strm c/o/x/y@0+");
    test_eq_text(
        verdict(
            R"({"in":[{"objname":"o","start":5,"length":7},{"objname":"p","start":5,"length":-1},{"objname":"q","length":3}],"onob":true})"),
        ".tar onob o@5+7 p@5+ q@0+3");
}

static void what_is_refused(void **)
{
    for (const char *body : {"", "[]", "{", "1"})
        test_has_text(verdict(body), "the body is expected to be a JSON object");
    for (const char *body : {"{}", R"({"in":{}})", R"({"in":[]})"})
        test_has_text(verdict(body), "in: expected a list of objects");
    test_has_text(verdict(R"({"in":[{"objname":"o"},{}]})"), "in[1]: objname is missing");
    test_has_text(verdict(R"({"in":[{"objname":"o"}]})", ""), "bucket is missing");
    for (const char *range :
        {R"("start":5)", R"("start":-5,"length":1)", R"("length":-2)", R"("start":"x")", R"("start":18446744073709551615,"length":5)"})
        test_has_text(verdict(std::string(R"({"in":[{"objname":"o",)") + range + "}]}"), "are no range");
}

// A field that is overlooked would give another thing than was asked for.
static void fields_of_another_kind_are_refused(void **)
{
    for (const char *field : {R"("archpath":7)", R"("bucket":["c"])", R"("provider":1)", R"("opaque":{})"})
        test_has_text(verdict(std::string(R"({"in":[{"objname":"o",)") + field + "}]}"), "in[0].");
    test_has_text(verdict(R"({"in":[{"objname":5}]})"), "in[0].objname: expected a text");
    for (const char *field : {R"("mime":5)", R"("strm":"yes")", R"("coer":1)", R"("onob":"")"})
        test_has_text(verdict(std::string(R"({"in":[{"objname":"o"}],)") + field + "}"), "expected");
    test_eq_text(verdict(R"({"in":[{"objname":"o","archpath":null,"opaque":null}],"mime":null,"strm":null})"), ".tar b/o@0+");
    for (const char *range : {R"("start":1,"length":2)", R"("length":2)"})
        test_has_text(verdict(std::string(R"({"in":[{"objname":"a.tar","archpath":"m",)") + range + "}]}"),
            "in[0]: a part of a member is not implemented");
}

static void what_is_said_of_them(void **)
{
    batch b;
    std::string text;
    test_ok(batch_parse(R"({"in":[{"objname":"o","opaque":"bWluZQ=="},{"objname":"p","archpath":"x"}]})", "b", b, text));
    b.items[0].size = 7;
    b.items[1].problem = "it is gone";
    test_eq_text(batch_name(b, b.items[1]), "__404__/b/p/x");
    test_eq_text(batch_metadata(b, "id"),
        R"({"uuid":"id","out":[{"objname":"o","bucket":"b","provider":"ais","opaque":"bWluZQ==","size":7},)"
        R"({"objname":"p","bucket":"b","provider":"ais","archpath":"x","err_msg":"it is gone","size":0}]})");
}

int main()
{
    const CMUnitTest tests[] = {cmocka_unit_test(what_is_asked_for), cmocka_unit_test(what_is_refused),
        cmocka_unit_test(fields_of_another_kind_are_refused), cmocka_unit_test(what_is_said_of_them)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
