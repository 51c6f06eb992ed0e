// SPDX-License-Identifier: MIT
// kubectl_local/view.h: a container's view: bubblewrap's arguments for its files, environment and command.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "kubectl_local/allow.h"
#include "kubectl_local/identity.h"
#include "kubectl_local/image.h"
#include "kubectl_local/mount_tree.h"
#include "kubectl_local/pod.h"
#include "kubectl_local/pod_limits.h"
#include "kubectl_local/pod_namespaces.h"

namespace etlnode::kubectl_local {

using env_list = std::vector<std::pair<std::string, std::string>>;

struct container_context {
    std::string rootfs;  // of the image
    std::string scratch; // a directory of the pod, for generated files and volumes
    std::string hostname;
    std::string pod_ip;
    std::string host_ip;
    const cJSON *pod = nullptr; // Lifetime: the call
    bool host_network = false;
    user_mapping kind = user_mapping::own_user;
    uint32_t owner = 0; // the outside id of root in the pod (user_mapping::block)
    container_identity identity;
    allow_list allowed; // the machine's grants
    uint64_t writable_bytes = local_writable_max;
    std::string target_url; // replaces AIS_TARGET_URL; empty to leave it unchanged
};

// The image's environment, then the spec's, expanded like Kubernetes does, with PATH and HOSTNAME filled in.
env_list view_environment(const container_spec &container, const image_config &image, const container_context &context);
// The command to run: command/args over Entrypoint/Cmd. Empty if there is none.
std::vector<std::string> view_command(const container_spec &container, const image_config &image, const env_list &env);

// Creates the directories of the pod's own volumes. Call it before the pod's namespaces are created.
bool view_make_volumes(const pod_spec &spec, const container_context &context, std::string &out_text);
std::string view_volume_dir(const container_context &context, const std::string &volume);

// Creates the generated files, and builds bwrap's options (for its --args) and the list of mounts that must precede them. False if the spec
// needs something that is not available here; `out_text` says what.
bool view_build(const pod_spec &spec, const container_spec &container, const image_config &image, const container_context &context,
    const env_list &env, std::vector<std::string> &out_args, mount_plan &out_mounts, std::string &out_text);

} // namespace etlnode::kubectl_local
