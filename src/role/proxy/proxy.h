// SPDX-License-Identifier: MIT
// role/proxy/proxy.h: the proxy's parts, for the files of this folder.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "control/broadcast.h"
#include "control/capacity.h"
#include "control/document.h"
#include "control/document_queue.h"
#include "control/etl_rollout_machine.h"
#include "control/presence_machine.h"
#include "control/publisher_machine.h"
#include "control/recovery.h"
#include "http/client/call.h"
#include "http/server/exchange.h"
#include "job/job_report.h"
#include "port/clock.h"
#include "role/shared/access_log.h"
#include "role/shared/lifecycle_machine.h"
#include "role/shared/list_merge.h"
#include "role/shared/node.h"
#include "role/shared/route.h"
#include "role/shared/web_guard.h"

namespace etlnode {

// Objects that a target keeps of a bucket that the document does not name.
struct proxy_orphan {
    cluster_bucket bucket;
    uint64_t objects = 0;
};

// What the proxy has observed of one target. It is not in the document, because it applies to this process only.
struct proxy_target {
    proxy *owner = nullptr;
    std::string id;
    presence here;               // whether it can be heard
    publisher copy;              // which document it holds
    uint64_t member_version = 0; // of the document that made it a member anew; 0: it was one when this process began
    call *push = nullptr;        // PUT /v1/node/document in progress
    uint64_t object_count = 0;   // as last reported
    bool is_count_known = false; // it has reported one
    node_capacity capacity;      // likewise
    placement_report placement;  // likewise
    std::string other_disk;      // that wanted to register under its id
    std::string refusal;         // why the last registration under its id was refused; empty: it was not
    bool is_ousted = false;      // that one came from the target's own URL, so what was there before is gone
    std::string odds;            // why its document and ours do not match; empty: they do
    std::vector<proxy_orphan> orphans;
    std::vector<job_report> jobs; // as last reported, of those that are not over
};

// A target of another cluster that tries to register here.
struct proxy_stranger {
    std::string cluster, peer, url;
    uint64_t heard_ms = 0;
};

// A node that says it holds a newer document than this proxy.
struct proxy_ahead {
    std::string url, text;
};

// gather.cc: a node that was asked for its document.
struct gathered_node {
    std::string id, url, cluster;
    document_identity stored;
    uint64_t objects = 0;
};
struct document_gather {
    proxy *p = nullptr;
    broadcast *calls = nullptr;
    std::string cluster;                     // nodes of others do not count; empty: any
    std::vector<std::string> waiting, asked; // URLs
    std::vector<gathered_node> nodes;        // that answered and hold a document
    std::vector<gathered_node> fetching;     // whose documents are on their way
    std::vector<document_copy> copies;
    std::vector<std::string> failures; // sentences about nodes that do not count
    bool is_stopped = false;           // the proxy ends: what was found is incomplete
    void (*on_done)(void *arg, document_gather &g) = nullptr;
    void *arg = nullptr;
};

// A caller that waits until all targets that can be heard hold a version.
struct proxy_waiter {
    uint64_t version = 0;
    uint64_t deadline_ms = 0;
    void (*on_pushed)(void *arg) = nullptr;
    void *arg = nullptr;
};

// last_counts.cc: what a target held when it was heard last.
struct proxy_last_count {
    uint64_t objects = 0, bytes = 0;
    bool are_bytes_known = false;
    uint64_t heard_ns = 0; // wall clock
};
struct proxy_last_counts {
    std::map<std::string, proxy_last_count> targets; // by id
    std::map<std::string, uint64_t> changes;         // by the disk's id: the highest change count that was reported
    uint64_t version = 0;                            // of the stored ones
    bool is_read = false;
    bool is_known = false; // a read has ended since the start
    bool is_busy = false;  // they are read or stored
    bool is_due = false;
    timer *due = nullptr;
};

// job_names.cc: long lists of names.
struct proxy_names {
    size_t calls = 0;              // of the store, in progress
    std::set<size_t> taken;        // places of lists whose job is not in the document yet
    std::vector<std::string> over; // keys of jobs that the change of the document in progress ends
};

// placement.cc: what is due by itself.
struct proxy_moves {
    timer *due = nullptr;
    bool is_changing = false;
    bool joins_now = false; // the change lets those join that are ready
    size_t ready_count = 0; // targets that are ready to join, and since when
    uint64_t first_ready_ms = 0, last_ready_ms = 0;
    std::string refusal; // why they cannot join
};

struct proxy_counts {
    uint64_t redirects = 0;
    uint64_t redirects_refused = 0; // silent target, or no target
    uint64_t registrations = 0, registrations_refused = 0;
    uint64_t pushes = 0, push_failures = 0;
    uint64_t etl_inits = 0, etl_init_failures = 0;
    uint64_t list_pages = 0;
};

struct proxy_load; // document.cc
struct proxy_request;
struct rollout_start; // etl_rollout.cc: a start of an ETL that is under way

struct proxy {
    env *e = nullptr;
    node_options options;
    std::string id, url;
    route_table routes;
    http_server *server = nullptr;
    web_guard guard;
    access_log answers;
    http_client *client = nullptr;
    document_queue documents;
    std::map<std::string, proxy_target> targets;     // by id, of the targets in the document
    std::map<std::string, proxy_stranger> strangers; // by id
    std::map<std::string, proxy_ahead> ahead;        // by id; not empty: this proxy is behind, so it changes and redirects nothing
    std::string adoption;                            // why it has not taken the newer document yet
    std::vector<document_identity> strays;           // seemed newer, and were found to have diverged; at most stray_count_max
    document_gather *gathering = nullptr;
    void (*on_recovered)(proxy &p, error err, const std::string &detail) = nullptr; // recover.cc: of proxy_recover_at_start
    proxy_load *recovering = nullptr;                                               // document.cc: the start that waits for recover.cc
    bool is_start_held = false; // the targets are being asked which document they hold: nothing is changed
    bool is_start_due = false;  // the document has to say that this proxy has started
    std::vector<proxy_waiter> waiters;
    proxy_moves moves;
    proxy_last_counts last_counts;
    timer *tick = nullptr; // waiters whose time is up
    // A target that holds an older document than the one that made a bucket gets no requests for it: it might know an older bucket
    // of that name, whose removal would delete the new objects.
    std::map<std::string, uint64_t> bucket_versions; // of the buckets created by this process
    uint64_t loaded_version = 0;                     // for all others
    std::map<std::string, rollout_start *> starts;   // by ETL id
    proxy_request *requests = nullptr;               // list
    proxy_counts counts;
    proxy_names names;
    bool is_settling_jobs = false; // a change that ends jobs is in progress
    lifecycle life;
    uint64_t started_ms = 0;
    uint64_t next_machine_id = 1;

