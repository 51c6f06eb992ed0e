// SPDX-License-Identifier: MIT
// control/broadcast.cc: sends one request to many nodes at once.
//
// Owns     one call for each peer, one timer.
// Knows    http.              Known by  the proxy's handlers.
// Fails    never as a whole: each peer's answer carries its own error.
// Limits   call_answer_size_max, the request's deadline.
#include "control/broadcast.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/text.h"
#include "codec/error_envelope.h"
#include "codec/url.h"
#include "port/clock.h"

namespace etlnode {

struct peer_call {
    broadcast *owner = nullptr;
    size_t index = 0;
    call *running = nullptr;
};

struct broadcast {
    env *e = nullptr;
    timer *deadline = nullptr;
    std::vector<peer_call> calls;
    std::vector<broadcast_answer> answers;
    size_t pending = 0;
    bool stop_at_failure = false;
    bool dead = false; // cancelled after the completion was posted
    bool posted = false;
    void (*on_done)(void *arg, std::vector<broadcast_answer> answers) = nullptr;
    void *arg = nullptr;
};

static void end_calls(broadcast &g, error_code code)
{
    for (peer_call &one_call : g.calls) {
        if (one_call.running == nullptr)
            continue;
        call_cancel(*one_call.running);
        one_call.running = nullptr;
        g.answers[one_call.index].err = make_error(code);
        g.pending--;
    }
}

static void finish(broadcast *g)
{
    CHECK(g->pending == 0);
    timer_free(*g->e, g->deadline);
    auto on_done = g->on_done;
    void *arg = g->arg;
    std::vector<broadcast_answer> answers = std::move(g->answers);
    delete g;
    on_done(arg, std::move(answers));
}

static void finish_posted(void *arg)
{
    broadcast *g = static_cast<broadcast *>(arg);
    if (g->dead) {
        delete g;
        return;
    }
    finish(g);
}

static void on_call_done(void *arg, call &, error err, int status, std::string body)
{
    peer_call &one_call = *static_cast<peer_call *>(arg);
    broadcast *g = one_call.owner;
    one_call.running = nullptr;
    broadcast_answer &answer = g->answers[one_call.index];
    answer.err = err;
    answer.status = status;
    answer.body = std::move(body);
    g->pending--;
    if (g->stop_at_failure && !broadcast_succeeded(answer))
        end_calls(*g, error_code::canceled);
    if (g->pending == 0)
        finish(g);
}

static void on_deadline(void *arg)
{
    broadcast *g = static_cast<broadcast *>(arg);
    end_calls(*g, error_code::timed_out);
    if (!g->posted)
        finish(g);
}

broadcast *broadcast_start(env &e, http_client &client, const std::vector<broadcast_peer> &peers, const broadcast_request &request,
    void (*on_done)(void *arg, std::vector<broadcast_answer> answers), void *arg)
{
    CHECK(request.deadline_ms > 0);
    broadcast *g = new broadcast;
    g->e = &e;
    g->on_done = on_done;
    g->arg = arg;
    g->stop_at_failure = request.stop_at_failure;
    g->deadline = timer_make(e, on_deadline, g);
    timer_arm(e, g->deadline, request.deadline_ms);
    g->calls.resize(peers.size());
    g->answers.resize(peers.size());
    for (size_t i = 0; i < peers.size(); i++) {
        peer_call &one_call = g->calls[i];
        one_call.owner = g;
        one_call.index = i;
        g->answers[i].id = peers[i].id;
        url_base base;
        if (!url_parse_base(peers[i].url, base)) {
            g->answers[i].err = make_error(error_code::unreachable, "its URL is not http://host:port");
            continue;
        }
        call_options options;
        options.host = base.host;
        options.port = base.port;
        options.method = request.method;
        options.target = base.path + request.target;
        options.headers = request.headers;
        options.body = request.body;
        options.has_body = request.has_body;
        options.connect_timeout_ms = request.deadline_ms < intra_call_timeout_ms ? request.deadline_ms : intra_call_timeout_ms;
        options.progress_timeout_ms = request.deadline_ms;
        options.answer_size_max = call_answer_size_max;
        options.on_done = on_call_done;
        options.arg = &one_call;
        g->pending++;
        one_call.running = call_start(client, std::move(options));
    }
    if (g->pending == 0) {
        g->posted = true;
        clock_post(e, finish_posted, g);
    }
    return g;
}

void broadcast_cancel(broadcast &g)
{
    end_calls(g, error_code::canceled);
    if (g.posted) {
        timer_free(*g.e, g.deadline);
        g.deadline = nullptr;
        g.dead = true;
        return;
    }
    timer_free(*g.e, g.deadline);
    delete &g;
}

const broadcast_answer *broadcast_first_failure(const std::vector<broadcast_answer> &answers)
{
    const broadcast_answer *canceled = nullptr;
    for (const broadcast_answer &answer : answers) {
        if (answer.err.code == error_code::canceled)
            canceled = canceled != nullptr ? canceled : &answer;
        else if (!broadcast_succeeded(answer))
            return &answer;
    }
    return canceled;
}

std::string broadcast_failure_text(const broadcast_answer &answer, error_code *out_code)
{
    error_code code = answer.err.code;
    std::string text = error_text(answer.err);
    if (!answer.err) {
        error_envelope envelope = error_envelope_read(answer.status, answer.body);
        code = envelope.code;
        text = envelope.message;
    }
    if (out_code != nullptr)
        *out_code = code;
    if (text.starts_with("target " + answer.id)) // the text already names the target
        return text;
    return "target " + answer.id + (answer.err ? " does not answer: " : ": ") + text;
}

} // namespace etlnode
