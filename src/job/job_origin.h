// SPDX-License-Identifier: MIT
// job/job_origin.h: the note beside an object that a job made: from what, how, and by which job. Pure.
//
//   HASH JOB BUCKET/NAME
// HASH is 16 hex digits that stand for the version of the source, the ETL and its arguments. Bucket and name are percent-encoded. Notes of
// former versions end with the job.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace etlnode {

std::string job_origin_print(uint64_t hash, std::string_view job, std::string_view bucket, std::string_view name);
// Whether both were made from the same, in the same way.
bool job_origin_is_same(std::string_view a, std::string_view b);
// The job's id; empty: no job made it.
std::string_view job_origin_job(std::string_view origin);
// False: it does not say.
bool job_origin_source(std::string_view origin, std::string &out_bucket, std::string &out_name);

} // namespace etlnode
