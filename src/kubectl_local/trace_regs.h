// SPDX-License-Identifier: MIT
// kubectl_local/trace_regs.h: the registers of a traced thread at the entry of a system call.
#pragma once

#include <cstdint>

#include <elf.h>
#include <linux/audit.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/user.h>

namespace etlnode::kubectl_local {

struct trace_regs {
    struct user_regs_struct raw = {};
};

#if defined(__x86_64__)
inline constexpr uint32_t trace_arch = AUDIT_ARCH_X86_64;
inline constexpr uint64_t trace_instruction_size = 2; // of `syscall`

inline uint64_t trace_get_arg(const trace_regs &r, unsigned i)
{
    switch (i) {
    case 0: return r.raw.rdi;
    case 1: return r.raw.rsi;
    case 2: return r.raw.rdx;
    case 3: return r.raw.r10;
    case 4: return r.raw.r8;
    default: return r.raw.r9;
    }
}

inline void trace_set_arg(trace_regs &r, unsigned i, uint64_t value)
{
    switch (i) {
    case 0: r.raw.rdi = value; break;
    case 1: r.raw.rsi = value; break;
    case 2: r.raw.rdx = value; break;
    case 3: r.raw.r10 = value; break;
    case 4: r.raw.r8 = value; break;
    default: r.raw.r9 = value; break;
    }
}

inline long trace_get_number(pid_t, const trace_regs &r) { return static_cast<long>(r.raw.orig_rax); }
inline void trace_set_number(pid_t, trace_regs &r, long number) { r.raw.orig_rax = static_cast<unsigned long long>(number); }
inline uint64_t trace_get_result(const trace_regs &r) { return r.raw.rax; }
inline void trace_set_result(trace_regs &r, int64_t value) { r.raw.rax = static_cast<unsigned long long>(value); }
// Makes the thread repeat the call `number` as soon as it runs.
inline void trace_rewind(trace_regs &r, long number)
{
    r.raw.rip -= trace_instruction_size;
    r.raw.rax = static_cast<unsigned long long>(number);
}
#elif defined(__aarch64__)
inline constexpr uint32_t trace_arch = AUDIT_ARCH_AARCH64;
inline constexpr uint64_t trace_instruction_size = 4; // of `svc`

inline uint64_t trace_get_arg(const trace_regs &r, unsigned i) { return r.raw.regs[i]; }
inline void trace_set_arg(trace_regs &r, unsigned i, uint64_t value) { r.raw.regs[i] = value; }
inline long trace_get_number(pid_t, const trace_regs &r) { return static_cast<long>(r.raw.regs[8]); }
inline void trace_set_number(pid_t tid, trace_regs &r, long number)
{
    int value = static_cast<int>(number);
    struct iovec part = {&value, sizeof value};
    ptrace(PTRACE_SETREGSET, tid, reinterpret_cast<void *>(static_cast<uintptr_t>(NT_ARM_SYSTEM_CALL)), &part);
    if (number >= 0)
        r.raw.regs[8] = static_cast<unsigned long long>(number);
}
inline uint64_t trace_get_result(const trace_regs &r) { return r.raw.regs[0]; }
inline void trace_set_result(trace_regs &r, int64_t value) { r.raw.regs[0] = static_cast<unsigned long long>(value); }
inline void trace_rewind(trace_regs &r, long number)
{
    r.raw.pc -= trace_instruction_size;
    r.raw.regs[8] = static_cast<unsigned long long>(number);
}
#else
#error "kubectl_local/trace_regs.h: the registers of this processor are not described; add them here"
#endif

inline bool trace_read_regs(pid_t tid, trace_regs &r)
{
    struct iovec part = {&r.raw, sizeof r.raw};
    return ptrace(PTRACE_GETREGSET, tid, reinterpret_cast<void *>(static_cast<uintptr_t>(NT_PRSTATUS)), &part) == 0;
}

inline bool trace_write_regs(pid_t tid, trace_regs &r)
{
    struct iovec part = {&r.raw, sizeof r.raw};
    return ptrace(PTRACE_SETREGSET, tid, reinterpret_cast<void *>(static_cast<uintptr_t>(NT_PRSTATUS)), &part) == 0;
}

} // namespace etlnode::kubectl_local
