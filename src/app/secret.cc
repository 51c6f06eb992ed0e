// SPDX-License-Identifier: MIT
// app/secret.cc: the file with the cluster's secret.
//
// Normal   read; where no file is named and none is there, the node that starts first makes it: a temporary file, complete and synced,
//          becomes the file by link(2), which fails where somebody else was faster. So there is never half a secret, and never two.
// Fails    a file that others can read is refused: what is in it is no secret any more.
#include "app/secret.h"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "codec/url.h"

static constexpr size_t secret_size_min = 16; // characters

std::string secret_default_path(bool is_root, std::string_view config_home, std::string_view home)
{
    if (is_root)
        return "/etc/etlnode/cluster-secret";
    if (config_home.starts_with('/')) // the specification says that a relative one is to be ignored
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
    if (!machine_name.empty() && (text_equal_ignore_case(host, machine_name) || text_equal_ignore_case(host, machine_name.substr(0, machine_name.find('.')))))
        return true;
    return is_address_of_this_machine(base.host);
}

// --- reading

secret_outcome secret_read(const std::string &path, std::string &out_secret, std::string &out_reason)
{
    int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        bool is_absent = errno == ENOENT || errno == ENOTDIR;
        out_reason = "cannot read " + path + ": " + std::strerror(errno);
        return is_absent ? secret_outcome::absent : secret_outcome::bad;
    }
    struct stat info{};
    char buffer[4096];
    ssize_t size = fstat(fd, &info) == 0 ? read(fd, buffer, sizeof buffer) : -1;
    close(fd);
    if (size < 0) {
        out_reason = "cannot read " + path;
        return secret_outcome::bad;
    }
    if ((info.st_mode & (S_IRWXG | S_IRWXO) & static_cast<mode_t>(~(S_IRGRP | S_IXGRP))) != 0) {
        out_reason = path + " can be read by everybody: chmod 600 " + path;
        return secret_outcome::bad;
    }
    std::string_view text(buffer, static_cast<size_t>(size));
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r'))
        text.remove_suffix(1);
    if (text.size() < secret_size_min) {
        out_reason = path + " holds fewer than 16 characters";
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
            out_reason = "cannot make " + folder + ": " + std::strerror(errno);
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

secret_outcome secret_make(const std::string &path, std::string &out_secret, bool &out_made, std::string &out_reason)
{
    out_made = false;
    if (!make_folders(path, out_reason))
        return secret_outcome::bad;
    std::string temporary = path + ".XXXXXX";
    int fd = mkostemp(temporary.data(), O_CLOEXEC);
    if (fd < 0) {
        out_reason = "cannot make " + path + ": " + std::strerror(errno);
        return secret_outcome::bad;
    }
    bool is_written = write_secret(fd);
    int why = errno;
    close(fd);
    if (is_written && link(temporary.c_str(), path.c_str()) == 0)
        out_made = true;
    else if (is_written)
        why = errno;
    unlink(temporary.c_str());
    if (!out_made && (!is_written || why != EEXIST)) {
        out_reason = "cannot make " + path + ": " + std::strerror(why);
        return secret_outcome::bad;
    }
    sync_folder_of(path);
    return secret_read(path, out_secret, out_reason);
}
