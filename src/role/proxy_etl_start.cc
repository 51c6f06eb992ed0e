// SPDX-License-Identifier: MIT
// role/proxy_etl_start.cc: starting ETLs: POST /v1/etl/init (2020), PUT /v1/etl (today), POST /v1/etl/<id>/start.
//
// Owns     one etl_start a start: the machine, the caller's exchange, the calls to the targets.
// Knows    etl_init_machine, etl/etl_spec, document_queue, gather.        Known by  proxy.cc.
// Normal   validate, then the machine: store, start on all targets, commit, answer.
// Fails    400 spec (with line and column) or a target's failure in its own words; 409; 503 without targets or with a silent one.
// Limits   spec_size_max, json_body_size_max, etl_count_max.
#include "role/proxy.h"

#include <algorithm>

#include "base/check.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "cluster/placement.h"
#include "codec/http_write.h"
#include "codec/json.h"
#include "codec/url.h"
#include "etl/etl_spec.h"
#include "etl/spec_place.h"
#include "port/clock.h"
#include "role/control.h"

struct etl_start {
    proxy *p = nullptr;
    etl_init machine;
    exchange *x = nullptr;       // null once answered
    gather *calls = nullptr;
    cluster_etl etl;             // as it is, or will be, in the document
    bool answers_id = false;     // 2020: the caller gets the id, else a job id
    uint64_t margin_ms = 0;      // of init_timeout, kept for the answer; 2020: none, its clients wait for as long as it takes
    std::string refusal;         // why a change of the document was refused, in words for the user
    std::string request_id;
    std::vector<std::string> warnings; // for the caller
};

static constexpr char id_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
static constexpr std::string_view reserved_names[] = {"init", "build", "list", "logs", "stop", "_object"};

static bool has_capital(std::string_view text)
{
    for (char c : text) {
        if (c >= 'A' && c <= 'Z')
            return true;
    }
    return false;
}

// Ten characters with a capital: never a name (pod names have none), always a legal Kubernetes label.
static std::string make_id(proxy &p)
{
    for (;;) {
        std::string id = rng_text(p.e->random, id_alphabet, sizeof id_alphabet - 1, 10);
        if (has_capital(id) && document_find_etl(proxy_document(p), id) == nullptr && p.starts.find(id) == p.starts.end())
            return id;
    }
}

// Of one start: changes with every start, and is the same whoever computes it.
std::string proxy_etl_job_id(const cluster_etl &etl)
{
    uint64_t digest = placement_digest(etl.id + "/" + etl.generation_id);
    std::string id = "etl-";
    for (int i = 0; i < 10; i++) {
        id += id_alphabet[digest % (sizeof id_alphabet - 1)];
        digest /= sizeof id_alphabet - 1;
    }
    return id;
}

// --- changes of the document

static error refuse(etl_start &s, error_code code, std::string text)
{
    s.refusal = static_cast<std::string &&>(text);
    return make_error(code);
}

static void set_generation(etl_start &s, cluster_document &next)
{
    s.etl.stage = etl_stage::initializing;
    s.etl.last_error.clear();
    s.etl.generation = next.next_generation++;
    s.etl.generation_id = text_format("%016llx-%llu", static_cast<unsigned long long>(placement_digest(s.etl.pod_json)), static_cast<unsigned long long>(s.etl.generation));
    s.etl.secret = clock_secret(*s.p->e, 24);
    s.machine.generation_id = s.etl.generation_id;
}

static cluster_etl *find_exact(cluster_document &document, std::string_view id)
{
    cluster_etl *etl = document_find_etl(document, id);
    return etl != nullptr && etl->id == id ? etl : nullptr;
}

