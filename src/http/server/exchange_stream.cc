// SPDX-License-Identifier: MIT
// http/server/exchange_stream.cc: the body of a streamed answer, as the end of a pump that receives bytes.
//
// Owns     nothing.
// Knows    exchange_answer.cc.        Known by  pump_machine.cc, through http/stream.h.
#include "http/server/conn_machine.h"
#include "http/stream.h"

namespace etlnode {

static exchange &exchange_of(void *self) { return *static_cast<exchange *>(self); }

static io_result gone(const exchange &x)
{
    error err = exchange_gone_error(x);
    return {io_state::failed, 0, err ? err : make_error(error_code::canceled, "the client has gone")};
}
static io_result of_client(const exchange &x, io_result result) { return result.state == io_state::failed ? gone(x) : result; }

static void to_begin_piece(void *self, size_t size) { exchange_frame_piece(exchange_of(self), size); }
static void to_end_piece(void *self) { exchange_frame_piece_end(exchange_of(self)); }
static bool to_has_framing(const void *self) { return exchange_has_framing(*static_cast<const exchange *>(self)); }

static io_result to_send(void *self, std::string_view bytes, bool more)
{
    exchange &x = exchange_of(self);
    return exchange_net(x) != nullptr ? of_client(x, exchange_send_piece(x, bytes, more)) : gone(x);
}

static io_result to_send_relayed(void *self, net_relay *relay)
{
    exchange &x = exchange_of(self);
    if (exchange_net(x) == nullptr)
        return gone(x);
    io_result sent = net_relay_flush(*x.e, relay, exchange_net(x), false);
    if (sent.state == io_state::done)
        exchange_count_out(x, sent.count);
    return of_client(x, sent);
}

static io_result to_send_file(void *self, disk_file *file, uint64_t offset, size_t size)
{
    exchange &x = exchange_of(self);
    if (exchange_net(x) == nullptr)
        return gone(x);
    io_result sent = net_send_file(*x.e, exchange_net(x), file, offset, size);
    if (sent.state == io_state::done)
        exchange_count_out(x, sent.count);
    return sent.state == io_state::failed && stream_is_of_file(sent.err) ? sent : of_client(x, sent);
}

static void to_wait(void *self, net_on_ready on_ready, void *arg)
{
    exchange &x = exchange_of(self);
    net_wait(*x.e, exchange_net(x), net_side::writable, on_ready, arg);
}

static void to_wait_cancel(void *self)
{
    exchange &x = exchange_of(self);
    if (exchange_net(x) != nullptr)
        net_wait_cancel(*x.e, exchange_net(x), net_side::writable);
}

static error to_stalled(void *) { return make_error(error_code::canceled, "the client takes nothing"); }

static constexpr stream_to_ops exchange_ops = {
    true, true, to_begin_piece, to_end_piece, to_has_framing, to_send, to_send_relayed, to_send_file, to_wait, to_wait_cancel, to_stalled};

stream_to exchange_stream(exchange &x) { return {&exchange_ops, &x}; }

} // namespace etlnode
