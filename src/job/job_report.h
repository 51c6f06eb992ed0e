// SPDX-License-Identifier: MIT
// job/job_report.h: what a target says about its jobs, as JSON: in its heartbeat, and when the proxy asks.
#pragma once

#include <vector>

#include "codec/json.h"
#include "job/job_host.h"

namespace etlnode {

json_ptr job_report_print(const job_report &report);
// False: a field is missing or damaged.
bool job_report_parse(const cJSON *tree, job_report &out_report);
// An array of reports. False if it is none, or one of them is damaged.
bool job_reports_parse(const cJSON *array, std::vector<job_report> &out_reports);

json_ptr job_failure_print(const ledger_failure &failure);
bool job_failure_parse(const cJSON *tree, ledger_failure &out_failure);

} // namespace etlnode
