// SPDX-License-Identifier: MIT
// Notes of what a job made an object from, those of former versions included.
#include "node_test.h"

#include "job/job_origin.h"

using namespace etlnode;

static void a_note_says_from_what_and_by_whom(void **)
{
    std::string note = job_origin_print(0xabcu, "j1", "b", "a b/c%");
    test_eq_text(note, "0000000000000abc j1 b/a%20b%2Fc%25");
    std::string bucket, name;
    test_true(job_origin_source(note, bucket, name));
    test_eq_text(bucket, "b");
    test_eq_text(name, "a b/c%");
    test_eq_text(std::string(job_origin_job(note)), "j1");
    test_true(job_origin_is_same(note, job_origin_print(0xabcu, "j2", "b", "x")));
    test_false(job_origin_is_same(note, job_origin_print(0xabdu, "j1", "b", "a b/c%")));
}

static void former_and_damaged_notes_have_no_source(void **)
{
    for (const char *note : {"", "0000000000000abc", "0000000000000abc ", "0000000000000abc j1", "0000000000000abc j1 ",
             "0000000000000abc j1 b", "0000000000000abc j1 b/", "0000000000000abc j1 /n", "0000000000000abc j1 b/%zz"}) {
        std::string bucket, name;
        test_false(job_origin_source(note, bucket, name));
    }
    test_eq_text(std::string(job_origin_job("0000000000000abc j1")), "j1");
    test_eq_text(std::string(job_origin_job("0000000000000abc")), "");
    test_true(job_origin_is_same("0000000000000abc j1", "0000000000000abc j2 b/n"));
    test_false(job_origin_is_same("", ""));
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(a_note_says_from_what_and_by_whom),
        cmocka_unit_test(former_and_damaged_notes_have_no_source),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
