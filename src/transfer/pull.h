// SPDX-License-Identifier: MIT
// transfer/pull.h: with hrev a pod reads the object from its target while the client waits. Such a read counts as progress of the transfer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace etlnode {

// Shared by all transfers that wait for a pod that reads this object.
struct pull_progress {
    uint64_t progress_ms = 0; // clock_now_ms of the last piece, plus the time to empty the kernel's buffers; 0: nothing was read
    size_t readers = 0;
};
using pulled_object = std::pair<const std::string, pull_progress>; // key: pull_key

struct transfer;
struct transfer_host;

// "<etl>/<bucket>/<object>"
std::string pull_key(std::string_view etl_id, std::string_view bucket, std::string_view name);

void pull_await(transfer &t);  // from now on the pod may read the object for this transfer
void pull_forget(transfer &t); // no effect if it is not awaited
// A pod of this ETL begins to read the object, or has read a piece of it.
void pull_note(transfer_host &host, const std::string &key);
// The kernel has taken the last of `size` bytes, after `elapsed_ms`. The pod still has to read what is buffered, presumably as fast as
// before.
void pull_note_end(transfer_host &host, const std::string &key, uint64_t size, uint64_t elapsed_ms);

} // namespace etlnode
