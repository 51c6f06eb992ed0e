// SPDX-License-Identifier: MIT
// etlnode/secret.h: the file with the cluster's secret: where it is looked up, and who creates it.
#pragma once

#include <string>
#include <string_view>

namespace etlnode {

struct secret_file {
    std::string path;
    bool is_named = false;        // --cluster-secret-file names it, so it must exist
    bool must_be_created = false; // it does not exist, and this node is the one to create it
    std::string proxy_url;        // set on a target
};

// "/etc/etlnode/cluster-secret" for root, otherwise a path below XDG_CONFIG_HOME or ~/.config; empty if there is neither.
std::string secret_default_path(bool is_root, std::string_view config_home, std::string_view home);
// Whether a proxy at `url` runs on this machine, judging by its host: loopback, an address of this machine, or its name.
bool secret_proxy_is_here(std::string_view url, std::string_view machine_name);

enum class secret_outcome : unsigned char { read, absent, bad };
// Sets `out_reason`, a text for people, unless the secret was read.
secret_outcome secret_read(const std::string &path, std::string &out_secret, std::string &out_reason);
// Creates the file (0600, its folder 0700) and reads it. If several nodes do this at once, all read the same secret. `out_created`: this
// call created it.
secret_outcome secret_create(const std::string &path, std::string &out_secret, bool &out_created, std::string &out_reason);

} // namespace etlnode
