// SPDX-License-Identifier: MIT
// store/summer_machine.h: makes the sums of contents that an earlier version of this program has stored, one after the other.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "port/index.h"
#include "sm/sm.h"
#include "sm/sm_news.h"
#include "store/file_sums.h"

namespace etlnode {

// What the store is to hear.
struct summer_news {
    bool has_ended = false; // else sums were made:
    index_row row; // the object is guarded from now on, or it is damaged: what is known of it from before must not be used any more
    bool is_damaged = false;
};

struct summer {
    enum class state : uint8_t { idle, listing, opening_placed, opening_temp, opening_moved, reading, adding, ending, ended };
    enum class event : uint8_t { work, done, missing, failed, deadline, stop };
    sm_core sm;
    env *e = nullptr;
    std::string dir;
    timer *deadline_timer = nullptr; // until the next pass
    bool on_index = false, opening = false;
    disk_file *file = nullptr;
    uint64_t file_size = 0;
    std::unique_ptr<file_sums> reading;
    bool is_pass_over = false;   // nothing more is to be listed
    uint64_t after_id = 0;       // everything up to here has had its turn in this pass
    std::vector<index_row> rows; // listed, last first
    index_row current;
    uint64_t checksum = 0; // of what was read
    bool is_damaged = false;
    size_t failures = 0; // of this pass: these get another one
    uint64_t made = 0;

    sm_news<summer_news> news;
    void (*on_made)(void *arg, const index_row &row, bool is_damaged) = nullptr;
    void *made_arg = nullptr;
    void (*on_ended)(void *arg) = nullptr;
    void *ended_arg = nullptr;
};

void summer_start(summer &s, env &e, std::string dir, void (*on_made)(void *arg, const index_row &row, bool is_damaged), void *arg);
// Calls once, perhaps at once: no operation is under way, nothing more will be done. What was not finished is found again at the next start.
void summer_stop(summer &s, void (*on_ended)(void *arg), void *arg);

} // namespace etlnode
