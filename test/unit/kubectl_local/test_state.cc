// SPDX-License-Identifier: MIT
// test of kubectl_local/state, image, view (files) and the log of container: what is stored on disk.
#include "node_test.h"

#include <algorithm>
#include <cstdlib>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "kubectl_local/container.h"
#include "kubectl_local/image.h"
#include "kubectl_local/os.h"
#include "kubectl_local/state.h"
#include "kubectl_local/view.h"

using namespace etlnode;
using namespace etlnode::kubectl_local;

struct fixture {
    std::string dir;
    local_state state;
    json_ptr pod;
    std::string text;
    image_reference reference;
    log_writer log;
    std::vector<std::string> args;
};

static int setup(void **state)
{
    fixture *f = new fixture;
    char path[] = "/tmp/test-local-XXXXXX";
    f->dir = mkdtemp(path);
    unsetenv("KUBECTL_LOCAL_IMAGES");
    *state = f;
    return state_open(f->state, f->dir + "/a/b", f->text) ? 0 : -1;
}

static int teardown(void **state)
{
    fixture *f = static_cast<fixture *>(*state);
    log_close(f->log);
    bool removed = os_remove_tree(f->dir);
    delete f;
    return removed ? 0 : -1;
}

static void new_pod(fixture &f, const char *uid)
{
    f.pod.reset(cJSON_Parse(text_format("{\"metadata\":{\"name\":\"x\",\"uid\":\"%s\"},\"status\":{\"phase\":\"Failed\"}}", uid).c_str()));
}

static std::string version_of(const cJSON *pod) { return std::string(json_text(json_get(pod, "metadata"), "resourceVersion")); }

static void records_live_and_go(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    pod_key key = {"default", "x"};
    new_pod(f, "1");
    test_eq_enum(state_create_pod(f.state, key, f.pod.get(), "{}", f.text), state_create_result::created);
    test_eq_enum(state_create_pod(f.state, key, f.pod.get(), "{}", f.text), state_create_result::exists);
    test_true(state_read_pod(f.state, key, f.pod));
    test_eq_text(version_of(f.pod.get()), "1");
    test_true(state_write_pod(f.state, key, f.pod.get()));
    test_eq_text(version_of(f.pod.get()), "3"); // the refused one has used up a number
    test_eq(state_list_pods(f.state, "").size(), size_t{1});
    test_eq(state_list_pods(f.state, "other").size(), size_t{0});
    state_remove_pod(f.state, key);
    test_false(state_read_pod(f.state, key, f.pod));
    std::vector<std::string> left;
    test_true(os_list(f.state.dir + "/tmp", left));
    test_eq(left.size(), size_t{0});
}

static void the_lock_names_the_supervisor(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    pod_key key = {"default", "x"};
    new_pod(f, "1");
    test_eq_enum(state_create_pod(f.state, key, f.pod.get(), "{}", f.text), state_create_result::created);
    test_eq(state_supervisor_pid(f.state, key), 0);
    int ready[2];
    int go[2];
    test_eq(pipe(ready), 0);
    test_eq(pipe(go), 0);
    pid_t child = fork();
    if (child == 0) {
        int fd = state_lock_pod(f.state, key);
        char c = fd >= 0 ? 'y' : 'n';
        if (write(ready[1], &c, 1) != 1 || read(go[0], &c, 1) < 0)
            _exit(1);
        _exit(0);
    }
    char c = 0;
    test_eq(read(ready[0], &c, 1), ssize_t{1});
    test_eq(c, 'y');
    test_eq(state_supervisor_pid(f.state, key), child);
    test_eq(state_lock_pod(f.state, key), -1);
    test_eq(write(go[1], &c, 1), ssize_t{1});
    test_eq(waitpid(child, nullptr, 0), child);
    test_eq(state_supervisor_pid(f.state, key), 0);
    int fd = state_lock_pod(f.state, key);
    test_true(fd >= 0);
    close(fd);
    for (int one : {ready[0], ready[1], go[0], go[1]})
        close(one);
}

static void watchers_hear_of_changes(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    state_watch ear;
    state_watch_open(ear, f.state);
    new_pod(f, "1");
    test_eq_enum(state_create_pod(f.state, {"default", "x"}, f.pod.get(), "{}", f.text), state_create_result::created);
    uint64_t begun = os_now_ms();
    test_true(state_watch_wait(ear, 5000, -1, {}));
    test_true(os_now_ms() - begun < 4000);
    state_watch_close(ear);
}

