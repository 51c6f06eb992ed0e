// SPDX-License-Identifier: MIT
// local/commands.cc: create, get, delete, wait, describe, version, image.
#include "local/commands.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>

#include <unistd.h>

#include "base/limits.h"
#include "base/text.h"
#include "codec/yaml.h"
#include "local/container.h"
#include "local/image.h"
#include "local/netbox.h"
#include "local/os.h"
#include "local/pod.h"
#include "node/version.h"

static constexpr int look_again_ms = 100; // beside inotify, for what it cannot tell (a supervisor that died)

int command_fail(const std::string &text)
{
    fprintf(stderr, "error: %s\n", text.c_str());
    return 1;
}

int command_fail_not_found(const char *resource, const std::string &name)
{
    fprintf(stderr, "Error from server (NotFound): %s \"%s\" not found\n", resource, text_escape(name, 253).c_str());
    return 1;
}

bool command_write(const std::string &text) { return os_write_all(STDOUT_FILENO, text); }

static const char *known_resource(std::string_view word)
{
    for (std::string_view name : {"pods", "pod", "po"})
        if (word == name)
            return "pods";
    for (std::string_view name : {"nodes", "node", "no"})
        if (word == name)
            return "nodes";
    return nullptr;
}

bool command_parse_names(const std::vector<std::string> &words, std::string &out_resource, std::vector<std::string> &out_names, std::string &out_text)
{
    out_resource.clear();
    out_names.clear();
    bool slashed = !words.empty() && words[0].find('/') != std::string::npos;
    for (size_t i = 0; i < words.size(); i++) {
        const std::string &word = words[i];
        size_t slash = word.find('/');
        if (slashed != (slash != std::string::npos)) {
            out_text = "there is no need to specify a resource type as a separate argument when passing arguments in resource/name form (e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get resource resource/<resource_name>'";
            return false;
        }
        if (i > 0 && !slashed) {
            out_names.push_back(word);
            continue;
        }
        const char *resource = known_resource(word.substr(0, slash));
        if (resource == nullptr) {
            out_text = text_format("the server doesn't have a resource type \"%s\"", text_escape(word.substr(0, slash), 80).c_str());
            return false;
        }
        if (!out_resource.empty() && out_resource != resource) {
            out_text = "kubectl-local takes one type of resource at a time";
            return false;
        }
        out_resource = resource;
        if (slashed)
            out_names.push_back(word.substr(slash + 1));
    }
    return true;
}

static bool is_own_record(const pod_key &key)
{
    return pod_name_is_valid(key.name) && pod_label_is_valid(key.ns);
}

// A dead supervisor's record tells of a container that is dead too: the new one gets a moment to say so.
static void read_healed(const command &c, found_pod &pod)
{
    // A pod just made: whoever made it is starting its supervisor.
    bool is_new = json_get(json_get(pod.pod.get(), "status"), "containerStatuses") == nullptr;
    for (int i = 0; is_new && i < 20 && state_supervisor_pid(c.state, pod.key) == 0; i++) {
        struct timespec pause = {0, 5'000'000};
        nanosleep(&pause, nullptr);
    }
    if (!state_heal_pod(c.state, pod.key, pod.pod.get()))
        return;
    std::string before(json_text(json_get(pod.pod.get(), "metadata"), "resourceVersion"));
    uint64_t deadline = os_now_ms() + 500;
    while (os_now_ms() < deadline) {
        struct timespec pause = {0, 5'000'000};
        nanosleep(&pause, nullptr);
        json_ptr now;
        if (!state_read_pod(c.state, pod.key, now))
            return;
        bool changed = json_text(json_get(now.get(), "metadata"), "resourceVersion") != before;
        pod.pod = std::move(now);
        if (changed)
            return;
    }
}

std::vector<found_pod> command_find_pods(const command &c, const selector &wanted)
{
    std::vector<found_pod> out;
    for (const pod_key &key : state_list_pods(c.state, c.all_namespaces ? "" : c.ns)) {
        found_pod one;
        one.key = key;
        if (!is_own_record(key) || !state_read_pod(c.state, key, one.pod) || !selector_matches(wanted, json_get(json_get(one.pod.get(), "metadata"), "labels")))
            continue;
        read_healed(c, one);
        out.push_back(std::move(one));
    }
    return out;
}

