// SPDX-License-Identifier: MIT
// control/document.h: the cluster document: nodes, buckets and ETLs under one version. The proxy owns it; targets keep the latest copy.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "codec/json.h"
#include "control/placement_epochs.h"
#include "etl/etl_definition.h"
#include "node/api.h"

namespace etlnode {

inline constexpr uint32_t node_flag_non_electable = 1u << 0;
inline constexpr uint32_t node_flag_maintenance = 1u << 2;  // AIStore's clients skip it when they place an object
inline constexpr uint32_t node_flag_decommission = 1u << 3; // skipped too

struct cluster_node {
    std::string id;
    bool is_target = false;
    std::string url;     // advertised to clients: "http://host:port"
    uint64_t digest = 0; // placement_digest(id)
    uint32_t flags = 0;
    std::string disk = {}; // id of a target's data directory; empty: it has not told it yet
    node_want want = node_want::placed;
    // Not in the document's JSON: when the proxy last heard from it.
    uint64_t heard_ms = 0;
};

struct cluster_bucket {
    std::string name;
    uint64_t created_ns = 0;
    uint64_t created_epoch = 0; // of the placement: targets of earlier epochs hold none of its objects
    std::string props = {};     // a JSON object of the properties that a client has set; empty: none
};

// One ETL as the user defined it, and its result.
struct cluster_etl : etl_definition {
    std::string init_json; // what GET /v1/etl/<id> shows as init_msg
    etl_stage stage = etl_stage::initializing;
    uint64_t generation = 0; // counts starts
    std::string last_error;  // why it was aborted
    uint64_t started_ns = 0;
};

// One job: what was asked for, and, once every target has said that it is over, what came of it.
struct cluster_job {
    std::string id;
    std::string kind;
    std::string bucket; // empty: all
    std::string prefix;
    std::string options = "{}"; // a JSON object that the kind understands
    std::string names;          // the key of a long list of names, which the proxy keeps; empty: there is none
    std::string creator;        // the address that asked for it
    uint64_t created_ns = 0;
    bool is_cancelled = false; // it is to end
    uint64_t ended_ns = 0;     // 0: it is not over, and nothing below is set
    std::string state;         // the job layer's word
    uint64_t done = 0, skipped = 0, failed = 0, bytes = 0;
    std::string error;
};

// One run of the proxy; its first change begins the term. If two copies of a data directory continue from the same version, they continue
// in different terms, which distinguishes them.
struct cluster_term {
    uint64_t number = 0; // increases by one
    uint64_t tag = 0;    // random
    uint64_t first_version = 0;
    uint64_t base_digest = 0; // of the previous version
};

// A destroyed bucket. Only this record, or a new bucket of that name, makes a target remove objects: a document that merely lacks the
// bucket may be an old one.
struct cluster_destroyed {
    std::string name;
    uint64_t created_ns = 0;
    uint64_t version = 0; // of the document that destroyed it
};

// Identifies a document: no two different documents have the same identity.
struct document_identity {
    uint64_t term = 0, tag = 0; // of the last term; 0: from before terms existed
    uint64_t version = 0;       // 0: none
    uint64_t digest = 0;        // XXH64 of the text as stored

