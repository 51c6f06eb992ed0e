// SPDX-License-Identifier: MIT
// base/limits.h: every bound of the node, with its unit in its name.
#pragma once

#include <cstddef>
#include <cstdint>

namespace etlnode {

inline constexpr size_t kib = 1024;
inline constexpr size_t mib = 1024 * kib;

// HTTP, from clients and from pods.
inline constexpr size_t http_head_size_max = 64 * kib; // request line and headers together
inline constexpr size_t http_url_size_max = 8 * kib;   // the request target
inline constexpr size_t http_header_count_max = 128;
inline constexpr size_t http_informational_max = 8; // 1xx answers skipped before the real one
inline constexpr size_t http_trailer_size_max = 8 * kib;
inline constexpr size_t http_chunk_line_size_max = kib; // a chunk size with its extensions
inline constexpr size_t json_body_size_max = 1 * mib;   // control requests
inline constexpr size_t json_depth_max = 64;
inline constexpr size_t call_answer_size_max = 64 * mib;       // buffered answers of intra-cluster calls (object lists, logs)
inline constexpr uint64_t head_timeout_ms = 10'000;            // first byte of a request to its last header
inline constexpr uint64_t idle_timeout_ms = 75'000;            // keep-alive connection without a request
inline constexpr uint64_t body_stall_timeout_ms = 30'000;      // a client neither sends nor reads
inline constexpr uint64_t drain_size_max = 64ull * 1024 * mib; // request body read and dropped after an early answer (clients send it all)
inline constexpr uint64_t linger_timeout_ms = 2'000;           // a refused client may still read its answer
inline constexpr size_t connections_max = 16'384;
inline constexpr size_t connections_extra_max = 256; // above connections_max, for as long as it takes to say so
inline constexpr size_t transfers_max = 1'024;       // transformed reads in flight on one target
inline constexpr size_t transfers_reserved =
    256; // of them: only for ETLs that have fewer than pod_connections_max in flight, so that hung ones leave room

// Streams. Memory of one transfer: one buffer or one pipe a direction.
inline constexpr size_t stream_buffer_size = 64 * kib;
inline constexpr size_t relay_pipe_size = 256 * kib;
inline constexpr size_t relay_pipes_max = 64;                    // above it, and when the kernel refuses, bytes are copied
inline constexpr size_t net_turn_bytes_max = 1 * mib + 64 * kib; // one connection moves at most this before others have their turn
inline constexpr size_t put_buffer_size = 256 * kib;
inline constexpr uint64_t disk_patience_ms = 300'000; // a disk that takes or gives nothing for this long, in the middle of an object
inline constexpr uint64_t peer_patience_ms = 60'000;  // another target that takes nothing of an object, or does not say that it is durable
inline constexpr size_t pod_error_text_max = 4 * kib; // of an error answer of a pod, shown to the client

// Pods.
inline constexpr size_t pod_connections_max = 64;    // per ETL and target
inline constexpr size_t pod_queue_max = 256;         // requests waiting for a pod connection or for Ready
inline constexpr uint64_t pod_ready_wait_ms = 5'000; // a request waits this long for a pod that restarts
inline constexpr uint64_t pod_connect_timeout_ms = 5'000;
inline constexpr unsigned pod_proof_count = 8;     // answers in a row with nothing behind them, until a pod's answers are believed at once
inline constexpr uint64_t pod_behind_wait_ms = 20; // until then the end of an answer is withheld this long, to see what comes behind it
inline constexpr unsigned pod_watch_count =
    16; // connections in a row that stay silent after an answer, before one carries a second request
inline constexpr uint64_t answer_settle_ms = 20; // from an end that may be a death to the look at the pod (decision 22)
inline constexpr uint64_t liveness_memory_ms =
    3'000; // a liveness that broke this long before the end broke with it, or for lack of patience
inline constexpr size_t witness_line_size_max = 256;
inline constexpr uint64_t death_memory_ms = 60'000; // a pod that dies twice within this time under reads of one object will do so again
inline constexpr size_t deaths_remembered_max = 1'024;
inline constexpr size_t socket_buffers_size_max = 16 *
                                                  mib; // what the kernel may hold of an object between a target and a pod that reads it
inline constexpr size_t retry_after_size_max = 64;     // of a pod's Retry-After: seconds or a date

// ETL.
inline constexpr size_t spec_size_max = 1 * mib;
inline constexpr size_t yaml_depth_max = 64;
inline constexpr size_t yaml_node_count_max = 50'000;
inline constexpr size_t yaml_alias_count_max = 1'000; // expanded nodes count against yaml_node_count_max too
inline constexpr size_t yaml_text_size_max = 4 * mib; // of all scalars, aliases expanded
inline constexpr uint64_t wait_timeout_default_ms = 45'000;
inline constexpr uint64_t wait_timeout_max_ms = 24ull * 3600 * 1000;
inline constexpr uint64_t obj_timeout_default_ms = 45'000;
inline constexpr uint64_t obj_timeout_max_ms = 24ull * 3600 * 1000;
inline constexpr size_t etl_count_max = 256;
inline constexpr size_t etl_name_size_max = 63;
inline constexpr size_t pod_name_size_max = 63;
inline constexpr size_t service_name_size_max = 63;
inline constexpr uint64_t pod_user_default = 65534; // nobody: whom ETL pods run as with --pod-security restricted, unless their spec says

// kubectl children.
inline constexpr uint64_t kubectl_timeout_ms = 30'000; // every child but the watch
inline constexpr uint64_t child_kill_grace_ms = 2'000; // from TERM to KILL
inline constexpr size_t child_output_size_max = 16 * mib;
inline constexpr size_t child_error_size_max = 64 * kib;
inline constexpr size_t watch_event_size_max = 4 * mib;
inline constexpr uint64_t watch_relist_ms = 60'000; // a list is paired with the watch at least this often
inline constexpr size_t pod_log_lines_shown = 20;
inline constexpr uint64_t pod_delete_grace_default_s = 2;
inline constexpr size_t pod_log_lines_max = 1'000;    // lines of `etl logs`
inline constexpr size_t pod_log_size_max = 1 * mib;   // of those lines, whatever their length
inline constexpr uint64_t pod_log_timeout_ms = 5'000; // log lines for an error text
inline constexpr size_t pod_log_calls_max = 16;       // `etl logs` under way at a time
inline constexpr uint64_t pod_crashes_max = 3;        // an init gives up at the third end of the container
inline constexpr size_t etl_error_text_max = 8 * kib; // what a user is told about a failed ETL
inline constexpr size_t watched_pods_max = 4'096;     // pods of this target kept in memory
inline constexpr uint64_t watch_restart_min_ms = 200; // back-off of the resident watch
inline constexpr uint64_t watch_restart_max_ms = 5'000;
inline constexpr uint64_t watch_settle_ms =
    2'000; // from a watch's start to the second list, which sees what the watch missed while it opened
inline constexpr uint64_t watch_stable_ms = 10'000;      // a watch that lived this long was healthy: the back-off starts over
inline constexpr uint64_t etl_drain_timeout_ms = 10'000; // stop waits this long for requests in flight
inline constexpr uint64_t etl_relaunch_min_ms = 500;     // back-off of making a lost pod again
inline constexpr uint64_t etl_relaunch_max_ms = 60'000;
inline constexpr uint64_t etl_steady_ms = 30'000; // served this long: the back-off starts over
inline constexpr uint64_t etl_delete_retry_min_ms = 1'000;
inline constexpr uint64_t etl_delete_retry_max_ms = 30'000;
inline constexpr uint64_t etl_create_retry_min_ms = 500; // back-off of a create that failed in a way that may pass
inline constexpr uint64_t etl_create_retry_max_ms = 10'000;
inline constexpr uint64_t etl_expose_retry_min_ms = 500; // back-off of giving a pod its node port
inline constexpr uint64_t etl_expose_retry_max_ms = 10'000;
inline constexpr uint64_t etl_port_wait_ms = 5'000; // from Ready until a node port answers; then it is taken as it is
inline constexpr uint64_t etl_port_knock_ms = 200;  // between two connects to it
inline constexpr uint64_t etl_probe_min_ms = 100;   // from a refused connection to the first connect of our own
inline constexpr uint64_t etl_probe_max_ms = 1'000;
inline constexpr uint64_t etl_probe_timeout_ms = 2'000;

// Names.
inline constexpr size_t bucket_name_size_max = 64;
inline constexpr size_t object_name_size_max = 1024;
inline constexpr size_t node_id_size_max = 64;
inline constexpr size_t request_id_size_max = 64;
inline constexpr size_t cluster_secret_size_min = 16;
inline constexpr size_t cluster_secret_size_max = 4'096;
inline constexpr size_t config_file_size_max = mib;

// Cluster.
inline constexpr size_t bucket_count_max = 4'096;
inline constexpr size_t target_count_max = 1'024;
inline constexpr uint64_t heartbeat_interval_ms = 2'000;
inline constexpr uint64_t target_silent_ms = 10'000; // no heartbeat for this long: shown as silent
inline constexpr uint64_t intra_call_timeout_ms = 10'000;
inline constexpr size_t document_term_count_max = 64;      // starts of the proxy that a document remembers
inline constexpr size_t document_departure_count_max = 64; // targets taken out that may come back
inline constexpr size_t stranger_count_max = 64;           // targets of another cluster that the proxy remembers for cluster show
inline constexpr size_t list_page_size_max = 10'000;
inline constexpr size_t list_answer_entry_count_max = 100'000; // read from one target's answer
inline constexpr uint64_t drain_timeout_ms = 25'000;           // SIGTERM to the end of requests in flight

static_assert(http_url_size_max < http_head_size_max);
static_assert(object_name_size_max * 3 + bucket_name_size_max < http_url_size_max, "a fully percent-encoded name fits a URL");
static_assert(pod_connections_max <= transfers_reserved && transfers_reserved < transfers_max);
static_assert(heartbeat_interval_ms * 3 < target_silent_ms);

// The cluster document, as printed. Whatever may be in it fits, so that no target ever refuses one for its size: what an ETL may bring is
// bounded, all ETLs together are bounded where one starts, and the rest is bounded by its counts.
inline constexpr size_t etl_pod_size_max = 2 * spec_size_max;  // its Pod as JSON: YAML's aliases expanded
inline constexpr size_t etl_init_size_max = 2 * spec_size_max; // the message that started it: a spec in base64, or a message
inline constexpr size_t failed_start_spec_max = 8 * kib;       // both, of a start that failed and never served
inline constexpr size_t json_escaped_factor = 2;               // JSON inside a JSON string: each quote and backslash becomes two bytes
inline constexpr size_t document_small_size_max = 2 * kib;     // a node, a bucket, a term, a departure; what an ETL has beside its texts
inline constexpr size_t document_etls_size_max = 40 * mib;     // of all ETLs together
inline constexpr size_t document_size_max = document_etls_size_max +
                                            document_small_size_max * (target_count_max + 1 + bucket_count_max + document_term_count_max +
                                                                          document_departure_count_max + 1);
inline constexpr size_t etl_size_max = json_escaped_factor * (etl_pod_size_max + etl_init_size_max) + 6 * etl_error_text_max +
                                       document_small_size_max;
static_assert(document_size_max <= call_answer_size_max, "a target takes whatever document the proxy makes");
static_assert(etl_size_max <= document_etls_size_max, "the largest ETL fits");
static_assert(spec_size_max * 4 / 3 + json_body_size_max / 4 <= etl_init_size_max, "a spec in base64 and what stands beside it fits");
static_assert(json_body_size_max <= etl_init_size_max, "so does a message");

// Control plane of the roles.
inline constexpr unsigned document_conflicts_max = 8; // a change is applied again when somebody else swapped the document
inline constexpr uint64_t push_wait_ms = 2'000;       // an answer waits this long for the targets to take a new document
inline constexpr uint64_t push_retry_min_ms = 250;
inline constexpr uint64_t push_retry_max_ms = 5'000;
inline constexpr uint64_t register_back_off_max_ms = 30'000; // between registrations that the proxy refuses
inline constexpr uint64_t etl_init_margin_ms =
    45'000; // a start may take wait_timeout and this: log lines, and a delete that hangs until its deadline
inline constexpr uint64_t etl_answer_margin_max_ms = 5'000; // of init_timeout, kept for the answer: at most a quarter, and this
inline constexpr uint64_t etl_store_retry_ms = 5'000;       // from a failed removal from the document to the next try
inline constexpr uint64_t etl_remove_timeout_ms = 60'000;   // for all targets to remove a pod
inline constexpr size_t warnings_max = 16;                  // with the answer to one start; the last says how many more there are
inline constexpr size_t warning_size_max = 256;             // bytes of one
inline constexpr size_t failures_kept_max = 100;            // of each ETL on each target, to be looked at
inline constexpr size_t failure_text_max = 1 * kib;
inline constexpr uint64_t etl_status_timeout_ms = 3'000; // counters and states of all targets; who is late shows zeros
inline constexpr uint64_t etl_logs_timeout_ms = 35'000;  // more than one kubectl call
inline constexpr uint64_t list_timeout_ms = 15'000;      // one page of all targets
inline constexpr uint64_t upload_settle_ms = 30'000;     // after a redirected upload the cluster does not count as empty
inline constexpr uint64_t drain_poll_ms = 20;
inline constexpr unsigned refusals_logged_max = 20; // lines a second about requests answered 503

static_assert(register_back_off_max_ms > heartbeat_interval_ms);
static_assert(etl_init_margin_ms > kubectl_timeout_ms + pod_delete_grace_default_s * 1'000 + child_kill_grace_ms + pod_log_timeout_ms,
    "a failed start tells its reason although kubectl delete hangs");

// Store.
inline constexpr size_t put_buffers_kept_max = 16;         // unused buffers of put_buffer_size kept for the next puts
inline constexpr size_t cached_inline_max_default = 4'096; // contents in memory
inline constexpr size_t cached_bytes_max = 32 * mib;       // their bytes
inline constexpr size_t cache_evict_count = 64;            // descriptors given back when the system has none left
inline constexpr size_t index_content_size_max = 16 * kib; // contents up to this size lie in the index, above it in files (decision 13)
inline constexpr size_t content_block_size =
    256 * kib; // of a content in a file: what one sum is of, and what is checked before its first byte is sent (decision 24)
inline constexpr uint64_t load_sum_size_max =
    64 * mib; // a content of this size that has no sums yet is read whole before its first byte is sent
inline constexpr uint64_t summer_pause_ms =
    5; // between two blocks of a content that gets its sums in the background: 50 MiB a second at most
inline constexpr size_t summer_list_count = 256;
inline constexpr uint64_t summer_retry_ms = 60'000;       // after a pass in which some could not be read
inline constexpr unsigned load_restarts_max = 16;         // reads of the row by one lookup: each restart means an overwrite in between
inline constexpr size_t housekeeping_batch_count = 1'024; // contents moved or removed before directories are synced and the index is told
inline constexpr size_t housekeeping_remove_count = 64;   // contents removed in one go
inline constexpr uint64_t housekeeping_batch_delay_ms = 1'000; // a smaller batch waits this long
inline constexpr uint64_t content_id_limit = 1ull << 62;       // ids are handed out in order from 1: what is above was never one of ours
inline constexpr uint64_t housekeeping_retry_ms = 5'000;       // after an error of the disk or the index

} // namespace etlnode
