// SPDX-License-Identifier: MIT
// kubectl_local/tracer.h: runs a container where no namespaces can be made: in bubblewrap's place, with bubblewrap's options.
//
// The command is a child whose system calls about paths, addresses and processes are looked at and rewritten (ptrace with a seccomp filter, so
// that all other calls cost nothing). It sees the image's files at their places, binds to an address of its own, and signals only itself.
// Whoever it starts is traced too, however it is started, and ends with the command. It is no sandbox: docs/RELIABILITY.md, "Without
// namespaces".
#pragma once

#include <string>
#include <vector>

namespace etlnode::kubectl_local {

// `words`: [--json-status-fd FD] [--seccomp FD] (--args FD | --args-file FILE) --scratch DIR -- COMMAND... Returns the exit code; 1 with a reason on stderr when nothing was started.
int tracer_main(const std::vector<std::string> &words);

} // namespace etlnode::kubectl_local
