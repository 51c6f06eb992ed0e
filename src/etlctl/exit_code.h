// SPDX-License-Identifier: MIT
// etlctl/exit_code.h: the meaning of each exit status, and the HTTP status it follows from.
//
// There is one table: `help exit-codes`, the man page and the tests read or mirror it. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace etlnode::etlctl {

enum class exit_code : uint8_t {
    ok = 0,
    other = 1,
    usage = 2,
    not_found = 3,
    conflict = 4,
    auth = 5,
    unavailable = 6,
    timeout = 7,
    partial = 8,
    limit = 10,
    interrupted = 130,
    broken_pipe = 141,
    terminated = 143,
};

struct exit_code_row {
    exit_code code;
    const char *name;    // the `code` of an error that has no more specific one
    const char *meaning; // one line
};

std::span<const exit_code_row> exit_code_table();
const char *exit_code_name(exit_code code);

// The exit status for an HTTP answer. `retryable` is what the server reported, or the usual meaning of its status.
exit_code exit_code_from_status(int status, bool retryable);
// As above, for an answer that has a `code`. A code of node/errors.def decides, because some failures use a status that AIStore chose.
exit_code exit_code_from_answer(int status, std::string_view code, bool retryable);
// Whether a status is retryable when the answer does not say: 429, 502, 503, 504 and 408 are.
bool status_is_retryable(int status);

} // namespace etlnode::etlctl
