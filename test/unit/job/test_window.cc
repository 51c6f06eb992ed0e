// SPDX-License-Identifier: MIT
// Every name counts exactly once, in whatever order items end and however often the ledger is written.
#include "node_test.h"

#include <map>
#include <set>

#include "base/rng.h"
#include "job/job_report.h"
#include "job/window.h"

using namespace etlnode;

static std::string name_of(unsigned i)
{
    char text[16];
    snprintf(text, sizeof text, "%06u", i);
    return text;
}

static index_row row_of(unsigned i)
{
    index_row row;
    row.bucket = "b";
    row.name = name_of(i);
    return row;
}

static void the_cursor_waits_for_all_before(void **)
{
    job_window w;
    for (unsigned i = 0; i < 4; i++)
        window_add(w, row_of(i), false);
    uint64_t number = 0;
    for (unsigned i = 0; i < 3; i++)
        test_true(window_begin_next(w, number));
    window_end(w, 1, job_outcome::done, 10, {});
    window_end(w, 2, job_outcome::failed, 0, {.status = 500, .text = "broken"});
    ledger_change change;
    window_take(w, change);
    test_eq_text(change.job.cursor_name, "");
    test_eq(change.ahead.size(), 2u);
    test_eq_text(change.ahead[0].name, name_of(1));
    test_eq(change.ahead[1].outcome, 2);
    test_eq(change.job.done, 1u);
    test_eq(change.job.failed, 1u);
    test_eq(change.job.bytes, 10u);
    test_eq(change.failures.size(), 1u);
    test_eq_text(change.failures[0].name, name_of(2));
    test_eq(change.failures[0].tries, 1u);
    window_end(w, 0, job_outcome::skipped, 0, {});
    window_take(w, change);
    test_eq_text(change.job.cursor_name, name_of(2));
    test_eq(change.ahead.size(), 2u); // none was noted twice
    test_eq(change.job.skipped, 1u);
    test_eq(w.slots.size(), 1u);
    test_true(window_begin_next(w, number));
    test_eq(number, 3u); // numbers go on
}

static void what_is_only_looked_at_counts_as_nothing(void **)
{
    job_window w;
    uint64_t number = 0;
    for (unsigned i = 0; i < 2; i++) {
        window_add(w, row_of(i), false);
        test_true(window_begin_next(w, number));
    }
    window_end(w, 1, job_outcome::passed, 0, {});
    ledger_change change;
    window_take(w, change);
    test_eq(change.ahead.size(), 1u); // it is not looked at again
    window_end(w, 0, job_outcome::passed, 0, {});
    window_take(w, change);
    test_eq_text(change.job.cursor_name, name_of(1));
    test_eq(change.job.done + change.job.skipped + change.job.failed, 0u);
}

static void what_is_noted_is_not_done_again(void **)
{
    job_window w;
    window_add(w, row_of(0), true);
    window_add(w, row_of(1), false);
    uint64_t number = 0;
    test_true(window_begin_next(w, number));
    test_eq(number, 1u);
    test_false(window_begin_next(w, number));
    window_end(w, 1, job_outcome::done, 0, {});
    ledger_change change;
    window_take(w, change);
    test_eq(change.job.done, 1u); // the noted one counted before
    test_eq_text(change.job.cursor_name, name_of(1));
}

static void an_item_may_wait_again(void **)
{
    job_window w;
    window_add(w, row_of(0), false);
    uint64_t number = 0;
    test_true(window_begin_next(w, number));
    test_eq(window_put_back(w, number), 1u);
    test_true(window_begin_next(w, number));
    test_eq(window_slot_of(w, number).tries, 2u);
    test_eq(window_put_back(w, number), 2u);
    window_drop_waiting(w);
    test_false(window_begin_next(w, number));
    test_eq(w.slots.size(), 0u);
}

// The ledger as it would be on disk.
struct disk {
    ledger_job job;
    std::map<std::string, uint8_t> ahead;
    std::set<std::string> failures;
};

