// SPDX-License-Identifier: MIT
// base/error.h: an operating error as a value from the table in include/node/errors.def.
#pragma once

#include <cstdint>
#include <string_view>

namespace etlnode {

enum class error_code : uint16_t {
#define NODE_ERROR(code, text, status, retryable) code,
#include "node/errors.def"
#undef NODE_ERROR
};

// Lifetime: `what` points to static text, or is null (the table's text applies). Trivially copyable.
struct [[nodiscard]] error {
    error_code code = error_code::ok;
    int32_t sys = 0; // errno, 0 when no system call was involved
    const char *what = nullptr;

    // The one operator of the code base: true means *failed*.
    explicit operator bool() const { return code != error_code::ok; }
};

inline constexpr error no_error{};

constexpr error make_error(error_code code, const char *what = nullptr, int32_t sys = 0) { return error{code, sys, what}; }

// Maps an errno value (positive) to the table. `what` names the operation.
error error_from_errno(int errno_value, const char *what);

// `what` if set, else the table's text.
const char *error_text(error e);
const char *error_code_text(error_code code);
// The enumerator's own name, for logs and JSON (`code`): "object_not_found".
const char *error_code_name(error_code code);
int error_http_status(error_code code);
bool error_is_retryable(error_code code);
// Parses what error_code_name printed; false when unknown.
bool error_code_from_name(std::string_view name, error_code &out_code);

} // namespace etlnode
