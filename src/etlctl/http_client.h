// SPDX-License-Identifier: MIT
// etlctl/http_client.h: one exchange at a time over libcurl, blocking; redirects followed, bodies streamed through callbacks.
//
// Known by  session and the commands.     Limits  answer_size_max for bodies that are kept in memory, redirects_max.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace etlnode::etlctl {

struct http_client {
    void *easy = nullptr; // CURL; made by the first request, kept for the connection
    bool verbose = false;
    bool trace = false;
    std::string token;    // of Authorization: Bearer; not sent to another host that a redirect names
    std::string no_proxy; // hosts that are reached directly, beside loopback
};

struct http_reply;

struct http_request {
    const char *method = "GET";
    std::string url;
    std::vector<std::string> headers; // "Name: value"
    std::string_view body;            // sent when has_body, also when empty
    bool has_body = false;
    bool follow = true;
    uint64_t timeout_ms = 0;              // of the whole exchange; 0: none
    uint64_t connect_timeout_ms = 12'000; // more than two of the resolver's 5 s: one lost packet of DNS is no failure

    // A body that is streamed: read returns the bytes put into `buffer`, 0 at the end, SIZE_MAX to abort.
    size_t (*read)(void *arg, char *buffer, size_t size) = nullptr;
    int64_t read_size = -1; // -1: unknown, sent in chunks
    // An answer of 2xx goes here; without it, and for every other status, it is kept in the reply. `begin` is called once before
    // the first byte (or at the end of an answer without any) and may refuse by returning false, as may `write`.
    bool (*begin)(void *arg, const http_reply &reply) = nullptr;
    bool (*write)(void *arg, const char *bytes, size_t size) = nullptr;
    // Called about every second and with every block.
    void (*tick)(void *arg) = nullptr;
    void *arg = nullptr;
};

enum class http_outcome : uint8_t {
    answered, // with a status, the body complete
    refused,  // nobody there: refused, unreachable, host unknown
    timed_out,
    cut,        // the connection ended before the answer did
    stopped,    // by begin, write or read
    bad_answer, // not HTTP, too large, too many redirects
    bad_url,
    failed, // anything else
};

struct http_reply {
    http_outcome outcome = http_outcome::failed;
    std::string problem;                                      // in words, when the outcome is not `answered`
    int status = 0;                                           // of the last answer; 0: none came
    std::vector<std::pair<std::string, std::string>> headers; // of the last answer
    std::string body;
    std::string url;    // where the last answer came from
    bool begun = false; // `begin` was called
};

// Always fills the reply; only `answered` with a status below 400 is a success.
void http_perform(http_client &client, const http_request &request, http_reply &out_reply);
void http_close(http_client &client);

// The first header of that name, any case; empty when there is none.
std::string_view http_header(const http_reply &reply, std::string_view name);

} // namespace etlnode::etlctl
