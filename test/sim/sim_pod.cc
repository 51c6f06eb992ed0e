// SPDX-License-Identifier: MIT
// test/sim/sim_pod.cc: a container: an HTTP server that turns every byte b of an object into b xor 0x5a, correctly or not.
//
// Normal   POST and PUT: the object is the body (hpush). GET: it fetches the object from AIS_TARGET_URL (hrev, hpull).
// Fails    as faults of the area `pod` are drawn, for containers with hostile manners. A container may be set not to read every object: it
//          then takes the unread rest for a request, and answers that up to a second later, before any request that arrived meanwhile.
#include <algorithm>

#include "base/text.h"
#include "sim_http.h"
#include "sim_kube.h"

namespace etlnode {

struct pod_conn {
    sim_server *server = nullptr;
    net_conn *net = nullptr;
    sim_message request;
    std::string pending;        // bytes after the request
    sim_call *source = nullptr; // of a GET's object
    std::string out;
    size_t out_at = 0;
    enum class after : uint8_t { keep, unread, finish, reset, crash, oom, hang, endless } then = after::keep;
    sim_event *rest = nullptr;
    bool is_answering = false;
    uint64_t endless_left = 0;
};

struct sim_server {
    sim_pod *pod = nullptr;
    sim_host *host = nullptr;
    net_listener *listener = nullptr;
    std::vector<pod_conn *> conns;
    std::string previous;      // the last complete answer
    unsigned pushed = 0;       // number of objects
    sim_event *back = nullptr; // when it listens again
    sim_event *death = nullptr;
    bool is_dying = false;
};

static sim_world &world_of(const pod_conn &c) { return *c.server->host->sim; }

static void conn_free(pod_conn *c)
{
    env &e = c->server->host->e;
    if (c->source != nullptr)
        sim_call_cancel(c->source);
    if (c->rest != nullptr)
        sim_cancel(world_of(*c), c->rest);
    if (c->net != nullptr)
        net_close(e, c->net);
    std::erase(c->server->conns, c);
    delete c;
}

static void on_readable(void *arg);
static void on_accept(void *arg, net_conn *conn);

// --- answering

static std::string head_of(int status, const char *reason, bool is_old)
{
    return text_format("HTTP/1.%d %d %s\r\nContent-Type: application/x-sim\r\n", is_old ? 0 : 1, status, reason);
}

static std::string frame(const sim_manners &manners, int status, const std::string &body)
{
    std::string out = head_of(status, status == 200 ? "OK" : "Said So", manners.frames == sim_manners::framing::by_close);
    switch (manners.frames) {
    case sim_manners::framing::length: return out + text_format("Content-Length: %zu\r\n\r\n", body.size()) + body;
    case sim_manners::framing::chunked:
        out += "Transfer-Encoding: chunked\r\n\r\n";
        for (size_t at = 0; at < body.size(); at += 5'000)
            out += text_format("%zx\r\n", std::min<size_t>(5'000, body.size() - at)) + body.substr(at, 5'000) + "\r\n";
        return out + "0\r\n\r\n";
    case sim_manners::framing::by_close: return out + "\r\n" + body;
    }
    return out;
}

static void on_crash(void *arg)
{
    auto *server = static_cast<sim_server *>(arg);
    server->death = nullptr;
    sim_pod_crash(*server->pod, 1, "Error");
}

static void on_oom(void *arg)
{
    auto *server = static_cast<sim_server *>(arg);
    server->death = nullptr;
    sim_pod_crash(*server->pod, 137, "OOMKilled");
}

// The whole container ends, in an event of its own, so that none of its functions is on the stack.
static void die_soon(sim_server *server, clock_callback how)
{
    if (server->is_dying)
        return;
    server->is_dying = true;
    server->death = sim_after(*server->host->sim, nullptr, 1, how, server);
}

static void on_unread(void *arg);

static void write_on(void *arg)
{
    auto *c = static_cast<pod_conn *>(arg);
    env &e = c->server->host->e;
    for (;;) {
        if (c->out_at == c->out.size() && c->then == pod_conn::after::endless && c->endless_left > 0) {
            c->out.assign(16'384, 'e');
            c->out_at = 0;
            c->endless_left--;
        }
        if (c->out_at == c->out.size())
            break;
        iovec part{c->out.data() + c->out_at, c->out.size() - c->out_at};
        io_result result = net_write(e, c->net, {&part, 1});
        if (result.state == io_state::again) {
            if (!net_is_waiting(e, c->net, net_side::writable))
                net_wait(e, c->net, net_side::writable, write_on, c);
            return;
        }
        if (result.state != io_state::done) {
            conn_free(c);
            return;
        }
        c->out_at += result.count;
    }
    switch (c->then) {
    case pod_conn::after::keep: {
        c->is_answering = false;
        c->request = {};
        if (!net_is_waiting(e, c->net, net_side::readable))
            net_wait(e, c->net, net_side::readable, on_readable, c);
        break;
    }
    case pod_conn::after::unread:
        c->rest = sim_after(world_of(*c), c->server->host, 50 + c->server->pushed * 337'123ull % 900'000, on_unread, c);
        break;
    case pod_conn::after::reset:
        net_reset_on_close(e, c->net);
        conn_free(c);
        break;
    case pod_conn::after::finish: conn_free(c); break;
    case pod_conn::after::crash: die_soon(c->server, on_crash); break;
    case pod_conn::after::oom: die_soon(c->server, on_oom); break;
    case pod_conn::after::endless:
    case pod_conn::after::hang: break;
    }
}

static void send(pod_conn *c, std::string bytes, pod_conn::after then)
{
    c->is_answering = true;
    c->out = std::move(bytes);
    c->out_at = 0;
    c->then = then;
    write_on(c);
}

// The object was taken for a request.
static void on_unread(void *arg)
{
    auto *c = static_cast<pod_conn *>(arg);
    c->rest = nullptr;
    send(c, frame(c->server->pod->manners, 200, "the answer to an object"), pod_conn::after::keep);
}

static void on_listen_again(void *arg)
{
    auto *server = static_cast<sim_server *>(arg);
    server->back = nullptr;
    CHECK(!net_listen(server->host->e, server->pod->ip.c_str(), server->pod->port, on_accept, server, &server->listener));
}

static void stop_listening(sim_server *server)
{
    if (server->listener == nullptr || server->back != nullptr)
        return;
    net_listener_close(server->host->e, server->listener);
    server->listener = nullptr;
    server->back = sim_after(
        *server->host->sim, server->host, sim_between(*server->host->sim, 100'000, 8'000'000), on_listen_again, server);
}

// True if this answer has been spoilt.
static bool misbehave(pod_conn *c, const std::string &whole, const std::string &body)
{
    sim_server *server = c->server;
    sim_world &w = world_of(*c);
    bool by_close = server->pod->manners.frames == sim_manners::framing::by_close;
    if (!server->pod->manners.is_hostile || !w.faults_on || server->is_dying)
        return false;
    using after = pod_conn::after;
    auto part_of = [&] { return whole.substr(0, static_cast<size_t>(sim_between(w, 1, whole.size()))); };
    if (sim_hit(w, sim_fault::pod_hang))
        send(c, sim_chance(w, 500) ? "" : part_of().substr(0, 20), after::hang);
    else if (sim_hit(w, sim_fault::pod_crash_before_first_byte))
        die_soon(server, on_crash);
    else if (sim_hit(w, sim_fault::pod_crash_after_first_byte))
        send(c, part_of(), after::crash);
    else if (sim_hit(w, sim_fault::pod_killed_for_memory))
        send(c, part_of(), after::oom);
    else if (whole.size() > 1 && !by_close && sim_hit(w, sim_fault::pod_short_body))
        send(c, whole.substr(0, static_cast<size_t>(sim_between(w, 1, whole.size() - 1))),
            sim_chance(w, 500) ? after::finish : after::reset);
    else if (by_close && sim_hit(w, sim_fault::pod_short_body))
        send(c, part_of(), after::reset);
    else if (!by_close && sim_hit(w, sim_fault::pod_long_body))
        send(c, whole + "surplus", after::keep);
    else if (sim_hit(w, sim_fault::pod_wrong_length))
        send(c,
            sim_chance(w, 500) ? head_of(200, "OK", false) + "Content-Length: twelve\r\n\r\n" + body
                               : head_of(200, "OK", false) +
                                     text_format("Content-Length: %zu\r\nContent-Length: %zu\r\n\r\n", body.size(), body.size() + 1) + body,
            after::finish);
    else if (sim_hit(w, sim_fault::pod_garbage))
        send(c, std::string("\x01\x02 this is not HTTP\r\n\r\n", 23) + body, after::finish);
    else if (sim_hit(w, sim_fault::pod_informational_flood)) {
        std::string flood;
        for (int i = 0; i < 60; i++)
            flood += "HTTP/1.1 102 Processing\r\n\r\n";
        send(c, flood + whole, after::keep);
    } else if (sim_hit(w, sim_fault::pod_no_content))
        send(c, "HTTP/1.1 204 No Content\r\n\r\n", after::keep);
    else if (sim_hit(w, sim_fault::pod_redirect))
        send(c, "HTTP/1.1 302 Found\r\nLocation: http://10.9.9.9/\r\nContent-Length: 0\r\n\r\n", after::keep);
    else if (sim_hit(w, sim_fault::pod_header_bomb))
        send(c, head_of(200, "OK", false) + "X-Bomb: " + std::string(100'000, 'b') + "\r\n\r\n", after::finish);
    else if (sim_hit(w, sim_fault::pod_endless_body)) {
        c->endless_left = 64;
        send(c, head_of(200, "OK", true) + "\r\n", after::endless);
        c = nullptr;
    } else if (!by_close && !server->previous.empty() && sim_hit(w, sim_fault::pod_previous_answer))
        send(c, whole + server->previous, after::keep);
    else if (sim_hit(w, sim_fault::pod_error_status))
        send(c, frame(server->pod->manners, sim_chance(w, 500) ? 500 : 422, "the transform does not like it"),
            by_close ? after::finish : after::keep);
    else if (sim_hit(w, sim_fault::pod_refuse)) {
        stop_listening(server);
        return false;
    } else
        return false;
    return true;
}

static void answer(pod_conn *c, const std::string &object)
{
    std::string body = object;
    for (char &byte : body)
        byte = static_cast<char>(byte ^ 0x5a);
    const sim_manners &manners = c->server->pod->manners;
    std::string whole = frame(manners, 200, body);
    if (misbehave(c, whole, body))
        return;
    c->server->previous = whole;
    bool is_unread = manners.unread_every > 0 && c->request.first != "GET" && !object.empty() &&
                     ++c->server->pushed % manners.unread_every == 0;
    if (manners.frames == sim_manners::framing::by_close)
        send(c, std::move(whole), pod_conn::after::finish);
    else
        send(c, std::move(whole), is_unread ? pod_conn::after::unread : pod_conn::after::keep);
}

static void refuse(pod_conn *c, int status, const std::string &text)
{
    bool by_close = c->server->pod->manners.frames == sim_manners::framing::by_close;
    send(c, frame(c->server->pod->manners, status, text), by_close ? pod_conn::after::finish : pod_conn::after::keep);
}

static void on_source(void *arg, sim_call &call)
{
    auto *c = static_cast<pod_conn *>(arg);
    c->source = nullptr;
    bool is_whole = call.how == sim_call::ending::answered && call.got.size() == 1;
    if (is_whole && call.got[0].status() == 200)
        answer(c, call.got[0].body);
    else if (is_whole)
        refuse(c, call.got[0].status(), "the object could not be had: " + call.got[0].body);
    else
        refuse(c, 502, "the object could not be read");
}

static void begin(pod_conn *c)
{
    const sim_manners &manners = c->server->pod->manners;
    const std::string &method = c->request.first;
    if (method == "GET") {
        sim_call call;
        std::string base;
        if (!sim_url_split(c->server->pod->target_url, call.address, call.port, base)) {
            refuse(c, 500, "no AIS_TARGET_URL");
            return;
        }
        call.host = c->server->host;
        call.request = "GET " + base + c->request.second + " HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n";
        call.on_done = on_source;
        call.arg = c;
        call.timeout_us = 60'000'000;
        c->source = sim_call_start(call);
        return;
    }
    if ((method == "POST" && manners.only_put) || (method == "PUT" && manners.only_post)) {
        refuse(c, method == "POST" ? 405 : 501, "not this method");
        return;
    }
    answer(c, c->request.body);
}

static void on_thought(void *arg)
{
    auto *c = static_cast<pod_conn *>(arg);
    c->rest = nullptr;
    begin(c);
}

static void on_readable(void *arg)
{
    auto *c = static_cast<pod_conn *>(arg);
    env &e = c->server->host->e;
    char buffer[16 * 1024];
    while (!c->is_answering && c->rest == nullptr && c->source == nullptr) {
        if (!c->pending.empty()) {
            size_t used = sim_message_feed(c->request, c->pending);
            c->pending.erase(0, used);
        }
        if (c->request.at == sim_message::state::complete) {
            c->is_answering = true;
            c->rest = sim_after(world_of(*c), c->server->host, sim_between(world_of(*c), 50, 20'000), on_thought, c);
            return;
        }
        if (c->request.at == sim_message::state::broken) {
            conn_free(c);
            return;
        }
        io_result result = net_read(e, c->net, buffer, sizeof buffer);
        if (result.state == io_state::again) {
            net_wait(e, c->net, net_side::readable, on_readable, c);
            return;
        }
        if (result.state != io_state::done) {
            conn_free(c);
            return;
        }
        c->pending.append(buffer, result.count);
    }
}

static void on_accept(void *arg, net_conn *conn)
{
    auto *server = static_cast<sim_server *>(arg);
    auto *c = new pod_conn;
    c->server = server;
    c->net = conn;
    server->conns.push_back(c);
    net_wait(server->host->e, conn, net_side::readable, on_readable, c);
}

sim_server *sim_server_start(sim_pod &pod)
{
    sim_world &w = *pod.kube->world;
    auto *server = new sim_server;
    server->pod = &pod;
    server->host = sim_host_make(w, sim_host_kind::pod, "pod/" + pod.name, pod.ip, memory_empty());
    CHECK(!net_listen(server->host->e, pod.ip.c_str(), pod.port, on_accept, server, &server->listener));
    return server;
}

void sim_server_end(sim_server *server, bool with_fin)
{
    env &e = server->host->e;
    for (sim_event *event : {server->back, server->death}) {
        if (event != nullptr)
            sim_cancel(*server->host->sim, event);
    }
    while (!server->conns.empty()) {
        pod_conn *c = server->conns.back();
        if (!with_fin)
            net_reset_on_close(e, c->net);
        conn_free(c);
    }
    if (server->listener != nullptr)
        net_listener_close(e, server->listener);
    sim_host_free(server->host);
    delete server;
}

} // namespace etlnode
