// SPDX-License-Identifier: MIT
// test/unit/kube/test_watch_stream.cc: the splitter gives the same objects whatever the pieces.
#include "node_test.h"

#include "base/limits.h"
#include "kube/watch_stream.h"

using namespace etlnode;

// As kubectl prints it: indented, one object after the other.
static constexpr std::string_view output = R"({
    "type": "ADDED",
    "object": {
        "metadata": {"name": "p1", "annotations": {"odd": "}}{{ \" \\"}, "labels": {}}
    }
}
{"type":"MODIFIED","object":{"metadata":{"name":"p1"},"status":{"phase":"Running"}}}{"type":"DELETED","object":{"metadata":{"name":"p1"}}}
)";

struct fixture {
    watch_stream stream;
    std::vector<std::string> objects;
    std::vector<std::string> expected;
    std::string text;
    watch_event event;
};

static int setup(void **state)
{
    *state = new fixture;
    return 0;
}
static int teardown(void **state)
{
    delete static_cast<fixture *>(*state);
    return 0;
}

static void any_split_gives_the_same(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    test_ok(watch_stream_feed(f.stream, output, f.expected));
    test_eq(f.expected.size(), 3);
    test_eq(f.stream.pending.size(), 0);
    for (size_t first = 0; first <= output.size(); first++) {
        for (size_t second : {first, (first + output.size()) / 2, output.size()}) {
            watch_stream_reset(f.stream);
            f.objects.clear();
            test_ok(watch_stream_feed(f.stream, output.substr(0, first), f.objects));
            test_ok(watch_stream_feed(f.stream, output.substr(first, second - first), f.objects));
            test_ok(watch_stream_feed(f.stream, output.substr(second), f.objects));
            test_true(f.objects == f.expected);
        }
    }
    watch_stream_reset(f.stream);
    f.objects.clear();
    for (char c : output)
        test_ok(watch_stream_feed(f.stream, std::string_view(&c, 1), f.objects));
    test_true(f.objects == f.expected);
}

static void events_are_read(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    test_ok(watch_stream_feed(f.stream, output, f.objects));
    test_ok(watch_event_parse(f.objects[0], f.event, f.text));
    test_eq_enum(f.event.type, watch_event_type::added);
    test_eq_text(f.event.pod.name, "p1");
    test_ok(watch_event_parse(f.objects[1], f.event, f.text));
    test_eq_enum(f.event.type, watch_event_type::modified);
    test_eq_text(f.event.pod.phase, "Running");
    test_ok(watch_event_parse(f.objects[2], f.event, f.text));
    test_eq_enum(f.event.type, watch_event_type::deleted);
    test_ok(watch_event_parse(R"({"type":"BOOKMARK","object":{}})", f.event, f.text));
    test_eq_enum(f.event.type, watch_event_type::bookmark);
    test_ok(watch_event_parse(R"({"type":"ERROR","object":{"message":"too old resource version"}})", f.event, f.text));
    test_eq_enum(f.event.type, watch_event_type::failed);
    test_has_text(f.event.message, "too old");
}

static void damaged_output_is_refused(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    test_true(static_cast<bool>(watch_stream_feed(f.stream, "NAME READY\n", f.objects)));
    test_true(static_cast<bool>(watch_stream_feed(f.stream, "{}", f.objects)));
    watch_stream_reset(f.stream);
    test_ok(watch_stream_feed(f.stream, "{}", f.objects));
    test_true(static_cast<bool>(watch_event_parse("{}", f.event, f.text)));
    test_true(static_cast<bool>(watch_event_parse(R"({"type":"ADDED","object":{"metadata":{}}})", f.event, f.text)));
    test_true(static_cast<bool>(watch_event_parse(R"({"type":"SHOUTED","object":{"metadata":{"name":"x"}}})", f.event, f.text)));
    test_true(static_cast<bool>(watch_event_parse(R"({"type":"ADDED",)", f.event, f.text)));
}

static void one_event_is_bounded(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    f.text = "{\"a\":\"" + std::string(mib, 'x');
    test_ok(watch_stream_feed(f.stream, f.text, f.objects));
    f.text = std::string(mib, 'x');
    error err;
    for (size_t i = 0; i < 4 && !err; i++)
        err = watch_stream_feed(f.stream, f.text, f.objects);
    test_eq_enum(err.code, error_code::body_too_large);
    test_eq(f.stream.pending.size(), 0);
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(any_split_gives_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(events_are_read, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_output_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(one_event_is_bounded, setup, teardown),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
