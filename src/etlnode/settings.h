// SPDX-License-Identifier: MIT
// etlnode/settings.h: option texts to what a node is started with, each checked.
#pragma once

#include <string>
#include <vector>

#include "base/log.h"
#include "etlnode/options.h"
#include "etlnode/secret.h"
#include "role/shared/node.h"

namespace etlnode {

struct process_surroundings {
    bool in_kubernetes = false; // KUBERNETES_SERVICE_HOST is set
    bool is_root = false;
    std::string program_dir; // folder of the running binary
    std::string host_name;
    std::string home, config_home; // HOME, XDG_CONFIG_HOME
};

struct settings {
    node_options node;
    log_level level = log_level::info;
    std::string kubectl_why;
    secret_place secret;
    // For people: which option, where its value came from, what was expected. A node with problems is not started.
    std::vector<std::string> problems;
    std::vector<std::string> warnings; // what --check-config says besides
};

settings settings_read(const option_values &values, const process_surroundings &around);
bool settings_is_loopback(std::string_view host);
// The value that an option has in effect where its text leaves it to the node; else the text.
std::string settings_effective(const option_values &values, const node_options &node, std::string_view name);

} // namespace etlnode
