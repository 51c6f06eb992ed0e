// SPDX-License-Identifier: MIT
// etlnode/secret.h: the file with the cluster's secret: where it is looked up, and who creates it.
#pragma once

#include <string>
#include <string_view>

#include "base/secret_file.h"

namespace etlnode {

struct secret_file {
    std::string path;
    bool is_named = false;        // --cluster-secret-file names it, so it must exist
    bool must_be_created = false; // it does not exist, and this node is the one to create it
    std::string proxy_url;        // set on a target
};

// Whether a proxy at `url` runs on this machine, judging by its host: loopback, an address of this machine, or its name.
bool secret_proxy_is_here(std::string_view url, std::string_view machine_name);

// Creates the file (0600, its folder 0700) and reads it. If several nodes do this at once, all read the same secret. `out_created`: this
// call created it.
secret_outcome secret_create(const std::string &path, std::string &out_secret, bool &out_created, std::string &out_reason);

} // namespace etlnode
