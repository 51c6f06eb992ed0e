// SPDX-License-Identifier: MIT
// store/load_machine.h: one lookup of an object that is not in the cache: its row, and its content from the index or an open file.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sm/sm.h"
#include "sm/sm_news.h"
#include "store/store_internal.h"

namespace etlnode {

struct load_wait {
    store_on_object on_object = nullptr;
    void *arg = nullptr;
};

// What the callers hear.
enum class load_news : uint8_t { ended };

struct load {
    enum class state : uint8_t { awaiting_row, opening_placed, opening_temp, opening_moved, summing, stopping, done };
    enum class event : uint8_t { row_read, opened, missing, no_descriptors, summed, failed, stop };
    sm_core sm;
    sm_news<load_news> news;
    store *owner = nullptr;
    load *previous = nullptr; // list of all loads of the store
    load *next = nullptr;
    std::string bucket, name;
    std::vector<load_wait> waits;     // all callers that have asked for this object meanwhile
    store_use use = store_use::again; // again if one of the callers says so
    bool is_outdated = false;         // the object has changed since: no caller joins, and the cache does not take the result

    bool on_index = false, opening = false; // what is in progress
    index_row row;
    disk_file *file = nullptr;
    uint64_t file_size = 0;
    std::string content;
    bool has_content = false;
    std::unique_ptr<file_sums> sums; // in progress, for a content without sums
    uint64_t checksum = 0;           // of the bytes read for them
    uint64_t missing_id = 0;         // the content that was found in neither place
    unsigned restarts = 0;
    bool has_evicted = false; // descriptors were already released once
    error failure;
};

} // namespace etlnode
