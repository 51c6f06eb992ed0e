// SPDX-License-Identifier: MIT
// test/contract/test_disk.cc: what port/disk.h promises.
#include "contract_world.h"

#include <csignal>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <vector>

#include "port/disk.h"

using namespace etlnode;

struct disk_seen {
    int calls = 0;
    error err;
    disk_file *file = nullptr;
    uint64_t size = 0;
    size_t count = 0;
    std::vector<std::string> names;
    disk_space space;
};
static disk_seen *seen;

static int setup(void **state)
{
    seen = new disk_seen;
    return world_setup(state);
}

static int teardown(void **state)
{
    delete seen;
    return world_teardown(state);
}

static void on_done(void *arg, error err)
{
    auto *s = static_cast<disk_seen *>(arg);
    s->calls++;
    s->err = err;
}

static void on_open(void *arg, error err, disk_file *file, uint64_t size)
{
    on_done(arg, err);
    auto *s = static_cast<disk_seen *>(arg);
    s->file = file;
    s->size = size;
}

static void on_read(void *arg, error err, size_t count)
{
    on_done(arg, err);
    static_cast<disk_seen *>(arg)->count = count;
}

static void on_list(void *arg, error err, const std::vector<std::string> &names)
{
    on_done(arg, err);
    static_cast<disk_seen *>(arg)->names = names;
}

static error awaited()
{
    test_eq(seen->calls, 0); // never before the call has returned
    test_true(world_until([] { return seen->calls > 0; }));
    test_eq(seen->calls, 1);
    seen->calls = 0;
    return seen->err;
}

static std::string path_of(const char *name) { return world->dir + "/" + name; }

static error open_file(const char *name, disk_open_mode mode)
{
    disk_open(*world->e, path_of(name), mode, on_open, seen);
    return awaited();
}

