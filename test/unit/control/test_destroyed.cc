// SPDX-License-Identifier: MIT
// Which buckets were destroyed, and what happens to the objects of a bucket that a document does not name.
#include "node_test.h"

#include <string>

#include "base/limits.h"
#include "control/document.h"

using namespace etlnode;

static cluster_document with_bucket(const std::string &name, uint64_t created_ns)
{
    cluster_document document;
    document.uuid = "CLUSTERuuid1";
    document.created = "2026-01-02 03:04:05";
    document.version = 4;
    document_put_bucket(document, {.name = name, .created_ns = created_ns});
    return document;
}

static cluster_document reread(const cluster_document &document)
{
    cluster_document back;
    test_ok(document_parse(document_print(document), back));
    return back;
}

static void times_of_creation_only_grow(void **)
{
    cluster_document document = with_bucket("old", 500); // of a version that did not note the last one
    test_eq(document_stamp_bucket(document, 100), 501u); // the clock was set back
    test_eq(document_stamp_bucket(document, 100), 502u);
    test_eq(document_stamp_bucket(document, 9'000), 9'000u);
    test_true(document_destroy_bucket(document, "old", 5));
    cluster_document back = reread(document);
    test_eq(document_stamp_bucket(back, 1), 9'001u);
    // Also if the newest bucket is gone, and nothing else remembers it.
    cluster_document alone = with_bucket("b", 700);
    test_true(document_destroy_bucket(alone, "b", 5));
    alone = reread(alone);
    alone.destroyed.clear();
    test_eq(document_stamp_bucket(alone, 1), 701u);
}

static void absence_deletes_nothing(void **)
{
    cluster_bucket bucket = {.name = "b", .created_ns = 7};
    cluster_document document = with_bucket("b", 7);
    test_eq_enum(document_bucket_fate(document, bucket), bucket_fate::kept);
    test_eq_enum(document_bucket_fate(with_bucket("b", 8), bucket), bucket_fate::removed); // another one of that name
    test_eq_enum(document_bucket_fate(with_bucket("c", 7), bucket), bucket_fate::orphaned);
    test_true(document_destroy_bucket(document, "b", 5));
    test_false(document_destroy_bucket(document, "b", 6));
    test_eq_enum(document_bucket_fate(reread(document), bucket), bucket_fate::removed);
    test_eq_enum(document_bucket_fate(document, {.name = "b", .created_ns = 6}), bucket_fate::orphaned); // of an earlier one
    test_eq_enum(document_bucket_fate(document, {.name = "c", .created_ns = 7}), bucket_fate::orphaned);
}

static void a_record_is_kept_until_all_targets_hold_it(void **)
{
    cluster_document document = with_bucket("b", 7);
    test_true(document_destroy_bucket(document, "b", 5));
    document_put_bucket(document, {.name = "b", .created_ns = 8});
    test_true(document_destroy_bucket(document, "b", 6));
    document_forget_destroyed(document, 4);
    test_eq(document.destroyed.size(), 2u);
    document.placement.former = {{.number = 3,
        .is_settled = true,
        .targets = {{.id = "target02", .disk = std::string(disk_id_size, 'd'), .standing = placed_standing::lost}}}};
    document_forget_destroyed(document, 6); // the lost disk may hold neither
    test_eq(document.destroyed.size(), 2u);
    document.placement.former.clear();
    document_forget_destroyed(document, 5);
    test_eq(document.destroyed.size(), 1u);
    test_eq(document.destroyed[0].created_ns, 8u);
    document_forget_destroyed(document, 6);
    test_true(document.destroyed.empty());
}

static void records_are_bounded(void **)
{
    cluster_document document = with_bucket("b", 7);
    for (uint64_t i = 0; i < document_destroyed_count_max + 3; i++)
        document_record_destroyed(document, {.name = "x", .created_ns = i}, 9);
    test_eq(document.destroyed.size(), document_destroyed_count_max);
    test_eq(document.destroyed.front().created_ns, 3u); // the oldest are gone: a target keeps too much rather than too little
    test_eq(reread(document).destroyed.size(), document_destroyed_count_max);
}

static void documents_of_former_versions_stay_as_they_are(void **)
{
    cluster_document document = with_bucket("b", 7);
    std::string text = document_print(document);
    for (const char *key : {"changed_ns", "last_created_ns", "losses", "destroyed", "supersedes"})
        test_true(text.find(key) == std::string::npos);
    test_eq_text(document_print(reread(document)), text);
}

static void damaged_fields_are_refused(void **)
{
    std::string good = document_print(with_bucket("b", 7));
    for (const char *wrong :
        {R"("changed_ns":"x",)", R"("losses":-1,)", R"("losses":"4294967296",)", R"("destroyed":{},)", R"("destroyed":[{"name":"b"}],)",
            R"("destroyed":[1],)", R"("supersedes":[{"term":"1","tag":"2","version":"3"}],)", R"("last_created_ns":[],)"}) {
        std::string text = good;
        text.insert(1, wrong);
        cluster_document document;
        test_eq_enum(document_parse(text, document).code, error_code::corrupt);
    }
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(times_of_creation_only_grow),
        cmocka_unit_test(absence_deletes_nothing),
        cmocka_unit_test(a_record_is_kept_until_all_targets_hold_it),
        cmocka_unit_test(records_are_bounded),
        cmocka_unit_test(documents_of_former_versions_stay_as_they_are),
        cmocka_unit_test(damaged_fields_are_refused),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
