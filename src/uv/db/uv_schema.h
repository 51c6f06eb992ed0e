// SPDX-License-Identifier: MIT
// uv/db/uv_schema.h: the tables of the node's database, for uv_database.cc.
#pragma once

#include <cstdint>
#include <string>

#include <sqlite3.h>

#include "base/error.h"

namespace etlnode {

// Makes the tables of a new database; leaves an older one as it is. `out_version`: the format it has now. On failure `out_detail` may say
// why, in words for the operator.
error uv_schema_make(sqlite3 *db, const std::string &path, int64_t &out_version, std::string &out_detail);
// Brings a database of format `version` (at least 1) to today's, one transaction for each step. A database of today's format stays as it is.
error uv_schema_upgrade(sqlite3 *db, int64_t version);

} // namespace etlnode
