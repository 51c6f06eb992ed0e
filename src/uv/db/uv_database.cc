// SPDX-License-Identifier: MIT
// uv/db/uv_database.cc: opens the node's SQLite file and runs queued operations on it.
//
// Owns     <data_dir>/lock (flock, held while the env lives), <data_dir>/node.db, two connections.
// Normal   write: collect, begin, run all, update totals, take room, commit, deliver. read: collect, run all, deliver.
// Fails    any SQL error of a write rolls its whole batch back; every operation of it completes with that error. Only for want of room those
//          that need none get a transaction of their own. What a failed commit has left in the log is overwritten by the next one, so that
//          nothing acknowledged is followed by something older when the log is read back.
// Limits   batch_max operations a transaction, busy_timeout_ms for locks of foreign programs.
#include "uv/db/uv_database.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"

static constexpr size_t batch_max = 512;
static constexpr int busy_timeout_ms = 5'000;
static constexpr int schema_version = 3;
static constexpr off_t log_reserve_size = 4'500'000; // bytes: the log is copied back at 1,000 pages
static constexpr size_t log_piece_size = 64 * 1024; // bytes; SQLite writes less than 128 KiB at a time
static constexpr off_t room_kept_size = 64 * 1024;   // bytes taken ahead of what puts need: removals write a little, too
static constexpr off_t room_step_size = 256 * 1024;  // bytes taken at a time

static constexpr const char *schema =
    "CREATE TABLE objects(bucket BLOB NOT NULL, name BLOB NOT NULL, content_id INTEGER NOT NULL, size INTEGER NOT NULL,"
    " version INTEGER NOT NULL, checksum INTEGER NOT NULL, changed_ns INTEGER NOT NULL, content_type BLOB NOT NULL, etag BLOB NOT NULL,"
    " custom BLOB NOT NULL, parts BLOB NOT NULL, in_index INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(bucket, name)) WITHOUT ROWID;"
    "CREATE TABLE contents(content_id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);"
    "CREATE TABLE garbage(content_id INTEGER PRIMARY KEY);"
    "CREATE TABLE unplaced(content_id INTEGER PRIMARY KEY);"
    "CREATE TABLE meta(name BLOB PRIMARY KEY, version INTEGER NOT NULL, text BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE totals(id INTEGER PRIMARY KEY CHECK(id = 1), objects INTEGER NOT NULL, content_id_max INTEGER NOT NULL);"
    "INSERT INTO totals VALUES(1, 0, 0);"
    "CREATE TABLE sums(content_id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);"
    "CREATE TABLE unsummed(content_id INTEGER PRIMARY KEY, bucket BLOB NOT NULL, name BLOB NOT NULL);"
    "PRAGMA user_version = 3;";

// Version 1 held no contents.
static constexpr const char *upgrade_1 =
    "ALTER TABLE objects ADD COLUMN in_index INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE contents(content_id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);"
    "PRAGMA user_version = 2;";

// Version 2 had no sums of files. They are made later, one file after the other (store/summer_machine.cc).
static constexpr const char *upgrade_2 =
    "CREATE TABLE sums(content_id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);"
    "CREATE TABLE unsummed(content_id INTEGER PRIMARY KEY, bucket BLOB NOT NULL, name BLOB NOT NULL);"
    "INSERT OR IGNORE INTO unsummed SELECT content_id, bucket, name FROM objects WHERE content_id <> 0 AND NOT in_index;"
    "PRAGMA user_version = 3;";

#define OBJECT_COLUMNS "bucket, name, content_id, size, version, checksum, changed_ns, content_type, etag, custom, parts, in_index"

