// SPDX-License-Identifier: MIT
// etlctl/exit_code.h: what the program's exit status says, and which HTTP status leads to it.
//
// One table: `help exit-codes`, the man page and the tests read or mirror it. Pure.
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
    const char *name;    // `code` of an error that has no better one
    const char *meaning; // one line
};

std::span<const exit_code_row> exit_code_table();
const char *exit_code_name(exit_code code);

// The exit status for an HTTP answer. `retryable` is what the server said, or its status's usual meaning.
exit_code exit_code_from_status(int status, bool retryable);
// The same where the answer has a `code` too: a code of node/errors.def decides, because some failures have a status of AIStore's.
exit_code exit_code_from_answer(int status, std::string_view code, bool retryable);
// What a status means when the answer does not say: 429, 502, 503, 504 and 408 may pass.
bool status_is_retryable(int status);

} // namespace etlnode::etlctl
