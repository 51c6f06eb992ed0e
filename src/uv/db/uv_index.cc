// SPDX-License-Identifier: MIT
// uv/db/uv_index.cc: implements port/index.h on the node's database: its reads, and the queueing of changes.
//
// Knows    uv_database.h, uv_index_change.h. A batch runs in the order of the calls, so that each change sees the ones before it.
// Fails    object_not_found; any error of SQLite (uv_sql_error) fails the whole batch.
#include <algorithm>

#include "base/check.h"
#include "uv/db/uv_index_change.h"

namespace etlnode {

struct index_operation {
    uv_operation op;
    // Input.
    std::string bucket;
    std::string name; // or prefix
    std::string after;
    size_t count = 0;
    index_change change;
    std::vector<uint64_t> content_ids; // input of garbage_clear, placed and unsummed (after), output of garbage and pending_moves
    // Output.
    std::vector<index_row> rows;
    union {
        index_on_rows on_rows = nullptr;
        index_on_change on_change;
        index_on_garbage on_garbage;
        index_on_done on_done;
    };
    void *arg = nullptr;
};

static index_operation *make_operation(error (*run)(uv_operation &, uv_connection &), void (*done)(uv_operation &), void *arg)
{
    auto *o = new index_operation;
    o->op.owner = o;
    o->op.run = run;
    o->op.done = done;
    o->arg = arg;
    return o;
}

static index_operation &operation_of(uv_operation &op) { return *static_cast<index_operation *>(op.owner); }

static index_row read_row(sqlite3_stmt *s)
{
    index_row row;
    row.bucket = uv_sql_bytes(s, 0);
    row.name = uv_sql_bytes(s, 1);
    row.content_id = uv_sql_number(s, 2);
    row.size = uv_sql_number(s, 3);
    row.version = uv_sql_number(s, 4);
    row.checksum = uv_sql_number(s, 5);
    row.changed_ns = uv_sql_number(s, 6);
    row.content_type = uv_sql_bytes(s, 7);
    row.etag = uv_sql_bytes(s, 8);
    row.custom = uv_sql_bytes(s, 9);
    row.parts = uv_sql_bytes(s, 10);
    row.in_index = uv_sql_number(s, 11) != 0;
    row.tag = uv_sql_number(s, 12);
    return row;
}

// Bytes after the last whole sum count as one more sum, so that a truncated list never looks valid.
static std::vector<uint64_t> parse_sums(std::string_view bytes)
{
    std::vector<uint64_t> sums((bytes.size() + 7) / 8);
    for (size_t i = 0; i < bytes.size(); i++)
        sums[i / 8] |= uint64_t{static_cast<unsigned char>(bytes[i])} << (i % 8 * 8);
    return sums;
}

// Reads.

error uv_index_get_row(
    uv_connection &connection, const std::string &bucket, const std::string &name, uv_sql which, index_row &out_row, bool &out_found)
{
    error err;
    out_found = false;
    out_row = {};
    sqlite3_stmt *s = uv_sql_start(connection, which, err);
    if (s == nullptr)
        return err;
    uv_sql_bind(s, 1, bucket);
    uv_sql_bind(s, 2, name);
    if (uv_sql_step(connection, s, err)) {
        out_row = read_row(s);
        bool with_content = which != uv_sql::object_get;
        out_row.is_tombstone = with_content && uv_sql_number(s, 13) != 0;
        if (with_content && out_row.in_index)
            out_row.content = uv_sql_bytes(s, 14);
        else if (with_content)
            out_row.sums = parse_sums(uv_sql_bytes(s, 14));
        out_found = true;
    }
    uv_sql_end(s);
    return err;
}

static error get_with_content(uv_operation &op, uv_connection &connection, uv_sql which)
{
    index_operation &o = operation_of(op);
    index_row row;
    bool found = false;
    error err = uv_index_get_row(connection, o.bucket, o.name, which, row, found);
    if (!err && !found)
        op.err = make_error(error_code::object_not_found);
    else if (!err && row.in_index && row.content.size() != row.size)
        op.err = make_error(error_code::corrupt, "the content of the object is missing in the index or has the wrong size");
    else if (!err)
        o.rows.push_back(std::move(row));
    return err;
}

static error run_get(uv_operation &op, uv_connection &connection) { return get_with_content(op, connection, uv_sql::object_get_content); }
static error run_lookup(uv_operation &op, uv_connection &connection) { return get_with_content(op, connection, uv_sql::object_lookup); }

static void rows_done(uv_operation &op)
{
    index_operation &o = operation_of(op);
    o.on_rows(o.arg, op.err, std::move(o.rows));
    delete &o;
}

static void start_get(env &e, error (*run)(uv_operation &, uv_connection &), const std::string &bucket, const std::string &name,
    index_on_rows on_rows, void *arg)
{
    index_operation *o = make_operation(run, rows_done, arg);
    o->bucket = bucket;
    o->name = name;
    o->on_rows = on_rows;
    uv_database_read(uv_world_of(e), o->op);
}

static void get(env &e, const std::string &bucket, const std::string &name, index_on_rows on_rows, void *arg)
{
    start_get(e, run_get, bucket, name, on_rows, arg);
}

static void lookup(env &e, const std::string &bucket, const std::string &name, index_on_rows on_rows, void *arg)
{
    start_get(e, run_lookup, bucket, name, on_rows, arg);
}

// The smallest text greater than everything that starts with `prefix`; empty if there is none.
static std::string after_prefix(std::string prefix)
{
    while (!prefix.empty() && static_cast<unsigned char>(prefix.back()) == 0xff)
        prefix.pop_back();
    if (!prefix.empty())
        prefix.back() = static_cast<char>(static_cast<unsigned char>(prefix.back()) + 1);
    return prefix;
}

static error read_page(uv_operation &op, uv_connection &connection, bool with_tombstones)
{
    index_operation &o = operation_of(op);
    error err;
    // Use a single lower bound, so that the search starts there. The smallest name greater than `after` is `after` and a zero byte.
    std::string from = o.after.empty() ? o.name : std::max(o.name, o.after + '\0');
    std::string to = after_prefix(o.name);
    uv_sql bounded = with_tombstones ? uv_sql::object_page_all : uv_sql::object_page;
    uv_sql to_end = with_tombstones ? uv_sql::object_page_all_to_end : uv_sql::object_page_to_end;
    sqlite3_stmt *s = uv_sql_start(connection, to.empty() ? to_end : bounded, err);
    if (s == nullptr)
        return err;
    uv_sql_bind(s, 1, o.bucket);
    uv_sql_bind(s, 2, from);
    if (!to.empty())
        uv_sql_bind(s, 3, to);
    uv_sql_bind(s, 4, uint64_t{o.count});
    while (uv_sql_step(connection, s, err)) {
        o.rows.push_back(read_row(s));
        o.rows.back().is_tombstone = with_tombstones && uv_sql_number(s, 13) != 0;
    }
    uv_sql_end(s);
    if (err)
        o.rows.clear();
    return err;
}

static error run_page(uv_operation &op, uv_connection &connection) { return read_page(op, connection, false); }
static error run_page_all(uv_operation &op, uv_connection &connection) { return read_page(op, connection, true); }

static void start_page(env &e, error (*run)(uv_operation &, uv_connection &), const std::string &bucket, const std::string &prefix,
    const std::string &after, size_t count, index_on_rows on_rows, void *arg)
{
    index_operation *o = make_operation(run, rows_done, arg);
    o->bucket = bucket;
    o->name = prefix;
    o->after = after;
    o->count = count;
    o->on_rows = on_rows;
    uv_database_read(uv_world_of(e), o->op);
}

static void page(
    env &e, const std::string &bucket, const std::string &prefix, const std::string &after, size_t count, index_on_rows on_rows, void *arg)
{
    start_page(e, run_page, bucket, prefix, after, count, on_rows, arg);
}

static void page_all(
    env &e, const std::string &bucket, const std::string &prefix, const std::string &after, size_t count, index_on_rows on_rows, void *arg)
{
    start_page(e, run_page_all, bucket, prefix, after, count, on_rows, arg);
}

static error run_unsummed(uv_operation &op, uv_connection &connection)
{
    index_operation &o = operation_of(op);
    error err;
    sqlite3_stmt *s = uv_sql_start(connection, uv_sql::unsummed_list, err);
    if (s == nullptr)
        return err;
    uv_sql_bind(s, 1, o.content_ids.front());
    uv_sql_bind(s, 2, uint64_t{o.count});
    while (uv_sql_step(connection, s, err)) {
        index_row row;
        row.content_id = uv_sql_number(s, 0);
        row.bucket = uv_sql_bytes(s, 1);
        row.name = uv_sql_bytes(s, 2);
        row.size = uv_sql_number(s, 3);
        row.version = uv_sql_number(s, 4);
        row.checksum = uv_sql_number(s, 5);
        o.rows.push_back(std::move(row));
    }
    uv_sql_end(s);
    if (err)
        o.rows.clear();
    return err;
}

static void unsummed(env &e, uint64_t after_id, size_t count, index_on_rows on_rows, void *arg)
{
    index_operation *o = make_operation(run_unsummed, rows_done, arg);
    o->content_ids.push_back(after_id);
    o->count = count;
    o->on_rows = on_rows;
    uv_database_read(uv_world_of(e), o->op);
}

static error list_content_ids(uv_operation &op, uv_connection &connection, uv_sql which)
{
    index_operation &o = operation_of(op);
    error err;
    sqlite3_stmt *s = uv_sql_start(connection, which, err);
    if (s == nullptr)
        return err;
    while (uv_sql_step(connection, s, err))
        o.content_ids.push_back(uv_sql_number(s, 0));
    uv_sql_end(s);
    if (err)
        o.content_ids.clear();
    return err;
}

static error run_garbage(uv_operation &op, uv_connection &connection) { return list_content_ids(op, connection, uv_sql::garbage_list); }
static error run_pending_moves(uv_operation &op, uv_connection &connection)
{
    return list_content_ids(op, connection, uv_sql::pending_moves_list);
}

static void content_ids_listed(uv_operation &op)
{
    index_operation &o = operation_of(op);
    o.on_garbage(o.arg, op.err, o.content_ids);
    delete &o;
}

static void garbage(env &e, index_on_garbage on_garbage, void *arg)
{
    index_operation *o = make_operation(run_garbage, content_ids_listed, arg);
    o->on_garbage = on_garbage;
    uv_database_read(uv_world_of(e), o->op);
}

static void pending_moves(env &e, index_on_garbage on_pending_moves, void *arg)
{
    index_operation *o = make_operation(run_pending_moves, content_ids_listed, arg);
    o->on_garbage = on_pending_moves;
    uv_database_read(uv_world_of(e), o->op);
}

// Writes.

static error run_change(uv_operation &op, uv_connection &connection)
{
    return uv_index_run_change(connection, operation_of(op).change, op.err);
}

static void change(env &e, index_change wanted, index_on_change on_change, void *arg)
{
    index_operation *o = make_operation(
        run_change,
        [](uv_operation &op) {
            index_operation &finished = operation_of(op);
            finished.on_change(finished.arg, op.err, finished.change);
            delete &finished;
        },
        arg);
    o->op.needs_room = wanted.what == index_change::kind::put || wanted.what == index_change::kind::put_moved;
    o->change = std::move(wanted);
    o->on_change = on_change;
    uv_database_write(uv_world_of(e), o->op);
}

// Completes with the operation's own error.
static void done_with_error(uv_operation &op)
{
    index_operation &finished = operation_of(op);
    finished.on_done(finished.arg, op.err);
    delete &finished;
}

static error run_sums_add(uv_operation &op, uv_connection &connection)
{
    return uv_index_add_sums(connection, operation_of(op).change.row);
}

static void sums_add(env &e, index_row row, index_on_done on_done, void *arg)
{
    index_operation *o = make_operation(run_sums_add, done_with_error, arg);
    o->op.needs_room = true;
    o->change.row = std::move(row);
    o->on_done = on_done;
    uv_database_write(uv_world_of(e), o->op);
}

static error remove_content_ids(uv_operation &op, uv_connection &connection, uv_sql which)
{
    error err;
    for (uint64_t content_id : operation_of(op).content_ids) {
        err = uv_index_write_id(connection, which, content_id);
        if (err)
            break;
    }
    return err;
}

static error run_garbage_clear(uv_operation &op, uv_connection &connection)
{
    return remove_content_ids(op, connection, uv_sql::garbage_remove);
}
static error run_placed(uv_operation &op, uv_connection &connection)
{
    return remove_content_ids(op, connection, uv_sql::pending_moves_remove);
}

static void start_removal(
    env &e, error (*run)(uv_operation &, uv_connection &), std::vector<uint64_t> &content_ids, index_on_done on_done, void *arg)
{
    index_operation *o = make_operation(run, done_with_error, arg);
    o->content_ids.swap(content_ids);
    o->on_done = on_done;
    uv_database_write(uv_world_of(e), o->op);
}

static void garbage_clear(env &e, std::vector<uint64_t> content_ids, index_on_done on_done, void *arg)
{
    start_removal(e, run_garbage_clear, content_ids, on_done, arg);
}

static void placed(env &e, std::vector<uint64_t> content_ids, index_on_done on_done, void *arg)
{
    start_removal(e, run_placed, content_ids, on_done, arg);
}

static const index_removed_map &removed(env &e) { return uv_database_removed(uv_world_of(e)); }
static uint64_t tombstone_count(env &e) { return uv_database_totals(uv_world_of(e)).tombstones; }
static uint64_t change_count(env &e) { return uv_database_totals(uv_world_of(e)).changes; }
static uint64_t object_count(env &e) { return uv_database_totals(uv_world_of(e)).objects; }
static uint64_t content_id_max(env &e) { return uv_database_totals(uv_world_of(e)).content_id_max; }
static uint64_t byte_count(env &e) { return uv_database_totals(uv_world_of(e)).bytes; }
static const index_usage_map &bucket_usage(env &e) { return uv_database_usage(uv_world_of(e)); }

const index_port uv_index_port = {
    .get = get,
    .page = page,
    .lookup = lookup,
    .page_all = page_all,
    .change = change,
    .garbage = garbage,
    .garbage_clear = garbage_clear,
    .pending_moves = pending_moves,
    .placed = placed,
    .unsummed = unsummed,
    .sums_add = sums_add,
    .object_count = object_count,
    .content_id_max = content_id_max,
    .byte_count = byte_count,
    .bucket_usage = bucket_usage,
    .removed = removed,
    .tombstone_count = tombstone_count,
    .change_count = change_count,
};

} // namespace etlnode
