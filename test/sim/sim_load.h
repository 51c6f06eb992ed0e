// SPDX-License-Identifier: MIT
// test/sim/sim_load.h: what clients do: specs, puts, overwrites, removals, plain and transformed reads, lists, stops. Every answer is
// checked against the record at once.
#pragma once

#include <string>
#include <vector>

#include "sim_cluster.h"
#include "sim_http.h"
#include "sim_record.h"

namespace etlnode {

struct sim_etl {
    std::string name; // of the spec, unique
    std::string mode; // "hpush://"
    sim_manners manners;
    std::string id;           // set when the init was acknowledged
    uint64_t since_us = 0;    // the time of that
    bool is_of_today = false; // started by PUT /v1/etl: its id is its name, and it can be stopped and started again
    bool is_doubtful = false; // such a stop or start was begun but not acknowledged, or the ETL is stopped
    bool requires_framing = false;
    bool has_node_port = false;
    bool is_failed = false; // the init was answered with an error: nothing of it may be left
    bool stop_begun = false;
    bool is_stopped = false; // the stop was acknowledged
};

struct sim_load {
    sim_world *world = nullptr;
    sim_cluster *cluster = nullptr;
    sim_host *clients = nullptr;
    std::vector<sim_object *> objects;
    std::vector<sim_etl *> etls;
    size_t in_flight = 0;
    uint64_t begun = 0, answered = 0, transformed = 0;
    uint64_t next_write = 1;
    bool volatile_exists = false; // the bucket "v" exists, as far as we know
    size_t profile = 0;           // selects the mix of operations
    bool is_calm = false;         // after healing: everything must succeed
    bool copies = false;          // one seed in four also copies objects, from the first ones to three more; other seeds keep their course
    rng copy_random;
    bool moves = false; // targets come and go: clients also go to any target at once, and lists have pages
    rng move_random;
    bool guesses = true;            // the former: now and then, unasked
    size_t guess = 0;               // the target that is asked at once, by its place among the nodes; 0: as drawn
    uint64_t refused_when_calm = 0; // answers of this round that were not the expected ones
    std::string refusal;            // one of them
};

sim_load *sim_load_make(sim_world &w, sim_cluster &c);
void sim_load_free(sim_load *l);
// Performs an operation drawn from the seed.
void sim_load_act(sim_load &l);
void sim_load_create_bucket(sim_load &l, const std::string &bucket);
// Starts one round after healing: every object, every ETL with two of them, both lists. It is over when in_flight says so.
void sim_load_verify(sim_load &l);
void sim_load_init(sim_load &l);
// A request that must succeed when all is calm.
void sim_load_ask(sim_load &l, const std::string &method, const std::string &path, const std::string &query, const std::string &body);
// One that lives; null: none does.
sim_etl *sim_load_draw_etl(sim_load &l);
// sim_jobs.cc
void sim_load_scrub(sim_load &l);
// A job that keeps all of bucket "b" in bucket "made", through an ETL once or twice, or as it is.
struct sim_job {
    sim_etl *etl = nullptr;
    uint64_t began_us = 0, stages = 0;
};
sim_job sim_load_transform_bucket(sim_load &l);
// Reads what it has made. `is_whole`: nothing failed.
void sim_load_read_made(sim_load &l, const sim_job &job, bool is_whole);
// The page after that name, then those that follow.
void sim_load_list_page(sim_load &l, const std::string &bucket, const std::string &after, size_t size);
// Asks the proxy for a change of the members: the body of PUT /v1/cluster.
void sim_load_member(sim_load &l, const std::string &body, void (*on_answer)(void *arg, int status), void *arg);
void sim_load_put(sim_load &l, sim_object &o);
void sim_load_remove(sim_load &l, sim_object &o);
void sim_load_read(sim_load &l, sim_object &o);
void sim_load_list(sim_load &l, const std::string &bucket);
// Plain requests for any object, as `move_random` draws them: what moving may spoil.
void sim_load_touch(sim_load &l);
// A write that a client with an old map sends to this target.
void sim_load_write_at(sim_load &l, size_t node);
void sim_load_stop(sim_load &l, sim_etl &etl);

} // namespace etlnode