static void write(disk &d, const ledger_change &change)
{
    d.job = change.job;
    for (const ledger_ahead &one : change.ahead)
        d.ahead[one.name] = one.outcome;
    for (const ledger_failure &one : change.failures)
        d.failures.insert(one.name);
    d.ahead.erase(d.ahead.begin(), d.ahead.upper_bound(change.job.cursor_name));
}

// Runs over `count` names, with crashes at random moments. Name i has outcome i % 3, always.
static void run_with_crashes(uint64_t seed, unsigned count)
{
    rng random = {seed};
    disk d;
    unsigned crashes = 0;
    uint64_t repeated = 0;
    std::map<unsigned, unsigned> runs;
    for (bool is_over = false; !is_over;) {
        job_window w;
        std::map<std::string, uint8_t> noted = d.ahead;
        unsigned next = d.job.cursor_name.empty() ? 0 : static_cast<unsigned>(std::stoul(d.job.cursor_name)) + 1;
        std::vector<uint64_t> flight;
        ledger_job row = d.job;
        for (;;) {
            uint64_t number = 0;
            if (next < count && w.slots.size() < 40) {
                window_add(w, row_of(next), noted.erase(name_of(next)) > 0);
                next++;
            }
            if (flight.size() < 8 && window_begin_next(w, number))
                flight.push_back(number);
            if (!flight.empty() && rng_below(random, 3) == 0) {
                size_t at = static_cast<size_t>(rng_below(random, flight.size()));
                unsigned i = static_cast<unsigned>(std::stoul(window_slot_of(w, flight[at]).row.name));
                repeated += runs[i]++ > 0 ? 1 : 0;
                window_end(w, flight[at], static_cast<job_outcome>(i % 3), 1, {});
                flight.erase(flight.begin() + static_cast<ptrdiff_t>(at));
            }
            bool is_last = next == count && flight.empty() && w.waiting == 0;
            if (is_last || rng_below(random, 30) == 0) {
                ledger_change change = {.job = row};
                window_take(w, change);
                row = change.job;
                write(d, change);
            }
            is_over = is_last && w.unsaved == 0;
            if (is_over)
                break;
            if (crashes < 20 && rng_below(random, 100) == 0) {
                crashes++;
                break;
            }
        }
    }
    test_eq(d.job.done, (count + 2) / 3);
    test_eq(d.job.skipped, (count + 1) / 3);
    test_eq(d.job.failed, count / 3);
    test_eq(d.job.bytes, count);
    test_eq(d.failures.size(), count / 3);
    test_eq(d.ahead.size(), 0u);
    test_eq(runs.size(), count); // nothing was left out
    test_true(crashes == 0 || repeated <= uint64_t{crashes} * 48);
}

static void sums_survive_crashes(void **)
{
    for (uint64_t seed = 1; seed <= 200; seed++)
        run_with_crashes(seed, 200 + static_cast<unsigned>(seed));
}

static json_ptr parsed_again(json_ptr tree)
{
    json_ptr again;
    std::string where;
    test_ok(json_parse(json_print(tree.get()), again, where));
    return again;
}

// Without its report a target would count as silent, and without a failure's record its object would be in no list.
static void whatever_is_reported_can_be_read(void **)
{
    std::string text(100'000, 'y');
    job_report report, parsed;
    report.row = {.id = "j1", .kind = "scrub", .state = "done"};
    report.row.error = report.waiting = text;
    test_true(job_report_parse(parsed_again(job_report_print(report)).get(), parsed));
    test_true(parsed.waiting.ends_with("yyy...") && parsed.row.error.ends_with("yyy..."));
    ledger_failure failure, parsed_failure;
    failure.text = text;
    test_true(job_failure_parse(parsed_again(job_failure_print(failure)).get(), parsed_failure));
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(whatever_is_reported_can_be_read),
        cmocka_unit_test(the_cursor_waits_for_all_before),
        cmocka_unit_test(what_is_only_looked_at_counts_as_nothing),
        cmocka_unit_test(what_is_noted_is_not_done_again),
        cmocka_unit_test(an_item_may_wait_again),
        cmocka_unit_test(sums_survive_crashes),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
