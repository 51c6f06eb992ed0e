// SPDX-License-Identifier: MIT
// store/store_internal.h: the store's parts, for the files of this folder only.
//
// Lifetime: a store is freed when it is closed and has no references left. Each put, load and request holds one reference, and so does
// housekeeping.
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
    mutable store_counts counts; // store_count updates it
    store_cache cache;
    group_sync temp_sync;                                   // of tmp/
    housekeeping housekeeper;                               // content files after their commit
    summer sums;                                            // of contents that earlier versions stored
    load *loads = nullptr;                                  // a list of the lookups in progress
    std::unordered_map<std::string, load *> joinable_loads; // by load_key: those that are not outdated; never iterated
    std::vector<std::unique_ptr<char[]>> spare_buffers;
    store_terms terms; // of every put that has none of its own
    uint64_t next_content_id = 1;
    uint64_t next_load_id = 1;
    std::vector<uint64_t> unconfirmed; // contents in tmp/ whose commit failed, but which a crash could still make visible
    size_t holds = 0;
    bool closing = false;
};

inline void store_ref(store &s) { s.holds++; }
// May free the store, so it must be the last use of it.
void store_unref(store &s);

// Call after committing a change to this object: drops it from the cache, so that later readers see the new version.
void store_forget(store &s, std::string_view bucket, std::string_view name);
void store_forget_bucket(store &s, std::string_view bucket);
// Discards the content of a row that was replaced or removed.
void store_discard_content(store &s, const index_row &before);
// From now on, bytes of the entry's file are sent only if they match its sums.
void store_guard(store &s, store_entry &entry);
// Logs and counts a damaged content.
void store_note_damage(store &s, const index_row &row, uint64_t offset, const char *what);
// The summer's on_made.
void store_note_sums(void *arg, const index_row &row, bool is_damaged);
// The commit of this content failed with a disk error: its file stays until no row can name it any more.
void store_retain_unconfirmed(store &s, uint64_t content_id);
// Now no row can: the index writes in order, and what it has written since replaces the failed commit.
void store_commit_succeeded(store &s);

// load_machine.cc: looks up an object that is not in the cache.
using store_on_object = void (*)(void *arg, error err, const store_object *object);
void load_request(store &s, std::string bucket, std::string name, store_on_object on_object, void *arg, store_use use);
// Every load in progress ends with `stopping`.
void load_stop_all(store &s);
// Loads of this object in progress still serve the callers that already wait, but no others, and their result is not cached.
void load_outdate(store &s, std::string_view bucket, std::string_view name);
void load_outdate_bucket(store &s, std::string_view bucket);

} // namespace etlnode
