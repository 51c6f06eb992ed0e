// SPDX-License-Identifier: MIT
// test/lib/rows_taken.h: whether a test program took every row of a machine's table. Its last case checks that.
#pragma once

#include "node_test.h"

#include "sm/sm_render.h"

namespace etlnode {

// A row that no case takes shows that a case is missing, or that the row is superfluous.
inline void check_rows_taken(const sm_view &view)
{
    size_t untaken = 0;
    for (size_t i = 0; i < view.rows.size(); i++) {
        if (view.counters->row_taken[i] > 0)
            continue;
        untaken++;
        print_error("%s, row %zu: %s --%s[%s]--> %s was never taken\n", view.name, i, view.states[view.rows[i].from].name,
            view.events[view.rows[i].on], view.rows[i].guard, view.states[view.rows[i].to].name);
    }
    test_eq(untaken, 0u);
}

} // namespace etlnode
