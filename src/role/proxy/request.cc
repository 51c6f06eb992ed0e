// SPDX-License-Identifier: MIT
// role/proxy/request.cc: one client's request at the proxy that waits for a body, for targets, or for the document.
//
// Owns     the exchange until it is answered, at most one broadcast.
// Knows    http, document_queue, broadcast.        Known by  the proxy's handlers.
// Fails    every failure is an answer; if the client is gone, the answer goes nowhere.
#include "role/proxy/request.h"

#include "base/check.h"
#include "codec/json_fields.h"
#include "control/peer.h"

namespace etlnode {

void proxy_request_begin(proxy_request &r, proxy &p, exchange &x)
{
    r.p = &p;
    r.x = &x;
    r.next = p.requests;
    if (p.requests != nullptr)
        p.requests->previous = &r;
    p.requests = &r;
}

static void end(proxy_request &r)
{
    CHECK(r.x == nullptr);
    CHECK(r.calls == nullptr);
    CHECK(!r.changing);
    if (r.previous != nullptr)
        r.previous->next = r.next;
    else
        r.p->requests = r.next;
    if (r.next != nullptr)
        r.next->previous = r.previous;
    proxy &p = *r.p;
    r.destroy(&r);
    if (p.requests == nullptr)
        proxy_note_work_ended(&p);
}

static exchange &take_exchange(proxy_request &r)
{
    CHECK(r.x != nullptr);
    exchange &x = *r.x;
    r.x = nullptr;
    if (r.ends_with_client)
        exchange_on_gone(x, nullptr, nullptr, false);
    return x;
}

exchange &proxy_request_release(proxy_request &r)
{
    exchange &x = take_exchange(r);
    end(r);
    return x;
}

void proxy_request_fail(proxy_request &r, error_code code, std::string_view text)
{
    exchange_answer_error(take_exchange(r), code, text);
    end(r);
}

void proxy_request_answer(proxy_request &r, answer a)
{
    exchange_answer(take_exchange(r), std::move(a));
    end(r);
}

void proxy_request_answer_json(proxy_request &r, const cJSON *tree)
{
    exchange_answer_json(take_exchange(r), tree);
    end(r);
}

static void on_body(void *arg, error err, std::string body)
{
    proxy_request &r = *static_cast<proxy_request *>(arg);
    if (err) {
        proxy_request_fail(r, err.code, error_text(err));
        return;
    }
    r.on_body(r, std::move(body));
}

void proxy_request_begin_read(proxy_request &r, size_t size_max) { exchange_read_all(*r.x, size_max, on_body, &r); }

static void on_gathered(void *arg, std::vector<broadcast_answer> answers)
{
    proxy_request &r = *static_cast<proxy_request *>(arg);
    r.calls = nullptr;
    r.on_answers(r, std::move(answers));
}

void proxy_request_begin_broadcast(proxy_request &r, const std::vector<broadcast_peer> &peers, const broadcast_request &asked)
{
    if (lifecycle_is_closing(r.p->life)) {
        proxy_request_fail(r, error_code::stopping, error_code_text(error_code::stopping));
        return;
    }
    broadcast_request signed_request = asked;
    signed_request.headers = peer_headers(r.p->options.cluster_secret, exchange_request_id(*r.x)) + asked.headers;
    r.calls = broadcast_start(*r.p->e, *r.p->client, peers, signed_request, on_gathered, &r);
}

static void on_client_gone(void *arg)
{
    proxy_request &r = *static_cast<proxy_request *>(arg);
    if (r.calls != nullptr)
        broadcast_cancel(*r.calls);
    r.calls = nullptr;
    proxy_request_fail(r, error_code::canceled, "the client is gone");
}

void proxy_request_end_with_client(proxy_request &r)
{
    r.ends_with_client = true;
    exchange_on_gone(*r.x, on_client_gone, &r, true);
}

static error apply_change(void *arg, cluster_document &next)
{
    proxy_request &r = *static_cast<proxy_request *>(arg);
    return r.apply(r, next);
}

static void on_pushed(void *arg)
{
    proxy_request &r = *static_cast<proxy_request *>(arg);
    r.changing = false;
    r.on_changed(r, no_error);
}

static void on_changed(void *arg, error err)
{
    proxy_request &r = *static_cast<proxy_request *>(arg);
    r.changing = false;
    r.on_changed(r, err);
}

static void on_changed_here(void *arg, error err)
{
    proxy_request &r = *static_cast<proxy_request *>(arg);
    if (err)
        on_changed(arg, err);
    else
        proxy_wait_pushed(*r.p, on_pushed, arg);
}

void proxy_request_begin_change(proxy_request &r, bool wait_pushed)
{
    CHECK(!r.changing);
    r.changing = true;
    document_queue_add(r.p->documents,
        {.apply = apply_change, .on_done = wait_pushed ? on_changed_here : on_changed, .arg = &r, .is_recovery = r.is_recovery});
}

bool proxy_request_read_action(proxy_request &r, const std::string &body, json_ptr &out_tree, std::string &out_action)
{
    if (body.empty()) {
        out_tree.reset();
        out_action.clear();
        return true;
    }
    std::string where;
    error err = json_parse(body, out_tree, where);
    if (err || !cJSON_IsObject(out_tree.get())) {
        proxy_request_fail(r, error_code::bad_json,
            "the request body must be {\"action\":...,\"name\":...,\"value\":...}: " + (err ? where : std::string("it is not an object")));
        return false;
    }
    static constexpr json_field fields[] = {{"action", json_field_kind::text}, {"name", json_field_kind::text}};
    if (std::string misfit = json_fields_misfit(out_tree.get(), {}, fields); !misfit.empty()) {
        proxy_request_fail(r, error_code::bad_request, misfit);
        return false;
    }
    out_action = json_text(out_tree.get(), "action");
    return true;
}

} // namespace etlnode
