// SPDX-License-Identifier: MIT
#include "node_test.h"

#include <string>

#include "base/limits.h"
#include "control/document.h"
#include "control/placement.h"

using namespace etlnode;

// As the proxy does it: a change, the next version, the text. `tag` 0 continues the term.
static cluster_document change(cluster_document next, const std::string &bucket, uint64_t tag)
{
    if (tag != 0)
        document_begin_term(next, tag);
    next.version++;
    document_put_bucket(next, {.name = bucket, .created_ns = next.version});
    cluster_document back;
    test_ok(document_parse(document_print(next), back));
    return back;
}

static cluster_document first()
{
    cluster_document document;
    document.uuid = "CLUSTERuuid1";
    document.created = "2026-01-02 03:04:05";
    return change(document, "a", 11);
}

static document_relation relate(const cluster_document &other, const cluster_document &document)
{
    return document_relate(document_identify(other), document);
}

static void a_line_is_a_line(void **)
{
    cluster_document v1 = first();
    cluster_document v2 = change(v1, "b", 0);
    cluster_document v3 = change(v2, "c", 22); // the proxy was started again
    cluster_document v4 = change(v3, "d", 0);
    cluster_document v5 = change(v4, "e", 33);
    const cluster_document *line[] = {&v1, &v2, &v3, &v4, &v5};
    for (size_t i = 0; i < 5; i++) {
        for (size_t j = 0; j < 5; j++) {
            document_relation wanted = i == j ? document_relation::equal : i < j ? document_relation::ancestor : document_relation::newer;
            if (relate(*line[i], *line[j]) != wanted)
                test_fail("version %zu beside version %zu", i + 1, j + 1);
        }
    }
    test_eq_enum(document_relate({}, v3), document_relation::ancestor);
}

// The directory was copied at version 2, and the copy was restored later, so both lines have a version 3.
static void a_restored_copy_diverges(void **)
{
    cluster_document v2 = change(first(), "b", 0);
    cluster_document ours = change(v2, "c", 22);
    cluster_document theirs = change(v2, "d", 33);
    test_eq(ours.version, theirs.version);
    test_eq_enum(relate(ours, theirs), document_relation::diverged);
    test_eq_enum(relate(theirs, ours), document_relation::diverged);
    test_eq_enum(relate(v2, ours), document_relation::ancestor);
    test_eq_enum(relate(v2, theirs), document_relation::ancestor);
    cluster_document later = change(change(theirs, "e", 0), "f", 44);
    test_eq_enum(relate(ours, later), document_relation::diverged);
    test_eq_enum(relate(later, ours), document_relation::newer); // this is only its claim; the other side knows better
    // The same version and term, but other bytes: the document was edited.
    cluster_document edited = ours;
    edited.digest++;
    test_eq_enum(relate(edited, ours), document_relation::diverged);
    // The version that a term continued from has another digest.
    cluster_document base = v2;
    base.digest++;
    test_eq_enum(relate(base, ours), document_relation::diverged);
}

static void documents_of_before_count_as_term_0(void **)
{
    cluster_document old;
    old.uuid = "CLUSTERuuid1";
    old.created = "2026-01-02 03:04:05";
    old = change(old, "a", 0);
    cluster_document next = change(old, "b", 11);
    test_eq_enum(relate(old, old), document_relation::equal);
    test_eq_enum(relate(old, next), document_relation::ancestor);
    test_eq_enum(relate(next, old), document_relation::newer);
    cluster_document other = change(change(old, "x", 0), "y", 0); // continued without terms
    test_eq_enum(relate(other, next), document_relation::diverged);
}

static void old_terms_are_forgotten(void **)
{
    cluster_document v1 = first();
    cluster_document now = v1;
    for (size_t i = 0; i < document_term_count_max + 3; i++)
        now = change(now, "b" + std::to_string(i), 100 + i);
    test_eq(now.terms.size(), document_term_count_max);
    test_eq_enum(relate(v1, now), document_relation::diverged);
}

// --- sizes

static cluster_etl etl_of(size_t number, size_t pod_size, char filling)
{
    cluster_etl etl;
    etl.id = "etl" + std::to_string(number);
    etl.name = etl.id;
    etl.pod_json = std::string(pod_size, filling);
    etl.init_json = std::string(pod_size / 2, filling);
    etl.generation_id = "g";
    etl.secret = "s";
    return etl;
}

