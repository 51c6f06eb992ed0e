// SPDX-License-Identifier: MIT
// transfer/transfer_machine.h: the inside of a transfer, shared by the files of this folder only.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "http/pump.h"
#include "object/sink.h"
#include "object/source.h"
#include "port/clock.h"
#include "sm/sm.h"
#include "transfer/answer_check.h"
#include "transfer/modes/modes.h"
#include "transfer/pull.h"
#include "transfer/stage.h"
#include "transfer/transfer.h"

namespace etlnode {

struct pod_memory;

struct transfer {
    enum class state : uint8_t {
        awaiting_object,
        awaiting_pod,
        awaiting_answer,
        collecting_error,
        buffering,
        streaming,
        verifying,
        keeping,
        committing,
        done
    };
    enum class event : uint8_t {
        object_found,
        object_missing,
        pod_ready,
        pod_refused,
        pod_lost,
        answer_good,
        answer_whole,
        answer_unmodified,
        answer_error,
        answer_open_ended,
        answer_refused,
        call_failed,
        error_text_read,
        end_reached,
        buffer_full,
        pumped,
        pump_failed,
        verified,
        not_verified,
        kept,
        not_kept,
        gone,
        deadline,
        stop
    };
    sm_core sm;
    env *e = nullptr;
    transfer_host *host = nullptr;
    exchange *x = nullptr;
    std::string bucket, name;
    std::string etl_id;
    pod_memory *pod = nullptr; // of the ETL; null: it is not known here
    bool by_name = false;      // the client said etl_name=, not uuid=
    bool is_kept = false;      // the result goes to `to`, and the client hears what came of it; else he reads it
    sink to;
    uint64_t began_ms = 0;
    uint64_t wait_until_ms = 0; // for a pod that is not ready

    const store_object *object = nullptr;
    bool looking_up = false; // the store holds our address until it answers
    bool in_queue = false;
    bool has_slot = false;
    pulled_object *pulled = nullptr; // in transfer_host.pulls; null: none of its pods may read the object (its mode lets none, or not yet)
    timer *deadline_timer = nullptr;

    // As they were when the request was made.
    etl_config config;
    etl_endpoint endpoint;
    std::string generation_id;

    stage at_pod;
    stage_listener listener;   // of at_pod
    bool by_put = false;       // where the object is sent: this attempt's method
    bool method_tried = false; // the other one has failed before
    int first_status = 0;      // of the first method's failure
    std::string first_text;    // in words
    std::string request_line;  // "POST /b/o", for texts, which escape it

    int answer_status = 0;                  // of the pod
    bool is_close_delimited = false;        // its answer
    std::string answer_headers;             // to the client, whole lines
    std::string answer_type, answer_coding; // Content-Type, Content-Encoding
    std::string retry_after;                // of a pod's 429 or 503
    bool is_unframed = false;
    bool has_length = false;
    uint64_t length = 0;
    uint64_t part_size = 0; // of a 206, as its Content-Range says; 0: it says nothing
    std::string buffered;   // error text, or the start of an answer
    pump *stream = nullptr;
    source held;                   // kept: what is here and goes to `to`: the object, or the pod's whole answer
    bool begun = false;            // the client has been answered in part
    bool is_sinking = false;       // kept: `to` has been begun
    answer_check *check = nullptr; // of a close-delimited answer
    error err;
    std::string err_text;
    int err_status = 0;
    transfer_outcome outcome = transfer_outcome::ok;
    bool client_gone = false;
    uint64_t out_bytes = 0;
};

// What is remembered of one ETL's pod on this target.
struct pod_memory {
    etl_ref *ref = nullptr; // held
    std::string generation_id;
    size_t transfers = 0;      // with a slot, in the queue, or on their way there
    bool method_known = false; // one of POST and PUT has succeeded
    bool by_put = false;
    bool unframed_told = false;   // that its answers end by closing
    std::deque<transfer *> queue; // waiting for Ready or for a slot, oldest first
};

struct transfer_host {
    env *e = nullptr;
    store *objects = nullptr;
    etl_registry *etls = nullptr;
    transfer_host_options options;
    http_client *client = nullptr;
    std::unordered_map<etl_ref *, pod_memory> pods;
    std::unordered_map<std::string, pull_progress> pulls; // pull_key: objects that a pod may read here while clients wait
    std::map<std::string, uint64_t> deaths; // pull_key: when the pod died under a read of the object, for clients that said etl_name=
    size_t in_flight = 0;
    size_t lookups = 0; // and reads that the store or the disk still owes an answer; the transfer may have ended, and is not in flight then
    uint64_t next_id = 1;
};

// A header of the client's request that may change what the pod is asked for; empty: absent, or the result is kept, and then it is the node that asks.
std::string_view transfer_asked(const transfer &t, std::string_view name);

void transfer_step(transfer &t, transfer::event event);
void transfer_make_clock(transfer &t);
// look_up.cc: begins with the object; the machine goes on by itself.
void transfer_look_up(transfer &t);
// The pod may have become ready, or a slot free: looks, and goes on where it can. Requires: it waits for its pod.
void transfer_try_pod(transfer &t);

} // namespace etlnode
