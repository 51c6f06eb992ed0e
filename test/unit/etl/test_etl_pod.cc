// SPDX-License-Identifier: MIT
// test/unit/etl/test_etl_pod.cc: the pods that are created, as golden files in test/golden/pods (UPDATE=1 rewrites them), and their names.
#include "node_test.h"

#include <cstdlib>

#include "base/limits.h"
#include "codec/yaml.h"
#include "document_spec.h"
#include "etl/etl_service.h"
#include "etl/etl_spec.h"
#include "etl/spec_tree.h"
#include "golden.h"

using namespace etlnode;

struct pod_case {
    const char *name; // of the golden file
    const char *spec;
    bool on_kubernetes; // with a node name and an owner
    pod_security security = pod_security::baseline;
};

// A spec that confines itself in its own way, and requests more elsewhere.
static constexpr const char *confined_spec = R"(apiVersion: v1
kind: Pod
metadata: {name: confined}
spec:
  securityContext: {runAsUser: 1000, seccompProfile: {type: Localhost, localhostProfile: p.json}, sysctls: [{name: net.ipv4.tcp_syncookies, value: "1"}]}
  initContainers:
  - {name: owns, image: i, securityContext: {privileged: true}}
  - {name: mounts, image: i, securityContext: {capabilities: {add: [CAP_SYS_ADMIN]}}}
  - {name: nothing, image: i, securityContext: {capabilities: {drop: []}, allowPrivilegeEscalation: true, runAsNonRoot: false}}
  - {name: wrong, image: i, securityContext: [what, is, this]}
  containers:
  - name: s
    image: i
    ports: [{containerPort: 80}]
    resources: {requests: {cpu: 100m, memory: 64Mi}, limits: {memory: 128Mi}}
    securityContext: {capabilities: {add: [NET_RAW]}, readOnlyRootFilesystem: true}
)";

static constexpr pod_case cases[] = {
    {"document", document_spec, true},
    {"document_restricted", document_spec, true, pod_security::restricted},
    {"document_off", document_spec, true, pod_security::off},
    {"confined_baseline", confined_spec, false},
    {"confined_restricted", confined_spec, false, pod_security::restricted},
    {"host_restricted",
        R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"t"},"spec":{"hostNetwork":true,"securityContext":{"runAsNonRoot":false},"containers":[{"name":"s","image":"i","ports":[{"containerPort":80}]}]}})",
        false, pod_security::restricted},
    {"windows",
        R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"t"},"spec":{"os":{"name":"windows"},"containers":[{"name":"s","image":"i","ports":[{"containerPort":8000}]}]}})",
        false, pod_security::restricted},
    {"local",
        R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"t"},"spec":{"containers":[{"name":"s","image":"i","ports":[{"containerPort":80}]}]}})",
        false},
    // The user's spec sets the same fields: the target's values win where they must, the user's where they may.
    {"everything_set", R"(apiVersion: v1
kind: Pod
metadata:
  name: busy
  namespace: default
  generateName: x-
  labels: {app: mine, etlnode/target: forged, app.kubernetes.io/name: forged}
  annotations: {etlnode/generation: forged, note: "kept"}
  ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: c, uid: u}]
spec:
  affinity: {}
  automountServiceAccountToken: true
  terminationGracePeriodSeconds: 30
  initContainers:
  - {name: setup, image: i, env: [{name: AIS_TARGET_URL, value: forged}]}
  - {name: more, image: i}
  containers:
  - name: s
    image: i
    ports: [{containerPort: 8000, name: default}]
    readinessProbe: {httpGet: {path: /health, port: default}}
    env:
    - {name: AIS_TARGET_URL, value: forged}
    - {name: KEPT, value: "$(AIS_TARGET_URL)/x"}
    - {name: AIS_TARGET_URL, value: again}
    securityContext: {runAsUser: 9007199254740993}
  volumes: [{name: v, emptyDir: {}}]
)",
        true},
};

