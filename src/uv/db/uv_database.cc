// SPDX-License-Identifier: MIT
// uv/db/uv_database.cc: opens the node's SQLite file and runs queued operations on it.
//
// Owns     <data_dir>/lock (flock, held while the env lives), <data_dir>/node.db, two connections.
// Normal   write: collect, begin, run all, update totals, take room, commit, deliver. read: collect, run all, deliver.
// Fails    any SQL error of a write rolls its whole batch back, and every operation of the batch completes with that error. Lack of room is
//          an exception: operations that need no room then get a transaction of their own. The next commit overwrites what a failed commit
//          left in the log. Nothing acknowledged is therefore followed by something older when the log is read back.
// Limits   batch_max operations per transaction; busy_timeout_ms for locks of other programs.
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
#include "uv/db/uv_removed.h"
#include "uv/db/uv_schema.h"
#include "uv/db/uv_usage.h"

namespace etlnode {

static constexpr size_t batch_max = 512;
static constexpr int busy_timeout_ms = 5'000;
static constexpr off_t log_reserve_size = 4'500'000; // bytes: the log is copied back at 1,000 pages
static constexpr size_t log_piece_size = 64 * 1024;  // bytes; SQLite writes less than 128 KiB at a time
static constexpr off_t room_kept_size = 64 * 1024;   // bytes reserved beyond the needs of puts, because removals also write a little
static constexpr off_t room_step_size = 256 * 1024;  // bytes reserved at a time

// One direction (reads or writes): the queued operations, and the batch that is running.
struct uv_lane {
    uv_database *database = nullptr;
    uv_connection connection;
    std::vector<uv_operation *> queued;
    std::vector<uv_operation *> batch;
    bool is_writer = false;
    bool running = false;
    bool may_be_in_log = false; // the last commit failed but may still be in the log
    error batch_err;
    error refusal; // the error of operations that need room, after the others were committed without them
    uv_job job;
};

struct uv_database {
    uv_world *world = nullptr;
    int lock_fd = -1;
    int file_fd = -1; // of node.db; closing it would release SQLite's locks, so it is closed last
    int64_t page_size = 0;
    uv_lane writer;
    uv_lane reader;
    uv_totals totals;
    index_usage_map usage; // of the buckets that have objects
    index_removed_map removed;
};

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
        out_totals.changes = uv_sql_number(statement, 2);
        bool are_numbers = true;
        for (int column : {0, 1, 2})
            are_numbers = are_numbers && sqlite3_column_type(statement, column) == SQLITE_INTEGER;
        // With a wrong highest id, new ids could name the contents of other objects.
        if (!are_numbers || out_totals.objects > INT64_MAX || out_totals.content_id_max > content_id_limit ||
            out_totals.changes > INT64_MAX)
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
    uv_sql_bind(statement, 3, connection.totals.changes);
    (void)uv_sql_step(connection, statement, err);
    uv_sql_end(statement);
    return err;
}

// Batches.

// Changes a page and nothing else. A transaction that changes no page would leave the log as it is.
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

