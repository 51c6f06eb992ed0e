// SPDX-License-Identifier: MIT
// test of kubectl_local/options and kubectl_local/selector: command lines and label queries.
#include "node_test.h"

#include "kubectl_local/options.h"
#include "kubectl_local/selector.h"

using namespace etlnode;
using namespace etlnode::kubectl_local;

static constexpr flag_spec globals[] = {{"namespace", 'n', flag_kind::text}, {"help", 'h', flag_kind::boolean}};
static constexpr flag_spec own[] = {{"output", 'o', flag_kind::text}, {"watch", 'w', flag_kind::boolean}, {"all", 'A', flag_kind::boolean}};

struct fixture {
    options o;
    std::string text;
    selector s;
    json_ptr labels;
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

static bool parse(fixture &f, std::vector<std::string> args, size_t stop = SIZE_MAX)
{
    return options_parse(args, globals, own, stop, f.o, f.text);
}

static void flags_stand_anywhere(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    test_true(parse(f, {"-n", "a", "pods", "-o=json", "x", "--watch", "--namespace=b"}));
    test_eq(f.o.words.size(), size_t{2});
    test_eq_text(f.o.words[1], "x");
    test_eq_text(options_text(f.o, "output", ""), "json");
    test_eq_text(options_text(f.o, "namespace", ""), "b"); // the later one wins
    test_true(options_bool(f.o, "watch", false));
    test_false(options_given(f.o, "all"));
}

static void letters_may_stand_together(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    test_true(parse(f, {"-Awojson"}));
    test_true(options_bool(f.o, "all", false));
    test_eq_text(options_text(f.o, "output", ""), "json");
    test_true(parse(f, {"-w=false", "--all=0"}));
    test_false(options_bool(f.o, "watch", true));
    test_false(options_bool(f.o, "all", true));
}

static void refusals_read_as_kubectls(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    test_false(parse(f, {"--zap"}));
    test_eq_text(f.text, "unknown flag: --zap");
    test_false(parse(f, {"--otput=json"}));
    test_eq_text(f.text, "unknown flag: --otput; did you mean --output?");
    test_false(parse(f, {"--al"})); // a hint never ends more than was asked for
    test_eq_text(f.text, "unknown flag: --al");
    test_false(parse(f, {"-z"}));
    test_eq_text(f.text, "unknown shorthand flag: 'z' in -z");
    test_false(parse(f, {"-n"}));
    test_eq_text(f.text, "flag needs an argument: 'n' in -n");
    test_false(parse(f, {"--watch=abc"}));
    test_eq_text(f.text, "invalid argument \"abc\" for \"-w, --watch\" flag: strconv.ParseBool: parsing \"abc\": invalid syntax");
}

static void words_after_the_end_are_no_flags(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    test_true(parse(f, {"a", "--", "--watch"}));
    test_eq_text(f.o.words[1], "--watch");
    test_true(parse(f, {"image", "dir", "/server", "--port", "80"}, 2));
    test_eq(f.o.words.size(), size_t{5});
    test_eq_text(f.o.words[3], "--port");
}

static bool matches(fixture &f, const char *query)
{
    test_true(selector_parse(query, f.s, f.text));
    return selector_matches(f.s, f.labels.get());
}

static void selectors_match(void **state)
{
    fixture &f = *static_cast<fixture *>(*state);
    f.labels.reset(cJSON_Parse("{\"a\":\"1\",\"etlnode/etl\":\"Xy\"}"));
    test_true(matches(f, ""));
    test_true(matches(f, "a=1"));
    test_true(matches(f, "a==1,etlnode/etl=Xy"));
    test_false(matches(f, "a=2"));
    test_true(matches(f, "a!=2"));
    test_true(matches(f, "b!=2")); // a missing label is different
    test_true(matches(f, "a"));
    test_false(matches(f, "!a"));
    test_true(matches(f, "!b"));
    test_true(matches(f, "a in (0, 1)"));
    test_false(matches(f, "a notin (0,1)"));
    test_true(matches(f, "a in (1),!b"));
    f.labels.reset();
    test_false(matches(f, "a"));
    test_true(matches(f, "!a"));
    for (const char *bad : {"=", "a=1,", "a in 1", "a in (1", "a=1 b", ",", "a b"})
        test_false(selector_parse(bad, f.s, f.text));
}

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(flags_stand_anywhere, setup, teardown),
        cmocka_unit_test_setup_teardown(letters_may_stand_together, setup, teardown),
        cmocka_unit_test_setup_teardown(refusals_read_as_kubectls, setup, teardown),
        cmocka_unit_test_setup_teardown(words_after_the_end_are_no_flags, setup, teardown),
        cmocka_unit_test_setup_teardown(selectors_match, setup, teardown),
    };
    return cmocka_run_group_tests_name("local_options", tests, nullptr, nullptr);
}
