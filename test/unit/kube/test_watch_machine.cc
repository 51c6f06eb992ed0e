// SPDX-License-Identifier: MIT
// test/unit/kube/test_watch_machine.cc: the golden traces of the watch, test/golden/traces/watch.md (UPDATE=1 rewrites the page), and its
// reaction to late, outdated and missing news.
#include "../etl/etl_world.h"

using namespace etlnode;

struct fixture {
    fake_world *world = nullptr;
    watch *w = nullptr;
    kube_health health;
    std::vector<std::string> reported;
    size_t lists = 0;
    bool ended = false;
};

static int setup(void **state)
{
    auto *f = new fixture;
    f->world = fake_make();
    watch_host host;
    host.on_pod = [](void *arg, std::string_view name) { static_cast<fixture *>(arg)->reported.emplace_back(name); };
    host.on_list = [](void *arg) { static_cast<fixture *>(arg)->lists++; };
    host.on_ended = [](void *arg) { static_cast<fixture *>(arg)->ended = true; };
    host.arg = f;
    f->w = watch_make(f->world->e, host, {"kubectl"}, "c1", "t1", f->health);
    watch_begin(*f->w);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    auto *f = static_cast<fixture *>(*state);
    watch_stop(*f->w);
    fake_advance(*f->world, 0);
    test_true(f->ended);
    watch_free(f->w);
    fake_free(f->world);
    delete f;
    return 0;
}

static std::string pod(const char *name, const char *uid, const char *version, const char *phase = "Running", const char *cluster = "c1")
{
    return text_format(
        R"({"metadata":{"name":"%s","uid":"%s","resourceVersion":"%s","labels":{"etlnode/cluster":"%s","etlnode/target":"t1"}},"status":{"phase":"%s"}})",
        name, uid, version, cluster, phase);
}

static void feed(fixture &f, const char *type, const std::string &object)
{
    fake_output(fake_child(*f.world, "--watch"), std::string("{\"type\":\"") + type + "\",\"object\":" + object + "}\n");
}

static void list(fixture &f, const std::string &items) { fake_exit(fake_child(*f.world, "=t1 -o json"), 0, "{\"items\":[" + items + "]}"); }
static std::string phase_of(fixture &f, const char *name)
{
    return watch_find(*f.w, name) != nullptr ? watch_find(*f.w, name)->phase : "none";
}

static void news_is_kept(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    test_false(watch_has_listed(*f.w));
    feed(f, "ADDED", pod("a", "u1", "10", "Pending"));
    test_eq_text(phase_of(f, "a"), "Pending");
    feed(f, "MODIFIED", pod("a", "u1", "11"));
    test_eq_text(phase_of(f, "a"), "Running");
    test_eq(f.reported.size(), 2);
    feed(f, "MODIFIED", pod("a", "u1", "10", "Pending")); // outdated
    test_eq_text(phase_of(f, "a"), "Running");
    test_eq(f.reported.size(), 2);
    feed(f, "DELETED", pod("a", "u1", "12"));
    test_eq_text(phase_of(f, "a"), "none");
    feed(f, "MODIFIED", pod("a", "u1", "11")); // replayed
    test_eq_text(phase_of(f, "a"), "none");
    feed(f, "ADDED", pod("a", "u2", "13", "Pending")); // another pod with that name
    test_eq_text(phase_of(f, "a"), "Pending");
    feed(f, "DELETED", pod("a", "u1", "12"));
    test_eq_text(phase_of(f, "a"), "Pending");
    list(f, pod("a", "u2", "13", "Pending"));
    test_true(watch_has_listed(*f.w));
}

static void pods_of_others_are_nobodys(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    feed(f, "ADDED", pod("b", "u1", "10", "Running", "another"));
    test_eq_text(phase_of(f, "b"), "none");
    list(f, pod("b", "u1", "10", "Running", "another"));
    test_eq_text(phase_of(f, "b"), "none");
}

static void a_list_finds_what_the_watch_missed(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    list(f, pod("a", "u1", "10") + "," + pod("b", "u2", "11"));
    test_eq(f.lists, 1);
    test_eq_text(phase_of(f, "a"), "Running");
    fake_advance(*f.world, watch_settle_ms);
    list(f, pod("b", "u2", "11"));
    test_eq_text(phase_of(f, "a"), "none");
    test_eq_text(phase_of(f, "b"), "Running");
    feed(f, "ADDED", pod("a", "u1", "10")); // from a replay that began before the deletion
    test_eq_text(phase_of(f, "a"), "none");
}

static void a_list_older_than_the_news_does_not_win(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    list(f, "");
    fake_advance(*f.world, watch_settle_ms);
    // The second list is in progress when these arrive, so it may be older than they are.
    feed(f, "ADDED", pod("new", "u1", "20"));
    feed(f, "ADDED", pod("changed", "u2", "22"));
    feed(f, "ADDED", pod("gone", "u3", "23"));
    feed(f, "DELETED", pod("gone", "u3", "24"));
    list(f, pod("changed", "u2", "21", "Pending") + "," + pod("gone", "u3", "23"));
    test_eq_text(phase_of(f, "new"), "Running");
    test_eq_text(phase_of(f, "changed"), "Running");
    test_eq_text(phase_of(f, "gone"), "none");
    fake_advance(*f.world, watch_relist_ms);
    list(f, pod("changed", "u2", "22"));
    test_eq_text(phase_of(f, "new"), "none");
}

static void memory_is_bounded(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    for (size_t i = 0; i < watched_pods_max + 10; i++)
        feed(f, "ADDED", pod(("p" + std::to_string(i)).c_str(), ("u" + std::to_string(i)).c_str(), "1"));
    test_eq(f.w->pods.size(), watched_pods_max);
}

