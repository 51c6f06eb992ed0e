// SPDX-License-Identifier: MIT
// transfer/answer_part.h: whether a pod's 206 is the part that its client asked for, and how many bytes that part has.
#pragma once

#include <cstdint>
#include <string_view>

#include "codec/http_parse.h"

namespace etlnode {

// `asked`: the client's Range. False: the answer says of no part, or of two, that it is one, or begins elsewhere than what was asked for, or its
// Content-Length is that of another part. `out_size`: the bytes that its body must have, 0 where that is not known (several parts, each with its own place).
bool answer_part_fits(std::string_view asked, const http_head &answer, uint64_t &out_size);

} // namespace etlnode
