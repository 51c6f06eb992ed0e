// SPDX-License-Identifier: MIT
// role/target/joins.h: stores what a source gives as an object: here, or at the target that the placement names. For this folder.
#pragma once

#include <string>
#include <vector>

#include "object/source.h"
#include "role/target/target.h"

namespace etlnode {

struct join_request {
    std::string bucket, name;       // of the object to be
    uint64_t bucket_created_ns = 0; // of the bucket that is meant; 0: the one that there is
    std::string request_id;
    std::string custom;    // kept beside the content (store/object_extras.h)
    std::string made_from; // what a job makes it from; empty: no job does
    source from;           // the join owns it, whatever happens
    // Once, when the object is durable or nothing was stored, not before target_join returns. Then `text` says why, for the client.
    void (*on_done)(void *arg, error err, const std::string &text, uint64_t bytes) = nullptr;
    void *arg = nullptr;
};
// Requires: the target has joined its cluster.
void target_join(target &t, join_request request);
// Ends those in progress, with `stopping`: the time to drain is up.
void target_cut_joins(target &t);

// The newest version of an object of this target, for reading. Completes once, later; the caller must release the object (store_release).
using object_on_held = void (*)(void *arg, error err, const std::string &text, const store_object *object);
void target_hold_object(target &t, const std::string &bucket, const std::string &name, object_on_held on_held, void *arg);

} // namespace etlnode
