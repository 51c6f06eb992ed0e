// SPDX-License-Identifier: MIT
// kubectl_local/pod_decode.h: checks that a Pod object has the fields and types of Kubernetes 1.33, with strict field validation.
#pragma once

#include <string>
#include <vector>

#include "codec/json.h"

namespace etlnode::kubectl_local {

struct pod_decoding {
    // The API server's message about the first value of a wrong type, in the order of sorted keys; empty if there is none.
    std::string fault;
    bool is_final = false;    // later values no longer matter
    bool in_metadata = false; // the fault is in the metadata, which is decoded first
    // Fields that do not exist: "spec.containers[0].comand".
    std::vector<std::string> unknown;
};

void pod_decode(const cJSON *pod, pod_decoding &out);
// The field that an unknown field was probably meant to be: "image" for "spec.containers[0].img". Empty if none is similar.
std::string pod_decode_hint(const std::string &unknown);

} // namespace etlnode::kubectl_local
