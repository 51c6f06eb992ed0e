// SPDX-License-Identifier: MIT
// test/unit/etl/test_etl_message.cc: what an init message of today's clients may contain, and the location of each refusal.
#include "spec_fixture.h"

#include "base/limits.h"

using namespace etlnode;

// Today's message sets the communication type beside the Pod; the final value counts.
static void the_address_of_hpull_goes_with_the_message(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    for (const char *mode : {"hpull://", "hpush://"}) {
        bool is_good = mode[2] == 'u' && mode[3] == 'l';
        f.text = std::string(start) + "metadata:\n  name: abc\n  annotations: {hpull_address: node_port}\n" + std::string(tail);
        f.text = "{\"name\":\"abcdef\",\"communication\":\"" + std::string(mode) + "\",\"spec\":\"" + base64_encode(f.text) + "\"}";
        error err = etl_spec_parse_init(f.text, f.spec, f.reason);
        test_true(!err == is_good);
        if (is_good)
            test_eq_enum(f.spec.hpull_address, client_address::node_port);
        else
            test_has_text(
                f.reason, "spec: line 5, column 32: hpull_address is \"node_port\" and communication_type is hpush://, expected hpull://");
    }
}

struct message_case {
    const char *text;
    const char *reason; // null: accepted
    const char *warnings;
};
static constexpr message_case message_cases[] = {
    {R"({"name":"abcdef","communicaton":"hpull://","runtime":{"image":"i"}})",
        "line 1, column 18: unknown key \"communicaton\", expected communication", ""},
    {R"({"name":"abcdef","object_timeout":"3s","runtime":{"image":"i"}})", "unknown key \"object_timeout\", expected obj_timeout", ""},
    {R"({"name":"abcdef","wait_timeout":"3s","runtime":{"image":"i"}})", "unknown key \"wait_timeout\", expected init_timeout", ""},
    {R"({"name":"abcdef","runtme":{"image":"i"}})", "unknown key \"runtme\", expected runtime", ""},
    {R"({"name":"abcdef","runtime":{"imgae":"i"}})", "unknown key of runtime \"imgae\", expected image", ""},
    {R"({"name":"abcdef","runtime":{"image":"i","cmd":["x"]}})", "unknown key of runtime \"cmd\", expected command", ""},
    {R"({"name":"abcdef","runtime":{"image":"i","evn":[]}})", nullptr,
        "line 1, column 41: key of runtime \"evn\" is not known here and has no effect\n"},
    {R"({"NAME":"abcdef","Communication":"hrev://","Runtime":{"Image":"i","ENV":[]}})", nullptr, ""},
    {R"({"name":"abcdef","argument":"url","runtime":{"image":"i"},"resources":{}})", nullptr,
        "line 1, column 18: key \"argument\" is not known here and has no effect\n"},
};

static void keys_of_messages_are_known_near_or_warned_of(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    for (const message_case &c : message_cases) {
        error err = etl_spec_parse_init(c.text, f.spec, f.reason);
        if (!err != (c.reason == nullptr))
            test_fail("%s: %s", c.text, f.reason.c_str());
        if (c.reason != nullptr)
            test_has_text(f.reason, c.reason);
        else
            test_eq_text(warnings_text(f.spec), c.warnings);
    }
}

// AIStore's own templates contain placeholders, which its server ignores if the message sets the same choice.
static void a_message_decides_and_the_annotation_is_not_looked_at(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    std::string pod = std::string(start) +
                      "metadata:\n  name: abc\n  annotations:\n    communication_type: ${COMMUNICATION_TYPE:-\"\\\"hpush://\\\"\"}\n    "
                      "wait_timeout: ${WAIT}\n    support_direct_put: ${DIRECT_PUT}\n" +
                      std::string(tail);
    f.text = R"({"name":"abcdef","communication":"hrev://","init_timeout":"7s","spec":")" + base64_encode(pod) + "\"}";
    if (error err = etl_spec_parse_init(f.text, f.spec, f.reason))
        test_fail("%s", f.reason.c_str());
    test_eq_enum(f.spec.mode, etl_mode::hrev);
    test_eq(f.spec.wait_timeout_ms, 7'000u);
    test_false(f.spec.direct_put);
    f.text = R"({"name":"abcdef","spec":")" + base64_encode(pod) + "\"}";
    test_true(static_cast<bool>(etl_spec_parse_init(f.text, f.spec, f.reason)));
    test_has_text(f.reason, "spec: line 6, column 25: communication_type is \"${COMMUNICATION_TYPE");
}

static void a_runtime_becomes_a_pod(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    f.text =
        R"({"name":"hello-world","communication":"hpull","init_timeout":"5m","obj_timeout":"45s","support_direct_put":true,"argument":"fqn",
 "env":[{"name":"A","value":"1"}],"resources":{"limits":{"cpu":"2"}},
 "runtime":{"image":"aistorage/transformer_hello_world:latest","command":["uvicorn","fastapi_server:app"],"env":[{"name":"B","value":"2"},{"name":"C","valueFrom":{"fieldRef":{"fieldPath":"spec.nodeName"}}}]}})";
    error err = etl_spec_parse_init(f.text, f.spec, f.reason);
    if (err)
        test_fail("%s", f.reason.c_str());
    test_eq_text(f.spec.name, "hello-world");
    test_eq_enum(f.spec.mode, etl_mode::hpull);
    test_eq(f.spec.wait_timeout_ms, 300'000);
    test_eq(f.spec.container_port, 8000);
    test_true(f.spec.runtime_spec && f.spec.direct_put);
    test_eq_text(f.spec.pod_json,
        R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"hello-world","annotations":{"communication_type":"hpull://","wait_timeout":"5m0s","obj_timeout":"45s"}},)"
        R"("spec":{"containers":[{"name":"server","image":"aistorage/transformer_hello_world:latest","command":["uvicorn","fastapi_server:app"],)"
        R"("env":[{"name":"A","value":"1"},{"name":"B","value":"2"},{"name":"C","valueFrom":{"fieldRef":{"fieldPath":"spec.nodeName"}}}],)"
        R"("ports":[{"name":"default","containerPort":8000}],"readinessProbe":{"httpGet":{"path":"/health","port":8000},"periodSeconds":1,"timeoutSeconds":5},)"
        R"("resources":{"limits":{"cpu":"2"}}}]}})");
    // The result is a Pod spec like any other.
    f.text = f.spec.pod_json;
    test_ok(etl_spec_parse_pod(f.text, f.spec, f.reason));
    test_eq_text(f.spec.pod_json, f.text);
    test_ok(etl_spec_parse_init(
        R"({"name":"abcdef","init_timeout":"","obj_timeout":"0","communication":"","resources":{},"runtime":{"image":"x","command":null,"env":null}})",
        f.spec, f.reason));
    test_eq(f.spec.wait_timeout_ms, wait_timeout_default_ms);
    test_eq_enum(f.spec.mode, etl_mode::hpush);
    // Null means nothing for every field, and so does 0 for AIStore's durations.
    test_ok(etl_spec_parse_init(
        R"({"name":"abcdef","init_timeout":null,"obj_timeout":0,"communication":null,"resources":null,"env":null,"support_direct_put":null,"spec":null,"runtime":{"image":"x","command":null,"env":null}})",
        f.spec, f.reason));
}

