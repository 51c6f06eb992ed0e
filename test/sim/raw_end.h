// SPDX-License-Identifier: MIT
// test/sim/raw_end.h: one end of a connection of the simulated network under a test's hand: bytes go out when it says so, are read or left
// lying, and the end closes, resets or finishes sending.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "scripted_node.h"

namespace etlnode {

struct raw_end {
    sim_host *host = nullptr;
    net_connect_call *connecting = nullptr;
    net_conn *net = nullptr;
    bool reads = true; // false: what comes is left lying
    std::string got;
    bool has_ended = false, has_failed = false; // the other end has finished; the connection broke, or there was none
};

inline void raw_readable(void *arg)
{
    auto &end = *static_cast<raw_end *>(arg);
    char buffer[16 * 1024];
    while (end.reads) {
        io_result result = net_read(end.host->e, end.net, buffer, sizeof buffer);
        if (result.state == io_state::again) {
            net_wait(end.host->e, end.net, net_side::readable, raw_readable, &end);
            return;
        }
        if (result.state != io_state::done) {
            end.has_ended = result.state == io_state::end;
            end.has_failed = result.state == io_state::failed;
            return;
        }
        end.got.append(buffer, result.count);
    }
}

inline void raw_take(raw_end &end, net_conn *conn)
{
    end.net = conn;
    net_wait(end.host->e, conn, net_side::readable, raw_readable, &end);
}

inline void raw_connected(void *arg, error err, net_conn *conn)
{
    auto &end = *static_cast<raw_end *>(arg);
    end.connecting = nullptr;
    end.has_failed = static_cast<bool>(err);
    if (conn != nullptr)
        raw_take(end, conn);
}

// Lifetime of `end`: until raw_close.
inline void raw_open(raw_end &end, sim_host &host, const std::string &address, uint16_t port, bool reads = true)
{
    end = {};
    end.host = &host;
    end.reads = reads;
    test_ok(net_connect(host.e, address.c_str(), port, raw_connected, &end, &end.connecting));
    test_true(scripted_until(*host.sim, [&] { return end.connecting == nullptr; }));
}

// Small texts only: the window takes them whole, in as many pieces as the network likes.
inline void raw_send(raw_end &end, std::string_view bytes)
{
    while (!bytes.empty()) {
        iovec part{const_cast<char *>(bytes.data()), bytes.size()};
        io_result result = net_write(end.host->e, end.net, {&part, 1});
        test_true(result.state == io_state::done);
        bytes.remove_prefix(result.count);
    }
}

inline void raw_read_on(raw_end &end)
{
    end.reads = true;
    raw_readable(&end);
}

inline void raw_close(raw_end &end, bool with_reset = false)
{
    if (end.net == nullptr)
        return;
    if (with_reset)
        net_reset_on_close(end.host->e, end.net);
    net_close(end.host->e, end.net);
    end.net = nullptr;
}

// --- whoever connects, becomes an end

struct raw_listener {
    sim_host *host = nullptr;
    net_listener *listener = nullptr;
    std::vector<raw_end *> ends; // in order
};

inline void raw_accept(void *arg, net_conn *conn)
{
    auto &l = *static_cast<raw_listener *>(arg);
    l.ends.push_back(new raw_end);
    l.ends.back()->host = l.host;
    raw_take(*l.ends.back(), conn);
}

inline void raw_listen(raw_listener &l, sim_host &host, uint16_t port = 8080)
{
    l.host = &host;
    test_ok(net_listen(host.e, host.address.c_str(), port, raw_accept, &l, &l.listener));
}

inline void raw_listener_close(raw_listener &l)
{
    if (l.listener != nullptr)
        net_listener_close(l.host->e, l.listener);
    l.listener = nullptr;
    for (raw_end *end : l.ends) {
        raw_close(*end);
        delete end;
    }
    l.ends.clear();
}

} // namespace etlnode
