// SPDX-License-Identifier: MIT
// base/log_json.cc: reads key=value pairs, writes JSON.
#include "base/log_json.h"

#include "base/text.h"

namespace etlnode {

// Reads the text of a quoted value. `at` points behind the opening quote, and afterwards behind the closing one.
static std::string read_quoted(std::string_view line, size_t &at)
{
    std::string out;
    while (at < line.size() && line[at] != '"') {
        if (line[at] != '\\' || at + 1 == line.size()) {
            out += line[at++];
            continue;
        }
        char kind = line[at + 1];
        unsigned value = 0;
        bool is_hex = kind == 'x' && at + 3 < line.size();
        for (size_t i = at + 2; is_hex && i < at + 4; i++) {
            char c = line[i];
            unsigned digit = c >= '0' && c <= '9'   ? static_cast<unsigned>(c - '0')
                             : c >= 'a' && c <= 'f' ? static_cast<unsigned>(c - 'a' + 10)
                                                    : 16;
            is_hex = digit < 16;
            value = value * 16 + digit;
        }
        out += is_hex ? static_cast<char>(value) : kind == 'n' ? '\n' : kind;
        at += is_hex ? 4 : 2;
    }
    at += at < line.size() ? 1 : 0;
    return out;
}

static std::string_view read_word(std::string_view line, size_t &at, std::string_view ends)
{
    size_t begin = at;
    while (at < line.size() && ends.find(line[at]) == std::string_view::npos)
        at++;
    return line.substr(begin, at - begin);
}

static void add_string(std::string &out, std::string_view text)
{
    out += '"';
    for (size_t i = 0; i < text.size();) {
        auto byte = static_cast<unsigned char>(text[i]);
        size_t length = byte < 0x80 ? 1 : byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
        if (byte == '"' || byte == '\\') {
            out += '\\';
            out += text[i];
        } else if (byte < 0x20 || byte == 0x7f) {
            out += text_format("\\u%04x", byte);
        } else if (text_is_utf8(text.substr(i, length))) {
            out += text.substr(i, length);
            i += length - 1;
        } else {
            out += "\xef\xbf\xbd";
        }
        i++;
    }
    out += '"';
}

static void add_member(std::string &out, std::string_view key, std::string_view value)
{
    out += out.size() > 1 ? "," : "";
    add_string(out, key);
    out += ':';
    add_string(out, value);
}

std::string log_line_as_json(std::string_view line)
{
    std::string out = "{";
    std::string message;
    auto add_words = [&message](std::string_view words) {
        message += message.empty() ? "" : " ";
        message += words;
    };
    for (size_t at = 0; at < line.size();) {
        if (line[at] == ' ') {
            at++;
            continue;
        }
        std::string_view word = read_word(line, at, " =\"");
        bool is_key = !word.empty() && at < line.size() && line[at] == '=';
        if (!is_key) {
            std::string rest(word);
            rest += read_word(line, at, " ");
            add_words(rest);
            continue;
        }
        at++;
        std::string value;
        if (at < line.size() && line[at] == '"')
            value = read_quoted(line, ++at);
        else
            value = read_word(line, at, " ");
        if (word == "msg")
            add_words(value);
        else
            add_member(out, word, value);
    }
    if (!message.empty())
        add_member(out, "msg", message);
    return out + "}";
}

} // namespace etlnode
