// SPDX-License-Identifier: MIT
// store/store_internal.h: the store's parts, shared by the files of this folder only.
//
// Lifetime: a store is freed when it was closed and nobody holds it any more: each put, load, request and the housekeeping hold it once.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "port/clock.h"
#include "store/group_sync.h"
#include "store/housekeeping_machine.h"
#include "store/store.h"
#include "store/store_cache.h"
#include "store/summer_machine.h"

namespace etlnode {

struct load;

struct store {
    env *e = nullptr;
    store_options options;
    mutable store_counts counts; // store_count brings it up to date
    store_cache cache;
    group_sync temp_sync;                                   // of tmp/
    housekeeping housekeeper;                               // content files after their commit
    summer sums;                                            // of contents that earlier versions have stored
    load *loads = nullptr;                                  // lookups under way: a list
    std::unordered_map<std::string, load *> joinable_loads; // by load_key: those that are not outdated; never iterated
    std::vector<std::unique_ptr<char[]>> spare_buffers;
    uint64_t next_content_id = 1;
    uint64_t next_load_id = 1;
    std::vector<uint64_t> unconfirmed; // contents in tmp/ whose commit failed in a way that a crash could still undo
    size_t holds = 0;
    bool closing = false;
};

inline void store_ref(store &s) { s.holds++; }
// May free the store: the last thing done with it.
void store_unref(store &s);

// A change of this object was committed: what is known of it from before must not be given to anybody who asks from now on.
void store_forget(store &s, std::string_view bucket, std::string_view name);
void store_forget_bucket(store &s, std::string_view bucket);
// The content of a row that was replaced or removed.
void store_discard_content(store &s, const index_row &before);
// Nothing of the entry's file is sent from now on before it was found to match its sums.
void store_guard(store &s, store_entry &entry);
// A damaged content was found: it is told in the log, and counted.
void store_note_damage(store &s, const index_row &row, uint64_t offset, const char *what);
// For the summer's on_made.
void store_note_sums(void *arg, const index_row &row, bool is_damaged);
// The commit of this content failed with an error of the disk: its file stays until it is certain that no row can name it.
void store_retain_unconfirmed(store &s, uint64_t content_id);
// It is certain now: the index writes in order, and what it has written since stands where the failed commit would have been.
void store_commit_succeeded(store &s);

// load_machine.cc: an object that is not in the cache.
using store_on_object = void (*)(void *arg, error err, const store_object *object);
void load_request(store &s, std::string bucket, std::string name, store_on_object on_object, void *arg);
// Every load under way ends with `stopping`.
void load_stop_all(store &s);
// The loads of this object that are under way serve those who wait already, nobody else, and their result is not cached.
void load_outdate(store &s, std::string_view bucket, std::string_view name);
void load_outdate_bucket(store &s, std::string_view bucket);

} // namespace etlnode
