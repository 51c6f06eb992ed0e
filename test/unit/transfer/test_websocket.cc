// SPDX-License-Identifier: MIT
// test of transfer/modes/websocket.cc, against a pod of raw bytes on loopback; and of what travels (websocket_wire.cc), without one.
#include "websocket_pod.h"

#include "base/limits.h"
#include "rows_taken.h"

using namespace etlnode;

static http_world &world_of(void **state) { return *static_cast<http_world *>(*state); }

static std::string content_of(size_t size)
{
    std::string out(size, '\0');
    for (size_t i = 0; i < size; i++)
        out[i] = static_cast<char>(i * 131 + i / 257);
    return out;
}

static void run(http_world &w, talk &k, std::string content, uint64_t obj_timeout_ms = 10'000)
{
    talk_begin(w, k, std::move(content), obj_timeout_ms);
    test_true(world_until(w, [&] { return k.is_over; }));
}

// --- what goes well

static void objects_of_every_size_come_back(void **state)
{
    for (size_t size : {size_t{0}, size_t{1}, size_t{125}, size_t{126}, size_t{65'535}, size_t{65'536}, 4 * mib, 4 * mib + 1, 9 * mib}) {
        talk k;
        k.pod.echoes = true;
        const std::string content = content_of(size);
        run(world_of(state), k, content);
        test_ok(k.err);
        test_eq(k.status, 200);
        test_true(k.has_length);
        test_eq(k.length, size);
        test_true(k.pod.object == content);
        test_true(k.body == content);
        test_true(k.pod.was_masked);
        test_eq(k.pod.object_frames, size == 0 ? 1 : (size + 4 * mib - 1) / (4 * mib));
        test_eq_text(k.pod.control, "{\"path\":\"a name\",\"fqn\":\"\",\"etl_args\":\"x=ä 1\",\"pipeline\":\"\"}");
        source_close(k.answer);
        test_true(world_until(*k.w, [&] { return k.pod.closed_with != 0; }));
        test_eq(k.pod.closed_with, 1'000);
        talk_end(k);
    }
}

static void the_upgrade_says_what_it_must(void **state)
{
    talk k;
    k.pod.echoes = true;
    run(world_of(state), k, "abc");
    test_true(k.pod.head.starts_with("GET /ws HTTP/1.1\r\n"));
    test_eq_text(pod_header(k.pod.head, "Upgrade"), "websocket");
    test_eq_text(pod_header(k.pod.head, "Connection"), "Upgrade");
    test_eq_text(pod_header(k.pod.head, "Sec-WebSocket-Version"), "13");
    test_eq_text(pod_header(k.pod.head, "X-Request-Id"), "r1");
    test_eq(pod_header(k.pod.head, "Sec-WebSocket-Key").size(), 24u);
    talk_end(k);
}

static void fragments_are_one_reply(void **state)
{
    const std::string content = content_of(300'000);
    talk k;
    k.pod.reply = server_frame(first_binary, "") + server_frame(ping_frame, "one") + server_frame(more, content.substr(0, 100'000));
    for (size_t at = 100'000; at < content.size(); at += 100)
        k.pod.reply += server_frame(pong_frame, "unasked") + server_frame(more, content.substr(at, 100));
    k.pod.reply += server_frame(last, "");
    run(world_of(state), k, "abc");
    test_ok(k.err);
    test_false(k.has_length);
    test_true(k.body == content);
    test_true(world_until(*k.w, [&] { return k.pod.pongs.size() == 1; }));
    test_eq_text(k.pod.pongs[0], "one");
    talk_end(k);
}

// It may have come with the 101, before the pod has read anything; and the pod may never read the object.
static void a_reply_may_come_early(void **state)
{
    talk greeted;
    greeted.pod.greeting = server_frame(whole_binary, "early");
    run(world_of(state), greeted, "abc");
    test_eq_text(greeted.body, "early");
    talk_end(greeted);
    talk early;
    early.pod.replies_early = true;
    early.pod.reply = server_frame(whole_binary, "early");
    early.pulls = false;
    talk_begin(world_of(state), early, content_of(64 * mib));
    test_true(world_until(*early.w, [&] { return early.has_head; }));
    talk_pull(&early);
    test_true(early.is_over);
    test_eq_text(early.body, "early");
    talk_end(early);
    test_eq(early.pod.objects, 0);
}

// One object has one reply. A second one that came with it is dropped, and counted as other modes count bytes behind an answer.
static void a_second_reply_is_counted(void **state)
{
    const struct {
        std::string frames;
        const char *body;
        bool is_counted;
    } rows[] = {
        {server_frame(whole_binary, "abc") + server_frame(whole_binary, "def"), "abc", true},
        {server_frame(whole_binary, "abc") + server_frame(ping_frame, "p") + server_frame(first_text, ""), "abc", true},
        {server_frame(whole_text, "abc") + server_frame(whole_binary, "def"), "abc", true},
        {server_frame(whole_binary, "abc") + "\xff\xff", "abc", true}, // no frame at all
        {server_frame(whole_binary, "abc") + server_frame(ping_frame, "p") + server_frame(pong_frame, "p"), "abc", false},
        {server_frame(whole_binary, "abc") + server_frame(close_frame, "\x03\xe8"), "abc", false},
        {server_frame(whole_binary, "abc"), "abc", false},
    };
    for (const auto &row : rows) {
        talk k;
        k.pod.reply = row.frames;
        const uint64_t before = http_client_unsolicited(*world_of(state).client);
        run(world_of(state), k, "abc");
        test_ok(k.err);
        test_eq_text(k.body, row.body);
        talk_end(k);
        test_eq(http_client_unsolicited(*world_of(state).client) - before, row.is_counted ? 1u : 0u);
    }
}

// --- a text is an error

static void a_text_is_an_error(void **state)
{
    std::string shaved; // the last character is cut
    for (size_t i = 0; i < 1'365; i++)
        shaved += "…";
    const struct {
        std::string frames, body;
    } rows[] = {
        {server_frame(whole_text, "Transform error: no image"), "Transform error: no image"},
        {server_frame(first_text, "Transform ") + server_frame(ping_frame, "") + server_frame(last, "error: …"), "Transform error: …"},
        {server_frame(first_text, "half of it"), "half of it"}, // and then it closes
        {server_frame(whole_text, std::string(10'000, 'a')), std::string(pod_error_text_max, 'a')},
        {server_frame(whole_text, shaved + "…"), shaved},
        {server_frame(whole_text, ""), "the pod replied with an empty text message instead of content"},
        {server_frame(whole_text, "0"),
            "the pod replied with the text \"0\", which acknowledges a direct put, but the pod has put nothing"},
        {server_frame(whole_text, std::string("no\x1b[31m im\0age\x01 \x7f\xc2\x9bhere", 23)), "no [31m im age    here"},
        {server_frame(whole_text, "\x01\x02"), "the pod replied with a text message of control characters only"},
    };
    for (const auto &row : rows) {
        talk k;
        k.pod.reply = row.frames;
        k.pod.then = pod_end::close;
        run(world_of(state), k, "abc");
        test_ok(k.err);
        test_eq(k.status, 500);
        test_eq_text(k.body, row.body);
        test_true(k.has_length && k.length == k.body.size());
        talk_end(k);
    }
    talk latin;
    latin.pod.reply = server_frame(whole_text, "n\xe4mlich");
    run(world_of(state), latin, "abc");
    test_eq_enum(latin.err.code, error_code::bad_pod_answer);
    test_eq_text(latin.text, "ETL error: the pod replied with a text that is not UTF-8: \"n\xe4mlich\"");
    talk_end(latin);
}

// --- what breaks

static std::string size_of_8(uint8_t first, const char *size)
{
    return std::string(1, static_cast<char>(first)) + "\x7f" + std::string(size, 8);
}

struct broken_row {
    std::string frames;
    pod_end then;
    error_code code;
    const char *part; // of the words
};

static const broken_row broken_rows[] = {
    {server_frame(close_frame, "\x03\xe8"), pod_end::stay, error_code::end_of_stream, "closed its WebSocket"},
    {server_frame(close_frame, ""), pod_end::stay, error_code::end_of_stream, "closed its WebSocket"},
    {server_frame(close_frame, "\x03\xf3too \"bad\""), pod_end::stay, error_code::end_of_stream, "closed its WebSocket"},
    {"", pod_end::close, error_code::end_of_stream, "closed the connection"},
    {"", pod_end::reset, error_code::reset, "reset the connection"},
    {server_frame(whole_binary, "abc", 0x80), pod_end::stay, error_code::bad_pod_answer, "masked"},
    {server_frame(ping_frame, "abc", 0x80), pod_end::stay, error_code::bad_pod_answer, "masked"},
    {server_frame(0xc2, "abc"), pod_end::stay, error_code::bad_pod_answer, "extension"},
    {server_frame(0x83, "abc"), pod_end::stay, error_code::bad_pod_answer, "unknown kind"},
    {server_frame(0x8b, "abc"), pod_end::stay, error_code::bad_pod_answer, "unknown kind"},
    {server_frame(ping_frame, std::string(126, 'p')), pod_end::stay, error_code::bad_pod_answer, "not well formed"},
    {server_frame(0x09, "in pieces"), pod_end::stay, error_code::bad_pod_answer, "not well formed"},
    {size_of_8(whole_binary, "\0\0\0\0\0\0\0\x05") + "hello", pod_end::stay, error_code::bad_pod_answer, "not well formed"},
    {size_of_8(whole_binary, "\0\0\0\x04\0\0\0\x01") + "hello", pod_end::stay, error_code::bad_pod_answer, "larger than 16 GiB"},
    {size_of_8(whole_binary, "\x80\0\0\0\0\0\0\x01") + "hello", pod_end::stay, error_code::bad_pod_answer, "not well formed"},
};

static void what_breaks_before_the_reply_is_a_failure(void **state)
{
    for (const broken_row &row : broken_rows) {
        talk k;
        k.pod.reply = row.frames;
        k.pod.then = row.then;
        run(world_of(state), k, "abc");
        test_false(k.has_head);
        bool is_of_protocol = row.code == error_code::bad_pod_answer;
        test_eq_enum(k.err.code, is_of_protocol ? row.code : error_code::pod_gone);
        test_has_text(is_of_protocol ? error_text(k.err) : k.text.c_str(), row.part);
        if (is_of_protocol && row.then == pod_end::stay)
            test_true(world_until(*k.w, [&] { return k.pod.closed_with == 1'002; }));
        talk_end(k);
    }
    talk k;
    k.pod.reply = server_frame(close_frame, "\x03\xf3too \"bad\"");
    run(world_of(state), k, "abc");
    test_eq_text(k.text, "ETL error: the pod closed its WebSocket without an answer (code 1011, \"too \\\"bad\\\"\")");
    talk_end(k);
    talk orphan;
    orphan.pod.reply = server_frame(last, "abc");
    run(world_of(state), orphan, "abc");
    test_has_text(error_text(orphan.err), "had not begun");
    talk_end(orphan);
}

// What has come is given, then the failure; the whole is never reached.
static void what_breaks_in_the_reply_fails_the_pull(void **state)
{
    const std::string begun = content_of(100'000);
    for (const broken_row &row : broken_rows) {
        talk k;
        k.pod.reply = server_frame(first_binary, begun) + row.frames;
        k.pod.then = row.then;
        run(world_of(state), k, "abc");
        if (row.then == pod_end::reset) { // what had not been read is lost with it
            test_true(bool(k.err));
            talk_end(k);
            continue;
        }
        test_true(k.has_head);
        test_true(k.body == begun);
        test_true(row.frames.starts_with(std::string(1, static_cast<char>(whole_binary)) + "\x7f") || k.err.code == row.code);
        test_true(bool(k.err));
        talk_end(k);
    }
    for (std::string frames : {server_frame(whole_text, "an error"), server_frame(first_binary, "another")}) {
        talk k;
        k.pod.reply = server_frame(first_binary, "begun") + frames;
        run(world_of(state), k, "abc");
        test_has_text(error_text(k.err), "inside another one");
        talk_end(k);
    }
    talk cut; // a frame that says its size, and is shorter
    cut.pod.reply = server_frame(whole_binary, begun).substr(0, 70'000);
    cut.pod.then = pod_end::close;
    run(world_of(state), cut, "abc");
    test_true(cut.has_length && cut.length == begun.size());
    test_true(cut.body.size() < begun.size());
    test_eq_enum(cut.err.code, error_code::end_of_stream);
    talk_end(cut);
}

// --- the upgrade

static void a_pod_that_does_not_agree_is_reported(void **state)
{
    struct {
        const char *refusal, *more_headers, *accept, *part;
    } rows[] = {
        {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "", "",
            "GET /ws with 404 Not Found: an ETL with communication_type ws:// needs a WebSocket server there"},
        {"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n", "", "", "426"},
        {"HTTP/1.0 501 Unsupported method\r\n\r\n<html>", "", "", "501"},
        {"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "", "", "needs a WebSocket server there"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "", "", "with 200 OK"},
        {"HTTP/1.1 307 Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n", "", "", "307"},
        {"HTTP/1.0 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "", "",
            "the pod's 101 answer to GET /ws is HTTP/1.0, and a WebSocket handshake needs HTTP/1.1"},
        {"", "", "bm90IHRoZSByaWdodCBvbmUhIQ==", "wrong Sec-WebSocket-Accept"},
        {"", "Sec-WebSocket-Extensions: permessage-deflate\r\n", "", "was not offered"},
        {"", "Sec-WebSocket-Protocol: chat\r\n", "", "was not offered"},
        {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", "", "",
            "101 answer to GET /ws has no Upgrade: websocket, or no Connection: Upgrade"},
        {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", "", "",
            "101 answer to GET /ws has no Upgrade: websocket, or no Connection: Upgrade"},
    };
    for (const auto &row : rows) {
        talk k;
        k.pod.refusal = row.refusal;
        k.pod.more_headers = row.more_headers;
        k.pod.accept = row.accept;
        run(world_of(state), k, "abc");
        test_eq_enum(k.err.code, error_code::bad_pod_answer);
        test_true(k.text.starts_with("ETL error: the pod answered") || k.text.starts_with("ETL error: the WebSocket handshake failed: "));
        test_has_text(k.text, row.part);
        talk_end(k);
    }
}

static void a_pod_in_trouble_says_so_itself(void **state)
{
    for (bool is_pulled : {true, false}) {
        talk k;
        k.pod.refusal = "HTTP/1.1 503 Busy\r\nRetry-After: 3\r\nContent-Length: 8\r\n\r\nnot now!";
        k.pulls = is_pulled;
        talk_begin(world_of(state), k, "abc");
        test_true(world_until(*k.w, [&] { return is_pulled ? k.is_over : k.has_head; }));
        test_eq(k.status, 503);
        test_eq_text(k.body, is_pulled ? "not now!" : "");
        talk_end(k);
    }
}

static void a_pod_that_is_not_there_or_silent(void **state)
{
    talk away;
    talk_begin(world_of(state), away, "abc", 10'000, false);
    test_true(world_until(*away.w, [&] { return away.is_over; }));
    test_eq_enum(away.err.code, error_code::refused);
    test_true(away.text.empty()); // it is tried again
    talk_end(away);
    talk silent;
    silent.pod.is_silent = true;
    run(world_of(state), silent, "abc", 50);
    test_eq_enum(silent.err.code, error_code::timed_out);
    talk_end(silent);
    talk half;
    half.pod.refusal = "HTTP/1.1 101 Switch";
    half.pod.then = pod_end::close;
    talk_begin(world_of(state), half, "abc");
    test_true(world_until(*half.w, [&] { return half.pod.conn != nullptr && !half.pod.head.empty(); }));
    pod_conn_end(*half.pod.conn);
    test_true(world_until(*half.w, [&] { return half.is_over; }));
    test_eq_enum(half.err.code, error_code::end_of_stream);
    test_eq_text(half.begun, "HTTP/1.1 101 Switch");
    talk_end(half);
}

// --- time

static void a_pod_without_a_reply_is_given_up(void **state)
{
    talk k;
    run(world_of(state), k, "abc", 3'000); // longer than a busy machine takes from the upgrade to the object
    test_eq_enum(k.err.code, error_code::timed_out);
    test_eq_text(error_text(k.err), "timeout: no answer");
    test_eq(k.pod.objects, 1);
    talk_end(k);
    talk pinging; // which is no progress
    for (int i = 0; i < 100; i++)
        pinging.pod.greeting += server_frame(ping_frame, "p");
    run(world_of(state), pinging, "abc", 50);
    test_eq_enum(pinging.err.code, error_code::timed_out);
    talk_end(pinging);
}

// The first at once, the last after a second, none of those between them.
static void a_storm_of_pings_gets_a_pong_a_second(void **state)
{
    talk k;
    for (int i = 0; i < 10'000; i++)
        k.pod.greeting += server_frame(ping_frame, "ping " + std::to_string(i));
    k.pod.reply = server_frame(whole_binary, "ok");
    k.pod.reply_at_pong = 2;
    run(world_of(state), k, "abc");
    test_ok(k.err);
    test_eq_text(k.body, "ok");
    test_eq(k.pod.pongs.size(), 2u);
    test_eq_text(k.pod.pongs[0], "ping 0");
    test_eq_text(k.pod.pongs[1], "ping 9999");
    talk_end(k);
}

// A pong goes between two frames of an object, not into one.
static void a_ping_is_answered_while_the_object_is_sent(void **state)
{
    talk k;
    k.pod.greeting = server_frame(ping_frame, "now");
    k.pod.echoes = true;
    const std::string content = content_of(9 * mib);
    run(world_of(state), k, content);
    test_ok(k.err);
    test_true(k.body == content);
    test_true(world_until(*k.w, [&] { return k.pod.pongs.size() == 1; }));
    talk_end(k);
}

// --- who gives up

static void it_may_be_cancelled_at_any_time(void **state)
{
    for (int turns = 0; turns < 40; turns++) {
        talk k;
        k.pod.reply = server_frame(first_binary, content_of(100'000));
        k.pod.greeting = turns % 2 == 0 ? "" : server_frame(ping_frame, "a") + server_frame(ping_frame, "b");
        talk_begin(world_of(state), k, content_of(1 * mib));
        for (int i = 0; i < turns / 2; i++)
            uv_env_poll(*k.w->e, 0);
        talk_end(k);
        test_false(k.is_over);
    }
    talk waiting;
    talk_begin(world_of(state), waiting, "abc");
    test_true(world_until(*waiting.w, [&] { return waiting.pod.objects == 1; }));
    talk_end(waiting);
    talk busy;
    busy.pod.refusal = "HTTP/1.1 500 Oh\r\nContent-Length: 10\r\n\r\nhalf";
    talk_begin(world_of(state), busy, "abc");
    test_true(world_until(*busy.w, [&] { return busy.has_head; }));
    talk_end(busy);
}

// --- the wire alone

static void keys_and_masks(void **)
{
    test_eq_text(websocket_accept_of("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="); // RFC 6455, 1.3
    rng random{1};
    test_true(websocket_key_make(random) != websocket_key_make(random));
    websocket_frames *frames = websocket_frames_make(random);
    std::string one, other;
    websocket_put(*frames, one, websocket_kind::binary, true, 3, "abc");
    websocket_put(*frames, other, websocket_kind::binary, true, 3, "abc");
    test_eq(one.size(), 9u);
    test_true(one.substr(2, 4) != other.substr(2, 4));
    websocket_frames_free(frames);
}

static void frames_are_read_however_they_are_cut(void **)
{
    std::string all = server_frame(first_binary, content_of(70'000)) + server_frame(ping_frame, "") + server_frame(more, content_of(200)) +
                      server_frame(last, content_of(130)) + server_frame(close_frame, "\x03\xe8");
    for (size_t piece : {size_t{1}, size_t{2}, size_t{3}, size_t{1'000}, all.size()}) {
        rng random{1};
        websocket_frames *frames = websocket_frames_make(random);
        std::string body;
        int pings = 0, ends = 0, closes = 0;
        for (size_t at = 0; at < all.size(); at += piece) {
            std::string_view input = std::string_view(all).substr(at, piece);
            for (websocket_taken taken = websocket_take(*frames, input); taken.kind != websocket_taken::what::none && closes == 0;
                 taken = closes == 0 ? websocket_take(*frames, input) : websocket_taken{}) {
                body += taken.kind == websocket_taken::what::data ? taken.bytes : std::string_view();
                pings += taken.kind == websocket_taken::what::ping;
                ends += taken.is_last;
                closes += taken.kind == websocket_taken::what::closed;
                test_true(taken.kind != websocket_taken::what::broken);
            }
        }
        test_true(body == content_of(70'000) + content_of(200) + content_of(130));
        test_eq(pings, 1);
        test_eq(ends, 1);
        test_eq(closes, 1);
        websocket_frames_free(frames);
    }
}

static void every_row_is_taken(void **) { check_rows_taken(transfer_mode_of(etl_mode::ws).machine()); }

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(objects_of_every_size_come_back, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(the_upgrade_says_what_it_must, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(fragments_are_one_reply, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(a_reply_may_come_early, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(a_second_reply_is_counted, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(a_text_is_an_error, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(what_breaks_before_the_reply_is_a_failure, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(what_breaks_in_the_reply_fails_the_pull, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(a_pod_that_does_not_agree_is_reported, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(a_pod_in_trouble_says_so_itself, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(a_pod_that_is_not_there_or_silent, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(a_pod_without_a_reply_is_given_up, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(a_storm_of_pings_gets_a_pong_a_second, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(a_ping_is_answered_while_the_object_is_sent, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(it_may_be_cancelled_at_any_time, world_set_up, world_tear_down),
        cmocka_unit_test(keys_and_masks),
        cmocka_unit_test(frames_are_read_however_they_are_cut),
        cmocka_unit_test(every_row_is_taken),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
