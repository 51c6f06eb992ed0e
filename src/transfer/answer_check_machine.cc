// SPDX-License-Identifier: MIT
// transfer/answer_check_machine.cc: decides whether an answer that ended by closing is complete.
//
// Owns     the liveness connection, one connection to the witness or to the pod, one timer.
// Knows    sm, port.                  Known by  transfer_machine.cc.
// Machine  answer_check, drawn in docs/machines/answer_check.md (generated, do not edit).
// Normal   watching, asking, reading, done. Without a witness: watching, settling, probing, done.
// Fails    if a witness or a pod is gone, is late, or names another container, the answer is not complete.
// Limits   answer_settle_ms, liveness_memory_ms, pod_connect_timeout_ms, witness_line_size_max.
#include "transfer/answer_check.h"

#include "base/limits.h"
#include "port/clock.h"
#include "port/net.h"
#include "sm/sm_verify.h"
#include "transfer/transfer_machines.h"

namespace etlnode {

struct answer_check {
    enum class state : uint8_t { watching, asking, reading, settling, probing, done };
    enum class event : uint8_t { judge, connected, read_server, read_other, refused, deadline, stop };
    sm_core sm;
    env *e = nullptr;
    answer_check_options options;
    timer *deadline_timer = nullptr;
    net_connect_call *connecting = nullptr;
    net_conn *conn = nullptr; // to the witness
    std::string line;
    bool complete = false;
    bool canceled = false;

