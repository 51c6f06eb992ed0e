// SPDX-License-Identifier: MIT
// etlctl/session.cc: settings, requests with their failures, and plans of dry runs.
//
// Owns     the HTTP client.     Known by  main and the commands.
// Precedence of settings: option, environment, default.
#include "etlctl/session.h"

#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include <sys/random.h>
#include <unistd.h>

#include "base/rng.h"
#include "base/text.h"
#include "codec/url.h"
#include "etlctl/format.h"
#include "etlctl/name.h"
#include "etlctl/wrong_endpoint.h"
#include "node/api.h"

namespace etlnode::etlctl {

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value != nullptr && *value != '\0' ? value : nullptr;
}

// Options that are absent take their value from the variables in their row.
static void apply_environment(options &opt)
{
    for (const flag_row &row : grammar_flags()) {
        if (row.environment == nullptr || row.text == nullptr || !(opt.*row.text).empty())
            continue;
        std::string_view rest = row.environment;
        while (!rest.empty() && (opt.*row.text).empty()) {
            size_t end = rest.find(',');
            const char *value = environment(std::string(rest.substr(0, end)).c_str());
            if (value != nullptr)
                opt.*row.text = value;
            rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
        }
    }
}

static std::string random_id()
{
    rng r;
    if (getrandom(&r.state, sizeof(r.state), 0) != static_cast<ssize_t>(sizeof(r.state)))
        r.state = static_cast<uint64_t>(getpid()) * 0x9e3779b97f4a7c15ull;
    return rng_text(r, "0123456789abcdef", 16, 16);
}

static failure usage(std::string message, std::string hint = {})
{
    return failure_make(exit_code::usage, {}, std::move(message), std::move(hint));
}

failure session_init(session &s)
{
    s.out_is_tty = isatty(STDOUT_FILENO) == 1;
    s.err_is_tty = isatty(STDERR_FILENO) == 1;
    s.in_is_tty = isatty(STDIN_FILENO) == 1;
    if (s.row != nullptr && s.row->id == command::cluster_backup) { // here -o names the file
        if (s.opt.words.empty())
            s.opt.words.push_back(s.opt.output);
        else if (!s.opt.output.empty())
            return usage("the file is named twice: as " + text_escape(s.opt.words[0]) + " and with -o");
        s.opt.output.clear();
    }
    apply_environment(s.opt);

    std::string why;
    if (!s.opt.output.empty() && !output_parse_format(s.opt.output, s.format, why))
        return usage(text_format("--output \"%s\": %s", text_escape(s.opt.output).c_str(),
            why.empty() ? "write table, wide, json, jsonl, yaml, name or jsonpath=TEMPLATE" : why.c_str()));
    if (!name_parse_endpoint(s.opt.endpoint.empty() ? "http://127.0.0.1:8080" : s.opt.endpoint, s.endpoint, why))
        return usage(why);
    if (!s.opt.timeout.empty() && (!text_parse_duration_ms(s.opt.timeout, s.timeout_ms) || s.timeout_ms == 0))
        return usage(
            text_format("--timeout \"%s\" is not a positive duration: write 30s, 5m or 1h30m", text_escape(s.opt.timeout).c_str()));
    if (s.opt.progress == "plain")
        s.progress = progress_mode::plain;
    else if (s.opt.progress == "none")
        s.progress = progress_mode::none;
    else if (!s.opt.progress.empty() && s.opt.progress != "auto")
        return usage(text_format("--progress \"%s\": write auto, plain or none", text_escape(s.opt.progress).c_str()));
    if (!s.opt.request_id.empty() && !name_is_request_id(s.opt.request_id))
        return usage(
            text_format("--request-id \"%s\": at most 64 letters, digits, '.', '_' or '-'", text_escape(s.opt.request_id).c_str()));
    s.request_id = s.opt.request_id.empty() ? random_id() : s.opt.request_id;

    s.http.verbose = s.opt.verbose;
    s.http.trace = s.opt.trace_http;
    const char *token = environment("ETLNODE_TOKEN") != nullptr ? environment("ETLNODE_TOKEN") : environment("AIS_AUTHN_TOKEN");
    if (token != nullptr) {
        s.http.token = text_trim(token);
        if (s.http.token.find_first_of("\r\n") != std::string::npos)
            return usage("the token in the environment contains a line break");
    }
    const char *no_proxy = environment("no_proxy") != nullptr ? environment("no_proxy") : environment("NO_PROXY");
    s.http.no_proxy = no_proxy != nullptr ? no_proxy : "";
    // Addresses of this machine are never reached through a network's HTTP proxy.
    if (s.http.no_proxy != "*")
        s.http.no_proxy += std::string(s.http.no_proxy.empty() ? "" : ",") + "localhost,127.0.0.0/8,::1";
    return {};
}

