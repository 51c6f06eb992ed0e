// SPDX-License-Identifier: MIT
// object/tar_end.cc: goes from header to header of a tar, up to the zeroes at its end.
//
// Owns     one tar_end_search until it has completed.
// Knows    port/disk, store.        Known by  role/target.
// Normal   all of it runs on the thread pool, which reads the block that has the next header.
// Fails    a header whose checksum is wrong, or a member that is cut off.
#include "object/tar_end.h"

#include <algorithm>
#include <memory>
#include <string_view>

#include "base/limits.h"
#include "port/disk.h"

namespace etlnode {

static constexpr size_t record_size = 512; // of a tar

struct tar_end_search {
    env *e = nullptr;
    const store_object *object = nullptr;
    open_count *at_disk = nullptr;
    std::unique_ptr<char[]> block;
    uint64_t block_at = UINT64_MAX;
    uint64_t end = 0;
    error err;
    const char *why = nullptr;
    tar_end_on_found on_found = nullptr;
    void *arg = nullptr;
};

// --- off the loop

// Null: it cannot be read.
static const char *record_at(tar_end_search &m, uint64_t at)
{
    const store_object &object = *m.object;
    if (object.file == nullptr)
        return object.content.data() + at;
    uint64_t begin = at - at % content_block_size;
    if (m.block_at != begin) {
        size_t size = static_cast<size_t>(std::min<uint64_t>(content_block_size, object.row.size - begin));
        size_t count = disk_read_now(*m.e, object.file, m.block.get(), size, begin, m.err);
        if (m.err || count != size)
            return nullptr;
        m.block_at = begin;
    }
    return m.block.get() + (at - begin);
}

// Octal digits, or GNU's binary form.
static bool read_number(const char *text, size_t size, uint64_t &out_value)
{
    uint64_t value = 0;
    if ((static_cast<unsigned char>(text[0]) & 0x80) != 0) {
        for (size_t i = size - 8; i < size; i++)
            value = value << 8 | static_cast<unsigned char>(text[i]);
        out_value = value;
        return value <= INT64_MAX;
    }
    for (size_t i = 0; i < size && text[i] != '\0' && text[i] != ' '; i++) {
        if (text[i] < '0' || text[i] > '7')
            return false;
        value = value * 8 + static_cast<uint64_t>(text[i] - '0');
    }
    out_value = value;
    return true;
}

static bool is_header(const char *record)
{
    static constexpr size_t sum_at = 148, sum_size = 8;
    uint64_t given = 0, sum = 0;
    for (size_t i = 0; i < record_size; i++)
        sum += i >= sum_at && i < sum_at + sum_size ? ' ' : static_cast<unsigned char>(record[i]);
    std::string_view digits(record + sum_at, sum_size);
    digits.remove_prefix(std::min(digits.find_first_not_of(' '), digits.size()));
    return !digits.empty() && read_number(digits.data(), digits.size(), given) && given == sum;
}

static bool is_zero(const char *record)
{
    return std::all_of(record, record + record_size, [](char c) { return c == '\0'; });
}

static void find_end(void *arg)
{
    static constexpr size_t size_at = 124, size_size = 12, type_at = 156;
    auto &m = *static_cast<tar_end_search *>(arg);
    uint64_t whole = m.object->row.size;
    for (uint64_t at = 0; at < whole;) {
        const char *record = whole - at >= record_size ? record_at(m, at) : nullptr;
        uint64_t size = 0;
        if (m.err)
            return;
        if (record != nullptr && is_zero(record))
            return;
        bool is_good = record != nullptr && is_header(record) && read_number(record + size_at, size_size, size);
        bool has_data = is_good && (record[type_at] < '1' || record[type_at] > '6'); // links, devices and folders have none
        uint64_t next = at + record_size + (has_data ? (size + record_size - 1) / record_size * record_size : 0);
        if (!is_good || next > whole) {
            m.why = "it is no tar, or damaged";
            return;
        }
        m.end = at = next;
    }
}

// --- on the loop

static void on_worked(void *arg, error)
{
    std::unique_ptr<tar_end_search> m(static_cast<tar_end_search *>(arg));
    m->on_found(m->arg, m->err, m->why, m->end);
    open_count_end(*m->at_disk);
}

void tar_end_find(env &e, const store_object &object, open_count &at_disk, tar_end_on_found on_found, void *arg)
{
    auto *m = new tar_end_search;
    m->e = &e;
    m->object = &object;
    m->at_disk = &at_disk;
    m->on_found = on_found;
    m->arg = arg;
    if (object.file != nullptr)
        m->block = std::make_unique_for_overwrite<char[]>(content_block_size);
    open_count_begin(at_disk);
    disk_work(e, object.file, find_end, on_worked, m);
}

} // namespace etlnode
