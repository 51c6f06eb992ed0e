// SPDX-License-Identifier: MIT
// role/target/job_names.h: the names that a job handles, if they are too many for the cluster document.
#pragma once

#include "job/job_host.h"
#include "role/target/target.h"

namespace etlnode {

// Gives the order its list of names, or asks the proxy for it; then the order says that it waits.
void target_fill_order(target &t, const cluster_job &job, job_order &order);
// The same for a job that is done outside the frame. False: the list is on its way, and target_sync_jobs follows when it has come or cannot
// be had. target_names_drop must follow when the job needs it no more.
bool target_find_names(target &t, const cluster_job &job, std::string_view &out_names, std::string_view &out_failure);
void target_names_drop(target &t, const std::string &job);
// Asks again for lists that could not be had. For every heartbeat that was answered.
void target_ask_for_names(target &t);

} // namespace etlnode