uint64_t session_clock_ms()
{
    struct timespec now = {};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1'000'000;
}

void session_sleep_ms(uint64_t ms)
{
    struct timespec pause = {static_cast<time_t>(ms / 1000), static_cast<long>(ms % 1000 * 1'000'000)};
    nanosleep(&pause, nullptr);
}

void session_close(session &s) { http_close(s.http); }

std::string session_url(const session &s, std::string_view path) { return s.endpoint + std::string(path); }

std::string session_object_url(const session &s, const std::string &bucket, const std::string &object)
{
    return session_url(s, path_objects) + "/" + url_encode(bucket) + "/" + url_encode_path(object);
}

http_request session_request(const session &s, const char *method, std::string url, uint64_t timeout_ms)
{
    http_request request;
    request.method = method;
    request.url = std::move(url);
    request.timeout_ms = s.timeout_ms != 0 ? s.timeout_ms : timeout_ms;
    if (request.timeout_ms != 0 && request.timeout_ms < request.connect_timeout_ms)
        request.connect_timeout_ms = request.timeout_ms;
    request.headers.push_back(std::string(header_request_id) + ": " + s.request_id);
    return request;
}

failure session_failure(session &s, const http_reply &reply, std::string doing)
{
    failure f;
    f.doing = std::move(doing);
    f.request_id = s.request_id;
    // If the server refuses an upload early, a reset may follow its answer. The answer is what matters.
    bool answered = reply.outcome == http_outcome::answered || (reply.outcome == http_outcome::cut && reply.status >= 400);
    if (answered) {
        if (reply.status >= 200 && reply.status < 300)
            return {};
        std::string_view head_error = http_header(reply, header_head_error);
        failure_read_answer(f, reply.status, head_error.empty() ? std::string_view(reply.body) : head_error);
        std::string_view request_id = http_header(reply, header_request_id);
        if (!request_id.empty() && f.request_id == s.request_id)
            f.request_id = request_id;
        wrong_endpoint_explain(s, reply, f);
        return f;
    }
    exit_code exit = exit_code::other;
    std::string message = reply.problem;
    bool redirected = !reply.url.empty() && !reply.url.starts_with(s.endpoint);
    std::string address = redirected ? reply.url.substr(0, reply.url.find('/', 8)) : s.endpoint;
    switch (reply.outcome) {
    case http_outcome::answered: break;
    case http_outcome::refused:
        exit = exit_code::unavailable;
        message = text_format("no answer from %s: %s", address.c_str(), reply.problem.c_str());
        break;
    case http_outcome::timed_out:
        exit = exit_code::timeout;
        message = text_format("no answer from %s in time: %s", address.c_str(), reply.problem.c_str());
        break;
    case http_outcome::cut:
        exit = exit_code::unavailable;
        message = text_format("the connection was cut before the answer was complete: %s", reply.problem.c_str());
        break;
    case http_outcome::bad_url: exit = exit_code::usage; break;
    case http_outcome::stopped:
    case http_outcome::bad_answer:
    case http_outcome::failed: break;
    }
    failure out = failure_make(exit, f.doing, message);
    out.request_id = s.request_id;
    if (reply.outcome == http_outcome::cut)
        out.code = "cut";
    if (reply.outcome == http_outcome::refused && redirected)
        out.hint = "the proxy redirected to a node that is not reachable from here; check its --advertise-url: etlctl cluster show";
    else if (reply.outcome == http_outcome::cut)
        out.hint = "it is not known whether this took effect: look before trying again";
    wrong_endpoint_explain(s, reply, out);
    return out;
}

