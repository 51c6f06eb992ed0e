// SPDX-License-Identifier: MIT
// test of kubectl_local/guest_view: translation of an unsandboxed container's paths, through links and dots.
#include "node_test.h"

#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kubectl_local/guest_view.h"
#include "kubectl_local/os.h"

using namespace etlnode;
using namespace etlnode::kubectl_local;

struct fixture {
    std::string dir;
    guest_view view;
};

static int setup(void **state)
{
    fixture *f = new fixture;
    char path[] = "/tmp/test-guest-view-XXXXXX";
    f->dir = mkdtemp(path);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = static_cast<fixture *>(*state);
    bool removed = os_remove_tree(f->dir);
    delete f;
    return removed ? 0 : -1;
}

// An image with a file, a link to it, a link that leads out, and a circular one; below it a writable volume.
static void make_view(fixture &f)
{
    std::string image = f.dir + "/image";
    test_true(os_make_dirs(image + "/code/sub") && os_make_dirs(f.dir + "/volume") && os_make_dirs(f.dir + "/secret"));
    test_true(os_write_file(image + "/code/file", "x") && os_write_file(f.dir + "/secret/file", "x"));
    test_eq(symlink("/code/file", (image + "/code/absolute").c_str()), 0);
    test_eq(symlink("../../../../../secret/file", (image + "/code/out").c_str()), 0);
    test_eq(symlink("circle", (image + "/code/circle").c_str()), 0);
    test_eq(symlink("/data", (image + "/code/to-volume").c_str()), 0);
    std::string text;
    test_true(guest_view_make(f.view, f.dir + "/view",
        {"--unshare-pid", "--cap-drop", "ALL", "--ro-bind", image + "/code", "/code", "--tmpfs", "/tmp", "--bind", f.dir + "/volume",
            "/data", "--ro-bind", f.dir + "/volume", "/code/sub", "--symlink", "tmp/x", "/link", "--proc", "/proc", "--clearenv",
            "--setenv", "A", "b", "--chdir", "/code", "--hostname", "pod"},
        text));
    test_eq_text(text, "");
}

static std::string host_of(fixture &f, const std::string &path, bool follow = true, const std::string &base = "/")
{
    guest_path found;
    guest_caller caller = {getpid(), getpid(), nullptr, nullptr};
    int error = guest_resolve(f.view, caller, base, path, follow, found);
    if (error != 0)
        return strerrorname_np(error);
    return found.host.starts_with(f.dir) ? found.host.substr(f.dir.size()) + (found.read_only ? " ro" : "") : found.host;
}

static void paths_lead_into_the_view(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    make_view(f);
    test_eq_text(host_of(f, "/code/file"), "/image/code/file ro");
    test_eq_text(host_of(f, "/code/./sub/../file"), "/image/code/file ro");
    test_eq_text(host_of(f, "file", true, "/code"), "/image/code/file ro");
    test_eq_text(host_of(f, "/code/absolute"), "/image/code/file ro");
    test_eq_text(host_of(f, "/code/absolute", false), "/image/code/absolute ro");
    test_eq_text(host_of(f, "/code/to-volume/new"), "/volume/new");
    test_eq_text(host_of(f, "/code/sub/new"), "/volume/new ro");
    test_eq_text(host_of(f, "/code/to-volume/"), "/volume/");
    test_eq_text(host_of(f, "/tmp/new"), "/view/mem/0/new");
    test_eq_text(host_of(f, "/link"), "/view/mem/0/x");
    test_eq_text(host_of(f, "/"), std::string("/view/root") + "/");
    test_eq_text(f.view.dir, "/code");
    test_eq_text(f.view.env[0].second, "b");
}

static void nothing_leads_out(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    make_view(f);
    test_eq_text(host_of(f, "/code/out"), "ENOENT"); // /secret of the container, which there is not
    test_eq_text(host_of(f, "/../../../../../../.." + f.dir + "/secret/file"), "ENOENT");
    test_eq_text(host_of(f, "/code/../../../etc/passwd"), "ENOENT");
    std::string own_root = "/proc/self/root"; // the container's, not the machine's
    test_eq_text(host_of(f, own_root + "/etc/passwd"), "ENOENT");
    test_eq_text(host_of(f, own_root + "/code/file"), "/image/code/file ro");
    test_eq_text(host_of(f, "/code/circle"), "ELOOP");
    test_eq_text(host_of(f, "/code/file/below"), "ENOTDIR");
    test_eq_text(host_of(f, "/code/missing/below"), "ENOENT");
    // Processes outside the container do not exist for it.
    guest_caller caller = {getpid(), getpid(), [](void *, pid_t pid) { return pid == getpid(); }, nullptr};
    guest_path found;
    test_eq(guest_resolve(f.view, caller, "/", "/proc/1/environ", true, found), ENOENT);
    test_eq(guest_resolve(f.view, caller, "/", "/proc/self/environ", true, found), 0);
}

