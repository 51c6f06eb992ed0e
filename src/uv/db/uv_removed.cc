// SPDX-License-Identifier: MIT
// uv/db/uv_removed.cc: what the database remembers of objects that are gone: tombstones, and the highest version removed for good.
//
// Knows    uv_database.h (runs SQL).      Known by  uv_database.cc, uv_index_change.cc.
// Normal   a start reads the table `removed`, a row a bucket, and counts tombstones. A transaction notes what it changes and writes that at
//          its end. So a put reads removed_max from memory, and looks for a tombstone only if there are any.
// Fails    a number that cannot be is corrupt: a lower removed_max could give a version twice.
#include "uv/db/uv_removed.h"

#include <algorithm>

namespace etlnode {

static error count_tombstones(uv_connection &connection, uint64_t &out_count)
{
    error err;
    sqlite3_stmt *s = uv_sql_start(connection, uv_sql::tombstone_count, err);
    if (s == nullptr)
        return err;
    if (uv_sql_step(connection, s, err))
        out_count = uv_sql_number(s, 0);
    uv_sql_end(s);
    return err;
}

error uv_removed_read(uv_connection &connection, uv_totals &totals, index_removed_map &out_removed)
{
    error err;
    sqlite3_stmt *s = uv_sql_start(connection, uv_sql::removed_list, err);
    if (s == nullptr)
        return err;
    out_removed.clear();
    bool is_sound = true;
    while (uv_sql_step(connection, s, err)) {
        uint64_t version = uv_sql_number(s, 1);
        is_sound = is_sound && sqlite3_column_type(s, 1) == SQLITE_INTEGER && version > 0 && version <= INT64_MAX;
        out_removed[uv_sql_bytes(s, 0)] = version;
    }
    uv_sql_end(s);
    if (!err && !is_sound)
        err = make_error(error_code::corrupt, "the versions of removed objects in the database are damaged");
    return err ? err : count_tombstones(connection, totals.tombstones);
}

void uv_removed_begin(uv_connection &connection, const index_removed_map &before)
{
    connection.removed.clear();
    connection.removed_before = &before;
}

static uint64_t removed_in(const index_removed_map &removed, const std::string &bucket)
{
    auto found = removed.find(bucket);
    return found != removed.end() ? found->second : 0;
}

uint64_t uv_removed_max(const uv_connection &connection, const std::string &bucket)
{
    auto found = connection.removed.find(bucket);
    return found != connection.removed.end() ? found->second : removed_in(*connection.removed_before, bucket);
}

void uv_removed_raise(uv_connection &connection, const std::string &bucket, uint64_t version)
{
    if (version > uv_removed_max(connection, bucket))
        connection.removed[bucket] = version;
}

error uv_removed_write(uv_connection &connection)
{
    for (const auto &[bucket, version] : connection.removed) {
        if (version == removed_in(*connection.removed_before, bucket))
            continue;
        error err;
        sqlite3_stmt *s = uv_sql_start(connection, version > 0 ? uv_sql::removed_write : uv_sql::removed_remove, err);
        if (s == nullptr)
            return err;
        uv_sql_bind(s, 1, bucket);
        if (version > 0)
            uv_sql_bind(s, 2, version);
        (void)uv_sql_step(connection, s, err);
        uv_sql_end(s);
        if (err)
            return err;
    }
    return no_error;
}

void uv_removed_apply(const uv_connection &connection, index_removed_map &removed)
{
    for (const auto &[bucket, version] : connection.removed) {
        if (version > 0)
            removed[bucket] = version;
        else
            removed.erase(bucket);
    }
}

// Tombstones.

error uv_tombstone_get(uv_connection &connection, const std::string &bucket, const std::string &name, index_row &out_row)
{
    error err;
    if (connection.totals.tombstones == 0)
        return err;
    sqlite3_stmt *s = uv_sql_start(connection, uv_sql::tombstone_get, err);
    if (s == nullptr)
        return err;
    uv_sql_bind(s, 1, bucket);
    uv_sql_bind(s, 2, name);
    if (uv_sql_step(connection, s, err)) {
        out_row.bucket = bucket;
        out_row.name = name;
        out_row.version = uv_sql_number(s, 0);
        out_row.tag = uv_sql_number(s, 1);
        out_row.is_tombstone = true;
    }
    uv_sql_end(s);
    return err;
}

error uv_tombstone_put(uv_connection &connection, const index_row &row, bool is_new)
{
    error err;
    sqlite3_stmt *s = uv_sql_start(connection, uv_sql::tombstone_put, err);
    if (s == nullptr)
        return err;
    uv_sql_bind(s, 1, row.bucket);
    uv_sql_bind(s, 2, row.name);
    uv_sql_bind(s, 3, row.version);
    uv_sql_bind(s, 4, row.tag);
    (void)uv_sql_step(connection, s, err);
    uv_sql_end(s);
    connection.totals.tombstones += is_new ? 1 : 0;
    return err;
}

static void count_removed(uv_connection &connection)
{
    uint64_t removed = static_cast<uint64_t>(sqlite3_changes64(connection.db));
    connection.totals.tombstones -= std::min(removed, connection.totals.tombstones);
}

error uv_tombstone_remove(uv_connection &connection, const std::string &bucket, const std::string &name)
{
    error err;
    sqlite3_stmt *s = uv_sql_start(connection, uv_sql::tombstone_remove, err);
    if (s == nullptr)
        return err;
    uv_sql_bind(s, 1, bucket);
    uv_sql_bind(s, 2, name);
    (void)uv_sql_step(connection, s, err);
    uv_sql_end(s);
    if (!err)
        count_removed(connection);
    return err;
}

error uv_removed_forget_bucket(uv_connection &connection, const std::string &bucket)
{
    error err;
    if (uv_removed_max(connection, bucket) > 0)
        connection.removed[bucket] = 0;
    if (connection.totals.tombstones == 0)
        return err;
    sqlite3_stmt *s = uv_sql_start(connection, uv_sql::bucket_tombstones, err);
    if (s == nullptr)
        return err;
    uv_sql_bind(s, 1, bucket);
    (void)uv_sql_step(connection, s, err);
    uv_sql_end(s);
    if (!err)
        count_removed(connection);
    return err;
}

} // namespace etlnode
