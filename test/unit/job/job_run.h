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

inline const std::string large(2 * content_block_size + 9, 'x');
inline constexpr unsigned small_count = 60;

inline std::string name_of(unsigned i)
{
    char text[16];
    snprintf(text, sizeof text, "o%04u", i);
    return text;
}

// b: 60 small objects and 3 large ones; c: one large.
inline memory_image sample()
{
    fixture f;
    start_world(f, memory_empty());
    CHECK(!open_store(f));
    for (unsigned i = 0; i < small_count; i++)
        CHECK(!put_at_once(f, name_of(i), "content " + name_of(i)));
    for (const char *name : {"large1", "large2", "large3"})
        CHECK(!put_object(f, name, large));
    CHECK(!put_object(f, "large", large, nullptr, "c"));
    memory_advance(*f.world, 10'000); // files are in their places
    memory_image image = memory_take(*f.world, memory_crash::killed);
    close_world(f);
    return image;
}

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

inline void open_world(run_state &r, const memory_image &image, uint64_t seed = 1)
{
    start_world(r.f, image, seed);
    CHECK(!open_store(r.f));
}

// --- a kind whose passes must lie in one placement, and whose items end when the test says so

inline job_item *held[4];
inline size_t held_count = 0;

inline void hold(job_item &item)
{
    CHECK(held_count < 4);
    held[held_count++] = &item;
}

inline std::string accept_options(const cJSON *) { return {}; }
inline void leave(job_item &) {}

inline constexpr job_kind holding = {.name = "holding",
    .items_max = 4,
    .epochs = 1,
    .summary = "",
    .check_options = accept_options,
    .open = nullptr,
    .close = nullptr,
    .selects = nullptr,
    .begin = hold,
    .stop = leave};

inline void end_done(job_item &item) { job_item_ended(item, job_outcome::done, 1); }
inline void end_stopped(job_item &item) { job_item_stopped(item); }

inline bool end_all(run_state &r, void (*end)(job_item &item) = end_done)
{
    for (int i = 0; i < 3'600 && !r.has_news; i++) {
        memory_advance(*r.f.world, 1'000);
        std::vector<job_item *> ending(held, held + held_count);
        held_count = 0;
        for (job_item *item : ending)
            end(*item);
    }
    return r.has_news;
}

} // namespace etlnode
