// SPDX-License-Identifier: MIT
// test/unit/role/role_world.h: one proxy or target, as proxy_start and target_start create it, on the simulator's ports without faults:
// network, clock, disk, index and kubectl are in memory. The other nodes of its cluster are scripted.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "control/document.h"
#include "control/placement.h"
#include "role/proxy/proxy.h"
#include "role/target/target.h"
#include "sm/sm.h"

#include "../../sim/scripted_node.h"
#include "../../sim/sim_kube.h"

namespace etlnode {

inline constexpr const char *role_secret = "the secret of the cluster";
inline constexpr const char *role_secret_header = "Etlnode-Cluster-Secret: the secret of the cluster\r\n";
inline constexpr const char *role_wrong_secret_header = "Etlnode-Cluster-Secret: the secret of another one\r\n";
inline constexpr const char *role_proxy_id = "proxy-01";
inline constexpr const char *role_target_id = "target-01";
inline constexpr uint16_t role_port = 8080;
inline constexpr uint16_t role_pod_port = 8081;

struct role_world {
    sim_world *sim = nullptr;
    sim_host *client = nullptr;
    sim_host *node = nullptr; // the node under test
    node_options options;
    std::string address; // of that node
    memory_image image;  // its disk when it starts
    proxy *p = nullptr;
    target *t = nullptr;
    bool is_started = false, is_draining = false, is_drained = false;
    error start_err;
    std::string start_detail;
    std::map<std::string, scripted_node *> peers; // by id
    std::map<std::string, std::string> held;      // by target: the document that it holds, as text
    std::map<std::string, size_t> seen;           // how many of its requests were examined
    cluster_document document;                    // in tests of a target: the scripted proxy's document
    std::vector<scripted_call *> calls;           // made by role_begin
    scripted_call *last = nullptr;                // made by role_ask
};

// --- requests

// `port` 0: the node's own port.
scripted_call &role_begin(
    role_world &w, std::string_view line, std::string_view body = {}, std::string_view headers = {}, uint16_t port = 0);

// The body comes `pause_ms` after the head; never with UINT64_MAX.
scripted_call &role_begin_slow_put(
    role_world &w, std::string_view line, std::string_view body, uint64_t pause_ms, std::string_view headers = {});

const scripted_call &role_await(role_world &w, scripted_call &call);

// Lifetime of the answer: the test.
const scripted_call &role_ask(
    role_world &w, std::string_view line, std::string_view body = {}, std::string_view headers = {}, uint16_t port = 0);

// The text of an answer: the message of an error, otherwise the body. An answer to HEAD has its error in a header.
std::string role_text(const scripted_call &call);

void role_check(const scripted_call &call, std::string_view what, int status, std::string_view says);

// One request and its answer: `says` is a part of the message or of the body. A null body means no body.
struct role_case {
    const char *line;
    const char *body;
    int status;
    const char *says;
    const char *headers = "";
};

void role_check_cases(role_world &w, std::span<const role_case> cases, uint16_t port = 0);

void role_expect(role_world &w, std::string_view line, std::string_view body, int status, std::string_view says = "");

// Asks as a node of the cluster.
const scripted_call &role_ask_as_node(role_world &w, std::string_view line, std::string_view body = {});

// --- the node under test

void role_on_ready(void *arg, error err, const std::string &detail);

void role_begin_start(role_world &w);

void role_start(role_world &w);

// Makes the next operations of that kind fail on the node's disk, index or documents.
void role_fail_disk(role_world &w, memory_op op, error_code code, const std::string &path_part = {}, size_t count = 1);

inline void role_on_drained(void *arg) { static_cast<role_world *>(arg)->is_drained = true; }

void role_begin_drain(role_world &w);

void role_stop(role_world &w);

// What a start fails of: an operation of an empty disk, or a document that lies on it; and what is said of it.
struct role_bad_start {
    memory_op op;
    const char *path;
    const char *says;
};
struct role_bad_document {
    const char *name;
    uint64_t version;
    std::string text;
    const char *says;
};

void role_check_bad_starts(role_world &w, std::span<const role_bad_start> operations, std::span<const role_bad_document> documents);

role_world *role_world_make(bool is_target);

int role_tear_down(void **state);

inline role_world &role_of(void **state) { return *static_cast<role_world *>(*state); }

// --- a proxy with scripted targets

int role_set_up_proxy(void **state);

std::string role_disk(const std::string &id);

// What a target reports when it registers, and then every two seconds. `more`: fields before the others, with a comma.
std::string role_registration(role_world &w, const scripted_node &node, const std::string &more = {});

// The target now holds whatever document was pushed to it since the last call.
void role_take_push(role_world &w, const scripted_node &node);

// It registers as it is, and holds from then on what the answer contains.
const scripted_call &role_register(role_world &w, scripted_node &node, const std::string &more = "\"object_count\":0,");

scripted_node &role_make_peer(role_world &w, const std::string &id, const std::string &address);

// Adds a target that has joined and accepts every document.
scripted_node &role_add_target(role_world &w, const std::string &id);

// Puts a row before the existing ones.
inline void role_script(scripted_node &node, scripted_row row) { node.rows.insert(node.rows.begin(), std::move(row)); }

int role_set_up_cluster(void **state);

void role_make_bucket(role_world &w, const std::string &name);

// Waits until its heartbeats are missed.
void role_wait_silent(role_world &w, scripted_node &node);

// --- a target with a scripted proxy

std::string role_document_text(role_world &w);

// The next version of the scripted proxy's document.
std::string role_next_document(role_world &w);

inline const scripted_call &role_push(role_world &w) { return role_ask_as_node(w, "PUT /v1/node/document", role_next_document(w)); }

cluster_document role_first_document(const role_world &w);

// It listens, but the proxy has not accepted it yet.
int role_set_up_target(void **state);

// It has joined, and there is a bucket "b".
int role_set_up_member(void **state);

int role_main(std::span<const CMUnitTest> tests);

} // namespace etlnode
