// SPDX-License-Identifier: MIT
// etlctl/folder_walk.h: goes through the files below a directory, in the byte order of the names of objects.
//
// It keeps a bounded number of names of each directory on the way, so that a directory of any size takes the same memory: it is read again
// for the next ones.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <sys/types.h>

#include "etlctl/glob.h"

namespace etlnode::etlctl {

enum class walk_step : uint8_t {
    file,    // `name`
    special, // `name` is neither a file nor a folder, and is left out; `why`
    problem, // `name` cannot be read; `why`
    end,
};

struct walk_level {
    int fd = -1;
    std::string prefix; // "" or "a/b/"
    dev_t device = 0;
    ino_t inode = 0;
    std::vector<std::string> keys; // sorted; those of folders end with '/', those of special files with NUL
    size_t next = 0;
    std::string last; // behind this key there may be more
    bool has_more = false;
    bool is_used = false; // holds a file
};

struct folder_walk {
    std::vector<walk_level> levels;
    const name_filter *filter = nullptr;
    bool follows_links = true; // to folders; links to files are files in any case
    size_t keys_max = 131'072; // kept of one directory
    uint64_t empty_folders = 0;
};

// `fd` is the directory; the walk duplicates it. False with errno.
bool walk_begin(folder_walk &walk, int fd, const name_filter *filter);
walk_step walk_next(folder_walk &walk, std::string &out_name, std::string &out_why);
void walk_end(folder_walk &walk);

} // namespace etlnode::etlctl
