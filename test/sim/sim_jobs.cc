// SPDX-License-Identifier: MIT
// test/sim/sim_jobs.cc: jobs over a bucket: how they are asked for, and what must be there when they have ended.
#include <algorithm>

#include "sim_load.h"

namespace etlnode {

void sim_load_scrub(sim_load &l)
{
    sim_load_ask(l, "PUT", "/v1/cluster", "", R"({"action":"start","value":{"Kind":"scrub","options":{"rate":1048576}}})");
}

sim_etl *sim_load_draw_etl(sim_load &l)
{
    std::vector<sim_etl *> living;
    for (sim_etl *etl : l.etls) {
        if (!etl->id.empty() && !etl->stop_begun)
            living.push_back(etl);
    }
    return living.empty() ? nullptr : living[static_cast<size_t>(sim_below(*l.world, living.size()))];
}

sim_job sim_load_transform_bucket(sim_load &l)
{
    sim_job job = {.etl = sim_load_draw_etl(l), .began_us = l.world->now_us};
    if (job.etl != nullptr && job.etl->is_doubtful) // it may be stopped
        job.etl = nullptr;
    std::string body = R"({"action":"copy-bck","value":{}})";
    if (job.etl != nullptr) {
        job.stages = 1 + rng_below(l.copy_random, 2);
        body = R"({"action":"etl-bck","value":{"id":")" + job.etl->id + R"(")" +
               (job.stages == 2 ? R"(,"pipeline":[")" + job.etl->id + R"("])" : std::string()) + "}}";
    }
    sim_load_ask(l, "POST", "/v1/buckets/b", "?bck_to=ais%2F%40%23%2Fmade%2F", body);
    return job;
}

void sim_load_read_made(sim_load &l, const sim_job &job, bool is_whole)
{
    const uint64_t now_us = l.world->now_us;
    std::vector<sim_object *> others;
    for (sim_object *o : l.objects) {
        bool is_copy = std::any_of(o->writes.begin(), o->writes.end(), [](const sim_write &write) { return write.copied_from != nullptr; });
        if (o->bucket == "b" && !is_copy && sim_may_exist(*o, now_us, now_us)) // what copies of copies hold nobody keeps
            others.push_back(o);
    }
    for (sim_object *from : others) {
        auto *o = new sim_object;
        o->bucket = "made";
        o->name = from->name;
        o->writes.push_back({0, 0, 0, true, 0});
        sim_write write;
        write.id = l.next_write++;
        write.start_us = job.began_us;
        if (is_whole && sim_must_exist(*from, now_us, now_us))
            write.end_us = now_us;
        write.copied_from = from;
        write.is_transformed = job.stages % 2 == 1;
        o->writes.push_back(write);
        l.objects.push_back(o);
        sim_load_read(l, *o);
    }
}

} // namespace etlnode