bool command_find_pod(const command &c, const std::string &name, found_pod &out_pod)
{
    out_pod.key = {c.ns, name};
    if (!is_own_record(out_pod.key) || !state_read_pod(c.state, out_pod.key, out_pod.pod))
        return false;
    read_healed(c, out_pod);
    return true;
}

static bool parse_selector_flag(const command &c, selector &out_selector, int &out_code)
{
    std::string text;
    if (selector_parse(options_text(c.o, "selector", ""), out_selector, text))
        return true;
    out_code = command_fail(text);
    return false;
}

// create

static bool read_stdin(std::string &out_content)
{
    char chunk[65536];
    ssize_t n;
    while ((n = read(STDIN_FILENO, chunk, sizeof chunk)) > 0) {
        out_content.append(chunk, static_cast<size_t>(n));
        if (out_content.size() > spec_size_max) {
            errno = EFBIG;
            return false;
        }
    }
    return n == 0;
}

static bool parse_object(const std::string &content, const std::string &source, json_ptr &out_object, std::string &out_text)
{
    std::string where;
    size_t first = content.find_first_not_of(" \t\r\n");
    if (first != std::string::npos && content[first] == '{') {
        if (!json_parse(content, out_object, where))
            return true;
        // Flow-style YAML begins with a brace too.
    }
    yaml_ptr tree;
    std::string yaml_where;
    if (!yaml_parse(content, tree, yaml_where)) {
        // Printed and read again: numbers become numbers, as the rest of the program expects them.
        out_object = yaml_to_json(*tree);
        if (out_object != nullptr && !json_parse(json_print(out_object.get()), out_object, where))
            return true;
        yaml_where = where;
        where.clear();
    }
    bool is_json = !where.empty();
    out_text = text_format("error parsing %s: error converting YAML to JSON: yaml: %s", source.c_str(), is_json ? where.c_str() : yaml_where.c_str());
    return false;
}

static std::string missing_here()
{
    if (os_find_program("bwrap").empty())
        return "bwrap not found: kubectl-local needs bubblewrap (Debian: apt-get install bubblewrap)";
    std::string value;
    if (geteuid() == 0)
        return "";
    for (const char *path : {"/proc/sys/kernel/unprivileged_userns_clone", "/proc/sys/user/max_user_namespaces"})
        if (os_read_file(path, value) && text_trim(value.substr(0, value.find('\n'))) == "0")
            return text_format("unprivileged user namespaces are disabled (%s is 0); enable them or run as root", path);
    return "";
}

static void replace_all(std::string &text, std::string_view from, std::string_view to)
{
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
        text.replace(at, from.size(), to);
}

static int create_one(const command &c, const std::string &file)
{
    std::string source = file == "-" ? "STDIN" : file;
    std::string content;
    if (file != "-" && !os_exists(file))
        return command_fail(text_format("the path \"%s\" does not exist", text_escape(file, 400).c_str()));
    if (file == "-" ? !read_stdin(content) : !os_read_file(file, content, spec_size_max))
        return command_fail(text_format("reading %s: %s", source.c_str(), strerror(errno)));
    if (content.find_first_not_of(" \t\r\n") == std::string::npos)
        return command_fail("no objects passed to create");
    json_ptr pod;
    std::string text;
    if (!parse_object(content, source, pod, text))
        return command_fail(text);
    pod_key key;
    if (!pod_admit(pod.get(), c.ns, c.ns_given, c.node, key, text)) {
        replace_all(text, "\"STDIN\"", "\"" + source + "\"");
        fprintf(stderr, "%s\n", text.c_str());
        return 1;
    }
    std::string dry_run = options_text(c.o, "dry-run", "none");
    bool dry = dry_run == "client" || dry_run == "server";
    if (!dry) {
        text = missing_here();
        if (!text.empty())
            return command_fail(text);
        state_create_result result = state_create_pod(c.state, key, pod.get(), text);
        if (result == state_create_result::exists) {
            fprintf(stderr, "Error from server (AlreadyExists): error when creating \"%s\": pods \"%s\" already exists\n", source.c_str(), key.name.c_str());
            return 1;
        }
        bool made = result == state_create_result::created;
        if (made && !state_spawn_supervisor(c.state, key, text)) {
            os_fd lock(state_lock_pod(c.state, key));
            if (lock.fd >= 0)
                state_remove_pod(c.state, key);
            made = false;
        }
        if (!made) {
            fprintf(stderr, "Error from server (InternalError): error when creating \"%s\": %s\n", source.c_str(), text.c_str());
            return 1;
        }
    }
    std::string output = options_text(c.o, "output", "");
    if (output == "json")
        command_write(print_json(pod.get()));
    else if (output == "yaml")
        command_write(yaml_print(pod.get()));
    else if (output == "name")
        command_write("pod/" + key.name + "\n");
    else
        command_write(text_format("pod/%s created%s\n", key.name.c_str(), dry ? text_format(" (%s dry run)", dry_run.c_str()).c_str() : ""));
    return 0;
}

