// SPDX-License-Identifier: MIT
// Which of several cluster documents goes on, and what continues it.
#include "node_test.h"

#include <string>

#include "base/limits.h"
#include "control/placement.h"
#include "control/recovery.h"

using namespace etlnode;

static void put_target(cluster_document &document, const std::string &id)
{
    document_put_node(document, {.id = id, .is_target = true, .url = "http://127.0.0.1:1", .digest = placement_digest(id)});
}

static cluster_document reread(const cluster_document &document)
{
    cluster_document back;
    test_ok(document_parse(document_print(document), back));
    return back;
}

// As the proxy does it. `tag` 0 continues the term.
static cluster_document change(cluster_document next, const std::string &bucket, uint64_t tag)
{
    if (tag != 0)
        document_begin_term(next, tag);
    next.version++;
    document_put_bucket(next, {.name = bucket, .created_ns = next.version});
    return reread(next);
}

static cluster_document first()
{
    cluster_document document;
    document.uuid = "CLUSTERuuid1";
    document.created = "2026-01-02 03:04:05";
    put_target(document, "target01");
    put_target(document, "target02");
    return change(document, "a", 11);
}

// As the document queue stores a recovered document.
static cluster_document stored(cluster_document next)
{
    next.version++;
    return reread(next);
}

static document_relation relate(const cluster_document &other, const cluster_document &document)
{
    return document_relate(document_identify(other), document);
}

static void the_one_that_descends_from_all_goes_on(void **)
{
    cluster_document v1 = first();
    cluster_document v2 = change(v1, "b", 0);
    cluster_document v3 = change(v2, "c", 22);
    document_copy copies[] = {{v2, {"target01"}}, {v3, {"target02"}}, {v1, {"proxy001"}}};
    recovery_choice choice = recovery_choose(copies, {});
    test_eq(choice.chosen, 1u);
    test_eq(choice.tips.size(), 1u);
    test_true(choice.missing.empty() && choice.problem.empty());
    cluster_document next = stored(recovery_continue(copies, 1, 77, recovery_kind::adopted));
    test_eq(next.version, 4u);
    test_eq(next.terms.back().number, 3u);
    test_eq(next.next_generation, v3.next_generation);
    test_eq(next.losses, 0u);
    test_true(next.supersedes.empty());
    for (const document_copy &copy : copies) {
        test_eq_enum(relate(copy.document, next), document_relation::ancestor);
        test_eq_enum(relate(next, copy.document), document_relation::newer);
    }
}

static void a_recovery_leaves_room_for_what_is_lost(void **)
{
    cluster_document v1 = first();
    document_copy copies[] = {{v1, {"target01"}}};
    recovery_choice choice = recovery_choose(copies, {});
    test_eq(choice.chosen, 0u);
    test_eq(choice.missing.size(), 1u); // target02 may hold a newer one
    test_eq_text(choice.missing[0], "target02");
    cluster_document next = recovery_continue(copies, 0, 77, recovery_kind::recovered);
    test_eq(next.next_generation, v1.next_generation + recovery_generation_step);
    test_eq(next.losses, 1u);
    test_eq_text(next.uuid, v1.uuid);
    test_eq(stored(recovery_continue(copies, 0, 78, recovery_kind::recovered)).version, 2u);
}

