// SPDX-License-Identifier: MIT
// How full a disk counts, when that is too full, and what nodes report of it.
#include "node_test.h"

#include "control/capacity.h"

using namespace etlnode;

static constexpr uint64_t mib = 1024 * 1024;
static constexpr uint64_t huge = INT64_MAX; // the most that a registration may contain

static void used_is_counted_as_by_df(void **)
{
    struct row {
        disk_space space;
        uint64_t permille;
        const char *text;
    };
    const row rows[] = {
        {{}, 0, "0.0%"},
        {{.size = 100, .used = 0, .free = 100}, 0, "0.0%"},
        {{.size = 1000, .used = 1, .free = 999}, 1, "0.1%"},
        {{.size = 10'000, .used = 1, .free = 9'999}, 1, "0.1%"}, // rounded up
        {{.size = 100, .used = 95, .free = 0}, 1000, "100.0%"},  // root keeps a reserve
        {{.size = 100, .used = 100, .free = 0}, 1000, "100.0%"},
        {{.size = 100, .used = 45, .free = 45}, 500, "50.0%"},
        {{.size = huge, .used = huge, .free = huge}, 500, "50.0%"},
        {{.size = huge, .used = huge, .free = 0}, 1000, "100.0%"},
    };
    for (const row &one : rows) {
        test_eq(space_used_permille(one.space), one.permille);
        test_eq_text(space_used_text(one.space), one.text);
    }
}

static void a_disk_is_low_and_then_full(void **)
{
    struct row {
        uint64_t used;
        uint64_t limit;
        space_state state;
        uint64_t room;
    };
    const row rows[] = {
        {0, 95, space_state::ok, 950},
        {899, 95, space_state::ok, 51},
        {900, 95, space_state::low, 50},
        {949, 95, space_state::low, 1},
        {950, 95, space_state::full, 0},
        {1000, 95, space_state::full, 0},
        {950, 100, space_state::low, 50},
        {1000, 100, space_state::low, 0}, // it never counts as full: the disk itself refuses
        {0, 1, space_state::low, 10},
        {10, 1, space_state::full, 0},
        {0, 5, space_state::low, 50},
        {1, 6, space_state::ok, 59},
    };
    for (const row &one : rows) {
        disk_space space = {.size = 1000, .used = one.used, .free = 1000 - one.used};
        test_eq_enum(space_judge(space, one.limit), one.state);
        test_eq(space_room(space, one.limit), one.room);
    }
    test_eq_enum(space_judge({}, 95), space_state::ok); // a file system that does not count
    test_eq(space_room({.size = huge, .used = 0, .free = huge}, 50), huge / 2);
}

static node_capacity parsed(const std::string &text)
{
    json_ptr tree;
    std::string where;
    node_capacity capacity;
    test_ok(json_parse(text, tree, where));
    test_ok(capacity_parse(tree.get(), capacity, where));
    return capacity;
}

static void what_is_reported_is_read(void **)
{
    node_capacity one = {.version = "1.2",
        .machine = "m",
        .bytes = 7 * mib,
        .is_disk_known = true,
        .disk = {.id = UINT64_MAX, .size = 30, .used = 10, .free = 20},
        .out_of_space = 95};
    std::string text = json_print(capacity_json(one).get());
    test_eq_text(text,
        R"({"version":"1.2","machine":"m","bytes":7340032,"disk":{"id":"18446744073709551615","size":30,"used":10,"free":20,)"
        R"("out_of_space":95}})");
    node_capacity back = parsed(text);
    test_true(back.is_known && back.is_disk_known);
    test_eq_text(back.version, "1.2");
    test_eq_text(back.machine, "m");
    test_eq(back.bytes, 7 * mib);
    test_eq(back.disk.id, UINT64_MAX);
    test_eq(back.disk.size, 30u);
    test_eq(back.disk.used, 10u);
    test_eq(back.disk.free, 20u);
    test_eq(back.out_of_space, 95u);
    one.is_disk_known = false;
    test_false(parsed(json_print(capacity_json(one).get())).is_disk_known);
    node_capacity none;
    std::string where;
    test_ok(capacity_parse(nullptr, none, where)); // a node of a former version
    test_false(none.is_known);
}

static void what_cannot_be_meant_is_refused(void **)
{
    struct row {
        const char *text;
        const char *says;
    };
    const std::string long_text(300, 'v');
    const std::string long_version = R"({"version":")" + long_text + R"(","bytes":1})";
    const row rows[] = {
        {"{}", "capacity.bytes"},
        {R"({"bytes":-1})", "capacity.bytes"},
        {R"({"bytes":"many"})", "capacity.bytes"},
        {R"({"version":3,"bytes":1})", "capacity.version"},
        {long_version.c_str(), "capacity.version"},
        {R"({"machine":[],"bytes":1})", "capacity.machine"},
        {R"({"bytes":1,"disk":{}})", "capacity.disk.id"},
        {R"({"bytes":1,"disk":{"id":1,"size":2,"used":3,"free":"x","out_of_space":4}})", "capacity.disk.free"},
        {R"({"bytes":1,"disk":{"id":1,"size":"9223372036854775808","used":3,"free":1,"out_of_space":4}})", "capacity.disk.size"},
    };
    for (const row &one : rows) {
        json_ptr tree;
        std::string where;
        node_capacity capacity;
        test_ok(json_parse(one.text, tree, where));
        test_eq_enum(capacity_parse(tree.get(), capacity, where).code, error_code::bad_json);
        test_has_text(where, one.says);
    }
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(used_is_counted_as_by_df),
        cmocka_unit_test(a_disk_is_low_and_then_full),
        cmocka_unit_test(what_is_reported_is_read),
        cmocka_unit_test(what_cannot_be_meant_is_refused),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
