// SPDX-License-Identifier: MIT
// etlctl/folder_files.h: files below a folder: they appear when they are complete, and nothing ever leaves the folder.
//
// Every part of a name is opened without following symbolic links, so a link below the folder cannot lead a write out of it. A file that is
// being written has no name where the file system allows that, so even a killed program leaves nothing; else its name begins with
// `.etlctl-`, and a signal removes it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace etlnode::etlctl {

// The folder, and the last folder below it that was used, because names that follow one another are mostly in the same one.
struct folder_root {
    int fd = -1;
    std::string cached;
    int cached_fd = -1;
};

struct folder_file {
    int directory = -1;
    int fd = -1;
    std::string name; // the last part
    std::string part; // the temporary name; empty: it has none
    int slot = -1;    // in the table that the signal handler reads
};

// Opens the folder. With `makes`, it is made first if it does not exist, with the folders that lead to it.
bool folder_open(folder_root &root, const std::string &path, bool makes, std::string &out_why);
void folder_close(folder_root &root);

// False with a reason. `out_is_full`: the disk has no room, so that others fail, too.
bool folder_file_open(folder_root &root, const std::string &name, folder_file &out_file, std::string &out_why, bool &out_is_full);
bool folder_file_write(folder_file &file, const char *bytes, size_t size, std::string &out_why, bool &out_is_full);
bool folder_file_commit(folder_file &file, std::string &out_why);
void folder_file_drop(folder_file &file);

enum class folder_found : uint8_t { nothing, file, other };
// What is there under this name, and the size of a file. A symbolic link counts as `other`.
folder_found folder_look(folder_root &root, const std::string &name, uint64_t &out_size);
// Opens a file for reading; -1 with errno. `name` is below the folder, or any path if the root is not open.
int folder_read(folder_root &root, const std::string &name);
// XXH64 of the file in hex digits; empty if it cannot be read.
std::string folder_checksum(folder_root &root, const std::string &name);
// Removes a file, and the folders above it that are empty then.
bool folder_remove(folder_root &root, const std::string &name, std::string &out_why);

// From now on SIGINT and SIGTERM only set a flag, the second time they end the program at once; both remove files with temporary names.
void folder_watch_signals();
int folder_signal();        // 0: none came
bool folder_is_signalled(); // whether one came

} // namespace etlnode::etlctl
