// SPDX-License-Identifier: MIT
// test/unit/http/scripted_server.h: a server of raw bytes, and calls to it.
#pragma once

#include "http_world.h"

namespace etlnode {

// Answers the requests of every connection with `script`, then does what `then` says.
enum class after : uint8_t { keep, close, reset };
struct scripted_server {
    http_world *w = nullptr;
    net_listener *listener = nullptr;
    uint16_t port = 0;
    std::string script;
    after then = after::close;
    std::string late; // sent later by that much, on the same connection
    uint64_t late_ms = 0;
    std::string drip; // then sent byte by byte, repeatedly, one byte every drip_ms
    uint64_t drip_ms = 0;
    size_t body_size = 0; // read before the answer
    int connections = 0;
    int requests = 0;
    std::string head; // of the last request
    struct scripted_conn *conns[64] = {};
};
struct scripted_conn {
    scripted_server *s = nullptr;
    net_conn *conn = nullptr;
    int slot = 0;
    std::string got;
    timer *deadline_timer = nullptr;
    size_t dripped = 0;
};

inline void script_write(scripted_conn &c, std::string_view bytes)
{
    iovec part = {const_cast<char *>(bytes.data()), bytes.size()};
    if (part.iov_len > 0)
        (void)net_write(*c.s->w->e, c.conn, {&part, 1});
}

inline void script_end(scripted_conn *c)
{
    net_close(*c->s->w->e, c->conn);
    timer_free(*c->s->w->e, c->deadline_timer);
    c->s->conns[c->slot] = nullptr;
    delete c;
}

inline void script_timer(void *arg)
{
    scripted_conn &c = *static_cast<scripted_conn *>(arg);
    if (c.s->drip_ms == 0) {
        script_write(c, c.s->late);
        return;
    }
    script_write(c, std::string_view(c.s->drip).substr(c.dripped++ % c.s->drip.size(), 1));
    timer_arm(*c.s->w->e, c.deadline_timer, c.s->drip_ms);
}

inline void script_readable(void *arg)
{
    scripted_conn *c = static_cast<scripted_conn *>(arg);
    scripted_server &s = *c->s;
    char buffer[65536];
    for (;;) {
        io_result r = net_read(*s.w->e, c->conn, buffer, sizeof buffer);
        if (r.state == io_state::again) {
            net_wait(*s.w->e, c->conn, net_side::readable, script_readable, c);
            return;
        }
        if (r.state != io_state::done) {
            script_end(c);
            return;
        }
        c->got.append(buffer, r.count);
        size_t end = c->got.find("\r\n\r\n");
        if (end == std::string::npos || c->got.size() < end + 4 + s.body_size)
            continue;
        s.head = c->got.substr(0, end + 4);
        c->got.clear();
        s.requests++;
        script_write(*c, s.script);
        if (s.late_ms + s.drip_ms > 0)
            timer_arm(*s.w->e, c->deadline_timer, s.late_ms + s.drip_ms);
        if (s.then == after::keep)
            continue;
        if (s.then == after::reset)
            net_reset_on_close(*s.w->e, c->conn);
        script_end(c);
        return;
    }
}

inline void script_accept(void *arg, net_conn *conn)
{
    scripted_server &s = *static_cast<scripted_server *>(arg);
    int slot = s.connections++ % 64;
    test_true(s.conns[slot] == nullptr);
    scripted_conn *c = new scripted_conn{&s, conn, slot, {}, nullptr, 0};
    c->deadline_timer = timer_make(*s.w->e, script_timer, c);
    s.conns[slot] = c;
    net_wait(*s.w->e, conn, net_side::readable, script_readable, c);
}

inline void script_start(http_world &w, scripted_server &s)
{
    s.w = &w;
    test_ok(net_listen(*w.e, "127.0.0.1", 0, script_accept, &s, &s.listener));
    s.port = net_listener_port(*w.e, s.listener);
}

inline void script_stop(scripted_server &s)
{
    net_listener_close(*s.w->e, s.listener);
    for (scripted_conn *c : s.conns) {
        if (c != nullptr)
            script_end(c);
    }
}

struct outcome {
    bool done = false;
    error err;
    int status = 0;
    std::string body;
};
inline void keep_outcome(void *arg, call &, error err, int status, std::string body)
{
    outcome &o = *static_cast<outcome *>(arg);
    o = {true, err, status, std::move(body)};
}

// `instance` empty: the server is another node; otherwise a pod. `body`: pushed.
inline void begin_call(
    http_world &w, scripted_server &s, outcome &o, uint64_t timeout_ms = 5'000, std::string instance = {}, std::string body = {})
{
    o = outcome{};
    call_options options;
    options.host = "127.0.0.1";
    options.port = s.port;
    options.instance = std::move(instance);
    options.method = body.empty() ? "GET" : "POST";
    options.body = std::move(body);
    options.answer_size_max = 1 << 20;
    options.progress_timeout_ms = timeout_ms;
    options.on_done = keep_outcome;
    options.arg = &o;
    call_start(*w.client, std::move(options));
}

inline void run_call(
    http_world &w, scripted_server &s, outcome &o, uint64_t timeout_ms = 5'000, std::string instance = {}, std::string body = {})
{
    begin_call(w, s, o, timeout_ms, std::move(instance), std::move(body));
    test_true(world_until(w, [&] { return o.done; }));
}

} // namespace etlnode