// They are no reason to refuse a start.
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
    etl_start &s = *static_cast<etl_start *>(arg);
    cluster_etl *known = find_exact(next, s.etl.id);
    if (s.machine.is_restart) {
        if (known == nullptr)
            return refuse(s, error_code::etl_not_found, "etl job " + text_escape(s.etl.id) + " does not exist");
        if (known->stage != etl_stage::aborted)
            return refuse(s, error_code::conflict, // which AIStore answers with 400: world_answer_failure
                "invalid action \"can't start ETL[" + text_escape(s.etl.id) + "] during " + std::string(etl_stage_names[static_cast<size_t>(known->stage)]) + " stage\"");
        if (known->pod_json.empty())
            return refuse(s, error_code::conflict, "etl job " + text_escape(s.etl.id) + " never served, and its spec, which is larger than " + std::to_string(failed_start_spec_max / kib) +
                " KiB, was not kept: start it with the spec again");
        s.etl = *known;
    } else {
        if (known != nullptr && !document_is_failed_start(*known))
            return refuse(s, error_code::already_exists, "etl job " + text_escape(s.etl.id) + " already exists");
        if (known == nullptr && next.etls.size() >= etl_count_max)
            drop_oldest_failed_start(next);
        if (known == nullptr && next.etls.size() >= etl_count_max)
            return refuse(s, error_code::no_space, text_format("the cluster has %zu ETLs and may have no more: remove one first", next.etls.size()));
        size_t all = document_etls_size(next) - (known != nullptr ? document_etl_size(*known) : 0) + document_etl_size(s.etl);
        if (all > document_etls_size_max)
            return refuse(s, error_code::no_space, text_format("the specs of all ETLs would take %zu MiB in the cluster document, %zu MiB is the most: remove an ETL, or make the spec smaller",
                all / mib + 1, document_etls_size_max / mib));
    }
    set_generation(s, next);
    document_put_etl(next, s.etl);
    return no_error;
}

// The entry of this start, or null when somebody stopped, removed or restarted the ETL meanwhile.
static cluster_etl *find_own(etl_start &s, cluster_document &next)
{
    cluster_etl *etl = find_exact(next, s.etl.id);
    return etl != nullptr && etl->generation_id == s.etl.generation_id ? etl : nullptr;
}

static error apply_running(void *arg, cluster_document &next)
{
    etl_start &s = *static_cast<etl_start *>(arg);
    cluster_etl *etl = find_own(s, next);
    if (etl == nullptr || etl->stage != etl_stage::initializing)
        return refuse(s, error_code::etl_init_failed, "the ETL was stopped while it started");
    etl->stage = etl_stage::running;
    etl->started_ns = clock_wall_ns(*s.p->e);
    return no_error;
}

static error apply_ended(void *arg, cluster_document &next)
{
    etl_start &s = *static_cast<etl_start *>(arg);
    cluster_etl *etl = find_own(s, next);
    if (etl == nullptr)
        return refuse(s, error_code::etl_not_found, "it is gone already");
    // Who gave it a name looks for it there, with the reason; a start that nobody waits for any more is forgotten.
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
    etl_start &s = *static_cast<etl_start *>(arg);
    std::string text = static_cast<std::string &&>(s.refusal);
    s.refusal.clear();
    etl_init_stored(s.machine, err, text);
}

static void change(etl_start &s, error (*apply)(void *arg, cluster_document &next))
{
    document_queue_add(s.p->documents, {.apply = apply, .on_done = on_stored, .arg = &s});
}

// --- calls to the targets

static std::string definition_json(const etl_start &s)
{
    etl_definition definition = s.etl;
    definition.wait_timeout_ms = s.machine.wait_timeout_ms;
    json_ptr tree = json_object();
    etl_definition_print(tree.get(), definition);
    json_add_text(tree.get(), "pod", definition.pod_json);
    json_add_u64(tree.get(), "document_version", proxy_document(*s.p).version);
    return json_print(tree.get());
}

// Where the targets' kubectl names a field, the place in the spec as the user sent it.
static std::string explained(const etl_start &s, const std::string &text)
{
    json_ptr init;
    std::string where;
    std::string spec;
    if (json_parse(s.etl.init_json, init, where) || !base64_decode(json_text(init.get(), "spec"), spec))
        return text;
    return spec.empty() ? text : spec_place_explain(text, spec);
}

