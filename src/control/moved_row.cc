// SPDX-License-Identifier: MIT
// control/moved_row.cc: rows of the index in messages between targets.
//
// Knows    codec, port.        Known by  role.
// Normal   content_id is not sent. In a row that was received it is 0 if there is no content: the object is empty, or it was damaged and
//          its content was left behind ("damaged"). Else it is 1.
// Limits   item_row_size_max.
#include "control/moved_row.h"

#include "base/limits.h"
#include "base/text.h"

namespace etlnode {

static constexpr size_t item_row_size_max = 64 * kib; // of one item's row as JSON

// It has a size, and its content was left behind.
static bool is_damaged(const index_row &row) { return !row.is_tombstone && row.content_id == 0 && row.size > 0; }

static void add_bytes(cJSON *tree, const char *key, std::string_view bytes)
{
    if (!bytes.empty())
        json_add_text(tree, key, base64_encode(bytes));
}

json_ptr moved_row_print(const index_row &row)
{
    json_ptr tree = json_object();
    add_bytes(tree.get(), "bucket", row.bucket);
    add_bytes(tree.get(), "name", row.name);
    json_add_u64_text(tree.get(), "version", row.version);
    json_add_u64_text(tree.get(), "tag", row.tag);
    if (row.is_tombstone) {
        json_add_bool(tree.get(), "deleted", true);
        return tree;
    }
    json_add_u64_text(tree.get(), "size", row.size);
    json_add_u64_text(tree.get(), "checksum", row.checksum);
    json_add_u64_text(tree.get(), "changed_ns", row.changed_ns);
    add_bytes(tree.get(), "content_type", row.content_type);
    add_bytes(tree.get(), "etag", row.etag);
    add_bytes(tree.get(), "custom", row.custom);
    if (is_damaged(row))
        json_add_bool(tree.get(), "damaged", true);
    return tree;
}

static bool read_bytes(const cJSON *tree, const char *key, std::string &out_bytes)
{
    out_bytes.clear();
    return json_get(tree, key) == nullptr || base64_decode(json_text(tree, key), out_bytes);
}

static error bad(const char *what) { return make_error(error_code::bad_json, what); }

error moved_row_parse(const cJSON *tree, index_row &out_row)
{
    index_row row;
    bool has_names = read_bytes(tree, "bucket", row.bucket) && read_bytes(tree, "name", row.name);
    if (!has_names || row.bucket.empty() || row.bucket.size() > bucket_name_size_max || row.name.empty() ||
        row.name.size() > object_name_size_max)
        return bad("a moved row has no good name");
    bool has_numbers = json_read_u64(tree, "version", row.version) && json_read_u64(tree, "tag", row.tag);
    if (!has_numbers || row.version == 0 || row.version > INT64_MAX || row.tag > INT64_MAX)
        return bad("a moved row has no good version");
    row.is_tombstone = json_bool(tree, "deleted", false);
    if (!row.is_tombstone) {
        bool has_facts = json_read_u64(tree, "size", row.size) && json_read_u64(tree, "checksum", row.checksum) &&
                         json_read_u64(tree, "changed_ns", row.changed_ns) && row.size <= INT64_MAX;
        if (!has_facts || !read_bytes(tree, "content_type", row.content_type) || !read_bytes(tree, "etag", row.etag) ||
            !read_bytes(tree, "custom", row.custom))
            return bad("a moved row lacks something");
        row.content_id = row.size == 0 || json_bool(tree, "damaged", false) ? 0 : 1;
    }
    out_row = std::move(row);
    return no_error;
}

void moved_item_append(std::string &batch, const moved_item &item)
{
    json_ptr tree = moved_row_print(item.row);
    json_add_u64_text(tree.get(), "created_ns", item.created_ns);
    batch += json_print(tree.get());
    batch += '\n';
    batch += item.row.content;
}

error moved_item_take(std::string_view &rest, moved_item &out_item)
{
    size_t end = rest.substr(0, item_row_size_max).find('\n');
    if (end == std::string_view::npos)
        return bad("an item of a batch has no row");
    json_ptr tree;
    std::string where;
    moved_item item;
    if (error err = json_parse(rest.substr(0, end), tree, where))
        return err;
    if (error err = moved_row_parse(tree.get(), item.row))
        return err;
    if (!json_read_u64(tree.get(), "created_ns", item.created_ns))
        return bad("an item of a batch lacks created_ns");
    std::string_view behind = rest.substr(end + 1);
    uint64_t size = is_damaged(item.row) ? 0 : item.row.size;
    if (size > behind.size())
        return bad("an item of a batch is cut off");
    item.row.content = behind.substr(0, static_cast<size_t>(size));
    rest = behind.substr(static_cast<size_t>(size));
    out_item = std::move(item);
    return no_error;
}

} // namespace etlnode
