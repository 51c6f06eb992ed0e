// SPDX-License-Identifier: MIT
// The put machine's golden traces: test/golden/traces/put.md shows calls and the transitions that follow. UPDATE=1 rewrites it.
//
// A scenario is a heading, a line "given: CALL, CALL, ..." and a block of transitions. Calls:
//   start          put_start
//   write N        put_write of N bytes                 commit     put_commit; "commit N" with N last bytes
//   commit wrong   put_commit with another checksum     abort      put_abort
//   hold           put_hold                             release    put_release
//   fail OP CODE   the next operation OP fails          run        until nothing is left to do
//   defer OP       OP is done when nothing else is left to do
//   step N         N steps of the world (an operation takes one step to execute and one to complete)
#include "store_fixture.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "golden_page.h"
#include "store/store_machines.h"

using namespace etlnode;

struct scenario {
    fixture f;
    put *p = nullptr;
    answer written, committed;
    int ready = 0;
};

static memory_op op_of(const std::string &name)
{
    for (size_t i = 0; i < std::size(memory_op_names); i++) {
        if (name == memory_op_names[i])
            return static_cast<memory_op>(i);
    }
    test_fail("no operation %s", name.c_str());
    return memory_op::open;
}

static void do_call(scenario &c, const std::string &call)
{
    std::vector<std::string> words = golden_split(call, " ");
    if (words[0] == "start") {
        c.p = put_start(*c.f.s, "b", "o", "");
    } else if (words[0] == "write") {
        size_t size = static_cast<size_t>(std::atoi(words[1].c_str()));
        std::fill_n(put_buffer(*c.p).begin(), size, 'x');
        put_write(*c.p, size, on_answer, &c.written);
    } else if (words[0] == "commit") {
        size_t size = words.size() > 1 ? static_cast<size_t>(std::atoi(words[1].c_str())) : 0;
        std::fill_n(put_buffer(*c.p).begin(), size, 'x');
        put_commit(*c.p, size, words.back() == "wrong", 1, on_row_answer, &c.committed);
    } else if (words[0] == "hold") {
        put_hold(
            *c.p, [](void *arg) { ++*static_cast<int *>(arg); }, &c.ready);
    } else if (words[0] == "release") {
        put_release(*c.p);
    } else if (words[0] == "abort") {
        put_abort(*c.p);
    } else if (words[0] == "fail") {
        error_code code = error_code::ok;
        test_true(error_code_from_name(words[2], code));
        c.f.world->faults.push_back({.op = op_of(words[1]), .err = make_error(code)});
    } else if (words[0] == "defer") {
        c.f.world->deferred.insert(op_of(words[1]));
    } else if (words[0] == "step") {
        for (int i = std::atoi(words[1].c_str()); i > 0; i--)
            memory_step(*c.f.world);
    } else if (words[0] == "run") {
        memory_run(*c.f.world);
    } else {
        test_fail("no call %s", call.c_str());
    }
}

static std::string run_scenario(const std::string &given)
{
    scenario c;
    start_world(c.f, memory_empty());
    test_ok(open_store(c.f));
    golden_trace_begin(c.f.world->clock);
    for (const std::string &call : golden_split(given, ", "))
        do_call(c, call);
    std::string out = golden_trace_end("put");
    out += c.written.count > 0 ? std::string("written: ") + error_code_name(c.written.err.code) + "\n" : "";
    out += c.ready > 0 ? "ready: " + std::to_string(c.ready) + "\n" : "";
    out += c.committed.count > 0 ? std::string("committed: ") + error_code_name(c.committed.err.code) + "\n" : "";
    close_world(c.f);
    return out;
}

static void traces_are_as_recorded(void **) { golden_page_check("test/golden/traces/put.md", run_scenario); }
static void every_row_is_taken(void **) { check_rows_taken(put_machine_view()); }

int main()
{
    sm_set_strict(true);
    log_set_level(log_level::error);
    const CMUnitTest tests[] = {cmocka_unit_test(traces_are_as_recorded), cmocka_unit_test(every_row_is_taken)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
