#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Nodes as processes of this machine, their pods on a real Kubernetes: the seed document, all failures, and kills of everything.

`make test-kubernetes` runs it; kube.py lists the requirements. Without a cluster every case is skipped.
"""
import concurrent.futures
import json
import os
import re
import signal
import time
import urllib.parse

import harness
import kube
import pod_schema
import test_admission
from harness import Readers, remark, request, until
from kube import NODE, OF_ETL, Namespace, Outside, pod_spec
from test_document import files_of_document

world = {}
NODE_ADDRESS = ""
OBJECTS = {f"o{i}": bytes([65 + i]) * size for i, size in enumerate((13, 1000, 70_000, 300_000, 1_000_000))}


def cluster():
    """The nodes that most cases share, created on first use."""
    if "cluster" not in world:
        world["cluster"] = Outside(world["namespace"]).__enter__()
        fill(world["cluster"])
    return world["cluster"]


def fill(nodes):
    nodes.bucket("life")
    for name, body in OBJECTS.items():
        assert nodes.put("life", name, body).status == 200


def urls(nodes, etl):
    return {nodes.url(f"/v1/objects/life/{name}?uuid={etl}"): body for name, body in OBJECTS.items()}


def all_read_ok(nodes, etl):
    return all(request("GET", url).body == body for url, body in urls(nodes, etl).items())


def init(nodes, spec, timeout=400):
    answer = request("POST", nodes.url("/v1/etl/init"), spec.encode(), timeout=timeout)
    assert answer.status == 200, answer
    return answer.text


def stop(nodes, etl):
    nodes.stop_etl(etl)
    until(lambda: nodes.pods() == [], "no pod is left", 60, 0.3)


def fails(spec, *words, within):
    began = time.monotonic()
    answer = request("POST", cluster().url("/v1/etl/init"), spec.encode(), timeout=within + 60)
    took = time.monotonic() - began
    assert answer.status == 400, answer
    message = answer.json["message"]
    remark(f"after {took:.1f} s: {message}")
    for word in words:
        assert word in message, (word, message)
    assert took < within, f"took {took:.1f} s"
    until(lambda: cluster().pods() == [], "no pod is left", 60, 0.3)
    assert request("GET", cluster().url("/v1/etl")).json == []


def case_the_document():
    server, spec = files_of_document()
    kube.put_document_image(server)
    nodes = cluster()
    with open(os.path.join(nodes.dir, "spec.yaml"), "w", encoding="utf-8") as file:
        file.write(spec)
    etl = nodes.run("ais", "transform", "init", "spec.yaml", timeout=120).stdout.decode().strip()
    remark(world["namespace"].kubectl("get", "pods"))
    pods = nodes.pods()
    assert len(pods) == 2, pods
    for pod in pods:
        assert re.fullmatch(rf"transformer-md5-[a-z0-9]{{5}}-{NODE}", pod["metadata"]["name"]), pod["metadata"]["name"]
        assert pod["spec"]["nodeName"] == NODE
    nodes.run("ais", "create", "bucket", "transform")
    nodes.run("sh", "-c", 'echo "some text :)" | ais put - transform/shard.in')
    done = nodes.run("ais", "etl", "object", etl, "transform/shard.in", "-")
    assert done.stdout == b"393c6706efb128fbc442d3f7d084a426", done.stdout
    done = nodes.run("ais", "etl", "stop", etl, timeout=120)
    assert done.stdout == b"ETL containers stopped successfully.\n", done.stdout
    until(lambda: nodes.pods() == [], "no pod is left", 30, 0.3)
    remark("after stop: " + (world["namespace"].kubectl("get", "pods") or "No resources found"))


def case_three_modes():
    for program, mode in (("echo2020.py", "hpush://"), ("chunked.py", "hpush://"), ("echo.py", "hpush://"), ("pull.py", "hrev://"), ("pull.py", "hpull://")):
        etl = init(cluster(), pod_spec("modes", program, mode=mode, wait="90s"))
        assert all_read_ok(cluster(), etl), (program, mode)
        stop(cluster(), etl)


def services():
    return json.loads(world["namespace"].kubectl("get", "services", "-l", OF_ETL, "-o", "json"))["items"]


def ports(etl):
    """{target: (address, port) to which clients are redirected}, as the API shows it."""
    rows = request("GET", cluster().url(f"/v1/etl/{etl}")).json["targets"]
    split = {row["target_id"]: urllib.parse.urlsplit(row["client_url"]) for row in rows}
    return {target: (parts.hostname, parts.port) for target, parts in split.items()}


def assert_redirects_to_node(nodes, etl):
    seen = set()
    for name in OBJECTS:
        first = request("GET", nodes.url(f"/v1/objects/life/{name}?uuid={etl}"), follow=False)
        hop = request("GET", first.headers["Location"], follow=False)
        parts = urllib.parse.urlsplit(hop.headers["Location"])
        assert hop.status == 307 and parts.path == f"/life/{name}" and parts.hostname == NODE_ADDRESS and 30000 <= parts.port <= 32767, (hop.status, hop.headers["Location"])
        seen.add(parts.port)
    return seen


def case_hpull_through_a_node_port():
    global NODE_ADDRESS
    addresses = json.loads(kube.kubectl("get", "node", NODE, "-o", "json"))["status"]["addresses"]
    NODE_ADDRESS = next(a["address"] for a in addresses if a["type"] == "InternalIP")
    began = time.monotonic()
    etl = init(cluster(), pod_spec("ported", "pull.py", mode="hpull://", wait="90s", annotations={"hpull_address": "node_port"}))
    remark(f"served after {time.monotonic() - began:.1f} s")
    began = time.monotonic()
    first = request("GET", next(iter(urls(cluster(), etl))))
    remark(f"the first read took {time.monotonic() - began:.3f} s")
    assert first.status == 200 and first.headers["X-From-Pod"] == "yes", first
    assert all_read_ok(cluster(), etl)
    made = services()
    owners = {s["metadata"]["ownerReferences"][0]["uid"] for s in made}
    assert len(made) == 2 and owners == set(cluster().namespace.uids()), made
    assert all(s["spec"]["type"] == "NodePort" and s["spec"]["externalTrafficPolicy"] == "Local" for s in made), made
    before = ports(etl)
    assert {port for _, port in before.values()} == {s["spec"]["ports"][0]["nodePort"] for s in made}, (before, made)
    assert assert_redirects_to_node(cluster(), etl) <= {port for _, port in before.values()}

    # Kill the target's process: the pod is adopted and its port is found again. Kill the container: another one appears behind the same
    # port.
    for target in cluster().targets:
        target.kill(signal.SIGKILL)
        target.start()
    cluster().wait_registered()
    until(lambda: all_read_ok(cluster(), etl), "the ETL serves again", 60)
    assert ports(etl) == before and len(services()) == 2, (before, ports(etl))
    for pod in cluster().pods():
        os.kill(harness.container_pid(pod["metadata"]["name"], "/pull.py"), signal.SIGKILL)
    until(lambda: [p["status"]["containerStatuses"][0]["restartCount"] for p in cluster().pods()] == [1, 1], "Kubernetes has restarted both", 60, 0.3)
    until(lambda: reads_ok_by_now(etl), "the ETL serves again", 60)
    assert ports(etl) == before

    # A new pod has a new Service, and the old one disappears with the old pod. So does the last one.
    names = {s["metadata"]["name"] for s in made}
    for pod in cluster().pods():
        cluster().namespace.kubectl("delete", "pod", pod["metadata"]["name"], "--wait=false")
    until(lambda: len(services()) == 2 and not names & {s["metadata"]["name"] for s in services()}, "new services, and the old ones are gone", 90, 0.5)
    until(lambda: reads_ok_by_now(etl), "the ETL serves again", 60)
    stop(cluster(), etl)
    began = time.monotonic()
    until(lambda: services() == [], "no Service is left", 60, 0.3)
    remark(f"the last Service was gone {time.monotonic() - began:.1f} s after its pod")


def reads_ok_by_now(etl):
    try:
        return all_read_ok(cluster(), etl)
    except OSError:
        return False


def case_node_address():
    """Clients are redirected to the name that the target was given."""
    with Outside(world["namespace"], targets=1) as nodes:
        fill(nodes)
        target = nodes.targets[0]
        target.kill(signal.SIGTERM)
        target.arguments += ["--node-address", "node1.example.org"]
        target.start()
        nodes.wait_registered()
        etl = init(nodes, pod_spec("named", "pull.py", mode="hpull://", wait="90s", annotations={"hpull_address": "NodePort"}))
        first = request("GET", nodes.url(f"/v1/objects/life/o0?uuid={etl}"), follow=False)
        hop = request("GET", first.headers["Location"], follow=False)
        assert re.fullmatch(r"http://node1\.example\.org:3\d{4}/life/o0", hop.headers["Location"]), hop.headers["Location"]
        stop(nodes, etl)


def case_image_missing():
    with kube.EmptyRegistry() as registry:
        spec = harness.pod_spec("nopic", f"{registry}/team/nothing:1", wait="5m")
        fails(spec, f"{registry}/team/nothing:1", "ErrImagePull", within=30)


def case_image_never_pulled():
    spec = harness.pod_spec("nopull", "test/nothing-here:1", wait="5m").replace("      image:", "      imagePullPolicy: Never\n      image:")
    fails(spec, "ErrImageNeverPull", within=30)


def case_invalid_image_name():
    fails(harness.pod_spec("badpic", "Not A Name!", wait="5m"), "InvalidImageName", within=30)


def case_registry_out_of_reach():
    # The registry has not refused, so the fault may be temporary. The start waits for wait_timeout and then reports the reason.
    fails(harness.pod_spec("noreg", "localhost:1/team/nothing:1", wait="8s"), "timeout", "localhost:1/team/nothing:1", within=30)


def case_crashes_at_start():
    fails(pod_spec("exits", "exits.py", wait="5m"), "my last words", "exit code 3", within=120)


def case_crashes_and_never_restarts():
    fails(pod_spec("once", "exits.py", wait="5m", extra="  restartPolicy: Never\n"), "my last words", "exit code 3", within=40)


def case_never_ready():
    fails(pod_spec("deaf", "deaf.py", wait="10s"), "timeout", "I do not listen", within=40)


def case_does_not_fit_the_machine():
    spec = pod_spec("huge", wait="8s").replace("      ports:", "      resources: {requests: {memory: 900Ti}}\n      ports:")
    fails(spec, "nsufficient memory", within=30)


def case_refused_by_the_api_server():
    spec = pod_spec("wrong", wait="60s").replace("      ports:", "      resources: {requests: {memory: 2Mi}, limits: {memory: 1Mi}}\n      ports:")
    fails(spec, "must be less than or equal to memory limit", within=20)


def case_verdicts_that_kubectl_local_is_held_to():
    """The table of e2e/admission matches the verdicts of this API server."""
    signal.alarm(1800)  # some 300 calls of kubectl, on a possibly busy machine
    recorded, now = test_admission.load(), test_admission.ask_cluster(["kubectl"])
    stale = {name: (recorded.get(name), verdict) for name, verdict in now.items()
             if [recorded.get(name, {}).get(key) for key in ("verdict", "says")] != [verdict.get(key) for key in ("verdict", "says")]}
    assert not stale, f"record the table anew: {json.dumps(stale, indent=1)}"


def case_fields_that_kubectl_local_knows():
    published = pod_schema.published(json.loads(kube.kubectl("get", "--raw", "/openapi/v3/api/v1")))
    known = pod_schema.ours()
    assert sorted(known) == sorted(published), set(known) ^ set(published)
    for name, fields in published.items():
        assert known[name] == fields, (name, set(known[name].items()) ^ set(fields.items()))


def case_pods_deleted_while_serving():
    etl = init(cluster(), pod_spec("deleted", wait="90s"))
    before = cluster().namespace.uids()
    with Readers(urls(cluster(), etl)) as readers:
        for pod in cluster().pods():
            world["namespace"].kubectl("delete", "pod", pod["metadata"]["name"], "--wait=false")
        until(lambda: len(cluster().pods()) == 2 and not set(before) & set(cluster().namespace.uids()), "new pods", 60, 0.3)
        readers.all_good_again()
    stop(cluster(), etl)


def case_pods_evicted_while_serving():
    etl = init(cluster(), pod_spec("evicted", wait="90s"))
    before = cluster().namespace.uids()
    with Readers(urls(cluster(), etl)) as readers:
        for pod in cluster().pods():
            said = cluster().namespace.evict(pod["metadata"]["name"])
            assert "Success" in said, said
        until(lambda: len(cluster().pods()) == 2 and not set(before) & set(cluster().namespace.uids()), "new pods", 60, 0.3)
        readers.all_good_again()
    stop(cluster(), etl)


def case_process_killed_while_serving():
    etl = init(cluster(), pod_spec("killed", wait="90s"))
    before = cluster().namespace.uids()
    with Readers(urls(cluster(), etl)) as readers:
        for pod in cluster().pods():
            pid = harness.container_pid(pod["metadata"]["name"], "/echo.py")
            assert pid, "the container's process is not on this machine"
            os.kill(pid, signal.SIGKILL)
        restarts = lambda: [p["status"]["containerStatuses"][0]["restartCount"] for p in cluster().pods()]
        until(lambda: restarts() == [1, 1], "Kubernetes has restarted both", 60, 0.3)
        readers.all_good_again()
    assert cluster().namespace.uids() == before, "the same pods"
    stop(cluster(), etl)


def case_api_server_away_while_serving():
    server = kube.ApiServer()
    etl = init(cluster(), pod_spec("apiless", wait="90s"))
    before = cluster().namespace.uids()
    with Readers(urls(cluster(), etl)) as readers:
        server.stop()
        try:
            good = readers.good
            time.sleep(12)
            assert readers.good > good + 20, "reads go on"
            answer = request("POST", cluster().url("/v1/etl/init"), pod_spec("unborn", wait="5s").encode(), timeout=120)
            remark(f"a start meanwhile: {answer.status} {answer.text[:400]}")
            assert answer.status == 400, answer
        finally:
            server.start()
        time.sleep(3)
        assert readers.refused + readers.cut + readers.away == 0, str(readers)
    assert cluster().namespace.uids() == before, "the same pods"
    other = init(cluster(), pod_spec("reborn", wait="90s"))
    cluster().stop_etl(other)
    stop(cluster(), etl)


def case_target_restarted():
    etl = init(cluster(), pod_spec("adopted", wait="90s"))
    before = cluster().namespace.uids()
    for target in cluster().targets:
        target.kill(signal.SIGKILL)
        target.start()
    cluster().wait_registered()
    until(lambda: all_read_ok(cluster(), etl), "the ETL serves again", 60)
    assert cluster().namespace.uids() == before, "running pods are adopted, not replaced"
    stop(cluster(), etl)


def case_proxy_restarted():
    etl = init(cluster(), pod_spec("survivor", wait="90s"))
    before = cluster().namespace.uids()
    cluster().proxy.kill(signal.SIGKILL)
    cluster().proxy.start()
    cluster().wait_registered()
    assert all_read_ok(cluster(), etl) and cluster().namespace.uids() == before
    stop(cluster(), etl)


def case_target_gone_and_back():
    etl = init(cluster(), pod_spec("left", wait="90s"))
    target = cluster().targets[1]
    target.kill(signal.SIGKILL)
    answer = request("DELETE", cluster().url(f"/v1/etl/stop/{etl}"), timeout=120)
    remark(f"stop without one target: {answer.status} {answer.text}")
    assert len(cluster().pods()) == 1, "the pod of the target that is away is nobody's yet"
    target.start()
    cluster().wait_registered()
    until(lambda: cluster().pods() == [], "the target that came back removes it", 60, 0.3)
    until(lambda: request("GET", cluster().url("/v1/etl")).json == [], "the ETL is forgotten", 30)


def case_twenty_at_once():
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        began = time.monotonic()
        ids = list(pool.map(lambda i: init(cluster(), pod_spec(f"many{i}", wait="5m")), range(20)))
        remark(f"20 ETLs, 40 pods: {time.monotonic() - began:.0f} s")
        assert len(set(ids)) == 20 and len(cluster().pods()) == 40
        assert all(pool.map(lambda etl: all_read_ok(cluster(), etl), ids))
        began = time.monotonic()
        list(pool.map(cluster().stop_etl, ids))
        remark(f"stopped: {time.monotonic() - began:.0f} s")
    until(lambda: cluster().pods() == [], "no pod is left", 60, 0.3)


def shown(etl):
    answer = cluster().get("life", "o0", "uuid=" + etl)
    assert answer.status == 200, answer
    return answer.json


def case_readiness_probe_of_the_user():
    spec = pod_spec("probed", "show.py", wait="90s").replace(
        "      ports:", "      readinessProbe: {httpGet: {path: /health, port: 8000}, periodSeconds: 1}\n      ports:")
    etl = init(cluster(), spec)
    assert shown(etl)["age"] > 2, "it was asked before its probe said so"
    probe = cluster().pods()[0]["spec"]["containers"][0]["readinessProbe"]
    assert probe["httpGet"]["path"] == "/health" and "tcpSocket" not in probe, probe
    stop(cluster(), etl)


def case_env_volumes_and_init_container():
    world["namespace"].kubectl("create", "configmap", "words", "--from-literal=word=configured")
    spec = pod_spec("rich", "show.py", wait="90s", extra=f"""      env:
        - {{name: GREETING, value: good morning}}
        - {{name: AIS_TARGET_URL, value: 'http://not.this.one'}}
      volumeMounts:
        - {{name: scratch, mountPath: /scratch}}
        - {{name: words, mountPath: /words}}
  initContainers:
    - name: first
      image: {kube.TRANSFORMERS}
      command: [sh, -c, 'echo -n made > /scratch/made']
      volumeMounts:
        - {{name: scratch, mountPath: /scratch}}
  volumes:
    - {{name: scratch, emptyDir: {{sizeLimit: 1Mi}}}}
    - {{name: words, configMap: {{name: words}}}}
