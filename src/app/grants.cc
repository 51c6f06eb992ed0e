// SPDX-License-Identifier: MIT
// app/grants.cc: what pods of kubectl-local may have of this machine, handed on to it.
#include "app/grants.h"

#include <cstdlib>
#include <string_view>

#include "base/text.h"

static bool is_path(std::string_view text)
{
    if (text.ends_with(":rw") || text.ends_with(":ro"))
        text.remove_suffix(3);
    return text.starts_with('/') && (std::string(text) + "/").find("/../") == std::string::npos;
}

bool grants_hand_on(const option_values &values, std::string &out_reason)
{
    std::string paths;
    for (const std::string &one : option_get_list(values, "allow-host-path")) {
        if (!is_path(one)) {
            out_reason = "--allow-host-path: \"" + text_escape(one, 200) + "\": expected an absolute path without \"..\", perhaps with :rw behind it";
            return false;
        }
        paths += (paths.empty() ? "" : "\n") + one;
    }
    auto given = values.find("allow-host-network");
    std::string network = given == values.end() ? "false" : given->second.text;
    if (network.empty())
        network = "true";
    if (network != "true" && network != "false") {
        out_reason = "--allow-host-network: \"" + text_escape(network, 50) + "\": expected true or false, or no value";
        return false;
    }
    if (!paths.empty())
        setenv("KUBECTL_LOCAL_ALLOW_HOST_PATH", paths.c_str(), 1);
    if (network == "true")
        setenv("KUBECTL_LOCAL_ALLOW_HOST_NETWORK", "true", 1);
    return true;
}
