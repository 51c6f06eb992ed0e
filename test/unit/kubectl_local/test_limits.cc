// SPDX-License-Identifier: MIT
// test of kubectl_local/pod_limits and kubectl_local/cgroup: the limits of a spec, the warnings, and the search for control groups.
#include "node_test.h"

#include <algorithm>

#include <unistd.h>

#include "kubectl_local/cgroup.h"
#include "kubectl_local/os.h"
#include "kubectl_local/pod_limits.h"

using namespace etlnode;
using namespace etlnode::kubectl_local;

struct fixture {
    cgroup_place place;
    std::string dir;
};

static int setup(void **state)
{
    fixture *f = new fixture;
    char path[] = "/tmp/test-limits-XXXXXX";
    f->dir = mkdtemp(path);
    f->place.root = f->dir + "/cgroup";
    f->place.self = f->dir + "/self";
    *state = f;
    return os_make_dirs(f->place.root) ? 0 : -1;
}

static int teardown(void **state)
{
    fixture *f = static_cast<fixture *>(*state);
    bool removed = os_remove_tree(f->dir);
    delete f;
    return removed ? 0 : -1;
}

static void file(const fixture &f, const std::string &path, const std::string &content)
{
    std::string whole = f.place.root + "/" + path;
    test_true(os_make_dirs(whole.substr(0, whole.rfind('/'))) && os_write_file(whole, content));
}

static std::string content(const fixture &f, const std::string &path)
{
    std::string text;
    return os_read_file(f.place.root + "/" + path, text) ? text : "absent";
}

// The kernel creates these files with the directory; here they exist in advance.
static void group_v2(const fixture &f, const std::string &dir, const char *kinds)
{
    for (const char *name : {"cgroup.procs", "memory.max", "memory.swap.max", "memory.oom.group", "pids.max", "cpu.max"})
        file(f, dir + "/" + name, "");
    file(f, dir + "/cgroup.controllers", kinds);
    file(f, dir + "/memory.events", "low 0\noom 2\noom_kill 3\noom_group_kill 1\n");
}

static void version_2_is_found_above(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    test_true(os_write_file(f.place.self, "0::/user.slice/session.scope\n"));
    file(f, "cgroup.controllers", "cpu memory pids\n");
    file(f, "cgroup.subtree_control", "cpu memory pids\n");
    file(f, "user.slice/cgroup.subtree_control", "cpu memory pids\n");
    // Our own group has processes and delegates nothing; its parent delegates.
    file(f, "user.slice/session.scope/cgroup.procs", "1\n");
    group_v2(f, "user.slice/pod", "memory pids\n");
    cgroup group;
    cgroup_open(group, f.place, "pod");
    test_true(group.is_v2);
    test_true(cgroup_has(group, cgroup_kind::memory) && cgroup_has(group, cgroup_kind::pids) && !cgroup_has(group, cgroup_kind::cpu));
    test_eq_text(group.dirs[0], f.place.root + "/user.slice/pod");
    cgroup_set(group, {64u << 20, 0.5, 100});
    test_eq_text(content(f, "user.slice/pod/memory.max"), "67108864");
    test_eq_text(content(f, "user.slice/pod/memory.swap.max"), "0");
    test_eq_text(content(f, "user.slice/pod/memory.oom.group"), "1");
    test_eq_text(content(f, "user.slice/pod/pids.max"), "100");
    test_eq(cgroup_oom_kills(group), uint64_t{3});
    test_eq(cgroup_join_files(group).size(), size_t{1});
    cgroup_set(group, {0, 0, 0});
    test_eq_text(content(f, "user.slice/pod/memory.max"), "max");
    group_v2(f, "user.slice/pod", "cpu memory pids\n");
    cgroup_open(group, f.place, "pod");
    cgroup_set(group, {0, 0.2, 0});
    test_eq_text(content(f, "user.slice/pod/cpu.max"), "20000 100000");
}

