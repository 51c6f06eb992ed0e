// SPDX-License-Identifier: MIT
// test/contract/index_file.h: the cases of an index and its file: opened again, or read and changed behind its back.
#pragma once

#include <sqlite3.h>

#include "index_world.h"

namespace etlnode {

inline void reopen()
{
    world_end();
    world_begin(true);
}

inline std::string database() { return world->dir + "/data/node.db"; }

inline void run_sql(const std::string &path, const char *sql)
{
    sqlite3 *db = nullptr;
    test_eq(sqlite3_open(path.c_str(), &db), SQLITE_OK);
    test_eq(sqlite3_exec(db, sql, nullptr, nullptr, nullptr), SQLITE_OK);
    test_eq(sqlite3_close(db), SQLITE_OK);
}

inline int64_t ask_sql(const std::string &path, const char *sql)
{
    sqlite3 *db = nullptr;
    sqlite3_stmt *statement = nullptr;
    test_eq(sqlite3_open(path.c_str(), &db), SQLITE_OK);
    test_eq(sqlite3_prepare_v2(db, sql, -1, &statement, nullptr), SQLITE_OK);
    test_eq(sqlite3_step(statement), SQLITE_ROW);
    int64_t number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    test_eq(sqlite3_close(db), SQLITE_OK);
    return number;
}

// Makes version 4 of the present one: without tombstones and tags, and with a table of totals.
#define BACK_TO_VERSION_4                                                                                                   \
    "DROP TABLE tombstones; DROP TABLE removed; ALTER TABLE objects DROP COLUMN tag;"                                       \
    "CREATE TABLE totals(id INTEGER PRIMARY KEY CHECK(id = 1), objects INTEGER NOT NULL, content_id_max INTEGER NOT NULL);" \
    "INSERT INTO totals SELECT 1, objects, content_id_max FROM buckets WHERE bucket = x'';"                                 \
    "DELETE FROM buckets WHERE bucket = x''; ALTER TABLE buckets DROP COLUMN content_id_max;"                               \
    "ALTER TABLE buckets DROP COLUMN changes;"
inline constexpr const char *back_to_version_4 = BACK_TO_VERSION_4 "PRAGMA user_version = 4;";

// Makes version 3: also without sums of buckets and jobs.
inline constexpr const char *back_to_version_3 = BACK_TO_VERSION_4
    "DROP TABLE buckets; DROP TABLE jobs; DROP TABLE job_ahead; DROP TABLE job_failures; PRAGMA user_version = 3;";

} // namespace etlnode
