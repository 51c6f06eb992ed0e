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

int main()
{
    const CMUnitTest tests[] = {cmocka_unit_test(an_id_and_a_handle_name_the_same), cmocka_unit_test(what_names_none)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
