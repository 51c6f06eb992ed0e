// SPDX-License-Identifier: MIT
// base/secret_file.cc: reads the file with the cluster's secret.
//
// Fails    A file that others can read is rejected, because its content is no longer a secret. So is anything that is not a regular file,
//          or that does not fit into one header line. Each reason says what to do.
// Limits   cluster_secret_size_min, cluster_secret_size_max.
#include "base/secret_file.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/text.h"

namespace etlnode {

std::string secret_default_path(bool is_root, std::string_view config_home, std::string_view home)
{
    if (is_root)
        return "/etc/etlnode/cluster-secret";
    if (config_home.starts_with('/')) // the XDG specification says that a relative path is to be ignored
        return std::string(config_home) + "/etlnode/cluster-secret";
    return home.empty() ? std::string() : std::string(home) + "/.config/etlnode/cluster-secret";
}

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

} // namespace etlnode
