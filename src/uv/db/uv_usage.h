// SPDX-License-Identifier: MIT
// uv/db/uv_usage.h: how many objects and bytes each bucket has, for uv_database.cc and uv_index.cc.
#pragma once

#include "uv/db/uv_database.h"

namespace etlnode {

// Reads what the database says, and sets the totals' bytes. What does not go together is counted anew from the rows.
error uv_usage_read(uv_connection &connection, uv_totals &totals, index_usage_map &out_usage);

// A transaction begins. Lifetime: `before` is not changed until uv_usage_apply.
void uv_usage_begin(uv_connection &connection, const index_usage_map &before);
// A row was put (`before` null: it is new) or removed (`after` null). Changes the transaction's totals, too.
void uv_usage_change(uv_connection &connection, const std::string &bucket, const index_row *before, const index_row *after);
void uv_usage_remove_bucket(uv_connection &connection, const std::string &bucket);
// Writes what the transaction has changed.
error uv_usage_write(uv_connection &connection);
// On the loop, after the commit.
void uv_usage_apply(const uv_connection &connection, index_usage_map &usage);

} // namespace etlnode
