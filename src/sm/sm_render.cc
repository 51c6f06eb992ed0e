// SPDX-License-Identifier: MIT
// sm/sm_render.cc: writes the Markdown page of a machine.
#include "sm/sm_render.h"

#include "base/text.h"

namespace etlnode {

static std::string resource_list(const sm_view &view, uint32_t mask)
{
    std::string out;
    for (size_t bit = 0; bit < view.resources.size(); bit++) {
        if ((mask & (1u << bit)) != 0)
            out += (out.empty() ? "" : ", ") + std::string(view.resources[bit]);
    }
    return out.empty() ? "none" : out;
}

static std::string cell(const sm_view &view, size_t state, size_t event)
{
    std::string out;
    for (size_t i = 0; i < view.rows.size(); i++) {
        if (view.rows[i].from == state && view.rows[i].on == event)
            out += (out.empty() ? "" : ", ") + text_format("%zu", i);
    }
    for (const auto &ignore : view.ignores) {
        if (ignore.in == state && ignore.event == event)
            out = "ignored";
    }
    return out;
}

std::string sm_render_page(const sm_view &view)
{
    std::string name = view.name;
    std::string out = "# The " + name + " machine\n\nGenerated from its table by `make docs`; a test fails when this page is stale.\n\n";
    out += "```mermaid\nstateDiagram-v2\n";
    for (const auto &s : view.states) {
        if ((s.kind & sm_initial) != 0)
            out += "    [*] --> " + std::string(s.name) + "\n";
    }
    for (const auto &row : view.rows) {
        out += "    " + std::string(view.states[row.from].name) + " --> " + view.states[row.to].name + ": " + view.events[row.on];
        if (std::string_view(row.guard) != "always")
            out += " [" + std::string(row.guard) + "]";
        out += "\n";
    }
    for (const auto &s : view.states) {
        if ((s.kind & sm_final) != 0)
            out += "    " + std::string(s.name) + " --> [*]\n";
    }
    out += "```\n\n## States\n\n| state | kind | always alive | may be alive |\n|---|---|---|---|\n";
    for (const auto &s : view.states) {
        std::string kind = (s.kind & sm_final) != 0   ? "final"
                           : (s.kind & sm_busy) == 0  ? "waits"
                           : s.other_clock == nullptr ? "busy, has a deadline"
                                                      : "busy; ends by: " + std::string(s.other_clock);
        out += text_format("| %s | %s%s | %s | %s |\n", s.name, (s.kind & sm_initial) != 0 ? "initial, " : "", kind.c_str(),
            resource_list(view, s.must).c_str(), resource_list(view, s.may & ~s.must).c_str());
    }
    out +=
        "\n## Rows\n\nRows of one state and event are tried in order.\n\n| row | in | on | if | do | then |\n|---|---|---|---|---|---|\n";
    for (size_t i = 0; i < view.rows.size(); i++) {
        const auto &row = view.rows[i];
        out += text_format("| %zu | %s | %s | %s | %s | %s |\n", i, view.states[row.from].name, view.events[row.on], row.guard, row.action,
            view.states[row.to].name);
    }
    if (!view.ignores.empty()) {
        out += "\n## Late events, ignored\n\n| in | event | why it is harmless |\n|---|---|---|\n";
        for (const auto &ignore : view.ignores)
            out += text_format("| %s | %s | %s |\n", view.states[ignore.in].name, view.events[ignore.event], ignore.why);
    }
    out += "\n## State x event\n\nNumbers are rows; an empty cell cannot happen: such an event stops the machine and is counted.\n\n|  |";
    for (const char *event : view.events)
        out += text_format(" %s |", event);
    out += "\n|---|";
    for (size_t i = 0; i < view.events.size(); i++)
        out += "---|";
    out += "\n";
    for (size_t s = 0; s < view.states.size(); s++) {
        if ((view.states[s].kind & sm_final) != 0)
            continue;
        out += text_format("| %s |", view.states[s].name);
        for (size_t e = 0; e < view.events.size(); e++)
            out += " " + cell(view, s, e) + " |";
        out += "\n";
    }
    if (!view.invariants.empty()) {
        out += "\n## Invariants, checked after every step\n\n";
        for (const char *invariant : view.invariants)
            out += text_format("- %s\n", invariant);
    }
    return out;
}

} // namespace etlnode
