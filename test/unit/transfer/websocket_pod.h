// SPDX-License-Identifier: MIT
// test/unit/transfer/websocket_pod.h: a pod on loopback that speaks WebSocket as its script says, and one object on its way through it.
#pragma once

#include <string>
#include <vector>

#include "../http/http_world.h"

#include "base/text.h"
#include "transfer/modes/websocket_wire.h"
#include "transfer/transfer_machine.h"

namespace etlnode {

// A frame as servers send it: not masked unless `first` and `second` say so.
inline std::string server_frame(uint8_t first, std::string_view payload, uint8_t mask_bit = 0)
{
    std::string out(1, static_cast<char>(first));
    auto add_size = [&](int bytes) {
        for (int i = bytes - 1; i >= 0; i--)
            out += static_cast<char>(payload.size() >> (8 * i) & 0xff);
    };
    if (payload.size() < 126) {
        out += static_cast<char>(payload.size() | mask_bit);
    } else if (payload.size() < 65'536) {
        out += static_cast<char>(126 | mask_bit);
        add_size(2);
    } else {
        out += static_cast<char>(127 | mask_bit);
        add_size(8);
    }
    if (mask_bit != 0)
        out += std::string(4, '\0');
    return out.append(payload);
}

inline constexpr uint8_t whole_text = 0x81, whole_binary = 0x82, first_text = 0x01, first_binary = 0x02, more = 0x00, last = 0x80,
                         close_frame = 0x88, ping_frame = 0x89, pong_frame = 0x8a;

enum class pod_end : uint8_t { stay, close, reset };

struct websocket_pod {
    http_world *w = nullptr;
    net_listener *listener = nullptr;
    uint16_t port = 0;
    // The script.
    std::string refusal;        // instead of 101
    std::string more_headers;   // of the 101
    std::string accept;         // instead of the right one
    bool is_silent = false;     // answers nothing at all
    std::string greeting;       // frames in one write with the 101
    bool replies_early = false; // with the control message, and reads on
    bool echoes = false;        // the object is the reply
    std::string reply;          // frames
    size_t reply_at_pong = 0;   // not with the object, but with that pong
    pod_end then = pod_end::stay;
    // What came.
    std::string head, control, object;
    std::vector<std::string> pongs;
    size_t object_frames = 0;
    unsigned closed_with = 0;
    int connections = 0, objects = 0;
    bool was_masked = true;
    struct websocket_pod_conn *conn = nullptr; // the last one
};

struct websocket_pod_conn {
    websocket_pod *pod = nullptr;
    net_conn *net = nullptr;
    std::string got, out, message;
    size_t messages = 0;
    size_t frames = 0; // of this message
    bool is_upgraded = false;
};

inline void pod_conn_end(websocket_pod_conn &c)
{
    net_close(*c.pod->w->e, c.net);
    c.pod->conn = nullptr;
    delete &c;
}

inline void pod_write(void *arg)
{
    websocket_pod_conn &c = *static_cast<websocket_pod_conn *>(arg);
    while (!c.out.empty()) {
        iovec part{c.out.data(), c.out.size()};
        io_result sent = net_write(*c.pod->w->e, c.net, {&part, 1});
        if (sent.state == io_state::again) {
            net_wait(*c.pod->w->e, c.net, net_side::writable, pod_write, &c);
            return;
        }
        if (sent.state != io_state::done)
            return; // the reading side finds it
        c.out.erase(0, sent.count);
    }
}

// False: the connection has been ended.
inline bool pod_reply(websocket_pod_conn &c)
{
    websocket_pod &pod = *c.pod;
    c.out += pod.echoes ? server_frame(whole_binary, pod.object) : pod.reply;
    if (!net_is_waiting(*pod.w->e, c.net, net_side::writable))
        pod_write(&c);
    if (pod.then == pod_end::stay)
        return true;
    if (pod.then == pod_end::reset)
        net_reset_on_close(*pod.w->e, c.net);
    pod_conn_end(c);
    return false;
}

inline bool pod_take_message(websocket_pod_conn &c)
{
    websocket_pod &pod = *c.pod;
    bool is_control = c.messages++ % 2 == 0;
    (is_control ? pod.control : pod.object).swap(c.message);
    c.message.clear();
    pod.object_frames = c.frames;
    c.frames = 0;
    pod.objects += is_control ? 0 : 1;
    return is_control != pod.replies_early || pod.reply_at_pong > 0 || pod_reply(c);
}

// One frame of the client's; false: the connection has been ended. Takes nothing where it is not whole.
inline bool pod_take_frame(websocket_pod_conn &c, bool &out_taken)
{
    websocket_pod &pod = *c.pod;
    auto byte = [&](size_t i) { return static_cast<uint8_t>(c.got[i]); };
    out_taken = false;
    if (c.got.size() < 2)
        return true;
    size_t size = byte(1) & 127, at = 2, size_bytes = size == 126 ? 2 : size == 127 ? 8 : 0;
    if (c.got.size() < at + size_bytes + 4)
        return true;
    if (size_bytes > 0)
        size = 0;
    for (size_t i = 0; i < size_bytes; i++)
        size = size << 8 | byte(at++);
    if (c.got.size() < at + 4 + size)
        return true;
    pod.was_masked = pod.was_masked && (byte(1) & 128) != 0;
    std::string mask = c.got.substr(at, 4), payload = c.got.substr(at + 4, size);
    uint8_t first = byte(0);
    c.got.erase(0, at + 4 + size);
    for (size_t i = 0; i < size; i++)
        payload[i] = static_cast<char>(payload[i] ^ mask[i % 4]);
    out_taken = true;
    if (first == pong_frame) {
        pod.pongs.push_back(payload);
        return pod.pongs.size() != pod.reply_at_pong || pod_reply(c);
    }
    if (first == close_frame) {
        pod.closed_with = static_cast<unsigned>(static_cast<uint8_t>(payload[0])) << 8 | static_cast<uint8_t>(payload[1]);
        return true;
    }
    test_eq(first & 15, c.frames == 0 ? 2 : 0); // binary, or its continuation
    c.message += payload;
    c.frames++;
    return (first & last) == 0 || pod_take_message(c);
}

inline std::string pod_header(const std::string &head, std::string_view name)
{
    size_t at = head.find(std::string("\r\n").append(name).append(": "));
    if (at == std::string::npos)
        return {};
    at += name.size() + 4;
    return head.substr(at, head.find("\r\n", at) - at);
}

inline bool pod_answer_upgrade(websocket_pod_conn &c)
{
    websocket_pod &pod = *c.pod;
    size_t end = c.got.find("\r\n\r\n");
    if (end == std::string::npos || pod.is_silent)
        return true;
    pod.head = c.got.substr(0, end + 4);
    c.got.erase(0, end + 4);
    c.is_upgraded = pod.refusal.empty();
    std::string accept = pod.accept.empty() ? websocket_accept_of(pod_header(pod.head, "Sec-WebSocket-Key")) : pod.accept;
    c.out += c.is_upgraded
                 ? "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: " + accept +
                       "\r\n" + pod.more_headers + "\r\n" + pod.greeting
                 : pod.refusal;
    pod_write(&c);
    return true;
}

inline void pod_readable(void *arg)
{
    websocket_pod_conn &c = *static_cast<websocket_pod_conn *>(arg);
    char buffer[65'536];
    for (;;) {
        io_result r = net_read(*c.pod->w->e, c.net, buffer, sizeof buffer);
        if (r.state == io_state::again) {
            net_wait(*c.pod->w->e, c.net, net_side::readable, pod_readable, &c);
            return;
        }
        if (r.state != io_state::done) {
            pod_conn_end(c);
            return;
        }
        c.got.append(buffer, r.count);
        if (!c.is_upgraded)
            pod_answer_upgrade(c);
        for (bool taken = c.is_upgraded; taken;) {
            if (!pod_take_frame(c, taken))
                return;
        }
    }
}

inline void pod_accept(void *arg, net_conn *net)
{
    websocket_pod &pod = *static_cast<websocket_pod *>(arg);
    test_true(pod.conn == nullptr);
    pod.connections++;
    pod.conn = new websocket_pod_conn;
    pod.conn->pod = &pod;
    pod.conn->net = net;
    net_wait(*pod.w->e, net, net_side::readable, pod_readable, pod.conn);
}

// --- one object

struct talk {
    http_world *w = nullptr;
    websocket_pod pod;
    raw_client client;
    transfer_host host;
    store_object object;
    transfer t;
    stage at_pod;
    source answer; // its body
    // What came of it.
    bool has_head = false, is_over = false, pulls = true;
    int status = 0;
    bool has_length = false;
    uint64_t length = 0;
    std::string body;
    error err; // of the failure, or of the pull
    std::string text, begun;
};

inline void talk_hold(http_world &w, exchange &x) { w.held = &x; }

inline void talk_pull(void *arg)
{
    talk &k = *static_cast<talk *>(arg);
    for (;;) {
        pull_result got = source_pull(k.answer);
        switch (got.state) {
        case pull_state::bytes: k.body += got.bytes; continue;
        case pull_state::again: source_wait(k.answer, talk_pull, &k); return;
        case pull_state::failed: k.err = got.err; [[fallthrough]];
        case pull_state::end: k.is_over = true; return;
        case pull_state::relayed:
        case pull_state::file: test_fail("nothing else was asked for");
        }
    }
}

inline void talk_head(void *arg, const http_head &head)
{
    talk &k = *static_cast<talk *>(arg);
    test_false(k.has_head);
    k.answer = stage_take_answer(k.at_pod, k.t.config.obj_timeout_ms);
    k.has_head = true;
    k.status = head.status;
    k.has_length = head.has_length;
    k.length = head.length;
    if (k.pulls)
        talk_pull(&k);
}

inline void talk_failed(void *arg, const stage_failure &failure)
{
    talk &k = *static_cast<talk *>(arg);
    test_false(k.has_head);
    k.is_over = true;
    k.err = failure.err;
    k.text = failure.text;
    k.begun = failure.begun;
    k.at_pod = stage{};
}

// Begins the way of `content` through k.pod, whose script is set.
inline void talk_begin(http_world &w, talk &k, std::string content, uint64_t obj_timeout_ms = 10'000, bool is_pod_there = true)
{
    k.w = k.pod.w = &w;
    test_ok(net_listen(*w.e, "127.0.0.1", 0, pod_accept, &k.pod, &k.pod.listener));
    k.pod.port = net_listener_port(*w.e, k.pod.listener);
    if (!is_pod_there) {
        net_listener_close(*w.e, k.pod.listener);
        k.pod.listener = nullptr;
    }
    w.handler = talk_hold;
    w.held = nullptr;
    raw_open(w, k.client);
    raw_send(
        k.client, "GET /v1/objects/b/a%20name?etl_name=e&etl_args=x%3D%C3%A4+1&more=2 HTTP/1.1\r\nHost: x\r\nX-Request-Id: r1\r\n\r\n");
    test_true(world_until(w, [&] { return w.held != nullptr; }));
    k.host.e = w.e;
    k.host.client = w.client;
    k.object.row.size = content.size();
    k.object.content = std::move(content);
    k.object.has_content = true;
    transfer &t = k.t;
    t.e = w.e;
    t.host = &k.host;
    t.x = w.held;
    t.asked = &exchange_head(*w.held);
    t.bucket = "b";
    t.name = "a name";
    t.etl_id = "e";
    t.object = &k.object;
    t.config.mode = etl_mode::ws;
    t.config.obj_timeout_ms = obj_timeout_ms;
    t.endpoint.host = "127.0.0.1";
    t.endpoint.port = k.pod.port;
    t.endpoint.instance = "i";
    t.listener = {talk_head, talk_failed, &k};
    k.at_pod = transfer_mode_of(etl_mode::ws).begin(t);
    test_true(stage_is_open(k.at_pod));
    test_eq_text(t.request_line, "GET /ws");
}

inline void talk_end(talk &k)
{
    source_close(k.answer);
    stage_cancel(k.at_pod);
    exchange_answer(*k.t.x, answer{});
    raw_close(k.client);
    test_true(world_until(*k.w, [&] { return k.pod.conn == nullptr || k.pod.then != pod_end::stay || !k.pod.refusal.empty(); }));
    if (k.pod.conn != nullptr)
        pod_conn_end(*k.pod.conn);
    if (k.pod.listener != nullptr)
        net_listener_close(*k.w->e, k.pod.listener);
    uv_env_poll(*k.w->e, 5);
}

} // namespace etlnode
