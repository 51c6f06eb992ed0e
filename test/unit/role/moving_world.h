// SPDX-License-Identifier: MIT
// test/unit/role/moving_world.h: the target of role_world.h in a cluster whose objects move: target-01 is under test, and target-02 and
// target-03 answer as the test says. Epoch 1 is settled; every join begins another one.
#pragma once

#include <xxhash.h>

#include "base/limits.h"
#include "codec/error_envelope.h"
#include "codec/http_write.h"
#include "control/moved_row.h"
#include "job/job_report.h"
#include "node/api.h"
#include "role/target/rebalance.h"
#include "role_world.h"

namespace etlnode {

inline constexpr const char *moving_client = "pid=proxy-01&utm=1"; // as the proxy redirects

inline scripted_node &peer_of(role_world &w, const std::string &id) { return *w.peers.at(id); }

inline std::string disk_of(const role_world &w, const std::string &id) { return document_find_node(w.document, id)->disk; }

// What a target that has nothing answers.
inline constexpr const char *moving_nothing = R"({"removed_max":"0"})";

// The next document takes effect, and its epoch is adopted. While objects move it has their job.
void moving_push(role_world &w);

using moving_ids = std::vector<std::string>;

void moving_begin(role_world &w, const moving_ids &placed);

void moving_join(role_world &w, const moving_ids &ids);

void moving_settle(role_world &w);

// A name that goes from owner to owner as the tables follow each other; the `nth` one of them.
std::string moving_name(const std::vector<moving_ids> &tables, const moving_ids &owners, size_t nth = 0);

inline uint64_t moving_checksum(std::string_view content) { return XXH64(content.data(), content.size(), 0); }

moved_item moving_item(const std::string &name, uint64_t version, uint64_t tag, std::string_view content);

moved_item moving_tombstone(const std::string &name, uint64_t version, uint64_t tag);

// What a former owner answers that has this row.
std::string moving_row_answer(const moved_item &item, uint64_t removed_max = 0);

std::string moving_question(const std::string &name, uint64_t epoch, const std::string &more = {});

// From now on the peer answers so when it is asked for its row.
void moving_script_row(role_world &w, const char *peer, const moved_item &item, uint64_t removed_max = 0);

// The peer gives its content, too.
void moving_script_copy(role_world &w, const char *peer, const moved_item &item);

std::string moving_object(const char *method, const std::string &name, const std::string &more = {});

// The row or tombstone that the target under test has; version 0: none.
index_row moving_row_here(role_world &w, const std::string &name, uint64_t *out_removed_max = nullptr);

void moving_check_code(const scripted_call &call, std::string_view what, int status, error_code code);

// The target's disk is used to its limit, or has room again.
void moving_set_full(role_world &w, bool is_full);

// target-01, under test, had everything; then target-02 joins.
inline const std::vector<moving_ids> growing = {{"target-01"}, {"target-01", "target-02"}};

} // namespace etlnode
