// SPDX-License-Identifier: MIT
// uv/db/uv_removed.h: what the database remembers of objects that are gone, for uv_database.cc and uv_index_change.cc: tombstones, and the
// highest version removed for good of each bucket.
#pragma once

#include "uv/db/uv_database.h"

namespace etlnode {

// Reads what the database says, and sets the totals' tombstones.
error uv_removed_read(uv_connection &connection, uv_totals &totals, index_removed_map &out_removed);

// A transaction begins. Lifetime: `before` is not changed until uv_removed_apply.
void uv_removed_begin(uv_connection &connection, const index_removed_map &before);
uint64_t uv_removed_max(const uv_connection &connection, const std::string &bucket);
void uv_removed_raise(uv_connection &connection, const std::string &bucket, uint64_t version);
// Writes what the transaction has changed.
error uv_removed_write(uv_connection &connection);
// On the loop, after the commit.
void uv_removed_apply(const uv_connection &connection, index_removed_map &removed);

// Sets version and tag of out_row if there is a tombstone; version 0: there is none. Costs nothing while the database has none.
error uv_tombstone_get(uv_connection &connection, const std::string &bucket, const std::string &name, index_row &out_row);
// `is_new`: there is none with this name.
error uv_tombstone_put(uv_connection &connection, const index_row &row, bool is_new);
error uv_tombstone_remove(uv_connection &connection, const std::string &bucket, const std::string &name);
// The bucket is removed: forgets its tombstones and its removed_max.
error uv_removed_forget_bucket(uv_connection &connection, const std::string &bucket);

} // namespace etlnode
