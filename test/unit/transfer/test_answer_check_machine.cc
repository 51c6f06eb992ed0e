// SPDX-License-Identifier: MIT
// The rows of the answer_check machine, each on a network that the test controls: deadlines, refusals and ends in every state.
// test_answer_check.cc uses real connections.
#include <string>

#include "fake_world.h"
#include "node_test.h"
#include "rows_taken.h"

#include "base/limits.h"
#include "transfer/answer_check.h"
#include "transfer/transfer_machines.h"

using namespace etlnode;

// The fake world's connections can be read: what has arrived on the connection that is being read.
struct fixture {
    fake_world *w = nullptr;
    net_port net = {};
    answer_check *check = nullptr;
    std::string incoming;
    bool has_ended = false; // of the connection that is being read
    net_on_ready on_readable = nullptr;
    void *arg = nullptr;
    int verdicts = 0;
    bool complete = false;
};
static fixture *now = nullptr;

static io_result read_some(net_conn *, void *buffer, size_t size)
{
    if (now->incoming.empty())
        return {now->has_ended ? io_state::end : io_state::again, 0, no_error};
    size_t count = std::min(size, now->incoming.size());
    std::copy_n(now->incoming.data(), count, static_cast<char *>(buffer));
    now->incoming.erase(0, count);
    return {io_state::done, count, no_error};
}

static int set_up(void **state)
{
    now = new fixture;
    now->w = fake_make();
    now->net = fake_net;
    now->net.read = read_some;
    now->net.wait = [](net_conn *, net_side, net_on_ready on_ready, void *arg) { now->on_readable = on_ready, now->arg = arg; };
    now->net.wait_cancel = [](net_conn *, net_side) { now->on_readable = nullptr; };
    now->net.has_unread = [](net_conn *, bool *out_end) {
        *out_end = now->has_ended;
        return !now->incoming.empty();
    };
    now->w->e.net = &now->net;
    *state = now;
    return 0;
}

static int tear_down(void **state)
{
    auto *f = static_cast<fixture *>(*state);
    fake_run(*f->w);
    fake_free(f->w);
    delete f;
    return 0;
}

static void on_verdict(void *arg, bool complete)
{
    auto &f = *static_cast<fixture *>(arg);
    f.verdicts++;
    f.complete = complete;
}

static void begin(fixture &f, bool has_witness)
{
    f.verdicts = 0;
    f.complete = false;
    f.has_ended = false;
    f.incoming.clear();
    answer_check_options options;
    options.host = "10.0.0.1";
    options.port = 80;
    options.witness_host = has_witness ? "10.0.0.2" : "";
    options.witness_port = has_witness ? 81 : 0;
    options.instance = "local://abc/0";
    options.on_verdict = on_verdict;
    options.arg = &f;
    f.check = answer_check_begin(f.w->e, options);
}

static void judge(fixture &f)
{
    answer_check_judge(*f.check);
    fake_run(*f.w);
}

static void say(fixture &f, const char *text)
{
    f.incoming = text;
    net_on_ready call = f.on_readable;
    f.on_readable = nullptr;
    test_true(call != nullptr);
    call(f.arg);
    fake_run(*f.w);
}

// The verdict came exactly once, and nothing is left open.
static void check_verdict(fixture &f, bool complete)
{
    fake_run(*f.w);
    test_eq(f.verdicts, 1);
    test_true(f.complete == complete);
    test_eq(f.w->connects.size() + f.w->open_conns + f.w->clock.timers, 0);
}

