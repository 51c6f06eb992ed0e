// SPDX-License-Identifier: MIT
// test of transfer/direct_put: pods that put their results themselves, in pieces, twice, too late, or not at all.
#include "transfer_world.h"

#include "base/limits.h"
#include "codec/url.h"

using namespace etlnode;

// Begins PUT /b/o?to=kept through an ETL that supports it. Returns the connection on which the pod is asked, and its request.
static net_conn &begin_kept(transfer_world &w, net_conn *&out_client, std::string &out_request, const std::string &name = "kept")
{
    etl_of(w).definition.direct_put = true;
    out_client = &ask(w, "PUT /b/o?to=" + name);
    run(w);
    net_conn *pod = pod_asked(w);
    test_true(pod != nullptr);
    out_request = wire_take(*pod);
    return *pod;
}

// The path and query that the pod puts to: everything behind the host.
static std::string path_of(const std::string &request)
{
    size_t at = request.find("Ais-Node-Url: http://10.9.9.9:7070/");
    test_true(at != std::string::npos);
    size_t begin = request.find("7070", at) + 4;
    return request.substr(begin, request.find('\r', begin) - begin);
}

// As the target's route does it, when the ETL's secret fits.
static net_conn &pod_puts(transfer_world &w, const std::string &path, std::string_view body, bool is_chunked = false)
{
    std::string framed = is_chunked ? text_format("%zx\r\n", body.size()) + std::string(body) + (body.empty() ? "\r\n" : "\r\n0\r\n\r\n")
                                    : std::string(body);
    net_conn &c = client_ask(w, "PUT /put" + path,
        is_chunked ? std::string("Transfer-Encoding: chunked\r\n") : "Content-Length: " + std::to_string(body.size()) + "\r\n", framed);
    run(w);
    return c;
}

static void check_kept(transfer_world &w, net_conn &client, std::string_view content, const std::string &name = "kept")
{
    settle(w);
    test_eq(client_read(client).status, 200);
    std::string kept;
    test_true(world_get(w, name, kept));
    test_true(kept == content);
    check_ended(w, "ok");
    test_eq(memory_files(w.world->now, "/data/tmp").size(), 0u);
}

static const char *const no_content = "HTTP/1.1 204 No Content\r\n\r\n";