// Everything that a document may contain at once, each part at its largest: targets still accept it.
static void whatever_is_let_in_fits(void **)
{
    cluster_document document = first();
    document.buckets.clear();
    size_t etls = 0;
    for (size_t number = 0; number < etl_count_max; number++) {
        cluster_etl etl = etl_of(number, number == 0 ? etl_pod_size_max : 256 * kib, number % 2 == 0 ? '"' : 'x');
        if (etls + document_etl_size(etl) > document_etls_size_max)
            continue;
        etls += document_etl_size(etl);
        etl.last_error = std::string(etl_error_text_max, '\x01'); // room for later errors is reserved
        document_put_etl(document, etl);
    }
    test_true(document.etls.size() > 16 && document.etls.size() < etl_count_max);
    for (size_t i = 0; i < target_count_max; i++) {
        std::string id = std::string(node_id_size_max - 4, 't') + std::to_string(1000 + i).substr(0, 4);
        document_put_node(document,
            {.id = id, .is_target = true, .url = "http://" + std::string(200, 'h') + ":65535", .digest = placement_digest(id), .flags = 4});
    }
    for (size_t i = 0; i < bucket_count_max; i++)
        document_put_bucket(
            document, {.name = std::string(bucket_name_size_max - 5, 'b') + std::to_string(10'000 + i), .created_ns = UINT64_MAX});
    for (size_t i = 0; i < document_term_count_max; i++)
        document_begin_term(document, UINT64_MAX - i);
    for (size_t i = 0; i < document_destroyed_count_max; i++)
        document_record_destroyed(document, {.name = std::string(bucket_name_size_max, 'b'), .created_ns = UINT64_MAX}, UINT64_MAX);
    for (size_t i = 0; i < document_superseded_count_max; i++)
        document.supersedes.push_back({.term = UINT64_MAX, .tag = UINT64_MAX, .version = UINT64_MAX, .digest = UINT64_MAX});
    test_true(document_etls_size(document) <= document_etls_size_max);
    std::string text = document_print(document);
    if (text.size() > document_size_max)
        test_fail("%zu bytes are more than %zu", text.size(), document_size_max);
    cluster_document back;
    test_ok(document_parse(text, back));
    test_eq(back.etls.size(), document.etls.size());
    test_eq(back.nodes.size(), document.nodes.size());
}

static void an_identity_is_what_was_printed(void **)
{
    document_identity identity = {.term = 3, .tag = 0xfedcba9876543210, .version = UINT64_MAX, .digest = 5};
    test_eq_text(document_identity_print(identity), "18446744073709551615.3.fedcba9876543210.0000000000000005");
    document_identity back;
    test_true(document_identity_parse(document_identity_print(identity), back));
    test_true(back.term == 3 && back.tag == identity.tag && back.version == UINT64_MAX && back.digest == 5);
    for (const char *bad : {"", "1", "1.2", "1.2.3", "1.2.3.", "1.2.3.4.5", "x.2.3.4", "1.x.3.4", "1.2.x.4", "1.2.3.x", "1..3.4",
             "-1.2.3.4", "1.2.3.fedcba98765432100"}) {
        if (document_identity_parse(bad, back))
            test_fail("%s was taken", bad);
    }
}

static void an_etl_is_never_counted_too_small(void **)
{
    for (char filling : {'x', '"', '\\', '\n', '\x01'}) {
        cluster_document empty = first();
        cluster_document with = empty;
        cluster_etl etl = etl_of(1, 100'000, filling);
        document_put_etl(with, etl);
        test_true(document_print(with).size() - document_print(empty).size() <= document_etl_size(etl));
    }
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_a_line),
        cmocka_unit_test(a_restored_copy_diverges),
        cmocka_unit_test(documents_of_before_count_as_term_0),
        cmocka_unit_test(old_terms_are_forgotten),
        cmocka_unit_test(whatever_is_let_in_fits),
        cmocka_unit_test(an_identity_is_what_was_printed),
        cmocka_unit_test(an_etl_is_never_counted_too_small),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
