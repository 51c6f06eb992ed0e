// SPDX-License-Identifier: MIT
// etl/etl_definition.h: the fields of an ETL, and their only codec. A new choice needs a field of etl_config and a row of `choices` in the
// .cc.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "codec/json.h"
#include "node/api.h"

namespace etlnode {

// What a user chooses by annotations of a Pod, or by fields of an init message.
struct etl_config {
    etl_mode mode = etl_mode::hpush;
    uint64_t wait_timeout_ms = 0;
    uint64_t obj_timeout_ms = 0;
    bool require_framing = false;  // refuse answers that have neither Content-Length nor chunks
    bool reuse_connections = true; // a connection to the pod may carry several requests
    client_address hpull_address = client_address::pod_ip;
    bool direct_put = false;   // the pod may put a result itself where it is kept
    bool runtime_spec = false; // started by a message of today's clients (image, command, env): hpush tries PUT before POST
};

// One start of an ETL.
struct etl_definition : etl_config {
    std::string id;            // 10 of [A-Za-z0-9] with a capital, or the name that a client of today chose
    std::string name;          // metadata.name of the Pod
    std::string pod_json;      // the user's Pod as JSON, without the target's additions
    std::string generation_id; // "<16 hex of XXH64(pod_json)>-<number of the start>"
    std::string secret;        // of this start, the same on all targets
};

struct etl_duration_field {
    uint64_t etl_config::*ms;
    uint64_t max_ms;
};
struct etl_no_field {}; // accepted, but without effect so far
using etl_choice_field =
    std::variant<etl_no_field, etl_mode etl_config::*, client_address etl_config::*, bool etl_config::*, etl_duration_field>;

// For std::visit: one function for each kind of field.
template <class... T> struct overloaded : T... {
    using T::operator()...;
};
template <class... T> overloaded(T...) -> overloaded<T...>;

struct etl_choice {
    std::string_view annotation;  // of a Pod; empty: no annotation sets it
    std::string_view message_key; // of an init message; empty: no key sets it
    const char *key;              // of a definition as JSON; null: it is not stored there
    bool is_in_every_format;      // false: definitions written before this choice existed lack it
    etl_choice_field field;
};
std::span<const etl_choice> etl_choices();

// A definition as JSON, as in the cluster document: everything except pod_json, which is large. Durations are decimal text.
void etl_definition_print(cJSON *tree, const etl_definition &definition);
// False: a field is missing, of another kind, or out of bounds. Does not touch pod_json.
bool etl_definition_parse(const cJSON *tree, etl_definition &out_definition);

} // namespace etlnode
