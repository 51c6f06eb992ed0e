// SPDX-License-Identifier: MIT
// role/target/archives.h: reads of members of an archive. For objects.cc.
#pragma once

#include "aistore/object_query.h"
#include "role/target/objects.h"

namespace etlnode {

// GET with archpath= or archregx=. Requires: this target owns the object.
void target_read_archive(object_request &&r, const object_query &asks);

} // namespace etlnode
