// SPDX-License-Identifier: MIT
// kubectl_local/tracer.h: runs a container where namespaces cannot be created: in bubblewrap's place, with bubblewrap's options.
//
// The command is a child whose system calls with paths, addresses and processes are intercepted and rewritten. Because ptrace uses a
// seccomp filter, all other calls cost nothing. The command sees the image's files at their paths, binds to an address of its own, and can
// signal only itself. All its descendants are traced, however they are started, and end with the command. This is not a sandbox: see
// docs/RELIABILITY.md, "Without namespaces".
#pragma once

#include <string>
#include <vector>

namespace etlnode::kubectl_local {

// `words`: [--json-status-fd FD] [--seccomp FD] (--args FD | --args-file FILE) --scratch DIR -- COMMAND... Returns the exit code; 1 with a
// reason on stderr if nothing was started.
int tracer_main(const std::vector<std::string> &words);

} // namespace etlnode::kubectl_local
