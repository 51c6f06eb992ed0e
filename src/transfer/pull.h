// SPDX-License-Identifier: MIT
// transfer/pull.h: with hrev a pod reads the object from its target while the client waits: that is progress of the transfer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace etlnode {

// Of all transfers that wait for a pod that reads this object.
struct pull_progress {
    uint64_t progress_ms = 0; // clock_now_ms of the last piece, and later by what is in the kernel's buffers; 0: nothing was read
    size_t readers = 0;
};
using pulled_object = std::pair<const std::string, pull_progress>; // key: pull_key

struct transfer;
struct transfer_host;

// "<etl>/<bucket>/<object>"
std::string pull_key(std::string_view etl_id, std::string_view bucket, std::string_view name);

void pull_await(transfer &t);  // from now on the pod may read the object for this transfer
void pull_forget(transfer &t); // not awaited: no effect
// A pod of this ETL begins to read the object, or has taken a piece of it.
void pull_note(transfer_host &host, const std::string &key);
// The last of `size` bytes, over `elapsed_ms`, has been taken by the kernel. What lies in its buffers the pod has still to read: as fast as before.
void pull_note_end(transfer_host &host, const std::string &key, uint64_t size, uint64_t elapsed_ms);

} // namespace etlnode
