// SPDX-License-Identifier: MIT
// aistore/cluster_config.h: the cluster's configuration and the properties of buckets, as AIStore's clients read them.
#pragma once

#include <string>

#include "codec/json.h"
#include "control/document.h"

namespace etlnode {

// Contains every section that AIStore's command reads, because it takes them for granted. Features that this cluster lacks are disabled.
// `out_of_space`: the percentage from which targets refuse writes.
json_ptr cluster_config_json(const cluster_document &document, const std::string &proxy_url, uint64_t out_of_space);
json_ptr cluster_config_bucket_json(const cluster_bucket &bucket);

} // namespace etlnode