static void cancel(fixture &f)
{
    answer_check_cancel(*f.check);
    fake_advance(*f.w, 60'000);
    test_eq(f.verdicts, 0);
    test_eq(f.w->connects.size() + f.w->open_conns + f.w->clock.timers, 0);
}

// --- with a witness

static void to_reading(fixture &f)
{
    begin(f, true);
    judge(f);
    test_eq_text(f.w->connects.at(0)->address, "10.0.0.2:81");
    fake_connected(*f.w, no_error);
}

static void the_witness_decides(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    to_reading(f);
    say(f, "local://abc server\n");
    check_verdict(f, true);
    to_reading(f);
    say(f, "local://ab"); // the rest comes later
    say(f, "c server\n");
    check_verdict(f, true);
    to_reading(f);
    say(f, "local://abd server\n"); // another container
    check_verdict(f, false);
    to_reading(f);
    f.has_ended = true;
    say(f, "local://abc server"); // it ended in its line
    check_verdict(f, false);
}

static void a_witness_of_another_process_leaves_it_to_the_pod(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    for (bool lives : {true, false}) {
        to_reading(f);
        say(f, "local://abc other\n");
        test_eq_text(f.w->connects.at(0)->address, "10.0.0.1:80");
        fake_connected(*f.w, lives ? no_error : make_error(error_code::refused));
        check_verdict(f, lives);
    }
}

static void a_witness_that_is_gone_or_late_is_no_yes(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    begin(f, true);
    judge(f);
    fake_connected(*f.w, make_error(error_code::refused));
    check_verdict(f, false);
    begin(f, true);
    judge(f);
    fake_advance(*f.w, pod_connect_timeout_ms);
    check_verdict(f, false);
    to_reading(f);
    fake_advance(*f.w, pod_connect_timeout_ms);
    check_verdict(f, false);
}

// --- without one

static void to_probing(fixture &f)
{
    begin(f, false);
    judge(f);
    test_eq(f.w->connects.size(), 0); // a process that died with its answer may still have a listener for a moment
    fake_advance(*f.w, answer_settle_ms);
    test_eq_text(f.w->connects.at(0)->address, "10.0.0.1:80");
}

static void the_pod_must_take_a_connection(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    to_probing(f);
    fake_connected(*f.w, no_error);
    check_verdict(f, true);
    to_probing(f);
    fake_connected(*f.w, make_error(error_code::refused));
    check_verdict(f, false);
    to_probing(f);
    fake_advance(*f.w, pod_connect_timeout_ms);
    check_verdict(f, false);
}

// A liveness connection that broke proves that the process died, even if another one listens now.
static void a_liveness_that_broke_is_believed(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    begin(f, false);
    answer_check_watch(*f.check);
    answer_check_watch(*f.check); // again: no effect
    test_eq(f.w->connects.size(), 1);
    fake_connected(*f.w, no_error);
    f.has_ended = true;
    say(f, ""); // readable: its end
    judge(f);
    fake_advance(*f.w, answer_settle_ms);
    while (!f.w->connects.empty())
        fake_connected(*f.w, no_error);
    check_verdict(f, false);

    begin(f, false);
    answer_check_watch(*f.check);
    fake_connected(*f.w, make_error(error_code::refused)); // nothing listened any more
    judge(f);
    fake_advance(*f.w, answer_settle_ms);
    fake_connected(*f.w, no_error);
    check_verdict(f, false);
}

static void one_that_is_cancelled_says_nothing(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    begin(f, false);
    cancel(f); // watching
    begin(f, false);
    answer_check_watch(*f.check);
    cancel(f); // watching, while a liveness connection is being opened
    begin(f, true);
    judge(f);
    cancel(f); // asking
    to_reading(f);
    cancel(f);
    begin(f, false);
    judge(f);
    cancel(f); // settling
    to_probing(f);
    cancel(f);
}

static void every_row_is_taken(void **) { check_rows_taken(answer_check_machine_view()); }

int main()
{
    sm_set_strict(true);
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_witness_decides, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_witness_of_another_process_leaves_it_to_the_pod, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_witness_that_is_gone_or_late_is_no_yes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_pod_must_take_a_connection, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_liveness_that_broke_is_believed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_is_cancelled_says_nothing, set_up, tear_down),
        cmocka_unit_test(every_row_is_taken),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
