// SPDX-License-Identifier: MIT
// etlnode/secret.cc: creates the file with the cluster's secret.
//
// Normal   If no file is named and none exists, the first node to start creates it. It writes and syncs a temporary file,
//          then gives it the final name with link(2), which fails if another node was faster. So a partial secret or a second one never
//          appears.
// Knows    base/secret_file.h (reads it).
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

#include "base/text.h"
#include "codec/url.h"

namespace etlnode {

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
