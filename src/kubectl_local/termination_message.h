// SPDX-License-Identifier: MIT
// kubectl_local/termination_message.h: the termination message of a container, and the location of its file.
//
// The file is in memory of the pod, one for each container, and bound at terminationMessagePath. So it can neither fill the disk nor be
// replaced by a link. If a failed container wrote no message and terminationMessagePolicy asks for it, the end of its log is used.
#pragma once

#include <cstdint>
#include <string>

#include "kubectl_local/pod.h"

namespace etlnode::kubectl_local {

inline constexpr uint64_t termination_message_room = 64u << 10; // of memory, for all containers of a pod
inline constexpr uint64_t termination_message_files_max = 64;

// The directory of the files, within the pod's directory.
std::string termination_message_dir(const std::string &pod_dir);
// Call before a container starts: removes the message of an earlier run. `dir` is a path of this process.
void termination_message_clear(const std::string &dir, const container_spec &container);
// Returns the part of the message that Kubernetes shows, which is its end. `log` is the log of that run.
std::string termination_message_read(const std::string &dir, const container_spec &container, int exit_code, const std::string &log);

} // namespace etlnode::kubectl_local
