// SPDX-License-Identifier: MIT
// role/proxy/request.h: one client's request at the proxy that waits for a body, for targets, or for the document.
//
// It ends exactly once, by proxy_request_release, _fail or _answer; the reference is invalid afterwards. A handler with parameters of its
// own keeps them in a struct derived from proxy_request, and its callbacks get that struct:
//
//   struct bucket_request : proxy_request { std::string bucket; };
//   static void on_body(bucket_request &r, std::string body) { ... }
//   bucket_request &r = proxy_request_make<bucket_request>(p, x);
//   proxy_request_read<on_body>(r, json_body_size_max);
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "control/broadcast.h"
#include "http/server/exchange.h"
#include "role/proxy/proxy.h"

namespace etlnode {

struct proxy_request {
    proxy *p = nullptr;
    exchange *x = nullptr; // null once answered
    broadcast *calls = nullptr;
    proxy_request *previous = nullptr, *next = nullptr;
    bool changing = false;    // a change of the document is in progress
    bool is_recovery = false; // that change replaces the document
    bool ends_with_client = false;
    void (*destroy)(proxy_request *r) = nullptr;
    void (*on_body)(proxy_request &r, std::string body) = nullptr;
    error (*apply)(proxy_request &r, cluster_document &next) = nullptr;
    void (*on_changed)(proxy_request &r, error err) = nullptr;
    void (*on_answers)(proxy_request &r, std::vector<broadcast_answer> answers) = nullptr;
};

void proxy_request_begin(proxy_request &r, proxy &p, exchange &x);
void proxy_request_begin_read(proxy_request &r, size_t size_max);
void proxy_request_begin_broadcast(proxy_request &r, const std::vector<broadcast_peer> &peers, const broadcast_request &asked);
void proxy_request_begin_change(proxy_request &r, bool wait_pushed);

// From now on the request ends when its client goes away, and so do its calls. For work of targets that nobody else needs. Requires: it
// changes nothing.
void proxy_request_end_with_client(proxy_request &r);

template <typename request = proxy_request> request &proxy_request_make(proxy &p, exchange &x)
{
    request *r = new request;
    r->destroy = [](proxy_request *base) { delete static_cast<request *>(base); };
    proxy_request_begin(*r, p, x);
    return *r;
}

// Reads the body (at most size_max bytes), then calls on_body(request &, std::string body). If the body cannot be read, the request is
// answered here.
template <auto on_body, typename request> void proxy_request_read(request &r, size_t size_max)
{
    r.on_body = [](proxy_request &base, std::string body) { on_body(static_cast<request &>(base), std::move(body)); };
    proxy_request_begin_read(r, size_max);
}

// Sends a request to all `peers`, then calls on_answers(request &, std::vector<broadcast_answer> answers).
template <auto on_answers, typename request>
void proxy_request_broadcast(request &r, const std::vector<broadcast_peer> &peers, const broadcast_request &asked)
{
    r.on_answers = [](proxy_request &base, std::vector<broadcast_answer> answers) {
        on_answers(static_cast<request &>(base), std::move(answers));
    };
    proxy_request_begin_broadcast(r, peers, asked);
}

// Changes the document by error apply(request &, cluster_document &next). Calls on_changed(request &, error) when the change is durable
// and, with `wait_pushed`, when the targets hold it (within push_wait_ms).
template <auto apply, auto on_changed, typename request> void proxy_request_change(request &r, bool wait_pushed)
{
    r.apply = [](proxy_request &base, cluster_document &next) { return apply(static_cast<request &>(base), next); };
    r.on_changed = [](proxy_request &base, error err) { on_changed(static_cast<request &>(base), err); };
    proxy_request_begin_change(r, wait_pushed);
}

// Returns the exchange to the caller and ends the request.
exchange &proxy_request_release(proxy_request &r);
void proxy_request_fail(proxy_request &r, error_code code, std::string_view text);
void proxy_request_answer(proxy_request &r, answer a);
void proxy_request_answer_json(proxy_request &r, const cJSON *tree);
// Reads the action envelope in `body` and returns its `value`. False: the request was answered and has ended. An empty body is the action
// "".
bool proxy_request_read_action(proxy_request &r, const std::string &body, json_ptr &out_tree, std::string &out_action);

// buckets.cc: targets hold objects of a former bucket of that name, which a new one would make them remove. Empty: none does.
std::string proxy_orphans_text(const proxy &p, std::string_view bucket);

// list_moving.cc: what the targets' answers to a question for a page are worth.
enum class list_pages_outcome : uint8_t {
    taken,
    other_epoch, // a target is in another epoch of placement, so the page must begin again
    failed,      // the request has been answered
};
// Adds one page for each answer to `pages`.
list_pages_outcome proxy_take_list_pages(proxy_request &r, const std::vector<broadcast_answer> &answers, std::vector<list_page> &pages);

} // namespace etlnode
