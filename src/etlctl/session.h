// SPDX-License-Identifier: MIT
// etlctl/session.h: one run of the program: its options resolved, its HTTP client, how it prints failures and plans.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "etlctl/failure.h"
#include "etlctl/grammar.h"
#include "etlctl/http_client.h"
#include "etlctl/output.h"

namespace etlnode::etlctl {

enum class progress_mode : uint8_t { automatic, plain, none };

// What --dry-run says instead of sending.
struct plan_step {
    std::string method;
    std::string url;
    std::string body; // "" or a few words: "body: spec.yaml (512 bytes)"
};

struct session {
    const command_row *row = nullptr;
    options opt;
    std::string program; // "etlctl", "ais": as it was called
    std::string endpoint;
    std::string request_id;
    output_format format = output_format::table;
    progress_mode progress = progress_mode::automatic;
    uint64_t timeout_ms = 0; // 0: the default of each request
    bool out_is_tty = false;
    bool err_is_tty = false;
    bool in_is_tty = false;
    http_client http;
    std::vector<plan_step> plan;
    exit_code worst = exit_code::ok; // set by session_fail
};

// Requests that only ask or change metadata get this unless --timeout is given.
inline constexpr uint64_t control_timeout_ms = 60'000;

// Reads endpoint, format, timeout, ... from opt and the environment; a usage failure when one is wrong.
failure session_init(session &s);
void session_close(session &s);

// Milliseconds of a clock that only goes forward.
uint64_t session_clock_ms();

std::string session_url(const session &s, std::string_view path); // endpoint + path
std::string session_object_url(const session &s, const std::string &bucket, const std::string &object);

// A request with the headers that all have. `timeout_ms` 0: none unless --timeout.
http_request session_request(const session &s, const char *method, std::string url, uint64_t timeout_ms);

// Performs it. An answer of 2xx gives no failure. Otherwise the failure has `doing`, why, and what the caller knows
// (bucket, object, etl are the caller's to fill before session_fail).
failure session_perform(
    session &s, const http_request &request, const char *doing_what, const std::string &doing_name, http_reply &out_reply);
// The failure of a reply that http_perform filled; none when it is a success.
failure session_failure(session &s, const http_reply &reply, std::string doing);

// Prints the failure on stderr (JSON with -o json) with its hint and remembers the exit code; returns it.
exit_code session_fail(session &s, failure f);

// Asks on the terminal; anything but y is no.
bool session_ask(const session &s, const std::string &question);
// With --dry-run: notes the step and returns true.
bool session_plan(session &s, const char *method, const std::string &url, std::string body = {});
void session_print_plan(const session &s);

// A line on stderr for people: only on a terminal.
[[gnu::format(printf, 2, 3)]] void session_note(const session &s, const char *format, ...);

list_printer session_list(const session &s, const char *kind, std::span<const column> columns, const char *name_key);
// Usage failure when --sort-by names no column.
failure session_check_list(const session &s, const list_printer &list);
// fflush(stdout) and its failure.
failure session_flush(session &s);

} // namespace etlnode::etlctl
