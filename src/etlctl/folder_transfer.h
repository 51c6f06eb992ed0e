// SPDX-License-Identifier: MIT
// etlctl/folder_transfer.h: one object of a folder on its way: the file, the request, and what follows its answer.
#pragma once

#include <cstdint>
#include <string>

#include <sys/stat.h>
#include <xxhash.h>

#include "etlctl/folder_plan.h"
#include "etlctl/http_many.h"
#include "etlctl/target_map.h"

namespace etlnode::etlctl {

// What all transfers of a run share.
struct folder_shared {
    session *s = nullptr;
    const folder_task *task = nullptr;
    folder_root *root = nullptr;
    target_map map;
    uint64_t bytes = 0;
    bool is_full = false; // the disk: nothing else can be read either
};

enum class transfer_state : uint8_t { idle, active, waiting };

struct folder_transfer {
    folder_shared *shared = nullptr;
    transfer_state state = transfer_state::idle;
    plan_item item;
    http_call call;
    uint64_t due_ms = 0; // of a waiting one: when it begins again
    int tries = 0;
    int redirects = 0;
    bool asks_proxy = false; // a PUT without its body: the answer says which target takes it
    std::string location;    // where the last answer sent the request; empty: to be chosen
    std::string problem;     // of the file

    int fd = -1; // of the file that is stored
    struct stat status = {};
    uint64_t left = 0;
    uint64_t counted = 0; // bytes that the sums have of it
    std::string body;     // of a small file
    XXH64_state_t *hash = nullptr;
    folder_file file; // that is read
};

enum class transfer_step : uint8_t { started, again, waits, done, failed };

// Begins with `t.item`. started: the caller starts `t.call`; failed: `out_failure` says why.
transfer_step transfer_begin(folder_transfer &t, failure &out_failure);
// Prepares `t.call` once more, after `again` or when its wait is over.
void transfer_prepare(folder_transfer &t);
// The call has ended. again: the caller starts it once more; waits: at `due_ms`. `may_retry` false: a failure is final.
transfer_step transfer_answered(folder_transfer &t, bool may_retry, failure &out_failure);
// Closes files; one that is not complete is removed.
void transfer_reset(folder_transfer &t);

} // namespace etlnode::etlctl
