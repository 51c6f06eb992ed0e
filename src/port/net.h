// SPDX-License-Identifier: MIT
// port/net.h: TCP by readiness. Operations on a connection are immediate and never block; the caller waits for what is not ready.
//
// A machine reads or writes until it gets `again`, and then waits for that side. Copies inside the kernel (send_file, relay) work the same
// way. Back-pressure therefore needs no buffers: a connection that cannot write is not read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <sys/uio.h>

#include "base/error.h"
#include "port/env.h"

namespace etlnode {

struct net_listener;     // opaque; lives until net_listener_close
struct net_conn;         // opaque; lives until net_close
struct net_connect_call; // opaque, one-shot
struct net_relay;        // opaque: bytes in transit from one connection to another
struct disk_file;

enum class io_state : uint8_t {
    done,   // count > 0 bytes moved (count may be less than asked)
    again,  // nothing moved; wait until the side is ready
    end,    // read side: the peer has finished sending
    failed, // err says why; only net_close, or reading what had already arrived, makes sense now
};

struct io_result {
    io_state state = io_state::again;
    size_t count = 0;
    error err;
};

enum class net_side : uint8_t { readable, writable };

// Whether peers are on this machine. If so, and if BBR is the system's default, use Reno: BBR's pacing timers cost
// more
// CPU than the copy itself.
enum class net_reach : uint8_t { anywhere, this_machine };

using net_on_accept = void (*)(void *arg, net_conn *conn);
using net_on_connect = void (*)(void *arg, error err, net_conn *conn); // conn is null if err is set
using net_on_ready = void (*)(void *arg);

struct net_port {
    error (*listen)(
        env &e, const char *host, uint16_t port, net_reach reach, net_on_accept on_accept, void *arg, net_listener **out_listener);
    uint16_t (*listener_port)(const net_listener *listener);
    void (*listener_pause)(net_listener *listener, bool paused);
    void (*listener_close)(net_listener *listener);

    error (*connect)(
        env &e, const char *host, uint16_t port, net_reach reach, net_on_connect on_connect, void *arg, net_connect_call **out_call);
    void (*connect_cancel)(net_connect_call *call);

    io_result (*read)(net_conn *conn, void *buffer, size_t size);
    io_result (*write)(net_conn *conn, std::span<const iovec> parts, bool more);
    io_result (*send_file)(net_conn *conn, disk_file *file, uint64_t offset, size_t size);
    void (*wait)(net_conn *conn, net_side side, net_on_ready on_ready, void *arg);
    void (*wait_cancel)(net_conn *conn, net_side side);
    bool (*is_waiting)(const net_conn *conn, net_side side);
    void (*half_close)(net_conn *conn);
    void (*reset_on_close)(net_conn *conn);
    void (*close)(net_conn *conn);
    std::string (*peer)(const net_conn *conn);
    bool (*has_unread)(net_conn *conn, bool *out_end);

    net_relay *(*relay_make)(env &e);
    io_result (*relay_fill)(net_relay *relay, net_conn *from, size_t max);
    io_result (*relay_flush)(net_relay *relay, net_conn *to, bool more);
    size_t (*relay_pending)(const net_relay *relay);
    void (*relay_free)(net_relay *relay);
};

// `host` is a numeric address ("127.0.0.1", "::1", "0.0.0.0"); port 0 lets the kernel choose. The listener accepts until it is paused or
// closed. If the process runs out of descriptors, it pauses itself for a moment and logs that. `reach` describes the clients; a loopback
// address has clients on this machine only.
inline error net_listen(env &e, const char *host, uint16_t port, net_on_accept on_accept, void *arg, net_listener **out_listener,
    net_reach reach = net_reach::anywhere)
{
    return e.net->listen(e, host, port, reach, on_accept, arg, out_listener);
}
inline uint16_t net_listener_port(env &e, const net_listener *listener) { return e.net->listener_port(listener); }
inline void net_listener_pause(env &e, net_listener *listener, bool paused) { e.net->listener_pause(listener, paused); }
inline void net_listener_close(env &e, net_listener *listener) { e.net->listener_close(listener); }

// `host` may be a name, which is resolved off the loop thread. Completes once with a connection or an error, or never after
// net_connect_cancel. There is no time limit here: the caller has a timer.
inline error net_connect(env &e, const char *host, uint16_t port, net_on_connect on_connect, void *arg, net_connect_call **out_call,
    net_reach reach = net_reach::anywhere)
{
    return e.net->connect(e, host, port, reach, on_connect, arg, out_call);
}
inline void net_connect_cancel(env &e, net_connect_call *call) { e.net->connect_cancel(call); }

inline io_result net_read(env &e, net_conn *conn, void *buffer, size_t size) { return e.net->read(conn, buffer, size); }
// Gathers up to 16 parts. `more`: further bytes follow at once (may delay a short segment).
inline io_result net_write(env &e, net_conn *conn, std::span<const iovec> parts, bool more = false)
{
    return e.net->write(conn, parts, more);
}
// Sends a file's content without copying it through the node's memory where the kernel can do that. `failed` with
// error_code::end_of_stream if the file ends before offset + size.
inline io_result net_send_file(env &e, net_conn *conn, disk_file *file, uint64_t offset, size_t size)
{
    return e.net->send_file(conn, file, offset, size);
}
// Calls on_ready once, when the side is ready or the connection has failed (the next operation says which). One wait per side at a time.
inline void net_wait(env &e, net_conn *conn, net_side side, net_on_ready on_ready, void *arg) { e.net->wait(conn, side, on_ready, arg); }
// No effect if nothing waits.
inline void net_wait_cancel(env &e, net_conn *conn, net_side side) { e.net->wait_cancel(conn, side); }
inline bool net_is_waiting(env &e, const net_conn *conn, net_side side) { return e.net->is_waiting(conn, side); }
// Sends FIN after everything written so far; reading continues.
inline void net_half_close(env &e, net_conn *conn) { e.net->half_close(conn); }
// A later net_close sends RST, so that the peer cannot mistake what it received for the complete message.
inline void net_reset_on_close(env &e, net_conn *conn) { e.net->reset_on_close(conn); }
// Ends the connection. Pending waits never complete, and the pointer is invalid at once.
inline void net_close(env &e, net_conn *conn) { e.net->close(conn); }
// "127.0.0.1:4711" or "[::1]:4711".
inline std::string net_peer(env &e, const net_conn *conn) { return e.net->peer(conn); }
// Peeks: true if bytes can be read. *out_end: the peer has finished, or the connection failed.
inline bool net_has_unread(env &e, net_conn *conn, bool *out_end) { return e.net->has_unread(conn, out_end); }

// A relay holds at most relay_pipe_size bytes: it splices through a pipe where the kernel can, and otherwise uses a buffer of
// stream_buffer_size.
inline net_relay *net_relay_make(env &e) { return e.net->relay_make(e); }
// Moves up to `max` bytes from the connection into the relay. `again` with relay_pending == 0: wait for `from` readable;
// `again` with bytes pending: flush first.
inline io_result net_relay_fill(env &e, net_relay *relay, net_conn *from, size_t max) { return e.net->relay_fill(relay, from, max); }
inline io_result net_relay_flush(env &e, net_relay *relay, net_conn *to, bool more) { return e.net->relay_flush(relay, to, more); }
inline size_t net_relay_pending(env &e, const net_relay *relay) { return e.net->relay_pending(relay); }
inline void net_relay_free(env &e, net_relay *relay) { e.net->relay_free(relay); }

} // namespace etlnode
