// SPDX-License-Identifier: MIT
// job/plan.h: which names a job handles, in order, one page of the index at a time. Pure.
//
// The order is that of the ledger: bytewise by bucket, then by name. Buckets are asked for one by one, so nothing of the size of a bucket,
// or of their number, is kept.
#pragma once

#include <string>

namespace etlnode {

struct job_plan {
    std::string only_bucket; // empty: every bucket
    std::string also_bucket; // besides only_bucket, as a whole; empty: none
    std::string prefix;
    std::string bucket; // the one that is being read; empty: none yet
    std::string after;  // the last name that was planned of it
    std::string former; // the bucket before it
    bool is_over = false;
};

// Where to go on: beyond this name. Both empty: at the start.
void plan_begin(job_plan &plan, std::string only_bucket, std::string prefix, std::string cursor_bucket, std::string cursor_name);
// The smallest name of a bucket that is greater than `after`; false if there is none.
using plan_next_bucket = bool (*)(void *arg, const std::string &after, std::string &out_bucket);
// Of the bucket that is being read.
const std::string &plan_prefix(const job_plan &plan);
// Chooses the bucket to read from next. False: the plan is over.
bool plan_find_bucket(job_plan &plan, plan_next_bucket next_bucket, void *arg);
// A page of it was planned, which ended with this name. `is_last`: the bucket has no more.
void plan_took(job_plan &plan, const std::string &last_name, bool is_last);

} // namespace etlnode
