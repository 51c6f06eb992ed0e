// SPDX-License-Identifier: MIT
// sm/sm_news.h: what a machine has to tell the machine that it works for.
//
// A machine notes its news in its table's `after` hook, inside its own step. The owner takes them outside of any step, and steps itself once
// for each: after every call that it made down into the child, and whenever the child says that something has happened by itself (the
// child's `on_news`, called when the child's own step has ended). So no machine is stepped inside a step, nothing happens between an event
// of the child and what its owner makes of it, and no message can outlive the one that sent it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/check.h"

namespace etlnode {

inline constexpr size_t sm_news_max = 4; // of one machine that have not been taken

template <class N> struct sm_news {
    N items[sm_news_max] = {};
    uint8_t count = 0;
};

template <class N> void sm_news_put(sm_news<N> &news, N item)
{
    CHECK(news.count < sm_news_max);
    news.items[news.count++] = item;
}

// Oldest first. False: there are none.
template <class N> bool sm_news_take(sm_news<N> &news, N &out_item)
{
    if (news.count == 0)
        return false;
    out_item = news.items[0];
    for (size_t i = 1; i < news.count; i++)
        news.items[i - 1] = news.items[i];
    news.count--;
    return true;
}

} // namespace etlnode
