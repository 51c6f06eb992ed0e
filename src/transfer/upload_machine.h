// SPDX-License-Identifier: MIT
// transfer/upload_machine.h: a client's PUT: moves the request body into the store, at the pace of the slower side.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "http/server/exchange.h"
#include "object/sink.h"
#include "sm/sm_render.h"
#include "store/store.h"
#include "transfer/content_digest.h"

namespace etlnode {

// A checksum of another type than the store's own, which the client sent with the content.
struct upload_digest {
    content_digest_ptr computed; // of the bytes so far
    std::string type, given;     // `given` in lower case
    std::string mismatch;        // set at the end of the body if the two differ: in words for the client
};

// A part of an object to be: its put is handed over, held, instead of being committed.
struct upload_part {
    std::string id; // of what it is a part
    uint64_t number = 0;
    // Called when the part is durable. ok: the put has been taken over, and `out_headers` (whole lines) go with the answer. Otherwise the
    // put is aborted, and the answer says why. `arg` is that of the options.
    error_code (*take)(
        void *arg, const upload_part &part, put &held, uint64_t size, std::string &out_headers, std::string &out_text) = nullptr;
    // Called when there is no such part: it broke off, or was refused. May be null.
    void (*on_failed)(void *arg, const upload_part &part) = nullptr;
};

struct upload_options {
    std::string bucket, name; // checked by the caller
    std::string node_id;      // in messages
    std::string content_type;
    bool has_expected_checksum = false;
    uint64_t expected_checksum = 0;        // XXH64
    std::unique_ptr<upload_digest> digest; // null: the client sent none
    uint64_t bucket_created_ns = 0;
    // Called before the commit; false: the bucket is gone, and the answer is 404.
    bool (*is_bucket_there)(void *arg, std::string_view bucket, uint64_t created_ns) = nullptr;
    // Called once, when the client has its answer or is gone: err is the result.
    void (*on_end)(void *arg, error err, uint64_t bytes) = nullptr;
    void *arg = nullptr; // of all three
    put_gate gate;
    std::unique_ptr<put_copy> copy;      // null: it is not one
    std::unique_ptr<upload_part> part;   // null: it is not one
    std::unique_ptr<std::string> custom; // kept beside the content (store/object_extras.h); null: nothing
};

// Answers `x` exactly once: 200 when the object is durable, otherwise with the reason.
void upload_begin(store &s, exchange &x, upload_options options);

sm_view upload_machine_view();

} // namespace etlnode
