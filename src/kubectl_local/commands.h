// SPDX-License-Identifier: MIT
// kubectl_local/commands.h: kubectl-local's commands. Each returns the exit code; data go to stdout, everything else to stderr.
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
    std::string node; // the name of the node we are
    options o;
    sandbox_wish sandbox = sandbox_wish::automatic;
};

int command_create(const command &c);
int command_get(const command &c);
int command_delete(const command &c);
int command_logs(const command &c);
int command_wait(const command &c);
int command_describe(const command &c);
int command_version(const command &c);
int command_image(const command &c);

// `get pods --watch`, from the list on. `name` empty: all that match.
int watch_pods(const command &c, const std::string &name, const selector &wanted, const output_format &format);

// Shared by the commands.

// "error: TEXT" on stderr; returns 1.
int command_fail(const std::string &text);
int command_fail_not_found(const char *resource, const std::string &name);
// The pods the words after the verb name: `pods [NAME...]`, `pod/NAME ...`. `out_resource` is what stands there ("pods", "nodes").
bool command_parse_names(
    const std::vector<std::string> &words, std::string &out_resource, std::vector<std::string> &out_names, std::string &out_text);
// Records that match, read; those without a supervisor that should have one get it first.
struct found_pod {
    pod_key key;
    json_ptr pod;
};
std::vector<found_pod> command_find_pods(const command &c, const selector &wanted);
bool command_find_pod(const command &c, const std::string &name, found_pod &out_pod);
// A key whose names can be those of a pod; anything else must not become a path.
bool command_is_record(const pod_key &key);
// --selector; false: `out_code` is the exit code, the message is written.
bool command_parse_selector(const command &c, selector &out_selector, int &out_code);
bool command_write(const std::string &text); // to stdout; false when nobody reads

} // namespace etlnode::kubectl_local
