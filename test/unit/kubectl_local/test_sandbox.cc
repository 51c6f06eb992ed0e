// SPDX-License-Identifier: MIT
// test of kubectl_local/syscall_filter, users and identity: a container's system calls, user ids and identity.
#include "node_test.h"

#include <algorithm>
#include <set>

#include <cerrno>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kubectl_local/identity.h"
#include "kubectl_local/os.h"
#include "kubectl_local/syscall_filter.h"
#include "kubectl_local/users.h"

using namespace etlnode;
using namespace etlnode::kubectl_local;

// The file of Debian's golang-github-containers-common, if installed.
static constexpr const char *engine_profile = "/usr/share/containers/seccomp.json";

// Calls that the engine allows with any arguments, on all architectures or on one.
static std::set<std::string> engine_allows(const cJSON *profile)
{
    std::set<std::string> names;
    const cJSON *rule;
    cJSON_ArrayForEach(rule, json_get(profile, "syscalls"))
    {
        if (json_text(rule, "action") != "SCMP_ACT_ALLOW" || cJSON_GetArraySize(json_get(json_get(rule, "includes"), "caps")) > 0 ||
            cJSON_GetArraySize(json_get(rule, "args")) > 0)
            continue;
        const cJSON *name;
        cJSON_ArrayForEach(name, json_get(rule, "names")) names.insert(name->valuestring);
    }
    return names;
}

static void no_wider_than_a_container_engine(void **)
{
    std::string text;
    std::string where;
    json_ptr profile;
    if (!os_read_file(engine_profile, text)) {
        // Not cmocka's skip(): it prints "not ok # SKIP", which meson takes for a failure.
        print_message("# %s is not installed: the lists are not compared\n", engine_profile);
        return;
    }
    test_eq(json_parse(text, profile, where) ? 1 : 0, 0);
    std::set<std::string> theirs = engine_allows(profile.get());
    test_true(theirs.size() > 200);
    size_t count = 0;
    const char *const *names = syscall_filter_names(count);
    for (size_t i = 0; i < count; i++) {
        if (!theirs.contains(names[i]))
            print_message("# %s is not allowed there\n", names[i]);
        test_true(theirs.contains(names[i]));
    }
}

