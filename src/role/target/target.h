// SPDX-License-Identifier: MIT
// role/target/target.h: the target's parts, for the files of this folder.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/open_count.h"
#include "control/bucket_moves.h"
#include "control/capacity.h"
#include "control/document.h"
#include "etl/etl_registry.h"
#include "http/client/call.h"
#include "http/server/exchange.h"
#include "port/clock.h"
#include "role/shared/access_log.h"
#include "role/shared/etl_failures.h"
#include "role/shared/lifecycle_machine.h"
#include "role/shared/metrics.h"
#include "role/shared/node.h"
#include "role/shared/route.h"
#include "role/shared/web_guard.h"
#include "store/store.h"

namespace etlnode {

inline constexpr const char *target_document_name = "cluster"; // of the cluster document in port/meta.h

struct object_query;    // aistore/object_query.h
struct transfer_host;   // transfer/transfer.h
struct member;          // control/member_machine.h: registration with the proxy
struct rebalance;       // rebalance.cc: a pass that gives objects to their owners
struct job_host;        // job/job_host.h
struct target_uploads;  // uploads.cc: objects that come in parts
struct target_archives; // archive_jobs.cc: jobs that make archives
struct target_shares;   // shares.cc: jobs that bring objects in
struct target_join_run; // joins.cc: an object being made from a source
struct renaming;        // rename.cc: an object that gets another name
struct held_request;    // held_answers.cc: a call that is answered when what it asks about is decided

// A caller that waits until a document is stored.
struct target_waiter {
    uint64_t version = 0;
    void (*on_stored)(void *arg, error err) = nullptr;
    void *arg = nullptr;
};

// A bucket whose objects are here, though the document does not name it and nobody destroyed it: they are kept, but not served.
struct target_orphan {
    cluster_bucket bucket;
    uint64_t objects = 0;
    bool is_counted = false;
};

struct space_question; // space.cc
struct open_peer_call; // peer_documents.cc

// How full the disk of the data directory is.
struct target_space {
    disk_space last;
    bool is_known = false;
    bool has_failed = false; // the last question failed, and this was logged
    space_state state = space_state::ok;
    uint64_t written = 0; // bytes stored since the question that gave `last`
    uint64_t refused = 0; // writes
    space_question *asked = nullptr;
    timer *tick = nullptr;
};

// A caller that waits until the epoch in force is adopted.
struct target_adoption_waiter {
    void (*on_adopted)(void *arg) = nullptr;
    void *arg = nullptr;
};

// placement.cc
struct target_placement {
    uint64_t adopted = 0;           // epoch in which this target may answer and decide about all that it owns
    uint64_t completed = 0;         // epoch before which every change of the index has completed
    uint64_t since_version = 0;     // of the document: the first one with the epoch in force
    uint64_t clean = 0;             // epoch in which a whole pass found nothing that belongs elsewhere
    bool has_barrier = false;       // waits for the index
    std::vector<std::string> ended; // disks that have said, in the epoch in force, that they gave all
    std::vector<target_adoption_waiter> waiters;
};

// job_names.cc: the long list of names of one job that has not begun here.
struct target_names {
    std::string text; // empty: it has not come
    std::string failure;
    bool is_asked = false;
};

struct target {
    env *e = nullptr;
    node_options options;
    std::string id, url, pod_url;
    std::string disk; // id of the data directory
    route_table routes, pod_routes;
    http_server *public_server = nullptr;
    http_server *pod_server = nullptr;
    web_guard guard;
    access_log answers;
    http_client *client = nullptr; // calls to the proxy and to other targets
    store *objects = nullptr;
    etl_registry *etls = nullptr; // created when the cluster's id is known (first document)
    transfer_host *transfers = nullptr;
    member *membership = nullptr;
    job_host *jobs = nullptr;  // from join on
    cluster_document document; // latest copy; version 0: none yet
    std::string document_text; // its text, byte for byte, until it is stored
    std::string odds;          // why the proxy's document and ours do not match; empty: they do
    std::string unfit;         // why the proxy does not accept what this data directory holds; empty: it may
    lifecycle life;
    uint64_t started_ms = 0;
    uint64_t started_ns = 0; // wall clock: distinguishes this process from one with a copy of the data directory
    object_metrics metrics;
    etl_failures failures; // for the ETLs that have metrics