    // Start and shutdown.
    bool is_loading = false; // the document
};

// Something that the end of the proxy may wait for has ended. `arg`: the proxy.
void proxy_note_work_ended(void *arg);

inline const cluster_document &proxy_document(const proxy &p) { return p.documents.current; }

route_table proxy_routes();

// --- document.cc: the cluster document

// Reads or makes the document, puts this proxy into it, ends what was initializing; then on_loaded.
void proxy_document_load(proxy &p, void (*on_loaded)(proxy &p, error err, const std::string &detail));

// In place of a proxy that ended: this one is in the map, and starts of ETLs that were in progress are ended.
void proxy_document_take_over(proxy &p, cluster_document &next);
// Makes the change that a start needs, unless it was made; then on_begun.
void proxy_document_begin(proxy &p, void (*on_begun)(proxy &p, error err, const std::string &detail));

// --- gather.cc: the documents that nodes hold

// Asks these nodes, and all that their documents name. False: it is gathering already.
bool proxy_gather_begin(
    proxy &p, std::vector<std::string> urls, std::string cluster, void (*on_done)(void *arg, document_gather &g), void *arg);
void proxy_gather_stop(proxy &p);

// --- recover.cc: the proxy's document is lost, older than the targets' one, or diverged from it

// A node that is known by its id holds a newer document. The proxy takes it when nothing is missing.
void proxy_note_ahead(proxy &p, const std::string &id, const std::string &url, const std::string &text);
void proxy_note_not_ahead(proxy &p, const std::string &id);
void proxy_adopt(proxy &p);
// Why this proxy neither changes nor redirects anything; empty: it does.
std::string proxy_behind_text(const proxy &p);
// The document was replaced: everything that was known of the former one is forgotten, and the targets get the new one.
void proxy_document_replaced(proxy &p);
// At the start of a proxy without a document: takes what the nodes at `options.recover_from` hold.
void proxy_recover_at_start(proxy &p, void (*on_done)(proxy &p, error err, const std::string &detail));

// --- targets.cc: the targets that hold copies of it

void proxy_targets_begin(proxy &p);
void proxy_targets_stop(proxy &p);
// Forgets what was observed of the targets, as at a start.
void proxy_targets_forget(proxy &p);
// The newest version that every target of the document is known to hold; UINT64_MAX without targets.
uint64_t proxy_held_by_all(const proxy &p);
// What was observed of this target, which is watched from now on.
proxy_target &proxy_target_of(proxy &p, const std::string &id);
// It has registered and holds that version.
void proxy_note_registered(proxy_target &target, uint64_t version);
void proxy_note_odds(proxy_target &target, const std::string &why);
// Sends the current document to every target that lacks it.
void proxy_push(proxy &p);
void proxy_wait_pushed(proxy &p, void (*on_pushed)(void *arg), void *arg);
bool proxy_target_is_silent(const proxy &p, std::string_view id);
// How long it has not been heard. Of a target that was not heard since this proxy started: how long the proxy has run.
uint64_t proxy_silent_ms(const proxy &p, const std::string &id);
// What was observed of a target; null if this proxy has not heard from it since it started.
const proxy_target *proxy_heard_target(const proxy &p, const std::string &id);
// All targets of the document as peers of a broadcast, including those in maintenance.
std::vector<broadcast_peer> proxy_target_peers(const proxy &p);
// The targets that hold objects: those that are placed, and those that still give what they held.
std::vector<broadcast_peer> proxy_placed_peers(const proxy &p);
// All that hold objects, or will soon: not those in maintenance, nor new ones that are silent.
std::vector<broadcast_peer> proxy_needed_peers(const proxy &p);
// The first needed target that is silent; null if all of them can be heard.
const cluster_node *proxy_silent_target(const proxy &p);
// Why this proxy must not change the document: a target holds one that does not match it. Empty: it may.
std::string proxy_odds_text(const proxy &p);
// Why a silent target cannot be asked: it holds another document, which counts as silent, or it was not heard. `out_code` says which.
std::string proxy_unheard_text(const proxy &p, const std::string &id, error_code &out_code);
// True if all targets that were heard hold a document that does not match: this proxy's document is then the wrong one.
bool proxy_is_at_odds(const proxy &p);

// last_counts.cc
void proxy_last_counts_begin(proxy &p);
void proxy_last_counts_stop(proxy &p);
// The target has registered. `changes` is the change count of its index; 0: it reports none.
void proxy_note_count(proxy &p, const cluster_node &node, const proxy_target &target, uint64_t changes);
// Whether the directory has had more changes than it says now: it was restored from a copy.
bool proxy_is_set_back(const proxy &p, const std::string &disk, uint64_t changes);
// Null: it is unknown.
const proxy_last_count *proxy_last_count_of(const proxy &p, const std::string &id);

// placement.cc
void proxy_placement_begin(proxy &p);
void proxy_placement_stop(proxy &p);
// Something was heard: changes the document if that makes a change of placement due.
void proxy_placement_check(proxy &p);
// Whether all that may give or take have reported that nothing is left to move in the document's epoch.
bool proxy_has_settled(const proxy &p, const cluster_document &document);
// Why a target that is not placed cannot join now; empty: it can.
std::string proxy_join_obstacle(const proxy &p, const cluster_document &document, const cluster_node &node);

// The part of it that a person must mend.
std::string proxy_activation_obstacle(const proxy &p, const std::string &id);

// list_moving.cc: one page of a bucket while objects move. `answer` gets the exchange unless the list failed.
void proxy_list_moving(proxy &p, exchange &x, const std::string &bucket, const list_request &list,
    void (*answer)(proxy &p, exchange &x, list_page page, const list_request &list));

// etl_errors.cc: the failed reads that targets reported, newest last; at most failures_kept_max.
struct etl_reported_failure {
    uint64_t wall_ns = 0;
    std::string target;
    const cJSON *from = nullptr; // in the target's answer
};
struct etl_reported_failures {
    std::vector<json_ptr> answers; // own the trees that `from` points into
    std::vector<etl_reported_failure> last;
    uint64_t count = 0;
    std::vector<std::string> missing; // targets that did not answer
};
etl_reported_failures proxy_etl_failures(const std::vector<broadcast_answer> &answers);
// For AIStore's clients: [{"obj_name","msg","ecode"}], each object once.
json_ptr proxy_etl_obj_errors(const etl_reported_failures &failures);
// The same of a job, from pages of its failures.
json_ptr proxy_job_obj_errors(const std::vector<broadcast_answer> &answers);
// Null: the request has been answered with 404.
const cluster_etl *proxy_etl_find(proxy &p, exchange &x, std::string_view raw);
std::vector<broadcast_peer> proxy_speaking_peers(const proxy &p);
// Why no ETL has this id or name: it does not exist, or several ETLs have the name.
std::string proxy_etl_missing_text(const proxy &p, std::string_view id_or_name);
std::string proxy_node_etl_path(std::string_view id, std::string_view more = {});

// --- etl_rollout.cc: starts in progress

// Starts `etl` on all targets and answers `x` with the result: the id (2020), or a job id.
void proxy_rollout_begin(proxy &p, exchange &x, cluster_etl etl, std::span<const std::string> warnings, bool is_restart, bool answers_id);
// kubectl's warnings, as header lines of an answer.
std::string proxy_warning_headers(const std::vector<std::string> &warnings);
// Ends every start in progress.
void proxy_rollouts_stop(proxy &p);
// The same, but without waiting for targets any more: only the document is still corrected.
void proxy_rollouts_cut_off(proxy &p);

std::vector<std::string_view> proxy_bucket_names(const proxy &p);
std::string proxy_etl_job_id(const cluster_etl &etl);
std::string proxy_metrics_text(proxy &p);
// The lowest percentage of a full disk from which a target refuses writes; the default if none has said it.
uint64_t proxy_out_of_space(const proxy &p);
// GET /v1/daemon of this node.
void proxy_serve_daemon(proxy &p, exchange &x);

} // namespace etlnode
