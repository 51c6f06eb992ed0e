// SPDX-License-Identifier: MIT
// transfer/modes/websocket_wire.cc: the upgrade, messages, and wslay's frames with the rules that wslay leaves to its user (masks, order,
// sizes).
//
// Knows    wslay for frames, nettle for SHA-1; codec.        Known by  websocket.cc.
// Limits   those of websocket_wire.h; 125 bytes of a control frame (wslay).
#include "transfer/modes/websocket_wire.h"

#include <algorithm>
#include <cstring>

#include <nettle/sha1.h>
#include <wslay/wslay.h>

#include "base/check.h"
#include "base/text.h"
#include "codec/http_write.h"
#include "codec/json.h"
#include "codec/url.h"
#include "node/api.h"
#include "transfer/answer_headers.h"

namespace etlnode {

struct websocket_frames {
    wslay_frame_context_ptr context = nullptr;
    rng *random = nullptr;
    std::string *out = nullptr; // where frames are written to, during a call
    std::string_view in;        // what is left to read, during a call
    std::string control;        // bytes of the control frame that is being read
    uint64_t frame_got = 0;     // bytes so far of the frame that is being read
    uint64_t message_size = 0;  // bytes so far of the message that is being read
    bool is_in_message = false;
    bool is_text = false;
};

static websocket_frames &of(void *arg) { return *static_cast<websocket_frames *>(arg); }

static ssize_t put_bytes(const uint8_t *bytes, size_t size, int, void *arg)
{
    of(arg).out->append(reinterpret_cast<const char *>(bytes), size);
    return static_cast<ssize_t>(size);
}

static ssize_t take_bytes(uint8_t *buffer, size_t size, int, void *arg)
{
    std::string_view &in = of(arg).in;
    size_t count = std::min(size, in.size());
    if (count == 0)
        return -1; // wslay wants more
    std::memcpy(buffer, in.data(), count);
    in.remove_prefix(count);
    return static_cast<ssize_t>(count);
}

static int draw_mask(uint8_t *mask, size_t size, void *arg)
{
    uint64_t drawn = rng_next(*of(arg).random);
    CHECK(size <= sizeof drawn);
    std::memcpy(mask, &drawn, size);
    return 0;
}

websocket_frames *websocket_frames_make(rng &random)
{
    static constexpr wslay_frame_callbacks callbacks = {put_bytes, take_bytes, draw_mask};
    auto *frames = new websocket_frames;
    frames->random = &random;
    CHECK(wslay_frame_context_init(&frames->context, &callbacks, frames) == 0);
    return frames;
}

void websocket_frames_free(websocket_frames *frames)
{
    wslay_frame_context_free(frames->context);
    delete frames;
}

// --- the upgrade

std::string websocket_key_make(rng &random)
{
    uint64_t drawn[2] = {rng_next(random), rng_next(random)};
    return base64_encode({reinterpret_cast<const char *>(drawn), sizeof drawn});
}

std::string websocket_accept_of(std::string_view key)
{
    static constexpr std::string_view guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // RFC 6455, 1.3
    std::string text = std::string(key).append(guid);
    sha1_ctx context;
    sha1_init(&context);
    sha1_update(&context, text.size(), reinterpret_cast<const uint8_t *>(text.data()));
    uint8_t digest[SHA1_DIGEST_SIZE];
    sha1_digest(&context, sizeof digest, digest);
    return base64_encode({reinterpret_cast<const char *>(digest), sizeof digest});
}

bool websocket_is_trouble(int status) { return status == 408 || status == 429 || (status >= 500 && status != 501 && status != 505); }

// What is wrong with the head of a 101; null: nothing.
static const char *handshake_fault(const http_head &answer, std::string_view accept)
{
    if (answer.version_minor == 0)
        return "is HTTP/1.0, and a WebSocket handshake needs HTTP/1.1";
    if (!text_equal_ignore_case(http_head_get(answer, "Upgrade"), "websocket") || !header_is_named_by_connection(answer, "Upgrade"))
        return "has no Upgrade: websocket, or no Connection: Upgrade";
    if (http_head_get(answer, "Sec-WebSocket-Accept") != accept)
        return "has the wrong Sec-WebSocket-Accept";
    if (http_head_has(answer, "Sec-WebSocket-Extensions") || http_head_has(answer, "Sec-WebSocket-Protocol"))
        return "chooses an extension or a protocol that was not offered";
    return nullptr;
}

std::string websocket_upgrade_fault(const http_head &answer, std::string_view accept)
{
    if (answer.status != 101)
        return "the pod answered GET /ws with " + http_status_text(answer.status) +
               ": an ETL with communication_type ws:// needs a WebSocket server there";
    const char *fault = handshake_fault(answer, accept);
    return fault != nullptr ? std::string("the WebSocket handshake failed: the pod's 101 answer to GET /ws ") + fault : std::string();
}

// --- messages

static std::string etl_args_of(std::string_view query)
{
    std::string etl_args;
    (void)url_query_get(query, query_etl_args, etl_args);
    return etl_args;
}

std::string websocket_refusal(std::string_view query)
{
    return text_is_utf8(etl_args_of(query)) ? std::string()
                                            : "etl_args is not UTF-8: a ws:// ETL gets it as JSON text, which cannot carry other bytes";
}

std::string websocket_control_of(std::string_view path, std::string_view query, std::string_view direct_url)
{
    json_ptr control = json_object();
    json_add_text(control.get(), "path", path);
    json_add_text(control.get(), "fqn", "");
    json_add_text(control.get(), "etl_args", etl_args_of(query));
    json_add_text(control.get(), "pipeline", direct_url);
    return json_print(control.get());
}

// The text without a character that was cut off at its end.
static std::string_view whole_characters(std::string_view text)
{
    std::string_view whole = text;
    while (!text_is_utf8(whole) && text.size() - whole.size() < 4)
        whole.remove_suffix(std::min<size_t>(1, whole.size()));
    return text_is_utf8(whole) ? whole : text;
}

bool websocket_text_to_error(std::string &text, bool is_cut)
{
    if (is_cut)
        text.resize(whole_characters(text).size());
    if (!text_is_utf8(text))
        return false;
    const bool was_empty = text_trim(text).empty();
    text = text_without_controls(text);
    std::string_view words = text_trim(text);
    if (words.empty())
        text = was_empty ? "the pod replied with an empty text message instead of content"
                         : "the pod replied with a text message of control characters only";
    else if (words.find_first_not_of("0123456789") == std::string_view::npos)
        text = "the pod replied with the text \"" + std::string(words) + "\", which acknowledges a direct put, but the pod has put nothing";
    return true;
}

// --- writing

void websocket_put(websocket_frames &frames, std::string &out, websocket_kind kind, bool is_last, uint64_t size, std::string_view bytes)
{
    frames.out = &out;
    wslay_frame_iocb frame{};
    frame.fin = is_last ? 1 : 0;
    frame.opcode = static_cast<uint8_t>(kind);
    frame.payload_length = size;
    frame.mask = 1;
    frame.data = reinterpret_cast<const uint8_t *>(bytes.data());
    frame.data_length = bytes.size();
    ssize_t put = wslay_frame_send(frames.context, &frame);
    CHECK(put == static_cast<ssize_t>(bytes.size()));
    frames.out = nullptr;
}

void websocket_put_close(websocket_frames &frames, std::string &out, uint16_t code)
{
    const char bytes[2] = {static_cast<char>(code >> 8), static_cast<char>(code & 0xff)};
    websocket_put(frames, out, websocket_kind::close, true, sizeof bytes, {bytes, sizeof bytes});
}

void websocket_begin_object(websocket_frames &frames, websocket_outgoing &out, std::string_view control, uint64_t object_size)
{
    out.object_size = out.object_left = object_size;
    websocket_put(frames, out.bytes, websocket_kind::binary, true, control.size(), control);
    if (object_size == 0)
        websocket_put(frames, out.bytes, websocket_kind::binary, true, 0, {});
}

static void empty(websocket_outgoing &out)
{
    CHECK(out.sent == out.bytes.size());
    out.bytes.clear();
    out.sent = 0;
    out.is_pong = false;
}

size_t websocket_put_object(websocket_frames &frames, websocket_outgoing &out, std::string_view piece)
{
    empty(out);
    bool is_first = out.object_left == out.object_size;
    if (out.frame_left == 0)
        out.frame_left = std::min(out.object_left, websocket_frame_size_max);
    auto size = static_cast<size_t>(std::min<uint64_t>({piece.size(), out.frame_left, websocket_piece_size_max}));
    websocket_put(frames, out.bytes, is_first ? websocket_kind::binary : websocket_kind::continuation, out.frame_left == out.object_left,
        out.frame_left, piece.substr(0, size));
    out.frame_left -= size;
    out.object_left -= size;
    return size;
}

bool websocket_put_pong(websocket_frames &frames, websocket_outgoing &out, uint64_t now_ms)
{
    if (!out.is_pinged || out.frame_left > 0 || now_ms < out.next_pong_ms)
        return false;
    empty(out);
    websocket_put(frames, out.bytes, websocket_kind::pong, true, out.ping.size(), out.ping);
    out.is_pinged = false;
    out.is_pong = true;
    out.next_pong_ms = now_ms + websocket_pong_interval_ms;
    return true;
}

// --- reading

using what = websocket_taken::what;

static bool is_control(uint8_t opcode) { return (opcode & 8) != 0; }

// Says what is wrong with the frame of `piece`; null: nothing.
static const char *fault_of(const websocket_frames &f, const wslay_frame_iocb &piece)
{
    if (piece.mask != 0)
        return "the pod sent a masked WebSocket frame, which only clients may";
    if (piece.rsv != 0)
        return "the pod sent a WebSocket frame of an extension that was not agreed on";
    bool is_first = f.frame_got == 0;
    switch (static_cast<websocket_kind>(piece.opcode)) {
    case websocket_kind::close:
    case websocket_kind::ping:
    case websocket_kind::pong: return nullptr;
    case websocket_kind::continuation:
        if (!f.is_in_message)
            return "the pod continued a WebSocket message that it had not begun";
        break;
    case websocket_kind::text:
    case websocket_kind::binary:
        if (is_first && f.is_in_message)
            return "the pod began a WebSocket message inside another one";
        break;
    default: return "the pod sent a WebSocket frame of an unknown kind";
    }
    if (is_first && piece.payload_length > websocket_message_size_max - f.message_size)
        return "the pod's WebSocket message is larger than 16 GiB";
    return nullptr;
}

static websocket_taken take_control(websocket_frames &f, uint8_t opcode, std::string_view bytes, bool is_first, bool is_end)
{
    if (is_first)
        f.control.clear();
    f.control.append(bytes);
    if (!is_end || opcode == WSLAY_PONG) // a pong that answers no ping is allowed, and means nothing
        return {};
    return {.kind = opcode == WSLAY_PING ? what::ping : what::closed, .bytes = f.control};
}

static websocket_taken take_data(websocket_frames &f, const wslay_frame_iocb &piece, std::string_view bytes, bool is_end)
{
    websocket_taken out = {.kind = what::data, .bytes = bytes};
    if (!f.is_in_message) {
        f.is_in_message = true;
        f.is_text = piece.opcode == WSLAY_TEXT_FRAME;
        f.message_size = 0;
        out.has_size = piece.fin != 0;
        out.size = piece.payload_length;
    }
    f.message_size += bytes.size();
    out.is_text = f.is_text;
    out.is_last = is_end && piece.fin != 0;
    if (out.is_last) {
        f.is_in_message = false;
        f.message_size = 0;
    }
    return out;
}

static websocket_taken take_piece(websocket_frames &f, const wslay_frame_iocb &piece)
{
    if (const char *fault = fault_of(f, piece); fault != nullptr)
        return {.kind = what::broken, .fault = fault};
    bool is_first = f.frame_got == 0;
    f.frame_got += piece.data_length;
    bool is_end = f.frame_got == piece.payload_length;
    if (is_end)
        f.frame_got = 0;
    std::string_view bytes(reinterpret_cast<const char *>(piece.data), piece.data_length);
    return is_control(piece.opcode) ? take_control(f, piece.opcode, bytes, is_first, is_end) : take_data(f, piece, bytes, is_end);
}

websocket_taken websocket_take(websocket_frames &frames, std::string_view &in_out_input)
{
    frames.in = in_out_input;
    websocket_taken out;
    for (;;) {
        wslay_frame_iocb piece;
        ssize_t size = wslay_frame_recv(frames.context, &piece);
        if (size >= 0)
            out = take_piece(frames, piece);
        else if (size != WSLAY_ERR_WANT_READ)
            out = {.kind = what::broken, .fault = "the pod sent a WebSocket frame that is not well formed"};
        else if (frames.in.empty())
            break;
        if (out.kind != what::none)
            break;
    }
    in_out_input = frames.in;
    frames.in = {};
    return out;
}

bool websocket_is_more_behind(websocket_frames &frames, std::string_view input)
{
    websocket_taken taken;
    do
        taken = websocket_take(frames, input);
    while (taken.kind == what::ping);
    return taken.kind == what::data || taken.kind == what::broken;
}

std::string websocket_close_words(std::string_view bytes)
{
    if (bytes.size() < 2)
        return "without a code";
    unsigned code = static_cast<unsigned>(static_cast<uint8_t>(bytes[0])) << 8 | static_cast<uint8_t>(bytes[1]);
    std::string words = "code " + std::to_string(code);
    if (bytes.size() > 2)
        words += ", \"" + text_escape(bytes.substr(2)) + "\"";
    return words;
}

} // namespace etlnode
