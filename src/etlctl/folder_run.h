// SPDX-License-Identifier: MIT
// etlctl/folder_run.h: does what a plan says, many names at a time.
#pragma once

#include "etlctl/folder_plan.h"
#include "etlctl/folder_report.h"

namespace etlnode::etlctl {

// Does the task, and adds to the report. Returns why it ended before its end, if it did for a reason that is not a failure of one name.
// `out_empty_folders`: how many folders on this machine have no file.
failure folder_run(session &s, const folder_task &task, folder_report &report, uint64_t &out_empty_folders);

} // namespace etlnode::etlctl
