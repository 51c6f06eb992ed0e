// SPDX-License-Identifier: MIT
// Reads of large objects that have not moved yet: at the owner, which passes them on, and at the former owner, which gives them.
#include "joining_world.h"

using namespace etlnode;

static std::string going(size_t nth = 0) { return moving_name(growing, {"target-01", "target-02"}, nth); }

// --- at the owner

static std::string large_content(size_t size = 600'001)
{
    std::string content(size, '\0');
    for (size_t i = 0; i < size; i++)
        content[i] = static_cast<char>('a' + i * i % 23);
    return content;
}

static moved_item large_item(const std::string &name)
{
    moved_item item = moving_item(name, 4, 1, large_content());
    item.row.etag = "\"large\"";
    return item;
}

static void a_large_object_is_passed_on_from_its_former_owner(void **state)
{
    role_world &w = role_of(state);
    scripted_node &giver = peer_of(w, "target-02");
    std::string name = coming();
    moved_item item = large_item(name);
    moving_script_row(w, "target-02", item);
    role_script(giver, {.match = moving_question(name, 2, "&version=4"), .body = item.row.content, .begins = 100'000});
    // The properties are known from the row.
    const scripted_call &head = role_ask(w, moving_object("HEAD", name));
    role_check(head, "HEAD", 200, "");
    test_eq_text(sim_header(head.answer, "content-length"), "600001");
    test_eq_text(sim_header(head.answer, "etag"), "\"large\"");
    test_eq(scripted_count(giver, moving_question(name, 2, "&version=")), 0);
    // The first bytes come while the former owner still holds the others.
    scripted_call &reading = role_begin(w, moving_object("GET", name));
    test_true(scripted_until(*w.sim, [&] { return reading.running != nullptr && reading.running->received > 100'000; }));
    scripted_pass(*w.sim, 1'000);
    test_true(reading.running->received < 101'000);
    scripted_go_on(giver);
    const scripted_call &call = role_await(w, reading);
    role_check(call, "GET", 200, "");
    test_true(call.answer.body == item.row.content);
    test_eq_text(sim_header(call.answer, "ais-version"), "4");
    test_eq_text(sim_header(call.answer, "etag"), "\"large\"");
    test_eq_text(sim_header(call.answer, "ais-checksum-value"), text_hex(item.row.checksum));
    test_eq_text(sim_header(call.answer, "accept-ranges"), "bytes");
    test_eq(moving_row_here(w, name).version, 0); // it comes with the rebalance
}

static void a_part_of_a_large_object_is_passed_on(void **state)
{
    role_world &w = role_of(state);
    scripted_node &giver = peer_of(w, "target-02");
    std::string name = coming();
    moved_item item = large_item(name);
    moving_script_row(w, "target-02", item);
    std::string content_asked = moving_question(name, 2, "&version=4");
    role_script(giver, {.match = content_asked, .body = item.row.content});
    role_script(giver, {.match = content_asked, .status = 206, .body = item.row.content.substr(7, 300'000), .times = 1});
    const scripted_call &part = role_ask(w, moving_object("GET", name), {}, "Range: bytes=7-300006\r\n");
    role_check(part, "a part", 206, "");
    test_true(part.answer.body == item.row.content.substr(7, 300'000));
    test_eq_text(sim_header(part.answer, "content-range"), "bytes 7-300006/600001");
    test_eq_text(sim_header(part.answer, "ais-checksum-value"), "");
    test_eq_text(sim_header(scripted_last(giver, content_asked), "range"), "bytes=7-300006");
    const scripted_call &behind = role_ask(w, moving_object("GET", name), {}, "Range: bytes=600001-\r\n");
    role_check(behind, "behind its end", 416, "");
    test_eq_text(sim_header(behind.answer, "content-range"), "bytes */600001");
    test_eq(scripted_count(giver, content_asked), 1);
    const scripted_call &other = role_ask(w, moving_object("GET", name), {}, "Range: bytes=7-9\r\nIf-Range: \"other\"\r\n");
    role_check(other, "another version than the client's", 200, "");
    test_true(other.answer.body == item.row.content);
    test_eq_text(sim_header(scripted_last(giver, content_asked), "range"), "");
    // A node of a former version gives no parts. Then the object comes here first.
    const scripted_call &brought = role_ask(w, moving_object("GET", name), {}, "Range: bytes=7-9\r\n");
    role_check(brought, "a part of what was brought here", 206, "");
    test_true(brought.answer.body == item.row.content.substr(7, 3));
    test_eq(moving_row_here(w, name).version, 4);
}

static void a_former_owner_that_vanishes_cuts_the_read(void **state)
{
    role_world &w = role_of(state);
    scripted_node &giver = peer_of(w, "target-02");
    std::string name = coming();
    moved_item item = large_item(name);
    moving_script_row(w, "target-02", item);
    role_script(giver, {.match = moving_question(name, 2, "&version=4"), .body = item.row.content, .begins = 100'000});
    scripted_call &reading = role_begin(w, moving_object("GET", name));
    test_true(scripted_until(*w.sim, [&] { return reading.running != nullptr && reading.running->received > 100'000; }));
    scripted_silence(giver);
    const scripted_call &call = role_await(w, reading);
    test_true(call.how != sim_call::ending::answered);
    role_check(role_ask(w, moving_object("GET", name)), "it is away", 503, "target target-02, which may have it, gives no answer");
}

static void a_large_content_that_vanishes_is_looked_for_again(void **state)
{
    role_world &w = role_of(state);
    scripted_node &giver = peer_of(w, "target-02");
    std::string name = coming();
    moved_item item = large_item(name);
    moving_script_row(w, "target-02", item);
    std::string content_asked = moving_question(name, 2, "&version=4");
    role_script(giver, {.match = content_asked, .body = item.row.content});
    role_script(giver, {.match = content_asked, .status = 404, .body = "gone", .times = 2});
    const scripted_call &call = role_ask(w, moving_object("GET", name));
    role_check(call, "at the third try", 200, "");
    test_true(call.answer.body == item.row.content);
    role_script(giver, {.match = content_asked, .status = 409, .body = "another epoch"});
    role_check(role_ask(w, moving_object("GET", name)), "again and again", 503, "its content vanished again and again");
    role_script(giver, {.match = content_asked, .status = 500, .body = "damaged"});
    role_check(role_ask(w, moving_object("GET", name)), "damaged", 500, "target-02, which has it, finds it damaged, or cannot read it");
    role_script(giver, {.match = content_asked, .body = item.row.content.substr(1)});
    role_check(role_ask(w, moving_object("GET", name)), "another size than the row says", 503, "answered 200");
    scripted_call &waiting = role_begin(w, moving_object("GET", coming(1)));
    moving_script_row(w, "target-02", large_item(coming(1)));
    role_script(giver, {.match = moving_question(coming(1), 2, "&version=4"), .is_held = true});
    test_true(scripted_until(*w.sim, [&] { return scripted_held(giver) == 1; }));
    scripted_silence(giver);
    role_check(role_await(w, waiting), "it goes before the first byte", 503, "target target-02 has it and cannot be reached");
}

// --- at the former owner

static void a_content_is_given_whole_or_in_part(void **state)
{
    role_world &w = role_of(state);
    std::string large = going(), small = going(1);
    std::string content = large_content();
    role_check(role_ask(w, moving_object("PUT", large), content), "PUT", 200, "");
    role_check(role_ask(w, moving_object("PUT", small), "0123456789"), "PUT", 200, "");
    moving_join(w, {"target-02"});
    struct row {
        const char *range;
        int status;
        size_t first, count;
    };
    const row rows[] = {{"", 200, 0, 600'001}, {"Range: bytes=0-0\r\n", 206, 0, 1}, {"Range: bytes=262143-262145\r\n", 206, 262'143, 3},
        {"Range: bytes=600000-\r\n", 206, 600'000, 1}, {"Range: bytes=600001-\r\n", 416, 0, 0}};
    for (const row &one : rows) {
        const scripted_call &call = role_ask(w, moving_question(large, 2, "&version=1"), {}, std::string(role_secret_header) + one.range);
        role_check(call, one.range, one.status, "");
        if (one.status < 400)
            test_true(call.answer.body == content.substr(one.first, one.count));
    }
    const scripted_call &call = role_ask(
        w, moving_question(small, 2, "&version=1"), {}, std::string(role_secret_header) + "Range: bytes=3-5\r\n");
    role_check(call, "from the index", 206, "345");
    test_eq_text(sim_header(call.answer, "content-range"), "bytes 3-5/10");
}

// A block that is damaged is found before its first byte leaves, or cuts the answer.
static void a_damaged_content_is_not_given(void **state)
{
    role_world &w = role_of(state);
    std::string name = going();
    role_check(role_ask(w, moving_object("PUT", name), large_content()), "PUT", 200, "");
    role_stop(w);
    for (auto &[id, node] : w.image.nodes) {
        if (node.data.size() == 600'001)
            node.data[300'000]++;
    }
    role_start(w);
    test_true(scripted_until(*w.sim, [&] { return target_has_lease(*w.t) && lifecycle_has_joined(w.t->life); }));
    moving_join(w, {"target-02"});
    std::string line = moving_question(name, 2, "&version=1");
    role_check(role_ask(w, line, {}, std::string(role_secret_header) + "Range: bytes=262144-\r\n"), "damaged", 500, "cannot be given");
    role_check(role_ask(w, line, {}, std::string(role_secret_header) + "Range: bytes=0-262143\r\n"), "sound", 206, "");
    test_true(role_ask(w, line, {}, role_secret_header).how != sim_call::ending::answered);
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_large_object_is_passed_on_from_its_former_owner, set_up_joined, role_tear_down),
        cmocka_unit_test_setup_teardown(a_part_of_a_large_object_is_passed_on, set_up_joined, role_tear_down),
        cmocka_unit_test_setup_teardown(a_former_owner_that_vanishes_cuts_the_read, set_up_joined, role_tear_down),
        cmocka_unit_test_setup_teardown(a_large_content_that_vanishes_is_looked_for_again, set_up_joined, role_tear_down),
        cmocka_unit_test_setup_teardown(a_content_is_given_whole_or_in_part, set_up_growing, role_tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_content_is_not_given, set_up_growing, role_tear_down),
    };
    return role_main(tests);
}
