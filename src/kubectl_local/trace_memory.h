// SPDX-License-Identifier: MIT
// kubectl_local/trace_memory.h: reads and writes the memory of a traced thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include <sys/types.h>

namespace etlnode::kubectl_local {

// Reads everything or fails.
bool trace_read(pid_t tid, uint64_t from, void *to, size_t size);
bool trace_write(pid_t tid, uint64_t to, const void *from, size_t size);
// Reads a text up to its terminator. Returns 0, EFAULT, or ENAMETOOLONG beyond `size_max`.
int trace_read_text(pid_t tid, uint64_t from, size_t size_max, std::string &out_text);

} // namespace etlnode::kubectl_local
