// SPDX-License-Identifier: MIT
// store/open_machine.h: starts a store: its directories, and what the last run left in tmp/.
#pragma once

#include <string>
#include <vector>

#include "sm/sm.h"
#include "sm/sm_news.h"
#include "store/store_internal.h"

namespace etlnode {

// What the caller hears.
enum class open_news : uint8_t { ended };

struct store_opening {
    enum class state : uint8_t {
        making_temp,
        making_objects,
        listing_objects,
        setting_aside,
        syncing_root,
        listing_temp,
        listing_root,
        reading_pending_moves,
        reading_garbage,
        settling,
        ready,
        failed
    };
    enum class event : uint8_t { done, failed };
    sm_core sm;
    sm_news<open_news> news;
    store *owner = nullptr;
    bool on_disk = false, on_index = false, settling = false;
    bool has_strangers = false;          // objects/ is not empty although the index is new
    std::vector<uint64_t> in_temp;       // sorted ids of the files there
    std::vector<uint64_t> pending_moves; // ids of rows whose file may still be there
    std::vector<uint64_t> garbage;
    error failure;
    void (*on_ready)(void *arg, error err, store *s) = nullptr;
    void *arg = nullptr;
};

} // namespace etlnode
