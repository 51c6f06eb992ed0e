// SPDX-License-Identifier: MIT
// kubectl_local/commands.h: kubectl-local's commands. Each returns the exit code; data goes to stdout, everything else to stderr.
#pragma once

#include <string>
#include <vector>

#include "kubectl_local/options.h"
#include "kubectl_local/print.h"
#include "kubectl_local/sandbox.h"
#include "kubectl_local/selector.h"
#include "kubectl_local/state.h"

namespace etlnode::kubectl_local {

struct command {
    local_state state;
    std::string ns;
    bool ns_given = false;
    bool all_namespaces = false;
    std::string node; // the name of this node
    options o;
    sandbox_mode sandbox = sandbox_mode::automatic;
};

int command_create(const command &c);
int command_get(const command &c);
int command_delete(const command &c);
int command_logs(const command &c);
int command_wait(const command &c);
int command_describe(const command &c);
int command_version(const command &c);
int command_image(const command &c);

// The watching part of `get pods --watch`, which follows the list. An empty `name` selects all pods that match.
int watch_pods(const command &c, const std::string &name, const selector &wanted, const output_format &format);

// Shared by the commands.

// Prints "error: TEXT" on stderr and returns 1.
int command_fail(const std::string &text);
int command_fail_not_found(const char *resource, const std::string &name);
// Parses the words after the verb: `pods [NAME...]`, `pod/NAME ...`. `out_resource` is the type they name ("pods", "nodes").
bool command_parse_names(
    const std::vector<std::string> &words, std::string &out_resource, std::vector<std::string> &out_names, std::string &out_text);
// Reads the matching records. A pod that should have a supervisor but has none gets one first.
struct found_pod {
    pod_key key;
    json_ptr pod;
};
std::vector<found_pod> command_find_pods(const command &c, const selector &wanted);
bool command_find_pod(const command &c, const std::string &name, found_pod &out_pod);
// Whether the key's names are valid for a pod. Other names must not be used in a path.
bool command_is_record(const pod_key &key);
// Parses --selector. False after printing the error; `out_code` is the exit code.
bool command_parse_selector(const command &c, selector &out_selector, int &out_code);
bool command_write(const std::string &text); // to stdout; false if the reader has gone

} // namespace etlnode::kubectl_local
