// SPDX-License-Identifier: MIT
// local/witness.h: tells the node whether the process that serves a pod's port still lives.
//
// A process that dies sends the end of its connections as one that closes them does, so an answer that ends by closing looks complete. The
// kernel marks a process before it closes what the process had open: whoever asks after such an end learns which of the two it was. The
// witness is a listener on this machine's loopback. It answers a connection with one line, "<container id> <word>\n", or closes it without
// one when the container has ended or is about to. Words: "server" when the container's command itself holds the listening socket and
// lives; "other" when another process holds it (a wrapper started it, or it was inherited), which is looked at again a little later.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <netinet/in.h>

#include "local/loop.h"
#include "local/os.h"

inline constexpr uint64_t witness_look_again_ms = 20; // a process that dies has closed all it had open by then
inline constexpr size_t witness_asked_max = 256;      // above it the listener rests

struct witness {
    loop *l = nullptr;
    uint16_t port = 0; // of the container
    // The container's command; 0 when it does not run or is on its way out.
    pid_t (*living_command)(void *arg) = nullptr;
    std::string (*container_id)(void *arg) = nullptr;
    void *arg = nullptr;

    loop_watch listener;
    loop_timer look;
    struct question {
        int fd;
        uint64_t due_ms;
    };
    std::vector<question> asked; // oldest first
    // Where the command's listening socket was found: one link to read for the next question.
    pid_t known_command = 0;
    std::string known_path, known_socket;
};

// Listens on a loopback port of the kernel's choice, named in `out_address` ("127.0.0.1:PORT"). False with errno set: nobody is told.
bool witness_open(witness &w, std::string &out_address);
void witness_close(witness &w);

// The listening sockets of `port` in the text of /proc/PID/net/tcp or tcp6, as links of /proc/PID/fd name them ("socket:[INODE]").
void witness_read_listeners(std::string_view table, uint16_t port, std::vector<std::string> &out_sockets);
