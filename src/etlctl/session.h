// SPDX-License-Identifier: MIT
// etlctl/session.h: one run of the program: resolved options, the HTTP client, printing of failures and plans.
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

// A request that --dry-run prints instead of sending.
struct plan_step {
    std::string method;
    std::string url;
    std::string body; // "" or a few words: "body: spec.yaml (512 bytes)"
};

struct session {
    const command_row *row = nullptr;
    options opt;
    std::string program; // "etlctl" or "ais": the name under which the program was called
    std::string endpoint;
    std::string request_id;
    output_format format = output_format::table;
    progress_mode progress = progress_mode::automatic;
    uint64_t timeout_ms = 0; // 0 for each request's default
    bool out_is_tty = false;
    bool err_is_tty = false;
    bool in_is_tty = false;
    http_client http;
    std::vector<plan_step> plan;
    exit_code worst = exit_code::ok; // set by session_fail
};

// Timeout of requests that only query or change metadata, unless --timeout is given.
inline constexpr uint64_t control_timeout_ms = 60'000;

// Reads endpoint, format, timeout and so on from `opt` and the environment. Returns a usage failure if one is wrong.
failure session_init(session &s);
void session_close(session &s);

// Milliseconds of a monotonic clock.
uint64_t session_clock_ms();
void session_sleep_ms(uint64_t ms);

std::string session_url(const session &s, std::string_view path); // endpoint + path
std::string session_object_url(const session &s, const std::string &bucket, const std::string &object);

// A request with the common headers. `timeout_ms` 0 means no timeout, unless --timeout is given.
http_request session_request(const session &s, const char *method, std::string url, uint64_t timeout_ms);

// Performs the request. An answer of 2xx is a success. Otherwise the failure has `doing` and the reason. The caller fills bucket, object
// and etl before it calls session_fail.
failure session_perform(
    session &s, const http_request &request, const char *doing_what, const std::string &doing_name, http_reply &out_reply);
// The failure of a reply that http_perform filled; empty for a success.
failure session_failure(session &s, const http_reply &reply, std::string doing);

// Prints the failure with its hint on stderr (as JSON with -o json), remembers its exit code and returns it.
exit_code session_fail(session &s, failure f);

// Asks on the terminal. Any answer but y means no.
bool session_ask(const session &s, const std::string &question);
// With --dry-run, records the request and returns true.
bool session_plan(session &s, const char *method, const std::string &url, std::string body = {});
void session_print_plan(const session &s);

// Prints a line for people on stderr, only if it is a terminal.
[[gnu::format(printf, 2, 3)]] void session_note(const session &s, const char *format, ...);

list_printer session_list(const session &s, const char *kind, std::span<const column> columns, const char *name_key);
// Returns a usage failure if --sort-by does not name a column.
failure session_check_list(const session &s, const list_printer &list);
// Flushes stdout; returns a failure if it cannot be written.
failure session_flush(session &s);

} // namespace etlnode::etlctl
