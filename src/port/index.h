// SPDX-License-Identifier: MIT
// port/index.h: the durable, ordered index of a target's objects, and the small durable documents of a node (port/meta.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "port/env.h"

namespace etlnode {

// One object. Key: (bucket, name), both opaque bytes, ordered bytewise.
struct index_row {
    std::string bucket;
    std::string name;
    uint64_t content_id = 0; // names the immutable content: a file, or in_index; 0: empty object, neither
    uint64_t size = 0;       // bytes
    uint64_t version = 0;    // 1 for a new object, +1 for each overwrite
    uint64_t checksum = 0;   // XXH64, seed 0, of the content
    uint64_t changed_ns = 0; // nanoseconds since 1970
    std::string content_type;
    std::string etag;      // only where a client stored one
    std::string custom;    // custom metadata, a JSON object; empty: none
    std::string parts;     // reserved for multipart objects
    bool in_index = false; // the index holds the content, there is no file
    std::string content;   // its bytes then: given with a put, told by index_get; else empty
    std::vector<uint64_t>
        sums; // of a file's blocks (port/disk.h, disk_guard): given with a put, told by index_get; else, and where none are known, empty
};

// One change. `garbage` (content ids whose files are to be removed) is written in the same transaction.
struct index_change {
    enum class kind : uint8_t { put, remove, remove_bucket } what = kind::put;
    index_row row; // remove: bucket and name only; remove_bucket: bucket only
    // Filled by the index before the completion: the row that was replaced or removed (version 0: there was none).
    index_row before;
};

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
};

// Every call completes exactly once; no cancel. Rows handed over are the callee's.

// One row, or none and error_code::object_not_found. The row of an in_index content whose bytes are missing or not `size` many: corrupt.
inline void index_get(env &e, const std::string &bucket, const std::string &name, index_on_rows on_rows, void *arg)
{
    e.index->get(e, bucket, name, on_rows, arg);
}
// At most `count` rows of the bucket in order of name: names that start with `prefix` and are greater than `after` ("": from the start).
// Contents are neither read nor told.
inline void index_page(
    env &e, const std::string &bucket, const std::string &prefix, const std::string &after, size_t count, index_on_rows on_rows, void *arg)
{
    e.index->page(e, bucket, prefix, after, count, on_rows, arg);
}
// Durable when it completes. Changes given while a commit is under way are committed together by the next one, in order given. A put's
// row.version is chosen by the index: before.version + 1. The content of a replaced or removed row becomes garbage in the same commit; where
// the index held it (before.in_index) its bytes go in that commit, and there is no garbage. A put that names the content of the row it
// replaces changes the rest of the row only. remove of a missing row: object_not_found.
// Without room (no_space) puts fail and removals that were committed together with them do not.
inline void index_commit(env &e, index_change change, index_on_change on_change, void *arg)
{
    e.index->change(e, std::move(change), on_change, arg);
}
// Content ids whose files nobody needs any more; after unlinking them call index_garbage_clear.
inline void index_garbage(env &e, index_on_garbage on_garbage, void *arg) { e.index->garbage(e, on_garbage, arg); }
inline void index_garbage_clear(env &e, std::vector<uint64_t> content_ids, index_on_done on_done, void *arg)
{
    e.index->garbage_clear(e, static_cast<std::vector<uint64_t> &&>(content_ids), on_done, arg);
}
// Content ids of rows in the index whose files have not been reported as placed. A put adds the content_id of a file to this set and a
// change that makes a content garbage takes it out, each in the transaction of that change: a table of its own, small however many rows
// there are, so that start-up can tell an acknowledged file in tmp/ from an abandoned one without reading the rows.
inline void index_pending_moves(env &e, index_on_garbage on_pending_moves, void *arg) { e.index->pending_moves(e, on_pending_moves, arg); }
// The files of these contents lie in their final place (durably: the caller has synced the directories): takes the ids out of the set.
// Ids that are not in it are fine. Durable when it completes.
inline void index_placed(env &e, std::vector<uint64_t> content_ids, index_on_done on_done, void *arg)
{
    e.index->placed(e, static_cast<std::vector<uint64_t> &&>(content_ids), on_done, arg);
}
// At most `count` of the files that were stored without sums, by an earlier version of this program, in order of content id from above after_id,
// as rows with bucket, name, content_id, size and checksum. Version 0: the object is not there any more, or has another content: index_sums_add takes it off the list.
inline void index_unsummed(env &e, uint64_t after_id, size_t count, index_on_rows on_rows, void *arg)
{
    e.index->unsummed(e, after_id, count, on_rows, arg);
}
// row: bucket, name, content_id and sums. If the object still has this content the sums, if there are any, are kept from now on; the content is off the list of
// those without sums either way. Durable when it completes.
inline void index_sums_add(env &e, index_row row, index_on_done on_done, void *arg) { e.index->sums_add(e, std::move(row), on_done, arg); }
// Rows in the index, kept in memory.
inline uint64_t index_object_count(env &e) { return e.index->object_count(e); }
// The highest content id ever committed, of a file or not, read once at open: new ids start above it and above what lies in tmp/.
inline uint64_t index_content_id_max(env &e) { return e.index->content_id_max(e); }

} // namespace etlnode
