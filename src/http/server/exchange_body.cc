// SPDX-License-Identifier: MIT
// http/server/exchange_body.cc: the handler's view of a request: its facts, and its body, pulled in either framing.
//
// Owns     nothing: works on the exchange's buffers between steps of its machine.
// Limits   the limit given to exchange_read_all; body_stall_timeout_ms for each wait.
#include <algorithm>
#include <cstring>

#include "base/limits.h"
#include "http/server/conn_machine.h"

namespace etlnode {

env &exchange_env(exchange &x) { return *x.e; }
const http_head &exchange_head(const exchange &x) { return x.head; }
std::string_view exchange_request_id(const exchange &x) { return x.request_id; }
std::string exchange_peer(exchange &x) { return x.net != nullptr ? net_peer(*x.e, x.net) : std::string(); }
uint64_t exchange_started_ms(const exchange &x) { return x.started_ms; }
bool exchange_is_gone(const exchange &x) { return x.net == nullptr; }
error exchange_gone_error(const exchange &x) { return x.gone_err; }

void exchange_on_gone(exchange &x, void (*on_gone)(void *arg), void *arg, bool watch)
{
    x.on_gone = on_gone;
    x.gone_arg = arg;
    if (on_gone == nullptr) {
        x.gone_watched = false;
        return;
    }
    if (x.net == nullptr) {
        exchange_post_gone(x);
        return;
    }
    x.gone_watched = watch;
    if (watch && x.on_body_ready == nullptr)
        exchange_watch(x);
}

static void send_continue(exchange &x)
{
    x.continue_due = false;
    static constexpr std::string_view line = "HTTP/1.1 100 Continue\r\n\r\n";
    iovec part = {const_cast<char *>(line.data()), line.size()};
    // 25 bytes on a connection that has nothing else to send: either the socket buffer takes them all, or the connection is broken.
    io_result sent = net_write(*x.e, x.net, {&part, 1});
    if (sent.state != io_state::done || sent.count != line.size())
        x.body_error = make_error(error_code::reset, "the client has gone");
}

static io_result body_failed(exchange &x, error err)
{
    x.body_error = err;
    return {io_state::failed, 0, err};
}

static io_result took(exchange &x, size_t count)
{
    x.body_read += count;
    x.stalled_since_ms = 0;
    x.server->counts.bytes_in += count;
    return {io_state::done, count, no_error};
}

static io_result read_length_body(exchange &x, char *buffer, size_t size)
{
    size = static_cast<size_t>(std::min<uint64_t>(size, x.body_left));
    size_t buffered = std::min(size, x.in_end - x.in_begin);
    io_result got{io_state::done, buffered, no_error};
    if (buffered > 0) {
        std::memcpy(buffer, x.in.data() + x.in_begin, buffered);
        x.in_begin += buffered;
    } else {
        got = net_read(*x.e, x.net, buffer, size);
    }
    if (got.state == io_state::end)
        return body_failed(x, make_error(error_code::end_of_stream, "the request body is shorter than its Content-Length"));
    if (got.state == io_state::failed)
        return body_failed(x, got.err);
    if (got.state != io_state::done)
        return got;
    x.body_left -= got.count;
    if (x.body_left == 0)
        x.framing = body_framing::none;
    return took(x, got.count);
}

static io_result take_decoded(exchange &x, char *buffer, size_t size)
{
    size_t count = std::min(size, x.decoded_end - x.decoded_begin);
    std::memcpy(buffer, x.raw.data() + x.decoded_begin, count);
    x.decoded_begin += count;
    return took(x, count);
}

// A part of a long chunk goes straight into the caller's buffer.
static io_result read_chunk(exchange &x, char *buffer, size_t size)
{
    io_result got = net_read(*x.e, x.net, buffer, size);
    if (got.state != io_state::done)
        return got;
    http_chunk_skip_data(*x.decoder, got.count);
    return took(x, got.count);
}

static io_result read_chunked_body(exchange &x, char *buffer, size_t size)
{
    static constexpr size_t worth_no_copy = 16 * kib; // below that, a system call costs more than the copy
    for (;;) {
        if (x.decoded_begin < x.decoded_end)
            return take_decoded(x, buffer, size);
        if (x.framing == body_framing::none)
            return {io_state::end, 0, no_error};
        size_t direct = static_cast<size_t>(std::min<uint64_t>(size, http_chunk_data_left(*x.decoder)));
        bool is_direct = x.raw_begin == x.raw_end && direct >= worth_no_copy;
        if (x.raw_begin == x.raw_end) {
            io_result got = is_direct ? read_chunk(x, buffer, direct) : net_read(*x.e, x.net, x.raw.data(), x.raw.size());
            if (got.state == io_state::end)
                return body_failed(x, make_error(error_code::end_of_stream, "the chunked request body has no end"));
            if (got.state == io_state::failed)
                return body_failed(x, got.err);
            if (got.state != io_state::done || is_direct)
                return got;
            x.raw_begin = 0;
            x.raw_end = got.count;
        }
        http_chunk_result decoded = http_chunk_decode(*x.decoder, x.raw.data() + x.raw_begin, x.raw_end - x.raw_begin);
        if (decoded.err)
            return body_failed(x, decoded.err);
        x.decoded_begin = x.raw_begin;
        x.decoded_end = x.raw_begin + decoded.decoded;
        x.raw_begin += decoded.consumed;
        if (decoded.done)
            x.framing = body_framing::none;
    }
}

io_result exchange_body_read(exchange &x, void *buffer, size_t size)
{
    if (x.body_error)
        return {io_state::failed, 0, x.body_error};
    bool decoded_left = x.decoded_begin < x.decoded_end;
    if (x.framing == body_framing::none && !decoded_left)
        return {io_state::end, 0, no_error};
    if (x.net == nullptr)
        return body_failed(x, make_error(error_code::reset, "the client has gone"));
    if (x.continue_due) {
        send_continue(x);
        if (x.body_error)
            return {io_state::failed, 0, x.body_error};
    }
    if (x.framing == body_framing::chunked || decoded_left)
        return read_chunked_body(x, static_cast<char *>(buffer), size);
    return read_length_body(x, static_cast<char *>(buffer), size);
}

void exchange_body_wait(exchange &x, void (*on_ready)(void *arg), void *arg)
{
    x.on_body_ready = on_ready;
    x.body_arg = arg;
    if (x.net == nullptr || x.body_error) {
        exchange_post_body_ready(x);
        return;
    }
    exchange_watch(x);
    exchange_set_body_deadline(x);
}

void exchange_set_body_patience(exchange &x, uint64_t patience_ms) { x.body_patience_ms = patience_ms; }

static void finish_collecting(exchange &x, error err)
{
    auto callback = x.on_collected;
    x.on_collected = nullptr;
    std::string body;
    body.swap(x.collected);
    if (err)
        body.clear();
    callback(x.collect_arg, err, std::move(body));
}

static void collect(void *arg)
{
    exchange &x = *static_cast<exchange *>(arg);
    char scratch[16 * kib];
    for (;;) {
        io_result got = exchange_body_read(x, scratch, sizeof scratch);
        if (got.state == io_state::done) {
            if (x.collected.size() + got.count > x.collect_max) {
                finish_collecting(x, make_error(error_code::body_too_large));
                return;
            }
            x.collected.append(scratch, got.count);
            continue;
        }
        if (got.state == io_state::again) {
            exchange_body_wait(x, collect, &x);
            return;
        }
        finish_collecting(x, got.state == io_state::end ? no_error : got.err);
        return;
    }
}

void exchange_read_all(exchange &x, size_t max, void (*on_body)(void *arg, error err, std::string body), void *arg)
{
    x.collect_max = max;
    x.on_collected = on_body;
    x.collect_arg = arg;
    x.collected.clear();
    clock_post(*x.e, collect, &x);
}

} // namespace etlnode
