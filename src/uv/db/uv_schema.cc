// SPDX-License-Identifier: MIT
// uv/db/uv_schema.cc: the tables of the node's database, and their upgrade from former versions.
//
// Knows    uv_database.h (runs SQL).      Known by  uv_database.cc.
// Fails    a database of a newer program, or of another program, is refused and left as it is.
#include "uv/db/uv_schema.h"

#include "uv/db/uv_database.h"

namespace etlnode {

static constexpr int schema_version = 6;

// What jobs have done on this target (port/ledger.h).
#define JOB_TABLES                                                                                                                        \
    "CREATE TABLE jobs(id BLOB PRIMARY KEY, kind BLOB NOT NULL, state BLOB NOT NULL, epoch INTEGER NOT NULL, pass INTEGER NOT NULL,"      \
    " cursor_bucket BLOB NOT NULL, cursor_name BLOB NOT NULL, done INTEGER NOT NULL, skipped INTEGER NOT NULL, failed INTEGER NOT NULL,"  \
    " bytes INTEGER NOT NULL, started_ns INTEGER NOT NULL, ended_ns INTEGER NOT NULL, error BLOB NOT NULL) WITHOUT ROWID;"                \
    "CREATE TABLE job_ahead(job BLOB NOT NULL, bucket BLOB NOT NULL, name BLOB NOT NULL, outcome INTEGER NOT NULL,"                       \
    " PRIMARY KEY(job, bucket, name)) WITHOUT ROWID;"                                                                                     \
    "CREATE TABLE job_failures(job BLOB NOT NULL, bucket BLOB NOT NULL, name BLOB NOT NULL, status INTEGER NOT NULL, text BLOB NOT NULL," \
    " request_id BLOB NOT NULL, tries INTEGER NOT NULL, PRIMARY KEY(job, bucket, name)) WITHOUT ROWID;"

static constexpr const char *schema =
    "CREATE TABLE objects(bucket BLOB NOT NULL, name BLOB NOT NULL, content_id INTEGER NOT NULL, size INTEGER NOT NULL,"
    " version INTEGER NOT NULL, checksum INTEGER NOT NULL, changed_ns INTEGER NOT NULL, content_type BLOB NOT NULL, etag BLOB NOT NULL,"
    " custom BLOB NOT NULL, parts BLOB NOT NULL, in_index INTEGER NOT NULL DEFAULT 0, tag INTEGER NOT NULL DEFAULT 0,"
    " PRIMARY KEY(bucket, name)) WITHOUT ROWID;"
    "CREATE TABLE contents(content_id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);"
    "CREATE TABLE garbage(content_id INTEGER PRIMARY KEY);"
    "CREATE TABLE unplaced(content_id INTEGER PRIMARY KEY);"
    "CREATE TABLE meta(name BLOB PRIMARY KEY, version INTEGER NOT NULL, text BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE sums(content_id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);"
    "CREATE TABLE unsummed(content_id INTEGER PRIMARY KEY, bucket BLOB NOT NULL, name BLOB NOT NULL);"
    // The row of the empty name is about all buckets. It is in this table, because a commit writes whole pages and changes both.
    "CREATE TABLE buckets(bucket BLOB PRIMARY KEY, objects INTEGER NOT NULL, bytes INTEGER NOT NULL,"
    " content_id_max INTEGER NOT NULL DEFAULT 0, changes INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;"
    "INSERT INTO buckets(bucket, objects, bytes) VALUES(x'', 0, 0);"
    "CREATE TABLE tombstones(bucket BLOB NOT NULL, name BLOB NOT NULL, version INTEGER NOT NULL, tag INTEGER NOT NULL,"
    " PRIMARY KEY(bucket, name)) WITHOUT ROWID;"
    "CREATE TABLE removed(bucket BLOB PRIMARY KEY, version_max INTEGER NOT NULL) WITHOUT ROWID;" JOB_TABLES "PRAGMA user_version = 6;";

// Version 1 stored no contents.
static constexpr const char *upgrade_1 = "ALTER TABLE objects ADD COLUMN in_index INTEGER NOT NULL DEFAULT 0;"
                                         "CREATE TABLE contents(content_id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);"
                                         "PRAGMA user_version = 2;";

// Version 2 stored no sums of files. store/summer_machine.cc adds them later, one file at a time.
static constexpr const char
    *upgrade_2 = "CREATE TABLE sums(content_id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);"
                 "CREATE TABLE unsummed(content_id INTEGER PRIMARY KEY, bucket BLOB NOT NULL, name BLOB NOT NULL);"
                 "INSERT OR IGNORE INTO unsummed SELECT content_id, bucket, name FROM objects WHERE content_id <> 0 AND NOT in_index;"
                 "PRAGMA user_version = 3;";

// Version 3 kept no sums of buckets, which are counted once, and knew no jobs.
static constexpr const char *upgrade_3 =
    "CREATE TABLE buckets(bucket BLOB PRIMARY KEY, objects INTEGER NOT NULL, bytes INTEGER NOT NULL) WITHOUT ROWID;"
    "INSERT INTO buckets SELECT bucket, count(*), sum(size) FROM objects GROUP BY bucket;" JOB_TABLES "PRAGMA user_version = 4;";

// Version 4 knew neither epochs of placement nor tombstones, and had a table of totals. Its rows may be of any epoch.
static constexpr const char
    *upgrade_4 = "ALTER TABLE objects ADD COLUMN tag INTEGER NOT NULL DEFAULT 0;"
                 "CREATE TABLE tombstones(bucket BLOB NOT NULL, name BLOB NOT NULL, version INTEGER NOT NULL, tag INTEGER NOT NULL,"
                 " PRIMARY KEY(bucket, name)) WITHOUT ROWID;"
                 "CREATE TABLE removed(bucket BLOB PRIMARY KEY, version_max INTEGER NOT NULL) WITHOUT ROWID;"
                 "ALTER TABLE buckets ADD COLUMN content_id_max INTEGER NOT NULL DEFAULT 0;"
                 "REPLACE INTO buckets SELECT x'', objects, 0, content_id_max FROM totals WHERE id = 1;"
                 "DROP TABLE totals;"
                 "PRAGMA user_version = 5;";

// Version 5 did not count changes.
static constexpr const char *upgrade_5 = "ALTER TABLE buckets ADD COLUMN changes INTEGER NOT NULL DEFAULT 0;"
                                         "PRAGMA user_version = 6;";

static error refuse(error err, std::string &out_detail, std::string detail)
{
    out_detail = std::move(detail);
    return err;
}

static error run_as_one(sqlite3 *db, const char *script)
{
    error err = uv_sql_run_script(db, (std::string("BEGIN IMMEDIATE;") + script + "COMMIT;").c_str());
    if (err && sqlite3_get_autocommit(db) == 0)
        (void)uv_sql_run_script(db, "ROLLBACK");
    return err;
}

error uv_schema_make(sqlite3 *db, const std::string &path, int64_t &out_version, std::string &out_detail)
{
    int64_t version = 0;
    int64_t tables = 0;
    error err = uv_sql_query_one(db, "PRAGMA user_version", version, nullptr);
    if (!err)
        err = uv_sql_query_one(db, "SELECT count(*) FROM sqlite_schema", tables, nullptr);
    if (err)
        return err;
    if (version > schema_version)
        return refuse(make_error(error_code::newer_version, "the database was written by a newer version"), out_detail,
            path + " has format version " + std::to_string(version) + ", this program knows version " + std::to_string(schema_version) +
                "; use the newer program");
    out_version = version;
    if (version == 0 && tables == 0) {
        out_version = schema_version;
        return run_as_one(db, schema);
    }
    if (version < 1)
        return refuse(make_error(error_code::corrupt, "not a database of this program"), out_detail,
            path + " is not a database of this program (format version " + std::to_string(version) + ")");
    return no_error;
}

error uv_schema_upgrade(sqlite3 *db, int64_t version)
{
    error err;
    if (version == 1)
        err = run_as_one(db, upgrade_1);
    if (!err && version <= 2)
        err = run_as_one(db, upgrade_2);
    if (!err && version <= 3)
        err = run_as_one(db, upgrade_3);
    if (!err && version <= 4)
        err = run_as_one(db, upgrade_4);
    if (!err && version <= 5)
        err = run_as_one(db, upgrade_5);
    return err;
}

} // namespace etlnode
