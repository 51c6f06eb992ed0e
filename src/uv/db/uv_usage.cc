// SPDX-License-Identifier: MIT
// uv/db/uv_usage.cc: how many objects and bytes each bucket has: one row a bucket, in the transaction of each change.
//
// Knows    uv_database.h (runs SQL).      Known by  uv_database.cc, uv_index.cc.
// Normal   a start reads the table; a transaction notes what it changes and writes that at its end. An overwrite of the same size writes
//          nothing.
// Fails    sums that do not match the number of rows are counted anew when the database is opened: the rows are the truth.
#include "uv/db/uv_usage.h"

#include <algorithm>

#include "base/log.h"

namespace etlnode {

static constexpr const char *recount = "BEGIN IMMEDIATE;"
                                       "DELETE FROM buckets WHERE bucket <> x'';"
                                       "INSERT INTO buckets(bucket, objects, bytes)"
                                       " SELECT bucket, count(*), sum(size) FROM objects WHERE bucket <> x'' GROUP BY bucket;"
                                       "UPDATE buckets SET objects = (SELECT count(*) FROM objects WHERE bucket <> x'') WHERE bucket = x'';"
                                       "COMMIT;";

// `out_is_sound`: the numbers are numbers, and together they are as many objects as the totals say.
static error read_rows(uv_connection &connection, uint64_t objects, index_usage_map &out_usage, bool &out_is_sound)
{
    error err;
    sqlite3_stmt *s = uv_sql_start(connection, uv_sql::usage_list, err);
    if (s == nullptr)
        return err;
    out_usage.clear();
    out_is_sound = true;
    uint64_t sum = 0;
    while (uv_sql_step(connection, s, err)) {
        index_usage one = {.objects = uv_sql_number(s, 1), .bytes = uv_sql_number(s, 2)};
        bool are_numbers = sqlite3_column_type(s, 1) == SQLITE_INTEGER && sqlite3_column_type(s, 2) == SQLITE_INTEGER;
        out_is_sound = out_is_sound && are_numbers && one.objects > 0 && one.objects <= INT64_MAX && one.bytes <= INT64_MAX;
        sum += one.objects;
        out_usage[uv_sql_bytes(s, 0)] = one;
    }
    uv_sql_end(s);
    out_is_sound = out_is_sound && sum == objects;
    return err;
}

error uv_usage_read(uv_connection &connection, uv_totals &totals, index_usage_map &out_usage)
{
    bool is_sound = false;
    error err = read_rows(connection, totals.objects, out_usage, is_sound);
    if (!err && !is_sound) {
        LOG(warn, "index", "msg=\"the sums of the buckets do not match the number of objects: counting again\"");
        err = uv_sql_run_script(connection.db, recount);
        if (err && sqlite3_get_autocommit(connection.db) == 0)
            (void)uv_sql_run_script(connection.db, "ROLLBACK");
        int64_t objects = 0;
        if (!err)
            err = uv_sql_query_one(connection.db, "SELECT objects FROM buckets WHERE bucket = x''", objects, nullptr);
        totals.objects = static_cast<uint64_t>(objects);
        if (!err)
            err = read_rows(connection, totals.objects, out_usage, is_sound);
        if (!err && !is_sound)
            err = make_error(error_code::corrupt, "the sums of the buckets are damaged");
    }
    totals.bytes = 0;
    for (const auto &[bucket, usage] : out_usage)
        totals.bytes += usage.bytes;
    return err;
}

void uv_usage_begin(uv_connection &connection, const index_usage_map &before)
{
    connection.usage.clear();
    connection.usage_before = &before;
}

static index_usage usage_before(const uv_connection &connection, const std::string &bucket)
{
    auto found = connection.usage_before->find(bucket);
    return found != connection.usage_before->end() ? found->second : index_usage{};
}

static index_usage &usage_of(uv_connection &connection, const std::string &bucket)
{
    auto found = connection.usage.find(bucket);
    if (found == connection.usage.end())
        found = connection.usage.emplace(bucket, usage_before(connection, bucket)).first;
    return found->second;
}

// A damaged sum may be smaller than what it should contain.
static void subtract(uint64_t &sum, uint64_t amount) { sum -= std::min(amount, sum); }

void uv_usage_change(uv_connection &connection, const std::string &bucket, const index_row *before, const index_row *after)
{
    if (before != nullptr && after != nullptr && before->size == after->size)
        return;
    index_usage &usage = usage_of(connection, bucket);
    uv_totals &totals = connection.totals;
    if (before != nullptr) {
        subtract(usage.objects, 1);
        subtract(usage.bytes, before->size);
        subtract(totals.objects, 1);
        subtract(totals.bytes, before->size);
    }
    if (after != nullptr) {
        usage.objects++;
        usage.bytes += after->size;
        totals.objects++;
        totals.bytes += after->size;
    }
}

void uv_usage_remove_bucket(uv_connection &connection, const std::string &bucket)
{
    index_usage &usage = usage_of(connection, bucket);
    subtract(connection.totals.objects, usage.objects);
    subtract(connection.totals.bytes, usage.bytes);
    usage = {};
}

error uv_usage_write(uv_connection &connection)
{
    for (const auto &[bucket, usage] : connection.usage) {
        index_usage before = usage_before(connection, bucket);
        if (usage.objects == before.objects && usage.bytes == before.bytes)
            continue;
        error err;
        sqlite3_stmt *s = uv_sql_start(connection, usage.objects > 0 ? uv_sql::usage_write : uv_sql::usage_remove, err);
        if (s == nullptr)
            return err;
        uv_sql_bind(s, 1, bucket);
        if (usage.objects > 0) {
            uv_sql_bind(s, 2, usage.objects);
            uv_sql_bind(s, 3, usage.bytes);
        }
        (void)uv_sql_step(connection, s, err);
        uv_sql_end(s);
        if (err)
            return err;
    }
    return no_error;
}

void uv_usage_apply(const uv_connection &connection, index_usage_map &usage)
{
    for (const auto &[bucket, now] : connection.usage) {
        if (now.objects > 0)
            usage[bucket] = now;
        else
            usage.erase(bucket);
    }
}

} // namespace etlnode
