// SPDX-License-Identifier: MIT
// sm/sm_render.h: renders a machine's table as its page for docs/machines/: a Mermaid diagram and the full state x event matrix.
#pragma once

#include <string>
#include <vector>

#include "sm/sm.h"

namespace etlnode {

// A table without its types. All texts are static.
struct sm_view {
    struct state_row {
        const char *name;
        uint8_t kind;
        uint32_t must;
        uint32_t may;
        const char *other_clock;
    };
    struct edge {
        size_t from;
        size_t on;
        const char *guard;
        const char *action;
        size_t to;
    };
    struct ignore_row {
        size_t in;
        size_t event;
        const char *why;
    };
    const char *name = "";
    std::vector<state_row> states;
    std::vector<const char *> events;
    std::vector<const char *> resources;
    std::vector<edge> rows;
    std::vector<ignore_row> ignores;
    std::vector<const char *> invariants;
    const sm_counters *counters = nullptr;
};

template <class M> sm_view sm_view_of(const sm_table<M> &table)
{
    sm_view view;
    view.name = table.name;
    view.counters = &sm_counters_of<M>;
    for (const auto &s : table.states)
        view.states.push_back({sm_name(s.state), s.kind, s.must, s.may, s.other_clock});
    view.events.assign(sm_names<typename M::event>.begin(), sm_names<typename M::event>.end());
    for (const sm_resource &resource : table.resources)
        view.resources.push_back(resource.name);
    for (const auto &row : table.rows)
        view.rows.push_back(
            {static_cast<size_t>(row.from), static_cast<size_t>(row.on), row.guard.name, row.action.name, static_cast<size_t>(row.to)});
    for (const auto &ignore : table.ignores)
        view.ignores.push_back({static_cast<size_t>(ignore.in), static_cast<size_t>(ignore.event), ignore.why});
    for (const auto &invariant : table.invariants)
        view.invariants.push_back(invariant.name);
    return view;
}

// The whole Markdown page.
std::string sm_render_page(const sm_view &view);

} // namespace etlnode
