// SPDX-License-Identifier: MIT
// http/client/call_pool.cc: chooses connections for calls: what is known about each server, and the idle connections to it.
//
// Owns     the idle connections, one timer.
// Knows    port.                      Known by  the call machine.
// Rules    a pod's connection is reused only after its instance has shown that nothing follows its answers
//          (docs/decisions/0020-answers-never-shift.md). Another node's connection is reused at once.
// Limits   http_client_options, servers_max.
#include "http/client/call_pool.h"

#include <algorithm>

#include "base/check.h"
#include "base/limits.h"
#include "base/log.h"
#include "codec/http_write.h"
#include "codec/url.h"

namespace etlnode {

static constexpr size_t servers_max = 256; // known servers; one with a connection is never forgotten
static constexpr uint64_t probation_ms = 20;

static void forget_idle(idle_connection &idle)
{
    std::vector<idle_connection *> &all = idle.to->idle;
    all.erase(std::find(all.begin(), all.end(), &idle));
    idle.client->idle_count--;
    delete &idle;
}

static void drop_idle(idle_connection &idle)
{
    net_close(*idle.client->e, idle.conn);
    forget_idle(idle);
}

// We close it, so what it would have shown is unknown and the count starts again.
static void drop_unwatched(idle_connection &idle)
{
    if (idle.watch != nullptr) {
        idle.watch->watching--;
        idle.watch->watched = 0;
    }
    drop_idle(idle);
}

static bool is_unused(const server &s) { return s.idle.empty() && s.active.empty(); }

// Forgets the server whose record is the least useful.
static void forget_a_server(http_client &client)
{
    auto oldest = client.servers.end();
    for (auto at = client.servers.begin(); at != client.servers.end(); ++at) {
        if (is_unused(**at) && (oldest == client.servers.end() || (*at)->used_ms < (*oldest)->used_ms))
            oldest = at;
    }
    if (oldest == client.servers.end())
        return;
    delete *oldest;
    client.servers.erase(oldest);
}

server &pool_server_of(http_client &client, std::string_view host, uint16_t port, std::string_view instance)
{
    uint64_t now = clock_now_ms(*client.e);
    for (server *known : client.servers) {
        if (known->port == port && known->host == host && known->instance == instance) {
            known->used_ms = now;
            return *known;
        }
    }
    if (client.servers.size() >= servers_max)
        forget_a_server(client);
    server *fresh = new server;
    fresh->host = host;
    fresh->port = port;
    fresh->instance = instance;
    std::string base = url_format_base(host, port);
    http_write_header(fresh->host_header, "Host", std::string_view(base).substr(base.find("//") + 2));
    fresh->used_ms = now;
    client.servers.push_back(fresh);
    return *fresh;
}

// --- what a server has proven

void pool_note_unsolicited(http_client &client, server &from)
{
    client.unsolicited++;
    if (!from.sends_unsolicited)
        LOG(warn, "http",
            "server=%s:%u msg=\"it sent bytes that nobody asked for: they are dropped, and its connections are not reused any more\"",
            from.host.c_str(), static_cast<unsigned>(from.port));
    from.sends_unsolicited = true;
    for (server_proof *proof : {&from.plain, &from.pushed})
        proof->ends = proof->watched = 0;
}

static const server_proof &proof_of(const server &s, bool is_pushed) { return is_pushed ? s.pushed : s.plain; }

void pool_note_quiet_end(server &from, bool is_pushed) { (is_pushed ? from.pushed : from.plain).ends++; }

bool pool_must_wait_behind(const server &from, bool is_pushed)
{
    return !from.instance.empty() && proof_of(from, is_pushed).ends < pod_proof_count;
}

static bool is_proven(const server &s, bool is_pushed)
{
    const server_proof &proof = proof_of(s, is_pushed);
    return s.instance.empty() || (proof.ends >= pod_proof_count && proof.watched >= pod_watch_count);
}

// --- idle connections

// The server has closed it, or sends unsolicited bytes.
static void on_idle_readable(void *arg)
{
    idle_connection &idle = *static_cast<idle_connection *>(arg);
    bool end = false;
    if (net_has_unread(*idle.client->e, idle.conn, &end))
        pool_note_unsolicited(*idle.client, *idle.to);
    if (idle.watch != nullptr) // closed silently: nothing can follow any more, but its watch time was not over
        idle.watch->watching--;
    drop_idle(idle);
}

static void arm_idle_timer(http_client &client)
{
    uint64_t next = UINT64_MAX;
    for (const server *s : client.servers) {
        for (const idle_connection *idle : s->idle)
            next = std::min(next, idle->until_ms);
    }
    if (next == UINT64_MAX)
        return;
    uint64_t now = clock_now_ms(*client.e);
    timer_arm(*client.e, client.deadline_timer, next > now ? next - now : 0);
}

static void expire(idle_connection &idle)
{
    http_client &client = *idle.client;
    server &to = *idle.to;
    bool end = false;
    if (net_has_unread(*client.e, idle.conn, &end))
        pool_note_unsolicited(client, to);
    else if (idle.is_tentative && to.kind == server_kind::unknown)
        to.kind = server_kind::single_request;
    if (idle.watch == nullptr || idle.is_tentative) {
        drop_unwatched(idle);
        return;
    }
    idle.watch->watching--;
    if (!to.sends_unsolicited && !end)
        idle.watch->watched++;
    drop_idle(idle);
}

static void on_idle_timer(void *arg)
{
    http_client &client = *static_cast<http_client *>(arg);
    uint64_t now = clock_now_ms(*client.e);
    for (server *s : client.servers) {
        for (size_t i = s->idle.size(); i-- > 0;) {
            if (s->idle[i]->until_ms <= now)
                expire(*s->idle[i]);
        }
    }
    arm_idle_timer(client);
}

http_client *http_client_make(env &e, const http_client_options &options)
{
    http_client *client = new http_client;
    client->e = &e;
    client->options = options;
    client->deadline_timer = timer_make(e, on_idle_timer, client);
    return client;
}

void http_client_free(http_client *client)
{
    CHECK(client->active_count == 0);
    for (server *s : client->servers) {
        while (!s->idle.empty())
            drop_idle(*s->idle.back());
        delete s;
    }
    timer_free(*client->e, client->deadline_timer);
    delete client;
}

uint64_t http_client_unsolicited(const http_client &client) { return client.unsolicited; }

void http_client_note_unsolicited(http_client &client, const std::string &host, uint16_t port, const std::string &instance)
{
    pool_note_unsolicited(client, pool_server_of(client, host, port, instance));
}

// Takes the most recently used one, so that the others can expire.
net_conn *pool_take(http_client &client, server &from)
{
    for (size_t i = from.idle.size(); i-- > 0;) {
        idle_connection &idle = *from.idle[i];
        if (idle.is_tentative || idle.watch != nullptr)
            continue;
        net_conn *conn = idle.conn;
        net_wait_cancel(*client.e, conn, net_side::readable);
        forget_idle(idle);
        bool end = false;
        bool unread = net_has_unread(*client.e, conn, &end);
        if (unread)
            pool_note_unsolicited(client, from);
        if (unread || end || from.sends_unsolicited) {
            net_close(*client.e, conn);
            continue;
        }
        return conn;
    }
    return nullptr;
}

void pool_make_way(http_client &client, server &to)
{
    if (to.kind == server_kind::parallel || to.idle.empty())
        return;
    uint64_t until = clock_now_ms(*client.e) + probation_ms;
    bool is_sooner = false;
    for (size_t i = to.idle.size(); i-- > 0;) {
        idle_connection &idle = *to.idle[i];
        if (idle.watch == nullptr)
            continue;
        if (to.kind == server_kind::single_request) {
            drop_unwatched(idle);
        } else if (!idle.is_tentative) {
            idle.is_tentative = true;
            idle.until_ms = std::min(idle.until_ms, until);
            is_sooner = true;
        }
    }
    if (is_sooner)
        arm_idle_timer(client);
}

void pool_note_parallel(http_client &client, server &to)
{
    to.kind = server_kind::parallel;
    for (idle_connection *idle : to.idle) {
        if (idle->is_tentative) {
            idle->is_tentative = false;
            idle->until_ms = clock_now_ms(*client.e) + client.options.idle_ms;
        }
    }
}

// The connection, of all servers, that would be closed first.
static idle_connection &first_to_expire(const http_client &client)
{
    idle_connection *first = nullptr;
    for (const server *s : client.servers) {
        if (!s->idle.empty() && (first == nullptr || s->idle.front()->until_ms < first->until_ms))
            first = s->idle.front();
    }
    return *first;
}

void pool_give(http_client &client, server &from, net_conn *conn, bool in_the_way, bool is_pushed)
{
    server_proof *watch = is_proven(from, is_pushed) ? nullptr : is_pushed ? &from.pushed : &from.plain;
    bool is_for_nothing = watch != nullptr && watch->watched + watch->watching >= pod_watch_count; // enough are being watched already
    if (client.options.idle_max == 0 || from.sends_unsolicited || (in_the_way && from.kind == server_kind::single_request) ||
        is_for_nothing) {
        if (watch != nullptr && !is_for_nothing)
            watch->watched = 0;
        net_close(*client.e, conn);
        return;
    }
    if (client.idle_count >= client.options.idle_max)
        drop_unwatched(first_to_expire(client));
    if (watch != nullptr)
        watch->watching++;
    uint64_t kept_ms = in_the_way ? probation_ms : client.options.idle_ms;
    idle_connection *idle = new idle_connection{conn, clock_now_ms(*client.e) + kept_ms, &client, &from, in_the_way, watch};
    from.idle.push_back(idle);
    client.idle_count++;
    net_wait(*client.e, conn, net_side::readable, on_idle_readable, idle);
    if (in_the_way || !timer_is_armed(*client.e, client.deadline_timer))
        arm_idle_timer(client);
}

} // namespace etlnode
