// SPDX-License-Identifier: MIT
// local/usage.cc: what a running container uses, as seen from outside: for limits that the kernel does not keep for us.
#include "local/usage.h"

#include <string>
#include <vector>

#include <sys/vfs.h>
#include <unistd.h>

#include "base/text.h"
#include "local/os.h"

static constexpr uint64_t inode_size = 1024; // about what a name in memory costs the kernel
static constexpr size_t walk_max = 20'000;

static void add_children(pid_t pid, std::vector<pid_t> &out, uint64_t &tasks)
{
    std::vector<std::string> threads;
    std::string dir = text_format("/proc/%d/task", pid);
    if (!os_list(dir, threads))
        return;
    tasks += threads.size();
    for (const std::string &thread : threads) {
        std::string text;
        if (!os_read_file(dir + "/" + thread + "/children", text))
            continue;
        for (size_t from = 0; from < text.size();) {
            size_t end = std::min(text.find(' ', from), text.size());
            uint64_t child = 0;
            if (text_parse_u64(std::string_view(text).substr(from, end - from), child) && out.size() < walk_max)
                out.push_back(static_cast<pid_t>(child));
            from = end + 1;
        }
    }
}

static uint64_t resident_of(pid_t pid)
{
    std::string text;
    unsigned long long pages = 0;
    if (!os_read_file(text_format("/proc/%d/statm", pid), text) || sscanf(text.c_str(), "%*u %llu", &pages) != 1)
        return 0;
    return pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

static uint64_t share_of(pid_t pid, uint64_t otherwise)
{
    std::string text;
    unsigned long long kilobytes = 0;
    size_t at;
    if (!os_read_file(text_format("/proc/%d/smaps_rollup", pid), text) || (at = text.find("\nPss:")) == std::string::npos
        || sscanf(text.c_str() + at + 5, "%llu", &kilobytes) != 1)
        return otherwise;
    return kilobytes * 1024;
}

// Memory behind files belongs to no process. Without mounts of its own a container has none: its files are on disk (tracer.h).
static uint64_t files_of(pid_t command)
{
    uint64_t bytes = 0;
    if (os_read_link(text_format("/proc/%d/ns/mnt", command)) == os_read_link("/proc/self/ns/mnt"))
        return 0;
    for (const char *place : {"/tmp", "/dev/shm"}) {
        struct statfs about;
        if (statfs((text_format("/proc/%d/root", command) + place).c_str(), &about) == 0)
            bytes += (about.f_blocks - about.f_bfree) * static_cast<uint64_t>(about.f_bsize) + (about.f_files - about.f_ffree) * inode_size;
    }
    return bytes;
}

process_use usage_of(pid_t command, uint64_t memory_limit)
{
    process_use use;
    std::vector<pid_t> all = {command};
    for (size_t i = 0; i < all.size(); i++)
        add_children(all[i], all, use.tasks);
    uint64_t files = memory_limit != 0 ? files_of(command) : 0;
    use.memory = files;
    for (pid_t pid : all)
        use.memory += resident_of(pid);
    if (memory_limit == 0 || use.memory <= memory_limit)
        return use;
    use.memory = files;
    for (pid_t pid : all)
        use.memory += share_of(pid, resident_of(pid));
    return use;
}
