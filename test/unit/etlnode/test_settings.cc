// SPDX-License-Identifier: MIT
#include "node_test.h"

#include "etlnode/grants.h"
#include "etlnode/settings.h"

using namespace etlnode;

struct outcome {
    bool good = false;
    node_options node;
    settings all;
    std::string reason; // all problems, one per line
};

static option_values defaults(std::string_view role)
{
    option_values values;
    for (const option_row &row : option_rows())
        values[row.name] = {row.fallback, option_origin::fallback, {}};
    values["role"] = {std::string(role), option_origin::flag, {}};
    return values;
}

static bool apply_file(std::string_view text, const std::string &path, option_values &values, std::string &out_reason)
{
    std::vector<std::string> problems;
    bool is_read = options_apply_file(text, path, values, problems);
    out_reason.clear();
    for (const std::string &problem : problems)
        out_reason += problem + "\n";
    return is_read && problems.empty();
}

static outcome read(const option_values &values, bool in_kubernetes = false)
{
    outcome o;
    process_context context;
    context.in_kubernetes = in_kubernetes;
    context.program_dir = "/nowhere";
    context.host_name = "laptop";
    context.home = "/nowhere/home";
    o.all = settings_read(values, context);
    o.node = o.all.node;
    for (const std::string &problem : o.all.problems)
        o.reason += problem + "\n";
    o.good = o.all.problems.empty();
    return o;
}

static outcome read_with(std::string_view role, const char *name, const char *value)
{
    option_values values = defaults(role);
    values[name] = {value, option_origin::environment, {}};
    return read(values);
}

