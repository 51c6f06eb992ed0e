// SPDX-License-Identifier: MIT
// test/lib/memory_index.cc: rows, tombstones and their changes in the index of a memory world.
#include "memory_world.h"

#include <algorithm>

namespace etlnode {

static void memory_discard_content(memory_image &image, const index_row &row)
{
    if (row.content_id == 0 || row.in_index)
        return;
    image.garbage.insert(row.content_id);
    image.pending_moves.erase(row.content_id);
}

index_row memory_without_content(const index_row &row)
{
    index_row copy = row;
    copy.content.clear();
    copy.sums.clear();
    return copy;
}

using memory_key = std::pair<std::string, std::string>; // bucket and name

static uint64_t memory_removed_max(const memory_image &image, const std::string &bucket)
{
    auto found = image.removed.find(bucket);
    return found != image.removed.end() ? found->second : 0;
}

static void memory_raise_removed(memory_image &image, const std::string &bucket, uint64_t version)
{
    if (version > memory_removed_max(image, bucket))
        image.removed[bucket] = version;
}

static void memory_erase_row(memory_image &image, const memory_key &key)
{
    auto found = image.rows.find(key);
    if (found == image.rows.end())
        return;
    memory_discard_content(image, found->second);
    image.rows.erase(found);
}

static void memory_put_row(memory_image &image, const index_row &wanted)
{
    memory_key key{wanted.bucket, wanted.name};
    index_row row = wanted;
    image.tombstones.erase(key);
    if (row.is_tombstone) {
        memory_erase_row(image, key);
        image.tombstones[key] = row;
        return;
    }
    auto found = image.rows.find(key);
    bool keeps_content = found != image.rows.end() && found->second.content_id == row.content_id && found->second.in_index == row.in_index;
    if (keeps_content) {
        row.content = found->second.content;
        row.sums = found->second.sums;
    } else {
        memory_erase_row(image, key);
        if (row.content_id != 0 && !row.in_index)
            image.pending_moves.insert(row.content_id);
    }
    image.rows[key] = row;
    image.content_id_max = std::max(image.content_id_max, row.content_id);
}

static void memory_remove_bucket(memory_image &image, const std::string &bucket)
{
    for (auto at = image.rows.lower_bound({bucket, ""}); at != image.rows.end() && at->first.first == bucket;) {
        memory_discard_content(image, at->second);
        at = image.rows.erase(at);
    }
    std::erase_if(image.tombstones, [&](const auto &entry) { return entry.first.first == bucket; });
    image.removed.erase(bucket);
}

// The conflict or the absence that keeps the change from happening.
static error memory_refusal_of(const index_change &change)
{
    const index_row &before = change.before;
    if (change.what == index_change::kind::put_moved) {
        bool has_it = before.version > change.row.version || (before.version == change.row.version && before.tag >= change.origin_tag);
        return has_it ? make_error(error_code::conflict) : no_error;
    }
    if (change.has_expected && before.version != change.expected_version)
        return make_error(error_code::conflict);
    bool has_row = before.version > 0 && !before.is_tombstone;
    if (change.what == index_change::kind::remove && !change.leaves_tombstone && !has_row)
        return make_error(error_code::object_not_found);
    if (change.what == index_change::kind::drop_tombstone && !before.is_tombstone)
        return make_error(error_code::object_not_found);
    return no_error;
}

static void memory_read_before(const memory_image &image, index_change &change)
{
    memory_key key{change.row.bucket, change.row.name};
    auto row = image.rows.find(key);
    auto tombstone = image.tombstones.find(key);
    change.before = {};
    if (row != image.rows.end())
        change.before = memory_without_content(row->second);
    else if (tombstone != image.tombstones.end())
        change.before = tombstone->second;
}

error memory_change_index(memory_image &image, index_change &change)
{
    memory_read_before(image, change);
    error refusal = memory_refusal_of(change);
    if (change.what == index_change::kind::remove_bucket || change.what == index_change::kind::raise_removed) {
        refusal = no_error;
        change.before = {};
    }
    if (refusal)
        return refusal;
    const std::string &bucket = change.row.bucket;
    bool has_effect = change.what != index_change::kind::raise_removed || change.row.version > memory_removed_max(image, bucket);
    image.changes += has_effect ? 1 : 0;
    bool removes_for_good = change.what == index_change::kind::drop_tombstone ||
                            (change.what == index_change::kind::remove && !change.leaves_tombstone);
    if (change.what == index_change::kind::put || change.leaves_tombstone)
        change.row.version = std::max({change.before.version, change.version_above, memory_removed_max(image, bucket)}) + 1;
    change.row.is_tombstone = change.row.is_tombstone || change.leaves_tombstone;
    if (removes_for_good && !change.is_moved)
        memory_raise_removed(image, bucket, change.before.version);
    if (removes_for_good) {
        memory_erase_row(image, {bucket, change.row.name});
        image.tombstones.erase({bucket, change.row.name});
    } else if (change.what == index_change::kind::remove_bucket) {
        memory_remove_bucket(image, bucket);
    } else if (change.what == index_change::kind::raise_removed) {
        memory_raise_removed(image, bucket, change.row.version);
    } else {
        memory_put_row(image, change.row);
    }
    return no_error;
}

static void memory_page_rows(const std::map<memory_key, index_row> &rows, memory_task &t)
{
    for (auto at = rows.lower_bound({t.path, ""}); at != rows.end() && at->first.first == t.path; ++at) {
        if (at->first.second.starts_with(t.path_to) && (t.after.empty() || at->first.second > t.after))
            t.rows.push_back(memory_without_content(at->second));
    }
}

void memory_page_index(const memory_image &image, memory_task &t)
{
    memory_page_rows(image.rows, t);
    if (t.op == memory_op::index_page_all)
        memory_page_rows(image.tombstones, t);
    std::sort(t.rows.begin(), t.rows.end(), [](const index_row &a, const index_row &b) { return a.name < b.name; });
    if (t.rows.size() > t.size)
        t.rows.resize(t.size);
}

error memory_get_row(const memory_image &image, memory_task &t)
{
    auto found = image.rows.find({t.path, t.path_to});
    auto tombstone = image.tombstones.find({t.path, t.path_to});
    if (found != image.rows.end() && found->second.in_index && found->second.content.size() != found->second.size)
        return make_error(error_code::corrupt);
    if (found != image.rows.end())
        t.rows.push_back(found->second);
    else if (t.op == memory_op::index_lookup && tombstone != image.tombstones.end())
        t.rows.push_back(tombstone->second);
    else
        return make_error(error_code::object_not_found);
    return no_error;
}

} // namespace etlnode
