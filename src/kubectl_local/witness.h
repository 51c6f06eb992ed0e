// SPDX-License-Identifier: MIT
// kubectl_local/witness.h: tells the node whether the process that serves a pod's port has survived its answer.
//
// An exiting process ends its connections in the same way as one that closes them. So an answer that ends by closing looks complete. Two
// things distinguish them. The kernel marks a process before it closes what the process had open. And an exiting process does not return to
// its work (server_activity.h). The witness is a listener on this machine's loopback. It answers a connection with one line,
// "<container id> <word>\n", or closes it without an answer if the server has ended or is about to. The words are:
//   "server"  One process holds the listening socket, is alive, and has been seen at its work again or lives on for witness_patience_ms.
//             Or several hold it, among them the command, which is alive.
//   "other"   Others hold it, and it cannot be seen which of them answered. The caller should ask again a little later.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kubectl_local/loop.h"
#include "kubectl_local/os.h"
#include "kubectl_local/server_activity.h"

namespace etlnode::kubectl_local {

inline constexpr uint64_t witness_recheck_ms = 20;   // an exiting process has closed everything by then
inline constexpr size_t witness_questions_max = 256; // above it the listener pauses
// A process that is busy for this long after its answer, and is alive, did not exit with it: cleaning up a large heap takes some hundred
// milliseconds. The node waits for 5 s (pod_connect_timeout_ms).
inline constexpr uint64_t witness_patience_ms = 2'000;

struct witness {
    loop *l = nullptr;
    uint16_t port = 0; // of the container
    // The container's command; 0 if it is not running or is exiting.
    pid_t (*living_command)(void *arg) = nullptr;
    std::string (*container_id)(void *arg) = nullptr;
    uint64_t patience_ms = witness_patience_ms;
    // Another process or program has replaced the server within one run of the container. From now on container_id names it.
    void (*on_replaced)(void *arg) = nullptr;
    void *arg = nullptr;

    loop_watch listener;
    loop_timer recheck;
    struct question {
        int fd = -1;
        pid_t command = 0;
        uint32_t replaced = 0; // the counter's value when it was asked
        uint32_t observations = 0;
        uint64_t asked_ms = 0;
        uint64_t due_ms = 0;
        bool has_traffic = false;
        port_traffic traffic; // at the first observation that had to read it
    };
    std::vector<question> questions;
    // The serving process at the last observation.
    pid_t known_command = 0; // 0 if unknown
    port_server server;
    uint64_t shared_until_ms = 0; // other processes hold the socket as well
    process_identity identity;
    pid_t identity_pid = 0;
    uint32_t replaced = 0;
};

// Listens on a loopback port that the kernel chooses; `out_address` is "127.0.0.1:PORT". False with errno set; the node is then not told
// about a witness.
bool witness_open(witness &w, std::string &out_address);
void witness_close(witness &w);
// Call when a new run of the container begins, or when the server is ready. Later answers are compared with the process that serves now.
void witness_forget(witness &w);
void witness_remember(witness &w);

} // namespace etlnode::kubectl_local
