// SPDX-License-Identifier: MIT
// store/put_machine.h: one object being written: the internals of `put`, for the files of this folder only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <xxhash.h>

#include "sm/sm.h"
#include "sm/sm_news.h"
#include "store/content_sums.h"
#include "store/store_internal.h"

namespace etlnode {

// What the put's caller hears.
enum class put_news : uint8_t {
    written,  // or writing has failed: see put.failure
    ready,    // only the row is missing, and the put is held
    finished, // the commit has ended; the put is freed with this answer
    aborted,  // the put is freed, and no caller waits for it
};

struct put {
    enum class state : uint8_t {
        awaiting_first,
        opening_to_write,
        opening_to_commit,
        opening_aborted,
        awaiting_more,
        writing,
        writing_aborted,
        writing_last,
        syncing,
        syncing_file,
        syncing_dir,
        sync_failed,
        readying,
        held,
        committing,
        unlinking_failed,
        unlinking_aborted,
        unlinking_unwritten,
        failed,
        refusing_commit,
        done
    };
    enum class event : uint8_t {
        opened,
        no_descriptors,
        open_failed,
        write_asked,
        written,
        write_failed,
        commit_asked,
        file_synced,
        dir_synced,
        sync_failed,
        posted,
        released,
        committed,
        commit_failed,
        unlinked,
        refused,
        stop
    };
    sm_core sm; // its id is the content's id
    store *owner = nullptr;
    uint64_t content_id = 0; // also the name of the file in tmp/
    index_row row;           // the row to commit; afterwards the committed one
    index_row before;        // the row it replaced
    disk_file *file = nullptr;
    // Operations that will complete, as bits of the table's resources; and the temporary name, while the file may exist
    uint32_t under_way = 0;
    bool has_evicted = false; // descriptors were already released once
    std::unique_ptr<char[]> buffer;
    size_t write_size = 0;         // of the write in progress or, after commit_was_asked, the rest in the buffer
    XXH64_state_t *hash = nullptr; // created by the first write
    content_sums sums;             // of a content that is stored in a file

    void (*on_written)(void *arg, error err) = nullptr;
    void *written_arg = nullptr;
    void (*on_ready)(void *arg) = nullptr; // set: the put is held before its row is committed
    void *ready_arg = nullptr;
    std::optional<store_terms> terms;   // none: the store's
    std::unique_ptr<index_change> copy; // of another target's row: what put_moved needs
    bool commit_was_asked = false;
    bool has_expected = false;
    uint64_t expected_checksum = 0;
    uint64_t checksum = 0; // of the whole content, known when the commit is requested
    void (*on_done)(void *arg, error err, const index_row &row) = nullptr;
    void *done_arg = nullptr;
    sm_news<put_news> news;
    error failure; // the first one
};

} // namespace etlnode
