// SPDX-License-Identifier: MIT
// kubectl_local/trace_memory.cc: reads and writes the memory of a traced thread.
#include "kubectl_local/trace_memory.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <sys/uio.h>

namespace etlnode::kubectl_local {

static constexpr size_t page_size_min = 4096;

bool trace_read(pid_t tid, uint64_t from, void *to, size_t size)
{
    struct iovec here = {to, size};
    struct iovec there = {reinterpret_cast<void *>(from), size};
    return process_vm_readv(tid, &here, 1, &there, 1, 0) == static_cast<ssize_t>(size);
}

bool trace_write(pid_t tid, uint64_t to, const void *from, size_t size)
{
    struct iovec here = {const_cast<void *>(from), size};
    struct iovec there = {reinterpret_cast<void *>(to), size};
    return process_vm_writev(tid, &here, 1, &there, 1, 0) == static_cast<ssize_t>(size);
}

int trace_read_text(pid_t tid, uint64_t from, size_t size_max, std::string &out_text)
{
    out_text.clear();
    char chunk[page_size_min];
    while (out_text.size() <= size_max) {
        // Never read across a page boundary: the text may end before it, and the next page may not be mapped.
        size_t wanted = page_size_min - from % page_size_min;
        if (!trace_read(tid, from, chunk, wanted))
            return EFAULT;
        const char *end = static_cast<const char *>(memchr(chunk, 0, wanted));
        out_text.append(chunk, end != nullptr ? static_cast<size_t>(end - chunk) : wanted);
        if (end != nullptr)
            return out_text.size() <= size_max ? 0 : ENAMETOOLONG;
        from += wanted;
    }
    return ENAMETOOLONG;
}

} // namespace etlnode::kubectl_local
