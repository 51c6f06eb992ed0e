// SPDX-License-Identifier: MIT
// The pump between two ends that the test controls: what each of them may do in each state, and that both are left alone after the end.
#include <deque>
#include <string>

#include "fake_world.h"
#include "node_test.h"
#include "rows_taken.h"

#include "http/http_machines.h"
#include "http/pump.h"

using namespace etlnode;

struct fixture {
    fake_world *w = nullptr;
    // The source's next pieces.
    std::deque<pull_result> pieces;
    uint64_t progress_ms = 0;
    net_on_ready on_source = nullptr;
    // How many bytes the sink still takes.
    size_t room = SIZE_MAX;
    error sink_err;
    net_on_ready on_sink = nullptr;
    std::string taken;
    void *pump_arg = nullptr;
    // What came of it.
    int done = 0;
    error err;
    uint64_t bytes = 0;
};

static fixture &of(void *self) { return *static_cast<fixture *>(self); }

static const stream_from_ops source_ops = {
    .gives_relayed = false,
    .pull =
        [](void *self, net_relay *relay, bool takes_file) {
            test_true(relay == nullptr && !takes_file);
            if (of(self).pieces.empty())
                return pull_result{};
            pull_result next = of(self).pieces.front();
            of(self).pieces.pop_front();
            return next;
        },
    .wait = [](void *self, net_on_ready on_ready, void *arg) { of(self).on_source = on_ready, of(self).pump_arg = arg; },
    .wait_cancel = [](void *self) { of(self).on_source = nullptr; },
    .last_progress_ms = [](const void *self) { return static_cast<const fixture *>(self)->progress_ms; },
    .stall_text = [](const void *) { return "the source gives no more"; },
};

static const stream_to_ops sink_ops = {
    .takes_relayed = false,
    .takes_file = false,
    .begin_piece = nullptr,
    .end_piece = nullptr,
    .has_framing = nullptr,
    .send = [](void *self, std::string_view bytes, bool) -> io_result {
        fixture &f = of(self);
        if (f.sink_err)
            return {io_state::failed, 0, f.sink_err};
        size_t count = std::min(f.room, bytes.size());
        if (count == 0)
            return {io_state::again, 0, no_error};
        f.room -= count;
        f.taken += bytes.substr(0, count);
        return {io_state::done, count, no_error};
    },
    .send_relayed = nullptr,
    .send_file = nullptr,
    .wait = [](void *self, net_on_ready on_ready, void *arg) { of(self).on_sink = on_ready, of(self).pump_arg = arg; },
    .wait_cancel = [](void *self) { of(self).on_sink = nullptr; },
    .stalled = [](void *) { return make_error(error_code::canceled, "the sink takes no more"); },
};

static void on_done(void *arg, error err, uint64_t bytes)
{
    fixture &f = of(arg);
    f.done++;
    f.err = err;
    f.bytes = bytes;
}

static int set_up(void **state)
{
    auto *f = new fixture;
    f->w = fake_make();
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    auto *f = static_cast<fixture *>(*state);
    fake_run(*f->w);
    test_true(f->on_source == nullptr && f->on_sink == nullptr); // no wait remains on an end that is no longer borrowed
    fake_free(f->w);
    delete f;
    return 0;
}

static pull_result piece(std::string_view bytes) { return {pull_state::bytes, bytes, bytes.size(), no_error}; }
static pull_result last(pull_state state, error err = no_error) { return {state, {}, 0, err}; }

static pump *start(fixture &f, pump_options options = {})
{
    options.on_done = on_done;
    options.arg = &f;
    pump *p = pump_start(f.w->e, {&sink_ops, &f}, {&source_ops, &f}, std::move(options));
    fake_run(*f.w);
    return p;
}

static void wake(fixture &f, net_on_ready &on_ready)
{
    net_on_ready call = on_ready;
    on_ready = nullptr;
    test_true(call != nullptr);
    call(f.pump_arg);
    fake_run(*f.w);
}

static void check_end(const fixture &f, error_code code, const char *taken)
{
    test_eq(f.done, 1);
    test_eq_enum(f.err.code, code);
    test_eq_text(f.taken, taken);
    test_eq(f.bytes, f.taken.size());
}

static void bytes_go_from_one_end_to_the_other(void **state)
{
    fixture &f = of(*state);
    f.pieces = {piece("one "), piece("two ")};
    start(f, {.prefix = "before "});
    test_eq_text(f.taken, "before one two ");
    test_eq(f.done, 0);
    wake(f, f.on_source); // nothing has arrived
    f.pieces = {piece("three"), last(pull_state::end)};
    wake(f, f.on_source);
    check_end(f, error_code::ok, "before one two three");
}

