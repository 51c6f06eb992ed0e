// SPDX-License-Identifier: MIT
// local/netbox.cc: a pod's network namespace, held by a small helper process for as long as the pod lives.
#include "local/netbox.h"

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
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "local/os.h"

// What goes through the channel.
enum class helper_verb : uint8_t { ready, failed, map, socket, listen, address, guard };

struct helper_message {
    helper_verb verb = helper_verb::ready;
    int32_t sys = 0;        // errno of a failure
    uint32_t step = 0;      // which step failed, an index into step_texts
    uint32_t address = 0;   // network byte order
    uint16_t port = 0;      // network byte order
    uint8_t prefix = 0;
};

static constexpr const char *step_texts[] = {"", "unshare(user)", "unshare(net)", "setgroups", "uid_map", "gid_map", "loopback", "unshare(mount)", "memory volume", "setuid"};
static constexpr size_t spare_sockets = 8;
static constexpr int channel_timeout_s = 5;

// The helper: everything below until helper_main runs in the child, which never returns.

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    size_t size = strlen(text);
    bool done = write(fd, text, size) == static_cast<ssize_t>(size);
    close(fd);
    return done;
}

// Nothing that a pod reaches is farther away than this machine: pacing by timers, where the machine's default does it, would cost more than
// the bytes (port/net.h, net_reach, has the other ends).
static void leave_pacing()
{
    static constexpr const char *path = "/proc/sys/net/ipv4/tcp_congestion_control";
    char control[16] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool is_paced = fd >= 0 && read(fd, control, sizeof control - 1) > 3 && strncmp(control, "bbr", 3) == 0;
    if (fd >= 0)
        close(fd);
    if (is_paced)
        (void)write_text(path, "reno"); // without the right the pod is slower, no more
}

static bool interface_up(const char *name, uint32_t address, uint8_t prefix)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {};
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    bool done = fd >= 0;
    if (done && address != 0) {
        struct sockaddr_in in = {};
        in.sin_family = AF_INET;
        in.sin_addr.s_addr = address;
        memcpy(&request.ifr_addr, &in, sizeof in);
        done = ioctl(fd, SIOCSIFADDR, &request) == 0;
        in.sin_addr.s_addr = htonl(~0u << (32 - prefix));
        memcpy(&request.ifr_netmask, &in, sizeof in);
        done = done && ioctl(fd, SIOCSIFNETMASK, &request) == 0;
    }
    memset(&request.ifr_ifru, 0, sizeof request.ifr_ifru);
    done = done && ioctl(fd, SIOCGIFFLAGS, &request) == 0;
    request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
    done = done && ioctl(fd, SIOCSIFFLAGS, &request) == 0;
    int keep = errno;
    if (fd >= 0)
        close(fd);
    errno = keep;
    return done;
}

static void answer(int channel, const helper_message &message, const int *fds, size_t count)
{
    struct iovec part = {const_cast<helper_message *>(&message), sizeof message};
    alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * spare_sockets)] = {};
    struct msghdr header = {};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    if (count > 0) {
        header.msg_control = control;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(rights), fds, sizeof(int) * count);
    }
    if (sendmsg(channel, &header, MSG_NOSIGNAL) < 0)
        _exit(0);
}

static void answer_sockets(int channel)
{
    int fds[spare_sockets];
    size_t count = 0;
    while (count < spare_sockets) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0)
            break;
        fds[count++] = fd;
    }
    helper_message reply;
    reply.verb = count > 0 ? helper_verb::ready : helper_verb::failed;
    reply.sys = count > 0 ? 0 : errno;
    answer(channel, reply, fds, count);
    for (size_t i = 0; i < count; i++)
        close(fds[i]);
}

