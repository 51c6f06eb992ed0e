// SPDX-License-Identifier: MIT
// On a real directory, because what is tested is what the system says about links, pipes and large directories.
#include "node_test.h"

#include <algorithm>
#include <cstdlib>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "etlctl/folder_walk.h"

using namespace etlnode;
using namespace etlnode::etlctl;

struct fixture {
    char path[32] = "/tmp/folder-walk-XXXXXX";
    int fd = -1;
};

static int setup(void **state)
{
    auto *f = new fixture;
    *state = f;
    if (mkdtemp(f->path) == nullptr)
        return -1;
    f->fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return f->fd >= 0 ? 0 : -1;
}

static int teardown(void **state)
{
    auto *f = static_cast<fixture *>(*state);
    close(f->fd);
    std::string command = text_format("chmod -R u+rwx %s; rm -rf %s", f->path, f->path);
    int code = system(command.c_str());
    delete f;
    return code;
}

static void make(const fixture &f, const char *name)
{
    std::string at = name;
    for (size_t slash = at.find('/'); slash != std::string::npos; slash = at.find('/', slash + 1))
        mkdirat(f.fd, at.substr(0, slash).c_str(), 0755);
    if (at.ends_with('/'))
        return;
    int fd = openat(f.fd, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    test_true(fd >= 0);
    close(fd);
}

// "a b/c !special ?problem", in the order of the walk.
static std::string walked(const fixture &f, const name_filter *filter, bool follows, size_t keys_max, uint64_t *out_empty = nullptr)
{
    folder_walk walk;
    walk.follows_links = follows;
    walk.keys_max = keys_max;
    test_true(walk_begin(walk, f.fd, filter));
    std::string out;
    std::string name;
    std::string why;
    for (walk_step step = walk_next(walk, name, why); step != walk_step::end; step = walk_next(walk, name, why))
        out += (out.empty() ? "" : " ") + std::string(step == walk_step::special ? "!" : step == walk_step::problem ? "?" : "") + name;
    if (out_empty != nullptr)
        *out_empty = walk.empty_folders;
    walk_end(walk);
    return out;
}

static void the_order_is_that_of_objects(void **state)
{
    const fixture &f = *static_cast<fixture *>(*state);
    for (const char *name :
        {"a/x", "a-b", "a.txt", "a0", "b/c/d/e", "b/c.d", "z", "empty/", "half/empty/", "half/file", "A", ".etlctl-1-1-1.part"})
        make(f, name);
    static const char *expected = "A a-b a.txt a/x a0 b/c.d b/c/d/e half/file z";
    uint64_t empty = 0;
    test_eq_text(walked(f, nullptr, true, 32, &empty), expected);
    test_eq(empty, 2u);
    for (size_t keys_max : {1u, 2u, 3u})
        test_eq_text(walked(f, nullptr, true, keys_max), expected); // read in pages
    name_filter filter;
    std::string why;
    test_true(filter_add(filter.excluded, "c", why) && filter_add(filter.excluded, "a*", why));
    test_eq_text(walked(f, &filter, true, 2), "A b/c.d half/file z");
}

static void links_and_special_files(void **state)
{
    const fixture &f = *static_cast<fixture *>(*state);
    make(f, "d/file");
    make(f, "real");
    test_eq(symlinkat("real", f.fd, "to-file"), 0);
    test_eq(symlinkat("d", f.fd, "to-folder"), 0);
    test_eq(symlinkat("..", f.fd, "d/up"), 0);
    test_eq(symlinkat("nowhere", f.fd, "dangling"), 0);
    test_eq(mkfifoat(f.fd, "pipe", 0644), 0);
    // A circle is left out where it closes.
    test_eq_text(walked(f, nullptr, true, 32), "d/file !d/up ?dangling !pipe real to-file to-folder/file !to-folder/up");
    // The destination of a read: links are files, so that nothing behind them is touched.
    test_eq_text(walked(f, nullptr, false, 32), "d/file d/up dangling !pipe real to-file to-folder");
}

static void folders_that_cannot_be_read(void **state)
{
    const fixture &f = *static_cast<fixture *>(*state);
    make(f, "a/x");
    make(f, "b/x");
    test_eq(fchmodat(f.fd, "a", 0, 0), 0);
    bool may_all = geteuid() == 0; // root reads it anyway
    test_eq_text(walked(f, nullptr, true, 32), may_all ? "a/x b/x" : "?a b/x");
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_order_is_that_of_objects, setup, teardown),
        cmocka_unit_test_setup_teardown(links_and_special_files, setup, teardown),
        cmocka_unit_test_setup_teardown(folders_that_cannot_be_read, setup, teardown),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
