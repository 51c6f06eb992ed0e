// SPDX-License-Identifier: MIT
// port/meta.h: small, durable, versioned documents that are changed by compare-and-swap. SQLite today; etcd could serve several proxies.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "port/env.h"

namespace etlnode {

// version 0: the document does not exist.
using meta_on_read = void (*)(void *arg, error err, uint64_t version, const std::string &text);
using meta_on_swap = void (*)(void *arg, error err);

struct meta_port {
    void (*read)(env &e, const std::string &name, meta_on_read on_read, void *arg);
    void (*swap)(env &e, const std::string &name, uint64_t expected_version, uint64_t new_version, std::string text, meta_on_swap on_swap,
        void *arg);
};

// Every call completes exactly once and cannot be cancelled.
inline void meta_read(env &e, const std::string &name, meta_on_read on_read, void *arg) { e.meta->read(e, name, on_read, arg); }
// Durable on completion. error_code::conflict if the stored version is not `expected_version`. Requires: new_version > expected_version.
inline void meta_swap(
    env &e, const std::string &name, uint64_t expected_version, uint64_t new_version, std::string text, meta_on_swap on_swap, void *arg)
{
    e.meta->swap(e, name, expected_version, new_version, std::move(text), on_swap, arg);
}

} // namespace etlnode
