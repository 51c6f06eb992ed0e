// SPDX-License-Identifier: MIT
// A target takes up epochs of placement, and reports when it has settled in one.
#include "role_world.h"

#include "base/limits.h"

using namespace etlnode;

static constexpr const char *register_path = "POST /v1/node/register";

static scripted_node &proxy_of(role_world &w) { return *w.peers[role_proxy_id]; }

static std::string disk_of(const std::string &id)
{
    std::string disk = id;
    std::erase(disk, '-');
    return (disk + "0000000000000000").substr(0, disk_id_size);
}

// The target under test and another one are placed in epoch 1.
static void begin_epochs(role_world &w)
{
    document_find_node(w.document, role_target_id)->disk = w.t->disk;
    cluster_node other = {.id = "target-02", .is_target = true, .url = "http://10.0.0.9:8080", .digest = placement_digest("target-02")};
    other.disk = disk_of(other.id);
    document_put_node(w.document, other);
    placement_begin(w.document);
    role_check(role_push(w), "PUT /v1/node/document", 204, "");
}

static void join_third(role_world &w)
{
    cluster_node third = {.id = "target-03", .is_target = true, .url = "http://10.0.0.8:8080", .digest = placement_digest("target-03")};
    third.disk = disk_of(third.id);
    third.flags = node_flag_maintenance;
    document_put_node(w.document, third);
    std::string ids[] = {third.id};
    test_ok(placement_join(w.document, ids).err);
}

// What the next heartbeat says.
static placement_report reported(role_world &w)
{
    size_t count = scripted_count(proxy_of(w), register_path);
    test_true(scripted_until(*w.sim, [&] { return scripted_count(proxy_of(w), register_path) > count; }));
    json_ptr tree;
    std::string where;
    placement_report report;
    test_ok(json_parse(scripted_last(proxy_of(w), register_path).body, tree, where));
    test_true(placement_report_parse(json_get(tree.get(), "placement"), report));
    return report;
}

static void without_epochs_nothing_is_reported(void **state)
{
    role_world &w = role_of(state);
    test_eq(reported(w).adopted, 0);
    test_true(scripted_last(proxy_of(w), register_path).body.find("placement") == std::string::npos);
    test_true(target_has_adopted(*w.t));
}

static void an_epoch_is_adopted_when_it_is_durable(void **state)
{
    role_world &w = role_of(state);
    begin_epochs(w);
    test_true(scripted_until(*w.sim, [&] { return target_has_adopted(*w.t); }));
    join_third(w);
    role_fail_disk(w, memory_op::meta_swap, error_code::io, "", 1);
    role_check(role_push(w), "PUT /v1/node/document", 500, "the cluster document could not be stored");
    test_eq(document_epoch(w.t->document), 2); // in force for requests
    scripted_pass(*w.sim, 100);
    test_false(target_has_adopted(*w.t));
    test_eq(w.t->placement.adopted, 1);
    test_eq(reported(w).adopted, 1);
    test_ok(w.start_err);
    role_check(role_ask_as_node(w, "PUT /v1/node/document", role_document_text(w)), "the same document again", 204, "");
    test_true(scripted_until(*w.sim, [&] { return target_has_adopted(*w.t); }));
    test_eq(reported(w).adopted, 2);
    test_true(reported(w).etls_serve);
    role_stop(w);
    role_start(w); // from the directory
    test_eq(w.t->placement.adopted, 2);
    test_true(target_has_adopted(*w.t));
}

static void count_call(void *arg) { ++*static_cast<size_t *>(arg); }

static void an_epoch_is_adopted_when_older_changes_have_completed(void **state)
{
    role_world &w = role_of(state);
    begin_epochs(w);
    test_true(scripted_until(*w.sim, [&] { return target_has_adopted(*w.t); }));
    join_third(w);
    role_fail_disk(w, memory_op::index_change, error_code::io, "", 1);
    role_check(role_push(w), "PUT /v1/node/document", 204, "");
    test_true(scripted_until(*w.sim, [&] { return !w.t->placement.has_barrier; }));
    test_false(target_has_adopted(*w.t));
    size_t calls = 0;
    target_wait_adopted(*w.t, count_call, &calls); // tries again
    test_true(scripted_until(*w.sim, [&] { return calls == 1; }));
    test_true(target_has_adopted(*w.t));
    target_wait_adopted(*w.t, count_call, &calls);
    test_true(scripted_until(*w.sim, [&] { return calls == 2; }));
    // What this target has owned ever since, it may answer before it adopts.
    cluster_document before = w.document;
    test_ok(placement_drain(w.document, "target-03", node_want::maintenance).err);
    role_fail_disk(w, memory_op::index_change, error_code::io, "", 1);
    role_check(role_push(w), "PUT /v1/node/document", 204, "");
    test_true(scripted_until(*w.sim, [&] { return !w.t->placement.has_barrier; }));
    bool has_kept = false, has_new = false;
    for (size_t i = 0; i < 1'000; i++) {
        std::string name = "o" + std::to_string(i);
        if (document_place(w.document, "b", name)->id != role_target_id)
            continue;
        bool was_here = document_place(before, "b", name)->id == role_target_id;
        (was_here ? has_kept : has_new) = true;
        if (target_may_decide(*w.t, placement_uname_digest("b", name)) != was_here)
            test_fail("%s: it was %s here", name.c_str(), was_here ? "" : "not");
    }
    test_true(has_kept && has_new);
}

