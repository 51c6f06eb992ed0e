// SPDX-License-Identifier: MIT
// etlnode/secret.cc: the file with the cluster's secret.
//
// Normal   Reads the file. If no file is named and none exists, the first node to start creates it. It writes and syncs a temporary file,
//          then gives it the final name with link(2), which fails if another node was faster. So a partial secret or a second one never
//          appears.
// Fails    A file that others can read is rejected, because its content is no longer a secret. So is anything that is not a regular file,
//          or that does not fit into one header line. Each reason says what to do.
// Limits   cluster_secret_size_min, cluster_secret_size_max.
#include "etlnode/secret.h"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/text.h"
#include "codec/url.h"

namespace etlnode {

std::string secret_default_path(bool is_root, std::string_view config_home, std::string_view home)
{
    if (is_root)
        return "/etc/etlnode/cluster-secret";
    if (config_home.starts_with('/')) // the XDG specification says that a relative path is to be ignored
        return std::string(config_home) + "/etlnode/cluster-secret";
    return home.empty() ? std::string() : std::string(home) + "/.config/etlnode/cluster-secret";
}

// --- where the proxy is

static bool is_address_of_this_machine(const std::string &host)
{
    in_addr four{};
    in6_addr six{};
    bool is_four = inet_pton(AF_INET, host.c_str(), &four) == 1;
    bool is_six = !is_four && inet_pton(AF_INET6, host.c_str(), &six) == 1;
    ifaddrs *list = nullptr;
    if ((!is_four && !is_six) || getifaddrs(&list) != 0)
        return false;
    bool found = false;
    for (ifaddrs *one = list; one != nullptr && !found; one = one->ifa_next) {
        if (one->ifa_addr == nullptr)
            continue;
        if (is_four && one->ifa_addr->sa_family == AF_INET)
            found = std::memcmp(&reinterpret_cast<sockaddr_in *>(one->ifa_addr)->sin_addr, &four, sizeof four) == 0;
        if (is_six && one->ifa_addr->sa_family == AF_INET6)
            found = std::memcmp(&reinterpret_cast<sockaddr_in6 *>(one->ifa_addr)->sin6_addr, &six, sizeof six) == 0;
    }
    freeifaddrs(list);
    return found;
}

bool secret_proxy_is_here(std::string_view url, std::string_view machine_name)
{
    url_base base;
    if (!url_parse_base(url, base))
        return false;
    std::string_view host = base.host;
    if (text_equal_ignore_case(host, "localhost") || host.starts_with("127.") || host == "::1")
        return true;
    if (!machine_name.empty() &&
        (text_equal_ignore_case(host, machine_name) || text_equal_ignore_case(host, machine_name.substr(0, machine_name.find('.')))))
        return true;
    return is_address_of_this_machine(base.host);
}

// --- reading

static const char *kind_of(mode_t mode)
{
    return S_ISDIR(mode) ? "a directory" : S_ISFIFO(mode) ? "a pipe" : S_ISSOCK(mode) ? "a socket" : "a device";
}

static std::string mode_text(mode_t mode) { return text_format("%04o", static_cast<unsigned>(mode & 07777)); }

// Returns why a text cannot serve as a secret, or "" if it can. Nodes send the secret to each other in a header, which limits it.
static std::string secret_defect(std::string_view text, const std::string &shown)
{
    std::string renew = ": copy the file of another node of the cluster, or make a new one: head -c 24 /dev/urandom | base64 > " + shown;
    if (text.empty())
        return "is empty" + renew;
    if (text.find_first_of("\r\n") != std::string_view::npos)
        return "contains more than one line, but a secret is a single line" + renew;
    for (char c : text) {
        auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f)
            return text_format("contains the control byte 0x%02x, but a secret is text", byte) + renew;
    }
    if (text.front() == ' ' || text.back() == ' ')
        return "begins or ends with a space, which HTTP does not preserve: remove it";
    if (text.size() < cluster_secret_size_min)
        return text_format("has fewer than %zu characters", cluster_secret_size_min) + renew;
    return {};
}

// Reads at most one byte more than a secret may have. False with errno.
static bool read_start(int fd, std::string &out_text)
{
    out_text.resize(cluster_secret_size_max + 2); // room for a newline, and for one byte too many
    size_t used = 0;
    while (used < out_text.size()) {
        ssize_t size = read(fd, out_text.data() + used, out_text.size() - used);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            return false;
        if (size == 0)
            break;
        used += static_cast<size_t>(size);
    }
    out_text.resize(used);
    return true;
}

