// SPDX-License-Identifier: MIT
// role/target/space.cc: how full the disk is, and whether it is too full to store anything.
//
// Owns     a timer, and one question to the disk at a time.
// Knows    control/capacity, port/disk.       Known by  target.cc, objects.cc, copies.cc, heartbeat.cc, metrics.cc.
// Normal   it asks at the start, every space_poll_ms, and at once when a quarter of the room was written since the last answer. Between two
//          answers the last one decides, so a burst may pass the limit a little; the disk's own end is still ahead.
// Fails    a disk that does not say how full it is refuses nothing.
// Limits   --out-of-space.
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "node/version.h"
#include "role/target/target.h"

namespace etlnode {

// It outlives a target whose start failed.
struct space_question {
    target *t = nullptr;
    uint64_t written = 0; // by the target when it asked
};

static constexpr const char *advice = "remove objects, or give it more room; reads and deletes go on";

static void note_state(target &t, space_state before)
{
    target_space &space = t.space;
    if (space.state == before)
        return;
    std::string used = space_used_text(space.last);
    auto limit = static_cast<unsigned long long>(t.options.out_of_space);
    switch (space.state) {
    case space_state::ok: LOG(info, "space", "used=%s limit=%llu%% msg=\"the disk has room again\"", used.c_str(), limit); break;
    case space_state::low:
        LOG(warn, "space", "used=%s limit=%llu%% free=%llu msg=\"%s\"", used.c_str(), limit,
            static_cast<unsigned long long>(space.last.free),
            before == space_state::full ? "the disk has room again, but little: writes are accepted"
                                        : "the disk is nearly full: at the limit (--out-of-space) writes are refused");
        break;
    case space_state::full:
        LOG(error, "space", "used=%s limit=%llu%% free=%llu msg=\"the disk is used to the limit (--out-of-space): writes are refused. %s\"",
            used.c_str(), limit, static_cast<unsigned long long>(space.last.free), advice);
        break;
    }
}

static void on_space(void *arg, error err, const disk_space &now)
{
    auto *question = static_cast<space_question *>(arg);
    target *t = question->t;
    uint64_t written = question->written;
    delete question;
    if (t == nullptr)
        return;
    target_space &space = t->space;
    space.asked = nullptr;
    if (err && !space.has_failed)
        LOG(warn, "space", "error=\"%s\" msg=\"the disk does not say how full it is\"", error_text(err));
    space.has_failed = static_cast<bool>(err);
    if (!err) {
        space.last = now;
        space.written -= written;
        space.is_known = true;
        space_state before = space.state;
        space.state = space_judge(now, t->options.out_of_space);
        note_state(*t, before);
    }
    if (space.tick != nullptr)
        timer_arm(*t->e, space.tick, space.state == space_state::full ? space_poll_full_ms : space_poll_ms);
    open_count_end(t->store_calls);
}

static void ask(target &t)
{
    if (t.space.asked != nullptr)
        return;
    open_count_begin(t.store_calls);
    t.space.asked = new space_question{.t = &t, .written = t.space.written};
    disk_ask_space(*t.e, t.options.data_dir, on_space, t.space.asked);
}

static void on_tick(void *arg) { ask(*static_cast<target *>(arg)); }

void target_space_begin(target &t)
{
    t.space.tick = timer_make(*t.e, on_tick, &t);
    ask(t);
}

void target_space_end(target &t)
{
    if (t.space.tick != nullptr)
        timer_free(*t.e, t.space.tick);
    t.space.tick = nullptr;
}

void target_space_forget(target &t)
{
    if (t.space.asked != nullptr)
        t.space.asked->t = nullptr;
}

void target_space_note_written(target &t, uint64_t bytes)
{
    target_space &space = t.space;
    space.written += bytes;
    if (space.tick != nullptr && space.is_known && space.written > space_room(space.last, t.options.out_of_space) / 4)
        ask(t);
}

bool target_space_admits(target &t, std::string_view bucket, std::string_view name, uint64_t size, std::string &out_why)
{
    const target_space &space = t.space;
    if (!space.is_known || t.options.out_of_space >= 100)
        return true;
    uint64_t room = space_room(space.last, t.options.out_of_space);
    bool is_full = space.state == space_state::full;
    if (!is_full && size <= room)
        return true;
    std::string limit = std::to_string(t.options.out_of_space) + "% (--out-of-space)";
    out_why = "t[" + t.id + "]: cannot store ais://" + std::string(bucket) + "/" + std::string(name) + ": ";
    if (is_full)
        out_why += "the disk of target " + t.id + " is used to " + space_used_text(space.last) + ", and from " + limit +
                   " it stores nothing";
    else
        out_why += "the object has " + std::to_string(size) + " bytes, and the disk of target " + t.id + " has room for " +
                   std::to_string(room) + " before it is used to " + limit;
    out_why += std::string("; ") + advice;
    t.space.refused++;
    return false;
}

node_capacity target_capacity(const target &t)
{
    node_capacity capacity;
    capacity.version = t.options.version.empty() ? NODE_VERSION : t.options.version;
    capacity.machine = t.options.node_name;
    capacity.bytes = store_byte_count(*t.objects);
    capacity.is_disk_known = t.space.is_known;
    capacity.disk = t.space.last;
    capacity.out_of_space = t.options.out_of_space;
    return capacity;
}

} // namespace etlnode
