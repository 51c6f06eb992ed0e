// SPDX-License-Identifier: MIT
// store/interim.h: a content without a name: what one stage of a pipeline has made and the next one reads.
//
// Up to interim_memory_size bytes stay in memory. A larger content goes into a file of tmp/ that loses its name at once. So nobody finds
// it, and it is gone when the process ends, however that happens.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/error.h"
#include "store/store.h"

namespace etlnode {

struct interim;

// The names are those of the object that it stands for, for messages.
interim *interim_start(store &s, std::string bucket, std::string name);
// Takes what fits into the memory, and returns how much that is. Requires: no interim_spill in progress.
size_t interim_add(interim &i, std::string_view bytes);
size_t interim_room(const interim &i); // how much fits
bool interim_is_full(const interim &i);
// Writes what is in the memory into the file; completes once. After a failure (no_space, io, too_many_files) only interim_abort may
// follow.
void interim_spill(interim &i, void (*on_written)(void *arg, error err), void *arg);
// All bytes are here. Completes once: with the content as an object, which the caller must release; or with an error. Frees the interim.
void interim_end(interim &i, void (*on_done)(void *arg, error err, const store_object *object), void *arg);
// At any time before the completion of interim_end. Nothing completes any more, and nothing is left.
void interim_abort(interim &i);

} // namespace etlnode
