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

// Makes version 4 of the present one: without tombstones and tags.
inline constexpr const char
    *back_to_version_4 = "DROP TABLE tombstones; DROP TABLE removed; ALTER TABLE objects DROP COLUMN tag; PRAGMA user_version = 4;";

// Makes version 3: also without sums of buckets and jobs.
inline constexpr const char *back_to_version_3 = "DROP TABLE buckets; DROP TABLE jobs; DROP TABLE job_ahead; DROP TABLE job_failures;"
                                                 "DROP TABLE tombstones; DROP TABLE removed; ALTER TABLE objects DROP COLUMN tag;"
                                                 "PRAGMA user_version = 3;";

} // namespace etlnode
