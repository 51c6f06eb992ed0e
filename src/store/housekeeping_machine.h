// SPDX-License-Identifier: MIT
// store/housekeeping_machine.h: moves committed contents to their place and removes unneeded ones, one operation at a time.
//
// Because only one operation runs at a time, a move and a removal of the same content are serialised, and the disk's threads stay free.
#pragma once

#include <bitset>
#include <cstdint>
#include <deque>
#include <string>
#include <unordered_set>
#include <vector>

#include "port/clock.h"
#include "port/disk.h"
#include "sm/sm.h"
#include "sm/sm_news.h"
#include "store/content_path.h"

namespace etlnode {

// What the store hears.
enum class housekeeping_news : uint8_t { ended };

struct housekeeping {
    enum class state : uint8_t {
        idle,
        unlinking_orphan,
        moving,
        making_dir,
        syncing_objects,
        moving_again,
        removing,
        syncing,
        marking,
        clearing,
        awaiting_retry,
        ending,
        ended
    };
    enum class event : uint8_t { work, done, missing, failed, deadline, stop };
    sm_core sm;
    env *e = nullptr;
    std::string dir;
    timer *deadline_timer = nullptr; // until the batch is due, or until the next retry
    bool on_disk = false;            // a disk operation is in progress
    bool on_index = false;

    std::deque<uint64_t> orphans;               // in tmp/ but in no row: found at start-up, or left by a failed put
    std::deque<uint64_t> moves;                 // may contain ids discarded since: `pending_moves` decides
    std::unordered_set<uint64_t> pending_moves; // in tmp/ and in a row, as far as is known
    std::deque<uint64_t> garbage;
    std::unordered_set<uint64_t> garbage_known; // in `garbage` or `removed`, or being removed
    uint64_t current = 0;                       // the content or the directory's number of the operation in progress
    std::vector<uint64_t> removing;             // the contents of the operation in progress
    bool moved_last = false;                    // then garbage is next, and vice versa

    // The batch: done but not durable yet. Its directories are synced next, and then the index is updated.
    std::vector<uint64_t> moved;
    std::vector<uint64_t> removed;
    std::bitset<content_group_count> ready;     // groups whose directory is known to be durable
    std::bitset<content_group_count + 1> dirty; // groups, then tmp/
    uint64_t batch_since_ms = 0;

    void (*on_settled)(void *arg) = nullptr; // called once, see housekeeping_when_settled
    void *settled_arg = nullptr;
    sm_news<housekeeping_news> news;
    void (*on_ended)(void *arg) = nullptr;
    void *ended_arg = nullptr;
};

void housekeeping_start(housekeeping &k, env &e, std::string dir);
// The content's row is committed; its file is in tmp/.
void housekeeping_add_move(housekeeping &k, uint64_t id);
// No row names the content any more; the index remembers it as garbage until its file is gone.
void housekeeping_add_garbage(housekeeping &k, uint64_t id);
// A file in tmp/ that no row names and that no put is writing.
void housekeeping_add_orphan(housekeeping &k, uint64_t id);
// Where a lookup should try first.
inline bool housekeeping_has_pending_move(const housekeeping &k, uint64_t id) { return k.pending_moves.contains(id); }
inline size_t housekeeping_garbage_count(const housekeeping &k) { return k.garbage_known.size(); }
// Calls back once, later, when no orphan and no move is left, or when an error makes housekeeping wait.
void housekeeping_when_settled(housekeeping &k, void (*on_settled)(void *arg), void *arg);
// Calls back once, perhaps at once: no operation is in progress, and nothing more will be done. The next start resumes unfinished work.
void housekeeping_stop(housekeeping &k, void (*on_ended)(void *arg), void *arg);

} // namespace etlnode
