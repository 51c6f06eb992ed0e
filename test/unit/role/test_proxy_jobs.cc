// SPDX-License-Identifier: MIT
// Jobs at the proxy: which targets an end needs, what is kept, and the refusals.
#include "role_world.h"

#include "base/limits.h"
#include "role/proxy/jobs.h"

using namespace etlnode;

static std::string start_job(role_world &w)
{
    const scripted_call &call = role_ask(w, "PUT /v1/cluster", R"({"action":"start","value":{"Kind":"scrub"}})");
    role_check(call, "start", 200, "");
    return role_text(call);
}

static std::string report_of(const std::string &id, const char *state, unsigned done, unsigned failed)
{
    return text_format(R"({"id":"%s","kind":"scrub","state":"%s","pass":1,"done":"%u","skipped":"1","failed":"%u","bytes":"10",)"
                       R"("started_ns":"5","ended_ns":"%d","error":"","waiting":""})",
        id.c_str(), state, done, failed, std::string_view(state) == "running" ? 0 : 9);
}

static void report(role_world &w, const char *target, const std::string &reports)
{
    const scripted_call &call = role_register(w, *w.peers[target], "\"object_count\":7,\"jobs\":[" + reports + "],");
    test_true(call.status() == 200 || call.status() == 204);
}

static const cluster_job &job_of(role_world &w, const std::string &id)
{
    const cluster_job *job = document_find_job(proxy_document(*w.p), id);
    test_true(job != nullptr);
    return *job;
}

static bool is_over(role_world &w, const std::string &id)
{
    scripted_pass(*w.sim, 100);
    return job_of(w, id).ended_ns != 0;
}

static int set_up_two(void **state)
{
    role_set_up_cluster(state);
    role_add_target(role_of(state), "target-02");
    return 0;
}

static void it_is_over_when_every_target_says_so(void **state)
{
    role_world &w = role_of(state);
    std::string id = start_job(w);
    test_eq(id.size(), 9u);
    report(w, "target-01", report_of(id, "done", 3, 1));
    test_false(is_over(w, id));
    role_expect(w, "GET /v1/jobs", {}, 200, R"("state":"running")");
    report(w, "target-02", report_of(id, "running", 2, 0));
    test_false(is_over(w, id));
    role_expect(w, "GET /v1/jobs", {}, 200, R"("done":5,"skipped":2,"failed":1,"bytes":20)");
    report(w, "target-02", report_of(id, "done", 4, 0));
    test_true(is_over(w, id));
    const cluster_job &job = job_of(w, id);
    test_eq_text(job.state, "done");
    test_eq(job.done, 7u);
    test_eq(job.skipped, 2u);
    test_eq(job.failed, 1u);
    test_eq(job.bytes, 20u);
    role_expect(w, "GET /v1/jobs", {}, 200, R"("state":"done")");
}

static void a_silent_target_is_waited_for_until_it_is_taken_out(void **state)
{
    role_world &w = role_of(state);
    std::string id = start_job(w);
    report(w, "target-01", report_of(id, "done", 3, 0));
    role_wait_silent(w, *w.peers["target-02"]);
    report(w, "target-01", report_of(id, "done", 3, 0));
    test_false(is_over(w, id));
    role_expect(w, "GET /v1/jobs", {}, 200, R"("waiting":"target target-02 is silent")");
    scripted_pass(*w.sim, target_lost_ms);
    report(w, "target-01", report_of(id, "done", 3, 0));
    role_expect(w, "PUT /v1/cluster", R"({"action":"decommission-node","value":{"sid":"target-02"}})", 200, "");
    test_true(is_over(w, id));
    test_eq(job_of(w, id).done, 3u);
}

// The others have ended long before, because they have no share.
static void an_archive_whose_maker_left_has_failed(void **state)
{
    role_world &w = role_of(state);
    cluster_job job;
    job.id = "J";
    job.kind = "archive";
    ledger_job over = {.id = "J", .kind = "archive", .state = "done"};
    over.ended_ns = 9;
    for (const char *id : {"target-01", "target-02"})
        w.p->targets[id].jobs = {{over, ""}};
    job.options = R"({"at":"target-01","archname":"a.tar"})";
    test_eq_text(proxy_job_sum_up(*w.p, job).state, "done");
    job.options = R"({"at":"target-03","archname":"a.tar"})";
    proxy_job_sum sum = proxy_job_sum_up(*w.p, job);
    test_true(sum.is_over);
    test_eq_text(sum.state, "failed");
    test_eq_text(sum.error, "target target-03, which made the archive, has left the cluster: begin the job again");
    job.is_cancelled = true;
    test_eq_text(proxy_job_sum_up(*w.p, job).state, "done");
}