int command_create(const command &c)
{
    std::vector<std::string> files = options_all(c.o, "filename");
    if (files.empty())
        return command_fail("must specify one of -f and -k");
    std::string output = options_text(c.o, "output", "");
    if (!output.empty() && output != "json" && output != "yaml" && output != "name")
        return command_fail(text_format("unable to match a printer suitable for the output format \"%s\", allowed formats are: json,name,yaml", text_escape(output, 80).c_str()));
    int code = 0;
    for (const std::string &file : files)
        code = std::max(code, create_one(c, file));
    return code;
}

// get

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

// Everything but tables.
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
        cJSON_ArrayForEach(one, items) out += text_format("%s/%s\n", resource, std::string(json_text(json_get(one, "metadata"), "name")).c_str());
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
        return command_fail("kubectl-local knows one node at a time");
    if (name != c.node && name != host)
        return options_bool(c.o, "ignore-not-found", false) ? 0 : command_fail_not_found("nodes", name);
    json_ptr node = node_object(name);
    if (format.kind != output_kind::table && format.kind != output_kind::wide)
        return print_object(node.get(), format, "node");
    table t;
    return command_write(print_rows(t, {{"NAME", "STATUS", "ROLES", "AGE", "VERSION"}, {name, "Ready", "<none>", "<unknown>", "v" NODE_VERSION}})) ? 0 : 1;
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
    std::vector<std::vector<std::string>> rows;
    if (!options_bool(c.o, "no-headers", false))
        rows.push_back(print_pod_header(wide, c.all_namespaces));
    for (const found_pod &one : pods)
        rows.push_back(print_pod_cells(one.pod.get(), wide, c.all_namespaces, time(nullptr)));
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
        fprintf(stderr, "You must specify the type of resource to get. kubectl-local knows pods and node.\n\nerror: Required resource not specified.\nSee 'kubectl-local get --help' for usage\n");
        return 1;
    }
    if (!command_parse_names(c.o.words, resource, names, text) || !print_parse_format(options_text(c.o, "output", ""), options_text(c.o, "template", ""), format, text))
        return command_fail(text);
    if (!parse_selector_flag(c, wanted, code))
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

// delete

// A pod whose supervisor is dead, or that has ended: whoever gets the lock removes what is left.
static bool remove_unsupervised(const command &c, const pod_key &key, const std::string &uid)
{
    os_fd lock(state_lock_pod(c.state, key));
    if (lock.fd < 0)
        return false;
    json_ptr pod;
    if (!state_read_pod(c.state, key, pod) || state_pod_uid(pod.get()) != uid)
        return true; // already another pod of that name
    if (os_exists(state_pod_dir(c.state, key) + "/marked"))
        container_kill_marked(uid);
    if (geteuid() == 0)
        netbox_remove_interface(netbox_interface_name(uid));
    state_remove_pod(c.state, key);
    return true;
}

static bool is_still_there(const command &c, const pod_key &key, const std::string &uid)
{
    json_ptr pod;
    return state_read_pod(c.state, key, pod) && state_pod_uid(pod.get()) == uid;
}

static bool ask_for_deletion(const command &c, const found_pod &pod, int64_t grace_s, std::string &out_text)
{
    uint64_t grace = grace_s >= 0 ? static_cast<uint64_t>(grace_s) : json_u64(json_get(pod.pod.get(), "spec"), "terminationGracePeriodSeconds", 30);
    std::string dir = state_pod_dir(c.state, pod.key);
    std::string content = text_format("{\"gracePeriodSeconds\":%llu}", static_cast<unsigned long long>(grace));
    if (!os_replace_file(dir + "/terminate", content) && errno != ENOENT) {
        out_text = text_format("%s/terminate: %s", dir.c_str(), strerror(errno));
        return false;
    }
    if (remove_unsupervised(c, pod.key, state_pod_uid(pod.pod.get())))
        return true;
    pid_t supervisor = state_supervisor_pid(c.state, pod.key);
    if (supervisor > 0)
        kill(supervisor, SIGUSR1);
    return true;
}

