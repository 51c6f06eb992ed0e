// SPDX-License-Identifier: MIT
// role/proxy/etl_rollout.cc: the rollout of one start: its changes of the document, the calls that targets hold, its caller's answer.
//
// Owns     one rollout_start for each rollout: the machine, the caller's exchange, the calls.
// Knows    etl_rollout_machine, document_queue, broadcast, etl/spec_location.        Known by  etl_start.cc, proxy.cc.
// Normal   the document says what should be. Each target is asked once for the result, and answers when it is decided.
// Fails    400 with a target's failure in its own words; 409; 503.
// Limits   etl_count_max, document_etls_size_max.
#include "role/proxy/proxy.h"

#include <algorithm>

#include "base/check.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "codec/http_write.h"
#include "codec/json.h"
#include "codec/url.h"
#include "control/peer.h"
#include "control/placement.h"
#include "etl/spec_location.h"
#include "port/clock.h"

namespace etlnode {

struct rollout_start {
    proxy *p = nullptr;
    etl_rollout machine;
    exchange *x = nullptr; // null once answered
    broadcast *calls = nullptr;
    cluster_etl etl;         // as it is, or will be, in the document
    bool answers_id = false; // 2020: the caller gets the id; otherwise a job id
    uint64_t margin_ms = 0;  // of init_timeout, reserved for the answer; none for 2020, whose clients wait as long as it takes
    std::string refusal;     // why a change of the document was refused, for the user
    std::string request_id;
    std::vector<std::string> warnings; // for the caller
};

// --- changes of the document

static error refuse(rollout_start &s, error_code code, std::string text)
{
    s.refusal = std::move(text);
    return make_error(code);
}

static void set_generation(rollout_start &s, cluster_document &next)
{
    s.etl.stage = etl_stage::initializing;
    s.etl.last_error.clear();
    s.etl.generation = next.next_generation++;
    s.etl.generation_id = text_format("%016llx-%llu", static_cast<unsigned long long>(placement_digest(s.etl.pod_json)),
        static_cast<unsigned long long>(s.etl.generation));
    s.etl.secret = clock_secret(*s.p->e, 24);
}

static cluster_etl *find_exact(cluster_document &document, std::string_view id)
{
    cluster_etl *etl = document_find_etl(document, id);
    return etl != nullptr && etl->id == id ? etl : nullptr;
}

// Old failures must not prevent a start.
static void drop_oldest_failed_start(cluster_document &next)
{
    const cluster_etl *oldest = nullptr;
    for (const cluster_etl &etl : next.etls) {
        if (document_is_failed_start(etl) && (oldest == nullptr || etl.generation < oldest->generation))
            oldest = &etl;
    }
    if (oldest != nullptr)
        document_remove_etl(next, std::string(oldest->id));
}

static error apply_initializing(void *arg, cluster_document &next)
{
    rollout_start &s = *static_cast<rollout_start *>(arg);
    cluster_etl *known = find_exact(next, s.etl.id);
    if (s.machine.is_restart) {
        if (known == nullptr)
            return refuse(s, error_code::etl_not_found, "etl job " + text_escape(s.etl.id) + " does not exist");
        if (known->stage != etl_stage::aborted)
            return refuse(s, error_code::conflict, // AIStore answers this with 400: see world_answer_failure
                "invalid action \"can't start ETL[" + text_escape(s.etl.id) + "] during " +
                    std::string(etl_stage_names[static_cast<size_t>(known->stage)]) + " stage\"");
        if (known->pod_json.empty())
            return refuse(s, error_code::conflict,
                "etl job " + text_escape(s.etl.id) + " never served, and its spec, which is larger than " +
                    std::to_string(failed_start_spec_max / kib) + " KiB, was not kept: start it with the spec again");
        s.etl = *known;
    } else {
        if (known != nullptr && !document_is_failed_start(*known))
            return refuse(s, error_code::already_exists, "etl job " + text_escape(s.etl.id) + " already exists");
        if (known == nullptr && next.etls.size() >= etl_count_max)
            drop_oldest_failed_start(next);
        if (known == nullptr && next.etls.size() >= etl_count_max)
            return refuse(
                s, error_code::no_space, text_format("the cluster has %zu ETLs and may have no more: remove one first", next.etls.size()));
        size_t all = document_etls_size(next) - (known != nullptr ? document_etl_size(*known) : 0) + document_etl_size(s.etl);
        if (all > document_etls_size_max)
            return refuse(s, error_code::no_space,
                text_format("the specs of all ETLs would take %zu MiB in the cluster document, %zu MiB is the most: remove an ETL, or make "
                            "the spec smaller",
                    all / mib + 1, document_etls_size_max / mib));
    }
    set_generation(s, next);
    document_put_etl(next, s.etl);
    return no_error;
}

// The entry of this start, or null if the ETL was stopped, removed or restarted meanwhile.
static cluster_etl *find_own(rollout_start &s, cluster_document &next)
{
    cluster_etl *etl = find_exact(next, s.etl.id);
    return etl != nullptr && etl->generation_id == s.etl.generation_id ? etl : nullptr;
}

static error apply_running(void *arg, cluster_document &next)
{
    rollout_start &s = *static_cast<rollout_start *>(arg);
    cluster_etl *etl = find_own(s, next);
    if (etl == nullptr || etl->stage != etl_stage::initializing)
        return refuse(s, error_code::etl_init_failed, "the ETL was stopped while it started");
    etl->stage = etl_stage::running;
    etl->started_ns = clock_wall_ns(*s.p->e);
    return no_error;
}

static error apply_ended(void *arg, cluster_document &next)
{
    rollout_start &s = *static_cast<rollout_start *>(arg);
    cluster_etl *etl = find_own(s, next);
    if (etl == nullptr)
        return refuse(s, error_code::etl_not_found, "it is gone already");
    // A user who named it will look for it there, with the reason. A start that no caller waits for any more is forgotten.
    bool has_failed = s.machine.failure != error_code::canceled && s.machine.failure != error_code::stopping;
    if (s.machine.is_restart || (!s.answers_id && has_failed)) {
        etl->stage = etl_stage::aborted;
        etl->last_error = s.machine.failure_text.substr(0, etl_error_text_max);
        document_shed_spec(*etl);
    } else {
        document_remove_etl(next, s.etl.id);
    }
    return no_error;
}

static void on_stored(void *arg, error err)
{
    rollout_start &s = *static_cast<rollout_start *>(arg);
    std::string text = std::move(s.refusal);
    s.refusal.clear();
    etl_rollout_stored(s.machine, err, text);
}

static void change(rollout_start &s, error (*apply)(void *arg, cluster_document &next))
{
    document_queue_add(s.p->documents, {.apply = apply, .on_done = on_stored, .arg = &s});
}

// --- calls that the targets hold

// Where the targets' kubectl names a field, adds its location in the user's spec.
static std::string explained(const rollout_start &s, const std::string &text)
{
    json_ptr init;
    std::string where;
    std::string spec;
    if (json_parse(s.etl.init_json, init, where) || !base64_decode(json_text(init.get(), "spec"), spec))
        return text;
    return spec.empty() ? text : spec_location_explain(text, spec);
}

// Most targets' kubectl print the same warnings, so each one is shown only once.
static void add_warning(std::vector<std::string> &warnings, std::string_view text)
{
    std::string bounded(text.substr(0, warning_size_max));
    for (char &c : bounded) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) // the text becomes a header
            c = ' ';
    }
    if (std::find(warnings.begin(), warnings.end(), bounded) == warnings.end() && warnings.size() < warnings_max)
        warnings.push_back(std::move(bounded));
}

