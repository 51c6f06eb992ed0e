// SPDX-License-Identifier: MIT
// transfer/choose.h: the decision table of a read: role x method x mode x availability x locality -> action. Pure, without time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace etlnode {

enum class read_role : uint8_t { proxy, target };
enum class read_method : uint8_t { get, head, other };
enum class read_mode : uint8_t { plain, hpush, hrev, hpull, ws };                     // plain: no ETL was requested
enum class read_availability : uint8_t { absent, starting, ready, not_ready, ended }; // of the ETL on this target; absent: unknown id
enum class read_locality : uint8_t { here, elsewhere, nowhere };                      // of the object, by the cluster's placement

enum class read_action : uint8_t {
    redirect_to_target, // proxy: Location is the target that holds the object
    refuse_no_target,   // no target can hold objects now: 503
    send_object,        // the object unchanged
    refuse_unknown_etl, // 404
    refuse_ended_etl,   // stopped or failed: 404 with its reason
    wait_for_pod,       // for a limited time, then decide again
    push,               // hpush, ws: send the object to the pod, stream the answer
    reverse,            // hrev, and hpull into a sink that is not a client: pass the request to the pod, stream the answer
    redirect_to_pod,    // hpull: Location is the pod
    refuse_method,      // 405
};

// The method of a request head.
read_method transfer_method_of(std::string_view method);

struct read_question {
    read_role role;
    read_method method;
    read_mode mode;
    read_availability availability;
    read_locality locality;
};

// Exactly one row matches every question (a test checks all combinations).
read_action transfer_choose(const read_question &question);

// The rows, for the test and for documents: a set of bits for each input; `label` and `why` are static text.
struct read_row {
    const char *label;
    uint8_t roles, methods, modes, availabilities, localities;
    read_action action;
    const char *why;
};
std::span<const read_row> transfer_choose_rows();

} // namespace etlnode
