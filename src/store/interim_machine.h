// SPDX-License-Identifier: MIT
// store/interim_machine.h: the internals of `interim`, for the files of this folder only.
#pragma once

#include <cstdint>
#include <string>

#include <xxhash.h>

#include "sm/sm.h"
#include "sm/sm_news.h"
#include "store/content_sums.h"
#include "store/interim.h"
#include "store/store_internal.h"

namespace etlnode {

enum class interim_news : uint8_t {
    written,  // or writing has failed: see `failure`
    finished, // the interim is freed with this answer
    aborted,  // the interim is freed, and no caller waits for it
};

struct interim {
    enum class state : uint8_t { filling, opening, unnaming, writing, writing_last, ending, failed, abandoned, done };
    enum class event : uint8_t {
        spill_asked,
        end_asked,
        opened,
        no_descriptors,
        open_failed,
        unlinked,
        written,
        write_failed,
        posted,
        stop
    };
    sm_core sm; // its id is the content's id
    store *owner = nullptr;
    index_row row; // size: of what the file holds
    std::string held;
    disk_file *file = nullptr;
    uint32_t under_way = 0;   // operations that will complete, as bits of the table's resources
    bool has_evicted = false; // descriptors were already released once
    XXH64_state_t *hash = nullptr;
    content_sums sums; // of the file
    const store_object *made = nullptr;

    void (*on_written)(void *arg, error err) = nullptr;
    void *written_arg = nullptr;
    void (*on_done)(void *arg, error err, const store_object *object) = nullptr;
    void *done_arg = nullptr;
    sm_news<interim_news> news;
    error failure; // the first one
};

} // namespace etlnode
