// SPDX-License-Identifier: MIT
// kubectl_local/allow.h: what of the machine its owner lets pods have: directories for hostPath, the host's network, a way to a target.
//
// Nothing unless said: in STATE/allow.yaml, or by the node that calls (environment). A pod's own object never grants anything. What was allowed
// when a pod was created is kept beside its record, so that a supervisor that is started again knows it.
//
//   hostPaths:
//   - path: /srv/models        # and what lies below; links that lead out are not followed
//   - path: /srv/scratch
//     access: rw               # ro is the default
//   hostNetwork: true
//   targets:                   # what AIS_TARGET_URL may lead to; a node that makes a pod says its own address in the environment of the call
//   - http://127.0.0.1:8082
#pragma once

#include <string>
#include <vector>

#include "codec/json.h"
#include "kubectl_local/state.h"

namespace etlnode::kubectl_local {

struct allow_path {
    std::string path; // absolute, without "..", without a slash at the end
    bool writable = false;
};

struct allow_list {
    std::vector<allow_path> paths;
    bool host_network = false;
    std::vector<std::string> targets; // "host:port"
};

// False with `out_text`: allow.yaml or a variable cannot be taken as it is. Then nothing is allowed.
bool allow_read(const local_state &state, allow_list &out_list, std::string &out_text);
json_ptr allow_to_json(const allow_list &list);
void allow_from_json(const cJSON *tree, allow_list &out_list);

// The entry that holds `path`, or null. Where two do, the one that may be written.
const allow_path *allow_find(const allow_list &list, const std::string &path);
// Whether a pod may be given a way to the place that this URL names.
bool allow_has_target(const allow_list &list, const std::string &url);
// Absolute, no "..", single slashes. False: it is no such path.
bool allow_normalize(const std::string &path, std::string &out_path);

} // namespace etlnode::kubectl_local