static void version_1_is_found_by_hierarchy(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    test_true(os_write_file(f.place.self, "5:cpu,cpuacct:/a\n4:memory:/a/b\n1:name=systemd:/\n0::/\n"));
    for (const char *name : {"cgroup.procs", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"})
        file(f, std::string("memory/a/b/pod/") + name, "");
    file(f, "memory/a/b/pod/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 7\n");
    for (const char *name : {"cgroup.procs", "cpu.cfs_period_us", "cpu.cfs_quota_us"})
        file(f, std::string("cpu,cpuacct/a/pod/") + name, "");
    cgroup group;
    cgroup_open(group, f.place, "pod");
    test_true(!group.is_v2 && cgroup_has(group, cgroup_kind::memory) && cgroup_has(group, cgroup_kind::cpu) &&
              !cgroup_has(group, cgroup_kind::pids));
    cgroup_set(group, {1u << 20, 1.5, 10});
    test_eq_text(content(f, "memory/a/b/pod/memory.limit_in_bytes"), "1048576");
    test_eq_text(content(f, "cpu,cpuacct/a/pod/cpu.cfs_quota_us"), "150000");
    test_eq(cgroup_oom_kills(group), uint64_t{7});
    test_eq(cgroup_join_files(group).size(), size_t{2});
}

static void nothing_is_had_where_nothing_may_be_made(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    cgroup group;
    cgroup_open(group, f.place, "pod"); // there is no /proc/self/cgroup
    test_true(cgroup_join_files(group).empty());
    test_true(os_write_file(f.place.self, "0::/\n"));
    file(f, "cgroup.controllers", "");
    file(f, "cgroup.subtree_control", "");
    cgroup_open(group, f.place, "pod");
    test_true(cgroup_join_files(group).empty());
    test_eq(cgroup_oom_kills(group), uint64_t{0});
    cgroup_set(group, {1, 1, 1});
    cgroup_remove(group);
}

static void unenforced_limits_are_reported(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    json_ptr spec(
        cJSON_Parse(R"({"containers":[{"name":"c","resources":{"limits":{"cpu":"500m","memory":"64Mi","ephemeral-storage":"1Gi"}}}],
        "securityContext":{"sysctls":[{"name":"kernel.shm_rmid_forced","value":"1"},{"name":"net.ipv4.tcp_rmem","value":"1"}]}})"));
    container_limits limits = limits_read(cJSON_GetArrayItem(json_get(spec.get(), "containers"), 0));
    test_eq(limits.memory, uint64_t{64} << 20);
    test_eq(limits.ephemeral, uint64_t{1} << 30);
    test_true(limits.cpu > 0.49 && limits.cpu < 0.51);
    test_true(limits_are_set(spec.get()));
    cgroup none;
    std::vector<std::string> warnings = limits_warnings(spec.get(), none);
    test_eq(warnings.size(), size_t{3});
    test_has_text(warnings[0], "spec.containers[0].resources.limits[cpu]: cannot be enforced");
    test_has_text(warnings[1], "spec.containers[0].resources.limits[memory]: control groups cannot be created here");
    test_has_text(warnings[2], "kernel.shm_rmid_forced is not set here");
    cgroup all;
    for (std::string &dir : all.dirs)
        dir = f.dir;
    test_eq(limits_warnings(spec.get(), all).size(), size_t{1});
    json_ptr bare(cJSON_Parse(R"({"containers":[{"name":"c"}]})"));
    test_false(limits_are_set(bare.get()));
    test_eq(limits_warnings(bare.get(), none).size(), size_t{0});
    pod_volume volume;
    volume.size_limit = "16Mi";
    test_eq(limits_memory_volume(volume, {}), uint64_t{16} << 20);
    limits.memory = 1 << 20;
    test_eq(limits_memory_volume(volume, limits), uint64_t{1} << 20);
    limits.ephemeral = 32u << 20;
    test_eq(limits_writable(limits), uint64_t{32} << 20);
    test_true(limits_writable({}) <= local_writable_max);
}

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(version_2_is_found_above, setup, teardown),
        cmocka_unit_test_setup_teardown(version_1_is_found_by_hierarchy, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_is_had_where_nothing_may_be_made, setup, teardown),
        cmocka_unit_test_setup_teardown(unenforced_limits_are_reported, setup, teardown),
    };
    return cmocka_run_group_tests_name("local_limits", tests, nullptr, nullptr);
}