static void a_cancel_is_over_when_every_target_says_so(void **state)
{
    role_world &w = role_of(state);
    std::string id = start_job(w);
    role_expect(w, "PUT /v1/cluster", R"({"action":"stop","value":{"ID":")" + id + "\"}}", 200, "");
    test_true(job_of(w, id).is_cancelled);
    role_expect(w, "GET /v1/jobs", {}, 200, R"("state":"cancelling")");
    report(w, "target-01", report_of(id, "done", 1, 0)); // it was through already
    test_false(is_over(w, id));
    report(w, "target-02", report_of(id, "cancelled", 1, 0));
    test_true(is_over(w, id));
    test_eq_text(job_of(w, id).state, "cancelled");
}

static void a_restart_keeps_all(void **state)
{
    role_world &w = role_of(state);
    std::string over = start_job(w);
    report(w, "target-01", report_of(over, "done", 1, 0));
    report(w, "target-02", report_of(over, "done", 2, 0));
    test_true(is_over(w, over));
    std::string id = start_job(w);
    role_take_push(w, *w.peers["target-01"]);
    role_take_push(w, *w.peers["target-02"]);
    role_stop(w);
    role_start(w);
    test_eq(job_of(w, over).done, 3u);
    test_eq(job_of(w, id).ended_ns, 0u);
    report(w, "target-01", report_of(id, "done", 1, 0));
    test_false(is_over(w, id)); // nothing was heard of the other one yet
    report(w, "target-02", report_of(id, "done", 1, 0));
    test_true(is_over(w, id));
}

static void shares_come_from_the_targets(void **state)
{
    role_world &w = role_of(state);
    std::string id = start_job(w);
    role_script(*w.peers["target-01"], {.match = "GET /v1/node/jobs", .body = "[" + report_of(id, "running", 30, 0) + "]"});
    role_script(*w.peers["target-02"], {.match = "GET /v1/node/jobs", .status = 500, .body = R"({"message":"no"})"});
    const scripted_call &call = role_ask(w, "GET /v1/jobs/" + id);
    role_check(call, "show", 200, R"("missing":["target-02"])");
    test_has_text(call.answer.body, R"("done":30)");
    test_has_text(call.answer.body, R"("target":"target-01")");
    const scripted_call &snaps = role_ask(w, "GET /v1/cluster?what=qryxstats", R"({"id":")" + id + "\"}");
    role_check(snaps, "qryxstats", 200, R"({"target-01":[{"ext":null,)");
    test_has_text(snaps.answer.body, R"("loc-objs":"31","loc-bytes":"10")");
}

static std::string failure_of(const char *bucket, const char *name)
{
    return text_format(R"({"bucket":"%s","name":"%s","status":500,"text":"broken","request_id":"","tries":1})", bucket, name);
}

static void failures_are_merged_in_order(void **state)
{
    role_world &w = role_of(state);
    std::string id = start_job(w);
    role_script(*w.peers["target-01"],
        {.match = "GET /v1/node/jobs/" + id + "/failures?count=3", .body = "[" + failure_of("a", "1") + "," + failure_of("b", "1") + "]"});
    role_script(
        *w.peers["target-02"], {.match = "GET /v1/node/jobs/" + id + "/failures?count=3",
                                   .body = "[" + failure_of("a", "2") + "," + failure_of("a", "3") + "," + failure_of("c", "1") + "]"});
    const scripted_call &call = role_ask(w, "GET /v1/jobs/" + id + "/failures?count=3");
    role_check(call, "failures", 200, R"("missing":[],"more":true)");
    size_t first = call.answer.body.find(R"("name":"1")"), second = call.answer.body.find(R"("name":"2")"),
           third = call.answer.body.find(R"("name":"3")");
    test_true(first < second && second < third && third != std::string::npos);
    test_true(call.answer.body.find(R"("bucket":"b")") == std::string::npos);
    role_script(
        *w.peers["target-01"], {.match = "GET /v1/node/jobs/" + id + "/failures?count=3&after_bucket=a&after_name=3", .body = "[]"});
    role_script(
        *w.peers["target-02"], {.match = "GET /v1/node/jobs/" + id + "/failures?count=3&after_bucket=a&after_name=3", .body = "[]"});
    role_expect(
        w, "GET /v1/jobs/" + id + "/failures?count=3&after_bucket=a&after_name=3", {}, 200, R"({"failures":[],"missing":[],"more":false})");
}

