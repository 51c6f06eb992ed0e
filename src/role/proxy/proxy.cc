// SPDX-License-Identifier: MIT
// role/proxy/proxy.cc: the proxy's start, its requests' way to their handlers, and its end.
//
// Owns     the public listener, the client for calls to targets, the document, everything under way.
// Knows    every layer below.            Known by  app.
// Normal   id, listener, document, ready; SIGTERM: drain, end what is under way, drained.
// Limits   drain_timeout_ms.
#include "role/proxy/proxy.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "codec/url.h"
#include "port/clock.h"
#include "role/proxy/request.h"
#include "role/shared/node_id.h"

namespace etlnode {

// --- requests

static void on_answer(void *arg, exchange &x, int status) { access_log_answer(static_cast<proxy *>(arg)->answers, "proxy", x, status); }

static void on_request(void *arg, exchange &x)
{
    proxy &p = *static_cast<proxy *>(arg);
    if (!web_guard_admit(p.guard, x))
        return;
    const http_head &head = exchange_head(x);
    route_match match = route_find(p.routes, head.method, head.path);
    if (match.found == nullptr) {
        route_answer_missing(x, match);
        return;
    }
    if (!p.ready && !match.found->is_early) {
        exchange_answer_error(x, error_code::not_ready, "the proxy is starting");
        return;
    }
    match.found->serve(&p, x, match);
}

// --- start

static void report_ready(proxy &p, error err, const std::string &detail)
{
    auto on_ready = p.on_ready;
    p.on_ready = nullptr;
    on_ready(p.ready_arg, err, detail);
}

static void on_targets_asked(void *arg)
{
    proxy &p = *static_cast<proxy *>(arg);
    p.ready = true;
    LOG(info, "role", "role=proxy id=%s url=%s cluster=%s version=%llu msg=\"ready\"", p.id.c_str(), p.url.c_str(),
        proxy_document(p).uuid.c_str(), static_cast<unsigned long long>(proxy_document(p).version));
    report_ready(p, no_error, {});
}

// After a restart the targets are asked first (push_wait_ms at most), so that the first requests do not find them all silent.
static void on_loaded(proxy &p, error err, const std::string &detail)
{
    if (err)
        report_ready(p, err, detail);
    else
        proxy_wait_pushed(p, on_targets_asked, &p);
}

static void on_id(void *arg, error err, const std::string &id, const std::string &detail)
{
    proxy &p = *static_cast<proxy *>(arg);
    if (err) {
        report_ready(p, err, detail);
        return;
    }
    p.id = id;
    log_set_node(id.c_str());
    http_server_options options;
    options.name = "public";
    options.node_id = id;
    options.on_request = on_request;
    options.on_answer = on_answer;
    options.arg = &p;
    err = http_server_start(*p.e, options, p.options.listen_host.c_str(), p.options.listen_port, &p.server);
    if (err) {
        report_ready(p, err,
            text_format("cannot listen on %s port %u: %s", p.options.listen_host.c_str(), static_cast<unsigned>(p.options.listen_port),
                error_text(err)));
        return;
    }
    p.url = p.options.advertise_url.empty() ? url_format_base(p.options.listen_host, http_server_port(*p.server)) : p.options.advertise_url;
    p.guard = web_guard_make(p.options, {p.url});
    p.client = http_client_make(*p.e, {});
    proxy_document_load(p, on_loaded);
}

error proxy_start(
    env &e, const node_options &options, void (*on_ready)(void *arg, error err, const std::string &detail), void *arg, proxy **out_proxy)
{
    if (options.cluster_secret.empty()) // else whoever reaches this node could be one of its cluster
        return make_error(error_code::invalid_argument, "a node needs a cluster secret");
    url_base base;
    if (!options.advertise_url.empty() && !url_parse_base(options.advertise_url, base))
        return make_error(error_code::invalid_argument, "the advertised URL must be http://host:port");
    proxy *p = new proxy;
    p->e = &e;
    p->options = options;
    p->routes = proxy_routes();
    while (p->options.advertise_url.ends_with("/"))
        p->options.advertise_url.pop_back();
    p->on_ready = on_ready;
    p->ready_arg = arg;
    p->started_ms = clock_now_ms(e);
    *out_proxy = p;
    node_id_load(e, p->options, on_id, p);
    return no_error;
}

uint16_t proxy_port(proxy &p) { return p.server != nullptr ? http_server_port(*p.server) : 0; }
std::string proxy_url(proxy &p) { return p.url; }

// --- end

static void cut_off(proxy &p)
{
    p.cut_off = true;
    if (p.server != nullptr)
        http_server_stop(*p.server);
    p.server = nullptr;
    proxy_targets_stop(p);
    proxy_rollouts_cut_off(p);
    for (proxy_request *r = p.requests, *next = nullptr; r != nullptr; r = next) {
        next = r->next;
        if (r->calls != nullptr) {
            broadcast_cancel(*r->calls);
            r->calls = nullptr;
            proxy_request_fail(*r, error_code::stopping, error_code_text(error_code::stopping));
        }
    }
}

// A poll, because what is waited for lies in several modules: requests, rollouts that end, the document's storage.
static void on_drain_tick(void *arg)
{
    proxy &p = *static_cast<proxy *>(arg);
    bool late = clock_now_ms(*p.e) >= p.drain_until_ms;
    if (p.on_ready != nullptr) { // still starting: storage will answer
        timer_arm(*p.e, p.drain_timer, drain_poll_ms);
        return;
    }
    bool idle = p.requests == nullptr && p.starts.empty() && (p.server == nullptr || http_server_in_flight(*p.server) == 0);
    if (!p.cut_off && (idle || late)) {
        cut_off(p);
        timer_arm(*p.e, p.drain_timer, drain_poll_ms);
        return;
    }
    if (p.cut_off)
        proxy_rollouts_cut_off(p); // one that was being committed may be waiting for a removal since
    if (p.cut_off && p.requests == nullptr && p.starts.empty() && document_queue_is_idle(p.documents)) {
        auto on_drained = p.on_drained;
        p.on_drained = nullptr;
        timer_free(*p.e, p.drain_timer);
        p.drain_timer = nullptr;
        LOG(info, "role", "role=proxy msg=\"drained\"");
        on_drained(p.drained_arg);
        return;
    }
    timer_arm(*p.e, p.drain_timer, drain_poll_ms);
}

void proxy_drain(proxy &p, void (*on_drained)(void *arg), void *arg)
{
    CHECK(p.on_drained == nullptr);
    p.draining = true;
    p.on_drained = on_drained;
    p.drained_arg = arg;
    LOG(info, "role", "role=proxy in_flight=%zu msg=\"draining\"", p.server != nullptr ? http_server_in_flight(*p.server) : 0);
    if (p.server != nullptr)
        http_server_drain(*p.server);
    proxy_rollouts_stop(p);
    p.drain_until_ms = clock_now_ms(*p.e) + drain_timeout_ms;
    p.drain_timer = timer_make(*p.e, on_drain_tick, &p);
    timer_arm(*p.e, p.drain_timer, 0);
}

void proxy_free(proxy *p)
{
    CHECK(p->requests == nullptr);
    CHECK(p->starts.empty());
    CHECK(document_queue_is_idle(p->documents));
    if (p->server != nullptr) // its start failed
        http_server_stop(*p->server);
    if (p->tick != nullptr)
        proxy_targets_stop(*p);
    if (p->client != nullptr)
        http_client_free(p->client);
    delete p;
}

} // namespace etlnode
