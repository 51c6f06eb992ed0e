// SPDX-License-Identifier: MIT
// Jobs at a target: it follows the document, reports in its heartbeat, resumes after a restart, and forgets what is not listed.
#include "role_world.h"

using namespace etlnode;

static cluster_job job_of(const char *id, const char *kind = "scrub")
{
    cluster_job job;
    job.id = id;
    job.kind = kind;
    job.created_ns = 1;
    return job;
}

static void put_object(role_world &w, const char *name)
{
    role_check(role_ask(w, std::string("PUT /v1/objects/b/") + name + "?pid=p&utm=1", "content"), "PUT", 200, "");
}

static std::string shares(role_world &w) { return role_ask_as_node(w, "GET /v1/node/jobs").answer.body; }

static bool await_share(role_world &w, const std::string &part)
{
    for (int i = 0; i < 100; i++) {
        if (shares(w).find(part) != std::string::npos)
            return true;
        scripted_pass(*w.sim, 100);
    }
    print_error("%s\n", shares(w).c_str());
    return false;
}

static void push_jobs(role_world &w, std::vector<cluster_job> jobs)
{
    w.document.jobs = std::move(jobs);
    role_check(role_push(w), "PUT /v1/node/document", 204, "");
}

static void it_does_its_share_and_says_so(void **state)
{
    role_world &w = role_of(state);
    put_object(w, "one");
    put_object(w, "two");
    test_eq_text(shares(w), "[]");
    push_jobs(w, {job_of("j1")});
    test_true(await_share(w, R"("id":"j1","kind":"scrub","state":"done","pass":1,"done":"2","skipped":"0","failed":"0","bytes":"14")"));
    // The proxy hears of it at once, and no more when the document calls it over.
    const scripted_node &proxy = *w.peers[role_proxy_id];
    test_true(scripted_until(
        *w.sim, [&] { return !proxy.asked.empty() && proxy.asked.back().body.find(R"("jobs":[{"id":"j1")") != std::string::npos; }));
    cluster_job over = job_of("j1");
    over.ended_ns = 5;
    over.state = "done";
    push_jobs(w, {over});
    size_t asked = proxy.asked.size();
    test_true(scripted_until(*w.sim, [&] { return proxy.asked.size() >= asked + 2; }));
    test_true(proxy.asked.back().body.find("\"jobs\"") == std::string::npos);
    test_has_text(shares(w), "\"j1\""); // but it can be asked
    push_jobs(w, {});
    test_eq_text(shares(w), "[]");
    scripted_pass(*w.sim, 100);
    test_true(w.node->now.jobs.empty());
}

