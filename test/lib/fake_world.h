// SPDX-License-Identifier: MIT
// test/lib/fake_world.h: clock, child processes and connects that a test controls. Time moves when the test says so, children do what the
// test says, and nothing else happens.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/rng.h"
#include "port/clock.h"
#include "port/net.h"
#include "port/proc.h"
#include "virtual_clock.h"

namespace etlnode {

struct fake_world;

struct proc {
    fake_world *world = nullptr;
    proc_options options;
    int pid = 0;
    uint64_t due_ms = 0;     // of its deadline, 0: none
    bool terminated = false; // it was asked to end
    bool exiting = false;    // its exit is posted
};

struct net_connect_call {
    fake_world *world = nullptr;
    net_on_connect on_connect = nullptr;
    void *arg = nullptr;
    std::string address;
};

struct net_conn {
    fake_world *world = nullptr;
};

struct fake_world {
    env e;
    virtual_clock clock;
    int next_pid = 100;
    std::vector<proc *> children;
    std::vector<net_connect_call *> connects;
    std::vector<std::string> spawned; // command lines, oldest first; a test may clear it
    size_t open_conns = 0;
    error refuse_spawn;                // if set, every spawn is refused with this error
    bool children_ignore_term = false; // otherwise a child that is asked to end dies of the signal at once
};

inline fake_world &fake_of(env &e) { return *static_cast<fake_world *>(e.impl); }

// Runs everything posted, including posts made meanwhile.
inline void fake_run(fake_world &w)
{
    for (size_t i = 0; virtual_run_post(w.clock); i++)
        CHECK(i < 100'000);
}

// ---- children

inline std::string fake_command(const proc &p)
{
    std::string out;
    for (const std::string &word : p.options.argv)
        out += (out.empty() ? "" : " ") + word;
    return out;
}

// The oldest living child whose command line contains `part`; null if there is none.
inline proc *fake_child(fake_world &w, std::string_view part)
{
    for (proc *p : w.children) {
        if (!p->exiting && fake_command(*p).find(part) != std::string::npos)
            return p;
    }
    return nullptr;
}

inline void fake_end(proc *p, proc_result result)
{
    fake_world &w = *p->world;
    std::erase(w.children, p);
    if (p->options.on_output != nullptr)
        result.out = {};
    p->options.on_exit(p->options.arg, result);
    delete p;
    fake_run(w);
}

inline void fake_exit(proc *p, int exit_code, std::string_view out = {}, std::string_view err_text = {})
{
    proc_result result;
    result.exit_code = exit_code;
    result.out = out;
    result.err_text = err_text;
    fake_end(p, result);
}

inline void fake_output(proc *p, std::string_view bytes)
{
    fake_world &w = *p->world;
    p->options.on_output(p->options.arg, bytes);
    fake_run(w);
}

inline void fake_die(void *arg)
{
    auto *p = static_cast<proc *>(arg);
    proc_result result;
    result.signal = 15;
    result.deadline_passed = p->due_ms != 0 && p->world->clock.now_ms >= p->due_ms;
    fake_end(p, result);
}

inline void fake_terminate(proc *p)
{
    p->terminated = true;
    if (p->world->children_ignore_term || p->exiting)
        return;
    p->exiting = true;
    p->world->clock.posts.emplace_back(fake_die, p);
}

// ---- time

inline void fake_advance(fake_world &w, uint64_t ms)
{
    uint64_t end = w.clock.now_ms + ms;
    for (;;) {
        fake_run(w);
        proc *late = nullptr;
        for (proc *p : w.children) {
            bool sooner = p->due_ms != 0 && !p->terminated && p->due_ms <= end && (late == nullptr || p->due_ms < late->due_ms);
            late = sooner ? p : late;
        }
        if (late == nullptr || (!w.clock.armed.empty() && (*w.clock.armed.begin())->due_ms < late->due_ms)) {
            if (!virtual_fire_next(w.clock, end))
                break;
            continue;
        }
        w.clock.now_ms = std::max(w.clock.now_ms, late->due_ms);
        fake_terminate(late);
    }
    w.clock.now_ms = end;
}

// ---- connects

inline void fake_connected(fake_world &w, error err)
{
    CHECK(!w.connects.empty());
    net_connect_call *call = w.connects.front();
    w.connects.erase(w.connects.begin());
    net_conn *conn = nullptr;
    if (!err) {
        conn = new net_conn{&w};
        w.open_conns++;
    }
    call->on_connect(call->arg, err, conn);
    delete call;
    fake_run(w);
}

// ---- the ports

inline virtual_clock &fake_clock_of(env &e) { return fake_of(e).clock; }

inline const proc_port fake_proc = {
    .spawn = [](env &e, proc_options options, proc **out_proc) -> error {
        fake_world &w = fake_of(e);
        *out_proc = nullptr;
        CHECK(options.on_exit != nullptr);
        if (w.refuse_spawn)
            return w.refuse_spawn;
        auto *p = new proc{&w, std::move(options), w.next_pid++};
        p->due_ms = p->options.deadline_ms != 0 ? w.clock.now_ms + p->options.deadline_ms : 0;
        w.children.push_back(p);
        w.spawned.push_back(fake_command(*p));
        *out_proc = p;
        return no_error;
    },
    .terminate = [](proc *p) { fake_terminate(p); },
    .pid = [](const proc *p) { return p->pid; },
    .machine = [](env &) { return machine_load{}; },
};

inline error fake_connect(
    env &e, const char *host, uint16_t port, net_reach, net_on_connect on_connect, void *arg, net_connect_call **out_call)
{
    fake_world &w = fake_of(e);
    auto *call = new net_connect_call{&w, on_connect, arg, std::string(host) + ":" + std::to_string(port)};
    w.connects.push_back(call);
    *out_call = call;
    return no_error;
}

inline void fake_connect_cancel(net_connect_call *call)
{
    std::erase(call->world->connects, call);
    delete call;
}

inline void fake_close(net_conn *conn)
{
    conn->world->open_conns--;
    delete conn;
}

// Only functions that open or end a connection.
inline net_port fake_net_make()
{
    net_port net = {};
    net.connect = fake_connect;
    net.connect_cancel = fake_connect_cancel;
    net.close = fake_close;
    return net;
}
inline const net_port fake_net = fake_net_make();

inline fake_world *fake_make()
{
    auto *w = new fake_world;
    w->e.clock = &virtual_clock_port<fake_clock_of>;
    w->clock.now_ms = 1'000;
    w->e.proc = &fake_proc;
    w->e.net = &fake_net;
    w->e.random.state = 7;
    w->e.impl = w;
    return w;
}

// Requires: nothing is left.
inline void fake_free(fake_world *w)
{
    CHECK(w->clock.posts.empty());
    CHECK(w->clock.timers == 0);
    CHECK(w->children.empty());
    CHECK(w->connects.empty());
    CHECK(w->open_conns == 0);
    delete w;
}

} // namespace etlnode
