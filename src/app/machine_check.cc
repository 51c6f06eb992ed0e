// SPDX-License-Identifier: MIT
// app/machine_check.cc: what a node will need of its machine: programs in PATH, addresses to listen on.
#include "app/machine_check.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"

static bool is_program(const std::string &name)
{
    if (name.find('/') != std::string::npos)
        return access(name.c_str(), X_OK) == 0;
    const char *path = std::getenv("PATH");
    std::string_view rest = path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin";
    while (true) {
        size_t end = rest.find(':');
        std::string folder(rest.substr(0, end));
        if (access(((folder.empty() ? "." : folder) + "/" + name).c_str(), X_OK) == 0)
            return true;
        if (end == std::string_view::npos)
            return false;
        rest.remove_prefix(end + 1);
    }
}

// Binds a socket to any port of the host and closes it again.
static void check_address(settings &s, const char *option, const std::string &host)
{
    addrinfo hints{};
    hints.ai_flags = AI_PASSIVE;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo *found = nullptr;
    if (int code = getaddrinfo(host.c_str(), "0", &hints, &found); code != 0) {
        s.problems.push_back(std::string("--") + option + ": " + text_escape(host, 100) + ": " + gai_strerror(code));
        return;
    }
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        if (bind(fd, found->ai_addr, found->ai_addrlen) != 0 && errno == EADDRNOTAVAIL)
            s.problems.push_back(std::string("--") + option + ": " + text_escape(host, 100) + " is no address of this machine");
        close(fd);
    }
    freeaddrinfo(found);
}

void machine_check(settings &s)
{
    check_address(s, "listen", s.node.listen_host);
    if (!s.node.is_target)
        return;
    if (s.node.pod_listen_host != s.node.listen_host)
        check_address(s, "pod-listen", s.node.pod_listen_host);
    if (s.node.kubectl.empty()) // a problem of its own
        return;
    const std::string &kubectl = s.node.kubectl[0];
    if (!is_program(kubectl))
        s.problems.push_back("the program that runs pods is missing: " + text_escape(kubectl, 200) + " (" + s.kubectl_why + "); --kubectl names another");
    if (s.node.kubectl_is_local && !is_program("bwrap"))
        s.warnings.push_back("bwrap is missing: kubectl-local puts pods into a sandbox with it (Debian's package bubblewrap)");
}