static void it_settles_when_nothing_is_left(void **state)
{
    role_world &w = role_of(state);
    begin_epochs(w);
    join_third(w);
    role_check(role_push(w), "PUT /v1/node/document", 204, "");
    test_true(scripted_until(*w.sim, [&] { return target_has_adopted(*w.t); }));
    test_eq(reported(w).settled, 0);
    target_note_clean(*w.t, 1); // of another epoch
    target_note_ended(*w.t, 1, disk_of("target-02"));
    target_note_clean(*w.t, 2);
    test_eq(reported(w).settled, 0); // target-02 may still give
    target_note_ended(*w.t, 2, disk_of("target-02"));
    test_eq(reported(w).settled, 2);
    test_ok(placement_drain(w.document, role_target_id, node_want::maintenance).err);
    role_check(role_push(w), "PUT /v1/node/document", 204, "");
    test_true(scripted_until(*w.sim, [&] { return target_has_adopted(*w.t); }));
    test_eq(reported(w).settled, 0);
    target_note_clean(*w.t, 3); // it is not placed, so nobody gives to it
    test_eq(reported(w).settled, 3);
}

static void it_may_write_while_the_proxy_hears_it(void **state)
{
    role_world &w = role_of(state);
    test_true(target_has_lease(*w.t)); // without epochs
    begin_epochs(w);
    (void)reported(w);
    scripted_pass(*w.sim, 500);
    test_true(target_has_lease(*w.t));
    uint64_t sent_ms = w.t->registration_sent_ms;
    role_script(proxy_of(w), {.match = register_path, .status = 503});
    scripted_pass(*w.sim, sent_ms + target_lease_ms - w.sim->now_us / 1'000 - 100);
    test_true(target_has_lease(*w.t));
    scripted_pass(*w.sim, heartbeat_interval_ms + 200);
    test_false(target_has_lease(*w.t));
    role_script(proxy_of(w), {.match = register_path, .status = 204});
    test_true(scripted_until(*w.sim, [&] { return target_has_lease(*w.t); }));
}

// --- lists

static void a_page_is_of_one_epoch(void **state)
{
    role_world &w = role_of(state);
    constexpr size_t names = 20; // some of each kind
    for (size_t i = 0; i < names; i++)
        role_check(role_ask(w, "PUT /v1/objects/b/o" + std::to_string(i) + "?pid=p&utm=1", "x"), "PUT", 200, "");
    begin_epochs(w);
    test_true(scripted_until(*w.sim, [&] { return target_has_adopted(*w.t); }));
    std::string here, elsewhere;
    for (size_t i = 0; i < names; i++) {
        std::string name = "o" + std::to_string(i);
        (document_place(w.document, "b", name)->id == role_target_id ? here : elsewhere) = name;
    }
    test_false(here.empty() || elsewhere.empty());
    const char *line = "GET /v1/node/bucket/b?count=99&prefix=&after=&epoch=1";
    const scripted_call &own = role_ask_as_node(w, line);
    test_has_text(own.answer.body, here);
    test_true(own.answer.body.find(elsewhere) == std::string::npos); // it is not served, so it is not listed
    test_has_text(role_ask_as_node(w, std::string(line) + "&versions=true").answer.body, elsewhere);
    test_has_text(role_ask_as_node(w, "GET /v1/node/bucket/b?count=99&prefix=&after=").answer.body, elsewhere); // of a former version
    role_check(role_ask_as_node(w, "GET /v1/node/bucket/b?count=9&prefix=&after=&epoch=2"), "a later epoch", 409,
        "the placement has changed meanwhile");
    role_check(role_ask_as_node(w, "GET /v1/node/bucket/b?count=9&prefix=&after=&epoch=x"), "no epoch", 409, "");
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_epochs_nothing_is_reported, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(an_epoch_is_adopted_when_it_is_durable, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(an_epoch_is_adopted_when_older_changes_have_completed, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(it_settles_when_nothing_is_left, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(it_may_write_while_the_proxy_hears_it, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(a_page_is_of_one_epoch, role_set_up_member, role_tear_down),
    };
    return role_main(tests);
}
