// SPDX-License-Identifier: MIT
// node/api.h: the vocabulary of the wire: paths, query names, header names, ETL modes, stages. docs/PROTOCOL.md explains it.
#pragma once

#include <cstdint>
#include <string_view>

namespace etlnode {

// Paths of the public listener (clients, and other nodes of the cluster).
inline constexpr std::string_view path_buckets = "/v1/buckets";
inline constexpr std::string_view path_objects = "/v1/objects";
inline constexpr std::string_view path_etl = "/v1/etl";
inline constexpr std::string_view path_health = "/v1/health";
inline constexpr std::string_view path_daemon = "/v1/daemon";
inline constexpr std::string_view path_cluster = "/v1/cluster";
// For operators, with the cluster's secret: POST, GET, POST.
inline constexpr std::string_view path_cluster_recover = "/v1/cluster/recover";
inline constexpr std::string_view path_cluster_backup = "/v1/cluster/backup";
inline constexpr std::string_view path_cluster_restore = "/v1/cluster/restore";
inline constexpr std::string_view path_download = "/v1/download";
inline constexpr std::string_view path_jobs = "/v1/jobs";
inline constexpr std::string_view path_metrics = "/metrics";
// For pods, on a listener of their own that serves nothing else: /v1/etl/_object/<etl>/<secret>/<object>.
inline constexpr std::string_view path_pod_object = "/v1/etl/_object";

// Between nodes: on the public listener, with the header header_cluster_secret (docs/PROTOCOL.md, "Between nodes").
inline constexpr std::string_view path_node_register = "/v1/node/register"; // POST target -> proxy: node JSON; answer: cluster document
inline constexpr std::string_view path_node_document = "/v1/node/document"; // target: PUT: take this cluster document; GET: the stored one
inline constexpr std::string_view path_node_status = "/v1/node/status";     // target: GET
inline constexpr std::string_view path_node_etl = "/v1/node/etl";           // target: GET, GET /<id>, GET /<id>/start|gone|logs
inline constexpr std::string_view path_node_origin = "/v1/node/origin";     // target: GET /<bucket>?object=: what a job made it from
inline constexpr std::string_view path_node_bucket = "/v1/node/bucket"; // target: DELETE /<bucket>: drop its objects; GET /<bucket>: a page
inline constexpr std::string_view path_node_move = "/v1/node/move";     // target: PUT: objects from a former owner
inline constexpr std::string_view path_node_move_end = "/v1/node/move-end"; // target: POST: a former owner has given all
inline constexpr std::string_view path_node_presence = "/v1/node/presence"; // target: GET /<bucket>?object=&created=: whether it is there
inline constexpr std::string_view path_node_names = "/v1/node/names";       // proxy: GET /<key>: a long list of names that a job was given
inline constexpr std::string_view path_node_usage = "/v1/node/usage";       // target: GET: what its objects amount to

// Query names.
inline constexpr std::string_view query_etl_id = "uuid";       // 2020
inline constexpr std::string_view query_etl_name = "etl_name"; // today
inline constexpr std::string_view query_since = "since";       // logs: only lines of the last so many seconds
inline constexpr std::string_view query_etl_args = "etl_args";
inline constexpr std::string_view query_etl_pipeline = "etl_pipeline";
inline constexpr std::string_view query_object_to = "object_to"; // PUT: the destination of the result, as "ais/@#/BUCKET/OBJECT"
inline constexpr std::string_view query_proxy_id = "pid";        // a request with both of these was redirected by a proxy
inline constexpr std::string_view query_unix_ns = "utm";
inline constexpr std::string_view query_placement = "plc"; // a target sent the request on: the epoch of placement in which it did

// Every query name that AIStore's clients from 2020 to today send with object requests, and our own. None of them counts as a misspelling
// of another one (source: AIStore api/apc/query.go).
inline constexpr std::string_view query_names[] = {"uuid", "etl_name", "etl_args", "etl_pipeline", "etl_fqn", "etl_meta", "pid", "utm",
    "plc", "provider", "namespace", "bck_to", "object_to", "props", "what", "name", "archpath", "archmime", "archregx", "archmode",
    "append_type", "append_handle", "uploadId", "partNumber", "latest-ver", "synchronize", "set-new-custom", "presence", "silent",
    "skip_vc", "check_cached", "origurl", "owt", "dontaddremote", "dont_add_remote", "cii", "frc", "vpams", "keep_bck_md", "fltPresence",
    "etag", "tid", "sid", "coloc", "bsumm_remote", "max_monolithic", "chunk_size", "num_workers", "size", "tgt", "url", "command",
    "version", "mpt", "x", "u", "v"};
// Access inside archives, which this node does not support yet.
inline constexpr std::string_view query_archive_names[] = {"archpath", "archregx", "archmode"};

// Headers.
inline constexpr std::string_view header_checksum_type = "Ais-Checksum-Type";
inline constexpr std::string_view header_checksum_value = "Ais-Checksum-Value";
inline constexpr std::string_view header_atime = "Ais-Atime";
inline constexpr std::string_view header_version = "Ais-Version";
inline constexpr std::string_view header_custom_md = "Ais-Custom-Md";
inline constexpr std::string_view header_bucket_props = "Ais-Bucket-Props";
inline constexpr std::string_view header_head_error = "Hdr-Error"; // the error JSON of an answer to HEAD
inline constexpr std::string_view header_request_id = "X-Request-Id";
inline constexpr std::string_view header_cluster_secret = "Etlnode-Cluster-Secret";
// Of a PUT by another target: how many milliseconds its body may pause beyond a client's
inline constexpr std::string_view header_pause = "Etlnode-Pause";
// Of a PUT /v1/node/move with one object as its body: the object's row as JSON
inline constexpr std::string_view header_moved_row = "Etlnode-Row";
// Of a PUT by another target for a job: what the object was made from, and by which job
inline constexpr std::string_view header_made_from = "Etlnode-Made-From";
// Of a PUT by another target that copies an object: what was kept beside the content, in base64
inline constexpr std::string_view header_extras = "Etlnode-Extras";
inline constexpr std::string_view header_chunk_count = "Ais-Chunks-Count"; // of a multipart upload
inline constexpr std::string_view header_chunk_size_max = "Ais-Chunks-Max-Chunk-Size";
inline constexpr std::string_view query_new_custom = "set-new-custom"; // PATCH: the metadata takes the place of what there was
// Of a PUT by another target: which cluster document the sender goes by (document_identity_print)
inline constexpr std::string_view header_document = "Etlnode-Document";
inline constexpr std::string_view header_warning = "Etlnode-Warning"; // in the answer to a start: one line for each warning
inline constexpr std::string_view header_cluster_uptime = "Ais-Cluster-Uptime";
inline constexpr std::string_view header_etl = "Etlnode-Etl";                       // in every transformed answer: the ETL that made it,
inline constexpr std::string_view header_etl_generation = "Etlnode-Etl-Generation"; // and the start of that ETL
inline constexpr std::string_view header_node_uptime = "Ais-Node-Uptime";

inline constexpr std::string_view checksum_type_xxhash2 = "xxhash2"; // XXH64, seed 0, 16 hex digits

// Set in a pod's environment: the base URL of the objects that it may read.
inline constexpr std::string_view env_target_url = "AIS_TARGET_URL";
// The node's Kubernetes node name; ETL pods are pinned to it.
inline constexpr std::string_view env_host_name = "K8S_HOST_NAME";

// How a target and a pod exchange an object. Each mode has its place in the lists here; everything else about it stands in
// src/transfer/modes.
enum class etl_mode : uint8_t { hpush, hrev, hpull, ws };
inline constexpr std::string_view etl_mode_names[] = {"hpush://", "hrev://", "hpull://", "ws://"};
inline constexpr bool etl_mode_redirects[] = {false, false, true, false}; // clients who read are sent to the pod themselves
// Modes of AIStore's that do not exist here, and what users are told of them.
struct etl_foreign_mode {
    std::string_view name, what;
};
inline constexpr etl_foreign_mode etl_foreign_modes[] = {{"io://", "which is not supported"}};

// Where hpull:// redirects clients: to the pod's own address, or to a port of its Kubernetes node.
enum class client_address : uint8_t { pod_ip, node_port };
inline constexpr std::string_view client_address_names[] = {"pod_ip", "node_port"};

// What GET /v1/etl shows as `stage`.
enum class etl_stage : uint8_t { initializing, running, aborted };
inline constexpr std::string_view etl_stage_names[] = {"Initializing", "Running", "Aborted"};

// Annotations of a Pod spec.
inline constexpr std::string_view annotation_communication = "communication_type";
inline constexpr std::string_view annotation_wait_timeout = "wait_timeout";
inline constexpr std::string_view annotation_obj_timeout = "obj_timeout";
inline constexpr std::string_view annotation_require_framing = "require_framing";
inline constexpr std::string_view annotation_reuse_connections = "reuse_connections";
inline constexpr std::string_view annotation_hpull_address = "hpull_address";
inline constexpr std::string_view annotation_direct_put = "support_direct_put";
// Set by kubectl-local on its pods: "host:port" where the node reaches the container. The base URL under which the container reaches the
// node is rewritten by kubectl-local itself (docs/PROTOCOL.md, "kubectl-local").
inline constexpr std::string_view annotation_local_address = "etlnode.local/address";
// Likewise: "host:port" of the witness, which says whether the process that serves the pod's port lives (docs/PROTOCOL.md,
// "kubectl-local").
inline constexpr std::string_view annotation_local_witness = "etlnode.local/witness";

// Keys of today's init message and of its runtime (source: AIStore ext/etl/api.go). They match whatever their case.
inline constexpr std::string_view init_keys[] = {
    "name", "communication", "init_timeout", "obj_timeout", "env", "support_direct_put", "resources", "runtime", "spec"};
inline constexpr std::string_view runtime_keys[] = {"image", "command", "env"};

// Labels on ETL pods.
inline constexpr std::string_view label_cluster = "etlnode/cluster";
inline constexpr std::string_view label_target = "etlnode/target";
inline constexpr std::string_view label_etl = "etlnode/etl";
inline constexpr std::string_view label_node_port = "etlnode/node-port"; // on pods with a node port, and on their Services: the launch_id
inline constexpr std::string_view annotation_generation = "etlnode/generation";
inline constexpr std::string_view annotation_launch =
    "etlnode/launch"; // one `kubectl create`: distinguishes a pod from an earlier one with its name

} // namespace etlnode
