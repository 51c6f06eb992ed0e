// SPDX-License-Identifier: MIT
// test/contract/test_net_files.cc: what port/net.h promises about sending files, and about files with a guard, whose damaged blocks never
// leave the node.
#include "net_world.h"

#include <fcntl.h>

#include <xxhash.h>

#include "base/limits.h"

using namespace etlnode;

// Files.

struct file_sender {
    net_conn *conn = nullptr;
    disk_file *file = nullptr;
    uint64_t offset = 0;
    uint64_t end = 0;
    bool done = false;
    error err;
};

static void send_file_on(void *arg)
{
    auto *s = static_cast<file_sender *>(arg);
    while (s->offset < s->end) {
        io_result result = net_send_file(*world->e, s->conn, s->file, s->offset, s->end - s->offset);
        if (result.state == io_state::again) {
            net_wait(*world->e, s->conn, net_side::writable, send_file_on, s);
            return;
        }
        if (result.state == io_state::failed) {
            s->err = result.err;
            break;
        }
        test_eq_enum(result.state, io_state::done);
        test_true(result.count > 0);
        s->offset += result.count;
    }
    s->done = true;
    if (!s->err)
        net_half_close(*world->e, s->conn);
}

static void file_range_arrives(uint64_t size, uint64_t from, uint64_t to)
{
    make_pair();
    file_sender s;
    s.file = make_file(size);
    s.conn = net->client;
    s.offset = from;
    s.end = to;
    receiver r;
    r.conn = net->server;
    r.base = from;
    send_file_on(&s);
    receive_on(&r);
    test_true(world_until([&] { return s.done && r.done; }, 60'000));
    test_ok(s.err);
    expect_content(r, to - from);
    disk_close(*world->e, s.file);
    close_client();
    close_server();
    net_listener_close(*world->e, net->listener);
    net->listener = nullptr;
}

static void files_are_sent(void **)
{
    file_range_arrives(100, 0, 100);
    file_range_arrives(64 << 10, 0, 64 << 10);
    file_range_arrives((5 << 20) + 17, 12'345, (5 << 20) + 16);
    file_range_arrives(32 << 20, 0, 32 << 20);
}

static void short_file_is_an_error(void **)
{
    make_pair();
    file_sender s;
    s.file = make_file(1000);
    s.conn = net->client;
    s.end = 2000;
    send_file_on(&s);
    test_true(world_until([&] { return s.done; }));
    test_eq_enum(s.err.code, error_code::end_of_stream);
    test_eq(s.offset, 1000u);
    disk_close(*world->e, s.file);
}

#ifndef CONTRACT_SIMULATED
static void cold_files_are_sent(void **)
{
    // Content that is only on the disk is first read into memory, off the loop.
    make_pair();
    file_sender s;
    s.file = make_file(6 << 20);
    disk_sync(*world->e, s.file, on_done, nullptr);
    test_true(world_until([] { return disk_calls == 3; }));
    int fd = open((world->dir + "/content").c_str(), O_RDONLY | O_CLOEXEC);
    test_true(fd >= 0);
    test_eq(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    close(fd);
    s.conn = net->client;
    s.end = 6 << 20;
    receiver r;
    r.conn = net->server;
    send_file_on(&s);
    test_false(s.done);
    receive_on(&r);
    test_true(world_until([&] { return s.done && r.done; }, 60'000));
    test_ok(s.err);
    expect_content(r, 6 << 20);
    disk_close(*world->e, s.file);
}
#endif

// Files with a guard.

static std::vector<uint64_t> sums_of(uint64_t size)
{
    std::vector<char> content(size);
    for (uint64_t i = 0; i < size; i++)
        content[i] = byte_at(i);
    std::vector<uint64_t> sums;
    for (uint64_t at = 0; at < size; at += content_block_size)
        sums.push_back(XXH3_64bits(content.data() + at, std::min<uint64_t>(content_block_size, size - at)));
    return sums;
}

struct damage_seen {
    std::vector<uint64_t> offsets;
};
static void on_damage(void *arg, uint64_t offset) { static_cast<damage_seen *>(arg)->offsets.push_back(offset); }

// Replaces the byte at `offset` through another descriptor, as a foreign process would.
static void change_byte(disk_file *file, uint64_t offset, char to)
{
    disk_calls = 0;
    disk_write(*world->e, file, &to, 1, offset, on_done, nullptr);
    test_true(world_until([] { return disk_calls == 1; }));
}

static error check_at(disk_file *file, uint64_t offset)
{
    struct outcome {
        int calls = 0;
        error err;
    };
    static outcome seen;
    seen = {};
    disk_check(
        *world->e, file, offset, [](void *, error err) { seen.calls++, seen.err = err; }, nullptr);
    test_eq(seen.calls, 0);
    test_true(world_until([] { return seen.calls > 0; }));
    test_eq(seen.calls, 1);
    return seen.err;
}

static disk_file *open_again()
{
    disk_calls = 0;
    disk_open(*world->e, world->dir + "/content", disk_open_mode::read, on_open, nullptr);
    test_true(world_until([] { return disk_calls == 1; }));
    return opened;
}

// Sends [from, to) of the file. Returns how much arrived, after checking that all of it is correct.
static uint64_t send_guarded(disk_file *file, uint64_t from, uint64_t to, error &out_err)
{
    make_pair();
    file_sender s;
    s.file = file;
    s.conn = net->client;
    s.offset = from;
    s.end = to;
    receiver r;
    r.conn = net->server;
    r.base = from;
    send_file_on(&s);
    receive_on(&r);
    test_true(world_until([&] { return s.done; }, 60'000));
    out_err = s.err;
    if (s.err)
        net_half_close(*world->e, s.conn);
    test_true(world_until([&] { return r.done; }, 60'000));
    expect_content(r, s.offset - from);
    close_client();
    close_server();
    net_listener_close(*world->e, net->listener);
    net->listener = nullptr;
    return s.offset - from;
}

static void damaged_blocks_are_not_sent(void **)
{
    static constexpr uint64_t size = 9 * content_block_size + 77;
    disk_file *writer = make_file(size);
    std::vector<uint64_t> sums = sums_of(size);
    for (uint64_t at : {uint64_t{0}, content_block_size - 1, uint64_t{5 * content_block_size}, size - 1}) {
        uint64_t block = at / content_block_size * content_block_size;
        damage_seen damage;
        disk_file *file = open_again();
        disk_guard(*world->e, file, size, sums, on_damage, &damage);
        error err;
        test_eq(send_guarded(file, 0, size, err), size);
        test_ok(err);
        test_true(damage.offsets.empty());
        // Changed under the open file, after it was sent.
        change_byte(writer, at, static_cast<char>(byte_at(at) ^ 1));
        world_pass(2);
        if (block > 0) {
            test_eq(send_guarded(file, 0, block, err), block);
            test_ok(err);
        }
        test_eq(send_guarded(file, 0, size, err), block);
        test_eq_enum(err.code, error_code::corrupt);
        test_eq(damage.offsets.size(), 1u);
        test_eq(damage.offsets[0], block);
        // Ranges that touch it, and ranges that do not.
        test_eq(send_guarded(file, at, at + 1, err), 0u);
        test_eq_enum(err.code, error_code::corrupt);
        uint64_t behind = std::min<uint64_t>(size, block + content_block_size);
        if (behind < size) {
            test_eq(send_guarded(file, behind, size, err), size - behind);
            test_ok(err);
        }
        test_eq_enum(check_at(file, at).code, error_code::corrupt);
        test_false(disk_is_checked(*world->e, file, at));
        disk_close(*world->e, file);
        // Before any block was checked.
        file = open_again();
        disk_guard(*world->e, file, size, sums, on_damage, &damage);
        test_false(disk_is_checked(*world->e, file, 0));
        test_eq(send_guarded(file, 0, size, err), block);
        test_eq_enum(err.code, error_code::corrupt);
        disk_close(*world->e, file);
        change_byte(writer, at, static_cast<char>(byte_at(at)));
    }
    disk_close(*world->e, writer);
}

// Whoever sends a twin leaves the check to the receiver.
static void a_twin_has_no_guard(void **)
{
    static constexpr uint64_t size = 3 * content_block_size + 5;
    disk_file *writer = make_file(size);
    std::vector<uint64_t> sums = sums_of(size);
    sums[1] ^= 1;
    disk_file *file = open_again();
    damage_seen damage;
    disk_guard(*world->e, file, size, sums, on_damage, &damage);
    disk_file *twin = disk_twin(*world->e, file);
    test_true(twin != nullptr);
    test_true(disk_is_checked(*world->e, twin, content_block_size));
    error err;
    test_eq(send_guarded(file, 0, size, err), content_block_size);
    test_eq_enum(err.code, error_code::corrupt);
    test_eq(send_guarded(twin, 0, size, err), size);
    test_ok(err);
    disk_close(*world->e, file); // either may be closed first
    test_eq(send_guarded(twin, content_block_size, size, err), size - content_block_size);
    test_eq(damage.offsets.size(), 1u);
    disk_close(*world->e, twin);
    disk_close(*world->e, writer);
}

struct working {
    disk_file *file = nullptr;
    uint64_t at = 0;
    size_t size = content_block_size, count = 0;
    std::string bytes;
    error err, done_err;
    int runs = 0, calls = 0;
};

static void read_block(void *arg)
{
    auto &w = *static_cast<working *>(arg);
    w.runs++;
    w.bytes.resize(w.size);
    if (w.file != nullptr)
        w.count = disk_read_now(*world->e, w.file, w.bytes.data(), w.size, w.at, w.err);
}

static void on_worked(void *arg, error err)
{
    auto &w = *static_cast<working *>(arg);
    test_eq(w.runs, 1);
    w.calls++;
    w.done_err = err;
}

static void work(working &w)
{
    disk_work(*world->e, w.file, read_block, on_worked, &w);
    test_eq(w.calls, 0);
    test_true(world_until([&] { return w.calls > 0; }));
    test_ok(w.done_err);
}

// A library reads by itself, off the loop. What it gets of a guarded file is whole blocks that are sound.
static void work_reads_at_once(void **)
{
    static constexpr uint64_t size = 2 * content_block_size + 5;
    disk_file *writer = make_file(size);
    std::vector<uint64_t> sums = sums_of(size);
    sums[1] ^= 1;
    disk_file *file = open_again();
    damage_seen damage;
    disk_guard(*world->e, file, size, sums, on_damage, &damage);
    for (disk_file *one : {file, writer}) {
        for (uint64_t block = 0; block < 3; block++) {
            working w;
            w.file = one;
            w.at = block * content_block_size;
            w.size = block < 2 ? content_block_size : 5;
            work(w);
            bool is_damaged = one == file && block == 1;
            test_eq_enum(w.err.code, is_damaged ? error_code::corrupt : error_code::ok);
            test_eq(w.count, is_damaged ? 0u : w.size);
            for (size_t i = 0; i < w.count; i += 997)
                test_eq(static_cast<unsigned char>(w.bytes[i]), static_cast<unsigned char>(byte_at(w.at + i)));
        }
    }
    working behind;
    behind.file = writer;
    behind.at = 3 * content_block_size;
    work(behind);
    test_ok(behind.err);
    test_eq(behind.count, 0u);
    working without;
    work(without);
    disk_close(*world->e, file);
    disk_close(*world->e, writer);
}

static void a_look_says_what_it_found(void **)
{
    static constexpr uint64_t size = 3 * content_block_size + 5;
    disk_file *writer = make_file(size);
    test_true(disk_is_checked(*world->e, writer, 0)); // without a guard there is nothing to check
    test_ok(check_at(writer, 0));
    disk_file *file = open_again();
    damage_seen damage;
    disk_guard(*world->e, file, size, sums_of(size), on_damage, &damage);
    test_ok(check_at(file, 1));
    test_true(disk_is_checked(*world->e, file, 0));
    test_false(disk_is_checked(*world->e, file, content_block_size));
    change_byte(writer, 3 * content_block_size, 'x');
    change_byte(writer, 2 * content_block_size, 'x');
    test_eq_enum(check_at(file, size - 1).code, error_code::corrupt);
    test_eq_enum(check_at(file, 2 * content_block_size + 9).code, error_code::corrupt);
    test_ok(check_at(file, content_block_size));
    test_eq(damage.offsets.size(), 2u);
    disk_close(*world->e, file);
    disk_close(*world->e, writer);
}

#ifndef CONTRACT_SIMULATED
static void shorter_files_are_damaged(void **)
{
    static constexpr uint64_t size = 2 * content_block_size + 5;
    disk_close(*world->e, make_file(size));
    disk_file *file = open_again();
    damage_seen damage;
    disk_guard(*world->e, file, size, sums_of(size), on_damage, &damage);
    error err;
    test_eq(send_guarded(file, 0, size, err), size);
    test_eq(truncate((world->dir + "/content").c_str(), static_cast<off_t>(size - 1)), 0);
    world_pass(2);
    test_eq(send_guarded(file, 0, size, err), 2 * content_block_size);
    test_eq_enum(err.code, error_code::corrupt);
    disk_close(*world->e, file);
}

// Pages that were found sound are evicted. When they come back, they are checked again.
static void cold_blocks_are_looked_at_again(void **)
{
    static constexpr uint64_t size = 4 * content_block_size;
    disk_file *writer = make_file(size);
    disk_sync(*world->e, writer, on_done, nullptr);
    test_true(world_until([] { return disk_calls == 3; }));
    disk_close(*world->e, writer);
    disk_file *file = open_again();
    damage_seen damage;
    disk_guard(*world->e, file, size, sums_of(size), on_damage, &damage);
    error err;
    test_eq(send_guarded(file, 0, size, err), size);
    int fd = open((world->dir + "/content").c_str(), O_RDONLY | O_CLOEXEC);
    test_eq(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    close(fd);
    world_pass(2);
    test_eq(send_guarded(file, 0, size, err), size);
    test_ok(err);
    disk_close(*world->e, file);
}
#endif

static void closing_while_blocks_are_looked_at(void **)
{
    static constexpr uint64_t size = 8 * content_block_size;
    disk_file *writer = make_file(size);
    change_byte(writer, 5, 'x');
    disk_close(*world->e, writer);
    damage_seen damage;
    // Close the connection, the file, or both while the check runs.
    for (int what = 0; what < 3; what++) {
        make_pair();
        disk_file *file = open_again();
        disk_guard(*world->e, file, size, sums_of(size), on_damage, &damage);
        file_sender s;
        s.file = file;
        s.conn = net->client;
        s.end = size;
        send_file_on(&s);
        if (what != 1)
            close_client();
        if (what != 0) {
            damage.offsets.clear();
            disk_close(*world->e, file);
        }
        if (what == 1)
            close_client();
        world_pass(20);
        test_true(what == 0 || damage.offsets.empty());
        if (what == 0)
            disk_close(*world->e, file);
        close_server();
        net_listener_close(*world->e, net->listener);
        net->listener = nullptr;
    }
}

static void closing_while_a_file_is_sent(void **)
{
    make_pair();
    file_sender s;
    s.file = make_file(8 << 20);
    disk_sync(*world->e, s.file, on_done, nullptr);
    test_true(world_until([] { return disk_calls == 3; }));
#ifndef CONTRACT_SIMULATED
    int fd = open((world->dir + "/content").c_str(), O_RDONLY | O_CLOEXEC);
    test_eq(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    close(fd);
#endif
    s.conn = net->client;
    s.end = 8 << 20;
    send_file_on(&s); // waits for the disk now, if there is one
    disk_close(*world->e, s.file);
    close_client();
    world_pass(20);
    test_false(s.done);
}

int main()
{
    const CMUnitTest tests[] = {
        BOTH(files_are_sent),
        BOTH(short_file_is_an_error),
#ifndef CONTRACT_SIMULATED
        BOTH(cold_files_are_sent),
#endif
        BOTH(damaged_blocks_are_not_sent),
        BOTH(a_twin_has_no_guard),
        ONCE(work_reads_at_once),
        ONCE(a_look_says_what_it_found),
#ifndef CONTRACT_SIMULATED
        BOTH(shorter_files_are_damaged),
        BOTH(cold_blocks_are_looked_at_again),
#endif
        BOTH(closing_while_blocks_are_looked_at),
        BOTH(closing_while_a_file_is_sent),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
