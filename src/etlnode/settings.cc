// SPDX-License-Identifier: MIT
// etlnode/settings.cc: checks the texts of the options, and reports every problem in one run.
#include "etlnode/settings.h"

#include <algorithm>

#include <arpa/inet.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/text.h"
#include "codec/url.h"
#include "node/version.h"
#include "role/shared/web_guard.h"

namespace etlnode {

std::string settings_where(const option_values &values, std::string_view name)
{
    auto found = values.find(name);
    if (found == values.end())
        return std::string(name);
    std::string out = "--" + std::string(name);
    if (found->second.origin == option_origin::flag || found->second.origin == option_origin::fallback)
        return out;
    out += std::string(" (") + option_origin_name(found->second.origin);
    return out + (found->second.location.empty() ? ")" : ": " + found->second.location + ")");
}

static std::string must_be(const option_values &values, std::string_view name, std::string_view wanted, std::string_view given)
{
    return settings_where(values, name) + ": must be " + std::string(wanted) + ", not \"" + text_escape(given, 200) + "\"";
}

// Other machines cannot connect to an address that means "all of this machine".
static bool is_wildcard(std::string_view host) { return host == "0.0.0.0" || host == "::"; }

static bool is_address(const std::string &host)
{
    in6_addr unused{};
    return inet_pton(AF_INET, host.c_str(), &unused) == 1 || inet_pton(AF_INET6, host.c_str(), &unused) == 1;
}

// HOST must be an address of this machine. Of all names, only localhost reliably has one.
static bool parse_listen(std::string_view text, std::string &host, uint16_t &port)
{
    size_t colon = text.rfind(':');
    uint64_t number = 0;
    if (colon == std::string_view::npos || colon == 0 || !text_parse_u64(text.substr(colon + 1), number) || number > 65535)
        return false;
    std::string_view name = text.substr(0, colon);
    if (name.size() > 2 && name.front() == '[' && name.back() == ']')
        name = name.substr(1, name.size() - 2);
    std::string address = text_equal_ignore_case(name, "localhost") ? "127.0.0.1" : std::string(name);
    if (!is_address(address))
        return false;
    host = address;
    port = static_cast<uint16_t>(number);
    return true;
}

static bool is_node_id(std::string_view id)
{
    if (id.size() < 8 || id.size() > node_id_size_max)
        return false;
    for (char c : id) {
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
        if (!good)
            return false;
    }
    return true;
}

static bool is_executable(const std::string &path) { return access(path.c_str(), X_OK) == 0; }

// Chooses kubectl on Kubernetes, otherwise kubectl-local. Inside a cluster, a wrong choice would start pods on the wrong machine.
static bool choose_kubectl(
    const option_values &values, const process_context &context, node_options &node, std::string &out_why, std::string &out_reason)
{
    std::string given(option_get(values, "kubectl"));
    bool named = !node.node_name.empty();
    if (!given.empty()) {
        node.kubectl = {given};
        node.kubectl_is_local = given.find("kubectl-local") != std::string::npos;
        out_why = "--kubectl selects it";
    } else if (named) {
        node.kubectl = {"kubectl"};
        out_why = "a Kubernetes node name is set";
    } else if (context.in_kubernetes) {
        out_reason =
            "this target runs inside Kubernetes, but K8S_HOST_NAME is not set: add it to the container's env with fieldRef spec.nodeName";
        return false;
    } else {
        std::string installed = context.program_dir + "/kubectl-local";
        std::string built = context.program_dir + "/../kubectl_local/kubectl-local";
        node.kubectl = {is_executable(installed) ? installed : is_executable(built) ? built : "kubectl-local"};
        node.kubectl_is_local = true;
        out_why = "K8S_HOST_NAME is not set, so pods run as local processes";
    }
    std::string_view sandbox = option_get(values, "sandbox");
    if (sandbox == "none" && !node.kubectl_is_local) {
        out_reason = settings_where(values, "sandbox") + ": none applies to pods that run as local processes, but here " + node.kubectl[0] +
                     " runs them";
        return false;
    }
    if (sandbox == "none")
        node.kubectl.push_back("--sandbox=none");
    if (node.node_name.empty())
        node.node_name = context.host_name.empty() ? "local" : context.host_name;
    return true;
}

static constexpr const char
    *listen_words = "HOST:PORT, where HOST is an IP address of this machine (0.0.0.0 or [::] for all of them) or localhost";

static bool read_url(const option_values &values, std::string_view name, std::string &out_url, std::string &out_reason)
{
    std::string text(option_get(values, name));
    while (!text.empty() && text.back() == '/')
        text.pop_back();
    url_base base;
    bool is_good = text.empty() || url_parse_base(text, base);
    if (is_good && (base.path + "/").find("/v1/") != std::string::npos) {
        out_reason = must_be(values, name, text_escape(text.substr(0, text.find("/v1")), 200) + ", without the request path /v1", text);
        return false;
    }
    // The advertised URL goes into redirects and the cluster map, which hold no path.
    if (is_good && !base.path.empty() && name == "advertise-url") {
        out_reason = must_be(values, name, "http://HOST:PORT, without a path", text);
        return false;
    }
    if (!is_good) {
        out_reason = must_be(values, name, "http://HOST:PORT", text);
        return false;
    }
    out_url = text;
    return true;
}

static bool read_security(const option_values &values, pod_security &out_security, std::string &out_reason)
{
    std::string_view text = option_get(values, "pod-security");
    for (size_t i = 0; i < std::size(pod_security_names); i++) {
        if (text == pod_security_names[i]) {
            out_security = static_cast<pod_security>(i);
            return true;
        }
    }
    out_reason = must_be(values, "pod-security", "off, baseline or restricted", text);
    return false;
}

// Accepts a host name, an IPv4 address, or an IPv6 address with or without brackets.
static bool read_node_address(const option_values &values, std::string &out_host, std::string &out_reason)
{
    std::string text(option_get(values, "node-address"));
    in6_addr address6{};
    bool is_bare6 = inet_pton(AF_INET6, text.c_str(), &address6) == 1;
    bool has_port = text.find(':') != std::string::npos && !is_bare6 && !text.ends_with(']');
    url_base base;
    if (!text.empty() && (has_port || !url_parse_base("http://" + (is_bare6 ? "[" + text + "]" : text), base) || !base.path.empty() ||
                             text.ends_with('/') || (text.starts_with('[') && !text.ends_with(']')))) {
        out_reason = must_be(values, "node-address", "a host name or an IP address, without a port", text);
        return false;
    }
    out_host = base.host;
    return true;
}

static std::string host_and_port(const std::string &host, uint16_t port)
{
    return (host.find(':') != std::string::npos ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::string settings_effective(const option_values &values, const node_options &node, std::string_view name)
{
    if (name == "listen")
        return host_and_port(node.listen_host, node.listen_port);
    if (name == "data-dir")
        return node.data_dir;
    if (name == "advertise-url" && node.advertise_url.empty() && node.listen_port != 0)
        return "http://" + host_and_port(node.listen_host, node.listen_port);
    if (node.is_target && name == "kubectl")
        return node.kubectl.empty() ? std::string() : node.kubectl[0];
    if (node.is_target && name == "node-name")
        return node.node_name;
    if (node.is_target && name == "pod-listen")
        return host_and_port(node.pod_listen_host, node.pod_listen_port);
    return std::string(option_get(values, name));
}

bool settings_is_loopback(std::string_view host) { return host == "localhost" || host.starts_with("127.") || host == "::1"; }

static void read_listeners(const option_values &values, settings &s)
{
    node_options &node = s.node;
    std::string listen(option_get(values, "listen"));
    if (listen.empty())
        listen = node.is_target ? "127.0.0.1:0" : "127.0.0.1:8080";
    std::string reason;
    bool is_good = parse_listen(listen, node.listen_host, node.listen_port);
    if (!is_good)
        s.problems.push_back(must_be(values, "listen", listen_words, listen));
    if (!read_url(values, "advertise-url", node.advertise_url, reason))
        s.problems.push_back(reason);
    else if (is_good && node.advertise_url.empty() && is_wildcard(node.listen_host))
        s.problems.push_back(settings_where(values, "listen") + ": " + text_escape(node.listen_host, 100) +
                             " is not an address that others can connect to: set --advertise-url http://HOST:PORT");
    if (is_good && !settings_is_loopback(node.listen_host))
        s.warnings.push_back(
            settings_where(values, "listen") + ": " + text_escape(listen, 100) +
            " is not loopback, and the API has no accounts yet: anyone who can reach this address can read and change everything");
}

static void read_recover_from(const option_values &values, settings &s)
{
    s.node.recover_from = option_get_list(values, "recover-from");
    if (s.node.is_target && !s.node.recover_from.empty())
        s.problems.push_back(settings_where(values, "recover-from") + ": only the proxy recovers the cluster document");
    for (const std::string &text : s.node.recover_from) {
        url_base base;
        if (!url_parse_base(text, base) || !base.path.empty())
            s.problems.push_back(
                settings_where(values, "recover-from") + ": must be http://HOST:PORT, not \"" + text_escape(text, 200) + "\"");
    }
    if (s.node.recover_from.size() > recovery_url_count_max)
        s.problems.push_back(settings_where(values, "recover-from") +
                             text_format(": more than %zu URLs: one is enough, it names the others", recovery_url_count_max));
}

static void read_auto_activate(const option_values &values, settings &s)
{
    std::string_view text = option_get(values, "auto-activate");
    s.node.auto_activate = text != "false"; // an empty text is the flag without a value
    if (!text.empty() && text != "true" && text != "false")
        s.problems.push_back(must_be(values, "auto-activate", "true or false", text));
    else if (s.node.is_target && !s.node.auto_activate)
        s.problems.push_back(settings_where(values, "auto-activate") + ": only the proxy decides who gets objects");
}

static void read_web(const option_values &values, settings &s)
{
    s.node.allowed_hosts = option_get_list(values, "allowed-host");
    for (const std::string &text : s.node.allowed_hosts) {
        if (!web_host_rule_is_good(text))
            s.problems.push_back(
                must_be(values, "allowed-host", "a host name or an IP address without a port, *.example.org, or any", text));
    }
    s.node.allowed_origins = option_get_list(values, "allowed-origin");
    for (const std::string &text : s.node.allowed_origins) {
        if (!web_origin_is_good(text))
            s.problems.push_back(must_be(values, "allowed-origin", "https://HOST or https://HOST:PORT", text));
    }
}

static void read_secret(const option_values &values, const process_context &context, settings &s)
{
    std::string named(option_get(values, "cluster-secret-file"));
    s.secret = {.path = named, .is_named = !named.empty(), .proxy_url = s.node.is_target ? s.node.proxy_url : std::string()};
    if (named.empty())
        s.secret.path = secret_default_path(context.is_root, context.config_home, context.home);
    std::string reason;
    if (s.secret.path.empty()) {
        s.problems.emplace_back(
            "there is no default location for the cluster secret: set HOME, or name the file with --cluster-secret-file");
        return;
    }
    switch (secret_read(s.secret.path, s.node.cluster_secret, reason)) {
    case secret_outcome::read: return;
    case secret_outcome::absent:
        if (s.secret.is_named)
            s.problems.push_back(settings_where(values, "cluster-secret-file") + ": " + reason);
        else if (!s.secret.proxy_url.empty() && !secret_proxy_is_here(s.secret.proxy_url, context.host_name))
            s.problems.push_back(
                "the cluster secret " + s.secret.path + " does not exist, and the proxy " + s.secret.proxy_url +
                " is on another machine: copy its file to this path (mode 600), or name a copy with --cluster-secret-file");
        else
            s.secret.must_be_created = true;
        return;
    case secret_outcome::bad:
        s.problems.push_back(
            (s.secret.is_named ? settings_where(values, "cluster-secret-file") : std::string("the cluster secret")) + ": " + reason);
        return;
    }
}

// A name as Kubernetes has them for nodes and pods.
static bool is_object_name(std::string_view text)
{
    constexpr size_t size_max = 253;
    auto is_end = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
    if (text.empty() || text.size() > size_max || !is_end(text.front()) || !is_end(text.back()))
        return false;
    return std::all_of(text.begin(), text.end(), [&](char c) { return is_end(c) || c == '-' || c == '.'; });
}

static void read_names(const option_values &values, settings &s)
{
    s.node.node_name = option_get(values, "node-name");
    s.node.pod_name = option_get(values, "pod-name");
    s.node.pod_uid = option_get(values, "pod-uid");
    struct {
        const char *option;
        const std::string &text;
    } names[] = {{"node-name", s.node.node_name}, {"pod-name", s.node.pod_name}};
    for (const auto &[option, text] : names) {
        if (!text.empty() && !is_object_name(text))
            s.problems.push_back(must_be(values, option, "a name of [a-z0-9.-], as Kubernetes has it", text));
    }
    auto is_bad = [](unsigned char c) { return c <= ' ' || c >= 0x7f; };
    if (std::any_of(s.node.pod_uid.begin(), s.node.pod_uid.end(), is_bad))
        s.problems.push_back(must_be(values, "pod-uid", "the uid of a pod", s.node.pod_uid));
}

// Who reaches this node only from its own machine could fetch by himself what that machine can reach.
static void read_downloads(const option_values &values, settings &s)
{
    node_options &node = s.node;
    std::vector<std::string> where = option_get_list(values, "download-from");
    url_base base;
    bool is_near = settings_is_loopback(node.listen_host) &&
                   (node.advertise_url.empty() || (url_parse_base(node.advertise_url, base) && settings_is_loopback(base.host)));
    if (where.empty())
        node.downloads = {.allows_public = true, .allows_private = is_near};
    for (const std::string &text : where) {
        if (!address_rules_add(node.downloads, text))
            s.problems.push_back(must_be(values, "download-from", address_rules_words, text));
    }
    if (where.size() > 1 && std::find(where.begin(), where.end(), "none") != where.end())
        s.problems.push_back(settings_where(values, "download-from") + ": none stands for itself");
    node.download_ca = option_get(values, "download-ca");
    if (!node.download_ca.empty() && access(node.download_ca.c_str(), R_OK) != 0)
        s.problems.push_back(settings_where(values, "download-ca") + ": " + text_escape(node.download_ca, 200) + " cannot be read");
}

static void read_promotes(const option_values &values, settings &s)
{
    for (std::string text : option_get_list(values, "promote-from")) {
        while (text.size() > 1 && text.ends_with('/'))
            text.pop_back();
        bool is_plain = text.starts_with('/') && (text + "/").find("//") == std::string::npos &&
                        (text + "/").find("/./") == std::string::npos && (text + "/").find("/../") == std::string::npos;
        if (!is_plain || text == "/")
            s.problems.push_back(must_be(values, "promote-from", "an absolute path of a directory, without . and ..", text));
        s.node.promote_from.push_back(std::move(text));
    }
}

// Every value of an option for targets, each by itself.
static void read_target_values(const option_values &values, settings &s)
{
    node_options &node = s.node;
    std::string reason;
    auto note = [&s](const std::string &problem) { s.problems.push_back(problem); };
    if (!read_url(values, "proxy", node.proxy_url, reason))
        note(reason);
    if (!read_url(values, "pod-url", node.pod_url, reason))
        note(reason);
    std::string pod_listen(option_get(values, "pod-listen"));
    node.pod_listen_host = node.listen_host;
    if (!pod_listen.empty() && !parse_listen(pod_listen, node.pod_listen_host, node.pod_listen_port))
        note(must_be(values, "pod-listen", listen_words, pod_listen));
    if (!text_parse_duration_ms(option_get(values, "pod-ready-wait"), node.pod_ready_wait_ms))
        note(must_be(values, "pod-ready-wait", "a duration such as 5s", option_get(values, "pod-ready-wait")));
    std::string_view percent = option_get(values, "out-of-space");
    if (!text_parse_u64(percent, node.out_of_space) || node.out_of_space < 1 || node.out_of_space > 100)
        note(must_be(values, "out-of-space", "a percentage from 1 to 100, without a sign", percent));
    std::string_view rate = option_get(values, "rebalance-rate");
    if (rate != "auto" && !text_parse_rate(rate, node.rebalance_rate))
        note(must_be(values, "rebalance-rate", "auto, or bytes a second such as 50MiB", rate));
    std::string_view framing = option_get(values, "require-framing");
    node.require_framing = framing != "false"; // an empty text is the flag without a value
    if (!framing.empty() && framing != "true" && framing != "false")
        note(must_be(values, "require-framing", "true or false", framing));
    if (!read_security(values, node.security, reason))
        note(reason);
    if (!read_node_address(values, node.node_address, reason))
        note(reason);
    read_names(values, s);
    read_downloads(values, s);
    read_promotes(values, s);
    if (std::string_view sandbox = option_get(values, "sandbox"); sandbox != "auto" && sandbox != "none")
        note(must_be(values, "sandbox", "auto or none", sandbox));
}

static void read_target(const option_values &values, const process_context &context, settings &s)
{
    node_options &node = s.node;
    std::string reason;
    read_target_values(values, s);
    bool is_same_host = node.pod_listen_host == node.listen_host || is_wildcard(node.pod_listen_host) || is_wildcard(node.listen_host);
    if (node.pod_listen_port != 0 && node.pod_listen_port == node.listen_port && is_same_host)
        s.problems.push_back(settings_where(values, "pod-listen") + ": " + text_escape(option_get(values, "pod-listen"), 100) +
                             " is also the address of --listen: pods need a separate one");
    s.kubectl_is_given = !option_get(values, "kubectl").empty();
    if (!choose_kubectl(values, context, node, s.kubectl_why, reason))
        s.problems.push_back(reason);
    else if (!node.kubectl_is_local && node.pod_url.empty() && is_wildcard(node.pod_listen_host))
        s.problems.push_back(settings_where(values, "pod-listen") + ": " + text_escape(node.pod_listen_host, 100) +
                             " is not an address that pods can connect to: set --pod-url http://HOST:PORT");
}

// A proxy does not use the options for targets. Wrong values are refused all the same: somebody meant something by them.
static void check_ignored(const option_values &values, settings &s)
{
    settings unused;
    unused.node.is_target = true;
    read_target_values(values, unused);
    s.problems.insert(s.problems.end(), unused.problems.begin(), unused.problems.end());
    std::string names;
    for (const option_row &row : option_rows()) {
        auto given = values.find(row.name);
        bool is_given = given != values.end() && given->second.origin != option_origin::fallback;
        if (is_given && std::string_view(row.help).starts_with("targets")) // as the help tells users
            names += (names.empty() ? "" : ", ") + settings_where(values, row.name);
    }
    if (!names.empty())
        s.notes.push_back("a proxy ignores what is for targets: " + names);
}

settings settings_read(const option_values &values, const process_context &context)
{
    settings s;
    node_options &node = s.node;
    std::string role(option_get(values, "role"));
    if (role != "proxy" && role != "target")
        s.problems.push_back(
            role.empty() ? "--role is missing: it must be proxy or target" : must_be(values, "role", "proxy or target", role));
    node.is_target = role == "target";
    node.version = NODE_VERSION;
    node.machine_name = context.host_name;
    read_listeners(values, s);
    node.data_dir = option_get(values, "data-dir");
    if (node.data_dir.empty())
        node.data_dir = "etlnode-" + role;
    node.id = option_get(values, "node-id");
    if (!node.id.empty() && !is_node_id(node.id))
        s.problems.push_back(must_be(values, "node-id", "8 to 64 of [A-Za-z0-9_-]", node.id));
    std::string level(option_get(values, "log-level"));
    if (!log_level_from_text(level.c_str(), s.level))
        s.problems.push_back(must_be(values, "log-level", "error, warn, info, state or debug", level));
    std::string_view log_format = option_get(values, "log-format");
    if (log_format != "text" && log_format != "json")
        s.problems.push_back(must_be(values, "log-format", "text or json", log_format));
    read_web(values, s);
    read_recover_from(values, s);
    read_auto_activate(values, s);
    if (node.is_target)
        read_target(values, context, s);
    else if (role == "proxy")
        check_ignored(values, s);
    read_secret(values, context, s);
    return s;
}

} // namespace etlnode
