// SPDX-License-Identifier: MIT
// base/back_off.h: growing pauses between tries. The first pause is min_ms; each further one is twice as long, up to max_ms.
#pragma once

#include <algorithm>
#include <cstdint>

namespace etlnode {

struct back_off {
    uint64_t min_ms = 0;
    uint64_t max_ms = 0;
    uint64_t delay_ms = 0; // the last pause; 0: none yet
};

inline uint64_t back_off_peek(const back_off &b) { return b.delay_ms == 0 ? b.min_ms : std::min(b.delay_ms * 2, b.max_ms); }
inline uint64_t back_off_next(back_off &b) { return b.delay_ms = back_off_peek(b); }
inline void back_off_reset(back_off &b) { b.delay_ms = 0; }
inline bool back_off_is_bounded(const back_off &b) { return b.delay_ms <= b.max_ms; }

} // namespace etlnode
