// SPDX-License-Identifier: MIT
// test of transfer/upload_machine: bodies of every framing, in any pieces, broken off or too late; full disks; buckets that are destroyed.
#include "transfer_world.h"

#include <utility>

#include <xxhash.h>

using namespace etlnode;

static constexpr size_t sizes[] = {0, 1, index_content_size_max, index_content_size_max + 1, put_buffer_size - 1, put_buffer_size,
    put_buffer_size + 1, 3 * put_buffer_size + 7};

static net_conn &put_body(transfer_world &w, size_t size, const std::string &headers = {})
{
    return client_ask(w, "PUT /b/o", text_format("Content-Length: %zu\r\n", size) + headers);
}

static void check_content(transfer_world &w, const std::string &wanted)
{
    std::string got;
    test_true(world_get(w, "o", got));
    test_true(got == wanted);
    test_true(memory_files(w.world->now, "/data/tmp").empty());
}

static void check_stored(transfer_world &w, net_conn &client, const std::string &content)
{
    client_answer t = client_read(client);
    test_eq(t.status, 200);
    test_has_text(t.head, "Ais-Checksum-Value: " + text_hex(XXH64(content.data(), content.size(), 0)) + "\r\n");
    test_has_text(t.head, "Ais-Checksum-Type: xxhash2\r\n");
    test_ok(w.uploads.back());
    check_content(w, content);
}

static void check_refused(transfer_world &w, net_conn &client, int status, error_code ended_with, std::string_view text)
{
    client_answer t = client_read(client);
    test_eq(t.status, status);
    test_has_text(t.body, text);
    test_eq_enum(w.uploads.back().code, ended_with);
    test_eq(w.puts, 0u);
    check_content(w, "the old one");
}

static void a_body_of_any_size_is_stored(void **state)
{
    auto &w = *static_cast<transfer_world *>(*state);
    for (size_t size : sizes) {
        const std::string content = pattern(size);
        for (bool is_at_once : {true, false}) {
            net_conn &client = put_body(w, size);
            run(w); // starved
            for (size_t at = 0; at < size;) {
                size_t piece = is_at_once ? size : std::min(size - at, size / 5 + 1);
                wire_send(client, std::string_view(content).substr(at, piece));
                at += piece;
                run(w);
            }
            check_stored(w, client, content);
        }
        net_conn &chunked = client_ask(w, "PUT /b/o", "Transfer-Encoding: chunked\r\n");
        if (size > 0)
            wire_send(chunked, text_format("%zx\r\n", size) + content + "\r\n");
        run(w);
        wire_send(chunked, "0\r\n\r\n");
        run(w);
        check_stored(w, chunked, content);
    }
}

static void what_breaks_off_is_not_stored(void **state)
{
    auto &w = *static_cast<transfer_world *>(*state);
    world_put(w, "o", "the old one");
    for (size_t sent : {size_t{0}, size_t{5}, put_buffer_size, 2 * put_buffer_size + 3}) {
        for (bool resets : {true, false}) {
            net_conn &client = put_body(w, 3 * put_buffer_size);
            wire_send(client, pattern(sent));
            run(w);
            if (resets)
                wire_break(client);
            else
                wire_finish(client);
            run(w);
            test_true(static_cast<bool>(w.uploads.back()));
            test_false(client_read(client).status == 200);
            check_content(w, "the old one");
        }
    }
    net_conn &garbage = client_ask(w, "PUT /b/o", "Transfer-Encoding: chunked\r\n", "no number\r\n");
    run(w);
    check_refused(w, garbage, 400, error_code::bad_request, "cannot store ais://b/o");
}

