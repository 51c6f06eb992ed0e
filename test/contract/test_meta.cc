// SPDX-License-Identifier: MIT
// test/contract/test_meta.cc: what port/meta.h promises.
#include "contract_world.h"

#include <vector>

#include "port/index.h"
#include "port/meta.h"

using namespace etlnode;

struct meta_seen {
    int calls = 0;
    error err;
    uint64_t version = 0;
    std::string text;
    std::vector<error> errs;
};
static meta_seen *seen;

static int setup(void **state)
{
    seen = new meta_seen;
    return world_setup_index(state);
}

static int teardown(void **state)
{
    delete seen;
    return world_teardown(state);
}

static void on_read(void *, error err, uint64_t version, const std::string &text)
{
    seen->calls++;
    seen->err = err;
    seen->version = version;
    seen->text = text;
}

static void on_swap(void *, error err)
{
    seen->calls++;
    seen->err = err;
    seen->errs.push_back(err);
}

static error awaited(int calls = 1)
{
    test_eq(seen->calls, 0);
    test_true(world_until([calls] { return seen->calls >= calls; }));
    world_pass(1);
    test_eq(seen->calls, calls);
    seen->calls = 0;
    return seen->err;
}

static error swap(const char *name, uint64_t expected, uint64_t version, std::string text)
{
    meta_swap(*world->e, name, expected, version, std::move(text), on_swap, nullptr);
    return awaited();
}

static void expect_document(const char *name, uint64_t version, const std::string &text)
{
    meta_read(*world->e, name, on_read, nullptr);
    test_ok(awaited());
    test_eq(seen->version, version);
    test_eq_text(seen->text, text);
}

static void missing_document_has_version_zero(void **) { expect_document("none", 0, ""); }

static void documents_are_swapped(void **)
{
    test_ok(swap("cluster", 0, 1, "one"));
    expect_document("cluster", 1, "one");
    test_ok(swap("cluster", 1, 5, std::string("five\0!", 6)));
    expect_document("cluster", 5, std::string("five\0!", 6));
    expect_document("other", 0, "");
}

static void stale_swaps_conflict(void **)
{
    test_eq_enum(swap("d", 3, 4, "x").code, error_code::conflict);
    expect_document("d", 0, "");
    test_ok(swap("d", 0, 2, "two"));
    test_eq_enum(swap("d", 0, 1, "x").code, error_code::conflict);
    test_eq_enum(swap("d", 1, 3, "x").code, error_code::conflict);
    test_eq_enum(swap("d", 3, 4, "x").code, error_code::conflict);
    expect_document("d", 2, "two");
}

static void of_concurrent_swaps_one_wins(void **)
{
    for (int i = 0; i < 10; i++)
        meta_swap(*world->e, "d", 0, 1, std::to_string(i), on_swap, nullptr);
    (void)awaited(10);
    test_ok(seen->errs[0]);
    for (size_t i = 1; i < 10; i++)
        test_eq_enum(seen->errs[i].code, error_code::conflict);
    expect_document("d", 1, "0");
}

static void a_conflict_does_not_spoil_its_group(void **)
{
    meta_swap(*world->e, "a", 0, 1, "a", on_swap, nullptr);
    meta_swap(*world->e, "a", 0, 1, "b", on_swap, nullptr);
    meta_swap(*world->e, "b", 0, 1, "c", on_swap, nullptr);
    (void)awaited(3);
    test_ok(seen->errs[0]);
    test_eq_enum(seen->errs[1].code, error_code::conflict);
    test_ok(seen->errs[2]);
    expect_document("a", 1, "a");
    expect_document("b", 1, "c");
}

static void documents_survive_reopening(void **)
{
    std::string text(3 << 20, 'd');
    test_ok(swap("cluster", 0, 1, text));
    world_end();
    world_begin(true);
    expect_document("cluster", 1, text);
    test_ok(swap("cluster", 1, 2, "small"));
    expect_document("cluster", 2, "small");
}

static void what_is_under_way_at_the_end_is_reported(void **)
{
    meta_swap(*world->e, "d", 0, 1, "text", on_swap, nullptr);
    meta_read(*world->e, "d", on_read, nullptr);
    world_end();
    test_eq(seen->calls, 2);
    seen->calls = 0;
    world_begin(true);
    expect_document("d", 1, "text");
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(missing_document_has_version_zero, setup, teardown),
        cmocka_unit_test_setup_teardown(documents_are_swapped, setup, teardown),
        cmocka_unit_test_setup_teardown(stale_swaps_conflict, setup, teardown),
        cmocka_unit_test_setup_teardown(of_concurrent_swaps_one_wins, setup, teardown),
        cmocka_unit_test_setup_teardown(a_conflict_does_not_spoil_its_group, setup, teardown),
        cmocka_unit_test_setup_teardown(documents_survive_reopening, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_under_way_at_the_end_is_reported, setup, teardown),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
