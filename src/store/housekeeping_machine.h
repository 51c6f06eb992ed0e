// SPDX-License-Identifier: MIT
// store/housekeeping_machine.h: moves committed contents to their place and removes those nobody needs, one operation at a time.
//
// One at a time is what serialises a move and a removal of the same content, and what keeps housekeeping off the disk's threads.
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

// What the store is to hear.
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
    timer *deadline_timer = nullptr; // until the batch is due, or the next try
    bool on_disk = false;            // an operation of the disk is under way
    bool on_index = false;

    std::deque<uint64_t> orphans;               // in tmp/, of no row: found at start-up, or of a put that failed
    std::deque<uint64_t> moves;                 // may hold ids that were discarded since: `pending_moves` decides
    std::unordered_set<uint64_t> pending_moves; // in tmp/ and of a row, as far as is known
    std::deque<uint64_t> garbage;
    std::unordered_set<uint64_t> garbage_known; // in `garbage` or `removed`, or being removed
    uint64_t current = 0;                       // the content, or the directory's number, of the operation under way
    std::vector<uint64_t> removing;             // the contents of the operation under way
    bool moved_last = false;                    // then garbage is next, and the other way round

    // The batch: done, but not durably. Then directories are synced and the index is told.
    std::vector<uint64_t> moved;
    std::vector<uint64_t> removed;
    std::bitset<content_group_count> ready;     // groups whose directory this run knows to be durable
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
// A file in tmp/ that no row names and no put writes.
void housekeeping_add_orphan(housekeeping &k, uint64_t id);
// Where a lookup should try first.
inline bool housekeeping_has_pending_move(const housekeeping &k, uint64_t id) { return k.pending_moves.contains(id); }
inline size_t housekeeping_garbage_count(const housekeeping &k) { return k.garbage_known.size(); }
// Calls once, later, when no orphan and no move is left or an error made the housekeeping wait.
void housekeeping_when_settled(housekeeping &k, void (*on_settled)(void *arg), void *arg);
// Calls once, perhaps at once: no operation is under way, nothing more will be done. What was not finished is found again at the next start.
void housekeeping_stop(housekeeping &k, void (*on_ended)(void *arg), void *arg);

} // namespace etlnode
