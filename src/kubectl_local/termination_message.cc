// SPDX-License-Identifier: MIT
// kubectl_local/termination_message.cc: the termination message of a container.
#include "kubectl_local/termination_message.h"

#include <algorithm>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kubectl_local/os.h"

namespace etlnode::kubectl_local {

// The kubelet's limit.
static constexpr size_t message_max = 4'096;
static constexpr size_t quoted_max = 2'048;
static constexpr size_t quoted_lines_max = 80;
static constexpr size_t log_tail_size = 16'384; // each line begins with a timestamp

std::string termination_message_dir(const std::string &pod_dir) { return pod_dir + "/message"; }

void termination_message_clear(const std::string &dir, const container_spec &container) { unlink((dir + "/" + container.name).c_str()); }

// Returns the end of a regular file.
static std::string end_of(const std::string &path, size_t size_max)
{
    os_fd file(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat about;
    if (file.fd < 0 || fstat(file.fd, &about) != 0 || !S_ISREG(about.st_mode) || about.st_size <= 0)
        return "";
    size_t size = std::min(size_max, static_cast<size_t>(about.st_size));
    std::string text(size, 0);
    ssize_t n = pread(file.fd, text.data(), size, about.st_size - static_cast<off_t>(size));
    text.resize(n > 0 ? static_cast<size_t>(n) : 0);
    return text;
}

static std::string quote(const std::string &log)
{
    std::string text = end_of(log, log_tail_size);
    if (text.size() < log_tail_size)
        text = end_of(log + ".1", log_tail_size - text.size()) + text; // the log has just been rotated
    bool is_cut = text.size() >= log_tail_size;
    std::string out;
    size_t at = is_cut ? text.find('\n') + 1 : 0; // npos + 1 is 0
    size_t lines = static_cast<size_t>(std::count(text.begin() + static_cast<ptrdiff_t>(at), text.end(), '\n')) +
                   (text.ends_with('\n') ? 0 : 1);
    for (; at < text.size(); lines--) {
        size_t end = std::min(text.find('\n', at), text.size() - 1) + 1;
        size_t blank = std::min(text.find(' ', at), end - 1);
        if (lines <= quoted_lines_max)
            out.append(text, blank + 1, end - blank - 1);
        at = end;
    }
    return out.size() > quoted_max ? out.substr(out.size() - quoted_max) : out;
}

std::string termination_message_read(const std::string &dir, const container_spec &container, int exit_code, const std::string &log)
{
    std::string text = end_of(dir + "/" + container.name, message_max);
    return text.empty() && container.quotes_log && exit_code != 0 ? quote(log) : text;
}

} // namespace etlnode::kubectl_local
