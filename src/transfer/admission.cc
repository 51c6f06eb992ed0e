// SPDX-License-Identifier: MIT
// transfer/admission.cc: who may use a pod, and when.
//
// Knows    etl (read-only), choose.         Known by  transfer_machine.cc, transfer_host.cc.
// Limits   pod_connections_max.
#include "transfer/admission.h"

#include <algorithm>
#include <map>

#include "base/limits.h"
#include "port/clock.h"

namespace etlnode {

// --- the pod: its state in the registry, and this target's queue for it

static read_availability availability_of(const pod_memory *pod, etl_view &view)
{
    if (pod == nullptr || !etl_ref_view(*pod->ref, view))
        return read_availability::absent;
    switch (view.phase) {
    case etl_phase::starting: return read_availability::starting;
    case etl_phase::serving: return view.ready ? read_availability::ready : read_availability::not_ready;
    case etl_phase::stopping:
    case etl_phase::failed:
    case etl_phase::gone: return read_availability::ended;
    }
    return read_availability::absent;
}

read_action admission_decide(const transfer &t, etl_view &view)
{
    read_availability availability = availability_of(t.pod, view);
    etl_mode mode = availability == read_availability::absent ? etl_mode{}
                                                              : view.definition->mode; // an unknown ETL has none; any gives the same row
    read_action action = transfer_choose(
        {read_role::target, transfer_method_of(t.asked->method), transfer_mode_of(mode).choice, availability, read_locality::here});
    bool nobody_to_redirect = transfer_is_stage(t) || !sink_takes_answer(t.to); // then the target asks the pod itself
    return action == read_action::redirect_to_pod && nobody_to_redirect ? read_action::reverse : action;
}

pod_memory *admission_find(transfer_host &host, std::string_view etl_id_or_name)
{
    etl_ref *ref = etl_registry_acquire(*host.etls, etl_id_or_name);
    if (ref == nullptr)
        return nullptr;
    auto [entry, is_new] = host.pods.try_emplace(ref);
    if (is_new)
        entry->second.ref = ref;
    else
        etl_ref_release(*ref); // a reference is held already
    return &entry->second;
}

struct wake_request {
    transfer_host *host;
    etl_ref *ref; // a reference
};

static void end_wake(wake_request *wake)
{
    etl_ref_release(*wake->ref);
    delete wake;
}

static void wake_queue(void *arg)
{
    wake_request *wake = static_cast<wake_request *>(arg);
    auto found = wake->host->pods.find(wake->ref);
    if (found != wake->host->pods.end()) {
        std::deque<transfer *> waiting = found->second.queue; // try_pod may change the queue
        for (transfer *t : waiting) {
            if (sm_state_of(*t) == transfer::state::awaiting_pod)
                transfer_try_pod(*t);
        }
    }
    end_wake(wake);
}

void admission_post_wake(transfer_host &host, etl_ref &ref)
{
    clock_post(*host.e, wake_queue, new wake_request{&host, etl_ref_acquire(ref)});
}

// A slot is free: wake the first waiting transfer. The others need not check.
static void wake_first(void *arg)
{
    wake_request *wake = static_cast<wake_request *>(arg);
    for (;;) {
        auto found = wake->host->pods.find(wake->ref);
        if (found == wake->host->pods.end() || found->second.queue.empty())
            break;
        transfer &t = *found->second.queue.front();
        transfer_try_pod(t);
        if (t.place == admission::queued)
            break; // there was no slot after all, or the pod is not ready: all are woken when it is
    }
    end_wake(wake);
}

static void post_wake_first(transfer_host &host, etl_ref &ref)
{
    clock_post(*host.e, wake_first, new wake_request{&host, etl_ref_acquire(ref)});
}

void admission_leave_queue(transfer &t)
{
    if (t.place != admission::queued)
        return;
    if (t.pod != nullptr)
        std::erase(t.pod->queue, &t);
    t.place = admission::none;
}

// --- who comes first: clients before jobs, and of jobs each in turn

static bool is_of_job(const transfer &t) { return t.x == nullptr; }

// The second of one job stands behind the first of every other job, and so on. A client stands behind the last client.
static size_t place_in_queue(const std::deque<transfer *> &queue, const transfer &t)
{
    size_t turn = 0;
    for (const transfer *other : queue)
        turn += is_of_job(*other) && other->job_request_id == t.job_request_id ? 1 : 0;
    std::map<std::string_view, size_t> turns; // of each job, so far
    for (size_t at = 0; at < queue.size(); at++) {
        const transfer &other = *queue[at];
        if (is_of_job(other) && (!is_of_job(t) || turns[other.job_request_id]++ > turn))
            return at;
    }
    return queue.size();
}

// A transfer whose ETL is unknown does not wait: its first check refuses it.
void admission_join_queue(transfer &t)
{
    if (t.place != admission::queued && t.pod != nullptr) {
        std::deque<transfer *> &queue = t.pod->queue;
        queue.insert(queue.begin() + static_cast<std::ptrdiff_t>(place_in_queue(queue, t)), &t);
    }
    t.place = admission::queued;
}

size_t admission_slots_for(bool is_job) { return is_job ? pod_connections_max - pod_connections_for_clients : pod_connections_max; }

size_t admission_queue_for(bool is_job) { return is_job ? pod_queue_max / 2 : pod_queue_max; }

void admission_take_slot(transfer &t)
{
    t.place = admission::slot;
    etl_ref_take_slot(*t.pod->ref);
}

void admission_release_slot(transfer &t)
{
    if (t.place != admission::slot)
        return;
    t.place = admission::none;
    etl_ref_give_slot(*t.pod->ref);
    if (!t.pod->queue.empty())
        post_wake_first(*t.host, *t.pod->ref);
}

// What was learnt about a pod applies to one start of its ETL.
pod_memory &admission_memory_of(transfer &t, const etl_view &view)
{
    pod_memory &memory = *t.pod;
    if (memory.generation_id != view.definition->generation_id) {
        memory.generation_id = view.definition->generation_id;
        memory.method_known = false;
        memory.unframed_logged = false;
        memory.by_put = view.definition->runtime_spec; // specs of 2020 are tried with POST first, today's with PUT
    }
    return memory;
}

bool admission_forget_if_gone(transfer_host &host, pod_memory &memory)
{
    etl_view view;
    if (memory.transfers > 0 || etl_ref_view(*memory.ref, view))
        return false;
    etl_ref *ref = memory.ref;
    host.pods.erase(ref);
    etl_ref_release(*ref);
    return true;
}

} // namespace etlnode
