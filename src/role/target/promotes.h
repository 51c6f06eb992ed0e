// SPDX-License-Identifier: MIT
// role/target/promotes.h: one file of this machine that becomes an object, for promote_jobs.cc.
#pragma once

#include <string>

#include "port/folder.h"
#include "role/target/shares.h"

namespace etlnode {

struct promote_item; // frees itself after share_item_ended

struct promote_wish {
    share_run *run = nullptr;
    std::string job; // its id
    std::string bucket, name;
    std::string root, path; // of the file, below the root
    folder_entry file;      // as it was seen
    std::string seen_by;    // the target; empty: all targets see the same file
    bool overwrites = false, removes = false;
};
promote_item *promote_item_begin(target &t, promote_wish wish);
// It ends soon. What is being stored is stored.
void promote_item_stop(promote_item &item);
share_progress promote_item_progress(const promote_item &item);

} // namespace etlnode
