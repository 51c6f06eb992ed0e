// SPDX-License-Identifier: MIT
// etlctl/http_exchange.h: one request on one handle of libcurl, for the client that does one at a time and the one that does many.
#pragma once

#include "etlctl/http_client.h"

namespace etlnode::etlctl {

// All of it must stay where it is between prepare and finish.
struct http_exchange {
    // Set by the caller.
    const http_request *request = nullptr;
    http_reply *reply = nullptr;
    const http_client *client = nullptr;
    void *easy = nullptr; // CURL

    void *headers = nullptr; // curl_slist
    bool stopped = false;
    bool too_large = false;
    char problem[256] = {}; // CURL_ERROR_SIZE
};

void exchange_prepare(http_exchange &x);
// Fills the reply. `curl_code` is the CURLcode with which the transfer ended.
void exchange_finish(http_exchange &x, int curl_code);
// Instead of exchange_finish, if the transfer was given up.
void exchange_drop(http_exchange &x);

} // namespace etlnode::etlctl
