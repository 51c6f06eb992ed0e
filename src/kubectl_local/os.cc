// SPDX-License-Identifier: MIT
// kubectl_local/os.cc: files, clocks and random names for kubectl-local.
#include "kubectl_local/os.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <dirent.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/text.h"

namespace etlnode::kubectl_local {

void os_fd::reset(int value)
{
    if (fd >= 0)
        close(fd);
    fd = value;
}

int os_fd::release()
{
    int value = fd;
    fd = -1;
    return value;
}

bool os_read_file(const std::string &path, std::string &out_content, size_t size_max)
{
    os_fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.fd < 0)
        return false;
    out_content.clear();
    char chunk[16384];
    for (;;) {
        ssize_t n = read(file.fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        if (n == 0)
            return true;
        if (out_content.size() + static_cast<size_t>(n) > size_max) {
            errno = EFBIG;
            return false;
        }
        out_content.append(chunk, static_cast<size_t>(n));
    }
}

bool os_write_all(int fd, std::string_view content)
{
    while (!content.empty()) {
        ssize_t n = write(fd, content.data(), content.size());
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        content.remove_prefix(static_cast<size_t>(n));
    }
    return true;
}

bool os_write_file(const std::string &path, std::string_view content, mode_t mode)
{
    os_fd file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
    return file.fd >= 0 && os_write_all(file.fd, content);
}

bool os_replace_file(const std::string &path, std::string_view content)
{
    std::string temporary = path + "." + os_random_hex(8);
    if (os_write_file(temporary, content) && rename(temporary.c_str(), path.c_str()) == 0)
        return true;
    int keep = errno;
    unlink(temporary.c_str());
    errno = keep;
    return false;
}

bool os_make_dirs(const std::string &path, mode_t mode)
{
    if (mkdir(path.c_str(), mode) == 0)
        return true;
    if (errno == EEXIST)
        return os_is_dir(path);
    if (errno != ENOENT)
        return false;
    size_t slash = path.find_last_of('/');
    if (slash == std::string::npos || slash == 0)
        return false;
    if (!os_make_dirs(path.substr(0, slash), mode))
        return false;
    return mkdir(path.c_str(), mode) == 0 || (errno == EEXIST && os_is_dir(path));
}

bool os_is_dir(const std::string &path)
{
    struct stat about;
    if (stat(path.c_str(), &about) != 0)
        return false;
    if (!S_ISDIR(about.st_mode))
        errno = ENOTDIR;
    return S_ISDIR(about.st_mode);
}

bool os_exists(const std::string &path)
{
    struct stat about;
    return lstat(path.c_str(), &about) == 0;
}

bool os_list(const std::string &path, std::vector<std::string> &out_names)
{
    out_names.clear();
    DIR *dir = opendir(path.c_str());
    if (dir == nullptr)
        return false;
    while (struct dirent *entry = readdir(dir)) {
        std::string_view name = entry->d_name;
        if (name != "." && name != "..")
            out_names.emplace_back(name);
    }
    closedir(dir);
    std::sort(out_names.begin(), out_names.end());
    return true;
}

static bool copy_file(const std::string &from, const std::string &to, mode_t mode, std::string &out_text)
{
    os_fd source(open(from.c_str(), O_RDONLY | O_CLOEXEC));
    os_fd sink(source.fd < 0 ? -1 : open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    bool done = source.fd >= 0 && sink.fd >= 0;
    char chunk[65536];
    while (done) {
        ssize_t n = read(source.fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            break;
        done = n > 0 && os_write_all(sink.fd, std::string_view(chunk, static_cast<size_t>(n)));
    }
    // The user who runs the pod must be able to read the image's files.
    done = done && fchmod(sink.fd, (mode & 0777) | 0400) == 0;
    if (!done)
        out_text = text_format("copying %s: %s", from.c_str(), strerror(errno));
    return done;
}

bool os_copy_tree(const std::string &from, const std::string &to, std::string &out_text)
{
    struct stat about;
    if (lstat(from.c_str(), &about) != 0) {
        out_text = text_format("%s: %s", from.c_str(), strerror(errno));
        return false;
    }
    if (S_ISREG(about.st_mode))
        return copy_file(from, to, about.st_mode, out_text);
    if (S_ISLNK(about.st_mode)) {
        std::string target = os_read_link(from);
        if (symlink(target.c_str(), to.c_str()) == 0)
            return true;
        out_text = text_format("copying %s: %s", from.c_str(), strerror(errno));
        return false;
    }
    if (!S_ISDIR(about.st_mode)) {
        out_text = text_format("%s is neither a file, a directory nor a link", from.c_str());
        return false;
    }
    std::vector<std::string> names;
    if ((mkdir(to.c_str(), 0700) != 0 && errno != EEXIST) || !os_list(from, names)) {
        out_text = text_format("copying %s: %s", from.c_str(), strerror(errno));
        return false;
    }
    for (const std::string &name : names)
        if (!os_copy_tree(from + "/" + name, to + "/" + name, out_text))
            return false;
    if (chmod(to.c_str(), (about.st_mode & 0777) | 0700) == 0)
        return true;
    out_text = text_format("copying %s: %s", from.c_str(), strerror(errno));
    return false;
}

std::string os_root_of(pid_t pid) { return text_format("/proc/%d/root", pid); }

std::string os_read_link(const std::string &path)
{
    char target[4096];
    ssize_t n = readlink(path.c_str(), target, sizeof target);
    return n > 0 ? std::string(target, static_cast<size_t>(n)) : std::string();
}

uint64_t os_now_ms()
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1'000'000;
}

std::string os_time_text(time_t at)
{
    struct tm parts;
    gmtime_r(&at, &parts);
    char text[40];
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text;
}

std::string os_time_text_ns()
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    std::string text = os_time_text(now.tv_sec);
    text.pop_back();
    return text + text_format(".%09ldZ", now.tv_nsec);
}

bool os_time_parse(std::string_view text, time_t &out_at)
{
    struct tm parts = {};
    std::string copy(text);
    const char *end = strptime(copy.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
    if (end == nullptr || (*end != 'Z' && *end != '.'))
        return false;
    out_at = timegm(&parts);
    return true;
}

std::string os_random_text(std::string_view alphabet, size_t size)
{
    CHECK(!alphabet.empty());
    std::string out(size, '\0');
    ssize_t n = getrandom(out.data(), size, 0);
    CHECK(n == static_cast<ssize_t>(size)); // cannot fail for small sizes after the kernel has booted
    for (char &c : out)
        c = alphabet[static_cast<unsigned char>(c) % alphabet.size()];
    return out;
}

std::string os_random_hex(size_t digits) { return os_random_text("0123456789abcdef", digits); }

std::string os_find_program(const char *name)
{
    const char *path = getenv("PATH");
    std::string places = std::string(path != nullptr ? path : "") + ":/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";
    size_t from = 0;
    while (from <= places.size()) {
        size_t end = std::min(places.find(':', from), places.size());
        std::string candidate = places.substr(from, end - from) + "/" + name;
        struct stat about;
        if (end > from && access(candidate.c_str(), X_OK) == 0 && stat(candidate.c_str(), &about) == 0 && S_ISREG(about.st_mode))
            return candidate;
        from = end + 1;
    }
    return "";
}

bool os_set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

} // namespace etlnode::kubectl_local
