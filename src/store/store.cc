// SPDX-License-Identifier: MIT
// store/store.cc: lookups through the cache, removals, pages, and the end of a store.
//
// Owns     the cache, and requests that wait for one answer of the index.
// Knows    its machines: open, put, load, housekeeping.   Known by  transfer, role.
// Limits   cached_objects_max, cached_inline_max (store_options).
#include "store/store.h"

#include <memory>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/text.h"
#include "store/set_aside.h"
#include "store/store_internal.h"

namespace etlnode {

// --- the cache, and operations in progress

void store_forget(store &s, std::string_view bucket, std::string_view name)
{
    cache_drop(s.cache, bucket, name);
    load_outdate(s, bucket, name);
}

void store_forget_bucket(store &s, std::string_view bucket)
{
    cache_drop_bucket(s.cache, bucket);
    load_outdate_bucket(s, bucket);
}

void store_discard_content(store &s, const index_row &before)
{
    if (before.content_id != 0 && !before.in_index)
        housekeeping_add_garbage(s.housekeeper, before.content_id);
}

void store_retain_unconfirmed(store &s, uint64_t content_id) { s.unconfirmed.push_back(content_id); }

void store_commit_succeeded(store &s)
{
    for (uint64_t id : s.unconfirmed)
        housekeeping_add_orphan(s.housekeeper, id);
    s.unconfirmed.clear();
}

const store_counts &store_count(const store &s)
{
    s.counts.garbage_pending = housekeeping_garbage_count(s.housekeeper);
    return s.counts;
}

uint64_t store_object_count(store &s) { return index_object_count(*s.e); }
uint64_t store_byte_count(store &s) { return index_byte_count(*s.e); }
const index_usage_map &store_bucket_usage(store &s) { return index_bucket_usage(*s.e); }

// --- lookups

const store_object *store_peek(store &s, std::string_view bucket, std::string_view name)
{
    store_entry *entry = cache_find(s.cache, bucket, name);
    if (entry == nullptr)
        return nullptr;
    s.counts.hits++;
    return cache_acquire(s.cache, *entry);
}

// A result that is known already but must not be delivered before store_get has returned.
struct cached_answer {
    store *owner;
    const store_object *object;
    store_on_object on_object;
    void *arg;
};

static void give_cached_answer(void *arg)
{
    cached_answer answer = *static_cast<cached_answer *>(arg);
    delete static_cast<cached_answer *>(arg);
    answer.on_object(answer.arg, no_error, answer.object);
    store_unref(*answer.owner);
}

void store_get(store &s, std::string bucket, std::string name, store_on_object on_object, void *arg, store_use use)
{
    CHECK(!s.closing);
    const store_object *object = store_peek(s, bucket, name);
    if (object != nullptr) {
        store_ref(s);
        clock_post(*s.e, give_cached_answer, new cached_answer{&s, object, on_object, arg});
        return;
    }
    s.counts.misses++;
    load_request(s, std::move(bucket), std::move(name), on_object, arg, use);
}

void store_release(store &s, const store_object *object) { cache_release(s.cache, object); }
const store_object *store_share(store &s, const store_object &object) { return cache_acquire(s.cache, *object.entry); }

// --- damage

void store_note_damage(store &s, const index_row &row, uint64_t offset, const char *what)
{
    s.counts.damaged++;
    LOG(error, "store", "object=\"ais://%s/%s\" content=%016llx offset=%llu msg=\"data is corrupt: %s\"", text_escape(row.bucket).c_str(),
        text_escape(row.name).c_str(), static_cast<unsigned long long>(row.content_id), static_cast<unsigned long long>(offset), what);
}

// A reader of the object continues and is stopped at the damaged block. The next reader opens the file again, which may have been repaired
// by then.
static void on_damage(void *arg, uint64_t offset)
{
    store_entry &entry = *static_cast<store_entry *>(arg);
    store &s = *entry.owner;
    entry.object.is_damaged = true;
    store_note_damage(s, entry.object.row, offset, "the content does not match its sum");
    if (entry.is_cached)
        cache_drop(s.cache, entry.object.row.bucket, entry.object.row.name); // this may free the entry
}

void store_guard(store &s, store_entry &entry)
{
    index_row &row = entry.object.row;
    entry.owner = &s;
    if (entry.object.file != nullptr && !row.sums.empty())
        disk_guard(*s.e, entry.object.file, row.size, row.sums, on_damage, &entry);
    std::vector<uint64_t>().swap(row.sums); // the file holds them now
}

void store_note_sums(void *arg, const index_row &row, bool is_damaged)
{
    store &s = *static_cast<store *>(arg);
    if (is_damaged)
        store_note_damage(s, row, 0, "the content does not match its checksum");
    store_forget(s, row.bucket, row.name); // it was opened without a guard
}

bool store_is_checked(store &s, const store_object *object, uint64_t offset)
{
    return object->file == nullptr || offset >= object->row.size || disk_is_checked(*s.e, object->file, offset);
}

// The caller still holds the object, so its file stays open and the store cannot be closed.
struct store_look {
    store *owner;
    const store_object *object;
    store_on_object on_object;
    void *arg;
};

static void on_looked(void *arg, error err)
{
    store_look look = *static_cast<store_look *>(arg);
    delete static_cast<store_look *>(arg);
    if (err)
        store_release(*look.owner, look.object);
    look.on_object(look.arg, err, err ? nullptr : look.object);
}

void store_check(store &s, const store_object *object, uint64_t offset, store_on_object on_object, void *arg)
{
    auto *look = new store_look{&s, object, on_object, arg};
    disk_check(*s.e, object->file, offset, on_looked, look);
}

// --- removals and pages: one index query each

struct store_request {
    store *owner = nullptr;
    std::string bucket, name;
    void (*on_done)(void *arg, error err) = nullptr;
    index_on_rows on_rows = nullptr;
    void *arg = nullptr;
};

static store_request *make_request(store &s, void *arg)
{
    CHECK(!s.closing);
    auto *request = new store_request;
    request->owner = &s;
    request->arg = arg;
    store_ref(s);
    return request;
}

static void finish(store_request *request, error err)
{
    store &s = *request->owner;
    auto on_done = request->on_done;
    void *arg = request->arg;
    delete request;
    on_done(arg, err);
    store_unref(s);
}

static void on_removed(void *arg, error err, index_change &change)
{
    auto *request = static_cast<store_request *>(arg);
    store &s = *request->owner;
    if (!err) {
        s.counts.removed++;
        store_forget(s, request->bucket, request->name);
        store_discard_content(s, change.before);
        store_commit_succeeded(s);
    }
    finish(request, err);
}

void store_remove(store &s, std::string bucket, std::string name, void (*on_done)(void *arg, error err), void *arg)
{
    store_request *request = make_request(s, arg);
    request->on_done = on_done;
    index_change change;
    change.what = index_change::kind::remove;
    change.row.bucket = bucket;
    change.row.name = name;
    request->bucket = std::move(bucket);
    request->name = std::move(name);
    index_commit(*s.e, std::move(change), on_removed, request);
}

void store_set_terms(store &s, const store_terms &terms) { s.terms = terms; }

bool store_fits_index(const store &s, uint64_t size) { return size <= s.options.index_content_size_max; }

struct store_change_request {
    store *owner;
    void (*on_done)(void *arg, error err, const index_change &change);
    void *arg;
};

static void on_changed(void *arg, error err, index_change &change)
{
    std::unique_ptr<store_change_request> request(static_cast<store_change_request *>(arg));
    store &s = *request->owner;
    if (!err) {
        store_forget(s, change.row.bucket, change.row.name);
        bool keeps_content = change.what == index_change::kind::put && change.row.content_id == change.before.content_id;
        if (!keeps_content)
            store_discard_content(s, change.before);
        store_commit_succeeded(s);
    }
    request->on_done(request->arg, err, change);
    store_unref(s);
}

void store_change(store &s, index_change change, void (*on_done)(void *arg, error err, const index_change &change), void *arg)
{
    CHECK(!s.closing);
    if (change.what == index_change::kind::put_moved && !change.row.is_tombstone && change.row.size > 0 &&
        !(store_row_is_damaged(change.row) && change.row.content.empty())) {
        CHECK(store_fits_index(s, change.row.size) && change.row.content.size() == change.row.size);
        change.row.content_id = s.next_content_id++;
        change.row.in_index = true;
    }
    store_ref(s);
    index_commit(*s.e, std::move(change), on_changed, new store_change_request{&s, on_done, arg});
}

// Only the garbage table knows the contents of a removed bucket.
static void on_bucket_garbage(void *arg, error err, const std::vector<uint64_t> &content_ids)
{
    auto *request = static_cast<store_request *>(arg);
    if (!err && !request->owner->closing) {
        for (uint64_t id : content_ids)
            housekeeping_add_garbage(request->owner->housekeeper, id);
    }
    finish(request, no_error); // the removal itself is durable; without the list, the next start removes the files
}

static void on_bucket_removed(void *arg, error err, index_change &)
{
    auto *request = static_cast<store_request *>(arg);
    if (err) {
        finish(request, err);
        return;
    }
    store_forget_bucket(*request->owner, request->bucket);
    index_garbage(*request->owner->e, on_bucket_garbage, request);
}

void store_remove_bucket(store &s, std::string bucket, void (*on_done)(void *arg, error err), void *arg)
{
    store_request *request = make_request(s, arg);
    request->on_done = on_done;
    index_change change;
    change.what = index_change::kind::remove_bucket;
    change.row.bucket = bucket;
    request->bucket = std::move(bucket);
    index_commit(*s.e, std::move(change), on_bucket_removed, request);
}

static void on_page(void *arg, error err, std::vector<index_row> rows)
{
    auto *request = static_cast<store_request *>(arg);
    store &s = *request->owner;
    auto on_rows = request->on_rows;
    void *rows_arg = request->arg;
    delete request;
    on_rows(rows_arg, err, std::move(rows));
    store_unref(s);
}

void store_page(store &s, std::string bucket, std::string prefix, std::string after, size_t count, index_on_rows on_rows, void *arg)
{
    store_request *request = make_request(s, arg);
    request->on_rows = on_rows;
    index_page(*s.e, bucket, prefix, after, count, on_page, request);
}

void store_page_all(store &s, std::string bucket, std::string prefix, std::string after, size_t count, index_on_rows on_rows, void *arg)
{
    store_request *request = make_request(s, arg);
    request->on_rows = on_rows;
    index_page_all(*s.e, bucket, prefix, after, count, on_page, request);
}

void store_lookup(store &s, std::string bucket, std::string name, index_on_rows on_rows, void *arg)
{
    store_request *request = make_request(s, arg);
    request->on_rows = on_rows;
    index_lookup(*s.e, bucket, name, on_page, request);
}

// --- the end

static void free_if_over(store &s)
{
    if (!s.closing || s.holds > 0)
        return;
    CHECK(s.cache.lent_count == 0);
    delete &s;
}

void store_unref(store &s)
{
    CHECK(s.holds > 0);
    s.holds--;
    free_if_over(s);
}

static void on_part_ended(void *arg) { store_unref(*static_cast<store *>(arg)); }

void store_close(store *s)
{
    CHECK(!s->closing);
    CHECK(s->cache.lent_count == 0);
    s->closing = true;
    cache_drop_all(s->cache);
    load_stop_all(*s);
    summer_stop(s->sums, on_part_ended, s);
    housekeeping_stop(s->housekeeper, on_part_ended, s); // this may free the store
}

} // namespace etlnode
