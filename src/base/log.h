// SPDX-License-Identifier: MIT
// base/log.h: structured logging. One event is one line of key=value pairs on stderr.
//
//   LOG(info, "etl", "etl=%s pod=%s msg=\"pod is ready\"", id, pod)
// prints
//   ts=2026-01-02T03:04:05.678Z level=info sub=etl node=t1 etl=... pod=... msg="pod is ready"
// Values from outside go through text_escape. Lines are bounded (4 KiB); longer ones are cut.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace etlnode {

enum class log_level : uint8_t { error, warn, info, state, debug };

#define LOG(level, subsystem, ...) (log_enabled(log_level::level) ? log_write(log_level::level, subsystem, __VA_ARGS__) : (void)0)

bool log_enabled(log_level level);
void log_set_level(log_level level);
log_level log_get_level();
// Prints lines as JSON objects instead of key=value pairs (base/log_json.h).
void log_set_json(bool json);
// "error", "warn", "info", "state" or "debug"; false for anything else.
bool log_level_from_text(const char *text, log_level &out_level);
// Shown in every line as node=<name>; at most 64 bytes are kept.
void log_set_node(const char *name);
// Source of the wall clock, in milliseconds since 1970. The simulator installs its own; null omits the ts field.
void log_set_wall_clock(uint64_t (*wall_ms)());

// The last lines of this process that are at least as severe as `least`, oldest first, each with its newline. At most log_recent_size
// bytes are kept, whatever their level.
inline constexpr size_t log_recent_size = 256 * 1024;
std::string log_recent(log_level least);

// Writes a line for people unchanged. With log_set_json it becomes an object like all others, with the line as its msg.
void log_plain(log_level level, const char *subsystem, std::string_view line);

[[gnu::format(printf, 3, 4)]] void log_write(log_level level, const char *subsystem, const char *format, ...);

} // namespace etlnode
