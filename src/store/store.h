// SPDX-License-Identifier: MIT
// store/store.h: the objects of one target: an index that also holds small contents, immutable files for larger ones, and a cache of hot
// entries (docs/DISK.md).
//
// <dir>/tmp/<id> receives content. After the index commit it moves to <dir>/objects/<xx>/<id>; a lookup falls back to tmp/. The id is 16
// hex digits, and <xx> are the 13th and 14th of them (content_path.h), so that contents stored one after the other share a directory.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/limits.h"
#include "port/disk.h"
#include "port/env.h"
#include "port/index.h"

namespace etlnode {

struct store;

struct store_options {
    std::string dir;                    // exists and is writable
    size_t cached_objects_max = 10'000; // entries with an open descriptor, least recently used go first; keep it well below RLIMIT_NOFILE
    size_t cached_inline_max = cached_inline_max_default; // entries with their content in memory, likewise
    size_t cached_bytes_max = etlnode::cached_bytes_max;  // of their contents together; and of what is known of the blocks of open files
    // Contents up to this size are put into the index; 0: none; at most that
    size_t index_content_size_max = etlnode::index_content_size_max;
};

struct store_counts {
    uint64_t hits = 0, misses = 0; // of the cache
    uint64_t puts = 0, put_bytes = 0, put_failures = 0;
    uint64_t removed = 0;
    uint64_t damaged = 0;         // damaged blocks and small contents found, counted each time
    uint64_t garbage_pending = 0; // content files waiting to be unlinked
};

// Calls on_ready once, when the directories exist and tmp/ is swept: files whose id the index does not know are unlinked, and the others
// are moved to their place. Garbage is unlinked in the background.
void store_open(env &e, const store_options &options, void (*on_ready)(void *arg, error err, store *s), void *arg);
// Waits for nothing: the pointer is invalid at once. Disk operations in progress end in the background, so the loop must run until then. A
// store_get in progress completes with `stopping`. Requires: no put in progress, every object released.
void store_close(store *s);
const store_counts &store_count(const store &s);

// An object as it was when it was looked up. Later overwrites and removals do not change it.
struct store_entry; // internal to the store
struct store_object {
    index_row row;
    disk_file *file = nullptr; // open for reading; null if the content is in `content` or empty
    std::string content;       // the whole content, if it is in the index
    bool has_content = false;  // `content` is all of it; true for an empty object
    bool is_damaged = false;   // a damaged block was found since the lookup: whatever was made from it must not count as good
    store_entry *entry = nullptr;
};
// Looks in the cache only, without waiting; null if it is not there (then use store_get). The caller must release it.
const store_object *store_peek(store &s, std::string_view bucket, std::string_view name);
// Whether the object is likely to be read again soon. What goes over whole buckets reads `once`: a miss then leaves the cache as it is, so
// that clients keep what they read often.
enum class store_use : uint8_t { again, once };
// Completes once. Errors: object_not_found; io; corrupt (content missing or of the wrong size, or a small one with a wrong checksum);
// too_many_files.
void store_get(store &s, std::string bucket, std::string name, void (*on_object)(void *arg, error err, const store_object *object),
    void *arg, store_use use = store_use::again);
void store_release(store &s, const store_object *object);
// Adds a reference for another reader, who must also release it.
const store_object *store_share(store &s, const store_object &object);
// Whether sending the content may begin at `offset`. If not, see store_check. The rest is checked while it is sent: net_send_file fails
// with `corrupt` at a damaged block.
bool store_is_checked(store &s, const store_object *object, uint64_t offset);
// Completes once: with the object if the block at `offset` is sound; otherwise with corrupt or io, and then the object has been released.
void store_check(
    store &s, const store_object *object, uint64_t offset, void (*on_object)(void *arg, error err, const store_object *object), void *arg);

// --- writing one object: start, any number of buffers, commit; or abort at any time

struct put;
// The caller has checked the names. `content_type` is stored unchanged.
put *put_start(store &s, std::string bucket, std::string name, std::string content_type);
// Where the next bytes go: put_buffer_size bytes. Requires: no put_write in progress.
std::span<char> put_buffer(put &p);
// Takes the first `size` bytes of the buffer; completes once, when the buffer is free again or writing has failed (no_space, io). After a
// failure only put_abort may follow.
void put_write(put &p, size_t size, void (*on_written)(void *arg, error err), void *arg);
// The first `size` bytes of the buffer are the last of the content (0: none). A content that never used put_write may go into the index,
// without a file. Completing with ok means that it is durable: the content is synced and the index committed. `row` is the new row, without
// its content. If has_expected is set, `expected_checksum` is compared: checksum_mismatch stores nothing, and the row's checksum is that of
// the bytes. Other errors: no_space, io, too_many_files. The put is freed after the completion, whatever the result.
void put_commit(put &p, size_t size, bool has_expected, uint64_t expected_checksum,
    void (*on_done)(void *arg, error err, const index_row &row), void *arg);
// Nothing becomes visible, and the temporary file, if any, is removed. Not after put_commit, unless the put is held. The pointer is invalid
// at once; a put_write in progress never completes.
void put_abort(put &p);

// What a new version must agree with, beyond what the index has here; see index_change.
struct store_terms {
    uint64_t tag = 0;
    uint64_t version_above = 0;
    bool has_expected = false; // then the commit may fail with `conflict`
    uint64_t expected_version = 0;
};
// For this put instead of the store's own (store_set_terms). Until put_commit or, if it is held, put_release.
void put_set_terms(put &p, const store_terms &terms);
// What is kept beside the content (store/object_extras.h). Until put_commit.
void put_set_custom(put &p, std::string custom);
// The content is a copy of another target's row, whose version, changed_ns, etag, custom and tag (the one that it gets here) are given.
// `conflict`: this copy or a newer one is here.
void put_set_copy(put &p, const index_row &row, uint64_t origin_tag);
// Before put_commit: `on_ready` is called when only the row is missing: everything else is durable. Then put_release or put_abort must
// follow. If that point is not reached, the put completes with its error, as always.
void put_hold(put &p, void (*on_ready)(void *arg), void *arg);
// Of a put that is held, and that wrote to its file (put_write): where its bytes are, until put_release or put_abort.
std::string put_held_path(const put &p);
uint64_t put_held_checksum(const put &p); // XXH64
// Whether put_commit would hand the row to the index before it returns.
bool put_commits_at_once(const put &p, size_t size);
void put_release(put &p);
// For every put from now on, until it is handed to the index.
void store_set_terms(store &s, const store_terms &terms);

// Each completes once. Readers that have the content open can still read it. Errors: object_not_found.
void store_remove(store &s, std::string bucket, std::string name, void (*on_done)(void *arg, error err), void *arg);
// Removes every object of the bucket; a bucket without objects is fine.
void store_remove_bucket(store &s, std::string bucket, void (*on_done)(void *arg, error err), void *arg);
// Hands a change of one name to the index, and lets the cache and the files follow it. For put_moved only tombstones, and contents that fit
// into the index (store_fits_index); the others are puts with put_set_copy.
void store_change(store &s, index_change change, void (*on_done)(void *arg, error err, const index_change &change), void *arg);
bool store_fits_index(const store &s, uint64_t size);
// A row or a tombstone; see index_lookup.
void store_lookup(store &s, std::string bucket, std::string name, index_on_rows on_rows, void *arg);
// Rows and tombstones in order of name; see index_page_all.
void store_page_all(store &s, std::string bucket, std::string prefix, std::string after, size_t count, index_on_rows on_rows, void *arg);
// Rows in order of name; see index_page.
void store_page(store &s, std::string bucket, std::string prefix, std::string after, size_t count, index_on_rows on_rows, void *arg);
uint64_t store_object_count(store &s);
uint64_t store_byte_count(store &s); // the sum of their sizes
const index_usage_map &store_bucket_usage(store &s);

} // namespace etlnode
