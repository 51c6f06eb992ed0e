// SPDX-License-Identifier: MIT
// etl/etl_registry_internal.h: the registry's own fields, for its files only.
#pragma once

#include <map>

#include "etl/etl_machine.h"
#include "etl/etl_registry.h"

namespace etlnode {

using on_text = void (*)(void *arg, error err, const std::string &text);

struct start_waiter {
    uint64_t machine_id;
    uint64_t deadline_ms; // used if the machine has none any more because it has served
    on_text on_done;
    void *arg;
};

struct stop_waiter {
    std::string id;
    uint64_t failures_before; // delete failures at the time of the call
    on_text on_done;
    void *arg;
};

struct completion {
    on_text on_done;
    void *arg;
    error err;
    std::string text;
};

struct log_call {
    etl_registry *registry = nullptr;
    kube_call call;
    on_text on_done = nullptr;
    void *arg = nullptr;
    bool ended = false;
};

struct etl_registry {
    env *e = nullptr;
    etl_registry_options options;
    etl_registry_health health;
    etl_host host;
    watch *pods = nullptr;
    std::vector<etl *> etls;                            // in the order of creation
    std::map<std::string, etl_ref *, std::less<>> refs; // by id
    std::map<std::string, std::string, std::less<>>
        abandoned; // by id: generations of starts that no caller waits for any more, while they are wanted
    uint64_t next_machine_id = 1;
    uint64_t pods_made = 0;
    std::vector<start_waiter> start_waiters;
    timer *start_timer = nullptr; // for waiters whose machine has no deadline because it has served before
    std::vector<stop_waiter> stop_waiters;
    std::vector<completion> completions;
    std::vector<log_call *> log_calls;
    kube_call sweep;
    std::string sweeping;
    bool has_begun = false;
    bool has_synced = false;
    bool settle_posted = false;
    bool watch_ended = false;
    bool shutting_down = false;
    bool freed = false;
    void (*on_shut_down)(void *arg) = nullptr;
    void *shut_down_arg = nullptr;
};

// Schedules `settle`, which compares state and reports and completes callers, after the current completion.
void etl_registry_wake(etl_registry &r);
// Completes the call during that `settle`.
void etl_registry_complete(etl_registry &r, on_text on_done, void *arg, error err, std::string text);
// Finds an ETL by id, or by name if that is unambiguous; null if there is none.
etl *etl_registry_current(const etl_registry &r, std::string_view id_or_name);
void etl_ref_free_if_unused(etl_ref &ref);

inline etl_ref *etl_registry_ref_of(const etl_registry &r, std::string_view id)
{
    auto it = r.refs.find(id);
    return it != r.refs.end() ? it->second : nullptr;
}

inline etl *etl_ref_current(const etl_ref &ref) { return ref.starts.empty() ? nullptr : ref.starts.back(); }
inline bool etl_is_current(const etl &m) { return etl_ref_current(*m.ref) == &m; }

inline etl *etl_registry_current_of(const etl_registry &r, std::string_view id)
{
    const etl_ref *ref = etl_registry_ref_of(r, id);
    return ref != nullptr ? etl_ref_current(*ref) : nullptr;
}

inline uint64_t etl_registry_delete_failures(const etl_registry &r, std::string_view id)
{
    uint64_t count = 0;
    for (const etl *m : r.etls)
        count += m->definition.id == id ? m->delete_failures : 0;
    return count;
}

} // namespace etlnode
