// SPDX-License-Identifier: MIT
// test/unit/kube/test_pod_status.cc: how statuses are judged, as Kubernetes writes them.
#include "node_test.h"

#include "kube/kubectl.h"
#include "kube/pod_status.h"

using namespace etlnode;

struct status_case {
    const char *what;
    const char *restart_policy;
    const char *status;
    pod_verdict verdict;
    const char *why; // a part of the text
};

#define CONTAINER(rest) "\"containerStatuses\":[{\"name\":\"server\"," rest "}]"

static constexpr status_case cases[] = {
    {"just created", "Always", R"({"phase":"Pending"})", pod_verdict::starting, "pod phase Pending"},
    {"no node", "Always",
        R"({"phase":"Pending","conditions":[{"type":"PodScheduled","status":"False","message":"0/1 nodes are available"}]})",
        pod_verdict::starting, "not scheduled: 0/1 nodes are available"},
    {"creating", "Always", R"({"phase":"Pending",)" CONTAINER(R"("restartCount":0,"state":{"waiting":{"reason":"ContainerCreating"}})") "}",
        pod_verdict::starting, "ContainerCreating"},
    {"running, not ready", "Always",
        R"({"phase":"Running","conditions":[{"type":"Ready","status":"False"}],)" CONTAINER(R"("state":{"running":{}})") "}",
        pod_verdict::starting, "is running, not ready"},
    {"ready", "Always",
        R"({"phase":"Running","conditions":[{"type":"Ready","status":"True"}],)" CONTAINER(R"("ready":true,"state":{"running":{}})") "}",
        pod_verdict::ready, ""},
    {"bad image name", "Always",
        R"({"phase":"Pending",)" CONTAINER(
            R"("state":{"waiting":{"reason":"InvalidImageName","message":"couldn't parse image reference"}})") "}",
        pod_verdict::hopeless, "InvalidImageName"},
    {"image not found", "Always",
        R"({"phase":"Pending",)" CONTAINER(
            R"("state":{"waiting":{"reason":"ErrImagePull","message":"failed to resolve reference \"x:v1\": x:v1: not found"}})") "}",
        pod_verdict::hopeless, "ErrImagePull"},
    {"image not found, later", "Always",
        R"({"phase":"Pending",)" CONTAINER(
            R"("state":{"waiting":{"reason":"ImagePullBackOff","message":"Back-off pulling image \"x\": ErrImagePull: manifest unknown"}})") "}",
        pod_verdict::hopeless, "manifest unknown"},
    {"image that kubectl-local does not have", "Always",
        R"({"phase":"Pending","message":"no image \"x:v9\" in /d","containerStatuses":[{"name":"server","state":{"waiting":{"reason":"ErrImagePull","message":"no image \"x:v9\" in /d"}}}]})",
        pod_verdict::hopeless, "pod phase Pending; container server is waiting: ErrImagePull: no image \"x:v9\" in /d"},
    {"no image for this machine", "Always",
        R"({"phase":"Pending",)" CONTAINER(
            R"("state":{"waiting":{"reason":"ErrImagePull","message":"no match for platform in manifest"}})") "}",
        pod_verdict::hopeless, "no match"},
    {"image may be there", "Always",
        R"({"phase":"Pending",)" CONTAINER(
            R"("state":{"waiting":{"reason":"ErrImagePull","message":"dial tcp: lookup quay.io: i/o timeout"}})") "}",
        pod_verdict::starting, "i/o timeout"},
    {"image back-off without a word", "Always",
        R"({"phase":"Pending",)" CONTAINER(
            R"("state":{"waiting":{"reason":"ImagePullBackOff","message":"Back-off pulling image \"x\""}})") "}",
        pod_verdict::starting, "ImagePullBackOff"},
    {"root where none may be", "Always",
        R"({"phase":"Pending",)" CONTAINER(
            R"("state":{"waiting":{"reason":"CreateContainerConfigError","message":"container has runAsNonRoot and image will run as root (pod: x, container: y): no"}})") "}",
        pod_verdict::hopeless, "will run as root"},
    {"image never pulled", "Always",
        R"({"phase":"Pending",)" CONTAINER(R"("state":{"waiting":{"reason":"ErrImageNeverPull","message":"not present"}})") "}",
        pod_verdict::hopeless, "ErrImageNeverPull"},
    {"missing config map", "Always",
        R"({"phase":"Pending",)" CONTAINER(
            R"("state":{"waiting":{"reason":"CreateContainerConfigError","message":"configmap \"x\" not found"}})") "}",
        pod_verdict::starting, "CreateContainerConfigError"},
    {"first crash", "Always",
        R"({"phase":"Running",)" CONTAINER(R"("restartCount":0,"state":{"terminated":{"exitCode":1,"reason":"Error"}})") "}",
        pod_verdict::starting, "ended with exit code 1: Error"},
    {"second crash", "Always",
        R"({"phase":"Running",)" CONTAINER(
            R"("restartCount":1,"state":{"waiting":{"reason":"CrashLoopBackOff","message":"back-off 10s"}},"lastState":{"terminated":{"exitCode":1,"reason":"Error"}})") "}",
        pod_verdict::starting, "CrashLoopBackOff"},
    {"third crash", "Always",
        R"({"phase":"Running",)" CONTAINER(
            R"("restartCount":2,"state":{"terminated":{"exitCode":127,"reason":"StartError","message":"exec: nosuch"}})") "}",
        pod_verdict::hopeless, "ended with exit code 127"},
    {"third crash seen later", "Always",
        R"({"phase":"Running",)" CONTAINER(R"("restartCount":3,"state":{"running":{}},"lastState":{"terminated":{"exitCode":9}})") "}",
        pod_verdict::hopeless, "its last run ended with exit code 9"},
    {"killed for memory", "Always",
        R"({"phase":"Running",)" CONTAINER(
            R"("restartCount":2,"state":{"terminated":{"exitCode":137,"signal":9,"reason":"OOMKilled"}})") "}",
        pod_verdict::hopeless, "OOMKilled"},
    {"never restarted", "Never", R"({"phase":"Running",)" CONTAINER(R"("state":{"terminated":{"exitCode":3}})") "}", pod_verdict::ended,
        "exit code 3"},
    {"done on success", "OnFailure", R"({"phase":"Running",)" CONTAINER(R"("state":{"terminated":{"exitCode":0}})") "}", pod_verdict::ended,
        "exit code 0"},
    {"evicted", "Always", R"({"phase":"Failed","reason":"Evicted","message":"low on memory"})", pod_verdict::ended,
        "Evicted, low on memory"},
    {"succeeded", "Never", R"({"phase":"Succeeded"})", pod_verdict::ended, "Succeeded"},
    {"init image", "Always",
        R"({"phase":"Pending","initContainerStatuses":[{"name":"setup","state":{"waiting":{"reason":"ErrImagePull","message":"not found"}}}],)" CONTAINER(
            R"("state":{"waiting":{"reason":"PodInitializing"}})") "}",
        pod_verdict::hopeless, "init container setup is waiting: ErrImagePull"},
    {"init crashes", "Always",
        R"({"phase":"Pending","initContainerStatuses":[{"name":"setup","restartCount":3,"state":{"waiting":{"reason":"CrashLoopBackOff"}},"lastState":{"terminated":{"exitCode":2}}}]})",
        pod_verdict::hopeless, "init container setup"},
    {"init done", "Always",
        R"({"phase":"Pending","initContainerStatuses":[{"name":"setup","restartCount":5,"state":{"terminated":{"exitCode":0}}}]})",
        pod_verdict::starting, "Pending"},
    {"control bytes in a message", "Always", R"({"phase":"Failed","message":"a\u0000\u001b[2Jb"})", pod_verdict::ended, "\\x1b[2J"},
    {"odd types", "Always", R"({"phase":7,"conditions":{},"containerStatuses":"x","podIP":[]})", pod_verdict::starting, "unknown"},
};

