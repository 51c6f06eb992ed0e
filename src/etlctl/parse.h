// SPDX-License-Identifier: MIT
// etlctl/parse.h: parses the options and positional arguments of one command with CLI11. Only parse.cc uses exceptions.
#pragma once

#include <string>
#include <vector>

#include "etlctl/failure.h"
#include "etlctl/grammar.h"

namespace etlnode::etlctl {

enum class parse_result : uint8_t { ok, help, usage };

// `rest` is the one that grammar_resolve returned. If the result is `usage`, `out_failure` says what is wrong.
parse_result parse_options(const command_row &row, const std::vector<std::string> &rest, options &out_options, failure &out_failure);

} // namespace etlnode::etlctl
