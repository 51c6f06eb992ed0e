// SPDX-License-Identifier: MIT
// etlctl/watch.cc: takes a command's output into memory, and shows what is new of it.
#include "etlctl/watch.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/text.h"
#include "etlctl/format.h"
#include "etlctl/partial_file.h"

namespace etlnode::etlctl {

static constexpr uint64_t interval_ms = 2'000;

// What the command writes to standard output. False with errno if memory or descriptors are used up.
static bool capture(session &s, exit_code (*run)(session &s), exit_code &out_code, std::string &out_text)
{
    int memory = memfd_create("watch", MFD_CLOEXEC);
    int saved = dup(STDOUT_FILENO);
    if (memory < 0 || saved < 0 || fflush(stdout) != 0 || dup2(memory, STDOUT_FILENO) < 0)
        return false;
    out_code = run(s);
    fflush(stdout);
    bool is_good = dup2(saved, STDOUT_FILENO) >= 0;
    close(saved);
    off_t size = lseek(memory, 0, SEEK_END);
    out_text.resize(size > 0 ? static_cast<size_t>(size) : 0);
    size_t done = 0;
    while (done < out_text.size()) {
        ssize_t got = pread(memory, out_text.data() + done, out_text.size() - done, static_cast<off_t>(done));
        if (got <= 0)
            break;
        done += static_cast<size_t>(got);
    }
    out_text.resize(done);
    close(memory);
    return is_good;
}

// The screen from its top, with each line cleared behind its text, so that nothing flickers.
static std::string screen(const session &s, std::string_view text, bool is_first)
{
    struct winsize size = {};
    size_t rows = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 2 ? size.ws_row : 24;
    auto now = static_cast<uint64_t>(time(nullptr));
    std::string out = is_first ? "\x1b[2J\x1b[H" : "\x1b[H";
    out += s.program + " " + (*s.row->noun != '\0' ? std::string(s.row->noun) + " " : "") + s.row->verb +
           ", every 2s: " + format_clock(now, now) + "\x1b[K\n";
    for (size_t line = 2; !text.empty() && line < rows; ++line) {
        size_t end = std::min(text.find('\n'), text.size());
        out.append(text.substr(0, end)).append("\x1b[K\n");
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return out + (text.empty() ? "\x1b[J" : "...\x1b[K\x1b[J");
}

exit_code watch_run(session &s, exit_code (*run)(session &s))
{
    partial_file_set_signal_text("\n"); // the usual way to end it needs no words
    std::string former;
    for (bool is_first = true;; is_first = false) {
        std::string text;
        exit_code code = exit_code::ok;
        if (!capture(s, run, code, text))
            return session_fail(s, failure_make(exit_code::other, "cannot watch", strerror(errno)));
        bool may_pass = code == exit_code::unavailable || code == exit_code::timeout || code == exit_code::partial;
        bool has_failed = code != exit_code::ok && text.empty();
        if (has_failed && (is_first || !may_pass))
            return code;
        std::string shown = s.out_is_tty ? screen(s, text, is_first) : text;
        if (!has_failed && (s.out_is_tty || is_first || text != former)) {
            if (!is_first && !s.out_is_tty && s.format == output_format::table && !s.opt.no_headers)
                fputc('\n', stdout);
            fwrite(shown.data(), 1, shown.size(), stdout);
            if (failure f = session_flush(s))
                return session_fail(s, f);
            former = std::move(text);
        }
        session_sleep_ms(interval_ms);
    }
}

} // namespace etlnode::etlctl
