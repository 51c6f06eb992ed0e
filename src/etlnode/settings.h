// SPDX-License-Identifier: MIT
// etlnode/settings.h: turns the option texts into the settings that a node starts with, and checks them.
#pragma once

#include <string>
#include <vector>

#include "base/log.h"
#include "etlnode/options.h"
#include "etlnode/secret.h"
#include "role/shared/node.h"

namespace etlnode {

struct process_context {
    bool in_kubernetes = false; // whether KUBERNETES_SERVICE_HOST is set
    bool is_root = false;
    std::string program_dir; // folder of the running binary
    std::string host_name;
    std::string home, config_home; // HOME, XDG_CONFIG_HOME
};

struct settings {
    node_options node;
    log_level level = log_level::info;
    std::string kubectl_why;
    bool kubectl_is_given = false; // by --kubectl
    secret_file secret;
    // For people: the option, the origin of its value, and what was expected. A node with problems does not start.
    std::vector<std::string> problems;
    std::vector<std::string> warnings; // additional output of --check-config
    std::vector<std::string> notes;    // likewise: nothing is wrong
};

// How a problem names an option: "--listen", with the origin of its value unless that is the command line.
std::string settings_where(const option_values &values, std::string_view name);
settings settings_read(const option_values &values, const process_context &context);
bool settings_is_loopback(std::string_view host);
// The effective value of an option whose text leaves the choice to the node; otherwise the text.
std::string settings_effective(const option_values &values, const node_options &node, std::string_view name);

} // namespace etlnode