static constexpr const char *sql_text[] = {
    "BEGIN IMMEDIATE",
    "COMMIT",
    "ROLLBACK",
    "SELECT objects, content_id_max FROM totals WHERE id = 1",
    "UPDATE totals SET objects = ?1, content_id_max = ?2 WHERE id = 1",
    "PRAGMA page_count",
    "SELECT " OBJECT_COLUMNS " FROM objects WHERE bucket = ?1 AND name = ?2",
    // One statement: between two of them a commit could take the content away.
    "SELECT " OBJECT_COLUMNS ", CASE WHEN in_index THEN (SELECT bytes FROM contents WHERE contents.content_id = objects.content_id)"
    " ELSE (SELECT bytes FROM sums WHERE sums.content_id = objects.content_id) END"
    " FROM objects WHERE bucket = ?1 AND name = ?2",
    "SELECT " OBJECT_COLUMNS " FROM objects WHERE bucket = ?1 AND name >= ?2 AND name < ?3 ORDER BY name LIMIT ?4",
    "SELECT " OBJECT_COLUMNS " FROM objects WHERE bucket = ?1 AND name >= ?2 ORDER BY name LIMIT ?4",
    "REPLACE INTO objects(" OBJECT_COLUMNS ") VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
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
    ("SELECT u.content_id, u.bucket, u.name, o.size, o.version, o.checksum FROM unsummed u LEFT JOIN objects o ON o.bucket = u.bucket AND"
     " o.name = u.name AND o.content_id = u.content_id AND NOT o.in_index WHERE u.content_id > ?1 ORDER BY u.content_id LIMIT ?2"),
    "DELETE FROM unsummed WHERE content_id = ?1",
    "SELECT version, text FROM meta WHERE name = ?1",
    "REPLACE INTO meta(name, version, text) VALUES(?1, ?2, ?3)",
};
static_assert(sizeof sql_text / sizeof sql_text[0] == static_cast<size_t>(uv_sql::count));
static_assert(content_id_limit == 4'611'686'018'427'387'904, "as in the texts above");

// One direction: queued operations and the batch that runs.
struct uv_lane {
    uv_database *database = nullptr;
    uv_connection connection;
    std::vector<uv_operation *> queued;
    std::vector<uv_operation *> batch;
    bool is_writer = false;
    bool running = false;
    bool in_doubt = false; // the last commit failed and may be in the log all the same
    error batch_err;
    error refusal;         // of what needs room, when the others were committed without it
    uv_job job;
};

struct uv_database {
    uv_world *world = nullptr;
    int lock_fd = -1;
    int file_fd = -1;      // of node.db; closing it would end SQLite's locks, so it is closed last
    int64_t page_size = 0;
    uv_lane writer;
    uv_lane reader;
    uv_totals totals;
};

// Statements.

