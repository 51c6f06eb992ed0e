// SPDX-License-Identifier: MIT
// transfer/modes/websocket_wire.h: what travels between a target and a pod of mode ws: the upgrade, frames (RFC 6455), messages. No
// connection, no time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/rng.h"
#include "codec/http_parse.h"

namespace etlnode {

inline constexpr uint64_t websocket_message_size_max = 16ull << 30; // of a reply; transformers have the same limit
inline constexpr uint64_t websocket_frame_size_max = 4ull << 20;    // of an object: a pong must wait for the end of a frame
inline constexpr size_t websocket_piece_size_max = 64ull << 10;     // of an object, encoded at a time
inline constexpr uint64_t websocket_pong_interval_ms = 1'000;       // some servers answer each pong with the next ping

struct websocket_frames; // the state of both directions

// Masks are drawn from `random`. Lifetime: the frames'.
websocket_frames *websocket_frames_make(rng &random);
void websocket_frames_free(websocket_frames *frames);

// --- the upgrade

std::string websocket_key_make(rng &random);
// The Sec-WebSocket-Accept that belongs to a Sec-WebSocket-Key.
std::string websocket_accept_of(std::string_view key);
// An overloaded or broken server says so in its own words. Any other status but 101 means that the server does not speak WebSocket there.
bool websocket_is_trouble(int status);
// Empty if the answer agrees to the upgrade; else the reason why not, for the user.
std::string websocket_upgrade_fault(const http_head &answer, std::string_view accept);

// --- messages

// The message before an object. It always has all four keys, as text: servers keep the former value of a key that is missing.
// `query` is that of the client, with etl_args in it.
std::string websocket_control_of(std::string_view path, std::string_view query, std::string_view direct_url);
// Why that message cannot carry the query; empty: it can.
std::string websocket_refusal(std::string_view query);
// Turns a reply in text into the pod's error as the user reads it. `is_cut`: the text was longer. False: it is not UTF-8, as texts must be.
bool websocket_text_to_error(std::string &text, bool is_cut);

// --- writing, to the end of `out`

enum class websocket_kind : uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

// Begins a frame of `size` bytes, or continues the one that has begun. Requires: `bytes` fits into what is left of the frame.
void websocket_put(websocket_frames &frames, std::string &out, websocket_kind kind, bool is_last, uint64_t size, std::string_view bytes);
// A whole close frame.
inline constexpr uint16_t websocket_close_normal = 1000;
inline constexpr uint16_t websocket_close_protocol_error = 1002;
void websocket_put_close(websocket_frames &frames, std::string &out, uint16_t code);

// What the target sends: the control message, the object in frames, and pongs between them.
struct websocket_outgoing {
    std::string bytes; // encoded frames
    size_t sent = 0;   // of `bytes`
    uint64_t object_size = 0;
    uint64_t object_left = 0; // not in `bytes` yet
    uint64_t frame_left = 0;  // of the frame that has begun
    std::string ping;         // payload of the last ping
    bool is_pinged = false;   // it has no answer yet
    bool is_pong = false;     // `bytes` is a pong
    uint64_t next_pong_ms = 0;
};
// These three put frames into `bytes`. Requires: everything in it has been sent.
void websocket_begin_object(websocket_frames &frames, websocket_outgoing &out, std::string_view control, uint64_t object_size);
// Takes bytes off the front of `piece`, the object's next ones; returns how many.
size_t websocket_put_object(websocket_frames &frames, websocket_outgoing &out, std::string_view piece);
// Answers the last ping, and so those before it. False: there is none, a frame of the object has begun, or the last pong was sent less than
// websocket_pong_interval_ms ago.
bool websocket_put_pong(websocket_frames &frames, websocket_outgoing &out, uint64_t now_ms);

// --- reading

struct websocket_taken {
    enum class what : uint8_t {
        none,   // all of the input has been taken; more is needed
        data,   // `bytes` of a message
        ping,   // `bytes` is its payload
        closed, // by a close frame with the payload `bytes`
        broken, // the protocol; `fault` tells the user how
    } kind = what::none;
    std::string_view bytes = {}; // Lifetime: until the next call
    bool is_text = false;        // data: the message is a text
    bool is_last = false;        // data: the message ends here
    bool has_size = false;       // first data of a message: the message is one frame of `size` bytes
    uint64_t size = 0;
    const char *fault = nullptr;
};
// Takes bytes off `in_out_input` up to the next of these. Not to be called after closed or broken.
websocket_taken websocket_take(websocket_frames &frames, std::string_view &in_out_input);
// After a whole message: whether `input` has bytes of another one. Control frames do not count.
bool websocket_is_more_behind(websocket_frames &frames, std::string_view input);
// Describes the payload of a close frame: code 1011, "out of memory".
std::string websocket_close_words(std::string_view bytes);

} // namespace etlnode
