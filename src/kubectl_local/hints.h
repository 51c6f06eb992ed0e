// SPDX-License-Identifier: MIT
// kubectl_local/hints.h: finds the reason why a container does not work, as a sentence for the author of its spec.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <sys/types.h>

namespace etlnode::kubectl_local {

// For a program that could not be started. `text` is bwrap's message ("bwrap: execvp /code/server.py: Permission denied"), `rootfs` the
// directory of the image's files. Empty if the reason is not known.
std::string hint_of_start(std::string_view text, const std::string &rootfs);
// For a program that ended: its exit code and the last line that it printed.
std::string hint_of_exit(int exit_code, std::string_view last_line);
// For a port that refuses connections, judging by the sockets in the network namespace of process `pid`. kubectl-local itself listens there
// for `target_url`.
std::string hint_of_port(pid_t pid, uint16_t port, std::string_view target_url);
// The same, for the concatenated texts of /proc/PID/net/tcp and tcp6.
std::string hint_of_sockets(std::string_view table, uint16_t port, uint16_t own_port);

} // namespace etlnode::kubectl_local
