// SPDX-License-Identifier: MIT
// etlctl/http_many.h: many HTTP requests at once on one thread. Connections stay open between them.
#pragma once

#include <cstdint>
#include <vector>

#include "etlctl/http_exchange.h"

namespace etlnode::etlctl {

// A request that is under way must not move in memory.
struct http_call {
    http_request request;
    http_reply reply;
    void *owner = nullptr;

    http_exchange x = {};
    bool is_active = false;
};

struct http_many {
    http_client *client = nullptr;
    void *multi = nullptr; // CURLM
    int epoll = -1;
    uint64_t due_ms = UINT64_MAX; // when libcurl wants to be called
    size_t active = 0;
};

// False if the system has no memory or descriptors for it.
bool many_open(http_many &many, http_client &client);
void many_close(http_many &many);

void many_start(http_many &many, http_call &call);
// A call that has ended, with its reply; null if none has after `wait_ms`, or when a signal came.
http_call *many_next(http_many &many, uint64_t wait_ms);
// Ends the call at once; its reply stays as it is.
void many_drop(http_many &many, http_call &call);
// Gives the call's memory back.
void many_forget(http_call &call);

} // namespace etlnode::etlctl