// What one target's kubectl warns of, others' mostly do, too: each is told once.
static void add_warning(std::vector<std::string> &warnings, std::string_view text)
{
    std::string bounded(text.substr(0, warning_size_max));
    for (char &c : bounded) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) // it becomes a header
            c = ' ';
    }
    if (std::find(warnings.begin(), warnings.end(), bounded) == warnings.end() && warnings.size() < warnings_max)
        warnings.push_back(static_cast<std::string &&>(bounded));
}

static void take_warnings(etl_start &s, const gather_answer &answer)
{
    json_ptr tree;
    std::string where;
    if (!gather_succeeded(answer) || json_parse(answer.body, tree, where))
        return;
    const cJSON *one = nullptr;
    cJSON_ArrayForEach(one, json_get(tree.get(), "warnings"))
    {
        if (cJSON_IsString(one))
            add_warning(s.warnings, one->valuestring);
    }
}

static std::string warning_headers(const std::vector<std::string> &warnings)
{
    std::string headers;
    for (const std::string &warning : warnings)
        http_write_header(headers, header_warning, warning);
    return headers;
}

static void on_start_answers(void *arg, std::vector<gather_answer> answers)
{
    etl_start &s = *static_cast<etl_start *>(arg);
    s.calls = nullptr;
    for (const gather_answer &answer : answers)
        take_warnings(s, answer);
    for (const gather_answer &answer : answers) {
        if (gather_succeeded(answer) || answer.err.code == error_code::canceled) // canceled by us, because another one failed
            continue;
        error_code code = error_code::ok;
        std::string text = gather_failure_text(answer, &code);
        // What will fail again must not look retryable: AIStore's clients would repeat the init for a minute.
        if (code == error_code::timed_out || code == error_code::canceled || code == error_code::not_found)
            code = error_code::etl_init_failed;
        else if (answer.err)
            code = error_code::unavailable;
        if (s.margin_ms > 0 && text.find("not Ready within wait_timeout") != std::string::npos)
            text += "\n(init_timeout is " + text_duration(s.etl.wait_timeout_ms) + ": the last " + text_duration(s.margin_ms) + " of it are kept for this answer)";
        etl_init_started(s.machine, code, explained(s, text));
        return;
    }
    etl_init_started(s.machine, error_code::ok, {});
}

static void on_remove_answers(void *arg, std::vector<gather_answer> answers)
{
    etl_start &s = *static_cast<etl_start *>(arg);
    s.calls = nullptr;
    for (const gather_answer &answer : answers) {
        if (gather_succeeded(answer))
            continue;
        if (s.machine.failure != error_code::ok && s.machine.failure_text.size() < etl_error_text_max)
            s.machine.failure_text += "\nIts pod is not removed yet; the target goes on trying: " + gather_failure_text(answer, nullptr);
        LOG(warn, "etl", "etl=%s reason=\"%s\" msg=\"not removed yet; the target drops it with the next document\"", text_escape(s.etl.id).c_str(),
                text_escape(gather_failure_text(answer, nullptr)).c_str());
    }
    etl_init_removed(s.machine);
}

static void world_store_initializing(void *arg, etl_init &) { change(*static_cast<etl_start *>(arg), apply_initializing); }
static void world_store_running(void *arg, etl_init &) { change(*static_cast<etl_start *>(arg), apply_running); }
static void world_store_ended(void *arg, etl_init &) { change(*static_cast<etl_start *>(arg), apply_ended); }

