// SPDX-License-Identifier: MIT
// test/sim/sim_record.cc: contents that identify their write, and the rule for what a read may return.
#include "sim_record.h"

#include <algorithm>
#include <cstring>

#include "base/text.h"

namespace etlnode {

std::string sim_content(const sim_write &write)
{
    std::string out(write.size, '\0');
    rng r{write.id * 0x2545f4914f6cdd1dull};
    for (size_t at = 0; at < out.size(); at += 8) {
        uint64_t word = rng_next(r);
        std::memcpy(out.data() + at, &word, std::min<size_t>(8, out.size() - at));
    }
    return out;
}

std::string sim_transformed(std::string content)
{
    for (char &byte : content)
        byte = static_cast<char>(byte ^ 0x5a);
    return content;
}

// Whether a read of `o` by `end_us` may return `plain` if it sees this write.
static bool gives(const sim_write &write, std::string_view plain, uint64_t end_us)
{
    if (write.is_absent)
        return false;
    if (write.copied_from == nullptr)
        return write.size == plain.size() && sim_content(write) == plain;
    std::string source = write.is_transformed ? sim_transformed(std::string(plain))
                                              : std::string(plain); // the transform is its own inverse
    const sim_object &from = *write.copied_from;
    return std::any_of(from.writes.begin(), from.writes.end(), [&](const sim_write &one) {
        return !one.is_absent && one.size == source.size() && sim_is_possible(from, one, write.start_us, std::min(write.end_us, end_us)) &&
               sim_content(one) == source;
    });
}

static bool is_overwritten(const sim_object &o, const sim_write &write, uint64_t start_us)
{
    return std::any_of(o.writes.begin(), o.writes.end(), [&](const sim_write &later) {
        return later.start_us > write.end_us && later.end_us < start_us && !(later.is_loss && start_us >= later.until_us);
    });
}

bool sim_is_possible(const sim_object &o, const sim_write &write, uint64_t start_us, uint64_t end_us)
{
    if (write.start_us > end_us || (write.is_loss && start_us >= write.until_us))
        return false;
    if (!is_overwritten(o, write, start_us))
        return true;
    return std::any_of(o.writes.begin(), o.writes.end(), [&](const sim_write &loss) {
        return loss.is_loss && !write.is_loss && write.start_us <= loss.start_us && sim_is_possible(o, loss, start_us, end_us);
    });
}

sim_write *sim_saw_content(
    sim_object &o, std::string_view body, bool is_transformed, uint64_t start_us, uint64_t end_us, std::string &out_why)
{
    std::string plain = is_transformed ? sim_transformed(std::string(body)) : std::string(body);
    const sim_write *stale = nullptr;
    for (sim_write &write : o.writes) {
        if (!gives(write, plain, end_us))
            continue;
        if (sim_is_possible(o, write, start_us, end_us)) {
            if (!plain.empty() &&
                write.copied_from == nullptr) // copies of one write look alike, and an empty content does not identify its write
                write.end_us = std::min(write.end_us, end_us);
            return &write;
        }
        stale = &write;
    }
    out_why = stale != nullptr
                  ? text_format("stale: write %llu, overwritten before the read began", static_cast<unsigned long long>(stale->id))
                  : text_format("foreign: %zu bytes that nobody wrote", body.size());
    return nullptr;
}

bool sim_saw_absent(sim_object &o, uint64_t start_us, uint64_t end_us) { return !sim_must_exist(o, start_us, end_us); }

bool sim_is_part(const sim_object &o, std::string_view part, size_t offset, bool is_transformed)
{
    return part.empty() || std::any_of(o.writes.begin(), o.writes.end(), [&](const sim_write &write) {
        if (write.copied_from != nullptr)
            return sim_is_part(*write.copied_from, part, offset, is_transformed != write.is_transformed);
        if (write.is_absent || write.size < offset + part.size())
            return false;
        std::string whole = sim_content(write);
        return (is_transformed ? sim_transformed(whole) : whole).compare(offset, part.size(), part) == 0;
    });
}

bool sim_must_exist(const sim_object &o, uint64_t start_us, uint64_t end_us, const sim_write *except)
{
    return std::none_of(o.writes.begin(), o.writes.end(),
        [&](const sim_write &write) { return write.is_absent && &write != except && sim_is_possible(o, write, start_us, end_us); });
}

bool sim_may_exist(const sim_object &o, uint64_t start_us, uint64_t end_us)
{
    return std::any_of(o.writes.begin(), o.writes.end(),
        [&](const sim_write &write) { return !write.is_absent && sim_is_possible(o, write, start_us, end_us); });
}

} // namespace etlnode
