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
inline constexpr size_t http_informational_max = 8; // 1xx answers skipped before the final one
inline constexpr size_t http_trailer_size_max = 8 * kib;
inline constexpr size_t http_chunk_line_size_max = kib; // one chunk size line with its extensions
inline constexpr size_t json_body_size_max = 1 * mib;   // body of a control request
inline constexpr size_t json_depth_max = 64;
inline constexpr size_t call_answer_size_max = 72 * mib;         // buffered answers of intra-cluster calls (object lists, logs)
inline constexpr uint64_t head_timeout_ms = 10'000;              // from the first byte of a request to its last header
inline constexpr uint64_t idle_timeout_ms = 75'000;              // a keep-alive connection without a request
inline constexpr uint64_t body_stall_timeout_ms = 30'000;        // a client that neither sends nor reads
inline constexpr uint64_t discard_size_max = 64ull * 1024 * mib; // bytes of a request body read and dropped after an early answer
inline constexpr uint64_t linger_timeout_ms = 2'000;             // time for a refused client to read its answer
inline constexpr size_t connections_max = 16'384;
inline constexpr size_t connections_extra_max = 256; // beyond connections_max, to answer 503 and close
inline constexpr size_t transfers_max = 1'024;       // transformed reads in flight on one target
// Of transfers_max, reserved for ETLs with fewer than pod_connections_max in flight, so that hung pods cannot block the others.
inline constexpr size_t transfers_reserved = 256;

// Streams. A transfer holds one buffer or one pipe for each direction.
inline constexpr size_t stream_buffer_size = 64 * kib;
inline constexpr size_t relay_pipe_size = 256 * kib;
inline constexpr size_t relay_pipes_max = 64;                         // beyond this, or if the kernel refuses a pipe, bytes are copied
inline constexpr size_t net_iteration_bytes_max = 1 * mib + 64 * kib; // one connection moves at most this much before the others are served
inline constexpr size_t put_buffer_size = 256 * kib;
inline constexpr uint64_t disk_patience_ms = 300'000; // a disk that makes no progress for this long in the middle of an object
inline constexpr uint64_t peer_patience_ms = 60'000;  // a peer target that neither reads the object nor confirms that it is durable
inline constexpr size_t pod_error_text_max = 4 * kib; // of a pod's error answer, shown to the client

// Pods.
inline constexpr size_t pod_connections_max = 64; // per ETL and target
inline constexpr size_t pipeline_stages_max = 16; // ETLs that an object goes through, one after the other
// Of pod_connections_max, which jobs leave to clients: whoever reads never waits for a whole job
inline constexpr size_t pod_connections_for_clients = 16;
inline constexpr size_t pod_queue_max = 256;         // requests waiting for a pod connection or for Ready
inline constexpr uint64_t pod_ready_wait_ms = 5'000; // how long a request waits for a pod that is restarting
inline constexpr uint64_t pod_connect_timeout_ms = 5'000;
inline constexpr unsigned pod_proof_count = 8;     // clean answers in a row after which a pod's answers are trusted at once
inline constexpr uint64_t pod_behind_wait_ms = 20; // until then, the end of an answer is held back this long in case more bytes follow it
// Connections in a row that stay silent after an answer, before one is reused for a second request.
inline constexpr unsigned pod_watch_count = 16;
inline constexpr uint64_t answer_settle_ms = 20; // from an end that may be a crash to the check of the pod (decision 22)
// A liveness connection that broke earlier than this before the end was closed for being idle.
inline constexpr uint64_t liveness_memory_ms = 3'000;
inline constexpr size_t witness_line_size_max = 256;
inline constexpr uint64_t death_memory_ms = 60'000; // a pod that dies twice within this time while it reads the same object will die again
inline constexpr size_t deaths_remembered_max = 1'024;
inline constexpr size_t socket_buffers_size_max = 16 * mib; // bytes of an object that the kernel may buffer between a target and a slow pod
inline constexpr size_t retry_after_size_max = 64;          // of a pod's Retry-After: seconds or a date