static void content_comes_back(void **)
{
    test_ok(open_file("a", disk_open_mode::create_new));
    disk_file *file = seen->file;
    test_eq(seen->size, 0u);
    std::string content(300'000, 'x');
    content[299'999] = 'y';
    disk_write(*world->e, file, content.data(), content.size(), 0, on_done, seen);
    test_ok(awaited());
    disk_write(*world->e, file, "tail", 4, 300'000, on_done, seen);
    test_ok(awaited());
    disk_sync(*world->e, file, on_done, seen);
    test_ok(awaited());
    disk_sync_dir(*world->e, world->dir, on_done, seen);
    test_ok(awaited());
    disk_close(*world->e, file);

    test_ok(open_file("a", disk_open_mode::read));
    file = seen->file;
    test_eq(seen->size, 300'004u);
    std::string back(300'010, '?');
    disk_read(*world->e, file, back.data(), back.size(), 0, on_read, seen);
    test_ok(awaited());
    test_eq(seen->count, 300'004u); // short only at the end
    test_true(back.substr(0, 300'000) == content);
    test_eq_text(back.substr(300'000, 4), "tail");
    disk_read(*world->e, file, back.data(), 10, 300'004, on_read, seen);
    test_ok(awaited());
    test_eq(seen->count, 0u);
    disk_close(*world->e, file);
}

static void open_modes(void **)
{
    test_eq_enum(open_file("none", disk_open_mode::read).code, error_code::no_such_file);
    test_true(seen->file == nullptr);
    test_ok(open_file("a", disk_open_mode::create_new));
    disk_close(*world->e, seen->file);
    test_eq_enum(open_file("a", disk_open_mode::create_new).code, error_code::already_exists);
    test_ok(open_file("a", disk_open_mode::create_or_open));
    disk_close(*world->e, seen->file);
    // Links, directories and pipes are neither followed nor waited for.
    test_eq(symlink(path_of("a").c_str(), path_of("link").c_str()), 0);
    test_true(static_cast<bool>(open_file("link", disk_open_mode::read)));
    test_eq(mkfifo(path_of("fifo").c_str(), 0600), 0);
    test_eq_enum(open_file("fifo", disk_open_mode::read).code, error_code::permission);
    test_true(static_cast<bool>(open_file(".", disk_open_mode::read)));
}

static void names_are_changed(void **)
{
    test_ok(open_file("b", disk_open_mode::create_new));
    disk_close(*world->e, seen->file);
    test_ok(open_file("Z", disk_open_mode::create_new));
    disk_close(*world->e, seen->file);
    disk_make_dir(*world->e, path_of("dir"), on_done, seen);
    test_ok(awaited());
    disk_make_dir(*world->e, path_of("dir"), on_done, seen); // it exists already
    test_ok(awaited());
    disk_make_dir(*world->e, path_of("no/dir"), on_done, seen);
    test_eq_enum(awaited().code, error_code::no_such_file);
    disk_list(*world->e, world->dir, on_list, seen);
    test_ok(awaited());
    test_eq(seen->names.size(), 3u);
    test_eq_text(seen->names[0], "Z"); // in bytewise order
    test_eq_text(seen->names[1], "b");
    test_eq_text(seen->names[2], "dir");
    disk_rename(*world->e, path_of("b"), path_of("dir/c"), on_done, seen);
    test_ok(awaited());
    disk_rename(*world->e, path_of("b"), path_of("dir/c"), on_done, seen);
    test_eq_enum(awaited().code, error_code::no_such_file);
    test_ok(open_file("dir/d", disk_open_mode::create_new));
    disk_close(*world->e, seen->file);
    disk_unlink(*world->e, {path_of("dir/none"), path_of("dir/c"), path_of("no/dir"), path_of("dir/d")}, on_done, seen);
    test_ok(awaited()); // missing files are fine
    test_ok(open_file("dir/e", disk_open_mode::create_new));
    disk_close(*world->e, seen->file);
    disk_unlink(*world->e, {path_of("dir"), path_of("dir/e")}, on_done, seen);
    test_true(static_cast<bool>(awaited())); // a directory is not a file; the file is removed all the same
    disk_list(*world->e, path_of("dir"), on_list, seen);
    test_ok(awaited());
    test_eq(seen->names.size(), 0u);
    disk_list(*world->e, path_of("none"), on_list, seen);
    test_eq_enum(awaited().code, error_code::no_such_file);
    disk_sync_dir(*world->e, path_of("none"), on_done, seen);
    test_eq_enum(awaited().code, error_code::no_such_file);
}

static void a_write_that_finds_no_room_is_an_error(void **)
{
    // The limit on file sizes stands in for a full device, because it works on every file system.
    test_ok(open_file("big", disk_open_mode::create_new));
    disk_file *file = seen->file;
    signal(SIGXFSZ, SIG_IGN);
    rlimit before{};
    getrlimit(RLIMIT_FSIZE, &before);
    rlimit small = {4096, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    static char byte = 'x';
    disk_write(*world->e, file, &byte, 1, 1 << 20, on_done, seen);
    error err = awaited();
    setrlimit(RLIMIT_FSIZE, &before);
    test_true(static_cast<bool>(err));
    test_eq_enum(err.code, error_code::no_space);
    disk_close(*world->e, file);
}

static void on_space(void *arg, error err, const disk_space &space)
{
    on_done(arg, err);
    static_cast<disk_seen *>(arg)->space = space;
}

static void the_file_system_says_how_full_it_is(void **)
{
    disk_ask_space(*world->e, path_of("."), on_space, seen);
    test_ok(awaited());
    struct statvfs info {};
    test_eq(statvfs(path_of(".").c_str(), &info), 0);
    struct stat place {};
    test_eq(stat(path_of(".").c_str(), &place), 0);
    test_eq(seen->space.id, place.st_dev);
    test_eq(seen->space.size, info.f_blocks * info.f_frsize);
    test_true(seen->space.used <= seen->space.size);
    test_true(seen->space.used + seen->space.free <= seen->space.size);
    disk_ask_space(*world->e, path_of("none"), on_space, seen);
    test_eq_enum(awaited().code, error_code::no_such_file);
}

static void syncs_leave_threads_for_reads(void **)
{
    // Many syncs at once all complete, and so does a read between them.
    test_ok(open_file("s", disk_open_mode::create_new));
    disk_file *file = seen->file;
    disk_write(*world->e, file, "0123456789", 10, 0, on_done, seen);
    test_ok(awaited());
    for (int i = 0; i < 100; i++)
        disk_sync(*world->e, file, on_done, seen);
    disk_seen read_seen;
    char buffer[16];
    disk_read(*world->e, file, buffer, sizeof buffer, 0, on_read, &read_seen);
    test_true(world_until([&] { return read_seen.calls == 1; }));
    test_eq(read_seen.count, 10u);
    test_true(world_until([] { return seen->calls == 100; }));
    test_ok(seen->err);
    disk_close(*world->e, file);
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(content_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(open_modes, setup, teardown),
        cmocka_unit_test_setup_teardown(names_are_changed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_write_that_finds_no_room_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(the_file_system_says_how_full_it_is, setup, teardown),
        cmocka_unit_test_setup_teardown(syncs_leave_threads_for_reads, setup, teardown),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
