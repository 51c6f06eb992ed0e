// SPDX-License-Identifier: MIT
// test/unit/transfer/transfer_etls.h: two ETLs, of which the test decides what the registry says.
//
// The functions of the registry's handles are defined here and replace those of src/etl, of which nothing is linked.
#pragma once

#include <string>
#include <string_view>

#include "base/check.h"
#include "etl/etl_registry.h"

namespace etlnode {

struct etl_ref {
    etl_definition definition;
    etl_endpoint endpoint;
    etl_phase phase = etl_phase::serving;
    bool is_known = true;
    bool is_ready = true;
    std::string last_error;
    size_t holds = 0, slots = 0, times_refused = 0;
};
struct etl_registry {
    etl_ref etl;
    etl_ref second; // for pipelines
};

etl_ref *etl_registry_acquire(etl_registry &registry, std::string_view id)
{
    for (etl_ref *one : {&registry.etl, &registry.second}) {
        if (one->is_known && id == one->definition.id)
            return etl_ref_acquire(*one);
    }
    return nullptr;
}
etl_ref *etl_ref_acquire(etl_ref &ref)
{
    ref.holds++;
    return &ref;
}
void etl_ref_release(etl_ref &ref)
{
    CHECK(ref.holds > 0);
    ref.holds--;
}
std::string_view etl_ref_id(const etl_ref &ref) { return ref.definition.id; }
bool etl_ref_view(const etl_ref &ref, etl_view &out_view)
{
    out_view.definition = &ref.definition;
    out_view.endpoint = &ref.endpoint;
    out_view.phase = ref.phase;
    out_view.ready = ref.is_ready;
    out_view.last_error = ref.last_error;
    return ref.is_known;
}
void etl_ref_report_refused(etl_ref &ref)
{
    ref.times_refused++;
    ref.is_ready = false;
}
void etl_ref_take_slot(etl_ref &ref) { ref.slots++; }
void etl_ref_give_slot(etl_ref &ref)
{
    CHECK(ref.slots > 0);
    ref.slots--;
}
size_t etl_ref_slots_taken(const etl_ref &ref) { return ref.slots; }

} // namespace etlnode
