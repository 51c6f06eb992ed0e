// SPDX-License-Identifier: MIT
// etlnode/grants.cc: passes the grants for local pods on to kubectl-local: which parts of this machine they may use.
#include "etlnode/grants.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <unistd.h>

#include "base/text.h"
#include "etlnode/settings.h"

namespace etlnode {

static bool is_path(std::string_view text)
{
    if (text.ends_with(":rw") || text.ends_with(":ro"))
        text.remove_suffix(3);
    else if (size_t colon = text.rfind(':'); colon != std::string_view::npos && text.find('/', colon) == std::string_view::npos)
        return false; // another suffix than those
    return text.starts_with('/') && (std::string(text) + "/").find("/../") == std::string::npos;
}

std::vector<std::string> grants_missing(const option_values &values)
{
    std::vector<std::string> out;
    for (std::string one : option_get_list(values, "allow-host-path")) {
        if (one.ends_with(":rw") || one.ends_with(":ro"))
            one.resize(one.size() - 3);
        if (access(one.c_str(), F_OK) != 0)
            out.push_back(settings_where(values, "allow-host-path") + ": " + text_escape(one, 200) + ": " + std::strerror(errno));
    }
    return out;
}

bool grants_export(const option_values &values, std::vector<std::string> &out_problems)
{
    size_t before = out_problems.size();
    std::string paths;
    for (const std::string &one : option_get_list(values, "allow-host-path")) {
        if (!is_path(one)) {
            out_problems.push_back(settings_where(values, "allow-host-path") + ": \"" + text_escape(one, 200) +
                                   "\": expected an absolute path without \"..\", optionally followed by :ro or :rw");
        }
        paths += (paths.empty() ? "" : "\n") + one;
    }
    auto given = values.find("allow-host-network");
    std::string network = given == values.end() ? "false" : given->second.text;
    if (network.empty())
        network = "true";
    if (network != "true" && network != "false")
        out_problems.push_back(
            settings_where(values, "allow-host-network") + ": \"" + text_escape(network, 50) + "\": expected true or false, or no value");
    if (out_problems.size() > before)
        return false;
    if (!paths.empty())
        setenv("KUBECTL_LOCAL_ALLOW_HOST_PATH", paths.c_str(), 1);
    if (network == "true")
        setenv("KUBECTL_LOCAL_ALLOW_HOST_NETWORK", "true", 1);
    return true;
}

} // namespace etlnode
