// SPDX-License-Identifier: MIT
// role/target/object_actions.h: PATCH and POST on one object of this target. For objects.cc and the files of the actions.
#pragma once

#include "codec/json.h"
#include "role/target/objects.h"

namespace etlnode {

// Reads the body, finds the action and begins it. Requires: this target owns the object and has a lease.
void target_begin_action(object_request &&r);

// An action on an object, whose body has been read. Each answers exactly once.
struct object_action {
    object_request r;
    json_ptr body;
};
void target_set_custom(object_action &&a);    // properties.cc: PATCH
void target_check_lock(object_action &&a);    // properties.cc: POST check-lock
void target_rename_object(object_action &&a); // rename.cc: POST rename-obj

// What an object is once its owner knows it, also while objects move.
struct object_row_found {
    error err; // set: nothing is known, or there is no object; `text` says why, for the client
    std::string text;
    index_row row;              // without its content
    uint64_t version_above = 0; // what a new version must exceed
};
using object_on_row = void (*)(void *arg, const object_row_found &found);
// Completes once, later. The newest copy is here then, or there is none.
void target_find_row(target &t, const std::string &bucket, const std::string &name, object_on_row on_row, void *arg);
// Removes the object if it is still this version. `conflict`: it is not.
void target_remove_version(target &t, const std::string &bucket, const std::string &name, uint64_t version,
    void (*on_done)(void *arg, error err, const std::string &text), void *arg);

} // namespace etlnode
