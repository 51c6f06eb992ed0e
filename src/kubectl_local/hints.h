// SPDX-License-Identifier: MIT
// kubectl_local/hints.h: what this machine can see of a container that does not work, in a sentence for whoever wrote its spec.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <sys/types.h>

namespace etlnode::kubectl_local {

// Of a program that could not be started: `text` is bwrap's word on it ("bwrap: execvp /code/server.py: Permission denied"), `rootfs` the
// image's files. Empty when nothing is known.
std::string hint_of_start(std::string_view text, const std::string &rootfs);
// Of a program that ended: its exit code and the last line that it wrote.
std::string hint_of_exit(int exit_code, std::string_view last_line);
// Of a port that refuses connections, by the sockets in the network namespace of process `pid`. `target_url` is what kubectl-local itself
// listens for there.
std::string hint_of_port(pid_t pid, uint16_t port, std::string_view target_url);
// The same from the text of /proc/PID/net/tcp and tcp6 together.
std::string hint_of_sockets(std::string_view table, uint16_t port, uint16_t own_port);

} // namespace etlnode::kubectl_local
