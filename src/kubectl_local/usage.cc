// SPDX-License-Identifier: MIT
// kubectl_local/usage.cc: measures a running container from outside, for limits that the kernel does not enforce.
#include "kubectl_local/usage.h"

#include <map>

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/text.h"
#include "kubectl_local/os.h"
#include "kubectl_local/process_tree.h"

namespace etlnode::kubectl_local {

static constexpr uint64_t inode_size = 1024; // approximate memory that the kernel uses for a name
static constexpr size_t walk_max = 20'000;
static constexpr std::string_view removed_mark = " (deleted)";

static bool has_own_mounts(pid_t command)
{
    return os_read_link(text_format("/proc/%d/ns/mnt", command)) != os_read_link("/proc/self/ns/mnt");
}

// Files that are held open.

// Replaces "\040" by a space and so on, as in the tables of mounts.
static std::string unescaped(std::string_view text)
{
    std::string out;
    auto is_octal = [&](size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '7'; };
    for (size_t i = 0; i < text.size(); i++) {
        if (text[i] == '\\' && is_octal(i + 1) && is_octal(i + 2) && is_octal(i + 3)) {
            out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
            i += 3;
        } else
            out += text[i];
    }
    return out;
}

// The part of its file system that each mount shows: "id parent major:minor ROOT place ...".
static std::map<uint64_t, std::string> mount_roots(pid_t command)
{
    std::map<uint64_t, std::string> out;
    std::string text;
    os_read_file(text_format("/proc/%d/mountinfo", command), text);
    for (size_t at = 0; at < text.size();) {
        size_t end = std::min(text.find('\n', at), text.size());
        std::string_view line = std::string_view(text).substr(at, end - at);
        at = end + 1;
        std::string_view words[4];
        for (std::string_view &word : words) {
            word = line.substr(0, line.find(' '));
            line.remove_prefix(std::min(word.size() + 1, line.size()));
        }
        uint64_t id = 0;
        if (text_parse_u64(words[0], id))
            out[id] = unescaped(words[3]);
    }
    return out;
}

// The mount of an open file, from the /proc entry of its descriptor.
static uint64_t mount_of(const std::string &fdinfo)
{
    std::string text;
    unsigned long long id = 0;
    size_t at;
    bool known = os_read_file(fdinfo, text) && (at = text.find("mnt_id:")) != std::string::npos &&
                 sscanf(text.c_str() + at + 7, "%llu", &id) == 1;
    return known ? id : 0;
}

struct held_scan {
    held_files out;
    bool own_mounts = false;
    std::map<uint64_t, std::string> roots;
    std::set<std::pair<dev_t, ino_t>> seen;
    size_t inspected = 0;
};

static void add_removed(held_scan &scan, const std::string &link, const struct stat &about, const std::string &fdinfo)
{
    if (!link.starts_with('/') || !link.ends_with(removed_mark) || !S_ISREG(about.st_mode) || about.st_nlink != 0 ||
        !scan.seen.insert({about.st_dev, about.st_ino}).second)
        return;
    uint64_t bytes = static_cast<uint64_t>(about.st_blocks) * 512;
    if (link.starts_with("/memfd:")) {
        scan.out.memory += bytes;
        scan.out.memory_files.insert({about.st_dev, about.st_ino});
        return;
    }
    // The container can choose the text of the link, but not what a mount shows.
    std::string place = link.substr(0, link.size() - removed_mark.size());
    if (scan.own_mounts) {
        auto found = scan.roots.find(mount_of(fdinfo));
        place = found == scan.roots.end() ? "" : found->second;
    }
    scan.out.removed.push_back({place, bytes});
}

static void add_descriptor(held_scan &scan, pid_t pid, const std::string &fd)
{
    std::string path = text_format("/proc/%d/fd/", pid) + fd;
    std::string link = os_read_link(path);
    struct stat about;
    if (link.ends_with(removed_mark) && stat(path.c_str(), &about) == 0)
        add_removed(scan, link, about, text_format("/proc/%d/fdinfo/", pid) + fd);
}

// Files that were closed but are still mapped. Only root may follow such a mapping to its file.
static void add_mappings(held_scan &scan, pid_t pid)
{
    std::string text;
    if (geteuid() != 0 || !os_read_file(text_format("/proc/%d/maps", pid), text))
        return;
    for (size_t at = 0; at < text.size();) {
        size_t end = std::min(text.find('\n', at), text.size());
        std::string line = text.substr(at, end - at);
        at = end + 1;
        unsigned long from = 0;
        unsigned long to = 0;
        if (!line.ends_with(removed_mark) || sscanf(line.c_str(), "%lx-%lx", &from, &to) != 2)
            continue;
        os_fd file(open(text_format("/proc/%d/map_files/%lx-%lx", pid, from, to).c_str(), O_PATH | O_CLOEXEC));
        struct stat about;
        if (file.fd >= 0 && fstat(file.fd, &about) == 0)
            add_removed(scan, os_read_link(text_format("/proc/self/fd/%d", file.fd)), about, text_format("/proc/self/fdinfo/%d", file.fd));
    }
}

held_files usage_held(pid_t command)
{
    held_scan scan;
    scan.own_mounts = has_own_mounts(command);
    if (scan.own_mounts)
        scan.roots = mount_roots(command);
    for (pid_t pid : process_tree(command, walk_max, nullptr)) {
        std::vector<std::string> names;
        if (!os_list(text_format("/proc/%d/fd", pid), names))
            continue; // the process has ended
        for (const std::string &name : names) {
            if (++scan.inspected > held_descriptors_max) {
                scan.out.is_whole = false;
                return scan.out;
            }
            add_descriptor(scan, pid, name);
        }
        add_mappings(scan, pid);
    }
    return scan.out;
}

// Memory.

static uint64_t resident_of(pid_t pid)
{
    std::string text;
    unsigned long long pages = 0;
    if (!os_read_file(text_format("/proc/%d/statm", pid), text) || sscanf(text.c_str(), "%*u %llu", &pages) != 1)
        return 0;
    return pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

// Memory behind files, which belongs to no process.
struct file_memory {
    uint64_t bytes = 0;
    std::set<dev_t> devices; // counted as a whole
};

static void add_place(file_memory &files, const std::string &path)
{
    struct statfs about;
    struct stat place;
    if (statfs(path.c_str(), &about) != 0 || about.f_type != TMPFS_MAGIC || stat(path.c_str(), &place) != 0 ||
        !files.devices.insert(place.st_dev).second)
        return;
    files.bytes += (about.f_blocks - about.f_bfree) * static_cast<uint64_t>(about.f_bsize) + (about.f_files - about.f_ffree) * inode_size;
}

// A container without mounts of its own has none: its files are on disk (tracer.h).
static file_memory files_of(pid_t command, const std::vector<std::string> &memory_dirs, const held_files &held)
{
    file_memory files;
    files.bytes = held.memory;
    if (!has_own_mounts(command))
        return files;
    add_place(files, os_root_of(command)); // /tmp, /run and the like are the same memory
    for (const std::string &dir : memory_dirs)
        add_place(files, dir);
    return files;
}

// A process's share of its mapped memory, without what is already counted as a file. Returns `otherwise` if that cannot be read.
static uint64_t share_of(pid_t pid, const file_memory &files, const held_files &held, uint64_t otherwise)
{
    std::string text;
    uint64_t kilobytes = 0;
    bool counts = true;
    if (!os_read_file(text_format("/proc/%d/smaps", pid), text) || text.empty())
        return otherwise;
    for (size_t at = 0; at < text.size();) {
        size_t end = std::min(text.find('\n', at), text.size());
        const char *line = text.c_str() + at;
        unsigned major = 0;
        unsigned minor = 0;
        unsigned long long value = 0;
        if (sscanf(line, "%*x-%*x %*s %*x %x:%x %llu", &major, &minor, &value) == 3) {
            dev_t device = makedev(major, minor);
            counts = value == 0 || (!files.devices.contains(device) && !held.memory_files.contains({device, value}));
        } else if (counts && sscanf(line, "Pss: %llu", &value) == 1)
            kilobytes += value;
        at = end + 1;
    }
    return kilobytes * 1024;
}

process_use usage_of(pid_t command, const std::vector<std::string> &memory_dirs, const held_files &held, uint64_t memory_limit)
{
    process_use use;
    std::vector<pid_t> all = process_tree(command, walk_max, &use.tasks);
    if (memory_limit == 0)
        return use;
    file_memory files = files_of(command, memory_dirs, held);
    use.memory = use.files = files.bytes;
    for (pid_t pid : all)
        use.memory += resident_of(pid);
    if (use.memory <= memory_limit)
        return use;
    use.memory = files.bytes;
    for (pid_t pid : all)
        use.memory += share_of(pid, files, held, resident_of(pid));
    return use;
}

} // namespace etlnode::kubectl_local
