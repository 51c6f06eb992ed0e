// SPDX-License-Identifier: MIT
// kubectl_local/print.cc: prints pods as kubectl does.
#include "kubectl_local/print.h"

#include <algorithm>
#include <cstring>

#include "base/text.h"
#include "codec/yaml.h"
#include "kubectl_local/os.h"
#include "kubectl_local/sandbox.h"

namespace etlnode::kubectl_local {

bool print_parse_format(std::string_view text, std::string_view template_text, output_format &out_format, std::string &out_text)
{
    struct known {
        std::string_view name;
        output_kind kind;
    };
    static constexpr known list[] = {{"", output_kind::table}, {"wide", output_kind::wide}, {"json", output_kind::json},
        {"yaml", output_kind::yaml}, {"name", output_kind::name}};
    static constexpr known with_value[] = {
        {"go-template", output_kind::go_template}, {"template", output_kind::go_template}, {"jsonpath", output_kind::jsonpath}};
    for (const known &one : list)
        if (text == one.name) {
            bool has_template = text.empty() && !template_text.empty();
            out_format.kind = has_template ? output_kind::go_template : one.kind;
            out_format.expression = template_text;
            return true;
        }
    for (const known &one : with_value) {
        if (!text.starts_with(one.name))
            continue;
        std::string_view rest = text.substr(one.name.size());
        if (!rest.empty() && rest[0] != '=')
            continue;
        out_format.kind = one.kind;
        out_format.expression = rest.empty() ? template_text : rest.substr(1);
        if (!out_format.expression.empty())
            return true;
        out_text = text_format("template format specified but no template given");
        return false;
    }
    out_text = text_format("unable to match a printer suitable for the output format \"%s\", allowed formats are: "
                           "go-template,json,jsonpath,name,template,wide,yaml",
        text_escape(text, 80).c_str());
    return false;
}

// JSON.

static void print_scalar(const cJSON *item, std::string &out)
{
    char *text = cJSON_PrintUnformatted(item);
    out += text != nullptr ? text : "null";
    cJSON_free(text);
}

static void print_key(const char *key, std::string &out)
{
    cJSON *item = cJSON_CreateString(key);
    print_scalar(item, out);
    cJSON_Delete(item);
}

static void print_tree(const cJSON *tree, size_t depth, std::string &out)
{
    bool is_object = cJSON_IsObject(tree);
    if (!is_object && !cJSON_IsArray(tree)) {
        print_scalar(tree, out);
        return;
    }
    std::vector<const cJSON *> items;
    const cJSON *item;
    cJSON_ArrayForEach(item, tree) items.push_back(item);
    if (items.empty()) {
        out += is_object ? "{}" : "[]";
        return;
    }
    if (is_object)
        std::stable_sort(items.begin(), items.end(), [](const cJSON *a, const cJSON *b) { return strcmp(a->string, b->string) < 0; });
    out += is_object ? "{\n" : "[\n";
    for (size_t i = 0; i < items.size(); i++) {
        out.append((depth + 1) * 4, ' ');
        if (is_object) {
            print_key(items[i]->string, out);
            out += ": ";
        }
        print_tree(items[i], depth + 1, out);
        out += i + 1 < items.size() ? ",\n" : "\n";
    }
    out.append(depth * 4, ' ');
    out += is_object ? '}' : ']';
}

std::string print_json(const cJSON *tree)
{
    std::string out;
    print_tree(tree, 0, out);
    return out + "\n";
}

// Tables.

std::string print_age(uint64_t seconds)
{
    uint64_t minutes = seconds / 60;
    uint64_t hours = minutes / 60;
    uint64_t days = hours / 24;
    auto two = [](uint64_t a, char unit_a, uint64_t b, char unit_b) {
        std::string text = std::to_string(a) + unit_a;
        return b == 0 ? text : text + std::to_string(b) + unit_b;
    };
    if (seconds < 120)
        return std::to_string(seconds) + "s";
    if (minutes < 10)
        return two(minutes, 'm', seconds % 60, 's');
    if (minutes < 180)
        return std::to_string(minutes) + "m";
    if (hours < 8)
        return two(hours, 'h', minutes % 60, 'm');
    if (hours < 48)
        return std::to_string(hours) + "h";
    if (hours < 192)
        return two(days, 'd', hours % 24, 'h');
    if (days < 730)
        return std::to_string(days) + "d";
    if (days < 8 * 365)
        return two(days / 365, 'y', days % 365, 'd');
    return std::to_string(days / 365) + "y";
}

static std::string age_since(std::string_view text, time_t now)
{
    time_t at = 0;
    if (!os_time_parse(text, at))
        return "<unknown>";
    return print_age(now > at ? static_cast<uint64_t>(now - at) : 0);
}

// The state of the init container that blocks the pod; empty if it has succeeded.
static std::string init_reason(const cJSON *status, size_t index, size_t count)
{
    const cJSON *terminated = json_get(json_get(status, "state"), "terminated");
    const cJSON *waiting = json_get(json_get(status, "state"), "waiting");
    if (terminated != nullptr && json_u64(terminated, "exitCode", 0) == 0)
        return "";
    if (terminated != nullptr && !json_text(terminated, "reason").empty())
        return "Init:" + std::string(json_text(terminated, "reason"));
    if (terminated != nullptr)
        return text_format("Init:ExitCode:%llu", static_cast<unsigned long long>(json_u64(terminated, "exitCode", 0)));
    std::string_view reason = json_text(waiting, "reason");
    if (!reason.empty() && reason != "PodInitializing")
        return "Init:" + std::string(reason);
    return text_format("Init:%zu/%zu", index, count);
}

pod_row print_pod_row(const cJSON *pod, time_t now)
{
    const cJSON *metadata = json_get(pod, "metadata");
    const cJSON *status = json_get(pod, "status");
    pod_row row;
    row.name = json_text(metadata, "name");
    row.status = json_text(status, "phase");
    if (!json_text(status, "reason").empty())
        row.status = json_text(status, "reason");
    const cJSON *init = json_get(status, "initContainerStatuses");
    size_t init_count = static_cast<size_t>(cJSON_GetArraySize(json_get(json_get(pod, "spec"), "initContainers")));
    bool initializing = false;
    uint64_t restarts = 0;
    std::string_view last_end;
    const cJSON *one;
    size_t index = 0;
    cJSON_ArrayForEach(one, init)
    {
        restarts += json_u64(one, "restartCount", 0);
        std::string_view end = json_text(json_get(json_get(one, "lastState"), "terminated"), "finishedAt");
        if (!end.empty())
            last_end = end;
        std::string reason = init_reason(one, index++, init_count);
        if (!reason.empty()) {
            row.status = reason;
            initializing = true;
            break;
        }
    }
    size_t ready = 0;
    const cJSON *containers = json_get(status, "containerStatuses");
    if (!initializing) {
        restarts = 0;
        last_end = {};
        cJSON_ArrayForEach(one, containers)
        {
            const cJSON *state = json_get(one, "state");
            restarts += json_u64(one, "restartCount", 0);
            std::string_view end = json_text(json_get(json_get(one, "lastState"), "terminated"), "finishedAt");
            if (!end.empty())
                last_end = end;
            std::string_view waiting = json_text(json_get(state, "waiting"), "reason");
            std::string_view terminated = json_text(json_get(state, "terminated"), "reason");
            if (!waiting.empty())
                row.status = waiting;
            else if (!terminated.empty())
                row.status = terminated;
            else if (json_get(state, "terminated") != nullptr)
                row.status = text_format(
                    "ExitCode:%llu", static_cast<unsigned long long>(json_u64(json_get(state, "terminated"), "exitCode", 0)));
            else if (json_bool(one, "ready", false) && json_get(state, "running") != nullptr)
                ready++;
        }
    }
    bool ended = json_text(status, "phase") == "Succeeded" || json_text(status, "phase") == "Failed";
    if (json_get(metadata, "deletionTimestamp") != nullptr && !ended)
        row.status = "Terminating";
    row.ready = text_format("%zu/%d", ready, cJSON_GetArraySize(json_get(json_get(pod, "spec"), "containers")));
    row.restarts = std::to_string(restarts);
    if (restarts > 0 && !last_end.empty())
        row.restarts += " (" + age_since(last_end, now) + " ago)";
    row.age = age_since(json_text(metadata, "creationTimestamp"), now);
    row.ip = json_text(status, "podIP");
    row.node = json_text(json_get(pod, "spec"), "nodeName");
    return row;
}

std::vector<std::string> print_pod_header(bool wide, bool with_namespace, bool with_sandbox)
{
    std::vector<std::string> cells = {"NAME", "READY", "STATUS", "RESTARTS", "AGE"};
    if (with_namespace)
        cells.insert(cells.begin(), "NAMESPACE");
    if (wide)
        cells.insert(cells.end(), {"IP", "NODE", "NOMINATED NODE", "READINESS GATES"});
    if (wide || with_sandbox)
        cells.push_back("SANDBOX");
    return cells;
}

std::vector<std::string> print_pod_cells(const cJSON *pod, bool wide, bool with_namespace, time_t now, bool with_sandbox)
{
    pod_row row = print_pod_row(pod, now);
    std::vector<std::string> cells = {row.name, row.ready, row.status, row.restarts, row.age};
    if (with_namespace)
        cells.insert(cells.begin(), std::string(json_text(json_get(pod, "metadata"), "namespace")));
    if (wide)
        cells.insert(cells.end(), {row.ip.empty() ? "<none>" : row.ip, row.node.empty() ? "<none>" : row.node, "<none>", "<none>"});
    if (wide || with_sandbox)
        cells.push_back(sandbox_pod_is_unsandboxed(pod) ? "none" : "namespaces");
    return cells;
}

std::string print_rows(table &t, const std::vector<std::vector<std::string>> &rows)
{
    for (const std::vector<std::string> &row : rows)
        for (size_t i = 0; i < row.size(); i++) {
            if (t.widths.size() <= i)
                t.widths.push_back(0);
            t.widths[i] = std::max({t.widths[i], row[i].size() + 3, size_t{6}});
        }
    std::string out;
    for (const std::vector<std::string> &row : rows) {
        for (size_t i = 0; i + 1 < row.size(); i++)
            out += row[i] + std::string(t.widths[i] - row[i].size(), ' ');
        out += (row.empty() ? "" : row.back()) + "\n";
    }
    return out;
}

// Templates.

static const cJSON *follow(const cJSON *object, std::string_view path, bool &out_valid)
{
    out_valid = !path.empty() && path[0] == '.';
    const cJSON *at = object;
    while (out_valid && !path.empty() && path != ".") {
        if (path[0] == '[') {
            size_t end = path.find(']');
            uint64_t index = 0;
            out_valid = end != std::string_view::npos && text_parse_u64(path.substr(1, end - 1), index) && index < 100'000;
            if (out_valid) {
                at = cJSON_GetArrayItem(at, static_cast<int>(index));
                path.remove_prefix(end + 1);
            }
            continue;
        }
        out_valid = path[0] == '.';
        size_t end = std::min(path.find_first_of(".[", 1), path.size());
        std::string key(path.substr(1, end - 1));
        out_valid = out_valid && !key.empty() && key.find_first_of(" |(){}\"$") == std::string::npos;
        at = cJSON_GetObjectItemCaseSensitive(at, key.c_str());
        path.remove_prefix(end);
    }
    return at;
}

bool print_template(const cJSON *object, const output_format &format, std::string &out_result, std::string &out_text)
{
    bool is_go = format.kind == output_kind::go_template;
    std::string_view open = is_go ? "{{" : "{";
    std::string_view close = is_go ? "}}" : "}";
    std::string_view rest = format.expression;
    out_result.clear();
    while (!rest.empty()) {
        size_t from = rest.find(open);
        out_result += rest.substr(0, from);
        if (from == std::string_view::npos)
            break;
        size_t end = rest.find(close, from);
        std::string_view path = end == std::string_view::npos ? "" : text_trim(rest.substr(from + open.size(), end - from - open.size()));
        bool valid = true;
        if (path == "\"\\n\"" || path == "`\n`")
            out_result += '\n';
        else {
            const cJSON *found = follow(object, path, valid);
            if (valid && cJSON_IsString(found))
                out_result += found->valuestring;
            else if (valid && found != nullptr)
                print_scalar(found, out_result);
            else if (valid && is_go)
                out_result += "<no value>";
        }
        if (!valid) {
            out_text = text_format(
                "error parsing template \"%s\": kubectl-local supports only paths, as in {{.metadata.name}} or {.status.podIP}",
                text_escape(format.expression, 200).c_str());
            return false;
        }
        rest.remove_prefix(end + close.size());
    }
    return true;
}

} // namespace etlnode::kubectl_local
