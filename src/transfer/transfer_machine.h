// SPDX-License-Identifier: MIT
// transfer/transfer_machine.h: the internals of a transfer, for the files of this folder only.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/open_count.h"
#include "http/pump.h"
#include "object/sink.h"
#include "object/source.h"
#include "port/clock.h"
#include "sm/sm.h"
#include "sm/sm_news.h"
#include "transfer/answer_check.h"
#include "transfer/direct_put.h"
#include "transfer/modes/modes.h"
#include "transfer/pull.h"
#include "transfer/stage.h"
#include "transfer/transfer.h"

namespace etlnode {

struct pod_memory;

// Whether a transfer waits for its pod, or occupies one of the pod's slots.
enum class admission : uint8_t { none, queued, slot };

enum class transfer_news : uint8_t { look_at_pod, read_body, read_error };

struct transfer {
    enum class state : uint8_t {
        awaiting_object,
        awaiting_pod,
        awaiting_answer,
        collecting_error,
        pausing,
        buffering,
        streaming,
        verifying,
        committing,
        done
    };
    enum class event : uint8_t {
        object_found,
        object_missing,
        pod_ready,
        redirected,
        pod_refused,
        pod_lost,
        answer_good,
        answer_whole,
        answer_bodyless,
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
        committed,
        not_committed,
        deadline,
        stop
    };
    sm_core sm;
    sm_news<transfer_news> news;
    env *e = nullptr;
    transfer_host *host = nullptr;
    exchange *x = nullptr;            // until the sink has ended; null: a job asks
    std::string job_request_id;       // without x
    std::string job_query;            // likewise: raw
    const http_head *asked = nullptr; // what the pod is to answer. Lifetime: that of x
    std::string query;                // for the pod
    std::string bucket, name;
    std::string etl_id;        // empty: the object is its own source
    pod_memory *pod = nullptr; // of the ETL; null: it is unknown here
    bool by_name = false;      // the client used etl_name=, not uuid=
    // Of a stage of a pipeline; empty otherwise.
    std::string given_as;   // the object is what the stage before made; the bucket's name under which a pod that reads finds it
    std::string stage_text; // put before failures
    std::string direct_to;  // BUCKET/OBJECT where the result is kept; empty: a client reads it
    // The place that was offered to the pod (direct_put.h); empty: none
    std::string direct_secret, direct_url;
    size_t transient_failures = 0; // of the pod's direct puts
    source from;                   // the object, the pod's answer once it has a head, or that answer from memory
    sink to;
    void (*on_done)(void *arg, const transfer_report &report) = nullptr;
    void *done_arg = nullptr;
    uint64_t began_ms = 0;
    uint64_t wait_until_ms = 0; // for a pod that is not ready

    const store_object *object = nullptr; // held for the pod
    bool looking_up = false;              // the store will call back with our address
    admission place = admission::none;
    pulled_object *pulled = nullptr; // in transfer_host.pulls; null: no pod may read the object (its mode never reads, or not yet)
    timer *deadline_timer = nullptr;

    // As at the time of the request.
    etl_config config;
    etl_endpoint endpoint;
    std::string generation_id;

    stage at_pod;             // until its answer has a head; then `from`
    stage_listener listener;  // of at_pod
    bool by_put = false;      // the method of this attempt, if the object is sent
    int first_status = 0;     // of the first method's failure; 0: no other method has been tried
    std::string first_text;   // its description
    std::string request_line; // "POST /b/o", for texts, which escape it

    int answer_status = 0;                  // of the pod
    bool is_close_delimited = false;        // the pod's answer ends by closing
    std::string answer_headers;             // for a client, whole lines
    std::string answer_type, answer_coding; // Content-Type, Content-Encoding
    std::string retry_after;                // of a pod's 429 or 503
    std::string retry_reason;               // of a pod's 503
    uint64_t part_size = 0;                 // of a 206, according to its Content-Range; 0: unknown
    std::string buffered;                   // error text, or the beginning of an answer
    bool is_begun = false;                  // sink_begin was called
    pump *stream = nullptr;
    answer_check *check = nullptr; // of a close-delimited answer
    error err;
    std::string err_text;
    int err_status = 0;
    transfer_outcome outcome = transfer_outcome::ok;
    uint64_t out_bytes = 0;
};

// What this target remembers about an ETL's pod.
struct pod_memory {
    etl_ref *ref = nullptr; // a reference
    std::string generation_id;
    size_t transfers = 0;      // with a slot, in the queue, or about to join it
    bool method_known = false; // one of POST and PUT has succeeded
    bool by_put = false;
    bool unframed_logged = false; // it has been logged that its answers end by closing
    std::deque<transfer *> queue; // waiting for Ready or for a slot: clients, oldest first, then jobs in turns
};

struct transfer_host {
    env *e = nullptr;
    store *objects = nullptr;
    etl_registry *etls = nullptr;
    transfer_host_options options;
    http_client *client = nullptr;
    std::unordered_map<etl_ref *, pod_memory> pods;
    std::unordered_map<std::string, pull_progress> pulls; // by pull_key: objects that a pod may read here while clients wait
    std::map<std::string, uint64_t> deaths; // by pull_key: when the pod died while reading the object, for clients with etl_name=
    std::unordered_map<std::string, const store_object *> given; // by pull_key: what the stages of pipelines read here
    std::unordered_map<std::string, direct_offer> offers;        // by their secrets
    open_count in_flight;
    size_t clients = 0; // of them, for clients
    open_count lookups; // and reads that the store or the disk still owes an answer; the transfer may have ended, and is not in flight then
    uint64_t next_id = 1;
};

// The object is what the stage before made, and not the store's.
inline bool transfer_is_given(const transfer &t) { return !t.given_as.empty(); }
// Then the target asks the pod also where a mode would send the client to it.
inline bool transfer_is_stage(const transfer &t) { return !t.stage_text.empty(); }
// The name of the bucket as a pod that reads knows it.
inline const std::string &transfer_bucket_for_pod(const transfer &t) { return t.given_as.empty() ? t.bucket : t.given_as; }

// A header of the request that the pod is to answer; empty: it has none.
std::string_view transfer_asked(const transfer &t, std::string_view name);

std::string_view transfer_request_id(const transfer &t);
// The query as it was asked, raw.
std::string_view transfer_asked_query(const transfer &t);

void transfer_step(transfer &t, transfer::event event);
void transfer_make_clock(transfer &t);
// look_up.cc: finds the object; the machine continues by itself.
void transfer_look_up(transfer &t);
// The pod may have become ready, or a slot free: checks that, and continues if possible. Requires: it waits for its pod.
void transfer_try_pod(transfer &t);

} // namespace etlnode