static void what_cannot_be_is_refused(void **state)
{
    role_world &w = role_of(state);
    const role_case cases[] = {
        {"PUT /v1/cluster", R"({"action":"start"})", 400, "which kind of job? there are: scrub, rebalance"},
        {"PUT /v1/cluster", R"({"action":"start","value":{"Kind":"paint"}})", 501,
            "there is no job of kind \"paint\"; there are: scrub, rebalance"},
        {"PUT /v1/cluster", R"({"action":"start","value":{"Kind":"scrub","Bck":{"name":"none"}}})", 404, "none"},
        {"PUT /v1/cluster", R"({"action":"start","value":{"Kind":"scrub","prefix":"p"}})", 400, "a prefix needs a bucket"},
        {"PUT /v1/cluster", R"({"action":"start","value":{"Kind":"scrub","options":[]}})", 400, "value.options: expected an object"},
        {"PUT /v1/cluster", R"({"action":"start","value":{"Kind":"scrub","options":{"rate":1}}})", 400,
            "rate: expected bytes a second, at least 65536"},
        {"PUT /v1/cluster", R"({"action":"start","value":{"Kind":"scrub","Buckets":[{"name":"a"},{"name":"b"}]}})", 501, "several buckets"},
        {"PUT /v1/cluster", R"({"action":"start","value":{"Kind":"rebalance","Bck":{"name":"b"}}})", 501,
            "a rebalance moves the objects of all buckets"},
        {"PUT /v1/cluster", R"({"action":"start","value":{"Kind":"rebalance","Buckets":[{"name":"b"}]}})", 501,
            "a rebalance moves the objects of all buckets"},
        {"PUT /v1/cluster", R"({"action":"start","value":{"Kind":"rebalance","options":{"rate":5000000}}})", 400,
            "value.options: a job of kind rebalance takes none"},
        {"PUT /v1/cluster", R"({"action":"start","value":{"Kind":5}})", 400, "value.kind: expected a text"},
        {"PUT /v1/cluster", R"({"action":"start","value":"scrub"})", 400, "value: expected an object"},
        {"PUT /v1/cluster", R"({"action":"start","value":{"Kind":"scrub","Bck":"b"}})", 400, "value.bck: expected an object"},
        {"PUT /v1/cluster", R"({"action":"start","value":{"Kind":"scrub","Bck":{"name":7}}})", 400, "value.bck.name: expected a text"},
        {"PUT /v1/cluster", R"({"action":"start","value":{"Kind":"scrub","Buckets":["b"]}})", 400, "value.buckets: expected an object"},
        {"PUT /v1/cluster", R"({"action":"start","value":{"Kind":"scrub","prefix":7}})", 400, "value.prefix: expected a text"},
        {"PUT /v1/cluster", R"({"action":"stop","value":{"ID":7}})", 400, "value.id: expected a text"},
        {"GET /v1/cluster?what=qryxstats", R"({"show_active":"yes"})", 400, "show_active: expected true or false"},
        {"GET /v1/cluster?what=status", "[]", 400, "expected an object"},
        {"PUT /v1/cluster", R"({"action":"stop","value":{}})", 400, "which job?"},
        {"PUT /v1/cluster", R"({"action":"stop","value":{"ID":"none"}})", 200, ""},
        {"GET /v1/cluster?what=status", R"({"id":"none"})", 404, "x-[none] does not exist"},
        {"GET /v1/cluster?what=status", "[", 400, "the query of a job is"},
        {"GET /v1/cluster?what=status_all", "", 200, "[]"},
        {"GET /v1/cluster?what=running_all", "", 200, "[]"},
        {"GET /v1/cluster?what=qryxstats", R"({"id":"none"})", 404, "\"x-[none]\" not found"},
        {"GET /v1/jobs", nullptr, 200, R"({"jobs":[]})"},
        {"GET /v1/jobs/none", nullptr, 404, "there is no job \"none\""},
        {"GET /v1/jobs/none/failures", nullptr, 404, "there is no job \"none\""},
    };
    role_check_cases(w, cases);
    std::string id = start_job(w);
    role_expect(w, "GET /v1/jobs/" + id + "/failures?count=0", {}, 400, "count: expected a number up to 1000");
    for (size_t i = 1; i < job_running_max; i++)
        (void)start_job(w);
    role_expect(w, "PUT /v1/cluster", R"({"action":"start","value":{"Kind":"scrub"}})", 409, "as many jobs run as may run");
    role_expect(w, "PUT /v1/cluster", R"({"action":"stop","value":{"Kind":"scrub"}})", 200, ""); // all of them
    for (const cluster_job &job : proxy_document(*w.p).jobs)
        test_true(job.is_cancelled);
    role_check(role_register(w, *w.peers[role_target_id], "\"jobs\":[{}],"), "register", 400, "jobs: one of them is damaged");
}

