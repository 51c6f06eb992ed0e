// SPDX-License-Identifier: MIT
// control/capacity.cc: what a node holds, how full its disk is and which version it runs.
//
// Known by  the heartbeat of targets, and the proxy that shows it.
#include "control/capacity.h"

#include <algorithm>

#include "base/limits.h"
#include "base/text.h"

namespace etlnode {

// total * part / whole without overflow, for part <= whole.
static uint64_t share(uint64_t total, uint64_t part, uint64_t whole) { return total / whole * part + total % whole * part / whole; }

uint64_t space_used_permille(const disk_space &space)
{
    uint64_t used = space.used;
    uint64_t total = space.used + space.free;
    if (total > UINT64_MAX / 1000) { // the product below must not overflow
        used >>= 10;
        total >>= 10;
    }
    return total == 0 ? 0 : (used * 1000 + total - 1) / total;
}

std::string space_used_text(const disk_space &space)
{
    uint64_t permille = space_used_permille(space);
    return text_format("%llu.%llu%%", static_cast<unsigned long long>(permille / 10), static_cast<unsigned long long>(permille % 10));
}

uint64_t space_room(const disk_space &space, uint64_t limit_percent)
{
    uint64_t limit = share(space.used + space.free, std::min<uint64_t>(limit_percent, 100), 100);
    return limit > space.used ? limit - space.used : 0;
}

space_state space_judge(const disk_space &space, uint64_t limit_percent)
{
    if (space.used + space.free == 0)
        return space_state::ok; // a file system that does not count
    if (limit_percent < 100 && space_room(space, limit_percent) == 0)
        return space_state::full;
    uint64_t warning = limit_percent > out_of_space_warning ? limit_percent - out_of_space_warning : 0;
    return space_room(space, warning) == 0 ? space_state::low : space_state::ok;
}

json_ptr capacity_json(const node_capacity &capacity)
{
    json_ptr tree = json_object();
    json_add_text(tree.get(), "version", capacity.version);
    json_add_text(tree.get(), "machine", capacity.machine);
    json_add_u64(tree.get(), "bytes", capacity.bytes);
    if (!capacity.is_disk_known)
        return tree;
    cJSON *disk = json_add_object(tree.get(), "disk");
    json_add_u64_text(disk, "id", capacity.disk.id);
    json_add_u64(disk, "size", capacity.disk.size);
    json_add_u64(disk, "used", capacity.disk.used);
    json_add_u64(disk, "free", capacity.disk.free);
    json_add_u64(disk, "out_of_space", capacity.out_of_space);
    return tree;
}

static error refuse(std::string &out_where, std::string where)
{
    out_where = std::move(where);
    return make_error(error_code::bad_json);
}

error capacity_parse(const cJSON *tree, node_capacity &out_capacity, std::string &out_where)
{
    out_capacity = {};
    if (tree == nullptr)
        return no_error;
    out_capacity.is_known = true;
    for (const char *key : {"version", "machine"}) {
        std::string &text = std::string_view(key) == "version" ? out_capacity.version : out_capacity.machine;
        if (json_get(tree, key) != nullptr && !json_read_text(tree, key, capacity_text_size_max, text))
            return refuse(out_where, std::string("capacity.") + key + ": expected a text of at most 256 bytes");
    }
    if (!json_read_u64(tree, "bytes", out_capacity.bytes))
        return refuse(out_where, "capacity.bytes: expected a whole number");
    const cJSON *disk = json_get(tree, "disk");
    if (disk == nullptr)
        return no_error;
    struct field {
        const char *key;
        uint64_t &value;
    } fields[] = {{"id", out_capacity.disk.id}, {"size", out_capacity.disk.size}, {"used", out_capacity.disk.used},
        {"free", out_capacity.disk.free}, {"out_of_space", out_capacity.out_of_space}};
    for (const field &one : fields) {
        if (!json_read_u64(disk, one.key, one.value) || (one.value > INT64_MAX && &one.value != &out_capacity.disk.id))
            return refuse(out_where, std::string("capacity.disk.") + one.key + ": expected a whole number");
    }
    out_capacity.is_disk_known = true;
    return no_error;
}

} // namespace etlnode
