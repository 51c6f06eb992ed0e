// SPDX-License-Identifier: MIT
// http/call_machine.cc: one outgoing request and its answer, and the pool of idle connections it may use.
//
// Owns     the connection to the server, one timer, the input buffer; sends and receives at the same time.
// Knows    sm, port, codec.           Known by  transfer, role.
// Machine  call, drawn in docs/machines/call.md (generated, do not edit).
// Normal   connecting, awaiting_head, receiving, done.
// Fails    every failure before the head ends in on_done; a reused connection that dies before its first byte is replaced once.
// Limits   http_head_size_max, http_informational_max, call_options.answer_size_max and its timeouts.
#include "http/call.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/limits.h"
#include "base/log.h"
#include "codec/http_write.h"
#include "codec/url.h"
#include "http/machines.h"
#include "port/clock.h"
#include "sm/sm.h"
#include "sm/sm_verify.h"

struct server;

struct idle_connection {
    net_conn *conn = nullptr;
    uint64_t until_ms = 0;
    http_client *client = nullptr;
    server *to = nullptr;
    bool on_probation = false; // not reusable: it may be what keeps a one-at-a-time server from its next connection
};

// Whether a server answers on several connections at a time. A single-threaded one with keep-alive serves nobody else while it waits for the
// next request on a connection that we hold, so a connection must not be kept while other calls wait for their first byte.
enum class server_kind : uint8_t { unknown, parallel, serial };

// What is known of one address, and what is under way to it.
struct server {
    std::string host;
    uint16_t port = 0;
    server_kind kind = server_kind::unknown;
    bool is_untidy = false;  // it has sent bytes that nobody asked for: the next ones might pass for an answer, so every call gets a connection of its own
    std::vector<idle_connection *> idle; // oldest first
    std::vector<call *> active;
};
static constexpr size_t servers_max = 256; // remembered; one with a connection is not forgotten
static constexpr size_t input_size_initial = 16 * kib;
static constexpr size_t spare_inputs_max = 64;
static constexpr uint64_t probation_ms = 20;

struct http_client {
    env *e = nullptr;
    http_client_options options;
    std::vector<server *> servers;       // oldest first
    size_t idle_count = 0;
    size_t active_count = 0;
    std::vector<std::string> spare_inputs; // buffers of ended calls, as large as a first read
    uint64_t unsolicited = 0;
    timer *clock = nullptr;
    uint64_t next_id = 1;
};

struct call {
    enum class state : uint8_t { connecting, awaiting_head, receiving, done };
    enum class event : uint8_t { connected, connect_failed, head_read, died_unused, failed, body_ended, finished, deadline, stop };
    sm_core sm;
    env *e = nullptr;
    http_client *client = nullptr;
    server *to = nullptr;
    call_options options;
    net_connect_call *connecting = nullptr;
    net_conn *net = nullptr;
    net_conn *reuse = nullptr;  // taken from the pool, handed over with `connected`
    timer *clock = nullptr;
    bool reused = false;
    bool canceled = false;
    bool told = false;          // on_done has been posted
    error err;
    uint64_t last_progress_ms = 0;

    // Sending.
    std::string out;
    size_t out_sent = 0;
    size_t body_sent = 0;
    uint64_t file_sent = 0;
    bool upload_done = false;
    bool upload_failed = false;
    error source_err;           // of the file to send: whatever the server makes of the part it got must not be taken for good

    // Receiving.
    std::string in;
    size_t in_begin = 0;
    size_t in_end = 0;
    size_t head_searched = 0;
    size_t informational = 0;
    bool received_any = false;
    std::string head_bytes;     // keeps the head's views alive
    http_head head;
    http_chunk_decoder_ptr decoder;
    uint64_t body_left = 0;
    bool body_ended = false;
    bool was_looked_behind = false; // what follows the body was asked for when its last bytes were taken
    bool ends_behind = false;       // it was the connection's end
    std::string collected;
};

using S = call::state;
using E = call::event;

// --- the pool

