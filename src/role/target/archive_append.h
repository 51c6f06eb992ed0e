// SPDX-License-Identifier: MIT
// role/target/archive_append.h: PUT of a member into an archive. For objects.cc.
#pragma once

#include "role/target/objects.h"

namespace etlnode {

// PUT with archpath=. Requires: this target owns the object, and has a lease.
void target_append_member(object_request &&r, const std::string &path);

} // namespace etlnode
