// SPDX-License-Identifier: MIT
// test/lib/memory_world.h: a deterministic clock, disk and index in memory. Everything happens in memory_step.
//
// Every operation has two steps, execution and completion, so that a test can stop between "it is durable" and "the caller knows". Files
// and directories remember what was synced. memory_take returns the image that a crash at this moment leaves, and a second world can start
// from it, while the first one runs to its end so that nothing leaks. Operations run in the order given or, with shuffle, in an order drawn
// from the seed; changes of the index keep their order, as in the real index. A new or moved name becomes durable when one of its
// directories is synced; a rename is atomic.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "port/disk.h"
#include "port/index.h"
#include "port/ledger.h"
#include "port/meta.h"
#include "virtual_clock.h"

namespace etlnode {

enum class memory_op : uint8_t {
    open,
    read,
    write,
    sync,
    sync_dir,
    rename,
    unlink,
    make_dir,
    list,
    index_get,
    index_page,
    index_lookup,
    index_page_all,
    index_change,
    index_garbage,
    index_garbage_clear,
    index_pending_moves,
    index_placed,
    index_unsummed,
    index_sums_add,
    meta_read,
    meta_swap,
    check,
    space,
    ledger_load,
    ledger_change,
    ledger_failures,
    ledger_remove,
    work,
};
inline constexpr const char *memory_op_names[] = {
    "open",
    "read",
    "write",
    "sync",
    "sync_dir",
    "rename",
    "unlink",
    "make_dir",
    "list",
    "index_get",
    "index_page",
    "index_lookup",
    "index_page_all",
    "index_change",
    "index_garbage",
    "index_garbage_clear",
    "index_pending_moves",
    "index_placed",
    "index_unsummed",
    "index_sums_add",
    "meta_read",
    "meta_swap",
    "check",
    "space",
    "ledger_load",
    "ledger_change",
    "ledger_failures",
    "ledger_remove",
    "work",
};

// The operation fails `count` times after `skip` successes, for paths that contain `path_part`.
struct memory_fault {
    memory_op op = memory_op::open;
    error err;
    std::string path_part = {};
    size_t skip = 0;
    size_t count = 1;
};

struct memory_node {
    bool is_dir = false;
    std::string data, synced;
    std::map<std::string, uint64_t> names, synced_names; // of a directory
};

// from_dir 0: created; to_dir 0: removed; both set: renamed.
struct memory_name_change {
    uint64_t node = 0;
    uint64_t from_dir = 0, to_dir = 0;
    std::string from_name = {}, to_name = {};
};

// Of port/meta.h.
struct memory_document {
    uint64_t version = 0;
    std::string text;
};

// Of port/ledger.h: one job with everything about it, by name.
struct memory_job {
    ledger_job job;
    std::map<std::pair<std::string, std::string>, uint8_t> ahead;
    std::map<std::pair<std::string, std::string>, ledger_failure> failures;
};

// The contents of a disk and its index, alive or after a crash.
struct memory_image {
    std::map<uint64_t, memory_node> nodes; // 1 is the root
    uint64_t next_node = 2;
    std::vector<memory_name_change> unsynced; // in order; their directories' synced_names do not contain them yet
    std::map<std::pair<std::string, std::string>, index_row> rows;
    std::map<std::pair<std::string, std::string>, index_row> tombstones;
    index_removed_map removed;
    std::set<uint64_t> garbage, pending_moves;
    std::map<uint64_t, std::pair<std::string, std::string>> unsummed; // bucket and name of the object that had the content
    uint64_t content_id_max = 0;
    uint64_t changes = 0;
    std::map<std::string, memory_document> documents;
    std::map<std::string, memory_job> jobs;

