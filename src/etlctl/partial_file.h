// SPDX-License-Identifier: MIT
// etlctl/partial_file.h: a file that appears under its name only when it is complete.
//
// Bytes go to NAME.part-XXXXXX next to it; commit renames that file. SIGINT and SIGTERM remove it and end the program with 130 or 143. Only
// one such file exists at a time.
#pragma once

#include <cstddef>
#include <string>

namespace etlnode::etlctl {

struct partial_file {
    int fd = -1;
    std::string part = {}; // empty if written in place (a device, a pipe, standard output)
    std::string final = {};
    bool is_ours = false;    // this struct closes fd
    bool is_private = false; // set before opening: only the owner may read the file
};

// main calls this once. After it, both signals end the program immediately.
void partial_file_watch_signals(const char *program);

// What a signal prints from now on.
void partial_file_set_signal_text(const std::string &text);

// False with `out_why`. `path` "-" is standard output. A path that exists and is not a regular file is written in place.
bool partial_file_open(partial_file &file, const std::string &path, std::string &out_why);
// False with errno set.
bool partial_file_write(partial_file &file, const char *bytes, size_t size);
bool partial_file_commit(partial_file &file, std::string &out_why);
// Closes and removes what was not committed. May be called again.
void partial_file_drop(partial_file &file);

} // namespace etlnode::etlctl
