// SPDX-License-Identifier: MIT
// test of transfer/admission: clients and jobs at one pod: who gets a slot, and who waits for whom.
#include "transfer_world.h"

#include <deque>

#include "base/limits.h"

using namespace etlnode;

struct job_read {
    transfer_world *w = nullptr;
    transfer *moving = nullptr;
    std::string job;
    int count = 0;
    error_code code = error_code::ok;
};

static void on_job_read(void *arg, const transfer_report &report)
{
    auto &read = *static_cast<job_read *>(arg);
    read.count++;
    read.code = report.code;
    read.moving = nullptr;
}

// A deque, because transfers hold their addresses.
static job_read &read_for(transfer_world &w, std::deque<job_read> &reads, const std::string &job, const std::string &etl = world_etl)
{
    job_read &read = reads.emplace_back(job_read{.w = &w, .job = job});
    read.moving = transfer_begin(*w.host,
        {.request_id = job, .bucket = "b", .name = "o", .etl = etl, .to = sink_discard(w.world->e), .on_done = on_job_read, .arg = &read});
    return read;
}

static void stop_all(transfer_world &w, std::deque<job_read> &reads)
{
    for (job_read &read : reads) {
        if (read.moving != nullptr)
            transfer_stop(*read.moving);
    }
    run(w);
    settle(w);
}

// Who asked, of the requests that the pod has and has not answered, oldest first.
static std::vector<std::string> asked_by(transfer_world &w)
{
    std::vector<std::string> out;
    for (const auto &c : w.net.conns) {
        size_t at = c->address.empty() || c->is_closed ? std::string::npos : c->out.find("X-Request-Id: ");
        if (at != std::string::npos)
            out.push_back(c->out.substr(at + 14, c->out.find('\r', at) - at - 14));
    }
    return out;
}

// Answers the oldest request.
static void answer_one(transfer_world &w)
{
    for (const auto &c : w.net.conns) {
        if (c->address.empty() || c->is_closed || c->out.find("\r\n\r\n") == std::string::npos)
            continue;
        wire_take(*c);
        wire_send(*c, with_length("done"));
        settle(w);
        return;
    }
    test_fail("nothing was asked");
}

static constexpr size_t slots_of_jobs = pod_connections_max - pod_connections_for_clients;

static void jobs_leave_the_last_slots(void **state)
{
    transfer_world &w = begin_case(state);
    std::deque<job_read> reads;
    for (size_t i = 0; i < slots_of_jobs + 5; i++)
        read_for(w, reads, "j" + std::to_string(i % 4));
    run(w);
    test_eq(etl_of(w).slots, slots_of_jobs);
    std::vector<net_conn *> clients;
    for (size_t i = 0; i < pod_connections_for_clients; i++)
        clients.push_back(&ask(w));
    test_eq(etl_of(w).slots, pod_connections_max); // all of them at once
    net_conn &late = ask(w);
    test_eq(etl_of(w).slots, pod_connections_max);
    answer_one(w); // of a job: the client comes before all jobs that wait
    test_eq(etl_of(w).slots, pod_connections_max);
    std::vector<std::string> asked = asked_by(w);
    test_eq(asked.size(), pod_connections_max);
    test_true(asked.back().size() > 3); // a client's id
    size_t waiting_jobs = 0;
    for (const job_read &read : reads)
        waiting_jobs += read.count == 0 ? 1 : 0;
    test_eq(waiting_jobs, slots_of_jobs + 4);
    stop_all(w, reads);
    for (net_conn *client : clients)
        client_leave(w, *client);
    client_leave(w, late);
    check_ended(w, "cut");
}

// However many one of them has waiting already.
static void jobs_take_turns(void **state)
{
    transfer_world &w = begin_case(state);
    std::deque<job_read> reads;
    for (size_t i = 0; i < slots_of_jobs; i++)
        read_for(w, reads, "old");
    run(w);
    for (int i = 0; i < 4; i++)
        read_for(w, reads, "a");
    for (int i = 0; i < 3; i++)
        read_for(w, reads, "b");
    read_for(w, reads, "c");
    run(w);
    std::string order;
    for (int i = 0; i < 8; i++) {
        answer_one(w);
        order += asked_by(w).back();
    }
    test_eq_text(order, "abcababa");
    stop_all(w, reads);
}

static void a_queue_has_room_for_clients(void **state)
{
    transfer_world &w = begin_case(state);
    std::deque<job_read> reads;
    while (reads.empty() || reads.back().count == 0) {
        test_true(reads.size() < 2 * pod_queue_max);
        read_for(w, reads, "j");
        run(w);
    }
    test_true(reads.back().code == error_code::overloaded); // which jobs wait for
    test_true(reads.size() <= pod_queue_max / 2 + pod_connections_max + 1);
    net_conn &client = ask(w);
    std::vector<std::string> asked = asked_by(w);
    test_true(asked.back() != "j");
    stop_all(w, reads);
    client_leave(w, client);
}

static void a_slow_etl_does_not_hold_another(void **state)
{
    transfer_world &w = begin_case(state);
    std::deque<job_read> reads;
    for (size_t i = 0; i < slots_of_jobs + 50; i++)
        read_for(w, reads, "slow");
    run(w);
    job_read &fast = read_for(w, reads, "fast", world_second_etl);
    run(w);
    test_eq(w.registry.second.slots, 1u);
    pod_say(w, with_length("done"));
    settle(w);
    test_eq(fast.count, 1);
    test_true(fast.code == error_code::ok);
    stop_all(w, reads);
}

static void clients_are_counted(void **state)
{
    transfer_world &w = begin_case(state);
    std::deque<job_read> reads;
    read_for(w, reads, "j");
    run(w);
    test_eq(transfer_host_clients(*w.host), 0u);
    net_conn &client = ask(w);
    test_eq(transfer_host_clients(*w.host), 1u);
    client_leave(w, client);
    test_eq(transfer_host_clients(*w.host), 0u);
    test_eq(transfer_host_in_flight(*w.host), 1u);
    stop_all(w, reads);
}

static void too_many_are_refused_at_once(void **state)
{
    transfer_world &w = begin_case(state);
    etl_of(w).is_ready = false;
    std::vector<net_conn *> waiting;
    for (size_t i = 0; i < pod_queue_max; i++)
        waiting.push_back(&ask(w));
    check_refusal(ask(w), 503, "too many requests wait for the pod of etl job JGHEoo89gg");
    check_refusal(ask(w, "PUT /b/o?to=kept", "Content-Length: 0\r\n"), 503, "too many requests wait");
    for (net_conn *client : waiting)
        client_leave(w, *client);
    test_eq(transfer_host_in_flight(*w.host), 0u);
}

#define on_world(test) cmocka_unit_test_setup_teardown(test, world_set_up, world_tear_down)

int main()
{
    log_set_level(log_level::error);
    const CMUnitTest tests[] = {on_world(jobs_leave_the_last_slots), on_world(jobs_take_turns), on_world(a_queue_has_room_for_clients),
        on_world(a_slow_etl_does_not_hold_another), on_world(clients_are_counted), on_world(too_many_are_refused_at_once)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
