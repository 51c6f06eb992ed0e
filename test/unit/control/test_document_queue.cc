// SPDX-License-Identifier: MIT
#include "control_world.h"

#include "control/document_queue.h"

using namespace etlnode;

struct fixture {
    fake_world *w = nullptr;
    document_queue q;
    std::string done;    // completed changes, in order
    uint64_t stored = 0; // calls of on_stored
};

struct change {
    fixture *f;
    std::string name;
    error refuse = {};
    std::string then = {}; // added inside on_done
};

static error apply(void *arg, cluster_document &next)
{
    change &c = *static_cast<change *>(arg);
    if (c.refuse)
        return c.refuse;
    document_put_bucket(next, {.name = c.name, .created_ns = 1});
    return no_error;
}

static void add(fixture &f, const std::string &name, error refuse = {}, const std::string &then = {});

static void on_done(void *arg, error err)
{
    change *c = static_cast<change *>(arg);
    c->f->done += c->name + (err ? std::string("!") + error_code_name(err.code) : std::string()) + " ";
    if (!c->then.empty())
        add(*c->f, c->then);
    delete c;
}

static void add(fixture &f, const std::string &name, error refuse, const std::string &then)
{
    document_queue_add(f.q, {.apply = apply, .on_done = on_done, .arg = new change{&f, name, refuse, then}});
}

static int setup(void **state)
{
    fixture *f = new fixture;
    f->w = control_world_make();
    f->q.e = &f->w->e;
    f->q.current.uuid = "CLUSTERuuid1";
    f->q.current.created = "2026-01-02 03:04:05";
    f->q.on_stored = [](void *arg) { static_cast<fixture *>(arg)->stored++; };
    f->q.arg = f;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = static_cast<fixture *>(*state);
    test_true(document_queue_is_idle(f->q));
    fake_free(f->w);
    delete f;
    return 0;
}

static void changes_are_durable_and_in_order(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    add(f, "a");
    add(f, "b");
    test_eq_text(f.done, ""); // never before the call has returned
    fake_run(*f.w);
    test_eq_text(f.done, "a b ");
    test_eq(f.q.current.version, 2u);
    test_eq(f.stored, 2u);
    cluster_document stored;
    test_ok(document_parse(fake_meta_now.documents["cluster"].second, stored));
    test_eq(stored.version, 2u);
    test_eq(stored.buckets.size(), 2u);
}

static void nobody_is_notified_before_it_is_stored(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    fake_meta_now.held = true;
    add(f, "a");
    fake_run(*f.w);
    test_eq_text(f.done, "");
    test_eq(f.q.current.version, 0u);
    test_false(document_queue_is_idle(f.q));
    fake_meta_release(*f.w);
    test_eq_text(f.done, "a ");
}

static void a_refused_change_stores_nothing(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    for (int i = 0; i < 3; i++)
        add(f, "no", make_error(error_code::already_exists));
    add(f, "yes");
    fake_run(*f.w);
    test_eq_text(f.done, "no!already_exists no!already_exists no!already_exists yes ");
    test_eq(fake_meta_now.swaps, 1u);
}

static void storage_errors_reach_their_change_only(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    fake_meta_now.fail_next = make_error(error_code::no_space);
    add(f, "a");
    add(f, "b");
    fake_run(*f.w);
    test_eq_text(f.done, "a!no_space b ");
    test_eq(f.q.current.version, 1u);
    test_true(document_find_bucket(f.q.current, "a") == nullptr);
}

static void a_change_by_somebody_else_is_kept(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    cluster_document other = f.q.current;
    other.version = 5;
    document_put_bucket(other, {.name = "theirs", .created_ns = 2});
    fake_meta_now.documents["cluster"] = {5, document_print(other)};
    add(f, "ours");
    fake_run(*f.w);
    test_eq_text(f.done, "ours ");
    test_eq(f.q.current.version, 6u);
    test_true(document_find_bucket(f.q.current, "theirs") != nullptr);
    test_true(document_find_bucket(f.q.current, "ours") != nullptr);
    test_eq(f.stored, 2u); // the foreign change, then ours
}

static void a_change_added_inside_a_completion_comes_later(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    add(f, "a", {}, "c");
    add(f, "b");
    fake_run(*f.w);
    test_eq_text(f.done, "a b c ");
    test_eq(f.q.current.version, 3u);
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(changes_are_durable_and_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_is_notified_before_it_is_stored, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refused_change_stores_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(storage_errors_reach_their_change_only, setup, teardown),
        cmocka_unit_test_setup_teardown(a_change_by_somebody_else_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(a_change_added_inside_a_completion_comes_later, setup, teardown),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
