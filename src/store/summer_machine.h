// SPDX-License-Identifier: MIT
// store/summer_machine.h: computes the sums of contents that an earlier version of this program stored without, one after the other.
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

// What the store hears.
struct summer_news {
    bool has_ended = false; // otherwise sums were computed:
    index_row row;          // the object is guarded from now on, or it is damaged: what is cached about it must not be used any more
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
    bool is_pass_over = false;   // no rows are left to list
    uint64_t after_id = 0;       // this pass has covered all ids up to here
    std::vector<index_row> rows; // listed, in reverse order
    index_row current;
    uint64_t checksum = 0; // of the bytes that were read
    bool is_damaged = false;
    size_t failures = 0; // in this pass; these contents are tried again in another one
    uint64_t made = 0;

    sm_news<summer_news> news;
    void (*on_made)(void *arg, const index_row &row, bool is_damaged) = nullptr;
    void *made_arg = nullptr;
    void (*on_ended)(void *arg) = nullptr;
    void *ended_arg = nullptr;
};

void summer_start(summer &s, env &e, std::string dir, void (*on_made)(void *arg, const index_row &row, bool is_damaged), void *arg);
// Calls back once, perhaps at once: no operation is in progress, and nothing more will be done. The next start resumes unfinished work.
void summer_stop(summer &s, void (*on_ended)(void *arg), void *arg);

} // namespace etlnode