// ETL.
inline constexpr size_t spec_size_max = 1 * mib;
inline constexpr size_t yaml_depth_max = 64;
inline constexpr size_t yaml_node_count_max = 50'000;
inline constexpr size_t yaml_alias_count_max = 1'000; // expanded nodes count against yaml_node_count_max too
inline constexpr size_t yaml_text_size_max = 4 * mib; // of all scalars, with aliases expanded
inline constexpr uint64_t wait_timeout_default_ms = 45'000;
inline constexpr uint64_t wait_timeout_max_ms = 24ull * 3600 * 1000;
inline constexpr uint64_t obj_timeout_default_ms = 45'000;
inline constexpr uint64_t obj_timeout_max_ms = 24ull * 3600 * 1000;
inline constexpr size_t etl_count_max = 256;
inline constexpr size_t etl_name_size_max = 63;
inline constexpr size_t pod_name_size_max = 63;
inline constexpr size_t service_name_size_max = 63;
// Nobody: the user of ETL pods under --pod-security restricted, unless their spec names one.
inline constexpr uint64_t pod_user_default = 65534;

// kubectl children.
inline constexpr uint64_t kubectl_timeout_ms = 30'000; // every child except the watch
inline constexpr uint64_t child_kill_grace_ms = 2'000; // from TERM to KILL
inline constexpr size_t child_output_size_max = 16 * mib;
inline constexpr size_t child_error_size_max = 64 * kib;
inline constexpr size_t watch_event_size_max = 4 * mib;
inline constexpr uint64_t watch_relist_ms = 60'000; // a list accompanies the watch at least this often
inline constexpr size_t pod_log_lines_shown = 20;
inline constexpr uint64_t pod_delete_grace_default_s = 2;
inline constexpr size_t pod_log_lines_max = 1'000;    // lines of one `etl logs`
inline constexpr size_t pod_log_size_max = 1 * mib;   // bytes of those lines
inline constexpr uint64_t pod_log_timeout_ms = 5'000; // for reading the log lines of an error text
inline constexpr size_t pod_log_calls_max = 16;       // concurrent `etl logs`
inline constexpr uint64_t pod_crashes_max = 3;        // an init gives up when the container ends for the third time
inline constexpr size_t etl_error_text_max = 8 * kib; // the error text that a user sees of a failed ETL
inline constexpr size_t watched_pods_max = 4'096;     // pods of this target kept in memory
inline constexpr uint64_t watch_restart_min_ms = 200; // back-off of the resident watch
inline constexpr uint64_t watch_restart_max_ms = 5'000;
// From a watch's start to the second list, which shows what happened while the watch was opening.
inline constexpr uint64_t watch_settle_ms = 2'000;
inline constexpr uint64_t watch_stable_ms = 10'000;  // a watch that lived this long was healthy: its back-off starts over
inline constexpr uint64_t etl_idle_wait_ms = 10'000; // how long a stop waits for requests in flight
inline constexpr uint64_t etl_relaunch_min_ms = 500; // back-off of re-creating a lost pod
inline constexpr uint64_t etl_relaunch_max_ms = 60'000;
inline constexpr uint64_t etl_steady_ms = 30'000; // after serving this long, the back-off starts over
inline constexpr uint64_t etl_delete_retry_min_ms = 1'000;
inline constexpr uint64_t etl_delete_retry_max_ms = 30'000;
inline constexpr uint64_t etl_create_retry_min_ms = 500; // back-off of a create that failed transiently
inline constexpr uint64_t etl_create_retry_max_ms = 10'000;
inline constexpr uint64_t etl_expose_retry_min_ms = 500; // back-off of exposing a pod on a node port
inline constexpr uint64_t etl_expose_retry_max_ms = 10'000;
inline constexpr uint64_t etl_port_wait_ms = 5'000; // from Ready until the node port must answer; then it is used unverified
inline constexpr uint64_t etl_port_knock_ms = 200;  // between two connects to it
inline constexpr uint64_t etl_probe_min_ms = 100;   // from a refused connection to our own first connect
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
inline constexpr size_t bucket_props_size_max = 768; // those that clients have set, as JSON
inline constexpr size_t bucket_count_max = 4'096;
inline constexpr size_t target_count_max = 1'024;
inline constexpr uint64_t heartbeat_interval_ms = 2'000;
inline constexpr size_t metrics_buckets_max = 100;               // buckets with samples of their own in a target's /metrics
inline constexpr uint64_t space_poll_ms = heartbeat_interval_ms; // how often a target asks how full its disk is,
inline constexpr uint64_t space_poll_full_ms = 500;              // and how often while it is too full, so that it recovers soon
inline constexpr uint64_t out_of_space_warning = 5;              // percentage points below --out-of-space from which a target warns
inline constexpr size_t capacity_text_size_max = 256;            // bytes of a version or a machine's name in a registration
inline constexpr uint64_t intra_call_timeout_ms = 10'000;
inline constexpr size_t move_batch_size_max = 2 * mib;        // of objects that move to another target together
inline constexpr size_t document_term_count_max = 64;         // proxy starts that a document remembers
inline constexpr size_t document_destroyed_count_max = 1'024; // destroyed buckets that a target may not have heard of yet
inline constexpr size_t document_superseded_count_max = 64;   // documents that an operator gave up
// Added to next_generation by a recovery, because the lost document may have started ETLs that no target has heard of.
inline constexpr uint64_t recovery_generation_step = 1ull << 20;
inline constexpr size_t orphan_count_max = bucket_count_max;         // buckets that a target keeps though its document does not name them
inline constexpr size_t orphans_reported_max = 64;                   // of these, in a heartbeat
inline constexpr size_t recovery_url_count_max = 64;                 // that an operator names
inline constexpr size_t gather_url_count_max = 2 * target_count_max; // asked for their documents
inline constexpr size_t stray_count_max = 64;                        // documents that seemed newer and have diverged
inline constexpr size_t stranger_count_max = 64;           // targets of another cluster that the proxy remembers for `cluster show`
inline constexpr uint64_t target_silent_ms = 10'000;       // a target without a heartbeat for this long is shown as silent
inline constexpr uint64_t last_counts_pause_ms = 60'000;   // how often a proxy stores what its targets hold
inline constexpr uint64_t join_pause_ms = 1'000;           // how long a target that is ready to join waits for another one
inline constexpr uint64_t join_wait_max_ms = 10'000;       // so that targets that start together join together
inline constexpr uint64_t target_lease_ms = 60'000;        // how long after its last accepted heartbeat was sent a target accepts writes
inline constexpr uint64_t target_lost_ms = 70'000;         // a target that was silent for this long accepts no writes and may be taken out
inline constexpr size_t disk_id_size = 16;                 // of a data directory
inline constexpr size_t former_epoch_count_max = 8;        // placements that have not settled
inline constexpr size_t settled_epoch_count_max = 64;      // placements kept because of lost disks
inline constexpr size_t former_row_count_max = 48 * 1'024; // targets in all former placements together
inline constexpr size_t former_row_size_max = 160;         // bytes of one, as printed
inline constexpr size_t list_page_size_max = 10'000;
inline constexpr size_t list_answer_entry_count_max = 100'000; // entries read from one target's answer
inline constexpr uint64_t drain_timeout_ms = 25'000;           // from SIGTERM to the end of requests in flight

