// SPDX-License-Identifier: MIT
// test of control/moved_row: rows come back as they were, and what is damaged is refused.
#include "node_test.h"

#include <string>

#include "control/moved_row.h"

using namespace etlnode;

static index_row sample()
{
    index_row row;
    row.bucket = "b";
    row.name = std::string("n/\xff\n\"\0x", 7);
    row.version = (uint64_t{3} << 32) + 7;
    row.tag = 12;
    row.size = 5;
    row.checksum = UINT64_MAX;
    row.changed_ns = 1'700'000'000'123'456'789;
    row.content_type = "text/plain";
    row.etag = "\"e\"";
    row.custom = "{\"a\":1}";
    row.content = "a\n{}b";
    row.content_id = 1;
    return row;
}

static void expect_same(const index_row &a, const index_row &b)
{
    test_eq_text(a.bucket, b.bucket);
    test_true(a.name == b.name);
    test_eq(a.version, b.version);
    test_eq(a.tag, b.tag);
    test_true(a.is_tombstone == b.is_tombstone);
    test_eq(a.content_id, b.content_id);
    test_eq(a.size, b.size);
    test_eq(a.checksum, b.checksum);
    test_eq(a.changed_ns, b.changed_ns);
    test_eq_text(a.content_type, b.content_type);
    test_eq_text(a.etag, b.etag);
    test_eq_text(a.custom, b.custom);
    test_true(a.content == b.content);
}

static void items_come_back(void **)
{
    moved_item first{sample(), 42};
    moved_item tombstone;
    tombstone.row.bucket = "b";
    tombstone.row.name = "gone";
    tombstone.row.version = 9;
    tombstone.row.is_tombstone = true;
    moved_item empty{sample(), 43};
    empty.row.size = 0;
    empty.row.content.clear();
    empty.row.content_id = 0;
    moved_item damaged{sample(), 44};
    damaged.row.content_id = 0; // its size says nothing of what follows
    damaged.row.content.clear();
    std::string batch;
    for (const moved_item *item : {&first, &tombstone, &damaged, &empty, &first})
        moved_item_append(batch, *item);
    std::string_view rest = batch;
    for (const moved_item *item : {&first, &tombstone, &damaged, &empty, &first}) {
        moved_item got;
        test_ok(moved_item_take(rest, got));
        expect_same(got.row, item->row);
        test_eq(got.created_ns, item->created_ns);
    }
    test_true(rest.empty());
}

// No cut of a batch passes for a whole one.
static void cut_batches_are_refused(void **)
{
    std::string batch;
    moved_item_append(batch, {sample(), 42});
    for (size_t size = 0; size < batch.size(); size++) {
        std::string_view rest = std::string_view(batch).substr(0, size);
        moved_item got;
        test_eq_enum(moved_item_take(rest, got).code, error_code::bad_json);
        test_eq(rest.size(), size);
    }
}

static void bad_rows_are_refused(void **)
{
    static constexpr const char *bad_ones[] = {"{}", "[]", "1", R"({"bucket":"Yg==","name":"","version":"1","tag":"0","deleted":true})",
        R"({"bucket":"Yg==","name":"*","version":"1","tag":"0","deleted":true})",
        R"({"bucket":"Yg==","name":"bg==","version":"0","tag":"0","deleted":true})",
        R"({"bucket":"Yg==","name":"bg==","version":"9223372036854775808","tag":"0","deleted":true})",
        R"({"bucket":"Yg==","name":"bg==","version":"1","deleted":true})", R"({"bucket":"Yg==","name":"bg==","version":"1","tag":"0"})",
        R"({"bucket":"Yg==","name":"bg==","version":"1","tag":"0","size":"-1","checksum":"1","changed_ns":"1"})"};
    for (const char *text : bad_ones) {
        json_ptr tree;
        std::string where;
        test_ok(json_parse(text, tree, where));
        index_row row;
        test_eq_enum(moved_row_parse(tree.get(), row).code, error_code::bad_json);
    }
}

static void newer_is_the_higher_version_then_the_higher_tag(void **)
{
    auto row = [](uint64_t version, uint64_t tag) {
        index_row r;
        r.version = version;
        r.tag = tag;
        return r;
    };
    test_true(moved_row_is_newer(row(2, 0), row(1, 9)));
    test_true(moved_row_is_newer(row(2, 4), row(2, 3)));
    test_false(moved_row_is_newer(row(2, 3), row(2, 3)));
    test_false(moved_row_is_newer(row(1, 9), row(2, 0)));
    test_true(moved_row_is_newer(row(1, 0), index_row{}));
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(items_come_back),
        cmocka_unit_test(cut_batches_are_refused),
        cmocka_unit_test(bad_rows_are_refused),
        cmocka_unit_test(newer_is_the_higher_version_then_the_higher_tag),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
