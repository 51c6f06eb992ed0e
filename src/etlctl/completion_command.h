// SPDX-License-Identifier: MIT
// etlctl/completion_command.h: the answer to a shell that completes a word.
#pragma once

#include <string>
#include <vector>

namespace etlnode::etlctl {

// Prints one candidate per line, and ":files" if file names fit too. Prints nothing on failure. Returns the exit status, 0.
int completion_answer(const char *program, const std::vector<std::string> &words);

} // namespace etlnode::etlctl