static void take_warnings(rollout_start &s, const broadcast_answer &answer)
{
    json_ptr tree;
    std::string where;
    if (!broadcast_succeeded(answer) || json_parse(answer.body, tree, where))
        return;
    const cJSON *one = nullptr;
    cJSON_ArrayForEach(one, json_get(tree.get(), "warnings"))
    {
        if (cJSON_IsString(one))
            add_warning(s.warnings, one->valuestring);
    }
}

std::string proxy_warning_headers(const std::vector<std::string> &warnings)
{
    std::string headers;
    for (const std::string &warning : warnings)
        http_write_header(headers, header_warning, warning);
    return headers;
}

static void on_start_answers(void *arg, std::vector<broadcast_answer> answers)
{
    rollout_start &s = *static_cast<rollout_start *>(arg);
    s.calls = nullptr;
    for (const broadcast_answer &answer : answers)
        take_warnings(s, answer);
    for (const broadcast_answer &answer : answers) {
        if (broadcast_succeeded(answer) || answer.err.code == error_code::canceled) // cancelled by us, because another target failed
            continue;
        error_code code = error_code::ok;
        std::string text = broadcast_failure_text(answer, &code);
        // A failure that would repeat must not look retryable: AIStore's clients would repeat the init for a minute.
        if (code == error_code::timed_out || code == error_code::canceled || code == error_code::not_found)
            code = error_code::etl_init_failed;
        else if (answer.err)
            code = error_code::unavailable;
        if (s.margin_ms > 0 && text.find("not Ready within wait_timeout") != std::string::npos)
            text += "\n(init_timeout is " + text_duration(s.etl.wait_timeout_ms) + ": the last " + text_duration(s.margin_ms) +
                    " of it are kept for this answer)";
        etl_rollout_started(s.machine, code, explained(s, text));
        return;
    }
    etl_rollout_started(s.machine, error_code::ok, {});
}

