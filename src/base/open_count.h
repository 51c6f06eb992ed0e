// SPDX-License-Identifier: MIT
// base/open_count.h: how much of something is under way, and who is to hear when the last of it has ended.
#pragma once

#include <cstddef>

#include "base/check.h"

namespace etlnode {

struct open_count {
    size_t count = 0;
    void (*on_none)(void *arg) = nullptr; // called each time the count gets to 0, inside open_count_end; null: nobody
    void *arg = nullptr;
};

inline void open_count_begin(open_count &c) { c.count++; }

inline void open_count_end(open_count &c)
{
    CHECK(c.count > 0);
    c.count--;
    if (c.count == 0 && c.on_none != nullptr)
        c.on_none(c.arg);
}

} // namespace etlnode
