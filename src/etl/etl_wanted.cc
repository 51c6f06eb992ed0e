// SPDX-License-Identifier: MIT
// etl/etl_wanted.cc: makes a target's ETLs match what it should have, and completes the callers that wait for that.
//
// Knows    etl_machine, the registry's fields.       Known by  role.
// Normal   it compares the cluster document with the machines. The registry's `settle` reports the results of starts and stops.
// Fails    a start that no caller waits for any more is stopped, and is not started again while the document lists it as initializing.
// Limits   etl_count_max.
#include <algorithm>

#include "base/limits.h"
#include "base/text.h"
#include "etl/etl_registry_internal.h"

namespace etlnode {

static etl *make_machine(etl_registry &r, const etl_definition &definition)
{
    etl_ref *ref = etl_registry_ref_of(r, definition.id);
    if (ref == nullptr)
        ref = r.refs[definition.id] = new etl_ref{&r, definition.id, {}, 0, 0};
    etl *m = etl_make(r.host, *ref, definition, r.next_machine_id++);
    m->predecessor = etl_ref_current(*ref);
    ref->starts.push_back(m);
    r.etls.push_back(m);
    return m;
}

static void stop_machine(etl &m)
{
    if (!etl_is_final(m))
        etl_stop(m);
}

static bool is_abandoned(const etl_registry &r, std::string_view id, std::string_view generation_id)
{
    auto it = r.abandoned.find(id);
    return it != r.abandoned.end() && it->second == generation_id;
}

// Its pod must be Ready within that time; otherwise the start fails for good.
static void set_deadline(etl &m, uint64_t wait_timeout_ms) { etl_start(m, clock_now_ms(*m.host->e) + wait_timeout_ms); }

static etl *start_of(const etl_registry &r, std::string_view id, std::string_view generation_id)
{
    const etl_ref *ref = etl_registry_ref_of(r, id);
    if (ref == nullptr)
        return nullptr;
    auto it = std::find_if(
        ref->starts.begin(), ref->starts.end(), [&](const etl *m) { return m->definition.generation_id == generation_id; });
    return it != ref->starts.end() ? *it : nullptr;
}

void etl_registry_await_start(
    etl_registry &registry, std::string_view id, std::string_view generation_id, uint64_t wait_timeout_ms, on_text on_done, void *arg)
{
    etl_registry &r = registry;
    if (r.shutting_down) {
        etl_registry_complete(r, on_done, arg, make_error(error_code::stopping), "the node is shutting down");
        return;
    }
    etl *m = start_of(r, id, generation_id);
    if (is_abandoned(r, id, generation_id)) {
        etl_registry_complete(r, on_done, arg, make_error(error_code::canceled),
            "target " + r.options.target_id + ": this start was abandoned: its caller hung up, or the target restarted");
        return;
    }
    if (m == nullptr && r.etls.size() >= etl_count_max) {
        etl_registry_complete(r, on_done, arg, make_error(error_code::etl_init_failed),
            text_format(
                "target %s: there are %zu ETLs already, the limit is %zu", r.options.target_id.c_str(), r.etls.size(), etl_count_max));
        return;
    }
    if (m == nullptr) {
        etl_registry_complete(r, on_done, arg, make_error(error_code::canceled), "the ETL was stopped");
        return;
    }
    uint64_t deadline_ms = clock_now_ms(*r.e) + wait_timeout_ms;
    r.start_waiters.push_back({m->sm.id, deadline_ms, on_done, arg});
    if (!etl_has_served(*m) && etl_can_be_joined(*m) && m->start_deadline_ms != deadline_ms) {
        m->definition.wait_timeout_ms = wait_timeout_ms; // the error text names this value
        set_deadline(*m, wait_timeout_ms);
    }
    etl_registry_wake(r);
}

void etl_registry_abandon(etl_registry &registry, std::string_view id, std::string_view generation_id)
{
    etl_registry &r = registry;
    if (r.shutting_down)
        return;
    r.abandoned.insert_or_assign(std::string(id), std::string(generation_id));
    if (etl *m = start_of(r, id, generation_id))
        stop_machine(*m);
    etl_registry_wake(r);
}

void etl_registry_await_gone(etl_registry &registry, std::string_view id, on_text on_done, void *arg)
{
    etl_registry &r = registry;
    if (r.shutting_down) {
        etl_registry_complete(r, on_done, arg, make_error(error_code::stopping), "the node is shutting down");
        return;
    }
    r.stop_waiters.push_back({std::string(id), etl_registry_delete_failures(r, id), on_done, arg});
    for (size_t i = 0; i < r.etls.size(); i++) { // a caller waits: retry now
        etl &m = *r.etls[i];
        if (m.definition.id == id && etl_is_stopping(m))
            stop_machine(m);
    }
    etl_registry_wake(r);
}

static bool is_wanted(std::span<const etl_wanted> wanted, std::string_view id, std::string_view generation_id)
{
    return std::any_of(wanted.begin(), wanted.end(),
        [&](const etl_wanted &one) { return one.definition->id == id && one.definition->generation_id == generation_id; });
}

static void stop_unwanted(etl_registry &r, std::span<const etl_wanted> wanted)
{
    for (size_t i = 0; i < r.etls.size(); i++) {
        etl &m = *r.etls[i];
        if (!is_wanted(wanted, m.definition.id, m.definition.generation_id) && !etl_is_stopping(m))
            stop_machine(m);
    }
}

static bool has_failed(const etl &m)
{
    error err;
    std::string text;
    return etl_start_is_decided(m, err, text) && err;
}

// What serves on other targets must serve here, too, whatever became of the first attempt.
static void keep_trying(etl &m)
{
    etl_keep_trying(m);
    if (!etl_is_stopping(m) && has_failed(m))
        stop_machine(m);
}

static void start_missing(etl_registry &r, const etl_wanted &wanted)
{
    const etl_definition &definition = *wanted.definition;
    etl *m = etl_registry_current_of(r, definition.id);
    bool is_this = m != nullptr && m->definition.generation_id == definition.generation_id;
    if (is_this && !wanted.is_initializing)
        keep_trying(*m);
    bool is_there = is_this && (wanted.is_initializing || !etl_is_stopping(*m));
    if (is_there || r.etls.size() >= etl_count_max || (wanted.is_initializing && is_abandoned(r, definition.id, definition.generation_id)))
        return;
    etl *started = make_machine(r, definition);
    if (wanted.is_initializing)
        set_deadline(*started, started->definition.wait_timeout_ms);
    else
        etl_start(*started, 0);
}

void etl_registry_sync(etl_registry &registry, std::span<const etl_wanted> wanted)
{
    etl_registry &r = registry;
    if (r.shutting_down)
        return;
    std::erase_if(r.abandoned, [&](const auto &one) { return !is_wanted(wanted, one.first, one.second); });
    stop_unwanted(r, wanted);
    for (const etl_wanted &one : wanted)
        start_missing(r, one);
    r.has_synced = true;
    etl_registry_wake(r);
}

} // namespace etlnode
