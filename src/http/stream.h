// SPDX-License-Identifier: MIT
// http/stream.h: the two ends of a pump (http/pump.h): one to pull bytes from, and one to push them to.
//
// An end is a function table and its object, borrowed by the pump while it runs. Neither end calls back before it returns. An end at a
// socket keeps the bytes in the kernel if the other end allows it: by a relay, or from a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "port/disk.h"
#include "port/net.h"

namespace etlnode {

struct call;
struct exchange;

inline constexpr uint64_t stream_size_unknown = UINT64_MAX;

enum class pull_state : uint8_t { bytes, relayed, file, again, end, failed };
struct pull_result {
    pull_state state = pull_state::again;
    std::string_view bytes;    // state bytes: valid in the source's buffer until the next pull
    size_t count = 0;          // number of bytes taken, in any form
    error err;                 // failed
    disk_file *file = nullptr; // state file: count bytes of it from `offset`; it stays open until the source is closed
    uint64_t offset = 0;
};

struct stream_from_ops {
    bool gives_relayed; // may fill a relay
    // Takes the next piece: into the source's memory, into `relay` (null: never) or, if the other end can send one, as a part of a file.
    pull_result (*pull)(void *self, net_relay *relay, bool takes_file);
    // Calls back once, when pulling can continue.
    void (*wait)(void *self, net_on_ready on_ready, void *arg);
    void (*wait_cancel)(void *self); // no effect if nothing waits
    // clock_now_ms of the last sign of life other than pieces; 0 if there is none.
    uint64_t (*last_progress_ms)(const void *self);
    const char *(*stall_text)(const void *self); // describes a source that gives no more
};
struct stream_from {
    const stream_from_ops *ops = nullptr;
    void *self = nullptr;
};

struct stream_to_ops {
    bool takes_relayed, takes_file;
    void (*begin_piece)(void *self, size_t size); // framing before `size` bytes; may be null
    void (*end_piece)(void *self);                // and after them; may be null
    bool (*has_framing)(const void *self);        // some of it is still to be sent; may be null
    // Takes framing, then of `bytes` what it can. count: of `bytes`. `more`: more follow at once. failed: err says why, in words for the
    // user.
    io_result (*send)(void *self, std::string_view bytes, bool more);
    io_result (*send_relayed)(void *self, net_relay *relay); // null: takes_relayed is false
    // If it fails with corrupt, io or end_of_stream, the file is to blame, not this end.
    io_result (*send_file)(void *self, disk_file *file, uint64_t offset, size_t size); // null: takes_file is false
    void (*wait)(void *self, net_on_ready on_ready, void *arg);
    void (*wait_cancel)(void *self);
    error (*stalled)(void *self); // describes an end that has taken nothing for too long
};
struct stream_to {
    const stream_to_ops *ops = nullptr;
    void *self = nullptr;
};

// Whether a failure of send_file is the file's fault.
inline bool stream_is_of_file(error err)
{
    return err.code == error_code::corrupt || err.code == error_code::io || err.code == error_code::end_of_stream;
}

// The body of a call's answer, after on_head.
stream_from call_stream(call &c);
// The body of a streamed answer, after exchange_stream_begin.
stream_to exchange_stream(exchange &x);
// The body of a call's request (call_options.streams_body), from call_start on. What is pushed before the connection exists waits for it.
// The pushing side must stop using it in on_done at the latest.
stream_to call_body_stream(call &c);

} // namespace etlnode
