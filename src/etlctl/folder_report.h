// SPDX-License-Identifier: MIT
// etlctl/folder_report.h: what came of a whole folder: counts, failures, the list of names that failed, the plan of a dry run.
#pragma once

#include <string>

#include "etlctl/folder_plan.h"
#include "etlctl/partial_file.h"
#include "etlctl/progress.h"

namespace etlnode::etlctl {

struct folder_report {
    session *s = nullptr;
    uint64_t done = 0;    // stored, read or copied
    uint64_t removed = 0; // objects or files
    uint64_t skipped = 0;
    uint64_t left_out = 0;
    uint64_t failed = 0;
    uint64_t bytes = 0;
    uint64_t began_ms = 0;
    exit_code first = exit_code::ok; // of the first failure
    progress shown;
    partial_file failed_to;
    bool keeps_failed = false;
    bool goes_on = false; // behind failures
    list_printer plan;    // of a dry run
    std::string verb;     // "stored"
};

// Opens --failed-to.
failure report_begin(session &s, const folder_task &task, folder_report &out_report);
void report_item(folder_report &report, const folder_task &task, const plan_item &item); // of a dry run
void report_failure(folder_report &report, const plan_item &item, failure f);
void report_left_out(folder_report &report, const plan_item &item, const std::string &why);
// Prints the sums. `problem`: why it ended before its end.
exit_code report_end(folder_report &report, failure problem, uint64_t empty_folders);

} // namespace etlnode::etlctl