static void defaults_are_usable(void **)
{
    outcome proxy = read(defaults("proxy"));
    test_true(proxy.good);
    test_eq(proxy.node.listen_port, 8080);
    test_eq_text(proxy.node.data_dir, "etlnode-proxy");
    test_true(proxy.node.auto_activate);
    test_true(read_with("proxy", "auto-activate", "").node.auto_activate);
    test_false(read_with("proxy", "auto-activate", "false").node.auto_activate);
    outcome target = read(defaults("target"));
    test_true(target.good);
    test_true(target.node.is_target);
    test_eq(target.node.listen_port, 0);
    test_eq_text(target.node.pod_listen_host, "127.0.0.1");
    test_eq_text(target.node.node_name, "laptop");
    test_eq(target.node.pod_ready_wait_ms, 5'000u);
    test_eq(target.node.out_of_space, 95u);
    test_eq(read_with("target", "out-of-space", "100").node.out_of_space, 100u);
    test_eq(target.node.rebalance_rate, 0u);
    test_eq(read_with("target", "rebalance-rate", "50MiB/s").node.rebalance_rate, 50u << 20);
    test_true(target.node.downloads.allows_public && target.node.downloads.allows_private);
    outcome open = read_with("target", "listen", "10.0.0.5:8081");
    test_true(open.node.downloads.allows_public && !open.node.downloads.allows_private);
    outcome behind = read_with("target", "advertise-url", "http://storage1:8081");
    test_true(behind.node.downloads.allows_public && !behind.node.downloads.allows_private);
    outcome promoting = read_with("target", "promote-from", "/data/in/\n/srv");
    test_true(promoting.node.promote_from == std::vector<std::string>({"/data/in", "/srv"}) && target.node.promote_from.empty());
    outcome chosen = read_with("target", "download-from", "10.0.0.0/8\n*.example.org");
    test_true(!chosen.node.downloads.allows_public && !chosen.node.downloads.allows_private);
    test_eq(chosen.node.downloads.blocks.size(), 1u);
    test_eq(chosen.node.downloads.hosts.size(), 1u);
    test_true(target.node.security == pod_security::baseline);
    test_false(target.node.require_framing);
    test_true(read_with("target", "require-framing", "true").node.require_framing);
    test_true(read_with("target", "pod-security", "restricted").node.security == pod_security::restricted);
    test_eq_text(target.node.node_address, "");
    test_eq_text(read_with("target", "node-address", "node1.example.org").node.node_address, "node1.example.org");
    test_eq_text(read_with("target", "node-address", "203.0.113.7").node.node_address, "203.0.113.7");
    test_eq_text(read_with("target", "node-address", "fd00::1").node.node_address, "fd00::1");
    test_eq_text(read_with("target", "node-address", "[fd00::1]").node.node_address, "fd00::1");
    for (const char *wrong : {"a:80", "203.0.113.7:80", "[fd00::1]:80", "a:b:c", "fd00::1::2"})
        test_has_text(read_with("target", "node-address", wrong).reason, "must be a host name or an IP address, without a port, not \"");
}

static void kubectl_is_chosen_by_where_we_are(void **)
{
    outcome laptop = read(defaults("target"));
    test_true(laptop.node.kubectl_is_local);
    test_eq_text(laptop.node.kubectl[0], "kubectl-local");
    outcome named = read_with("target", "node-name", "node1");
    test_true(named.good);
    test_false(named.node.kubectl_is_local);
    test_eq_text(named.node.kubectl[0], "kubectl");
    outcome lost = read(defaults("target"), true);
    test_false(lost.good);
    test_has_text(lost.reason, "K8S_HOST_NAME");
    outcome given = read_with("target", "kubectl", "/opt/kubectl-local");
    test_true(given.node.kubectl_is_local);
    test_eq(given.node.kubectl.size(), size_t{1});
}

static void unsandboxed_pods_are_for_kubectl_local(void **)
{
    outcome allowed = read_with("target", "sandbox", "none");
    test_eq(allowed.node.kubectl.size(), size_t{2});
    test_eq_text(allowed.node.kubectl[1], "--sandbox=none");
    outcome wrong = read_with("target", "sandbox", "never");
    test_has_text(wrong.reason, "auto or none");
    option_values values = defaults("target");
    values["sandbox"] = {"none", option_origin::flag, ""};
    values["node-name"] = {"node1", option_origin::flag, ""};
    test_has_text(read(values).reason, "local processes");
}

static void wrong_values_say_where_they_came_from(void **)
{
    struct row {
        const char *role, *name, *value, *word;
    };
    static constexpr row rows[] = {
        {"captain", "log-level", "info", "proxy or target"},
        {"proxy", "listen", "nowhere", "HOST:PORT"},
        {"proxy", "listen", "127.0.0.1:65536", "HOST:PORT"},
        {"proxy", "advertise-url", "ftp://x", "http://HOST:PORT"},
        {"proxy", "node-id", "short", "8 to 64"},
        {"proxy", "log-level", "loud", "error, warn, info, state or debug"},
        {"proxy", "cluster-secret-file", "/no/such/file", "/no/such/file"},
        {"target", "proxy", "here", "http://HOST:PORT"},
        {"target", "pod-listen", "x", "HOST:PORT"},
        {"target", "pod-ready-wait", "5", "duration"},
        {"target", "out-of-space", "0", "a percentage from 1 to 100"},
        {"target", "out-of-space", "101", "a percentage from 1 to 100"},
        {"target", "out-of-space", "95%", "without a sign"},
        {"target", "rebalance-rate", "0", "auto, or bytes a second"},
        {"target", "download-from", "10.0.0.0/33", "public, private, none"},
        {"target", "download-from", "public\nnone", "none stands for itself"},
        {"target", "promote-from", "data", "an absolute path of a directory"},
        {"target", "promote-from", "/data/../etc", "an absolute path of a directory"},
        {"target", "promote-from", "/", "an absolute path of a directory"},
        {"target", "download-ca", "/nowhere/ca.pem", "/nowhere/ca.pem cannot be read"},
        {"target", "rebalance-rate", "fast", "auto, or bytes a second"},
        {"target", "node-address", "http://node1", "a host name or an IP address"},
        {"target", "node-address", "node1:30000", "without a port"},
        {"target", "node-address", "[::1]:30000", "without a port"},
        {"target", "node-address", "node1/", "a host name or an IP address"},
        {"target", "node-address", "fd00::x", "a host name or an IP address"},
        {"target", "pod-security", "strict", "off, baseline or restricted"},
        {"proxy", "listen", "0.0.0.0:8080", "0.0.0.0 is not an address that others can connect to"},
        {"target", "listen", "0.0.0.0:8081", "--advertise-url"},
        {"target", "listen", "[::]:8081", ":: is not an address that others can connect to"},
        {"proxy", "allowed-host", "a.example.org:80", "without a port"},
        {"proxy", "allowed-host", "ok\n*", "\"*\""},
        {"proxy", "allowed-origin", "a.example.org", "https://HOST"},
        {"proxy", "allowed-origin", "null", "https://HOST"},
        {"target", "proxy", "http://192.0.2.1:8080",
            "the cluster secret /nowhere/home/.config/etlnode/cluster-secret does not exist, and the proxy http://192.0.2.1:8080 is on "
            "another "
            "machine: copy"},
        {"target", "require-framing", "yes", "--require-framing (environment): must be true or false, not \"yes\""},
        {"proxy", "auto-activate", "later", "--auto-activate (environment): must be true or false, not \"later\""},
        {"target", "auto-activate", "false", "only the proxy decides who gets objects"},
        {"target", "pod-listen", "127.0.0.1:0x", "HOST:PORT"},
        {"proxy", "listen", "storage1:8080", "an IP address of this machine"},
        {"proxy", "listen", "*:8080", "0.0.0.0"},
        {"proxy", "listen", "256.1.1.1:8080", "an IP address"},
        {"target", "pod-listen", "storage1:8080", "an IP address"},
        {"target", "proxy", "http://storage1:8080/v1",
            "must be http://storage1:8080, without the request path /v1, not \"http://storage1:8080/v1"},
        {"target", "proxy", "http://storage1:8080/v1/",
            "must be http://storage1:8080, without the request path /v1, not \"http://storage1:8080/v1"},
        {"proxy", "advertise-url", "http://storage1:8080/x", "without a path"},
        {"proxy", "advertise-url", "http://storage1:8080/v1",
            "must be http://storage1:8080, without the request path /v1, not \"http://storage1:8080/v1"},
    };
    for (const row &r : rows) {
        outcome o = read_with(r.role, r.name, r.value);
        if (o.good)
            test_fail("--%s %s was accepted", r.name, r.value);
        test_has_text(o.reason, r.word);
    }
    test_has_text(read_with("proxy", "listen", "nowhere").reason, "--listen (environment)");
    option_values values = defaults("target");
    values["listen"] = values["pod-listen"] = {"127.0.0.1:8081", option_origin::flag, {}};
    test_has_text(read(values).reason, "is also the address of --listen");
    values["pod-listen"].text = "0.0.0.0:8081"; // the wildcard address includes it
    test_has_text(read(values).reason, "is also the address of --listen");
    test_eq_text(read_with("proxy", "listen", "localhost:8080").node.listen_host, "127.0.0.1");
    test_eq_text(read_with("proxy", "listen", "[::1]:8080").node.listen_host, "::1");
}

static void all_problems_are_reported_in_one_run(void **)
{
    option_values values = defaults("target");
    values["listen"] = {"0.0.0.0:8081", option_origin::flag, {}};
    values["proxy"] = {"nowhere", option_origin::flag, {}};
    values["pod-security"] = {"strict", option_origin::flag, {}};
    values["allowed-host"] = {"a:1\nb:2", option_origin::flag, {}};
    outcome o = read(values);
    test_eq(o.all.problems.size(), 5u);
    for (const char *word : {"--advertise-url", "--proxy", "--pod-security", "\"a:1\"", "\"b:2\""})
        test_has_text(o.reason, word);
}

static void open_addresses_are_warned_of(void **)
{
    option_values values = defaults("proxy");
    test_true(read(values).all.warnings.empty());
    values["listen"] = {"0.0.0.0:8080", option_origin::flag, {}};
    values["advertise-url"] = {"http://storage1:8080", option_origin::flag, {}};
    outcome o = read(values);
    test_true(o.good);
    test_eq(o.all.warnings.size(), 1u);
    test_has_text(o.all.warnings[0], "no accounts");
}

static void pods_on_kubernetes_get_an_address(void **)
{
    option_values values = defaults("target");
    values["listen"] = {"0.0.0.0:8081", option_origin::flag, {}};
    values["advertise-url"] = {"http://storage1:8081", option_origin::flag, {}};
    test_true(read(values).good); // kubectl-local finds an address for each pod
    values["node-name"] = {"node1", option_origin::flag, {}};
    test_has_text(read(values).reason, "is not an address that pods can connect to");
    values["pod-url"] = {"http://10.1.2.3:8082", option_origin::flag, {}};
    test_true(read(values).good);
}

static void the_secret_has_a_default_path(void **)
{
    outcome proxy = read(defaults("proxy"));
    test_true(proxy.all.secret.must_be_created);
    test_eq_text(proxy.all.secret.path, "/nowhere/home/.config/etlnode/cluster-secret");
    test_true(read(defaults("target")).all.secret.must_be_created); // its proxy is on this machine
    test_true(read_with("target", "proxy", "http://laptop:8080").all.secret.must_be_created);
    outcome named = read_with("proxy", "cluster-secret-file", "/no/such/file");
    test_false(named.good);
    test_false(named.all.secret.must_be_created);
}

static void lists_come_from_everywhere(void **)
{
    option_values values = defaults("proxy");
    std::string reason;
    test_true(apply_file("allowed-host:\n- a.example.org\n- '*.example.net'\nallowed-origin: https://a\n", "f.yaml", values, reason));
    outcome o = read(values);
    test_true(o.good);
    test_eq(o.node.allowed_hosts.size(), 2u);
    test_eq_text(o.node.allowed_hosts[1], "*.example.net");
    test_eq(o.node.allowed_origins.size(), 1u);
    test_false(apply_file("allowed-host:\n- [a]\n", "f.yaml", values, reason));
    test_has_text(reason, "one value or a list");
    const char *arguments[] = {"etlnode", "--role", "proxy", "--allowed-host", "a", "--allowed-host=b", "--log-level", "warn"};
    option_values parsed;
    option_request request;
    test_eq_enum(options_parse(8, const_cast<char **>(arguments), parsed, request), option_outcome::run);
    test_eq_text(option_get(parsed, "allowed-host"), "a\nb");
    test_eq_text(option_get(parsed, "log-level"), "warn");
}

static void files_are_below_flags(void **)
{
    option_values values = defaults("proxy");
    std::string reason;
    test_true(apply_file("listen: 127.0.0.1:1\nrole: target\nlog-level: debug\n", "f.yaml", values, reason));
    test_eq_text(option_get(values, "role"), "proxy"); // the flag wins
    test_eq_text(option_get(values, "listen"), "127.0.0.1:1");
    test_false(apply_file("listn: x\n", "f.yaml", values, reason));
    test_has_text(reason, "f.yaml: line 1, column 1: unknown key \"listn\", did you mean \"listen\"?");
    test_false(apply_file("listen: [a]\n", "f.yaml", values, reason));
    test_false(apply_file("- a\n", "f.yaml", values, reason));
}

// One run reports every error in a file and applies its valid entries.
static void files_report_all_their_problems(void **)
{
    option_values values = defaults("proxy");
    std::string reason;
    test_false(apply_file(
        "listn: x\nlisten: [a]\nlog-level: debug\nallowed-host: ['']\nallowed-origin: ''\nrolle: proxy\n", "f.yaml", values, reason));
    for (const char *part : {"line 1, column 1: unknown key \"listn\", did you mean \"listen\"?",
             "line 2, column 9: expected one value for \"listen\"", "an empty value for \"allowed-host\": expected NAME",
             "an empty value for \"allowed-origin\": expected ORIGIN", "line 6, column 1: unknown key \"rolle\", did you mean \"role\"?"})
        test_has_text(reason, part);
    test_eq_text(option_get(values, "log-level"), "debug");
    test_true(apply_file("node-id: \"\"\nallowed-host: []\n", "f.yaml", values, reason)); // as --show-config prints them
}

static option_request parse(std::vector<const char *> words, option_values &out_values)
{
    words.insert(words.begin(), "etlnode");
    std::vector<std::string> copies(words.begin(), words.end()); // copies, because CLI11 may write to main's words
    std::vector<char *> argv;
    for (std::string &copy : copies)
        argv.push_back(copy.data());
    option_request request;
    test_eq_enum(options_parse(static_cast<int>(argv.size()), argv.data(), out_values, request), option_outcome::run);
    return request;
}

static void the_command_line_reports_all_its_problems(void **)
{
    option_values values;
    option_request request = parse({"--rle", "proxy", "word", "--listen=", "--data-dir", " ", "--allowed-host", "", "--log-level", "warn",
                                       "--log-level", "info", "--zzz=1"},
        values);
    test_true(request.is_misused);
    std::string all;
    for (const std::string &problem : request.problems)
        all += problem + "\n";
    for (const char *part : {"unknown option --rle, did you mean --role?\n", "\"word\" does not belong to an option\n",
             "--listen has an empty value: expected HOST:PORT", "--data-dir has an empty value: expected DIR",
             "--allowed-host has an empty value: expected NAME", "--log-level is given twice\n", "unknown option --zzz\n"})
        test_has_text(all, part);
    test_eq(request.problems.size(), 7u); // the value of an unknown option is no problem of its own
    test_false(parse({"--role", "proxy"}, values).is_misused);
    request = parse({"--require-framing", "--allow-host-network"}, values); // both may stand alone
    test_true(request.problems.empty());
    test_eq_text(option_get(values, "require-framing"), "");
    for (const option_row &row : option_rows()) {
        std::string flag = std::string("--") + row.name + "=";
        bool is_refused = !parse({flag.c_str(), "--role", "proxy"}, values).problems.empty();
        test_true(is_refused == (*row.value != '['));
        if (std::string_view(row.name) != "role")
            test_eq_text(option_get(values, "role"), "proxy"); // the next word is none of its value
    }
}

static void misspelt_variables_are_found(void **)
{
    const char *environment[] = {"ETLNODE_LISTN=x", "ETLNODE_DATADIR=x", "etlnode_role=proxy", "ETLNOD_PROXY=x", "ETLNODE-ROLE=x",
        "ETLNODE_ROLE=proxy", "ETLNODE_CONFIG=x", "ETLNODE_PORT=tcp://10.0.0.1:80", "ETLNODE_SERVICE_HOST=10.0.0.1", "PATH=/bin",
        "NODE_ROLE=x", "ETLNODE=x", "ETLNODE_SOMETHING_QUITE_DIFFERENT=x", nullptr};
    std::vector<std::string> found = options_misspelt(environment);
    test_eq(found.size(), 5u);
    test_eq_text(found[0], "ETLNODE_LISTN is not read: did you mean ETLNODE_LISTEN?");
    test_eq_text(found[1], "ETLNODE_DATADIR is not read: did you mean ETLNODE_DATA_DIR?");
    test_eq_text(found[2], "etlnode_role is not read: did you mean ETLNODE_ROLE?");
    test_eq_text(found[3], "ETLNOD_PROXY is not read: did you mean ETLNODE_PROXY?");
    test_eq_text(found[4], "ETLNODE-ROLE is not read: did you mean ETLNODE_ROLE?");
}

static bool hand_on(const option_values &values, std::string &out_reason)
{
    std::vector<std::string> problems;
    bool is_good = grants_export(values, problems);
    out_reason.clear();
    for (const std::string &problem : problems)
        out_reason += problem + "\n";
    return is_good;
}

// The owner's grants reach kubectl-local through its environment. Nothing else sets them.
static void grants_reach_kubectl_local(void **)
{
    const char *path = "KUBECTL_LOCAL_ALLOW_HOST_PATH";
    const char *network = "KUBECTL_LOCAL_ALLOW_HOST_NETWORK";
    unsetenv(path);
    unsetenv(network);
    std::string reason;
    option_values values;
    test_true(hand_on(values, reason));
    test_true(getenv(path) == nullptr && getenv(network) == nullptr);
    for (const char *bad : {"relative", "/a/../b", "/ok\nrelative:rw", ":rw", "/..", "/etc:rx", "/etc:"}) {
        values["allow-host-path"] = {bad, option_origin::flag, {}};
        test_false(hand_on(values, reason));
        test_has_text(reason, "--allow-host-path");
    }
    test_true(getenv(path) == nullptr);
    values["allow-host-path"] = {"/etc:rx", option_origin::environment, {}};
    values["allow-host-network"] = {"yes", option_origin::environment, {}};
    test_false(hand_on(values, reason));
    test_has_text(reason, "--allow-host-path (environment): \"/etc:rx\"");
    test_has_text(reason, "--allow-host-network (environment): \"yes\"");
    values["allow-host-path"] = {"/srv/models\n/srv/scratch:rw", option_origin::flag, {}};
    values["allow-host-network"] = {"perhaps", option_origin::file, {}};
    test_false(hand_on(values, reason));
    values["allow-host-path"] = {"a\n/srv\n../b", option_origin::flag, {}};
    test_false(hand_on(values, reason));
    for (const char *part : {"\"a\"", "\"../b\"", "\"perhaps\""}) // all of them in one run
        test_has_text(reason, part);
    values["allow-host-path"] = {"/\n/nowhere/at/all:rw", option_origin::flag, {}};
    test_eq(grants_missing(values).size(), 1u);
    test_has_text(grants_missing(values)[0], "/nowhere/at/all: No such file");
    values["allow-host-path"] = {"/srv/models\n/srv/scratch:rw", option_origin::flag, {}};
    values["allow-host-network"] = {"", option_origin::flag, {}}; // the flag alone
    test_true(hand_on(values, reason));
    test_eq_text(getenv(path), "/srv/models\n/srv/scratch:rw");
    test_eq_text(getenv(network), "true");
    unsetenv(path);
    unsetenv(network);
    // A sequence and a single value in the file.
    option_values from_file;
    test_true(apply_file("allow-host-path: [/a, '/b:rw']\nallow-host-network: true\n", "f", from_file, reason));
    test_eq(option_get_list(from_file, "allow-host-path").size(), size_t{2});
    option_values one;
    test_true(apply_file("allow-host-path: /a\n", "f", one, reason));
    test_eq_text(option_get_list(one, "allow-host-path")[0], "/a");
    test_false(apply_file("listen: [a, b]\n", "f", one, reason));
}

// A proxy uses none of the options for targets; their values are checked all the same, and a note says what is ignored.
static void a_proxy_checks_what_it_ignores(void **)
{
    struct row {
        const char *name, *value;
    };
    static constexpr row wrong[] = {{"require-framing", "maybe"}, {"pod-ready-wait", "nonsense"}, {"pod-listen", "nonsense"},
        {"sandbox", "foo"}, {"proxy", "nonsense"}, {"pod-url", "nonsense"}, {"pod-security", "high"}, {"node-address", "a:80"},
        {"node-name", "A B"}, {"pod-name", "a/b"}, {"pod-uid", "a b"}};
    for (const char *role : {"proxy", "target"}) {
        for (const row &one : wrong) {
            outcome o = read_with(role, one.name, one.value);
            test_eq(o.all.problems.size(), 1);
            test_has_text(o.reason, "--" + std::string(one.name) + " (environment): must be ");
        }
    }
    outcome given = read_with("proxy", "pod-ready-wait", "7s");
    test_true(given.good);
    test_eq(given.all.notes.size(), 1);
    test_eq_text(given.all.notes[0], "a proxy ignores what is for targets: --pod-ready-wait (environment)");
    test_true(read(defaults("proxy")).all.notes.empty());
    test_true(read_with("target", "pod-ready-wait", "7s").all.notes.empty());
    test_true(read_with("proxy", "log-level", "warn").all.notes.empty());
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(a_proxy_checks_what_it_ignores),
        cmocka_unit_test(defaults_are_usable),
        cmocka_unit_test(kubectl_is_chosen_by_where_we_are),
        cmocka_unit_test(unsandboxed_pods_are_for_kubectl_local),
        cmocka_unit_test(wrong_values_say_where_they_came_from),
        cmocka_unit_test(files_are_below_flags),
        cmocka_unit_test(files_report_all_their_problems),
        cmocka_unit_test(the_command_line_reports_all_its_problems),
        cmocka_unit_test(misspelt_variables_are_found),
        cmocka_unit_test(grants_reach_kubectl_local),
        cmocka_unit_test(all_problems_are_reported_in_one_run),
        cmocka_unit_test(open_addresses_are_warned_of),
        cmocka_unit_test(pods_on_kubernetes_get_an_address),
        cmocka_unit_test(the_secret_has_a_default_path),
        cmocka_unit_test(lists_come_from_everywhere),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
