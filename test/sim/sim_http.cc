// SPDX-License-Identifier: MIT
// test/sim/sim_http.cc: parses messages and makes calls.
#include "sim_http.h"

#include <algorithm>

#include "base/text.h"

namespace etlnode {

std::string sim_header(const sim_message &m, std::string_view name)
{
    for (const auto &[key, value] : m.headers) {
        if (key == name)
            return value;
    }
    return "";
}

static bool begin_body(sim_message &m)
{
    std::string length = sim_header(m, "content-length");
    bool chunked = sim_header(m, "transfer-encoding") == "chunked";
    int status = m.status();
    if (m.is_answer && (m.is_bodyless || status == 204 || status == 304 || status / 100 == 1)) {
        m.at = sim_message::state::complete;
    } else if (chunked) {
        m.at = sim_message::state::chunk_size;
    } else if (!length.empty()) {
        if (length.find_first_not_of("0123456789") != std::string::npos || length.size() > 15)
            return false;
        m.left = std::stoull(length);
        m.at = m.left > 0 ? sim_message::state::length : sim_message::state::complete;
    } else {
        m.at = m.is_answer ? sim_message::state::until_close : sim_message::state::complete;
    }
    return true;
}

static bool read_head(sim_message &m, std::string_view head)
{
    size_t line_end = head.find("\r\n");
    std::string_view line = head.substr(0, line_end);
    size_t one = line.find(' ');
    size_t two = line.find(' ', one + 1);
    if (one == std::string_view::npos)
        return false;
    m.first = line.substr(0, one);
    m.second = line.substr(one + 1, two == std::string_view::npos ? two : two - one - 1);
    m.third = two == std::string_view::npos ? "" : line.substr(two + 1);
    if (m.is_answer && (!m.first.starts_with("HTTP/1.") || m.second.size() != 3))
        return false;
    m.headers.clear();
    while (line_end + 2 < head.size()) {
        size_t start = line_end + 2;
        line_end = head.find("\r\n", start);
        line = head.substr(start, line_end - start);
        size_t colon = line.find(':');
        if (line.empty())
            break;
        if (colon == std::string_view::npos)
            return false;
        std::string_view value = line.substr(colon + 1);
        while (value.starts_with(" "))
            value.remove_prefix(1);
        m.headers.emplace_back(text_lower(line.substr(0, colon)), value);
    }
    return begin_body(m);
}

static bool take_line(sim_message &m, std::string_view bytes, size_t &used, std::string &out_line)
{
    while (used < bytes.size()) {
        m.pending += bytes[used++];
        if (m.pending.ends_with("\r\n")) {
            out_line = m.pending.substr(0, m.pending.size() - 2);
            m.pending.clear();
            return true;
        }
    }
    return false;
}

size_t sim_message_feed(sim_message &m, std::string_view bytes)
{
    using state = sim_message::state;
    size_t used = 0;
    std::string line;
    while (used < bytes.size() && m.at != state::complete && m.at != state::broken) {
        switch (m.at) {
        case state::head:
            m.pending += bytes[used++];
            if (!m.pending.ends_with("\r\n\r\n"))
                break;
            line = std::move(m.pending);
            m.pending.clear();
            if (!read_head(m, line))
                m.at = state::broken;
            else if (m.is_answer && m.status() / 100 == 1)
                m.at = state::head;
            break;
        case state::length:
        case state::chunk_data: {
            size_t count = static_cast<size_t>(std::min<uint64_t>(m.left, bytes.size() - used));
            m.body.append(bytes.substr(used, count));
            used += count;
            m.left -= count;
            if (m.left == 0)
                m.at = m.at == state::length ? state::complete : state::chunk_end;
            break;
        }
        case state::chunk_size:
            if (!take_line(m, bytes, used, line))
                break;
            if (line.empty() || line.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos || line.size() > 12) {
                m.at = state::broken;
                break;
            }
            m.left = std::stoull(line, nullptr, 16);
            m.at = m.left > 0 ? state::chunk_data : state::trailer;
            break;
        case state::chunk_end:
            if (take_line(m, bytes, used, line))
                m.at = line.empty() ? state::chunk_size : state::broken;
            break;
        case state::trailer:
            if (take_line(m, bytes, used, line) && line.empty())
                m.at = state::complete;
            break;
        case state::until_close:
            m.body.append(bytes.substr(used));
            used = bytes.size();
            break;
        case state::complete:
        case state::broken: break;
        }
    }
    return used;
}

void sim_message_end(sim_message &m, bool is_reset)
{
    if (m.at == sim_message::state::complete)
        return;
    m.at = m.at == sim_message::state::until_close && !is_reset ? sim_message::state::complete : sim_message::state::broken;
}

// --- calls

static void end_call(sim_call *c, sim_call::ending how)
{
    sim_world &w = *c->host->sim;
    c->how = how;
    if (c->deadline != nullptr)
        sim_cancel(w, c->deadline);
    if (c->next != nullptr)
        sim_cancel(w, c->next);
    c->deadline = c->next = nullptr;
    if (c->connecting != nullptr)
        net_connect_cancel(c->host->e, c->connecting);
    c->connecting = nullptr;
    if (c->net != nullptr) {
        if (how == sim_call::ending::gave_up && sim_chance(w, 500))
            net_reset_on_close(c->host->e, c->net);
        net_close(c->host->e, c->net);
    }
    c->net = nullptr;
    if (c->on_done != nullptr)
        c->on_done(c->arg, *c);
    delete c;
}

static void on_deadline(void *arg)
{
    auto *c = static_cast<sim_call *>(arg);
    c->deadline = nullptr;
    end_call(c, sim_call::ending::timed_out);
}

static void read_on(void *arg);
static void write_on(void *arg);

static void on_rested(void *arg)
{
    auto *c = static_cast<sim_call *>(arg);
    c->next = nullptr;
    write_on(c);
}

static void on_stall_over(void *arg)
{
    auto *c = static_cast<sim_call *>(arg);
    c->next = nullptr;
    read_on(c);
}

static void on_lingered(void *arg)
{
    auto *c = static_cast<sim_call *>(arg);
    c->next = nullptr;
    end_call(c, sim_call::ending::answered);
}

static void write_on(void *arg)
{
    auto *c = static_cast<sim_call *>(arg);
    env &e = c->host->e;
    size_t end = std::min(c->request.size(), c->stop_sending_at);
    while (c->sent < end) {
        iovec part{c->request.data() + c->sent, std::min(end - c->sent, c->piece)};
        io_result result = net_write(e, c->net, {&part, 1});
        if (result.state == io_state::again) {
            if (!net_is_waiting(e, c->net, net_side::writable))
                net_wait(e, c->net, net_side::writable, write_on, c);
            return;
        }
        if (result.state != io_state::done)
            return; // the reading side notices the end
        c->sent += result.count;
        if (c->pause_us > 0 && c->sent < end && c->next == nullptr) {
            c->next = sim_after(*c->host->sim, c->host, c->pause_us, on_rested, c);
            return;
        }
    }
    if (c->stop_sending_at <= c->request.size()) {
        if (!c->half_close) {
            end_call(c, sim_call::ending::gave_up);
            return;
        }
        net_half_close(e, c->net);
    } else if (c->half_close) {
        net_half_close(e, c->net);
    }
}

static bool take_answers(sim_call *c, std::string_view bytes)
{
    while (!bytes.empty()) {
        if (c->got.empty() || c->got.back().at == sim_message::state::complete) {
            if (c->got.size() == c->answers) {
                c->surplus.append(bytes);
                break;
            }
            c->got.emplace_back();
            c->got.back().is_answer = true;
            c->got.back().is_bodyless = c->is_head;
        }
        bytes.remove_prefix(sim_message_feed(c->got.back(), bytes));
        if (c->got.back().at == sim_message::state::broken)
            return false;
    }
    return true;
}

static bool has_all(const sim_call &c)
{
    return !c.got.empty() && c.got.size() == c.answers && c.got.back().at == sim_message::state::complete;
}

static void read_on(void *arg)
{
    auto *c = static_cast<sim_call *>(arg);
    env &e = c->host->e;
    char buffer[16 * 1024];
    for (;;) {
        io_result result = net_read(e, c->net, buffer, sizeof buffer);
        if (result.state == io_state::again) {
            net_wait(e, c->net, net_side::readable, read_on, c);
            return;
        }
        if (result.state != io_state::done) {
            bool is_reset = result.state == io_state::failed;
            if (!c->got.empty())
                sim_message_end(c->got.back(), is_reset);
            if (has_all(*c)) {
                end_call(c, sim_call::ending::answered);
                return;
            }
            end_call(c, is_reset ? sim_call::ending::reset : sim_call::ending::finished);
            return;
        }
        c->received += result.count;
        if (!take_answers(c, {buffer, result.count})) {
            end_call(c, sim_call::ending::gave_up);
            return;
        }
        if (has_all(*c) && c->linger_us == 0) {
            end_call(c, sim_call::ending::answered);
            return;
        }
        if (has_all(*c) && c->next == nullptr)
            c->next = sim_after(*c->host->sim, c->host, c->linger_us, on_lingered, c);
        if (c->received >= c->hang_up_at) {
            end_call(c, sim_call::ending::gave_up);
            return;
        }
        if (c->stall_us > 0 && !c->has_stalled && c->next == nullptr) {
            c->has_stalled = true;
            c->next = sim_after(*c->host->sim, c->host, c->stall_us, on_stall_over, c);
            return;
        }
    }
}

static void on_connected(void *arg, error err, net_conn *conn)
{
    auto *c = static_cast<sim_call *>(arg);
    c->connecting = nullptr;
    if (err) {
        end_call(c, sim_call::ending::refused);
        return;
    }
    c->net = conn;
    net_wait(c->host->e, conn, net_side::readable, read_on, c);
    write_on(c);
}

sim_call *sim_call_start(const sim_call &options)
{
    auto *c = new sim_call(options);
    c->deadline = sim_after(*c->host->sim, c->host, c->timeout_us, on_deadline, c);
    CHECK(!net_connect(c->host->e, c->address.c_str(), c->port, on_connected, c, &c->connecting));
    return c;
}

void sim_call_cancel(sim_call *c)
{
    c->on_done = nullptr;
    end_call(c, sim_call::ending::gave_up);
}

bool sim_url_split(std::string_view url, std::string &out_address, uint16_t &out_port, std::string &out_rest)
{
    if (!url.starts_with("http://"))
        return false;
    url.remove_prefix(7);
    size_t slash = url.find('/');
    std::string_view authority = url.substr(0, slash);
    size_t colon = authority.find(':');
    if (colon == std::string_view::npos)
        return false;
    out_address = authority.substr(0, colon);
    out_port = static_cast<uint16_t>(std::atoi(std::string(authority.substr(colon + 1)).c_str()));
    out_rest = slash == std::string_view::npos ? "" : url.substr(slash);
    return true;
}

} // namespace etlnode