static void answer_listen(int channel, const helper_message &asked)
{
    struct sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = asked.address;
    address.sin_port = asked.port;
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool done = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
                bind(fd, reinterpret_cast<struct sockaddr *>(&address), sizeof address) == 0 && listen(fd, 512) == 0;
    helper_message reply;
    reply.verb = done ? helper_verb::ready : helper_verb::failed;
    reply.sys = done ? 0 : errno;
    answer(channel, reply, &fd, done ? 1 : 0);
    if (fd >= 0)
        close(fd);
}

[[noreturn]] static void give_up(int channel, uint32_t step)
{
    helper_message message;
    message.verb = helper_verb::failed;
    message.sys = errno;
    message.step = step;
    answer(channel, message, nullptr, 0);
    _exit(1);
}

struct helper_plan {
    netbox_kind kind;
    uid_t uid; // of an ordinary user
    gid_t gid;
    const netbox_wish *wish;
};

static bool map_own_user(int channel, uid_t uid, gid_t gid)
{
    char map[64];
    if (!write_text("/proc/self/setgroups", "deny"))
        give_up(channel, 3);
    snprintf(map, sizeof map, "0 %u 1\n", uid);
    if (!write_text("/proc/self/uid_map", map))
        give_up(channel, 4);
    snprintf(map, sizeof map, "0 %u 1\n", gid);
    if (!write_text("/proc/self/gid_map", map))
        give_up(channel, 5);
    return true;
}

// Only the supervisor, root outside, may write a map of more than one id.
static void await_map(int channel)
{
    helper_message message;
    message.verb = helper_verb::map;
    answer(channel, message, nullptr, 0);
    if (recv(channel, &message, sizeof message, 0) != static_cast<ssize_t>(sizeof message) || message.verb != helper_verb::map)
        _exit(0);
    if (setgroups(0, nullptr) != 0 || setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0)
        give_up(channel, 9);
}

// A mount namespace of the pod's own, where its volumes of memory outlive its containers.
static void make_mounts(int channel, const helper_plan &plan)
{
    if (unshare(CLONE_NEWNS) != 0)
        give_up(channel, 7);
    if (mount(nullptr, "/", nullptr, MS_SLAVE | MS_REC, nullptr) != 0)
        give_up(channel, 7);
    for (const netbox_memory &one : plan.wish->memory) {
        char options[160];
        snprintf(options, sizeof options, "mode=0777,size=%llu,nr_inodes=%llu,uid=%u,gid=%u", static_cast<unsigned long long>(one.bytes),
                 static_cast<unsigned long long>(one.files), plan.wish->users.base, plan.wish->users.base);
        if (mount("tmpfs", one.path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options) != 0)
            give_up(channel, 8);
    }
}

