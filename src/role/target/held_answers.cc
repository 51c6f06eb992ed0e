// SPDX-License-Identifier: MIT
// role/target/held_answers.cc: calls answered when a start is decided or pods are gone: GET /v1/node/etl/<id>/start and .../gone.
//
// Owns     one held_request a call.
// Knows    held_call_machine, etl, control, http.        Known by  routes.cc, target.cc, document.cc.
// Normal   the document asks for the start or for its end; the call only asks what came of it.
// Fails    400 etl_init_failed with the step and kubectl's words; a proxy that hangs up during a start: its pod is removed.
// Limits   wait_timeout_max_ms, etl_remove_timeout_ms.
#include "role/target/target.h"

#include <algorithm>

#include "base/check.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "codec/json.h"
#include "codec/url.h"
#include "control/held_call_machine.h"
#include "control/peer.h"

namespace etlnode {

struct held_request {
    target *t = nullptr;
    exchange *x = nullptr; // null once answered
    held_call machine;
};

static exchange &take_exchange(held_request &r)
{
    CHECK(r.x != nullptr);
    exchange &x = *r.x;
    r.x = nullptr;
    exchange_on_gone(x, nullptr, nullptr, false);
    return x;
}

// --- the machine's world

static held_sight world_look(void *arg, const held_call &m)
{
    const target &t = *static_cast<held_request *>(arg)->t;
    const cluster_document &document = t.document;
    if (document.version < m.version || !t.was_accepted) // the ETLs do not follow the document yet
        return held_sight::older;
    if (m.question == held_question::gone)
        return held_sight::holds;
    const cluster_etl *etl = document_find_etl(document, m.id);
    bool is_initializing = etl != nullptr && etl->id == m.id && etl->generation_id == m.generation_id &&
                           etl->stage == etl_stage::initializing;
    return is_initializing ? held_sight::holds : held_sight::replaced;
}

static void on_decided(void *arg, error err, const std::string &detail)
{
    held_request &r = *static_cast<held_request *>(arg);
    bool is_spared = r.machine.question == held_question::start && !target_runs_pods(*r.t); // it was drained meanwhile
    held_call_decided(r.machine, is_spared ? no_error : err, detail);
}

static void world_ask(void *arg, held_call &m)
{
    etl_registry &etls = *static_cast<held_request *>(arg)->t->etls;
    if (m.question == held_question::start)
        etl_registry_await_start(etls, m.id, m.generation_id, m.wait_timeout_ms, on_decided, arg);
    else
        etl_registry_await_gone(etls, m.id, on_decided, arg);
}

static void world_abandon(void *arg, held_call &m)
{
    LOG(warn, "etl", "etl=%s msg=\"nobody waits for this start any more: its pod is removed\"", text_escape(m.id).c_str());
    etl_registry_abandon(*static_cast<held_request *>(arg)->t->etls, m.id, m.generation_id);
}

static void answer_started(held_request &r)
{
    json_ptr tree = json_object();
    json_add_text(tree.get(), "target_id", r.t->id);
    cJSON *warnings = json_add_array(tree.get(), "warnings");
    etl_view view;
    if (etl_registry_find(*r.t->etls, r.machine.id, view)) {
        for (const std::string &warning : view.warnings)
            json_append_text(warnings, warning);
        json_add_text(tree.get(), "pod_name", view.pod_name);
        json_add_text(tree.get(), "address", target_address_text(*view.endpoint));
    }
    exchange_answer_json(take_exchange(r), tree.get());
}

static void world_answer(void *arg, held_call &m)
{
    held_request &r = *static_cast<held_request *>(arg);
    if (m.err) {
        exchange_answer_error(take_exchange(r), m.err.code, m.text);
        return;
    }
    if (m.question == held_question::start) {
        answer_started(r);
        return;
    }
    answer a;
    a.status = 204;
    exchange_answer(take_exchange(r), std::move(a));
}

static void world_on_end(void *arg, held_call &)
{
    held_request *r = static_cast<held_request *>(arg);
    CHECK(r->x == nullptr);
    target &t = *r->t;
    std::erase(t.held, r);
    delete r;
    target_note_work_ended(&t);
}

static void on_proxy_gone(void *arg)
{
    held_request &r = *static_cast<held_request *>(arg);
    exchange_answer_error(take_exchange(r), error_code::canceled, "the proxy hung up"); // the answer goes nowhere, but it ends the exchange
    held_call_caller_gone(r.machine);
}

// --- all of them

void target_held_document_taken(target &t)
{
    for (held_request *r : t.held)
        held_call_document_taken(r->machine);
}

void target_held_stop(target &t)
{
    for (held_request *r : t.held)
        held_call_stop(r->machine);
}

// --- handlers

static void hold(
    target &t, exchange &x, held_question question, std::string id, std::string generation_id, uint64_t version, uint64_t wait_timeout_ms)
{
    held_request *r = new held_request;
    r->t = &t;
    r->x = &x;
    held_call &m = r->machine;
    m.sm.id = t.next_held_id++;
    m.e = t.e;
    m.question = question;
    m.id = std::move(id);
    m.generation_id = std::move(generation_id);
    m.version = version;
    m.wait_timeout_ms = wait_timeout_ms;
    m.world = {.look = world_look, .ask = world_ask, .abandon = world_abandon, .answer = world_answer, .on_end = world_on_end, .arg = r};
    t.held.push_back(r);
    exchange_on_gone(x, on_proxy_gone, r, true);
    held_call_begin(m);
}

static bool query_u64(exchange &x, std::string_view key, uint64_t &out_value)
{
    std::string text;
    return url_query_get(exchange_head(x).query, key, text) && text_parse_u64(text, out_value) && out_value > 0;
}

static bool admit(target &t, exchange &x, const route_match &match, std::string &out_id)
{
    if (!target_admit_peer(t, x, match, out_id))
        return false;
    bool is_draining = lifecycle_is_draining(t.life);
    if (is_draining)
        exchange_answer_error(x, error_code::stopping, "the target is shutting down");
    return !is_draining;
}

static void serve_node_etl_start(target &t, exchange &x, const route_match &match)
{
    std::string id, generation_id;
    uint64_t version = 0, wait_timeout_ms = 0;
    if (!admit(t, x, match, id))
        return;
    bool is_whole = url_query_get(exchange_head(x).query, "generation", generation_id) && query_u64(x, "version", version) &&
                    query_u64(x, "wait_timeout_ms", wait_timeout_ms);
    if (!is_whole || wait_timeout_ms > wait_timeout_max_ms) {
        exchange_answer_error(x, error_code::bad_request, "which start? write ?generation=ID&version=NUMBER&wait_timeout_ms=NUMBER");
        return;
    }
    hold(t, x, held_question::start, std::move(id), std::move(generation_id), version, wait_timeout_ms);
}

static void serve_node_etl_gone(target &t, exchange &x, const route_match &match)
{
    std::string id;
    uint64_t version = 0;
    if (!admit(t, x, match, id))
        return;
    if (!query_u64(x, "version", version)) {
        exchange_answer_error(x, error_code::bad_request, "as of which document? write ?version=NUMBER");
        return;
    }
    hold(t, x, held_question::gone, std::move(id), {}, version, etl_remove_timeout_ms);
}

// --- routes

static constexpr route rows[] = {
    ROUTE("GET", "/v1/node/etl/{id}/start", serve_node_etl_start, "held until its start is decided: its pod is ready, or why it is not"),
    ROUTE("GET", "/v1/node/etl/{id}/gone", serve_node_etl_gone, "held until the pods of what was stopped are gone"),
};
extern constinit const std::span<const route> target_held_routes = rows;

} // namespace etlnode
