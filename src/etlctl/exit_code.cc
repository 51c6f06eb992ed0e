// SPDX-License-Identifier: MIT
// etlctl/exit_code.cc: the table of exit codes.
#include "etlctl/exit_code.h"

#include "base/error.h"

namespace etlnode::etlctl {

static constexpr exit_code_row rows[] = {
    {exit_code::ok, "ok", "done"},
    {exit_code::other, "failed", "any other failure: the request is invalid, a file cannot be written, data is corrupt"},
    {exit_code::usage, "usage", "the command line is wrong, or the command has to ask a question and there is no terminal"},
    {exit_code::not_found, "not_found", "no such bucket, object, ETL or node"},
    {exit_code::conflict, "conflict", "it already exists, or its state does not allow the change"},
    {exit_code::auth, "auth", "not signed in, or not allowed"},
    {exit_code::unavailable, "unavailable",
        "the node is not reachable, not ready or overloaded, or the transfer was cut; trying again may help"},
    {exit_code::timeout, "timeout", "no answer in time"},
    {exit_code::partial, "partial", "done in part: some of several objects failed, or a target could not be reached"},
    {exit_code::limit, "limit", "refused by a limit: too large, too long, or no space"},
    {exit_code::interrupted, "interrupted", "ended by SIGINT (Ctrl-C)"},
    {exit_code::broken_pipe, "broken_pipe", "the reader of standard output went away"},
    {exit_code::terminated, "terminated", "ended by SIGTERM"},
};

std::span<const exit_code_row> exit_code_table() { return rows; }

const char *exit_code_name(exit_code code)
{
    for (const exit_code_row &row : rows)
        if (row.code == code)
            return row.name;
    return "failed";
}

exit_code exit_code_from_status(int status, bool retryable)
{
    if (status >= 200 && status < 300)
        return exit_code::ok;
    switch (status) {
    case 401:
    case 403:
    case 407: return exit_code::auth;
    case 404:
    case 410: return exit_code::not_found;
    case 409:
    case 412:
    case 423: return exit_code::conflict;
    case 408:
    case 504: return exit_code::timeout;
    case 413:
    case 414:
    case 431:
    case 507: return exit_code::limit;
    case 429:
    case 503: return exit_code::unavailable;
    default: return retryable ? exit_code::unavailable : exit_code::other;
    }
}

exit_code exit_code_from_answer(int status, std::string_view code, bool retryable)
{
    error_code named = error_code::ok;
    bool is_known = error_code_from_name(code, named) && named != error_code::ok;
    return exit_code_from_status(is_known ? error_http_status(named) : status, retryable);
}

bool status_is_retryable(int status) { return status == 408 || status == 429 || (status >= 502 && status <= 504); }

} // namespace etlnode::etlctl
