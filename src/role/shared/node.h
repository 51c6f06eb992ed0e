// SPDX-License-Identifier: MIT
// role/shared/node.h: the options of both roles, and what the daemon calls in either.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/address_rules.h"
#include "base/error.h"
#include "etl/pod_security.h"
#include "port/env.h"

namespace etlnode {

struct node_options {
    bool is_target = false;
    std::string id; // empty: kept in the data directory (meta document "node"), created at the first start
    std::string listen_host = "127.0.0.1";
    uint16_t listen_port = 0;  // 0: the kernel chooses
    std::string advertise_url; // for clients and other nodes; empty: http://<listen_host>:<port>
    std::string data_dir;
    std::string cluster_secret; // shared by the nodes of a cluster; never empty
    std::string version;
    std::string machine_name;                                // its host name, which Host may contain
    std::vector<std::string> allowed_hosts, allowed_origins; // role/shared/web_guard.h

    std::vector<std::string> recover_from; // proxy: URLs of nodes whose document it takes if it has none
    bool auto_activate = true;             // proxy: new targets get objects without being asked for (etlctl target activate)

    // Targets only.
    std::string proxy_url;       // where to register
    std::string pod_listen_host; // listener for pods; empty: listen_host
    uint16_t pod_listen_port = 0;
    std::string pod_url;              // for pods; empty: http://<pod_listen_host>:<port>
    std::vector<std::string> kubectl; // program and leading arguments
    bool kubectl_is_local = false;
    std::string sandbox;         // what kubectl-local says of this machine: "namespaces", "none", "refused"; empty: unknown, or Kubernetes
    std::string sandbox_message; // why
    std::string node_name;       // K8S_HOST_NAME
    std::string pod_name, pod_uid;                  // the target's own pod (owner of ETL pods); empty outside Kubernetes
    pod_security security = pod_security::baseline; // what is added to ETL pods
    std::string node_address;                       // of this Kubernetes node as clients reach it; empty: as Kubernetes reports it
    uint64_t pod_ready_wait_ms = 5'000;
    uint64_t out_of_space = 95;            // percent: writes are refused while the disk is used to this extent; 100: never for that reason
    uint64_t rebalance_rate = 0;           // bytes a second that this target gives to others; 0: it follows the clients' load
    bool require_framing = false;          // the default for ETLs whose spec does not say
    address_rules downloads;               // from where it may download
    std::string download_ca;               // file with certificates that are trusted for that instead of the system's; empty: the system's
    std::vector<std::string> promote_from; // directories whose files clients may have made objects; none: no files
    uint64_t descriptors_max = 0;          // how many descriptors the process may open (RLIMIT_NOFILE); 0: unknown
};

// For the start of either role: refuses options that its node cannot have. `out` gets the others, its URLs without slashes at the end.
error node_options_check(const node_options &options, node_options &out);

// on_ready(arg, err, detail) is called once: listening and (target) store opened; a target registers afterwards by itself. `detail` says
// what failed in words for a person. Then port and url are known. It is not called any more after a drain has begun.
struct proxy;
struct target;
error proxy_start(
    env &e, const node_options &options, void (*on_ready)(void *arg, error err, const std::string &detail), void *arg, proxy **out_proxy);
error target_start(
    env &e, const node_options &options, void (*on_ready)(void *arg, error err, const std::string &detail), void *arg, target **out_target);
uint16_t proxy_port(proxy &p);
uint16_t target_port(target &t);
uint16_t target_pod_port(target &t);
std::string proxy_url(proxy &p);
std::string target_url(target &t);

// SIGTERM: readiness becomes false, listeners close, requests in flight end (within drain_timeout_ms), children are ended, pods stay.
void proxy_drain(proxy &p, void (*on_drained)(void *arg), void *arg);
void target_drain(target &t, void (*on_drained)(void *arg), void *arg);
// After on_drained.
void proxy_free(proxy *p);
void target_free(target *t);

} // namespace etlnode
