// SPDX-License-Identifier: MIT
// test/unit/http/http_world.h: a server on loopback with scripted handlers, and a raw client: bytes in, bytes out.
#pragma once

#include <string>

#include "http/client/call.h"
#include "http/server/exchange.h"
#include "port/clock.h"
#include "sm/sm.h"
#include "uv/uv_env.h"

#include "golden.h"
#include "node_test.h"

namespace etlnode {

struct raw_client {
    env *e = nullptr;
    net_conn *conn = nullptr;
    net_connect_call *connecting = nullptr;
    std::string got;
    bool ended = false;
    bool failed = false;
    bool paused = false;
};

struct http_world {
    env *e = nullptr;
    http_server *server = nullptr;
    http_client *client = nullptr;
    uint16_t port = 0;
    void (*handler)(http_world &w, exchange &x) = nullptr;
    std::string note; // for handlers
    int count = 0;
    exchange *held = nullptr;
    void *any = nullptr;
};

inline void raw_readable(void *arg)
{
    raw_client &c = *static_cast<raw_client *>(arg);
    char buffer[65536];
    for (;;) {
        io_result r = net_read(*c.e, c.conn, buffer, sizeof buffer);
        if (r.state == io_state::done) {
            c.got.append(buffer, r.count);
            continue;
        }
        if (r.state == io_state::again) {
            net_wait(*c.e, c.conn, net_side::readable, raw_readable, &c);
            return;
        }
        c.ended = r.state == io_state::end;
        c.failed = r.state == io_state::failed;
        return;
    }
}

inline void raw_connected(void *arg, error err, net_conn *conn)
{
    raw_client &c = *static_cast<raw_client *>(arg);
    c.connecting = nullptr;
    if (err) {
        c.failed = true;
        return;
    }
    c.conn = conn;
    if (!c.paused)
        net_wait(*c.e, conn, net_side::readable, raw_readable, &c);
}

template <class Condition> bool world_until(http_world &w, Condition condition, uint64_t limit_ms = 10'000)
{
    uint64_t waited = 0;
    while (!condition()) {
        if (waited > limit_ms)
            return false;
        uv_env_poll(*w.e, 5);
        waited += 5;
    }
    return true;
}

inline void raw_open(http_world &w, raw_client &c)
{
    c.e = w.e;
    test_ok(net_connect(*w.e, "127.0.0.1", w.port, raw_connected, &c, &c.connecting));
    test_true(world_until(w, [&] { return c.conn != nullptr || c.failed; }));
}

inline void raw_send(raw_client &c, std::string_view bytes)
{
    while (!bytes.empty()) {
        iovec part = {const_cast<char *>(bytes.data()), bytes.size()};
        io_result r = net_write(*c.e, c.conn, {&part, 1});
        if (r.state == io_state::again) {
            uv_env_poll(*c.e, 5);
            continue;
        }
        if (r.state != io_state::done)
            return; // the server has closed; only what it said before counts
        bytes.remove_prefix(r.count);
    }
}

inline void raw_close(raw_client &c)
{
    if (c.conn != nullptr)
        net_close(*c.e, c.conn);
    c.conn = nullptr;
}

inline void world_on_request(void *arg, exchange &x)
{
    http_world &w = *static_cast<http_world *>(arg);
    w.count++;
    w.handler(w, x);
}

// --- golden traces: test/golden/traces/<machine>.md has a section for every title; UPDATE=1 rewrites it

struct trace_lines {
    const char *machine;
    std::string text;
};

// Omits times, transitions that repeat (bytes arrive in as many pieces as the kernel likes), and transitions to the same state.
inline void add_trace_line(void *arg, const sm_trace_entry &entry)
{
    trace_lines &lines = *static_cast<trace_lines *>(arg);
    if (std::string_view(entry.machine) != lines.machine || entry.to == nullptr || std::string_view(entry.from) == entry.to)
        return;
    std::string line = sm_trace_text(entry);
    lines.text += line.substr(line.find(' ') + 1) + "\n";
}

inline void world_check_trace(const char *machine, const std::string &title)
{
    trace_lines lines{machine, {}};
    sm_trace_each(add_trace_line, &lines);
    std::string path = std::string("test/golden/traces/") + machine + ".md";
    std::string page = golden_read(path);
    std::string heading = "## " + title + "\n";
    std::string wanted = heading + "\n```\n" + lines.text + "```\n";
    size_t at = page.find(heading);
    size_t end = at == std::string::npos ? at : page.find("```\n", page.find("```\n", at) + 4) + 4;
    std::string found = at == std::string::npos ? "" : page.substr(at, end - at);
    if (found == wanted)
        return;
    if (!golden_is_updating()) {
        test_eq_text(wanted, found);
        return;
    }
    if (page.empty())
        page = std::string("# Traces of the ") + machine +
               " machine\n\nWhat real connections on loopback make of it; `UPDATE=1` with the tests of `http` rewrites the blocks.\n";
    if (at == std::string::npos)
        page += "\n" + wanted;
    else
        page.replace(at, end - at, wanted);
    golden_write(path, page);
}

inline int world_set_up(void **state)
{
    sm_trace_clear();
    http_world *w = new http_world;
    uv_env_options options;
    options.seed = 7;
    std::string detail;
    if (uv_env_make(options, &w->e, detail))
        return -1;
    http_server_options server;
    server.node_id = "t1234567";
    server.on_request = world_on_request;
    server.arg = w;
    if (http_server_start(*w->e, server, "127.0.0.1", 0, &w->server))
        return -1;
    w->port = http_server_port(*w->server);
    w->client = http_client_make(*w->e, http_client_options{});
    sm_set_strict(true);
    *state = w;
    return 0;
}

inline int world_tear_down(void **state)
{
    http_world *w = static_cast<http_world *>(*state);
    http_server_stop(*w->server);
    uv_env_poll(*w->e, 5);
    http_client_free(w->client);
    uv_env_poll(*w->e, 5);
    error err = uv_env_free(w->e);
    delete w;
    return err ? -1 : 0;
}

} // namespace etlnode
