// SPDX-License-Identifier: MIT
// uv/db/uv_database.h: the node's SQLite file, for uv_index.cc, uv_ledger.cc and uv_meta.cc.
//
// Operations are queued on the loop and run on a pool thread.
//
// There are two connections; one job at a time uses each. Writes are committed in groups: operations queued during a commit go into the
// next transaction, in order. A read sees every write whose completion has been delivered.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <sqlite3.h>

#include "base/error.h"
#include "port/index.h"
#include "uv/uv_world.h"

namespace etlnode {

enum class uv_sql : uint8_t {
    begin,
    commit,
    rollback,
    totals_read,
    totals_write,
    usage_list,
    usage_write,
    usage_remove,
    page_count, // of the database, as the current transaction leaves it
    object_get,
    object_get_content, // also reads the bytes of an in_index content, or the sums of a file
    object_lookup,      // likewise, or a tombstone
    object_page,        // up to an upper bound
    object_page_to_end,
    object_page_all, // likewise, with tombstones
    object_page_all_to_end,
    object_put,
    object_remove,
    bucket_garbage,
    bucket_pending_moves,
    bucket_contents,
    bucket_remove,
    garbage_list,
    garbage_add,
    garbage_remove,
    pending_moves_list,
    pending_moves_add,
    pending_moves_remove,
    content_add,
    content_remove,
    sums_add,
    sums_remove,
    bucket_sums,
    tombstone_count,
    tombstone_get,
    tombstone_put,
    tombstone_remove,
    bucket_tombstones,
    removed_list,
    removed_write,
    removed_remove,
    unsummed_list,
    unsummed_remove,
    meta_read,
    meta_write,
    jobs_load,
    job_put,
    job_remove,
    ahead_load,
    ahead_add,
    ahead_pass, // those that the cursor has passed
    ahead_remove,
    failures_page,
    failure_put,
    failures_remove,
    count,
};

// Kept in the database, in a row of the table of buckets, so that opening it does not require reading every row.
struct uv_totals {
    uint64_t objects = 0;
    uint64_t content_id_max = 0;
    uint64_t changes = 0;
    uint64_t bytes = 0;      // the sum over all buckets; not stored
    uint64_t tombstones = 0; // not stored
};

struct uv_connection {
    sqlite3 *db = nullptr;
    sqlite3_stmt *statements[static_cast<size_t>(uv_sql::count)] = {};
    // Of the current transaction; used by the writer only.
    uv_totals totals;
    index_usage_map usage;                         // of the buckets that it has changed
    const index_usage_map *usage_before = nullptr; // of all buckets; the loop changes it only between batches
    index_removed_map removed;                     // of the buckets whose removed_max it has changed; 0: none any more
    const index_removed_map *removed_before = nullptr;
};

// Base of an operation. The derived struct contains it as `op` and sets `owner` to itself.
struct uv_operation {
    void *owner = nullptr;
    // Called on a pool thread. A returned error means that the database failed, and a write transaction is rolled back as a whole. The
    // operation's own result (object_not_found, conflict) goes to `err`.
    error (*run)(uv_operation &op, uv_connection &connection) = nullptr;
    // Called on the loop, in the order of queueing; ends the operation.
    void (*done)(uv_operation &op) = nullptr;
    bool needs_room = false; // the operation makes the database grow: without space it fails alone, and the rest of its batch runs again
    error err;
};

void uv_database_write(uv_world &w, uv_operation &op);
void uv_database_read(uv_world &w, uv_operation &op);
const uv_totals &uv_database_totals(const uv_world &w);
const index_usage_map &uv_database_usage(const uv_world &w);
const index_removed_map &uv_database_removed(const uv_world &w);

// Statements: prepare once, bind, step, reset.
sqlite3_stmt *uv_sql_start(uv_connection &connection, uv_sql which, error &out_err);
void uv_sql_bind(sqlite3_stmt *statement, int index, std::string_view bytes); // Lifetime: `bytes` until uv_sql_end
void uv_sql_bind(sqlite3_stmt *statement, int index, uint64_t number);
// True: a row is available. False: finished, or out_err is set.
bool uv_sql_step(uv_connection &connection, sqlite3_stmt *statement, error &out_err);
void uv_sql_end(sqlite3_stmt *statement);
uint64_t uv_sql_number(sqlite3_stmt *statement, int column);
std::string uv_sql_bytes(sqlite3_stmt *statement, int column);
error uv_sql_error(sqlite3 *db, int result);
// Runs statements without results, one after the other.
error uv_sql_run_script(sqlite3 *db, const char *script);
// Returns the first column of the first row as a number and, if `out_text` is not null, as text.
error uv_sql_query_one(sqlite3 *db, const char *sql, int64_t &out_number, std::string *out_text);

} // namespace etlnode