static void health_is_reported(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    fake_exit(fake_child(*f.world, "--watch"), 1, "", "error: You must be logged in to the server");
    test_false(f.health.kubectl_ok);
    test_has_text(f.health.kubectl_error, "logged in");
    list(f, "");
    test_true(f.health.kubectl_ok);
    test_eq(f.health.watch_restarts, 1);
    test_eq(f.health.kubectl_failures, 1);
}

static uint64_t failures(const fixture &f, kubectl_fault fault) { return f.health.failures_by_kind[static_cast<size_t>(fault)]; }

// 410 is the normal end of a watch whose version the API server no longer has.
static void an_expired_watch_is_no_failure(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    list(f, "");
    for (const char *status : {R"({"kind":"Status","message":"too old resource version","reason":"Expired","code":410})",
             R"({"message":"gone","reason":"Gone"})"}) {
        feed(f, "ERROR", status);
        fake_advance(*f.world, watch_restart_max_ms);
        list(f, "");
    }
    fake_exit(fake_child(*f.world, "--watch"), 1, "", "Error from server (Expired): too old resource version: 1 (9)");
    test_true(f.health.kubectl_ok);
    test_eq(f.health.watch_expiries, 3);
    test_eq(f.health.watch_restarts, 3);
    test_eq(f.health.kubectl_failures, 0);
    fake_advance(*f.world, watch_restart_max_ms);
    feed(f, "ERROR", R"({"message":"etcdserver: leader changed","code":500})");
    fake_advance(*f.world, 0);
    test_eq(failures(f, kubectl_fault::server_error), 1);
}

#define CANNOT(verb)                                                             \
    "Error from server (Forbidden): pods is forbidden: User \"sa\" cannot " verb \
    " resource \"pods\" in API group \"\" in the namespace \"ns\""

static void a_missing_right_is_reported_until_it_is_there(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    fake_exit(fake_child(*f.world, "=t1 -o json"), 1, "{\"items\":[]}", CANNOT("list")); // kubectl prints an empty list nevertheless
    test_eq_text(kube_missing_right(f.health), "the Role needs verbs [list] on pods in namespace ns for sa");
    test_false(watch_has_listed(*f.w));
    test_eq(f.lists, 1); // callers that wait for pods check again
    test_eq(failures(f, kubectl_fault::forbidden), 1);
    fake_advance(*f.world, watch_restart_max_ms);
    list(f, "");
    test_eq_text(kube_missing_right(f.health), "");
    fake_exit(fake_child(*f.world, "--watch"), 1, "", CANNOT("watch"));
    test_eq_text(kube_missing_right(f.health), "the Role needs verbs [watch] on pods in namespace ns for sa");
    test_eq(f.lists, 3);
    fake_advance(*f.world, watch_restart_min_ms);
    list(f, "");
    test_has_text(kube_missing_right(f.health), "[watch]"); // the new watch has not lived long enough to prove its right
    fake_advance(*f.world, watch_settle_ms);
    list(f, "");
    test_eq_text(kube_missing_right(f.health), "");
}

static void calls_are_counted_by_kind(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    test_false(f.health.has_succeeded);
    fake_advance(*f.world, 1'000);
    list(f, "");
    test_true(f.health.has_succeeded);
    test_eq(f.health.succeeded_ms, 2'000); // its clock starts at one second
    fake_exit(
        fake_child(*f.world, "--watch"), 1, "", "The connection to the server h was refused - did you specify the right host or port?");
    test_eq(failures(f, kubectl_fault::unreachable), 1);
    fake_advance(*f.world, watch_restart_min_ms);
    fake_exit(fake_child(*f.world, "=t1 -o json"), 0, "no list");
    test_eq(failures(f, kubectl_fault::output), 1);
    test_has_text(f.health.kubectl_error, "list: ");
    test_eq(f.health.calls_by_verb[static_cast<size_t>(kubectl_verb::watch)], 2);
    test_eq(f.health.calls_by_verb[static_cast<size_t>(kubectl_verb::list)], 2);
}

// The API server's times are never compared with ours; only the presence of a time counts.
static void the_api_servers_clock_does_not_matter(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    list(f, "");
    for (const char *time : {"1970-01-01T00:00:00Z", "2999-12-31T23:59:59Z", "yesterday"}) {
        std::string text = pod("a", "u1", "10");
        text.insert(text.find("\"labels\""), text_format("\"creationTimestamp\":\"%s\",\"deletionTimestamp\":\"%s\",", time, time));
        feed(f, "ADDED", text);
        test_true(watch_find(*f.w, "a")->terminating);
        test_eq_text(phase_of(f, "a"), "Running");
    }
}

static void traces_are_as_recorded(void **) { check_page("test/golden/traces/watch.md", "watch"); }
static void every_row_is_taken(void **) { check_rows_taken(watch_machine_view()); }

int main()
{
    sm_set_strict(true);
    log_set_level(log_level::error);
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(news_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(pods_of_others_are_nobodys, setup, teardown),
        cmocka_unit_test_setup_teardown(a_list_finds_what_the_watch_missed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_list_older_than_the_news_does_not_win, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(health_is_reported, setup, teardown),
        cmocka_unit_test_setup_teardown(an_expired_watch_is_no_failure, setup, teardown),
        cmocka_unit_test_setup_teardown(a_missing_right_is_reported_until_it_is_there, setup, teardown),
        cmocka_unit_test_setup_teardown(calls_are_counted_by_kind, setup, teardown),
        cmocka_unit_test_setup_teardown(the_api_servers_clock_does_not_matter, setup, teardown),
        cmocka_unit_test(traces_are_as_recorded),
        cmocka_unit_test(every_row_is_taken),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
