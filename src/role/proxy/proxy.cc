// SPDX-License-Identifier: MIT
// role/proxy/proxy.cc: start of the proxy, dispatch of its requests, and shutdown.
//
// Owns     the public listener, the client for calls to targets, the document, everything in progress.
// Knows    every layer below.            Known by  etlnode.
// Normal   id, listener, document, ready. SIGTERM: drain, end what is in progress, drained.
// Limits   those of the lifecycle machine.
#include "role/proxy/proxy.h"

#include "base/check.h"
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
    if (!route_admit_query(x))
        return;
    if (!lifecycle_has_joined(p.life) && !match.found->is_early) {
        exchange_answer_error(x, error_code::not_ready, "the proxy is starting");
        return;
    }
    match.found->serve(&p, x, match);
}

// --- start

static void on_id(void *arg, error err, const node_identity &identity, const std::string &detail)
{
    proxy &p = *static_cast<proxy *>(arg);
    if (err) {
        lifecycle_failed(p.life, err, detail);
        return;
    }
    p.id = identity.id;
    log_set_node(p.id.c_str());
    lifecycle_opened(p.life);
}

static void open(void *arg)
{
    proxy &p = *static_cast<proxy *>(arg);
    node_id_load(*p.e, p.options, on_id, &p);
}

// Before the document is read, so that whoever asks hears that the proxy is starting.
static void listen(void *arg)
{
    proxy &p = *static_cast<proxy *>(arg);
    http_server_options options;
    options.name = "public";
    options.node_id = p.id;
    options.on_request = on_request;
    options.on_answer = on_answer;
    options.on_idle = proxy_note_work_ended;
    options.arg = &p;
    error err = http_server_start(*p.e, options, p.options.listen_host.c_str(), p.options.listen_port, &p.server);
    if (err) {
        lifecycle_failed(p.life, err,
            text_format("cannot listen on %s port %u: %s", p.options.listen_host.c_str(), static_cast<unsigned>(p.options.listen_port),
                error_text(err)));
        return;
    }
    p.url = p.options.advertise_url.empty() ? url_format_base(p.options.listen_host, http_server_port(*p.server)) : p.options.advertise_url;
    p.guard = web_guard_make(p.options, {p.url});
    p.client = http_client_make(*p.e, {});
    lifecycle_listens(p.life);
}

// Nothing is asked or answered any more. What is under way ends, at the latest with what the loop has to run now.
static void stop_talking(proxy &p)
{
    if (p.server != nullptr)
        http_server_stop(*p.server);
    p.server = nullptr;
    proxy_gather_stop(p);
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

static void on_begun(proxy &p, error err, const std::string &detail)
{
    if (err) { // unlike earlier failures, this one comes when targets have been asked and may have registered
        p.is_start_held = true;
        stop_talking(p);
        lifecycle_failed(p.life, err, detail);
        return;
    }
    lifecycle_joined(p.life);
    if (!lifecycle_is_ready(p.life))
        return;
    LOG(info, "role", "role=proxy id=%s url=%s cluster=%s version=%llu msg=\"ready\"", p.id.c_str(), p.url.c_str(),
        proxy_document(p).uuid.c_str(), static_cast<unsigned long long>(proxy_document(p).version));
    lifecycle_report_ready(p.life);
}

// A proxy that is behind starts when it has taken the newer document.
static void on_targets_asked(void *arg)
{
    proxy &p = *static_cast<proxy *>(arg);
    if (p.ahead.empty() && !lifecycle_is_closing(p.life))
        proxy_document_begin(p, on_begun);
    else {
        p.is_start_held = false; // what is ahead holds it
        on_begun(p, no_error, {});
    }
}

// After a restart it first contacts the targets (for at most push_wait_ms), so that the first requests do not find all of them silent.
static void on_loaded(proxy &p, error err, const std::string &detail)
{
    p.is_loading = false;
    if (err)
        lifecycle_failed(p.life, err, detail);
    else
        proxy_wait_pushed(p, on_targets_asked, &p);
    if (!err && !lifecycle_is_closing(p.life))
        proxy_last_counts_begin(p);
    proxy_note_work_ended(&p);
}

static void join(void *arg)
{
    proxy &p = *static_cast<proxy *>(arg);
    p.is_loading = true;
    proxy_document_load(p, on_loaded);
}

// --- end

static void drain(void *arg)
{
    proxy &p = *static_cast<proxy *>(arg);
    LOG(info, "role", "role=proxy in_flight=%zu msg=\"draining\"", p.server != nullptr ? http_server_in_flight(*p.server) : 0);
    if (p.server != nullptr)
        http_server_drain(*p.server);
    proxy_rollouts_stop(p);
}

static bool has_work(const proxy &p) { return p.requests != nullptr || !p.starts.empty(); }

static bool is_drained(const void *arg)
{
    const proxy &p = *static_cast<const proxy *>(arg);
    return !has_work(p) && (p.server == nullptr || http_server_in_flight(*p.server) == 0);
}

static void close(void *arg)
{
    proxy &p = *static_cast<proxy *>(arg);
    stop_talking(p);
    lifecycle_closed(p.life);
}

static void finish(void *) {}

// Nobody is asked any more, so whatever is left waits for the document to be stored.
static bool is_storing(const void *arg)
{
    const proxy &p = *static_cast<const proxy *>(arg);
    return has_work(p) || p.is_loading || p.last_counts.is_busy || p.names.calls > 0 || !document_queue_is_idle(p.documents);
}

static bool is_idle(const void *arg) { return !is_storing(arg); }
static bool has_last_word(const void *) { return false; }
static void end(void *) {}

void proxy_drain(proxy &p, void (*on_drained)(void *arg), void *arg) { lifecycle_drain(p.life, on_drained, arg); }

// --- start and end, as the lifecycle asks for them

static lifecycle_role as_role(proxy &p)
{
    return {.name = "proxy",
        .open = open,
        .listen = listen,
        .join = join,
        .drain = drain,
        .is_drained = is_drained,
        .close = close,
        .finish = finish,
        .is_idle = is_idle,
        .is_storing = is_storing,
        .has_last_word = has_last_word,
        .send_last_word = end,
        .end = end,
        .arg = &p};
}

void proxy_note_work_ended(void *arg) { lifecycle_work_ended(static_cast<proxy *>(arg)->life); }

error proxy_start(
    env &e, const node_options &options, void (*on_ready)(void *arg, error err, const std::string &detail), void *arg, proxy **out_proxy)
{
    node_options good;
    error err = node_options_check(options, good);
    if (err)
        return err;
    proxy *p = new proxy;
    p->e = &e;
    p->options = std::move(good);
    p->routes = proxy_routes();
    p->started_ms = clock_now_ms(e);
    p->life.sm.id = 1;
    p->life.e = &e;
    p->life.role = as_role(*p);
    *out_proxy = p;
    lifecycle_begin(p->life, on_ready, arg);
    return no_error;
}

uint16_t proxy_port(proxy &p) { return p.server != nullptr ? http_server_port(*p.server) : 0; }
std::string proxy_url(proxy &p) { return p.url; }

void proxy_free(proxy *p)
{
    lifecycle_free(p->life);
    CHECK(p->requests == nullptr);
    CHECK(p->starts.empty());
    CHECK(document_queue_is_idle(p->documents));
    if (p->server != nullptr) // otherwise its start failed
        http_server_stop(*p->server);
    if (p->tick != nullptr)
        proxy_targets_stop(*p);
    if (p->client != nullptr)
        http_client_free(p->client);
    delete p;
}

} // namespace etlnode
