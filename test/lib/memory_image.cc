// SPDX-License-Identifier: MIT
// test/lib/memory_image.cc: what operations do to the files and the index of a memory world, and what a crash leaves of them.
#include "memory_world.h"

#include <algorithm>
#include <cstring>

#include <xxhash.h>

#include "base/check.h"
#include "base/limits.h"

namespace etlnode {

memory_image::memory_image() = default;
memory_image::~memory_image() = default;
memory_image::memory_image(const memory_image &) = default;
memory_image::memory_image(memory_image &&) noexcept = default;
memory_image &memory_image::operator=(const memory_image &) = default;
memory_image &memory_image::operator=(memory_image &&) noexcept = default;

// --- names

uint64_t memory_find(const memory_image &image, const std::string &path)
{
    uint64_t at = 1;
    size_t start = 0;
    while (start < path.size()) {
        size_t end = path.find('/', start);
        end = end == std::string::npos ? path.size() : end;
        if (end > start) {
            auto node = image.nodes.find(at);
            if (node == image.nodes.end() || !node->second.is_dir)
                return 0;
            auto name = node->second.names.find(path.substr(start, end - start));
            if (name == node->second.names.end())
                return 0;
            at = name->second;
        }
        start = end + 1;
    }
    return at;
}

static uint64_t memory_find_parent(const memory_image &image, const std::string &path, std::string &out_name)
{
    size_t slash = path.rfind('/');
    out_name = path.substr(slash + 1);
    uint64_t parent = memory_find(image, path.substr(0, slash));
    return parent != 0 && image.nodes.at(parent).is_dir ? parent : 0;
}

static void memory_apply(std::map<std::string, uint64_t> memory_node::*names, memory_image &image, const memory_name_change &change)
{
    if (change.from_dir != 0)
        (image.nodes[change.from_dir].*names).erase(change.from_name);
    if (change.to_dir != 0)
        (image.nodes[change.to_dir].*names)[change.to_name] = change.node;
}

static void memory_change_name(memory_world &w, memory_name_change change)
{
    memory_apply(&memory_node::names, w.now, change);
    w.now.unsynced.push_back(std::move(change));
}

static uint64_t memory_make_node(memory_world &w, bool is_dir, uint64_t parent, const std::string &name)
{
    uint64_t id = w.now.next_node++;
    w.now.nodes[id].is_dir = is_dir;
    memory_change_name(w, {.node = id, .to_dir = parent, .to_name = name});
    return id;
}

// Makes the changes of names in `dir` durable, together with earlier changes that they build on.
static void memory_sync_names(memory_world &w, uint64_t dir)
{
    std::set<std::pair<uint64_t, std::string>> keys;
    std::vector<bool> chosen(w.now.unsynced.size());
    for (size_t i = w.now.unsynced.size(); i-- > 0;) {
        const memory_name_change &c = w.now.unsynced[i];
        bool wanted = c.from_dir == dir || c.to_dir == dir || (c.from_dir != 0 && keys.contains({c.from_dir, c.from_name})) ||
                      (c.to_dir != 0 && keys.contains({c.to_dir, c.to_name}));
        if (!wanted)
            continue;
        chosen[i] = true;
        if (c.from_dir != 0)
            keys.insert({c.from_dir, c.from_name});
        if (c.to_dir != 0)
            keys.insert({c.to_dir, c.to_name});
    }
    std::vector<memory_name_change> rest;
    for (size_t i = 0; i < w.now.unsynced.size(); i++) {
        if (chosen[i])
            memory_apply(&memory_node::synced_names, w.now, w.now.unsynced[i]);
        else
            rest.push_back(w.now.unsynced[i]);
    }
    w.now.unsynced = std::move(rest);
}

// --- executing

static error memory_fault_of(memory_world &w, const memory_task &t)
{
    for (memory_fault &fault : w.faults) {
        if (fault.op != t.op || fault.count == 0 || (t.path + ">" + t.path_to).find(fault.path_part) == std::string::npos)
            continue;
        if (fault.skip > 0) {
            fault.skip--;
            continue;
        }
        fault.count--;
        return fault.err;
    }
    return no_error;
}

static error memory_open_file(memory_world &w, memory_task &t)
{
    std::string name;
    uint64_t parent = memory_find_parent(w.now, t.path, name);
    uint64_t node = memory_find(w.now, t.path);
    if (parent == 0 || (node == 0 && t.mode == disk_open_mode::read))
        return make_error(error_code::no_such_file);
    if (node != 0 && t.mode == disk_open_mode::create_new)
        return make_error(error_code::already_exists);
    if (node == 0)
        node = memory_make_node(w, false, parent, name);
    t.file = new disk_file;
    t.file->world = &w;
    t.file->node = node;
    t.file_size = w.now.nodes[node].data.size();
    w.open_files++;
    return no_error;
}

error memory_rename(memory_world &w, const memory_task &t)
{
    std::string from_name, to_name;
    uint64_t from = memory_find_parent(w.now, t.path, from_name);
    uint64_t to = memory_find_parent(w.now, t.path_to, to_name);
    uint64_t node = memory_find(w.now, t.path);
    if (from == 0 || to == 0 || node == 0)
        return make_error(error_code::no_such_file);
    memory_change_name(w, {.node = node, .from_dir = from, .to_dir = to, .from_name = from_name, .to_name = to_name});
    return no_error;
}

// A fault belongs to one path, like a disk error.
static error memory_unlink(memory_world &w, memory_task &t)
{
    error first;
    for (const std::string &path : t.paths) {
        t.path = path;
        std::string name;
        uint64_t parent = memory_find_parent(w.now, path, name);
        uint64_t node = memory_find(w.now, path);
        error fault = memory_fault_of(w, t);
        if (!fault && parent != 0 && node != 0)
            memory_change_name(w, {.node = node, .from_dir = parent, .from_name = name});
        if (fault && fault.code != error_code::no_such_file && !first)
            first = fault;
    }
    return first;
}

static error memory_make_dir(memory_world &w, const memory_task &t)
{
    std::string name;
    uint64_t parent = memory_find_parent(w.now, t.path, name);
    if (parent == 0)
        return make_error(error_code::no_such_file);
    if (memory_find(w.now, t.path) == 0)
        memory_make_node(w, true, parent, name);
    return no_error;
}

bool memory_check(disk_file &file, const std::string &data, uint64_t offset)
{
    if (!file.is_guarded)
        return true;
    uint64_t block = offset / content_block_size;
    uint64_t begin = block * content_block_size;
    uint64_t size = begin < file.size ? std::min<uint64_t>(content_block_size, file.size - begin) : 0;
    bool is_sound = data.size() >= begin + size && block < file.sums.size() && XXH3_64bits(data.data() + begin, size) == file.sums[block];
    if (is_sound)
        file.checked.insert(block);
    else
        file.checked.erase(block);
    if (!is_sound && file.on_damage != nullptr)
        file.on_damage(file.damage_arg, begin);
    return is_sound;
}

error memory_execute(memory_world &w, memory_task &t)
{
    memory_image &image = w.now;
    w.executed[t.op]++;
    if (t.op == memory_op::unlink)
        return memory_unlink(w, t);
    error fault = memory_fault_of(w, t);
    if (fault) {
        // A failed write may have written a part. A failed sync may have synced or not; here it has not.
        if (t.op == memory_op::write) {
            std::string &data = image.nodes[t.file->node].data;
            size_t written = t.size / 2;
            data.resize(std::max<size_t>(data.size(), t.offset + written));
            std::memcpy(data.data() + t.offset, t.bytes, written);
        }
        return fault;
    }
    switch (t.op) {
    case memory_op::open: return memory_open_file(w, t);
    case memory_op::read: {
        const std::string &data = image.nodes[t.file->node].data;
        t.count = t.offset >= data.size() ? 0 : std::min<size_t>(t.size, data.size() - t.offset);
        if (t.count > 0)
            std::memcpy(t.buffer, data.data() + t.offset, t.count);
        return no_error;
    }
    case memory_op::write: {
        std::string &data = image.nodes[t.file->node].data;
        if (data.size() < t.offset + t.size)
            data.resize(t.offset + t.size);
        std::memcpy(data.data() + t.offset, t.bytes, t.size);
        return no_error;
    }
    case memory_op::sync: image.nodes[t.file->node].synced = image.nodes[t.file->node].data; return no_error;
    case memory_op::sync_dir: {
        uint64_t dir = memory_find(image, t.path);
        if (dir == 0)
            return make_error(error_code::no_such_file);
        memory_sync_names(w, dir);
        return no_error;
    }
    case memory_op::rename: return memory_rename(w, t);
    case memory_op::unlink: break; // above
    case memory_op::make_dir: return memory_make_dir(w, t);
    case memory_op::list: {
        uint64_t dir = memory_find(image, t.path);
        if (dir == 0)
            return make_error(error_code::no_such_file);
        for (const auto &name : image.nodes[dir].names)
            t.names.push_back(name.first);
        return no_error;
    }
    case memory_op::index_get:
    case memory_op::index_lookup: return memory_get_row(image, t);
    case memory_op::index_page:
    case memory_op::index_page_all: memory_page_index(image, t); return no_error;
    case memory_op::index_change: {
        error err = memory_change_index(image, t.change);
        if (!err && w.on_row_changed != nullptr)
            w.on_row_changed(w, t.change);
        return err;
    }
    case memory_op::index_garbage: t.ids.assign(image.garbage.begin(), image.garbage.end()); return no_error;
    case memory_op::index_pending_moves: t.ids.assign(image.pending_moves.begin(), image.pending_moves.end()); return no_error;
    case memory_op::index_garbage_clear:
        for (uint64_t id : t.ids)
            image.garbage.erase(id);
        return no_error;
    case memory_op::index_placed:
        for (uint64_t id : t.ids)
            image.pending_moves.erase(id);
        return no_error;
    case memory_op::index_unsummed:
        for (const auto &[id, key] : image.unsummed) {
            if (t.rows.size() == t.size)
                break;
            if (id <= t.offset)
                continue;
            auto found = image.rows.find(key);
            index_row row;
            if (found != image.rows.end() && found->second.content_id == id && !found->second.in_index)
                row = memory_without_content(found->second);
            row.bucket = key.first;
            row.name = key.second;
            row.content_id = id;
            t.rows.push_back(row);
        }
        return no_error;
    case memory_op::index_sums_add: {
        auto found = image.rows.find({t.change.row.bucket, t.change.row.name});
        if (found != image.rows.end() && found->second.content_id == t.change.row.content_id && !found->second.in_index &&
            !t.change.row.sums.empty())
            found->second.sums = t.change.row.sums;
        image.unsummed.erase(t.change.row.content_id);
        return no_error;
    }
    case memory_op::space: t.space = w.space; return no_error;
    case memory_op::work: t.run(t.arg); return no_error;
    case memory_op::check: return no_error; // memory_complete does the check itself, because it may report damage
    case memory_op::ledger_load:
    case memory_op::ledger_change:
    case memory_op::ledger_failures:
    case memory_op::ledger_remove: return memory_execute_ledger(w, t);
    case memory_op::meta_read: t.document = image.documents[t.path]; return no_error;
    case memory_op::meta_swap: {
        memory_document &stored = image.documents[t.path];
        if (stored.version != t.expected_version)
            return make_error(error_code::conflict);
        CHECK(t.document.version > t.expected_version);
        stored = t.document;
        return no_error;
    }
    }
    return no_error;
}

// --- images

memory_image memory_empty()
{
    memory_image image;
    image.nodes[1].is_dir = true;
    image.nodes[2].is_dir = true;
    image.nodes[1].names["data"] = 2;
    image.nodes[1].synced_names["data"] = 2;
    image.next_node = 3;
    return image;
}

memory_image memory_take(memory_world &w, memory_crash kind)
{
    memory_image image = w.now;
    if (kind == memory_crash::killed)
        return image;
    if (kind == memory_crash::torn) {
        size_t kept = image.unsynced.empty() ? 0 : static_cast<size_t>(rng_below(w.order, image.unsynced.size() + 1));
        for (size_t i = 0; i < kept; i++)
            memory_apply(&memory_node::synced_names, image, w.now.unsynced[i]);
    }
    image.unsynced.clear();
    for (auto &[id, node] : image.nodes) {
        bool lost = kind == memory_crash::power_cut || rng_below(w.order, 2) == 0;
        if (lost && !node.is_dir)
            node.data = node.synced;
        node.synced = node.data;
        node.names = node.synced_names;
    }
    return image;
}

std::vector<std::string> memory_files(const memory_image &image, const std::string &path)
{
    std::vector<std::string> out;
    uint64_t at = memory_find(image, path);
    if (at == 0)
        return out;
    for (const auto &[name, id] : image.nodes.at(at).names) {
        if (!image.nodes.at(id).is_dir) {
            out.push_back(path + "/" + name);
            continue;
        }
        for (std::string &inner : memory_files(image, path + "/" + name))
            out.push_back(std::move(inner));
    }
    return out;
}

} // namespace etlnode
