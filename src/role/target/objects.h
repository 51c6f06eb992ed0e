// SPDX-License-Identifier: MIT
// role/target/objects.h: a request for one object, and its answers. For objects.cc and object_answers.cc.
#pragma once

#include <string>

#include "role/target/target.h"

namespace etlnode {

struct object_request {
    target *t;
    exchange *x;
    std::string bucket, name;
    bool for_pod = false;
    std::string etl = {}; // for_pod: the ETL whose pod reads
    uint64_t epoch = 0;   // of placement, in which the lookup began
};

// "t[id]: ais://b/o does not exist"
std::string object_failure_text(const object_request &r, error err);
void object_answer_missing(const object_request &r, error err);
// GET or HEAD of an object of this target. Takes over the hold of `object`.
void object_answer_found(const object_request &r, const store_object *object);

} // namespace etlnode
