// SPDX-License-Identifier: MIT
// test/fuzz/fuzz_connection.cc: everything that a client sends on one connection. The handlers must see exactly the requests that a plain
// parser finds in the bytes, however these are cut. After a refused head nothing counts as a request.
#include "fuzz_world.h"
#include "http/server/exchange.h"
#include "sm/sm.h"

using namespace etlnode;

namespace {

struct seen_request {
    std::string method, target, body;
    bool is_complete = false; // the body was read to its end
    bool is_early = false;    // answered without reading the body
};

struct served {
    std::vector<seen_request> requests;
    std::string out;
    bool refused = false;
};

// /e... is answered at once. Everything else is read first and echoed.
static bool is_early(std::string_view target) { return target.starts_with("/e"); }

struct handling {
    served *record = nullptr;
    exchange *x = nullptr;
    size_t number = 0;
};

static void on_body(void *arg, error err, std::string body)
{
    std::unique_ptr<handling> h(static_cast<handling *>(arg));
    seen_request &seen = h->record->requests[h->number];
    seen.is_complete = !err;
    seen.body = body;
    if (err) {
        exchange_answer_error(*h->x, err.code, error_text(err));
        return;
    }
    answer a;
    a.body = std::move(body);
    exchange_answer(*h->x, std::move(a));
}

static void on_request(void *arg, exchange &x)
{
    served &record = *static_cast<served *>(arg);
    const http_head &head = exchange_head(x);
    record.requests.push_back({std::string(head.method), std::string(head.target), {}, false, is_early(head.target)});
    if (is_early(head.target))
        exchange_answer(x, answer{});
    else
        exchange_read_all(x, json_body_size_max, on_body, new handling{&record, &x, record.requests.size() - 1});
}

static served serve(std::string_view text, bool in_one)
{
    served record;
    fuzz_world w;
    fuzz_world_begin(w, text, in_one);
    http_server_options options;
    options.node_id = "t1234567";
    options.on_request = on_request;
    options.arg = &record;
    http_server *server = nullptr;
    FUZZ_CHECK(!http_server_start(w.e, options, "127.0.0.1", 0, &server));
    fuzz_conn &conn = fuzz_conn_make(w, std::string(text));
    w.listener->on_accept(w.listener->arg, fuzz_port_conn(conn));
    fuzz_world_run(w);
    FUZZ_CHECK(conn.closed && http_server_count(*server).connections == 0);
    FUZZ_CHECK(http_server_count(*server).requests == record.requests.size());
    FUZZ_CHECK(http_server_count(*server).bad_requests <= 1);
    record.refused = http_server_count(*server).bad_requests == 1;
    record.out = conn.out;
    http_server_stop(*server);
    fuzz_world_run(w);
    FUZZ_CHECK(w.clock.timers == 0);
    return record;
}

// --- a plain parser of the same bytes

// Takes the body from the front of `rest`; false if it is incomplete or damaged.
static bool take_body(const http_head &head, std::string_view &rest, std::string &body)
{
    if (head.chunked) {
        body = rest;
        http_chunk_decoder_ptr decoder = http_chunk_decoder_make();
        http_chunk_result result = http_chunk_decode(*decoder, body.data(), body.size());
        body.resize(result.decoded);
        rest.remove_prefix(result.consumed);
        return result.done;
    }
    if (!head.has_length)
        return true;
    if (rest.size() < head.length)
        return false;
    body = rest.substr(0, static_cast<size_t>(head.length));
    rest.remove_prefix(body.size());
    return true;
}

static served read_plainly(std::string_view rest)
{
    static http_head head;
    served plan;
    for (;;) {
        size_t size = http_find_head_end(rest, 0);
        if (size == 0)
            return plan;
        if (http_parse_request_head(rest.substr(0, size), head)) {
            plan.refused = true;
            return plan;
        }
        rest.remove_prefix(size);
        seen_request seen{std::string(head.method), std::string(head.target), {}, false, is_early(head.target)};
        bool is_complete = take_body(head, rest, seen.body);
        seen.is_complete = is_complete && !seen.is_early;
        if (!seen.is_complete)
            seen.body.clear();
        plan.requests.push_back(seen);
        // A client that waits for 100 Continue and gets an answer instead may send its body or not, so the connection ends.
        bool has_body = head.chunked || (head.has_length && head.length > 0);
        bool is_in_doubt = head.expect_continue && (seen.is_early || !has_body);
        if (!is_complete || !head.keep_alive || is_in_doubt)
            return plan;
    }
}

static void check_same_requests(const served &one, const served &two)
{
    if (one.requests.size() != two.requests.size() || one.refused != two.refused)
        std::fprintf(stderr, "%zu requests%s instead of %zu%s; answers:\n%s\n", one.requests.size(), one.refused ? " and a refusal" : "",
            two.requests.size(), two.refused ? " and a refusal" : "", one.out.c_str());
    FUZZ_CHECK(one.requests.size() == two.requests.size() && one.refused == two.refused);
    for (size_t i = 0; i < one.requests.size(); i++) {
        const seen_request &a = one.requests[i], &b = two.requests[i];
        FUZZ_SAME(a.method, b.method);
        FUZZ_SAME(a.target, b.target);
        FUZZ_SAME(a.body, b.body);
        FUZZ_CHECK(a.is_complete == b.is_complete);
    }
}

// One well-formed answer for each request, in order, and nothing after a refusal.
static void check_answers(const served &record)
{
    static http_head head;
    std::string_view rest = record.out;
    size_t answers = 0;
    while (!rest.empty()) {
        size_t size = http_find_head_end(rest, 0);
        FUZZ_CHECK(size > 0);
        bool is_refusal = answers == record.requests.size();
        bool to_head = !is_refusal && record.requests[answers].method == "HEAD";
        FUZZ_CHECK(!http_parse_response_head(rest.substr(0, size), to_head, head));
        rest.remove_prefix(size);
        if (head.status == 100)
            continue;
        answers++;
        FUZZ_CHECK(head.has_length && head.length <= rest.size());
        if (is_refusal) {
            FUZZ_CHECK(record.refused && !head.keep_alive);
            FUZZ_CHECK(head.status == 400 || head.status == 414 || head.status == 431 || head.status == 501);
        } else if (record.requests[answers - 1].is_complete || record.requests[answers - 1].is_early) {
            FUZZ_CHECK(head.status == 200);
            if (!to_head)
                FUZZ_SAME(rest.substr(0, static_cast<size_t>(head.length)), record.requests[answers - 1].body);
        } else {
            FUZZ_CHECK(head.status >= 400);
        }
        rest.remove_prefix(static_cast<size_t>(head.length));
    }
    FUZZ_CHECK(answers == record.requests.size() + (record.refused ? 1 : 0));
}

} // namespace

FUZZ_TARGET(connection)
{
    sm_set_strict(true);
    served plan = read_plainly(text);
    served one = serve(text, true);
    served many = serve(text, false);
    check_same_requests(one, plan);
    check_same_requests(many, plan);
    FUZZ_SAME(one.out, many.out);
    check_answers(one);
}
