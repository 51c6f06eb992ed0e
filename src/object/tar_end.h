// SPDX-License-Identifier: MIT
// object/tar_end.h: where the last member of a tar ends, so that others can follow.
#pragma once

#include <cstdint>

#include "base/error.h"
#include "base/open_count.h"
#include "port/env.h"
#include "store/store.h"

namespace etlnode {

// Completes once, later. err: the content cannot be read. why: it is no tar or damaged, in words for the client; else null.
using tar_end_on_found = void (*)(void *arg, error err, const char *why, uint64_t end);
// The caller holds `object` until then. `at_disk` counts what the disk owes.
void tar_end_find(env &e, const store_object &object, open_count &at_disk, tar_end_on_found on_found, void *arg);

} // namespace etlnode