// The errno of one call in a child that has the filter; 0 if it was allowed.
static int tried(int filter_fd, long (*call)())
{
    pid_t child = fork();
    if (child == 0) {
        static struct sock_filter program[8192];
        ssize_t n = pread(filter_fd, program, sizeof program, 0);
        struct sock_fprog all = {static_cast<unsigned short>(n / static_cast<ssize_t>(sizeof *program)), program};
        if (n <= 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &all) != 0)
            _exit(255);
        _exit(call() < 0 ? errno : 0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void calls_are_refused_and_allowed(void **)
{
    std::string text;
    os_fd filter(syscall_filter_make({}, text));
    test_true(filter.fd >= 0);
    struct {
        const char *name;
        long (*call)();
        int expected;
    } cases[] = {
        {"getpid", [] { return static_cast<long>(getpid()); }, 0},
        {"a new user namespace", [] { return static_cast<long>(unshare(CLONE_NEWUSER)); }, EPERM},
        {"a child in one", [] { return syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, nullptr, nullptr, nullptr, nullptr); }, ENOSYS},
        {"a child",
            [] {
                pid_t pid = fork();
                if (pid == 0)
                    _exit(0);
                return static_cast<long>(waitpid(pid, nullptr, 0));
            },
            0},
        {"clone3", [] { return syscall(SYS_clone3, nullptr, 0); }, ENOSYS},
        {"add_key", [] { return syscall(SYS_add_key, "user", "a", "b", 1, -3); }, EPERM},
        {"keyctl", [] { return syscall(SYS_keyctl, 0, -3, 0); }, EPERM},
        {"request_key", [] { return syscall(SYS_request_key, "user", "a", nullptr, 0); }, EPERM},
        {"mount", [] { return syscall(SYS_mount, nullptr, "/", nullptr, 0, nullptr); }, EPERM},
        {"bpf", [] { return syscall(SYS_bpf, 0, nullptr, 0); }, EPERM},
        {"io_uring_setup", [] { return syscall(SYS_io_uring_setup, 1, nullptr); }, ENOSYS},
        {"open_tree", [] { return syscall(SYS_open_tree, -100, "/", 0); }, EPERM},
        {"chroot", [] { return static_cast<long>(chroot("/")); }, EPERM},
        {"a TCP socket", [] { return static_cast<long>(socket(AF_INET, SOCK_STREAM, 0)); }, 0},
        {"a unix socket", [] { return static_cast<long>(socket(AF_UNIX, SOCK_STREAM, 0)); }, 0},
        {"a socket to the hypervisor", [] { return static_cast<long>(socket(AF_VSOCK, SOCK_STREAM, 0)); }, ENOSYS},
        {"a socket of the kernel's ciphers", [] { return static_cast<long>(socket(AF_ALG, SOCK_SEQPACKET, 0)); }, ENOSYS},
        {"an audit socket", [] { return static_cast<long>(socket(AF_NETLINK, SOCK_RAW, 9)); }, ENOSYS},
        {"no address randomization", [] { return syscall(SYS_personality, 0x0040000); }, ENOSYS},
    };
    for (const auto &one : cases) {
        int seen = tried(filter.fd, one.call);
        if (seen != one.expected)
            print_message("# %s: %d\n", one.name, seen);
        test_eq(seen, one.expected);
    }
    os_fd with_chroot(syscall_filter_make({true}, text));
    if (geteuid() == 0)
        test_eq(tried(with_chroot.fd, [] { return static_cast<long>(chroot("/")); }), 0);
}

static void user_blocks_are_nobody_elses(void **)
{
    user_block block;
    std::set<uint32_t> seen;
    std::string taken;
    for (uint32_t i = 0; i < 2047; i++) { // the same seed always, yet each block differs
        test_true(users_pick("         0          0 4294967295\n", taken, 7, block));
        test_true(block.base >= 0x78000000 && block.base + block.count <= 0x7fff0000 && block.count == 65'536 && block.base % 65'536 == 0);
        test_true(seen.insert(block.base).second);
        taken += std::to_string(block.base) + " /x\n";
    }
    test_false(users_pick("0 0 4294967295\n", taken, 7, block));
    // In a container with a small map of its own: the available ids, but never the first ones.
    test_true(users_pick("0 100000 65536\n", "", 0, block));
    test_true(block.base >= 32'768 && block.base + block.count <= 65'536 && block.count > 100);
    test_false(users_pick("0 1000 1\n", "", 0, block));
    test_false(users_pick("", "", 0, block));
}

static container_identity read(const char *pod, const char *container)
{
    json_ptr spec(cJSON_Parse(pod));
    json_ptr one(cJSON_Parse(container));
    test_true(spec != nullptr && one != nullptr);
    return identity_read(spec.get(), one.get());
}

static bool has(const container_identity &who, const char *name)
{
    return std::find(who.capabilities.begin(), who.capabilities.end(), name) != who.capabilities.end();
}

static void a_container_runs_as_the_user_of_the_spec(void **)
{
    container_identity who = read("{}", "{}");
    test_true(identity_is_root(who));
    for (const char *name : {"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_SETUID", "CAP_NET_BIND_SERVICE"})
        test_true(has(who, name));
    for (const char *name : {"CAP_SYS_ADMIN", "CAP_NET_RAW", "CAP_NET_ADMIN", "CAP_SYS_PTRACE"})
        test_false(has(who, name));
    who = read(R"({"securityContext":{"runAsUser":1000,"runAsGroup":1001,"fsGroup":7,"supplementalGroups":[8]}})", "{}");
    test_eq(who.user, 1000u);
    test_eq(who.group, 1001u);
    test_eq(who.groups.size(), size_t{2});
    test_false(identity_is_root(who));
    who = read(R"({"securityContext":{"runAsUser":1000}})", R"({"securityContext":{"runAsUser":5,"readOnlyRootFilesystem":true}})");
    test_eq(who.user, 5u);
    test_true(who.read_only_root);
    who = read("{}", R"({"securityContext":{"capabilities":{"drop":["ALL"],"add":["NET_BIND_SERVICE"]}}})");
    test_eq(who.capabilities.size(), size_t{1});
    test_true(has(who, "CAP_NET_BIND_SERVICE"));
    who = read("{}", R"({"securityContext":{"capabilities":{"drop":["CHOWN","CAP_KILL"]}}})");
    test_true(!has(who, "CAP_CHOWN") && !has(who, "CAP_KILL") && has(who, "CAP_FOWNER"));
}

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_wider_than_a_container_engine),
        cmocka_unit_test(calls_are_refused_and_allowed),
        cmocka_unit_test(user_blocks_are_nobody_elses),
        cmocka_unit_test(a_container_runs_as_the_user_of_the_spec),
    };
    return cmocka_run_group_tests_name("local_sandbox", tests, nullptr, nullptr);
}
