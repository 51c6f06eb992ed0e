// SPDX-License-Identifier: MIT
// test/unit/etl/test_etl_spec.cc: what a spec may contain, and the location of each refusal.
#include "spec_fixture.h"

#include <cstdlib>
#include <ctime>

#include "base/limits.h"

using namespace etlnode;

static void the_documents_spec_is_read(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    test_ok(etl_spec_parse_pod(document_spec, f.spec, f.reason));
    test_eq_text(f.spec.name, "transformer-md5");
    test_eq_enum(f.spec.mode, etl_mode::hpush);
    test_eq(f.spec.wait_timeout_ms, 60'000);
    test_eq(f.spec.obj_timeout_ms, obj_timeout_default_ms);
    test_eq(f.spec.container_port, 80);
    test_false(f.spec.require_framing);
    test_false(f.spec.runtime_spec);
    test_eq_text(f.spec.pod_json,
        R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"transformer-md5","annotations":{"communication_type":"hpush://","wait_timeout":"1m"}},)"
        R"("spec":{"containers":[{"name":"server","image":"quay.io/user/md5_server:v1","ports":[{"containerPort":80}],)"
        R"("command":["/code/server.py","--listen","0.0.0.0","--port","80"],"readinessProbe":{"tcpSocket":{"port":80},"periodSeconds":1}}]}})");
    // The same spec as JSON gives the same result.
    f.text = f.spec.pod_json;
    test_ok(etl_spec_parse_pod(f.text, f.spec, f.reason));
    test_eq_text(f.spec.pod_json, f.text);
}

