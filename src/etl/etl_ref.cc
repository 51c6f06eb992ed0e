// SPDX-License-Identifier: MIT
// etl/etl_ref.cc: finds ETLs by id or name, keeps handles to them, and counts the slots of requests in flight.
//
// Knows    etl_machine, the registry's fields.       Known by  transfer, role.
// Normal   each id has one handle, whichever start of it is current. The handle is freed with its last start and its last holder.
#include <algorithm>

#include "base/check.h"
#include "etl/etl_registry_internal.h"

namespace etlnode {

etl *etl_registry_current(const etl_registry &r, std::string_view id_or_name)
{
    if (etl *m = etl_registry_current_of(r, id_or_name))
        return m;
    etl *found = nullptr;
    for (etl *m : r.etls) {
        if (m->definition.name != id_or_name || !etl_is_current(*m))
            continue;
        if (found != nullptr)
            return nullptr; // ambiguous
        found = m;
    }
    return found;
}

bool etl_registry_find(const etl_registry &registry, std::string_view id_or_name, etl_view &out_view)
{
    const etl *m = etl_registry_current(registry, id_or_name);
    if (m == nullptr)
        return false;
    out_view = etl_view_of(*m);
    return true;
}

etl_ref *etl_registry_acquire(etl_registry &registry, std::string_view id_or_name)
{
    etl *m = etl_registry_current(registry, id_or_name);
    return m != nullptr ? etl_ref_acquire(*m->ref) : nullptr;
}

etl_ref *etl_ref_acquire(etl_ref &ref)
{
    ref.holders++;
    return &ref;
}

void etl_ref_free_if_unused(etl_ref &ref)
{
    if (ref.holders > 0 || !ref.starts.empty())
        return;
    CHECK(ref.slots_taken == 0);
    ref.registry->refs.erase(ref.id);
    delete &ref;
}

void etl_ref_release(etl_ref &ref)
{
    CHECK(ref.holders > 0);
    ref.holders--;
    etl_ref_free_if_unused(ref);
}

std::string_view etl_ref_id(const etl_ref &ref) { return ref.id; }

bool etl_ref_view(const etl_ref &ref, etl_view &out_view)
{
    const etl *m = etl_ref_current(ref);
    if (m == nullptr)
        return false;
    out_view = etl_view_of(*m);
    return true;
}

std::string etl_registry_show_pod(const etl_registry &registry, std::string_view id_or_name)
{
    const etl *m = etl_registry_current(registry, id_or_name);
    return m != nullptr ? etl_pod_shown(*m) : std::string();
}

void etl_registry_list(const etl_registry &registry, std::vector<etl_view> &out_views)
{
    out_views.clear();
    for (const etl *m : registry.etls) {
        if (etl_is_current(*m))
            out_views.push_back(etl_view_of(*m));
    }
    std::sort(out_views.begin(), out_views.end(), [](const etl_view &a, const etl_view &b) { return a.definition->id < b.definition->id; });
}

void etl_ref_report_refused(etl_ref &ref)
{
    etl *m = etl_ref_current(ref);
    if (m != nullptr)
        etl_report_refused(*m);
}

void etl_ref_take_slot(etl_ref &ref) { ref.slots_taken++; }

void etl_ref_give_slot(etl_ref &ref)
{
    CHECK(ref.slots_taken > 0);
    ref.slots_taken--;
    if (ref.slots_taken > 0)
        return;
    for (size_t i = 0; i < ref.starts.size(); i++) {
        if (sm_state_of(*ref.starts[i]) == etl::state::awaiting_idle)
            etl_send(*ref.starts[i], etl::event::became_idle);
    }
}

size_t etl_ref_slots_taken(const etl_ref &ref) { return ref.slots_taken; }

} // namespace etlnode
