// SPDX-License-Identifier: MIT
// test of transfer/pipeline: one object through several ETLs, whose pods the test plays.
#include "transfer_world.h"

#include "base/limits.h"

using namespace etlnode;

static const char *const through_second = "GET /b/o?uuid=1&etl_pipeline=second0000&x=1";
static etl_ref &second_of(transfer_world &w) { return w.registry.second; }

static void check_nothing_is_left(transfer_world &w)
{
    settle(w);
    test_eq(transfer_host_in_flight(*w.host), 0u);
    test_eq(etl_of(w).slots + second_of(w).slots, 0u);
    test_eq(memory_files(w.world->now, "/data/tmp").size(), 0u);
}

// Each stage gets the whole result of the one before, and the same query.
static void stages_follow_each_other(void **state)
{
    for (size_t size : {size_t{0}, size_t{3}, 3 * stream_buffer_size + 5, 2 * interim_memory_size + 7}) {
        transfer_world &w = begin_case(state);
        const std::string between = pattern(size);
        net_conn &client = ask(w, through_second);
        std::string first = pod_say(w, with_length(between));
        test_has_text(first, "POST /b/o?x=1 HTTP/1.1\r\n");
        test_has_text(first, "\r\n\r\nabc");
        test_eq(client_read(client).status, 0);
        settle(w);
        test_eq(etl_of(w).slots, 0u); // its place is free for others
        test_eq(second_of(w).slots, 1u);
        std::string then = pod_say(w, with_length("the end"));
        test_has_text(then, "POST /b/o?x=1 HTTP/1.1\r\n");
        test_true(then.ends_with("\r\n\r\n" + between));
        settle(w);
        client_answer got = client_read(client);
        test_eq(got.status, 200);
        test_eq_text(got.body, "the end");
        test_has_text(got.head, "Etlnode-Etl: second0000\r\n");
        check_last_is(w, "ok");
        check_nothing_is_left(w);
    }
}

static void an_etl_may_come_twice(void **state)
{
    transfer_world &w = begin_case(state);
    net_conn &client = ask(w, "GET /b/o?etl_pipeline=JGHEoo89gg,JGHEoo89gg");
    for (const char *result : {"1", "2", "3"}) {
        pod_say(w, with_length(result));
        settle(w);
    }
    check_answer(client, 200, "3");
    check_nothing_is_left(w);
}

