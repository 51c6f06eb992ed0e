// SPDX-License-Identifier: MIT
#include "node_test.h"

#include <string>

#include "base/limits.h"
#include "role/shared/etl_failures.h"

using namespace etlnode;

static etl_failure failure_of(int number)
{
    return {.wall_ns = static_cast<uint64_t>(number),
        .object = "ais://b/o" + std::to_string(number),
        .status = 500,
        .text = "boom",
        .request_id = "r" + std::to_string(number)};
}

static void all_are_counted_and_the_last_are_kept(void **)
{
    etl_failures failures;
    for (int i = 0; i < 250; i++)
        etl_failures_add(failures, "e", failure_of(i));
    json_ptr tree = etl_failures_json(failures, "e");
    test_eq(json_u64(tree.get(), "count", 0), 250);
    const cJSON *errors = json_get(tree.get(), "errors");
    test_eq(static_cast<uint64_t>(cJSON_GetArraySize(errors)), failures_kept_max);
    test_eq_text(std::string(json_text(cJSON_GetArrayItem(errors, 0), "object")), "ais://b/o150");
    const cJSON *last = cJSON_GetArrayItem(errors, static_cast<int>(failures_kept_max) - 1);
    test_eq_text(std::string(json_text(last, "object")), "ais://b/o249");
    test_eq_text(std::string(json_text(last, "request_id")), "r249");
    test_eq_text(std::string(json_text(last, "time")), "249");
}

static void an_etl_without_failures_has_none(void **)
{
    etl_failures failures;
    etl_failures_add(failures, "other", failure_of(1));
    json_ptr tree = etl_failures_json(failures, "e");
    test_eq(json_u64(tree.get(), "count", 1), 0);
    test_eq(static_cast<uint64_t>(cJSON_GetArraySize(json_get(tree.get(), "errors"))), 0);
}

static void texts_are_bounded_between_characters(void **)
{
    etl_failures failures;
    etl_failure failure = failure_of(1);
    failure.text = "x";
    while (failure.text.size() < 100'000)
        failure.text += "\u00e9";
    etl_failures_add(failures, "e", failure);
    json_ptr tree = etl_failures_json(failures, "e");
    std::string text(json_text(cJSON_GetArrayItem(json_get(tree.get(), "errors"), 0), "text"));
    test_true(text.size() <= failure_text_max + 3);
    test_true(text.ends_with("\u00e9..."));
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(all_are_counted_and_the_last_are_kept),
        cmocka_unit_test(an_etl_without_failures_has_none),
        cmocka_unit_test(texts_are_bounded_between_characters),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
