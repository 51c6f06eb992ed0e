// SPDX-License-Identifier: MIT
// test of aistore/upload_name: an id and a handle name the same upload, and its target.
#include "node_test.h"

#include "aistore/upload_name.h"

using namespace etlnode;

static void an_id_and_a_handle_name_the_same(void **)
{
    rng random{7};
    for (const char *target : {"t", "tac2ddz5t", "target-01", "a|b"}) {
        std::string id = upload_name_make(random, target);
        test_eq_text(upload_name_target(id), target);
        test_eq(id.substr(0, 9).find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"), std::string::npos);
        std::string handle = upload_name_handle(id);
        test_true(handle.starts_with(std::string(target) + "|"));
        test_eq_text(upload_name_of_query("pid=p&uploadId=" + id), id);
        std::string escaped = handle;
        for (size_t at = escaped.find('|'); at != std::string::npos; at = escaped.find('|', at + 1))
            escaped.replace(at, 1, "%7C");
        test_eq_text(upload_name_of_query("append_type=append&append_handle=" + escaped), id);
    }
}

static void what_names_none(void **)
{
    for (const char *query : {"", "a=b", "uploadId=", "append_handle=", "append_type=append&append_handle="})
        test_eq_text(upload_name_of_query(query), "");
    test_eq_text(upload_name_of_query("append_handle=nonsense"), "nonsense");
    for (const char *id : {"", "-", "abcdefghi", "abcdefghi-", "abcdefghij", "nonsense", "abc-t"})
        test_eq_text(upload_name_target(id), "");
}

static void queries_that_contradict_themselves_are_refused(void **)
{
    struct row {
        const char *method, *query, *says;
    };
    static constexpr row rows[] = {
        {"PUT", "uploadId=u&partNumber=1", ""},
        {"PUT", "uploadId=u&uploadId=u&partNumber=1", ""},
        {"POST", "uploadId=u", ""},
        {"DELETE", "uploadId=u", ""},
        {"PUT", "append_type=append&append_handle=", ""},
        {"PUT", "append_type=flush&append_handle=t%7Cx", ""},
        {"PUT", "object_to=ais%2F%40%23%2Fb%2Fo", ""},
        {"PUT", "archpath=a", ""},
        {"PUT", "partNumber=1", "without uploadId"},
        {"PUT", "append_handle=t%7Cabcdefghi", "without append_type"},
        {"PUT", "append_handle=", "without append_type"},
        {"DELETE", "append_handle=t%7Cabcdefghi", "without append_type"},
        {"POST", "append_handle=t%7Cabcdefghi", "without append_type"},
        {"PUT", "uploadId=u&append_type=append&append_handle=", "exclude each other"},
        {"PUT", "uploadId=&partNumber=1", "uploadId is empty"},
        {"DELETE", "uploadId=", "uploadId is empty"},
        {"DELETE", "append_type=flush&append_handle=t%7Cx", "append_type goes with PUT"},
        {"DELETE", "uploadId=u&partNumber=1", "partNumber goes with PUT"},
        {"PATCH", "uploadId=u", "uploadId goes with PUT, POST and DELETE"},
        {"PUT", "uploadId=u&partNumber=1&partNumber=2", "partNumber is given twice"},
        {"PUT", "uploadId=u&uploadId=v&partNumber=1", "uploadId is given twice"},
        {"PUT", "uploadId=u&partNumber=1&object_to=ais%2F%40%23%2Fb%2Fo", "uploadId and object_to exclude"},
        {"PUT", "append_type=append&archpath=a", "append_type and archpath exclude"},
    };
    for (const row &one : rows) {
        std::string misfit = upload_query_misfit(one.method, one.query);
        if (misfit.empty() != (*one.says == '\0') || misfit.find(one.says) == std::string::npos)
            test_fail("%s %s: %s", one.method, one.query, misfit.c_str());
    }
}

int main()
{
    const CMUnitTest tests[] = {cmocka_unit_test(an_id_and_a_handle_name_the_same), cmocka_unit_test(what_names_none),
        cmocka_unit_test(queries_that_contradict_themselves_are_refused)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
