// SPDX-License-Identifier: MIT
// kubectl_local/namespace_helper.cc: the helper process that holds a pod's namespaces.
#include "kubectl_local/namespace_helper.h"

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

bool namespace_write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    size_t size = strlen(text);
    bool done = write(fd, text, size) == static_cast<ssize_t>(size);
    close(fd);
    return done;
}

// A pod only talks to this machine. Where the default congestion control paces with timers, that would cost more than copying the bytes.
// See net_reach in port/net.h for the other side.
static void disable_pacing()
{
    static constexpr const char *path = "/proc/sys/net/ipv4/tcp_congestion_control";
    char control[16] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool is_paced = fd >= 0 && read(fd, control, sizeof control - 1) > 3 && strncmp(control, "bbr", 3) == 0;
    if (fd >= 0)
        close(fd);
    if (is_paced)
        (void)namespace_write_text(path, "reno"); // without the permission the pod is merely slower
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
    if (!namespace_write_text("/proc/self/setgroups", "deny"))
        give_up(channel, 3);
    snprintf(map, sizeof map, "0 %u 1\n", uid);
    if (!namespace_write_text("/proc/self/uid_map", map))
        give_up(channel, 4);
    snprintf(map, sizeof map, "0 %u 1\n", gid);
    if (!namespace_write_text("/proc/self/gid_map", map))
        give_up(channel, 5);
    return true;
}

// Only the supervisor, as root outside, may write a map of more than one id.
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

// Creates the pod's mount namespace, in which its memory volumes outlive its containers.
static void make_mounts(int channel, const helper_plan &plan)
{
    if (unshare(CLONE_NEWNS) != 0)
        give_up(channel, 7);
    if (mount(nullptr, "/", nullptr, MS_SLAVE | MS_REC, nullptr) != 0)
        give_up(channel, 7);
    for (const memory_volume &one : plan.options->memory) {
        char options[160];
        snprintf(options, sizeof options, "mode=0777,size=%llu,nr_inodes=%llu,uid=%u,gid=%u", static_cast<unsigned long long>(one.bytes),
            static_cast<unsigned long long>(one.files), plan.options->users.base, plan.options->users.base);
        if (mount("tmpfs", one.path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options) != 0)
            give_up(channel, 8);
    }
}

// Sets the pod's sysctls of the network: names below /proc/sys/net, written as "net.ipv4.x".
static void set_sysctls(const helper_plan &plan)
{
    // Like container engines, allow users other than root to listen on port 80.
    (void)namespace_write_text("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
    for (const auto &[name, value] : plan.options->sysctls) {
        std::string path = "/proc/sys/" + name;
        for (size_t i = 10; i < path.size(); i++)
            if (path[i] == '.')
                path[i] = '/';
        if (name.starts_with("net.") && name.find("..") == std::string::npos && name.find('/') == std::string::npos)
            (void)namespace_write_text(path.c_str(), value.c_str());
    }
}

// --- the end of the pod

// Identifies the pod's namespaces by inode. A number cannot be reused while this process is in the namespace. 0 if the pod shares the
// machine's.
struct namespace_inodes {
    ino_t net = 0;
    ino_t user = 0;
};

static ino_t number_of(const std::string &path)
{
    struct stat about = {};
    return stat(path.c_str(), &about) == 0 ? about.st_ino : 0;
}

// Whether a user namespace descends from the pod's, because bwrap may have created further ones.
static bool is_user_below(const std::string &path, ino_t user)
{
    static constexpr int depth_max = 33; // the kernel's limit
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

static bool is_of_pod(const std::string &process, const namespace_inodes &pod)
{
    return (pod.net != 0 && number_of(process + "/ns/net") == pod.net) || (pod.user != 0 && is_user_below(process + "/ns/user", pod.user));
}

// Returns how many processes were killed. Zombies no longer have namespaces.
static size_t kill_all_of(const namespace_inodes &pod)
{
    size_t count = 0;
    DIR *processes = opendir("/proc");
    while (const struct dirent *entry = processes != nullptr ? readdir(processes) : nullptr) {
        pid_t pid = static_cast<pid_t>(strtol(entry->d_name, nullptr, 10));
        if (pid <= 0 || pid == getpid())
            continue;
        int process = static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); // open it before the check, because the number could be reused
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

// Kills what is left of the pod, whatever happened to the supervisor and to bwrap: a container that was just starting, or one that detached
// itself from its parent. A killed process may have a child that the scan has not seen. So this repeats until nothing is left.
[[noreturn]] static void end_pod(const namespace_inodes &pod)
{
    static constexpr int rounds_max = 2'000;
    static constexpr useconds_t round_us = 1'000;
    for (int round = 0; round < rounds_max && kill_all_of(pod) > 0; round++)
        usleep(round_us);
    _exit(0);
}

void namespace_helper(int channel, const helper_plan &plan)
{
    // Keep no descriptor of the supervisor open, above all not the file of its record lock.
    if (channel != 3) {
        dup2(channel, 3);
        channel = 3;
    }
    close_range(4, ~0u, 0);
    prctl(PR_SET_NAME, "kubectl-pod-ns");
    if (plan.kind != user_mapping::own_user)
        make_mounts(channel, plan); // as root, because root's volumes may be in places that the pod's users cannot reach
    if (plan.kind != user_mapping::root && unshare(CLONE_NEWUSER) != 0)
        give_up(channel, 1);
    if (plan.kind == user_mapping::block)
        await_map(channel);
    if (plan.kind == user_mapping::own_user) {
        map_own_user(channel, plan.uid, plan.gid);
        make_mounts(channel, plan);
    }
    if (!plan.options->host_network && unshare(CLONE_NEWNET) != 0)
        give_up(channel, 2);
    // The helper briefly outlives its parent, in order to kill the container, which may have detached itself from its own parent.
    if (!plan.options->host_network) {
        if (!interface_up("lo", 0, 0))
            give_up(channel, 6);
        disable_pacing();
        set_sysctls(plan);
    }
    namespace_inodes pod;
    pod.net = plan.options->host_network ? 0 : number_of("/proc/self/ns/net");
    pod.user = plan.kind == user_mapping::root ? 0 : number_of("/proc/self/ns/user");
    answer(channel, {}, nullptr, 0);
    int guarded = -1; // needed for a pod that has no namespace by which it could be found
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
            continue; // the supervisor does not wait for an answer
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