static void world_start_on_targets(void *arg, etl_init &m)
{
    etl_start &s = *static_cast<etl_start *>(arg);
    gather_request request;
    request.method = "POST";
    request.target = path_node_etl;
    request.headers = control_peer_headers(s.p->options, s.request_id);
    request.body = definition_json(s);
    request.has_body = true;
    // Before the machine's own, so that the error names a target.
    request.deadline_ms = m.wait_timeout_ms + (s.margin_ms > 0 ? s.margin_ms / 2 : etl_init_margin_ms - 1'000);
    request.stop_at_failure = true;
    s.calls = gather_start(*s.p->e, *s.p->client, proxy_needed_peers(*s.p), request, on_start_answers, &s);
}

static void world_remove_from_targets(void *arg, etl_init &)
{
    etl_start &s = *static_cast<etl_start *>(arg);
    gather_request request;
    request.method = "DELETE";
    request.target = std::string(path_node_etl) + "/" + url_encode(s.etl.id);
    request.headers = control_peer_headers(s.p->options, s.request_id);
    request.deadline_ms = etl_remove_timeout_ms - 1'000;
    s.calls = gather_start(*s.p->e, *s.p->client, proxy_target_peers(*s.p), request, on_remove_answers, &s);
}

static void world_cancel(void *arg, etl_init &)
{
    etl_start &s = *static_cast<etl_start *>(arg);
    if (s.calls != nullptr)
        gather_cancel(*s.calls);
    s.calls = nullptr;
}

// --- the caller

static exchange &take_exchange(etl_start &s)
{
    exchange &x = *s.x;
    s.x = nullptr;
    exchange_on_gone(x, nullptr, nullptr, false);
    return x;
}

static void on_caller_gone(void *arg)
{
    etl_start &s = *static_cast<etl_start *>(arg);
    exchange_answer_error(take_exchange(s), error_code::canceled, "the caller hung up"); // into the void, but it ends the exchange
    LOG(info, "etl", "etl=%s msg=\"the caller hung up, the start is rolled back\"", text_escape(s.etl.id).c_str());
    etl_init_caller_gone(s.machine);
}

static void world_answer_running(void *arg, etl_init &)
{
    etl_start &s = *static_cast<etl_start *>(arg);
    answer a;
    a.content_type = "text/plain; charset=utf-8";
    a.headers = warning_headers(s.warnings);
    a.body = s.answers_id ? s.etl.id : proxy_etl_job_id(s.etl);
    exchange_answer(take_exchange(s), static_cast<answer &&>(a));
}

static void world_answer_failure(void *arg, etl_init &m)
{
    etl_start &s = *static_cast<etl_start *>(arg);
    int status = m.is_restart && m.failure == error_code::conflict ? 400 : 0;
    exchange_answer_error(take_exchange(s), m.failure, m.failure_text, status, warning_headers(s.warnings));
}

static void world_on_end(void *arg, etl_init &m)
{
    etl_start *s = static_cast<etl_start *>(arg);
    proxy &p = *s->p;
    CHECK(s->x == nullptr);
    CHECK(s->calls == nullptr);
    if (m.failure != error_code::ok) {
        p.counts.etl_init_failures++;
        LOG(warn, "etl", "etl=%s name=%s request=%s reason=\"%s\" msg=\"start failed\"", text_escape(s->etl.id).c_str(), text_escape(s->etl.name).c_str(), s->request_id.c_str(),
            text_escape(m.failure_text).c_str());
    } else {
        LOG(info, "etl", "etl=%s name=%s generation=%s request=%s msg=\"running on all targets\"", text_escape(s->etl.id).c_str(), text_escape(s->etl.name).c_str(),
            s->etl.generation_id.c_str(), s->request_id.c_str());
    }
    p.starts.erase(s->etl.id);
    delete s;
}

// AIStore's SDK reads for init_timeout and takes silence for a fault of the network, which it answers by asking again. So the pods get what
// remains of it: time for log lines and the way back is kept.
static uint64_t answer_margin(uint64_t init_timeout_ms) { return init_timeout_ms / 4 < etl_answer_margin_max_ms ? init_timeout_ms / 4 : etl_answer_margin_max_ms; }

// Everything that a start looks at before it asks the targets, and nothing is started.
static void answer_dry_run(proxy &p, exchange &x, const etl_spec &spec, const cluster_etl &etl)
{
    const cluster_document &document = proxy_document(p);
    const cluster_etl *known = document_find_etl(document, etl.id);
    if (!etl.id.empty() && ((known != nullptr && known->id == etl.id && !document_is_failed_start(*known)) || p.starts.find(etl.id) != p.starts.end())) {
        exchange_answer_error(x, error_code::already_exists, "etl job " + text_escape(etl.id) + " already exists", 0, warning_headers(spec.warnings));
        return;
    }
    answer a;
    a.content_type = "application/json";
    a.headers = warning_headers(spec.warnings);
    a.body = spec.pod_json;
    exchange_answer(x, static_cast<answer &&>(a));
}

// A start that was meant as a trial must not start: near misses of the key, values that are neither true nor false, and both of them are refused.
static bool read_dry_run(exchange &x, bool &out_dry)
{
    std::string_view query = exchange_head(x).query;
    std::string key, value;
    bool is_broken = false;
    bool is_given = false;
    out_dry = false;
    while (url_query_next(query, key, value, is_broken)) {
        bool is_key = key == "dry_run";
        if (!is_key && text_is_near(text_lower(key), "dry_run", 2)) {
            exchange_answer_error(x, error_code::bad_request, "unknown parameter \"" + text_escape(key, 64) + "\": did you mean dry_run?");
            return false;
        }
        bool is_no = value == "false" || value == "0";
        if (is_key && !text_is_true(value) && !is_no) {
            exchange_answer_error(x, error_code::bad_request, "dry_run=" + text_escape(value, 64) + ": write true or false");
            return false;
        }
        if (is_key && is_given && out_dry == is_no) {
            exchange_answer_error(x, error_code::bad_request, "dry_run is given twice, with different values");
            return false;
        }
        out_dry = is_key ? !is_no : out_dry;
        is_given = is_given || is_key;
    }
    return true;
}

static void begin_start(proxy &p, exchange &x, cluster_etl etl, const etl_spec *spec, bool is_restart, bool answers_id)
{
    bool is_dry = false;
    if (!read_dry_run(x, is_dry))
        return;
    if (p.draining) {
        exchange_answer_error(x, error_code::stopping, "the proxy is shutting down");
        return;
    }
    if (proxy_needed_peers(p).empty()) {
        exchange_answer_error(x, error_code::unavailable, "no targets are registered: an ETL needs at least one");
        return;
    }
    // A target that holds another document counts as silent; why it does is what helps.
    if (std::string odds = proxy_odds_text(p); !odds.empty()) {
        exchange_answer_error(x, error_code::diverged, odds);
        return;
    }
    if (const cluster_node *silent = proxy_silent_target(p)) {
        exchange_answer_error(x, error_code::unavailable, "target " + silent->id + " is silent: an ETL starts on all targets or on none");
        return;
    }
    if (etl.pod_json.size() > etl_pod_size_max || etl.init_json.size() > etl_init_size_max) {
        exchange_answer_error(x, error_code::bad_spec, text_format("invalid ETL spec: with its aliases expanded it is larger than %zu MiB", etl_pod_size_max / mib));
        return;
    }
    if (spec != nullptr && is_dry) {
        answer_dry_run(p, x, *spec, etl);
        return;
    }
    if (p.starts.find(etl.id) != p.starts.end()) {
        std::string name = text_escape(etl.id);
        if (is_restart)
            exchange_answer_error(x, error_code::conflict, "invalid action \"can't start ETL[" + name + "] during Initializing stage\"", 400); // as of one that runs
        else
            exchange_answer_error(x, error_code::already_exists, "etl job " + name + " already exists: it is being started");
        return;
    }
    etl_start *s = new etl_start;
    s->p = &p;
    s->x = &x;
    s->etl = static_cast<cluster_etl &&>(etl);
    s->answers_id = answers_id;
    if (spec != nullptr)
        s->warnings = spec->warnings;
    s->request_id = exchange_request_id(x);
    etl_init &m = s->machine;
    m.sm.id = p.next_machine_id++;
    m.e = p.e;
    m.id = s->etl.id;
    s->margin_ms = answers_id ? 0 : answer_margin(s->etl.wait_timeout_ms);
    m.wait_timeout_ms = s->etl.wait_timeout_ms - s->margin_ms;
    m.answer_at_ms = answers_id ? 0 : exchange_started_ms(x) + s->etl.wait_timeout_ms - s->margin_ms / 3;
    m.is_restart = is_restart;
    m.world = {.store_initializing = world_store_initializing, .start_on_targets = world_start_on_targets, .cancel_start = world_cancel,
        .store_running = world_store_running, .remove_from_targets = world_remove_from_targets, .cancel_remove = world_cancel,
        .store_ended = world_store_ended, .answer_running = world_answer_running, .answer_failure = world_answer_failure, .on_end = world_on_end, .arg = s};
    p.starts[s->etl.id] = s;
    p.counts.etl_inits++;
    exchange_on_gone(x, on_caller_gone, s, true);
    etl_init_begin(m);
}

void proxy_etl_stop_starts(proxy &p)
{
    for (auto &[id, start] : p.starts)
        etl_init_stop(start->machine);
}

void proxy_etl_cut_off(proxy &p)
{
    for (auto &[id, start] : p.starts) {
        if (start->calls == nullptr)
            continue;
        gather_cancel(*start->calls);
        start->calls = nullptr;
        etl_init_removed(start->machine); // starts were stopped before: only removals are under way
    }
}

// --- handlers

static cluster_etl etl_of_spec(const etl_spec &spec)
{
    cluster_etl etl;
    static_cast<etl_config &>(etl) = spec;
    etl.name = spec.name;
    etl.pod_json = spec.pod_json;
    return etl;
}

static void on_init_2020_body(proxy_request &r, std::string body)
{
    proxy &p = *r.p;
    etl_spec spec;
    std::string reason;
    if (error err = etl_spec_parse_pod(body, spec, reason)) {
        proxy_request_fail(r, err.code, "invalid ETL spec: " + reason);
        return;
    }
    cluster_etl etl = etl_of_spec(spec);
    etl.id = make_id(p);
    json_ptr init = json_object();
    json_add_text(init.get(), "name", spec.name);
    json_add_text(init.get(), "communication", communication_names[static_cast<size_t>(spec.mode)]);
    json_add_text(init.get(), "init_timeout", text_duration(spec.wait_timeout_ms));
    json_add_text(init.get(), "obj_timeout", text_duration(spec.obj_timeout_ms));
    json_add_bool(init.get(), "support_direct_put", false);
    json_add_text(init.get(), "spec", base64_encode(body));
    etl.init_json = json_print(init.get());
    begin_start(p, proxy_request_release(r), static_cast<cluster_etl &&>(etl), &spec, false, true);
}

void proxy_serve_etl_init_2020(proxy &p, exchange &x, const route_match &)
{
    proxy_request_read(proxy_request_make(p, x), spec_size_max, on_init_2020_body);
}

static void on_init_body(proxy_request &r, std::string body)
{
    proxy &p = *r.p;
    etl_spec spec;
    std::string reason;
    if (error err = etl_spec_parse_init(body, spec, reason)) {
        proxy_request_fail(r, err.code, "invalid ETL spec: " + reason);
        return;
    }
    for (std::string_view reserved : reserved_names) {
        if (spec.name == reserved) {
            proxy_request_fail(r, error_code::bad_spec, "invalid ETL spec: the name \"" + spec.name + "\" is reserved");
            return;
        }
    }
    json_ptr init;
    if (json_parse(body, init, reason)) {
        proxy_request_fail(r, error_code::bad_json, reason);
        return;
    }
    cluster_etl etl = etl_of_spec(spec);
    etl.id = spec.name;
    etl.init_json = json_print(init.get());
    begin_start(p, proxy_request_release(r), static_cast<cluster_etl &&>(etl), &spec, false, false);
}

void proxy_serve_etl_init(proxy &p, exchange &x, const route_match &)
{
    proxy_request_read(proxy_request_make(p, x), json_body_size_max, on_init_body);
}

static void on_start_body(proxy_request &r, std::string)
{
    proxy &p = *r.p;
    const cluster_etl *known = document_find_etl(proxy_document(p), r.etl);
    if (known == nullptr) {
        proxy_request_fail(r, error_code::etl_not_found, proxy_etl_missing_text(p, r.etl));
        return;
    }
    begin_start(p, proxy_request_release(r), *known, nullptr, true, false);
}

void proxy_serve_etl_start(proxy &p, exchange &x, const route_match &match)
{
    std::string id;
    if (!control_decode_arg(x, match.args[0], "ETL id", id))
        return;
    proxy_request &r = proxy_request_make(p, x);
    r.etl = static_cast<std::string &&>(id);
    proxy_request_read(r, json_body_size_max, on_start_body);
}
