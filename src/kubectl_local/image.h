// SPDX-License-Identifier: MIT
// kubectl_local/image.h: images as directories: IMAGES/<name>/<tag>/{rootfs/,config.json}, with the OCI names Entrypoint, Cmd, Env, WorkingDir.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kubectl_local/state.h"

namespace etlnode::kubectl_local {

struct image_reference {
    std::string name; // "quay.io/user/md5_server"
    std::string tag;  // "v1", "latest" when none was given
};

enum class reference_verdict : uint8_t { good, invalid, digest };
// Digest references (name@sha256:...) are told apart: kubectl-local's images have no digests.
reference_verdict image_parse_reference(std::string_view text, image_reference &out_reference);
std::string image_dir(const local_state &state, const image_reference &reference);
std::string image_text(const image_reference &reference); // name:tag

struct image_config {
    std::vector<std::string> entrypoint;
    std::vector<std::string> cmd;
    std::vector<std::pair<std::string, std::string>> env;
    std::string working_dir;
    std::string id; // changes with every build of the image
};

// False when there is no such image, or its config.json is unreadable: `out_text` says which.
bool image_load(const local_state &state, const image_reference &reference, image_config &out_config, std::string &out_text);

struct image_build {
    std::string directory;
    std::vector<std::string> entrypoint;
    std::vector<std::string> cmd;
    std::vector<std::string> env; // NAME=VALUE
    std::string working_dir;
};
// Copies the directory and puts the image in place, instead of an older one of that name, in one step.
bool image_create(const local_state &state, const image_reference &reference, const image_build &build, std::string &out_text);
bool image_remove(const local_state &state, const image_reference &reference);
// Keeps an image's files while a container uses them, whatever is built or removed meanwhile. -1 when there is no such image.
int image_hold(const local_state &state, const image_reference &reference);
// Removes replaced images that nobody holds any more.
void image_sweep(const local_state &state);
std::vector<image_reference> image_list(const local_state &state);

} // namespace etlnode::kubectl_local
