// SPDX-License-Identifier: MIT
// role/proxy/bucket_jobs.h: AIStore's actions on a bucket that begin a job, for buckets.cc.
#pragma once

#include <string>
#include <string_view>

#include "codec/json.h"
#include "role/proxy/request.h"

namespace etlnode {

bool proxy_is_bucket_job(std::string_view action);
// Takes over `x`, and answers the job's id. `value`: of the action, or null. Requires: proxy_is_bucket_job.
void proxy_bucket_job_serve(proxy &p, exchange &x, std::string bucket, std::string_view action, const cJSON *value);

} // namespace etlnode
