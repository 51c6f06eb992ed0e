// SPDX-License-Identifier: MIT
// etlnode/sandbox_query.cc: asks kubectl-local whether pods are sandboxed on this machine.
#include "etlnode/sandbox_query.h"

#include <cerrno>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "codec/json.h"

namespace etlnode {

static constexpr int answer_limit_ms = 10'000;
static constexpr size_t answer_size_max = 64u * 1024;

sandbox_report sandbox_query_parse(const std::string &text)
{
    sandbox_report out;
    json_ptr about;
    std::string where;
    if (json_parse(text, about, where)) {
        out.message = "kubectl-local version did not print JSON";
        return out;
    }
    const cJSON *sandbox = json_get(about.get(), "sandbox");
    out.sandbox = json_text(sandbox, "pods");
    out.message = json_text(sandbox, "message");
    if (out.sandbox.empty())
        out.message = "kubectl-local version does not report whether pods are sandboxed; it may be older than this node";
    return out;
}

sandbox_report sandbox_query_run(const std::vector<std::string> &kubectl)
{
    std::vector<std::string> words = kubectl;
    words.insert(words.end(), {"version", "-o", "json"});
    std::vector<char *> argv;
    for (std::string &word : words)
        argv.push_back(word.data());
    argv.push_back(nullptr);
    sandbox_report out;
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0) {
        out.message = strerror(errno);
        return out;
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
    pid_t child = 0;
    int failed = posix_spawnp(&child, argv[0], &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    close(fds[1]);
    std::string text;
    bool late = false;
    for (ssize_t n = failed == 0 ? 1 : 0; n > 0 && text.size() < answer_size_max;) {
        struct pollfd answer = {fds[0], POLLIN, 0};
        char chunk[4096];
        late = poll(&answer, 1, answer_limit_ms) == 0;
        n = late ? 0 : read(fds[0], chunk, sizeof chunk);
        if (n > 0)
            text.append(chunk, static_cast<size_t>(n));
    }
    close(fds[0]);
    if (failed == 0) {
        if (late)
            kill(child, SIGKILL);
        while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
        }
    }
    if (failed != 0)
        out.message = argv[0] + std::string(": ") + strerror(failed);
    else if (late)
        out.message = "kubectl-local version did not answer within 10 s";
    else
        out = sandbox_query_parse(text);
    return out;
}

} // namespace etlnode
