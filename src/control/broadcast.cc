// SPDX-License-Identifier: MIT
// control/broadcast.cc: one request to many nodes at once.
//
// Owns     one call a peer, one timer.
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

struct gather_leg {
    gather *owner = nullptr;
    size_t index = 0;
    call *running = nullptr;
};

struct gather {
    env *e = nullptr;
    timer *deadline = nullptr;
    std::vector<gather_leg> legs;
    std::vector<gather_answer> answers;
    size_t pending = 0;
    bool stop_at_failure = false;
    bool dead = false; // cancelled while the completion was posted
    bool posted = false;
    void (*on_done)(void *arg, std::vector<gather_answer> answers) = nullptr;
    void *arg = nullptr;
};

static void end_calls(gather &g, error_code code)
{
    for (gather_leg &leg : g.legs) {
        if (leg.running == nullptr)
            continue;
        call_cancel(*leg.running);
        leg.running = nullptr;
        g.answers[leg.index].err = make_error(code);
        g.pending--;
    }
}

static void finish(gather *g)
{
    CHECK(g->pending == 0);
    timer_free(*g->e, g->deadline);
    auto on_done = g->on_done;
    void *arg = g->arg;
    std::vector<gather_answer> answers = static_cast<std::vector<gather_answer> &&>(g->answers);
    delete g;
    on_done(arg, static_cast<std::vector<gather_answer> &&>(answers));
}

static void finish_posted(void *arg)
{
    gather *g = static_cast<gather *>(arg);
    if (g->dead) {
        delete g;
        return;
    }
    finish(g);
}

static void on_call_done(void *arg, call &, error err, int status, std::string body)
{
    gather_leg &leg = *static_cast<gather_leg *>(arg);
    gather *g = leg.owner;
    leg.running = nullptr;
    gather_answer &answer = g->answers[leg.index];
    answer.err = err;
    answer.status = status;
    answer.body = static_cast<std::string &&>(body);
    g->pending--;
    if (g->stop_at_failure && !gather_succeeded(answer))
        end_calls(*g, error_code::canceled);
    if (g->pending == 0)
        finish(g);
}

static void on_deadline(void *arg)
{
    gather *g = static_cast<gather *>(arg);
    end_calls(*g, error_code::timed_out);
    if (!g->posted)
        finish(g);
}

gather *gather_start(env &e, http_client &client, const std::vector<gather_peer> &peers, const gather_request &request,
    void (*on_done)(void *arg, std::vector<gather_answer> answers), void *arg)
{
    CHECK(request.deadline_ms > 0);
    gather *g = new gather;
    g->e = &e;
    g->on_done = on_done;
    g->arg = arg;
    g->stop_at_failure = request.stop_at_failure;
    g->deadline = timer_make(e, on_deadline, g);
    timer_arm(e, g->deadline, request.deadline_ms);
    g->legs.resize(peers.size());
    g->answers.resize(peers.size());
    for (size_t i = 0; i < peers.size(); i++) {
        gather_leg &leg = g->legs[i];
        leg.owner = g;
        leg.index = i;
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
        options.arg = &leg;
        g->pending++;
        leg.running = call_start(client, static_cast<call_options &&>(options));
    }
    if (g->pending == 0) {
        g->posted = true;
        clock_post(e, finish_posted, g);
    }
    return g;
}

void gather_cancel(gather &g)
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

const gather_answer *gather_first_failure(const std::vector<gather_answer> &answers)
{
    const gather_answer *canceled = nullptr;
    for (const gather_answer &answer : answers) {
        if (answer.err.code == error_code::canceled)
            canceled = canceled != nullptr ? canceled : &answer;
        else if (!gather_succeeded(answer))
            return &answer;
    }
    return canceled;
}

std::string gather_failure_text(const gather_answer &answer, error_code *out_code)
{
    error_code code = answer.err.code;
    std::string text = error_text(answer.err);
    if (!answer.err) {
        error_envelope told = error_envelope_read(answer.status, answer.body);
        code = told.code;
        text = told.message;
    }
    if (out_code != nullptr)
        *out_code = code;
    if (text.starts_with("target " + answer.id)) // it names itself
        return text;
    return "target " + answer.id + (answer.err ? " does not answer: " : ": ") + text;
}