static void a_client_that_sends_nothing_is_given_up(void **state)
{
    auto &w = *static_cast<transfer_world *>(*state);
    world_put(w, "o", "the old one");
    net_conn &client = put_body(w, 100);
    wire_send(client, "half");
    pass(w, 40'000);
    check_refused(w, client, 408, error_code::request_timeout, "cannot store ais://b/o");
}

static void other_bytes_than_the_checksums_are_not_stored(void **state)
{
    auto &w = *static_cast<transfer_world *>(*state);
    world_put(w, "o", "the old one");
    net_conn &wrong = client_ask(w, "PUT /b/o", "Content-Length: 3\r\nX-Sum: 0123456789abcdef\r\n", "abc");
    run(w);
    check_refused(w, wrong, 400, error_code::checksum_mismatch,
        "cannot store ais://b/o: checksum mismatch: BAD DATA CHECKSUM: xxhash2(0123456789abcdef != 44bc2cf5ad770999)");
    net_conn &right = client_ask(w, "PUT /b/o", "Content-Length: 3\r\nX-Sum: " + text_hex(XXH64("abc", 3, 0)) + "\r\n", "abc");
    run(w);
    check_stored(w, right, "abc");
}

// The digests of "abc" are those of RFC 1321, FIPS 180 and of a bitwise CRC-32C.
static void sums_of_other_types_are_compared(void **state)
{
    auto &w = *static_cast<transfer_world *>(*state);
    world_put(w, "o", "the old one");
    static constexpr std::string_view digests[][2] = {
        {"md5", "900150983cd24fb0d6963f7d28e17f72"},
        {"crc32c", "364b3fb7"},
        {"sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"sha512", "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                   "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
        {"xxhash", "44bc2cf5ad770999"},
    };
    for (const auto &[type, right] : digests) {
        std::string wrong(right);
        wrong[0] = wrong[0] == '0' ? '1' : '0';
        std::string head = "Content-Length: 3\r\nX-Digest: " + std::string(type) + ":";
        net_conn &bad = client_ask(w, "PUT /b/o", head + wrong + "\r\n", "abc");
        run(w);
        check_refused(w, bad, 400, error_code::checksum_mismatch,
            "cannot store ais://b/o: checksum mismatch: BAD DATA CHECKSUM: " + std::string(type) + "(" + wrong +
                " != " + std::string(right) + ")");
    }
    for (const auto &[type, right] : digests) {
        net_conn &good = client_ask(
            w, "PUT /b/o", "Content-Length: 3\r\nX-Digest: " + std::string(type) + ":" + std::string(right) + "\r\n", "a");
        run(w);
        wire_send(good, "bc");
        run(w);
        check_stored(w, good, "abc");
    }
    test_true(content_digest_begin("adler") == nullptr);
}

static void a_full_disk_is_reported(void **state)
{
    auto &w = *static_cast<transfer_world *>(*state);
    world_put(w, "o", "the old one");
    for (memory_op where : {memory_op::open, memory_op::write, memory_op::sync}) {
        w.world->faults = {{.op = where, .err = make_error(error_code::no_space)}};
        net_conn &client = put_body(w, 3 * put_buffer_size);
        wire_send(client, pattern(3 * put_buffer_size));
        run(w);
        w.world->faults.clear();
        check_refused(w, client, 507, error_code::no_space, "t[t1]: cannot store ais://b/o: the disk is full");
    }
}

static void a_bucket_that_is_gone_gets_nothing(void **state)
{
    auto &w = *static_cast<transfer_world *>(*state);
    world_put(w, "o", "the old one");
    net_conn &client = put_body(w, 3);
    run(w);
    w.has_bucket = false;
    wire_send(client, "abc");
    run(w);
    w.has_bucket = true;
    check_refused(w, client, 404, error_code::bucket_not_found, "it was destroyed during the upload");
}

// The store completes a commit that it has begun, whatever the client does.
static void a_client_that_leaves_does_not_call_a_commit_back(void **state)
{
    auto &w = *static_cast<transfer_world *>(*state);
    net_conn &client = put_body(w, 3);
    wire_send(client, "abc");
    run_to(w, "upload", "committing");
    wire_break(client);
    run(w);
    test_ok(w.uploads.back());
    check_content(w, "abc");
    // A write completes too; then the broken body ends the upload.
    net_conn &writing = put_body(w, 3 * put_buffer_size);
    wire_send(writing, pattern(put_buffer_size));
    run_to(w, "upload", "writing");
    wire_break(writing);
    run(w);
    test_true(static_cast<bool>(w.uploads.back()));
    check_content(w, "abc");
}

static void give_leave(transfer_world &w, const put_leave &leave)
{
    test_true(w.on_leave != nullptr);
    std::exchange(w.on_leave, nullptr)(w.leave_owner, leave);
    run(w);
}

// The row waits, whatever its size; with leave it is stored under the terms that come with it.
static void a_commit_waits_for_leave(void **state)
{
    auto &w = *static_cast<transfer_world *>(*state);
    world_put(w, "o", "the old one");
    w.has_gate = w.must_ask = true;
    for (size_t size : sizes) {
        const std::string content = pattern(size);
        net_conn &client = put_body(w, size);
        wire_send(client, content);
        run(w);
        test_eq(w.asked, 1u);
        w.asked = 0;
        put_leave leave;
        leave.terms.version_above = 1'000 + size;
        give_leave(w, leave);
        client_answer t = client_read(client);
        test_eq(t.status, 200);
        test_has_text(t.head, "Ais-Version: " + text_format("%zu", 1'001 + size) + "\r\n");
        check_content(w, content);
    }
}

static void a_commit_without_leave_stores_nothing(void **state)
{
    auto &w = *static_cast<transfer_world *>(*state);
    world_put(w, "o", "the old one");
    w.has_gate = w.must_ask = true;
    for (size_t size : sizes) {
        net_conn &client = put_body(w, size);
        wire_send(client, pattern(size));
        run(w);
        put_leave leave;
        leave.err = make_error(error_code::unavailable);
        leave.text = "another target owns it now";
        leave.headers = "X-Why: moved\r\n";
        give_leave(w, leave);
        client_answer t = client_read(client);
        test_eq(t.status, 503);
        test_has_text(t.head, "X-Why: moved\r\n");
        test_has_text(t.body, "another target owns it now");
        test_eq_enum(w.uploads.back().code, error_code::unavailable);
        check_content(w, "the old one");
    }
}

// While nothing moves, a row that is handed over at once passes; one that waits for a file does not, because things may change meanwhile.
static void what_is_committed_at_once_needs_no_leave(void **state)
{
    auto &w = *static_cast<transfer_world *>(*state);
    w.has_gate = true;
    for (size_t size : sizes) {
        const std::string content = pattern(size);
        net_conn &client = put_body(w, size);
        wire_send(client, content);
        run(w);
        test_eq(w.asked, size <= index_content_size_max ? 0u : 1u);
        if (w.asked > 0)
            give_leave(w, {});
        w.asked = 0;
        check_stored(w, client, content);
    }
}

static void a_put_that_fails_asks_for_nothing(void **state)
{
    auto &w = *static_cast<transfer_world *>(*state);
    world_put(w, "o", "the old one");
    w.has_gate = w.must_ask = true;
    w.world->faults = {{.op = memory_op::sync, .err = make_error(error_code::no_space)}};
    net_conn &client = put_body(w, put_buffer_size);
    wire_send(client, pattern(put_buffer_size));
    run(w);
    w.world->faults.clear();
    test_eq(w.asked, 0u);
    check_refused(w, client, 507, error_code::no_space, "the disk is full");
    net_conn &leaving = put_body(w, 3);
    wire_send(leaving, "abc");
    run(w);
    wire_break(leaving);
    run(w);
    give_leave(w, {});
    test_ok(w.uploads.back());
    check_content(w, "abc");
}

// The bytes of a part are in a file, whatever their number, and no row names them. An empty one has no file.
static void a_part_is_handed_over(void **state)
{
    auto &w = *static_cast<transfer_world *>(*state);
    world_put(w, "o", "the old one");
    for (size_t size : sizes) {
        const std::string content = pattern(size);
        for (error_code refuses : {error_code::ok, error_code::not_found}) {
            w.refuses_part = refuses;
            net_conn &client = put_body(w, size, "X-Part: 1\r\n");
            wire_send(client, content);
            run(w);
            client_answer t = client_read(client);
            test_eq(t.status, refuses == error_code::ok ? 200 : 404);
            if (refuses != error_code::ok) {
                test_has_text(t.body, "no part is wanted");
                test_true(w.kept == nullptr);
            } else {
                test_has_text(t.head, text_format("X-Size: %zu\r\n", size));
                test_eq(put_held_checksum(*w.kept), XXH64(content.data(), size, 0));
                if (size > 0) {
                    uint64_t node = memory_find(w.world->now, put_held_path(*w.kept));
                    test_true(node != 0 && w.world->now.nodes[node].synced == content);
                }
                put_abort(*std::exchange(w.kept, nullptr));
                run(w);
            }
            check_content(w, "the old one"); // and nothing is in tmp/
        }
    }
}

static void every_row_is_taken(void **) { check_rows_taken(upload_machine_view()); }

#define CASE(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

int main()
{
    const CMUnitTest tests[] = {
        CASE(a_body_of_any_size_is_stored),
        CASE(what_breaks_off_is_not_stored),
        CASE(a_client_that_sends_nothing_is_given_up),
        CASE(other_bytes_than_the_checksums_are_not_stored),
        CASE(sums_of_other_types_are_compared),
        CASE(a_full_disk_is_reported),
        CASE(a_bucket_that_is_gone_gets_nothing),
        CASE(a_client_that_leaves_does_not_call_a_commit_back),
        CASE(a_commit_waits_for_leave),
        CASE(a_commit_without_leave_stores_nothing),
        CASE(what_is_committed_at_once_needs_no_leave),
        CASE(a_put_that_fails_asks_for_nothing),
        CASE(a_part_is_handed_over),
        cmocka_unit_test(every_row_is_taken),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
