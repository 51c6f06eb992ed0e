// SPDX-License-Identifier: MIT
// kubectl_local/get.cc: `get`: prints pods and the node in all formats. watch.cc follows changes.
#include "kubectl_local/commands.h"

#include <algorithm>
#include <cstdio>
#include <ctime>

#include <unistd.h>

#include "base/text.h"
#include "codec/yaml.h"
#include "kubectl_local/sandbox.h"
#include "node/version.h"

namespace etlnode::kubectl_local {

static json_ptr node_object(const std::string &name)
{
    json_ptr node = json_object();
    json_add_text(node.get(), "apiVersion", "v1");
    json_add_text(node.get(), "kind", "Node");
    cJSON *metadata = json_add_object(node.get(), "metadata");
    json_add_text(metadata, "name", name);
    cJSON *labels = json_add_object(metadata, "labels");
    json_add_text(labels, "kubernetes.io/hostname", name);
    json_add_text(labels, "kubernetes.io/os", "linux");
    cJSON *status = json_add_object(node.get(), "status");
    json_ptr condition = json_object();
    json_add_text(condition.get(), "type", "Ready");
    json_add_text(condition.get(), "status", "True");
    json_add_text(condition.get(), "reason", "KubectlLocal");
    json_append(json_add_array(status, "conditions"), std::move(condition));
    json_ptr address = json_object();
    json_add_text(address.get(), "type", "InternalIP");
    json_add_text(address.get(), "address", "127.0.0.1");
    json_append(json_add_array(status, "addresses"), std::move(address));
    return node;
}

static json_ptr list_of(std::vector<found_pod> &pods)
{
    json_ptr list = json_object();
    json_add_text(list.get(), "apiVersion", "v1");
    cJSON *items = json_add_array(list.get(), "items");
    for (found_pod &one : pods)
        json_append(items, std::move(one.pod));
    json_add_text(list.get(), "kind", "List");
    json_add_text(json_add_object(list.get(), "metadata"), "resourceVersion", "");
    return list;
}

// All formats except tables.
static int print_object(const cJSON *object, const output_format &format, const char *resource)
{
    std::string out;
    std::string text;
    if (format.kind == output_kind::json)
        out = print_json(object);
    else if (format.kind == output_kind::yaml)
        out = yaml_print(object);
    else if (format.kind == output_kind::name) {
        const cJSON *items = json_get(object, "items");
        const cJSON *one;
        cJSON_ArrayForEach(one, items)
            out += text_format("%s/%s\n", resource, std::string(json_text(json_get(one, "metadata"), "name")).c_str());
        if (items == nullptr)
            out += text_format("%s/%s\n", resource, std::string(json_text(json_get(object, "metadata"), "name")).c_str());
    } else if (!print_template(object, format, out, text))
        return command_fail(text);
    return command_write(out) ? 0 : 1;
}

static int get_nodes(const command &c, const std::vector<std::string> &names, const output_format &format)
{
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    std::string name = names.empty() ? c.node : names[0];
    if (names.size() > 1)
        return command_fail("kubectl-local supports only one node at a time");
    if (name != c.node && name != host)
        return options_bool(c.o, "ignore-not-found", false) ? 0 : command_fail_not_found("nodes", name);
    json_ptr node = node_object(name);
    if (format.kind != output_kind::table && format.kind != output_kind::wide)
        return print_object(node.get(), format, "node");
    static constexpr const char *version = "v" NODE_VERSION;
    table t;
    std::string rows = print_rows(t, {{"NAME", "STATUS", "ROLES", "AGE", "VERSION"}, {name, "Ready", "<none>", "<unknown>", version}});
    return command_write(rows) ? 0 : 1;
}

static int print_pods(const command &c, std::vector<found_pod> &pods, bool by_name, const output_format &format)
{
    if (format.kind != output_kind::table && format.kind != output_kind::wide) {
        if (by_name && pods.size() == 1)
            return print_object(pods[0].pod.get(), format, "pod");
        json_ptr list = list_of(pods);
        return print_object(list.get(), format, "pod");
    }
    if (pods.empty()) {
        if (!by_name)
            fprintf(stderr, c.all_namespaces ? "No resources found\n" : "No resources found in %s namespace.\n", c.ns.c_str());
        return 0;
    }
    bool wide = format.kind == output_kind::wide;
    bool with_sandbox = std::any_of(
        pods.begin(), pods.end(), [](const found_pod &one) { return sandbox_pod_is_unsandboxed(one.pod.get()); });
    std::vector<std::vector<std::string>> rows;
    if (!options_bool(c.o, "no-headers", false))
        rows.push_back(print_pod_header(wide, c.all_namespaces, with_sandbox));
    for (const found_pod &one : pods)
        rows.push_back(print_pod_cells(one.pod.get(), wide, c.all_namespaces, time(nullptr), with_sandbox));
    table t;
    return command_write(print_rows(t, rows)) ? 0 : 1;
}

int command_get(const command &c)
{
    std::string resource;
    std::string text;
    std::vector<std::string> names;
    output_format format;
    selector wanted;
    int code = 0;
    if (c.o.words.empty()) {
        fprintf(stderr,
            "You must specify the type of resource to get. kubectl-local supports pods and node.\n\nerror: Required resource not "
            "specified.\nSee 'kubectl-local get --help' for usage\n");
        return 1;
    }
    if (!command_parse_names(c.o.words, resource, names, text) ||
        !print_parse_format(options_text(c.o, "output", ""), options_text(c.o, "template", ""), format, text))
        return command_fail(text);
    if (!command_parse_selector(c, wanted, code))
        return code;
    if (!names.empty() && options_given(c.o, "selector"))
        return command_fail("name cannot be provided when a selector is specified");
    if (!names.empty() && c.all_namespaces)
        return command_fail("a resource cannot be retrieved by name across all namespaces");
    if (resource == "nodes")
        return get_nodes(c, names, format);
    bool watching = options_bool(c.o, "watch", false) || options_bool(c.o, "watch-only", false);
    if (watching && names.size() > 1)
        return command_fail("watch is only supported on individual resources and resource collections - more than 1 resource was found");
    std::vector<found_pod> pods;
    for (const std::string &name : names) {
        found_pod one;
        if (command_find_pod(c, name, one))
            pods.push_back(std::move(one));
        else if (!options_bool(c.o, "ignore-not-found", false))
            code = command_fail_not_found("pods", name);
    }
    if (watching)
        return code != 0 ? code : watch_pods(c, names.empty() ? "" : names[0], wanted, format);
    if (names.empty())
        pods = command_find_pods(c, wanted);
    if (!names.empty() && pods.empty())
        return code;
    return std::max(code, print_pods(c, pods, !names.empty(), format));
}

} // namespace etlnode::kubectl_local