static void a_pod_in_base64_is_overridden(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    f.text = R"({"name":"my-md5","communication":"hrev://","init_timeout":"2m","env":[{"name":"A","value":"1"}],"spec":")" +
             base64_encode(document_spec) + "\"}";
    error err = etl_spec_parse_init(f.text, f.spec, f.reason);
    if (err)
        test_fail("%s", f.reason.c_str());
    test_eq_text(f.spec.name, "my-md5");
    test_eq_enum(f.spec.mode, etl_mode::hrev);
    test_eq(f.spec.wait_timeout_ms, 120'000);
    test_false(f.spec.runtime_spec);
    test_has_text(f.spec.pod_json, R"("metadata":{"name":"my-md5")");
    test_has_text(f.spec.pod_json, R"("env":[{"name":"A","value":"1"}])");
    f.text = R"({"spec":")" + base64_encode(document_spec) + "\"}";
    test_ok(etl_spec_parse_init(f.text, f.spec, f.reason));
    test_eq_text(f.spec.name, "transformer-md5");
    test_eq(f.spec.wait_timeout_ms, 60'000); // from the annotation
    // Go's clients send the other half empty.
    f.text = R"({"runtime":{"image":"","command":null,"env":[]},"resources":{},"spec":")" + base64_encode(document_spec) + "\"}";
    test_ok(etl_spec_parse_init(f.text, f.spec, f.reason));
    test_eq_text(f.spec.name, "transformer-md5");
    test_false(f.spec.runtime_spec);
}

