// SPDX-License-Identifier: MIT
// base/log.cc: formats one line and writes it with a single call, so that lines of several processes do not interleave.
#include "base/log.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <unistd.h>

#include "base/log_json.h"
#include "base/text.h"

namespace etlnode {

static log_level level_max = log_level::info;
static bool as_json = false;
static char node_name[65] = "";
static uint64_t (*wall_clock_ms)() = nullptr;

static constexpr const char *level_names[] = {"error", "warn", "info", "state", "debug"};

// The last lines, one behind the other; the oldest bytes are overwritten.
static char recent[log_recent_size];
static size_t recent_end = 0; // of all bytes that were ever kept

static void keep(std::string_view line)
{
    for (size_t i = 0; i < line.size();) {
        size_t at = recent_end % log_recent_size;
        size_t count = std::min(line.size() - i, log_recent_size - at);
        std::memcpy(recent + at, line.data() + i, count);
        recent_end += count;
        i += count;
    }
}

static bool is_severe(std::string_view line, log_level least)
{
    for (int i = 0; i <= static_cast<int>(least); i++) {
        if (line.find(std::string("level=") + level_names[i] + " ") != std::string_view::npos)
            return true;
    }
    return false;
}

std::string log_recent(log_level least)
{
    std::string all;
    size_t begin = recent_end > log_recent_size ? recent_end - log_recent_size : 0;
    for (size_t i = begin; i < recent_end; i += log_recent_size - i % log_recent_size)
        all.append(recent + i % log_recent_size, std::min(recent_end - i, log_recent_size - i % log_recent_size));
    size_t at = begin > 0 ? all.find('\n') + 1 : 0; // the oldest line has lost its start
    std::string out;
    while (at < all.size()) {
        size_t end = all.find('\n', at) + 1;
        std::string_view line = std::string_view(all).substr(at, end - at);
        if (is_severe(line.substr(0, line.find(" sub=") + 1), least))
            out.append(line);
        at = end;
    }
    return out;
}

bool log_enabled(log_level level) { return static_cast<int>(level) <= static_cast<int>(level_max); }
void log_set_level(log_level level) { level_max = level; }
log_level log_get_level() { return level_max; }
void log_set_json(bool json) { as_json = json; }
void log_set_wall_clock(uint64_t (*wall_ms)()) { wall_clock_ms = wall_ms; }

bool log_level_from_text(const char *text, log_level &out_level)
{
    for (int i = 0; i < 5; i++) {
        if (std::strcmp(text, level_names[i]) == 0) {
            out_level = static_cast<log_level>(i);
            return true;
        }
    }
    return false;
}

void log_set_node(const char *name) { std::snprintf(node_name, sizeof node_name, "%s", name); }

// A message may contain foreign bytes of any value. Whatever is not text, ends the line or controls a terminal becomes \xNN.
static size_t escape_message(char *out, size_t room, std::string_view message)
{
    size_t used = 0;
    for (size_t i = 0; i < message.size();) {
        size_t length = text_utf8_size(message.substr(i));
        auto byte = static_cast<unsigned char>(message[i]);
        bool is_plain = length > 1 || (length == 1 && byte >= 0x20 && byte != 0x7f);
        size_t wanted = is_plain ? length : byte == '\n' ? 2 : 4;
        if (used + wanted > room)
            break;
        if (is_plain)
            std::memcpy(out + used, message.data() + i, length);
        else if (byte == '\n')
            std::memcpy(out + used, "\\n", 2);
        else
            (void)std::snprintf(out + used, room - used + 1, "\\x%02x", byte); // the newline's slot holds the NUL
        used += wanted;
        i += is_plain ? length : 1;
    }
    return used;
}

void log_plain(log_level level, const char *subsystem, std::string_view line)
{
    static constexpr size_t line_size_max = 3'000; // the size of a log object's buffer
    if (as_json) {
        log_write(level, subsystem, "msg=\"%s\"", text_escape(line, line_size_max).c_str());
        return;
    }
    std::string text = std::string(line) + "\n";
    ssize_t ignored = write(STDERR_FILENO, text.data(), text.size());
    (void)ignored;
}

void log_write(log_level level, const char *subsystem, const char *format, ...)
{
    char line[4096];
    size_t used = 0;
    size_t room = sizeof line - 1; // without the newline
    if (wall_clock_ms != nullptr) {
        uint64_t now = wall_clock_ms();
        time_t seconds = static_cast<time_t>(now / 1000);
        tm parts{};
        gmtime_r(&seconds, &parts);
        used += strftime(line, room, "ts=%Y-%m-%dT%H:%M:%S", &parts);
        used += static_cast<size_t>(std::snprintf(line + used, room - used, ".%03uZ ", static_cast<unsigned>(now % 1000)));
    }
    used += static_cast<size_t>(
        std::snprintf(line + used, room - used, "level=%s sub=%s", level_names[static_cast<int>(level)], subsystem));
    if (node_name[0] != '\0')
        used += static_cast<size_t>(std::snprintf(line + used, room - used, " node=%s", node_name));
    line[used++] = ' ';
    va_list args;
    va_start(args, format);
    char message[sizeof line];
    int size = std::vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (size > 0)
        used += escape_message(line + used, room - used - 1, {message, std::min(static_cast<size_t>(size), sizeof message - 1)});
    line[used++] = '\n';
    keep({line, used});
    if (as_json) {
        std::string object = log_line_as_json({line, used - 1}) + "\n";
        ssize_t ignored = write(STDERR_FILENO, object.data(), object.size());
        (void)ignored;
        return;
    }
    ssize_t ignored = write(STDERR_FILENO, line, used);
    (void)ignored; // a closed stderr must not stop the node
}

} // namespace etlnode