static void references_are_parsed(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    struct {
        const char *text;
        const char *name;
        const char *tag;
    } good[] = {{"quay.io/user/md5_server:v1", "quay.io/user/md5_server", "v1"}, {"md5", "md5", "latest"},
        {"localhost:5000/a/b:1.0", "localhost:5000/a/b", "1.0"}, {"a/b", "a/b", "latest"}, {"Host.Example/a", "Host.Example/a", "latest"}};
    for (const auto &one : good) {
        test_eq_enum(image_parse_reference(one.text, f.reference), reference_verdict::good);
        test_eq_text(f.reference.name, one.name);
        test_eq_text(f.reference.tag, one.tag);
    }
    for (const char *bad :
        {"", "A", "a:", "a/", "/a", "a//b", "../a", "a/../b", "a b", "a:b/c:", "a:.x", "-a", "a/rootfs", "a:rootfs", "a@", "localhost:x/a"})
        test_eq_enum(image_parse_reference(bad, f.reference), reference_verdict::invalid);
    test_eq_enum(image_parse_reference("a/b@sha256:00", f.reference), reference_verdict::digest);
}

static void images_are_created_replaced_and_kept(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    std::string source = f.dir + "/source";
    test_true(os_make_dirs(source + "/code"));
    test_true(os_write_file(source + "/code/run", "one", 0755));
    test_eq(symlink("run", (source + "/code/link").c_str()), 0);
    image_build build;
    build.directory = source;
    build.entrypoint = {"/code/run", "--x"};
    build.env = {"A=b=c"};
    build.working_dir = "/code";
    test_eq_enum(image_parse_reference("q/md5:v1", f.reference), reference_verdict::good);
    image_config config;
    test_false(image_load(f.state, f.reference, config, f.text));
    test_has_text(f.text, ("kubectl-local --state-dir=" + f.state.dir + " image q/md5:v1 DIR").c_str());
    test_eq(image_acquire(f.state, f.reference), -1);
    test_true(image_create(f.state, f.reference, build, f.text));
    test_true(image_load(f.state, f.reference, config, f.text));
    test_eq(config.entrypoint.size(), size_t{2});
    test_eq_text(config.env[0].second, "b=c");
    test_eq_text(config.working_dir, "/code");
    std::string rootfs = image_dir(f.state, f.reference) + "/rootfs";
    test_eq(access((rootfs + "/code/run").c_str(), X_OK), 0);
    test_eq_text(os_read_link(rootfs + "/code/link"), "run");
    test_eq(image_list(f.state).size(), size_t{1});

    std::string first = config.id;
    int held = image_acquire(f.state, f.reference);
    test_true(held >= 0);
    test_true(os_write_file(source + "/code/run", "two", 0755));
    test_true(image_create(f.state, f.reference, build, f.text));
    test_true(image_load(f.state, f.reference, config, f.text));
    test_true(config.id != first);
    // The files in use are still complete.
    int old = openat(held, "rootfs/code/run", O_RDONLY);
    char content[4] = {};
    test_eq(read(old, content, 3), ssize_t{3});
    test_eq_text(content, "one");
    close(old);
    close(held);
    image_remove_unused(f.state);
    std::vector<std::string> left;
    test_true(os_list(f.state.images, left));
    test_eq(left.size(), size_t{1});
    test_true(image_remove(f.state, f.reference));
    test_false(image_remove(f.state, f.reference));
    test_true(os_list(f.state.images, left));
    test_eq(left.size(), size_t{0});
}

static bool has(const std::vector<std::string> &args, std::initializer_list<std::string> sequence)
{
    return std::search(args.begin(), args.end(), sequence.begin(), sequence.end()) != args.end();
}