    // Compiled once, in memory_image.cc: nearly every test has a world with an image.
    memory_image();
    ~memory_image();
    memory_image(const memory_image &);
    memory_image(memory_image &&) noexcept;
    memory_image &operator=(const memory_image &);
    memory_image &operator=(memory_image &&) noexcept;
};

struct memory_world;

struct disk_file {
    memory_world *world = nullptr;
    uint64_t node = 0;
    unsigned operations = 0; // in progress
    bool is_guarded = false;
    uint64_t size = 0; // the size that `sums` cover
    std::vector<uint64_t> sums;
    std::set<uint64_t> checked; // blocks
    disk_on_damage on_damage = nullptr;
    void *damage_arg = nullptr;
};

struct memory_task {
    memory_op op = memory_op::open;
    void *arg = nullptr;
    disk_on_done on_done = nullptr; // also index_on_done
    disk_run run = nullptr;
    disk_on_open on_open = nullptr;
    disk_on_read on_read = nullptr;
    disk_on_list on_list = nullptr;
    disk_on_space on_space = nullptr;
    index_on_rows on_rows = nullptr;
    index_on_change on_change = nullptr;
    index_on_garbage on_ids = nullptr;
    meta_on_read on_document = nullptr;
    ledger_on_loaded on_jobs = nullptr;
    ledger_on_failures on_failures = nullptr;
    std::string path, path_to;      // index: bucket, name or prefix
    std::vector<std::string> paths; // to remove
    std::string after;
    disk_open_mode mode = disk_open_mode::read;
    disk_file *file = nullptr;
    void *buffer = nullptr;
    const void *bytes = nullptr;
    size_t size = 0;
    uint64_t offset = 0;
    index_change change;
    std::vector<uint64_t> ids;
    uint64_t expected_version = 0;
    memory_document document;
    etlnode::ledger_change job_change;
    std::string after_bucket;
    // Results.
    error err;
    size_t count = 0;
    uint64_t file_size = 0;
    disk_space space;
    std::vector<std::string> names; // of a directory
    std::vector<index_row> rows;
    std::vector<ledger_loaded> jobs;
    std::vector<ledger_failure> failures;
};

struct memory_world {
    env e;
    memory_image now;                              // names and data, with their synced versions
    std::deque<std::unique_ptr<memory_task>> todo; // not executed yet
    std::deque<std::unique_ptr<memory_task>> done; // executed, not completed
    virtual_clock clock;
    std::vector<memory_fault> faults;
    std::map<memory_op, uint64_t> executed; // counts
    rng order;                              // used if shuffle is set
    bool shuffle = false;
    std::set<memory_op> deferred; // without shuffle: executed only when nothing else is left
    std::set<memory_op> held;     // not executed while they are in here, nor what must come after them
    bool documents_apart = false; // documents do not keep their order with the index, which port/meta.h does not promise
    size_t open_files = 0;
    disk_space space = {.id = 1, .size = 100'000'000, .used = 10'000'000, .free = 90'000'000}; // what disk_ask_space answers
    index_usage_map usage;                                                                     // what index_bucket_usage returned last
    uint64_t steps = 0;
    void (*on_row_changed)(memory_world &w, const index_change &change) = nullptr; // after a change of the index took effect
};

enum class memory_crash : uint8_t {
    killed,    // the process ends but the machine does not: nothing is lost yet
    power_cut, // everything unsynced is lost
    torn,      // some unsynced data is lost: drawn from `w.order`
};

extern const disk_port memory_disk;
extern const index_port memory_index;
extern const meta_port memory_meta;
extern const ledger_port memory_ledger;

memory_world &memory_of(env &e);

// Makes the world of a process that starts from this image. After memory_crash::killed a power cut may still follow.
memory_world *memory_make(const memory_image &image, uint64_t seed = 1);
// Requires: nothing is left: no open file, no timer, no operation in progress.
void memory_free(memory_world *w);

// One step: a post, an execution or a completion. False if only timers are left, or what is held.
bool memory_step(memory_world &w);
// Whether a step would do something.
bool memory_can_step(const memory_world &w);
void memory_run(memory_world &w);
// Runs everything, then the timers due within `ms` in order, and whatever they start.
void memory_advance(memory_world &w, uint64_t ms);

// Whether the block at `offset` of `data` (the file's content, or a damaged copy of it) matches its sum. Calls on_damage if it does not.
bool memory_check(disk_file &file, const std::string &data, uint64_t offset);

// Does to the disk and the index what the task says, without its completion.
error memory_execute(memory_world &w, memory_task &t);

// Executes a task of the ledger (memory_ledger.cc).
error memory_execute_ledger(memory_world &w, memory_task &t);
// A task that is executed later.
memory_task &memory_add(memory_world &w, memory_op op, void *arg);
// memory_index.cc: what the index does in memory_execute.
error memory_get_row(const memory_image &image, memory_task &t);
void memory_page_index(const memory_image &image, memory_task &t);
error memory_change_index(memory_image &image, index_change &change);
index_row memory_without_content(const index_row &row);

// Renames t.path to t.path_to at once, for a test that acts behind the store's back.
error memory_rename(memory_world &w, const memory_task &t);

// One empty directory, "/data".
memory_image memory_empty();
memory_image memory_take(memory_world &w, memory_crash kind);
// The node at `path`, or 0 if there is none.
uint64_t memory_find(const memory_image &image, const std::string &path);
// Paths of the files (not directories) under `path`, in order.
std::vector<std::string> memory_files(const memory_image &image, const std::string &path);

} // namespace etlnode
