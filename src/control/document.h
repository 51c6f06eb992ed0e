// SPDX-License-Identifier: MIT
// control/document.h: the cluster document: nodes, buckets and ETLs under one version. The proxy owns it, targets keep the last copy.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "codec/json.h"
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
    // Not in the document's JSON: what the proxy has seen of it.
    uint64_t heard_ms = 0;
};

struct cluster_bucket {
    std::string name;
    uint64_t created_ns = 0;
};

// One ETL as the user asked for it, and what became of it.
struct cluster_etl : etl_definition {
    std::string init_json; // what GET /v1/etl/<id> shows as init_msg
    etl_stage stage = etl_stage::initializing;
    uint64_t generation = 0; // counts starts
    std::string last_error;  // why it is aborted
    uint64_t started_ns = 0;
};

// One run of the proxy: its first change begins a term. Two copies of a data directory that go on from the same version go on in different
// terms, and so can be told apart.
struct cluster_term {
    uint64_t number = 0; // counts
    uint64_t tag = 0;    // random
    uint64_t first_version = 0;
    uint64_t base_digest = 0; // of the version before
};

// A target that was taken out. When it comes back with its data it may be placed again, as long as nothing has changed that it missed.
struct cluster_departure {
    std::string id;
    uint64_t placement = 0; // document_placement while it was in
    bool is_missed = false; // something was written, deleted or destroyed since
};

// Which document: no two different ones have the same.
struct document_identity {
    uint64_t term = 0, tag = 0; // of the last term; 0: from before there were terms
    uint64_t version = 0;       // 0: none
    uint64_t digest = 0;        // XXH64 of the text as stored
};

struct cluster_document {
    uint64_t version = 0;
    uint64_t digest = 0;                       // of the text that was parsed; not in the JSON
    std::vector<cluster_term> terms;           // the last document_term_count_max, in order
    std::vector<cluster_departure> departures; // the last document_departure_count_max
    std::string uuid;                          // of the cluster; never changes
    std::string created;                       // "YYYY-MM-DD HH:MM:SS"
    uint64_t next_generation = 1;
    std::vector<cluster_node> nodes;     // by id
    std::vector<cluster_bucket> buckets; // by name
    std::vector<cluster_etl> etls;       // by id
};

// The two large texts of each ETL as they stood in the document that was printed last. To print them again with every change of the document
// would take its time on the loop; their digests take a fiftieth of that.
struct document_printer {
    struct texts {
        uint64_t pod_digest = 0;
        uint64_t init_digest = 0;
        std::string text; // "pod":"...","init":"..."
    };
    std::vector<texts> known;
};

// The whole document, secrets included: for storage and for targets only.
std::string document_print(const cluster_document &document);
std::string document_print(const cluster_document &document, document_printer &printer);
// Refuses a damaged document with error_code::corrupt, one of a newer format with newer_version.
error document_parse(std::string_view text, cluster_document &out_document);

cluster_node *document_find_node(cluster_document &document, std::string_view id);
cluster_bucket *document_find_bucket(cluster_document &document, std::string_view name);
// By id, else by the metadata.name where exactly one ETL has it.
cluster_etl *document_find_etl(cluster_document &document, std::string_view id_or_name);
const cluster_node *document_find_node(const cluster_document &document, std::string_view id);
const cluster_bucket *document_find_bucket(const cluster_document &document, std::string_view name);
const cluster_etl *document_find_etl(const cluster_document &document, std::string_view id_or_name);
// These keep the vectors in order.
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
// What the document that `other` names is to `document`.
enum class document_relation : uint8_t {
    equal,
    ancestor, // `document` descends from it
    newer,    // it claims to be further on; whether it descends from `document` only it can tell
    diverged, // both went on from a common ancestor, by themselves
};
document_relation document_relate(const document_identity &other, const cluster_document &document);
// `document` is about to get its next version, the first one of this run of the proxy.
void document_begin_term(cluster_document &document, uint64_t tag);

// Differs when other targets are placed.
uint64_t document_placement(const cluster_document &document);
// A target is taken out; false when there is none. One that was placed leaves a departure behind.
bool document_depart(cluster_document &document, std::string_view id);
// Something changed that targets which are out have missed. False when that changes nothing.
bool document_miss(cluster_document &document);
bool document_needs_miss(const cluster_document &document);
// Whether the target, which is in the document or will be, may be placed again: it left a departure, missed nothing, and with it all is placed as then.
bool document_may_return(const cluster_document &document, const cluster_node &node);
bool document_has_left(const cluster_document &document, std::string_view id);
// It is placed again, and its departure forgotten.
void document_return(cluster_document &document, cluster_node &node);
// A start that failed and never served: what is kept of it is to be looked at. Its spec is kept only where it is small (failed_start_spec_max):
// nobody runs it, and every copy of the document would carry it.
bool document_is_failed_start(const cluster_etl &etl);
bool document_is_to_shed_spec(const cluster_etl &etl);
// The spec goes, and of the message what is not large stays. False: it is small enough, or no failed start.
bool document_shed_spec(cluster_etl &etl);
// Bytes that an ETL takes in the printed document, at most; and all of them.
size_t document_etl_size(const cluster_etl &etl);
size_t document_etls_size(const cluster_document &document);

// The target of an object; null when there is none (all in maintenance).
const cluster_node *document_place(const cluster_document &document, std::string_view bucket, std::string_view object);

// AIStore's Smap (docs/PROTOCOL.md): pmap, tmap, proxy_si, uuid, creation_time, version as text, id_digest with all 64 bits.
json_ptr document_smap(const cluster_document &document);

// One node as JSON, as a target sends it when it registers: id, url, digest and flags, all numbers as decimal text. node_parse refuses with
// bad_json what is not a node: a bad id, a url that is not "http://host:port", a digest that is not the id's.
json_ptr node_print(const cluster_node &node);
error node_parse(const cJSON *tree, cluster_node &out_node);

} // namespace etlnode
