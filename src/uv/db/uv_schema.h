// SPDX-License-Identifier: MIT
// uv/db/uv_schema.h: the tables of the node's database, for uv_database.cc.
#pragma once

#include <cstdint>
#include <string>

#include <sqlite3.h>

#include "base/error.h"

namespace etlnode {

// Creates the tables of a new database, and leaves an older one as it is. `out_version`: its format. On failure `out_detail` may tell the
// operator why.
error uv_schema_make(sqlite3 *db, const std::string &path, int64_t &out_version, std::string &out_detail);
// Upgrades a database of format `version` (at least 1) to the present one, with one transaction for each step. No effect if it is up to
// date.
error uv_schema_upgrade(sqlite3 *db, int64_t version);

} // namespace etlnode