// What the pod's own network does otherwise than the machine's: names below /proc/sys/net, as "net.ipv4.x".
static void set_sysctls(const helper_plan &plan)
{
    // As container engines do: who is not root in the pod may listen on port 80 too.
    (void)write_text("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
    for (const auto &[name, value] : plan.wish->sysctls) {
        std::string path = "/proc/sys/" + name;
        for (size_t i = 10; i < path.size(); i++)
            if (path[i] == '.')
                path[i] = '/';
        if (name.starts_with("net.") && name.find("..") == std::string::npos && name.find('/') == std::string::npos)
            (void)write_text(path.c_str(), value.c_str());
    }
}

[[noreturn]] static void helper_main(int channel, const helper_plan &plan)
{
    // Nothing of the supervisor stays open here, above all not its record lock's file.
    if (channel != 3) {
        dup2(channel, 3);
        channel = 3;
    }
    close_range(4, ~0u, 0);
    prctl(PR_SET_NAME, "kubectl-netbox");
    if (plan.kind != netbox_kind::own_user)
        make_mounts(channel, plan); // as root, whose volumes lie where the pod's users may not go
    if (plan.kind != netbox_kind::root && unshare(CLONE_NEWUSER) != 0)
        give_up(channel, 1);
    if (plan.kind == netbox_kind::block)
        await_map(channel);
    if (plan.kind == netbox_kind::own_user) {
        map_own_user(channel, plan.uid, plan.gid);
        make_mounts(channel, plan);
    }
    if (!plan.wish->host_network && unshare(CLONE_NEWNET) != 0)
        give_up(channel, 2);
    // The helper outlives its parent's death by a moment: it takes the container along, which may have freed itself from its own parent.
    if (!plan.wish->host_network) {
        if (!interface_up("lo", 0, 0))
            give_up(channel, 6);
        leave_pacing();
        set_sysctls(plan);
    }
    answer(channel, {}, nullptr, 0);
    int guarded = -1;
    for (;;) {
        helper_message asked;
        ssize_t n = recv(channel, &asked, sizeof asked, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n != static_cast<ssize_t>(sizeof asked)) {
            if (guarded >= 0)
                syscall(SYS_pidfd_send_signal, guarded, SIGKILL, nullptr, 0);
            _exit(0);
        }
        if (asked.verb == helper_verb::guard) {
            if (guarded >= 0)
                close(guarded);
            guarded = static_cast<int>(syscall(SYS_pidfd_open, static_cast<pid_t>(asked.address), 0));
            continue; // nobody waits for an answer
        }
        if (asked.verb == helper_verb::socket)
            answer_sockets(channel);
        else if (asked.verb == helper_verb::listen)
            answer_listen(channel, asked);
        else {
            helper_message reply;
            if (!interface_up("eth0", asked.address, asked.prefix)) {
                reply.verb = helper_verb::failed;
                reply.sys = errno;
            }
            answer(channel, reply, nullptr, 0);
        }
    }
}

// The supervisor's side.

static bool receive(netbox &box, helper_message &out_message, std::vector<int> &out_fds)
{
    struct iovec part = {&out_message, sizeof out_message};
    alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * spare_sockets)] = {};
    struct msghdr header = {};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    ssize_t n;
    do
        n = recvmsg(box.channel, &header, MSG_CMSG_CLOEXEC);
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

static bool ask(netbox &box, const helper_message &question, std::vector<int> &out_fds)
{
    helper_message reply;
    if (box.channel < 0) {
        errno = ENOTCONN;
        return false;
    }
    if (send(box.channel, &question, sizeof question, MSG_NOSIGNAL) != static_cast<ssize_t>(sizeof question)
        || !receive(box, reply, out_fds))
        return false;
    errno = reply.sys;
    return reply.verb == helper_verb::ready;
}

int netbox_socket(netbox &box)
{
    if (box.spares.empty()) {
        helper_message question;
        question.verb = helper_verb::socket;
        if (!ask(box, question, box.spares) || box.spares.empty())
            return -1;
    }
    int fd = box.spares.back();
    box.spares.pop_back();
    return fd;
}

int netbox_listen(netbox &box, const struct sockaddr_in &address)
{
    helper_message question;
    question.verb = helper_verb::listen;
    question.address = address.sin_addr.s_addr;
    question.port = address.sin_port;
    std::vector<int> fds;
    if (!ask(box, question, fds) || fds.empty())
        return -1;
    return fds[0];
}

void netbox_guard(netbox &box, pid_t container)
{
    helper_message question;
    question.verb = helper_verb::guard;
    question.address = static_cast<uint32_t>(container);
    if (box.channel >= 0)
        (void)!send(box.channel, &question, sizeof question, MSG_NOSIGNAL);
}

bool netbox_enter_mounts(const netbox &box)
{
    // An ordinary user may do it only inside; root only before.
    if (box.kind == netbox_kind::own_user && setns(box.user_ns, CLONE_NEWUSER) != 0)
        return false;
    return setns(box.mnt_ns, CLONE_NEWNS) == 0 && unshare(CLONE_NEWNS) == 0;
}

bool netbox_enter(const netbox &box)
{
    if (box.net_ns >= 0 && setns(box.net_ns, CLONE_NEWNET) != 0)
        return false;
    if (box.kind != netbox_kind::block)
        return true;
    return setns(box.user_ns, CLONE_NEWUSER) == 0 && setgroups(0, nullptr) == 0 && setresgid(0, 0, 0) == 0 && setresuid(0, 0, 0) == 0;
}

