// SPDX-License-Identifier: MIT
#include "node_test.h"

#include <iterator>

#include "base/error.h"
#include "etlctl/exit_code.h"

using namespace etlnode;
using namespace etlnode::etlctl;

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
            return exit_code_from_answer(r.status, name, r.retryable);
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

// What the manual says about each error of errors.def. The list is complete, so that a new error needs a decision.
struct documented {
    const char *name;
    exit_code code;
};
static constexpr documented all[] = {
    {"ok", exit_code::ok},
    {"invalid_argument", exit_code::other},
    {"bad_request", exit_code::other},
    {"bad_name", exit_code::other},
    {"bad_spec", exit_code::other},
    {"bad_json", exit_code::other},
    {"not_redirected", exit_code::other},
    {"checksum_mismatch", exit_code::other},
    {"unauthorized", exit_code::auth},
    {"forbidden", exit_code::auth},
    {"not_found", exit_code::not_found},
    {"bucket_not_found", exit_code::not_found},
    {"object_not_found", exit_code::not_found},
    {"etl_not_found", exit_code::not_found},
    {"method_not_allowed", exit_code::other},
    {"request_timeout", exit_code::timeout},
    {"already_exists", exit_code::conflict},
    {"conflict", exit_code::conflict},
    {"diverged", exit_code::conflict},
    {"other_epoch", exit_code::conflict},
    {"length_required", exit_code::other},
    {"body_too_large", exit_code::limit},
    {"url_too_long", exit_code::limit},
    {"bad_range", exit_code::other},
    {"misdirected", exit_code::other},
    {"head_too_large", exit_code::limit},
    {"etl_init_failed", exit_code::other},
    {"internal", exit_code::other},
    {"io", exit_code::other},
    {"not_implemented", exit_code::other},
    {"bad_pod_answer", exit_code::other},
    {"pod_gone", exit_code::unavailable},
    {"unavailable", exit_code::unavailable},
    {"overloaded", exit_code::unavailable},
    {"not_ready", exit_code::unavailable},
    {"stopping", exit_code::unavailable},
    {"timed_out", exit_code::timeout},
    {"no_space", exit_code::limit},
    {"canceled", exit_code::unavailable},
    {"refused", exit_code::unavailable},
    {"reset", exit_code::unavailable},
    {"unreachable", exit_code::unavailable},
    {"end_of_stream", exit_code::unavailable},
    {"too_many_files", exit_code::unavailable},
    {"no_such_file", exit_code::not_found},
    {"permission", exit_code::auth},
    {"in_use", exit_code::conflict},
    {"newer_version", exit_code::conflict},
    {"corrupt", exit_code::other},
};
static_assert(std::size(all) == std::size(errors), "each error has its exit code here");

static void each_error_has_the_exit_code_of_the_manual(void **)
{
    for (const documented &one : all) {
        if (of(one.name) != one.code)
            test_fail("%s: exit code %d, not %d", one.name, static_cast<int>(of(one.name)), static_cast<int>(one.code));
    }
    // The code decides even where AIStore uses another status.
    test_eq_enum(exit_code_from_answer(400, "conflict", false), exit_code::conflict);
    test_eq_enum(exit_code_from_answer(400, "timed_out", false), exit_code::timeout);
    test_eq_enum(exit_code_from_answer(400, "not_found", false), exit_code::not_found);
    test_eq_enum(exit_code_from_answer(400, "pod_gone", false), exit_code::other);
    test_eq_enum(exit_code_from_answer(409, "", false), exit_code::conflict);
    test_eq_enum(exit_code_from_answer(409, "of_another_server", false), exit_code::conflict);
    test_eq_enum(exit_code_from_answer(500, "ok", false), exit_code::other);
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
        cmocka_unit_test(every_error_of_the_table_has_an_exit_code),
        cmocka_unit_test(each_error_has_the_exit_code_of_the_manual),
        cmocka_unit_test(the_important_ones),
        cmocka_unit_test(numbers_and_names_are_unique),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
