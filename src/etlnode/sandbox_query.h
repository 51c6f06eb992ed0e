// SPDX-License-Identifier: MIT
// etlnode/sandbox_query.h: asks kubectl-local, once and before the loop runs, whether pods are sandboxed on this machine.
#pragma once

#include <string>
#include <vector>

namespace etlnode {

struct sandbox_report {
    std::string sandbox; // "namespaces", "none" or "refused"; empty if kubectl-local did not report it
    std::string message; // the reason
};

// `kubectl` is the program and its leading arguments. Takes milliseconds, and gives up after ten seconds.
sandbox_report sandbox_query_run(const std::vector<std::string> &kubectl);
// Reads the output of `kubectl-local version -o json`.
sandbox_report sandbox_query_parse(const std::string &text);

} // namespace etlnode
