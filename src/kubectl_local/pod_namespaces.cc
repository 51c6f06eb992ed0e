// SPDX-License-Identifier: MIT
// kubectl_local/pod_namespaces.cc: a pod's namespaces, held by a small helper process for the lifetime of the pod.
#include "kubectl_local/pod_namespaces.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "kubectl_local/namespace_helper.h"
#include "kubectl_local/os.h"

namespace etlnode::kubectl_local {

static constexpr const char *step_texts[] = {
    "", "unshare(user)", "unshare(net)", "setgroups", "uid_map", "gid_map", "loopback", "unshare(mount)", "memory volume", "setuid"};
static constexpr int channel_timeout_s = 5;
static constexpr int helper_end_max_ms = 5'000;

// The supervisor's side.

static bool receive(pod_namespaces &namespaces, helper_message &out_message, std::vector<int> &out_fds)
{
    struct iovec part = {&out_message, sizeof out_message};
    alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * helper_sockets)] = {};
    struct msghdr header = {};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    ssize_t n;
    do
        n = recvmsg(namespaces.channel, &header, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n != static_cast<ssize_t>(sizeof out_message)) {
        if (n >= 0)
            errno = EPIPE;
        return false;
    }
    for (struct cmsghdr *rights = CMSG_FIRSTHDR(&header); rights != nullptr; rights = CMSG_NXTHDR(&header, rights)) {
        size_t count = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; rights->cmsg_type == SCM_RIGHTS && i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(rights) + i * sizeof fd, sizeof fd);
            out_fds.push_back(fd);
        }
    }
    return true;
}

static bool ask(pod_namespaces &namespaces, const helper_message &question, std::vector<int> &out_fds)
{
    helper_message reply;
    if (namespaces.channel < 0) {
        errno = ENOTCONN;
        return false;
    }
    if (send(namespaces.channel, &question, sizeof question, MSG_NOSIGNAL) != static_cast<ssize_t>(sizeof question) ||
        !receive(namespaces, reply, out_fds))
        return false;
    errno = reply.sys;
    return reply.verb == helper_verb::ready;
}

int pod_namespaces_socket(pod_namespaces &namespaces)
{
    if (namespaces.spares.empty()) {
        helper_message question;
        question.verb = helper_verb::socket;
        if (!ask(namespaces, question, namespaces.spares) || namespaces.spares.empty())
            return -1;
    }
    int fd = namespaces.spares.back();
    namespaces.spares.pop_back();
    return fd;
}

int pod_namespaces_listen(pod_namespaces &namespaces, const struct sockaddr_in &address)
{
    helper_message question;
    question.verb = helper_verb::listen;
    question.address = address.sin_addr.s_addr;
    question.port = address.sin_port;
    std::vector<int> fds;
    if (!ask(namespaces, question, fds) || fds.empty())
        return -1;
    return fds[0];
}

void pod_namespaces_guard(pod_namespaces &namespaces, pid_t container)
{
    helper_message question;
    question.verb = helper_verb::guard;
    question.address = static_cast<uint32_t>(container);
    if (namespaces.channel >= 0)
        (void)!send(namespaces.channel, &question, sizeof question, MSG_NOSIGNAL);
}

bool pod_namespaces_enter_mounts(const pod_namespaces &namespaces)
{
    // An ordinary user may do this only after joining the user namespace, root only before.
    if (namespaces.kind == user_mapping::own_user && setns(namespaces.user_ns, CLONE_NEWUSER) != 0)
        return false;
    return setns(namespaces.mnt_ns, CLONE_NEWNS) == 0 && unshare(CLONE_NEWNS) == 0;
}

bool pod_namespaces_enter(const pod_namespaces &namespaces)
{
    if (namespaces.net_ns >= 0 && setns(namespaces.net_ns, CLONE_NEWNET) != 0)
        return false;
    if (namespaces.kind != user_mapping::block)
        return true;
    return setns(namespaces.user_ns, CLONE_NEWUSER) == 0 && setgroups(0, nullptr) == 0 && setresgid(0, 0, 0) == 0 &&
           setresuid(0, 0, 0) == 0;
}

