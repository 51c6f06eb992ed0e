// SPDX-License-Identifier: MIT
// test/contract/test_proc.cc: what port/proc.h promises, with /bin/sh as the child.
#include "contract_world.h"

#include <csignal>
#include <dirent.h>
#include <sys/resource.h>
#include <vector>

#include "port/proc.h"

using namespace etlnode;

struct proc_seen {
    int exits = 0;
    proc_result result;
    std::string out;
    std::string err_text;
    std::string streamed;
    int outputs = 0;
    proc *p = nullptr;
    bool terminate_on_output = false;
};
static proc_seen *seen;

static int setup(void **state)
{
    seen = new proc_seen;
    return world_setup(state);
}

static int teardown(void **state)
{
    delete seen;
    return world_teardown(state);
}

static void on_exit(void *arg, const proc_result &result)
{
    auto *s = static_cast<proc_seen *>(arg);
    s->exits++;
    s->result = result;
    s->out = result.out;
    s->err_text = result.err_text;
}

static void on_output(void *arg, std::string_view bytes)
{
    auto *s = static_cast<proc_seen *>(arg);
    test_eq(s->exits, 0);
    s->outputs++;
    s->streamed += bytes;
    if (s->terminate_on_output)
        proc_terminate(*world->e, s->p);
}

static proc_options shell(const char *script)
{
    proc_options options;
    options.argv = {"sh", "-c", script};
    options.deadline_ms = 20'000;
    options.out_size_max = 1 << 20;
    options.err_size_max = 64;
    options.on_exit = on_exit;
    options.arg = seen;
    return options;
}

static void start(proc_options options)
{
    test_ok(proc_spawn(*world->e, std::move(options), &seen->p));
    test_eq(seen->exits, 0);
}

static void run(proc_options options)
{
    start(std::move(options));
    test_true(world_until([] { return seen->exits > 0; }));
    world_pass(1);
    test_eq(seen->exits, 1);
    test_ok(seen->result.err);
}

static void collects_output_and_exit_code(void **)
{
    run(shell("echo hello; echo wrong >&2; exit 7"));
    test_eq(seen->result.exit_code, 7);
    test_eq(seen->result.signal, 0);
    test_eq_text(seen->out, "hello\n");
    test_eq_text(seen->err_text, "wrong\n");
    test_false(seen->result.truncated);
    test_false(seen->result.deadline_passed);
}

static void stdio_can_be_opened_by_name(void **)
{
    run(shell("echo hello > /dev/stdout; echo wrong > /dev/stderr"));
    test_eq_text(seen->out, "hello\n");
    test_eq_text(seen->err_text, "wrong\n");
}

