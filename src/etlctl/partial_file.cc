// SPDX-License-Identifier: MIT
// etlctl/partial_file.cc: writes the part file, renames it, and removes it on a signal.
#include "etlctl/partial_file.h"

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

namespace etlnode::etlctl {

// The signal handler reads this, so it is written only while the signals are blocked.
static char signal_path[PATH_MAX];
static char signal_text[512];
static size_t signal_text_size;

static void on_signal(int number)
{
    if (signal_path[0] != '\0')
        unlink(signal_path);
    ssize_t ignored = write(STDERR_FILENO, signal_text, signal_text_size);
    static_cast<void>(ignored);
    _exit(128 + number);
}

void partial_file_watch_signals(const char *program)
{
    std::string text = text_format("\n%.40s: interrupted\n", program);
    signal_text_size = text.size();
    memcpy(signal_text, text.data(), text.size());
    struct sigaction action = {};
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGINT);
    sigaddset(&action.sa_mask, SIGTERM);
    for (int number : {SIGINT, SIGTERM}) {
        struct sigaction old = {};
        sigaction(number, nullptr, &old);
        if (old.sa_handler != SIG_IGN) // keep signals ignored under nohup and in background jobs of scripts
            sigaction(number, &action, nullptr);
    }
}

static sigset_t block_signals()
{
    sigset_t set;
    sigset_t old;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, &old);
    return old;
}

static void unblock_signals(const sigset_t &old) { sigprocmask(SIG_SETMASK, &old, nullptr); }

void partial_file_set_signal_text(const std::string &text)
{
    sigset_t old = block_signals();
    signal_text_size = text.size() < sizeof signal_text ? text.size() : sizeof signal_text;
    memcpy(signal_text, text.data(), signal_text_size);
    unblock_signals(old);
}

static bool open_part(partial_file &file, std::string &out_why)
{
    file.part = file.final + ".part-XXXXXX";
    if (file.part.size() >= sizeof(signal_path)) {
        out_why = "the file's name is too long";
        return false;
    }
    sigset_t old = block_signals();
    file.fd = mkostemp(file.part.data(), O_CLOEXEC);
    int reason = errno;
    if (file.fd >= 0)
        memcpy(signal_path, file.part.c_str(), file.part.size() + 1);
    unblock_signals(old);
    if (file.fd < 0) {
        out_why = text_format("%s: %s", file.final.c_str(), strerror(reason));
        file.part.clear();
        return false;
    }
    mode_t mask = umask(0);
    umask(mask);
    if (!file.is_private && fchmod(file.fd, 0666 & ~mask) != 0) {
        // Keep mode 0600 of mkostemp: it is stricter than the umask asks for, but not wrong.
    }
    return true;
}

bool partial_file_open(partial_file &file, const std::string &path, std::string &out_why)
{
    if (path == "-") {
        file.fd = STDOUT_FILENO;
        return true;
    }
    file.is_ours = true;
    file.final = path;
    struct stat status = {};
    if (stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
        file.fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
        if (file.fd < 0)
            out_why = text_format("%s: %s", path.c_str(), strerror(errno));
        return file.fd >= 0;
    }
    return open_part(file, out_why);
}

bool partial_file_write(partial_file &file, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t wrote = write(file.fd, bytes, size);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return false;
        bytes += wrote;
        size -= static_cast<size_t>(wrote);
    }
    return true;
}

bool partial_file_commit(partial_file &file, std::string &out_why)
{
    if (!file.is_ours || file.fd < 0)
        return true;
    int closed = close(file.fd);
    file.fd = -1;
    if (closed != 0) {
        out_why = text_format("%s: %s", file.final.c_str(), strerror(errno));
        return false;
    }
    if (file.part.empty())
        return true;
    sigset_t old = block_signals();
    int renamed = rename(file.part.c_str(), file.final.c_str());
    int reason = errno;
    if (renamed == 0) {
        signal_path[0] = '\0';
        file.part.clear();
    }
    unblock_signals(old);
    if (renamed != 0)
        out_why = text_format("%s: %s", file.final.c_str(), strerror(reason));
    return renamed == 0;
}

void partial_file_drop(partial_file &file)
{
    if (file.is_ours && file.fd >= 0)
        close(file.fd);
    file.fd = -1;
    if (file.part.empty())
        return;
    sigset_t old = block_signals();
    unlink(file.part.c_str());
    signal_path[0] = '\0';
    unblock_signals(old);
    file.part.clear();
}

} // namespace etlnode::etlctl
