// SPDX-License-Identifier: MIT
// test/contract/test_folder.cc: what port/folder.h promises: nothing outside the folder is ever read or removed.
#include "contract_world.h"

#include <cstdio>
#include <sys/stat.h>

#include "port/folder.h"

using namespace etlnode;

static std::string path(const std::string &name) { return world->dir + "/" + name; }

static void write_file(const std::string &name, const std::string &content)
{
    FILE *file = fopen(path(name).c_str(), "w");
    test_true(file != nullptr);
    test_eq(fwrite(content.data(), 1, content.size(), file), content.size());
    fclose(file);
}

static int setup(void **state)
{
    int result = world_setup(state);
    for (const char *name : {"root", "root/sub", "root/sub/deep", "outside"})
        test_eq(mkdir(path(name).c_str(), 0700), 0);
    write_file("root/b", "bb");
    write_file("root/a", "a");
    write_file("root/sub/deep/c", "ccc");
    write_file("outside/secret", "secret");
    test_eq(symlink("../outside", path("root/link").c_str()), 0);
    test_eq(symlink("../outside/secret", path("root/file-link").c_str()), 0);
    test_eq(symlink("/etc/passwd", path("root/sub/absolute").c_str()), 0);
    test_eq(mkfifo(path("root/fifo").c_str(), 0600), 0);
    return result;
}

struct seen {
    int calls = 0;
    error err;
    bool is_folder = false;
    std::vector<folder_entry> entries;
    disk_file *file = nullptr;
    uint64_t size = 0;
};
static seen s;

static void on_look(void *, error err, bool is_folder, std::vector<folder_entry> entries)
{
    s.calls++;
    s.err = err;
    s.is_folder = is_folder;
    s.entries = std::move(entries);
}

static void on_open(void *, error err, disk_file *file, uint64_t size)
{
    s.calls++;
    s.err = err;
    s.file = file;
    s.size = size;
}

static void on_done(void *, error err)
{
    s.calls++;
    s.err = err;
}

static void await_call()
{
    test_eq(s.calls, 0); // never before it has returned
    test_true(world_until([] { return s.calls == 1; }));
}

static error_code look(const std::string &at, size_t count_max = 100)
{
    s = {};
    folder_look(*world->e, path("root"), at, count_max, on_look, nullptr);
    await_call();
    return s.err.code;
}

static error_code open_file(const std::string &at)
{
    s = {};
    folder_open(*world->e, path("root"), at, on_open, nullptr);
    await_call();
    if (s.file != nullptr)
        disk_close(*world->e, s.file);
    return s.err.code;
}

static void folders_are_listed(void **)
{
    test_true(look("") == error_code::ok);
    test_true(s.is_folder);
    std::string names;
    for (const folder_entry &entry : s.entries)
        names += entry.name + (entry.is_folder ? "/ " : " ") + std::to_string(entry.is_folder ? 0 : entry.size) + " ";
    test_eq_text(names, "a 1 b 2 sub/ 0 ");
    test_true(look("sub/deep/c") == error_code::ok);
    test_true(!s.is_folder && s.entries.size() == 1 && s.entries[0].name.empty() && s.entries[0].size == 3);
    test_true(s.entries[0].changed_ns > 0);
    test_true(look("nothing") == error_code::no_such_file);
    test_true(look("", 2) == error_code::body_too_large);
    test_true(look("", 3) == error_code::ok);
}

static void nothing_leads_out(void **)
{
    for (const char *at : {"link", "link/secret", "file-link", "sub/absolute", "..", "../outside", "sub/../../outside", "/etc", ".",
             "sub//deep", "sub/./deep", "fifo", "a/b", "sub/"}) {
        test_true(look(at) == error_code::permission);
        test_true(open_file(at) == error_code::permission);
        s = {};
        folder_remove(*world->e, path("root"), at, {}, on_done, nullptr);
        await_call();
        test_true(static_cast<bool>(s.err));
    }
    test_eq(access(path("outside/secret").c_str(), F_OK), 0);
    test_true(open_file("sub") == error_code::permission);
}

static void files_are_opened(void **)
{
    s = {};
    test_true(open_file("sub/deep/c") == error_code::ok);
    test_eq(s.size, 3u);
    test_true(open_file("sub/none") == error_code::no_such_file);
}

static void only_the_file_that_was_seen_is_removed(void **)
{
    test_true(look("b") == error_code::ok);
    folder_entry entry = s.entries[0];
    write_file("root/b", "other");
    s = {};
    folder_remove(*world->e, path("root"), "b", entry, on_done, nullptr);
    await_call();
    test_true(s.err.code == error_code::conflict);
    test_true(look("b") == error_code::ok);
    entry = s.entries[0];
    s = {};
    folder_remove(*world->e, path("root"), "b", entry, on_done, nullptr);
    await_call();
    test_ok(s.err);
    test_true(look("b") == error_code::no_such_file);
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(folders_are_listed, setup, world_teardown),
        cmocka_unit_test_setup_teardown(nothing_leads_out, setup, world_teardown),
        cmocka_unit_test_setup_teardown(files_are_opened, setup, world_teardown),
        cmocka_unit_test_setup_teardown(only_the_file_that_was_seen_is_removed, setup, world_teardown),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
