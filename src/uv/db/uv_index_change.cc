// SPDX-License-Identifier: MIT
// uv/db/uv_index_change.cc: one change of the index within a transaction: rows, their contents, tombstones and sums.
//
// Knows    uv_removed, uv_usage.      Known by  uv_index.cc.
// Fails    object_not_found and conflict are results of the change, and the transaction goes on; an error of SQLite ends it.
#include "uv/db/uv_index_change.h"

#include <algorithm>

#include "uv/db/uv_removed.h"
#include "uv/db/uv_usage.h"

namespace etlnode {

// Eight bytes each, in little-endian order.
static std::string sums_bytes(const std::vector<uint64_t> &sums)
{
    std::string bytes;
    bytes.reserve(sums.size() * 8);
    for (uint64_t sum : sums) {
        for (unsigned shift = 0; shift < 64; shift += 8)
            bytes.push_back(static_cast<char>(sum >> shift));
    }
    return bytes;
}

error uv_index_write_id(uv_connection &connection, uv_sql which, uint64_t content_id)
{
    if (content_id == 0)
        return no_error; // an empty object has no file
    error err;
    sqlite3_stmt *s = uv_sql_start(connection, which, err);
    if (s == nullptr)
        return err;
    uv_sql_bind(s, 1, content_id);
    (void)uv_sql_step(connection, s, err);
    uv_sql_end(s);
    return err;
}

static error discard_content(uv_connection &connection, const index_row &row)
{
    if (row.in_index)
        return uv_index_write_id(connection, uv_sql::content_remove, row.content_id);
    error err;
    for (uv_sql which : {uv_sql::garbage_add, uv_sql::pending_moves_remove, uv_sql::sums_remove}) {
        if (!err)
            err = uv_index_write_id(connection, which, row.content_id);
    }
    return err;
}

static error add_bytes(uv_connection &connection, uv_sql which, uint64_t content_id, std::string_view bytes)
{
    error err;
    sqlite3_stmt *s = uv_sql_start(connection, which, err);
    if (s == nullptr)
        return err;
    uv_sql_bind(s, 1, content_id);
    uv_sql_bind(s, 2, bytes);
    (void)uv_sql_step(connection, s, err);
    uv_sql_end(s);
    return err;
}

static error add_content(uv_connection &connection, const index_row &row)
{
    if (row.in_index)
        return add_bytes(connection, uv_sql::content_add, row.content_id, row.content);
    error err = uv_index_write_id(connection, uv_sql::pending_moves_add, row.content_id);
    if (!err && !row.sums.empty())
        err = add_bytes(connection, uv_sql::sums_add, row.content_id, sums_bytes(row.sums));
    return err;
}

// What a name has here: a row, a tombstone (before.is_tombstone), or nothing (version 0).
static error read_before(uv_connection &connection, index_change &change)
{
    bool found = false;
    error err = uv_index_get_row(connection, change.row.bucket, change.row.name, uv_sql::object_get, change.before, found);
    return err || found ? err : uv_tombstone_get(connection, change.row.bucket, change.row.name, change.before);
}

static bool has_row(const index_row &row) { return row.version > 0 && !row.is_tombstone; }

static bool is_as_expected(const index_change &change) { return !change.has_expected || change.before.version == change.expected_version; }

static uint64_t next_version(const uv_connection &connection, const index_change &change)
{
    return std::max({change.before.version, change.version_above, uv_removed_max(connection, change.row.bucket)}) + 1;
}

static error write_row(uv_connection &connection, const index_row &row)
{
    error err;
    sqlite3_stmt *s = uv_sql_start(connection, uv_sql::object_put, err);
    if (s == nullptr)
        return err;
    uv_sql_bind(s, 1, row.bucket);
    uv_sql_bind(s, 2, row.name);
    uv_sql_bind(s, 3, row.content_id);
    uv_sql_bind(s, 4, row.size);
    uv_sql_bind(s, 5, row.version);
    uv_sql_bind(s, 6, row.checksum);
    uv_sql_bind(s, 7, row.changed_ns);
    uv_sql_bind(s, 8, row.content_type);
    uv_sql_bind(s, 9, row.etag);
    uv_sql_bind(s, 10, row.custom);
    uv_sql_bind(s, 11, row.parts);
    uv_sql_bind(s, 12, uint64_t{row.in_index});
    uv_sql_bind(s, 13, row.tag);
    (void)uv_sql_step(connection, s, err);
    uv_sql_end(s);
    return err;
}

// Puts change.row in the place of change.before.
static error replace_row(uv_connection &connection, const index_change &change)
{
    const index_row &row = change.row;
    bool found = has_row(change.before);
    error err = write_row(connection, row);
    // Otherwise only the metadata changes.
    bool is_new_content = !found || change.before.content_id != row.content_id || change.before.in_index != row.in_index;
    if (!err && is_new_content)
        err = discard_content(connection, change.before);
    if (!err && is_new_content)
        err = add_content(connection, row);
    if (!err && change.before.is_tombstone)
        err = uv_tombstone_remove(connection, row.bucket, row.name);
    uv_usage_change(connection, row.bucket, found ? &change.before : nullptr, &row);
    connection.totals.content_id_max = std::max(connection.totals.content_id_max, row.content_id);
    return err;
}

static error erase_row(uv_connection &connection, const index_row &row)
{
    error err;
    sqlite3_stmt *s = uv_sql_start(connection, uv_sql::object_remove, err);
    if (s == nullptr)
        return err;
    uv_sql_bind(s, 1, row.bucket);
    uv_sql_bind(s, 2, row.name);
    (void)uv_sql_step(connection, s, err);
    uv_sql_end(s);
    uv_usage_change(connection, row.bucket, &row, nullptr);
    return err ? err : discard_content(connection, row);
}

// Puts change.row, a tombstone, in the place of change.before.
static error replace_by_tombstone(uv_connection &connection, index_change &change)
{
    change.row.is_tombstone = true;
    error err = uv_tombstone_put(connection, change.row, !change.before.is_tombstone);
    return err || !has_row(change.before) ? err : erase_row(connection, change.before);
}

static error put_row(uv_connection &connection, index_change &change, error &out_outcome)
{
    error err = read_before(connection, change);
    if (!err && !is_as_expected(change))
        out_outcome = make_error(error_code::conflict);
    if (err || out_outcome)
        return err;
    change.row.version = next_version(connection, change);
    return replace_row(connection, change);
}

static error put_moved_row(uv_connection &connection, index_change &change, error &out_outcome)
{
    error err = read_before(connection, change);
    const index_row &before = change.before;
    bool has_it = before.version > change.row.version || (before.version == change.row.version && before.tag >= change.origin_tag);
    if (!err && has_it)
        out_outcome = make_error(error_code::conflict);
    if (err || out_outcome)
        return err;
    return change.row.is_tombstone ? replace_by_tombstone(connection, change) : replace_row(connection, change);
}

static error remove_row(uv_connection &connection, index_change &change, error &out_outcome)
{
    error err = read_before(connection, change);
    if (!err && !is_as_expected(change))
        out_outcome = make_error(error_code::conflict);
    else if (!err && !change.leaves_tombstone && !has_row(change.before))
        out_outcome = make_error(error_code::object_not_found);
    if (err || out_outcome)
        return err;
    if (change.leaves_tombstone) {
        change.row.version = next_version(connection, change);
        return replace_by_tombstone(connection, change);
    }
    if (!change.is_moved)
        uv_removed_raise(connection, change.row.bucket, change.before.version);
    return erase_row(connection, change.before);
}

static error drop_tombstone(uv_connection &connection, index_change &change, error &out_outcome)
{
    error err = read_before(connection, change);
    if (!err && !is_as_expected(change))
        out_outcome = make_error(error_code::conflict);
    else if (!err && !change.before.is_tombstone)
        out_outcome = make_error(error_code::object_not_found);
    if (err || out_outcome)
        return err;
    if (!change.is_moved)
        uv_removed_raise(connection, change.row.bucket, change.before.version);
    return uv_tombstone_remove(connection, change.row.bucket, change.row.name);
}

static error remove_bucket(uv_connection &connection, const std::string &bucket)
{
    error err;
    for (uv_sql which :
        {uv_sql::bucket_garbage, uv_sql::bucket_pending_moves, uv_sql::bucket_sums, uv_sql::bucket_contents, uv_sql::bucket_remove}) {
        sqlite3_stmt *s = uv_sql_start(connection, which, err);
        if (s == nullptr)
            return err;
        uv_sql_bind(s, 1, bucket);
        (void)uv_sql_step(connection, s, err);
        uv_sql_end(s);
        if (err)
            return err;
    }
    uv_usage_remove_bucket(connection, bucket);
    return uv_removed_forget_bucket(connection, bucket);
}

static error run_change(uv_connection &connection, index_change &change, error &out_outcome)
{
    switch (change.what) {
    case index_change::kind::put: return put_row(connection, change, out_outcome);
    case index_change::kind::remove: return remove_row(connection, change, out_outcome);
    case index_change::kind::remove_bucket: return remove_bucket(connection, change.row.bucket);
    case index_change::kind::put_moved: return put_moved_row(connection, change, out_outcome);
    case index_change::kind::drop_tombstone: return drop_tombstone(connection, change, out_outcome);
    case index_change::kind::raise_removed: uv_removed_raise(connection, change.row.bucket, change.row.version); return no_error;
    }
    return no_error;
}

static bool has_no_effect(const uv_connection &connection, const index_change &change)
{
    return change.what == index_change::kind::raise_removed && change.row.version <= uv_removed_max(connection, change.row.bucket);
}

error uv_index_run_change(uv_connection &connection, index_change &change, error &out_outcome)
{
    change.before = {};
    if (has_no_effect(connection, change))
        return no_error;
    error err = run_change(connection, change, out_outcome);
    connection.totals.changes += err || out_outcome ? 0 : 1;
    return err;
}

error uv_index_add_sums(uv_connection &connection, const index_row &wanted)
{
    index_row row;
    bool found = false;
    error err = uv_index_get_row(connection, wanted.bucket, wanted.name, uv_sql::object_get, row, found);
    if (!err && found && row.content_id == wanted.content_id && !row.in_index && !wanted.sums.empty())
        err = add_bytes(connection, uv_sql::sums_add, wanted.content_id, sums_bytes(wanted.sums));
    return err ? err : uv_index_write_id(connection, uv_sql::unsummed_remove, wanted.content_id);
}

} // namespace etlnode
