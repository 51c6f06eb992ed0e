// SPDX-License-Identifier: MIT
// test/sim/sim_load.cc: the clients.
#include "sim_load.h"

#include <algorithm>

#include "base/limits.h"
#include "base/text.h"
#include "codec/json.h"
#include "sim_judge.h"

namespace etlnode {

static constexpr const char *proxy_address = "10.0.0.1";
static constexpr const char *node_network = "10.0.0.";
static constexpr uint16_t node_port = 8080;

static void op_send(client_op *op, const std::string &address, uint16_t port, const std::string &target, bool is_last);

static client_op *op_make(sim_load &l, client_op::kind what, std::string method, std::string path)
{
    auto *op = new client_op;
    op->load = &l;
    op->what = what;
    op->method = std::move(method);
    op->path = std::move(path);
    op->start_us = l.world->now_us;
    l.in_flight++;
    l.begun++;
    return op;
}

static void op_free(client_op *op, int status = 0)
{
    op->load->in_flight--;
    if (op->on_answer != nullptr)
        op->on_answer(op->arg, status);
    delete op;
}

static const char *ending_name(sim_call::ending how)
{
    static const char *const names[] = {"none", "answered", "finished", "reset", "refused", "gave up", "timed out"};
    return names[static_cast<size_t>(how)];
}

// --- sending

static bool is_redirect_status(int status) { return status == 301 || status == 307; }

static void on_answer(void *arg, sim_call &call)
{
    auto *op = static_cast<client_op *>(arg);
    sim_load &l = *op->load;
    sim_world &w = *l.world;
    bool is_whole = !call.got.empty() && call.got.back().at == sim_message::state::complete && call.got.size() == call.answers;
    // A head that arrives too slowly is answered before it is known to be a HEAD.
    bool is_early_answer = call.is_head && op->misbehaves && !call.got.empty() && call.got.back().status() == 408;
    if (!call.surplus.empty() && !sim_is_from_pod(*op) && !is_early_answer)
        sim_fail(w, "S2: %s %s%s: %zu bytes after the answer: %s", op->method.c_str(), op->path.c_str(), op->query.c_str(),
            call.surplus.size(), call.surplus.substr(0, 80).c_str());
    if (!is_whole) {
        sim_want(op, op->misbehaves, ending_name(call.how));
        if (op->object != nullptr && !call.got.empty() && call.got.back().status() == 200 &&
            (op->what == client_op::kind::read || op->what == client_op::kind::transform))
            sim_judge_body(op, call.got.back(), false);
        op_free(op);
        return;
    }
    const sim_message &m = call.got.back();
    std::string location = sim_header(m, "location");
    std::string address, rest;
    uint16_t port = 0;
    bool is_redirect = is_redirect_status(m.status()) && op->hops < 6 && sim_url_split(location, address, port, rest);
    if (is_redirect) {
        op->hops++;
        op->at = nullptr;
        bool was_at_pod = op->ends_at_pod;
        op->ends_at_pod = was_at_pod || !address.starts_with(node_network);
        bool is_by_node_port = address.starts_with(sim_machine_network);
        if (!was_at_pod && sim_is_from_pod(*op) && is_by_node_port != op->etl->has_node_port)
            sim_fail(w, "hpull_address: %s is redirected to %s", op->etl->name.c_str(), address.c_str());
        op_send(op, address, port, rest, true);
        return;
    }
    if (is_redirect_status(m.status()) && op->what != client_op::kind::several && !sim_is_from_pod(*op))
        sim_fail(w, "%s %s%s: a redirect too many", op->method.c_str(), op->path.c_str(), op->query.c_str());
    sim_judge(op, m);
    op_free(op, m.status());
}

// Chooses how the client misbehaves, for the request that carries the payload.
static void draw_manners(client_op *op, sim_call &call)
{
    sim_world &w = *op->load->world;
    if (op->load->is_calm)
        return;
    if (sim_hit(w, sim_fault::client_disconnect_at_byte)) {
        op->misbehaves = true;
        if (sim_chance(w, 500))
            call.stop_sending_at = static_cast<size_t>(sim_below(w, call.request.size()));
        else
            call.hang_up_at = static_cast<size_t>(sim_between(w, 1, 20'000));
    } else if (sim_hit(w, sim_fault::client_half_close)) {
        op->misbehaves = true;
        call.half_close = true;
        if (sim_chance(w, 500))
            call.stop_sending_at = static_cast<size_t>(sim_below(w, call.request.size()));
    } else if (sim_hit(w, sim_fault::client_stall)) {
        op->misbehaves = true;
        call.stall_us = sim_between(w, 1'000'000, 50'000'000);
        call.piece = static_cast<size_t>(sim_between(w, 10, 4'000));
        call.pause_us = sim_chance(w, 500) ? sim_between(w, 10'000, 40'000'000) : 0;
    } else if (call.request.size() < 3'000 && sim_hit(w, sim_fault::client_one_byte_writes)) {
        call.piece = 1;
        call.pause_us = sim_between(w, 1, 2'000);
        op->misbehaves = true; // a long head may take longer than head_timeout_ms
    }
}

static void op_send(client_op *op, const std::string &address, uint16_t port, const std::string &target, bool is_last)
{
    sim_load &l = *op->load;
    sim_world &w = *l.world;
    sim_call call;
    call.host = l.clients;
    call.address = address;
    call.port = port;
    call.is_head = op->method == "HEAD";
    call.on_done = on_answer;
    call.arg = op;
    const std::string body = is_last ? op->body : ""; // the proxy redirects without a body
    call.request = op->method + " " + target + " HTTP/1.1\r\nHost: " + address + "\r\n" + op->headers;
    bool has_body = op->method == "PUT" || op->method == "POST" || !body.empty();
    if (has_body && op->what != client_op::kind::copy && sim_chance(w, 200) && !op->lies && is_last) {
        call.request += "Transfer-Encoding: chunked\r\n\r\n";
        for (size_t at = 0; at < body.size();) {
            size_t size = std::min<size_t>(body.size() - at, static_cast<size_t>(sim_between(w, 1, 30'000)));
            call.request += text_format("%zx\r\n", size) + body.substr(at, size) + "\r\n";
            at += size;
        }
        call.request += "0\r\n\r\n";
    } else if (has_body) {
        call.request += text_format(
                            "Content-Length: %zu\r\n\r\n", body.size() + (op->lies && !op->has_body ? 1 + sim_below(w, 5'000) : 0)) +
                        body;
    } else {
        call.request += "\r\n";
    }
    if (op->lies && is_last && !op->has_body) { // then it hangs up
        call.stop_sending_at = call.request.size();
        call.half_close = sim_chance(w, 500);
    }
    if (sim_chance(w, 100))
        call.linger_us = !l.is_calm && sim_hit(w, sim_fault::client_idle) ? 80'000'000 : 200'000;
    if (is_last && !op->lies && op->what != client_op::kind::member)
        draw_manners(op, call);
    if (call.stop_sending_at < SIZE_MAX || call.hang_up_at < SIZE_MAX)
        call.linger_us = 0;
    sim_call_start(call);
}

// While targets come and go, some clients use an old map, or guess: they ask a target at once, which may be a wrong one.
static void op_begin(client_op *op, bool is_redirected)
{
    sim_load &l = *op->load;
    // A target that is silent when a bucket is destroyed shows it until it hears of that; so only objects of the other bucket.
    bool may_guess = is_redirected && l.moves && !l.is_calm && op->object != nullptr && op->path.starts_with("/v1/objects/b/");
    size_t guess = l.guess;
    if (guess == 0 && may_guess && l.guesses && rng_below(l.move_random, 6) == 0)
        guess = static_cast<size_t>(1 + rng_below(l.move_random, l.cluster->nodes.size() - 1));
    bool is_write = op->what == client_op::kind::put || op->what == client_op::kind::remove;
    // One that was given up may show old data until it hears of that. But it acknowledges nothing.
    if (guess > 0 && may_guess && (is_write || !l.cluster->nodes[guess]->is_lost))
        op->at = l.cluster->nodes[guess];
    if (op->at != nullptr)
        op_send(op, node_network + std::to_string(guess + 1), node_port,
            op->path + op->query + (op->query.empty() ? "?" : "&") + "pid=guess&utm=1", true);
    else
        op_send(op, proxy_address, node_port, op->path + op->query, !is_redirected);
}

// --- operations

static std::string object_path(const sim_object &o) { return "/v1/objects/" + o.bucket + "/" + o.name; }

static size_t draw_size(sim_world &w)
{
    switch (sim_below(w, 8)) {
    case 0: return 0;
    case 1: return static_cast<size_t>(sim_between(w, 1, 100));
    case 2: return static_cast<size_t>(sim_between(w, 4'000, 4'200));
    case 3: return static_cast<size_t>(sim_between(w, 1'000, 20'000));
    case 4: return static_cast<size_t>(sim_between(w, 20'000, 70'000));
    case 5: return static_cast<size_t>(sim_between(w, index_content_size_max - 2, index_content_size_max + 3)); // in the index, or in files
    case 6:
        return static_cast<size_t>(
            sim_between(w, 1, 2) * put_buffer_size + sim_below(w, 2)); // nothing, or one byte, is left for the commit
    default: return static_cast<size_t>(sim_between(w, 64 * 1024, 300 * 1024));
    }
}

void sim_load_put(sim_load &l, sim_object &o)
{
    client_op *op = op_make(l, client_op::kind::put, "PUT", object_path(o));
    op->object = &o;
    sim_write write{.id = l.next_write++, .start_us = l.world->now_us, .size = draw_size(*l.world)};
    op->body = sim_content(write);
    if (!l.is_calm && sim_hit(*l.world, sim_fault::client_wrong_checksum)) {
        op->headers = "Ais-Checksum-Type: xxhash2\r\nAis-Checksum-Value: 00000000deadbeef\r\n";
        op->lies = true; // as with a body that never arrives: it must not be acknowledged
        op->has_body = true;
    } else if (!l.is_calm && sim_hit(*l.world, sim_fault::client_content_length_lie)) {
        op->lies = true;
        op->misbehaves = true;
    } else {
        op->write = o.writes.size();
        o.writes.push_back(write);
    }
    op_begin(op, true);
}

void sim_load_remove(sim_load &l, sim_object &o)
{
    client_op *op = op_make(l, client_op::kind::remove, "DELETE", object_path(o));
    op->object = &o;
    op->write = o.writes.size();
    o.writes.push_back({.id = l.next_write++, .start_us = l.world->now_us, .is_absent = true});
    op_begin(op, true);
}

static void read_object(sim_load &l, sim_object &o, client_op::kind what)
{
    client_op *op = op_make(l, what, what == client_op::kind::head ? "HEAD" : "GET", object_path(o));
    op->object = &o;
    if (what == client_op::kind::range) {
        op->range_from = sim_below(*l.world, 5'000);
        op->range_to = op->range_from + sim_below(*l.world, 100'000);
        op->headers = text_format(
            "Range: bytes=%llu-%llu\r\n", static_cast<unsigned long long>(op->range_from), static_cast<unsigned long long>(op->range_to));
    }
    op_begin(op, true);
}

void sim_load_read(sim_load &l, sim_object &o) { read_object(l, o, client_op::kind::read); }

static void read_transformed(sim_load &l, sim_object &o, sim_etl &etl)
{
    client_op *op = op_make(l, client_op::kind::transform, "GET", object_path(o));
    op->object = &o;
    op->etl = &etl;
    op->query = (sim_chance(*l.world, 500) ? "?uuid=" : "?etl_name=") + etl.id;
    if (!l.is_calm && sim_chance(*l.world, 50)) {
        op->method = "HEAD";
        op->what = client_op::kind::page;
    }
    op_begin(op, true);
}

static constexpr size_t sources = 12; // the first objects; the others are copies, also of these

static void copy_object(sim_load &l, sim_etl *etl)
{
    sim_object &from = *l.objects[static_cast<size_t>(rng_below(l.copy_random, sources))];
    sim_object &to = *l.objects[sources + static_cast<size_t>(rng_below(l.copy_random, l.objects.size() - sources))];
    client_op *op = op_make(l, client_op::kind::copy, "PUT", object_path(from));
    op->object = &to;
    op->etl = etl;
    op->query = "?object_to=ais%2F%40%23%2F" + to.bucket + "%2F" + to.name + "&latest-ver=false&synchronize=false";
    if (etl != nullptr)
        op->query += (rng_below(l.copy_random, 2) == 0 ? "&uuid=" : "&etl_name=") + etl->id;
    // The transform is its own inverse: after two stages the object is as it was.
    uint64_t stages = etl != nullptr ? 1 + rng_below(l.copy_random, 4) / 2 + rng_below(l.copy_random, 4) / 3 : 0;
    for (uint64_t stage = 2; stage <= stages; stage++)
        op->query += (stage == 2 ? "&etl_pipeline=" : ",") + etl->id;
    sim_write write;
    write.id = l.next_write++;
    write.start_us = l.world->now_us;
    write.copied_from = &from;
    write.is_transformed = stages % 2 == 1;
    op->write = to.writes.size();
    to.writes.push_back(write);
    op_begin(op, true);
}

void sim_load_list(sim_load &l, const std::string &bucket)
{
    client_op *op = op_make(l, client_op::kind::list, "GET", "/v1/buckets/" + bucket);
    op->body = R"({"action":"list","name":"","value":{}})";
    op_begin(op, false);
}

void sim_load_list_page(sim_load &l, const std::string &bucket, const std::string &after, size_t size)
{
    client_op *op = op_make(l, client_op::kind::list, "GET", "/v1/buckets/" + bucket);
    op->body = text_format(R"({"action":"list","name":"","value":{"pagesize":%zu,"continuation_token":"%s"}})", size, after.c_str());
    op->list_after = after;
    op->list_size = size;
    op_begin(op, false);
}

void sim_load_member(sim_load &l, const std::string &body, void (*on_answer)(void *arg, int status), void *arg)
{
    client_op *op = op_make(l, client_op::kind::member, "PUT", "/v1/cluster");
    op->body = body;
    op->on_answer = on_answer;
    op->arg = arg;
    op_begin(op, false);
}

static void list_etls(sim_load &l)
{
    op_begin(op_make(l, client_op::kind::etls, "GET", sim_chance(*l.world, 500) ? "/v1/etl/list" : "/v1/etl"), false);
}

void sim_load_create_bucket(sim_load &l, const std::string &bucket)
{
    client_op *op = op_make(l, client_op::kind::create_bucket, "POST", "/v1/buckets/" + bucket);
    op->body = R"({"action":"create-bck"})";
    op_begin(op, false);
}

static void destroy_bucket(sim_load &l)
{
    client_op *op = op_make(l, client_op::kind::destroy_bucket, "DELETE", "/v1/buckets/v");
    op->body = R"({"action":"destroy-bck"})";
    for (sim_object *o : l.objects) {
        if (o->bucket != "v")
            continue;
        sim_write write;
        write.id = l.next_write++;
        write.start_us = l.world->now_us;
        write.is_absent = true;
        op->removals.emplace_back(o, o->writes.size());
        o->writes.push_back(write);
    }
    op_begin(op, false);
}

void sim_load_init(sim_load &l)
{
    sim_world &w = *l.world;
    static const char *const modes[] = {"hpush://", "hrev://", "hpull://"};
    auto *etl = new sim_etl;
    l.etls.push_back(etl);
    etl->name = text_format("simulated-%zu", l.etls.size());
    etl->mode = modes[sim_below(w, 3)];
    etl->manners.frames = static_cast<sim_manners::framing>(sim_below(w, 3));
    etl->manners.only_post = sim_chance(w, 300);
    etl->manners.only_put = !etl->manners.only_post && sim_chance(w, 300);
    etl->manners.is_hostile = sim_chance(w, 600);
    etl->manners.ends_with_fin = sim_chance(w, 500);
    etl->manners.unread_every = l.etls.size() % 3 == 0 ? 1 + static_cast<unsigned>(l.etls.size() / 3 * 5 % 8)
                                                       : 0; // not drawn, so that existing seeds keep their course
    etl->is_of_today = sim_chance(w, 400);
    etl->requires_framing = sim_chance(w, 200);
    etl->has_node_port = etl->mode == "hpull://" && sim_chance(w, 600);
    client_op *op = op_make(l, client_op::kind::init, etl->is_of_today ? "PUT" : "POST", etl->is_of_today ? "/v1/etl" : "/v1/etl/init");
    op->etl = etl;
    op->body = text_format(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: %s\n  annotations:\n    communication_type: %s\n    wait_timeout: %llus\n    "
        "obj_timeout: %llus\n%s%sspec:\n  containers:\n    - name: server\n      image: %s\n      ports:\n        - containerPort: 80\n",
        etl->name.c_str(), etl->mode.c_str(), static_cast<unsigned long long>(sim_between(w, 3, 20)),
        static_cast<unsigned long long>(sim_between(w, 2, 20)), etl->requires_framing ? "    require_framing: \"true\"\n" : "",
        etl->has_node_port ? "    hpull_address: node_port\n" : "", sim_manners_image(etl->manners).c_str());
    if (etl->is_of_today)
        op->body = text_format(
            "{\"name\":\"%s\",\"communication\":\"%s\",\"init_timeout\":\"%llus\",\"obj_timeout\":\"%llus\",\"spec\":\"%s\"}",
            etl->name.c_str(), etl->mode.c_str(), static_cast<unsigned long long>(sim_between(w, 3, 20)),
            static_cast<unsigned long long>(sim_between(w, 2, 20)), base64_encode(op->body).c_str());
    op_begin(op, false);
}

void sim_load_stop(sim_load &l, sim_etl &etl)
{
    client_op *op = op_make(l, client_op::kind::stop, "DELETE", "/v1/etl/stop/" + etl.id);
    op->etl = &etl;
    etl.stop_begun = true;
    op_begin(op, false);
}

// For today's ETLs: the pods go and come back, the ETL stays.
static void halt_or_start(sim_load &l, sim_etl &etl)
{
    bool starts = sim_chance(*l.world, 500);
    client_op *op = op_make(
        l, starts ? client_op::kind::start : client_op::kind::halt, "POST", "/v1/etl/" + etl.id + (starts ? "/start" : "/stop"));
    op->etl = &etl;
    etl.is_doubtful = true;
    op_begin(op, false);
}

// Sends a head that no server may accept.
static void send_bad_head(sim_load &l)
{
    static const char *const heads[] = {
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "PUT /v1/objects/b/o HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
        "\x16\x03\x01 hello\r\n\r\n",
    };
    client_op *op = op_make(l, client_op::kind::several, "BAD", "head");
    op->misbehaves = true;
    sim_call call;
    call.host = l.clients;
    call.address = text_format("10.0.0.%llu", static_cast<unsigned long long>(sim_between(*l.world, 1, l.cluster->nodes.size())));
    call.port = node_port;
    call.on_done = on_answer;
    call.arg = op;
    call.request = heads[sim_below(*l.world, std::size(heads))];
    sim_call_start(call);
}

// Sends several requests at once on one connection, directly to a target.
static void pipeline(sim_load &l)
{
    sim_world &w = *l.world;
    client_op *op = op_make(l, client_op::kind::several, "GET", "several");
    op->misbehaves = true;
    sim_call call;
    call.host = l.clients;
    call.address = text_format("10.0.0.%llu", static_cast<unsigned long long>(sim_between(w, 1, l.cluster->nodes.size())));
    call.port = node_port;
    call.answers = static_cast<size_t>(sim_between(w, 2, 6));
    call.on_done = on_answer;
    call.arg = op;
    call.linger_us = 100'000;
    for (size_t i = 0; i < call.answers; i++)
        call.request += text_format(
            "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", sim_chance(w, 500) ? "/v1/health" : "/v1/daemon?what=smap");
    sim_call_start(call);
}

void sim_load_ask(sim_load &l, const std::string &method, const std::string &path, const std::string &query, const std::string &body)
{
    client_op *op = op_make(l, client_op::kind::page, method, path);
    op->query = query;
    op->body = body;
    op_begin(op, false);
}

// Relative frequencies of the operations. A run has one of these profiles.
struct load_profile {
    uint64_t put, remove, read, head, range, transform, list, etls, init, stop, bucket, page, pipeline;
};
static constexpr load_profile profiles[] = {
    {24, 3, 13, 3, 4, 30, 4, 2, 6, 2, 2, 2, 2}, // a mixture
    {50, 10, 20, 3, 5, 0, 8, 0, 0, 0, 6, 1, 1}, // mostly storage
    {10, 1, 4, 1, 1, 80, 1, 1, 2, 1, 0, 1, 1},  // mostly transforms
    {6, 1, 4, 0, 0, 20, 1, 8, 24, 14, 4, 4, 0}, // ETLs start and stop
};

void sim_load_act(sim_load &l)
{
    sim_world &w = *l.world;
    const load_profile &profile = profiles[l.profile % std::size(profiles)];
    sim_object &o = *l.objects[static_cast<size_t>(sim_below(w, l.objects.size()))];
    sim_etl *etl = sim_load_draw_etl(l);
    uint64_t total = profile.put + profile.remove + profile.read + profile.head + profile.range + profile.transform + profile.list +
                     profile.etls + profile.init + profile.stop + profile.bucket + profile.page + profile.pipeline;
    uint64_t at = sim_below(w, total);
    auto is = [&](uint64_t parts) {
        bool hit = at < parts;
        at -= hit ? 0 : parts;
        return hit;
    };
    if (is(profile.put))
        sim_load_put(l, o);
    else if (is(profile.remove))
        sim_load_remove(l, o);
    else if (is(profile.read))
        read_object(l, o, client_op::kind::read);
    else if (is(profile.head))
        read_object(l, o, client_op::kind::head);
    else if (is(profile.range))
        read_object(l, o, client_op::kind::range);
    else if (is(profile.transform))
        etl != nullptr ? read_transformed(l, o, *etl) : sim_load_put(l, o);
    else if (is(profile.list))
        l.moves &&rng_below(l.move_random, 2) == 0 ? sim_load_list_page(l, o.bucket, "", 1 + rng_below(l.move_random, 8))
                                                   : sim_load_list(l, o.bucket);
    else if (is(profile.etls))
        list_etls(l);
    else if (is(profile.init))
        l.etls.size() < 16 ? sim_load_init(l) : list_etls(l);
    else if (is(profile.stop))
        etl != nullptr ? sim_load_stop(l, *etl) : list_etls(l);
    else if (is(profile.bucket))
        l.volatile_exists ? destroy_bucket(l) : sim_load_create_bucket(l, "v");
    else if (is(profile.page))
        op_begin(
            op_make(l, client_op::kind::page, "GET", etl != nullptr && sim_chance(w, 500) ? "/v1/etl/logs/" + etl->id : "/metrics"), false);
    else if (sim_hit(w, sim_fault::client_pipelining))
        pipeline(l);
    if (l.copies && rng_below(l.copy_random, 3) == 0)
        copy_object(l, rng_below(l.copy_random, 3) == 0 ? nullptr : etl);
    if (sim_hit(w, sim_fault::client_bad_head))
        send_bad_head(l);
    if (etl != nullptr && etl->is_of_today && sim_chance(w, profile.init * 5))
        halt_or_start(l, *etl);
    if (sim_hit(w, sim_fault::client_range_storm)) {
        for (int i = 0; i < 12; i++)
            read_object(l, o, client_op::kind::range);
    }
}

void sim_load_write_at(sim_load &l, size_t node)
{
    sim_object &o = *l.objects[static_cast<size_t>(rng_below(l.move_random, l.objects.size()))];
    l.guess = node;
    rng_below(l.move_random, 4) == 0 ? sim_load_remove(l, o) : sim_load_put(l, o);
    l.guess = 0;
}

void sim_load_touch(sim_load &l)
{
    sim_object &o = *l.objects[static_cast<size_t>(rng_below(l.move_random, l.objects.size()))];
    uint64_t at = rng_below(l.move_random, 100);
    if (at < 25)
        sim_load_put(l, o);
    else if (at < 40)
        sim_load_remove(l, o);
    else if (at < 65)
        read_object(l, o, client_op::kind::read);
    else if (at < 70)
        read_object(l, o, client_op::kind::head);
    else if (at < 85)
        sim_load_list(l, o.bucket);
    else if (at < 97)
        sim_load_list_page(l, o.bucket, "", static_cast<size_t>(1 + rng_below(l.move_random, 8)));
    else
        l.volatile_exists ? destroy_bucket(l) : sim_load_create_bucket(l, "v");
}

void sim_load_verify(sim_load &l)
{
    l.is_calm = true;
    l.refused_when_calm = 0;
    for (sim_object *o : l.objects)
        read_object(l, *o, client_op::kind::read);
    for (sim_etl *etl : l.etls) {
        if (etl->id.empty() || etl->stop_begun || etl->is_doubtful)
            continue;
        for (int i = 0; i < 2; i++)
            read_transformed(l, *l.objects[static_cast<size_t>(sim_below(*l.world, l.objects.size()))], *etl);
    }
    if (l.copies) {
        copy_object(l, nullptr);
        for (sim_etl *etl : l.etls) {
            if (!etl->id.empty() && !etl->stop_begun && !etl->is_doubtful)
                copy_object(l, etl);
        }
    }
    sim_load_list(l, "b");
    if (l.moves)
        sim_load_list_page(l, "b", "", 5);
    list_etls(l);
}

sim_load *sim_load_make(sim_world &w, sim_cluster &c)
{
    auto *l = new sim_load;
    l->world = &w;
    l->cluster = &c;
    l->clients = sim_host_make(w, sim_host_kind::client, "clients", "10.0.1.1", memory_empty());
    l->copies = w.seed % 4 == 3;
    l->copy_random = rng{w.seed * 0x9e3779b97f4a7c15ull + 1};
    l->moves = sim_moves_in(w);
    l->move_random = rng{w.seed * 0xd1342543de82ef95ull + 1};
    for (int i = 0; i < (l->moves ? 30 : l->copies ? 15 : 12); i++) {
        auto *o = new sim_object;
        o->bucket = i < 9 || i >= 12 ? "b" : "v";
        o->name = text_format("o%d", i);
        o->writes.push_back({0, 0, 0, true, 0});
        l->objects.push_back(o);
    }
    return l;
}

void sim_load_free(sim_load *l)
{
    CHECK(l->in_flight == 0);
    sim_host_free(l->clients);
    for (sim_object *o : l->objects)
        delete o;
    for (sim_etl *etl : l->etls)
        delete etl;
    delete l;
}

} // namespace etlnode