struct fixture {
    json_ptr tree;
    pod_status status;
    std::vector<pod_status> list;
    std::string text;
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

static void read_status(fixture &f, const char *restart_policy, const char *status)
{
    f.text = std::string(R"({"metadata":{"name":"p"},"spec":{"restartPolicy":")") + restart_policy +
             R"(","containers":[{"name":"server","ports":[{"containerPort":80}]}]},"status":)" + status + "}";
    std::string where;
    test_ok(kubectl_parse_json(f.text, f.tree, where));
    test_ok(pod_status_parse(f.tree.get(), f.status));
}

static void verdicts_follow_the_status(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    for (const status_case &c : cases) {
        read_status(f, c.restart_policy, c.status);
        pod_verdict verdict = pod_status_judge(f.status, f.text);
        if (verdict != c.verdict)
            test_fail("%s: verdict %d", c.what, static_cast<int>(verdict));
        test_has_text(f.text, c.why);
    }
}

static constexpr const char *full_pod = R"({
 "metadata": {"name": "md5-fgjk3-node1", "uid": "u1", "resourceVersion": "105", "deletionTimestamp": "2026-01-01T00:00:00Z",
  "labels": {"etlnode/cluster": "c1", "etlnode/target": "t1", "etlnode/etl": "JGHEoo89gg"},
  "annotations": {"etlnode/generation": "g-1", "etlnode/launch": "l-1", "etlnode.local/address": "127.1.2.3:40001"}},
 "spec": {"nodeName": "node1", "containers": [{"name": "server", "ports": [{"containerPort": 80}],
  "env": [{"name": "AIS_TARGET_URL", "value": "http://old"}, {"name": "AIS_TARGET_URL", "value": "http://t/v1/etl/_object/a/b"}]}]},
 "status": {"phase": "Running", "podIP": "10.1.2.3", "hostIP": "192.168.1.5", "containerStatuses": [
  {"name": "injected", "state": {"terminated": {"exitCode": 1}}},
  {"name": "server", "restartCount": 2, "containerID": "containerd://abc", "state": {"running": {}}, "lastState": {"terminated": {"exitCode": 5}}}]}})";

