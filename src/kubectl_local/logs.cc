// SPDX-License-Identifier: MIT
// kubectl_local/logs.cc: `logs`: prints the log of a container or of its previous run, or its tail, and follows it.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "kubectl_local/commands.h"
#include "kubectl_local/os.h"
#include "kubectl_local/status.h"

namespace etlnode::kubectl_local {

static constexpr size_t log_read_max = 64u * 1024 * 1024; // two files of at most 10 MiB and one line each

struct log_view {
    bool timestamps = false;
    bool at_line_start = true;
    bool in_stamp = false;
};

// Removes the timestamp of each line. Works on pieces, because a line may arrive in parts.
static std::string shown(log_view &view, std::string_view bytes)
{
    if (view.timestamps)
        return std::string(bytes);
    std::string out;
    for (char c : bytes) {
        if (view.at_line_start)
            view.in_stamp = true;
        view.at_line_start = c == '\n';
        if (!view.in_stamp)
            out += c;
        else if (c == ' ')
            view.in_stamp = false;
    }
    return out;
}

static std::string last_lines(const std::string &text, uint64_t count)
{
    if (count == 0)
        return "";
    size_t at = text.size();
    if (at > 0 && text[at - 1] == '\n')
        at--;
    while (at > 0) {
        size_t before = text.rfind('\n', at - 1);
        if (before == std::string::npos)
            return text;
        if (--count == 0)
            return text.substr(before + 1);
        at = before;
    }
    return text;
}

// Returns the lines that are not older than `cutoff`. Each line begins with its time, and times can be compared as texts.
static std::string younger_lines(const std::string &text, std::string_view cutoff)
{
    for (size_t at = 0; at < text.size();) {
        size_t end = text.find('\n', at);
        std::string_view line(text.data() + at, (end == std::string::npos ? text.size() : end) - at);
        if (line.substr(0, line.find(' ')) >= cutoff)
            return text.substr(at);
        at = end == std::string::npos ? text.size() : end + 1;
    }
    return "";
}

static const cJSON *find_status(const cJSON *pod, const std::string &container, bool &out_is_init)
{
    for (const char *list : {"containerStatuses", "initContainerStatuses"}) {
        const cJSON *one;
        cJSON_ArrayForEach(one, json_get(json_get(pod, "status"), list)) if (json_text(one, "name") == container)
        {
            out_is_init = list[0] == 'i';
            return one;
        }
    }
    return nullptr;
}

static bool declared(const cJSON *pod, const std::string &container)
{
    for (const char *list : {"containers", "initContainers"}) {
        const cJSON *one;
        cJSON_ArrayForEach(one, json_get(json_get(pod, "spec"), list)) if (json_text(one, "name") == container) return true;
    }
    return false;
}

static bool is_running(const cJSON *status) { return json_get(json_get(status, "state"), "running") != nullptr; }

// Prints new output until the container has ended.
static void follow(
    const command &c, const pod_key &key, const std::string &container, const std::string &path, const std::string &id, log_view &view)
{
    os_fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.fd < 0 || lseek(file.fd, 0, SEEK_END) < 0)
        return;
    state_watch watch;
    state_watch_open(watch, c.state);
    for (bool last = false;;) {
        char chunk[65536];
        ssize_t n;
        while ((n = read(file.fd, chunk, sizeof chunk)) > 0)
            if (!command_write(shown(view, std::string_view(chunk, static_cast<size_t>(n)))))
                last = true;
        if (last)
            break;
        json_ptr pod;
        bool is_init = false;
        const cJSON *status = state_read_pod(c.state, key, pod) ? find_status(pod.get(), container, is_init) : nullptr;
        last = status == nullptr || status_run_of(json_text(status, "containerID")) != status_run_of(id) || !is_running(status);
        struct stat named;
        struct stat mine;
        if (!last && stat(path.c_str(), &named) == 0 && fstat(file.fd, &mine) == 0 && named.st_ino != mine.st_ino) {
            // The log was rotated. The old file has been read to its end above.
            file.reset(open(path.c_str(), O_RDONLY | O_CLOEXEC));
            if (file.fd < 0)
                break;
            continue;
        }
        if (!last && !state_watch_wait(watch, 100, STDOUT_FILENO, {}))
            break;
    }
    state_watch_close(watch);
}

