// SPDX-License-Identifier: MIT
// A job with the real store, index and ledger of a memory world, begun as the host does it.
#pragma once

#include "../store/store_fixture.h"

#include <set>

#include "base/limits.h"
#include "job/job_machine.h"
#include "job/kinds/kinds.h"
#include "port/ledger.h"
#include "store/content_path.h"

namespace etlnode {

struct run_state {
    fixture f;
    job *j = nullptr;
    job_news news = job_news::paused;
    ledger_job last;
    bool has_news = false;
    uint64_t epoch = 1;
    bool serves_clients = false;
    std::set<std::string> buckets = {"b", "c"};
};

inline bool next_bucket(void *arg, const std::string &after, std::string &out_bucket)
{
    const run_state &r = *static_cast<run_state *>(arg);
    auto at = r.buckets.upper_bound(after);
    if (at != r.buckets.end())
        out_bucket = *at;
    return at != r.buckets.end();
}

inline void on_news(void *arg, job &j)
{
    run_state &r = *static_cast<run_state *>(arg);
    test_true(sm_news_take(j.news, r.news));
    r.has_news = true;
    r.last = j.stored;
    delete r.j;
    r.j = nullptr;
}

inline job &make_job(run_state &r, const job_kind &kind)
{
    r.has_news = false;
    r.j = new job;
    job &j = *r.j;
    j.tools.e = &r.f.world->e;
    j.tools.objects = r.f.s;
    j.tools.next_bucket = next_bucket;
    j.tools.epoch = [](void *arg) { return static_cast<run_state *>(arg)->epoch; };
    j.tools.is_busy = [](void *) { return false; };
    j.tools.serves_clients = [](void *arg) { return static_cast<run_state *>(arg)->serves_clients; };
    j.tools.arg = &r;
    j.kind = &kind;
    j.order = {.id = "j1", .kind = kind.name, .options = "{\"rate\": 1000000000}"};
    j.on_news = on_news;
    j.arg = &r;
    return j;
}

// As the host does it: resumes what the ledger knows.
inline void begin_job(run_state &r, const job_kind &kind = job_kind_scrub)
{
    job &j = make_job(r, kind);
    std::vector<ledger_ahead> ahead;
    auto known = r.f.world->now.jobs.find("j1");
    if (known != r.f.world->now.jobs.end()) {
        j.row = known->second.job;
        for (const auto &[name, outcome] : known->second.ahead)
            ahead.push_back({name.first, name.second, outcome});
    }
    job_begin(j, ahead);
}

// False if the job does not end within an hour of its time.
inline bool run_to_end(run_state &r)
{
    for (int i = 0; i < 3'600 && !r.has_news; i++)
        memory_advance(*r.f.world, 1'000);
    return r.has_news;
}

} // namespace etlnode
