// SPDX-License-Identifier: MIT
// transfer/answer_part.h: checks whether a pod's 206 is the part that its client asked for, and how many bytes it has.
#pragma once

#include <cstdint>
#include <string_view>

#include "codec/http_parse.h"

namespace etlnode {

// `asked`: the client's Range. False if the answer does not name exactly one part, begins elsewhere than requested, or has the
// Content-Length of another part. `out_size`: the bytes that its body must have; 0 if unknown (several parts, each with its own range).
bool answer_part_fits(std::string_view asked, const http_head &answer, uint64_t &out_size);

} // namespace etlnode
