// SPDX-License-Identifier: MIT
// test/sim/sim_record.h: what the clients know of the world, and what may therefore be seen in it.
//
// An object is a register. A write that was acknowledged took effect between its start and its end; one that was not may take effect at any
// time after its start, or never. A read may see a write unless another one, begun after that one had ended, ended before the read began.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim.h"

namespace etlnode {

struct sim_write {
    uint64_t id = 0; // names the content
    uint64_t start_us = 0;
    uint64_t end_us = UINT64_MAX;
    bool is_absent = false; // a removal
    size_t size = 0;
    // A copy: its content is that of a write of another object, whichever was current at some moment of the copying; through an ETL or as it is.
    struct sim_object *copied_from = nullptr;
    bool is_transformed = false;
};

struct sim_object {
    std::string bucket, name;
    std::vector<sim_write> writes; // the first: absent since ever
};

std::string sim_content(const sim_write &write);
std::string sim_transformed(std::string content);

bool sim_is_possible(const sim_object &o, const sim_write &write, uint64_t start_us, uint64_t end_us);
// A whole object was read. Null: fits no write that may be seen (`out_why` says more). The write has taken effect by `end_us`, which is kept.
sim_write *sim_saw_content(
    sim_object &o, std::string_view body, bool is_transformed, uint64_t start_us, uint64_t end_us, std::string &out_why);
// "There is no such object" was read: may that be?
bool sim_saw_absent(sim_object &o, uint64_t start_us, uint64_t end_us);
// Some bytes of an object were read: does any write, possible or not, begin with them at `offset`?
bool sim_is_part(const sim_object &o, std::string_view part, size_t offset, bool is_transformed);
bool sim_must_exist(const sim_object &o, uint64_t start_us, uint64_t end_us);
bool sim_may_exist(const sim_object &o, uint64_t start_us, uint64_t end_us);

} // namespace etlnode