error uv_sql_error(sqlite3 *db, int result)
{
    int sys = db != nullptr ? sqlite3_system_errno(db) : 0;
    const char *what = sqlite3_errstr(result); // static text
    switch (result & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE: return no_error;
    // no_space promises that nothing of the commit will be found later: a write did not go through. After a sync that failed, for whatever
    // reason, the commit may be in the log.
    case SQLITE_FULL: return make_error(error_code::no_space, what, sys);
    case SQLITE_IOERR:
        return make_error(result == SQLITE_IOERR_WRITE && error_from_errno(sys, nullptr).code == error_code::no_space ? error_code::no_space : error_code::io,
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
    // An empty view may have a null pointer, which would bind NULL. The result shows at the step: it can only be out of memory or size.
    (void)sqlite3_bind_blob64(statement, index, bytes.empty() ? "" : bytes.data(), bytes.size(), SQLITE_STATIC);
}

void uv_sql_bind(sqlite3_stmt *statement, int index, uint64_t number)
{
    (void)sqlite3_bind_int64(statement, index, static_cast<sqlite3_int64>(number)); // all 64 bits are kept, as a signed number
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
    (void)sqlite3_reset(statement); // repeats the error of the step
    (void)sqlite3_clear_bindings(statement);
}

uint64_t uv_sql_number(sqlite3_stmt *statement, int column) { return static_cast<uint64_t>(sqlite3_column_int64(statement, column)); }

std::string uv_sql_bytes(sqlite3_stmt *statement, int column)
{
    const void *bytes = sqlite3_column_blob(statement, column);
    size_t size = static_cast<size_t>(sqlite3_column_bytes(statement, column));
    return bytes != nullptr ? std::string(static_cast<const char *>(bytes), size) : std::string();
}

static error run_plain(uv_connection &connection, uv_sql which)
{
    error err;
    sqlite3_stmt *statement = uv_sql_start(connection, which, err);
    if (statement == nullptr)
        return err;
    (void)uv_sql_step(connection, statement, err);
    uv_sql_end(statement);
    return err;
}

static error read_totals(uv_connection &connection, uv_totals &out_totals)
{
    error err;
    sqlite3_stmt *statement = uv_sql_start(connection, uv_sql::totals_read, err);
    if (statement == nullptr)
        return err;
    if (uv_sql_step(connection, statement, err)) {
        out_totals.objects = uv_sql_number(statement, 0);
        out_totals.content_id_max = uv_sql_number(statement, 1);
        bool are_numbers = sqlite3_column_type(statement, 0) == SQLITE_INTEGER && sqlite3_column_type(statement, 1) == SQLITE_INTEGER;
        // From a wrong highest id, ids would be handed out that name the contents of other objects.
        if (!are_numbers || out_totals.objects > INT64_MAX || out_totals.content_id_max > content_id_limit)
            err = make_error(error_code::corrupt, "the totals in the database are damaged");
    } else if (!err) {
        err = make_error(error_code::corrupt, "the database lacks its totals");
    }
    uv_sql_end(statement);
    return err;
}

static error write_totals(uv_connection &connection)
{
    error err;
    sqlite3_stmt *statement = uv_sql_start(connection, uv_sql::totals_write, err);
    if (statement == nullptr)
        return err;
    uv_sql_bind(statement, 1, connection.totals.objects);
    uv_sql_bind(statement, 2, connection.totals.content_id_max);
    (void)uv_sql_step(connection, statement, err);
    uv_sql_end(statement);
    return err;
}

// Batches.

// Changes a page and nothing else: a transaction that changes none would leave the log as it is.
static error overwrite_failed_commit(uv_connection &connection)
{
    error err;
    for (uv_sql which : {uv_sql::garbage_add, uv_sql::garbage_remove}) {
        sqlite3_stmt *statement = uv_sql_start(connection, which, err);
        if (statement == nullptr)
            return err;
        uv_sql_bind(statement, 1, UINT64_MAX); // no content has this id
        (void)uv_sql_step(connection, statement, err);
        uv_sql_end(statement);
        if (err)
            return err;
    }
    return no_error;
}

// What is committed lies in the log until it is copied back. Without room in the file then, the log could not be begun anew, and when it is full
// nothing can be removed any more. So the room is taken before the commit. Where a file system cannot do it, the node works all the same.
static error take_room(const uv_database &d, uv_connection &connection)
{
    error err;
    sqlite3_stmt *statement = uv_sql_start(connection, uv_sql::page_count, err);
    if (statement == nullptr)
        return err;
    off_t size = 0;
    if (uv_sql_step(connection, statement, err))
        size = static_cast<off_t>(static_cast<int64_t>(uv_sql_number(statement, 0)) * d.page_size);
    uv_sql_end(statement);
    struct stat info {};
    if (err || d.file_fd < 0 || fstat(d.file_fd, &info) != 0 || info.st_blocks * 512 >= size + room_kept_size)
        return err;
    int result = fallocate(d.file_fd, FALLOC_FL_KEEP_SIZE, 0, size + room_kept_size + room_step_size);
    if (result != 0 && (errno == ENOSPC || errno == EDQUOT))
        err = make_error(error_code::no_space, "no room for the database", errno);
    return err;
}

static error run_transaction(uv_lane &lane, bool with_growth)
{
    uv_connection &connection = lane.connection;
    connection.totals = lane.database->totals; // the loop changes it only between batches
    error err = run_plain(connection, uv_sql::begin);
    if (err)
        return err;
    if (lane.in_doubt)
        err = overwrite_failed_commit(connection);
    bool grows = false;
    for (size_t i = 0; i < lane.batch.size() && !err; i++) {
        uv_operation &op = *lane.batch[i];
        if (op.needs_room && !with_growth)
            continue;
        grows = grows || op.needs_room;
        op.err = no_error;
        err = op.run(op, connection);
    }
    const uv_totals &before = lane.database->totals;
    if (!err && (connection.totals.objects != before.objects || connection.totals.content_id_max != before.content_id_max))
        err = write_totals(connection);
    if (!err && grows)
        err = take_room(*lane.database, connection);
    if (!err)
        err = run_plain(connection, uv_sql::commit);
    if (err && sqlite3_get_autocommit(connection.db) == 0)
        (void)run_plain(connection, uv_sql::rollback); // the first error is the one to tell
    lane.in_doubt = static_cast<bool>(err);
    return err;
}

static error run_writes(uv_lane &lane)
{
    lane.refusal = no_error;
    error err = run_transaction(lane, true);
    size_t growing = 0;
    for (const uv_operation *op : lane.batch)
        growing += op->needs_room ? 1 : 0;
    if (err.code != error_code::no_space || growing == 0 || growing == lane.batch.size())
        return err;
    lane.refusal = err;
    err = run_transaction(lane, false);
    for (uv_operation *op : lane.batch) {
        if (op->needs_room)
            op->err = lane.refusal;
    }
    return err;
}

static error run_reads(uv_lane &lane)
{
    // Each for itself: one that fails does not spoil the others.
    for (uv_operation *op : lane.batch) {
        error err = op->run(*op, lane.connection);
        if (err)
            op->err = err;
    }
    return no_error;
}

static void run_batch(uv_job *job)
{
    auto &lane = *static_cast<uv_lane *>(job->owner);
    lane.batch_err = lane.is_writer ? run_writes(lane) : run_reads(lane);
}

static void finish_batch(uv_job *job);

static void start_batch(uv_lane &lane)
{
    if (lane.running || lane.queued.empty())
        return;
    size_t count = std::min(lane.queued.size(), batch_max);
    lane.batch.assign(lane.queued.begin(), lane.queued.begin() + static_cast<ptrdiff_t>(count));
    lane.queued.erase(lane.queued.begin(), lane.queued.begin() + static_cast<ptrdiff_t>(count));
    lane.running = true;
    lane.job.owner = &lane;
    lane.job.run = run_batch;
    lane.job.done = finish_batch;
    uv_job_start(*lane.database->world, lane.job);
}

static void finish_batch(uv_job *job)
{
    auto &lane = *static_cast<uv_lane *>(job->owner);
    uv_world &w = *lane.database->world;
    error err = lane.batch_err;
    error told = err ? err : lane.refusal;
    std::vector<uv_operation *> finished;
    finished.swap(lane.batch);
    lane.running = false;
    if (lane.is_writer && !err)
        lane.database->totals = lane.connection.totals;
    if (told)
        LOG(error, "index", "operations=%zu code=%s errno=%d msg=\"commit failed: %s\"", finished.size(), error_code_name(told.code), told.sys,
            error_text(told));
    start_batch(lane); // the thread pool goes on while the completions are told
    for (uv_operation *op : finished) {
        if (err)
            op->err = err;
        op->done(*op);
        uv_turn_drain(w);
    }
}

static void queue_operation(uv_lane &lane, uv_operation &op)
{
    lane.queued.push_back(&op);
    start_batch(lane);
}

void uv_database_write(uv_world &w, uv_operation &op) { queue_operation(w.database->writer, op); }
void uv_database_read(uv_world &w, uv_operation &op) { queue_operation(w.database->reader, op); }
const uv_totals &uv_database_totals(const uv_world &w) { return w.database->totals; }

bool uv_database_is_busy(const uv_world &w)
{
    return w.database != nullptr && (w.database->writer.running || w.database->reader.running);
}

// Opening.

static error refuse(error err, std::string &out_detail, std::string detail)
{
    out_detail = static_cast<std::string &&>(detail);
    return err;
}

static void sync_directory(const std::string &path)
{
    int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return; // a parent that may be passed but not read; what is ours is synced below
    (void)fsync(fd);
    close(fd);
}

static error make_directories(const std::string &path, std::string &out_detail)
{
    for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
        std::string part = path.substr(0, end);
        if (mkdir(part.c_str(), 0700) == 0) {
            size_t slash = part.rfind('/');
            sync_directory(slash == std::string::npos ? "." : slash == 0 ? "/" : part.substr(0, slash));
        } else {
            int failure = errno;
            struct stat info {};
            bool is_directory = stat(part.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
            if (!is_directory) {
                error err = failure == EEXIST ? error_from_errno(ENOTDIR, "not a directory") : error_from_errno(failure, nullptr);
                err.code = failure == EEXIST || failure == ENOTDIR ? error_code::permission : err.code;
                return refuse(err, out_detail,
                    "cannot make the data directory " + path + ": " + part + ": " + std::strerror(failure == EEXIST ? ENOTDIR : failure));
            }
        }
        if (end == std::string::npos)
            return no_error;
    }
}

static error take_lock(uv_database &d, const std::string &data_dir, std::string &out_detail)
{
    std::string path = data_dir + "/lock";
    d.lock_fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (d.lock_fd < 0) {
        int failure = errno;
        return refuse(error_from_errno(failure, "the data directory is not writable"), out_detail,
            "the data directory " + data_dir + " is not writable: " + path + ": " + std::strerror(failure));
    }
    if (flock(d.lock_fd, LOCK_EX | LOCK_NB) != 0) {
        int failure = errno;
        char text[32] = "";
        ssize_t size = pread(d.lock_fd, text, sizeof text - 1, 0);
        uint64_t pid = 0;
        std::string_view digits(text, size > 0 ? static_cast<size_t>(size) : 0);
        digits = digits.substr(0, digits.find('\n'));
        std::string who = text_parse_u64(digits, pid) ? "process " + std::to_string(pid) : "another process";
        if (failure == EWOULDBLOCK)
            return refuse(make_error(error_code::in_use, "the data directory is in use"), out_detail,
                "the data directory " + data_dir + " is in use by " + who + " (" + path + ")");
        return refuse(error_from_errno(failure, "flock"), out_detail, "cannot lock " + path + ": " + std::strerror(failure));
    }
    std::string text = std::to_string(getpid()) + "\n";
    // Only for the message above; a full disk must not keep the node from starting to delete things.
    if (ftruncate(d.lock_fd, 0) != 0 || pwrite(d.lock_fd, text.data(), text.size(), 0) < 0)
        LOG(warn, "index", "path=%s errno=%d msg=\"cannot write the process id\"", text_escape(path).c_str(), errno);
    return no_error;
}

static error run_script(sqlite3 *db, const char *script)
{
    return uv_sql_error(db, sqlite3_exec(db, script, nullptr, nullptr, nullptr) == SQLITE_OK ? SQLITE_OK : sqlite3_extended_errcode(db));
}

// First column of the first row, as a number or text.
static error query_one(sqlite3 *db, const char *sql, int64_t &out_number, std::string *out_text)
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

// Without mutexes of its own: one job at a time uses a connection.
static error open_connection(uv_connection &connection, const std::string &path)
{
    int result = sqlite3_open_v2(path.c_str(), &connection.db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
    if (result != SQLITE_OK)
        return connection.db != nullptr ? uv_sql_error(connection.db, sqlite3_extended_errcode(connection.db)) : uv_sql_error(nullptr, result);
    (void)sqlite3_busy_timeout(connection.db, busy_timeout_ms);
    std::string mode;
    int64_t unused = 0;
    error err = query_one(connection.db, "PRAGMA journal_mode = WAL", unused, &mode);
    if (!err && mode != "wal")
        err = make_error(error_code::io, "the file system cannot hold a write-ahead log");
    if (!err)
        err = run_script(connection.db,
            "PRAGMA synchronous = FULL; PRAGMA cache_size = -4000; PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 16777216;"
            // Some builds of SQLite overwrite what is deleted with zeros. An unlinked file is not overwritten either.
            "PRAGMA secure_delete = OFF;");
    return err;
}

static error run_script_as_one(sqlite3 *db, const char *script)
{
    error err = run_script(db, (std::string("BEGIN IMMEDIATE;") + script + "COMMIT;").c_str());
    if (err && sqlite3_get_autocommit(db) == 0)
        (void)run_script(db, "ROLLBACK");
    return err;
}

// Makes the tables of a new database; an older one is left as it is.
static error check_schema(uv_connection &connection, const std::string &path, int64_t &out_version, std::string &out_detail)
{
    int64_t version = 0;
    int64_t tables = 0;
    error err = query_one(connection.db, "PRAGMA user_version", version, nullptr);
    if (!err)
        err = query_one(connection.db, "SELECT count(*) FROM sqlite_schema", tables, nullptr);
    if (err)
        return err;
    if (version > schema_version)
        return refuse(make_error(error_code::newer_version, "the database was written by a newer version"), out_detail,
            path + " has format version " + std::to_string(version) + ", this program knows version " + std::to_string(schema_version) +
                "; use the newer program");
    out_version = version;
    if (version == 0 && tables == 0) {
        out_version = schema_version;
        return run_script_as_one(connection.db, schema);
    }
    if (version < 1)
        return refuse(make_error(error_code::corrupt, "not a database of this program"), out_detail,
            path + " is not a database of this program (format version " + std::to_string(version) + ")");
    return no_error;
}

// A process that was killed leaves its log, and SQLite reads it back from the page cache. An fsync of it may have failed before: the kernel
// takes such pages for clean, whatever reached the disk, and no later fsync writes them. So all of it is written again before a commit builds
// on it. (Within one process there is no need: the next commit overwrites what a failed one wrote.)
static error rewrite_log(sqlite3 *db)
{
    sqlite3_file *log = nullptr;
    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) != SQLITE_OK || log == nullptr || log->pMethods == nullptr)
        return no_error; // nothing has been read yet, so there is nothing to be read
    sqlite3_int64 size = 0;
    int result = log->pMethods->xFileSize(log, &size);
    std::string bytes(std::min<size_t>(log_piece_size, static_cast<size_t>(size)), '\0');
    for (sqlite3_int64 at = 0; at < size && result == SQLITE_OK;) {
        int count = static_cast<int>(std::min<sqlite3_int64>(size - at, static_cast<sqlite3_int64>(bytes.size())));
        result = log->pMethods->xRead(log, bytes.data(), count, at);
        bool is_reserve = bytes.find_first_not_of('\0') >= static_cast<size_t>(count); // never written
        if (result == SQLITE_OK && !is_reserve)
            result = log->pMethods->xWrite(log, bytes.data(), count, at);
        at += count;
    }
    if (size > 0 && result == SQLITE_OK)
        result = log->pMethods->xSync(log, SQLITE_SYNC_NORMAL);
    return uv_sql_error(nullptr, result);
}

// Room for the log is taken ahead, so that objects can be removed when the disk is full: a removal, too, is written there first. Without the room now,
// and where a file system cannot do it, the node works all the same.
static void reserve_log(const std::string &path)
{
    int fd = open((path + "-wal").c_str(), O_RDWR | O_CLOEXEC); // SQLite's locks are not on this file
    if (fd < 0)
        return;
    (void)fallocate(fd, 0, 0, log_reserve_size);
    close(fd);
}

static error open_database(uv_database &d, const std::string &data_dir, std::string &out_detail)
{
    error err = make_directories(data_dir, out_detail);
    if (!err)
        err = take_lock(d, data_dir, out_detail);
    if (err)
        return err;
    std::string path = data_dir + "/node.db";
    err = open_connection(d.writer.connection, path);
    d.file_fd = open(path.c_str(), O_RDWR | O_CLOEXEC); // without it no room is taken ahead
    int64_t version = 0;
    if (!err)
        err = check_schema(d.writer.connection, path, version, out_detail);
    if (!err)
        err = rewrite_log(d.writer.connection.db);
    if (!err && version == 1)
        err = run_script_as_one(d.writer.connection.db, upgrade_1);
    if (!err && version >= 1 && version <= 2)
        err = run_script_as_one(d.writer.connection.db, upgrade_2);
    if (!err)
        err = query_one(d.writer.connection.db, "PRAGMA page_size", d.page_size, nullptr);
    if (!err)
        err = open_connection(d.reader.connection, path);
    if (!err)
        err = run_script(d.reader.connection.db, "PRAGMA query_only = 1");
    if (!err)
        err = read_totals(d.writer.connection, d.totals);
    if (err && out_detail.empty()) {
        out_detail = "cannot open " + path + ": " + error_text(err);
        if (err.sys != 0)
            out_detail += std::string(" (") + std::strerror(err.sys) + ")";
    }
    if (!err)
        reserve_log(path);
    if (!err)
        sync_directory(data_dir);
    return err;
}

static void close_connection(uv_connection &connection)
{
    for (sqlite3_stmt *statement : connection.statements)
        sqlite3_finalize(statement);
    if (connection.db != nullptr) {
        int result = sqlite3_close(connection.db);
        CHECK(result == SQLITE_OK); // busy: a statement of ours is not finalized
    }
    connection = {};
}

error uv_database_open(uv_world &w, const std::string &data_dir, std::string &out_detail)
{
    auto *d = new uv_database;
    d->world = &w;
    d->writer.database = d;
    d->writer.is_writer = true;
    d->reader.database = d;
    w.database = d;
    error err = open_database(*d, data_dir, out_detail);
    if (err)
        uv_database_close(w);
    return err;
}

void uv_database_close(uv_world &w)
{
    uv_database *d = w.database;
    if (d == nullptr || d->writer.running || d->reader.running)
        return; // running: the caller's deadline has passed, and the loop will not close either
    w.database = nullptr;
    close_connection(d->reader.connection);
    close_connection(d->writer.connection); // the last one writes the log back into the file
    if (d->file_fd >= 0)
        close(d->file_fd);
    if (d->lock_fd >= 0)
        close(d->lock_fd);
    delete d;
}