static void forget_idle(idle_connection &idle)
{
    std::vector<idle_connection *> &all = idle.to->idle;
    all.erase(std::find(all.begin(), all.end(), &idle));
    idle.client->idle_count--;
    delete &idle;
}

static void drop_idle(idle_connection &idle)
{
    net_close(*idle.client->e, idle.conn);
    forget_idle(idle);
}

static bool is_unused(const server *s) { return s->idle.empty() && s->active.empty(); }

static server &server_of(http_client &client, std::string_view host, uint16_t port)
{
    for (server *known : client.servers) {
        if (known->port == port && known->host == host)
            return *known;
    }
    if (client.servers.size() >= servers_max) {
        auto unused = std::find_if(client.servers.begin(), client.servers.end(), is_unused);
        if (unused != client.servers.end()) {
            delete *unused;
            client.servers.erase(unused);
        }
    }
    server *fresh = new server;
    fresh->host = host;
    fresh->port = port;
    client.servers.push_back(fresh);
    return *fresh;
}

static void note_unsolicited(http_client &client, server &from)
{
    client.unsolicited++;
    if (!from.is_untidy)
        LOG(warn, "http", "server=%s:%u msg=\"it sent bytes that nobody asked for: they are dropped, and its connections are not reused any more\"",
            from.host.c_str(), static_cast<unsigned>(from.port));
    from.is_untidy = true;
}

// A server has closed it, or sends what nobody asked for.
static void on_idle_readable(void *arg)
{
    idle_connection &idle = *static_cast<idle_connection *>(arg);
    bool end = false;
    if (net_has_unread(*idle.client->e, idle.conn, &end))
        note_unsolicited(*idle.client, *idle.to);
    drop_idle(idle);
}

static void arm_idle_timer(http_client &client)
{
    uint64_t next = UINT64_MAX;
    for (const server *s : client.servers) {
        for (const idle_connection *idle : s->idle)
            next = std::min(next, idle->until_ms);
    }
    if (next == UINT64_MAX)
        return;
    uint64_t now = clock_now_ms(*client.e);
    timer_arm(*client.e, client.clock, next > now ? next - now : 0);
}

static void on_idle_timer(void *arg)
{
    http_client &client = *static_cast<http_client *>(arg);
    uint64_t now = clock_now_ms(*client.e);
    for (server *s : client.servers) {
        for (size_t i = s->idle.size(); i-- > 0;) {
            idle_connection &idle = *s->idle[i];
            if (idle.until_ms > now)
                continue;
            if (idle.on_probation && s->kind == server_kind::unknown)
                s->kind = server_kind::serial;
            drop_idle(idle);
        }
    }
    arm_idle_timer(client);
}

http_client *http_client_make(env &e, const http_client_options &options)
{
    http_client *client = new http_client;
    client->e = &e;
    client->options = options;
    client->clock = timer_make(e, on_idle_timer, client);
    return client;
}

void http_client_free(http_client *client)
{
    CHECK(client->active_count == 0);
    for (server *s : client->servers) {
        while (!s->idle.empty())
            drop_idle(*s->idle.back());
        delete s;
    }
    timer_free(*client->e, client->clock);
    delete client;
}

uint64_t http_client_unsolicited(const http_client &client) { return client.unsolicited; }

// The most recently used one: the others may then expire.
static net_conn *take_idle(http_client &client, server &to)
{
    for (size_t i = to.idle.size(); i-- > 0;) {
        idle_connection &idle = *to.idle[i];
        if (idle.on_probation)
            continue;
        net_conn *conn = idle.conn;
        net_wait_cancel(*client.e, conn, net_side::readable);
        forget_idle(idle);
        bool end = false;
        bool unread = net_has_unread(*client.e, conn, &end);
        if (unread)
            note_unsolicited(client, to);
        if (unread || end || to.is_untidy) {
            net_close(*client.e, conn);
            continue;
        }
        return conn;
    }
    return nullptr;
}

// Another call to the same server that has not received a byte yet.
static bool is_somebody_waiting(const call &self)
{
    return std::any_of(self.to->active.begin(), self.to->active.end(), [&](const call *other) { return other != &self && other->net != nullptr && !other->received_any; });
}

