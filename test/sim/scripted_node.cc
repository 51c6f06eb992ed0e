// SPDX-License-Identifier: MIT
#include "scripted_node.h"

namespace etlnode {

void scripted_settle(sim_world &w)
{
    for (size_t i = 0; i < w.hosts.size(); i++) {
        w.hosts[i]->clock.now_ms = std::max(w.hosts[i]->clock.now_ms, w.now_us / 1'000);
        sim_settle(w.hosts[i]);
    }
}

void scripted_pass(sim_world &w, uint64_t ms)
{
    (void)scripted_until(
        w, [] { return false; }, ms);
}

void scripted_call_done(void *arg, sim_call &c)
{
    auto &call = *static_cast<scripted_call *>(arg);
    call.running = nullptr;
    call.how = c.how;
    if (!c.got.empty())
        call.answer = c.got.front();
}

void scripted_begin(scripted_call &call, sim_host &from, const std::string &address, uint16_t port, std::string_view line,
    std::string_view body, std::string_view headers)
{
    call = {};
    sim_call options;
    options.host = &from;
    options.address = address;
    options.port = port;
    options.request = std::string(line) + text_format(" HTTP/1.1\r\nHost: %s:%u\r\n", address.c_str(), static_cast<unsigned>(port));
    options.request += headers;
    if (body.data() != nullptr)
        options.request += text_format("Content-Length: %zu\r\n", body.size());
    options.request += "\r\n";
    options.request += body;
    options.is_head = line.starts_with("HEAD ");
    options.on_done = scripted_call_done;
    options.arg = &call;
    call.running = sim_call_start(options);
}

void scripted_hang_up(scripted_call &call)
{
    if (call.running != nullptr)
        sim_call_cancel(call.running);
    call.running = nullptr;
}

static void scripted_conn_free(scripted_conn *c)
{
    net_close(c->node->host->e, c->net);
    std::erase(c->node->conns, c);
    delete c;
}

static void scripted_write(void *arg)
{
    auto *c = static_cast<scripted_conn *>(arg);
    env &e = c->node->host->e;
    while (c->out_at < c->out.size()) {
        iovec part{c->out.data() + c->out_at, c->out.size() - c->out_at};
        io_result result = net_write(e, c->net, {&part, 1});
        if (result.state == io_state::again) {
            if (!net_is_waiting(e, c->net, net_side::writable))
                net_wait(e, c->net, net_side::writable, scripted_write, c);
            return;
        }
        if (result.state != io_state::done)
            return; // the reading side notices the end
        c->out_at += result.count;
    }
}

static void scripted_answer(scripted_conn *c, int status, std::string_view body, std::string_view headers = {}, size_t begins = SIZE_MAX)
{
    c->is_held = false;
    c->request = {};
    c->out.erase(0, c->out_at);
    c->out_at = 0;
    c->out += text_format("HTTP/1.1 %d Said So\r\n", status);
    if (status != 204)
        c->out += text_format("Content-Length: %zu\r\n", body.size());
    c->out += headers;
    c->out += "\r\n";
    c->out += body.substr(0, begins);
    c->rest = body.substr(std::min(begins, body.size()));
    scripted_write(c);
}

static void scripted_request_came(scripted_conn *c)
{
    scripted_node &node = *c->node;
    std::string line = c->request.first + " " + c->request.second;
    node.asked.push_back(c->request);
    for (scripted_row &row : node.rows) {
        if (row.times == 0 || !line.starts_with(row.match))
            continue;
        row.times--;
        c->is_held = row.is_held;
        if (!row.is_held)
            scripted_answer(c, row.status, row.body, row.headers, row.begins);
        return;
    }
    scripted_answer(c, 404, "no row for " + line);
}

static void scripted_readable(void *arg)
{
    auto *c = static_cast<scripted_conn *>(arg);
    env &e = c->node->host->e;
    char buffer[16 * 1024];
    for (;;) {
        io_result result = net_read(e, c->net, buffer, sizeof buffer);
        if (result.state == io_state::again) {
            net_wait(e, c->net, net_side::readable, scripted_readable, c);
            return;
        }
        if (result.state != io_state::done) {
            c->node->hung_up += c->is_held ? 1 : 0;
            scripted_conn_free(c);
            return;
        }
        c->pending.append(buffer, result.count);
        while (!c->pending.empty() && !c->is_held) {
            c->pending.erase(0, sim_message_feed(c->request, c->pending));
            if (c->request.at != sim_message::state::complete)
                break;
            scripted_request_came(c);
        }
    }
}

static void scripted_accept(void *arg, net_conn *conn)
{
    auto *node = static_cast<scripted_node *>(arg);
    auto *c = new scripted_conn{node, conn, {}, {}, {}, 0, false};
    node->conns.push_back(c);
    net_wait(node->host->e, conn, net_side::readable, scripted_readable, c);
}

void scripted_listen(scripted_node &node)
{
    CHECK(!net_listen(node.host->e, node.address.c_str(), node.port, scripted_accept, &node, &node.listener));
}

scripted_node *scripted_node_make(sim_world &w, const std::string &id, const std::string &address, uint16_t port)
{
    auto *node = new scripted_node;
    node->host = sim_host_make(w, sim_host_kind::client, id, address, memory_empty());
    node->id = id;
    node->address = address;
    node->port = port;
    scripted_listen(*node);
    return node;
}

void scripted_silence(scripted_node &node)
{
    if (node.listener != nullptr)
        net_listener_close(node.host->e, node.listener);
    node.listener = nullptr;
    while (!node.conns.empty())
        scripted_conn_free(node.conns.back());
}

void scripted_node_free(scripted_node *node)
{
    scripted_silence(*node);
    sim_host_free(node->host);
    delete node;
}

size_t scripted_count(const scripted_node &node, std::string_view match)
{
    size_t count = 0;
    for (const sim_message &one : node.asked)
        count += (one.first + " " + one.second).starts_with(match) ? 1 : 0;
    return count;
}

const sim_message &scripted_last(const scripted_node &node, std::string_view match)
{
    for (size_t i = node.asked.size(); i-- > 0;) {
        if ((node.asked[i].first + " " + node.asked[i].second).starts_with(match))
            return node.asked[i];
    }
    test_fail("%s was never asked: %.*s", node.id.c_str(), static_cast<int>(match.size()), match.data());
    return node.asked.front();
}

size_t scripted_held(const scripted_node &node)
{
    size_t count = 0;
    for (const scripted_conn *c : node.conns)
        count += c->is_held ? 1 : 0;
    return count;
}

void scripted_answer_held(scripted_node &node, int status, std::string_view body)
{
    for (scripted_conn *c : node.conns) {
        if (!c->is_held)
            continue;
        scripted_answer(c, status, body);
        return;
    }
    test_fail("%s holds no request", node.id.c_str());
}

void scripted_go_on(scripted_node &node)
{
    for (scripted_conn *c : node.conns) {
        c->out += std::exchange(c->rest, {});
        scripted_write(c);
    }
}

void scripted_world_free(sim_world *w)
{
    while (!w->links.empty() && sim_step(*w, w->now_us + 1'000'000)) {
    }
    sim_free(w);
}
} // namespace etlnode
