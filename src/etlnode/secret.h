// SPDX-License-Identifier: MIT
// etlnode/secret.h: the file with the cluster's secret: where it is looked for, who makes it.
#pragma once

#include <string>
#include <string_view>

namespace etlnode {

struct secret_place {
    std::string path;
    bool is_named = false;      // by --cluster-secret-file: then it must be there
    bool is_to_be_made = false; // it is absent, and nobody else can be meant to bring it
    std::string proxy_url;      // of a target
};

// "/etc/etlnode/cluster-secret" for root, else below XDG_CONFIG_HOME or ~/.config; empty where there is neither.
std::string secret_default_path(bool is_root, std::string_view config_home, std::string_view home);
// Whether a proxy at `url` runs on this machine, as far as its host says so: loopback, an address of this machine, its name.
bool secret_proxy_is_here(std::string_view url, std::string_view machine_name);

enum class secret_outcome : unsigned char { read, absent, bad };
// `out_reason` for people, unless it was read.
secret_outcome secret_read(const std::string &path, std::string &out_secret, std::string &out_reason);
// Makes the file (0600, its folder 0700) and reads it. When several do it at once, all read the same secret. `out_made`: it was this call's.
secret_outcome secret_make(const std::string &path, std::string &out_secret, bool &out_made, std::string &out_reason);

} // namespace etlnode