    bool operator==(const document_identity &) const = default;
};

struct cluster_document {
    uint64_t version = 0;
    uint64_t digest = 0;             // of the parsed text; not in the JSON
    std::vector<cluster_term> terms; // the last document_term_count_max, in order
    std::string uuid;                // of the cluster; never changes
    std::string created;             // "YYYY-MM-DD HH:MM:SS"
    uint64_t next_generation = 1;
    uint64_t changed_ns = 0;                   // when the proxy made this version; 0: unknown
    uint64_t last_created_ns = 0;              // the highest created_ns that a bucket ever had
    uint64_t losses = 0;                       // how often a disk, or the proxy's document, was lost
    std::vector<cluster_destroyed> destroyed;  // that a target may not have heard of; the last document_destroyed_count_max
    std::vector<document_identity> supersedes; // given up by an operator for this line; the last document_superseded_count_max
    std::vector<cluster_node> nodes;           // by id
    std::vector<cluster_bucket> buckets;       // by name
    std::vector<cluster_etl> etls;             // by id
    cluster_placement placement;
    std::vector<cluster_job> jobs; // in the order in which they were made
};

// The two large texts of each ETL, as printed in the last document. Printing them again for every change of the document would block the
// loop; comparing digests takes a fiftieth of that time.
struct document_printer {
    struct texts {
        uint64_t pod_digest = 0;
        uint64_t init_digest = 0;
        std::string text; // "pod":"...","init":"..."
    };
    std::vector<texts> known;
};

// The whole document including secrets: only for storage and for targets.
std::string document_print(const cluster_document &document);
std::string document_print(const cluster_document &document, document_printer &printer);
// Errors: corrupt for a damaged document, newer_version for one in a newer format.
error document_parse(std::string_view text, cluster_document &out_document);

cluster_node *document_find_node(cluster_document &document, std::string_view id);
cluster_bucket *document_find_bucket(cluster_document &document, std::string_view name);
cluster_job *document_find_job(cluster_document &document, std::string_view id);
const cluster_job *document_find_job(const cluster_document &document, std::string_view id);
// The job that shows how objects move in one epoch of placement. The proxy begins and ends it with the epoch.
inline constexpr const char *rebalance_kind = "rebalance";
std::string rebalance_job_id(uint64_t epoch);
// Forgets what ended long ago, and all but the last job_kept_max that ended. False: nothing was forgotten.
bool document_prune_jobs(cluster_document &document, uint64_t now_ns);
// Finds an ETL by id, or by metadata.name if exactly one ETL has it.
cluster_etl *document_find_etl(cluster_document &document, std::string_view id_or_name);
const cluster_node *document_find_node(const cluster_document &document, std::string_view id);
const cluster_bucket *document_find_bucket(const cluster_document &document, std::string_view name);
const cluster_etl *document_find_etl(const cluster_document &document, std::string_view id_or_name);
// These keep the vectors sorted.
cluster_node &document_put_node(cluster_document &document, cluster_node node);
void document_put_bucket(cluster_document &document, cluster_bucket bucket);
cluster_etl &document_put_etl(cluster_document &document, cluster_etl etl);
bool document_remove_bucket(cluster_document &document, std::string_view name);
bool document_remove_node(cluster_document &document, std::string_view id);
bool document_remove_etl(cluster_document &document, std::string_view id);

document_identity document_identify(const cluster_document &document);
uint64_t document_digest(std::string_view text);
// "version 12 (term 3-9f86d081)", for people.
std::string document_identity_text(const document_identity &identity);
// "12.3.9f86d081884c7d65.2c26b46b68ffc68f": version, term, tag and digest, for another node. False: not of this form.
std::string document_identity_print(const document_identity &identity);
bool document_identity_parse(std::string_view text, document_identity &out_identity);
// How the document that `other` identifies relates to `document`.
enum class document_relation : uint8_t {
    equal,
    ancestor, // `document` descends from it
    newer,    // it claims to be newer; only the newer document itself can tell whether it descends from `document`
    diverged, // both continued from a common ancestor independently
};
document_relation document_relate(const document_identity &other, const cluster_document &document);
// Whether `document`, or a version before it, was chosen in place of the one that `other` identifies.
bool document_is_superseded(const document_identity &other, const cluster_document &document);
// Call before the first change in this run of the proxy gives `document` its next version.
void document_begin_term(cluster_document &document, uint64_t tag);

// --- destroyed.cc

// The created_ns of a bucket that is made now: higher than that of every bucket before, whatever the clock says. Notes it.
uint64_t document_stamp_bucket(cluster_document &document, uint64_t now_ns);
// Removes the bucket, and records that. `version`: of the document without it. False: there is none.
bool document_destroy_bucket(cluster_document &document, std::string_view name, uint64_t version);
void document_record_destroyed(cluster_document &document, const cluster_bucket &bucket, uint64_t version);
// Drops the records of versions that all targets hold. While a departed target, or a lost disk, may return, all are kept.
void document_forget_destroyed(cluster_document &document, uint64_t held_version);
// What a target does with the objects of a bucket of its former document when it takes `next`.
enum class bucket_fate : uint8_t {
    kept,     // the bucket is in `next`
    removed,  // it was destroyed, or another one has its name
    orphaned, // `next` says nothing of it: the objects are kept, but not served
};
bucket_fate document_bucket_fate(const cluster_document &next, const cluster_bucket &bucket);

// --- lineage.cc

// A start that failed and never served is kept for inspection only. Its spec is kept only if it is small (failed_start_spec_max), because
// it never runs and every copy of the document carries it.
bool document_is_failed_start(const cluster_etl &etl);
bool document_is_to_shed_spec(const cluster_etl &etl);
// Removes the spec, and what is large in the message. False: it is small enough, or it is no failed start.
bool document_shed_spec(cluster_etl &etl);
// The most bytes that one ETL, or all of them, take in the printed document.
size_t document_etl_size(const cluster_etl &etl);
size_t document_etls_size(const cluster_document &document);

// The target that holds an object; null if there is none (all are in maintenance).
const cluster_node *document_place(const cluster_document &document, std::string_view bucket, std::string_view object);

// AIStore's Smap (docs/PROTOCOL.md): pmap, tmap, proxy_si, uuid, creation_time, version as text, id_digest with all 64 bits.
json_ptr document_smap(const cluster_document &document);

// One node as JSON, as a target sends it when it registers: id, url, digest, flags and disk, with all numbers as decimal text. node_parse
// refuses with bad_json a bad id or disk, a url that is not "http://host:port", and a digest that is not that of the id.
json_ptr node_print(const cluster_node &node);
error node_parse(const cJSON *tree, cluster_node &out_node);

} // namespace etlnode

// Compiled once, in document.cc: otherwise every file that copies or frees a document would have its own copy of these.
extern template class std::vector<etlnode::cluster_bucket>;
extern template class std::vector<etlnode::cluster_destroyed>;
extern template class std::vector<etlnode::cluster_etl>;
extern template class std::vector<etlnode::cluster_job>;
extern template class std::vector<etlnode::cluster_node>;
extern template class std::vector<etlnode::cluster_term>;
extern template class std::vector<etlnode::document_identity>;
extern template class std::vector<etlnode::former_epoch>;
extern template class std::vector<etlnode::placed_disk>;