static void a_view_lays_the_image_over_the_host(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    std::string rootfs = f.dir + "/rootfs";
    test_true(os_make_dirs(rootfs + "/code") && os_make_dirs(rootfs + "/usr/local/bin") && os_make_dirs(rootfs + "/tmp") &&
              os_make_dirs(rootfs + "/etc"));
    test_true(os_write_file(rootfs + "/tmp/data", "x") && os_write_file(rootfs + "/etc/brought-by-image", "x"));
    container_context context;
    context.rootfs = rootfs;
    context.scratch = f.dir + "/scratch";
    context.hostname = "pod";
    pod_spec spec;
    pod_volume volume;
    volume.name = "v";
    spec.volumes.push_back(volume);
    container_spec container;
    pod_mount mount;
    mount.volume = "v";
    mount.path = "/data";
    mount.sub_path = "a/b";
    container.mounts.push_back(mount);
    env_list env = {{"A", "b"}};
    mount_plan mounts;
    test_true(view_build(spec, container, {}, context, env, f.args, mounts, f.text));
    test_true(has(f.args, {"--ro-bind", "/usr", "/usr", "--ro-bind", "/tmp/image/usr/local", "/usr/local"}));
    test_true(has(f.args, {"--ro-bind", "/tmp/image/code", "/code"}));
    test_true(has(f.args, {"--bind", "/tmp/w/tmp", "/tmp", "--ro-bind", "/tmp/image/tmp/data", "/tmp/data"}));
    test_true(has(f.args, {"--dir", "/etc"})); // a name the host lacks: put together
    test_true(has(f.args, {"--ro-bind", "/tmp/image/etc/brought-by-image", "/etc/brought-by-image"}));
    test_true(has(f.args, {"--bind", "/tmp/v0", "/data"}));
    test_true(has(f.args, {"--clearenv", "--setenv", "A", "b", "--chdir", "/"}));
    test_true(has(f.args, {"--cap-drop", "ALL"}));
    // bwrap never gets the pod's own paths.
    for (const std::string &arg : f.args)
        test_true(arg.find(f.dir) == std::string::npos);
    test_eq_text(mounts.binds[0].root, rootfs);
    test_eq_text(mounts.binds[1].root, f.dir + "/scratch/volumes/v");
    test_eq_text(mounts.binds[1].steps[0].path, "a/b");
    // A host path is resolved from an allowed directory, or not at all.
    spec.volumes[0].is_host = true;
    spec.volumes[0].host_path = "/srv/models/big";
    spec.volumes[0].host_type = "Directory";
    test_false(view_build(spec, container, {}, context, env, f.args, mounts, f.text));
    test_has_text(f.text, "is not allowed on this machine");
    context.allowed.paths = {{"/srv", false}};
    test_true(view_build(spec, container, {}, context, env, f.args, mounts, f.text));
    test_true(has(f.args, {"--ro-bind", "/tmp/v0", "/data"})); // read-only where nothing more is allowed
    test_eq_text(mounts.binds[1].root, "/srv");
    test_eq_text(mounts.binds[1].steps[0].path, "models/big");
}

static void logs_are_stamped_and_bounded(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    std::string path = f.dir + "/log";
    std::string content;
    log_open(f.log, path);
    log_append(f.log, "one\ntw");
    log_append(f.log, "o\n");
    test_true(os_read_file(path, content));
    test_eq(std::count(content.begin(), content.end(), '\n'), ptrdiff_t{2});
    test_true(content.ends_with(" two\n"));
    test_eq_text(f.log.last_line, "two\n");
    std::string line(64 * 1024 - 1, 'x');
    line += '\n';
    for (size_t i = 0; i < log_size_max / line.size() + 10; i++)
        log_append(f.log, line);
    test_true(os_exists(path + ".1"));
    test_true(f.log.size < log_size_max + 2 * line.size());
    // Also without line ends, the log never exceeds two files.
    std::string endless(64 * 1024, 'x');
    for (size_t i = 0; i < 3 * log_size_max / endless.size(); i++) {
        log_append(f.log, endless);
        test_true(f.log.size < log_size_max + 2 * endless.size());
    }
    test_true(os_read_file(path + ".1", content, 2 * log_size_max));
    test_true(content.size() < log_size_max + 2 * endless.size() && content.back() == '\n');
    log_start_run(f.log);
    test_true(os_exists(path + ".previous") && os_exists(path + ".previous.1"));
    test_false(os_exists(path + ".1"));
    test_eq(f.log.size, uint64_t{0});
}

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(records_live_and_go, setup, teardown),
        cmocka_unit_test_setup_teardown(the_lock_names_the_supervisor, setup, teardown),
        cmocka_unit_test_setup_teardown(watchers_hear_of_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(references_are_parsed, setup, teardown),
        cmocka_unit_test_setup_teardown(images_are_created_replaced_and_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(a_view_lays_the_image_over_the_host, setup, teardown),
        cmocka_unit_test_setup_teardown(logs_are_stamped_and_bounded, setup, teardown),
    };
    return cmocka_run_group_tests_name("local_state", tests, nullptr, nullptr);
}
