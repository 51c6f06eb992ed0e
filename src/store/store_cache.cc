// SPDX-License-Identifier: MIT
// store/store_cache.cc: references, order of use, eviction.
#include "store/store_cache.h"

#include <xxhash.h>

#include "base/check.h"

namespace etlnode {

static constexpr size_t block_known_size = 16; // its sum, and until when it is known to be sound

size_t cache_hash::operator()(const cache_key &key) const
{
    uint64_t bucket = XXH64(key.bucket.data(), key.bucket.size(), seed);
    return static_cast<size_t>(XXH64(key.name.data(), key.name.size(), bucket));
}

void cache_init(store_cache &cache, env &e, uint64_t seed, size_t files_max, size_t contents_max, size_t bytes_max)
{
    cache.e = &e;
    cache.entries = decltype(cache.entries)(64, cache_hash{seed}, cache_equal{});
    cache.with_file.count_max = files_max;
    cache.with_content.count_max = contents_max;
    cache.with_content.bytes_max = bytes_max;
    cache.with_file.bytes_max = bytes_max;
}

store_entry *cache_make_entry(index_row row, disk_file *file, std::string content, bool has_content)
{
    auto *entry = new store_entry;
    entry->object.row = std::move(row);
    entry->object.file = file;
    entry->object.content = std::move(content);
    entry->object.has_content = has_content;
    entry->object.entry = entry;
    entry->bytes = entry->object.content.size() + entry->object.row.sums.size() * block_known_size;
    return entry;
}

static void free_if_unused(store_cache &cache, store_entry &entry)
{
    if (entry.references > 0 || entry.is_cached)
        return;
    if (entry.object.file != nullptr)
        disk_close(*cache.e, entry.object.file);
    delete &entry;
}

const store_object *cache_acquire(store_cache &cache, store_entry &entry)
{
    entry.references++;
    cache.lent_count++;
    return &entry.object;
}

void cache_release(store_cache &cache, const store_object *object)
{
    store_entry &entry = *object->entry;
    CHECK(entry.references > 0);
    entry.references--;
    cache.lent_count--;
    free_if_unused(cache, entry);
}

// --- the lists

static cache_list &list_of(store_cache &cache, const store_entry &entry)
{
    return entry.object.file != nullptr ? cache.with_file : cache.with_content;
}

static void unlink_entry(cache_list &list, store_entry &entry)
{
    (entry.newer != nullptr ? entry.newer->older : list.newest) = entry.older;
    (entry.older != nullptr ? entry.older->newer : list.oldest) = entry.newer;
    entry.newer = nullptr;
    entry.older = nullptr;
    list.count--;
    list.bytes -= entry.bytes;
}

static void link_newest(cache_list &list, store_entry &entry)
{
    entry.older = list.newest;
    (list.newest != nullptr ? list.newest->newer : list.oldest) = &entry;
    list.newest = &entry;
    list.count++;
    list.bytes += entry.bytes;
}

static void drop_entry(store_cache &cache, store_entry &entry)
{
    unlink_entry(list_of(cache, entry), entry);
    cache.entries.erase(&entry);
    entry.is_cached = false;
    free_if_unused(cache, entry);
}

static void drop_over_bound(store_cache &cache, cache_list &list)
{
    while (list.count > list.count_max || list.bytes > list.bytes_max)
        drop_entry(cache, *list.oldest);
}

// --- by name

static store_entry *find(store_cache &cache, std::string_view bucket, std::string_view name)
{
    auto found = cache.entries.find(cache_key{bucket, name});
    return found != cache.entries.end() ? *found : nullptr;
}

store_entry *cache_find(store_cache &cache, std::string_view bucket, std::string_view name)
{
    store_entry *entry = find(cache, bucket, name);
    if (entry == nullptr)
        return nullptr;
    cache_list &list = list_of(cache, *entry);
    if (list.newest != entry) {
        unlink_entry(list, *entry);
        link_newest(list, *entry);
    }
    return entry;
}

void cache_insert(store_cache &cache, store_entry &entry)
{
    CHECK(!entry.is_cached);
    cache_drop(cache, entry.object.row.bucket, entry.object.row.name);
    cache_list &list = list_of(cache, entry);
    entry.is_cached = true;
    cache.entries.insert(&entry);
    link_newest(list, entry);
    drop_over_bound(cache, list);
}

void cache_drop(store_cache &cache, std::string_view bucket, std::string_view name)
{
    store_entry *entry = find(cache, bucket, name);
    if (entry != nullptr)
        drop_entry(cache, *entry);
}

static void drop_bucket_of(store_cache &cache, cache_list &list, std::string_view bucket)
{
    for (store_entry *entry = list.newest; entry != nullptr;) {
        store_entry *older = entry->older;
        if (entry->object.row.bucket == bucket)
            drop_entry(cache, *entry);
        entry = older;
    }
}

void cache_drop_bucket(store_cache &cache, std::string_view bucket)
{
    drop_bucket_of(cache, cache.with_file, bucket);
    drop_bucket_of(cache, cache.with_content, bucket);
}

void cache_drop_all(store_cache &cache)
{
    for (cache_list *list : {&cache.with_file, &cache.with_content}) {
        while (list->oldest != nullptr)
            drop_entry(cache, *list->oldest);
    }
}

size_t cache_evict_files(store_cache &cache, size_t count)
{
    size_t closed = 0;
    for (store_entry *entry = cache.with_file.oldest; entry != nullptr && closed < count;) {
        store_entry *newer = entry->newer;
        if (entry->references == 0) {
            drop_entry(cache, *entry);
            closed++;
        }
        entry = newer;
    }
    return closed;
}

} // namespace etlnode
