// SPDX-License-Identifier: MIT
// role/target/objects.h: a request for one object, and its answers. For objects.cc and object_answers.cc.
#pragma once

#include <string>

#include "codec/http_write.h"
#include "role/target/moves.h"
#include "role/target/target.h"

namespace etlnode {

struct object_request {
    target *t;
    exchange *x;
    std::string bucket, name;
    bool for_pod = false;
    std::string etl = {};    // for_pod: the ETL whose pod reads
    uint64_t epoch = 0;      // of placement, in which the lookup began
    unsigned tries = 0;      // of reads of a content that vanished at its former owner
    bool brings_all = false; // its former owner gives no parts, so it comes here, however large it is
};

// Splits "b/o"; false: it is not of this form.
bool object_split_names(std::string_view path, std::string_view &bucket, std::string_view &name);
// Whether the bucket and the object may exist here; otherwise the request has been answered.
bool object_check_names(const object_request &r);
// GET or HEAD.
void object_serve_read(object_request &&r);
// GET or HEAD while objects move, from the beginning (objects.cc).
void object_read_moving(object_request &&r);
// unmoved.cc: the newest copy is at a former owner, and stays there: its content goes through this target to the client.
void object_read_unmoved(object_request &&r, const lesson &learnt);

// "t[id]: ais://b/o does not exist"
std::string object_failure_text(const object_request &r, error err);
void object_answer_missing(const object_request &r, error err);
// The properties of an object of this target, or of one that is about to come here.
void object_answer_properties(const object_request &r, const index_row &row);
// Which part of the content the request asks for.
http_range object_range_of(const object_request &r, const index_row &row);
void object_answer_bad_range(const object_request &r, uint64_t size);
// Status and headers of the answer to a GET, and which bytes follow. Requires: the range is satisfiable.
answer object_answer_head(const object_request &r, const index_row &row, const http_range &range, uint64_t &out_first, uint64_t &out_size);
// GET or HEAD of an object of this target. Takes over the hold of `object`.
void object_answer_found(const object_request &r, const store_object *object);

} // namespace etlnode
