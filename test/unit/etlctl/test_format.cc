// SPDX-License-Identifier: MIT
#include "node_test.h"

#include <cstdlib>
#include <ctime>

#include "etlctl/format.h"

using namespace etlnode;
using namespace etlnode::etlctl;

static void sizes(void **)
{
    test_eq_text(format_size(0), "0B");
    test_eq_text(format_size(1023), "1023B");
    test_eq_text(format_size(1024), "1.0KiB");
    test_eq_text(format_size(1536), "1.5KiB");
    test_eq_text(format_size(1024 * 1024 - 1), "1.0MiB"); // never 1024.0KiB
    test_eq_text(format_size(64ull << 20), "64.0MiB");
    test_eq_text(format_size(UINT64_MAX), "16.0EiB");
}

static void durations(void **)
{
    test_eq_text(format_seconds(0), "0s");
    test_eq_text(format_seconds(62), "1m02s");
    test_eq_text(format_seconds(3725), "1h02m");
    test_eq_text(format_seconds(2 * 24 * 3600), "2d0h");
}

static void counts_are_grouped(void **)
{
    test_eq_text(format_count(0), "0");
    test_eq_text(format_count(999), "999");
    test_eq_text(format_count(1000), "1,000");
    test_eq_text(format_count(12'345'678), "12,345,678");
    test_eq_text(format_count(UINT64_MAX), "18,446,744,073,709,551,615");
}

static void the_clock_shows_the_day_unless_it_is_today(void **)
{
    setenv("TZ", "UTC", 1);
    tzset();
    test_eq_text(format_clock(1'787'000'000, 1'787'000'100), "20:53:20");
    test_eq_text(format_clock(1'787'000'000, 1'787'086'400), "2026-08-17 20:53:20");
}

static void times_are_rfc_3339(void **)
{
    test_eq_text(format_time_ns(0), "1970-01-01T00:00:00Z");
    test_eq_text(format_time_ns(1'787'000'000'123'000'000), "2026-08-17T20:53:20.123Z");
    test_eq_text(format_time_ns(UINT64_MAX), "2554-07-21T23:34:33.709Z");
    test_eq_text(format_time_text("1787000000000000000"), "2026-08-17T20:53:20Z");
    test_eq_text(format_time_text("0"), "");
    test_eq_text(format_time_text(""), "");
    test_eq_text(format_time_text("Mon, 17 Aug 2026 20:53:20 GMT"), "2026-08-17T20:53:20Z");
    test_eq_text(format_time_text("yesterday"), "yesterday");
}

static void cells_cannot_drive_the_terminal(void **)
{
    test_eq_text(format_cell("plain name"), "plain name");
    test_eq_text(format_cell("\xe4\xbd\xa0"), "\xe4\xbd\xa0");
    test_eq_text(format_cell(""), "\"\"");
    test_eq_text(format_cell(" x"), "\" x\"");
    test_eq_text(format_cell("a\nb"), "\"a\\x0ab\"");
    test_eq_text(format_cell("\x1b[31m"), "\"\\x1b[31m\"");
    test_eq_text(format_cell("\xff"), "\"\\xff\"");
    test_eq_text(format_cell("\xc2\x9b"), "\"\\u009b\"");               // the one-byte form of ESC [
    test_eq_text(format_cell("a\u202egpj.exe"), "\"a\\u202egpj.exe\""); // a terminal would show it as aexe.jpg
    test_eq_text(format_cell("\u061c\u2066x"), "\"\\u061c\\u2066x\"");
    test_eq_text(format_cell("\u2010\u2122\u0634\u00e9"), "\u2010\u2122\u0634\u00e9");
    test_eq_text(format_message("said \u202edias\u2029"), "said \\u202edias\\u2029");
    test_eq_text(format_message("\xe2\x80"), "\\xe2\\x80");
    test_eq_text(format_cell("\"q\""), "\"\\\"q\\\"\"");
    test_eq_text(format_message("a\tb\nc\x1b\n\n"), "a\tb\nc\\x1b");
    test_eq(format_width("a\xe4\xbd\xa0"), 3u); // a wide character
    test_eq(format_width("e\xcc\x81"), 1u);     // e and a combining accent
    test_eq(format_width("\xc3\xa9\xf0\x9f\x98\x80"), 3u);
    test_eq(format_width("\xf0\x9f"), 1u); // truncated: it does not read past the end
}

static void progress_lines(void **)
{
    progress_state state = {};
    state.what = "big";
    state.bytes_done = 12ull << 20;
    state.bytes_total = 100ull << 20;
    state.elapsed_ms = 2000;
    test_eq_text(format_progress(state), "big  0/1 objects  12.0MiB of 100.0MiB (12%)  6.0MiB/s  15s left");
    state.bytes_total = 0;
    test_eq_text(format_progress(state), "big  0/1 objects  12.0MiB  6.0MiB/s");
    state.bytes_done = 0;
    state.elapsed_ms = 0;
    test_eq_text(format_progress(state), "big  0/1 objects  0B");
}

static void eta(void **)
{
    uint64_t seconds = 0;
    progress_state state = {};
    test_false(progress_eta_s(state, seconds)); // nothing is known yet
    state.bytes_total = 1000;
    state.elapsed_ms = 1000;
    test_false(progress_eta_s(state, seconds)); // there is no rate yet
    state.bytes_done = 100;
    test_true(progress_eta_s(state, seconds));
    test_eq(seconds, 9u);
    state.bytes_done = 1000;
    test_true(progress_eta_s(state, seconds));
    test_eq(seconds, 0u);
    state.bytes_done = 2000; // more than the announced size
    test_false(progress_eta_s(state, seconds));
    state.bytes_done = 1;
    state.bytes_total = UINT64_MAX;
    test_false(progress_eta_s(state, seconds)); // years
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(sizes),
        cmocka_unit_test(durations),
        cmocka_unit_test(counts_are_grouped),
        cmocka_unit_test(the_clock_shows_the_day_unless_it_is_today),
        cmocka_unit_test(times_are_rfc_3339),
        cmocka_unit_test(cells_cannot_drive_the_terminal),
        cmocka_unit_test(progress_lines),
        cmocka_unit_test(eta),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
