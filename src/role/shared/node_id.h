// SPDX-License-Identifier: MIT
// role/shared/node_id.h: who this node is: kept in the data directory (meta document "node"), made at the first start.
#pragma once

#include <string>

#include "base/error.h"
#include "port/env.h"
#include "role/shared/node.h"

namespace etlnode {

// Completes once, later. Refused: a data directory of the other role, or of another id than options.id; `detail` says so for a person.
void node_id_load(env &e, const node_options &options,
    void (*on_loaded)(void *arg, error err, const std::string &id, const std::string &detail), void *arg);

} // namespace etlnode