// A part of a result is never the next stage's object, and the failure names the stage.
static void a_stage_that_fails_ends_it(void **state)
{
    transfer_world &w = begin_case(state);
    net_conn &first = ask(w, through_second);
    net_conn *pod = nullptr;
    pod_say(w, "HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n" + pattern(500'000), &pod);
    wire_finish(*pod);
    run(w);
    check_refusal(first, 502, "stage 1 of 2, etl job JGHEoo89gg: ETL error: ");
    check_nothing_is_left(w);
    net_conn &second = ask(w, through_second);
    pod_say(w, with_length(pattern(2 * interim_memory_size)));
    settle(w);
    pod_say(w, with_length("no such colour", 422, "Retry-After: 5\r\n"));
    check_refusal(second, 422, "stage 2 of 2, etl job second0000: ETL error: no such colour");
    check_last_is(w, "pod_error");
    test_has_text(w.reasons.back(), "stage 2 of 2");
    check_nothing_is_left(w);
}

static void what_is_missing_is_said_plainly(void **state)
{
    transfer_world &w = begin_case(state);
    net_conn &object = ask(w, "GET /b/missing?etl_pipeline=second0000");
    client_answer got = client_read(object);
    test_eq(got.status, 404);
    test_has_text(got.body, "\"t[t1]: ais://b/missing does not exist\"");
    second_of(w).phase = etl_phase::failed;
    second_of(w).last_error = "it was stopped";
    net_conn &stage = ask(w, through_second);
    pod_say(w, with_length("x"));
    settle(w);
    check_refusal(stage, 404, "stage 2 of 2, etl job second0000: etl job second0000 does not exist: it is not running on t1");
    check_nothing_is_left(w);
}

// In every stage, whatever it waits for.
static void a_client_may_leave(void **state)
{
    for (int stage = 0; stage < 2; stage++) {
        for (bool answers : {false, true}) {
            transfer_world &w = begin_case(state);
            net_conn &client = ask(w, through_second);
            for (int i = 0; i < stage; i++) {
                pod_say(w, with_length(pattern(2 * interim_memory_size)));
                settle(w);
            }
            if (answers)
                pod_say(w, "HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n" + pattern(2 * interim_memory_size));
            client_leave(w, client);
            check_last_is(w, "cut");
            check_nothing_is_left(w);
        }
    }
}

static void the_disk_may_be_full(void **state)
{
    transfer_world &w = begin_case(state);
    w.has_space = false;
    net_conn &large = ask(w, through_second);
    pod_say(w, with_length(pattern(interim_memory_size + 1)));
    settle(w);
    check_refusal(large, 507, "the disk is used to the limit");
    check_nothing_is_left(w);
    net_conn &small = ask(w, through_second); // needs none of it
    pod_say(w, with_length(pattern(interim_memory_size)));
    settle(w);
    pod_say(w, with_length("x"));
    settle(w);
    test_eq(client_read(small).status, 200);
    w.has_space = true;
    w.world->faults.push_back({.op = memory_op::write, .err = make_error(error_code::no_space)});
    net_conn &surprised = ask(w, through_second);
    pod_say(w, with_length(pattern(interim_memory_size + 1)));
    settle(w);
    check_refusal(surprised, 507, "stage 1 of 2, etl job JGHEoo89gg: t[t1]: cannot store ais://b/o: the disk is full");
    check_nothing_is_left(w);
}

static void damage_between_two_stages_is_found(void **state)
{
    transfer_world &w = begin_case(state);
    net_conn &client = ask(w, through_second);
    net_conn *pod = nullptr;
    second_of(w).is_ready = false;
    pod_say(w, with_length(pattern(2 * interim_memory_size)), &pod);
    settle(w);
    world_damage(w, 2 * interim_memory_size, content_block_size);
    second_of(w).is_ready = true;
    transfer_host_etl_changed(*w.host, second_of(w));
    run(w);
    check_refusal(client, 500, "what the stage before made of ais://b/o: data is corrupt");
    check_nothing_is_left(w);
}

// A pod that reads finds it under a name that only this stage knows, while it runs.
static void pods_read_what_was_made(void **state)
{
    for (etl_mode mode : {etl_mode::hrev, etl_mode::hpull}) {
        transfer_world &w = begin_case(state);
        second_of(w).definition.mode = mode;
        net_conn &client = ask(w, through_second);
        pod_say(w, with_length("between"));
        settle(w);
        run(w);
        net_conn *pod = pod_asked(w);
        test_true(pod != nullptr);
        std::string request = wire_take(*pod);
        test_true(request.starts_with("GET /stage-"));
        size_t slash = request.find('/', 5);
        const std::string bucket = request.substr(5, slash - 5);
        test_has_text(request.substr(slash), "/o?x=1 HTTP/1.1\r\n");
        const store_object *given = pipeline_find_given(*w.host, world_second_etl, bucket, "o");
        test_true(given != nullptr);
        test_eq_text(given->content, "between");
        store_release(*w.objects, given);
        test_true(pipeline_find_given(*w.host, world_etl, bucket, "o") == nullptr);
        test_true(pipeline_find_given(*w.host, world_second_etl, "b", "o") == nullptr);
        test_true(pipeline_find_given(*w.host, world_second_etl, bucket, "other") == nullptr);
        wire_send(*pod, with_length("done"));
        settle(w);
        client_answer got = client_read(client);
        test_eq(got.status, 200); // also where the mode sends clients to the pod
        test_eq_text(got.body, "done");
        test_true(pipeline_find_given(*w.host, world_second_etl, bucket, "o") == nullptr);
        check_nothing_is_left(w);
    }
}

static void results_are_kept(void **state)
{
    transfer_world &w = begin_case(state);
    net_conn &client = ask(w, "PUT /b/o?to=kept&etl_pipeline=second0000");
    pod_say(w, with_length("between"));
    settle(w);
    std::string kept;
    test_false(world_get(w, "kept", kept));
    pod_say(w, with_length("done"));
    settle(w);
    test_eq(client_read(client).status, 200);
    test_true(world_get(w, "kept", kept));
    test_eq_text(kept, "done");
    net_conn &failing = ask(w, "PUT /b/o?to=kept&etl_pipeline=second0000");
    pod_say(w, with_length("no", 500));
    run(w);
    check_refusal(failing, 500, "stage 1 of 2");
    test_true(world_get(w, "kept", kept));
    test_eq_text(kept, "done");
    check_nothing_is_left(w);
}

// What the client asks of the answer, the last stage is asked.
static void heads_and_ranges_are_the_last_stages(void **state)
{
    transfer_world &w = begin_case(state);
    net_conn &head = ask(w, "HEAD /b/o?etl_pipeline=second0000");
    client_answer refused = client_read(head);
    test_eq(refused.status, 405);
    test_has_text(refused.head, "Allow: GET\r\n");
    test_eq(w.outcomes.size(), 0u); // no stage has run
    second_of(w).definition.mode = etl_mode::hrev;
    net_conn &client = ask(w, "GET /b/o?etl_pipeline=second0000", "Range: bytes=1-2\r\n");
    std::string first = pod_say(w, with_length("between"));
    test_true(first.find("Range:") == std::string::npos);
    settle(w);
    std::string then = pod_say(w, "HTTP/1.1 206 Partial\r\nContent-Length: 2\r\nContent-Range: bytes 1-2/9\r\n\r\nxy");
    test_has_text(then, "Range: bytes=1-2\r\n");
    settle(w);
    client_answer part = client_read(client);
    test_eq(part.status, 206);
    test_eq_text(part.body, "xy");
    check_nothing_is_left(w);
}

struct stopped_job {
    int count = 0;
    error_code code = error_code::ok;
};

static void jobs_may_stop_it(void **state)
{
    for (int stage = 0; stage < 2; stage++) {
        transfer_world &w = begin_case(state);
        stopped_job job;
        pipeline *p = pipeline_begin(*w.host,
            {.request_id = "j1",
                .bucket = "b",
                .name = "o",
                .etl = world_etl,
                .to = world_sink(w, "kept"),
                .on_done =
                    [](void *arg, const transfer_report &report) {
                        auto &j = *static_cast<stopped_job *>(arg);
                        j.count++;
                        j.code = report.code;
                    },
                .arg = &job},
            {world_second_etl});
        test_true(p != nullptr);
        for (int i = 0; i < stage; i++) {
            pod_say(w, with_length(pattern(2 * interim_memory_size)));
            settle(w);
        }
        run(w);
        pipeline_stop(*p);
        test_eq(job.count, 1);
        test_true(job.code == error_code::stopping);
        std::string kept;
        test_false(world_get(w, "kept", kept));
        check_nothing_is_left(w);
    }
}

#define on_world(test) cmocka_unit_test_setup_teardown(test, world_set_up, world_tear_down)

int main()
{
    log_set_level(log_level::error);
    const CMUnitTest tests[] = {
        on_world(stages_follow_each_other),
        on_world(an_etl_may_come_twice),
        on_world(a_stage_that_fails_ends_it),
        on_world(what_is_missing_is_said_plainly),
        on_world(a_client_may_leave),
        on_world(the_disk_may_be_full),
        on_world(damage_between_two_stages_is_found),
        on_world(pods_read_what_was_made),
        on_world(results_are_kept),
        on_world(heads_and_ranges_are_the_last_stages),
        on_world(jobs_may_stop_it),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
