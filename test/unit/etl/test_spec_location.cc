// SPDX-License-Identifier: MIT
// Test of etl/spec_location: kubectl's words with locations in the user's spec.
#include "node_test.h"

#include "etl/spec_location.h"

using namespace etlnode;

static const char *spec = "apiVersion: v1\n"
                          "kind: Pod\n"
                          "metadata: {name: x}\n"
                          "spec:\n"
                          "  containers:\n"
                          "    - name: c\n"
                          "      img: i\n"
                          "      env:\n"
                          "        - {name: A, value: a}\n"
                          "        - name: B\n"
                          "          value: 8080\n"
                          "      resources: {limits: {cpu: 1}, requests: {cpu: 2}}\n";

static void places_stand_behind_paths(void **)
{
    struct {
        const char *words;
        const char *expected;
    } cases[] = {
        {"strict decoding error: unknown field \"spec.containers[0].img\"",
            "strict decoding error: unknown field \"spec.containers[0].img\" (line 7, column 7; did you mean image?)"},
        {"unknown field \"spec.containers[0].img\" (did you mean image?), unknown field \"spec.nodename\"",
            "unknown field \"spec.containers[0].img\" (line 7, column 7; did you mean image?), unknown field \"spec.nodename\" (line 4, "
            "column 1; did you mean nodeName?)"},
        {"The Pod \"x\" is invalid: spec.containers[0].resources.requests: Invalid value: \"2\": must be less",
            "The Pod \"x\" is invalid: spec.containers[0].resources.requests (line 12, column 37): Invalid value: \"2\": must be less"},
        {"The Pod \"x\" is invalid: \n* spec.containers[0].env[1].name: Invalid value\n* spec.containers[0].image: Required value",
            "The Pod \"x\" is invalid: \n* spec.containers[0].env[1].name (line 10, column 11): Invalid value\n* spec.containers[0].image "
            "(line 6, column 7): Required value"},
        // What the node added is not in the spec, so the location is that of the surrounding part.
        {"is invalid: spec.containers[0].env[7].name: Invalid value",
            "is invalid: spec.containers[0].env[7].name (line 8, column 7): Invalid value"},
        {"is invalid: spec.containers[0].resources.limits[cpu]: Invalid value",
            "is invalid: spec.containers[0].resources.limits[cpu] (line 12, column 28): Invalid value"},
        {"json: cannot unmarshal number into Go struct field EnvVar.spec.containers.env.value of type string",
            "json: cannot unmarshal number into Go struct field EnvVar.spec.containers.env.value of type string (line 11, column 18)"},
        // A quoted text is a value, not a path.
        {"is invalid: metadata.name: Invalid value: \"spec.x\": no",
            "is invalid: metadata.name (line 3, column 12): Invalid value: \"spec.x\": no"},
        {"the image is not there", "the image is not there"},
        {"spec.", "spec."},
        {"spec.containers[0", "spec.containers[0"},
        {"", ""},
    };
    for (const auto &one : cases)
        test_eq_text(spec_location_explain(one.words, spec), one.expected);
    test_eq_text(spec_location_explain("unknown field \"spec.x\"", "a: ["), "unknown field \"spec.x\"");
    test_eq_text(spec_location_explain("is invalid: spec.x: no", "[]"), "is invalid: spec.x (line 1, column 1): no");
}

static void near_keys_are_named(void **)
{
    yaml_ptr tree;
    std::string where;
    test_ok(yaml_parse("container: []\nvolume: []\n", tree, where));
    test_eq_text(spec_location_near(tree.get(), "PodSpec", "containers"), " (did you mean containers? line 1, column 1 says container)");
    test_eq_text(spec_location_near(tree.get(), "PodSpec", "nodeName"), "");
    test_eq_text(spec_location_near(nullptr, "PodSpec", "nodeName"), "");
}

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_stand_behind_paths),
        cmocka_unit_test(near_keys_are_named),
    };
    return cmocka_run_group_tests_name("etl_spec_location", tests, nullptr, nullptr);
}