// Grow the database file before committing. If the disk filled up later, the WAL could not be checkpointed, and even removals would fail.
// Best effort: some file systems cannot do this.
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
    uv_usage_begin(connection, lane.database->usage);
    uv_removed_begin(connection, lane.database->removed);
    error err = run_plain(connection, uv_sql::begin);
    if (err)
        return err;
    if (lane.may_be_in_log)
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
    if (!err && (connection.totals.objects != before.objects || connection.totals.content_id_max != before.content_id_max ||
                    connection.totals.changes != before.changes))
        err = write_totals(connection);
    if (!err)
        err = uv_usage_write(connection);
    if (!err)
        err = uv_removed_write(connection);
    if (!err && grows)
        err = take_room(*lane.database, connection);
    if (!err)
        err = run_plain(connection, uv_sql::commit);
    if (err && sqlite3_get_autocommit(connection.db) == 0)
        (void)run_plain(connection, uv_sql::rollback); // report the first error
    lane.may_be_in_log = static_cast<bool>(err);
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
    // Run each one alone, so that one that fails does not affect the others.
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
    error failure = err ? err : lane.refusal;
    std::vector<uv_operation *> finished;
    finished.swap(lane.batch);
    lane.running = false;
    if (lane.is_writer && !err) {
        lane.database->totals = lane.connection.totals;
        uv_usage_apply(lane.connection, lane.database->usage);
        uv_removed_apply(lane.connection, lane.database->removed);
    }
    if (failure)
        LOG(error, "index", "operations=%zu code=%s errno=%d msg=\"commit failed: %s\"", finished.size(), error_code_name(failure.code),
            failure.sys, error_text(failure));
    start_batch(lane); // the thread pool works while the completions are delivered
    for (uv_operation *op : finished) {
        if (err)
            op->err = err;
        op->done(*op);
        uv_dispatch_run_posts(w);
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
const index_usage_map &uv_database_usage(const uv_world &w) { return w.database->usage; }
const index_removed_map &uv_database_removed(const uv_world &w) { return w.database->removed; }

bool uv_database_is_busy(const uv_world &w) { return w.database != nullptr && (w.database->writer.running || w.database->reader.running); }

// Opening.

static error refuse(error err, std::string &out_detail, std::string detail)
{
    out_detail = std::move(detail);
    return err;
}

static void sync_directory(const std::string &path)
{
    int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return; // a parent that may be traversed but not read; our own directories are synced below
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
    // The text only serves the message above: a full disk must not keep the node from starting, because it must be able to delete.
    if (ftruncate(d.lock_fd, 0) != 0 || pwrite(d.lock_fd, text.data(), text.size(), 0) < 0)
        LOG(warn, "index", "path=%s errno=%d msg=\"cannot write the process id\"", text_escape(path).c_str(), errno);
    return no_error;
}

// SQLite's own mutexes are off, because only one job at a time uses a connection.
static error open_connection(uv_connection &connection, const std::string &path)
{
    int result = sqlite3_open_v2(path.c_str(), &connection.db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
    if (result != SQLITE_OK)
        return connection.db != nullptr ? uv_sql_error(connection.db, sqlite3_extended_errcode(connection.db))
                                        : uv_sql_error(nullptr, result);
    (void)sqlite3_busy_timeout(connection.db, busy_timeout_ms);
    std::string mode;
    int64_t unused = 0;
    error err = uv_sql_query_one(connection.db, "PRAGMA journal_mode = WAL", unused, &mode);
    if (!err && mode != "wal")
        err = make_error(error_code::io, "the file system cannot hold a write-ahead log");
    if (!err)
        err = uv_sql_run_script(connection.db,
            "PRAGMA synchronous = FULL; PRAGMA cache_size = -4000; PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 16777216;"
            // Some builds of SQLite overwrite deleted data with zeros. Files that are unlinked are not overwritten either.
            "PRAGMA secure_delete = OFF;");
    return err;
}

// A killed process leaves its log, and SQLite reads that log from the page cache. An earlier fsync of it may have failed: the kernel then
// treats the pages as clean, whatever reached the disk, and no later fsync writes them. So rewrite the whole log before a commit builds on
// it. Within one process that is not needed, because the next commit overwrites what a failed one wrote.
static error rewrite_log(sqlite3 *db)
{
    sqlite3_file *log = nullptr;
    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) != SQLITE_OK || log == nullptr || log->pMethods == nullptr)
        return no_error; // nothing has been read yet, so nothing can be wrong
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

// Reserve room for the log, because a removal is also written there first: without it, a full disk would prevent removals.
// Best effort: some file systems cannot do this.
static void reserve_log(const std::string &path)
{
    int fd = open((path + "-wal").c_str(), O_RDWR | O_CLOEXEC); // SQLite holds no locks on this file
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
    d.file_fd = open(path.c_str(), O_RDWR | O_CLOEXEC); // without it, no room is reserved
    int64_t version = 0;
    if (!err)
        err = uv_schema_make(d.writer.connection.db, path, version, out_detail);
    if (!err)
        err = rewrite_log(d.writer.connection.db);
    if (!err)
        err = uv_schema_upgrade(d.writer.connection.db, version);
    if (!err)
        err = uv_sql_query_one(d.writer.connection.db, "PRAGMA page_size", d.page_size, nullptr);
    if (!err)
        err = open_connection(d.reader.connection, path);
    if (!err)
        err = uv_sql_run_script(d.reader.connection.db, "PRAGMA query_only = 1");
    if (!err)
        err = read_totals(d.writer.connection, d.totals);
    if (!err)
        err = uv_usage_read(d.writer.connection, d.totals, d.usage);
    if (!err)
        err = uv_removed_read(d.writer.connection, d.totals, d.removed);
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
        CHECK(result == SQLITE_OK); // busy would mean that a statement is not finalized
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
        return; // still running: the caller's deadline has passed, and the loop will not close either
    w.database = nullptr;
    close_connection(d->reader.connection);
    close_connection(d->writer.connection); // the last connection to close writes the log back into the file
    if (d->file_fd >= 0)
        close(d->file_fd);
    if (d->lock_fd >= 0)
        close(d->lock_fd);
    delete d;
}

} // namespace etlnode
