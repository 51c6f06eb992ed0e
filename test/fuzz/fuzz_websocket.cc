// SPDX-License-Identifier: MIT
// test/fuzz/fuzz_websocket: what a pod of mode ws sends behind its 101: in one piece, in any pieces, and as a plain reading of all of it
// finds it.
#include "fuzz.h"
#include "transfer/modes/websocket_wire.h"

using namespace etlnode;

namespace {

// "data, binary, one frame of 3: abc; end. ping: x. closed: ..."; what of a message has come stands there without its end.
std::string read_in_pieces(std::string_view text, bool in_one)
{
    rng masks{1};
    rng choices = fuzz_rng(text);
    websocket_frames *frames = websocket_frames_make(masks);
    std::string out;
    bool is_inside = false, is_over = false;
    while (!text.empty() && !is_over) {
        fuzz_exact piece(text.substr(0, in_one ? text.size() : fuzz_piece(choices, text.size())));
        text.remove_prefix(piece.size);
        std::string_view input = piece.view();
        for (;;) {
            size_t before = input.size();
            websocket_taken taken = websocket_take(*frames, input);
            FUZZ_CHECK(input.size() <= before);
            if (taken.kind == websocket_taken::what::none) {
                FUZZ_CHECK(input.empty());
                break;
            }
            is_over = taken.kind == websocket_taken::what::closed || taken.kind == websocket_taken::what::broken;
            if (taken.kind == websocket_taken::what::data) {
                if (!is_inside)
                    out += std::string(taken.is_text ? "text" : "binary") + (taken.has_size ? " of " + std::to_string(taken.size) : "") +
                           ":";
                out.append(taken.bytes);
                out += taken.is_last ? ";" : "";
                is_inside = !taken.is_last;
            } else if (taken.kind == websocket_taken::what::ping) {
                FUZZ_CHECK(taken.bytes.size() <= 125);
                out.append("<ping:").append(taken.bytes).append(">");
            } else if (taken.kind == websocket_taken::what::closed) {
                out.append("<closed:").append(websocket_close_words(taken.bytes)).append(">");
            } else {
                FUZZ_CHECK(taken.fault != nullptr);
                out += "<broken>";
            }
            if (is_over)
                break;
        }
    }
    websocket_frames_free(frames);
    return out;
}

// --- a plain reading of the same bytes

struct plain_frame {
    uint8_t first = 0;
    bool is_masked = false;
    uint64_t size = 0;
};

enum class plain : uint8_t { whole, short_of, broken };

plain read_head(std::string_view &rest, plain_frame &out)
{
    auto byte = [&](size_t i) { return static_cast<uint8_t>(rest[i]); };
    if (rest.size() < 2)
        return plain::short_of;
    out.first = byte(0);
    out.is_masked = byte(1) >= 128;
    out.size = byte(1) % 128;
    bool is_control = (out.first & 8) != 0;
    if (is_control && (out.size > 125 || out.first < 128))
        return plain::broken;
    size_t more = out.size == 126 ? 2 : out.size == 127 ? 8 : 0;
    if (rest.size() < 2 + more)
        return plain::short_of;
    if (more > 0) {
        out.size = 0;
        for (size_t i = 0; i < more; i++)
            out.size = out.size << 8 | byte(2 + i);
        if (more == 2 ? out.size < 126 : out.size < 65'536 || out.size >> 63 != 0)
            return plain::broken;
    }
    rest.remove_prefix(2 + more);
    if (!out.is_masked)
        return plain::whole;
    if (rest.size() < 4)
        return plain::short_of;
    rest.remove_prefix(4);
    return plain::whole;
}

bool is_allowed(const plain_frame &frame, bool is_inside, uint64_t message_size)
{
    uint8_t opcode = frame.first & 15;
    bool is_data = opcode < 3;
    bool is_known = is_data || (opcode >= 8 && opcode <= 10);
    if (frame.is_masked || (frame.first & 0x70) != 0 || !is_known)
        return false;
    return !is_data || ((opcode == 0) == is_inside && frame.size <= websocket_message_size_max - message_size);
}

std::string read_plainly(std::string_view rest)
{
    std::string out;
    bool is_inside = false;
    uint64_t message_size = 0;
    for (;;) {
        plain_frame frame;
        plain head = read_head(rest, frame);
        if (head == plain::broken)
            return out + "<broken>";
        if (head == plain::short_of || (frame.size > 0 && rest.empty()))
            return out;
        if (!is_allowed(frame, is_inside, message_size))
            return out + "<broken>";
        std::string_view bytes = rest.substr(0, static_cast<size_t>(std::min<uint64_t>(frame.size, rest.size())));
        bool is_whole = bytes.size() == frame.size, is_last = frame.first >= 128 && is_whole;
        rest.remove_prefix(bytes.size());
        uint8_t opcode = frame.first & 15;
        if (opcode >= 8) {
            if (!is_whole)
                return out;
            if (opcode == 9)
                out.append("<ping:").append(bytes).append(">");
            if (opcode == 8)
                return out.append("<closed:").append(websocket_close_words(bytes)).append(">");
            continue;
        }
        if (!is_inside)
            out += std::string(opcode == 1 ? "text" : "binary") + (frame.first >= 128 ? " of " + std::to_string(frame.size) : "") + ":";
        out.append(bytes);
        out += is_last ? ";" : "";
        message_size = is_last ? 0 : message_size + bytes.size();
        is_inside = !is_last;
        if (!is_whole)
            return out;
    }
}

} // namespace

FUZZ_TARGET(websocket)
{
    std::string one = read_in_pieces(text, true);
    FUZZ_SAME(one, read_in_pieces(text, false));
    FUZZ_SAME(one, read_plainly(text));
}
