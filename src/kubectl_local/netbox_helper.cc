// SPDX-License-Identifier: MIT
// kubectl_local/netbox_helper.cc: the process that holds a pod's namespaces.
#include "kubectl_local/netbox_helper.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/nsfs.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace etlnode::kubectl_local {

bool netbox_write_text(const char *path, const char *text)
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
        (void)netbox_write_text(path, "reno"); // without the right the pod is slower, no more
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
    alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * helper_sockets)] = {};
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
    int fds[helper_sockets];
    size_t count = 0;
    while (count < helper_sockets) {
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

static bool map_own_user(int channel, uid_t uid, gid_t gid)
{
    char map[64];
    if (!netbox_write_text("/proc/self/setgroups", "deny"))
        give_up(channel, 3);
    snprintf(map, sizeof map, "0 %u 1\n", uid);
    if (!netbox_write_text("/proc/self/uid_map", map))
        give_up(channel, 4);
    snprintf(map, sizeof map, "0 %u 1\n", gid);
    if (!netbox_write_text("/proc/self/gid_map", map))
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
    (void)netbox_write_text("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
    for (const auto &[name, value] : plan.wish->sysctls) {
        std::string path = "/proc/sys/" + name;
        for (size_t i = 10; i < path.size(); i++)
            if (path[i] == '.')
                path[i] = '/';
        if (name.starts_with("net.") && name.find("..") == std::string::npos && name.find('/') == std::string::npos)
            (void)netbox_write_text(path.c_str(), value.c_str());
    }
}

// --- the end

// A namespace's number is not given to another one while this process is in it. 0: the pod has none of its own.
struct pod_namespaces {
    ino_t net = 0;
    ino_t user = 0;
};

static ino_t number_of(const std::string &path)
{
    struct stat about = {};
    return stat(path.c_str(), &about) == 0 ? about.st_ino : 0;
}

// bwrap may have made further ones below the pod's.
static bool is_user_below(const std::string &path, ino_t user)
{
    static constexpr int depth_max = 33; // the kernel allows no more
    int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    bool found = false;
    for (int depth = 0; fd >= 0 && !found && depth < depth_max; depth++) {
        struct stat about = {};
        found = fstat(fd, &about) == 0 && about.st_ino == user;
        int parent = ioctl(fd, NS_GET_PARENT);
        close(fd);
        fd = parent;
    }
    if (fd >= 0)
        close(fd);
    return found;
}

static bool is_of_pod(const std::string &process, const pod_namespaces &pod)
{
    return (pod.net != 0 && number_of(process + "/ns/net") == pod.net) || (pod.user != 0 && is_user_below(process + "/ns/user", pod.user));
}

// How many there were. Zombies have no namespaces any more.
static size_t kill_all_of(const pod_namespaces &pod)
{
    size_t count = 0;
    DIR *processes = opendir("/proc");
    while (const struct dirent *entry = processes != nullptr ? readdir(processes) : nullptr) {
        pid_t pid = static_cast<pid_t>(strtol(entry->d_name, nullptr, 10));
        if (pid <= 0 || pid == getpid())
            continue;
        int process = static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); // first: the number may become another's
        if (process < 0)
            continue;
        if (is_of_pod("/proc/" + std::to_string(pid), pod) && syscall(SYS_pidfd_send_signal, process, SIGKILL, nullptr, 0) == 0)
            count++;
        close(process);
    }
    if (processes != nullptr)
        closedir(processes);
    return count;
}

// Whatever became of the supervisor and of bwrap: a container that was being started at that moment, and one that has freed itself from its parent, end here.
// Who is killed may have a child that was not seen, so it is over when nobody is left.
[[noreturn]] static void end_pod(const pod_namespaces &pod)
{
    static constexpr int rounds_max = 2'000;
    static constexpr useconds_t round_us = 1'000;
    for (int round = 0; round < rounds_max && kill_all_of(pod) > 0; round++)
        usleep(round_us);
    _exit(0);
}

void netbox_helper(int channel, const helper_plan &plan)
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
    pod_namespaces pod;
    pod.net = plan.wish->host_network ? 0 : number_of("/proc/self/ns/net");
    pod.user = plan.kind == netbox_kind::root ? 0 : number_of("/proc/self/ns/user");
    answer(channel, {}, nullptr, 0);
    int guarded = -1; // of a pod that has no namespace by which it could be found
    for (;;) {
        helper_message asked;
        ssize_t n = recv(channel, &asked, sizeof asked, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n != static_cast<ssize_t>(sizeof asked)) {
            if (guarded >= 0)
                syscall(SYS_pidfd_send_signal, guarded, SIGKILL, nullptr, 0);
            end_pod(pod);
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

} // namespace etlnode::kubectl_local
