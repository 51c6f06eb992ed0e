// SPDX-License-Identifier: MIT
// transfer/transfer.h: moves one object, through an ETL or unchanged, into a sink: transformed reads, and kept results.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "etl/etl_registry.h"
#include "http/client/call.h"
#include "http/server/exchange.h"
#include "object/sink.h"
#include "store/store.h"

namespace etlnode {

struct transfer_host; // limits and connections shared by the transfers of one target

// redirected: the pod answers the client itself (hpull), so the result is unknown here. client_error: what the client requested does not
// exist or is not possible. timeout: obj_timeout. unavailable: the pod is not Ready, or too busy. pod_error: its own 4xx or 5xx, an invalid
// answer, or its death. failed: a problem of the node itself. cut: after the first byte.
enum class transfer_outcome : uint8_t { ok, redirected, client_error, timeout, unavailable, pod_error, failed, cut };
inline constexpr const char *transfer_outcome_names[] = {
    "ok", "redirected", "client_error", "timeout", "unavailable", "pod_error", "failed", "cut"};
inline constexpr size_t transfer_outcome_count = sizeof transfer_outcome_names / sizeof transfer_outcome_names[0];

// Handed to on_end, and to the owner's on_done, once for every transfer. Lifetime of the views: the call.
struct transfer_report {
    std::string_view etl_id; // empty: none, the object was copied unchanged
    transfer_outcome outcome = transfer_outcome::ok;
    uint64_t in_bytes = 0, out_bytes = 0, duration_ms = 0;
    std::string_view bucket, name; // of the object
    std::string_view request_id;
    std::string_view text; // why it failed, for the user
    error_code code = error_code::ok;
    int status = 0;           // the failure's status, or the one that it would have had if the answer had not begun
    std::string_view headers; // only for on_done: header lines for an answer that reports this outcome
    bool client_gone = false; // this is not a failure of the ETL
    bool unframed = false;    // the pod answered with neither Content-Length nor chunks
};

struct transfer_host_options {
    std::string node_id;                // in messages
    uint64_t pod_ready_wait_ms = 5'000; // a request waits this long for a pod that is not Ready
    void (*on_end)(void *arg, const transfer_report &report) = nullptr;
    void (*on_none)(void *arg) = nullptr; // none is in flight any more, or no lookup is under way; null: nobody wants to hear it
    void *arg = nullptr;
    std::string direct_url; // base URL under which pods put results themselves, "http://HOST:PORT"; empty: they cannot
    // For what pipelines keep between two stages: whether the disk has room (sink_interim_options.admits). Null: it always has.
    bool (*admits_interim)(void *arg, const std::string &bucket, const std::string &name, std::string &out_why) = nullptr;
};

transfer_host *transfer_host_make(env &e, store &objects, etl_registry &etls, const transfer_host_options &options);

struct transfer;

struct transfer_request {
    // The request that asked for this: logs and the request to the pod name it, and the transfer ends when its client leaves. Lifetime:
    // until the sink has ended and on_done was called. Null: a job asks, by the id below, and may stop the transfer.
    exchange *x = nullptr;
    std::string_view request_id = {}; // without x. Lifetime: the call
    const http_head
        *asked = nullptr; // the request that the pod is to answer: the client's; null: a plain GET of the node's own. Lifetime: that of x
    std::string_view query = {}; // raw; the pod gets what the cluster does not read itself. Lifetime: the call
    std::string bucket, name;
    std::string_view etl = {}; // id or name; empty: the object goes to the sink unchanged. Lifetime: the call
    // The client said etl_name=, not uuid=, which changes some statuses (docs/PROTOCOL.md, "What a transformed read answers")
    bool by_name = false;
    sink to; // the transfer owns it, whatever happens
    // Once, after the sink has ended; possibly before transfer_begin returns. Null: nobody but the sink needs the outcome.
    void (*on_done)(void *arg, const transfer_report &report) = nullptr;
    void *arg = nullptr;
    // As a stage of a pipeline (pipeline.h).
    // Instead of the store's object: what the former stage made. The transfer takes over the hold.
    const store_object *given = nullptr;
    std::string_view direct_to = {}; // BUCKET/OBJECT where the result is kept: a pod that can may put it there itself. Lifetime: the call
    std::string_view given_as = {};  // the bucket's name under which a pod that reads finds `given`. Lifetime: the call
    // Put before failures: "stage 2 of 3, etl job x: ". The target then asks the pod in every mode. Lifetime: the call
    std::string_view stage_text = {};
    bool is_continued = false; // it was admitted with its first stage
};
// Commits the sink when the whole result is known to be right; otherwise abandons it with a refusal. Returns null if there was no room;
// then on_done has been called. Lifetime of what it returns: until on_done.
transfer *transfer_begin(transfer_host &host, transfer_request request);
// Abandons its sink. on_done is called before this returns. Requires: it has no `x`.
void transfer_stop(transfer &t);
// A pod reads the object (hrev, hpull): `x` is its request, which is about to be answered. Returns the argument for on_progress of that
// answer. Release it with transfer_pod_read_end when the answer has been sent.
struct transfer_pod_read;
transfer_pod_read *transfer_pod_read_begin(
    transfer_host &host, exchange &x, std::string_view etl_id, std::string_view bucket, std::string_view name, uint64_t size);
void transfer_pod_read_end(transfer_pod_read *read);
// An ETL's pod has changed (etl_registry_options.on_change): requests that wait for it check again.
void transfer_host_etl_changed(transfer_host &host, etl_ref &ref);
size_t transfer_host_in_flight(const transfer_host &host);
size_t transfer_host_clients(const transfer_host &host); // of them, for clients and not for jobs
// Number of ETLs that are remembered: those that the registry knows, and those that a transfer still waits for.
size_t transfer_host_remembered(const transfer_host &host);
// Transfers waiting for a store lookup. They outlive their client, because the lookup cannot be cancelled.
size_t transfer_host_lookups(const transfer_host &host);
// How often a pod sent unsolicited bytes.
uint64_t transfer_host_unsolicited(const transfer_host &host);
// Requires: no transfer and no lookup in progress.
void transfer_host_free(transfer_host *host);

} // namespace etlnode
