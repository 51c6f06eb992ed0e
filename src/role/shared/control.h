// SPDX-License-Identifier: MIT
// role/shared/control.h: what the handlers of both roles have in common: who may call, names from paths, error texts, the access log.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "http/server/exchange.h"
#include "role/shared/node.h"
#include "role/shared/route.h"
#include "role/shared/web_guard.h"

namespace etlnode {

// One line an answer: request id, peer, method, path, status, milliseconds. Requests for objects, and what comes all the time (health, metrics,
// heartbeats), are logged at level debug unless they fail with 5xx. An overload brings answers 503 by the thousand: of these refusals_logged_max
// a second have their line, and the first one after it says how many had none.
struct control_log {
    uint64_t second = 0;
    unsigned written = 0; // in that second
    uint64_t dropped = 0;
};
void control_log_answer(const char *role, control_log &log, exchange &x, int status);
// The answer to a request that the table does not hold: 405 with Allow, or 404.
void control_answer_no_route(exchange &x, const route_match &match);

// True when the request is no web page's attack and may go on; else it has been answered with 421 or 403, whose text names the option that
// would let it pass.
bool control_admit_web(const web_guard &guard, exchange &x);
// Decodes one captured path segment; false when it was malformed, then the request has been answered with 400.
bool control_decode_arg(exchange &x, std::string_view raw, const char *what, std::string &out_text);
// `provider` and `namespace` of the query: false when they name something that is not here, then the request has been answered. A bucket of
// another provider is one that does not exist; with `bucket` empty, it was to be made, which is not implemented.
bool control_check_provider(exchange &x, std::string_view bucket);
// AIStore's provider name for a name or alias ("s3" -> "aws"); empty when nobody knows it.
std::string_view control_provider(std::string_view name);

// " (did you mean \"b\"?)", " (there are: a, b, c)", " (there is: a)", " (there are none)".
std::string control_hint(std::string_view wanted, const std::vector<std::string_view> &names);
std::string control_bucket_missing_text(std::string_view bucket, const std::vector<std::string_view> &names);
std::string control_etl_missing_text(std::string_view etl, const std::vector<std::string_view> &names);

// The header lines of uptime, in nanoseconds.
std::string control_uptime_headers(uint64_t node_ms, uint64_t cluster_ms);
// [A-Za-z0-9_-], 8 to node_id_size_max bytes.
bool control_is_node_id(std::string_view id);
// "2026-01-02 03:04:05" of nanoseconds since 1970; with `rfc3339` "2026-01-02T03:04:05Z".
std::string control_time_text(uint64_t wall_ns, bool rfc3339);

} // namespace etlnode
