// SPDX-License-Identifier: MIT
#include "node_test.h"

#include "etlctl/jsonpath.h"

using namespace etlnode;
using namespace etlnode::etlctl;

static const char *document = R"({"kind":"JobList","items":[
  {"id":"a","state":"running","done":3,"labels":{"x.y/z":"1"},"targets":[{"id":"t1"},{"id":"t2"}]},
  {"id":"b","state":"done","done":10,"error":null,"ok":true},
  {"id":"c","state":"done","done":2.5,"error":"full"}]})";

static std::string print(const char *text)
{
    json_ptr tree;
    std::string where;
    jsonpath path;
    std::string why;
    if (json_parse(document, tree, where) || !jsonpath_parse(text, path, why))
        test_fail("%s: %s %s", text, where.c_str(), why.c_str());
    return jsonpath_print(path, tree.get());
}

static void what_kubectl_users_write(void **)
{
    struct row {
        const char *text;
        const char *shown;
    };
    static constexpr row rows[] = {
        {"{.items[*].id}", "a b c"},
        {".items[*].id", "a b c"}, // without braces
        {"items[*].id", "a b c"},
        {"{$.items[*]['id']}", "a b c"},
        {"{.items[0].id}", "a"},
        {"{.items[-1].id}", "c"},
        {"{.items[-1:].id}", "c"},
        {"{.items[1:].id}", "b c"},
        {"{.items[:2].id}", "a b"},
        {"{.items[0:3:2].id}", "a c"},
        {"{.items[0,2].id}", "a c"},
        {"{.items[9].id}", ""},
        {"{.items[*].missing}", ""},
        {"{.missing[*].id}", ""},
        {"{.kind}", "JobList"},
        {"{.kind}: {.items[0].done}", "JobList: 3"},
        {"{.items[*].done}", "3 10 2.5"},
        {"{.items[*]['id','state']}", "a running b done c done"},
        {"{.items[?(@.state==\"done\")].id}", "b c"},
        {"{.items[?(@.state == 'done')].id}", "b c"},
        {"{.items[?(@.state!='done')].id}", "a"},
        {"{.items[?(@.done>2.5)].id}", "a b"},
        {"{.items[?(@.done<=3)].id}", "a c"},
        {"{.items[?(@.ok==true)].id}", "b"},
        {"{.items[?(@.error)].id}", "c"},
        {"{.items[?(@.targets[0].id=='t1')].id}", "a"},
        {"{..targets[*].id}", "t1 t2"},
        {"{.items[0].targets}", "[{\"id\":\"t1\"},{\"id\":\"t2\"}]"},
        {"{.items[0].labels.x\\.y/z}", "1"},
        {"{.items[0].labels['x.y/z']}", "1"},
        {"{range .items[*]}{.id}{\"\\t\"}{.state}{\"\\n\"}{end}", "a\trunning\nb\tdone\nc\tdone\n"},
        {"{range .items[?(@.targets)]}{.id}:{range .targets[*]}{@.id},{end}{end};", "a:t1,t2,;"},
        {"{range .items[0:1]}{.id} of {$.kind}{end}", "a of JobList"},
        {"{.items[1].error}", ""},
        {"just text {\"{}\"}", "just text {}"},
    };
    for (const row &r : rows)
        if (print(r.text) != r.shown)
            test_fail("%s shows \"%s\", not \"%s\"", r.text, print(r.text).c_str(), r.shown);
}

static void what_is_wrong(void **)
{
    jsonpath path;
    std::string why;
    for (const char *text : {"", "{.items[*}", "{.items[", "{.a", "{range .items[*]}", "{end}", "{.items[?(.a)]}", "{.items[?(@.a ~ 1)]}",
             "{.items[?(@.a==)]}", "{.items[?(@.a=='x)]}", "{\"x}", "{.a b}", "{.items[x]}", "{.items[0,'a']}", "{.items[::0]}", "{..}",
             "{.a.}", "{.items[99999999999999999999]}"})
        if (jsonpath_parse(text, path, why))
            test_fail("%s was taken", text);
    test_false(jsonpath_parse("{.items[*}", path, why));
    test_has_text(why, "at character");
    std::string deep;
    for (int i = 0; i < 100; ++i)
        deep += "{range .a}";
    test_false(jsonpath_parse(deep, path, why));
    test_has_text(why, "too many ranges");
}

int main()
{
    const CMUnitTest tests[] = {cmocka_unit_test(what_kubectl_users_write), cmocka_unit_test(what_is_wrong)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
