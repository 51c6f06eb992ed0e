// SPDX-License-Identifier: MIT
// One copy from a source to a sink, in a store in memory: for the tests of this folder.
#pragma once

#include "../store/store_fixture.h"

#include "http/pump.h"
#include "object/sink.h"
#include "object/source.h"

namespace etlnode {

// One copy and its result.
struct copying {
    fixture *f = nullptr;
    source from;
    sink to;
    pump *p = nullptr;
    open_count at_disk;
    bool pumped = false;
    error pump_err;
    uint64_t bytes = 0;
    int committed = 0;
    sink_outcome outcome;
    int ends = 0; // of the put
    error end_err;
    uint64_t end_bytes = 0;
    bool has_bucket = true;
};

inline bool has_bucket(void *arg, std::string_view bucket, uint64_t created_ns)
{
    test_eq_text(bucket, "b");
    test_eq(created_ns, 7u);
    return static_cast<copying *>(arg)->has_bucket;
}

inline void on_end(void *arg, error err, uint64_t bytes)
{
    auto &c = *static_cast<copying *>(arg);
    c.ends++;
    c.end_err = err;
    c.end_bytes = bytes;
}

inline void on_committed(void *arg, const sink_outcome &outcome)
{
    auto &c = *static_cast<copying *>(arg);
    c.to = sink{};
    c.committed++;
    c.outcome = outcome;
}

inline void on_pumped(void *arg, error err, uint64_t bytes)
{
    auto &c = *static_cast<copying *>(arg);
    c.p = nullptr;
    c.pumped = true;
    c.pump_err = err;
    c.bytes = bytes;
}

inline sink open_sink(copying &c, const std::string &name)
{
    sink_put_options options;
    options.bucket = "b";
    options.name = name;
    options.node_id = "t1";
    options.bucket_created_ns = 7;
    options.is_bucket_there = has_bucket;
    options.on_end = on_end;
    options.arg = &c;
    return sink_put(c.f->world->e, *c.f->s, std::move(options));
}

inline const store_object *hold(fixture &f, const std::string &name)
{
    answer a;
    store_get(*f.s, "b", name, on_object_answer, &a);
    memory_run(*f.world);
    test_eq(a.count, 1);
    test_ok(a.err);
    return a.object;
}

inline source open_stored(copying &c, const std::string &name)
{
    return source_stored(c.f->world->e, *c.f->s, hold(*c.f, name), c.at_disk);
}

inline void begin(copying &c, bool is_checked = true)
{
    const source_facts &facts = c.from.facts;
    sink_begin(c.to, {facts.size, facts.content_type, is_checked && facts.has_checksum, facts.checksum});
    pump_options options;
    options.on_done = on_pumped;
    options.arg = &c;
    c.p = pump_start(c.f->world->e, sink_stream(c.to), c.from.from, std::move(options));
}

inline void release(copying &c)
{
    if (c.p != nullptr)
        pump_cancel(*c.p);
    c.p = nullptr;
    source_close(c.from);
    sink_abandon(c.to);
    memory_run(*c.f->world);
}

inline std::string content_of_size(size_t size)
{
    std::string out(size, '\0');
    for (size_t i = 0; i < size; i++)
        out[i] = static_cast<char>(i * 131 + i / 257);
    return out;
}

inline size_t files_in_tmp(fixture &f) { return memory_files(f.world->now, "/data/tmp").size(); }

} // namespace etlnode
