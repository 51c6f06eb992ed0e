// SPDX-License-Identifier: MIT
// etlnode/etlnode.cc: the daemon: reads options, runs one role on one loop, drains on SIGTERM.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <malloc.h>
#include <string>
#include <sys/resource.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/standard_streams.h"
#include "base/text.h"
#include "codec/json.h"
#include "etlnode/grants.h"
#include "etlnode/machine_check.h"
#include "etlnode/options.h"
#include "etlnode/sandbox_query.h"
#include "etlnode/secret.h"
#include "etlnode/settings.h"
#include "port/clock.h"
#include "role/shared/node.h"
#include "sm/sm.h"
#include "uv/uv_env.h"

namespace etlnode {

struct running_node {
    env *e = nullptr;
    node_options options;
    proxy *as_proxy = nullptr;
    target *as_target = nullptr;
    log_level usual_level = log_level::info;
    bool draining = false;
    int exit_code = 0;
};

static std::string program_dir()
{
    char path[4096];
    ssize_t size = readlink("/proc/self/exe", path, sizeof path - 1);
    if (size <= 0)
        return ".";
    std::string text(path, static_cast<size_t>(size));
    return text.substr(0, text.rfind('/'));
}

// Logs at start how pods are sandboxed, as a warning if they are not. Clients read the same through /v1/health.
static void check_sandbox(node_options &options)
{
    if (!options.kubectl_is_local)
        return;
    sandbox_report found = sandbox_query_run(options.kubectl);
    options.sandbox = found.sandbox;
    options.sandbox_message = found.message;
    if (found.sandbox == "namespaces")
        LOG(info, "app", "sandbox=%s msg=\"%s\"", found.sandbox.c_str(), found.message.c_str());
    else
        LOG(warn, "app", "sandbox=%s msg=\"%s\"", found.sandbox.empty() ? "unknown" : found.sandbox.c_str(),
            text_escape(found.message).c_str());
}

static process_context read_process_context()
{
    process_context context;
    context.in_kubernetes = std::getenv("KUBERNETES_SERVICE_HOST") != nullptr;
    context.is_root = geteuid() == 0;
    context.program_dir = program_dir();
    const char *home = std::getenv("HOME");
    context.home = home != nullptr ? home : "";
    const char *config_home = std::getenv("XDG_CONFIG_HOME");
    context.config_home = config_home != nullptr ? config_home : "";
    char name[256] = "";
    if (gethostname(name, sizeof name - 1) == 0)
        context.host_name = text_lower(name);
    return context;
}

// Prints one line of JSON on stdout, from which a script that starts a node with port 0 learns its address.
static void announce(running_node &d)
{
    json_ptr line = json_object();
    json_add_text(line.get(), "role", d.options.is_target ? "target" : "proxy");
    json_add_text(line.get(), "url", d.options.is_target ? target_url(*d.as_target) : proxy_url(*d.as_proxy));
    json_add_u64(line.get(), "port", d.options.is_target ? target_port(*d.as_target) : proxy_port(*d.as_proxy));
    if (d.options.is_target)
        json_add_u64(line.get(), "pod_port", target_pod_port(*d.as_target));
    json_add_u64(line.get(), "pid", static_cast<uint64_t>(getpid()));
    std::printf("%s\n", json_print(line.get()).c_str());
    std::fflush(stdout);
}

static int cannot_start(const std::string &reason)
{
    log_plain(log_level::error, "app", "etlnode: cannot start: " + reason);
    return 1;
}

static void on_ready(void *arg, error err, const std::string &detail)
{
    running_node &d = *static_cast<running_node *>(arg);
    if (err) {
        d.exit_code = cannot_start(detail.empty() ? error_text(err) : detail);
        uv_env_stop(*d.e);
        return;
    }
    announce(d);
}

static void on_drained(void *arg)
{
    running_node &d = *static_cast<running_node *>(arg);
    LOG(info, "app", "msg=\"drained\"");
    uv_env_stop(*d.e);
}

static void on_signal(env &, int signum, void *arg)
{
    running_node &d = *static_cast<running_node *>(arg);
    if (d.draining) {
        LOG(warn, "app", "signal=%d msg=\"stopping immediately\"", signum);
        _exit(130); // a second signal during draining ends the program immediately
    }
    LOG(info, "app", "signal=%d msg=\"draining\"", signum);
    d.draining = true;
    if (d.options.is_target)
        target_drain(*d.as_target, on_drained, &d);
    else
        proxy_drain(*d.as_proxy, on_drained, &d);
}

// A signal that comes before the loop exists is remembered, because its default would end the program with a failure.
static volatile std::sig_atomic_t early_signal = 0;
static void on_early_signal(int signum) { early_signal = signum; }

static void catch_early_signals()
{
    struct sigaction action = {};
    action.sa_handler = on_early_signal;
    action.sa_flags = SA_RESTART;
    sigaction(SIGTERM, &action, nullptr);
    sigaction(SIGINT, &action, nullptr);
}

static bool was_stopped_early()
{
    if (early_signal != 0)
        LOG(info, "app", "signal=%d msg=\"stopped before it had started\"", static_cast<int>(early_signal));
    return early_signal != 0;
}

static void on_dump(env &, int, void *) { sm_trace_dump(); }

static uint64_t trace_clock(void *arg) { return clock_now_ms(*static_cast<env *>(arg)); }

// Lets an operator inspect a running node: switches to debug level and back.
static void on_toggle_debug(env &, int, void *arg)
{
    log_level usual = *static_cast<log_level *>(arg);
    log_set_level(log_get_level() == log_level::debug ? usual : log_level::debug);
    LOG(warn, "app", "msg=\"SIGUSR2: the log level is now %s\"", log_get_level() == log_level::debug ? "debug" : "the configured one");
}

static void show_config(const option_values &values, const node_options &node)
{
    for (const option_row &row : option_rows()) {
        const option_value &value = values.find(row.name)->second;
        std::string shown = "\"" + text_escape(settings_effective(values, node, row.name)) + "\"";
        if (row.is_list) {
            shown.clear();
            for (const std::string &one : option_get_list(values, row.name))
                shown += (shown.empty() ? "\"" : ", \"") + text_escape(one) + "\"";
            shown = "[" + shown + "]";
        }
        std::printf("%s: %s  # %s%s%s\n", row.name, shown.c_str(), option_origin_name(value.origin), value.location.empty() ? "" : " ",
            value.location.c_str());
    }
}

// Raises the soft limit to the hard limit, and returns the limit in effect.
static uint64_t raise_descriptor_limit()
{
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 0;
    rlimit wanted = {limit.rlim_max, limit.rlim_max};
    return setrlimit(RLIMIT_NOFILE, &wanted) == 0 ? limit.rlim_max : limit.rlim_cur;
}

// The first line of the log states who can reach the API, because operators must not discover this by accident.
static void log_api_exposure(const node_options &options)
{
    if (settings_is_loopback(options.listen_host))
        LOG(info, "app", "msg=\"the API has no accounts yet: every user of this machine can read and change everything\"");
    else
        LOG(warn, "app", "listen=%s msg=\"the API has no accounts yet: anyone who can reach this address can read and change everything\"",
            text_escape(options.listen_host).c_str());
}

static bool ensure_secret(const settings &s, node_options &options)
{
    if (!s.secret.must_be_created)
        return true;
    std::string reason;
    bool is_created = false;
    if (secret_create(s.secret.path, options.cluster_secret, is_created, reason) != secret_outcome::read) {
        (void)cannot_start("the cluster secret: " + reason + "; --cluster-secret-file selects another file");
        return false;
    }
    if (is_created)
        LOG(info, "app", "file=%s msg=\"created the cluster secret; nodes on other machines need a copy of this file\"",
            text_escape(s.secret.path).c_str());
    return true;
}

static int run_node(running_node &d)
{
    uv_env_options env_options;
    env_options.data_dir = d.options.data_dir;
    std::string detail;
    error err = uv_env_make(env_options, &d.e, detail);
    if (err)
        return cannot_start(detail);
    sm_trace_set_clock(trace_clock, d.e);
    check_set_dump(sm_trace_dump);
    err = uv_env_on_signal(*d.e, SIGTERM, on_signal, &d);
    if (!err)
        err = uv_env_on_signal(*d.e, SIGINT, on_signal, &d);
    if (!err)
        err = uv_env_on_signal(*d.e, SIGQUIT, on_dump, &d);
    if (!err)
        err = uv_env_on_signal(*d.e, SIGUSR2, on_toggle_debug, &d.usual_level);
    if (was_stopped_early()) // from here on the loop gets the signals
        _exit(0);
    if (!err)
        err = d.options.is_target ? target_start(*d.e, d.options, on_ready, &d, &d.as_target)
                                  : proxy_start(*d.e, d.options, on_ready, &d, &d.as_proxy);
    if (err)
        return cannot_start(error_text(err));
    uv_env_run(*d.e);
    if (!d.draining)
        _exit(d.exit_code); // the start failed: no request was acknowledged, so no orderly end is needed
    if (d.as_proxy != nullptr)
        proxy_free(d.as_proxy);
    if (d.as_target != nullptr)
        target_free(d.as_target);
    sm_trace_set_clock(nullptr, nullptr);
    err = uv_env_free(d.e);
    if (err) {
        LOG(error, "app", "msg=\"the shutdown left something open: %s\"", error_text(err));
        return 1;
    }
    return d.exit_code;
}

static void print_check_result(const settings &s)
{
    std::vector<std::string> warnings = s.warnings;
    for (const std::string &misspelt : options_misspelt(environ))
        warnings.push_back(misspelt);
    for (const std::string &warning : warnings)
        std::fprintf(stderr, "etlnode: warning: %s\n", warning.c_str());
    for (const std::string &note : s.notes)
        std::fprintf(stderr, "etlnode: note: %s\n", note.c_str());
    if (s.problems.empty())
        std::fprintf(stderr, "etlnode: the configuration is valid\n");
}

static int run_main(int argc, char **argv)
{
    catch_early_signals();
    standard_streams_fill_gaps();
    setenv("UV_THREADPOOL_SIZE", "8", 0); // must precede the first use of the pool
#ifdef M_ARENA_MAX
    // The loop frees memory that pool threads allocate, for example rows of a page. With an arena per thread, most of it would stay with
    // that thread.
    mallopt(M_ARENA_MAX, 1);
    // Buffers of puts (256 KiB) stay out of the heap, where the many small blocks of a job would settle between them for ever. glibc would
    // move both limits up as soon as the first buffer is freed. The heap keeps 1 MiB, so that it need not grow for each request.
    mallopt(M_MMAP_THRESHOLD, 128 * 1024);
    mallopt(M_TRIM_THRESHOLD, 1024 * 1024);
#endif
    option_values values;
    option_request request;
    switch (options_parse(argc, argv, values, request)) {
    case option_outcome::exit_ok: return 0;
    case option_outcome::exit_usage: return 2;
    case option_outcome::run: break;
    }
    settings s = settings_read(values, read_process_context());
    s.problems.insert(s.problems.begin(), request.problems.begin(), request.problems.end());
    (void)grants_export(values, s.problems); // problems are in s.problems and end the program below
    if (request.check_config)
        machine_check(s);
    if (request.check_config && s.node.is_target) {
        for (const std::string &missing : grants_missing(values))
            s.warnings.push_back(missing);
    }
    bool is_for_people = request.check_config || request.show_config;
    log_set_wall_clock(uv_env_wall_ms);
    log_set_json(!is_for_people && option_get(values, "log-format") == "json");
    for (const std::string &problem : s.problems)
        log_plain(log_level::error, "app", "etlnode: " + problem);
    if (request.check_config)
        print_check_result(s);
    if (request.is_misused)
        log_plain(log_level::error, "app", "Try etlnode --help.");
    if (!s.problems.empty())
        return 2;
    if (request.show_config)
        show_config(values, s.node);
    if (request.show_config || request.check_config)
        return 0;
    running_node d;
    d.options = s.node;
    log_set_level(s.level);
    d.usual_level = s.level;
    log_api_exposure(d.options);
    if (was_stopped_early())
        return 0;
    if (!ensure_secret(s, d.options))
        return 1;
    sm_set_strict(std::getenv("ETLNODE_STRICT") != nullptr);
    d.options.descriptors_max = raise_descriptor_limit();
    for (const std::string &problem : options_misspelt(environ))
        LOG(warn, "app", "msg=\"%s\"", text_escape(problem).c_str());
    if (d.options.is_target)
        LOG(info, "app", "kubectl=\"%s\" node_name=\"%s\" why=\"%s\"", d.options.kubectl[0].c_str(), d.options.node_name.c_str(),
            s.kubectl_why.c_str());
    if (d.options.is_target)
        check_sandbox(d.options);
    return was_stopped_early() ? 0 : run_node(d);
}

} // namespace etlnode

int main(int argc, char **argv) { return etlnode::run_main(argc, argv); }
