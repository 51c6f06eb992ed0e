// SPDX-License-Identifier: MIT
#include "node_test.h"

#include "role/shared/metrics.h"

using namespace etlnode;

static void families_have_one_head(void **)
{
    metrics_text text;
    metrics_add(text, "a_total", "counter", "Things.", {}, 3);
    std::string labels;
    metrics_label(labels, "x", "1");
    metrics_label(labels, "y", "2");
    metrics_add(text, "b", "gauge", "Others.", labels, 0.25);
    metrics_add(text, "b", "gauge", "Others.", {}, 1e6);
    test_eq_text(text.out, "# HELP a_total Things.\n# TYPE a_total counter\na_total 3\n# HELP b Others.\n# TYPE b "
                           "gauge\nb{x=\"1\",y=\"2\"} 0.25\nb 1000000\n");
}

static void label_values_are_escaped(void **)
{
    std::string labels;
    metrics_label(labels, "k", "a\"b\\c\nd\x01");
    test_eq_text(labels, "k=\"a\\\"b\\\\c\\nd?\"");
}

static void large_counts_keep_their_digits(void **)
{
    metrics_text text;
    metrics_add(text, "n", "counter", "N.", {}, 9007199254740991.0);
    test_has_text(text.out, "\nn 9007199254740991\n");
}

static void histograms_are_cumulative(void **)
{
    latency_histogram h;
    for (uint64_t ms : {0u, 1u, 2u, 3u, 1'000u, 30'001u, 99'999u})
        latency_add(h, ms);
    metrics_text text;
    metrics_add_histogram(text, "d_seconds", "D.", "etl=\"e\"", h);
    test_has_text(text.out, "# TYPE d_seconds histogram\n");
    test_has_text(text.out, "d_seconds_bucket{etl=\"e\",le=\"0.001\"} 2\n");
    test_has_text(text.out, "d_seconds_bucket{etl=\"e\",le=\"0.002\"} 3\n");
    test_has_text(text.out, "d_seconds_bucket{etl=\"e\",le=\"0.005\"} 4\n");
    test_has_text(text.out, "d_seconds_bucket{etl=\"e\",le=\"1\"} 5\n");
    test_has_text(text.out, "d_seconds_bucket{etl=\"e\",le=\"30\"} 5\n");
    test_has_text(text.out, "d_seconds_bucket{etl=\"e\",le=\"+Inf\"} 7\n");
    test_has_text(text.out, "d_seconds_sum{etl=\"e\"} 131.006\n");
    test_has_text(text.out, "d_seconds_count{etl=\"e\"} 7\n");
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(families_have_one_head),
        cmocka_unit_test(label_values_are_escaped),
        cmocka_unit_test(large_counts_keep_their_digits),
        cmocka_unit_test(histograms_are_cumulative),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
