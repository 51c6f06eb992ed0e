// SPDX-License-Identifier: MIT
// etlnode/options.cc: reads flags with CLI11, the environment, and one YAML file. The daemon's only file with exceptions (CLI11 throws).
#include "etlnode/options.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <vector>

#include "base/limits.h"
#include "base/text.h"
#include "codec/yaml.h"
#include "node/version.h"

namespace etlnode {

static constexpr option_row rows[] = {
    {"role", "proxy|target", "", nullptr, "role of this node: the proxy owns the cluster map, targets hold objects and run transforms"},
    {"listen", "HOST:PORT", "", nullptr,
        "address for clients and other nodes; port 0 lets the kernel choose (default 127.0.0.1:8080, targets 127.0.0.1:0)"},
    {"advertise-url", "URL", "", nullptr, "URL at which clients and other nodes reach this node (default: http://HOST:PORT of --listen)"},
    {"data-dir", "DIR", "", nullptr, "where this node keeps its database and objects (default: ./etlnode-ROLE)"},
    {"node-id", "ID", "", nullptr, "8 to 64 characters of [A-Za-z0-9_-] (default: generated at the first start and kept)"},
    {"cluster-secret-file", "FILE", "", nullptr,
        "file with the secret that the cluster's nodes share (default: /etc/etlnode/cluster-secret as root, otherwise "
        "~/.config/etlnode/cluster-secret; created "
        "if missing)"},
    {"allowed-host", "NAME", "", nullptr,
        "additional host name that clients use for this node: a host, *.example.org, or any; may be repeated", true},
    {"allowed-origin", "ORIGIN", "", nullptr,
        "allow web pages of this origin (https://HOST[:PORT]) to make changes through this node; may be repeated", true},
    {"recover-from", "URL", "", nullptr,
        "proxy: if the data directory holds no cluster document, take the one of this node and of all that it names; may be repeated",
        true},
    {"auto-activate", "[true|false]", "true", nullptr,
        "proxy: new targets get objects as soon as their ETLs serve; with false they wait for `etlctl target activate`"},
    {"log-level", "LEVEL", "info", nullptr, "error, warn, info, state or debug; SIGUSR2 switches a running node to debug and back"},
    {"log-format", "FORMAT", "text", nullptr, "text (key=value), or json with one object per line"},
    {"proxy", "URL", "http://127.0.0.1:8080", nullptr, "targets: the proxy to register with"},
    {"pod-listen", "HOST:PORT", "", nullptr,
        "targets: address at which pods read objects (default: host of --listen, port chosen by the kernel)"},
    {"pod-url", "URL", "", nullptr, "targets: URL at which pods read objects (default: http://HOST:PORT of --pod-listen)"},
    {"pod-ready-wait", "DURATION", "5s", nullptr, "targets: how long a read waits for a pod to become Ready"},
    {"out-of-space", "PERCENT", "95", nullptr,
        "targets: refuse writes while the disk is used to this extent, 1 to 100 (100: only when it is really full); a warning comes 5 "
        "points "
        "before"},
    {"rebalance-rate", "BYTES", "auto", nullptr,
        "targets: give at most this many bytes a second to other targets, for example 50MiB (auto: as many as possible, and fewer while "
        "clients are served)"},
    {"download-from", "WHERE", "", nullptr,
        "targets: from where clients may have them download: public, private, none, a block of addresses, or a host; may be repeated "
        "(default: public, and private if --listen is loopback)",
        true},
    {"download-ca", "FILE", "", nullptr, "targets: certificates (PEM) to trust for downloads by https instead of the system's"},
    {"promote-from", "DIR", "", nullptr,
        "targets: clients may turn files below this directory of the machine into objects, and remove the files afterwards; may be "
        "repeated",
        true},
    {"require-framing", "[true|false]", "false", nullptr,
        "targets: reject pod answers that have neither Content-Length nor chunks, unless the spec sets require_framing"},
    {"kubectl", "PATH", "", nullptr, "targets: program that runs pods (default: kubectl if K8S_HOST_NAME is set, otherwise kubectl-local)"},
    {"node-name", "NAME", "", "K8S_HOST_NAME", "targets: Kubernetes node that ETL pods are pinned to"},
    {"pod-name", "NAME", "", "POD_NAME", "targets in a pod: name of that pod, which owns the ETL pods"},
    {"pod-uid", "UID", "", "POD_UID", "targets in a pod: uid of that pod"},
    {"node-address", "HOST", "", nullptr,
        "targets: address at which clients reach this Kubernetes node's ports (default: the hostIP of its pods)"},
    {"pod-security", "LEVEL", "baseline", nullptr,
        "targets: security settings added to ETL pods: off, baseline, or restricted for namespaces that enforce it"},
    {"sandbox", "auto|none", "auto", nullptr,
        "targets without Kubernetes: none allows unsandboxed pods if namespaces cannot be created (auto: only as root in a container)"},
    {"allow-host-path", "DIR[:rw]", "", nullptr,
        "targets with kubectl-local: allow pods to mount this directory of the machine, read-only unless :rw is added; may be repeated",
        true},
    {"allow-host-network", "[true|false]", "false", nullptr, "targets with kubectl-local: allow pods to use the machine's network"},
};

std::span<const option_row> option_rows() { return rows; }

static std::string env_twin(std::string_view name)
{
    std::string out = "ETLNODE_";
    for (char c : name)
        out += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return out;
}

static const option_row *find_row(std::string_view name)
{
    for (const option_row &row : rows) {
        if (name == row.name)
            return &row;
    }
    return nullptr;
}

std::string_view option_get(const option_values &values, std::string_view name)
{
    auto found = values.find(name);
    return found == values.end() ? std::string_view() : std::string_view(found->second.text);
}

std::vector<std::string> option_get_list(const option_values &values, std::string_view name)
{
    std::vector<std::string> out;
    std::string_view rest = option_get(values, name);
    while (!rest.empty()) {
        size_t end = rest.find('\n');
        if (std::string_view one = text_trim(rest.substr(0, end)); !one.empty())
            out.emplace_back(one);
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    }
    return out;
}

const char *option_origin_name(option_origin origin)
{
    switch (origin) {
    case option_origin::fallback: return "default";
    case option_origin::file: return "file";
    case option_origin::environment: return "environment";
    case option_origin::flag: return "flag";
    }
    return "?";
}

static bool read_value(const option_row &row, const yaml_node &value, std::string &out_text)
{
    if (value.kind == yaml_kind::scalar) {
        out_text = value.text;
        return true;
    }
    if (!row.is_list || value.kind != yaml_kind::sequence)
        return false;
    for (const auto &one : value.values) {
        if (one->kind != yaml_kind::scalar)
            return false;
        out_text += (out_text.empty() ? "" : "\n") + one->text;
    }
    return true;
}

// Whether a list contains an empty entry where a name is expected.
static bool has_empty_entry(const option_row &row, const yaml_node &value)
{
    if (!row.is_list)
        return false; // --show-config prints an unset option in this form
    if (value.kind == yaml_kind::scalar)
        return text_trim(value.text).empty();
    return std::any_of(value.values.begin(), value.values.end(), [](const auto &one) { return text_trim(one->text).empty(); });
}

bool options_apply_file(std::string_view text, const std::string &path, option_values &values, std::vector<std::string> &out_problems)
{
    yaml_ptr tree;
    std::string where;
    if (yaml_parse(text, tree, where)) {
        out_problems.push_back(path + ": " + where);
        return false;
    }
    if (tree->kind != yaml_kind::mapping) {
        out_problems.push_back(path + ": " + yaml_location(*tree) + ": expected a mapping of options");
        return false;
    }
    std::vector<std::string_view> names;
    for (const option_row &row : rows)
        names.push_back(row.name);
    for (size_t i = 0; i < tree->keys.size(); i++) {
        const yaml_node &key = *tree->keys[i];
        const yaml_node &value = *tree->values[i];
        const option_row *row = find_row(key.text);
        if (row == nullptr) {
            std::string_view near = text_nearest(key.text, names);
            out_problems.push_back(path + ": " + yaml_location(key) + ": unknown key \"" + text_escape(key.text, 100) + "\"" +
                                   (near.empty() ? "" : ", did you mean \"" + std::string(near) + "\"?"));
            continue;
        }
        std::string joined;
        if (!read_value(*row, value, joined)) {
            out_problems.push_back(path + ": " + yaml_location(value) + ": expected " +
                                   (row->is_list ? "one value or a list of them" : "one value") + " for \"" + key.text + "\"");
            continue;
        }
        if (has_empty_entry(*row, value)) {
            out_problems.push_back(
                path + ": " + yaml_location(value) + ": an empty value for \"" + key.text + "\": expected " + row->value);
            continue;
        }
        option_value &slot = values[key.text];
        if (slot.origin == option_origin::fallback)
            slot = {joined, option_origin::file, path + ", " + yaml_location(value)};
    }
    return true;
}

// False with errno. An endless file such as /dev/zero is reported as too large.
static bool read_file(const std::string &path, std::string &out_text)
{
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    if (!file)
        return false;
    out_text.resize(config_file_size_max + 1);
    file.read(out_text.data(), static_cast<std::streamsize>(out_text.size()));
    out_text.resize(static_cast<size_t>(file.gcount()));
    if (out_text.size() > config_file_size_max)
        errno = EFBIG;
    bool is_read = errno != EISDIR && errno != EFBIG; // a directory can be opened but not read
    return is_read;
}

static void apply_environment(option_values &values)
{
    for (const option_row &row : rows) {
        option_value &slot = values[row.name];
        if (slot.origin == option_origin::flag)
            continue;
        const char *set = std::getenv(env_twin(row.name).c_str());
        if (set == nullptr && row.other_env != nullptr)
            set = std::getenv(row.other_env);
        if (set == nullptr || *set == '\0')
            continue;
        slot = {set, option_origin::environment, {}};
        if (row.is_list)
            std::replace(slot.text.begin(), slot.text.end(), ',', '\n');
    }
}

std::vector<std::string> options_misspelt(const char *const *environment)
{
    static constexpr std::string_view prefix = "ETLNODE_";
    // Variables that etlctl, the node itself or its tests read.
    static constexpr std::string_view others[] = {"ETLNODE_CONFIG", "ETLNODE_STRICT", "ETLNODE_COPY", "ETLNODE_WARM_MS", "ETLNODE_ENDPOINT",
        "ETLNODE_OUTPUT", "ETLNODE_TIMEOUT", "ETLNODE_PROGRESS", "ETLNODE_TOKEN"};
    std::vector<std::string> twins;
    for (const option_row &row : rows)
        twins.push_back(env_twin(row.name));
    std::vector<std::string_view> names(twins.begin(), twins.end());
    names.insert(names.end(), std::begin(others), std::end(others));
    std::vector<std::string> out;
    for (const char *const *at = environment; *at != nullptr; at++) {
        std::string_view pair = *at;
        std::string_view name = pair.substr(0, pair.find('='));
        // Kubernetes sets NAME_PORT=tcp://... and NAME_SERVICE_HOST for each Service, which may be called etlnode.
        bool is_service = pair.find("=tcp://") != std::string_view::npos || name.find("_SERVICE_") != std::string_view::npos ||
                          name.find("_TCP") != std::string_view::npos;
        if (is_service || std::find(names.begin(), names.end(), name) != names.end())
            continue;
        std::string upper(name);
        for (char &c : upper)
            c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
        size_t tail = upper.find('_') + 1; // position after the prefix; 0 if there is no prefix
        if (tail == 0 || !text_is_near(std::string_view(upper).substr(0, tail), prefix, 1))
            continue;
        std::string_view nearest = text_nearest(std::string_view(upper).substr(tail), [&] {
            std::vector<std::string_view> tails;
            for (std::string_view known : names)
                tails.push_back(known.substr(prefix.size()));
            return tails;
        }());
        if (!nearest.empty())
            out.push_back(std::string(name) + " is not read: did you mean " + std::string(prefix) + std::string(nearest) + "?");
    }
    return out;
}

// Reports, in the node's own words, words that belong to no option and options that are given twice.
static std::vector<std::string> find_misuse(const CLI::App &app)
{
    std::vector<std::string> out;
    std::vector<std::string> names = {"--help"};
    for (const CLI::Option *option : app.get_options())
        names.push_back(option->get_name());
    bool is_value = false; // the value of an unknown option: report one problem, not two
    for (const std::string &word : app.remaining()) {
        bool is_option = word.starts_with("-");
        if (is_option) {
            std::string name = word.substr(0, word.find('='));
            std::string_view near = text_nearest(name, std::vector<std::string_view>(names.begin(), names.end()));
            out.push_back("unknown option " + text_escape(name, 100) + (near.empty() ? "" : ", did you mean " + std::string(near) + "?"));
        } else if (!is_value) {
            out.push_back("\"" + text_escape(word, 100) + "\" does not belong to an option");
        }
        is_value = is_option && word.find('=') == std::string::npos;
    }
    for (const CLI::Option *option : app.get_options())
        if (option->get_expected_max() == 1 && option->count() > 1)
            out.push_back(option->get_name() + " is given " + (option->count() == 2 ? "twice" : "more than once"));
    return out;
}

// Whether the option may stand without a value. The placeholder of its value tells.
static bool is_value_optional(const option_row &row) { return *row.value == '['; }

// `--data-dir "$DIR"` with DIR unset must not silently use the default.
static void report_empty_values(const option_row &row, const std::vector<std::string> &given, std::vector<std::string> &out_problems)
{
    bool is_empty = std::any_of(given.begin(), given.end(), [](const std::string &value) { return text_trim(value).empty(); });
    if (is_empty && !is_value_optional(row))
        out_problems.push_back(std::string("--") + row.name + " has an empty value: expected " + row.value + ", or leave the option out");
}

// For "--listen=", CLI11 would take the next word as the value. Removes such a word and reports it, unless the option needs no value.
static std::vector<char *> drop_empty_values(int argc, char **argv, std::vector<std::string> &out_problems)
{
    std::vector<char *> words;
    for (int i = 0; i < argc; i++) {
        std::string_view word = argv[i];
        bool is_empty = i > 0 && word.starts_with("--") && word.ends_with('=');
        const option_row *row = is_empty ? find_row(word.substr(2, word.size() - 3)) : nullptr;
        if (row == nullptr) {
            words.push_back(argv[i]);
            continue;
        }
        if (!is_value_optional(*row)) {
            report_empty_values(*row, {std::string()}, out_problems);
            continue;
        }
        argv[i][word.size() - 1] = '\0';
        words.push_back(argv[i]);
    }
    return words;
}

// Finds the option in CLI11's message: "--role: 1 required proxy|target missing".
static std::string option_without_value(std::string_view complaint)
{
    std::string name(complaint.substr(0, complaint.find(':')));
    const option_row *row = name.starts_with("--") ? find_row(name.substr(2)) : nullptr;
    return name + " needs a value" + (row != nullptr ? std::string(": ") + row->value : std::string());
}

static std::string joined(const std::vector<std::string> &values)
{
    std::string out;
    for (const std::string &value : values)
        out += (out.empty() ? "" : "\n") + value;
    return out;
}

static void declare_rows(
    CLI::App &app, std::map<std::string, std::vector<std::string>> &given, std::map<std::string, CLI::Option *> &out_flags)
{
    for (const option_row &row : rows) {
        std::string help = row.help;
        help += *row.fallback != '\0' ? std::string(" (default ") + row.fallback + ")" : "";
        help += " [" + env_twin(row.name) + (row.other_env != nullptr ? std::string(", ") + row.other_env : "") + "]";
        CLI::Option *flag = app.add_option(std::string("--") + row.name, given[row.name], help)
                                ->type_name(row.value)
                                ->type_size(1)
                                ->allow_extra_args(false);
        out_flags[row.name] = row.is_list ? flag : flag->expected(1);
    }
}

option_outcome options_parse(int argc, char **argv, option_values &out_values, option_request &out_request)
{
    CLI::App app{"etlnode: a node of a storage cluster that transforms objects where they are stored", "etlnode"};
    app.set_help_flag("-h,--help", "print this help and exit");
    std::map<std::string, std::vector<std::string>> given;
    std::map<std::string, CLI::Option *> flags;
    declare_rows(app, given, flags);
    std::string config;
    bool version = false;
    app.add_option("--config", config, "YAML file with option names as keys [ETLNODE_CONFIG]")->type_name("FILE");
    app.add_flag("--check-config", out_request.check_config, "check all options and exit: 0 if they are valid, 2 if not");
    app.add_flag("--show-config", out_request.show_config, "print every option with its value and where it comes from, and exit");
    app.add_flag("--version", version, "print the version and exit");
    app.allow_extras(); // find_misuse reports them
    for (CLI::Option *option : app.get_options())
        if (option->get_expected_max() == 1)
            option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    for (const option_row &row : rows)
        if (is_value_optional(row))
            flags[row.name]->expected(0, 1); // no value means true
    app.footer("Example: etlnode --role proxy --listen 127.0.0.1:8080 --data-dir /var/lib/etlnode/proxy\nManual: man etlnode");
    std::vector<std::string> empty_values;
    std::vector<char *> words = drop_empty_values(argc, argv, empty_values);
    try {
        app.parse(static_cast<int>(words.size()), words.data());
    } catch (const CLI::CallForHelp &call) {
        app.exit(call);
        return option_outcome::exit_ok;
    } catch (const CLI::ArgumentMismatch &problem) {
        std::fprintf(stderr, "etlnode: %s\nTry etlnode --help.\n", option_without_value(problem.what()).c_str());
        return option_outcome::exit_usage;
    } catch (const CLI::ParseError &problem) {
        std::fprintf(stderr, "etlnode: %s\nTry etlnode --help.\n", problem.what());
        return option_outcome::exit_usage;
    }
    out_request.problems = find_misuse(app);
    out_request.is_misused = !out_request.problems.empty();
    out_request.problems.insert(out_request.problems.end(), empty_values.begin(), empty_values.end());
    if (version && !out_request.is_misused) {
        std::printf("etlnode %s\n", NODE_VERSION);
        return option_outcome::exit_ok;
    }
    for (const option_row &row : rows) {
        out_values[row.name] = {row.fallback, option_origin::fallback, {}};
        if (flags[row.name]->count() == 0)
            continue;
        out_values[row.name] = {joined(given[row.name]), option_origin::flag, {}};
        report_empty_values(row, given[row.name], out_request.problems);
    }
    apply_environment(out_values);
    const char *config_env = std::getenv("ETLNODE_CONFIG");
    if (config.empty() && config_env != nullptr)
        config = config_env;
    if (config.empty())
        return option_outcome::run;
    std::string text;
    bool is_read = read_file(config, text);
    if (!is_read)
        out_request.problems.push_back("cannot read the config file " + text_escape(config, 200) + ": " + std::strerror(errno));
    if (is_read && options_apply_file(text, config, out_values, out_request.problems))
        return option_outcome::run;
    for (const std::string &problem : out_request.problems)
        std::fprintf(stderr, "etlnode: %s\n", problem.c_str());
    return option_outcome::exit_usage; // without the file's options nothing else can be checked
}

} // namespace etlnode
