// SPDX-License-Identifier: MIT
// store/set_aside.h: damaged contents that an operator gave up, and the rows that are left of them.
#pragma once

#include <string>

#include "store/store.h"

namespace etlnode {

// Whether the content was given up when the object moved: the row has a size, but neither a file nor bytes. Reads fail with `corrupt`.
inline bool store_row_is_damaged(const index_row &row) { return !row.is_tombstone && row.content_id == 0 && row.size > 0; }

inline constexpr const char *store_damaged_row_text =
    "the content was damaged when the object moved to this target, and was left behind: store the object again, or delete it";

// Keeps what is left of a damaged content in <dir>/damaged/, where nothing removes it: a file is moved there, bytes of the index are
// written there. Completes once, durably; `name`: of the file below <dir>, empty if there is nothing left to keep. The row stays as it
// is, and cannot be read any more.
void store_set_aside(store &s, const std::string &bucket, const std::string &name,
    void (*on_done)(void *arg, error err, const std::string &name), void *arg);

} // namespace etlnode
