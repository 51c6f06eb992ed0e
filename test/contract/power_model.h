// SPDX-License-Identifier: MIT
// test/contract/power_model.h: what a database must hold after the changes that the power cases request, and the audit that compares the
// database with that (test_index_power.cc).
#pragma once

#include "contract_world.h"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "base/rng.h"
#include "port/index.h"
#include "port/meta.h"

namespace etlnode {

// The contents of the database.
struct model_row {
    uint64_t content_id = 0;
    uint64_t version = 0;
    size_t custom_size = 0;
    size_t index_size = 0; // of a content in the index; 0: a file, or no content
    uint64_t tag = 0;
    friend bool operator==(const model_row &, const model_row &) = default;
};
using model_key = std::pair<std::string, std::string>;
struct model {
    std::map<model_key, model_row> rows;
    std::map<model_key, std::pair<uint64_t, uint64_t>> tombstones; // version and tag
    std::map<std::string, uint64_t> removed;                       // by bucket: the highest version removed for good
    std::set<uint64_t> garbage, pending_moves;
    uint64_t content_id_max = 0;
    std::map<std::string, std::pair<uint64_t, std::string>> documents;
    friend bool operator==(const model &, const model &) = default;
};

enum class change_kind : uint8_t {
    put,
    remove,
    remove_bucket,
    bury,
    move_in,
    bury_moved,
    move_out,
    drop,
    raise,
    clear_garbage,
    placed,
    swap
};
enum class change_fate : uint8_t { asked, acknowledged, failed };

struct model_change {
    change_kind kind = change_kind::put;
    std::string bucket, name; // swap: name of the document
    uint64_t content_id = 0;
    size_t custom_size = 0;
    size_t index_size = 0;
    uint64_t version = 0; // move_in, bury_moved, raise
    uint64_t tag = 0;     // put, bury; move_in, bury_moved: at the origin
    std::vector<uint64_t> ids;
    uint64_t expected = 0; // swap: replaces this version by the next one; move_out, drop: removes only this version
    std::string text;
    change_fate fate = change_fate::asked;
    error_code code = error_code::ok;
};

inline void discard_content(model &m, const model_row &row)
{
    if (row.content_id == 0 || row.index_size > 0)
        return;
    m.garbage.insert(row.content_id);
    m.pending_moves.erase(row.content_id);
}

// Of the row or tombstone that is there.
inline std::pair<uint64_t, uint64_t> version_and_tag(const model &m, const model_key &key)
{
    auto row = m.rows.find(key);
    if (row != m.rows.end())
        return {row->second.version, row->second.tag};
    auto tombstone = m.tombstones.find(key);
    return tombstone != m.tombstones.end() ? tombstone->second : std::pair<uint64_t, uint64_t>{};
}

inline uint64_t next_version(const model &m, const model_key &key)
{
    auto removed = m.removed.find(key.first);
    return std::max(version_and_tag(m, key).first, removed != m.removed.end() ? removed->second : 0) + 1;
}

inline void raise_removed(model &m, const std::string &bucket, uint64_t version)
{
    uint64_t &removed = m.removed[bucket];
    removed = std::max(removed, version);
}

inline void erase_row(model &m, const model_key &key)
{
    auto found = m.rows.find(key);
    if (found == m.rows.end())
        return;
    discard_content(m, found->second);
    m.rows.erase(found);
}

inline void put_row(model &m, const model_change &c, uint64_t version, uint64_t tag)
{
    model_key key{c.bucket, c.name};
    erase_row(m, key);
    m.tombstones.erase(key);
    m.rows[key] = {c.content_id, version, c.custom_size, c.index_size, tag};
    if (c.content_id != 0 && c.index_size == 0)
        m.pending_moves.insert(c.content_id);
    m.content_id_max = std::max(m.content_id_max, c.content_id);
}

inline void bury(model &m, const model_key &key, uint64_t version, uint64_t tag)
{
    erase_row(m, key);
    m.tombstones[key] = {version, tag};
}

// Where a moved copy gets its tag.
inline constexpr uint64_t move_epoch = 9;

inline void apply_to_name(model &m, const model_change &c)
{
    model_key key{c.bucket, c.name};
    auto [version, tag] = version_and_tag(m, key);
    bool is_newer = c.version > version || (c.version == version && c.tag > tag);
    switch (c.kind) {
    case change_kind::put: put_row(m, c, next_version(m, key), c.tag); return;
    case change_kind::bury: bury(m, key, next_version(m, key), c.tag); return;
    case change_kind::move_in:
        if (is_newer)
            put_row(m, c, c.version, move_epoch);
        return;
    case change_kind::bury_moved:
        if (is_newer)
            bury(m, key, c.version, move_epoch);
        return;
    case change_kind::remove:
        if (m.rows.contains(key))
            raise_removed(m, c.bucket, version);
        erase_row(m, key);
        return;
    case change_kind::move_out:
        if (version == c.expected)
            erase_row(m, key);
        return;
    case change_kind::drop:
        if (version == c.expected && m.tombstones.erase(key) > 0)
            raise_removed(m, c.bucket, version);
        return;
    default: return;
    }
}

inline void apply(model &m, const model_change &c)
{
    switch (c.kind) {
    case change_kind::remove_bucket:
        for (auto at = m.rows.lower_bound({c.bucket, ""}); at != m.rows.end() && at->first.first == c.bucket;) {
            discard_content(m, at->second);
            at = m.rows.erase(at);
        }
        std::erase_if(m.tombstones, [&](const auto &tombstone) { return tombstone.first.first == c.bucket; });
        m.removed.erase(c.bucket);
        return;
    case change_kind::raise: raise_removed(m, c.bucket, c.version); return;
    case change_kind::clear_garbage:
        for (uint64_t id : c.ids)
            m.garbage.erase(id);
        return;
    case change_kind::placed:
        for (uint64_t id : c.ids)
            m.pending_moves.erase(id);
        return;
    case change_kind::swap: {
        auto &document = m.documents[c.name];
        if (document.first == c.expected)
            document = {c.expected + 1, c.text};
        return;
    }
    default: apply_to_name(m, c); return;
    }
}

// One seed's life on one disk.
struct run {
    uint64_t seed = 0;
    rng random;
    model acknowledged;                // the state up to the last acknowledged change
    std::vector<model_change> tail;    // requested after it, in order
    std::vector<model_change *> group; // in progress
    uint64_t next_content_id = 1;
    size_t open_answers = 0;
    size_t refused = 0, acks = 0;
};
inline run *current;

#define check(cond)                                                                            \
    do {                                                                                       \
        if (!(cond))                                                                           \
            test_fail("seed %llu: %s", static_cast<unsigned long long>(current->seed), #cond); \
    } while (0)

// --- reading everything back

inline std::vector<index_row> read_rows_seen;
inline std::set<uint64_t> read_ids_seen;

inline void wait_answers(size_t count)
{
    check(world_until([=] { return current->open_answers == count; }, 60'000));
    current->open_answers = 0;
}

inline void on_read_rows(void *, error err, std::vector<index_row> rows)
{
    check(!err);
    for (index_row &row : rows)
        read_rows_seen.push_back(std::move(row));
    current->open_answers++;
}

inline void on_read_ids(void *, error err, const std::vector<uint64_t> &ids)
{
    check(!err);
    read_ids_seen = std::set<uint64_t>(ids.begin(), ids.end());
    current->open_answers++;
}

inline void on_read_document(void *arg, error err, uint64_t version, const std::string &text)
{
    check(!err);
    if (version != 0)
        *static_cast<std::pair<uint64_t, std::string> *>(arg) = {version, text};
    current->open_answers++;
}

inline std::string content_of(uint64_t content_id, size_t size) { return std::string(size, static_cast<char>('0' + content_id % 10)); }

inline model read_all()
{
    model m;
    env &e = *world->e;
    uint64_t read_bytes = 0;
    for (const char *bucket : {"a", "b"}) {
        read_rows_seen.clear();
        index_page_all(e, bucket, "", "", 1000, on_read_rows, nullptr);
        wait_answers(1);
        for (const index_row &row : read_rows_seen) {
            if (row.is_tombstone) {
                m.tombstones[{row.bucket, row.name}] = {row.version, row.tag};
                continue;
            }
            check(row.custom == std::string(row.custom.size(), static_cast<char>('a' + row.content_id % 26)));
            check(row.content.empty());
            read_bytes += row.size;
            m.rows[{row.bucket, row.name}] = {row.content_id, row.version, row.custom.size(), row.in_index ? row.size : 0, row.tag};
        }
    }
    for (const auto &[key, row] : m.rows) {
        if (row.index_size == 0)
            continue;
        read_rows_seen.clear();
        index_get(e, key.first, key.second, on_read_rows, nullptr);
        wait_answers(1);
        check(read_rows_seen.size() == 1);
        check(read_rows_seen[0].content == content_of(row.content_id, row.index_size));
    }
    index_garbage(e, on_read_ids, nullptr);
    wait_answers(1);
    m.garbage = read_ids_seen;
    index_pending_moves(e, on_read_ids, nullptr);
    wait_answers(1);
    m.pending_moves = read_ids_seen;
    m.content_id_max = index_content_id_max(e);
    m.removed = std::map<std::string, uint64_t>(index_removed(e).begin(), index_removed(e).end());
    check(index_object_count(e) == m.rows.size());
    uint64_t counted = 0;
    for (const auto &[bucket, usage] : index_bucket_usage(e))
        counted += usage.objects;
    check(counted == m.rows.size());
    check(index_byte_count(e) == read_bytes);
    check(index_tombstone_count(e) == m.tombstones.size());
    for (const char *name : {"cluster", "node"}) {
        std::pair<uint64_t, std::string> document;
        meta_read(e, name, on_read_document, &document);
        wait_answers(1);
        if (document.first != 0)
            m.documents[name] = document;
    }
    return m;
}

// Documents that a swap read but did not change have version 0 in the model.
inline model trimmed(model m)
{
    std::erase_if(m.documents, [](const auto &document) { return document.second.first == 0; });
    return m;
}

// Checks that the database holds what was acknowledged, plus at most one group of later changes. What it holds becomes the new model.
inline void audit()
{
    model found = read_all();
    const std::vector<model_change> &tail = current->tail;
    bool fine = found == trimmed(current->acknowledged);
    for (size_t from = 0; from < tail.size() && !fine; from++) {
        model m = current->acknowledged;
        for (size_t to = from; to < tail.size() && !fine; to++) {
            apply(m, tail[to]);
            fine = found == trimmed(m);
        }
    }
    if (!fine) {
        const model &a = current->acknowledged;
        print_error("seed %llu: found rows=%zu garbage=%zu pending_moves=%zu max=%llu, acknowledged rows=%zu garbage=%zu pending_moves=%zu "
                    "max=%llu, "
                    "%zu asked after\n",
            static_cast<unsigned long long>(current->seed), found.rows.size(), found.garbage.size(), found.pending_moves.size(),
            static_cast<unsigned long long>(found.content_id_max), a.rows.size(), a.garbage.size(), a.pending_moves.size(),
            static_cast<unsigned long long>(a.content_id_max), tail.size());
        for (const model *m : {const_cast<const model *>(&found), &a}) {
            for (const auto &[name, document] : m->documents)
                print_error("  %s: document %s version %llu\n", m == &a ? "acknowledged" : "found", name.c_str(),
                    static_cast<unsigned long long>(document.first));
        }
        for (const model_change &c : tail)
            print_error("  asked after: kind %d %s/%s content %llu\n", static_cast<int>(c.kind), c.bucket.c_str(), c.name.c_str(),
                static_cast<unsigned long long>(c.content_id));
    }
    check(fine);
    current->acknowledged = found;
    current->tail.clear();
}

// In the running process nothing of a failed commit is visible.
inline void audit_running() { check(read_all() == trimmed(current->acknowledged)); }

} // namespace etlnode
