// SPDX-License-Identifier: MIT
// uv/db/uv_meta.cc: implements port/meta.h on the node's database. Swaps share the index's group commits.
//
// Knows    uv_database.h.
// Fails    conflict; any error of SQLite fails the whole batch.
#include "base/check.h"
#include "uv/db/uv_database.h"

namespace etlnode {

struct meta_operation {
    uv_operation op;
    std::string name;
    uint64_t expected_version = 0;
    uint64_t version = 0; // the version that was read or will be written
    std::string text;
    meta_on_read on_read = nullptr;
    meta_on_swap on_swap = nullptr;
    void *arg = nullptr;
};

static meta_operation &operation_of(uv_operation &op) { return *static_cast<meta_operation *>(op.owner); }

static error read_document(uv_connection &connection, const std::string &name, uint64_t &out_version, std::string *out_text)
{
    error err;
    out_version = 0;
    sqlite3_stmt *s = uv_sql_start(connection, uv_sql::meta_read, err);
    if (s == nullptr)
        return err;
    uv_sql_bind(s, 1, name);
    if (uv_sql_step(connection, s, err)) {
        out_version = uv_sql_number(s, 0);
        if (out_text != nullptr)
            *out_text = uv_sql_bytes(s, 1);
    }
    uv_sql_end(s);
    return err;
}

static error run_read(uv_operation &op, uv_connection &connection)
{
    meta_operation &o = operation_of(op);
    return read_document(connection, o.name, o.version, &o.text);
}

static void read_done(uv_operation &op)
{
    meta_operation &o = operation_of(op);
    o.on_read(o.arg, op.err, o.version, o.text);
    delete &o;
}

static void meta_read_start(env &e, const std::string &name, meta_on_read on_read, void *arg)
{
    auto *o = new meta_operation;
    o->op.owner = o;
    o->op.run = run_read;
    o->op.done = read_done;
    o->name = name;
    o->on_read = on_read;
    o->arg = arg;
    uv_database_read(uv_world_of(e), o->op);
}

static error run_swap(uv_operation &op, uv_connection &connection)
{
    meta_operation &o = operation_of(op);
    uint64_t stored = 0;
    error err = read_document(connection, o.name, stored, nullptr);
    if (err)
        return err;
    if (stored != o.expected_version) {
        op.err = make_error(error_code::conflict, "the document was changed meanwhile");
        return no_error;
    }
    sqlite3_stmt *s = uv_sql_start(connection, uv_sql::meta_write, err);
    if (s == nullptr)
        return err;
    uv_sql_bind(s, 1, o.name);
    uv_sql_bind(s, 2, o.version);
    uv_sql_bind(s, 3, o.text);
    (void)uv_sql_step(connection, s, err);
    uv_sql_end(s);
    return err;
}

static void swap_done(uv_operation &op)
{
    meta_operation &o = operation_of(op);
    o.on_swap(o.arg, op.err);
    delete &o;
}

static void meta_swap_start(
    env &e, const std::string &name, uint64_t expected_version, uint64_t new_version, std::string text, meta_on_swap on_swap, void *arg)
{
    CHECK(new_version > expected_version);
    auto *o = new meta_operation;
    o->op.owner = o;
    o->op.run = run_swap;
    o->op.done = swap_done;
    o->name = name;
    o->expected_version = expected_version;
    o->version = new_version;
    o->text = std::move(text);
    o->on_swap = on_swap;
    o->arg = arg;
    uv_database_write(uv_world_of(e), o->op);
}

const meta_port uv_meta_port = {
    .read = meta_read_start,
    .swap = meta_swap_start,
};

} // namespace etlnode