static void on_gone_answers(void *arg, std::vector<broadcast_answer> answers)
{
    rollout_start &s = *static_cast<rollout_start *>(arg);
    s.calls = nullptr;
    std::string late;
    for (const broadcast_answer &answer : answers) {
        if (broadcast_succeeded(answer))
            continue;
        std::string text = broadcast_failure_text(answer, nullptr);
        if (s.machine.failure_text.size() + late.size() < etl_error_text_max)
            late += answer.err ? "\nIts pod may be there still: " + text + ". The target removes it when it can"
                               : "\nIts pod is not removed yet; the target goes on trying: " + text;
        LOG(warn, "etl", "etl=%s reason=\"%s\" msg=\"not removed yet; the target goes on by itself\"", text_escape(s.etl.id).c_str(),
            text_escape(text).c_str());
    }
    etl_rollout_removed(s.machine, late);
}

static void world_store_initializing(void *arg, etl_rollout &) { change(*static_cast<rollout_start *>(arg), apply_initializing); }
static void world_store_running(void *arg, etl_rollout &) { change(*static_cast<rollout_start *>(arg), apply_running); }
static void world_store_ended(void *arg, etl_rollout &) { change(*static_cast<rollout_start *>(arg), apply_ended); }

static void hold_calls(rollout_start &s, const std::vector<broadcast_peer> &peers, const std::string &question, uint64_t deadline_ms,
    bool stop_at_failure, void (*on_done)(void *arg, std::vector<broadcast_answer> answers))
{
    broadcast_request request;
    request.target = proxy_node_etl_path(s.etl.id, question + "version=" + std::to_string(proxy_document(*s.p).version));
    request.headers = peer_headers(s.p->options.cluster_secret, s.request_id);
    request.deadline_ms = deadline_ms;
    request.stop_at_failure = stop_at_failure;
    s.calls = broadcast_start(*s.p->e, *s.p->client, peers, request, on_done, &s);
}

