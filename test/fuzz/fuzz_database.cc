// SPDX-License-Identifier: MIT
// test/fuzz/fuzz_database.cc: the node's SQLite file with foreign rows in it, and sometimes with damaged bytes. Every operation completes
// once, with what the rows say or with an error, and whatever is put afterwards can be read.
//
// The input is SQL that inserts, updates and deletes. It runs before the node opens the file.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include <sqlite3.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "control/document.h"
#include "fuzz.h"
#include "port/clock.h"
#include "port/index.h"
#include "port/meta.h"
#include "sm/sm.h"
#include "store/content_path.h"
#include "store/store.h"
#include "uv/uv_env.h"

using namespace etlnode;

namespace {

namespace fs = std::filesystem;
static constexpr uint64_t patience_ms = 20'000;

// --- the folder, on a file system in memory if there is one

static std::string folder;

static void remove_folder()
{
    std::error_code ignored;
    fs::remove_all(folder, ignored);
}

static void write_file(const std::string &path, std::string_view bytes)
{
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    FUZZ_CHECK(file.good());
}

static std::string read_file(const std::string &path)
{
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

static env *open_env(std::string &detail, error &err)
{
    uv_env_options options;
    options.data_dir = folder;
    options.seed = 7;
    env *e = nullptr;
    err = uv_env_make(options, &e, detail);
    return err ? nullptr : e;
}

// A new database, as the node creates it.
static const std::string &fresh_database()
{
    static std::string bytes;
    if (!bytes.empty())
        return bytes;
    log_set_level(log_level::error);
    const char *given = std::getenv("TMPDIR"); // set by run.py, which also removes it
    for (std::string place : {std::string(given != nullptr ? given : "/dev/shm"), std::string("/tmp")}) {
        place += "/etlnode-fuzz-XXXXXX";
        if (mkdtemp(place.data()) != nullptr) {
            folder = place;
            break;
        }
    }
    FUZZ_CHECK(!folder.empty());
    (void)std::atexit(remove_folder);
    std::string detail;
    error err;
    env *e = open_env(detail, err);
    FUZZ_CHECK(e != nullptr && !uv_env_free(e));
    // The content ids 1 and 2 have been assigned.
    sqlite3 *db = nullptr;
    FUZZ_CHECK(sqlite3_open((folder + "/node.db").c_str(), &db) == SQLITE_OK);
    FUZZ_CHECK(sqlite3_exec(db, "UPDATE buckets SET content_id_max = 2 WHERE bucket = x''", nullptr, nullptr, nullptr) == SQLITE_OK);
    FUZZ_CHECK(sqlite3_close(db) == SQLITE_OK);
    bytes = read_file(folder + "/node.db");
    FUZZ_CHECK(!bytes.empty());
    return bytes;
}

// --- the input's changes

// Only rows: an input that could change the schema could create an entirely different database.
static int authorize(void *, int action, const char *, const char *, const char *, const char *)
{
    switch (action) {
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE:
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_FUNCTION: return SQLITE_OK;
    default: return SQLITE_DENY;
    }
}

static void run_script(const std::string &path, const std::string &script)
{
    sqlite3 *db = nullptr;
    FUZZ_CHECK(sqlite3_open(path.c_str(), &db) == SQLITE_OK);
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, 1 << 20);
    FUZZ_CHECK(sqlite3_exec(db, "PRAGMA synchronous = OFF", nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_set_authorizer(db, authorize, nullptr);
    sqlite3_progress_handler(
        db, 20'000, [](void *) { return 1; }, nullptr);
    // Run it statement by statement, so that an error in one does not affect the others.
    for (const char *rest = script.c_str(); *rest != '\0';) {
        sqlite3_stmt *statement = nullptr;
        const char *next = rest;
        if (sqlite3_prepare_v2(db, rest, -1, &statement, &next) != SQLITE_OK) {
            const char *end = std::strchr(rest, ';');
            next = end != nullptr ? end + 1 : rest + std::strlen(rest);
        }
        while (statement != nullptr && sqlite3_step(statement) == SQLITE_ROW)
            ;
        sqlite3_finalize(statement);
        rest = next > rest ? next : rest + 1;
    }
    FUZZ_CHECK(sqlite3_close(db) == SQLITE_OK);
}

struct key {
    std::string bucket, name;
    bool lacks_content = false; // its content should be in the index, but is not
};

static std::string column_bytes(sqlite3_stmt *statement, int column)
{
    const void *bytes = sqlite3_column_blob(statement, column);
    return bytes == nullptr ? std::string()
                            : std::string(static_cast<const char *>(bytes), static_cast<size_t>(sqlite3_column_bytes(statement, column)));
}

static bool holds(sqlite3 *db, const char *count_sql)
{
    sqlite3_stmt *statement = nullptr;
    bool is_one = sqlite3_prepare_v2(db, count_sql, -1, &statement, nullptr) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW &&
                  sqlite3_column_int(statement, 0) == 1;
    sqlite3_finalize(statement);
    return is_one;
}

struct facts {
    bool totals_are_numbers = false; // otherwise the node must refuse to open the file
    bool ids_fit = false;            // the highest content id is correct; if it is too low, new contents get ids that belong to others
};

// The objects that exist, judged by the column types that the node writes.
static std::vector<key> keys_in(const std::string &path, facts &out_facts)
{
    std::vector<key> keys;
    sqlite3 *db = nullptr;
    sqlite3_stmt *statement = nullptr;
    FUZZ_CHECK(sqlite3_open(path.c_str(), &db) == SQLITE_OK);
    const char *sql = "SELECT bucket, name, in_index, size, (SELECT bytes FROM contents WHERE content_id = o.content_id) FROM objects o"
                      " WHERE typeof(bucket) = 'blob' AND typeof(name) = 'blob' ORDER BY bucket, name LIMIT 40";
    if (sqlite3_prepare_v2(db, sql, -1, &statement, nullptr) == SQLITE_OK) {
        while (sqlite3_step(statement) == SQLITE_ROW) {
            bool is_whole = sqlite3_column_int64(statement, 3) == static_cast<sqlite3_int64>(column_bytes(statement, 4).size());
            keys.push_back({column_bytes(statement, 0), column_bytes(statement, 1), sqlite3_column_int64(statement, 2) != 0 && !is_whole});
        }
    }
    sqlite3_finalize(statement);
    out_facts.totals_are_numbers = holds(db, "SELECT count(*) FROM buckets WHERE bucket = x'' AND typeof(objects) = 'integer' AND objects "
                                             ">= 0 AND typeof(content_id_max) = 'integer'"
                                             " AND content_id_max BETWEEN 0 AND 4611686018427387904");
    out_facts.ids_fit = holds(db, "SELECT count(*) FROM buckets WHERE bucket = x'' AND content_id_max >= 2 AND content_id_max >= (SELECT "
                                  "ifnull(max(content_id), 0) FROM objects)"
                                  " AND content_id_max >= (SELECT ifnull(max(content_id), 0) FROM contents)");
    sqlite3_close(db);
    return keys;
}

// --- queries to the node

struct answered {
    size_t count = 0; // completions; must become one
    error err;
    std::vector<index_row> rows;
    std::vector<uint64_t> ids;
    uint64_t version = 0; // or the number of bytes read
    std::string text;
    store *s = nullptr;
    const store_object *object = nullptr;
};

static answered &answered_of(void *arg)
{
    answered &a = *static_cast<answered *>(arg);
    a.count++;
    return a;
}

static void on_rows(void *arg, error err, std::vector<index_row> rows)
{
    answered &a = answered_of(arg);
    a.err = err;
    a.rows = std::move(rows);
}

static void on_ids(void *arg, error err, const std::vector<uint64_t> &ids)
{
    answered &a = answered_of(arg);
    a.err = err;
    a.ids = ids;
}

static void on_read(void *arg, error err, uint64_t version, const std::string &text)
{
    answered &a = answered_of(arg);
    a.err = err;
    a.version = version;
    a.text = text;
}

static void on_done(void *arg, error err) { answered_of(arg).err = err; }

static void on_store(void *arg, error err, store *s)
{
    answered &a = answered_of(arg);
    a.err = err;
    a.s = s;
}

static void on_object(void *arg, error err, const store_object *object)
{
    answered &a = answered_of(arg);
    a.err = err;
    a.object = object;
}

static void on_content(void *arg, error err, size_t size)
{
    answered &a = answered_of(arg);
    a.err = err;
    a.version = size;
}

static void on_put(void *arg, error err, const index_row &row)
{
    answered &a = answered_of(arg);
    a.err = err;
    a.rows = {row};
}

static void await(env &e, const answered &a)
{
    uint64_t end = clock_now_ms(e) + patience_ms;
    while (a.count == 0) {
        uv_env_poll(e, 100);
        FUZZ_CHECK(clock_now_ms(e) < end);
    }
    FUZZ_CHECK(a.count == 1);
}

static void check_rows(env &e, const std::vector<key> &keys, bool is_sound)
{
    for (const key &k : keys) {
        answered got;
        index_get(e, k.bucket, k.name, on_rows, &got);
        await(e, got);
        FUZZ_CHECK(!is_sound || got.err.code == (k.lacks_content ? error_code::corrupt : error_code::ok));
        if (got.err)
            continue;
        FUZZ_CHECK(got.rows.size() == 1);
        FUZZ_CHECK(got.rows[0].content.size() == (got.rows[0].in_index ? got.rows[0].size : 0));
        FUZZ_SAME(got.rows[0].bucket, k.bucket);
        FUZZ_SAME(got.rows[0].name, k.name);
    }
}

static void check_pages(env &e, const std::vector<key> &keys, bool is_sound)
{
    for (size_t i = 0; i < keys.size() && i < 8; i++) {
        const key &k = keys[i];
        std::string prefix = k.name.substr(0, k.name.size() / 2);
        std::string after = i % 2 == 0 ? std::string() : k.name;
        answered page;
        index_page(e, k.bucket, prefix, after, 5, on_rows, &page);
        await(e, page);
        FUZZ_CHECK(!is_sound || !page.err);
        FUZZ_CHECK(page.rows.size() <= 5);
        for (size_t j = 0; j < page.rows.size() && is_sound; j++) {
            const index_row &row = page.rows[j];
            FUZZ_CHECK(
                row.bucket == k.bucket && row.name.starts_with(prefix) && (after.empty() || row.name > after) && row.content.empty());
            FUZZ_CHECK(j == 0 || page.rows[j - 1].name < row.name);
        }
    }
}

static void check_documents(env &e, bool is_sound)
{
    for (const char *name : {"document", "cluster", "nothing"}) {
        answered read, swap, again;
        meta_read(e, name, on_read, &read);
        await(e, read);
        if (read.err)
            continue;
        cluster_document document;
        error parsed = document_parse(read.text, document);
        FUZZ_CHECK(!parsed || parsed.code == error_code::corrupt || parsed.code == error_code::newer_version);
        if (read.version == UINT64_MAX)
            continue;
        meta_swap(e, name, read.version, read.version + 1, "new", on_done, &swap);
        await(e, swap);
        FUZZ_CHECK(!is_sound || !swap.err);
        meta_read(e, name, on_read, &again);
        await(e, again);
        FUZZ_CHECK(!is_sound || (!again.err && again.version == read.version + 1 && again.text == "new"));
    }
}

static std::string content_of(env &e, const store_object &object)
{
    if (object.has_content)
        return object.content;
    answered got;
    std::string bytes(static_cast<size_t>(object.row.size) + 1, '\0');
    disk_read(e, object.file, bytes.data(), bytes.size(), 0, on_content, &got);
    await(e, got);
    FUZZ_CHECK(!got.err);
    bytes.resize(static_cast<size_t>(got.version));
    return bytes;
}

static void check_get(env &e, store &s, const key &k, const std::string *wanted)
{
    answered got;
    store_get(s, k.bucket, k.name, on_object, &got);
    await(e, got);
    if (wanted != nullptr)
        FUZZ_CHECK(!got.err && content_of(e, *got.object) == *wanted);
    if (got.err)
        return;
    const store_object &object = *got.object;
    FUZZ_CHECK(object.row.bucket == k.bucket && object.row.name == k.name);
    FUZZ_CHECK(object.has_content != (object.file != nullptr));
    if (object.has_content)
        FUZZ_CHECK(object.content.size() == object.row.size &&
                   (object.row.size == 0 || XXH64(object.content.data(), object.content.size(), 0) == object.row.checksum));
    store_release(s, got.object);
}

static void check_put(env &e, store &s, const key &k, bool into_index, bool is_sound, bool ids_fit)
{
    std::string content = "put after " + k.name;
    put *p = put_start(s, k.bucket, k.name, "text/plain");
    content.resize(std::min<size_t>(content.size(), 1000));
    std::memcpy(put_buffer(*p).data(), content.data(), content.size());
    answered written, committed;
    if (!into_index) {
        put_write(*p, content.size(), on_done, &written);
        await(e, written);
    }
    if (written.err) {
        FUZZ_CHECK(!is_sound);
        put_abort(*p);
        return;
    }
    put_commit(*p, into_index ? content.size() : 0, true, XXH64(content.data(), content.size(), 0), on_put, &committed);
    await(e, committed);
    // A content under an id that was never assigned is not overwritten.
    FUZZ_CHECK(!is_sound || (into_index && !ids_fit) || !committed.err);
    if (!committed.err)
        check_get(e, s, k, is_sound && ids_fit ? &content : nullptr);
}

static void check_store(env &e, const std::vector<key> &keys, bool is_sound, bool ids_fit)
{
    store_options options;
    options.dir = folder;
    answered opened;
    store_open(e, options, on_store, &opened);
    await(e, opened);
    FUZZ_CHECK(!is_sound || !opened.err);
    if (opened.err)
        return;
    store &s = *opened.s;
    for (const key &k : keys)
        check_get(e, s, k, nullptr);
    for (bool into_index : {true, false}) {
        if (!keys.empty())
            check_put(e, s, keys[keys.size() / 2], into_index, is_sound, ids_fit);
        check_put(e, s, {"fuzz-bucket", "new"}, into_index, is_sound, ids_fit);
    }
    if (!keys.empty()) {
        answered removed;
        store_remove_bucket(s, keys[0].bucket, on_done, &removed);
        await(e, removed);
        FUZZ_CHECK(!is_sound || !removed.err);
    }
    FUZZ_CHECK(!is_sound || store_object_count(s) < INT64_MAX);
    store_close(&s);
}

static void check_lists(env &e)
{
    answered garbage, unplaced;
    index_garbage(e, on_ids, &garbage);
    index_pending_moves(e, on_ids, &unplaced);
    await(e, garbage);
    await(e, unplaced);
}

// Changes some bytes of the file.
static bool overturn(rng &r, const std::string &path)
{
    if (rng_below(r, 4) != 0)
        return false;
    std::string bytes = read_file(path);
    for (size_t i = 1 + static_cast<size_t>(rng_below(r, 8)); i > 0 && !bytes.empty(); i--)
        bytes[rng_below(r, bytes.size())] = static_cast<char>(rng_next(r));
    write_file(path, bytes);
    return true;
}

} // namespace

FUZZ_TARGET(database)
{
    sm_set_strict(true);
    const std::string &fresh = fresh_database();
    std::string path = folder + "/node.db";
    for (const char *name : {"/node.db", "/node.db-wal", "/node.db-shm", "/tmp", "/objects"}) {
        std::error_code ignored;
        fs::remove_all(folder + name, ignored);
    }
    write_file(path, fresh);
    run_script(path, std::string(text));
    facts found;
    std::vector<key> keys = keys_in(path, found);
    // Two existing contents, for rows that name them.
    for (uint64_t id : {uint64_t{1}, uint64_t{2}}) {
        std::error_code ignored;
        fs::create_directories(content_group_dir(folder, content_group(id)), ignored);
        write_file(content_final_path(folder, id), id == 1 ? "hello" : std::string(5'000, 'b'));
    }
    rng r = fuzz_rng(text);
    bool is_sound = !overturn(r, path);
    std::string detail;
    error err;
    env *e = open_env(detail, err);
    if (e == nullptr) {
        FUZZ_CHECK(!detail.empty() && text_is_utf8(detail));
        FUZZ_CHECK(!is_sound || (err.code == error_code::corrupt && !found.totals_are_numbers));
        return;
    }
    FUZZ_CHECK(!is_sound || found.totals_are_numbers);
    check_lists(*e);
    check_rows(*e, keys, is_sound);
    check_pages(*e, keys, is_sound);
    check_documents(*e, is_sound);
    check_store(*e, keys, is_sound, found.ids_fit);
    FUZZ_CHECK(!uv_env_free(e));
}
