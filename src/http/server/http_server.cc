// SPDX-License-Identifier: MIT
// http/server/http_server.cc: a listener, the list of its connections, drain and stop.
//
// Owns     every exchange, from accept to the post that follows its end.
// Limits   connections_max: a connection beyond it is answered with 503 and closed. Up to connections_extra_max of those stay until the
//          client has read the answer, because closing a socket with an unread request discards the answer.
#include "base/limits.h"
#include "http/server/conn_machine.h"

namespace etlnode {

using S = exchange::state;
using E = exchange::event;

void exchange_delete(void *arg)
{
    exchange *x = static_cast<exchange *>(arg);
    http_server *server = x->server;
    timer_free(*x->e, x->deadline_timer);
    if (x->previous != nullptr)
        x->previous->next = x->next;
    else
        server->first = x->next;
    if (x->next != nullptr)
        x->next->previous = x->previous;
    server->open--;
    server->extra -= x->is_extra ? 1 : 0;
    delete x;
    server->counts.connections = server->open;
    if (server->stopped && server->open == 0)
        delete server;
}

static void on_accept(void *arg, net_conn *conn)
{
    http_server &server = *static_cast<http_server *>(arg);
    server.counts.accepted++;
    bool is_extra = server.open - server.extra >= server.options.connections_max;
    server.counts.refused += is_extra ? 1 : 0;
    if (is_extra && server.extra >= connections_extra_max) {
        static constexpr std::string_view busy =
            "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        iovec part = {const_cast<char *>(busy.data()), busy.size()};
        io_result ignored = net_write(*server.e, conn, {&part, 1});
        (void)ignored;
        net_close(*server.e, conn);
        return;
    }
    exchange *x = new exchange;
    x->sm.id = server.next_id++;
    x->e = server.e;
    x->server = &server;
    x->net = conn;
    x->deadline_timer = timer_make(*server.e, exchange_on_timer, x);
    x->next = server.first;
    if (server.first != nullptr)
        server.first->previous = x;
    server.first = x;
    server.open++;
    server.counts.connections = server.open;
    if (!is_extra) {
        exchange_step(*x, E::starved);
        return;
    }
    x->is_extra = true;
    server.extra++;
    x->body_error = make_error(error_code::overloaded, "too many connections");
    exchange_step(*x, E::head_refused);
}

error http_server_start(env &e, const http_server_options &options, const char *host, uint16_t port, http_server **out_server)
{
    http_server *server = new http_server;
    server->e = &e;
    server->options = options;
    error err = net_listen(e, host, port, on_accept, server, &server->listener, options.reach);
    if (err) {
        delete server;
        return err;
    }
    *out_server = server;
    return no_error;
}

uint16_t http_server_port(http_server &server) { return net_listener_port(*server.e, server.listener); }
const http_server_counts &http_server_count(const http_server &server) { return server.counts; }

void http_server_drain(http_server &server)
{
    if (server.draining)
        return;
    server.draining = true;
    server.in_flight.on_none = server.options.on_idle;
    server.in_flight.arg = server.options.arg;
    net_listener_close(*server.e, server.listener);
    server.listener = nullptr;
    exchange *next = nullptr;
    for (exchange *x = server.first; x != nullptr; x = next) {
        next = x->next;
        if (sm_state_of(*x) == S::awaiting_head && !exchange_has_input(*x))
            exchange_step(*x, E::stop);
    }
}

size_t http_server_in_flight(const http_server &server) { return server.in_flight.count; }

static void delete_server(void *arg)
{
    http_server *server = static_cast<http_server *>(arg);
    if (server->open == 0)
        delete server;
    else
        server->stopped = true;
}

void http_server_stop(http_server &server)
{
    server.draining = true;
    server.in_flight.on_none = nullptr;
    if (server.listener != nullptr)
        net_listener_close(*server.e, server.listener);
    server.listener = nullptr;
    exchange *next = nullptr;
    for (exchange *x = server.first; x != nullptr; x = next) {
        next = x->next;
        if (sm_state_of(*x) != S::closed)
            exchange_step(*x, E::stop);
    }
    clock_post(*server.e, delete_server, &server);
}

} // namespace etlnode
