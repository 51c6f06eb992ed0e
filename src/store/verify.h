// SPDX-License-Identifier: MIT
// store/verify.h: reads one object from the disk, past the cache, and compares it with every checksum that is known of it.
//
// It changes nothing: a damaged object stays as it is, for a person to decide about.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "store/store.h"

namespace etlnode {

struct verify;

struct verify_outcome {
    error err;          // ok: intact; object_not_found: it is gone; corrupt: it is damaged; stopping; io and others: it could not be read
    std::string detail; // of an error, for people: what is wrong, and where
    uint64_t bytes = 0; // read
};

struct verify_request {
    std::string bucket, name;
    // How many milliseconds to pause after reading that many bytes.
    uint64_t (*pause_after)(void *arg, uint64_t bytes) = nullptr;
    void (*on_done)(void *arg, const verify_outcome &outcome) = nullptr;
    void *arg = nullptr;
};

// Completes once, later. The pointer is invalid after that. An object that is overwritten meanwhile is read again. The store stays open
// until then.
verify *store_verify(store &s, verify_request request);
// It then completes soon.
void store_verify_stop(verify &v);

} // namespace etlnode
