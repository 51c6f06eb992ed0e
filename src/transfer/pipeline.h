// SPDX-License-Identifier: MIT
// transfer/pipeline.h: one object through several ETLs, one after the other.
//
// Each stage is a transfer of its own. Its source is the whole result of the former stage, which nobody else can see: a stage that fails
// shows the next one nothing, and a pod may be asked again. A stage has its place at its pod only while it runs, so two pipelines never
// wait for each other's.
#pragma once

#include <string>
#include <vector>

#include "transfer/transfer.h"

namespace etlnode {

struct pipeline;

// `request` is that of the whole: its etl is the first one, `further` are the others, in order. The last stage's result goes to the sink.
// What the client asks of the answer (HEAD, Range, conditions) is asked of the last stage; all stages get the query. Returns null if it has
// ended already; then on_done has been called. Lifetime of what it returns: until on_done.
// Requires: `further` is not empty, and shorter than pipeline_stages_max.
pipeline *pipeline_begin(transfer_host &host, transfer_request request, std::vector<std::string> further);
// As transfer_stop.
void pipeline_stop(pipeline &p);
// What a pod that reads `bucket`/`name` is to get instead of an object of the store: the result of the stage before its own. Null: there is
// none of that name. The caller must release it (store_release).
const store_object *pipeline_find_given(transfer_host &host, std::string_view etl_id, std::string_view bucket, std::string_view name);

} // namespace etlnode
