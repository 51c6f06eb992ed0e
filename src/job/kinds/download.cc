// SPDX-License-Identifier: MIT
// job/kinds/download.cc: brings contents of the web into a bucket.
//
// Knows    download_order.            Known by  kinds.cc.
// Normal   each target fetches what it owns, outside the frame (role/target/download_jobs.cc), because the frame goes through objects that
//          exist already.
#include "job/download_order.h"
#include "job/job_machine.h"
#include "job/kinds/kinds.h"

namespace etlnode {

static std::string check_options(const cJSON *options)
{
    download_order order;
    return download_order_read(options, order);
}

const job_kind job_kind_download = {
    .name = download_kind,
    .items_max = 0,
    .epochs = 0,
    .summary = "download from the web by http and https",
    .is_external = true,
    .check_options = check_options,
};

} // namespace etlnode
