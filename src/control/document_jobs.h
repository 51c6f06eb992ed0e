// SPDX-License-Identifier: MIT
// control/document_jobs.h: the jobs of the cluster document as JSON, for document.cc. A document without jobs has no field for them.
#pragma once

#include "control/document.h"

namespace etlnode {

bool document_jobs_parse(const cJSON *tree, cluster_document &out_document);
void document_jobs_print(cJSON *tree, const cluster_document &document);

} // namespace etlnode
