// SPDX-License-Identifier: MIT
// job/kinds/kinds.h: the kinds of jobs. A new one is a file beside this one, its declaration here and its row in kinds.cc.
#pragma once

#include <span>
#include <string_view>

#include "job/job_kind.h"

namespace etlnode {

extern const job_kind job_kind_archive;
extern const job_kind job_kind_download, job_kind_promote;
extern const job_kind job_kind_scrub;
extern const job_kind job_kind_copy_bucket, job_kind_copy_list;
extern const job_kind job_kind_transform_bucket, job_kind_transform_list;
extern const job_kind job_kind_move_bucket;
extern const job_kind job_kind_delete_list;

std::span<const job_kind *const> job_kinds();
// Null if there is none.
const job_kind *job_kind_find(std::string_view name);

} // namespace etlnode
