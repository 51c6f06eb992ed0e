// SPDX-License-Identifier: MIT
// kube/kubectl.cc: argument vectors, deadlines and output bounds of this node's kubectl calls.
//
// Knows    port (proc_options), codec, base.      Known by  etl.
// Limits   kubectl_timeout_ms, child_output_size_max, child_error_size_max.
#include "kube/kubectl.h"

#include <xxhash.h>

#include "base/limits.h"
#include "base/text.h"
#include "node/api.h"

namespace etlnode {

// --request-timeout is not used: in a pod it makes kubectl (at least 1.20 to 1.33) ignore the service account and ask localhost:8080. The
// child's deadline bounds the call.
static proc_options make_call(const kubectl_program &program, uint64_t deadline_ms)
{
    proc_options call;
    call.argv = program;
    call.deadline_ms = deadline_ms;
    call.kill_grace_ms = child_kill_grace_ms;
    call.out_size_max = child_output_size_max;
    call.err_size_max = child_error_size_max;
    return call;
}

static void add(proc_options &call, std::initializer_list<std::string_view> words)
{
    for (std::string_view word : words)
        call.argv.emplace_back(word);
}

proc_options kubectl_create(const kubectl_program &program, std::string pod_json, std::string_view target_url)
{
    proc_options call = make_call(program, kubectl_timeout_ms);
    add(call, {"create", "-f", "-"});
    size_t authority = target_url.find("://");
    if (authority != std::string_view::npos) // without the path, which contains a secret
        call.extra_env.push_back("KUBECTL_LOCAL_ALLOW_TARGET=" + std::string(target_url.substr(0, target_url.find('/', authority + 3))));
    call.input = std::move(pod_json);
    return call;
}

proc_options kubectl_delete(const kubectl_program &program, std::string_view pod_name, uint64_t grace_s)
{
    proc_options call = make_call(program, kubectl_timeout_ms + grace_s * 1000);
    add(call, {"delete", "pod", pod_name, "--ignore-not-found", "--wait=true"});
    if (grace_s > 0)
        call.argv.push_back(text_format("--grace-period=%llu", static_cast<unsigned long long>(grace_s)));
    return call;
}

proc_options kubectl_logs(const kubectl_program &program, std::string_view pod_name, std::string_view container, bool previous,
    size_t lines, uint64_t deadline_ms, uint64_t since_s)
{
    proc_options call = make_call(program, deadline_ms);
    call.out_size_max = pod_log_size_max;
    add(call, {"logs", pod_name});
    if (!container.empty())
        add(call, {"-c", container});
    call.argv.push_back(text_format("--tail=%zu", lines));
    if (previous)
        add(call, {"--previous"});
    if (since_s > 0)
        call.argv.push_back(text_format("--since=%llus", static_cast<unsigned long long>(since_s)));
    return call;
}

static std::string selector(std::string_view cluster_id, std::string_view target_id)
{
    return std::string(label_cluster) + "=" + kubectl_label_value(cluster_id) + "," + std::string(label_target) + "=" +
           kubectl_label_value(target_id);
}

proc_options kubectl_list(const kubectl_program &program, std::string_view cluster_id, std::string_view target_id)
{
    proc_options call = make_call(program, kubectl_timeout_ms);
    add(call, {"get", "pods", "-l", selector(cluster_id, target_id), "-o", "json"});
    return call;
}

proc_options kubectl_watch(const kubectl_program &program, std::string_view cluster_id, std::string_view target_id)
{
    proc_options call = make_call(program, 0);
    add(call, {"get", "pods", "-l", selector(cluster_id, target_id), "--watch", "--output-watch-events", "-o", "json"});
    call.out_size_max = 0;
    return call;
}

static constexpr std::string_view port_template = "jsonpath={.spec.ports[0].nodePort}";

proc_options kubectl_expose(const kubectl_program &program, std::string service_json)
{
    proc_options call = make_call(program, kubectl_timeout_ms);
    add(call, {"create", "-f", "-", "-o", port_template});
    call.input = std::move(service_json);
    return call;
}

proc_options kubectl_get_port(const kubectl_program &program, std::string_view service_name)
{
    proc_options call = make_call(program, kubectl_timeout_ms);
    add(call, {"get", "service", service_name, "-o", port_template});
    return call;
}

static bool is_alphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

std::string kubectl_label_value(std::string_view text)
{
    std::string out;
    for (char c : text)
        out += is_alphanumeric(c) || c == '-' || c == '_' || c == '.' ? c : '-';
    bool is_legal = out == text && out.size() <= 63 && (out.empty() || (is_alphanumeric(out.front()) && is_alphanumeric(out.back())));
    if (is_legal)
        return out;
    size_t first = 0;
    while (first < out.size() && !is_alphanumeric(out[first]))
        first++;
    out.erase(0, first);
    out.resize(out.size() < 46 ? out.size() : 46);
    return out + (out.empty() ? "x" : "-") + text_hex(XXH64(text.data(), text.size(), 0));
}

static std::string_view trimmed(std::string_view text)
{
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ' || text.back() == '\t'))
        text.remove_suffix(1);
    while (!text.empty() && (text.front() == '\n' || text.front() == '\r' || text.front() == ' ' || text.front() == '\t'))
        text.remove_prefix(1);
    return text;
}

bool kubectl_parse_port(std::string_view text, uint16_t &out_port)
{
    uint64_t port = 0;
    if (!text_parse_u64(trimmed(text), port) || port == 0 || port > UINT16_MAX)
        return false;
    out_port = static_cast<uint16_t>(port);
    return true;
}

std::string kubectl_failure_text(const proc_result &result, uint64_t deadline_ms)
{
    std::string out;
    if (result.err)
        out = error_text(result.err);
    else if (result.deadline_passed)
        out = "timeout: kubectl did not end within " + text_duration(deadline_ms);
    else if (result.truncated)
        out = "kubectl printed too much";
    else if (result.signal != 0)
        out = text_format("kubectl was killed by signal %d", result.signal);
    else
        out = text_format("exit code %d", result.exit_code);
    std::string_view words = trimmed(result.err_text);
    if (words.size() > etl_error_text_max / 2)
        words = words.substr(words.size() - etl_error_text_max / 2);
    if (!words.empty())
        out += ": " + std::string(words);
    return out;
}

std::string kubectl_refusal_text(const kubectl_program &program, error err)
{
    std::string name = program.empty() ? "" : program[0];
    const char *what = err.code == error_code::no_such_file ? "program not found" : error_text(err);
    return text_format("kubectl: %s: %s", what, name.c_str());
}

error kubectl_parse_json(std::string_view text, json_ptr &out_tree, std::string &out_where)
{
    if (text.find("\\u0000") == std::string_view::npos)
        return json_parse(text, out_tree, out_where);
    std::string clean;
    clean.reserve(text.size());
    for (size_t i = 0; i < text.size();) {
        if (text[i] != '\\') {
            clean += text[i++];
        } else if (text.substr(i, 6) == "\\u0000") {
            clean += "\\ufffd";
            i += 6;
        } else {
            clean += text.substr(i, 2); // an escape has at least two characters: "\\" must not hide the next one
            i += 2;
        }
    }
    return json_parse(clean, out_tree, out_where);
}

} // namespace etlnode