static void input_reaches_stdin(void **)
{
    proc_options options = shell("cat");
    options.input = std::string(500'000, 'i');
    run(std::move(options));
    test_eq(seen->out.size(), 500'000u);
    test_eq(seen->result.exit_code, 0);
}

static void without_input_stdin_is_empty(void **)
{
    run(shell("cat; readlink /proc/self/fd/0"));
    test_eq_text(seen->out, "/dev/null\n");
}

static void child_need_not_read_its_input(void **)
{
    proc_options options = shell("exit 3");
    options.input = std::string(8 << 20, 'i');
    run(std::move(options));
    test_eq(seen->result.exit_code, 3);
    // Neither while it lives.
    seen->exits = 0;
    options = shell("sleep 0.1; exit 4");
    options.input = std::string(8 << 20, 'i');
    run(std::move(options));
    test_eq(seen->result.exit_code, 4);
}

static void environment_is_inherited_and_overlaid(void **)
{
    setenv("CONTRACT_KEPT", "kept", 1);
    setenv("CONTRACT_CHANGED", "old", 1);
    proc_options options = shell("echo $CONTRACT_KEPT $CONTRACT_CHANGED $CONTRACT_NEW");
    options.extra_env = {"CONTRACT_CHANGED=changed", "CONTRACT_NEW=a=b"};
    run(std::move(options));
    test_eq_text(seen->out, "kept changed a=b\n");
}

static void refused_spawns_never_call_back(void **)
{
    proc_options options = shell("");
    options.argv = {"no-such-program-at-all"};
    options.input = "x";
    error err = proc_spawn(*world->e, std::move(options), &seen->p);
    test_eq_enum(err.code, error_code::no_such_file);
    test_eq_text(error_text(err), "program not found");
    test_true(seen->p == nullptr);
    options = shell("");
    options.argv = {"/etc/passwd"};
    err = proc_spawn(*world->e, std::move(options), &seen->p);
    test_eq_enum(err.code, error_code::permission);
    world_pass(20);
    test_eq(seen->exits, 0);
    test_eq(uv_env_counts(*world->e).procs, 0u);
}

static void deadline_ends_the_child(void **)
{
    proc_options options = shell("echo started; sleep 100");
    options.deadline_ms = 100;
    options.kill_grace_ms = 5'000;
    run(std::move(options));
    test_true(seen->result.deadline_passed);
    test_eq(seen->result.signal, SIGTERM);
    test_eq_text(seen->out, "started\n");
}

static void child_that_ignores_term_is_killed(void **)
{
    proc_options options = shell("trap '' TERM; echo ready; while :; do sleep 1; done");
    options.kill_grace_ms = 100;
    start(std::move(options));
    world_pass(150); // wait until the trap is set
    proc_terminate(*world->e, seen->p);
    proc_terminate(*world->e, seen->p); // calling it repeatedly is fine
    test_true(world_until([] { return seen->exits > 0; }));
    test_eq(seen->result.signal, SIGKILL);
    test_false(seen->result.deadline_passed);
    test_eq_text(seen->out, "ready\n");
}

static void signals_reach_the_whole_group(void **)
{
    proc_options options = shell("sleep 300 & echo $!; wait");
    options.deadline_ms = 200;
    run(std::move(options));
    test_true(seen->result.deadline_passed);
    int pid = std::atoi(seen->out.c_str());
    test_true(pid > 0);
    static int watched;
    watched = pid;
    // Gone, or a zombie that has not been reaped yet.
    test_true(world_until(
        [] {
            std::string path = "/proc/" + std::to_string(watched) + "/stat";
            FILE *file = std::fopen(path.c_str(), "r");
            if (file == nullptr)
                return true;
            char state = '?';
            bool is_read = std::fscanf(file, "%*d %*s %c", &state) == 1;
            std::fclose(file);
            return !is_read || state == 'Z';
        },
        3000));
}

static void output_over_the_limit_ends_the_child(void **)
{
    proc_options options = shell("yes");
    options.out_size_max = 1000;
    run(std::move(options));
    test_true(seen->result.truncated);
    test_eq(seen->out.size(), 1000u);
}

static void tail_of_stderr_is_kept(void **)
{
    run(shell("i=0; while [ $i -lt 2000 ]; do echo line $i >&2; i=$((i+1)); done; echo last >&2"));
    test_eq(seen->err_text.size(), 64u);
    test_has_text(seen->err_text, "line 1999\nlast\n");
    test_eq(seen->result.exit_code, 0);
}

static void unwanted_output_is_dropped(void **)
{
    proc_options options = shell("yes | head -c 3000000; echo wrong >&2");
    options.out_size_max = 0;
    options.err_size_max = 0;
    run(std::move(options));
    test_false(seen->result.truncated);
    test_eq(seen->result.exit_code, 0);
    test_true(seen->out.empty() && seen->err_text.empty());
}

static void output_is_streamed(void **)
{
    proc_options options = shell("echo one; sleep 0.05; echo two");
    options.on_output = on_output;
    options.out_size_max = 0;
    run(std::move(options));
    test_eq_text(seen->streamed, "one\ntwo\n");
    test_true(seen->outputs >= 2);
    test_true(seen->out.empty());
}

static void terminate_from_output(void **)
{
    proc_options options = shell("echo one; sleep 100");
    options.on_output = on_output;
    options.deadline_ms = 0;
    seen->terminate_on_output = true;
    run(std::move(options));
    test_eq(seen->result.signal, SIGTERM);
    test_eq_text(seen->streamed, "one\n");
}

static void grandchild_with_the_pipe_does_not_hold_the_exit(void **)
{
    uint64_t start_ms = clock_now_ms(*world->e);
    run(shell("setsid sleep 5 & echo done"));
    test_eq_text(seen->out, "done\n");
    test_eq(seen->result.exit_code, 0);
    test_true(clock_now_ms(*world->e) - start_ms < 4000);
}

static void child_inherits_nothing_else(void **)
{
    run(shell("ls /proc/self/fd | wc -l"));
    test_eq_text(seen->out, "4\n"); // three, and the directory itself
}

static void child_has_default_signals(void **)
{
    // The node ignores SIGPIPE; its children do not.
    run(shell("kill -PIPE $$; echo survived"));
    test_eq(seen->result.signal, SIGPIPE);
}

static void many_children_at_once(void **)
{
    static proc_seen many[20];
    for (proc_seen &one : many) {
        proc_options options = shell("echo x");
        options.arg = &one;
        test_ok(proc_spawn(*world->e, std::move(options), &one.p));
        test_true(proc_pid(*world->e, one.p) > 0);
    }
    test_true(world_until([] {
        for (const proc_seen &one : many) {
            if (one.exits != 1)
                return false;
        }
        return true;
    }));
    for (const proc_seen &one : many)
        test_eq_text(one.out, "x\n");
}

static void out_of_descriptors_is_refused(void **)
{
    rlimit before{};
    test_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    rlimit low = before;
    low.rlim_cur = 3; // all open descriptors are above this limit
    proc_options options = shell("echo x");
    test_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    error err = proc_spawn(*world->e, std::move(options), &seen->p);
    test_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    test_eq_enum(err.code, error_code::too_many_files);
    run(shell("echo x"));
}

static void the_end_kills_what_is_left(void **)
{
    proc_options options = shell("trap '' TERM; while :; do sleep 1; done");
    options.deadline_ms = 0;
    options.input = std::string(1 << 20, 'i');
    start(std::move(options));
    world_pass(20);
    int pid = proc_pid(*world->e, seen->p);
    world_end(false);
    test_eq(kill(pid, 0), -1);
    test_eq(seen->exits, 0);
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(collects_output_and_exit_code, setup, teardown),
        cmocka_unit_test_setup_teardown(stdio_can_be_opened_by_name, setup, teardown),
        cmocka_unit_test_setup_teardown(input_reaches_stdin, setup, teardown),
        cmocka_unit_test_setup_teardown(without_input_stdin_is_empty, setup, teardown),
        cmocka_unit_test_setup_teardown(child_need_not_read_its_input, setup, teardown),
        cmocka_unit_test_setup_teardown(environment_is_inherited_and_overlaid, setup, teardown),
        cmocka_unit_test_setup_teardown(refused_spawns_never_call_back, setup, teardown),
        cmocka_unit_test_setup_teardown(deadline_ends_the_child, setup, teardown),
        cmocka_unit_test_setup_teardown(child_that_ignores_term_is_killed, setup, teardown),
        cmocka_unit_test_setup_teardown(signals_reach_the_whole_group, setup, teardown),
        cmocka_unit_test_setup_teardown(output_over_the_limit_ends_the_child, setup, teardown),
        cmocka_unit_test_setup_teardown(tail_of_stderr_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(unwanted_output_is_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(output_is_streamed, setup, teardown),
        cmocka_unit_test_setup_teardown(terminate_from_output, setup, teardown),
        cmocka_unit_test_setup_teardown(grandchild_with_the_pipe_does_not_hold_the_exit, setup, teardown),
        cmocka_unit_test_setup_teardown(child_inherits_nothing_else, setup, teardown),
        cmocka_unit_test_setup_teardown(child_has_default_signals, setup, teardown),
        cmocka_unit_test_setup_teardown(many_children_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(out_of_descriptors_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(the_end_kills_what_is_left, setup, teardown),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