// A fresh connection was answered while another one, answered before, is still open: the server can do both.
static void note_parallel(call &c)
{
    server &to = *c.to;
    if (c.reused || to.kind == server_kind::parallel)
        return;
    bool is_another = std::any_of(to.active.begin(), to.active.end(), [&](const call *other) { return other != &c && other->net != nullptr && other->received_any; });
    if (!is_another && to.idle.empty())
        return;
    to.kind = server_kind::parallel;
    for (idle_connection *idle : to.idle) {
        if (idle->on_probation) {
            idle->on_probation = false;
            idle->until_ms = clock_now_ms(*c.e) + c.client->options.idle_ms;
        }
    }
}

// Of all servers' connections the one that would be closed first.
static idle_connection &first_to_expire(const http_client &client)
{
    idle_connection *first = nullptr;
    for (const server *s : client.servers) {
        if (!s->idle.empty() && (first == nullptr || s->idle.front()->until_ms < first->until_ms))
            first = s->idle.front();
    }
    return *first;
}

static void give_idle(call &c)
{
    http_client &client = *c.client;
    server &to = *c.to;
    net_conn *conn = c.net;
    c.net = nullptr;
    bool in_the_way = to.kind != server_kind::parallel && is_somebody_waiting(c);
    if (client.options.idle_max == 0 || to.is_untidy || (in_the_way && to.kind == server_kind::serial)) {
        net_close(*client.e, conn);
        return;
    }
    if (client.idle_count >= client.options.idle_max)
        drop_idle(first_to_expire(client));
    uint64_t kept_ms = in_the_way ? probation_ms : client.options.idle_ms;
    idle_connection *idle = new idle_connection{conn, clock_now_ms(*client.e) + kept_ms, &client, &to, in_the_way};
    to.idle.push_back(idle);
    client.idle_count++;
    net_wait(*client.e, conn, net_side::readable, on_idle_readable, idle);
    if (in_the_way || !timer_is_armed(*client.e, client.clock))
        arm_idle_timer(client);
}

// --- actions

static void on_readable(void *arg);
static void on_writable(void *arg);
static void on_connect(void *arg, error err, net_conn *conn);

static void close_net(call &c)
{
    if (c.connecting != nullptr)
        net_connect_cancel(*c.e, c.connecting);
    c.connecting = nullptr;
    if (c.net != nullptr)
        net_close(*c.e, c.net);
    c.net = nullptr;
    timer_stop(*c.e, c.clock);
}

static void delete_call(void *arg)
{
    call *c = static_cast<call *>(arg);
    timer_free(*c->e, c->clock);
    delete c;
}

static void tell_done(void *arg)
{
    call &c = *static_cast<call *>(arg);
    std::vector<call *> &active = c.to->active;
    active.erase(std::find(active.begin(), active.end(), &c));
    c.client->active_count--;
    if (c.in.size() == input_size_initial && c.client->spare_inputs.size() < spare_inputs_max)
        c.client->spare_inputs.push_back(static_cast<std::string &&>(c.in));
    if (!c.canceled && c.options.on_done != nullptr) {
        std::string body;
        if (!c.err)
            body.swap(c.collected);
        c.options.on_done(c.options.arg, c, c.err, c.head.status, static_cast<std::string &&>(body));
    }
    clock_post(*c.e, delete_call, &c);
}

static void end_call(call &c)
{
    close_net(c);
    clock_post(*c.e, tell_done, &c);
}

static void begin_exchange(call &c)
{
    timer_arm(*c.e, c.clock, c.options.progress_timeout_ms);
}

static void connect_fresh(call &c)
{
    close_net(c);
    c.reused = false;
    c.out_sent = c.body_sent = 0;
    c.file_sent = 0;
    c.upload_done = c.upload_failed = false;
    error err = net_connect(*c.e, c.options.host.c_str(), c.options.port, on_connect, &c, &c.connecting, c.options.reach);
    timer_arm(*c.e, c.clock, c.options.connect_timeout_ms);
    c.err = err; // the caller of the step looks at it
}

