// SPDX-License-Identifier: MIT
#include "node_test.h"

#include "aistore/provider.h"

using namespace etlnode;

static void providers_have_aliases(void **)
{
    test_eq_text(provider_of(""), "ais");
    test_eq_text(provider_of("ais"), "ais");
    test_eq_text(provider_of("s3"), "aws");
    test_eq_text(provider_of("gs"), "gcp");
    test_true(provider_of("nobody").empty());
}

struct verdict {
    const char *query, *bucket;
    error_code code;
    const char *words; // a part of the text
};

static constexpr verdict verdicts[] = {
    {"", "b", error_code::ok, ""},
    {"provider=ais&namespace=", "b", error_code::ok, ""},
    {"provider=&namespace=%40%23", "b", error_code::ok, ""},
    {"provider=ais&provider=ais", "b", error_code::ok, ""},
    {"provider=ais&provider=s3", "b", error_code::bad_request, "given twice, with different values"},
    {"provider=nobody", "b", error_code::bad_request, "unknown provider \"nobody\"; known here: ais"},
    {"provider=s3", "b", error_code::bucket_not_found, "failed to lookup bucket s3://b, err: AWS backend is missing"},
    {"provider=http", "b", error_code::bucket_not_found, "ht://b, err: HTTP backend"},
    {"provider=gs", "", error_code::not_implemented, "provider \"gcp\" is not supported"},
    {"namespace=%40%23&namespace=%40remote", "b", error_code::bad_request, "the parameter namespace is given twice, with different values"},
    {"namespace=%40remote", "b", error_code::not_implemented, "only the global namespace"},
};

static void other_places_are_refused(void **)
{
    for (const verdict &row : verdicts) {
        std::string text;
        error err = provider_check(row.query, row.bucket, text);
        if (err.code != row.code)
            test_fail("%s: %s (%s)", row.query, error_code_text(err.code), text.c_str());
        test_has_text(text, row.words);
    }
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(providers_have_aliases),
        cmocka_unit_test(other_places_are_refused),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