    net_connect_call *liveness_connecting = nullptr;
    net_conn *liveness = nullptr;
    timer *liveness_timer = nullptr; // from the break of a liveness connection to the next one
    bool was_watched = false;
    bool was_broken = false;
    uint64_t broken_ms = 0; // when the first liveness connection broke
    bool died = false;      // after a liveness connection broke, nothing listened: the process of this answer is gone, whoever listens now
};

using S = answer_check::state;
using E = answer_check::event;

static void step(answer_check &check, E event);

// --- the liveness

static void on_liveness(void *arg, error err, net_conn *conn);

// Any other failure (such as a lack of descriptors) says nothing about the pod.
static void note_failure(answer_check &check, error err)
{
    if (err.code == error_code::refused || err.code == error_code::reset)
        check.died = true;
}

static void open_liveness(answer_check &check)
{
    note_failure(check, net_connect(*check.e, check.options.host.c_str(), check.options.port, on_liveness, &check,
                            &check.liveness_connecting, net_reach::this_machine));
}

static void on_liveness_clock(void *arg) { open_liveness(*static_cast<answer_check *>(arg)); }

// A server that closes idle connections also breaks it. The difference: after a process has died, nothing listens for a while.
static void on_liveness_readable(void *arg)
{
    answer_check &check = *static_cast<answer_check *>(arg);
    net_close(*check.e, check.liveness);
    check.liveness = nullptr;
    if (!check.was_broken)
        check.broken_ms = clock_now_ms(*check.e);
    check.was_broken = true;
    timer_arm(*check.e, check.liveness_timer, answer_settle_ms);
}

static void on_liveness(void *arg, error err, net_conn *conn)
{
    answer_check &check = *static_cast<answer_check *>(arg);
    check.liveness_connecting = nullptr;
    check.liveness = conn;
    if (conn != nullptr)
        net_wait(*check.e, conn, net_side::readable, on_liveness_readable, &check);
    else
        note_failure(check, err);
}

static void close_line(env &e, timer *deadline_timer, net_connect_call *&connecting, net_conn *&conn)
{
    timer_stop(e, deadline_timer);
    if (connecting != nullptr)
        net_connect_cancel(e, connecting);
    connecting = nullptr;
    if (conn != nullptr)
        net_close(e, conn);
    conn = nullptr;
}

static void close_liveness(answer_check &check) { close_line(*check.e, check.liveness_timer, check.liveness_connecting, check.liveness); }

// If the liveness connection broke just now, assume that the process died with its answer, even if another one already listens.
static bool is_alarmed(const answer_check &check)
{
    bool end = false;
    if (check.liveness != nullptr && (net_has_unread(*check.e, check.liveness, &end) || end))
        return true;
    return check.died || (check.was_broken && clock_now_ms(*check.e) - check.broken_ms < liveness_memory_ms);
}

// --- actions

static void delete_check(void *arg)
{
    answer_check *check = static_cast<answer_check *>(arg);
    timer_free(*check->e, check->deadline_timer);
    timer_free(*check->e, check->liveness_timer);
    delete check;
}

static void report(void *arg)
{
    answer_check &check = *static_cast<answer_check *>(arg);
    if (!check.canceled)
        check.options.on_verdict(check.options.arg, check.complete);
    clock_post(*check.e, delete_check, &check);
}

static void close_connection(answer_check &check) { close_line(*check.e, check.deadline_timer, check.connecting, check.conn); }

static void end(answer_check &check)
{
    close_liveness(check);
    close_connection(check);
    clock_post(*check.e, report, &check);
}

static void accept(answer_check &check)
{
    check.complete = true;
    end(check);
}

static void on_connected(void *arg, error err, net_conn *conn);

static void connect_to(answer_check &check, const std::string &host, uint16_t port)
{
    error err = net_connect(*check.e, host.c_str(), port, on_connected, &check, &check.connecting, net_reach::this_machine);
    timer_arm(*check.e, check.deadline_timer, pod_connect_timeout_ms);
    if (err) // refused at once
        sm_emit(check, E::refused);
}

static void ask(answer_check &check) { connect_to(check, check.options.witness_host, check.options.witness_port); }

static void on_witness_readable(void *arg);

static void read_witness(answer_check &check) { net_wait(*check.e, check.conn, net_side::readable, on_witness_readable, &check); }

static void settle(answer_check &check) { timer_arm(*check.e, check.deadline_timer, answer_settle_ms); }

static void probe(answer_check &check)
{
    close_connection(check);
    connect_to(check, check.options.host, check.options.port);
}

// --- guards

static bool has_witness(const answer_check &check) { return check.options.witness_port != 0; }
static bool is_peaceful(const answer_check &check) { return !is_alarmed(check); }

// --- the table

static constexpr uint32_t CONNECT = 1;
static constexpr uint32_t CONN = 2;
static constexpr uint32_t DEADLINE = 4;
static constexpr uint32_t LIVENESS = 8;

static uint32_t alive(const answer_check &check)
{
    return (check.connecting != nullptr ? CONNECT : 0u) | (check.conn != nullptr ? CONN : 0u) |
           (timer_is_armed(*check.e, check.deadline_timer) ? DEADLINE : 0u) |
           (check.liveness != nullptr || check.liveness_connecting != nullptr || timer_is_armed(*check.e, check.liveness_timer) ? LIVENESS
                                                                                                                                : 0u);
}

static constexpr sm_resource resources[] = {{CONNECT, "connect"}, {CONN, "connection"}, {DEADLINE, "deadline"}, {LIVENESS, "liveness"}};

static constexpr sm_state<answer_check> states[] = {
    {S::watching, sm_initial, 0, LIVENESS},
    {S::asking, sm_busy, DEADLINE, CONNECT | DEADLINE | LIVENESS},
    {S::reading, sm_busy, CONN | DEADLINE, CONN | DEADLINE | LIVENESS},
    {S::settling, sm_busy, DEADLINE, DEADLINE | LIVENESS},
    {S::probing, sm_busy, DEADLINE, CONNECT | DEADLINE | LIVENESS},
    {S::done, sm_final, 0, 0},
};

static constexpr sm_row<answer_check> rows[] = {
    {S::watching, E::judge, SM_FN(has_witness), SM_FN(ask), S::asking},
    {S::watching, E::judge, always, SM_FN(settle), S::settling},
    {S::watching, E::stop, always, SM_FN(end), S::done},

    {S::asking, E::connected, always, SM_FN(read_witness), S::reading},
    {S::asking, E::refused, always, SM_FN(end), S::done},
    {S::asking, E::deadline, always, SM_FN(end), S::done},
    {S::asking, E::stop, always, SM_FN(end), S::done},

    {S::reading, E::read_server, always, SM_FN(accept), S::done},
    {S::reading, E::read_other, always, SM_FN(probe), S::probing},
    {S::reading, E::refused, always, SM_FN(end), S::done},
    {S::reading, E::deadline, always, SM_FN(end), S::done},
    {S::reading, E::stop, always, SM_FN(end), S::done},

    {S::settling, E::deadline, always, SM_FN(probe), S::probing},
    {S::settling, E::stop, always, SM_FN(end), S::done},

    {S::probing, E::connected, SM_FN(is_peaceful), SM_FN(accept), S::done},
    {S::probing, E::connected, always, SM_FN(end), S::done},
    {S::probing, E::refused, always, SM_FN(end), S::done},
    {S::probing, E::deadline, always, SM_FN(end), S::done},
    {S::probing, E::stop, always, SM_FN(end), S::done},
};

static constexpr sm_table<answer_check> table = {"answer_check", states, resources, rows, {}, {}, E::stop, E::deadline, alive};
SM_VERIFY(table);

sm_view answer_check_machine_view() { return sm_view_of(table); }

static void step(answer_check &check, E event) { sm_step(table, check, event); }

// --- turning what happens into events

static void on_connected(void *arg, error err, net_conn *conn)
{
    answer_check &check = *static_cast<answer_check *>(arg);
    check.connecting = nullptr;
    check.conn = conn;
    step(check, err ? E::refused : E::connected);
}

// "<container id> server|other\n". An end without a line means that the container has ended or is about to.
static void on_witness_readable(void *arg)
{
    answer_check &check = *static_cast<answer_check *>(arg);
    for (;;) {
        char chunk[witness_line_size_max];
        io_result got = net_read(*check.e, check.conn, chunk, sizeof chunk);
        if (got.state == io_state::again) {
            read_witness(check);
            return;
        }
        if (got.state == io_state::done)
            check.line.append(chunk, got.count);
        size_t newline = check.line.find('\n');
        if (newline == std::string::npos && got.state == io_state::done && check.line.size() <= witness_line_size_max)
            continue;
        std::string_view line = std::string_view(check.line).substr(0, newline == std::string::npos ? 0 : newline);
        size_t space = line.find(' ');
        std::string_view word = space == std::string_view::npos ? std::string_view() : line.substr(space + 1);
        // The registry's instance is the container's id, a slash, and its restart count.
        bool same = !line.empty() && check.options.instance.starts_with(std::string(line.substr(0, space)) + "/");
        step(check, !same ? E::refused : word == "server" ? E::read_server : E::read_other);
        return;
    }
}

static void on_timer(void *arg) { step(*static_cast<answer_check *>(arg), E::deadline); }

answer_check *answer_check_begin(env &e, answer_check_options options)
{
    answer_check *check = new answer_check;
    check->sm.id = e.next_machine_id++;
    check->e = &e;
    check->options = std::move(options);
    check->deadline_timer = timer_make(e, on_timer, check);
    check->liveness_timer = timer_make(e, on_liveness_clock, check);
    return check;
}

void answer_check_watch(answer_check &check)
{
    if (check.was_watched)
        return;
    check.was_watched = true;
    open_liveness(check);
}

void answer_check_judge(answer_check &check) { step(check, E::judge); }

void answer_check_cancel(answer_check &check)
{
    check.canceled = true;
    if (sm_state_of(check) != S::done)
        step(check, E::stop);
}

} // namespace etlnode