// Runs a program with `input` on its stdin, inside `net_ns` unless that is -1. Discards its output. Waits at most five seconds.
static bool run_program(const std::string &program, std::vector<std::string> args, std::string_view input, int net_ns)
{
    int in[2];
    if (program.empty() || pipe2(in, O_CLOEXEC) != 0)
        return false;
    std::vector<char *> argv;
    for (std::string &arg : args)
        argv.push_back(arg.data());
    argv.push_back(nullptr);
    char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
    char *environment[] = {path, nullptr};
    pid_t child = fork();
    if (child == 0) {
        if (net_ns >= 0 && setns(net_ns, CLONE_NEWNET) != 0)
            _exit(126);
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, nullptr);
        int null_fd = open("/dev/null", O_WRONLY);
        dup2(in[0], 0);
        dup2(null_fd, 1);
        dup2(null_fd, 2);
        close_range(3, ~0u, 0);
        execve(program.c_str(), argv.data(), environment);
        _exit(127);
    }
    close(in[0]);
    bool sent = child > 0 && os_write_all(in[1], input);
    close(in[1]);
    if (child < 0)
        return false;
    uint64_t deadline = os_now_ms() + 5000;
    int status = 1;
    for (;;) {
        pid_t done = waitpid(child, &status, WNOHANG);
        if (done == child)
            break;
        if (done < 0)
            return false;
        if (os_now_ms() > deadline) {
            kill(child, SIGKILL);
            waitpid(child, &status, 0);
            return false;
        }
        struct timespec pause = {0, 300'000};
        nanosleep(&pause, nullptr);
    }
    return sent && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::string pod_namespaces_interface_name(const std::string &uid)
{
    std::string name = "etl";
    for (char c : uid)
        if (c != '-' && name.size() < 13)
            name += c;
    return name;
}

void pod_namespaces_remove_interface(const std::string &name)
{
    if (if_nametoindex(name.c_str()) != 0)
        run_program(os_find_program("ip"), {"ip", "link", "del", name}, "", -1);
}

static bool network_is_free(uint32_t base, const struct ifaddrs *interfaces)
{
    for (const struct ifaddrs *one = interfaces; one != nullptr; one = one->ifa_next) {
        if (one->ifa_addr == nullptr || one->ifa_netmask == nullptr || one->ifa_addr->sa_family != AF_INET)
            continue;
        struct sockaddr_in address;
        struct sockaddr_in mask;
        memcpy(&address, one->ifa_addr, sizeof address);
        memcpy(&mask, one->ifa_netmask, sizeof mask);
        uint32_t both = ntohl(mask.sin_addr.s_addr) & ~3u; // use the larger of the two networks
        if ((ntohl(address.sin_addr.s_addr) & both) == (base & both))
            return false;
    }
    return true;
}

static constexpr uint32_t range_first = (10u << 24) | (231u << 16); // 10.231.0.0 to 10.234.255.255
static constexpr uint32_t range_networks = 4u * 65536 / 4;
static constexpr unsigned closed_metric = 4096; // worse than the interface's own route

static bool choose_network(const std::string &uid, const std::string &preferred_address, uint32_t &out_base)
{
    struct ifaddrs *interfaces = nullptr;
    if (getifaddrs(&interfaces) != 0)
        return false;
    uint32_t seed = 2166136261u;
    for (char c : uid)
        seed = (seed ^ static_cast<unsigned char>(c)) * 16777619u;
    bool found = false;
    struct in_addr preferred;
    if (inet_pton(AF_INET, preferred_address.c_str(), &preferred) == 1) {
        out_base = ntohl(preferred.s_addr) & ~3u;
        found = out_base >= range_first && out_base < range_first + range_networks * 4 && network_is_free(out_base, interfaces);
    }
    for (uint32_t i = 0; i < 4096 && !found; i++) {
        out_base = range_first + (seed + i * 7919) % range_networks * 4;
        found = network_is_free(out_base, interfaces);
    }
    freeifaddrs(interfaces);
    return found;
}

static std::string address_text(uint32_t address)
{
    char text[INET_ADDRSTRLEN];
    struct in_addr in = {htonl(address)};
    return inet_ntop(AF_INET, &in, text, sizeof text) != nullptr ? text : "";
}

// Lets the pod answer but not connect: only segments that acknowledge or reset may leave over the veth.
static constexpr std::string_view guard_rules = "table inet pod {\n"
                                                "  chain out {\n"
                                                "    type filter hook output priority 0; policy accept;\n"
                                                "    oifname \"lo\" accept\n"
                                                "    tcp flags & (ack | rst) != 0 accept\n"
                                                "    meta l4proto tcp reject with tcp reset\n"
                                                "    reject\n"
                                                "  }\n"
                                                "}\n";

static bool make_veth(pod_namespaces &namespaces, const std::string &uid, const std::string &preferred_address)
{
    std::string ip = os_find_program("ip");
    if (ip.empty())
        return false;
    // One lock for the whole host, because other state directories choose from the same addresses.
    os_fd lock(open("/run/kubectl-local.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    while (lock.fd >= 0 && flock(lock.fd, LOCK_EX) != 0 && errno == EINTR) {
    }
    std::string name = pod_namespaces_interface_name(uid);
    pod_namespaces_remove_interface(name);
    uint32_t base = 0;
    if (!choose_network(uid, preferred_address, base))
        return false;
    std::string script = text_format("link add %s type veth peer name eth0 netns %d\n"
                                     "link set %s addrgenmode none\n"
                                     "addr add %s/30 dev %s\n"
                                     "link set %s up\n"
                                     "route replace unreachable %s/30 metric %u\n",
        name.c_str(), namespaces.helper, name.c_str(), address_text(base + 1).c_str(), name.c_str(), name.c_str(),
        address_text(base).c_str(), closed_metric);
    helper_message question;
    question.verb = helper_verb::address;
    question.address = htonl(base + 2);
    question.prefix = 30;
    std::vector<int> none;
    if (!run_program(ip, {"ip", "-batch", "-"}, script, -1) || !ask(namespaces, question, none)) {
        pod_namespaces_remove_interface(name);
        return false;
    }
    namespaces.interface = name;
    namespaces.pod_address = address_text(base + 2);
    namespaces.guarded = run_program(os_find_program("nft"), {"nft", "-f", "-"}, guard_rules, namespaces.net_ns);
    return true;
}

void pod_namespaces_release_address(const std::string &pod_address)
{
    struct in_addr in;
    if (inet_pton(AF_INET, pod_address.c_str(), &in) != 1)
        return;
    uint32_t base = ntohl(in.s_addr) & ~3u;
    if (base >= range_first && base < range_first + range_networks * 4)
        run_program(os_find_program("ip"),
            {"ip", "route", "del", "unreachable", address_text(base) + "/30", "metric", std::to_string(closed_metric)}, "", -1);
}

// The helper is waiting for its user ids.
static bool write_maps(pod_namespaces &namespaces, const user_block &users)
{
    std::string map = text_format("0 %u %u\n", users.base, users.count);
    for (const char *name : {"uid_map", "gid_map"})
        if (!namespace_write_text(text_format("/proc/%d/%s", namespaces.helper, name).c_str(), map.c_str()))
            return false;
    helper_message message;
    message.verb = helper_verb::map;
    return send(namespaces.channel, &message, sizeof message, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof message);
}

static bool start_helper(pod_namespaces &namespaces, user_mapping kind, const namespace_options &options, helper_message &out_reply)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        out_reply.sys = errno;
        return false;
    }
    helper_plan plan = {kind, geteuid(), getegid(), &options};
    pid_t child = fork();
    if (child == 0)
        namespace_helper(pair[1], plan);
    close(pair[1]);
    namespaces.kind = kind;
    namespaces.channel = pair[0];
    namespaces.helper = child > 0 ? child : 0;
    struct timeval limit = {channel_timeout_s, 0};
    setsockopt(namespaces.channel, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    std::vector<int> none;
    out_reply.sys = errno;
    bool done = child > 0 && receive(namespaces, out_reply, none);
    if (done && out_reply.verb == helper_verb::map) {
        out_reply.step = 4;
        done = write_maps(namespaces, options.users);
        out_reply.sys = errno;
        done = done && receive(namespaces, out_reply, none);
    }
    done = done && out_reply.verb == helper_verb::ready;
    if (done) {
        std::string ns = text_format("/proc/%d/ns/", child);
        namespaces.net_ns = options.host_network ? -1 : open((ns + "net").c_str(), O_RDONLY | O_CLOEXEC);
        namespaces.mnt_ns = open((ns + "mnt").c_str(), O_RDONLY | O_CLOEXEC);
        namespaces.user_ns = kind != user_mapping::root ? open((ns + "user").c_str(), O_RDONLY | O_CLOEXEC) : -1;
        done = (options.host_network || namespaces.net_ns >= 0) && namespaces.mnt_ns >= 0 &&
               (kind == user_mapping::root || namespaces.user_ns >= 0);
        out_reply.sys = errno;
    }
    if (!done)
        pod_namespaces_close(namespaces);
    return done;
}

bool pod_namespaces_open(pod_namespaces &namespaces, const std::string &uid, const std::string &preferred_address,
    const namespace_options &options, std::string &out_text)
{
    helper_message reply;
    bool is_root = geteuid() == 0;
    bool done = is_root && options.users.count > 0 && start_helper(namespaces, user_mapping::block, options, reply);
    if (!done && is_root)
        done = start_helper(namespaces, user_mapping::root, options, reply);
    if (!done)
        done = start_helper(
            namespaces, user_mapping::own_user, options, reply); // also for root without CAP_SYS_ADMIN, as in many containers
    if (!done) {
        const char *step = reply.step < std::size(step_texts) ? step_texts[reply.step] : "";
        out_text = text_format("cannot create a network namespace: %s: %s", step, strerror(reply.sys));
        if (!is_root && (reply.sys == EPERM || reply.sys == ENOSPC || reply.sys == EACCES))
            out_text +=
                "; unprivileged user namespaces seem to be disabled (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, "
                "kernel.apparmor_restrict_unprivileged_userns)";
        return false;
    }
    if (is_root && options.veth && !options.host_network && namespaces.kind != user_mapping::own_user)
        namespaces.veth = make_veth(namespaces, uid, preferred_address);
    return true;
}

void pod_namespaces_close(pod_namespaces &namespaces)
{
    if (namespaces.veth)
        pod_namespaces_remove_interface(namespaces.interface);
    for (int fd : namespaces.spares)
        close(fd);
    for (int fd : {namespaces.channel, namespaces.user_ns, namespaces.net_ns, namespaces.mnt_ns})
        if (fd >= 0)
            close(fd);
    if (namespaces.helper > 0) {
        // The helper kills what is left in the pod, then exits.
        int helper = static_cast<int>(syscall(SYS_pidfd_open, namespaces.helper, 0));
        struct pollfd ended = {helper, POLLIN, 0};
        if (helper < 0 || poll(&ended, 1, helper_end_max_ms) != 1)
            kill(namespaces.helper, SIGKILL);
        if (helper >= 0)
            close(helper);
        while (waitpid(namespaces.helper, nullptr, 0) < 0 && errno == EINTR) {
        }
    }
    namespaces = pod_namespaces();
}

} // namespace etlnode::kubectl_local
