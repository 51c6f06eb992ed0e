// SPDX-License-Identifier: MIT
// etlctl/parse.h: options and positional arguments of one command, through CLI11. parse.cc alone knows exceptions.
#pragma once

#include <string>
#include <vector>

#include "etlctl/failure.h"
#include "etlctl/grammar.h"

namespace etlnode::etlctl {

enum class parse_result : uint8_t { ok, help, usage };

// `rest` as grammar_resolve left it. With `usage`, `out_failure` says what is wrong.
parse_result parse_options(const command_row &row, const std::vector<std::string> &rest, options &out_options, failure &out_failure);

} // namespace etlnode::etlctl
