// SPDX-License-Identifier: MIT
// job/kinds/kinds.cc: the list of the kinds of jobs.
//
// Known by  job_host, role/proxy.
#include "job/kinds/kinds.h"

namespace etlnode {

static constexpr const job_kind *kinds[] = {&job_kind_scrub, &job_kind_copy_bucket, &job_kind_copy_list, &job_kind_transform_bucket,
    &job_kind_transform_list, &job_kind_move_bucket, &job_kind_delete_list, &job_kind_archive, &job_kind_download, &job_kind_promote};

std::span<const job_kind *const> job_kinds() { return kinds; }

const job_kind *job_kind_find(std::string_view name)
{
    for (const job_kind *kind : kinds) {
        if (kind->name == name)
            return kind;
    }
    return nullptr;
}

} // namespace etlnode
