// SPDX-License-Identifier: MIT
// role/target/job_names.h: the names that a job handles, if they are too many for the cluster document.
#pragma once

#include "job/job_host.h"
#include "role/target/target.h"

namespace etlnode {

// Gives the order its list of names, or asks the proxy for it; then the order says that it waits.
void target_fill_order(target &t, const cluster_job &job, job_order &order);
// Asks again for lists that could not be had. For every heartbeat that was answered.
void target_ask_for_names(target &t);

} // namespace etlnode