static_assert(http_url_size_max < http_head_size_max);
static_assert(object_name_size_max * 3 + bucket_name_size_max < http_url_size_max, "a fully percent-encoded name fits a URL");
static_assert(pod_connections_for_clients < pod_connections_max);
static_assert(pod_connections_max <= transfers_reserved && transfers_reserved < transfers_max);
static_assert(heartbeat_interval_ms * 3 < target_silent_ms);
static_assert(target_silent_ms < target_lease_ms && target_lease_ms + heartbeat_interval_ms < target_lost_ms);

// Jobs.
inline constexpr size_t job_running_max = 32;                    // of the cluster
inline constexpr size_t job_kept_max = 100;                      // that have ended
inline constexpr uint64_t job_keep_ms = 7ull * 24 * 3600 * 1000; // from its end until it is forgotten
inline constexpr size_t job_id_size_max = 64;
inline constexpr size_t job_options_size_max = 32 * kib; // of a job that runs; a list of names is a part of them
inline constexpr size_t job_names_size_max = 16 * mib; // of a request with a list of names, which is kept beside the document if it is long
inline constexpr size_t job_kept_options_size_max = 4 * kib; // of one that has ended
inline constexpr size_t job_items_at_first = 4;              // of one job, in flight on each target
inline constexpr size_t copy_items_max = 64;                 // of one job, in flight on each target
inline constexpr size_t beside_clients_part = 8;             // of a job's items, which it keeps in flight while clients are served
inline constexpr size_t download_items_default = 8;          // of one job, in flight on each target, unless it says
inline constexpr size_t download_names_max = 100'000;        // of one job
inline constexpr size_t download_link_size_max = 2'000;
inline constexpr size_t fetch_buffer_size = 256 * kib; // of one download, while the disk is slower than the network
inline constexpr size_t transform_items_max = 16;      // likewise, through an ETL; its pod has room for pod_connections_max
inline constexpr size_t selection_range_count_max = 8; // of a template of names
inline constexpr size_t job_page_count = 512;          // names read from the index at a time
inline constexpr size_t job_window_count = 2'048;      // names beyond the cursor: waiting, in flight, or noted in the ledger
inline constexpr size_t job_save_count = 256;          // items that a crash may repeat
inline constexpr uint64_t job_save_delay_ms = 1'000;   // or that ended within this time
inline constexpr uint64_t job_rest_ms = 1'000;         // after an error of the index, the ledger or an item that may work later
inline constexpr uint64_t job_tries_max = 5;
inline constexpr uint64_t job_rate_default = 50 * mib; // bytes a second that a scrub reads on each target
inline constexpr uint64_t job_rate_min = 64 * kib;
inline constexpr size_t job_failures_page_max = 1'000;                                                              // in one answer
inline constexpr size_t job_size_max = 6 * (job_options_size_max + object_name_size_max + kib) + 2 * kib;           // in the document
inline constexpr size_t job_kept_size_max = 6 * (job_kept_options_size_max + object_name_size_max + kib) + 2 * kib; // once it has ended

