// SPDX-License-Identifier: MIT
// local/view.h: what a container sees: bubblewrap's arguments for its files, environment and command.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "local/image.h"
#include "local/pod.h"

using env_list = std::vector<std::pair<std::string, std::string>>;

struct view_place {
    std::string rootfs;     // of the image
    std::string scratch;    // a directory of the pod, for generated files and volumes
    std::string hostname;
    std::string pod_ip;
    std::string host_ip;
    const cJSON *pod = nullptr; // Lifetime: the call
    bool host_network = false;
    bool own_user_ns = false;  // bwrap has to make the user namespace (ordinary user, host network)
    std::string target_url;    // what AIS_TARGET_URL becomes; empty: unchanged
};

// Image environment, then the spec's, expanded as Kubernetes does, PATH and HOSTNAME filled in.
env_list view_environment(const container_spec &container, const image_config &image, const view_place &place);
// What runs: command/args over Entrypoint/Cmd. Empty: nothing to run.
std::vector<std::string> view_command(const container_spec &container, const image_config &image, const env_list &env);

// Makes the pod's directories and generated files and builds bwrap's options (for its --args). False: `out_text` says what in the
// spec cannot be had here.
bool view_build(const pod_spec &spec, const container_spec &container, const image_config &image, const view_place &place,
                const env_list &env, std::vector<std::string> &out_args, std::string &out_text);
