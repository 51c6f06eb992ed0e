// SPDX-License-Identifier: MIT
// uv/db/uv_sql.cc: the SQL of the node's database: statements, their preparation, and the mapping of SQLite's errors.
//
// Owns     nothing; a connection keeps its statements.
// Knows    SQLite.      Known by  uv_database.cc, uv_schema.cc, uv_index.cc, uv_ledger.cc, uv_meta.cc.
#include "uv/db/uv_database.h"

#include "base/limits.h"

namespace etlnode {

#define OBJECT_COLUMNS "bucket, name, content_id, size, version, checksum, changed_ns, content_type, etag, custom, parts, in_index, tag"
// As OBJECT_COLUMNS, and a flag that these are tombstones.
#define TOMBSTONE_COLUMNS "bucket, name, 0, 0, version, 0, 0, x'', x'', x'', x'', 0, tag, 1"
#define CONTENT_OF_ROW                                                                                    \
    "CASE WHEN in_index THEN (SELECT bytes FROM contents WHERE contents.content_id = objects.content_id)" \
    " ELSE (SELECT bytes FROM sums WHERE sums.content_id = objects.content_id) END"

#define JOB_COLUMNS "id, kind, state, epoch, pass, cursor_bucket, cursor_name, done, skipped, failed, bytes, started_ns, ended_ns, error"

static constexpr const char *sql_text[] = {
    "BEGIN IMMEDIATE",
    "COMMIT",
    "ROLLBACK",
    "SELECT objects, content_id_max, changes FROM buckets WHERE bucket = x''",
    "UPDATE buckets SET objects = ?1, content_id_max = ?2, changes = ?3 WHERE bucket = x''",
    "SELECT bucket, objects, bytes FROM buckets WHERE bucket <> x''",
    "REPLACE INTO buckets(bucket, objects, bytes) VALUES(?1, ?2, ?3)",
    "DELETE FROM buckets WHERE bucket = ?1",
    "PRAGMA page_count",
    ("SELECT " OBJECT_COLUMNS " FROM objects WHERE bucket = ?1 AND name = ?2"),
    // Use one statement: between two of them, a commit could remove the content.
    ("SELECT " OBJECT_COLUMNS ", 0, " CONTENT_OF_ROW " FROM objects WHERE bucket = ?1 AND name = ?2"),
    ("SELECT " OBJECT_COLUMNS ", 0, " CONTENT_OF_ROW " FROM objects WHERE bucket = ?1 AND name = ?2"
     " UNION ALL SELECT " TOMBSTONE_COLUMNS ", x'' FROM tombstones WHERE bucket = ?1 AND name = ?2"),
    ("SELECT " OBJECT_COLUMNS " FROM objects WHERE bucket = ?1 AND name >= ?2 AND name < ?3 ORDER BY name LIMIT ?4"),
    ("SELECT " OBJECT_COLUMNS " FROM objects WHERE bucket = ?1 AND name >= ?2 ORDER BY name LIMIT ?4"),
    ("SELECT " OBJECT_COLUMNS ", 0 FROM objects WHERE bucket = ?1 AND name >= ?2 AND name < ?3"
     " UNION ALL SELECT " TOMBSTONE_COLUMNS " FROM tombstones WHERE bucket = ?1 AND name >= ?2 AND name < ?3 ORDER BY 2 LIMIT ?4"),
    ("SELECT " OBJECT_COLUMNS ", 0 FROM objects WHERE bucket = ?1 AND name >= ?2"
     " UNION ALL SELECT " TOMBSTONE_COLUMNS " FROM tombstones WHERE bucket = ?1 AND name >= ?2 ORDER BY 2 LIMIT ?4"),
    ("REPLACE INTO objects(" OBJECT_COLUMNS ") VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"),
    "DELETE FROM objects WHERE bucket = ?1 AND name = ?2",
    "INSERT OR IGNORE INTO garbage SELECT content_id FROM objects WHERE bucket = ?1 AND content_id <> 0 AND NOT in_index",
    "DELETE FROM unplaced WHERE content_id IN (SELECT content_id FROM objects WHERE bucket = ?1)",
    "DELETE FROM contents WHERE content_id IN (SELECT content_id FROM objects WHERE bucket = ?1 AND in_index)",
    "DELETE FROM objects WHERE bucket = ?1",
    "SELECT content_id FROM garbage WHERE content_id BETWEEN 1 AND 4611686018427387904 ORDER BY content_id",
    "INSERT OR IGNORE INTO garbage VALUES(?1)",
    "DELETE FROM garbage WHERE content_id = ?1",
    "SELECT content_id FROM unplaced WHERE content_id BETWEEN 1 AND 4611686018427387904 ORDER BY content_id",
    "INSERT OR IGNORE INTO unplaced VALUES(?1)",
    "DELETE FROM unplaced WHERE content_id = ?1",
    "INSERT INTO contents VALUES(?1, ?2)",
    "DELETE FROM contents WHERE content_id = ?1",
    "REPLACE INTO sums VALUES(?1, ?2)",
    "DELETE FROM sums WHERE content_id = ?1",
    "DELETE FROM sums WHERE content_id IN (SELECT content_id FROM objects WHERE bucket = ?1 AND NOT in_index)",
    "SELECT count(*) FROM tombstones",
    "SELECT version, tag FROM tombstones WHERE bucket = ?1 AND name = ?2",
    "REPLACE INTO tombstones VALUES(?1, ?2, ?3, ?4)",
    "DELETE FROM tombstones WHERE bucket = ?1 AND name = ?2",
    "DELETE FROM tombstones WHERE bucket = ?1",
    "SELECT bucket, version_max FROM removed",
    "REPLACE INTO removed VALUES(?1, ?2)",
    "DELETE FROM removed WHERE bucket = ?1",
    ("SELECT u.content_id, u.bucket, u.name, o.size, o.version, o.checksum FROM unsummed u LEFT JOIN objects o ON o.bucket = u.bucket AND"
     " o.name = u.name AND o.content_id = u.content_id AND NOT o.in_index WHERE u.content_id > ?1 ORDER BY u.content_id LIMIT ?2"),
    "DELETE FROM unsummed WHERE content_id = ?1",
    "SELECT version, text FROM meta WHERE name = ?1",
    "REPLACE INTO meta(name, version, text) VALUES(?1, ?2, ?3)",
    "SELECT " JOB_COLUMNS " FROM jobs ORDER BY id",
    "REPLACE INTO jobs(" JOB_COLUMNS ") VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    "DELETE FROM jobs WHERE id = ?1",
    "SELECT job, bucket, name, outcome FROM job_ahead ORDER BY job, bucket, name",
    "REPLACE INTO job_ahead(job, bucket, name, outcome) VALUES(?1, ?2, ?3, ?4)",
    "DELETE FROM job_ahead WHERE job = ?1 AND (bucket, name) <= (?2, ?3)",
    "DELETE FROM job_ahead WHERE job = ?1",
    ("SELECT bucket, name, status, text, request_id, tries FROM job_failures WHERE job = ?1 AND (bucket, name) > (?2, ?3)"
     " ORDER BY bucket, name LIMIT ?4"),
    "REPLACE INTO job_failures(job, bucket, name, status, text, request_id, tries) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    "DELETE FROM job_failures WHERE job = ?1",
};
static_assert(sizeof sql_text / sizeof sql_text[0] == static_cast<size_t>(uv_sql::count));
static_assert(content_id_limit == 4'611'686'018'427'387'904, "as in the texts above");

error uv_sql_error(sqlite3 *db, int result)
{
    int sys = db != nullptr ? sqlite3_system_errno(db) : 0;
    const char *what = sqlite3_errstr(result); // static text
    switch (result & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE: return no_error;
    // no_space promises that nothing of the commit appears later, because a write failed. After a failed sync, for whatever reason, the
    // commit may be in the log.
    case SQLITE_FULL: return make_error(error_code::no_space, what, sys);
    case SQLITE_IOERR:
        return make_error(result == SQLITE_IOERR_WRITE && error_from_errno(sys, nullptr).code == error_code::no_space ? error_code::no_space
                                                                                                                      : error_code::io,
            what, sys);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return make_error(error_code::corrupt, what, sys);
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH: return make_error(error_code::permission, what, sys);
    case SQLITE_CANTOPEN: return make_error(sys != 0 ? error_from_errno(sys, nullptr).code : error_code::io, what, sys);
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return make_error(error_code::in_use, what, sys);
    default: return make_error(error_code::internal, what, sys);
    }
}

sqlite3_stmt *uv_sql_start(uv_connection &connection, uv_sql which, error &out_err)
{
    size_t i = static_cast<size_t>(which);
    if (connection.statements[i] == nullptr) {
        int result = sqlite3_prepare_v3(connection.db, sql_text[i], -1, SQLITE_PREPARE_PERSISTENT, &connection.statements[i], nullptr);
        if (result != SQLITE_OK) {
            out_err = uv_sql_error(connection.db, sqlite3_extended_errcode(connection.db));
            return nullptr;
        }
    }
    return connection.statements[i];
}

void uv_sql_bind(sqlite3_stmt *statement, int index, std::string_view bytes)
{
    // An empty view may have a null pointer, which would bind NULL. An error (out of memory, or the size) appears at the step.
    (void)sqlite3_bind_blob64(statement, index, bytes.empty() ? "" : bytes.data(), bytes.size(), SQLITE_STATIC);
}

void uv_sql_bind(sqlite3_stmt *statement, int index, uint64_t number)
{
    (void)sqlite3_bind_int64(statement, index, static_cast<sqlite3_int64>(number)); // stored as a signed number that keeps all 64 bits
}

bool uv_sql_step(uv_connection &connection, sqlite3_stmt *statement, error &out_err)
{
    int result = sqlite3_step(statement);
    if (result == SQLITE_ROW)
        return true;
    if (result != SQLITE_DONE)
        out_err = uv_sql_error(connection.db, sqlite3_extended_errcode(connection.db));
    return false;
}

void uv_sql_end(sqlite3_stmt *statement)
{
    (void)sqlite3_reset(statement); // repeats the step's error
    (void)sqlite3_clear_bindings(statement);
}

uint64_t uv_sql_number(sqlite3_stmt *statement, int column) { return static_cast<uint64_t>(sqlite3_column_int64(statement, column)); }

std::string uv_sql_bytes(sqlite3_stmt *statement, int column)
{
    const void *bytes = sqlite3_column_blob(statement, column);
    size_t size = static_cast<size_t>(sqlite3_column_bytes(statement, column));
    return bytes != nullptr ? std::string(static_cast<const char *>(bytes), size) : std::string();
}

error uv_sql_run_script(sqlite3 *db, const char *script)
{
    return uv_sql_error(db, sqlite3_exec(db, script, nullptr, nullptr, nullptr) == SQLITE_OK ? SQLITE_OK : sqlite3_extended_errcode(db));
}

error uv_sql_query_one(sqlite3 *db, const char *sql, int64_t &out_number, std::string *out_text)
{
    sqlite3_stmt *statement = nullptr;
    int result = sqlite3_prepare_v2(db, sql, -1, &statement, nullptr);
    if (result == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) {
        out_number = sqlite3_column_int64(statement, 0);
        if (out_text != nullptr)
            *out_text = uv_sql_bytes(statement, 0);
        sqlite3_finalize(statement);
        return no_error;
    }
    error err = uv_sql_error(db, sqlite3_extended_errcode(db));
    sqlite3_finalize(statement);
    return err ? err : make_error(error_code::corrupt, "the database does not answer");
}

} // namespace etlnode
