// SPDX-License-Identifier: MIT
// uv/db/uv_index_change.h: one change of the index within a transaction, for uv_index.cc.
#pragma once

#include "uv/db/uv_database.h"

namespace etlnode {

// Runs the change and sets change.before. `out_outcome`: the change's own result (object_not_found, conflict).
error uv_index_run_change(uv_connection &connection, index_change &change, error &out_outcome);
// Adds the row's sums if the object still has this content.
error uv_index_add_sums(uv_connection &connection, const index_row &wanted);
// Runs a statement on one content id; 0, which names no content, is fine.
error uv_index_write_id(uv_connection &connection, uv_sql which, uint64_t content_id);

// uv_index.cc: reads one row. object_get: without content; object_get_content: with it; object_lookup: or a tombstone.
error uv_index_get_row(
    uv_connection &connection, const std::string &bucket, const std::string &name, uv_sql which, index_row &out_row, bool &out_found);

} // namespace etlnode
