// SPDX-License-Identifier: MIT
// etlctl/failure.h: a failure as text for people (two lines) and as JSON for scripts, with its exit status. Pure.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

#include "etlctl/exit_code.h"

namespace etlnode::etlctl {

struct failure {
    exit_code exit = exit_code::ok;
    std::string doing;     // "cannot read object ais://b/o"; empty if the message is complete without it
    std::string message;   // why
    std::string code;      // "object_not_found": the server's code, or exit_code_name
    bool is_coded = false; // the server sent the code, and node/errors.def has it
    int status = 0;        // HTTP status; 0 if there was no answer
    bool retryable = false;
    std::string request_id;
    std::string node;
    std::string bucket;
    std::string object;
    std::string etl;
    std::string hint;    // what the user can try, without "hint: "
    std::string pod_log; // what the failed pod logged during the request, in whole lines

    explicit operator bool() const { return exit != exit_code::ok; }
};

// A failure of this program, not of a server.
failure failure_make(exit_code exit, std::string doing, std::string message, std::string hint = {});

// Fills code, message, status, retryable, request id, node and exit from an answer with a status of 400 or above. `body` is AIStore's error
// JSON (for HEAD: the value of Hdr-Error). Any other body becomes the message as text.
void failure_read_answer(failure &f, int status, std::string_view body);

// Suggests the next step for this failure; empty when there is nothing useful to suggest. `program` replaces "etlctl" in the text.
std::string failure_hint(const failure &f, std::string_view program, std::string_view endpoint);

std::string failure_as_text(const failure &f, std::string_view program);
std::string failure_as_json(const failure &f);

} // namespace etlnode::etlctl