static_assert(job_page_count <= job_window_count / 2, "a page fits beside what is in flight");

// The cluster document, as printed. Every possible document fits, so that no target ever refuses one for its size.
// The texts of one ETL are bounded, all ETLs together are bounded when one starts, and counts bound the rest.
inline constexpr size_t etl_pod_size_max = 2 * spec_size_max;  // its Pod as JSON, with YAML aliases expanded
inline constexpr size_t etl_init_size_max = 2 * spec_size_max; // the message that started it: a spec in base64, or a JSON message
inline constexpr size_t failed_start_spec_max = 8 * kib;       // both of these, for a start that failed and never served
inline constexpr size_t json_escaped_factor = 2;               // JSON inside a JSON string: each quote and each backslash takes two bytes
inline constexpr size_t document_small_size_max = 2 *
                                                  kib; // one node, bucket, term or the like, and the fields of an ETL other than its texts
inline constexpr size_t document_etls_size_max = 40 * mib; // all ETLs together
inline constexpr size_t document_size_max = document_etls_size_max +
                                            document_small_size_max *
                                                (target_count_max + 1 + bucket_count_max + document_term_count_max +
                                                    document_destroyed_count_max + document_superseded_count_max + 1) +
                                            former_row_size_max * former_row_count_max + job_size_max * job_running_max +
                                            job_kept_size_max * job_kept_max;
inline constexpr size_t etl_size_max = json_escaped_factor * (etl_pod_size_max + etl_init_size_max) + 6 * etl_error_text_max +
                                       document_small_size_max;
static_assert(document_size_max <= call_answer_size_max, "a target takes whatever document the proxy makes");
static_assert(etl_size_max <= document_etls_size_max, "the largest ETL fits");
static_assert(spec_size_max * 4 / 3 + json_body_size_max / 4 <= etl_init_size_max, "a spec in base64 and what stands beside it fits");
static_assert(json_body_size_max <= etl_init_size_max, "so does a message");