// Runs a program with `input` on its stdin, inside `net_ns` unless that is -1. Its output is dropped. At most five seconds.
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

std::string netbox_interface_name(const std::string &uid)
{
    std::string name = "etl";
    for (char c : uid)
        if (c != '-' && name.size() < 13)
            name += c;
    return name;
}

void netbox_remove_interface(const std::string &name)
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
        uint32_t both = ntohl(mask.sin_addr.s_addr) & ~3u; // whichever of the two networks is the larger one
        if ((ntohl(address.sin_addr.s_addr) & both) == (base & both))
            return false;
    }
    return true;
}

static constexpr uint32_t range_first = (10u << 24) | (231u << 16); // 10.231.0.0 to 10.234.255.255
static constexpr uint32_t range_networks = 4u * 65536 / 4;
static constexpr unsigned closed_metric = 4096; // behind the interface's own route

static bool choose_network(const std::string &uid, const std::string &wished_address, uint32_t &out_base)
{
    struct ifaddrs *interfaces = nullptr;
    if (getifaddrs(&interfaces) != 0)
        return false;
    uint32_t seed = 2166136261u;
    for (char c : uid)
        seed = (seed ^ static_cast<unsigned char>(c)) * 16777619u;
    bool found = false;
    struct in_addr wished;
    if (inet_pton(AF_INET, wished_address.c_str(), &wished) == 1) {
        out_base = ntohl(wished.s_addr) & ~3u;
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

// Lets the pod answer, nothing else: only segments that acknowledge or reset go out over the veth.
static constexpr std::string_view guard_rules =
    "table inet pod {\n"
    "  chain out {\n"
    "    type filter hook output priority 0; policy accept;\n"
    "    oifname \"lo\" accept\n"
    "    tcp flags & (ack | rst) != 0 accept\n"
    "    meta l4proto tcp reject with tcp reset\n"
    "    reject\n"
    "  }\n"
    "}\n";

static bool make_veth(netbox &box, const std::string &uid, const std::string &wished_address)
{
    std::string ip = os_find_program("ip");
    if (ip.empty())
        return false;
    // One lock for the whole host: other state directories choose from the same addresses.
    os_fd lock(open("/run/kubectl-local.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    while (lock.fd >= 0 && flock(lock.fd, LOCK_EX) != 0 && errno == EINTR) {
    }
    std::string name = netbox_interface_name(uid);
    netbox_remove_interface(name);
    uint32_t base = 0;
    if (!choose_network(uid, wished_address, base))
        return false;
    std::string script = text_format("link add %s type veth peer name eth0 netns %d\n"
                                     "link set %s addrgenmode none\n"
                                     "addr add %s/30 dev %s\n"
                                     "link set %s up\n"
                                     "route replace unreachable %s/30 metric %u\n",
                                     name.c_str(), box.helper, name.c_str(), address_text(base + 1).c_str(), name.c_str(), name.c_str(),
                                     address_text(base).c_str(), closed_metric);
    helper_message question;
    question.verb = helper_verb::address;
    question.address = htonl(base + 2);
    question.prefix = 30;
    std::vector<int> none;
    if (!run_program(ip, {"ip", "-batch", "-"}, script, -1) || !ask(box, question, none)) {
        netbox_remove_interface(name);
        return false;
    }
    box.interface = name;
    box.pod_address = address_text(base + 2);
    box.guarded = run_program(os_find_program("nft"), {"nft", "-f", "-"}, guard_rules, box.net_ns);
    return true;
}

void netbox_release_address(const std::string &pod_address)
{
    struct in_addr in;
    if (inet_pton(AF_INET, pod_address.c_str(), &in) != 1)
        return;
    uint32_t base = ntohl(in.s_addr) & ~3u;
    if (base >= range_first && base < range_first + range_networks * 4)
        run_program(os_find_program("ip"), {"ip", "route", "del", "unreachable", address_text(base) + "/30", "metric", std::to_string(closed_metric)}, "", -1);
}

// The helper waits for its user ids.
static bool write_maps(netbox &box, const user_block &users)
{
    std::string map = text_format("0 %u %u\n", users.base, users.count);
    for (const char *name : {"uid_map", "gid_map"})
        if (!write_text(text_format("/proc/%d/%s", box.helper, name).c_str(), map.c_str()))
            return false;
    helper_message message;
    message.verb = helper_verb::map;
    return send(box.channel, &message, sizeof message, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof message);
}

static bool start_helper(netbox &box, netbox_kind kind, const netbox_wish &wish, helper_message &out_reply)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        out_reply.sys = errno;
        return false;
    }
    helper_plan plan = {kind, geteuid(), getegid(), &wish};
    pid_t child = fork();
    if (child == 0)
        helper_main(pair[1], plan);
    close(pair[1]);
    box.kind = kind;
    box.channel = pair[0];
    box.helper = child > 0 ? child : 0;
    struct timeval limit = {channel_timeout_s, 0};
    setsockopt(box.channel, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    std::vector<int> none;
    out_reply.sys = errno;
    bool done = child > 0 && receive(box, out_reply, none);
    if (done && out_reply.verb == helper_verb::map) {
        out_reply.step = 4;
        done = write_maps(box, wish.users);
        out_reply.sys = errno;
        done = done && receive(box, out_reply, none);
    }
    done = done && out_reply.verb == helper_verb::ready;
    if (done) {
        std::string ns = text_format("/proc/%d/ns/", child);
        box.net_ns = wish.host_network ? -1 : open((ns + "net").c_str(), O_RDONLY | O_CLOEXEC);
        box.mnt_ns = open((ns + "mnt").c_str(), O_RDONLY | O_CLOEXEC);
        box.user_ns = kind != netbox_kind::root ? open((ns + "user").c_str(), O_RDONLY | O_CLOEXEC) : -1;
        done = (wish.host_network || box.net_ns >= 0) && box.mnt_ns >= 0 && (kind == netbox_kind::root || box.user_ns >= 0);
        out_reply.sys = errno;
    }
    if (!done)
        netbox_close(box);
    return done;
}

bool netbox_open(netbox &box, const std::string &uid, const std::string &wished_address, const netbox_wish &wish, std::string &out_text)
{
    helper_message reply;
    bool is_root = geteuid() == 0;
    bool done = is_root && wish.users.count > 0 && start_helper(box, netbox_kind::block, wish, reply);
    if (!done && is_root)
        done = start_helper(box, netbox_kind::root, wish, reply);
    if (!done)
        done = start_helper(box, netbox_kind::own_user, wish, reply); // also a root without CAP_SYS_ADMIN, as in many containers
    if (!done) {
        const char *step = reply.step < std::size(step_texts) ? step_texts[reply.step] : "";
        out_text = text_format("cannot make a network namespace: %s: %s", step, strerror(reply.sys));
        if (!is_root && (reply.sys == EPERM || reply.sys == ENOSPC || reply.sys == EACCES))
            out_text += "; unprivileged user namespaces seem to be disabled (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, "
                        "kernel.apparmor_restrict_unprivileged_userns)";
        return false;
    }
    if (is_root && wish.veth && !wish.host_network && box.kind != netbox_kind::own_user)
        box.veth = make_veth(box, uid, wished_address);
    return true;
}

void netbox_close(netbox &box)
{
    if (box.veth)
        netbox_remove_interface(box.interface);
    for (int fd : box.spares)
        close(fd);
    for (int fd : {box.channel, box.user_ns, box.net_ns, box.mnt_ns})
        if (fd >= 0)
            close(fd);
    if (box.helper > 0) {
        kill(box.helper, SIGKILL);
        while (waitpid(box.helper, nullptr, 0) < 0 && errno == EINTR) {
        }
    }
    box = netbox();
}
