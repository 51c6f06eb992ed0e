// SPDX-License-Identifier: MIT
// transfer/admission.cc: who may talk to a pod, and when.
//
// Knows    etl (read-only), choose.         Known by  transfer_machine.cc, transfer_host.cc.
// Limits   pod_connections_max.
#include "transfer/admission.h"

#include <algorithm>

#include "port/clock.h"

// --- the pod: what the registry says of it, and this target's queue before it

static read_stage stage_of(const etl_registry &etls, std::string_view id, etl_view &view)
{
    if (!etl_registry_find(etls, id, view))
        return read_stage::absent;
    switch (view.phase) {
    case etl_phase::starting: return read_stage::starting;
    case etl_phase::serving: return view.ready ? read_stage::ready : read_stage::not_ready;
    case etl_phase::stopping:
    case etl_phase::failed:
    case etl_phase::gone: return read_stage::ended;
    }
    return read_stage::absent;
}

static read_how how_of(communication how)
{
    switch (how) {
    case communication::hpush: return read_how::hpush;
    case communication::hrev: return read_how::hrev;
    case communication::hpull: return read_how::hpull;
    }
    return read_how::plain;
}

read_action admission_decide(const transfer_host &host, const exchange &x, std::string_view etl_id, etl_view &view)
{
    read_stage stage = stage_of(*host.etls, etl_id, view);
    read_how how = stage == read_stage::absent ? read_how::hpush : how_of(view.mode); // an unknown one has no mode; any gives the same row
    return transfer_choose({read_role::target, transfer_method_of(exchange_head(x).method), how, stage, read_place::here});
}

struct wake_request {
    transfer_host *host;
    std::string etl_id;
};

static void wake_queue(void *arg)
{
    wake_request *wake = static_cast<wake_request *>(arg);
    auto found = wake->host->pods.find(wake->etl_id);
    if (found != wake->host->pods.end()) {
        std::deque<transfer *> waiting = found->second.queue; // try_pod may change the queue
        for (transfer *t : waiting) {
            if (sm_state_of(*t) == transfer::state::awaiting_pod)
                transfer_try_pod(*t);
        }
    }
    delete wake;
}

void admission_post_wake(transfer_host &host, std::string_view etl_id) { clock_post(*host.e, wake_queue, new wake_request{&host, std::string(etl_id)}); }

// A slot is free: for the oldest that waits. There is no need to look at all of them.
static void wake_first(void *arg)
{
    wake_request *wake = static_cast<wake_request *>(arg);
    for (;;) {
        auto found = wake->host->pods.find(wake->etl_id);
        if (found == wake->host->pods.end() || found->second.queue.empty())
            break;
        transfer &t = *found->second.queue.front();
        transfer_try_pod(t);
        if (t.in_queue)
            break; // no slot after all, or the pod is not ready: then all are woken when it is
    }
    delete wake;
}

static void post_wake_first(transfer_host &host, std::string_view etl_id) { clock_post(*host.e, wake_first, new wake_request{&host, std::string(etl_id)}); }

void admission_leave_queue(transfer &t)
{
    if (!t.in_queue)
        return;
    std::deque<transfer *> &queue = t.host->pods[t.etl_id].queue;
    queue.erase(std::find(queue.begin(), queue.end(), &t));
    t.in_queue = false;
}

void admission_join_queue(transfer &t)
{
    if (t.in_queue)
        return;
    t.host->pods[t.etl_id].queue.push_back(&t);
    t.in_queue = true;
}

void admission_take_slot(transfer &t)
{
    t.host->pods[t.etl_id].in_flight++;
    t.has_slot = true;
    etl_registry_use(*t.host->etls, t.etl_id, 1);
}

void admission_release_slot(transfer &t)
{
    if (!t.has_slot)
        return;
    t.host->pods[t.etl_id].in_flight--;
    t.has_slot = false;
    etl_registry_use(*t.host->etls, t.etl_id, -1);
    if (!t.host->pods[t.etl_id].queue.empty())
        post_wake_first(*t.host, t.etl_id);
}

// What was learnt of a pod holds for one start of its ETL.
pod_memory &admission_memory_of(transfer &t, const etl_view &view)
{
    pod_memory &memory = t.host->pods[t.etl_id];
    if (memory.generation_id != view.generation_id) {
        memory.generation_id = view.generation_id;
        memory.method_known = false;
        memory.unframed_told = false;
        memory.by_put = view.runtime_spec; // specs of 2020 are tried with POST first, today's with PUT
    }
    return memory;
}

static bool is_idle(const pod_memory &memory) { return memory.in_flight == 0 && memory.transfers == 0 && memory.queue.empty(); }

void admission_forget_gone(transfer_host &host)
{
    etl_view view;
    for (auto it = host.pods.begin(); it != host.pods.end();)
        it = is_idle(it->second) && !etl_registry_find(*host.etls, it->first, view) ? host.pods.erase(it) : std::next(it);
}

void admission_forget_if_gone(transfer_host &host, std::string_view etl_id)
{
    etl_view view;
    auto found = host.pods.find(etl_id);
    if (found != host.pods.end() && is_idle(found->second) && !etl_registry_find(*host.etls, etl_id, view))
        host.pods.erase(found);
}