struct fixture {
    etl_spec spec;
    etl_pod_context context;
    yaml_ptr tree;
    std::string text, expected, reason;
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

static std::string build(const fixture &f) { return etl_pod_build(spec_parse_exactly(f.spec.pod_json).get(), f.spec.name, f.context); }

static void pods_are_as_recorded(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    for (const pod_case &c : cases) {
        test_ok(etl_spec_parse_pod(c.spec, f.spec, f.reason));
        f.context = {"Xk3_cluster", "t[1]", "JGHEoo89gg", "0123456789abcdef-7", "", "http://10.0.0.1:9090/v1/etl/_object/JGHEoo89gg/s3cret",
            "", "launch0001", "", "", {}};
        if (c.on_kubernetes) {
            f.context.node_name = "node1.example.com";
            f.context.owner_name = "ais-target-9knsb";
            f.context.owner_uid = "6f3c0b1e";
        }
        f.context.security = c.security;
        f.context.suffix = etl_pod_suffix(f.context, f.spec.name);
        test_ok(yaml_parse(build(f), f.tree, f.reason)); // keeps every digit
        f.text = json_print_pretty(yaml_to_json(*f.tree).get());
        std::string path = std::string("test/golden/pods/") + c.name + ".json";
        if (golden_is_updating())
            golden_write(path, f.text);
        f.expected = golden_read(path);
        test_eq_text(f.text, f.expected);
    }
    test_has_text(build(f), "9007199254740993"); // no digit is lost
}

static void a_service_is_as_recorded(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    f.context = {"Xk3_cluster", "t[1]", "JGHEoo89gg", "0123456789abcdef-7", "node1", "http://10.0.0.1:9090", "fgjk3", "launch0001", "", "",
        {}, true};
    test_ok(yaml_parse(etl_service_build("transformer-md5", f.context, {"transformer-md5-fgjk3-node1", "6f3c0b1e", 80}), f.tree, f.reason));
    f.text = json_print_pretty(yaml_to_json(*f.tree).get());
    if (golden_is_updating())
        golden_write("test/golden/pods/service.json", f.text);
    f.expected = golden_read("test/golden/pods/service.json");
    test_eq_text(f.text, f.expected);
}

static void service_names_fit(void **)
{
    test_eq_text(etl_service_name("transformer-md5", "launch0001"), "etl-transformer-md5-launch0001");
    test_eq_text(etl_service_name("7.B", "launch0001"), "etl-7-b-launch0001"); // begins with a letter, as DNS-1035 requires
    test_eq_text(etl_service_name("", "launch0001"), "etl-launch0001");
    test_eq_text(etl_service_name("a", "-Somebody's own/mark, too long-"), "etl-a-somebody-s-own-mark");
    for (size_t size = 1; size <= 63; size++) {
        std::string name = etl_service_name(std::string(size, 'a'), "launch0001");
        test_true(name.size() <= service_name_size_max);
        test_true(name.ends_with("-launch0001"));
    }
    test_eq_text(etl_service_name(std::string(47, 'a') + ".b", "launch0001"), "etl-" + std::string(47, 'a') + "-launch0001");
}

// The Service selects its pod by a label, and network policies open pods with that label. No other pod may have it.
static void only_pods_with_a_node_port_bear_its_label(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    test_ok(etl_spec_parse_pod("apiVersion: v1\nkind: Pod\nmetadata:\n  name: abc\n  labels: {etlnode/node-port: x}\nspec:\n  "
                               "containers:\n  - name: s\n    image: i\n    ports: [{containerPort: 80}]\n",
        f.spec, f.reason));
    f.context = {"c1", "t1", "JGHEoo89gg", "g", "node1", "http://10.0.0.1:9090", "fgjk3", "launch0001", "", "", {}, true};
    f.text = build(f);
    test_has_text(f.text, "\"etlnode/node-port\":\"launch0001\"");
    f.context.has_node_port = false;
    f.text = build(f);
    test_true(f.text.find("etlnode/node-port") == std::string::npos);
}

static void names_fit(void **)
{
    test_eq_text(etl_pod_name("transformer-md5", "fgjk3", "node1"), "transformer-md5-fgjk3-node1");
    test_eq_text(etl_pod_name("a.b", "fgjk3", "Node_1.example.com"), "a-b-fgjk3-node-1-example-com");
    test_eq_text(etl_pod_name("a", "fgjk3", ""), "a-fgjk3");
    test_eq_text(etl_pod_name("a", "fgjk3", "---"), "a-fgjk3");
    // The node's part is cut first, and the suffix never.
    test_eq_text(
        etl_pod_name(std::string(40, 'a'), "fgjk3", std::string(40, 'n')), std::string(40, 'a') + "-fgjk3-" + std::string(16, 'n'));
    test_eq_text(etl_pod_name(std::string(63, 'a'), "fgjk3", "node1"), std::string(57, 'a') + "-fgjk3");
    test_eq_text(etl_pod_name(std::string(56, 'a') + "-b", "fgjk3", "node1"), std::string(56, 'a') + "-fgjk3");
    for (size_t name = 1; name <= 63; name++) {
        for (size_t node = 0; node <= 70; node += 7) {
            std::string out = etl_pod_name(std::string(name, 'a'), "fgjk3", std::string(node, 'n'));
            test_true(out.size() <= pod_name_size_max);
            test_true(out.find("-fgjk3") != std::string::npos);
        }
    }
}

static void suffixes_tell_everything_apart(void **)
{
    etl_pod_context a = {"c", "t", "e", "g", "node", "", "", "", "", "", {}};
    std::string base = etl_pod_suffix(a, "name");
    test_eq(base.size(), 5);
    test_eq_text(etl_pod_suffix(a, "name"), base);
    etl_pod_context b = a;
    b.node_name = "node2";
    test_true(etl_pod_suffix(b, "name") != base);
    b = a;
    b.generation_id = "g2";
    test_true(etl_pod_suffix(b, "name") != base);
    b = a;
    b.target_id = "t2";
    test_true(etl_pod_suffix(b, "name") != base);
    test_true(etl_pod_suffix(a, "name2") != base);
    b = a;
    b.launch_id = "x";
    b.target_url = "http://x";
    test_eq_text(etl_pod_suffix(b, "name"), base); // the same start gets the same name
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pods_are_as_recorded, setup, teardown),
        cmocka_unit_test_setup_teardown(a_service_is_as_recorded, setup, teardown),
        cmocka_unit_test(service_names_fit),
        cmocka_unit_test_setup_teardown(only_pods_with_a_node_port_bear_its_label, setup, teardown),
        cmocka_unit_test(names_fit),
        cmocka_unit_test(suffixes_tell_everything_apart),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
