// SPDX-License-Identifier: MIT
// role/proxy/usage.h: what the cluster's objects amount to, for the handlers of /v1/cluster and /v1/buckets.
#pragma once

#include <string>

#include "codec/json.h"
#include "role/proxy/proxy.h"

namespace etlnode {

// Answers ?what=usage: {"buckets":[{"name","objects","bytes"}],"missing":[target...]}, from the sums that targets keep.
void proxy_usage_serve(proxy &p, exchange &x);
// Answers AIStore's action summary-bck of one bucket, which exists, or (empty) of all. `value` is the action's.
void proxy_summary_serve(proxy &p, exchange &x, const std::string &bucket, const cJSON *value);
// Answers HEAD with bsumm_remote=.
void proxy_summary_serve_head(proxy &p, exchange &x, const cluster_bucket &bucket);

} // namespace etlnode
