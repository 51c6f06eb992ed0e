// SPDX-License-Identifier: MIT
// kubectl_local/os.h: files, clocks and random names. kubectl-local is a separate program and may call the system directly.
//
// Unless stated otherwise, functions return false with errno set on failure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace etlnode::kubectl_local {

// A file descriptor that its scope closes. Plain ownership, without completions.
struct os_fd {
    int fd = -1;

    os_fd() = default;
    explicit os_fd(int value) : fd(value) {}
    os_fd(const os_fd &) = delete;
    os_fd &operator=(const os_fd &) = delete;
    ~os_fd() { reset(-1); }
    void reset(int value);
    int release();
};

inline constexpr size_t os_record_size_max = 8u * 1024 * 1024; // for files that are read whole: records and image configurations

bool os_read_file(const std::string &path, std::string &out_content, size_t size_max = os_record_size_max);
bool os_write_file(const std::string &path, std::string_view content, mode_t mode = 0644);
// A reader sees either the old content or the new one.
bool os_replace_file(const std::string &path, std::string_view content);
bool os_write_all(int fd, std::string_view content);

bool os_make_dirs(const std::string &path, mode_t mode = 0755);
bool os_is_dir(const std::string &path);
bool os_exists(const std::string &path); // true for a dangling link as well
// The sorted names in a directory without . and ..; false if it cannot be read.
bool os_list(const std::string &path, std::vector<std::string> &out_names);
// A missing tree is not a failure.
bool os_remove_tree(const std::string &path);
// Copies directories, files (with their mode) and links; rejects other kinds. `out_text` says what failed.
bool os_copy_tree(const std::string &from, const std::string &to, std::string &out_text);
std::string os_read_link(const std::string &path); // empty on failure
std::string os_root_of(pid_t pid);                 // the root directory that the process sees, without a slash at the end

uint64_t os_now_ms();                                      // monotonic
std::string os_time_text(time_t at);                       // RFC 3339, UTC, seconds
std::string os_time_text_ns();                             // now, with nanoseconds
bool os_time_parse(std::string_view text, time_t &out_at); // parses the output of os_time_text
std::string os_random_text(std::string_view alphabet, size_t size);
std::string os_random_hex(size_t digits);

// The first executable `name` in PATH or in the usual directories; empty if there is none.
std::string os_find_program(const char *name);
bool os_set_nonblocking(int fd);

} // namespace etlnode::kubectl_local
