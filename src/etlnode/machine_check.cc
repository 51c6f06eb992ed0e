// SPDX-License-Identifier: MIT
// etlnode/machine_check.cc: checks what a node needs from its machine: programs in PATH, free addresses, writable folders. Creates nothing.
#include "etlnode/machine_check.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

namespace etlnode {

static bool is_program_file(const std::string &path)
{
    struct stat info {};
    return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
           access(path.c_str(), X_OK) == 0; // folders have the executable bit as well
}

static bool is_program(const std::string &name)
{
    if (name.find('/') != std::string::npos)
        return is_program_file(name);
    const char *path = std::getenv("PATH");
    std::string_view rest = path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin";
    while (true) {
        size_t end = rest.find(':');
        std::string folder(rest.substr(0, end));
        if (is_program_file((folder.empty() ? "." : folder) + "/" + name))
            return true;
        if (end == std::string_view::npos)
            return false;
        rest.remove_prefix(end + 1);
    }
}

// --- files

static std::string parent_of(const std::string &path)
{
    size_t slash = path.find_last_of('/');
    return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

// Returns why nothing can be written below `path`, or "" if it can. If `path` does not exist yet, the nearest existing folder decides.
static std::string why_unwritable(std::string path)
{
    while (path.size() > 1 && path.ends_with('/'))
        path.pop_back();
    struct stat info {};
    while (stat(path.c_str(), &info) != 0) {
        if (errno != ENOENT || path == "/" || path == ".")
            return text_escape(path, 200) + ": " + std::strerror(errno);
        path = parent_of(path);
    }
    if (!S_ISDIR(info.st_mode))
        return text_escape(path, 200) + " is not a directory";
    return access(path.c_str(), W_OK | X_OK) == 0 ? std::string() : text_escape(path, 200) + ": " + std::strerror(errno);
}

// Whether a node already runs with this data directory, most likely the one being checked. Only tests the lock.
static bool is_in_use(const std::string &data_dir)
{
    int fd = open((data_dir + "/lock").c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return false;
    bool is_held = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    close(fd);
    return is_held;
}

static void check_data_dir(settings &s, bool is_running)
{
    std::string why = why_unwritable(s.node.data_dir);
    if (!why.empty())
        s.problems.push_back("--data-dir: cannot write there: " + why);
    if (is_running)
        s.warnings.push_back("--data-dir: another node is using " + text_escape(s.node.data_dir, 200));
}

static void check_secret(settings &s)
{
    if (!s.secret.must_be_created)
        return;
    std::string why = why_unwritable(parent_of(s.secret.path));
    if (!why.empty())
        s.problems.push_back("the cluster secret " + text_escape(s.secret.path, 200) + " does not exist and cannot be created: " + why +
                             "; --cluster-secret-file selects another file");
}

// --- addresses

static std::string shown(const std::string &host, uint16_t port)
{
    return text_escape(host.find(':') != std::string::npos ? "[" + host + "]" : host, 100) + ":" + std::to_string(port);
}

static void report_bind_error(settings &s, const std::string &option, const std::string &host, uint16_t port, int why, bool is_running)
{
    if (why == EADDRNOTAVAIL)
        s.problems.push_back(option + text_escape(host, 100) + " is not an address of this machine");
    else if (why == EADDRINUSE && is_running) // most likely by that same node
        s.warnings.push_back(option + shown(host, port) + " is in use by the running node");
    else if (why == EADDRINUSE)
        s.problems.push_back(option + shown(host, port) + " is in use by another program: choose another port, or 0 for any free port");
    else if (why == EACCES)
        s.problems.push_back(option + "this user is not allowed to listen on port " + std::to_string(port) + ": choose 1024 or above");
    else
        s.problems.push_back(option + shown(host, port) + ": " + std::strerror(why));
}

// Binds a socket as the node will, then closes it. No client can connect to it in between.
static void check_address(settings &s, const char *name, const std::string &host, uint16_t port, bool is_running)
{
    std::string option = std::string("--") + name + ": ";
    addrinfo hints{};
    hints.ai_flags = AI_PASSIVE;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo *found = nullptr;
    if (int code = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found); code != 0) {
        s.problems.push_back(option + text_escape(host, 100) + ": " + gai_strerror(code));
        return;
    }
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 || bind(fd, found->ai_addr, found->ai_addrlen) != 0)
        report_bind_error(s, option, host, port, errno, is_running);
    if (fd >= 0)
        close(fd);
    freeaddrinfo(found);
}

void machine_check(settings &s)
{
    bool is_running = is_in_use(s.node.data_dir);
    check_data_dir(s, is_running);
    check_secret(s);
    if (!s.node.listen_host.empty()) // otherwise a problem is already listed
        check_address(s, "listen", s.node.listen_host, s.node.listen_port, is_running);
    if (!s.node.is_target)
        return;
    bool is_same_port = s.node.pod_listen_host == s.node.listen_host && s.node.pod_listen_port == s.node.listen_port;
    if (!s.node.pod_listen_host.empty() && !is_same_port)
        check_address(s, "pod-listen", s.node.pod_listen_host, s.node.pod_listen_port, is_running);
    if (s.node.kubectl.empty()) // a problem is already listed
        return;
    const std::string &kubectl = s.node.kubectl[0];
    if (!is_program(kubectl))
        s.problems.push_back("the program that runs pods is missing: " + text_escape(kubectl, 200) +
                             (s.kubectl_is_given ? "; --kubectl selects it" : " (" + s.kubectl_why + "); --kubectl selects another"));
    if (s.node.kubectl_is_local && !is_program("bwrap"))
        s.warnings.push_back("bwrap is missing: kubectl-local needs it to sandbox pods (Debian package bubblewrap)");
}

} // namespace etlnode