static void without_targets_nothing_starts(void **state)
{
    role_expect(role_of(state), "PUT /v1/cluster", R"({"action":"start","value":{"Kind":"scrub"}})", 503, "the cluster has no targets");
}

static void housekeeping_jobs_end_at_once(void **state)
{
    role_world &w = role_of(state);
    const scripted_call &call = role_ask(w, "PUT /v1/cluster", R"({"action":"start","value":{"Kind":"cleanup"}})");
    role_check(call, "start", 200, "");
    const cluster_job &job = job_of(w, role_text(call));
    test_true(job.ended_ns != 0);
    test_eq_text(job.kind, "cleanup-store");
    role_expect(w, "GET /v1/cluster?what=status", R"({"kind":"cleanup"})", 200, R"("aborted":false)");
}

// --- the job of an epoch

static cluster_document in_epoch(role_world &w, uint64_t epoch, bool is_moving)
{
    cluster_document next = proxy_document(*w.p);
    next.placement.epoch = epoch;
    next.placement.former.clear();
    if (is_moving) {
        former_epoch former;
        former.number = epoch - 1;
        former.targets.push_back({.id = "target-01", .disk = "target0100000000", .digest = placement_digest("target-01")});
        next.placement.former.push_back(former);
    }
    return next;
}

static cluster_job rebalance_of(uint64_t epoch, uint64_t ended_ns = 0)
{
    cluster_job job;
    job.id = rebalance_job_id(epoch);
    job.kind = rebalance_kind;
    job.created_ns = 1;
    job.ended_ns = ended_ns;
    job.state = ended_ns != 0 ? "done" : "";
    return job;
}

static void an_epoch_in_which_objects_move_has_a_job(void **state)
{
    role_world &w = role_of(state);
    cluster_document next = in_epoch(w, 4, true);
    proxy_jobs_follow_placement(w.p, next);
    test_eq(next.jobs.size(), 1u);
    test_eq_text(next.jobs[0].id, "g4");
    test_eq_text(next.jobs[0].kind, "rebalance");
    test_eq_text(next.jobs[0].creator, "placement");
    test_true(next.jobs[0].created_ns > 0 && next.jobs[0].ended_ns == 0 && !next.jobs[0].is_cancelled);
    next.jobs[0].is_cancelled = true; // a pause lasts over other changes of the document
    proxy_jobs_follow_placement(w.p, next);
    test_eq(next.jobs.size(), 1u);
    test_true(next.jobs[0].is_cancelled && next.jobs[0].ended_ns == 0);
    cluster_document resting = in_epoch(w, 4, false);
    proxy_jobs_follow_placement(w.p, resting);
    test_true(resting.jobs.empty());
}