    // document.cc
    std::vector<bucket_move> bucket_moves; // of the document
    std::map<std::string, target_names> job_names;
    std::vector<target_waiter> waiters;
    document_identity stored; // the document in the data directory
    bool storing = false;
    size_t removals = 0; // removals of buckets in progress; the document is stored after them
    std::vector<std::string> failed_removals;
    std::multiset<std::string> emptying; // buckets whose removal is not done, including those that were re-created
    // orphans.cc
    std::vector<target_orphan> orphans;
    uint64_t orphans_version = 0;      // of the stored list
    bool has_unstored_orphans = false; // the list is stored before the document that made it
    bool is_counting_orphans = false;
    target_placement placement;
    uint64_t last_client_ms = 0;              // when a client last asked for an object; 0: none has
    rebalance *giving = nullptr;              // rebalance.cc; null: nothing was ever to be given
    std::vector<open_peer_call *> peer_calls; // to other targets, without an answer yet
    // objects.cc
    open_count store_calls; // lookups, pages, removals, uploads, kept results and moves in progress: what the disk may still answer
    // node_api.cc
    open_count requests; // requests of the proxy in progress
    // held_answers.cc
    std::vector<held_request *> held;
    target_uploads *uploads = nullptr;    // uploads.cc; null: there were none
    std::vector<target_join_run *> joins; // joins.cc: in progress
    std::vector<renaming *> renames;      // rename.cc: in progress or waiting, in the order in which they came
    target_archives *archives = nullptr;  // archive_jobs.cc; null: there were none
    target_shares *shares = nullptr;      // shares.cc; null: there were none
    std::vector<std::string> appending;   // archive_append.cc: archives that get a member now
    uint64_t next_held_id = 1;
    // heartbeat.cc
    call *registration = nullptr;
    uint64_t registration_sent_ms = 0;
    uint64_t lease_ms = 0;       // until then this target may acknowledge changes
    bool was_accepted = false;   // by the proxy, since this process started. Until then, the pods may be another process's
    bool was_registered = false; // at the end of the membership
    // space.cc
    target_space space;
    // target.cc: start and end
    uint16_t kept_pod_port = 0;     // of the pod listener, the last time; 0: none
    uint64_t listeners_version = 0; // of the stored document that says so
};

// Something that the end of the target may wait for has ended. `arg`: the target.
void target_note_work_ended(void *arg);

// role/target/routes.cc
route_table target_routes();
route_table target_pod_routes();

// role/target/node_api.cc
// Checks that a node of this cluster sent the request, and reads which ETL or bucket its path names, if any. Otherwise it has been
// answered.
bool target_admit_peer(target &t, exchange &x, const route_match &match, std::string &out_name);
std::string target_address_text(const etl_endpoint &endpoint);

// objects.cc
// One of target.store_calls has ended.
void target_note_put(void *arg, error err, uint64_t bytes);
// copies.cc: PUT of `bucket`/`name` with object_to=. The source's names and the ETL have been checked.
void target_begin_copy(target &t, exchange &x, std::string bucket, std::string name, const object_query &asks);

// document.cc
// Reads the latest copy from the data directory, and calls `on_loaded` once.
void target_document_load(target &t, void (*on_loaded)(target &t, error err, const std::string &detail));
// Takes a document from the proxy. Refused: conflict (another cluster), newer_version (a newer one is held), corrupt. The document that is
// held already is fine. An accepted document takes effect at once; target_wait_stored reports when it is durable.
error target_take_document_text(target &t, std::string_view text, std::string &out_detail);
// Takes a new document (pushed, or from the answer to a registration): stores it, and lets ETLs and buckets follow it. Requires: it is
// newer.
void target_take_document(target &t, cluster_document document, std::string_view text);
// For code that stores an object; `arg` is the target. Whether the bucket is still the same one: it may have been destroyed or re-created
// while the object was on its way.
bool target_has_bucket(void *arg, std::string_view bucket, uint64_t created_ns);
// Objects of a former bucket with that name may still be here, so it must not be read or written. Returns the reason for the client;
// otherwise empty.
std::string target_emptying_text(const target &t, const std::string &bucket);
// Why the bucket takes no change now, because a job gives it another name; empty: it does. `by_job`: a job asks.
std::string target_move_text(const target &t, std::string_view bucket, bool by_job);
void target_note_odds(target &t, const std::string &why);
void target_wait_stored(target &t, void (*on_stored)(void *arg, error err), void *arg);
// Creates the ETL registry and the transfers. Requires: a document is held.
void target_begin_etls(target &t);
// Tells the registry which ETLs are wanted, once the proxy has accepted this process.
void target_sync_etls(target &t);
// One that was drained runs none.
bool target_runs_pods(const target &t);
// Of an ETL whose pod reads an object; null: there is none. A pod that outlived a restart of this target is served before the proxy has
// accepted the target.
const etl_definition *target_definition_for_pod(const target &t, const std::string &etl_id);
// For the document from the data directory: starts that it lists as initializing are not started again.
void target_abandon_starts(target &t);

// orphans.cc
// Reads the list from the data directory.
void target_orphans_load(target &t, void (*on_loaded)(target &t, error err, const std::string &detail));
// What `next` makes of the buckets whose objects are here: those to be emptied. The others stay, or become orphans.
std::vector<std::string> target_orphans_sort_out(target &t, const cluster_document &next);
void target_orphans_store(target &t, void (*on_stored)(target &t, error err));
// Counts the objects of orphans that are not counted yet.
void target_orphans_count(target &t);
uint64_t target_orphans_objects(const target &t);
// For heartbeats: the first orphans_reported_max.
json_ptr target_orphans_json(const target &t);
// Whether clients have asked for objects a moment ago. What can wait leaves them room.
bool target_serves_clients(const target &t);
// placement.cc: epochs of placement. `uname_digest` is placement_uname_digest(bucket, name).
void target_placement_loaded(target &t);
void target_placement_taken(target &t, uint64_t former_epoch);
void target_placement_stored(target &t);
// The document names another data directory for this target's id: it must not answer for what that one holds. Why; empty: it may.
std::string target_misfit_text(const target &t);
// The target may answer questions of the epoch in force, and decide about what it did not own before.
bool target_has_adopted(const target &t);
// It may decide about this object, which it owns.
bool target_may_decide(const target &t, uint64_t uname_digest);
// Later, once. The caller must look again: another epoch may be in force by then, or the target is ending.
void target_wait_adopted(target &t, void (*on_adopted)(void *arg), void *arg);
void target_placement_stop(target &t);
// A whole pass in this epoch found nothing here that belongs elsewhere.
void target_note_clean(target &t, uint64_t epoch);
// A former owner has given all that it had to give in this epoch.
void target_note_ended(target &t, uint64_t epoch, std::string_view disk);
// Nothing is left to give, and no former owner will give any more.
bool target_has_settled(const target &t);
placement_report target_placement_report(const target &t); // for a heartbeat

// held_answers.cc
void target_held_document_taken(target &t);
// The target shuts down: starts that the proxy waits for fail now, so that the proxy can end them everywhere.
void target_held_stop(target &t);

// jobs.cc
void target_begin_jobs(target &t);
// Tells the job host which jobs the document lists.
void target_sync_jobs(target &t);
// archive_jobs.cc: begins and ends those that the document lists.
void target_sync_archives(target &t);
void target_end_archives(target &t);
// shares.cc: likewise. Those that run are paused by target_stop_shares, and go on at the next start.
void target_sync_shares(target &t);
void target_stop_shares(target &t);
void target_end_shares(target &t);
// An array of reports: of the jobs that the document does not call over, or of all.
json_ptr target_job_reports(const target &t, bool with_ended);

// heartbeat.cc
void target_heartbeat_begin(target &t);
void target_heartbeat_end(target &t);
// After the membership has ended and nothing can change any more: one registration more tells the proxy the last count of objects. False:
// there is nothing to tell, or nobody who would take it.
bool target_heartbeat_has_last_word(const target &t);
void target_heartbeat_send_last_word(target &t); // then lifecycle_last_word_sent

// space.cc
void target_space_begin(target &t);
void target_space_end(target &t);
// An answer of the disk that is still to come is not waited for.
void target_space_forget(target &t);
// Whether an object of `size` bytes (0: unknown) may be stored. If not, `out_why` says why, for the client, and the refusal is counted.
bool target_space_admits(target &t, std::string_view bucket, std::string_view name, uint64_t size, std::string &out_why);
void target_space_note_written(target &t, uint64_t bytes);
node_capacity target_capacity(const target &t);
// Whether this target may still acknowledge changes. The proxy may declare it lost when it was silent for target_lost_ms; it must have
// stopped before. Ask when a change is handed to the index, and again before its answer.
bool target_has_lease(const target &t);

// metrics.cc
std::string target_metrics_text(target &t);

} // namespace etlnode
