// SPDX-License-Identifier: MIT
// role/target/downloads.h: one object that comes from the web, for download_jobs.cc.
#pragma once

#include <string>

#include "role/target/shares.h"

namespace etlnode {

struct download_item; // frees itself after share_item_ended

struct download_wish {
    share_run *run = nullptr;
    std::string job; // its id
    std::string bucket, name, link;
    uint64_t timeout_ms = 0; // 0: none
    uint64_t rate = 0;       // bytes a second; 0: as many as come
};
download_item *download_item_begin(target &t, download_wish wish);
// It ends soon. What is stored already is not given up.
void download_item_stop(download_item &item);
share_progress download_item_progress(const download_item &item);

} // namespace etlnode
