// SPDX-License-Identifier: MIT
// test/sim/sim_net.cc: TCP between hosts, as port/net.h describes it. What is under way between two ends is in sim_link.cc.
//
// Normal   a write takes what the peer's window has room for, which arrives later. close sends FIN after it, or RST if bytes were unread.
// Fails    by faults of the area `link`.
// Limits   sim_window_max for each direction, drawn for each connection.
#include <cstring>

#include "base/limits.h"
#include "sim_kube.h"
#include "sim_link.h"

namespace etlnode {

struct net_listener {
    sim_host *host = nullptr;
    std::string address;
    uint16_t port = 0;
    net_on_accept on_accept = nullptr;
    void *arg = nullptr;
    bool paused = false;
    std::vector<net_conn *> backlog;
    sim_event *event = nullptr;
};

struct net_connect_call {
    sim_host *host = nullptr;
    std::string address;
    uint16_t port = 0;
    net_on_connect on_connect = nullptr;
    void *arg = nullptr;
    sim_event *event = nullptr;
    net_conn *conn = nullptr; // connected, not delivered yet
    error err;
};

struct net_relay {
    sim_host *host = nullptr;
    std::string bytes;
    size_t at = 0;
    size_t capacity = 0;
};

// --- connecting

static net_conn *new_end(sim_link *link, int end, sim_host *host, std::string peer_name)
{
    auto *c = new net_conn;
    c->host = host;
    c->link = link;
    c->end = end;
    c->peer_name = std::move(peer_name);
    link->ends[end] = c;
    link->references++;
    host->conns.push_back(c);
    return c;
}

static net_listener *find_listener(sim_world &w, const std::string &address, uint16_t port)
{
    for (sim_host *host : w.hosts) {
        if (host->is_orphan || host->address != address)
            continue;
        for (net_listener *l : host->listeners) {
            if (l->port == port)
                return l;
        }
    }
    return nullptr;
}

static bool has_host(sim_world &w, const std::string &address)
{
    for (sim_host *host : w.hosts) {
        if (!host->is_orphan && host->address == address)
            return true;
    }
    return false;
}

static void on_accept_event(void *arg)
{
    auto *l = static_cast<net_listener *>(arg);
    l->event = nullptr;
    sim_world &w = *l->host->sim;
    if (l->paused || l->backlog.empty())
        return;
    if (l->host->no_descriptors_until_us > w.now_us) { // like the real one, it tries again
        l->event = sim_after(w, l->host, 100'000, on_accept_event, l);
        return;
    }
    net_conn *conn = l->backlog.front();
    l->backlog.erase(l->backlog.begin());
    if (!l->backlog.empty())
        l->event = sim_after(w, l->host, 5, on_accept_event, l);
    l->on_accept(l->arg, conn);
}

static void draw_link_faults(sim_link *link)
{
    sim_world &w = *link->world;
    for (sim_way &way : link->ways) {
        way.window = sim_chance(w, 200) ? static_cast<size_t>(sim_between(w, 256, 8 * 1024))
                                        : static_cast<size_t>(sim_between(w, 16 * 1024, sim_window_max));
        if (sim_hit(w, sim_fault::link_reset_at_byte))
            way.reset_at = sim_chance(w, 500) ? sim_between(w, 1, 600) : sim_between(w, 1, 100'000);
        if (sim_hit(w, sim_fault::link_black_hole))
            way.held_until_us = w.now_us + sim_between(w, 1'000'000, 90'000'000);
        if (sim_hit(w, sim_fault::link_slow_drip))
            way.is_dripping = true;
    }
}

static void on_connect_event(void *arg)
{
    auto *call = static_cast<net_connect_call *>(arg);
    call->event = nullptr;
    sim_host *host = call->host;
    sim_world &w = *host->sim;
    if (call->conn == nullptr && !call->err) {
        std::string address = call->address;
        uint16_t port = call->port;
        if (w.kube != nullptr)
            sim_kube_route(*w.kube, address, port);
        net_listener *l = find_listener(w, address, port);
        if (l == nullptr && !host->is_orphan && !has_host(w, address)) { // no machine answers; the caller has a timer
            call->event = sim_after(w, host, 130'000'000, on_connect_event, call);
            return;
        }
        if (l == nullptr || host->is_orphan) {
            call->err = make_error(error_code::refused);
        } else {
            auto *link = new sim_link;
            link->world = &w;
            link->id = w.next_id++;
            link->from = host->name;
            link->to = l->host->name;
            w.links.push_back(link);
            call->conn = new_end(link, 0, host, call->address + ":" + std::to_string(call->port));
            net_conn *accepted = new_end(link, 1, l->host, host->address + ":" + std::to_string(host->next_port++));
            draw_link_faults(link);
            if (auto held = w.held_pairs.find(std::minmax(link->from, link->to)); held != w.held_pairs.end())
                link->ways[0].held_until_us = link->ways[1].held_until_us = held->second;
            for (size_t i = 0; i < 2; i++) {
                if (auto held = w.held_calls[i].find({link->from, link->to}); held != w.held_calls[i].end())
                    link->ways[i].held_until_us = std::max(link->ways[i].held_until_us, held->second);
            }
            l->backlog.push_back(accepted);
            if (l->event == nullptr && !l->paused)
                l->event = sim_after(w, l->host, sim_latency(w), on_accept_event, l);
        }
    }
    net_conn *conn = call->conn;
    error err = call->err;
    net_on_connect on_connect = call->on_connect;
    void *call_arg = call->arg;
    std::erase(host->connects, call);
    delete call;
    on_connect(call_arg, err, conn);
}

static error net_connect_start(
    env &e, const char *host_name, uint16_t port, net_reach, net_on_connect on_connect, void *arg, net_connect_call **out_call)
{
    sim_host &host = sim_host_of(e);
    sim_world &w = *host.sim;
    *out_call = nullptr;
    if (host_name == nullptr || *host_name == '\0' || port == 0)
        return make_error(error_code::invalid_argument, "no address to connect to");
    auto *call = new net_connect_call;
    call->host = &host;
    call->address = std::string_view(host_name) == "localhost" ? "127.0.0.1" : host_name;
    call->port = port;
    call->on_connect = on_connect;
    call->arg = arg;
    if (host.kind != sim_host_kind::client && host.kind != sim_host_kind::pod && sim_hit(w, sim_fault::link_descriptors))
        host.no_descriptors_until_us = w.now_us + sim_between(w, 100'000, 2'000'000);
    if (host.no_descriptors_until_us > w.now_us)
        call->err = make_error(error_code::too_many_files);
    uint64_t delay = sim_latency(w);
    if (sim_chance(w, 15) && sim_hit(w, sim_fault::link_drop))
        delay += 1'000'000;
    host.connects.push_back(call);
    call->event = sim_after(w, &host, delay, on_connect_event, call);
    *out_call = call;
    return no_error;
}

static void net_close_conn(net_conn *c);

static void net_connect_stop(net_connect_call *call)
{
    if (call->event != nullptr)
        sim_cancel(*call->host->sim, call->event);
    if (call->conn != nullptr)
        net_close_conn(call->conn);
    std::erase(call->host->connects, call);
    delete call;
}

// --- listening

static error net_listen_start(
    env &e, const char *address, uint16_t port, net_reach, net_on_accept on_accept, void *arg, net_listener **out_listener)
{
    sim_host &host = sim_host_of(e);
    *out_listener = nullptr;
    if (std::string_view(address).find_first_not_of("0123456789.") != std::string_view::npos)
        return make_error(error_code::invalid_argument, "not a numeric address");
    if (host.is_orphan || host.address != address)
        return make_error(error_code::unreachable, "the address is not one of this machine");
    if (port == 0)
        port = host.next_port++;
    if (find_listener(*host.sim, address, port) != nullptr)
        return make_error(error_code::in_use, "the port is in use by another process");
    auto *l = new net_listener;
    l->host = &host;
    l->address = address;
    l->port = port;
    l->on_accept = on_accept;
    l->arg = arg;
    host.listeners.push_back(l);
    *out_listener = l;
    return no_error;
}

static void net_listener_set_paused(net_listener *l, bool paused)
{
    l->paused = paused;
    if (!paused && !l->backlog.empty() && l->event == nullptr)
        l->event = sim_after(*l->host->sim, l->host, 1, on_accept_event, l);
}

static void empty_backlog(net_listener *l)
{
    while (!l->backlog.empty()) {
        net_conn *c = l->backlog.back();
        l->backlog.pop_back();
        c->resets = true;
        net_close_conn(c);
    }
}

static void net_listener_end(net_listener *l)
{
    if (l->event != nullptr)
        sim_cancel(*l->host->sim, l->event);
    empty_backlog(l);
    std::erase(l->host->listeners, l);
    delete l;
}

// --- connections

static io_result conn_failed(net_conn &) { return {io_state::failed, 0, make_error(error_code::reset)}; }

static size_t some_of(sim_world &w, size_t size)
{
    return size > 1 && sim_chance(w, 150) ? static_cast<size_t>(sim_between(w, 1, size)) : size;
}

// The peer's writer may continue.
static void window_opened(net_conn &c)
{
    if (net_conn *peer = sim_conn_peer(c))
        sim_conn_wake(*peer, sim_latency(sim_conn_world(c)));
}

static io_result net_read_some(net_conn *c, void *buffer, size_t size)
{
    CHECK(size > 0);
    if (sim_conn_unread(*c) > 0) {
        size_t count = std::min(some_of(sim_conn_world(*c), size), sim_conn_unread(*c));
        std::memcpy(buffer, c->in.data() + c->in_at, count);
        c->in_at += count;
        window_opened(*c);
        return {io_state::done, count, no_error};
    }
    if (c->fin_in && (!c->rst_in || c->peer_finished)) {
        c->peer_finished = true;
        return {io_state::end, 0, no_error};
    }
    if (c->rst_in)
        return conn_failed(*c);
    return {io_state::again, 0, no_error};
}

// Copies no more than the window takes: a sender may offer all of a large body each time.
static io_result send_parts(net_conn &c, std::span<const iovec> parts, size_t size)
{
    sim_way &way = sim_conn_way_out(c);
    CHECK(!way.fin_sent);
    if (c.rst_in)
        return conn_failed(c);
    size_t count = std::min(some_of(sim_conn_world(c), size), sim_conn_window_left(c));
    if (count == 0)
        return {io_state::again, 0, no_error};
    size_t left = count;
    for (const iovec &part : parts) {
        size_t taken = std::min(left, part.iov_len);
        way.flying.append(static_cast<const char *>(part.iov_base), taken);
        left -= taken;
    }
    size_t piece = way.is_dripping ? 1 + count / 8 : count;
    for (size_t sent = 0; sent < count; sent += piece)
        sim_link_send(c.link, c.end, sim_segment::kind::data, std::min(piece, count - sent));
    return {io_state::done, count, no_error};
}

static io_result send_bytes(net_conn &c, std::string_view bytes)
{
    iovec part{const_cast<char *>(bytes.data()), bytes.size()};
    return send_parts(c, {&part, 1}, bytes.size());
}

static io_result net_write_some(net_conn *c, std::span<const iovec> parts, bool)
{
    CHECK(parts.size() <= 16);
    size_t size = 0;
    for (const iovec &part : parts)
        size += part.iov_len;
    return size > 0 ? send_parts(*c, parts, size) : io_result{io_state::done, 0, no_error};
}

static io_result net_send_file_some(net_conn *c, disk_file *file, uint64_t offset, size_t size)
{
    if (size == 0)
        return {io_state::done, 0, no_error};
    sim_host &host = *c->host;
    if (sim_chance(*host.sim, 20) && sim_hit(*host.sim, sim_fault::disk_io_error))
        return {io_state::failed, 0, make_error(error_code::io, "injected")};
    const std::string &data = host.now.nodes[file->node].data;
    if (offset >= data.size())
        return {io_state::failed, 0, make_error(error_code::end_of_stream, "the file is shorter than expected")};
    size = static_cast<size_t>(
        std::min<uint64_t>(std::min<uint64_t>(size, content_block_size - offset % content_block_size), data.size() - offset));
    // The disk returns a bit that differs from what was written. Only the check protects the client from it.
    if (sim_chance(*host.sim, 20) && sim_hit(*host.sim, sim_fault::disk_bit_flip)) {
        std::string damaged = data;
        damaged[static_cast<size_t>(offset) + sim_between(*host.sim, 0, size - 1)] ^= static_cast<char>(1 << sim_between(*host.sim, 0, 7));
        if (!memory_check(*file, damaged, offset))
            return {io_state::failed, 0, make_error(error_code::corrupt)};
        return send_bytes(*c, std::string_view(damaged).substr(static_cast<size_t>(offset), size));
    }
    if (!memory_check(*file, data, offset))
        return {io_state::failed, 0, make_error(error_code::corrupt)};
    return send_bytes(*c, std::string_view(data).substr(static_cast<size_t>(offset), size));
}

static void net_wait_side(net_conn *c, net_side side, net_on_ready on_ready, void *arg)
{
    auto &s = c->sides[static_cast<size_t>(side)];
    CHECK(s.on_ready == nullptr);
    CHECK(on_ready != nullptr);
    s.on_ready = on_ready;
    s.arg = arg;
    sim_conn_wake(*c, 0);
}

static void net_wait_stop(net_conn *c, net_side side) { c->sides[static_cast<size_t>(side)].on_ready = nullptr; }
static bool net_waits(const net_conn *c, net_side side) { return c->sides[static_cast<size_t>(side)].on_ready != nullptr; }

static void net_finish(net_conn *c)
{
    sim_way &way = sim_conn_way_out(*c);
    if (way.fin_sent || c->rst_in)
        return;
    way.fin_sent = true;
    sim_link_send(c->link, c->end, sim_segment::kind::fin, 0);
}

static void net_close_conn(net_conn *c)
{
    sim_world &w = sim_conn_world(*c);
    for (auto &side : c->sides) {
        if (side.event != nullptr)
            sim_cancel(w, side.event);
    }
    if (!c->rst_in) {
        if (c->resets || sim_conn_unread(*c) > 0)
            sim_link_send(c->link, c->end, sim_segment::kind::rst, 0);
        else
            net_finish(c);
    }
    c->link->ends[c->end] = nullptr;
    std::erase(c->host->conns, c);
    sim_link *link = c->link;
    delete c;
    sim_link_release(link);
}

static bool net_looks_unread(net_conn *c, bool *out_end)
{
    *out_end = c->rst_in || (sim_conn_unread(*c) == 0 && c->fin_in);
    return sim_conn_unread(*c) > 0;
}

// --- relays

static net_relay *net_relay_new(env &e)
{
    sim_host &host = sim_host_of(e);
    host.relays++;
    auto *r = new net_relay;
    r->host = &host;
    r->capacity = static_cast<size_t>(sim_between(*host.sim, 1'000, 256 * 1024));
    return r;
}

static io_result net_relay_take(net_relay *r, net_conn *from, size_t max)
{
    CHECK(max > 0);
    if (r->at == r->bytes.size()) {
        r->bytes.clear();
        r->at = 0;
    }
    size_t room = r->capacity - std::min(r->capacity, r->bytes.size() - r->at);
    if (room == 0)
        return {io_state::again, 0, no_error};
    std::string buffer(std::min(max, room), '\0');
    io_result result = net_read_some(from, buffer.data(), buffer.size());
    if (result.state == io_state::done)
        r->bytes.append(buffer, 0, result.count);
    return result;
}

static io_result net_relay_give(net_relay *r, net_conn *to, bool)
{
    if (r->at == r->bytes.size())
        return {io_state::done, 0, no_error};
    io_result result = send_bytes(*to, std::string_view(r->bytes).substr(r->at));
    if (result.state == io_state::done)
        r->at += result.count;
    return result;
}

static void net_relay_end(net_relay *r)
{
    r->host->relays--;
    delete r;
}

const net_port sim_net_port = {
    .listen = net_listen_start,
    .listener_port = [](const net_listener *l) { return l->port; },
    .listener_pause = net_listener_set_paused,
    .listener_close = net_listener_end,
    .connect = net_connect_start,
    .connect_cancel = net_connect_stop,
    .read = net_read_some,
    .write = net_write_some,
    .send_file = net_send_file_some,
    .wait = net_wait_side,
    .wait_cancel = net_wait_stop,
    .is_waiting = net_waits,
    .half_close = net_finish,
    .reset_on_close = [](net_conn *c) { c->resets = true; },
    .close = net_close_conn,
    .peer = [](const net_conn *c) { return c->peer_name; },
    .has_unread = net_looks_unread,
    .relay_make = net_relay_new,
    .relay_fill = net_relay_take,
    .relay_flush = net_relay_give,
    .relay_pending = [](const net_relay *r) { return r->bytes.size() - r->at; },
    .relay_free = net_relay_end,
};

size_t sim_net_open_conns(const sim_host &host) { return host.conns.size(); }

void sim_net_cut_off(sim_host *host, bool silently)
{
    sim_world &w = *host->sim;
    for (net_listener *l : host->listeners) {
        if (l->event != nullptr)
            sim_cancel(w, l->event);
        l->event = nullptr;
        for (net_conn *c : l->backlog)
            c->link->is_silent = silently;
        empty_backlog(l);
    }
    for (net_conn *c : host->conns) {
        sim_link *link = c->link;
        if (!silently && !c->rst_in) {
            // The kernel closes for the process: data in flight still arrives, then FIN, or RST if bytes were unread.
            bool rude = sim_conn_unread(*c) > 0 || link->ways[1 - c->end].flying.size() > 0;
            if (rude)
                sim_link_send(link, c->end, sim_segment::kind::rst, 0);
            else if (!sim_conn_way_out(*c).fin_sent)
                sim_link_send(link, c->end, sim_segment::kind::fin, 0);
            sim_conn_way_out(*c).fin_sent = true;
        }
        link->is_silent = link->is_silent || silently; // bytes in flight are lost
        // What is left of the process talks to a dead link of its own.
        auto *grave = new sim_link;
        grave->world = &w;
        grave->from = grave->to = host->name;
        grave->is_reset = true;
        w.links.push_back(grave);
        link->ends[c->end] = nullptr;
        c->link = grave;
        grave->ends[c->end] = c;
        grave->references++;
        sim_link_release(link);
        c->rst_in = true;
        sim_conn_wake(*c, 0);
    }
    for (net_connect_call *call : host->connects) {
        if (call->event == nullptr)
            continue;
        sim_cancel(w, call->event);
        call->err = make_error(error_code::refused);
        call->event = sim_after(w, host, 1'000, on_connect_event, call);
    }
}

} // namespace etlnode
