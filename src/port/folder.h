// SPDX-License-Identifier: MIT
// port/folder.h: files of this machine below one folder that an operator has named, off the loop thread.
//
// A path is relative to the folder, and no link on it is followed, whatever happens to it meanwhile: what is found lies below the folder.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "port/disk.h"
#include "port/env.h"

namespace etlnode {

struct folder_entry {
    std::string name; // in its folder
    bool is_folder = false;
    uint64_t size = 0;
    uint64_t changed_ns = 0; // nanoseconds since 1970: of the last change of its bytes
};

// Of a file: one entry without a name. Of a folder: its files and folders, by name; links, devices and the like are left out.
using folder_on_look = void (*)(void *arg, error err, bool is_folder, std::vector<folder_entry> entries);

struct folder_port {
    void (*look)(env &e, const std::string &root, const std::string &path, size_t count_max, folder_on_look on_look, void *arg);
    void (*open)(env &e, const std::string &root, const std::string &path, disk_on_open on_open, void *arg);
    void (*remove)(env &e, const std::string &root, const std::string &path, const folder_entry &as_seen, disk_on_done on_done, void *arg);
};

// Every call completes exactly once, later, and cannot be cancelled.

// Whether this world has any.
inline bool folder_is_possible(const env &e) { return e.folder != nullptr; }
// `path` "": the folder itself. Errors: permission for a path that is not below the folder, or has a link on it; no_such_file;
// body_too_large for more than `count_max` entries.
inline void folder_look(env &e, const std::string &root, const std::string &path, size_t count_max, folder_on_look on_look, void *arg)
{
    e.folder->look(e, root, path, count_max, on_look, arg);
}
// A regular file, for disk_read and disk_close.
inline void folder_open(env &e, const std::string &root, const std::string &path, disk_on_open on_open, void *arg)
{
    e.folder->open(e, root, path, on_open, arg);
}
// Only if it is still the file that was seen, of that size and time; otherwise conflict.
inline void folder_remove(
    env &e, const std::string &root, const std::string &path, const folder_entry &as_seen, disk_on_done on_done, void *arg)
{
    e.folder->remove(e, root, path, as_seen, on_done, arg);
}

} // namespace etlnode