static int show_logs(const command &c, const found_pod &pod, int64_t tail)
{
    std::string container = options_text(c.o, "container", "");
    if (container.empty())
        container = json_text(cJSON_GetArrayItem(json_get(json_get(pod.pod.get(), "spec"), "containers"), 0), "name");
    if (!declared(pod.pod.get(), container))
        return command_fail(text_format("container %s is not valid for pod %s", text_escape(container, 80).c_str(), pod.key.name.c_str()));
    bool is_init = false;
    const cJSON *status = find_status(pod.pod.get(), container, is_init);
    bool previous = options_bool(c.o, "previous", false);
    std::string path = state_pod_dir(c.state, pod.key) + (is_init ? "/log-" + container : "/log");
    std::string base = previous ? path + ".previous" : path;
    if (previous && (json_get(json_get(status, "lastState"), "terminated") == nullptr || !os_exists(base))) {
        fprintf(stderr, "Error from server (BadRequest): previous terminated container \"%s\" in pod \"%s\" not found\n", container.c_str(),
            pod.key.name.c_str());
        return 1;
    }
    std::string id(json_text(status, "containerID"));
    if (id.empty()) {
        std::string reason(json_text(json_get(json_get(status, "state"), "waiting"), "reason"));
        if (reason == "ErrImagePull" || reason == "ImagePullBackOff")
            reason = "trying and failing to pull image";
        fprintf(stderr, "Error from server (BadRequest): container \"%s\" in pod \"%s\" is waiting to start: %s\n", container.c_str(),
            pod.key.name.c_str(), reason.empty() ? "ContainerCreating" : reason.c_str());
        return 1;
    }
    std::string older;
    std::string text;
    os_read_file(base + ".1", older, log_read_max);
    if (!os_read_file(base, text, log_read_max) && errno != ENOENT)
        return command_fail(text_format("%s: %s", base.c_str(), strerror(errno)));
    text = older + text;
    uint64_t since_ms = 0;
    std::string since = options_text(c.o, "since", "0s");
    if (since != "0" && !text_parse_duration_ms(since, since_ms))
        return command_fail(text_format("invalid argument \"%s\" for \"--since\" flag: time: invalid duration \"%s\"",
            text_escape(since, 80).c_str(), text_escape(since, 80).c_str()));
    if (since_ms > 0)
        text = younger_lines(text, os_time_text(time(nullptr) - static_cast<time_t>(since_ms / 1000)));
    if (tail >= 0)
        text = last_lines(text, static_cast<uint64_t>(tail));
    log_view view;
    view.timestamps = options_bool(c.o, "timestamps", false);
    std::string out = shown(view, text);
    uint64_t limit = 0;
    if (text_parse_u64(options_text(c.o, "limit-bytes", "0"), limit) && limit > 0 && out.size() > limit)
        out.resize(limit);
    if (!command_write(out))
        return 1;
    if (options_bool(c.o, "follow", false) && !previous)
        follow(c, pod.key, container, path, id, view);
    return 0;
}

int command_logs(const command &c)
{
    selector wanted;
    std::string text;
    bool by_selector = options_given(c.o, "selector");
    if (!selector_parse(options_text(c.o, "selector", ""), wanted, text))
        return command_fail(text);
    if (c.o.words.empty() && !by_selector)
        return command_fail("expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required argument for the "
                            "logs command\nSee 'kubectl-local logs -h' for help and examples");
    std::string tail_text = options_text(c.o, "tail", by_selector ? "10" : "-1");
    uint64_t lines = 0;
    int64_t tail = -1;
    if (text_parse_u64(tail_text, lines) && lines < 1'000'000'000)
        tail = static_cast<int64_t>(lines);
    else if (!tail_text.starts_with("-"))
        return command_fail(text_format("invalid argument \"%s\" for \"--tail\" flag: strconv.ParseInt: parsing \"%s\": invalid syntax",
            text_escape(tail_text, 80).c_str(), text_escape(tail_text, 80).c_str()));
    else if (tail_text != "-1")
        return command_fail("--tail must be greater than or equal to -1");
    if (by_selector) {
        std::vector<found_pod> pods = command_find_pods(c, wanted);
        int code = 0;
        if (pods.empty())
            fprintf(stderr, "No resources found in %s namespace.\n", c.ns.c_str());
        for (const found_pod &pod : pods)
            code = std::max(code, show_logs(c, pod, tail));
        return code;
    }
    std::string name = c.o.words[0];
    size_t slash = name.find('/');
    if (slash != std::string::npos) {
        std::string resource;
        std::vector<std::string> names;
        if (!command_parse_names({name}, resource, names, text))
            return command_fail(text);
        name = name.substr(slash + 1);
    }
    found_pod pod;
    if (!command_find_pod(c, name, pod))
        return command_fail_not_found("pods", name);
    return show_logs(c, pod, tail);
}

} // namespace etlnode::kubectl_local
