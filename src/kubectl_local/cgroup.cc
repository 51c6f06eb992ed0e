// SPDX-License-Identifier: MIT
// kubectl_local/cgroup.cc: control groups for a pod, if this process may create them.
#include "kubectl_local/cgroup.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <ctime>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "kubectl_local/os.h"

namespace etlnode::kubectl_local {

static constexpr uint64_t cpu_period_us = 100'000;
static constexpr uint64_t cpu_quota_min_us = 1'000; // the kernel's minimum
static constexpr int remove_tries = 100;            // one millisecond each, because the last process may still be exiting

static bool put(const std::string &path, const std::string &text)
{
    return os_exists(path) && os_write_file(path, text); // opening with O_CREAT would fail with a misleading error
}

static bool has_word(const std::string &text, std::string_view word)
{
    std::string all = " " + text + " ";
    std::replace(all.begin(), all.end(), '\n', ' ');
    return all.find(" " + std::string(word) + " ") != std::string::npos;
}

// Whether a process of ours may join. It needs rights on both ends and, for version 2, on their common parent.
static bool can_join(const std::string &dir)
{
    pid_t child = fork();
    if (child == 0)
        _exit(put(dir + "/cgroup.procs", "0") ? 0 : 1);
    int status = 1;
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static bool make_group(const std::string &dir)
{
    if (mkdir(dir.c_str(), 0755) != 0 && errno != EEXIST)
        return false;
    if (can_join(dir))
        return true;
    rmdir(dir.c_str());
    return false;
}

// "4:memory:/a/b" -> the directory of the hierarchy, and the group's path in it.
static bool find_v1(const cgroup_place &place, const std::string &self, const char *kind, std::string &out_dir)
{
    for (size_t from = 0; from < self.size();) {
        size_t end = std::min(self.find('\n', from), self.size());
        std::string line = self.substr(from, end - from);
        from = end + 1;
        size_t first = line.find(':');
        size_t second = line.find(':', first == std::string::npos ? first : first + 1);
        if (second == std::string::npos)
            continue;
        std::string kinds = line.substr(first + 1, second - first - 1);
        std::string words = kinds;
        std::replace(words.begin(), words.end(), ',', ' ');
        if (!has_word(words, kind))
            continue;
        out_dir = place.root + "/" + kinds;
        std::string below = line.substr(second + 1);
        if (below != "/" && below.find("..") == std::string::npos && os_is_dir(out_dir + below))
            out_dir += below;
        return os_is_dir(out_dir);
    }
    return false;
}

// The nearest group, from our own upwards, that delegates the controllers we need. Our own rarely does, because it contains processes.
static std::string find_v2(const cgroup_place &place, const std::string &self)
{
    size_t at = self.find("0::/");
    if (at == std::string::npos)
        return "";
    std::string path = self.substr(at + 3, self.find('\n', at) - at - 3);
    if (path.find("..") != std::string::npos)
        path = "/";
    std::string best;
    for (;;) {
        std::string dir = place.root + (path == "/" ? "" : path);
        std::string given;
        if (access(dir.c_str(), W_OK) == 0 && os_read_file(dir + "/cgroup.subtree_control", given)) {
            for (const char *kind : cgroup_names)
                if (!has_word(given, kind))
                    put(dir + "/cgroup.subtree_control", std::string("+") + kind);
            os_read_file(dir + "/cgroup.subtree_control", given);
            if (has_word(given, "memory") && has_word(given, "pids"))
                return dir;
            if (best.empty() && has_word(given, "pids"))
                best = dir;
        }
        if (path == "/")
            return best;
        path = path.substr(0, std::max<size_t>(path.rfind('/'), 1));
    }
}

void cgroup_open(cgroup &group, const cgroup_place &place, const std::string &name)
{
    std::string self;
    group = cgroup();
    if (!os_read_file(place.self, self))
        return;
    group.is_v2 = os_exists(place.root + "/cgroup.controllers");
    if (group.is_v2) {
        std::string above = find_v2(place, self);
        std::string dir = above + "/" + name;
        std::string given;
        if (above.empty() || !make_group(dir) || !os_read_file(dir + "/cgroup.controllers", given))
            return;
        for (size_t i = 0; i < cgroup_kinds; i++)
            if (has_word(given, cgroup_names[i]))
                group.dirs[i] = dir;
        return;
    }
    for (size_t i = 0; i < cgroup_kinds; i++) {
        std::string above;
        if (find_v1(place, self, cgroup_names[i], above) && make_group(above + "/" + name))
            group.dirs[i] = above + "/" + name;
    }
}

static std::string number(uint64_t value) { return std::to_string(value); }

void cgroup_set(cgroup &group, const cgroup_limits &limits)
{
    auto &[memory, cpu, pids] = group.dirs;
    const char *none = group.is_v2 ? "max" : "-1";
    bool done = true;
    if (!memory.empty()) {
        std::string value = limits.memory != 0 ? number(limits.memory) : none;
        if (group.is_v2) {
            put(memory + "/memory.swap.max", limits.memory != 0 ? "0" : "max");
            put(memory + "/memory.oom.group", "1");
            done = put(memory + "/memory.max", value);
        } else {
            put(memory + "/memory.memsw.limit_in_bytes", "-1"); // may not be lower than the other limit
            done = put(memory + "/memory.limit_in_bytes", value);
            put(memory + "/memory.memsw.limit_in_bytes", value);
        }
        if (!done)
            memory.clear();
    }
    if (!cpu.empty()) {
        uint64_t quota = std::max(cpu_quota_min_us, static_cast<uint64_t>(std::llround(limits.cpu * static_cast<double>(cpu_period_us))));
        std::string value = limits.cpu > 0 ? number(quota) : none;
        done = group.is_v2 ? put(cpu + "/cpu.max", value + " " + number(cpu_period_us))
                           : put(cpu + "/cpu.cfs_period_us", number(cpu_period_us)) && put(cpu + "/cpu.cfs_quota_us", value);
        if (!done)
            cpu.clear();
    }
    if (!pids.empty() && !put(pids + "/pids.max", limits.tasks != 0 ? number(limits.tasks) : "max"))
        pids.clear();
}

std::vector<std::string> cgroup_join_files(const cgroup &group)
{
    std::vector<std::string> files;
    for (const std::string &dir : group.dirs)
        if (!dir.empty() && std::find(files.begin(), files.end(), dir + "/cgroup.procs") == files.end())
            files.push_back(dir + "/cgroup.procs");
    return files;
}

uint64_t cgroup_oom_kills(const cgroup &group)
{
    const std::string &dir = group.dirs[static_cast<size_t>(cgroup_kind::memory)];
    std::string text;
    if (dir.empty() || !os_read_file(dir + (group.is_v2 ? "/memory.events" : "/memory.oom_control"), text))
        return 0;
    size_t at = text.find("oom_kill ");
    uint64_t count = 0;
    if (at != std::string::npos)
        text_parse_u64(std::string_view(text).substr(at + 9, text.find('\n', at) - at - 9), count);
    return count;
}

void cgroup_remove(cgroup &group)
{
    for (const std::string &dir : group.dirs)
        for (int i = 0; i < remove_tries && !dir.empty() && rmdir(dir.c_str()) != 0 && errno == EBUSY; i++) {
            struct timespec pause = {0, 1'000'000};
            nanosleep(&pause, nullptr);
        }
    group = cgroup();
}

} // namespace etlnode::kubectl_local
