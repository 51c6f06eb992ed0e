// SPDX-License-Identifier: MIT
// role/shared/node_id.h: the ids of this node and of its disk. The data directory keeps them (meta document "node"), from the first start
// on.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "port/env.h"
#include "role/shared/node.h"

namespace etlnode {

// [A-Za-z0-9_-], 8 to node_id_size_max bytes.
bool node_id_is_good(std::string_view id);

struct node_identity {
    std::string id;
    std::string disk; // of a target: tells its data directory from another one that is used under the same id
};

// Completes once, later. Refuses a data directory of the other role, or with an id other than options.id; `detail` explains that to a
// person.
void node_id_load(env &e, const node_options &options,
    void (*on_loaded)(void *arg, error err, const node_identity &identity, const std::string &detail), void *arg);

} // namespace etlnode
