// SPDX-License-Identifier: MIT
// kubectl_local/pod_decode.h: whether a Pod object has the fields and types that Kubernetes 1.33 reads, with strict field validation.
#pragma once

#include <string>
#include <vector>

#include "codec/json.h"

namespace etlnode::kubectl_local {

struct pod_decoding {
    // What the API server's decoder says of the first value of a wrong type, in the order of sorted keys; empty: none.
    std::string fault;
    bool is_final = false;    // what comes behind it does not matter any more
    bool in_metadata = false; // the fault is in the metadata, which comes before all else
    // Fields that no type has: "spec.containers[0].comand".
    std::vector<std::string> unknown;
};

void pod_decode(const cJSON *pod, pod_decoding &out);
// A word on what an unknown field may have been meant to be: "image" for "spec.containers[0].img"; empty where nothing is near.
std::string pod_decode_hint(const std::string &unknown);

} // namespace etlnode::kubectl_local
