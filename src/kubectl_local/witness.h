// SPDX-License-Identifier: MIT
// kubectl_local/witness.h: tells the node whether the process that serves a pod's port has outlived its answer.
//
// A process that dies sends the end of its connections as one that closes them does, so an answer that ends by closing looks complete. Two
// things tell them apart. The kernel marks a process before it closes what the process had open. And a process that ends itself does not go
// back to its work (at_work.h). The witness is a listener on this machine's loopback. It answers a connection with one line,
// "<container id> <word>\n", or closes it without one when the server has ended or is about to. Words:
//   "server"  one process holds the listening socket, it lives, and it is seen at its work again, or lives on for witness_patience_ms; or
//             several hold it, the command among them, which lives;
//   "other"   others hold it, and it cannot be seen who of them answered; looked at again a little later.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kubectl_local/at_work.h"
#include "kubectl_local/loop.h"
#include "kubectl_local/os.h"

namespace etlnode::kubectl_local {

inline constexpr uint64_t witness_look_again_ms = 20; // a process that dies has closed all it had open by then
inline constexpr size_t witness_asked_max = 256;      // above it the listener rests
// Who is busy with something else for so long after its answer, and lives, has not ended with it: a large heap is tidied up in some hundred
// milliseconds. The node waits for 5 s (pod_connect_timeout_ms).
inline constexpr uint64_t witness_patience_ms = 2'000;

struct witness {
    loop *l = nullptr;
    uint16_t port = 0; // of the container
    // The container's command; 0 when it does not run or is on its way out.
    pid_t (*living_command)(void *arg) = nullptr;
    std::string (*container_id)(void *arg) = nullptr;
    uint64_t patience_ms = witness_patience_ms;
    // Within one run of the container another process or program has taken the place of the server: container_id names it from now on.
    void (*on_replaced)(void *arg) = nullptr;
    void *arg = nullptr;

    loop_watch listener;
    loop_timer look;
    struct question {
        int fd = -1;
        pid_t command = 0;
        uint32_t replaced = 0; // as many as when it was asked
        uint32_t looks = 0;
        uint64_t asked_ms = 0;
        uint64_t due_ms = 0;
        bool has_traffic = false;
        port_traffic traffic; // at the first look that had to read it
    };
    std::vector<question> asked;
    // Who served at the last look.
    pid_t known_command = 0; // 0: nobody is known
    served_by server;
    uint64_t shared_until_ms = 0; // others hold the socket, too
    process_mark mark;
    pid_t mark_pid = 0;
    uint32_t replaced = 0;
};

// Listens on a loopback port of the kernel's choice, named in `out_address` ("127.0.0.1:PORT"). False with errno set: nobody is told.
bool witness_open(witness &w, std::string &out_address);
void witness_close(witness &w);
// A new run of the container begins, or the server is ready: whoever serves now is the one that later answers are compared with.
void witness_forget(witness &w);
void witness_remember(witness &w);

} // namespace etlnode::kubectl_local
