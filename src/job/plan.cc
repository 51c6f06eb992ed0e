// SPDX-License-Identifier: MIT
// job/plan.cc: the order in which a job meets its names.
#include "job/plan.h"

#include <utility>

namespace etlnode {

void plan_begin(job_plan &plan, std::string only_bucket, std::string prefix, std::string cursor_bucket, std::string cursor_name)
{
    plan.only_bucket = std::move(only_bucket);
    plan.also_bucket.clear();
    plan.prefix = std::move(prefix);
    plan.bucket = std::move(cursor_bucket);
    plan.after = std::move(cursor_name);
    plan.former.clear();
    plan.is_over = false;
}

const std::string &plan_prefix(const job_plan &plan)
{
    static const std::string none;
    return !plan.only_bucket.empty() && plan.bucket != plan.only_bucket ? none : plan.prefix;
}

// Of the two, in the order of the ledger; empty: both are behind.
static std::string next_of_two(const job_plan &plan)
{
    std::string first = plan.only_bucket, second = plan.also_bucket;
    if (!second.empty() && second < first)
        std::swap(first, second);
    return plan.former.empty() ? first : plan.former == first ? second : std::string();
}

bool plan_find_bucket(job_plan &plan, plan_next_bucket next_bucket, void *arg)
{
    if (plan.is_over || !plan.bucket.empty())
        return !plan.is_over;
    if (!plan.only_bucket.empty())
        plan.bucket = next_of_two(plan);
    else if (!next_bucket(arg, plan.former, plan.bucket))
        plan.bucket.clear();
    plan.is_over = plan.bucket.empty();
    return !plan.is_over;
}

void plan_took(job_plan &plan, const std::string &last_name, bool is_last)
{
    if (!is_last) {
        plan.after = last_name;
        return;
    }
    plan.former = std::move(plan.bucket);
    plan.bucket.clear();
    plan.after.clear();
}

} // namespace etlnode
