// SPDX-License-Identifier: MIT
// test/unit/transfer/transfer_world.h: transfers and uploads in a memory world. Store, HTTP server and HTTP client are the node's own; the
// test plays clients and pods, and decides what the registry says of the ETL.
#pragma once

#include "memory_net.h"
#include "node_test.h"
#include "rows_taken.h"

#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/text.h"
#include "codec/http_write.h"
#include "codec/url.h"
#include "etl/etl_registry.h"
#include "http/server/exchange.h"
#include "object/sink.h"
#include "sm/sm_render.h"
#include "sm/sm_trace.h"
#include "store/store.h"
#include "transfer/direct_put.h"
#include "transfer/pipeline.h"
#include "transfer/transfer.h"
#include "transfer/transfer_machines.h"
#include "transfer/upload_machine.h"
#include "transfer_etls.h"

namespace etlnode {

struct transfer_world {
    memory_world *world = nullptr;
    memory_net net;
    store *objects = nullptr;
    http_server *server = nullptr;
    etl_registry registry;
    transfer_host *host = nullptr;
    bool has_bucket = true;
    bool has_space = true; // for what pipelines keep between two stages
    bool opened = false;
    size_t puts = 0; // begun and not ended
    // Of the transfers and uploads that have ended, oldest first.
    std::vector<std::string> outcomes;
    std::vector<std::string> reasons;
    std::vector<error> uploads;
    // A gate before each commit, if has_gate: it lets rows pass that are handed over at once unless must_ask, and keeps the others waiting.
    bool has_gate = false, must_ask = false;
    put_on_leave on_leave = nullptr;
    void *leave_owner = nullptr;
    size_t asked = 0;
    put *kept = nullptr; // the part of an upload that was taken
    error_code refuses_part = error_code::ok;
};

inline const char *const world_etl = "JGHEoo89gg";
inline const char *const world_second_etl = "second0000";

inline etl_ref &etl_of(transfer_world &w) { return w.registry.etl; }

// Runs everything that is due; no time passes.
inline void run(transfer_world &w) { memory_run(*w.world); }
inline void pass(transfer_world &w, uint64_t ms) { memory_advance(*w.world, ms); }

// ---- the routes of a target

inline bool world_has_bucket(void *arg, std::string_view, uint64_t) { return static_cast<transfer_world *>(arg)->has_bucket; }

inline void world_on_put(void *arg, error err, uint64_t)
{
    auto &w = *static_cast<transfer_world *>(arg);
    w.puts--;
    w.uploads.push_back(err);
}

inline bool world_must_ask(void *arg, std::string_view, std::string_view) { return static_cast<transfer_world *>(arg)->must_ask; }

inline void world_ask(void *arg, const std::string &, const std::string &, uint64_t, put_on_leave on_leave, void *owner)
{
    auto &w = *static_cast<transfer_world *>(arg);
    w.asked++;
    w.on_leave = on_leave;
    w.leave_owner = owner;
}

inline put_gate world_gate(const transfer_world &w) { return w.has_gate ? put_gate{world_must_ask, world_ask} : put_gate{}; }

inline void world_on_kept(void *arg, const transfer_report &report)
{
    exchange &x = *static_cast<exchange *>(arg);
    if (report.outcome == transfer_outcome::ok || exchange_is_gone(x))
        exchange_answer(x, answer{});
    else
        exchange_answer_error(x, report.code, report.text, report.status, std::string(report.headers));
}

inline sink world_sink(transfer_world &w, std::string name)
{
    sink_put_options options;
    options.bucket = "b";
    options.name = std::move(name);
    options.node_id = "t1";
    options.is_bucket_there = world_has_bucket;
    options.on_end = world_on_put;
    options.arg = &w;
    w.puts++;
    options.gate = world_gate(w);
    return sink_put(w.world->e, *w.objects, std::move(options));
}

inline error_code world_take_part(
    void *arg, const upload_part &part, put &held, uint64_t size, std::string &out_headers, std::string &out_text)
{
    auto &w = *static_cast<transfer_world *>(arg);
    CHECK(part.number == 7 && part.id == "upload");
    out_headers = text_format("X-Size: %zu\r\n", static_cast<size_t>(size));
    out_text = "no part is wanted";
    if (w.refuses_part == error_code::ok)
        w.kept = &held;
    return w.refuses_part;
}

// "a,b": the ETLs behind the first one.
inline std::vector<std::string> world_further(std::string_view query)
{
    std::string list;
    std::vector<std::string> out;
    if (!url_query_get(query, "etl_pipeline", list))
        return out;
    for (size_t at = 0; at <= list.size();) {
        size_t comma = std::min(list.find(',', at), list.size());
        out.push_back(list.substr(at, comma - at));
        at = comma + 1;
    }
    return out;
}

inline void world_begin(transfer_world &w, transfer_request request, std::string_view query)
{
    std::vector<std::string> further = world_further(query);
    if (further.empty())
        transfer_begin(*w.host, std::move(request));
    else
        pipeline_begin(*w.host, std::move(request), std::move(further));
}

// PUT /put/<uname>: from the pod of the ETL; /put/other-etl/<uname>: from another one's.
inline void world_on_pod_put(transfer_world &w, exchange &x)
{
    std::string_view path = exchange_head(x).path;
    path.remove_prefix(5);
    const bool is_other = path.starts_with("other-etl/");
    path.remove_prefix(is_other ? 10 : 0);
    std::string name;
    test_true(url_decode(path, name) && name.starts_with("ais/@#/b/"));
    direct_put_serve(*w.host, x, is_other ? world_second_etl : world_etl, "b", std::string_view(name).substr(9));
}

// GET|HEAD /b/<name>?<query>: through the ETL, and those that etl_pipeline= names. PUT /b/<name>: an upload. PUT /b/<name>?to=<name>: kept
// through the ETL; ?copy=<name>: as it is.
inline void world_on_request(void *arg, exchange &x)
{
    auto &w = *static_cast<transfer_world *>(arg);
    const http_head &head = exchange_head(x);
    if (head.path.starts_with("/put/")) {
        world_on_pod_put(w, x);
        return;
    }
    std::string name(head.path.substr(3));
    transfer_request request;
    request.x = &x;
    request.bucket = "b";
    request.name = name;
    request.etl = world_etl;
    if (head.method != "PUT") {
        request.asked = &head;
        request.query = head.query;
        request.to = sink_client(x);
        world_begin(w, std::move(request), head.query);
        return;
    }
    if (head.query.empty()) {
        upload_options options;
        options.bucket = "b";
        options.name = name;
        options.node_id = "t1";
        options.is_bucket_there = world_has_bucket;
        options.on_end = world_on_put;
        options.arg = &w;
        options.gate = world_gate(w);
        std::string_view sum = http_head_get(head, "X-Sum");
        options.has_expected_checksum = text_parse_hex_u64(sum, options.expected_checksum);
        if (std::string_view digest = http_head_get(head, "X-Digest"); !digest.empty()) {
            size_t colon = digest.find(':');
            options.digest = std::make_unique<upload_digest>();
            options.digest->computed = content_digest_begin(digest.substr(0, colon));
            options.digest->type = digest.substr(0, colon);
            options.digest->given = digest.substr(colon + 1);
        }
        if (!http_head_get(head, "X-Part").empty())
            options.part = std::make_unique<upload_part>(upload_part{"upload", 7, world_take_part});
        w.puts++;
        upload_begin(*w.objects, x, std::move(options));
        return;
    }
    bool is_copy = head.query.starts_with("copy=");
    if (is_copy)
        request.etl = {};
    std::string_view to = std::string_view(head.query).substr(is_copy ? 5 : 3);
    const std::string kept(to.substr(0, to.find('&')));
    const std::string direct_to = "b/" + kept;
    request.to = world_sink(w, kept);
    request.direct_to = direct_to;
    request.on_done = world_on_kept;
    request.arg = &x;
    world_begin(w, std::move(request), head.query);
}

inline bool world_admits(void *arg, const std::string &, const std::string &, std::string &out_why)
{
    const auto &w = *static_cast<transfer_world *>(arg);
    if (!w.has_space)
        out_why = "the disk is used to the limit";
    return w.has_space;
}

inline void world_on_end(void *arg, const transfer_report &report)
{
    auto &w = *static_cast<transfer_world *>(arg);
    w.outcomes.emplace_back(transfer_outcome_names[static_cast<size_t>(report.outcome)]);
    w.reasons.emplace_back(report.text);
}

inline void world_on_open(void *arg, error err, store *s)
{
    auto &w = *static_cast<transfer_world *>(arg);
    CHECK(!err);
    w.opened = true;
    w.objects = s;
}

inline int world_set_up(void **state)
{
    sm_set_strict(true);
    sm_trace_clear();
    auto *w = new transfer_world;
    w->world = memory_make(memory_empty());
    memory_net_begin(w->net, *w->world);
    store_options options;
    options.dir = "/data";
    store_open(w->world->e, options, world_on_open, w);
    run(*w);
    CHECK(w->opened);
    etl_ref &etl = etl_of(*w);
    etl.definition.id = world_etl;
    etl.definition.generation_id = "g1";
    etl.definition.mode = etl_mode::hpush;
    etl.definition.obj_timeout_ms = 45'000;
    etl.endpoint.host = etl.endpoint.client_host = "10.1.2.3";
    etl.endpoint.port = etl.endpoint.client_port = 80;
    etl.endpoint.instance = "c1";
    w->registry.second.definition = etl.definition;
    w->registry.second.definition.id = world_second_etl;
    w->registry.second.definition.generation_id = "g2";
    w->registry.second.endpoint = etl.endpoint;
    w->registry.second.endpoint.port = w->registry.second.endpoint.client_port = 81;
    transfer_host_options host;
    host.node_id = "t1";
    host.on_end = world_on_end;
    host.admits_interim = world_admits;
    host.direct_url = "http://10.9.9.9:7070";
    host.arg = w;
    w->host = transfer_host_make(w->world->e, *w->objects, w->registry, host);
    http_server_options server;
    server.node_id = "t1";
    server.on_request = world_on_request;
    server.arg = w;
    CHECK(!http_server_start(w->world->e, server, "127.0.0.1", 0, &w->server));
    *state = w;
    return 0;
}

// Checks that nothing is left, whatever the case did.
inline int world_tear_down(void **state)
{
    auto *w = static_cast<transfer_world *>(*state);
    if (w->server != nullptr)
        http_server_stop(*w->server);
    pass(*w, 120'000);
    CHECK(transfer_host_in_flight(*w->host) == 0 && w->puts == 0);
    for (etl_ref *etl : {&w->registry.etl, &w->registry.second}) {
        CHECK(etl->slots == 0);
        etl->is_known = false;
        transfer_host_etl_changed(*w->host, *etl);
    }
    transfer_host_free(w->host);
    CHECK(etl_of(*w).holds == 0 && w->registry.second.holds == 0);
    run(*w);
    CHECK(memory_files(w->world->now, "/data/tmp").empty());
    store_close(w->objects);
    run(*w);
    memory_net_end(w->net);
    memory_free(w->world);
    delete w;
    return 0;
}

// ---- objects

inline void world_put(transfer_world &w, const std::string &name, std::string_view content)
{
    struct waiting {
        int count = 0;
        error err;
    } done;
    put *p = put_start(*w.objects, "b", name, {});
    while (content.size() > put_buffer_size) {
        std::memcpy(put_buffer(*p).data(), content.data(), put_buffer_size);
        put_write(
            *p, put_buffer_size,
            [](void *arg, error err) {
                *static_cast<waiting *>(arg) = {1, err};
            },
            &done);
        run(w);
        content.remove_prefix(put_buffer_size);
    }
    std::memcpy(put_buffer(*p).data(), content.data(), content.size());
    put_commit(
        *p, content.size(), false, 0,
        [](void *arg, error err, const index_row &) {
            *static_cast<waiting *>(arg) = {1, err};
        },
        &done);
    run(w);
    test_true(done.count == 1 && !done.err);
}

// False: there is none.
inline bool world_get(transfer_world &w, const std::string &name, std::string &out_content)
{
    struct waiting {
        transfer_world *w = nullptr;
        error err;
        std::string content;
    } got{&w, make_error(error_code::internal), {}};
    store_get(
        *w.objects, "b", name,
        [](void *arg, error err, const store_object *object) {
            auto &to = *static_cast<waiting *>(arg);
            to.err = err;
            if (err)
                return;
            to.content = object->has_content ? object->content : to.w->world->now.nodes[object->file->node].data;
            store_release(*to.w->objects, object);
        },
        &got);
    run(w);
    out_content = got.content;
    return !got.err;
}

// Flips a bit in every content file of this size.
inline void world_damage(transfer_world &w, size_t size, size_t at)
{
    for (auto &[id, node] : w.world->now.nodes) {
        if (!node.is_dir && node.data.size() == size)
            node.data[at] = static_cast<char>(node.data[at] ^ 1);
    }
}

inline std::string pattern(size_t size)
{
    std::string out(size, '\0');
    for (size_t i = 0; i < size; i++)
        out[i] = static_cast<char>('a' + (i * 131 + i / 257) % 26);
    return out;
}

// ---- clients

inline net_conn &client_ask(transfer_world &w, const std::string &request_line, const std::string &headers = {}, std::string_view body = {})
{
    net_conn &c = wire_open(w.net);
    wire_send(c, request_line + " HTTP/1.1\r\nHost: t1\r\n" + headers + "\r\n" + std::string(body));
    return c;
}

inline void client_leave(transfer_world &w, net_conn &c)
{
    wire_finish(c);
    run(w);
}

// ---- pods

// The newest connection to the pod with a request that has no answer yet; null: there is none.
inline net_conn *pod_asked(transfer_world &w)
{
    for (size_t i = w.net.conns.size(); i-- > 0;) {
        net_conn &c = *w.net.conns[i];
        if (!c.address.empty() && !c.is_closed && c.out.find("\r\n\r\n") != std::string::npos)
            return &c;
    }
    return nullptr;
}

// Answers that request, and returns it.
inline std::string pod_say(transfer_world &w, std::string_view answer, net_conn **out_conn = nullptr)
{
    run(w);
    net_conn *pod = pod_asked(w);
    if (pod == nullptr)
        test_fail("the pod has not been asked");
    std::string request = wire_take(*pod);
    wire_send(*pod, answer);
    run(w);
    if (out_conn != nullptr)
        *out_conn = pod;
    return request + wire_take(*pod);
}

inline std::string with_length(std::string_view body, int status = 200, const std::string &headers = {})
{
    return "HTTP/1.1 " + std::to_string(status) + " OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + headers + "\r\n" +
           std::string(body);
}

// Longer than the node withholds the end of an answer.
inline void settle(transfer_world &w) { pass(w, 2 * pod_behind_wait_ms); }

// ---- verdicts

// The answer that the client got, which is removed from the connection. Status 0: it is not whole by its own framing.
struct client_answer {
    int status = 0;
    std::string head, body;
};
inline client_answer client_read(net_conn &c)
{
    client_answer t;
    std::string got = wire_take(c);
    size_t end = got.find("\r\n\r\n");
    if (end == std::string::npos)
        return t;
    t.head = got.substr(0, end + 2);
    std::string rest = got.substr(end + 4);
    int status = std::atoi(got.c_str() + std::string_view("HTTP/1.1 ").size());
    size_t at = t.head.find("Content-Length: ");
    if (at != std::string::npos) {
        t.body = rest;
        bool is_whole = rest.size() == static_cast<size_t>(std::atoll(t.head.c_str() + at + 16));
        t.status = is_whole ? status : 0;
        return t;
    }
    if (t.head.find("Transfer-Encoding: chunked") == std::string::npos) {
        t.status = status; // no body: HEAD, 304
        return t;
    }
    for (;;) {
        size_t line = rest.find("\r\n");
        if (line == std::string::npos)
            return t;
        size_t size = std::strtoull(rest.c_str(), nullptr, 16);
        if (size == 0) {
            t.status = rest == "0\r\n\r\n" ? status : 0;
            return t;
        }
        if (rest.size() < line + 2 + size + 2)
            return t;
        t.body += rest.substr(line + 2, size);
        rest.erase(0, line + 2 + size + 2);
    }
}

// The state that the newest transfer (or upload) is in.
inline std::string state_of(const char *machine)
{
    struct visitor {
        std::string_view machine;
        std::string state;
    } v{machine, "none"};
    sm_trace_each(
        [](void *arg, const sm_trace_entry &entry) {
            auto &to = *static_cast<visitor *>(arg);
            if (to.machine == entry.machine && entry.to != nullptr)
                to.state = entry.to;
        },
        &v);
    return v.state;
}

// Runs step by step until the newest machine is in that state.
inline void run_to(transfer_world &w, const char *machine, std::string_view state)
{
    for (int i = 0; i < 10'000 && state_of(machine) != state; i++)
        test_true(memory_step(*w.world));
    test_eq_text(state_of(machine), state);
}

// ---- what most cases of transfers do

inline transfer_world &begin_case(void **state, const std::string &content = "abc")
{
    auto &w = *static_cast<transfer_world *>(*state);
    world_put(w, "o", content);
    return w;
}

inline net_conn &ask(transfer_world &w, const std::string &line = "GET /b/o?uuid=1&x=1", const std::string &headers = {})
{
    net_conn &client = client_ask(w, line, headers);
    run(w);
    return client;
}

inline void check_answer(net_conn &client, int status, std::string_view body)
{
    client_answer t = client_read(client);
    test_eq(t.status, status);
    test_eq_text(t.body, body);
    test_has_text(t.head, "Etlnode-Etl: JGHEoo89gg\r\n");
    test_has_text(t.head, "Etlnode-Etl-Generation: g1\r\n");
}

inline void check_refusal(net_conn &client, int status, std::string_view text)
{
    client_answer t = client_read(client);
    test_eq(t.status, status);
    test_has_text(t.body, text);
}

// The client got nothing that it could take for a whole answer, and a reset.
inline void check_cut(net_conn &client)
{
    test_eq(client_read(client).status, 0);
    test_true(client.is_closed && client.resets);
}

inline void check_last_is(transfer_world &w, const char *outcome)
{
    test_true(!w.outcomes.empty());
    test_eq_text(w.outcomes.back(), outcome);
}

inline void check_ended(transfer_world &w, const char *outcome)
{
    check_last_is(w, outcome);
    test_eq(transfer_host_in_flight(*w.host), 0u);
    test_eq(etl_of(w).slots, 0u);
}

} // namespace etlnode