static void names_come_back(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    make_view(f);
    test_eq_text(guest_name_of(f.view, f.dir + "/image/code/sub2"), "/code/sub2");
    test_eq_text(guest_name_of(f.view, f.dir + "/view/root"), "/");
    test_eq_text(guest_name_of(f.view, f.dir + "/view/mem/0/x"), "/tmp/x");
    test_eq_text(guest_name_of(f.view, "/somewhere/else"), "/somewhere/else");
    test_eq_text(guest_name_of(f.view, "/proc/1"), "/proc/1");
}

static void what_is_bound_later_hides(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    std::string text;
    test_true(os_make_dirs(f.dir + "/a/b") && os_make_dirs(f.dir + "/c") && os_write_file(f.dir + "/a/b/file", ""));
    test_true(guest_view_make(
        f.view, f.dir + "/view", {"--bind", f.dir + "/a", "/a", "--bind", f.dir + "/c", "/a/b", "--ro-bind", f.dir + "/a", "/a"}, text));
    test_eq_text(host_of(f, "/a/b/file"), "/a/b/file ro");
}

static void an_image_that_moves_is_followed(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    std::string text;
    test_true(os_make_dirs(f.dir + "/image/code") && os_write_file(f.dir + "/image/code/file", ""));
    test_true(guest_view_make(f.view, f.dir + "/view",
        {"--place", "image", f.dir + "/image", "--ro-bind", "/tmp/image/code", "/code", "--bind", "/tmp/w/tmp", "/tmp"}, text));
    test_eq_text(host_of(f, "/tmp/x"), "/view/w/tmp/x");
    test_eq(rename((f.dir + "/image").c_str(), (f.dir + "/old").c_str()), 0);
    guest_view_follow_image(f.view);
    test_eq_text(host_of(f, "/code/file"), "/old/code/file ro");
    test_eq_text(guest_name_of(f.view, f.dir + "/old/code/file"), "/code/file");
    close(f.view.image_fd);
}

static void what_cannot_be_shown_is_an_error(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    std::string text;
    test_false(guest_view_make(f.view, f.dir + "/view", {"--overlay", "/tmp"}, text));
    test_true(text.find("--overlay") != std::string::npos);
    test_false(guest_view_make(f.view, f.dir + "/view", {"--ro-bind", f.dir + "/missing", "/x"}, text));
    test_true(text.find("/missing") != std::string::npos);
    test_true(guest_view_make(f.view, f.dir + "/view", {"--ro-bind-try", f.dir + "/missing", "/x"}, text));
    test_false(guest_view_make(f.view, f.dir + "/view", {"--setenv", "A"}, text));
}

// A descriptor cannot bypass a read-only mount. Files without a path are the container's own.
static void descriptors_are_no_way_around(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    make_view(f);
    struct {
        std::string host;
        bool is_read_only;
    } cases[] = {
        {f.dir + "/image/code/file", true},
        {f.dir + "/image/code", true},
        {f.dir + "/image/code/file (deleted)", true},
        // Bound twice, once writable.
        {f.dir + "/volume/x", false},
        {f.dir + "/volume", false},
        {f.dir + "/volume/x (deleted)", false},
        {f.dir + "/view/mem/0/x", false},
        {f.dir + "/view/root" + "/x", false},
        {"/proc/1/comm", false},
        {"/proc/sys/kernel/hostname", true},
        {"/proc/sys/vm/drop_caches", true},
        {"/proc/meminfo", true},
        {"/proc/self", false},
        // Outside the view.
        {f.dir + "/secret/file", true},
        {f.dir + "/volumes", true},
        {"/", true},
        {"/etc/passwd", true},
        {"/memfd:x", true},
        {"pipe:[1]", false},
        {"socket:[1]", false},
        {"anon_inode:[eventfd]", false},
        {"/memfd:x (deleted)", false},
        {"/dev/zero (deleted)", false},
    };
    for (const auto &one : cases)
        test_eq_text(one.host + (guest_is_read_only(f.view, one.host) ? " ro" : " rw"), one.host + (one.is_read_only ? " ro" : " rw"));
    std::string out = f.dir + "/volume/of-the-pod";
    test_true(os_write_file(out, "x"));
    guest_caller caller = {getpid(), getpid(), nullptr, nullptr};
    for (const auto &[path, is_read_only] :
        {std::pair(f.dir + "/image/code/file", true), std::pair(out, false), std::pair(f.dir + "/secret/file", true)}) {
        os_fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
        test_true(fd.fd >= 0);
        for (const char *lead : {"/proc/self/fd/", "/proc/thread-self/fd/", "/code/../proc/self/fd/../fd/"}) {
            guest_path found;
            test_eq(guest_resolve(f.view, caller, "/", lead + std::to_string(fd.fd), true, found), 0);
            test_true(found.read_only == is_read_only);
        }
    }
}

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(paths_lead_into_the_view, setup, teardown),
        cmocka_unit_test_setup_teardown(descriptors_are_no_way_around, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_leads_out, setup, teardown),
        cmocka_unit_test_setup_teardown(names_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_bound_later_hides, setup, teardown),
        cmocka_unit_test_setup_teardown(an_image_that_moves_is_followed, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_shown_is_an_error, setup, teardown),
    };
    return cmocka_run_group_tests_name("local_guest_view", tests, nullptr, nullptr);
}
