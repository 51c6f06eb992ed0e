// SPDX-License-Identifier: MIT
// test of kubectl_local/tree: removes and measures what a pod left, whatever it did.
#include "node_test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kubectl_local/os.h"
#include "kubectl_local/tree.h"

using namespace etlnode;
using namespace etlnode::kubectl_local;

struct fixture {
    std::string dir;
};

static int setup(void **state)
{
    fixture *f = new fixture;
    char path[] = "/tmp/test-tree-XXXXXX";
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

// `levels` nested directories with a file and a link in each. The names are so long that no path reaches the last one.
static void nest(const std::string &top, size_t levels)
{
    std::string name(200, 'd');
    os_fd at(open(top.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    for (size_t i = 0; i < levels; i++) {
        test_eq(mkdirat(at.fd, name.c_str(), 0700), 0);
        os_fd next(openat(at.fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        test_true(next.fd >= 0);
        os_fd file(openat(next.fd, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0));
        test_true(os_write_all(file.fd, std::string(5000, 'x')));
        test_eq(symlinkat("/", next.fd, "link"), 0);
        at.reset(next.release());
    }
}

static void depth_does_not_keep_anything(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    std::string top = f.dir + "/top";
    test_true(os_make_dirs(top + "/second"));
    nest(top, 1500);
    nest(top + "/second", 300);
    test_true(os_remove_tree(top));
    test_false(os_exists(top));
}

static void closed_directories_go_too(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    std::string top = f.dir + "/top";
    test_true(os_make_dirs(top + "/a/b/c"));
    test_true(os_write_file(top + "/a/b/c/file", "x"));
    for (const char *path : {"/a/b/c", "/a/b", "/a", ""})
        test_eq(chmod((top + path).c_str(), 0), 0);
    test_true(os_remove_tree(top));
    test_false(os_exists(top));
}

static void a_file_of_many_names_counts_once(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    std::string top = f.dir + "/top";
    test_true(os_make_dirs(top + "/below") && os_write_file(top + "/one", std::string(1u << 20, 'x')));
    uint64_t before = tree_measure(top).bytes;
    test_true(before >= 1u << 20);
    for (int i = 0; i < 20; i++)
        test_eq(link((top + "/one").c_str(), (top + "/below/" + std::to_string(i)).c_str()), 0);
    tree_use use = tree_measure(top);
    test_true(use.bytes < before + (1u << 20));
    test_eq(use.files, uint64_t{22});
    test_true(os_write_file(top + "/two", std::string(1u << 20, 'x')));
    test_true(tree_measure(top).bytes >= before + (1u << 20));
}

static void links_are_not_followed(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    std::string outside = f.dir + "/outside";
    test_true(os_make_dirs(outside) && os_write_file(outside + "/kept", "x") && os_make_dirs(f.dir + "/top/below"));
    test_eq(chmod(outside.c_str(), 0500), 0);
    test_eq(symlink(outside.c_str(), (f.dir + "/top/link").c_str()), 0);
    test_eq(symlink(outside.c_str(), (f.dir + "/top/below/link").c_str()), 0);
    tree_use use = tree_measure(f.dir + "/top");
    test_true(use.is_whole);
    test_eq(use.files, uint64_t{3});
    test_true(os_remove_tree(f.dir + "/top"));
    test_true(os_exists(outside + "/kept"));
    struct stat about;
    test_eq(stat(outside.c_str(), &about), 0);
    test_eq(about.st_mode & 0777, 0500u);
    // If the top is a link, the link is removed, not its target.
    test_eq(symlink(outside.c_str(), (f.dir + "/top").c_str()), 0);
    test_true(os_remove_tree(f.dir + "/top"));
    test_true(os_exists(outside + "/kept"));
}

static void usage_is_counted_or_reported_as_more(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    std::string top = f.dir + "/top";
    test_true(tree_measure(top).is_whole);
    test_eq(tree_measure(top).bytes, uint64_t{0});
    test_true(os_make_dirs(top + "/a") && os_write_file(top + "/a/file", std::string(100'000, 'x')));
    tree_use use = tree_measure(top);
    test_true(use.is_whole && use.bytes >= 100'000 && use.bytes < 200'000);
    test_eq(use.files, uint64_t{2});
    nest(top, tree_depth_max + 10);
    test_false(tree_measure(top).is_whole);
}

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(depth_does_not_keep_anything, setup, teardown),
        cmocka_unit_test_setup_teardown(closed_directories_go_too, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_of_many_names_counts_once, setup, teardown),
        cmocka_unit_test_setup_teardown(links_are_not_followed, setup, teardown),
        cmocka_unit_test_setup_teardown(usage_is_counted_or_reported_as_more, setup, teardown),
    };
    return cmocka_run_group_tests_name("local_tree", tests, nullptr, nullptr);
}
