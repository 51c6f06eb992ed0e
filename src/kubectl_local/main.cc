// SPDX-License-Identifier: MIT
// kubectl_local/main.cc: kubectl-local: the subset of kubectl that runs pods as sandboxed processes of this machine.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "kubectl_local/commands.h"
#include "kubectl_local/help.h"
#include "kubectl_local/options.h"
#include "kubectl_local/os.h"
#include "kubectl_local/pod.h"
#include "kubectl_local/state.h"
#include "kubectl_local/supervisor.h"
#include "kubectl_local/tracer.h"
#include "node/api.h"

namespace etlnode::kubectl_local {

static constexpr flag_kind text = flag_kind::text;
static constexpr flag_kind boolean = flag_kind::boolean;

// Flags of every command. Those that name a server are accepted without effect.
static constexpr flag_spec global_flags[] = {
    {"namespace", 'n', text},
    {"context", 0, text},
    {"kubeconfig", 0, text},
    {"request-timeout", 0, text},
    {"state-dir", 0, text},
    {"node", 0, text},
    {"cluster", 0, text},
    {"user", 0, text},
    {"server", 's', text},
    {"token", 0, text},
    {"as", 0, text},
    {"cache-dir", 0, text},
    {"certificate-authority", 0, text},
    {"client-certificate", 0, text},
    {"client-key", 0, text},
    {"insecure-skip-tls-verify", 0, boolean},
    {"tls-server-name", 0, text},
    {"warnings-as-errors", 0, boolean},
    {"v", 'v', text},
    {"help", 'h', boolean},
    {"sandbox", 0, text},
};
static constexpr flag_spec create_flags[] = {
    {"filename", 'f', text},
    {"output", 'o', text},
    {"dry-run", 0, text},
    {"validate", 0, text},
    {"save-config", 0, boolean},
    {"field-manager", 0, text},
    {"edit", 0, boolean},
};
static constexpr flag_spec get_flags[] = {
    {"output", 'o', text},
    {"template", 0, text},
    {"selector", 'l', text},
    {"watch", 'w', boolean},
    {"watch-only", 0, boolean},
    {"output-watch-events", 0, boolean},
    {"no-headers", 0, boolean},
    {"ignore-not-found", 0, boolean},
    {"all-namespaces", 'A', boolean},
    {"chunk-size", 0, text},
    {"show-managed-fields", 0, boolean},
    {"server-print", 0, boolean},
};
static constexpr flag_spec delete_flags[] = {
    {"selector", 'l', text},
    {"ignore-not-found", 0, boolean},
    {"grace-period", 0, text},
    {"wait", 0, boolean},
    {"now", 0, boolean},
    {"force", 0, boolean},
    {"timeout", 0, text},
    {"all", 0, boolean},
    {"all-namespaces", 'A', boolean},
    {"output", 'o', text},
    {"cascade", 0, text},
};
static constexpr flag_spec logs_flags[] = {
    {"tail", 0, text},
    {"previous", 'p', boolean},
    {"follow", 'f', boolean},
    {"timestamps", 0, boolean},
    {"container", 'c', text},
    {"selector", 'l', text},
    {"limit-bytes", 0, text},
    {"ignore-errors", 0, boolean},
    {"since", 0, text},
};
static constexpr flag_spec wait_flags[] = {
    {"for", 0, text},
    {"timeout", 0, text},
    {"selector", 'l', text},
    {"all", 0, boolean},
    {"output", 'o', text},
};
static constexpr flag_spec describe_flags[] = {{"selector", 'l', text}, {"all-namespaces", 'A', boolean}, {"show-events", 0, boolean}};
static constexpr flag_spec version_flags[] = {{"client", 0, boolean}, {"output", 'o', text}};
static constexpr flag_spec image_flags[] = {{"env", 'e', text}, {"workdir", 'w', text}, {"no-headers", 0, boolean}};

struct verb {
    std::string_view name;
    int (*run)(const command &c);
    std::span<const flag_spec> flags;
    size_t words_before_rest; // after this many words, nothing is parsed as a flag
    const char *help;
};

static int run_exec(const command &) { return command_fail("kubectl-local cannot run commands in a container: exec is not supported"); }

static const verb verbs[] = {
    {"create", command_create, create_flags, SIZE_MAX, help_create},
    {"get", command_get, get_flags, SIZE_MAX, help_get},
    {"delete", command_delete, delete_flags, SIZE_MAX, help_delete},
    {"logs", command_logs, logs_flags, SIZE_MAX, help_logs},
    {"wait", command_wait, wait_flags, SIZE_MAX, help_wait},
    {"describe", command_describe, describe_flags, SIZE_MAX, help_describe},
    {"version", command_version, version_flags, SIZE_MAX, help_version},
    {"image", command_image, image_flags, 2, help_image},
    {"exec", run_exec, {}, 0, help_main},
};

static const verb *find_verb(std::string_view name)
{
    for (const verb &one : verbs)
        if (one.name == name)
            return &one;
    return nullptr;
}

static std::string own_node(const options &o)
{
    std::string name = options_text(o, "node", "");
    const char *value = getenv(std::string(env_host_name).c_str());
    if (name.empty() && value != nullptr)
        name = value;
    char host[256] = "localhost";
    if (name.empty() && gethostname(host, sizeof host - 1) == 0)
        name = host;
    return name;
}

// The hidden command that runs a pod's supervisor.
static int run_supervisor(const local_state &state, const options &o)
{
    size_t slash = o.words.empty() ? std::string::npos : o.words[0].find('/');
    if (slash == std::string::npos)
        return command_fail("supervise expects NAMESPACE/NAME");
    pod_key key = {o.words[0].substr(0, slash), o.words[0].substr(slash + 1)};
    if (!pod_label_is_valid(key.ns) || !pod_name_is_valid(key.name))
        return command_fail("supervise expects NAMESPACE/NAME");
    return supervisor_main(state, key);
}

// The command is the first word that is not a flag. Flags of any command may precede it.
static size_t verb_index(const std::vector<std::string> &args)
{
    for (size_t i = 0; i < args.size(); i++) {
        if (args[i].empty() || args[i][0] != '-')
            return i;
        bool has_value = args[i].find('=') != std::string::npos;
        for (const flag_spec &flag : global_flags) {
            bool is_long = args[i] == "--" + std::string(flag.name);
            bool is_letter = flag.letter != 0 && args[i] == std::string("-") + flag.letter;
            if (flag.kind == flag_kind::text && !has_value && (is_long || is_letter)) {
                i++;
                break;
            }
        }
    }
    return args.size();
}

static int run_main(int argc, char **argv)
{
    std::vector<std::string> args(argv + 1, argv + argc);
    signal(SIGPIPE, SIG_IGN);
    if (!args.empty() && args[0] == "run-unsandboxed") // hidden: container.cc runs it in bubblewrap's place
        return tracer_main({args.begin() + 1, args.end()});
    size_t at = verb_index(args);
    std::string name = at < args.size() ? args[at] : "";
    bool wants_help = name.empty() || name == "help" || name == "options";
    if (wants_help) {
        const verb *about = at + 1 < args.size() ? find_verb(args[at + 1]) : nullptr;
        for (const std::string &arg : args)
            if (name.empty() && arg[0] == '-' && arg != "-h" && arg != "--help" && at > args.size())
                return command_fail("unknown flag: " + text_escape(arg, 80));
        return command_write(about != nullptr ? about->help : help_main) ? 0 : 1;
    }
    const verb *chosen = find_verb(name);
    bool is_supervisor = name == "supervise";
    if (chosen == nullptr && !is_supervisor) {
        static constexpr std::string_view names[] = {"create", "get", "delete", "logs", "wait", "describe", "version", "image"};
        std::string_view near = text_nearest(name, names);
        fprintf(stderr, "error: unknown command \"%s\" for \"kubectl-local\"\n", text_escape(name, 80).c_str());
        if (!near.empty())
            fprintf(stderr, "\nDid you mean this?\n\t%.*s\n", static_cast<int>(near.size()), near.data());
        return 1;
    }
    args.erase(args.begin() + static_cast<ptrdiff_t>(at));
    command c;
    std::string why;
    std::span<const flag_spec> own = is_supervisor ? std::span<const flag_spec>() : chosen->flags;
    if (!options_parse(args, global_flags, own, is_supervisor ? SIZE_MAX : chosen->words_before_rest, c.o, why)) {
        fprintf(stderr, "error: %s\nSee 'kubectl-local %s --help' for usage.\n", why.c_str(), name.c_str());
        return 1;
    }
    if (!is_supervisor && options_bool(c.o, "help", false))
        return command_write(chosen->help) ? 0 : 1;
    umask(022);
    if (!state_open(c.state, options_text(c.o, "state-dir", ""), why))
        return command_fail(why);
    if (is_supervisor)
        return run_supervisor(c.state, c.o);
    if (!sandbox_parse_mode(options_text(c.o, "sandbox", ""), c.sandbox, why))
        return command_fail(why);
    c.ns_given = options_given(c.o, "namespace");
    c.ns = options_text(c.o, "namespace", "default");
    c.all_namespaces = options_bool(c.o, "all-namespaces", false);
    if (!pod_label_is_valid(c.ns))
        return command_fail(text_format("invalid namespace \"%s\"", text_escape(c.ns, 80).c_str()));
    c.node = own_node(c.o);
    return chosen->run(c);
}

} // namespace etlnode::kubectl_local

int main(int argc, char **argv) { return etlnode::kubectl_local::run_main(argc, argv); }
