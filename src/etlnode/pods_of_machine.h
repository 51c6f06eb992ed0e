// SPDX-License-Identifier: MIT
// etlnode/pods_of_machine.h: asks kubectl-local, once and before the loop runs, whether pods are sandboxed on this machine.
#pragma once

#include <string>
#include <vector>

namespace etlnode {

struct pods_of_machine {
    std::string sandbox; // "namespaces", "none", "refused"; empty: it did not say
    std::string message; // why
};

// `kubectl`: program and leading arguments. Takes milliseconds; gives up after ten seconds.
pods_of_machine pods_of_machine_ask(const std::vector<std::string> &kubectl);
// What `kubectl-local version -o json` printed.
pods_of_machine pods_of_machine_read(const std::string &text);

} // namespace etlnode
