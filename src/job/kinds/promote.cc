// SPDX-License-Identifier: MIT
// job/kinds/promote.cc: files of the targets' machines become objects.
//
// Knows    promote_order.            Known by  kinds.cc.
// Normal   each target takes what it finds, outside the frame (role/target/promote_jobs.cc), because the frame goes through objects that
//          exist already.
#include "job/job_machine.h"
#include "job/kinds/kinds.h"
#include "job/promote_order.h"

namespace etlnode {

static std::string check_options(const cJSON *options)
{
    promote_order order;
    return promote_order_read(options, order);
}

const job_kind job_kind_promote = {
    .name = promote_kind,
    .items_max = 0,
    .epochs = 0,
    .summary = "make objects of files that targets see",
    .is_external = true,
    .check_options = check_options,
};

} // namespace etlnode
