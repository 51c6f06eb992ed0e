// SPDX-License-Identifier: MIT
// kubectl_local/last_words.h: what a container says when it ends: its termination message, and where it lies.
//
// The file is memory of the pod's, one for each container, bound at terminationMessagePath: it can neither fill the disk nor be replaced by a link. A container that
// wrote nothing and failed is quoted from its log where terminationMessagePolicy says so.
#pragma once

#include <cstdint>
#include <string>

#include "kubectl_local/pod.h"

namespace etlnode::kubectl_local {

inline constexpr uint64_t last_words_room = 64u << 10; // of memory, for all containers of a pod
inline constexpr uint64_t last_words_files_max = 64;

// The directory of the files, in the pod's own.
std::string last_words_dir(const std::string &pod_dir);
// Before a container starts: what an earlier run has said goes. `dir` as this process reaches it.
void last_words_forget(const std::string &dir, const container_spec &container);
// As much of it as Kubernetes shows: the end. `log` is that of the run.
std::string last_words_read(const std::string &dir, const container_spec &container, int exit_code, const std::string &log);

} // namespace etlnode::kubectl_local