static constexpr bad_case bad_messages[] = {
    {"kind: Pod", "line 1, column 1: "},
    {"[]", "line 1, column 1: the message is a list"},
    {"{}", "line 1, column 1: neither runtime nor spec is given"},
    {R"({"runtime":{"image":"x"}})", "line 1, column 1: name is missing, expected 6 to 32 lower case letters"},
    {R"({"nmae":"abcdef","runtime":{"image":"x"}})",
        "beginning and ending with a letter or digit (did you mean name? line 1, column 2 says nmae)"},
    {R"({"name":"abcdef","spce":"eA=="})", "a Pod in base64 (did you mean spec? line 1, column 18 says spce)"},
    {R"({"name":"short","runtime":{"image":"x"}})", "line 1, column 9: name is \"short\""},
    {R"({"name":"With-Capitals","runtime":{"image":"x"}})", "line 1, column 9: name is"},
    {R"({"name":"ends-with-","runtime":{"image":"x"}})", "line 1, column 9: name is"},
    {R"({"name":"abcdefabcdefabcdefabcdefabcdefabc","runtime":{"image":"x"}})", "line 1, column 9: name is"},
    {"{\"name\":\"abcdef\",\n\"communication\":\"io\",\"runtime\":{\"image\":\"x\"}}",
        "line 2, column 17: communication is \"io\", which is not supported"},
    {R"({"name":"abcdef","init_timeout":"5","runtime":{"image":"x"}})", "init_timeout is \"5\", expected a duration"},
    {R"({"name":"abcdef","obj_timeout":5,"runtime":{"image":"x"}})", "obj_timeout is the number 5, expected a duration"},
    {R"({"name":"abcdef","runtime":{"command":["x"]}})", "runtime.image is missing, expected the name of an image"},
    {R"({"name":"abcdef","runtime":"x"})", "runtime is \"x\""},
    {R"({"name":"abcdef","runtime":{"image":"x","command":"y"}})", "runtime.command is \"y\", expected a list of texts"},
    {R"({"name":"abcdef","runtime":{"image":"x","command":["a",1]}})",
        "line 1, column 56: runtime.command[1] is the number 1, expected a text: put it in quotes"},
    {R"({"name":"abcdef","runtime":{"image":"x","env":[{"name":"A","value":1}]}})",
        "runtime.env[0].value (A) is the number 1, expected a text: put it in quotes"},
    {R"({"name":"abcdef","env":[{"value":"1"}],"runtime":{"image":"x"}})", "env[0].name is missing, expected a text without '='"},
    {R"({"name":"abcdef","env":["A=1"],"runtime":{"image":"x"}})", "env[0] is \"A=1\", expected {\"name\", \"value\"}"},
    {R"({"name":"abcdef","env":[{"NAME":"A"}],"runtime":{"image":"x"}})",
        "unknown key \"NAME\" of env[0], expected name, value or valueFrom"},
    {R"({"name":"abcdef","runtime":{"image":"x","env":[{"name":"A","valeu":"1"}]}})", "unknown key \"valeu\" of runtime.env[0]"},
    // both, and twice
    {R"({"name":"abcdef","runtime":{"image":"x"},"spec":"a2luZDogUG9k"})",
        "line 1, column 49: both runtime and spec are given, expected one of them"},
    {R"({"name":"abcdef","spec":"a2luZDogUG9k","runtime":{"command":["x"]}})", "both runtime and spec are given"},
    {R"({"name":"abcdef","NAME":"ghijkl","runtime":{"image":"x"}})",
        "line 1, column 18: key \"NAME\" repeats \"name\" (line 1, column 2), expected each key once"},
    {R"({"name":"abcdef","name":"ghijkl","runtime":{"image":"x"}})", "line 1, column "},
    {R"({"name":"abcdef","runtime":{"image":"x","Image":"y"}})", "key of runtime \"Image\" repeats \"image\""},
    {R"({"name":"abcdef","Spec":"","spec":"","runtime":{"image":"x"}})", "key \"spec\" repeats \"Spec\""},
    // fields of a container
    {R"({"name":"abcdef","runtime":{"image":"x","args":["y"]}})",
        "unknown key of runtime \"args\", expected command, which takes the arguments too"},
    {R"({"name":"abcdef","runtime":{"image":"x","resources":{}}})", "expected resources beside runtime, not in it"},
    {R"({"name":"abcdef","runtime":{"image":"x","ports":[]}})",
        "runtime.ports is a field of a container, not of a runtime, expected image, command and env"},
    {R"({"name":"abcdef","runtime":{"image":"x","workingDir":"/"}})", "runtime.workingDir is a field of a container"},
    // the wrong kind, even if the value is empty
    {R"({"name":"abcdef","init_timeout":[],"runtime":{"image":"x"}})", "line 1, column 33: init_timeout is a list, expected a duration"},
    {R"({"name":"abcdef","obj_timeout":{},"runtime":{"image":"x"}})", "obj_timeout is a mapping, expected a duration"},
    {R"({"name":"abcdef","obj_timeout":true,"runtime":{"image":"x"}})", "obj_timeout is the boolean true, expected a duration"},
    {R"({"name":"abcdef","communication":[],"runtime":{"image":"x"}})",
        "communication is a list, expected hpush://, hrev://, hpull:// or ws://"},
    {R"({"name":"abcdef","communication":7,"runtime":{"image":"x"}})", "communication is the number 7"},
    {R"({"name":"abcdef","support_direct_put":"yes","runtime":{"image":"x"}})", "support_direct_put is \"yes\", expected true or false"},
    {R"({"name":"abcdef","support_direct_put":[],"runtime":{"image":"x"}})", "support_direct_put is a list"},
    {R"({"name":"abcdef","env":"","runtime":{"image":"x"}})", "env is \"\", expected a list of"},
    {R"({"name":"abcdef","resources":[],"runtime":{"image":"x"}})", "resources is a list, expected {\"requests\", \"limits\"}"},
    {R"({"name":"abcdef","runtime":[],"spec":"a2luZDogUG9k"})", "runtime is a list, expected {\"image\""},
    {R"({"name":"abcdef","spec":{},"runtime":{"image":"x"}})", "spec is a mapping, expected a Pod spec in base64"},
    {R"({"name":"abcdef","spec":0})", "spec is the number 0"},
    {R"({"name":[],"runtime":{"image":"x"}})", "name is a list, expected 6 to 32"},
    {R"({"name":123456,"runtime":{"image":"x"}})", "name is the number 123456"},
    {R"({"name":"abcdef","runtime":{"image":[],"command":["x"]}})", "runtime.image is a list, expected the name of an image"},
    {R"({"name":"abcdef","runtime":{"image":"x","command":""}})", "runtime.command is \"\", expected a list of texts"},
    {R"({"name":"abcdef","runtime":{"image":"x","env":{}}})", "runtime.env is a mapping, expected a list of"},
    {R"({"name":"abcdef","env":{},"runtime":{"image":"x"}})", "env is a mapping"},
    {R"({"name":"abcdef","resources":"x","runtime":{"image":"x"}})", "resources is \"x\""},
    {R"({"name":"abcdef","spec":"not base64!"})", "line 1, column 25: spec is not base64"},
    {R"({"name":"abcdef","spec":"a2luZDogUG9k"})", "spec: line 1, column 1: apiVersion is missing"},
    {R"({"name":"abcdef","runtime":{"image":"x"},})", "line 1, column "},
};

static void bad_messages_say_where(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    for (const bad_case &c : bad_messages) {
        error err = etl_spec_parse_init(c.text, f.spec, f.reason);
        if (err.code != error_code::bad_spec)
            test_fail("accepted: %s", c.text);
        test_has_text(f.reason, c.reason);
    }
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_address_of_hpull_goes_with_the_message, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_of_messages_are_known_near_or_warned_of, setup, teardown),
        cmocka_unit_test_setup_teardown(a_message_decides_and_the_annotation_is_not_looked_at, setup, teardown),
        cmocka_unit_test_setup_teardown(a_runtime_becomes_a_pod, setup, teardown),
        cmocka_unit_test_setup_teardown(a_pod_in_base64_is_overridden, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_messages_say_where, setup, teardown),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
