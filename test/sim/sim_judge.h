// SPDX-License-Identifier: MIT
// test/sim/sim_judge.h: a request of a client, and the judgement of its answer.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "sim_load.h"

namespace etlnode {

// One request of a client, including a possible redirect.
struct client_op {
    sim_load *load = nullptr;
    enum class kind : uint8_t {
        put,
        remove,
        read,
        head,
        range,
        transform,
        list,
        init,
        stop,
        halt,
        start,
        etls,
        create_bucket,
        destroy_bucket,
        page,
        several,
        copy,
        member
    } what = kind::read;
    sim_object *object = nullptr;
    size_t write = 0;                                      // index in object->writes; 0: none
    std::vector<std::pair<sim_object *, size_t>> removals; // of a bucket that is being destroyed
    sim_etl *etl = nullptr;
    const sim_node *at = nullptr; // the target that was asked at once, and did not redirect
    std::string method, path, query, headers, body;
    uint64_t start_us = 0;
    unsigned hops = 0;
    bool misbehaves = false; // how it ends proves nothing about the node
    bool lies = false;       // it must not be acknowledged
    bool has_body = false;   // but its body is complete
    uint64_t range_from = 0, range_to = 0;
    std::string list_after;                             // a page of a list that begins after this name
    size_t list_size = 0;                               // its size; 0: all
    void (*on_answer)(void *arg, int status) = nullptr; // for those who changed the members; 0: no answer
    void *arg = nullptr;
    bool ends_at_pod = false; // the last address was a pod's
};

// Once everything is healed, what does not hold counts as a refusal.
void sim_want(client_op *op, bool holds, const std::string &what);
// The answer came directly from the pod, which may send anything.
bool sim_is_from_pod(const client_op &op);
// Whether the body of a read fits what was written. A body that was cut off must be a part of it.
void sim_judge_body(client_op *op, const sim_message &m, bool is_whole);
// Judges a complete answer. Reports a broken promise.
void sim_judge(client_op *op, const sim_message &m);

} // namespace etlnode
