// SPDX-License-Identifier: MIT
// base/secret_file.h: the file with the cluster's secret: where it is looked up, and what it must look like. Nodes and operators read it.
#pragma once

#include <string>
#include <string_view>

namespace etlnode {

// "/etc/etlnode/cluster-secret" for root, otherwise a path below XDG_CONFIG_HOME or ~/.config; empty if there is neither.
std::string secret_default_path(bool is_root, std::string_view config_home, std::string_view home);

enum class secret_outcome : unsigned char { read, absent, bad };
// Sets `out_reason`, a text for people, unless the secret was read.
secret_outcome secret_read(const std::string &path, std::string &out_secret, std::string &out_reason);

} // namespace etlnode
