// SPDX-License-Identifier: MIT
// http/client/call_send.cc: sends the request of a call from memory, from a file, or as it is pushed, while the answer is being received.
//
// Owns     nothing: it works on the call's output between steps of its machine.
// Fails    if the file fails, the call fails. If the server takes no more, it may still have answered: the reading side decides.
#include <algorithm>

#include "base/check.h"
#include "codec/http_write.h"
#include "http/client/call_machine.h"

namespace etlnode {

using S = call::state;

// --- from memory, or from a file

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

// Cuts the request, which the server notices. The reader of the answer gets no more of it, and the error at the next byte or at the end.
static void fail_source(call &c, error err)
{
    c.source_err = err.code == error_code::end_of_stream ? make_error(error_code::corrupt, "the content is shorter than it was") : err;
    c.upload = call_upload::failed;
    if (sm_state_of(c) == S::awaiting_head || c.options.answer_size_max > 0)
        call_fail(c, c.source_err);
    else
        net_half_close(*c.e, c.net);
}

static void on_writable(void *arg);

void call_send(call &c)
{
    while (c.upload == call_upload::sending) {
        io_result sent = send_some(c);
        switch (sent.state) {
        case io_state::done: call_note_progress(c); break;
        case io_state::end: c.upload = call_upload::sent; break;
        case io_state::again: net_wait(*c.e, c.net, net_side::writable, on_writable, &c); return;
        case io_state::failed:
            if (c.file_sent < c.options.file_size && stream_is_of_file(sent.err)) {
                fail_source(c, sent.err);
                return;
            }
            c.upload = call_upload::failed;
            break; // an answer may have arrived nevertheless: the reading side decides
        }
    }
}

static void on_writable(void *arg)
{
    call &c = *static_cast<call *>(arg);
    if (c.net != nullptr)
        call_send(c);
}

// --- as it is pushed

static call &call_of(void *self) { return *static_cast<call *>(self); }
static bool is_chunked(const call &c) { return c.options.body_size == stream_size_unknown; }

static void run_waiter(call &c)
{
    net_on_ready on_room = c.on_room;
    c.on_room = nullptr;
    if (on_room != nullptr)
        on_room(c.room_arg);
}

static void on_room(void *arg) { run_waiter(call_of(arg)); }

void call_begin_sending(call &c)
{
    if (c.options.streams_body && !c.body_is_whole)
        run_waiter(c); // the head is sent with the first piece
    else
        call_send(c);
}

static void body_begin_piece(void *self, size_t size)
{
    call &c = call_of(self);
    c.body_pushed += size;
    CHECK(is_chunked(c) || c.body_pushed <= c.options.body_size);
    if (is_chunked(c))
        http_write_chunk_size(c.out, size);
}

static void body_end_piece(void *self)
{
    call &c = call_of(self);
    if (is_chunked(c))
        c.out += "\r\n";
}

static bool body_has_framing(const void *self)
{
    const call &c = *static_cast<const call *>(self);
    return c.out_sent < c.out.size();
}

// Whether bytes can be sent now; `done` says yes.
static io_result ask_room(const call &c)
{
    if (sm_state_of(c) == S::idle || sm_state_of(c) == S::connecting)
        return {io_state::again, 0, no_error};
    if (c.net == nullptr || c.upload == call_upload::failed)
        return {io_state::failed, 0, make_error(error_code::reset, "the connection was closed before the request was sent to its end")};
    return {io_state::done, 0, no_error};
}

static io_result note_sent(call &c, io_result sent)
{
    if (sent.state == io_state::done)
        call_note_progress(c);
    if (sent.state == io_state::failed)
        c.upload = call_upload::failed;
    return sent;
}

static io_result body_send(void *self, std::string_view bytes, bool more)
{
    call &c = call_of(self);
    io_result room = ask_room(c);
    if (room.state != io_state::done)
        return room;
    size_t framing = c.out.size() - c.out_sent;
    iovec parts[2];
    size_t count = 0;
    if (framing > 0)
        parts[count++] = {c.out.data() + c.out_sent, framing};
    if (!bytes.empty())
        parts[count++] = {const_cast<char *>(bytes.data()), bytes.size()};
    if (count == 0)
        return room;
    io_result sent = note_sent(c, net_write(*c.e, c.net, {parts, count}, more));
    if (sent.state != io_state::done)
        return sent;
    size_t of_framing = std::min(sent.count, framing);
    c.out_sent += of_framing;
    if (of_framing == framing) {
        c.out.clear();
        c.out_sent = 0;
    }
    return {io_state::done, sent.count - of_framing, no_error};
}

static io_result body_send_relayed(void *self, net_relay *relay)
{
    call &c = call_of(self);
    io_result room = ask_room(c);
    return room.state == io_state::done ? note_sent(c, net_relay_flush(*c.e, relay, c.net, false)) : room;
}

static io_result body_send_file(void *self, disk_file *file, uint64_t offset, size_t size)
{
    call &c = call_of(self);
    io_result room = ask_room(c);
    return room.state == io_state::done ? note_sent(c, net_send_file(*c.e, c.net, file, offset, size)) : room;
}

static void body_wait(void *self, net_on_ready on_ready, void *arg)
{
    call &c = call_of(self);
    c.on_room = on_ready;
    c.room_arg = arg;
    if (c.net != nullptr)
        net_wait(*c.e, c.net, net_side::writable, on_room, &c);
}

static void body_wait_cancel(void *self)
{
    call &c = call_of(self);
    c.on_room = nullptr;
    if (c.net != nullptr)
        net_wait_cancel(*c.e, c.net, net_side::writable);
}

static error body_stalled(void *) { return make_error(error_code::timed_out, "the other node takes nothing"); }

static constexpr stream_to_ops body_ops = {true, true, body_begin_piece, body_end_piece, body_has_framing, body_send, body_send_relayed,
    body_send_file, body_wait, body_wait_cancel, body_stalled};

stream_to call_body_stream(call &c)
{
    CHECK(c.options.streams_body);
    return {&body_ops, &c};
}

void call_body_end(call &c)
{
    CHECK(c.options.streams_body && !c.body_is_whole);
    CHECK(is_chunked(c) || c.body_pushed == c.options.body_size);
    c.body_is_whole = true;
    if (is_chunked(c))
        c.out += "0\r\n\r\n";
    call_note_progress(c); // from now on the server's time counts
    if (c.net != nullptr)
        call_send(c);
}

void call_write_head(call &c)
{
    static constexpr size_t other_lines_size = 128;
    c.out.reserve(c.options.method.size() + c.options.target.size() + c.to->host_header.size() + c.options.headers.size() +
                  other_lines_size); // one allocation
    http_write_request_line(c.out, c.options.method, c.options.target);
    c.out += c.to->host_header;
    uint64_t length = c.options.streams_body      ? c.options.body_size
                      : c.options.file != nullptr ? c.options.file_size
                                                  : c.options.body.size();
    if (c.options.streams_body && length == stream_size_unknown)
        c.out += "Transfer-Encoding: chunked\r\n";
    else if (c.options.streams_body || c.options.has_body || length > 0)
        http_write_header_u64(c.out, "Content-Length", length);
    if (!c.options.upgrade.empty()) {
        http_write_header(c.out, "Connection", "Upgrade");
        http_write_header(c.out, "Upgrade", c.options.upgrade);
    } else if (!c.options.may_reuse) {
        http_write_header(c.out, "Connection", "close");
    }
    c.out += c.options.headers;
    http_write_end(c.out);
}

} // namespace etlnode