static void time_out(call &c)
{
    c.err = make_error(error_code::timed_out, sm_state_of(c) == S::done && c.received_any ? "timeout: the answer stopped" : "timeout");
    end_call(c);
}

static void time_out_connecting(call &c)
{
    c.err = make_error(error_code::timed_out, "timeout connecting");
    end_call(c);
}

static void tell_head(void *arg)
{
    call &c = *static_cast<call *>(arg);
    if (!c.canceled)
        c.options.on_head(c.options.arg, c, c.head);
}

static void begin_body(call &c)
{
    if (c.options.answer_size_max == 0) {
        timer_stop(*c.e, c.clock); // the one who pulls watches the time
        clock_post(*c.e, tell_head, &c);
    }
}

static bool is_more_behind(call &c)
{
    c.was_looked_behind = true;
    return net_has_unread(*c.e, c.net, &c.ends_behind);
}

// The body was read to its end: the connection may serve again, unless either side wants it closed or it is not clean.
static void keep_or_close(call &c)
{
    // Once is enough: who takes the connection from the pool looks again.
    bool more = c.in_begin < c.in_end || (!c.was_looked_behind && c.net != nullptr && is_more_behind(c));
    if (more && !c.head.close_delimited)
        note_unsolicited(*c.client, *c.to);
    bool clean = c.net != nullptr && c.head.keep_alive && !c.head.close_delimited && c.upload_done && !c.upload_failed && !more && !c.ends_behind;
    if (clean) {
        net_wait_cancel(*c.e, c.net, net_side::readable);
        net_wait_cancel(*c.e, c.net, net_side::writable);
        give_idle(c);
    }
    close_net(c);
}

static void end_buffered(call &c)
{
    keep_or_close(c);
    clock_post(*c.e, tell_done, &c);
}

static void end_streamed(call &c)
{
    keep_or_close(c);
    c.canceled = true;
    clock_post(*c.e, tell_done, &c);
}

static void end_silently(call &c)
{
    c.canceled = true;
    end_call(c);
}

// --- the table

static constexpr uint32_t CONNECT = 1;
static constexpr uint32_t SOCKET = 2;
static constexpr uint32_t DEADLINE = 4;

static uint32_t alive(const call &c)
{
    return (c.connecting != nullptr ? CONNECT : 0u) | (c.net != nullptr ? SOCKET : 0u) | (timer_is_armed(*c.e, c.clock) ? DEADLINE : 0u);
}

static constexpr sm_guard<call> always{};
static constexpr const char *event_names[] = {"connected", "connect_failed", "head_read", "died_unused", "failed", "body_ended", "finished", "deadline", "stop"};
static constexpr const char *resource_names[] = {"connect", "socket", "deadline"};

static constexpr sm_state<call> states[] = {
    {S::connecting, "connecting", sm_initial | sm_busy, 0, CONNECT | SOCKET | DEADLINE},
    {S::awaiting_head, "awaiting_head", sm_busy, SOCKET | DEADLINE, SOCKET | DEADLINE},
    {S::receiving, "receiving", sm_busy, SOCKET, SOCKET | DEADLINE},
    {S::done, "done", sm_final, 0, 0},
};

static constexpr sm_row<call> rows[] = {
    {S::connecting, E::connected, always, SM_FN(begin_exchange), S::awaiting_head},
    {S::connecting, E::connect_failed, always, SM_FN(end_call), S::done},
    {S::connecting, E::deadline, always, SM_FN(time_out_connecting), S::done},
    {S::connecting, E::stop, always, SM_FN(end_silently), S::done},

    {S::awaiting_head, E::head_read, always, SM_FN(begin_body), S::receiving},
    {S::awaiting_head, E::died_unused, always, SM_FN(connect_fresh), S::connecting},
    {S::awaiting_head, E::failed, always, SM_FN(end_call), S::done},
    {S::awaiting_head, E::deadline, always, SM_FN(time_out), S::done},
    {S::awaiting_head, E::stop, always, SM_FN(end_silently), S::done},

    {S::receiving, E::body_ended, always, SM_FN(end_buffered), S::done},
    {S::receiving, E::failed, always, SM_FN(end_call), S::done},
    {S::receiving, E::finished, always, SM_FN(end_streamed), S::done},
    {S::receiving, E::deadline, always, SM_FN(time_out), S::done},
    {S::receiving, E::stop, always, SM_FN(end_silently), S::done},
};