static void every_field_is_read(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    test_ok(kubectl_parse_json(full_pod, f.tree, f.text));
    test_ok(pod_status_parse(f.tree.get(), f.status));
    test_eq_text(f.status.label_cluster + f.status.label_target + f.status.label_etl, "c1t1JGHEoo89gg");
    test_eq_text(f.status.generation + " " + f.status.launch, "g-1 l-1");
    test_eq_text(f.status.local_address, "127.1.2.3:40001");
    test_eq_text(f.status.target_url, "http://t/v1/etl/_object/a/b");
    test_true(f.status.terminating);
    test_eq_text(f.status.pod_ip + " on " + f.status.host_ip, "10.1.2.3 on 192.168.1.5");
    test_eq(f.status.container_port, 80);
    test_eq_text(pod_status_instance(f.status), "containerd://abc/2");
    test_eq_enum(f.status.main.state, container_state::running);
    test_true(pod_status_failed_container(f.status) == &f.status.main);
}

static void lists_are_read(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    std::string text = std::string(R"({"kind":"List","items":[)") + full_pod + R"(,{"metadata":{"name":"b"}}]})";
    test_ok(pod_list_parse(text, f.list, f.text));
    test_eq(f.list.size(), 2);
    test_eq_text(f.list[1].name, "b");
    test_true(static_cast<bool>(pod_list_parse("No resources found", f.list, f.text)));
    test_true(static_cast<bool>(pod_list_parse(R"({"items":[{}]})", f.list, f.text)));
    test_true(static_cast<bool>(pod_list_parse(R"({"items":{}})", f.list, f.text)));
}

static void versions_compare_as_numbers(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    pod_status other;
    f.status.resource_version = "99";
    other.resource_version = "100";
    test_true(pod_status_is_older(f.status, other));
    test_false(pod_status_is_older(other, f.status));
    other.resource_version = "opaque";
    test_false(pod_status_is_older(f.status, other));
}

static void addresses_are_parsed(void **state)
{
    auto &f = *static_cast<fixture *>(*state);
    uint16_t port = 0;
    test_true(pod_address_parse("127.0.0.1:80", f.text, port));
    test_eq_text(f.text, "127.0.0.1");
    test_eq(port, 80);
    test_true(pod_address_parse("[fd00::1]:8080", f.text, port));
    test_eq_text(f.text, "fd00::1");
    for (const char *bad : {"", "host", "host:", ":80", "host:0", "host:70000", "host:8x"})
        test_false(pod_address_parse(bad, f.text, port));
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(verdicts_follow_the_status, setup, teardown),
        cmocka_unit_test_setup_teardown(every_field_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(lists_are_read, setup, teardown),
        cmocka_unit_test_setup_teardown(versions_compare_as_numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(addresses_are_parsed, setup, teardown),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
