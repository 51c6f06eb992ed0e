// SPDX-License-Identifier: MIT
// port/index.h: the durable, ordered index of a target's objects.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "port/env.h"

namespace etlnode {

// One object. Its key is (bucket, name): opaque bytes, ordered bytewise.
struct index_row {
    std::string bucket;
    std::string name;
    uint64_t content_id = 0; // the immutable content: a file, or bytes in the index; 0: an empty object without either
    uint64_t size = 0;       // bytes
    uint64_t version = 0;    // orders all copies of an object; see index_commit
    uint64_t tag = 0;        // the epoch of placement in which it was committed here; of two copies of one version the higher tag is newer
    uint64_t checksum = 0;   // XXH64, seed 0, of the content
    uint64_t changed_ns = 0; // nanoseconds since 1970
    std::string content_type;
    std::string etag;      // set only if a client stored one
    std::string custom;    // what is kept beside the content (store/object_extras.h); empty: nothing
    std::string parts;     // reserved for multipart objects
    bool in_index = false; // the index holds the content; there is no file
    // A deleted object: bucket, name, version and tag only. It keeps an older copy, which another target still has, from coming back.
    bool is_tombstone = false;
    std::string content; // the bytes of such a content: set for a put, returned by index_get; otherwise empty
    std::vector<uint64_t>
        sums; // of a file's blocks (port/disk.h, disk_guard): set for a put, returned by index_get; otherwise empty, also if unknown
};

// One change. `garbage` (ids of contents whose files must be removed) is written in the same transaction.
struct index_change {
    enum class kind : uint8_t {
        put,
        remove,         // row: bucket and name; with leaves_tombstone also the tag
        remove_bucket,  // row: bucket only. Its tombstones and its removed_max go, too
        put_moved,      // a row or tombstone as another target has it, with its version
        drop_tombstone, // row: bucket and name
        raise_removed,  // removed_max of the row's bucket becomes at least the row's version
    } what = kind::put;
    index_row row;
    uint64_t version_above = 0;    // put, and remove with leaves_tombstone: the new version is greater than this, too
    uint64_t origin_tag = 0;       // put_moved: the tag that the copy has where it comes from; row.tag is the one it gets here
    bool leaves_tombstone = false; // remove: a tombstone takes the row's place, also if there is no row
    bool is_moved = false;         // remove, drop_tombstone: another target holds it, so removed_max does not rise
    // put, remove, drop_tombstone: nothing changes (conflict) unless the row or tombstone has this version; 0: there must be neither.
    bool has_expected = false;
    uint64_t expected_version = 0;
    // Set by the index before the completion: the row or tombstone that was replaced or removed, or that was in the way (version 0: there
    // was none).
    index_row before;
};

// What rows amount to.
struct index_usage {
    uint64_t objects = 0;
    uint64_t bytes = 0; // their sizes together
};
using index_usage_map = std::map<std::string, index_usage, std::less<>>; // by bucket
// The highest version of a row or tombstone of the bucket that was removed for good; by bucket, and only those with such removals.
using index_removed_map = std::map<std::string, uint64_t, std::less<>>;

using index_on_rows = void (*)(void *arg, error err, std::vector<index_row> rows);
using index_on_change = void (*)(void *arg, error err, index_change &change);
using index_on_garbage = void (*)(void *arg, error err, const std::vector<uint64_t> &content_ids);
using index_on_done = void (*)(void *arg, error err);

struct index_port {
    void (*get)(env &e, const std::string &bucket, const std::string &name, index_on_rows on_rows, void *arg);
    void (*page)(env &e, const std::string &bucket, const std::string &prefix, const std::string &after, size_t count,
        index_on_rows on_rows, void *arg);
    void (*lookup)(env &e, const std::string &bucket, const std::string &name, index_on_rows on_rows, void *arg);
    void (*page_all)(env &e, const std::string &bucket, const std::string &prefix, const std::string &after, size_t count,
        index_on_rows on_rows, void *arg);
    void (*change)(env &e, index_change change, index_on_change on_change, void *arg);
    void (*garbage)(env &e, index_on_garbage on_garbage, void *arg);
    void (*garbage_clear)(env &e, std::vector<uint64_t> content_ids, index_on_done on_done, void *arg);
    void (*pending_moves)(env &e, index_on_garbage on_pending_moves, void *arg);
    void (*placed)(env &e, std::vector<uint64_t> content_ids, index_on_done on_done, void *arg);
    void (*unsummed)(env &e, uint64_t after_id, size_t count, index_on_rows on_rows, void *arg);
    void (*sums_add)(env &e, index_row row, index_on_done on_done, void *arg);
    uint64_t (*object_count)(env &e);
    uint64_t (*content_id_max)(env &e);
    uint64_t (*byte_count)(env &e);
    const index_usage_map &(*bucket_usage)(env &e);
    const index_removed_map &(*removed)(env &e);
    uint64_t (*tombstone_count)(env &e);
    uint64_t (*change_count)(env &e);
};

// Every call completes exactly once and cannot be cancelled. The callee owns the rows that it is given.

// Returns one row, or no row and object_not_found. If the bytes of an in_index content are missing or are not `size` many: corrupt.
inline void index_get(env &e, const std::string &bucket, const std::string &name, index_on_rows on_rows, void *arg)
{
    e.index->get(e, bucket, name, on_rows, arg);
}
// At most `count` rows of the bucket, ordered by name: names that start with `prefix` and are greater than `after` ("": from the start).
// Contents are neither read nor returned.
inline void index_page(
    env &e, const std::string &bucket, const std::string &prefix, const std::string &after, size_t count, index_on_rows on_rows, void *arg)
{
    e.index->page(e, bucket, prefix, after, count, on_rows, arg);
}
// As index_get, but a tombstone is returned, too.
inline void index_lookup(env &e, const std::string &bucket, const std::string &name, index_on_rows on_rows, void *arg)
{
    e.index->lookup(e, bucket, name, on_rows, arg);
}
// As index_page, but with the tombstones between the rows.
inline void index_page_all(
    env &e, const std::string &bucket, const std::string &prefix, const std::string &after, size_t count, index_on_rows on_rows, void *arg)
{
    e.index->page_all(e, bucket, prefix, after, count, on_rows, arg);
}
// Durable on completion. Changes submitted during a commit are committed together by the next one, in the order given.
// The index chooses a put's row.version: one more than the highest of the row or tombstone it replaces, the bucket's removed_max, and
// version_above. So no version is given twice, also after a removal. put_moved keeps its version; it is a conflict if the copy here has a
// higher one, or the same and not a lower tag than origin_tag. A change that is a conflict is complete, and what was in its way is durable.
// The content of a replaced or removed row becomes garbage in the same commit;
// if the index held it (before.in_index), the commit deletes its bytes and there is no garbage. A put that names the content of the row it
// replaces changes only the rest of the row. Removing a missing row or tombstone: object_not_found. A row that is removed without a
// tombstone, and a tombstone that
// is dropped, raise the bucket's removed_max to their version.
// Without room (no_space) puts fail, but removals committed together with them succeed.
inline void index_commit(env &e, index_change change, index_on_change on_change, void *arg)
{
    e.index->change(e, std::move(change), on_change, arg);
}
// Ids of contents whose files are no longer needed. Call index_garbage_clear after unlinking them.
inline void index_garbage(env &e, index_on_garbage on_garbage, void *arg) { e.index->garbage(e, on_garbage, arg); }
inline void index_garbage_clear(env &e, std::vector<uint64_t> content_ids, index_on_done on_done, void *arg)
{
    e.index->garbage_clear(e, static_cast<std::vector<uint64_t> &&>(content_ids), on_done, arg);
}
// Ids of contents whose files have not been reported as placed yet. A put adds the content_id of its file to this set, and a change that
// turns a content into garbage removes it, each in the same transaction. The set is a small table of its own, so that start-up can tell an
// acknowledged file in tmp/ from an abandoned one without reading all rows.
inline void index_pending_moves(env &e, index_on_garbage on_pending_moves, void *arg) { e.index->pending_moves(e, on_pending_moves, arg); }
// The files of these contents are in their final place, and the caller has synced the directories: removes the ids from the set.
// Ids that are not in the set are fine. Durable on completion.
inline void index_placed(env &e, std::vector<uint64_t> content_ids, index_on_done on_done, void *arg)
{
    e.index->placed(e, static_cast<std::vector<uint64_t> &&>(content_ids), on_done, arg);
}
// At most `count` files that an earlier version of this program stored without sums, ordered by content id, starting above after_id. Each
// is a row with bucket, name, content_id, size and checksum. Version 0: the object is gone or has another content, and index_sums_add only
// takes it off the list.
inline void index_unsummed(env &e, uint64_t after_id, size_t count, index_on_rows on_rows, void *arg)
{
    e.index->unsummed(e, after_id, count, on_rows, arg);
}
// row: bucket, name, content_id and sums. If the object still has this content, its sums (if any) are stored. In either case the content
// leaves the list of those without sums. Durable on completion.
inline void index_sums_add(env &e, index_row row, index_on_done on_done, void *arg) { e.index->sums_add(e, std::move(row), on_done, arg); }
// Number of rows in the index, kept in memory.
inline uint64_t index_object_count(env &e) { return e.index->object_count(e); }
// The sum of the rows' sizes, kept in memory.
inline uint64_t index_byte_count(env &e) { return e.index->byte_count(e); }
// The buckets that have objects, kept in memory. Every commit changes this together with its rows, so a start reads what the last commit
// left. Lifetime: until control returns to the loop.
inline const index_usage_map &index_bucket_usage(env &e) { return e.index->bucket_usage(e); }
// What was removed for good. Lifetime: until control returns to the loop.
inline const index_removed_map &index_removed(env &e) { return e.index->removed(e); }
inline uint64_t index_removed_max(env &e, std::string_view bucket)
{
    const index_removed_map &removed = e.index->removed(e);
    auto found = removed.find(bucket);
    return found != removed.end() ? found->second : 0;
}
inline uint64_t index_tombstone_count(env &e) { return e.index->tombstone_count(e); }
// How often rows, tombstones and what was removed for good have changed since the index was made. It rises in the commit of each change and
// never falls, so an index that has less was copied before those changes. Changes without an effect are not counted.
inline uint64_t index_change_count(env &e) { return e.index->change_count(e); }
// The highest content id ever committed, with or without a file, read once at open. New ids start above it and above all ids in tmp/.
inline uint64_t index_content_id_max(env &e) { return e.index->content_id_max(e); }

} // namespace etlnode
