// SPDX-License-Identifier: MIT
// role/shared/role_machines.cc: the list of every state machine of the node; a new one is one line here. Transfer modes list their own.
//
// Knows    every folder with machines.        Known by  metrics_page.cc, etlnode.
#include "role/shared/role_machines.h"

#include <algorithm>
#include <cstring>

#include "control/etl_rollout_machine.h"
#include "control/held_call_machine.h"
#include "control/member_machine.h"
#include "control/presence_machine.h"
#include "control/publisher_machine.h"
#include "etl/etl_machine.h"
#include "etl/launch_machine.h"
#include "etl/node_port_machine.h"
#include "etl/pod_machine.h"
#include "http/http_machines.h"
#include "job/job_machine.h"
#include "kube/watch_machine.h"
#include "role/shared/lifecycle_machine.h"
#include "store/store_machines.h"
#include "transfer/direct_put.h"
#include "transfer/modes/modes.h"
#include "transfer/transfer_machines.h"
#include "transfer/upload_machine.h"

namespace etlnode {

std::vector<sm_view> machines_all()
{
    std::vector<sm_view> all = {
        answer_check_machine_view(),
        call_machine_view(),
        direct_put_machine_view(),
        etl_machine_view(),
        etl_rollout_machine_view(),
        exchange_machine_view(),
        held_call_machine_view(),
        housekeeping_machine_view(),
        interim_machine_view(),
        job_machine_view(),
        launch_machine_view(),
        lifecycle_machine_view(),
        load_machine_view(),
        member_machine_view(),
        node_port_machine_view(),
        open_machine_view(),
        pod_machine_view(),
        presence_machine_view(),
        publisher_machine_view(),
        pump_machine_view(),
        put_machine_view(),
        summer_machine_view(),
        transfer_machine_view(),
        upload_machine_view(),
        watch_machine_view(),
    };
    for (const sm_view &of_mode : transfer_mode_machines())
        all.push_back(of_mode);
    std::sort(all.begin(), all.end(), [](const sm_view &a, const sm_view &b) { return std::strcmp(a.name, b.name) < 0; });
    return all;
}

} // namespace etlnode
