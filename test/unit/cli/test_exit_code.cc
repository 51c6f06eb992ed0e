// SPDX-License-Identifier: MIT
#include "node_test.h"

#include "base/error.h"
#include "cli/exit_code.h"

struct row {
    const char *name;
    int status;
    bool retryable;
};

static constexpr row errors[] = {
#define NODE_ERROR(code, text, status, retryable) {#code, status, retryable},
#include "node/errors.def"
#undef NODE_ERROR
};

static exit_code of(const char *name)
{
    for (const row &r : errors)
        if (std::string_view(r.name) == name)
            return exit_code_from_status(r.status, r.retryable);
    test_fail("no error %s", name);
    return exit_code::ok;
}

static void every_error_of_the_table_has_an_exit_code(void **)
{
    for (const row &r : errors) {
        exit_code code = exit_code_from_status(r.status, r.retryable);
        if ((code == exit_code::ok) != (r.status == 200) || code == exit_code::usage)
            test_fail("%s: exit code %d", r.name, static_cast<int>(code));
        bool may_pass = code == exit_code::unavailable || code == exit_code::timeout;
        if (may_pass != r.retryable)
            test_fail("%s: retryable %d, exit code %d", r.name, r.retryable, static_cast<int>(code));
    }
}

static void the_important_ones(void **)
{
    test_eq_enum(of("object_not_found"), exit_code::not_found);
    test_eq_enum(of("etl_not_found"), exit_code::not_found);
    test_eq_enum(of("already_exists"), exit_code::conflict);
    test_eq_enum(of("unauthorized"), exit_code::auth);
    test_eq_enum(of("forbidden"), exit_code::auth);
    test_eq_enum(of("overloaded"), exit_code::unavailable);
    test_eq_enum(of("pod_gone"), exit_code::unavailable);
    test_eq_enum(of("bad_pod_answer"), exit_code::other);
    test_eq_enum(of("timed_out"), exit_code::timeout);
    test_eq_enum(of("no_space"), exit_code::limit);
    test_eq_enum(of("body_too_large"), exit_code::limit);
    test_eq_enum(of("bad_spec"), exit_code::other);
    test_eq_enum(exit_code_from_status(412, false), exit_code::conflict);
    test_eq_enum(exit_code_from_status(206, false), exit_code::ok);
    test_eq_enum(exit_code_from_status(302, false), exit_code::other);
}

static void numbers_and_names_are_unique(void **)
{
    for (const exit_code_row &a : exit_code_table()) {
        test_eq_text(exit_code_name(a.code), a.name);
        for (const exit_code_row &b : exit_code_table())
            if (&a != &b && (a.code == b.code || std::string_view(a.name) == b.name))
                test_fail("%s twice", a.name);
    }
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(every_error_of_the_table_has_an_exit_code), cmocka_unit_test(the_important_ones), cmocka_unit_test(numbers_and_names_are_unique),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
