// SPDX-License-Identifier: MIT
// job/kinds/archive.cc: makes an archive of objects, wherever they lie.
//
// Knows    archive_order.            Known by  kinds.cc.
// Normal   one target makes it, outside the frame (role/target/archive_jobs.cc), because the members' order and the archive are one thing:
//          after a crash it begins again, and nothing of it is visible before its end.
#include "job/archive_order.h"
#include "job/job_machine.h"
#include "job/kinds/kinds.h"

namespace etlnode {

static std::string check_options(const cJSON *options)
{
    archive_order order;
    return archive_order_read(options, order);
}

const job_kind job_kind_archive = {
    .name = archive_kind,
    .items_max = 1,
    .epochs = 0,
    .summary = "make an archive of the objects of a list or template",
    .is_external = true,
    .check_options = check_options,
};

} // namespace etlnode