// Control plane of the roles.
inline constexpr unsigned document_conflicts_max = 8; // how often a change is re-applied because another writer swapped the document
inline constexpr uint64_t push_wait_ms = 2'000;       // how long an answer waits for the targets to accept a new document
inline constexpr uint64_t push_retry_min_ms = 250;
inline constexpr uint64_t push_retry_max_ms = 5'000;
inline constexpr uint64_t register_back_off_max_ms = 30'000; // between registrations that the proxy refuses
inline constexpr uint64_t etl_init_margin_ms = 45'000; // beyond wait_timeout: for log lines, and for a delete that hangs until its deadline
inline constexpr uint64_t etl_answer_margin_max_ms = 5'000; // reserved for the answer: at most a quarter of init_timeout, and at most this
inline constexpr uint64_t etl_store_retry_ms = 5'000;       // from a failed removal from the document to the next attempt
inline constexpr uint64_t etl_remove_timeout_ms = 60'000;   // for all targets to remove a pod
inline constexpr size_t warnings_max = 16;                  // in the answer to one start; the last one says how many more there are
inline constexpr size_t warning_size_max = 256;             // bytes of one warning
inline constexpr size_t failures_kept_max = 100;            // remembered for each ETL on each target
inline constexpr size_t failure_text_max = 1 * kib;
inline constexpr uint64_t etl_status_timeout_ms = 3'000;      // for counters and states of all targets; a late target counts as zero
inline constexpr uint64_t etl_logs_timeout_ms = 35'000;       // longer than one kubectl call
inline constexpr uint64_t usage_timeout_ms = 60'000;          // for a walk of all targets through what a summary adds up
inline constexpr uint64_t list_timeout_ms = 15'000;           // for one page of all targets
inline constexpr uint64_t list_archives_timeout_ms = 300'000; // likewise with members of archives: one archive is read as a whole
inline constexpr unsigned refusals_logged_max = 20;           // log lines a second about requests answered with 503

static_assert(register_back_off_max_ms > heartbeat_interval_ms);
static_assert(etl_init_margin_ms > kubectl_timeout_ms + pod_delete_grace_default_s * 1'000 + child_kill_grace_ms + pod_log_timeout_ms,
    "a failed start reports its reason even if kubectl delete hangs");

// Store.
inline constexpr size_t put_buffers_kept_max = 16;         // unused buffers of put_buffer_size kept for later puts
inline constexpr size_t cached_inline_max_default = 4'096; // contents in memory
inline constexpr size_t cached_bytes_max = 32 * mib;       // bytes of those contents
inline constexpr size_t cache_evict_count = 64;            // descriptors released when the process has none left
inline constexpr size_t index_content_size_max = 16 * kib; // larger contents live in files instead of the index (decision 13)
inline constexpr size_t interim_memory_size = 1 * mib;     // of what a stage of a pipeline made; the rest goes into a file
// Block of a file's content: the unit of a checksum, verified before its first byte is sent (decision 24).
inline constexpr size_t content_block_size = 256 * kib;
// A content up to this size that has no checksums yet is read whole before its first byte is sent.
inline constexpr uint64_t load_sum_size_max = 64 * mib;
inline constexpr uint64_t summer_pause_ms = 5; // between two blocks of a background checksum pass: at most 50 MiB a second
inline constexpr size_t summer_list_count = 256;
inline constexpr uint64_t summer_retry_ms = 60'000; // after a pass that could not read some contents
// How often one lookup re-reads its row: each restart means that an overwrite came in between.
inline constexpr unsigned load_restarts_max = 16;
// Contents moved or removed before directories are synced and the index is updated.
inline constexpr size_t housekeeping_batch_count = 1'024;
inline constexpr size_t housekeeping_remove_count = 64;        // contents removed at a time
inline constexpr uint64_t housekeeping_batch_delay_ms = 1'000; // how long a smaller batch waits
inline constexpr uint64_t content_id_limit = 1ull << 62;       // ids are assigned in order from 1; any id above this was never ours
inline constexpr uint64_t housekeeping_retry_ms = 5'000;       // after a disk or index error

} // namespace etlnode
