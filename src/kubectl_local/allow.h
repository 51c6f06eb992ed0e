// SPDX-License-Identifier: MIT
// kubectl_local/allow.h: what the machine's owner lets pods use: directories for hostPath, the host's network, the address of a target.
//
// Nothing is allowed by default. Grants come from STATE/allow.yaml, or from the calling node through the environment. A Pod object never
// grants anything. The grants in effect at a pod's creation are stored with its record, so that a restarted supervisor knows them.
//
//   hostPaths:
//   - path: /srv/models        # includes everything below; links that lead out are not followed
//   - path: /srv/scratch
//     access: rw               # ro is the default
//   hostNetwork: true
//   targets:                   # what AIS_TARGET_URL may point to; a node passes its own address in the environment of `create`
//   - http://127.0.0.1:8082
#pragma once

#include <string>
#include <vector>

#include "codec/json.h"
#include "kubectl_local/state.h"

namespace etlnode::kubectl_local {

struct allow_path {
    std::string path; // absolute, without ".." and without a trailing slash
    bool writable = false;
};

struct allow_list {
    std::vector<allow_path> paths;
    bool host_network = false;
    std::vector<std::string> targets; // "host:port"
};

// False with `out_text` if allow.yaml or a variable is invalid. Then nothing is allowed.
bool allow_read(const local_state &state, allow_list &out_list, std::string &out_text);
json_ptr allow_to_json(const allow_list &list);
void allow_from_json(const cJSON *tree, allow_list &out_list);

// The entry that contains `path`, or null. If two entries do, the writable one.
const allow_path *allow_find(const allow_list &list, const std::string &path);
// Whether pods may connect to the address in this URL.
bool allow_has_target(const allow_list &list, const std::string &url);
// Checks for an absolute path without "..", and removes duplicate slashes. False if it is not such a path.
bool allow_normalize(const std::string &path, std::string &out_path);

} // namespace etlnode::kubectl_local
