// SPDX-License-Identifier: MIT
// role/target/copies.h: where a copy of an object goes: for copies.cc (PUT with object_to=) and job_copies.cc.
#pragma once

#include <string>
#include <string_view>

#include "job/job_kind.h"
#include "object/sink.h"
#include "role/target/target.h"
#include "transfer/transfer.h"

namespace etlnode {

struct copy_destination {
    std::string_view bucket, name;
    std::string_view request_id;
    std::string_view made_from = {}; // kept beside the content; empty: nothing
};
struct copy_refusal {
    error_code code = error_code::ok;
    std::string text;
};
// A sink into the store of this target, or to the one that the placement names. False: there can be none now. Lifetime of the views: the
// call. Requires: the target has joined its cluster.
bool target_copy_sink(target &t, const copy_destination &to, sink &out_sink, copy_refusal &out_refusal);

// Through one ETL, or through `further`, too. Requires: the request has an exchange.
void target_begin_transfer(target &t, transfer_request request, const std::vector<std::string> &further);

// For job_tools; `arg` is the target.
void *target_begin_job_copy(void *arg, job_copy wanted);
void target_stop_job_copy(void *copy);
// job_follow.cc
void target_job_follow(void *arg, job_follow wanted);
void target_job_remove(void *arg, const std::string &bucket, const std::string &name, job_item &item,
    void (*on_done)(job_item &item, error err, const std::string &text));

} // namespace etlnode
