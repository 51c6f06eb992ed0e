// SPDX-License-Identifier: MIT
// kubectl_local/view.h: what a container sees: bubblewrap's arguments for its files, environment and command.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "kubectl_local/allow.h"
#include "kubectl_local/identity.h"
#include "kubectl_local/image.h"
#include "kubectl_local/netbox.h"
#include "kubectl_local/pod.h"
#include "kubectl_local/pod_limits.h"
#include "kubectl_local/stage.h"

namespace etlnode::kubectl_local {

using env_list = std::vector<std::pair<std::string, std::string>>;

struct view_place {
    std::string rootfs;  // of the image
    std::string scratch; // a directory of the pod, for generated files and volumes
    std::string hostname;
    std::string pod_ip;
    std::string host_ip;
    const cJSON *pod = nullptr; // Lifetime: the call
    bool host_network = false;
    netbox_kind kind = netbox_kind::own_user;
    uint32_t owner = 0; // what root in the pod is outside (netbox_kind::block)
    container_identity who;
    allow_list allowed; // of the machine
    uint64_t writable_bytes = local_writable_max;
    std::string target_url; // what AIS_TARGET_URL becomes; empty: unchanged
};

// Image environment, then the spec's, expanded as Kubernetes does, PATH and HOSTNAME filled in.
env_list view_environment(const container_spec &container, const image_config &image, const view_place &place);
// What runs: command/args over Entrypoint/Cmd. Empty: nothing to run.
std::vector<std::string> view_command(const container_spec &container, const image_config &image, const env_list &env);

// The directories of the volumes that are the pod's own. Before the pod's namespaces are made.
bool view_make_volumes(const pod_spec &spec, const view_place &place, std::string &out_text);
std::string view_volume_dir(const view_place &place, const std::string &volume);

// Makes the generated files and builds bwrap's options (for its --args) and what has to be mounted before. False: `out_text` says what in
// the spec cannot be had here.
bool view_build(const pod_spec &spec, const container_spec &container, const image_config &image, const view_place &place,
    const env_list &env, std::vector<std::string> &out_args, stage_plan &out_stage, std::string &out_text);

} // namespace etlnode::kubectl_local