static sm_counters counters;
static constexpr sm_table<call> table = {"call", states, event_names, resource_names, rows, {}, {}, E::stop, E::deadline, alive, &counters};
SM_VERIFY(table);

sm_view call_machine_view() { return sm_view_of(table); }

static void step(call &c, E event) { sm_step(table, c, event); }

static void fail(call &c, error err)
{
    c.err = err;
    step(c, E::failed);
}

// --- sending, beside whatever is being received

static void note_progress(call &c) { c.last_progress_ms = clock_now_ms(*c.e); }

static io_result send_some(call &c)
{
    uint64_t file_left = c.options.file != nullptr ? c.options.file_size - c.file_sent : 0;
    iovec parts[2];
    size_t count = 0;
    if (c.out_sent < c.out.size())
        parts[count++] = {c.out.data() + c.out_sent, c.out.size() - c.out_sent};
    if (c.body_sent < c.options.body.size())
        parts[count++] = {c.options.body.data() + c.body_sent, c.options.body.size() - c.body_sent};
    if (count > 0) {
        io_result sent = net_write(*c.e, c.net, {parts, count}, file_left > 0);
        if (sent.state == io_state::done) {
            size_t of_head = std::min(sent.count, c.out.size() - c.out_sent);
            c.out_sent += of_head;
            c.body_sent += sent.count - of_head;
        }
        return sent;
    }
    if (file_left == 0)
        return {io_state::end, 0, no_error};
    io_result sent = net_send_file(*c.e, c.net, c.options.file, c.file_sent, static_cast<size_t>(file_left));
    if (sent.state == io_state::done)
        c.file_sent += sent.count;
    return sent;
}

static bool is_of_source(error err)
{
    return err.code == error_code::corrupt || err.code == error_code::io || err.code == error_code::end_of_stream;
}

// The server learns that its request is cut. Who pulls the answer is told at the next byte or the end, and gets no more of it.
static void fail_source(call &c, error err)
{
    c.source_err = err.code == error_code::end_of_stream ? make_error(error_code::corrupt, "the content is shorter than it was") : err;
    c.upload_failed = true;
    if (sm_state_of(c) == S::awaiting_head || c.options.answer_size_max > 0)
        fail(c, c.source_err);
    else
        net_half_close(*c.e, c.net);
}

static void send(call &c)
{
    while (!c.upload_done && !c.upload_failed) {
        io_result sent = send_some(c);
        switch (sent.state) {
        case io_state::done: note_progress(c); break;
        case io_state::end: c.upload_done = true; break;
        case io_state::again: net_wait(*c.e, c.net, net_side::writable, on_writable, &c); return;
        case io_state::failed:
            if (c.file_sent < c.options.file_size && is_of_source(sent.err)) {
                fail_source(c, sent.err);
                return;
            }
            c.upload_failed = true;
            break; // an answer may have come all the same: the reading side decides
        }
    }
}

static void on_writable(void *arg)
{
    call &c = *static_cast<call *>(arg);
    if (c.net != nullptr)
        send(c);
}

// --- receiving a head

static void wait_readable(call &c)
{
    if (!net_is_waiting(*c.e, c.net, net_side::readable))
        net_wait(*c.e, c.net, net_side::readable, on_readable, &c);
}

static void set_up_body(call &c)
{
    c.body_left = c.head.length;
    bool to_head = c.options.method == "HEAD";
    bool none = to_head || c.head.status == 204 || c.head.status == 304 || (c.head.has_length && c.head.length == 0);
    c.body_ended = none;
    if (none)
        c.head.close_delimited = false;
    if (!none && c.head.chunked)
        c.decoder = http_chunk_decoder_make();
}