struct good_case {
    const char *annotations; // JSON
    etl_mode mode;
    uint64_t wait_ms, object_ms;
    bool framing;
};
static constexpr good_case good_cases[] = {
    {"{}", etl_mode::hpush, 45'000, 45'000, false},
    {R"({"communication_type":""})", etl_mode::hpush, 45'000, 45'000, false},
    {R"({"communication_type":"hrev"})", etl_mode::hrev, 45'000, 45'000, false},
    {R"({"communication_type":"ws"})", etl_mode::ws, 45'000, 45'000, false},
    {R"({"communication_type":"ws://"})", etl_mode::ws, 45'000, 45'000, false},
    {R"({"communication_type":"hpull://","wait_timeout":"1h30m","obj_timeout":"500ms"})", etl_mode::hpull, 5'400'000, 500, false},
    {R"({"communication_type":"hrev://","require_framing":"true"})", etl_mode::hrev, 45'000, 45'000, true},
    {R"({"require_framing":"No","support_direct_put":"true","other":"x","nothing":null,"wait_timeout":null})", etl_mode::hpush, 45'000,
        45'000, false},
};

static void annotations_are_read(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    for (const good_case &c : good_cases) {
        f.text = std::string(start) + "metadata:\n  name: abc\n  annotations: " + c.annotations + "\n" + std::string(tail);
        error err = etl_spec_parse_pod(f.text, f.spec, f.reason);
        if (err)
            test_fail("%s: %s", c.annotations, f.reason.c_str());
        test_eq_enum(f.spec.mode, c.mode);
        test_eq(f.spec.wait_timeout_ms, c.wait_ms);
        test_eq(f.spec.obj_timeout_ms, c.object_ms);
        test_true(f.spec.require_framing == c.framing);
    }
}

struct address_case {
    const char *annotations; // JSON
    client_address address;
    const char *reason; // null: accepted
};
static constexpr address_case address_cases[] = {
    {R"({"communication_type":"hpull://"})", client_address::pod_ip, nullptr},
    {R"({"communication_type":"hpull://","hpull_address":"pod_ip"})", client_address::pod_ip, nullptr},
    {R"({"communication_type":"hpull://","hpull_address":"PodIP"})", client_address::pod_ip, nullptr},
    {R"({"hpull_address":"pod_ip"})", client_address::pod_ip, nullptr},
    {R"({"hpull_address":null})", client_address::pod_ip, nullptr},
    {R"({"communication_type":"hpull://","hpull_address":"node_port"})", client_address::node_port, nullptr},
    {R"({"hpull_address":"NodePort","communication_type":"hpull"})", client_address::node_port, nullptr},
    {R"({"hpull_address":"NODE_PORT","communication_type":"hpull"})", client_address::node_port, nullptr},
    {R"({"hpull_address":""})", client_address::pod_ip, "line 5, column 33: hpull_address is \"\", expected \"pod_ip\" or \"node_port\""},
    {R"({"hpull_address":"node port"})", client_address::pod_ip, "line 5, column 33: hpull_address is \"node port\""},
    {R"({"hpull_address":"node_port"})", client_address::pod_ip,
        "line 5, column 33: hpull_address is \"node_port\" and communication_type is hpush://, expected hpull://: only that sends "
        "clients to the pod"},
    {R"({"hpull_address":"NodePort","communication_type":"hrev://"})", client_address::pod_ip,
        "and communication_type is hrev://, expected hpull://"},
};

static void the_address_of_hpull_is_read(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    for (const address_case &c : address_cases) {
        f.text = std::string(start) + "metadata:\n  name: abc\n  annotations: " + c.annotations + "\n" + std::string(tail);
        error err = etl_spec_parse_pod(f.text, f.spec, f.reason);
        if (!err != (c.reason == nullptr))
            test_fail("%s: %s", c.annotations, f.reason.c_str());
        if (c.reason != nullptr)
            test_has_text(f.reason, c.reason);
        else
            test_eq_enum(f.spec.hpull_address, c.address);
    }
}

static void unknown_things_pass_untouched(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    f.text = std::string(start) + R"(metadata:
  name: a.b-c
  namespace: default
  labels: {app: x}
spec:
  affinity: {}
  nodeSelector:
  somethingNew: {deep: [1, 2.5, yes, 9007199254740993]}
  initContainers:
  - {name: setup, image: i, env: [{name: A, value: b}]}
  containers:
  - name: s
    image: i
    ports: [{name: default, containerPort: 0120, protocol: TCP, hostPort: 9}]
    readinessProbe: {httpGet: {path: /health, port: default}}
    env:
)";
    error err = etl_spec_parse_pod(f.text, f.spec, f.reason);
    if (err)
        test_fail("%s", f.reason.c_str());
    test_eq(f.spec.container_port, 80);
    test_has_text(f.spec.pod_json, R"("somethingNew":{"deep":[1,2.5,true,9007199254740993]})");
    test_has_text(f.spec.pod_json, R"("readinessProbe":{"httpGet":{"path":"/health","port":"default"}})");
    test_eq_text(f.spec.name, "a.b-c");
}

static constexpr bad_case bad_cases[] = {
    {"!", "line 1, column 1: "},
    {"!a: [1, 2", "line 1, column "},
    {"!a: b\n  c\nd", "line 4, column 1: could not find expected ':'"},
    {"!just words", "line 1, column 1: the document is \"just words\", expected a Pod"},
    {"!- kind: Pod", "line 1, column 1: the document is a list, expected a Pod"},
    {"!42", "line 1, column 1: the document is the number 42, expected a Pod"},
    {"!apiVersion: v1\nmetadata: {}\n", "line 1, column 1: kind is missing, expected kind: Pod"},
    {"!apiVersion: v1\nknd: Pod\n", "kind is missing, expected kind: Pod (did you mean kind? line 2, column 1 says knd)"},
    {"!kind: Pod\napiversion: v1\n", "expected apiVersion: v1 (did you mean apiVersion? line 2, column 1 says apiversion)"},
    {"!apiVersion: v1\nkind: Deployment\n", "line 2, column 7: kind is \"Deployment\", expected kind: Pod"},
    {"!kind: Pod\n", "line 1, column 1: apiVersion is missing, expected apiVersion: v1"},
    {"!kind: Pod\napiVersion: apps/v1", "line 2, column 13: apiVersion is \"apps/v1\", expected apiVersion: v1"},
    {"!{\"kind\": \"Pod\",\n \"apiVersion\": \"v1\",\n \"metadata\": 5}",
        "line 3, column 14: metadata is the number 5, expected a mapping with a name"},
    {"!{\"kind\": \"Pod\",\n \"kind\": \"Pod\"}", "line 2, column 2: "},
    {"!{\"kind\": \"Pod\",\n", "line "},
    {"metadata: {name: a}\nmetadata: {name: b}\n", "line 4, column 1: "},
    {"metadata: {name: a}\n---\nkind: Pod\n", "line "},
    {"spec: {}", "line 1, column 1: metadata is missing, expected a mapping with a name"},
    {"metdata: {name: a}\n", "a mapping with a name (did you mean metadata? line 3, column 1 says metdata)"},
    {"metadata: {nmae: a}\n", "(did you mean name? line 3, column 12 says nmae)"},
    {"metadata: {name: a}\nspce: {}\n", "a mapping with containers (did you mean spec? line 4, column 1 says spce)"},
    {"metadata:\n  labels: {}\n", "line 4, column 3: metadata.name is missing, expected a text of lower case letters, digits and '-'"},
    {"metadata: {name: Upper}\n", "line 3, column 18: metadata.name is \"Upper\""},
    {"metadata: {name: 123}\n", "line 3, column 18: metadata.name is the number 123"},
    {"metadata: {name: -a}\n", "line 3, column 18: metadata.name is \"-a\""},
    {"metadata: {name: a..b}\n", "line 3, column 18: metadata.name is \"a..b\""},
    {"metadata: {name: a_b}\n", "metadata.name is \"a_b\""},
    {"metadata: {name: a, namespace: kube-system}\n", "line 3, column 32: metadata.namespace is \"kube-system\", expected none"},
    {"metadata: {name: a, labels: []}\n", ""},
    {"metadata: {name: a, labels: [x]}\n", "line 3, column 29: metadata.labels is a list, expected a mapping"},
    {"metadata: {name: a, ownerReferences: {}}\n", "metadata.ownerReferences is a mapping, expected a list"},
    {"metadata: {name: a, annotations: [x]}\n", "line 3, column 34: metadata.annotations is a list, expected a mapping"},
    {"metadata:\n  name: a\n  annotations:\n    communication_type: hpusch://\n",
        "line 6, column 25: communication_type is \"hpusch://\", expected hpush://, hrev://, hpull:// or ws:// (did you mean "
        "hpush://?)"},
    {"metadata:\n  name: a\n  annotations:\n    communication_type: io://\n",
        "line 6, column 25: communication_type is \"io://\", which is not supported, expected hpush://, hrev://, hpull:// or "
        "ws://"},
    {"metadata:\n  name: a\n  annotations:\n    communication_type: 7\n",
        "line 6, column 25: annotation communication_type is the number 7, expected a text: put it in quotes"},
    {"metadata:\n  name: a\n  annotations:\n    wait_timeout: 30\n",
        "line 6, column 19: annotation wait_timeout is the number 30, expected a text: put it in quotes"},
    {"metadata:\n  name: a\n  annotations:\n    wait_timeout: '30'\n",
        "line 6, column 19: wait_timeout is \"30\", expected a duration above 0 and up to 24h0m0s, such as \"30s\" or \"1m30s\""},
    {"metadata:\n  name: a\n  annotations:\n    comunication_type: hrev://\n",
        "line 6, column 5: unknown annotation \"comunication_type\", expected communication_type"},
    {"metadata:\n  name: a\n  annotations:\n    object_timeout: 1s\n",
        "line 6, column 5: unknown annotation \"object_timeout\", expected obj_timeout"},
    {"metadata:\n  name: a\n  annotations:\n    Wait_Timeout: 1s\n",
        "line 6, column 5: unknown annotation \"Wait_Timeout\", expected wait_timeout"},
    {"metadata:\n  name: a\n  annotations:\n    init_timeout:\n",
        "line 6, column 5: unknown annotation \"init_timeout\", expected wait_timeout"},
    {"metadata:\n  name: a\n  annotations:\n    require-framing: 'true'\n",
        "unknown annotation \"require-framing\", expected require_framing"},
    {"metadata:\n  name: a\n  annotations:\n    hpull_adress: node_port\n", "unknown annotation \"hpull_adress\", expected hpull_address"},
    {"metadata:\n  name: a\n  annotations:\n    wait_timeout: -5s\n", "line 6, column 19: wait_timeout is \"-5s\""},
    {"metadata:\n  name: a\n  annotations:\n    wait_timeout: 25h\n", "line 6, column 19: wait_timeout is \"25h\""},
    {"metadata:\n  name: a\n  annotations:\n    wait_timeout: soon\n", "line 6, column 19: wait_timeout is \"soon\""},
    {"metadata:\n  name: a\n  annotations:\n    obj_timeout: 1 m\n", "line 6, column 18: obj_timeout is \"1 m\""},
    {"metadata:\n  name: a\n  annotations:\n    require_framing: true\n",
        "line 6, column 22: annotation require_framing is the boolean true, expected a text: put it in quotes"},
    {"metadata:\n  name: a\n  annotations:\n    reuse_connections: never\n",
        "line 6, column 24: reuse_connections is \"never\", expected \"true\" or \"false\""},
    {"metadata:\n  name: a\n  annotations:\n    require_framing: maybe\n",
        "line 6, column 22: require_framing is \"maybe\", expected \"true\" or \"false\""},
    {"metadata:\n  name: a\n  annotations:\n    hpull_address: host\n",
        "line 6, column 20: hpull_address is \"host\", expected \"pod_ip\" or \"node_port\""},
    {"metadata:\n  name: a\n  annotations:\n    hpull_address: 30000\n",
        "line 6, column 20: annotation hpull_address is the number 30000, expected a text"},
    {"metadata:\n  name: a\n  annotations:\n    other: {}\n", "line 6, column 12: annotation other is a mapping, expected a text"},
    {"metadata: {name: a}\n", "line 1, column 1: spec is missing, expected a mapping with containers"},
    {"metadata: {name: a}\nspec: x\n", "line 4, column 7: spec is \"x\", expected a mapping with containers"},
    {"metadata: {name: a}\nspec:\n  nodeName: n\n", "line 5, column 3: spec.nodeName is set, expected none"},
    {"metadata: {name: a}\nspec:\n  nodeSelector: {a: b}\n", "line 5, column 3: spec.nodeSelector is set, expected none"},
    {"metadata: {name: a}\nspec:\n  affinity: {nodeAffinity: {}}\n",
        "line 5, column 3: spec.affinity is set, expected none: each target runs its pod on its own node"},
    {"metadata: {name: a}\nspec:\n  restartPolicy: Always\n", "line 5, column 3: the pod has no containers, expected exactly one"},
    {"metadata: {name: a}\nspec:\n  containers: []\n", "line 5, column 15: the pod has no containers, expected exactly one"},
    {"metadata: {name: a}\nspec:\n  containers: {}\n", "line 5, column 15: spec.containers is a mapping, expected a list"},
    {"metadata: {name: a}\nspec:\n  containers:\n  - name: a\n  - name: b\n",
        "line 7, column 5: the pod has 2 containers, expected exactly one"},
    {"metadata: {name: a}\nspec:\n  containers:\n  - x\n", "line 6, column 5: the container is \"x\", expected a mapping"},
    {"metadata: {name: a}\nspec:\n  containers:\n  - name: a\n", "line 6, column 5: the container has no ports, expected exactly one port"},
    {"metadata: {name: a}\nspec:\n  containers:\n  - ports: []\n", "line 6, column 12: the container has no ports"},
    {"metadata: {name: a}\nspec:\n  containers:\n  - ports: 80\n", "line 6, column 12: ports is the number 80, expected a list"},
    {"metadata: {name: a}\nspec:\n  containers:\n  - ports:\n    - containerPort: 80\n    - containerPort: 81\n",
        "line 8, column 7: the container has 2 ports, expected exactly one port"},
    {"metadata: {name: a}\nspec:\n  containers:\n  - ports:\n    - 80\n",
        "line 7, column 7: the port is the number 80, expected a mapping such as containerPort: 80"},
    {"metadata: {name: a}\nspec:\n  containers:\n  - ports:\n    - name: default\n",
        "line 7, column 7: containerPort is missing, expected a whole number from 1 to 65535"},
    {"metadata: {name: a}\nspec:\n  containers:\n  - ports:\n    - containerPort: '80'\n",
        "line 7, column 22: containerPort is \"80\", expected a whole number from 1 to 65535"},
    {"metadata: {name: a}\nspec:\n  containers:\n  - ports:\n    - containerPort: 0\n", "line 7, column 22: containerPort is the number 0"},
    {"metadata: {name: a}\nspec:\n  containers:\n  - ports:\n    - containerPort: 65536\n",
        "line 7, column 22: containerPort is the number 65536"},
    {"metadata: {name: a}\nspec:\n  containers:\n  - ports:\n    - containerPort: 80.5\n",
        "line 7, column 22: containerPort is the number 80.5"},
    {"metadata: {name: a}\nspec:\n  containers:\n  - ports:\n    - containerPort: -80\n",
        "line 7, column 22: containerPort is the number -80"},
    {"metadata: {name: a}\nspec:\n  containers:\n  - ports:\n    - {containerPort: 80, protocol: UDP}\n",
        "line 7, column 37: protocol is \"UDP\", expected TCP"},
    {"metadata: {name: a}\nspec:\n  containers:\n  - ports: [{containerPort: 80}]\n    env: {A: b}\n",
        "line 7, column 10: env is a mapping, expected a list"},
    {"metadata: {name: a}\nspec:\n  containers:\n  - ports: [{containerPort: 80}]\n    env: [A]\n",
        "line 7, column 11: a variable is \"A\", expected name and value"},
    {"metadata: {name: a}\nspec:\n  containers:\n  - ports: [{containerPort: 80}]\n    env: [{name: 5}]\n",
        "line 7, column 18: the name of a variable is the number 5"},
    {"metadata: {name: a}\nspec:\n  containers:\n  - ports: [{containerPort: 80}]\n    readinessProbe: yes\n",
        "line 7, column 21: readinessProbe is the boolean yes, expected a mapping"},
    {"metadata: {name: a}\nspec:\n  terminationGracePeriodSeconds: long\n  containers:\n  - ports: [{containerPort: 80}]\n",
        "line 5, column 34: terminationGracePeriodSeconds is \"long\", expected a whole number"},
    {"metadata: {name: a}\nspec:\n  initContainers: x\n  containers:\n  - ports: [{containerPort: 80}]\n",
        "line 5, column 19: spec.initContainers is \"x\", expected a list"},
    {"metadata: {name: a}\nspec:\n  initContainers: [x]\n  containers:\n  - ports: [{containerPort: 80}]\n",
        "line 5, column 20: an init container is \"x\", expected a mapping"},
};

static void every_rejection_says_where(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    for (const bad_case &c : bad_cases) {
        f.text = c.text[0] == '!' ? std::string(c.text + 1) : std::string(start) + c.text;
        error err = etl_spec_parse_pod(f.text, f.spec, f.reason);
        if (err.code != error_code::bad_spec)
            test_fail("accepted:\n%s", f.text.c_str());
        test_has_text(f.reason, "line ");
        test_has_text(f.reason, c.reason);
    }
}

static void unknown_annotations_are_warned_of_and_prefixed_ones_are_not_ours(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    f.text = std::string(start) +
             "metadata:\n  name: a\n  annotations:\n    team: vision\n    example.org/comunication_type: hrev://\n    "
             "prometheus.io/scrape: 'true'\n    wait_timeout: ''\n    obj_timeout: '0'\n" +
             std::string(tail);
    if (error err = etl_spec_parse_pod(f.text, f.spec, f.reason))
        test_fail("%s", f.reason.c_str());
    test_eq_text(warnings_text(f.spec), "line 6, column 5: annotation \"team\" is not known here and has no effect\n");
    test_eq(f.spec.wait_timeout_ms, wait_timeout_default_ms); // "" and 0 mean the default, as in AIStore's servers
    test_eq(f.spec.obj_timeout_ms, obj_timeout_default_ms);
}

static void warnings_are_bounded(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    f.text = std::string(start) + "metadata:\n  name: a\n  annotations:\n";
    for (int i = 0; i < 1000; i++)
        f.text += "    note" + std::to_string(i) + ": " + std::string(200, 'x') + "\n";
    f.text += tail;
    if (error err = etl_spec_parse_pod(f.text, f.spec, f.reason))
        test_fail("%s", f.reason.c_str());
    test_eq(f.spec.warnings.size(), warnings_max);
    test_has_text(f.spec.warnings.back(), "further warnings");
}

// TEST_SLOWER: how many times slower than usual this run is, for example under valgrind.
static uint64_t cpu_ms()
{
    const char *slower = std::getenv("TEST_SLOWER");
    return static_cast<uint64_t>(std::clock()) * 1000 / CLOCKS_PER_SEC / (slower != nullptr ? std::strtoull(slower, nullptr, 10) : 1);
}

static void hostile_specs_are_refused_quickly(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    for (int kind = 0; kind < 5; kind++) {
        f.text = std::string(start) + "metadata: {name: a}\n";
        if (kind == 0) { // 2 MiB
            f.text += "x: " + std::string(2 * mib, 'a') + "\n";
        } else if (kind == 1) { // 10,000 aliases
            f.text += "a: &a [1, 2]\nb: [";
            for (int i = 0; i < 10'000; i++)
                f.text += "*a, ";
            f.text += "1]\n";
        } else if (kind == 2) { // each level doubles
            f.text += "l0: &l0 [x]\n";
            for (int i = 1; i < 40; i++)
                f.text += "l" + std::to_string(i) + ": &l" + std::to_string(i) + " [*l" + std::to_string(i - 1) + ", *l" +
                          std::to_string(i - 1) + "]\n";
        } else if (kind == 3) { // deep
            f.text += "d: " + std::string(50'000, '[') + std::string(50'000, ']') + "\n";
        } else { // deep JSON
            f.text = std::string(100'000, '[') + std::string(100'000, ']');
            f.text = "{\"a\": " + f.text + "}";
        }
        uint64_t begun = cpu_ms();
        error err = etl_spec_parse_pod(f.text, f.spec, f.reason);
        uint64_t took = cpu_ms() - begun;
        test_eq_enum(err.code, error_code::bad_spec);
        test_has_text(f.reason, "line ");
        if (took > 1'000) // the goal is 100 ms; this may be a sanitizer build on a busy machine
            test_fail("kind %d took %llu ms", kind, static_cast<unsigned long long>(took));
    }
}

static void random_damage_never_breaks_it(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    uint64_t seed = 42;
    for (int i = 0; i < 3'000; i++) {
        f.text = document_spec;
        for (int j = 0; j < 3; j++) {
            seed = seed * 6364136223846793005ull + 1442695040888963407ull;
            size_t at = static_cast<size_t>(seed >> 33) % f.text.size();
            f.text[at] = "\n: -{}[]&*'\"#|>%@\t0aZ\xff"[(seed >> 20) % 23];
        }
        if (etl_spec_parse_pod(f.text, f.spec, f.reason))
            test_has_text(f.reason, "line ");
        if (etl_spec_parse_init(f.text, f.spec, f.reason))
            test_has_text(f.reason, "line ");
    }
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_documents_spec_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(annotations_are_read, setup, teardown),
        cmocka_unit_test_setup_teardown(the_address_of_hpull_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_things_pass_untouched, setup, teardown),
        cmocka_unit_test_setup_teardown(every_rejection_says_where, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_annotations_are_warned_of_and_prefixed_ones_are_not_ours, setup, teardown),
        cmocka_unit_test_setup_teardown(warnings_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(hostile_specs_are_refused_quickly, setup, teardown),
        cmocka_unit_test_setup_teardown(random_damage_never_breaks_it, setup, teardown),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
