// SPDX-License-Identifier: MIT
// app/settings.h: option texts to what a node is started with, each checked.
#pragma once

#include <string>

#include "app/options.h"
#include "base/log.h"
#include "role/node.h"

struct process_surroundings {
    bool in_kubernetes = false;    // KUBERNETES_SERVICE_HOST is set
    std::string program_dir;       // folder of the running binary
    std::string host_name;
};

// False with `out_reason` for people: which option, where its value came from, what was expected.
// The value that an option has in effect where its text leaves it to the node; else the text.
std::string settings_effective(const option_values &values, const node_options &node, std::string_view name);
bool settings_read(const option_values &values, const process_surroundings &around, node_options &out_node, log_level &out_level, std::string &out_kubectl_why,
                   std::string &out_reason);
