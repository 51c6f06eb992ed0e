// SPDX-License-Identifier: MIT
// kubectl_local/image.h: images as directories IMAGES/<name>/<tag>/{rootfs/,config.json}, with the OCI keys Entrypoint, Cmd, Env,
// WorkingDir.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kubectl_local/state.h"

namespace etlnode::kubectl_local {

struct image_reference {
    std::string name; // "quay.io/user/md5_server"
    std::string tag;  // "v1"; "latest" if none was given
};

enum class reference_verdict : uint8_t { good, invalid, digest };
// Digest references (name@sha256:...) have a verdict of their own: kubectl-local's images have no digests.
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

// False if the image does not exist or its config.json cannot be read; `out_text` says which.
bool image_load(const local_state &state, const image_reference &reference, image_config &out_config, std::string &out_text);

struct image_build {
    std::string directory;
    std::vector<std::string> entrypoint;
    std::vector<std::string> cmd;
    std::vector<std::string> env; // NAME=VALUE
    std::string working_dir;
};
// Copies the directory and installs it as the image, in one step. Replaces an older image of that name.
bool image_create(const local_state &state, const image_reference &reference, const image_build &build, std::string &out_text);
bool image_remove(const local_state &state, const image_reference &reference);
// Returns a descriptor that keeps the image's files in existence while it is open, even if the image is replaced or removed. -1 if there is
// no such image.
int image_acquire(const local_state &state, const image_reference &reference);
// Removes replaced images that are no longer in use.
void image_remove_unused(const local_state &state);
std::vector<image_reference> image_list(const local_state &state);

} // namespace etlnode::kubectl_local
