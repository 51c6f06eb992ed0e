// SPDX-License-Identifier: MIT
// local/usage.h: what a running container uses, as seen from outside: for limits that the kernel does not keep for us.
#pragma once

#include <cstdint>

#include <sys/types.h>

struct process_use {
    uint64_t memory = 0; // bytes of its processes and of the memory behind its files
    uint64_t tasks = 0;
};

// Of `command` and everything below it. Pages that several of them share count once where that decides: when the plain sum is above `memory_limit`.
process_use usage_of(pid_t command, uint64_t memory_limit);