failure session_perform(
    session &s, const http_request &request, const char *doing_what, const std::string &doing_name, http_reply &out_reply)
{
    http_perform(s.http, request, out_reply);
    return session_failure(s, out_reply, doing_name.empty() ? doing_what : std::string(doing_what) + " " + doing_name);
}

exit_code session_fail(session &s, failure f)
{
    if (f.exit == exit_code::broken_pipe) { // nobody reads the output: exit silently, as is customary
        s.worst = f.exit;
        return f.exit;
    }
    f.hint = f.exit == exit_code::usage ? grammar_as_program(f.hint, s.program) : failure_hint(f, s.program, s.endpoint);
    bool json = s.format == output_format::json || s.format == output_format::jsonl;
    fflush(stdout);
    fputs((json ? failure_as_json(f) : failure_as_text(f, s.program)).c_str(), stderr);
    s.worst = f.exit;
    return f.exit;
}

bool session_ask(const session &s, const std::string &question)
{
    fprintf(stderr, "%s: %s [y/N] ", s.program.c_str(), question.c_str());
    fflush(stderr);
    char line[16] = {};
    if (fgets(line, sizeof(line), stdin) == nullptr)
        return false;
    return line[0] == 'y' || line[0] == 'Y';
}

bool session_plan(session &s, const char *method, const std::string &url, std::string body)
{
    if (!s.opt.dry_run)
        return false;
    s.plan.push_back({method, url, std::move(body)});
    return true;
}

void session_print_plan(const session &s)
{
    bool json = s.format == output_format::json || s.format == output_format::jsonl;
    json_ptr tree = json_object();
    json_add_text(tree.get(), "apiVersion", output_api_version);
    json_add_text(tree.get(), "kind", "Plan");
    cJSON *requests = json_add_array(tree.get(), "requests");
    for (const plan_step &step : s.plan) {
        if (!json) {
            printf("would send %s %s%s%s\n", step.method.c_str(), step.url.c_str(), step.body.empty() ? "" : " with ", step.body.c_str());
            continue;
        }
        json_ptr item = json_object();
        json_add_text(item.get(), "method", step.method);
        json_add_text(item.get(), "url", step.url);
        output_add_text(item.get(), "body", step.body);
        json_append(requests, std::move(item));
    }
    if (json)
        fputs(s.format == output_format::json ? json_print_pretty(tree.get()).c_str() : (json_print(tree.get()) + "\n").c_str(), stdout);
}

void session_note(const session &s, const char *format, ...)
{
    if (!s.err_is_tty)
        return;
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

list_printer session_list(const session &s, const char *kind, std::span<const column> columns, const char *name_key)
{
    list_printer list;
    list.out = stdout;
    list.format = s.format;
    list.kind = kind;
    list.columns = columns;
    list.name_key = name_key;
    list.no_headers = s.opt.no_headers;
    list.null_separated = s.opt.null_separated;
    list.sort_by = s.opt.sort_by;
    return list;
}

failure session_check_list(const session &s, const list_printer &list)
{
    std::string why;
    if (!list_check(list, why))
        return usage(why);
    if (s.opt.null_separated && s.format != output_format::name)
        return usage("-0 requires -o name");
    return {};
}

failure session_flush(session &s)
{
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return {};
    int reason = errno;
    s.worst = exit_code::other;
    if (reason == EPIPE)
        return failure_make(exit_code::broken_pipe, {}, {});
    return failure_make(exit_code::other, "cannot write to standard output", strerror(reason));
}

} // namespace etlnode::etlctl
