// SPDX-License-Identifier: MIT
// transfer/look_up.cc: finds the object of a transfer in the cache or on the disk, and checks its first block before a pod gets a request.
//
// Knows    store, failure, finish.        Known by  transfer_host.cc.
#include "port/clock.h"
#include "transfer/failure.h"
#include "transfer/finish.h"
#include "transfer/transfer_machine.h"

namespace etlnode {

using S = transfer::state;
using E = transfer::event;

static void on_gone(void *arg) { transfer_step(*static_cast<transfer *>(arg), E::stop); }

static void begin_with_object(void *arg)
{
    transfer &t = *static_cast<transfer *>(arg);
    if (sm_state_of(t) != S::awaiting_object)
        return; // the client left meanwhile
    transfer_step(t, E::object_found);
}

static void on_found(void *arg, error err, const store_object *object)
{
    transfer &t = *static_cast<transfer *>(arg);
    t.looking_up = false;
    open_count_end(t.host->lookups);
    if (sm_state_of(t) == S::done) {
        if (object != nullptr)
            store_release(*t.host->objects, object);
        clock_post(*t.e, finish_delete, &t);
        return;
    }
    if (err) {
        failure_set_of_object(t, err);
        transfer_step(t, E::object_missing);
        return;
    }
    t.object = object;
    begin_with_object(&t);
}

// Checks the first block before a pod gets a request. The rest is checked while it is sent.
static void look_at_object(transfer &t, const store_object *object)
{
    t.looking_up = true;
    open_count_begin(t.host->lookups);
    store_check(*t.host->objects, object, 0, on_found, &t);
}

static void on_object(void *arg, error err, const store_object *object)
{
    transfer &t = *static_cast<transfer *>(arg);
    if (err || sm_state_of(t) == S::done || store_is_checked(*t.host->objects, object, 0)) {
        on_found(arg, err, object);
        return;
    }
    open_count_end(t.host->lookups);
    look_at_object(t, object);
}

void transfer_look_up(transfer &t)
{
    transfer_make_clock(t);
    if (t.x != nullptr)
        exchange_on_gone(*t.x, on_gone, &t, true);
    if (transfer_is_given(t)) {
        clock_post(*t.e, begin_with_object, &t);
        return;
    }
    const store_object *hot = store_peek(*t.host->objects, t.bucket, t.name);
    if (hot != nullptr && !store_is_checked(*t.host->objects, hot, 0)) {
        look_at_object(t, hot);
        return;
    }
    t.object = hot;
    if (hot != nullptr) {
        clock_post(*t.e, begin_with_object, &t);
        return;
    }
    t.looking_up = true;
    open_count_begin(t.host->lookups);
    store_get(*t.host->objects, t.bucket, t.name, on_object, &t, t.x != nullptr ? store_use::again : store_use::once);
}

} // namespace etlnode