static void a_full_sink_is_waited_for(void **state)
{
    fixture &f = of(*state);
    f.room = 3;
    f.pieces = {piece("abcde"), last(pull_state::end)};
    start(f);
    test_eq_text(f.taken, "abc");
    wake(f, f.on_sink); // it takes nothing yet
    f.room = 2;
    wake(f, f.on_sink);
    check_end(f, error_code::ok, "abcde");
}

static void a_sink_that_takes_again_goes_on_with_the_source(void **state)
{
    fixture &f = of(*state);
    f.room = 0;
    f.pieces = {piece("a")};
    start(f);
    f.room = 10;
    wake(f, f.on_sink);
    test_true(f.on_source != nullptr);
    f.pieces = {last(pull_state::end)};
    wake(f, f.on_source);
    check_end(f, error_code::ok, "a");
}

static void a_source_that_breaks_ends_it(void **state)
{
    fixture &f = of(*state);
    f.pieces = {piece("abc"), last(pull_state::failed, make_error(error_code::reset))};
    start(f);
    check_end(f, error_code::reset, "abc");
}

static void a_sink_that_breaks_ends_it(void **state)
{
    fixture &f = of(*state);
    f.room = 1;
    f.pieces = {piece("abc")};
    start(f);
    f.sink_err = make_error(error_code::canceled);
    wake(f, f.on_sink);
    check_end(f, error_code::canceled, "a");
}

static void more_than_was_promised_is_a_failure(void **state)
{
    fixture &f = of(*state);
    f.pieces = {piece("abc"), piece("d")};
    start(f, {.has_length = true, .length = 3, .prefix = {}});
    check_end(f, error_code::bad_pod_answer, "abc");
}

static void a_source_that_stalls_ends_it(void **state)
{
    fixture &f = of(*state);
    start(f, {.source_timeout_ms = 1'000, .prefix = {}});
    fake_advance(*f.w, 900);
    test_eq(f.done, 0);
    f.progress_ms = f.w->clock.now_ms; // it still reads
    fake_advance(*f.w, 900);
    test_eq(f.done, 0);
    fake_advance(*f.w, 200);
    check_end(f, error_code::timed_out, "");
    test_eq_text(f.err.what, "the source gives no more");
}

static void a_sink_that_stalls_ends_it(void **state)
{
    fixture &f = of(*state);
    f.room = 1;
    f.pieces = {piece("abc")};
    start(f, {.sink_timeout_ms = 1'000, .prefix = {}});
    fake_advance(*f.w, 999);
    test_eq(f.done, 0);
    fake_advance(*f.w, 1);
    check_end(f, error_code::canceled, "a");
}

// A fast pair of peers must not monopolise the loop.
static void a_source_without_end_gives_others_their_turn(void **state)
{
    fixture &f = of(*state);
    for (int i = 0; i < 100; i++)
        f.pieces.push_back(piece("x"));
    start(f);
    test_true(f.taken.size() < 100);
    while (f.taken.size() < 100)
        wake(f, f.on_source != nullptr ? f.on_source : f.on_sink);
    f.pieces = {last(pull_state::end)};
    wake(f, f.on_source);
    test_eq(f.bytes, 100);
}

static void one_that_is_cancelled_says_nothing(void **state)
{
    fixture &f = of(*state);
    for (bool waits_for_sink : {false, true}) {
        f.room = waits_for_sink ? 0 : SIZE_MAX;
        f.pieces = {piece("a")};
        pump_cancel(*start(f));
        fake_run(*f.w);
        test_eq(f.done, 0);
        test_true(f.on_source == nullptr && f.on_sink == nullptr);
    }
    pump_options options; // before it begins
    options.on_done = on_done;
    options.arg = &f;
    pump_cancel(*pump_start(f.w->e, {&sink_ops, &f}, {&source_ops, &f}, std::move(options)));
    fake_run(*f.w);
    test_eq(f.done, 0);
}

// The source ends or fails while the pump waits for the sink.
static void a_source_may_break_behind_a_full_sink(void **state)
{
    fixture &f = of(*state);
    f.room = 0;
    f.pieces = {piece("a"), last(pull_state::failed, make_error(error_code::reset))};
    start(f);
    f.room = 1;
    wake(f, f.on_sink);
    check_end(f, error_code::reset, "a");
}

static void every_row_is_taken(void **) { check_rows_taken(pump_machine_view()); }

int main()
{
    sm_set_strict(true);
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bytes_go_from_one_end_to_the_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_sink_is_waited_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_sink_that_takes_again_goes_on_with_the_source, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_source_that_breaks_ends_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_sink_that_breaks_ends_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(more_than_was_promised_is_a_failure, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_source_that_stalls_ends_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_sink_that_stalls_ends_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_source_without_end_gives_others_their_turn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_is_cancelled_says_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_source_may_break_behind_a_full_sink, set_up, tear_down),
        cmocka_unit_test(every_row_is_taken),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
