// SPDX-License-Identifier: MIT
// sm/sm_news.h: what a machine reports to the machine that it works for.
//
// A machine notes its news in its table's `after` hook, inside its own step. The owner takes them outside of any step and steps itself once
// for each item. It does so after every call down into the child, and whenever the child reports that something happened by itself (the
// child's `on_news`, called when the child's own step has ended). As a result, no machine is stepped inside a step, nothing happens between
// an event of the child and its owner's reaction, and no message outlives its sender.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/check.h"

namespace etlnode {

inline constexpr size_t sm_news_max = 4; // news of one machine that its owner has not taken yet

template <class N> struct sm_news {
    N items[sm_news_max] = {};
    uint8_t count = 0;
};

template <class N> void sm_news_put(sm_news<N> &news, N item)
{
    CHECK(news.count < sm_news_max);
    news.items[news.count++] = item;
}

// Takes the oldest item; false if there is none.
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