// True when the real head has been taken out of the buffer.
static bool take_head(call &c, size_t size, error &out_err)
{
    c.head_bytes.assign(c.in, c.in_begin, size);
    c.in_begin += size;
    c.head_searched = 0;
    out_err = http_parse_response_head(c.head_bytes, c.options.method == "HEAD", c.head);
    if (out_err) {
        out_err = make_error(error_code::bad_pod_answer, out_err.what);
        return false;
    }
    if (c.head.status >= 100 && c.head.status < 200) {
        if (c.head.status == 101 || ++c.informational > http_informational_max)
            out_err = make_error(error_code::bad_pod_answer, "unexpected informational answers");
        return false;
    }
    return true;
}

static void collect(call &c);

static void end_of_input(call &c, error err)
{
    if (c.reused && !c.received_any) {
        step(c, E::died_unused);
        if (c.err)
            step(c, E::connect_failed);
        return;
    }
    fail(c, err);
}

static void read_head(call &c)
{
    for (;;) {
        while (c.in_begin < c.in_end) {
            size_t size = http_find_head_end(std::string_view(c.in.data() + c.in_begin, c.in_end - c.in_begin), c.head_searched);
            if (size == 0) {
                c.head_searched = c.in_end - c.in_begin;
                break;
            }
            error err;
            if (take_head(c, size, err)) {
                note_parallel(c);
                set_up_body(c);
                step(c, E::head_read);
                if (c.options.answer_size_max > 0)
                    collect(c);
                return;
            }
            if (err) {
                fail(c, err);
                return;
            }
        }
        if (c.in_end - c.in_begin >= http_head_size_max) {
            fail(c, make_error(error_code::bad_pod_answer, "the answer's head is too large"));
            return;
        }
        if (c.in_begin > 0) {
            std::memmove(c.in.data(), c.in.data() + c.in_begin, c.in_end - c.in_begin);
            c.in_end -= c.in_begin;
            c.in_begin = 0;
        }
        if (c.in.empty() && !c.client->spare_inputs.empty()) {
            c.in.swap(c.client->spare_inputs.back());
            c.client->spare_inputs.pop_back();
        }
        if (c.in_end == c.in.size())
            c.in.resize(std::min(std::max(c.in.size() * 2, input_size_initial), http_head_size_max));
        io_result got = net_read(*c.e, c.net, c.in.data() + c.in_end, c.in.size() - c.in_end);
        if (got.state == io_state::done) {
            c.in_end += got.count;
            c.received_any = true;
            note_progress(c);
            continue;
        }
        if (got.state == io_state::again)
            wait_readable(c);
        else if (got.state == io_state::end)
            end_of_input(c, make_error(error_code::end_of_stream, c.received_any ? "the connection was closed inside the answer's head"
                                                                                  : "the connection was closed without an answer"));
        else
            end_of_input(c, got.err);
        return;
    }
}

static void on_readable(void *arg)
{
    call &c = *static_cast<call *>(arg);
    if (sm_state_of(c) == S::awaiting_head)
        read_head(c);
    else if (sm_state_of(c) == S::receiving && c.options.answer_size_max > 0)
        collect(c);
}

// --- receiving a body

static pull_result pulled(call &c, size_t begin, size_t count)
{
    note_progress(c);
    return {pull_state::bytes, std::string_view(c.in.data() + begin, count), count, no_error};
}

static pull_result pull_failed(error err) { return {pull_state::failed, {}, 0, err}; }

// Bytes into the buffer when it is empty. State bytes: there are some.
static pull_result refill(call &c)
{
    if (c.in_begin < c.in_end)
        return {pull_state::bytes, {}, 0, no_error};
    if (c.in.size() < stream_buffer_size)
        c.in.resize(stream_buffer_size);
    io_result got = net_read(*c.e, c.net, c.in.data(), c.in.size());
    if (got.state == io_state::failed)
        return pull_failed(got.err);
    c.in_begin = 0;
    c.in_end = got.state == io_state::done ? got.count : 0;
    return {got.state == io_state::done ? pull_state::bytes : got.state == io_state::end ? pull_state::end : pull_state::again, {}, 0, no_error};
}