static void a_recovery_leaves_room_for_epochs(void **)
{
    cluster_document v1 = first();
    placement_begin(v1);
    v1 = stored(std::move(v1));
    document_copy copies[] = {{v1, {"target01"}}};
    cluster_document next = recovery_continue(copies, 0, 77, recovery_kind::recovered);
    test_eq(next.placement.epoch, 1'001u);
    test_eq(next.losses, 1u);
    test_eq(next.placement.former.size(), 1u);
    test_eq(document_version_floor(next), 1ull << 32);
    test_eq(recovery_continue(copies, 0, 77, recovery_kind::adopted).placement.epoch, 1u);
    // What is given up may have used higher numbers.
    cluster_document theirs = change(v1, "theirs", 5);
    theirs.placement.epoch = 40;
    document_copy both[] = {{v1, {"target01"}}, {stored(std::move(theirs)), {"target02"}}};
    test_eq(recovery_continue(both, 0, 78, recovery_kind::recovered).placement.epoch, 1'040u);
}

// The lost document had one more version, which a missing target comes back with.
static void who_holds_what_was_lost_has_diverged(void **)
{
    cluster_document v1 = first();
    cluster_document v2 = change(v1, "lost", 0);
    cluster_document v3 = change(v2, "lost-too", 0);
    document_copy copies[] = {{v1, {"target01"}}};
    cluster_document next = stored(recovery_continue(copies, 0, 77, recovery_kind::recovered));
    test_eq(next.version, v2.version);
    test_eq_enum(relate(v2, next), document_relation::diverged);
    for (int i = 0; i < 4; i++)
        next = change(next, "n" + std::to_string(i), 0);
    test_eq_enum(relate(v2, next), document_relation::diverged); // never taken for an ancestor, whatever follows
    test_eq_enum(relate(v3, next), document_relation::diverged);
    test_eq_enum(relate(v1, next), document_relation::ancestor);
}

static void lines_that_diverged_need_a_choice(void **)
{
    cluster_document v1 = first();
    cluster_document ours = change(change(v1, "ours", 22), "ours-2", 0);
    cluster_document theirs = change(v1, "theirs", 33);
    for (int i = 0; i < 3; i++)
        theirs = change(theirs, "theirs-" + std::to_string(i), 0);
    document_copy copies[] = {{v1, {"target03"}}, {ours, {"target01", "proxy001"}}, {theirs, {"target02"}}};
    recovery_choice choice = recovery_choose(copies, {});
    test_eq(choice.chosen, SIZE_MAX);
    test_eq(choice.tips.size(), 2u);
    test_has_text(choice.problem, "diverged");
    test_has_text(choice.problem, "target01, proxy001");
    test_eq(recovery_choose(copies, "target01").chosen, 1u);
    test_eq(recovery_choose(copies, "proxy001").chosen, 1u);
    test_eq(recovery_choose(copies, "target02").chosen, 2u);
    choice = recovery_choose(copies, "nobody01");
    test_eq(choice.chosen, SIZE_MAX);
    test_has_text(choice.problem, "nobody01");

    std::vector<std::string> differences = recovery_differences(ours, theirs);
    test_eq(differences.size(), 6u);
    test_eq_text(differences[0], "only this document has bucket \"ours\"");
    test_eq_text(differences[2], "this document lacks bucket \"theirs\"");

    // The shorter line goes on: all versions of the other one are older than what follows, and it is superseded by name.
    cluster_document next = stored(recovery_continue(copies, 1, 77, recovery_kind::recovered));
    test_eq(next.version, theirs.version + 1);
    test_eq(next.supersedes.size(), 1u);
    test_eq_enum(relate(ours, next), document_relation::ancestor);
    test_eq_enum(relate(theirs, next), document_relation::ancestor);
    test_eq_enum(relate(v1, next), document_relation::ancestor);
    test_true(document_find_bucket(next, "ours-2") != nullptr && document_find_bucket(next, "theirs") == nullptr);
    // Another document of the superseded line was not chosen away: nobody has looked at it.
    test_eq_enum(relate(change(v1, "theirs", 33), next), document_relation::diverged);
    test_eq_enum(relate(theirs, change(next, "later", 0)), document_relation::ancestor);
    // Objects of the other line's buckets stay.
    test_eq_enum(document_bucket_fate(next, *document_find_bucket(theirs, "theirs")), bucket_fate::orphaned);
}

static void terms_and_times_only_grow(void **)
{
    cluster_document v1 = first();
    cluster_document ours = change(v1, "ours", 22);
    cluster_document theirs = v1;
    for (uint64_t i = 0; i < 5; i++)
        theirs = change(theirs, "t" + std::to_string(i), 33 + i);
    theirs.last_created_ns = 900;
    theirs.losses = 4;
    theirs = reread(theirs);
    document_copy copies[] = {{ours, {"target01"}}, {theirs, {"target02"}}};
    cluster_document next = recovery_continue(copies, 0, 77, recovery_kind::recovered);
    test_true(next.terms.back().number > theirs.terms.back().number);
    test_eq(next.last_created_ns, 900u);
    test_eq(next.losses, 5u);
}

static void superseded_documents_are_bounded(void **)
{
    cluster_document v1 = first();
    std::vector<document_copy> copies = {{change(v1, "ours", 22), {"target01"}}};
    for (uint64_t i = 0; i < document_superseded_count_max + 5; i++)
        copies.push_back({change(v1, "b" + std::to_string(i), 1000 + i), {"other"}});
    cluster_document next = stored(recovery_continue(copies, 0, 77, recovery_kind::recovered));
    test_eq(next.supersedes.size(), document_superseded_count_max);
}

static void other_clusters_are_not_mixed(void **)
{
    cluster_document other = first();
    other.uuid = "CLUSTERuuid2";
    document_copy copies[] = {{first(), {"target01"}}, {reread(other), {"target02"}}};
    recovery_choice choice = recovery_choose(copies, {});
    test_eq(choice.chosen, SIZE_MAX);
    test_has_text(choice.problem, "CLUSTERuuid1 (target01) and CLUSTERuuid2 (target02)");
    choice = recovery_choose({}, {});
    test_has_text(choice.problem, "no node that answered holds a cluster document");
}

static void a_forced_restore_is_a_union(void **)
{
    cluster_document backup = first();
    cluster_etl etl;
    etl.id = etl.name = "kept";
    document_put_etl(backup, etl);
    cluster_document newest = change(change(backup, "b", 22), "c", 0);
    document_remove_etl(newest, "kept");
    test_true(document_destroy_bucket(newest, "a", newest.version + 1)); // of the backup; it comes back
    newest.version++;
    newest.losses = 2;
    put_target(newest, "target03");

    restore_result result = recovery_restore(newest, backup, false);
    test_true(result.disputed.empty());
    for (const char *name : {"a", "b", "c"})
        test_true(document_find_bucket(result.document, name) != nullptr);
    test_true(result.document.destroyed.empty()); // the record would remove what is put into it
    test_true(document_find_etl(result.document, "kept") != nullptr);
    test_true(document_find_node(result.document, "target03") != nullptr);
    test_eq(result.document.losses, 2u);

    // Destroyed and made again since.
    document_put_bucket(newest, {.name = "a", .created_ns = 99});
    for (bool takes_backup : {false, true}) {
        result = recovery_restore(newest, backup, takes_backup);
        test_eq(result.disputed.size(), 1u);
        test_eq(document_find_bucket(result.document, "a")->created_ns, takes_backup ? 1u : 99u);
    }
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(the_one_that_descends_from_all_goes_on),
        cmocka_unit_test(a_recovery_leaves_room_for_what_is_lost),
        cmocka_unit_test(a_recovery_leaves_room_for_epochs),
        cmocka_unit_test(who_holds_what_was_lost_has_diverged),
        cmocka_unit_test(lines_that_diverged_need_a_choice),
        cmocka_unit_test(terms_and_times_only_grow),
        cmocka_unit_test(superseded_documents_are_bounded),
        cmocka_unit_test(other_clusters_are_not_mixed),
        cmocka_unit_test(a_forced_restore_is_a_union),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
