// SPDX-License-Identifier: MIT
// test/fuzz/fuzz_call.cc: everything that a pod sends on one connection, answer by answer. An answer is complete exactly if a plain parser
// finds it complete, however the bytes are cut. Surplus bytes never count as the answer to the next call.
#include "fuzz_world.h"
#include "http/client/call.h"
#include "sm/sm.h"

using namespace etlnode;

namespace {

static constexpr std::string_view second_answer = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond";

struct result {
    bool is_done = false;
    error err;
    int status = 0;
    std::string body;
};

struct asked {
    result first, second;
    call *streamed = nullptr;
};

static void on_done(void *arg, call &, error err, int status, std::string body)
{
    result &r = *static_cast<result *>(arg);
    FUZZ_CHECK(!r.is_done);
    r = {true, err, status, std::move(body)};
}

// A streamed body, read to its end.
struct streaming {
    result *r = nullptr;
    call *c = nullptr;
};

static void pull(void *arg)
{
    streaming &s = *static_cast<streaming *>(arg);
    for (;;) {
        pull_result got = call_pull(*s.c, nullptr);
        switch (got.state) {
        case pull_state::bytes: s.r->body += got.bytes; continue;
        case pull_state::relayed:
        case pull_state::file: fuzz_failed("nothing is relayed here", __FILE__, __LINE__);
        case pull_state::again: call_pull_wait(*s.c, pull, &s); return;
        case pull_state::end:
            s.r->is_done = true;
            call_close(*s.c);
            s.c = nullptr;
            return;
        case pull_state::failed:
            s.r->is_done = true;
            s.r->err = got.err;
            call_cancel(*s.c);
            s.c = nullptr;
            return;
        }
    }
}

static void on_head(void *arg, call &c, const http_head &head)
{
    streaming &s = *static_cast<streaming *>(arg);
    s.c = &c;
    s.r->status = head.status;
    pull(&s);
}

static void on_stream_done(void *arg, call &, error err, int status, std::string)
{
    streaming &s = *static_cast<streaming *>(arg);
    FUZZ_CHECK(err && !s.r->is_done);
    *s.r = {true, err, status, {}};
}

static std::string_view under_test;
static std::string answer_of(fuzz_world &, size_t number) { return std::string(number == 0 ? under_test : second_answer); }

static call_options options_of(bool to_head)
{
    call_options options;
    options.host = "127.0.0.1";
    options.port = 1;
    options.method = to_head ? "HEAD" : "GET";
    options.answer_size_max = 16 * mib;
    options.on_done = on_done;
    return options;
}

// Everything in progress arrives. On a connection that is kept, the second call gets its own answer.
static void ask_again(fuzz_world &w, http_client &client, result &second)
{
    fuzz_conn &first = *w.conns[0];
    size_t sent = first.out.size();
    call_options options = options_of(false);
    options.arg = &second;
    call_start(client, options);
    for (bool is_answered = false; !second.is_done;) {
        if (!is_answered && !first.closed && first.out.size() > sent && first.out.ends_with("\r\n\r\n")) {
            first.coming = second_answer;
            is_answered = true;
        }
        if (!fuzz_step(w) && !fuzz_next_timer(w))
            break;
    }
}

static asked ask(std::string_view text, bool in_one, bool is_streamed, bool to_head, bool ends)
{
    asked out;
    fuzz_world w;
    fuzz_world_begin(w, text, in_one);
    under_test = text;
    w.answer_of = answer_of;
    http_client *client = http_client_make(w.e, http_client_options{});
    call_options options = options_of(to_head);
    streaming s{&out.first, nullptr};
    options.arg = &out.first;
    if (is_streamed) {
        options.answer_size_max = 0;
        options.on_head = on_head;
        options.on_done = on_stream_done;
        options.arg = &s;
    }
    call_start(*client, options);
    while (w.conns.empty() && fuzz_step(w))
        ;
    w.conns[0]->ends = ends;
    // Until the head of a streamed answer the call has its own deadline; after the head its owner has one.
    while (!out.first.is_done && (fuzz_step(w) || (s.c == nullptr && fuzz_next_timer(w))))
        ;
    if (!out.first.is_done) { // a streamed body that stalls: its owner has the deadline
        FUZZ_CHECK(s.c != nullptr && !ends);
        out.first.is_done = true;
        out.first.err = make_error(error_code::timed_out);
        call_cancel(*s.c);
    }
    while (fuzz_step(w))
        ;
    ask_again(w, *client, out.second);
    fuzz_world_run(w);
    http_client_free(client);
    fuzz_world_run(w);
    FUZZ_CHECK(w.clock.timers == 0);
    for (const auto &conn : w.conns)
        FUZZ_CHECK(conn->closed);
    return out;
}

// --- a plain parser of the same bytes

struct plan {
    bool is_complete = false;
    bool has_excess = false; // bytes after the end
    bool by_close = false;
    int status = 0;
    std::string body;
};

static plan read_plainly(std::string_view rest, bool to_head)
{
    static http_head head;
    plan p;
    for (size_t informational = 0;; informational++) {
        size_t size = http_find_head_end(rest, 0);
        if (size == 0 || http_parse_response_head(rest.substr(0, size), to_head, head))
            return p;
        rest.remove_prefix(size);
        if (head.status >= 200)
            break;
        if (head.status == 101 || informational >= http_informational_max)
            return p;
    }
    p.status = head.status;
    if (head.chunked) {
        p.body = rest;
        http_chunk_decoder_ptr decoder = http_chunk_decoder_make();
        http_chunk_result decoded = http_chunk_decode(*decoder, p.body.data(), p.body.size());
        p.body.resize(decoded.decoded);
        p.is_complete = decoded.done;
        p.has_excess = decoded.consumed < rest.size();
    } else if (head.has_length) {
        p.is_complete = rest.size() >= head.length;
        p.has_excess = rest.size() > head.length;
        p.body = rest.substr(0, static_cast<size_t>(std::min<uint64_t>(head.length, rest.size())));
    } else {
        p.is_complete = p.by_close = true;
        p.body = rest;
    }
    return p;
}

static void check_first(const result &r, const plan &p, bool is_streamed, bool ends)
{
    FUZZ_CHECK(r.is_done);
    if (!r.err) {
        // It is never reported as complete when it is not.
        FUZZ_CHECK(p.is_complete && (ends || !p.by_close));
        FUZZ_CHECK(r.status == p.status);
        FUZZ_SAME(r.body, p.body);
        return;
    }
    FUZZ_CHECK(!is_streamed || p.body.starts_with(r.body));
    // Complete, but refused: only because of bytes after it, or because its end has not come.
    FUZZ_CHECK(!p.is_complete || p.has_excess || (p.by_close && !ends));
}

} // namespace

FUZZ_TARGET(call)
{
    sm_set_strict(true);
    for (int variant = 0; variant < 16; variant++) {
        bool in_one = (variant & 1) != 0, is_streamed = (variant & 2) != 0, to_head = (variant & 4) != 0, ends = (variant & 8) != 0;
        asked out = ask(text, in_one, is_streamed, to_head, ends);
        check_first(out.first, read_plainly(text, to_head), is_streamed, ends);
        FUZZ_CHECK(out.second.is_done && !out.second.err && out.second.status == 200);
        FUZZ_SAME(out.second.body, "second");
    }
}