static pull_result pull_chunked(call &c)
{
    for (;;) {
        pull_result filled = refill(c);
        if (filled.state == pull_state::end)
            return pull_failed(make_error(error_code::end_of_stream, "the chunked answer has no end"));
        if (filled.state != pull_state::bytes)
            return filled;
        size_t begin = c.in_begin;
        http_chunk_result decoded = http_chunk_decode(*c.decoder, c.in.data() + begin, c.in_end - begin);
        if (decoded.err)
            return pull_failed(make_error(error_code::bad_pod_answer, "the answer has a bad chunk"));
        c.in_begin += decoded.consumed;
        c.body_ended = decoded.done;
        if (decoded.decoded > 0)
            return pulled(c, begin, decoded.decoded);
        if (decoded.done)
            return {pull_state::end, {}, 0, no_error};
        note_progress(c);
    }
}

// Bytes beyond the announced length are as wrong as missing ones. Asked before the last piece is handed on, so that the client's answer
// can still be cut short.
static bool is_too_long(call &c)
{
    return c.in_begin < c.in_end || is_more_behind(c);
}

static pull_result too_long(call &c)
{
    note_unsolicited(*c.client, *c.to);
    return pull_failed(make_error(error_code::bad_pod_answer, "the answer is longer than its Content-Length"));
}

static pull_result pull_plain(call &c, net_relay *relay)
{
    bool counted = !c.head.close_delimited;
    static constexpr uint64_t worth_relaying = 32 * kib;
    if (c.in_begin == c.in_end && relay != nullptr && (!counted || c.body_left >= worth_relaying)) {
        size_t room = relay_pipe_size;
        io_result got = net_relay_fill(*c.e, relay, c.net, counted ? static_cast<size_t>(std::min<uint64_t>(room, c.body_left)) : room);
        if (got.state == io_state::done) {
            note_progress(c);
            if (counted)
                c.body_left -= got.count;
            if (counted && c.body_left == 0 && is_too_long(c))
                return too_long(c);
            return {pull_state::relayed, {}, got.count, no_error};
        }
        if (got.state == io_state::again)
            return {pull_state::again, {}, 0, no_error};
        if (got.state == io_state::failed)
            return pull_failed(got.err);
        c.body_ended = !counted;
        return counted ? pull_failed(make_error(error_code::end_of_stream, "the answer is shorter than its Content-Length")) : pull_result{pull_state::end, {}, 0, no_error};
    }
    pull_result filled = refill(c);
    if (filled.state == pull_state::end && counted)
        return pull_failed(make_error(error_code::end_of_stream, "the answer is shorter than its Content-Length"));
    if (filled.state == pull_state::end)
        c.body_ended = true;
    if (filled.state != pull_state::bytes)
        return filled;
    size_t begin = c.in_begin;
    size_t count = c.in_end - c.in_begin;
    if (counted)
        count = static_cast<size_t>(std::min<uint64_t>(count, c.body_left));
    c.in_begin += count;
    if (counted)
        c.body_left -= count;
    if (counted && c.body_left == 0 && is_too_long(c))
        return too_long(c);
    return pulled(c, begin, count);
}

pull_result call_pull(call &c, net_relay *relay)
{
    if (c.net == nullptr)
        return pull_failed(make_error(error_code::canceled));
    if (c.source_err)
        return pull_failed(c.source_err);
    if (c.body_ended)
        return {pull_state::end, {}, 0, no_error};
    if (c.decoder != nullptr)
        return pull_chunked(c);
    if (!c.head.close_delimited && c.body_left == 0) {
        c.body_ended = true;
        return {pull_state::end, {}, 0, no_error};
    }
    return pull_plain(c, relay);
}

void call_pull_wait(call &c, net_on_ready on_ready, void *arg) { net_wait(*c.e, c.net, net_side::readable, on_ready, arg); }

