// SPDX-License-Identifier: MIT
// port/fetch.h: contents of the web: one GET by http or https, with its redirects, read at the pace of the reader.
//
// Every connection, of a redirect too, goes only to addresses that the rules allow, after the name was resolved. Certificates are verified.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/address_rules.h"
#include "base/error.h"
#include "port/env.h"
#include "port/net.h"

namespace etlnode {

struct fetch; // opaque

struct fetch_failure {
    error err;
    std::string text;      // for people: the status, or what the network did
    int status = 0;        // of the answer; 0: there was none
    bool may_pass = false; // another try may succeed
};

// Either a failure, or what is known of the content before its first byte.
struct fetch_head {
    fetch_failure failed;       // err not set: the content comes
    uint64_t size = UINT64_MAX; // unknown: it ends with the answer
    std::string content_type = {};
};

struct fetch_options {
    std::string url;                      // http:// or https://
    const address_rules *rules = nullptr; // Lifetime: until fetch_close
    std::string ca_file;                  // certificates that are trusted instead of the system's; empty: the system's
    uint64_t connect_timeout_ms = 30'000;
    uint64_t stall_timeout_ms = 60'000; // without a byte, unless the reader is at fault
    uint64_t timeout_ms = 0;            // for everything; 0: none
    uint64_t rate = 0;                  // bytes a second; 0: as many as come
    unsigned redirects_max = 10;
    // Once, unless fetch_close: the answer's head has come, or the fetch has failed before.
    void (*on_head)(void *arg, const fetch_head &head) = nullptr;
    void *arg = nullptr;
};

enum class fetch_state : uint8_t { bytes, again, end, failed };
struct fetch_piece {
    fetch_state state = fetch_state::again;
    std::string_view bytes; // until the next call
};

struct fetch_port {
    fetch *(*start)(env &e, fetch_options options);
    fetch_piece (*pull)(fetch *f);
    void (*wait)(fetch *f, net_on_ready on_ready, void *arg);
    void (*wait_cancel)(fetch *f);
    const fetch_failure &(*failure)(const fetch *f);
    void (*abort)(fetch *f);
    void (*close)(fetch *f);
};

// Whether this world has any.
inline bool fetch_is_possible(const env &e) { return e.fetch != nullptr; }
// Always accepted; what is wrong is told by on_head.
inline fetch *fetch_start(env &e, fetch_options options) { return e.fetch->start(e, static_cast<fetch_options &&>(options)); }
// After on_head without a failure. At most fetch_buffer_size bytes wait in memory, and some more in libraries and in the kernel.
inline fetch_piece fetch_pull(env &e, fetch *f) { return e.fetch->pull(f); }
// Calls back once, later, when pulling can continue.
inline void fetch_await(env &e, fetch *f, net_on_ready on_ready, void *arg) { e.fetch->wait(f, on_ready, arg); }
inline void fetch_await_cancel(env &e, fetch *f) { e.fetch->wait_cancel(f); }
// After pull has said `failed`.
inline const fetch_failure &fetch_failure_of(env &e, const fetch *f) { return e.fetch->failure(f); }
// It fails with `canceled`, later, as if the network had done it.
inline void fetch_abort(env &e, fetch *f) { e.fetch->abort(f); }
// The pointer is invalid at once, and nothing calls back any more.
inline void fetch_close(env &e, fetch *f) { e.fetch->close(f); }

} // namespace etlnode
