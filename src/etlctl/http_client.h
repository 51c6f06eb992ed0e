// SPDX-License-Identifier: MIT
// etlctl/http_client.h: HTTP requests over libcurl, blocking, one at a time. Follows redirects and streams bodies through callbacks.
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
    void *easy = nullptr; // CURL; created by the first request, kept for the connection
    bool verbose = false;
    bool trace = false;
    std::string token;              // sent as Authorization: Bearer, but not to another host that a redirect names
    bool (*is_stopped)() = nullptr; // asked about once a second: whether to give up what is under way
    std::string no_proxy;           // hosts to reach without a proxy, in addition to loopback
};

struct http_reply;

struct http_request {
    const char *method = "GET";
    std::string url;
    std::vector<std::string> headers; // "Name: value"
    std::string_view body;            // sent if has_body is set, even when empty
    bool has_body = false;
    bool follow = true;
    uint64_t timeout_ms = 0;              // of the whole exchange; 0 for none
    uint64_t stall_s = 0;                 // give up when not one byte has moved for so long; 0: never
    uint64_t buffer_size = 256 * 1024;    // of each direction
    uint64_t connect_timeout_ms = 12'000; // more than twice the resolver's 5 s, so that one lost DNS packet is not a failure

    // For a streamed body: read() returns the number of bytes put into `buffer`, 0 at the end, SIZE_MAX to abort.
    size_t (*read)(void *arg, char *buffer, size_t size) = nullptr;
    int64_t read_size = -1; // -1 if unknown; the body is then sent in chunks
    // Receives the body of a 2xx answer. Without `write`, and for any other status, the reply keeps the body. `begin` is called once,
    // before the first byte or at the end of an empty answer. Both may abort the transfer by returning false.
    bool (*begin)(void *arg, const http_reply &reply) = nullptr;
    bool (*write)(void *arg, const char *bytes, size_t size) = nullptr;
    // Called about once a second and after every block.
    void (*tick)(void *arg) = nullptr;
    void *arg = nullptr;
};

enum class http_outcome : uint8_t {
    answered, // with a status and a complete body
    refused,  // no connection: refused, unreachable, unknown host
    timed_out,
    cut,        // the connection ended before the answer
    stopped,    // by begin, write or read
    bad_answer, // not HTTP, too large, too many redirects
    bad_url,
    failed, // anything else
};

struct http_reply {
    http_outcome outcome = http_outcome::failed;
    std::string problem;                                      // reason, when the outcome is not `answered`
    int status = 0;                                           // of the last answer; 0 if there was none
    std::vector<std::pair<std::string, std::string>> headers; // of the last answer
    std::string body;
    std::string url;    // source of the last answer
    bool begun = false; // whether `begin` was called
};

// Always fills the reply. Only `answered` with a status below 400 is a success.
void http_perform(http_client &client, const http_request &request, http_reply &out_reply);
void http_close(http_client &client);

// The first header with that name, in any case; empty if there is none.
std::string_view http_header(const http_reply &reply, std::string_view name);

} // namespace etlnode::etlctl