void call_pull_wait_cancel(call &c)
{
    if (c.net != nullptr)
        net_wait_cancel(*c.e, c.net, net_side::readable);
}

bool call_take_whole(call &c, std::string &out_body)
{
    size_t buffered = c.in_end - c.in_begin;
    if (c.net == nullptr || c.source_err || c.decoder != nullptr || c.head.close_delimited || c.body_ended || buffered != c.body_left || is_more_behind(c))
        return false;
    out_body.assign(c.in, c.in_begin, buffered);
    c.in_begin = c.in_end;
    c.body_left = 0;
    c.body_ended = true;
    note_progress(c);
    return true;
}

uint64_t call_last_progress_ms(const call &c) { return c.last_progress_ms; }
void call_touch(call &c, uint64_t later_ms) { c.last_progress_ms = clock_now_ms(*c.e) + later_ms; }

void call_finish(call &c) { step(c, E::finished); }

static void collect(call &c)
{
    for (;;) {
        pull_result got = call_pull(c, nullptr);
        switch (got.state) {
        case pull_state::bytes:
            if (c.collected.size() + got.count > c.options.answer_size_max) {
                fail(c, make_error(error_code::body_too_large, "the answer is too large"));
                return;
            }
            c.collected.append(got.bytes);
            break;
        case pull_state::relayed: break;
        case pull_state::again: wait_readable(c); return;
        case pull_state::end: step(c, E::body_ended); return;
        case pull_state::failed: fail(c, got.err); return;
        }
    }
}

// --- starting

static void on_timer(void *arg)
{
    call &c = *static_cast<call *>(arg);
    uint64_t limit = sm_state_of(c) == S::connecting ? 0 : c.last_progress_ms + c.options.progress_timeout_ms;
    uint64_t now = clock_now_ms(*c.e);
    if (limit > now) {
        timer_arm(*c.e, c.clock, limit - now);
        return;
    }
    step(c, E::deadline);
}

static void begin_on(call &c, net_conn *conn)
{
    c.net = conn;
    note_progress(c);
    step(c, E::connected);
    send(c);
    if (c.net != nullptr) // the file to send may have failed
        wait_readable(c);
}

static void on_connect(void *arg, error err, net_conn *conn)
{
    call &c = *static_cast<call *>(arg);
    c.connecting = nullptr;
    if (err) {
        c.err = err;
        timer_stop(*c.e, c.clock);
        step(c, E::connect_failed);
        return;
    }
    begin_on(c, conn);
}

static void start(void *arg)
{
    call &c = *static_cast<call *>(arg);
    if (sm_state_of(c) != S::connecting)
        return; // canceled in the meantime
    net_conn *idle = c.options.may_reuse ? take_idle(*c.client, *c.to) : nullptr;
    if (idle != nullptr) {
        c.reused = true;
        begin_on(c, idle);
        return;
    }
    connect_fresh(c);
    if (c.err)
        step(c, E::connect_failed);
}

static void write_request_head(call &c)
{
    http_write_request_line(c.out, c.options.method, c.options.target);
    std::string host = url_format_base(c.options.host, c.options.port);
    http_write_header(c.out, "Host", std::string_view(host).substr(host.find("//") + 2));
    uint64_t length = c.options.file != nullptr ? c.options.file_size : c.options.body.size();
    if (c.options.has_body || length > 0)
        http_write_header_u64(c.out, "Content-Length", length);
    c.out += c.options.headers;
    http_write_end(c.out);
}

call *call_start(http_client &client, call_options options)
{
    call *c = new call;
    c->e = client.e;
    c->client = &client;
    c->options = static_cast<call_options &&>(options);
    c->sm.id = client.next_id++;
    c->clock = timer_make(*client.e, on_timer, c);
    c->to = &server_of(client, c->options.host, c->options.port);
    c->to->active.push_back(c);
    client.active_count++;
    write_request_head(*c);
    clock_post(*client.e, start, c);
    return c;
}

void call_cancel(call &c)
{
    c.canceled = true;
    if (sm_state_of(c) != S::done)
        step(c, E::stop);
}
