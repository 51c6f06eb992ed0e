// SPDX-License-Identifier: MIT
// etlctl/failure.h: what went wrong, for a person (two lines) and for a script (JSON), with the exit status. Pure but for printing.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

#include "etlctl/exit_code.h"

namespace etlnode::etlctl {

struct failure {
    exit_code exit = exit_code::ok;
    std::string doing;     // "cannot read object ais://b/o"; empty: the message says it all
    std::string message;   // why
    std::string code;      // "object_not_found": the server's code, or exit_code_name
    bool is_coded = false; // the server gave it, and it is one of node/errors.def
    int status = 0;        // HTTP, 0: no answer
    bool retryable = false;
    std::string request_id;
    std::string node;
    std::string bucket;
    std::string object;
    std::string etl;
    std::string hint;    // what to try, without "hint: "
    std::string pod_log; // what the pod that failed wrote meanwhile; whole lines

    explicit operator bool() const { return exit != exit_code::ok; }
};

// A failure of our own, not of a server.
failure failure_make(exit_code exit, std::string doing, std::string message, std::string hint = {});

// Fills code, message, status, retryable, request id, node and exit from an answer of 400 and above. `body` is the error JSON of
// AIStore (or, for HEAD, the value of Hdr-Error); anything else is taken as text.
void failure_read_answer(failure &f, int status, std::string_view body);

// The next step for what is known of the failure; empty when there is none worth a line. `program` is put where etlctl stands.
std::string failure_hint(const failure &f, std::string_view program, std::string_view endpoint);

std::string failure_as_text(const failure &f, std::string_view program);
std::string failure_as_json(const failure &f);

} // namespace etlnode::etlctl
