// SPDX-License-Identifier: MIT
// test of transfer/transfer_machine: clients read and leave, results are kept, and pods answer, refuse, stall, break off and die.
#include "transfer_world.h"

using namespace etlnode;

static const std::string large = pattern(3 * stream_buffer_size + 5);

// ---- reads

static void what_is_short_comes_whole(void **state)
{
    transfer_world &w = begin_case(state);
    net_conn &client = ask(w);
    std::string request = pod_say(w, with_length("ABC", 200, "Content-Type: text/plain\r\n"));
    test_has_text(request, "POST /b/o?x=1 HTTP/1.1\r\n");
    test_has_text(request, "\r\n\r\nabc");
    test_eq(client_read(client).status, 0); // its end is withheld: something may stand behind it
    settle(w);
    check_answer(client, 200, "ABC");
    check_ended(w, "ok");
}

// After enough answers with nothing behind them, a pod's short answer needs no wait.
static void what_came_with_its_head_comes_at_once(void **state)
{
    transfer_world &w = begin_case(state);
    for (unsigned i = 0; i < pod_proof_count; i++) {
        net_conn &client = ask(w);
        pod_say(w, with_length("ABC"));
        settle(w);
        check_answer(client, 200, "ABC");
        pass(w, 2'000);
    }
    net_conn &client = ask(w);
    pod_say(w, with_length("ABCD"));
    check_answer(client, 200, "ABCD");
    check_ended(w, "ok");
    client_leave(w, client);
    ask(w, "PUT /b/o?to=kept");
    pod_say(w, with_length("ABCD"));
    check_ended(w, "ok");
    std::string kept;
    test_true(world_get(w, "kept", kept));
    test_eq_text(kept, "ABCD");
}

static void what_is_long_is_streamed(void **state)
{
    transfer_world &w = begin_case(state);
    for (bool is_chunked : {false, true}) {
        net_conn &client = ask(w);
        std::string chunk = text_format("%zx\r\n", large.size()) + large + "\r\n0\r\n\r\n";
        pod_say(w, is_chunked ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk : with_length(large));
        settle(w);
        check_answer(client, 200, large);
        check_ended(w, "ok");
    }
}

// An answer with neither length nor chunks is whole only if the pod's process lives on.
static void what_ends_by_closing_is_judged(void **state)
{
    transfer_world &w = begin_case(state);
    for (const std::string &body : {std::string("ABC"), large}) {
        for (bool dies : {false, true}) {
            net_conn &client = ask(w);
            net_conn *pod = nullptr;
            pod_say(w, "HTTP/1.1 200 OK\r\n\r\n" + body, &pod);
            wire_finish(*pod);
            run(w);
            test_eq_text(state_of("transfer"), "verifying");
            if (dies)
                etl_of(w).endpoint.instance += "x";
            pass(w, 10'000);
            if (!dies)
                check_answer(client, 200, body);
            else if (body == large)
                check_cut(client);
            else
                check_refusal(client, 502, "the pod went away while it answered");
            check_ended(w, !dies ? "ok" : body == large ? "cut" : "pod_error");
        }
    }
}

static void a_head_without_a_body_is_passed_on(void **state)
{
    transfer_world &w = begin_case(state);
    etl_of(w).definition.mode = etl_mode::hrev;
    net_conn &head = ask(w, "HEAD /b/o");
    test_has_text(pod_say(w, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"), "HEAD /b/o HTTP/1.1\r\n");
    std::string got = wire_take(head);
    test_has_text(got, "HTTP/1.1 200 OK\r\n");
    test_has_text(got, "Content-Length: 7\r\n");
    check_ended(w, "ok");
    net_conn &newest = ask(w, "GET /b/o", "If-None-Match: \"v1\"\r\n");
    test_has_text(pod_say(w, "HTTP/1.1 304 Not Modified\r\nETag: \"v1\"\r\n\r\n"), "If-None-Match: \"v1\"\r\n");
    client_answer t = client_read(newest);
    test_eq(t.status, 304);
    test_has_text(t.head, "ETag: \"v1\"\r\n");
    test_eq_text(t.body, "");
    check_ended(w, "ok");
    // Without a condition in the request, 304 is no answer.
    net_conn &plain = ask(w, "GET /b/o");
    pod_say(w, "HTTP/1.1 304 Not Modified\r\n\r\n");
    check_refusal(plain, 502, "unexpected status 304");
}

static void a_client_is_sent_to_the_pod(void **state)
{
    transfer_world &w = begin_case(state);
    etl_of(w).definition.mode = etl_mode::hpull;
    net_conn &client = ask(w);
    client_answer t = client_read(client);
    test_eq(t.status, 307);
    test_has_text(t.head, "Location: http://10.1.2.3:80/b/o?x=1\r\n");
    check_ended(w, "redirected");
    // For a kept result there is nobody to redirect, so the target asks the pod.
    ask(w, "PUT /b/o?to=kept");
    test_has_text(pod_say(w, with_length("ABC")), "GET /b/o HTTP/1.1\r\n");
    settle(w);
    check_ended(w, "ok");
    std::string kept;
    test_true(world_get(w, "kept", kept));
    test_eq_text(kept, "ABC");
}

// ---- before the pod

static void what_cannot_be_asked_for_is_refused(void **state)
{
    transfer_world &w = begin_case(state);
    check_refusal(ask(w, "GET /b/missing"), 404, "t[t1]: ais://b/missing does not exist");
    check_ended(w, "client_error");
    check_refusal(ask(w, "HEAD /b/o"), 405, "");
    etl_of(w).definition.mode = etl_mode::ws;
    check_refusal(ask(w, "GET /b/o?etl_args=a%ff"), 400, "etl_args is not UTF-8: a ws:// ETL gets it as JSON text");
    etl_of(w).definition.mode = etl_mode::hpush;
    etl_of(w).phase = etl_phase::stopping;
    check_refusal(ask(w), 404, "etl job JGHEoo89gg does not exist: it is being stopped on t1");
    etl_of(w).phase = etl_phase::failed;
    etl_of(w).last_error = "it crashed";
    check_refusal(ask(w), 404, "etl job JGHEoo89gg does not exist: it is not running on t1: it crashed");
    etl_of(w).is_known = false;
    check_refusal(ask(w), 404, "etl job JGHEoo89gg does not exist");
    check_ended(w, "client_error");
}

static void a_pod_that_is_not_ready_is_waited_for(void **state)
{
    transfer_world &w = begin_case(state);
    etl_of(w).is_ready = false;
    net_conn &late = ask(w);
    pass(w, 4'000);
    test_eq(client_read(late).status, 0);
    pass(w, 2'000);
    check_refusal(late, 503, "the pod of etl job JGHEoo89gg is not ready");
    check_ended(w, "unavailable");
    net_conn &client = ask(w);
    etl_of(w).is_ready = true;
    transfer_host_etl_changed(*w.host, etl_of(w));
    pod_say(w, with_length("ABC"));
    settle(w);
    check_answer(client, 200, "ABC");
}

static void a_pod_that_refuses_is_waited_for(void **state)
{
    transfer_world &w = begin_case(state);
    w.net.connect_err = make_error(error_code::refused);
    net_conn &client = ask(w);
    test_eq_text(state_of("transfer"), "awaiting_pod");
    test_eq(etl_of(w).times_refused, 1u);
    w.net.connect_err = no_error;
    etl_of(w).is_ready = true;
    transfer_host_etl_changed(*w.host, etl_of(w));
    pod_say(w, with_length("ABC"));
    settle(w);
    check_answer(client, 200, "ABC");
}

// A transfer that finds all slots of the pod taken waits until one is returned.
static void a_busy_pod_has_a_queue(void **state)
{
    transfer_world &w = begin_case(state);
    for (size_t i = 0; i < pod_connections_max; i++)
        etl_ref_take_slot(etl_of(w));
    net_conn &client = ask(w);
    test_eq_text(state_of("transfer"), "awaiting_pod");
    etl_ref_give_slot(etl_of(w));
    transfer_host_etl_changed(*w.host, etl_of(w));
    pod_say(w, with_length("ABC"));
    settle(w);
    check_answer(client, 200, "ABC");
    etl_ref_take_slot(etl_of(w));
    net_conn &late = ask(w);
    pass(w, 60'000);
    check_refusal(late, 503, "has too many requests");
    while (etl_of(w).slots > 0)
        etl_ref_give_slot(etl_of(w));
}

// ---- pods that fail

static void an_error_of_the_pod_is_reported(void **state)
{
    transfer_world &w = begin_case(state);
    net_conn &client = ask(w);
    pod_say(w, with_length("out of ideas", 500));
    check_refusal(client, 500, "out of ideas");
    check_ended(w, "pod_error");
    net_conn &slow = ask(w);
    pod_say(w, "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 100\r\n\r\nhalf of it");
    pass(w, 50'000);
    client_answer t = client_read(slow);
    test_eq(t.status, 503);
    test_has_text(t.head, "Retry-After: 7\r\n");
    test_has_text(t.body, "half of it");
    check_ended(w, "pod_error");
}

// Servers know POST or PUT. If the first answer may be about the method, the other method is tried.
static void the_other_method_is_tried(void **state)
{
    transfer_world &w = begin_case(state);
    net_conn &answered_first = ask(w);
    test_has_text(pod_say(w, with_length("no such name", 400)), "POST /b/o");
    test_has_text(pod_say(w, with_length("not here", 404)), "PUT /b/o");
    check_refusal(answered_first, 400, "no such name");
    net_conn &died = ask(w);
    net_conn *pod = nullptr;
    pod_say(w, with_length("no such name", 400));
    pod_say(w, "", &pod);
    wire_finish(*pod);
    run(w);
    check_refusal(died, 400, "no such name");
    net_conn &client = ask(w);
    test_has_text(pod_say(w, with_length("", 405)), "POST /b/o");
    test_has_text(pod_say(w, with_length("ABC")), "PUT /b/o");
    settle(w);
    check_answer(client, 200, "ABC");
    ask(w);
    test_has_text(pod_say(w, with_length("ABC")), "PUT /b/o"); // it is remembered
    settle(w);
}

static void an_answer_that_is_none_is_refused(void **state)
{
    transfer_world &w = begin_case(state);
    net_conn &client = ask(w);
    pod_say(w, "HTTP/1.1 302 Found\r\nLocation: /b/o/\r\nContent-Length: 0\r\n\r\n");
    check_refusal(client, 502, "with a redirect (302) to /b/o/");
    check_ended(w, "pod_error");
    etl_of(w).definition.require_framing = true;
    net_conn &unframed = ask(w);
    pod_say(w, "HTTP/1.1 200 OK\r\n\r\nABC");
    check_refusal(unframed, 502, "require_framing is set");
}

static void a_pod_that_dies_before_its_answer_is_gone(void **state)
{
    transfer_world &w = begin_case(state);
    net_conn &client = ask(w);
    net_conn *pod = nullptr;
    pod_say(w, "", &pod);
    wire_finish(*pod);
    run(w);
    check_refusal(client, 502, "the pod closed the connection without an answer to POST /b/o?x=1");
    check_ended(w, "pod_error");
}

static void a_pod_that_stalls_is_given_up(void **state)
{
    transfer_world &w = begin_case(state);
    net_conn &client = ask(w);
    pod_say(w, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
    pass(w, 50'000);
    check_refusal(
        client, 504, "ETL error: timeout: the pod sent only the head of its answer within obj_timeout (45s); to allow more time, ");
    check_ended(w, "timeout");
}

// An answer breaks off: the client gets a refusal if it has seen nothing, and a cut otherwise, but never a whole answer.
static void a_part_never_passes_for_the_whole(void **state)
{
    transfer_world &w = begin_case(state);
    enum framing_kind { counted, chunked, by_closing };
    for (framing_kind framing : {counted, chunked, by_closing}) {
        for (size_t sent : {size_t{0}, size_t{1}, size_t{100}, stream_buffer_size, large.size() - 1}) {
            for (bool resets : {false, true}) {
                net_conn &client = ask(w);
                std::string head = "HTTP/1.1 200 OK\r\n";
                if (framing == counted)
                    head += text_format("Content-Length: %zu\r\n\r\n", large.size());
                else if (framing == chunked)
                    head += text_format("Transfer-Encoding: chunked\r\n\r\n%zx\r\n", large.size());
                else
                    head += "\r\n";
                net_conn *pod = nullptr;
                pod_say(w, head + large.substr(0, sent), &pod);
                pass(w, 100);
                if (resets)
                    wire_break(*pod);
                else
                    wire_finish(*pod);
                if (framing == by_closing)
                    etl_of(w).endpoint.instance += "x"; // its process has died
                pass(w, 10'000);
                client_answer t = client_read(client);
                if (t.status == 0)
                    test_true(client.is_closed && client.resets);
                else
                    test_eq(t.status, 502);
                test_true(w.outcomes.back() == "cut" || w.outcomes.back() == "pod_error");
                test_eq(transfer_host_in_flight(*w.host), 0u);
            }
        }
    }
}

static void a_part_of_another_size_is_refused(void **state)
{
    transfer_world &w = begin_case(state);
    net_conn &client = ask(w, "GET /b/o", "Range: bytes=0-99\r\n");
    pod_say(w, "HTTP/1.1 206 Partial\r\nContent-Range: bytes 0-99/1000\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nABC\r\n0\r\n\r\n");
    settle(w);
    check_refusal(client, 502, "the pod answered 206 with 3 bytes, and its Content-Range is one of 100");
}

// A pod that got a damaged object has no good answer, whenever the damage is found: here a second reader finds it.
static void damage_of_the_source_is_reported(void **state)
{
    transfer_world &w = begin_case(state);
    struct row {
        std::string before, after; // what the pod says, around the moment at which the damage is found
        bool closes;
        const char *where;
    };
    const std::string head = text_format("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n", large.size());
    const row rows[] = {
        {"", with_length("ABC"), false, "awaiting_answer"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "ABC", false, "buffering"},
        {head + large.substr(0, 2 * stream_buffer_size), large.substr(2 * stream_buffer_size) + "\r\n0\r\n\r\n", false, "streaming"},
        {"HTTP/1.1 200 OK\r\n\r\nABC", "", true, "verifying"},
    };
    const std::string content = pattern(3 * content_block_size);
    for (const row &r : rows) {
        world_put(w, "o", content);
        net_conn &client = ask(w);
        net_conn *pod = nullptr;
        pod_say(w, r.before, &pod);
        if (r.closes)
            wire_finish(*pod);
        run(w);
        test_eq_text(state_of("transfer"), r.where);
        world_damage(w, content.size(), 2 * content_block_size + 7);
        check_refusal(ask(w), 500, "t[t1]: ais://b/o: data is corrupt");
        check_last_is(w, "failed");
        if (!r.after.empty())
            wire_send(*pod, r.after);
        pass(w, 10'000);
        bool is_seen = r.where == std::string("streaming");
        if (is_seen)
            check_cut(client);
        else
            check_refusal(client, 500, "t[t1]: ais://b/o: data is corrupt");
        check_ended(w, is_seen ? "cut" : "failed");
        test_has_text(w.reasons.back(), "data is corrupt");
    }
}

// ---- clients that leave, in every state that waits

static void check_gone(transfer_world &w)
{
    check_ended(w, "cut");
    test_eq_text(w.reasons.back(), "the client has gone");
}

static void a_client_may_leave_at_any_time(void **state)
{
    transfer_world &w = begin_case(state, pattern(index_content_size_max + 1));
    // While its object is looked up.
    w.world->deferred = {memory_op::index_get};
    world_put(w, "cold", "abc");
    net_conn &looking = client_ask(w, "GET /b/nothere");
    for (int i = 0; i < 100 && transfer_host_in_flight(*w.host) == 0; i++)
        memory_step(*w.world);
    test_eq(transfer_host_lookups(*w.host), 1u);
    client_leave(w, looking);
    check_gone(w);
    test_eq(transfer_host_lookups(*w.host), 0u);
    w.world->deferred.clear();
    // While the pod is not ready.
    etl_of(w).is_ready = false;
    client_leave(w, ask(w));
    check_gone(w);
    etl_of(w).is_ready = true;
    // While the pod thinks, and while it answers.
    struct row {
        const char *answer;
        const char *where;
        bool closes;
    };
    static const row rows[] = {
        {"", "awaiting_answer", false},
        {"HTTP/1.1 500 Oops\r\nContent-Length: 9\r\n\r\nhalf", "collecting_error", false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "buffering", false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "streaming", false},
        {"HTTP/1.1 200 OK\r\n\r\nABC", "verifying", true},
    };
    for (const row &r : rows) {
        net_conn &client = ask(w);
        net_conn *pod = nullptr;
        pod_say(w, r.answer, &pod);
        if (r.closes)
            wire_finish(*pod);
        run(w);
        test_eq_text(state_of("transfer"), r.where);
        client_leave(w, client);
        check_gone(w);
        test_eq(client_read(client).status, 0);
    }
}

static void a_client_that_breaks_ends_the_stream(void **state)
{
    transfer_world &w = begin_case(state);
    net_conn &client = client_ask(w, "GET /b/o");
    client.room = 4'096;
    run(w);
    pod_say(w, with_length(large));
    test_eq_text(state_of("transfer"), "streaming");
    wire_break(client);
    run(w);
    check_ended(w, "cut");
    // One that takes nothing is given up.
    net_conn &lazy = client_ask(w, "GET /b/o");
    lazy.room = 4'096;
    run(w);
    pod_say(w, with_length(large));
    pass(w, 40'000);
    check_ended(w, "cut");
    test_true(lazy.is_closed && lazy.resets);
}

// ---- results that are kept

static void a_result_is_kept(void **state)
{
    transfer_world &w = begin_case(state);
    const std::string bodies[] = {"", "ABC", large};
    for (const std::string &body : bodies) {
        for (bool is_framed : {true, false}) {
            net_conn &client = ask(w, "PUT /b/o?to=kept", "Content-Length: 0\r\nRange: bytes=0-1\r\nIf-None-Match: *\r\n");
            net_conn *pod = nullptr;
            std::string request = pod_say(w, is_framed ? with_length(body) : "HTTP/1.1 200 OK\r\n\r\n" + body, &pod);
            test_true(request.find("Range") == std::string::npos); // of the client's request only the query passes
            if (!is_framed)
                wire_finish(*pod);
            pass(w, 10'000);
            client_answer t = client_read(client);
            test_eq(t.status, 200);
            test_eq_text(t.body, "");
            check_ended(w, "ok");
            std::string kept;
            test_true(world_get(w, "kept", kept));
            test_true(kept == body);
        }
    }
}

static void an_object_is_copied(void **state)
{
    transfer_world &w = begin_case(state);
    for (size_t size : {size_t{0}, size_t{3}, index_content_size_max + 1, 3 * put_buffer_size}) {
        world_put(w, "from", pattern(size));
        net_conn &client = ask(w, "PUT /b/from?copy=copy", "Content-Length: 0\r\n");
        test_eq(client_read(client).status, 200);
        check_ended(w, "ok");
        std::string copy;
        test_true(world_get(w, "copy", copy));
        test_true(copy == pattern(size));
    }
    check_refusal(ask(w, "PUT /b/missing?copy=copy", "Content-Length: 0\r\n"), 404, "does not exist");
}

// Whatever fails, the object at the destination stays as it was.
static void what_fails_is_not_kept(void **state)
{
    transfer_world &w = begin_case(state);
    world_put(w, "kept", "the old one");
    struct row {
        std::string answer;
        bool dies;
        memory_op fault; // list: none
        bool has_bucket;
        int status;
        const char *text;
    };
    const std::string half = text_format("HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", large.size()) +
                             large.substr(0, large.size() / 2);
    const row rows[] = {
        {half, true, memory_op::list, true, 502, "shorter than its Content-Length"},
        {"HTTP/1.1 200 OK\r\n\r\n" + large, true, memory_op::list, true, 502, "the pod went away while it answered"},
        {"HTTP/1.1 200 OK\r\n\r\nABC", true, memory_op::list, true, 502, "the pod went away while it answered"},
        {with_length(large), false, memory_op::write, true, 507, "t[t1]: cannot store ais://b/kept: the disk is full"},
        {with_length(large), false, memory_op::sync, true, 507, "t[t1]: cannot store ais://b/kept: the disk is full"},
        {with_length("ABC"), false, memory_op::list, false, 404, "it was destroyed meanwhile"},
    };
    for (const row &r : rows) {
        net_conn &client = ask(w, "PUT /b/o?to=kept", "Content-Length: 0\r\n");
        if (r.fault != memory_op::list)
            w.world->faults = {{.op = r.fault, .err = make_error(error_code::no_space)}};
        w.has_bucket = r.has_bucket;
        net_conn *pod = nullptr;
        pod_say(w, r.answer, &pod);
        if (r.dies)
            wire_finish(*pod);
        if (r.dies)
            etl_of(w).endpoint.instance += "x";
        pass(w, 10'000);
        check_refusal(client, r.status, r.text);
        w.world->faults.clear();
        w.has_bucket = true;
        test_true(memory_files(w.world->now, "/data/tmp").empty());
        std::string kept;
        test_true(world_get(w, "kept", kept));
        test_eq_text(kept, "the old one");
    }
}

// A client that leaves does not revoke a commit under way. Before the commit, nothing is kept.
static void a_client_may_leave_what_is_kept(void **state)
{
    transfer_world &w = begin_case(state);
    world_put(w, "from", pattern(3 * put_buffer_size));
    for (const char *where : {"streaming", "committing"}) {
        net_conn &client = client_ask(w, std::string("PUT /b/from?copy=") + where, "Content-Length: 0\r\n");
        run_to(w, "transfer", where);
        wire_finish(client);
        run_to(w, "transfer", "done");
        check_gone(w);
        run(w);
        std::string copy;
        test_true(world_get(w, where, copy) == (where == std::string("committing")));
    }
}

static void a_pod_that_could_not_put_is_asked_again(void **state)
{
    transfer_world &w = begin_case(state);
    etl_of(w).definition.direct_put = true;
    const std::string transient = with_length("", 503, "Ais-Etl-Retry-Reason: direct-put-transient\r\n");
    net_conn &client = ask(w, "PUT /b/o?to=kept");
    pod_say(w, transient);
    pass(w, 1'100);
    pod_say(w, transient);
    client_leave(w, client);
    check_ended(w, "cut");
    etl_of(w).definition.direct_put = false;
}

static void every_row_is_taken(void **) { check_rows_taken(transfer_machine_view()); }

#define CASE(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

int main()
{
    const CMUnitTest tests[] = {
        CASE(what_is_short_comes_whole),
        CASE(what_came_with_its_head_comes_at_once),
        CASE(what_is_long_is_streamed),
        CASE(what_ends_by_closing_is_judged),
        CASE(a_head_without_a_body_is_passed_on),
        CASE(a_client_is_sent_to_the_pod),
        CASE(what_cannot_be_asked_for_is_refused),
        CASE(a_pod_that_is_not_ready_is_waited_for),
        CASE(a_pod_that_refuses_is_waited_for),
        CASE(a_busy_pod_has_a_queue),
        CASE(an_error_of_the_pod_is_reported),
        CASE(the_other_method_is_tried),
        CASE(an_answer_that_is_none_is_refused),
        CASE(a_pod_that_dies_before_its_answer_is_gone),
        CASE(a_pod_that_stalls_is_given_up),
        CASE(a_part_never_passes_for_the_whole),
        CASE(a_part_of_another_size_is_refused),
        CASE(damage_of_the_source_is_reported),
        CASE(a_client_may_leave_at_any_time),
        CASE(a_client_that_breaks_ends_the_stream),
        CASE(a_result_is_kept),
        CASE(an_object_is_copied),
        CASE(what_fails_is_not_kept),
        CASE(a_client_may_leave_what_is_kept),
        CASE(a_pod_that_could_not_put_is_asked_again),
        cmocka_unit_test(every_row_is_taken),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