""")
    etl = init(cluster(), spec)
    seen = shown(etl)
    assert (seen["greeting"], seen["config"], seen["scratch"]) == ("good morning", "configured", "made"), seen
    assert "/v1/etl/_object/" in seen["url"], seen["url"]
    assert seen["token"] is None, "an ETL pod has no token"
    stop(cluster(), etl)


def case_init_container_fails():
    spec = pod_spec("badinit", wait="5m", extra=f"""  initContainers:
    - name: first
      image: {kube.TRANSFORMERS}
      command: [sh, -c, 'echo I cannot begin; exit 5']
""")
    fails(spec, "I cannot begin", "exit code 5", within=120)


def case_host_network():
    # Two pods with the same port do not fit on one machine, so use one target.
    with Outside(world["namespace"], targets=1) as nodes:
        fill(nodes)
        etl = init(nodes, pod_spec("hostnet", port=18473, wait="90s", extra="  hostNetwork: true\n"))
        assert all_read_ok(nodes, etl)
        assert nodes.pods()[0]["status"]["podIP"] == nodes.pods()[0]["status"]["hostIP"]
        stop(nodes, etl)


ROLES = {
    "etlnode-target": {("", "pods"): ["get", "list", "watch", "create", "delete"], ("", "pods/log"): ["get"]},
    "etlnode-node-ports": {("", "services"): ["create", "get"]},
}


def write_role(without=None):
    """The Roles of manifests/, each time without one verb of one resource."""
    for name, rights in ROLES.items():
        rules = [{"apiGroups": [group], "resources": [resource], "verbs": [v for v in verbs if (resource, v) != without]} for (group, resource), verbs in rights.items()]
        rules = [rule for rule in rules if rule["verbs"]]
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name}, "rules": rules}
        world["namespace"].kubectl("replace", "-f", "-", stdin=json.dumps(role))
    for resource, verb in [(resource, verb) for rights in ROLES.values() for (_, resource), verbs in rights.items() for verb in verbs]:
        wanted = "no" if (resource, verb) == without else "yes"
        ask = ["auth", "can-i", verb, *(["pods", "--subresource=log"] if resource == "pods/log" else [resource]),
               "--as", f"system:serviceaccount:{world['namespace'].name}:etlnode-target"]
        until(lambda: world["namespace"].kubectl(*ask, check=False).strip() == wanted, f"{verb} {resource}: {wanted}", 20, 0.3)


def case_each_right_removed():
    namespace = world["namespace"]
    namespace.kubectl("apply", "-f", os.path.join(harness.ROOT, "manifests/node/rbac.yaml"))
    namespace.kubectl("apply", "-f", os.path.join(harness.ROOT, "manifests/hpull/rbac.yaml"))
    for name, rights in ROLES.items():
        rules = json.loads(namespace.kubectl("get", "role", name, "-o", "json"))["rules"]
        assert {(r["apiGroups"][0], r["resources"][0]): r["verbs"] for r in rules} == rights, rules
    until(lambda: namespace.kubectl("get", "serviceaccount", "etlnode-target", "-o", "name", check=False), "the service account", 20)
    config = kube.service_account_kubeconfig(namespace, "etlnode-target")
    with Outside(namespace, targets=1, kubeconfig=config) as nodes:
        fill(nodes)
        target = nodes.targets[0]

        def start(wait):
            return request("POST", nodes.url("/v1/etl/init"), pod_spec("rights", wait=wait).encode(), timeout=200)

        def gone():
            until(lambda: nodes.pods() == [], "no pod is left", 60, 0.3)

        write_role()
        answer = start("60s")
        assert answer.status == 200, answer
        etl = answer.text
        assert all_read_ok(nodes, etl)

        # ETLs that already serve continue without any permission.
        write_role(("pods", "list"))
        assert all_read_ok(nodes, etl)
        write_role()
        stop(nodes, etl)

        write_role(("pods", "create"))
        answer = start("60s")
        remark(f"without create: {answer.text[:300]}")
        assert answer.status == 400 and "the Role needs verbs [create] on pods" in answer.text, answer
        write_role()
        gone()

        # A target that starts without them cannot see its pods, and reports that.
        for right in (("pods", "list"), ("pods", "watch")):
            write_role(right)
            target.kill(signal.SIGTERM)
            target.start()
            until(lambda: request("GET", target.url + "/v1/health").status == 200, "the target is back", 30)
            answer = until(lambda: (lambda a: a if a.status != 503 else None)(start("8s")), "the proxy hears of it", 90, 0.5)
            remark(f"without {right}: {answer.status} {answer.text[:600]}")
            assert answer.status == 400 and f"the Role needs verbs [{right[1]}]" in answer.text, answer
            ready = request("GET", target.url + "/v1/health?readiness=true")
            assert ready.status == 503 and "the Role needs verbs" in ready.text, ready
            write_role()
            gone()
            nodes.wait_registered()

        for right in (("pods", "get"), ("pods/log", "get")):
            answer = start("60s")
            assert answer.status == 200, answer
            write_role(right)
            logs = request("GET", nodes.url(f"/v1/etl/logs/{answer.text}"), timeout=90)
            remark(f"without {right}: {logs.text[:300]}")
            assert "the Role needs verbs [get] on pods" in logs.text and "forbidden" in logs.text, logs
            write_role()
            stop(nodes, answer.text)

        exposed = pod_spec("exposed", "pull.py", mode="hpull://", wait="5m", annotations={"hpull_address": "node_port"})
        write_role(("services", "create"))
        began = time.monotonic()
        answer = request("POST", nodes.url("/v1/etl/init"), exposed.encode(), timeout=200)
        remark(f"without create of services, after {time.monotonic() - began:.1f} s: {answer.text[:500]}")
        assert answer.status == 400 and "exposing the pod: kubectl create service: the Role needs verbs [create] on services" in answer.text, answer
        gone()
        # The port that an earlier process of this target created.
        write_role()
        answer = request("POST", nodes.url("/v1/etl/init"), exposed.encode(), timeout=200)
        assert answer.status == 200, answer
        etl = answer.text
        write_role(("services", "get"))
        target.kill(signal.SIGKILL)
        target.start()
        nodes.wait_registered()
        row = lambda: request("GET", nodes.url(f"/v1/etl/{etl}")).json["targets"][0]
        until(lambda: "kubectl get service: the Role needs verbs [get] on services" in row()["last_error"], "the target says what is missing", 60, 0.3)
        remark(f"without get of services: {row()['last_error'][:400]}")
        assert len(nodes.pods()) == 1 and not row()["ready"], row()
        write_role()
        until(lambda: row()["ready"], "it serves when the right is back", 60, 0.3)
        stop(nodes, etl)

        answer = start("60s")
        assert answer.status == 200, answer
        write_role(("pods", "delete"))
        stopped = request("DELETE", nodes.url(f"/v1/etl/stop/{answer.text}"), timeout=120)
        remark(f"without delete: {stopped.status} {stopped.text[:500]}")
        assert stopped.status == 202 and len(nodes.pods()) == 1, stopped
        assert "the Role needs verbs [delete] on pods" in nodes.log_tail(target.name, 400) + stopped.text
        write_role()
        gone()


def case_stop_leaves_nothing():
    until(lambda: services() == [], "no Service is left", 60, 0.3)
    until(lambda: world["namespace"].kubectl("get", "pods", "-o", "name") == "", "no pod is left, ending ones included", 60, 0.3)
    assert request("GET", cluster().url("/v1/etl")).json == []


def play():
    cases = [(name[5:].replace("_", " "), function) for name, function in list(globals().items()) if name.startswith("case_")]
    if kube.NO_CLUSTER:
        def skip():
            raise harness.Skip(kube.NO_CLUSTER)
        harness.run([(name, skip) for name, _ in cases])
    with Namespace() as namespace:
        world["namespace"] = namespace
        kube.put_image(kube.TRANSFORMERS, kube.PROGRAMS)
        remark(f"namespace {namespace.name}; {kube.versions()}")
        try:
            harness.run(cases, limit=420)
        finally:
            if "cluster" in world:
                world["cluster"].__exit__(None, None, None)


if __name__ == "__main__":
    play()