static void world_await_start(void *arg, etl_rollout &m)
{
    rollout_start &s = *static_cast<rollout_start *>(arg);
    std::string question = "/start?generation=" + url_encode(s.etl.generation_id) +
                           "&wait_timeout_ms=" + std::to_string(m.wait_timeout_ms) + "&";
    // Earlier than the machine's own deadline, so that the error names a target.
    uint64_t deadline_ms = m.wait_timeout_ms + (s.margin_ms > 0 ? s.margin_ms / 2 : etl_init_margin_ms - 1'000);
    hold_calls(s, proxy_needed_peers(*s.p), question, deadline_ms, true, on_start_answers);
}

static void world_await_removal(void *arg, etl_rollout &)
{
    rollout_start &s = *static_cast<rollout_start *>(arg);
    std::vector<broadcast_peer> peers; // none if the drain time is over
    if (!lifecycle_is_closing(s.p->life))
        peers = proxy_target_peers(*s.p);
    hold_calls(s, peers, "/gone?", etl_remove_timeout_ms - 1'000, false, on_gone_answers);
}

static void world_cancel_await(void *arg, etl_rollout &)
{
    rollout_start &s = *static_cast<rollout_start *>(arg);
    if (s.calls != nullptr)
        broadcast_cancel(*s.calls);
    s.calls = nullptr;
}

// --- the caller

static exchange &take_exchange(rollout_start &s)
{
    exchange &x = *s.x;
    s.x = nullptr;
    exchange_on_gone(x, nullptr, nullptr, false);
    return x;
}

static void on_caller_gone(void *arg)
{
    rollout_start &s = *static_cast<rollout_start *>(arg);
    exchange_answer_error(
        take_exchange(s), error_code::canceled, "the caller hung up"); // the answer goes nowhere, but it ends the exchange
    LOG(info, "etl", "etl=%s msg=\"the caller hung up, the start is ended\"", text_escape(s.etl.id).c_str());
    etl_rollout_caller_gone(s.machine);
}

static void world_answer_running(void *arg, etl_rollout &)
{
    rollout_start &s = *static_cast<rollout_start *>(arg);
    answer a;
    a.content_type = "text/plain; charset=utf-8";
    a.headers = proxy_warning_headers(s.warnings);
    a.body = s.answers_id ? s.etl.id : proxy_etl_job_id(s.etl);
    exchange_answer(take_exchange(s), std::move(a));
}

static void world_answer_failure(void *arg, etl_rollout &m)
{
    rollout_start &s = *static_cast<rollout_start *>(arg);
    int status = m.is_restart && m.failure == error_code::conflict ? 400 : 0;
    exchange_answer_error(take_exchange(s), m.failure, m.failure_text, status, proxy_warning_headers(s.warnings));
}

static void world_on_end(void *arg, etl_rollout &m)
{
    rollout_start *s = static_cast<rollout_start *>(arg);
    proxy &p = *s->p;
    CHECK(s->x == nullptr);
    CHECK(s->calls == nullptr);
    if (m.failure != error_code::ok) {
        p.counts.etl_init_failures++;
        LOG(warn, "etl", "etl=%s name=%s request=%s reason=\"%s\" msg=\"start failed\"", text_escape(s->etl.id).c_str(),
            text_escape(s->etl.name).c_str(), s->request_id.c_str(), text_escape(m.failure_text).c_str());
    } else {
        LOG(info, "etl", "etl=%s name=%s generation=%s request=%s msg=\"running on all targets\"", text_escape(s->etl.id).c_str(),
            text_escape(s->etl.name).c_str(), s->etl.generation_id.c_str(), s->request_id.c_str());
    }
    p.starts.erase(s->etl.id);
    delete s;
    if (p.starts.empty())
        proxy_note_work_ended(&p);
}

// AIStore's SDK waits for init_timeout and takes silence for a network failure, which it answers by asking again. So the pods get only a
// part of that time; the rest is for log lines and the answer.
static uint64_t answer_margin(uint64_t init_timeout_ms)
{
    return init_timeout_ms / 4 < etl_answer_margin_max_ms ? init_timeout_ms / 4 : etl_answer_margin_max_ms;
}

void proxy_rollout_begin(proxy &p, exchange &x, cluster_etl etl, std::span<const std::string> warnings, bool is_restart, bool answers_id)
{
    rollout_start *s = new rollout_start;
    s->p = &p;
    s->x = &x;
    s->etl = std::move(etl);
    s->answers_id = answers_id;
    s->warnings.assign(warnings.begin(), warnings.end());
    s->request_id = exchange_request_id(x);
    etl_rollout &m = s->machine;
    m.sm.id = p.next_machine_id++;
    m.e = p.e;
    m.id = s->etl.id;
    s->margin_ms = answers_id ? 0 : answer_margin(s->etl.wait_timeout_ms);
    m.wait_timeout_ms = s->etl.wait_timeout_ms - s->margin_ms;
    m.answer_at_ms = answers_id ? 0 : exchange_started_ms(x) + s->etl.wait_timeout_ms - s->margin_ms / 3;
    m.is_restart = is_restart;
    m.world = {.store_initializing = world_store_initializing,
        .await_start = world_await_start,
        .store_running = world_store_running,
        .store_ended = world_store_ended,
        .await_removal = world_await_removal,
        .cancel_await = world_cancel_await,
        .answer_running = world_answer_running,
        .answer_failure = world_answer_failure,
        .on_end = world_on_end,
        .arg = s};
    p.starts[s->etl.id] = s;
    p.counts.etl_inits++;
    exchange_on_gone(x, on_caller_gone, s, true);
    etl_rollout_begin(m);
}

void proxy_rollouts_stop(proxy &p)
{
    for (auto &[id, start] : p.starts)
        etl_rollout_stop(start->machine);
}

void proxy_rollouts_cut_off(proxy &p)
{
    for (auto &[id, start] : p.starts) {
        if (start->calls == nullptr)
            continue;
        broadcast_cancel(*start->calls);
        start->calls = nullptr;
        etl_rollout_removed(start->machine, {}); // starts were stopped before, so only removals are still awaited
    }
}

} // namespace etlnode
