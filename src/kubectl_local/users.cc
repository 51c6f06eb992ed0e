// SPDX-License-Identifier: MIT
// kubectl_local/users.cc: the block of user ids of a pod that root runs, which nothing else on this machine uses.
#include "kubectl_local/users.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>
#include <vector>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/text.h"
#include "kubectl_local/os.h"

namespace etlnode::kubectl_local {

// Above the ids that user directories, container engines and system managers assign; below 2^31, which some programs take for negative.
static constexpr uint64_t users_first = 0x78000000;
static constexpr uint64_t users_end = 0x7fff0000;
static constexpr uint64_t users_block = 65'536;
static constexpr const char *users_list = "/run/kubectl-local.users"; // "BASE POD-DIRECTORY", one per line
static constexpr size_t users_list_max = 1u << 20;

struct extent {
    uint64_t first;
    uint64_t count;
};

// The ids that exist for this process.
static std::vector<extent> read_map(const std::string &map)
{
    std::vector<extent> out;
    for (size_t from = 0; from < map.size();) {
        size_t end = std::min(map.find('\n', from), map.size());
        unsigned long long inside = 0;
        unsigned long long outside = 0;
        unsigned long long count = 0;
        if (sscanf(map.substr(from, end - from).c_str(), "%llu %llu %llu", &inside, &outside, &count) == 3)
            out.push_back({inside, count});
        from = end + 1;
    }
    return out;
}

bool users_pick(const std::string &map, const std::string &reserved, uint32_t seed, user_block &out_block)
{
    std::set<uint64_t> taken;
    for (size_t from = 0; from < reserved.size();) {
        size_t end = std::min(reserved.find('\n', from), reserved.size());
        uint64_t base = 0;
        if (text_parse_u64(std::string_view(reserved).substr(from, std::min(reserved.find(' ', from), end) - from), base))
            taken.insert(base);
        from = end + 1;
    }
    uint64_t first = 0;
    uint64_t end = 0;
    uint64_t block = users_block;
    for (const extent &one : read_map(map)) {
        if (one.first <= users_first && one.first + one.count >= users_end) {
            first = users_first;
            end = users_end;
            break;
        }
        // In a container with its own id map: blocks from the end of the largest extent. The first 32,768 ids belong to others.
        uint64_t low = std::max<uint64_t>(one.first, 32'768);
        if (one.first + one.count > low + 1 && one.first + one.count - low > end - first) {
            first = low;
            end = std::min<uint64_t>(one.first + one.count, users_end);
        }
    }
    if (end <= first)
        return false;
    if (end - first < 64 * block)
        block = std::max<uint64_t>(1, (end - first) / 64);
    uint64_t blocks = (end - first) / block;
    for (uint64_t i = 0; i < blocks; i++) {
        uint64_t base = first + (seed + i) % blocks * block;
        if (taken.contains(base))
            continue;
        out_block.base = static_cast<uint32_t>(base);
        out_block.count = static_cast<uint32_t>(block);
        return true;
    }
    return false;
}

bool users_find(const std::string &pod_dir, user_block &out_block)
{
    std::string text;
    uint64_t base = 0;
    uint64_t count = 0;
    out_block = user_block();
    if (!os_read_file(pod_dir + "/users", text))
        return false;
    size_t space = text.find(' ');
    if (space == std::string::npos || !text_parse_u64(std::string_view(text).substr(0, space), base) ||
        !text_parse_u64(std::string_view(text).substr(space + 1), count) || base == 0 || count == 0 || base + count > users_end)
        return false;
    out_block = {static_cast<uint32_t>(base), static_cast<uint32_t>(count)};
    return true;
}

bool users_choose(const std::string &pod_dir, user_block &out_block, std::string &out_text)
{
    std::string map;
    std::string groups;
    std::string text;
    out_block = user_block();
    if (!os_read_file("/proc/self/uid_map", map) || !os_read_file("/proc/self/gid_map", groups) || map != groups) {
        out_text = "the user ids of this process are not mapped as its group ids are";
        return false;
    }
    if (users_find(pod_dir, out_block))
        return true;
    os_fd list(open(users_list, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    while (list.fd >= 0 && flock(list.fd, LOCK_EX) != 0 && errno == EINTR) {
    }
    std::string old;
    std::string kept;
    if (list.fd < 0 || !os_read_file(users_list, old, users_list_max)) {
        out_text = text_format("%s: %s", users_list, strerror(errno));
        return false;
    }
    for (size_t from = 0; from < old.size();) {
        size_t end = std::min(old.find('\n', from), old.size());
        std::string line = old.substr(from, end - from);
        size_t space = line.find(' ');
        if (space != std::string::npos && line.substr(space + 1) != pod_dir && os_exists(line.substr(space + 1) + "/users"))
            kept += line + "\n";
        from = end + 1;
    }
    uint64_t seed = 0;
    text_parse_hex_u64(os_random_hex(6), seed);
    if (!users_pick(map, kept, static_cast<uint32_t>(seed), out_block)) {
        out_text = "no free block of user ids is left for this pod";
        return false;
    }
    text = text_format("%u %u", out_block.base, out_block.count);
    kept += text_format("%u ", out_block.base) + pod_dir + "\n";
    bool written = os_write_file(pod_dir + "/users", text, 0600) && ftruncate(list.fd, 0) == 0 &&
                   pwrite(list.fd, kept.data(), kept.size(), 0) == static_cast<ssize_t>(kept.size());
    if (!written) {
        out_text = text_format("%s: %s", users_list, strerror(errno));
        out_block = user_block();
    }
    return written;
}

} // namespace etlnode::kubectl_local
