// SPDX-License-Identifier: MIT
// port/index.h: the durable, ordered index of a target's objects.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
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
    uint64_t version = 0;    // 1 for a new object, +1 for each overwrite
    uint64_t checksum = 0;   // XXH64, seed 0, of the content
    uint64_t changed_ns = 0; // nanoseconds since 1970
    std::string content_type;
    std::string etag;      // set only if a client stored one
    std::string custom;    // custom metadata, a JSON object; empty if there is none
    std::string parts;     // reserved for multipart objects
    bool in_index = false; // the index holds the content; there is no file
    std::string content;   // the bytes of such a content: set for a put, returned by index_get; otherwise empty
    std::vector<uint64_t>
        sums; // of a file's blocks (port/disk.h, disk_guard): set for a put, returned by index_get; otherwise empty, also if unknown
};

// One change. `garbage` (ids of contents whose files must be removed) is written in the same transaction.
struct index_change {
    enum class kind : uint8_t { put, remove, remove_bucket } what = kind::put;
    index_row row; // remove: bucket and name only; remove_bucket: bucket only
    // Set by the index before the completion: the row that was replaced or removed (version 0: there was none).
    index_row before;
};

// What rows amount to.
struct index_usage {
    uint64_t objects = 0;
    uint64_t bytes = 0; // their sizes together
};
using index_usage_map = std::map<std::string, index_usage, std::less<>>; // by bucket

using index_on_rows = void (*)(void *arg, error err, std::vector<index_row> rows);
using index_on_change = void (*)(void *arg, error err, index_change &change);
using index_on_garbage = void (*)(void *arg, error err, const std::vector<uint64_t> &content_ids);
using index_on_done = void (*)(void *arg, error err);

struct index_port {
    void (*get)(env &e, const std::string &bucket, const std::string &name, index_on_rows on_rows, void *arg);
    void (*page)(env &e, const std::string &bucket, const std::string &prefix, const std::string &after, size_t count,
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
// Durable on completion. Changes submitted during a commit are committed together by the next one, in the order given.
// The index chooses a put's row.version: before.version + 1. The content of a replaced or removed row becomes garbage in the same commit;
// if the index held it (before.in_index), the commit deletes its bytes and there is no garbage. A put that names the content of the row it
// replaces changes only the rest of the row. Removing a missing row: object_not_found.
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
// The highest content id ever committed, with or without a file, read once at open. New ids start above it and above all ids in tmp/.
inline uint64_t index_content_id_max(env &e) { return e.index->content_id_max(e); }

} // namespace etlnode