static void what_was_put_is_the_result(void **state)
{
    int number = 0;
    for (size_t size : {size_t{0}, size_t{5}, 3 * stream_buffer_size, 2 * interim_memory_size + 9}) {
        for (const std::string &answer : {std::string(no_content), with_length("")}) {
            for (bool is_chunked : {false, true}) {
                if (is_chunked && size == 0)
                    continue;
                transfer_world &w = begin_case(state);
                net_conn *client = nullptr;
                std::string request;
                const std::string name = "kept" + std::to_string(number++);
                net_conn &pod = begin_kept(w, client, request, name);
                std::string path = path_of(request);
                test_true(path.starts_with("/ais%2F@%23%2Fb%2F" + name + "?owt=3&uuid="));
                const std::string result = pattern(size);
                client_answer got = client_read(pod_puts(w, path + "&etl_args=x", result, is_chunked));
                test_eq(got.status, 200);
                test_eq_text(got.body, ""); // a byte would be taken for a result
                std::string kept;
                test_false(world_get(w, name, kept)); // not before the pod says so
                wire_send(pod, answer);
                check_kept(w, *client, result, name);
                pass(w, 1'000);
            }
        }
    }
}

static void a_body_is_the_result(void **state)
{
    transfer_world &w = begin_case(state);
    net_conn *client = nullptr;
    std::string request;
    net_conn &pod = begin_kept(w, client, request); // it ignores the header
    wire_send(pod, with_length("in the answer"));
    check_kept(w, *client, "in the answer");
    net_conn &both = begin_kept(w, client, request);
    test_eq(client_read(pod_puts(w, path_of(request), "put")).status, 200);
    wire_send(both, with_length("in the answer, too"));
    check_kept(w, *client, "in the answer, too");
    net_conn &empty = begin_kept(w, client, request); // a result without a byte
    wire_send(empty, with_length(""));
    check_kept(w, *client, "");
}

static void the_last_put_counts(void **state)
{
    transfer_world &w = begin_case(state);
    net_conn *client = nullptr;
    std::string request;
    net_conn &pod = begin_kept(w, client, request);
    std::string path = path_of(request);
    for (const char *content : {"first", "second", "third"})
        test_eq(client_read(pod_puts(w, path, content)).status, 200);
    test_eq(client_read(pod_puts(w, path, "fourth", true)).status, 200);
    net_conn &torn = client_ask(w, "PUT /put" + path, "Content-Length: 100\r\n", "a part");
    run(w);
    client_leave(w, torn);
    wire_send(pod, no_content);
    settle(w);
    std::string kept;
    test_true(world_get(w, "kept", kept));
    test_eq_text(kept, "fourth"); // the fifth has no end
    test_eq(client_read(*client).status, 200);
}

static void puts_of_one_result_are_limited(void **state)
{
    transfer_world &w = begin_case(state);
    net_conn *client = nullptr;
    std::string request;
    net_conn &pod = begin_kept(w, client, request);
    const std::string path = path_of(request);
    net_conn *first = nullptr;
    for (int i = 0; i < 16; i++) {
        net_conn &c = client_ask(w, "PUT /put" + path, "Content-Length: 4\r\n", "ab");
        first = first != nullptr ? first : &c;
        run(w);
    }
    test_eq(client_read(pod_puts(w, path, "one more")).status, 503);
    wire_send(*first, "cd");
    run(w);
    test_eq(client_read(*first).status, 200);
    test_eq(client_read(pod_puts(w, path, "the next")).status, 200);
    wire_send(pod, no_content);
    check_kept(w, *client, "the next");
}

static void nobody_else_may_put(void **state)
{
    transfer_world &w = begin_case(state);
    net_conn *client = nullptr;
    std::string request;
    net_conn &pod = begin_kept(w, client, request);
    std::string path = path_of(request);
    std::string other = path;
    other.back() = other.back() == 'x' ? 'y' : 'x';
    test_eq(client_read(pod_puts(w, other, "stolen")).status, 404);
    test_eq(client_read(pod_puts(w, "/ais%2F@%23%2Fb%2Fother" + path.substr(path.find('?')), "stolen")).status, 404);
    test_eq(client_read(pod_puts(w, "/other-etl" + path, "stolen")).status, 404);
    wire_send(pod, no_content); // it has put nothing
    settle(w);
    check_refusal(*client, 502, "unexpected status 204");
    check_ended(w, "pod_error");
    test_eq(client_read(pod_puts(w, path, "too late")).status, 404);
    std::string kept;
    test_false(world_get(w, "kept", kept));
}

// A reader gets the answer itself, and an ETL that does not say so gets no URL.
static void it_is_offered_only_where_it_fits(void **state)
{
    transfer_world &w = begin_case(state);
    etl_of(w).definition.direct_put = true;
    net_conn &reader = ask(w);
    std::string request = pod_say(w, with_length("x"));
    test_true(request.find("Ais-Node-Url") == std::string::npos);
    settle(w);
    test_eq(client_read(reader).status, 200);
    etl_of(w).definition.direct_put = false;
    net_conn &keeper = ask(w, "PUT /b/o?to=kept");
    request = pod_say(w, with_length("x"));
    test_true(request.find("Ais-Node-Url") == std::string::npos);
    settle(w);
    test_eq(client_read(keeper).status, 200);
}

static void a_transient_failure_is_asked_again(void **state)
{
    transfer_world &w = begin_case(state);
    net_conn *client = nullptr;
    std::string request;
    net_conn *pod = &begin_kept(w, client, request);
    const std::string transient = with_length("try again", 503, "Ais-Etl-Retry-Reason: direct-put-transient\r\n");
    uint64_t waited_ms = 1'000;
    for (int tries = 0; tries < 10; tries++) {
        wire_send(*pod, transient);
        run(w);
        test_eq(etl_of(w).slots, 0u); // others may have its place
        pass(w, waited_ms - 100);
        test_eq(etl_of(w).slots, 0u);
        pass(w, 200);
        pod = pod_asked(w);
        test_true(pod != nullptr);
        request = wire_take(*pod);
        waited_ms = std::min<uint64_t>(2 * waited_ms, 30'000);
    }
    test_eq(client_read(pod_puts(w, path_of(request), "at last")).status, 200);
    wire_send(*pod, transient); // once too often
    settle(w);
    check_refusal(*client, 502, "ETL error: try again"); // not 503, for which jobs would wait
    check_ended(w, "pod_error");
    pod = &begin_kept(w, client, request);
    wire_send(*pod, transient);
    run(w);
    client_leave(w, *client); // while it waits
    check_ended(w, "cut");
    pod = &begin_kept(w, client, request);
    wire_send(*pod, transient);
    pass(w, 1'100);
    pod = pod_asked(w);
    request = wire_take(*pod);
    test_eq(client_read(pod_puts(w, path_of(request), "now")).status, 200);
    wire_send(*pod, no_content);
    check_kept(w, *client, "now");
}

static void a_full_disk_is_said(void **state)
{
    transfer_world &w = begin_case(state);
    net_conn *client = nullptr;
    std::string request;
    net_conn &pod = begin_kept(w, client, request);
    w.has_space = false;
    test_eq(client_read(pod_puts(w, path_of(request), pattern(interim_memory_size + 1))).status, 507);
    w.has_space = true;
    w.world->faults.push_back({.op = memory_op::write, .err = make_error(error_code::io)});
    test_eq(client_read(pod_puts(w, path_of(request), pattern(interim_memory_size + 1))).status, 500);
    w.world->faults.push_back({.op = memory_op::write, .err = make_error(error_code::io), .skip = 1});
    test_eq(client_read(pod_puts(w, path_of(request), pattern(interim_memory_size + 1))).status, 500);
    wire_send(pod, with_length("the disk is full", 507));
    settle(w);
    test_eq(client_read(*client).status, 500); // the last PUT
    test_eq(memory_files(w.world->now, "/data/tmp").size(), 0u);
}

// A job waits for room, and does not take the object for bad, whatever the pod makes of the refusal.
static void a_full_disk_is_not_the_pods_fault(void **state)
{
    for (const std::string &answer : {std::string(no_content), with_length(""), with_length("oops", 500), std::string()}) {
        transfer_world &w = begin_case(state);
        net_conn *client = nullptr;
        std::string request;
        net_conn &pod = begin_kept(w, client, request);
        w.has_space = false;
        test_eq(client_read(pod_puts(w, path_of(request), pattern(interim_memory_size + 1))).status, 507);
        w.has_space = true;
        if (answer.empty())
            wire_finish(pod);
        else
            wire_send(pod, answer);
        settle(w);
        client_answer got = client_read(*client);
        test_eq(got.status, 507);
        test_has_text(got.body, "cannot store ais://b/kept: the disk is");
        pass(w, 1'000);
    }
    transfer_world &w = begin_case(state);
    net_conn *client = nullptr;
    std::string request;
    net_conn &pod = begin_kept(w, client, request);
    w.has_space = false;
    test_eq(client_read(pod_puts(w, path_of(request), pattern(interim_memory_size + 1))).status, 507);
    w.has_space = true;
    test_eq(client_read(pod_puts(w, path_of(request), "again")).status, 200);
    wire_send(pod, no_content);
    check_kept(w, *client, "again");
}

// Otherwise an object that the pod made would be stored empty.
static void an_empty_answer_beside_a_put_that_failed_is_no_result(void **state)
{
    enum class end : uint8_t { torn, refused, going_on };
    for (end how : {end::torn, end::refused, end::going_on}) {
        for (const std::string &answer :
            {with_length(""), std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), std::string(no_content)}) {
            transfer_world &w = begin_case(state);
            net_conn *client = nullptr;
            std::string request;
            net_conn &pod = begin_kept(w, client, request);
            std::string path = path_of(request);
            w.has_space = how != end::refused;
            net_conn &put = how == end::refused ? pod_puts(w, path, pattern(interim_memory_size + 1))
                                                : client_ask(w, "PUT /put" + path, "Content-Length: 100\r\n", "a part");
            run(w);
            w.has_space = true;
            if (how == end::torn)
                client_leave(w, put);
            wire_send(pod, answer);
            settle(w);
            test_eq(client_read(*client).status, how == end::refused ? 507 : 502);
            std::string kept;
            test_false(world_get(w, "kept", kept));
            if (how == end::going_on)
                test_eq(client_read(put).status, 404); // at once: nobody awaits it
            test_eq(memory_files(w.world->now, "/data/tmp").size(), 0u);
            pass(w, 1'000);
        }
    }
}

// As long as one that answers with its result may.
static void a_pod_may_pause_while_it_puts(void **state)
{
    transfer_world &w = begin_case(state);
    net_conn *client = nullptr;
    std::string request;
    net_conn &pod = begin_kept(w, client, request);
    net_conn &put = client_ask(w, "PUT /put" + path_of(request), "Content-Length: 10\r\n", "12345");
    run(w);
    pass(w, body_stall_timeout_ms + 10'000);
    wire_send(put, "67890");
    run(w);
    test_eq(client_read(put).status, 200);
    wire_send(pod, no_content);
    check_kept(w, *client, "1234567890");
    begin_kept(w, client, request, "other");
    net_conn &hanging = client_ask(w, "PUT /put" + path_of(request), "Content-Length: 10\r\n", "12345");
    run(w);
    pass(w, 46'000); // obj_timeout
    test_eq(client_read(*client).status, 504);
    test_eq(client_read(hanging).status, 404); // the end of its transfer is its end
}

// The transfer ends while the pod still puts.
static void what_comes_too_late_is_dropped(void **state)
{
    transfer_world &w = begin_case(state);
    net_conn *client = nullptr;
    std::string request;
    begin_kept(w, client, request);
    net_conn &late = client_ask(w, "PUT /put" + path_of(request), "Content-Length: 10\r\n", "12345");
    run(w);
    client_leave(w, *client);
    wire_send(late, "67890");
    run(w);
    test_eq(client_read(late).status, 404);
    check_ended(w, "cut");
}

static void every_row_is_taken(void **) { check_rows_taken(direct_put_machine_view()); }

#define on_world(test) cmocka_unit_test_setup_teardown(test, world_set_up, world_tear_down)

int main()
{
    log_set_level(log_level::error);
    const CMUnitTest tests[] = {on_world(what_was_put_is_the_result), on_world(a_body_is_the_result), on_world(the_last_put_counts),
        on_world(puts_of_one_result_are_limited), on_world(nobody_else_may_put), on_world(it_is_offered_only_where_it_fits),
        on_world(a_transient_failure_is_asked_again), on_world(a_full_disk_is_said), on_world(a_full_disk_is_not_the_pods_fault),
        on_world(what_comes_too_late_is_dropped), on_world(an_empty_answer_beside_a_put_that_failed_is_no_result),
        on_world(a_pod_may_pause_while_it_puts), cmocka_unit_test(every_row_is_taken)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
