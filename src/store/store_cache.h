// SPDX-License-Identifier: MIT
// store/store_cache.h: objects that were looked up, by name: small contents in memory, others as open descriptors.
//
// Entries are reference-counted: the cache holds one reference, and so does every reader. An entry that left the cache (replaced, removed
// or evicted) lives until its last reader releases it. There are two lists in order of use, because memory and descriptors have separate
// bounds. Hash tables are never iterated.
#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_set>

#include "store/store.h"

namespace etlnode {

struct store_entry {
    store_object object;
    uint64_t references = 0;
    bool is_cached = false;
    store *owner = nullptr;       // gets reports of damage
    size_t bytes = 0;             // memory that grows with the object: its content, or the state of its blocks
    store_entry *newer = nullptr; // neighbours in the list of its kind
    store_entry *older = nullptr;
};

struct cache_key {
    std::string_view bucket;
    std::string_view name;
};

struct cache_hash {
    using is_transparent = void;
    uint64_t seed = 0; // drawn at open, because clients choose the names
    size_t operator()(const cache_key &key) const;
    size_t operator()(const store_entry *entry) const { return operator()(cache_key{entry->object.row.bucket, entry->object.row.name}); }
};

struct cache_equal {
    using is_transparent = void;
    static bool same(const store_entry *a, const cache_key &b) { return a->object.row.bucket == b.bucket && a->object.row.name == b.name; }
    bool operator()(const store_entry *a, const store_entry *b) const { return same(a, {b->object.row.bucket, b->object.row.name}); }
    bool operator()(const cache_key &a, const store_entry *b) const { return same(b, a); }
    bool operator()(const store_entry *a, const cache_key &b) const { return same(a, b); }
};

struct cache_list {
    store_entry *newest = nullptr;
    store_entry *oldest = nullptr;
    size_t count = 0;
    size_t count_max = 0;
    size_t bytes = 0; // of all entries
    size_t bytes_max = 0;
};

struct store_cache {
    env *e = nullptr;
    std::unordered_set<store_entry *, cache_hash, cache_equal> entries;
    cache_list with_file;
    cache_list with_content;
    size_t lent_count = 0; // references held by readers
};

void cache_init(store_cache &cache, env &e, uint64_t seed, size_t files_max, size_t contents_max, size_t bytes_max);
// Makes an entry without references, which takes over the file.
store_entry *cache_make_entry(index_row row, disk_file *file, std::string content, bool has_content);
// Adds a reader's reference.
const store_object *cache_acquire(store_cache &cache, store_entry &entry);
void cache_release(store_cache &cache, const store_object *object);
// Marks it as most recently used; null if it is not there. Does not allocate.
store_entry *cache_find(store_cache &cache, std::string_view bucket, std::string_view name);
// Replaces an entry of the same name, and evicts what exceeds the bounds.
void cache_insert(store_cache &cache, store_entry &entry);
void cache_drop(store_cache &cache, std::string_view bucket, std::string_view name);
void cache_drop_bucket(store_cache &cache, std::string_view bucket);
void cache_drop_all(store_cache &cache);
// Closes up to `count` descriptors that no reader uses, oldest first. Returns how many.
size_t cache_evict_files(store_cache &cache, size_t count);

} // namespace etlnode