static secret_outcome refuse_unreadable(const std::string &shown, int why, std::string &out_reason)
{
    out_reason = "cannot read " + shown + ": " + std::strerror(why);
    if (why == EACCES)
        out_reason += ": start the node as the user who owns the file, or give this user a copy of it (mode 600)";
    return why == ENOENT || why == ENOTDIR ? secret_outcome::absent : secret_outcome::bad;
}

secret_outcome secret_read(const std::string &path, std::string &out_secret, std::string &out_reason)
{
    std::string shown = text_escape(path);
    struct stat info {};
    if (stat(path.c_str(), &info) != 0)
        return refuse_unreadable(shown, errno, out_reason);
    int fd = -1;
    // Only regular files are opened: opening a device can have side effects, and opening a pipe waits for a writer.
    if (S_ISREG(info.st_mode)) {
        fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0 || fstat(fd, &info) != 0) {
            int why = errno;
            if (fd >= 0)
                close(fd);
            return refuse_unreadable(shown, why, out_reason);
        }
    }
    if (!S_ISREG(info.st_mode)) {
        if (fd >= 0)
            close(fd);
        out_reason = shown + " is " + kind_of(info.st_mode) + ": name a regular file with the secret";
        return secret_outcome::bad;
    }
    std::string text;
    bool is_read = read_start(fd, text);
    int why = errno;
    close(fd);
    if (!is_read)
        return refuse_unreadable(shown, why, out_reason);
    if ((info.st_mode & (S_IWGRP | S_IRWXO)) != 0) {
        bool others_can_read = (info.st_mode & S_IROTH) != 0;
        out_reason = shown + " has mode " + mode_text(info.st_mode) + ", so that " +
                     (others_can_read ? "every user of this machine can read it" : "users other than its owner can change or read it") +
                     ": chmod 600 " + shown + ", or 640 if its group needs to read it";
        return secret_outcome::bad;
    }
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r'))
        text.pop_back();
    if (text.size() > cluster_secret_size_max) {
        out_reason = shown + text_format(" has more than %zu bytes: a secret is one line of %zu to %zu characters", cluster_secret_size_max,
                                 cluster_secret_size_min, cluster_secret_size_max);
        return secret_outcome::bad;
    }
    std::string wrong = secret_defect(text, shown);
    if (!wrong.empty()) {
        out_reason = shown + " " + wrong;
        return secret_outcome::bad;
    }
    out_secret = text;
    return secret_outcome::read;
}

// --- making

static bool make_folders(const std::string &path, std::string &out_reason)
{
    for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
        std::string folder = path.substr(0, slash);
        if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
            out_reason = "cannot create " + folder + ": " + std::strerror(errno);
            return false;
        }
    }
    return true;
}

static void sync_folder_of(const std::string &path)
{
    int fd = open(path.substr(0, path.rfind('/') + 1).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    fsync(fd);
    close(fd);
}

static bool write_secret(int fd)
{
    unsigned char random[24];
    if (getrandom(random, sizeof random, 0) != static_cast<ssize_t>(sizeof random))
        return false;
    std::string text;
    for (unsigned char byte : random) {
        static constexpr char digits[] = "0123456789abcdef";
        text += digits[byte >> 4];
        text += digits[byte & 15];
    }
    text += '\n';
    return fchmod(fd, 0600) == 0 && write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fsync(fd) == 0;
}

secret_outcome secret_create(const std::string &path, std::string &out_secret, bool &out_created, std::string &out_reason)
{
    out_created = false;
    if (!make_folders(path, out_reason))
        return secret_outcome::bad;
    std::string temporary = path + ".XXXXXX";
    int fd = mkostemp(temporary.data(), O_CLOEXEC);
    if (fd < 0) {
        out_reason = "cannot create " + path + ": " + std::strerror(errno);
        return secret_outcome::bad;
    }
    bool is_written = write_secret(fd);
    int why = errno;
    close(fd);
    if (is_written && link(temporary.c_str(), path.c_str()) == 0)
        out_created = true;
    else if (is_written)
        why = errno;
    unlink(temporary.c_str());
    if (!out_created && (!is_written || why != EEXIST)) {
        out_reason = "cannot create " + path + ": " + std::strerror(why);
        return secret_outcome::bad;
    }
    sync_folder_of(path);
    return secret_read(path, out_secret, out_reason);
}

} // namespace etlnode