// Of both targets: what is known of the share of one of them is from its last heartbeat.
static void it_ends_with_its_epoch(void **state)
{
    role_world &w = role_of(state);
    const ledger_job shares[] = {{.id = "g4", .kind = "rebalance", .state = "running", .done = 3, .failed = 1, .bytes = 30},
        {.id = "g4", .kind = "rebalance", .state = "running", .done = 4, .bytes = 40}};
    w.p->targets["target-01"].jobs = {{shares[0], ""}};
    w.p->targets["target-02"].jobs = {{shares[1], ""}};
    struct row {
        uint64_t epoch;
        bool is_moving;
        const char *state;
        const char *error;
    };
    const row rows[] = {
        {5, true, "cancelled", "g5 goes on with it: the placement has changed again"}, {5, false, "done", ""}, // the epoch of settling
    };
    for (const row &one : rows) {
        cluster_document next = in_epoch(w, one.epoch, one.is_moving);
        uint64_t ended_ns = clock_wall_ns(*w.p->e) - 7;
        next.jobs = {rebalance_of(3, ended_ns), rebalance_of(4)};
        cluster_job scrub;
        scrub.id = "j1";
        scrub.kind = "scrub";
        next.jobs.push_back(scrub);
        proxy_jobs_follow_placement(w.p, next);
        test_eq(next.jobs.size(), one.is_moving ? 4u : 3u);
        test_eq(next.jobs[0].ended_ns, ended_ns); // it was over
        const cluster_job &ended = next.jobs[1];
        test_true(ended.ended_ns > ended_ns);
        test_eq_text(ended.state, one.state);
        test_eq_text(ended.error, one.error);
        test_eq(ended.done, 7u);
        test_eq(ended.failed, 1u);
        test_eq(ended.bytes, 70u);
        test_eq(next.jobs[2].ended_ns, 0u); // other jobs go on
        test_true(!one.is_moving || next.jobs[3].id == "g5");
    }
}

// It waits for a silent target, and says so; only its epoch ends it.
static void it_is_not_over_when_every_target_says_so(void **state)
{
    role_world &w = role_of(state);
    cluster_job job = rebalance_of(4);
    ledger_job over = {.id = "g4", .kind = "rebalance", .state = "done", .done = 3};
    over.ended_ns = 9;
    for (const char *id : {"target-01", "target-02"})
        w.p->targets[id].jobs = {{over, ""}};
    test_false(proxy_job_sum_up(*w.p, job).is_over);
    test_eq_text(proxy_job_sum_up(*w.p, job).state, "running");
    job.is_cancelled = true;
    test_eq_text(proxy_job_sum_up(*w.p, job).state, "paused");
    over.ended_ns = 0;
    w.p->targets["target-02"].jobs = {{over, "target target-01 is full"}};
    test_eq_text(proxy_job_sum_up(*w.p, job).waiting, "target target-02: target target-01 is full");
    w.p->targets["target-02"].jobs.clear();
    role_wait_silent(w, *w.peers["target-02"]);
    test_eq_text(proxy_job_sum_up(*w.p, job).waiting, "target target-02 is silent");
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_is_over_when_every_target_says_so, set_up_two, role_tear_down),
        cmocka_unit_test_setup_teardown(a_silent_target_is_waited_for_until_it_is_taken_out, set_up_two, role_tear_down),
        cmocka_unit_test_setup_teardown(an_archive_whose_maker_left_has_failed, set_up_two, role_tear_down),
        cmocka_unit_test_setup_teardown(a_cancel_is_over_when_every_target_says_so, set_up_two, role_tear_down),
        cmocka_unit_test_setup_teardown(a_restart_keeps_all, set_up_two, role_tear_down),
        cmocka_unit_test_setup_teardown(shares_come_from_the_targets, set_up_two, role_tear_down),
        cmocka_unit_test_setup_teardown(failures_are_merged_in_order, set_up_two, role_tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_is_refused, role_set_up_cluster, role_tear_down),
        cmocka_unit_test_setup_teardown(without_targets_nothing_starts, role_set_up_proxy, role_tear_down),
        cmocka_unit_test_setup_teardown(housekeeping_jobs_end_at_once, role_set_up_cluster, role_tear_down),
        cmocka_unit_test_setup_teardown(an_epoch_in_which_objects_move_has_a_job, set_up_two, role_tear_down),
        cmocka_unit_test_setup_teardown(it_ends_with_its_epoch, set_up_two, role_tear_down),
        cmocka_unit_test_setup_teardown(it_is_not_over_when_every_target_says_so, set_up_two, role_tear_down),
    };
    return role_main(tests);
}
