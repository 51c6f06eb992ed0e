// SPDX-License-Identifier: MIT
// test/sim/sim_record.h: what the clients know, and therefore what a read may return.
//
// An object is a register. An acknowledged write took effect between its start and its end. Any other write may take effect at any time
// after its start, or never. A read may return a write unless a later one, which began after that write had ended, ended before the read
// began.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim.h"

namespace etlnode {

struct sim_write {
    uint64_t id = 0; // identifies the content
    uint64_t start_us = 0;
    uint64_t end_us = UINT64_MAX;
    bool is_absent = false; // a removal
    size_t size = 0;
    // A copy has the content of another object's write that was current at some moment during the copying, transformed or not.
    struct sim_object *copied_from = nullptr;
    bool is_transformed = false;
    // The disk with the newest version was given up: from start_us on nothing of the object is there, or anything that was there before,
    // until something is written. Reads that begin after until_us cannot see that any more: the disk is back.
    bool is_loss = false;
    uint64_t until_us = UINT64_MAX;
};

struct sim_object {
    std::string bucket, name;
    std::vector<sim_write> writes; // the first one: absent from the beginning
};

std::string sim_content(const sim_write &write);
std::string sim_transformed(std::string content);

bool sim_is_possible(const sim_object &o, const sim_write &write, uint64_t start_us, uint64_t end_us);
// A whole object was read. Returns the write that it shows, or null if it fits none that may be seen (`out_why` says more). Notes that the
// write had taken effect by `end_us`.
sim_write *sim_saw_content(
    sim_object &o, std::string_view body, bool is_transformed, uint64_t start_us, uint64_t end_us, std::string &out_why);
// A read returned "there is no such object": is that allowed?
bool sim_saw_absent(sim_object &o, uint64_t start_us, uint64_t end_us);
// A part of an object was read: does any write, possible or not, contain these bytes at `offset`?
bool sim_is_part(const sim_object &o, std::string_view part, size_t offset, bool is_transformed);
// `except`: a write that does not count, for example the removal that asks. Null: all count.
bool sim_must_exist(const sim_object &o, uint64_t start_us, uint64_t end_us, const sim_write *except = nullptr);
bool sim_may_exist(const sim_object &o, uint64_t start_us, uint64_t end_us);

} // namespace etlnode
