// SPDX-License-Identifier: MIT
// role/target/peer_documents.cc: calls to other targets, and cluster documents between targets that are in different epochs.
//
// Owns     one exchange of documents a call.
// Knows    control, http, port/meta.        Known by  lesson.cc, rebalance.cc.
// Normal   the peer gets this target's document. If it is older, the peer's own comes back instead. So an epoch reaches every target that
//          others talk to, also while the proxy is away.
// Fails    silently: the caller looks again, and gives up after some attempts.
// Limits   intra_call_timeout_ms, call_answer_size_max.
#include "role/target/moves.h"

#include <memory>

#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "codec/url.h"
#include "control/peer.h"
#include "port/meta.h"

namespace etlnode {

call_options target_peer_call(const target &t, const cluster_node &node, std::string method, const std::string &target)
{
    url_base base;
    bool good = url_parse_base(node.url, base);
    (void)good; // node_parse has checked it
    call_options options;
    options.host = base.host;
    options.port = base.port;
    options.method = std::move(method);
    options.target = base.path + target;
    options.headers = peer_headers(t.options.cluster_secret, {});
    options.connect_timeout_ms = intra_call_timeout_ms / 2;
    options.progress_timeout_ms = intra_call_timeout_ms;
    return options;
}

std::string target_message_target(const target &t, std::string_view path, uint64_t epoch)
{
    const cluster_node *self = document_find_node(t.document, t.id);
    return std::string(path) + "?epoch=" + std::to_string(epoch) + "&disk=" + (self != nullptr ? self->disk : std::string());
}

struct open_peer_call {
    target *t;
    call *running;
    void (*on_head)(void *arg, call &c, const http_head &head);
    void (*on_done)(void *arg, call &c, error err, int status, std::string body);
    void *arg;
};

static void on_call_done(void *arg, call &c, error err, int status, std::string body)
{
    std::unique_ptr<open_peer_call> p(static_cast<open_peer_call *>(arg));
    std::erase(p->t->peer_calls, p.get());
    p->on_done(p->arg, c, err, status, std::move(body));
}

// From here on its owner has the call.
static void on_call_head(void *arg, call &c, const http_head &head)
{
    std::unique_ptr<open_peer_call> p(static_cast<open_peer_call *>(arg));
    std::erase(p->t->peer_calls, p.get());
    p->on_head(p->arg, c, head);
}

void target_start_peer_call(target &t, call_options options)
{
    auto *p = new open_peer_call{&t, nullptr, options.on_head, options.on_done, options.arg};
    options.on_done = on_call_done;
    if (options.on_head != nullptr)
        options.on_head = on_call_head;
    options.arg = p;
    t.peer_calls.push_back(p);
    p->running = call_start(*t.client, std::move(options));
}

void target_cut_peer_calls(target &t)
{
    open_count_begin(t.requests); // the target stays until all are cut
    while (!t.peer_calls.empty()) {
        std::unique_ptr<open_peer_call> p(t.peer_calls.front());
        t.peer_calls.erase(t.peer_calls.begin());
        call &running = *p->running;
        p->on_done(p->arg, running, make_error(error_code::canceled), 0, {});
        call_cancel(running);
    }
    open_count_end(t.requests);
}

struct document_exchange {
    target *t;
    cluster_node node;
    void (*on_done)(void *arg);
    void *arg;
};

static void finish(document_exchange *x)
{
    target &t = *x->t;
    auto on_done = x->on_done;
    void *arg = x->arg;
    delete x;
    on_done(arg);
    open_count_end(t.store_calls);
}

static void on_fetched(void *arg, call &, error err, int status, std::string body)
{
    auto *x = static_cast<document_exchange *>(arg);
    std::string detail;
    if (!err && status == 200 && target_take_document_text(*x->t, body, detail))
        LOG(warn, "cluster", "peer=%s reason=\"%s\" msg=\"the document of another target was not taken\"", x->node.id.c_str(),
            text_escape(detail).c_str());
    finish(x);
}

static void fetch(document_exchange *x)
{
    call_options options = target_peer_call(*x->t, x->node, "GET", std::string(path_node_document));
    options.answer_size_max = call_answer_size_max;
    options.on_done = on_fetched;
    options.arg = x;
    target_start_peer_call(*x->t, std::move(options));
}

static void on_pushed(void *arg, call &, error err, int status, std::string)
{
    auto *x = static_cast<document_exchange *>(arg);
    if (!err && status == 409) // it has a newer one
        fetch(x);
    else
        finish(x);
}

static void on_document(void *arg, error err, uint64_t version, const std::string &text)
{
    auto *x = static_cast<document_exchange *>(arg);
    if (err || version == 0) {
        finish(x);
        return;
    }
    call_options options = target_peer_call(*x->t, x->node, "PUT", std::string(path_node_document));
    options.body = text;
    options.has_body = true;
    options.answer_size_max = call_answer_size_max;
    options.on_done = on_pushed;
    options.arg = x;
    target_start_peer_call(*x->t, std::move(options));
}

void target_exchange_documents(target &t, const cluster_node &node, void (*on_done)(void *arg), void *arg)
{
    open_count_begin(t.store_calls);
    meta_read(*t.e, std::string(target_document_name), on_document, new document_exchange{&t, node, on_done, arg});
}

} // namespace etlnode
