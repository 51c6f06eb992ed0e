// SPDX-License-Identifier: MIT
#include "role_world.h"

namespace etlnode {

scripted_call &role_begin(role_world &w, std::string_view line, std::string_view body, std::string_view headers, uint16_t port)
{
    w.calls.push_back(new scripted_call);
    scripted_begin(*w.calls.back(), *w.client, w.address, port != 0 ? port : role_port, line, body, headers);
    return *w.calls.back();
}

scripted_call &role_begin_slow_put(role_world &w, std::string_view line, std::string_view body, uint64_t pause_ms, std::string_view headers)
{
    w.calls.push_back(new scripted_call);
    sim_call options;
    options.host = w.client;
    options.address = w.address;
    options.port = role_port;
    options.request = std::string(line) + " HTTP/1.1\r\nHost: " + w.address + "\r\n" + std::string(headers) +
                      text_format("Content-Length: %zu\r\n\r\n", body.size() + (pause_ms == UINT64_MAX ? 1 : 0));
    options.piece = options.request.size();
    options.pause_us = pause_ms == UINT64_MAX ? 0 : pause_ms * 1'000;
    options.request += body;
    options.on_done = scripted_call_done;
    options.arg = w.calls.back();
    w.calls.back()->running = sim_call_start(options);
    return *w.calls.back();
}

const scripted_call &role_await(role_world &w, scripted_call &call)
{
    if (!scripted_until(*w.sim, [&] { return call.running == nullptr; }))
        test_fail("a request has no answer");
    return call;
}

const scripted_call &role_ask(role_world &w, std::string_view line, std::string_view body, std::string_view headers, uint16_t port)
{
    return role_await(w, role_begin(w, line, body, headers, port));
}

std::string role_text(const scripted_call &call)
{
    std::string body = sim_header(call.answer, "hdr-error");
    body = body.empty() ? call.answer.body : body;
    json_ptr tree;
    std::string where;
    if (json_parse(body, tree, where) || json_text(tree.get(), "message").empty())
        return body;
    return std::string(json_text(tree.get(), "message"));
}

void role_check(const scripted_call &call, std::string_view what, int status, std::string_view says)
{
    if (call.how != sim_call::ending::answered || call.status() != status || role_text(call).find(says) == std::string::npos)
        test_fail("%.*s\n  answered %d: %s\n  expected %d: %.*s", static_cast<int>(what.size()), what.data(), call.status(),
            role_text(call).c_str(), status, static_cast<int>(says.size()), says.data());
}

void role_check_cases(role_world &w, std::span<const role_case> cases, uint16_t port)
{
    for (const role_case &one : cases) {
        std::string_view body = one.body != nullptr ? std::string_view(one.body) : std::string_view();
        role_check(role_ask(w, one.line, body, one.headers, port), one.line, one.status, one.says);
    }
}

void role_expect(role_world &w, std::string_view line, std::string_view body, int status, std::string_view says)
{
    role_check(role_ask(w, line, body), line, status, says);
}

const scripted_call &role_ask_as_node(role_world &w, std::string_view line, std::string_view body)
{
    return role_ask(w, line, body, role_secret_header);
}

void role_on_ready(void *arg, error err, const std::string &detail)
{
    auto &w = *static_cast<role_world *>(arg);
    w.is_started = true;
    w.start_err = err;
    w.start_detail = detail;
}

void role_begin_start(role_world &w)
{
    w.is_started = w.is_draining = w.is_drained = false;
    w.node = sim_host_make(
        *w.sim, w.options.is_target ? sim_host_kind::target : sim_host_kind::proxy, "node", w.options.listen_host, w.image);
    w.address = w.options.listen_host;
    error err = w.options.is_target ? target_start(w.node->e, w.options, role_on_ready, &w, &w.t)
                                    : proxy_start(w.node->e, w.options, role_on_ready, &w, &w.p);
    test_ok(err);
    sim_settle(w.node);
}

void role_start(role_world &w)
{
    role_begin_start(w);
    test_true(scripted_until(*w.sim, [&] { return w.is_started; }));
}

void role_fail_disk(role_world &w, memory_op op, error_code code, const std::string &path_part, size_t count)
{
    w.node->has_planned_faults = true;
    w.node->faults.push_back({.op = op, .err = make_error(code), .path_part = path_part, .count = count});
}

void role_begin_drain(role_world &w)
{
    w.is_draining = true;
    if (w.p != nullptr)
        proxy_drain(*w.p, role_on_drained, &w);
    else
        target_drain(*w.t, role_on_drained, &w);
    sim_settle(w.node);
}

// After a drain or a failed start. The next node starts with this one's disk. Anything else that is left fails the test.
static void role_free_node(role_world &w)
{
    if (w.p != nullptr)
        proxy_free(w.p);
    if (w.t != nullptr)
        target_free(w.t);
    w.p = nullptr;
    w.t = nullptr;
    auto is_at_rest = [&] {
        return w.node->todo.empty() && w.node->done.empty() && w.node->clock.posts.empty() && w.node->open_files == 0 &&
               w.node->children.empty() && w.node->clock.timers == 0;
    };
    test_true(scripted_until(*w.sim, is_at_rest));
    w.image = memory_take(*w.node, memory_crash::killed);
    sim_host_free(w.node);
    w.node = nullptr;
}

void role_stop(role_world &w)
{
    if (w.node == nullptr)
        return;
    if (!w.start_err) {
        if (!w.is_drained) {
            if (!w.is_draining)
                role_begin_drain(w);
            test_true(scripted_until(*w.sim, [&] { return w.is_drained; }));
        }
    }
    role_free_node(w);
}

void role_check_bad_starts(role_world &w, std::span<const role_bad_start> operations, std::span<const role_bad_document> documents)
{
    role_stop(w);
    for (const role_bad_start &one : operations) {
        w.image = memory_empty();
        role_begin_start(w);
        role_fail_disk(w, one.op, error_code::io, one.path);
        test_true(scripted_until(*w.sim, [&] { return w.is_started; }));
        test_eq_enum(w.start_err.code, error_code::io);
        test_has_text(w.start_detail, one.says);
        role_stop(w);
    }
    for (const role_bad_document &one : documents) {
        w.image = memory_empty();
        w.image.documents[one.name] = {one.version, one.text};
        role_start(w);
        test_true(static_cast<bool>(w.start_err));
        test_has_text(w.start_detail, one.says);
        role_stop(w);
    }
    w.image = memory_empty();
}

role_world *role_world_make(bool is_target)
{
    auto *w = new role_world;
    w->sim = sim_make(11);
    w->sim->kube = sim_kube_make(*w->sim);
    w->client = sim_host_make(*w->sim, sim_host_kind::client, "client", "10.0.1.1", memory_empty());
    w->image = memory_empty();
    node_options &o = w->options;
    o.is_target = is_target;
    o.id = is_target ? role_target_id : role_proxy_id;
    o.listen_host = is_target ? "10.0.0.2" : "10.0.0.1";
    o.listen_port = role_port;
    o.data_dir = "/data";
    o.cluster_secret = role_secret;
    o.version = "unit";
    o.proxy_url = "http://10.0.0.1:8080";
    o.pod_listen_port = role_pod_port;
    o.kubectl = {"kubectl"};
    o.node_name = "node1";
    return w;
}

static void role_world_free(role_world *w)
{
    for (scripted_call *call : w->calls)
        scripted_hang_up(*call);
    role_stop(*w);
    for (auto &[id, peer] : w->peers)
        scripted_node_free(peer);
    sim_kube_clear(*w->sim->kube);
    (void)scripted_until(
        *w->sim, [&] { return w->sim->links.empty(); }, 200'000);
    sim_host_free(w->client);
    sim_kube_free(w->sim->kube);
    scripted_world_free(w->sim);
    for (scripted_call *call : w->calls)
        delete call;
    delete w;
}

int role_tear_down(void **state)
{
    role_world_free(static_cast<role_world *>(*state));
    return 0;
}

int role_set_up_proxy(void **state)
{
    role_world *w = role_world_make(false);
    *state = w;
    role_start(*w);
    return 0;
}

std::string role_disk(const std::string &id)
{
    std::string disk = id;
    std::erase(disk, '-');
    return (disk + "0000000000000000").substr(0, disk_id_size);
}

std::string role_registration(role_world &w, const scripted_node &node, const std::string &more)
{
    cluster_node self;
    self.id = node.id;
    self.is_target = true;
    self.url = "http://" + node.address + ":8080";
    self.digest = placement_digest(node.id);
    self.disk = role_disk(node.id);
    json_ptr tree = node_print(self);
    cluster_document held;
    if (!w.held[node.id].empty())
        test_ok(document_parse(w.held[node.id], held));
    document_identity identity = document_identify(held);
    json_add_text(tree.get(), "cluster", held.uuid);
    json_add_u64(tree.get(), "document_version", identity.version);
    json_add_u64_text(tree.get(), "document_term", identity.term);
    json_add_u64_text(tree.get(), "document_tag", identity.tag);
    json_add_u64_text(tree.get(), "document_digest", identity.digest);
    json_add_u64_text(tree.get(), "started_ns", 7);
    uint64_t epoch = held.placement.epoch;
    if (epoch > 0)
        json_add_tree(tree.get(), "placement", placement_report_print({.adopted = epoch, .settled = epoch, .etls_serve = true}));
    return "{" + more + json_print(tree.get()).substr(1);
}

void role_take_push(role_world &w, const scripted_node &node)
{
    for (size_t &seen = w.seen[node.id]; seen < node.asked.size(); seen++) {
        if (node.asked[seen].first == "PUT" && node.asked[seen].second == "/v1/node/document")
            w.held[node.id] = node.asked[seen].body;
    }
}

const scripted_call &role_register(role_world &w, scripted_node &node, const std::string &more)
{
    role_take_push(w, node);
    const scripted_call &call = role_ask_as_node(w, "POST /v1/node/register", role_registration(w, node, more));
    if (call.status() == 200)
        w.held[node.id] = call.answer.body;
    return call;
}

scripted_node &role_make_peer(role_world &w, const std::string &id, const std::string &address)
{
    scripted_node *node = scripted_node_make(*w.sim, id, address);
    w.peers[id] = node;
    return *node;
}

scripted_node &role_add_target(role_world &w, const std::string &id)
{
    scripted_node &node = role_make_peer(w, id, text_format("10.0.0.%zu", w.peers.size() + 11));
    node.rows.push_back({.match = "PUT /v1/node/document", .status = 204});
    node.rows.push_back({.match = "DELETE /v1/node/bucket/", .status = 204});
    node.rows.push_back({.match = "GET /v1/node/status", .body = R"({"object_count":0})"});
    role_check(role_register(w, node), "POST /v1/node/register", 200, "");
    test_true(scripted_until(*w.sim, [&] { return w.p->targets[id].copy.held_version == proxy_document(*w.p).version; }));
    return node;
}

int role_set_up_cluster(void **state)
{
    role_set_up_proxy(state);
    role_add_target(role_of(state), role_target_id);
    return 0;
}

void role_make_bucket(role_world &w, const std::string &name)
{
    role_expect(w, "POST /v1/buckets/" + name, R"({"action":"create-bck"})", 200);
}

void role_wait_silent(role_world &w, scripted_node &node)
{
    scripted_silence(node);
    test_true(scripted_until(*w.sim, [&] { return proxy_target_is_silent(*w.p, node.id); }));
}

std::string role_document_text(role_world &w)
{
    std::string text = document_print(w.document);
    w.document.digest = document_digest(text);
    return text;
}

std::string role_next_document(role_world &w)
{
    w.document.version++;
    return role_document_text(w);
}

cluster_document role_first_document(const role_world &w)
{
    cluster_document document;
    document.uuid = "CLUSTERuuid1";
    document.created = "2026-01-02 03:04:05";
    document_begin_term(document, 0x1111'2222'3333'4444);
    for (bool is_target : {false, true}) {
        cluster_node node;
        node.id = is_target ? role_target_id : role_proxy_id;
        node.is_target = is_target;
        node.url = is_target ? "http://" + w.options.listen_host + ":8080" : w.options.proxy_url;
        node.digest = placement_digest(node.id);
        document_put_node(document, node);
    }
    return document;
}

int role_set_up_target(void **state)
{
    role_world *w = role_world_make(true);
    *state = w;
    w->document = role_first_document(*w);
    scripted_node &node = role_make_peer(*w, role_proxy_id, "10.0.0.1");
    node.rows.push_back({.match = "POST /v1/node/register", .status = 503, .body = R"({"message":"the proxy is starting"})"});
    role_start(*w);
    return 0;
}

int role_set_up_member(void **state)
{
    role_set_up_target(state);
    role_world &w = role_of(state);
    scripted_node &node = *w.peers[role_proxy_id];
    document_put_bucket(w.document, {.name = "b", .created_ns = 5});
    role_script(node, {.match = "POST /v1/node/register", .status = 204});
    role_check(role_push(w), "PUT /v1/node/document", 204, "");
    return 0;
}

int role_main(std::span<const CMUnitTest> tests)
{
    sm_set_strict(true);
    log_set_level(log_level::error);
    return _cmocka_run_group_tests("role", tests.data(), tests.size(), nullptr, nullptr);
}
} // namespace etlnode