static void it_goes_on_after_a_restart(void **state)
{
    role_world &w = role_of(state);
    put_object(w, "one");
    cluster_job slow = job_of("j1");
    slow.options = R"({"rate":65536})";
    for (int i = 0; i < 40; i++)
        put_object(w, ("more" + std::to_string(i)).c_str());
    push_jobs(w, {slow});
    scripted_pass(*w.sim, 1'200);
    test_has_text(shares(w), "\"running\"");
    role_stop(w);
    test_true(w.image.jobs.contains("j1") && w.image.jobs.at("j1").job.ended_ns == 0 && w.image.jobs.at("j1").job.done > 0);
    role_start(w);
    test_true(await_share(w, R"("state":"done","pass":1,"done":"41")"));
}

static void a_cancelled_job_ends(void **state)
{
    role_world &w = role_of(state);
    cluster_job slow = job_of("j1");
    slow.options = R"({"rate":65536})";
    for (int i = 0; i < 40; i++)
        put_object(w, ("more" + std::to_string(i)).c_str());
    push_jobs(w, {slow});
    scripted_pass(*w.sim, 500);
    slow.is_cancelled = true;
    cluster_job unborn = job_of("j2"); // it was cancelled before this target heard of it
    unborn.is_cancelled = true;
    push_jobs(w, {slow, unborn});
    test_true(await_share(w, R"("id":"j1","kind":"scrub","state":"cancelled")"));
    test_true(await_share(w, R"("id":"j2","kind":"scrub","state":"cancelled","pass":1,"done":"0")"));
}

static void an_unknown_kind_fails_here(void **state)
{
    role_world &w = role_of(state);
    push_jobs(w, {job_of("j1", "paint")});
    test_true(await_share(w, R"("state":"failed")"));
    test_has_text(shares(w), "this target knows no job of kind paint");
}

static void a_job_that_leaves_the_document_is_forgotten(void **state)
{
    role_world &w = role_of(state);
    cluster_job slow = job_of("j1");
    slow.options = R"({"rate":65536})";
    for (int i = 0; i < 40; i++)
        put_object(w, ("more" + std::to_string(i)).c_str());
    push_jobs(w, {slow});
    scripted_pass(*w.sim, 1'500);
    push_jobs(w, {});
    test_true(scripted_until(*w.sim, [&] { return w.node->now.jobs.empty(); }));
    test_eq_text(shares(w), "[]");
}

static void a_ledger_that_cannot_be_read_is_tried_again(void **state)
{
    role_world &w = role_of(state);
    put_object(w, "one");
    role_stop(w);
    role_begin_start(w);
    role_fail_disk(w, memory_op::ledger_load, error_code::io, {}, 2);
    test_true(scripted_until(*w.sim, [&] { return w.is_started; }));
    push_jobs(w, {job_of("j1")});
    test_true(await_share(w, R"("state":"done")"));
}

static void failures_are_listed(void **state)
{
    role_world &w = role_of(state);
    put_object(w, "one");
    put_object(w, "two");
    for (auto &[key, row] : w.node->now.rows) {
        if (key.second == "two")
            row.content[0] ^= 1;
    }
    push_jobs(w, {job_of("j1")});
    test_true(await_share(w, R"("state":"done")"));
    test_eq_text(role_ask_as_node(w, "GET /v1/node/jobs/j1/failures").answer.body,
        R"([{"bucket":"b","name":"two","status":500,"text":"the content in the index does not match its checksum","request_id":"","tries":1}])");
    test_eq_text(role_ask_as_node(w, "GET /v1/node/jobs/j1/failures?after_bucket=b&after_name=two").answer.body, "[]");
    test_eq_text(role_ask_as_node(w, "GET /v1/node/jobs/none/failures").answer.body, "[]");
    role_check(role_ask_as_node(w, "GET /v1/node/jobs/j1/failures?count=x"), "failures", 400, "count: expected a number up to 1000");
    role_check(role_ask(w, "GET /v1/node/jobs"), "jobs", 401, "");
    role_check(role_ask(w, "GET /v1/node/jobs/j1/failures"), "failures", 401, "");
}

static cluster_job job_with_names(const char *id)
{
    cluster_job job = job_of(id, "delete-listrange");
    job.bucket = "b";
    job.options = R"({"objnames":[],"objnames_count":2})";
    job.names = "0-1";
    return job;
}

static void a_long_list_is_asked_for(void **state)
{
    role_world &w = role_of(state);
    for (const char *name : {"one", "two", "three"})
        put_object(w, name);
    scripted_node &proxy = *w.peers[role_proxy_id];
    role_script(proxy, {.match = "GET /v1/node/names/", .status = 503, .body = R"({"message":"not now","status":503})"});
    push_jobs(w, {job_with_names("j1")});
    test_true(await_share(w, R"("waiting":"its list of names is on its way from the proxy")"));
    test_eq(w.node->now.rows.size(), 3u); // without the list nothing is deleted
    role_script(proxy, {.match = "GET /v1/node/names/", .body = R"(["one","two","none"])"});
    test_true(await_share(w, R"("state":"done","pass":1,"done":"2")"));
    test_eq(w.node->now.rows.size(), 1u);
    role_script(proxy, {.match = "GET /v1/node/names/", .status = 404, .body = R"({"message":"the proxy lost it","status":404})"});
    push_jobs(w, {job_with_names("j2")});
    test_true(await_share(w, R"("id":"j2","kind":"delete-listrange","state":"failed")"));
    test_has_text(shares(w), "the proxy lost it");
    test_eq(w.node->now.rows.size(), 1u);
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_does_its_share_and_says_so, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(it_goes_on_after_a_restart, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(a_cancelled_job_ends, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(an_unknown_kind_fails_here, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(a_job_that_leaves_the_document_is_forgotten, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(a_ledger_that_cannot_be_read_is_tried_again, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(failures_are_listed, role_set_up_member, role_tear_down),
        cmocka_unit_test_setup_teardown(a_long_list_is_asked_for, role_set_up_member, role_tear_down),
    };
    return role_main(tests);
}
