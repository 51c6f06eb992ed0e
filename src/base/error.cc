// SPDX-License-Identifier: MIT
// base/error.cc: reads the error table.
#include "base/error.h"

#include <array>
#include <cerrno>
#include <cstddef>

namespace etlnode {

struct error_row {
    const char *name;
    const char *text;
    int http_status;
    bool retryable;
};

static constexpr std::array rows = {
#define NODE_ERROR(code, text, status, retryable) error_row{#code, text, status, retryable},
#include "node/errors.def"
#undef NODE_ERROR
};

static const error_row &row_of(error_code code) { return rows[static_cast<size_t>(code)]; }

error error_from_errno(int errno_value, const char *what)
{
    error_code code = error_code::io;
    switch (errno_value) {
    case ENOENT: code = error_code::no_such_file; break;
    case EACCES:
    case EPERM:
    case EROFS: code = error_code::permission; break;
    case EEXIST: code = error_code::already_exists; break;
    case ENOSPC:
    case EDQUOT:
    case EFBIG: code = error_code::no_space; break;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS: code = error_code::too_many_files; break;
    case ECONNREFUSED: code = error_code::refused; break;
    case ECONNRESET:
    case EPIPE:
    case ECONNABORTED: code = error_code::reset; break;
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EADDRNOTAVAIL: code = error_code::unreachable; break;
    case ETIMEDOUT: code = error_code::timed_out; break;
    case EADDRINUSE:
    case EBUSY: code = error_code::in_use; break;
    case ECANCELED: code = error_code::canceled; break;
    case EINVAL: code = error_code::invalid_argument; break;
    default: break;
    }
    return error{code, errno_value, what};
}

const char *error_text(error e) { return e.what != nullptr ? e.what : row_of(e.code).text; }
const char *error_code_text(error_code code) { return row_of(code).text; }
const char *error_code_name(error_code code) { return row_of(code).name; }
int error_http_status(error_code code) { return row_of(code).http_status; }
bool error_is_retryable(error_code code) { return row_of(code).retryable; }

bool error_code_from_name(std::string_view name, error_code &out_code)
{
    for (size_t i = 0; i < rows.size(); i++) {
        if (name == rows[i].name) {
            out_code = static_cast<error_code>(i);
            return true;
        }
    }
    return false;
}

} // namespace etlnode