static int64_t grace_of(const command &c, bool force, std::string &out_text)
{
    std::string text = options_text(c.o, "grace-period", "-1");
    uint64_t value = 0;
    bool negative = text.starts_with("-") && text_parse_u64(text.substr(1), value);
    if (!negative && (!text_parse_u64(text, value) || value > 86'400 * 365)) {
        out_text = text_format("invalid argument \"%s\" for \"--grace-period\" flag: strconv.ParseInt: parsing \"%s\": invalid syntax", text_escape(text, 80).c_str(), text_escape(text, 80).c_str());
        return -1;
    }
    bool now = options_bool(c.o, "now", false);
    if (now && !negative)
        out_text = "--now and --grace-period cannot be specified together";
    if (now)
        return 1;
    if (negative)
        return force ? 0 : -1;
    return value == 0 && !force ? 1 : static_cast<int64_t>(value); // as kubectl: 0 needs --force
}

int command_delete(const command &c)
{
    std::string resource;
    std::string text;
    std::vector<std::string> names;
    selector wanted;
    int code = 0;
    bool all = options_bool(c.o, "all", false);
    if (c.o.words.empty())
        return command_fail("You must provide one or more resources by argument or filename.");
    if (!command_parse_names(c.o.words, resource, names, text))
        return command_fail(text);
    if (resource != "pods")
        return command_fail("kubectl-local can delete pods only");
    if (!parse_selector_flag(c, wanted, code))
        return code;
    if (!names.empty() && (options_given(c.o, "selector") || all))
        return command_fail("name cannot be provided when a selector is specified");
    if (names.empty() && !all && !options_given(c.o, "selector"))
        return command_fail("resource(s) were provided, but no name was specified");
    bool force = options_bool(c.o, "force", false);
    int64_t grace = grace_of(c, force, text);
    uint64_t timeout_ms = 0;
    if (text.empty() && !text_parse_duration_ms(options_text(c.o, "timeout", "0s"), timeout_ms))
        text = text_format("invalid argument \"%s\" for \"--timeout\" flag: time: invalid duration", text_escape(options_text(c.o, "timeout", ""), 80).c_str());
    if (!text.empty())
        return command_fail(text);
    if (force)
        fprintf(stderr, "Warning: Immediate deletion does not wait for confirmation that the running resource has been terminated. The resource may continue to run on the cluster indefinitely.\n");

    state_ear ear;
    state_ear_open(ear, c.state);
    std::vector<found_pod> pods;
    if (names.empty()) {
        // Not healed first: what has to go need not be started again.
        for (const pod_key &key : state_list_pods(c.state, c.all_namespaces ? "" : c.ns)) {
            found_pod one;
            one.key = key;
            if (is_own_record(key) && state_read_pod(c.state, key, one.pod) && selector_matches(wanted, json_get(json_get(one.pod.get(), "metadata"), "labels")))
                pods.push_back(std::move(one));
        }
        if (pods.empty())
            command_write("No resources found\n");
    }
    for (const std::string &name : names) {
        found_pod one;
        one.key = {c.ns, name};
        if (is_own_record(one.key) && state_read_pod(c.state, one.key, one.pod))
            pods.push_back(std::move(one));
        else if (!options_bool(c.o, "ignore-not-found", false))
            code = command_fail_not_found("pods", name);
    }
    bool by_name = options_text(c.o, "output", "") == "name";
    for (const found_pod &one : pods) {
        if (!ask_for_deletion(c, one, grace, text)) {
            code = command_fail(text);
            continue;
        }
        command_write(by_name ? "pod/" + one.key.name + "\n" : text_format("pod \"%s\" %s\n", one.key.name.c_str(), force ? "force deleted" : "deleted"));
    }
    uint64_t deadline = timeout_ms == 0 ? UINT64_MAX : os_now_ms() + timeout_ms;
    bool waiting = options_bool(c.o, "wait", true);
    for (const found_pod &one : pods) {
        std::string uid = state_pod_uid(one.pod.get());
        while (waiting && is_still_there(c, one.key, uid)) {
            if (os_now_ms() >= deadline) {
                code = command_fail(text_format("timed out waiting for the condition on pods/%s", one.key.name.c_str()));
                break;
            }
            state_ear_wait(ear, look_again_ms, -1, {});
            if (is_still_there(c, one.key, uid) && remove_unsupervised(c, one.key, uid))
                break;
        }
    }
    state_ear_close(ear);
    return code;
}

// wait

static bool condition_holds(const cJSON *pod, const std::string &type, const std::string &value)
{
    const cJSON *one;
    cJSON_ArrayForEach(one, json_get(json_get(pod, "status"), "conditions"))
    {
        if (text_equal_ignore_case(json_text(one, "type"), type))
            return text_equal_ignore_case(json_text(one, "status"), value);
    }
    return false;
}

int command_wait(const command &c)
{
    std::string resource;
    std::string text;
    std::vector<std::string> names;
    std::string what = options_text(c.o, "for", "");
    if (c.o.words.empty())
        return command_fail("You must provide one or more resources by argument or filename.");
    if (!command_parse_names(c.o.words, resource, names, text))
        return command_fail(text);
    if (resource != "pods")
        return command_fail("kubectl-local can wait for pods only");
    selector wanted;
    int code = 0;
    if (!parse_selector_flag(c, wanted, code))
        return code;
    std::string type;
    std::string value = "true";
    bool is_delete = text_lower(what) == "delete";
    bool is_create = text_lower(what) == "create";
    if (what.starts_with("condition=")) {
        type = what.substr(10);
        size_t equals = type.find('=');
        if (equals != std::string::npos) {
            value = type.substr(equals + 1);
            type.resize(equals);
        }
    }
    if (!is_delete && !is_create && type.empty())
        return command_fail(text_format("unrecognized condition: \"%s\"", text_escape(what, 80).c_str()));
    std::string limit = options_text(c.o, "timeout", "30s");
    bool for_ever = limit.starts_with("-"); // kubectl: a week
    uint64_t timeout_ms = 0;
    if (!text_parse_duration_ms(for_ever ? "168h" : limit, timeout_ms))
        return command_fail(text_format("invalid argument \"%s\" for \"--timeout\" flag: time: invalid duration", text_escape(limit, 80).c_str()));
    if (names.empty())
        for (const found_pod &one : command_find_pods(c, wanted))
            names.push_back(one.key.name);
    if (names.empty() && is_delete)
        return 0;
    if (names.empty())
        return command_fail("no matching resources found");

    state_ear ear;
    state_ear_open(ear, c.state);
    uint64_t deadline = os_now_ms() + timeout_ms;
    for (const std::string &name : names) {
        for (;;) {
            found_pod one;
            bool there = command_find_pod(c, name, one);
            if (!there && !is_delete && !is_create) {
                code = command_fail_not_found("pods", name);
                break;
            }
            if (is_delete ? !there : is_create ? there : condition_holds(one.pod.get(), type, value)) {
                command_write(text_format("pod/%s condition met\n", name.c_str()));
                break;
            }
            uint64_t now = os_now_ms();
            if (now >= deadline) {
                code = command_fail(text_format("timed out waiting for the condition on pods/%s", name.c_str()));
                break;
            }
            state_ear_wait(ear, static_cast<int>(std::min<uint64_t>(deadline - now, 500)), -1, {});
        }
    }
    state_ear_close(ear);
    return code;
}

// describe

static void describe_state(std::string &out, const char *title, const cJSON *state)
{
    const cJSON *one = state != nullptr ? state->child : nullptr;
    if (one == nullptr)
        return;
    std::string kind = one->string;
    kind[0] = static_cast<char>(kind[0] - 'a' + 'A');
    out += text_format("    %-15s%s\n", title, kind.c_str());
    for (const char *key : {"reason", "message", "exitCode", "startedAt", "finishedAt"}) {
        const cJSON *field = json_get(one, key);
        std::string label = key;
        label[0] = static_cast<char>(label[0] - 'a' + 'A');
        if (cJSON_IsString(field))
            out += text_format("      %-13s%s\n", (label + ":").c_str(), field->valuestring);
        else if (cJSON_IsNumber(field))
            out += text_format("      %-13s%d\n", (label + ":").c_str(), field->valueint);
    }
}

static void describe_map(std::string &out, const char *title, const cJSON *map)
{
    const char *label = title;
    const cJSON *one;
    cJSON_ArrayForEach(one, map)
    {
        out += text_format("%-17s%s%s%s\n", label, one->string, title[0] == 'L' ? "=" : ": ", cJSON_IsString(one) ? one->valuestring : "");
        label = "";
    }
    if (cJSON_GetArraySize(map) == 0)
        out += text_format("%-17s<none>\n", title);
}

static std::string describe(const cJSON *pod, const std::string &dir)
{
    const cJSON *metadata = json_get(pod, "metadata");
    const cJSON *spec = json_get(pod, "spec");
    const cJSON *status = json_get(pod, "status");
    std::string out;
    auto line = [&](const char *title, std::string_view value) { out += text_format("%-17s%.*s\n", title, static_cast<int>(value.size()), value.data()); };
    line("Name:", json_text(metadata, "name"));
    line("Namespace:", json_text(metadata, "namespace"));
    line("Node:", json_text(spec, "nodeName"));
    line("Start Time:", json_text(status, "startTime"));
    describe_map(out, "Labels:", json_get(metadata, "labels"));
    describe_map(out, "Annotations:", json_get(metadata, "annotations"));
    if (json_get(metadata, "deletionTimestamp") != nullptr)
        line("Status:", "Terminating");
    else
        line("Status:", json_text(status, "phase"));
    if (!json_text(status, "message").empty())
        line("Message:", json_text(status, "message"));
    line("IP:", json_text(status, "podIP"));
    line("Directory:", dir);
    struct {
        const char *title;
        const char *specs;
        const char *statuses;
    } lists[] = {{"Init Containers:", "initContainers", "initContainerStatuses"}, {"Containers:", "containers", "containerStatuses"}};
    for (const auto &list : lists) {
        if (cJSON_GetArraySize(json_get(spec, list.specs)) == 0)
            continue;
        out += text_format("%s\n", list.title);
        const cJSON *one;
        cJSON_ArrayForEach(one, json_get(status, list.statuses))
        {
            out += text_format("  %s:\n", std::string(json_text(one, "name")).c_str());
            out += text_format("    %-15s%s\n", "Container ID:", std::string(json_text(one, "containerID")).c_str());
            out += text_format("    %-15s%s\n", "Image:", std::string(json_text(one, "image")).c_str());
            describe_state(out, "State:", json_get(one, "state"));
            describe_state(out, "Last State:", json_get(one, "lastState"));
            out += text_format("    %-15s%s\n", "Ready:", json_bool(one, "ready", false) ? "True" : "False");
            out += text_format("    %-15s%llu\n", "Restart Count:", static_cast<unsigned long long>(json_u64(one, "restartCount", 0)));
        }
    }
    out += "Conditions:\n";
    const cJSON *one;
    cJSON_ArrayForEach(one, json_get(status, "conditions"))
        out += text_format("  %-20s%-8s%s\n", std::string(json_text(one, "type")).c_str(), std::string(json_text(one, "status")).c_str(), std::string(json_text(one, "message")).c_str());
    return out;
}

int command_describe(const command &c)
{
    std::string resource;
    std::string text;
    std::vector<std::string> names;
    selector wanted;
    int code = 0;
    if (c.o.words.empty())
        return command_fail("You must specify the type of resource to describe.");
    if (!command_parse_names(c.o.words, resource, names, text))
        return command_fail(text);
    if (resource != "pods")
        return command_fail("kubectl-local can describe pods only");
    if (!parse_selector_flag(c, wanted, code))
        return code;
    std::vector<found_pod> pods;
    if (names.empty())
        pods = command_find_pods(c, wanted);
    for (const std::string &name : names) {
        found_pod one;
        if (command_find_pod(c, name, one))
            pods.push_back(std::move(one));
        else
            code = command_fail_not_found("pods", name);
    }
    if (pods.empty() && names.empty())
        fprintf(stderr, "No resources found in %s namespace.\n", c.ns.c_str());
    for (size_t i = 0; i < pods.size(); i++)
        command_write((i > 0 ? "\n\n" : "") + describe(pods[i].pod.get(), state_pod_dir(c.state, pods[i].key)));
    return code;
}

// version

int command_version(const command &c)
{
    // Scripts look at major and minor: those of the Kubernetes API whose objects we print.
    std::string output = options_text(c.o, "output", "");
    json_ptr about = json_object();
    auto add = [&](const char *key) {
        cJSON *one = json_add_object(about.get(), key);
        json_add_text(one, "gitVersion", "v1.32.0-kubectl-local." NODE_VERSION);
        json_add_text(one, "major", "1");
        json_add_text(one, "minor", "32");
        json_add_text(one, "platform", "linux");
    };
    add("clientVersion");
    if (!options_bool(c.o, "client", false))
        add("serverVersion");
    if (output == "json")
        command_write(print_json(about.get()));
    else if (output == "yaml")
        command_write(yaml_print(about.get()));
    else if (output.empty())
        command_write(std::string("Client Version: v1.32.0-kubectl-local." NODE_VERSION "\n") +
                      (options_bool(c.o, "client", false) ? "" : "Server Version: v1.32.0-kubectl-local." NODE_VERSION "\n"));
    else
        return command_fail("--output must be 'yaml' or 'json'");
    return 0;
}

// image

static std::string join(const std::vector<std::string> &words)
{
    std::string out;
    for (const std::string &word : words)
        out += (out.empty() ? "" : " ") + word;
    return out;
}

static int list_images(const command &c)
{
    std::vector<std::vector<std::string>> rows;
    if (!options_bool(c.o, "no-headers", false))
        rows.push_back({"NAME", "TAG", "COMMAND"});
    for (const image_reference &one : image_list(c.state)) {
        image_config config;
        std::string text;
        if (!image_load(c.state, one, config, text))
            continue;
        std::vector<std::string> line = config.entrypoint;
        line.insert(line.end(), config.cmd.begin(), config.cmd.end());
        rows.push_back({one.name, one.tag, line.empty() ? "<none>" : join(line)});
    }
    table t;
    return command_write(print_rows(t, rows)) ? 0 : 1;
}

static bool parse_image_name(const std::string &text, image_reference &out_reference, int &out_code)
{
    reference_verdict verdict = image_parse_reference(text, out_reference);
    if (verdict == reference_verdict::digest)
        out_code = command_fail(text_format("image \"%s\": kubectl-local has no digests; name a tag", text_escape(text, 200).c_str()));
    else if (verdict == reference_verdict::invalid)
        out_code = command_fail(text_format("invalid image name \"%s\": expected [HOST[:PORT]/]NAME[:TAG] in lower case", text_escape(text, 200).c_str()));
    return verdict == reference_verdict::good;
}

int command_image(const command &c)
{
    const std::vector<std::string> &words = c.o.words;
    image_reference reference;
    int code = 0;
    if (words.size() == 1 && words[0] == "ls")
        return list_images(c);
    if (words.size() >= 2 && words[0] == "rm") {
        for (size_t i = 1; i < words.size(); i++) {
            int bad = 0;
            if (!parse_image_name(words[i], reference, bad))
                code = bad;
            else if (!image_remove(c.state, reference))
                code = command_fail(text_format("no image \"%s\"", image_text(reference).c_str()));
            else
                command_write(text_format("image \"%s\" deleted\n", image_text(reference).c_str()));
        }
        return code;
    }
    if (words.size() < 2)
        return command_fail("expected 'image NAME DIR [ENTRYPOINT...]', 'image ls' or 'image rm NAME'.\nSee 'kubectl-local image --help' for usage");
    if (!parse_image_name(words[0], reference, code))
        return code;
    image_build build;
    build.directory = words[1];
    build.entrypoint.assign(words.begin() + 2, words.end());
    build.env = options_all(c.o, "env");
    build.working_dir = options_text(c.o, "workdir", "");
    for (const std::string &entry : build.env)
        if (entry.find('=') == std::string::npos || entry.front() == '=')
            return command_fail(text_format("--env wants NAME=VALUE, not \"%s\"", text_escape(entry, 80).c_str()));
    std::string text;
    if (!image_create(c.state, reference, build, text))
        return command_fail(text);
    return command_write(text_format("image %s created\n", image_text(reference).c_str())) ? 0 : 1;
}
