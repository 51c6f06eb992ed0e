// SPDX-License-Identifier: MIT
// aistore/list_page.cc: pages of object names, written by msgpack-c and read by a cursor that trusts no count.
//
// Owns     nothing.
// Knows    base, json, msgpack-c.    Known by  control, role.
// Order    for an array, msgpack-c allocates what its header announces, so five bytes can request gigabytes. This file therefore reads
//          value by value, and allocates nothing for bytes that it has not seen.
// Limits   list_answer_entry_count_max, list_depth_max.
#include "aistore/list_page.h"

#include <msgpack.h>

#include "base/limits.h"
#include "base/text.h"
#include "codec/json.h"

namespace etlnode {

// ---- writing

static void pack_text(msgpack_packer &packer, std::string_view text)
{
    msgpack_pack_str(&packer, text.size());
    msgpack_pack_str_body(&packer, text.data(), text.size());
}

static void pack_field(msgpack_packer &packer, std::string_view key, std::string_view value)
{
    if (value.empty())
        return;
    pack_text(packer, key);
    pack_text(packer, value);
}

static void pack_field_u64(msgpack_packer &packer, std::string_view key, uint64_t value)
{
    if (value == 0)
        return;
    pack_text(packer, key);
    msgpack_pack_uint64(&packer, value);
}

static size_t count_fields(const list_entry &entry)
{
    size_t count = 1;
    for (const std::string *text : {&entry.checksum, &entry.atime, &entry.version, &entry.location, &entry.custom})
        count += text->empty() ? 0 : 1;
    for (uint64_t number : {entry.size, uint64_t{entry.copies}, uint64_t{entry.flags}})
        count += number == 0 ? 0 : 1;
    return count;
}

static void pack_entry(msgpack_packer &packer, const list_entry &entry)
{
    msgpack_pack_map(&packer, count_fields(entry));
    pack_text(packer, "n");
    pack_text(packer, entry.name);
    pack_field(packer, "cs", entry.checksum);
    pack_field(packer, "a", entry.atime);
    pack_field(packer, "v", entry.version);
    pack_field(packer, "t", entry.location);
    pack_field(packer, "m", entry.custom);
    pack_field_u64(packer, "s", entry.size);
    pack_field_u64(packer, "c", entry.copies);
    pack_field_u64(packer, "f", entry.flags);
}

static int append(void *out, const char *bytes, size_t size)
{
    static_cast<std::string *>(out)->append(bytes, size);
    return 0;
}

std::string list_page_msgpack(const list_page &page)
{
    std::string out;
    out.reserve(64 + page.entries.size() * 64);
    msgpack_packer packer;
    msgpack_packer_init(&packer, &out, append);
    msgpack_pack_map(&packer, 4);
    pack_text(packer, "UUID");
    pack_text(packer, page.uuid);
    pack_text(packer, "ContinuationToken");
    pack_text(packer, page.token);
    pack_text(packer, "Entries");
    msgpack_pack_array(&packer, page.entries.size()); // empty instead of nil, because clients iterate over it
    for (const list_entry &entry : page.entries)
        pack_entry(packer, entry);
    pack_text(packer, "Flags");
    msgpack_pack_uint32(&packer, page.flags);
    return out;
}

static void add_field(cJSON *object, const char *key, const std::string &value)
{
    if (!value.empty())
        json_add_text(object, key, value);
}

std::string list_page_json(const list_page &page)
{
    json_ptr tree = json_object();
    json_add_text(tree.get(), "uuid", page.uuid);
    json_add_text(tree.get(), "continuation_token", page.token);
    cJSON *entries = json_add_array(tree.get(), "entries");
    for (const list_entry &entry : page.entries) {
        json_ptr object = json_object();
        json_add_text(object.get(), "name", entry.name);
        add_field(object.get(), "checksum", entry.checksum);
        add_field(object.get(), "atime", entry.atime);
        add_field(object.get(), "version", entry.version);
        add_field(object.get(), "location", entry.location);
        add_field(object.get(), "custom-md", entry.custom);
        if (entry.size != 0)
            json_add_u64_text(object.get(), "size", entry.size);
        if (entry.copies != 0)
            json_add_u64(object.get(), "copies", entry.copies);
        if (entry.flags != 0)
            json_add_u64(object.get(), "flags", entry.flags);
        json_append(entries, std::move(object));
    }
    json_add_u64(tree.get(), "flags", page.flags);
    return json_print(tree.get());
}

// ---- reading

enum class value_kind : uint8_t { nil, other, number, text, array, map };

struct value {
    value_kind kind = value_kind::other;
    uint64_t number = 0; // number: the value; array: elements; map: pairs
    std::string_view text = {};
};

struct cursor {
    std::string_view rest;
};

static constexpr size_t list_depth_max = 8; // of values under unknown keys

static bool take_bytes(cursor &c, uint64_t size, std::string_view &out_bytes)
{
    if (size > c.rest.size())
        return false;
    out_bytes = c.rest.substr(0, static_cast<size_t>(size));
    c.rest.remove_prefix(static_cast<size_t>(size));
    return true;
}

static bool take_number(cursor &c, size_t size, uint64_t &out_number)
{
    std::string_view bytes;
    if (!take_bytes(c, size, bytes))
        return false;
    out_number = 0;
    for (char byte : bytes)
        out_number = out_number << 8 | static_cast<uint8_t>(byte);
    return true;
}

static bool take_text(cursor &c, uint64_t size, value &out)
{
    out.kind = value_kind::text;
    return take_bytes(c, size, out.text);
}

// A text whose size, or a container whose count, is in the next `size` bytes.
static bool take_sized(cursor &c, value_kind kind, size_t size, value &out)
{
    uint64_t count = 0;
    if (!take_number(c, size, count))
        return false;
    if (kind == value_kind::text)
        return take_text(c, count, out);
    out = {.kind = kind, .number = count};
    return true;
}

static bool take_signed(cursor &c, size_t size, value &out)
{
    uint64_t number = 0;
    if (!take_number(c, size, number))
        return false;
    bool negative = (number >> (size * 8 - 1) & 1) != 0;
    out = {.kind = negative ? value_kind::other : value_kind::number, .number = number};
    return true;
}

static bool take_opaque(cursor &c, uint64_t size, value &out)
{
    std::string_view bytes;
    out.kind = value_kind::other;
    return take_bytes(c, size, bytes);
}

// Takes only the head of a container.
static bool take_value(cursor &c, value &out)
{
    uint64_t head = 0;
    uint64_t size = 0;
    out = {};
    if (!take_number(c, 1, head))
        return false;
    if (head < 0x80) {
        out = {.kind = value_kind::number, .number = head};
        return true;
    }
    if (head < 0xa0) {
        out = {.kind = head < 0x90 ? value_kind::map : value_kind::array, .number = head & 15};
        return true;
    }
    if (head < 0xc0)
        return take_text(c, head & 31, out);
    if (head >= 0xe0) // -32 to -1
        return true;
    switch (head) {
    case 0xc0: out.kind = value_kind::nil; return true;
    case 0xc2:
    case 0xc3: return true; // booleans
    case 0xc4: return take_number(c, 1, size) && take_opaque(c, size, out);
    case 0xc5: return take_number(c, 2, size) && take_opaque(c, size, out);
    case 0xc6: return take_number(c, 4, size) && take_opaque(c, size, out);
    case 0xc7: return take_number(c, 1, size) && take_opaque(c, size + 1, out);
    case 0xc8: return take_number(c, 2, size) && take_opaque(c, size + 1, out);
    case 0xc9: return take_number(c, 4, size) && take_opaque(c, size + 1, out);
    case 0xca: return take_opaque(c, 4, out);
    case 0xcb: return take_opaque(c, 8, out);
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf: out.kind = value_kind::number; return take_number(c, size_t{1} << (head - 0xcc), out.number);
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3: return take_signed(c, size_t{1} << (head - 0xd0), out);
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8: return take_opaque(c, (uint64_t{1} << (head - 0xd4)) + 1, out);
    case 0xd9: return take_sized(c, value_kind::text, 1, out);
    case 0xda: return take_sized(c, value_kind::text, 2, out);
    case 0xdb: return take_sized(c, value_kind::text, 4, out);
    case 0xdc: return take_sized(c, value_kind::array, 2, out);
    case 0xdd: return take_sized(c, value_kind::array, 4, out);
    case 0xde: return take_sized(c, value_kind::map, 2, out);
    case 0xdf: return take_sized(c, value_kind::map, 4, out);
    default: return false; // 0xc1 is never used
    }
}

// Skips a value with everything in it. Each element takes at least one byte, so a false count ends at the end of the bytes.
static bool skip_value(cursor &c, size_t depth)
{
    value v;
    if (depth > list_depth_max || !take_value(c, v))
        return false;
    uint64_t count = v.kind == value_kind::map ? v.number * 2 : v.kind == value_kind::array ? v.number : 0;
    for (uint64_t i = 0; i < count; i++)
        if (!skip_value(c, depth + 1))
            return false;
    return true;
}

// nil means empty, as Go writes it.
static bool read_text(cursor &c, std::string &out_text)
{
    value v;
    if (!take_value(c, v) || (v.kind != value_kind::text && v.kind != value_kind::nil) || !text_is_utf8(v.text))
        return false;
    out_text = v.text;
    return true;
}

template <class T> static bool read_number(cursor &c, T &out_number)
{
    value v;
    if (!take_value(c, v) || v.kind != value_kind::number || v.number > T(~T{0}))
        return false;
    out_number = static_cast<T>(v.number);
    return true;
}

static bool read_key(cursor &c, std::string_view &out_key)
{
    value v;
    if (!take_value(c, v) || v.kind != value_kind::text)
        return false;
    out_key = v.text;
    return true;
}

static bool read_entry(cursor &c, list_entry &out_entry)
{
    value map;
    if (!take_value(c, map) || map.kind != value_kind::map)
        return false;
    for (uint64_t i = 0; i < map.number; i++) {
        std::string_view key;
        if (!read_key(c, key))
            return false;
        bool good = key == "n"    ? read_text(c, out_entry.name)
                    : key == "cs" ? read_text(c, out_entry.checksum)
                    : key == "a"  ? read_text(c, out_entry.atime)
                    : key == "v"  ? read_text(c, out_entry.version)
                    : key == "t"  ? read_text(c, out_entry.location)
                    : key == "m"  ? read_text(c, out_entry.custom)
                    : key == "s"  ? read_number(c, out_entry.size)
                    : key == "c"  ? read_number(c, out_entry.copies)
                    : key == "f"  ? read_number(c, out_entry.flags)
                                  : skip_value(c, 0);
        if (!good)
            return false;
    }
    return !out_entry.name.empty();
}

static bool read_entries(cursor &c, std::vector<list_entry> &out_entries)
{
    value array;
    if (!take_value(c, array))
        return false;
    if (array.kind == value_kind::nil)
        return true;
    if (array.kind != value_kind::array || array.number > list_answer_entry_count_max)
        return false;
    out_entries.clear();
    for (uint64_t i = 0; i < array.number; i++)
        if (!read_entry(c, out_entries.emplace_back()))
            return false;
    return true;
}

static bool read_page(cursor &c, list_page &out_page)
{
    value map;
    if (!take_value(c, map) || map.kind != value_kind::map)
        return false;
    for (uint64_t i = 0; i < map.number; i++) {
        std::string_view key;
        if (!read_key(c, key))
            return false;
        bool good = key == "UUID"                ? read_text(c, out_page.uuid)
                    : key == "ContinuationToken" ? read_text(c, out_page.token)
                    : key == "Entries"           ? read_entries(c, out_page.entries)
                    : key == "Flags"             ? read_number(c, out_page.flags)
                                                 : skip_value(c, 0);
        if (!good)
            return false;
    }
    return c.rest.empty();
}

error list_page_parse_msgpack(std::string_view bytes, list_page &out_page)
{
    cursor c{bytes};
    list_page page;
    if (!read_page(c, page))
        return make_error(error_code::bad_request, "malformed list of objects");
    out_page = std::move(page);
    return no_error;
}

} // namespace etlnode
