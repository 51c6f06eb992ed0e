#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Refused specs: 400 with line, column and what was expected, nothing started, quickly."""
import json
import re
import time

import harness

GOOD = """apiVersion: v1
kind: Pod
metadata:
  name: good
  annotations:
    communication_type: hpush://
    wait_timeout: 5s
spec:
  containers:
    - name: server
      image: test/none:1
      ports:
        - containerPort: 80
"""


def changed(old, new):
    assert old in GOOD, old
    return GOOD.replace(old, new)


PORTS = "      ports:\n        - containerPort: 80\n"
CONTAINER = "    - name: server\n      image: test/none:1\n" + PORTS
# name, spec, words of the message in addition to the position
ROWS = [
    ("not YAML", "apiVersion: v1\nkind Pod\nmetadata:\n  - [", ["could not find expected ':'"]),
    ("empty", "", ["expected"]),
    ("a scalar", "hello", ["expected"]),
    ("not a Pod", changed("kind: Pod", "kind: Deployment"), ["Pod"]),
    ("no kind", changed("kind: Pod\n", ""), ["kind"]),
    ("no name", changed("  name: good\n", ""), ["name"]),
    ("bad name", changed("name: good", "name: Not_Good"), ["name"]),
    ("no container", changed(CONTAINER, "    []\n"), ["exactly one"]),
    ("two containers", GOOD + CONTAINER.replace("server", "second"), ["exactly one"]),
    ("no containerPort", changed(PORTS, ""), ["containerPort"]),
    ("two containerPorts", changed(PORTS, PORTS + "        - containerPort: 81\n"), ["containerPort"]),
    ("port is text", changed("containerPort: 80", "containerPort: eighty"), ["containerPort"]),
    ("port too large", changed("containerPort: 80", "containerPort: 65536"), ["65535"]),
    ("unknown communication_type", changed("hpush://", "carrier-pigeon://"), ["hpush://", "hrev://", "hpull://"]),
    ("unknown hpull_address", changed("hpush://", "hpull://\n    hpull_address: host_port"), ["hpull_address", '"pod_ip"', '"node_port"']),
    ("node port without hpull", changed("hpush://", "hpush://\n    hpull_address: node_port"), ["hpull_address", "communication_type", "hpush://", "only that sends clients to the pod"]),
    ("bad wait_timeout", changed("wait_timeout: 5s", "wait_timeout: soon"), ["wait_timeout", "duration"]),
    ("wait_timeout without unit", changed("wait_timeout: 5s", "wait_timeout: '5'"), ["wait_timeout"]),
    ("negative wait_timeout", changed("wait_timeout: 5s", "wait_timeout: -5s"), ["wait_timeout"]),
    ("affinity", changed("spec:\n", "spec:\n  affinity:\n    nodeAffinity: {}\n"), ["affinity"]),
    ("nodeName", changed("spec:\n", "spec:\n  nodeName: elsewhere\n"), ["nodeName"]),
    ("nodeSelector", changed("spec:\n", "spec:\n  nodeSelector: {a: b}\n"), ["nodeSelector"]),
    ("foreign namespace", changed("  name: good\n", "  name: good\n  namespace: other\n"), ["namespace"]),
    ("several documents", GOOD + "---\n" + GOOD, ["one expected"]),
    ("2 MiB", GOOD + "# " + "x" * (2 << 20), []),
    ("10,000 aliases", "a: &a [x]\nb: [" + ", ".join(["*a"] * 10000) + "]\n" + GOOD, []),
    ("billion laughs", "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10)) + GOOD, []),
    ("deep nesting", "x: " + "[" * 100000, []),
    ("duplicate key", changed("kind: Pod\n", "kind: Pod\nkind: Pod\n"), ["kind"]),
    ("tabs", changed("  name: good", "\tname: good"), ["line 4, column 1: a tab; YAML is indented with spaces"]),
    # kubectl's refusals, with the position in the user's spec.
    ("img for image", changed("image: test/none:1", "img: test/none:1"), ['unknown field "spec.containers[0].img" (line 11, column 7; did you mean image?)']),
    ("container for containers", changed("  containers:", "  container:"), ["line 9, column 3: the pod has no containers", "did you mean containers? line 9, column 3 says container"]),
    ("prots for ports", changed("      ports:", "      prots:"), ["did you mean ports? line 12, column 7 says prots"]),
    ("misspelt resources", GOOD + "      resorces: {limits: {cpu: 1}}\n", ['unknown field "spec.containers[0].resorces" (line 14, column 7; did you mean resources?)']),
    ("a number in env", GOOD + "      env:\n        - name: A\n          value: 1\n", ["EnvVar.spec.containers.env.value of type string (line 16, column 18)"]),
    ("requests above limits", GOOD + "      resources:\n        limits: {cpu: 1}\n        requests: {cpu: 2}\n",
     ["spec.containers[0].resources.requests (line 16, column 9): Invalid value", "must be less than or equal to cpu limit of 1"]),
    ("mount of an undeclared volume", GOOD + "      volumeMounts:\n        - {name: nope, mountPath: /c}\n", ["spec.containers[0].volumeMounts[0].name (line 15, column 12): Not found: \"nope\""]),
    ("an empty probe", GOOD + "      readinessProbe: {}\n", ["spec.containers[0].readinessProbe (line 14, column 7): Required value: must specify a handler type"]),
    ("what only a cluster can run", GOOD + "      readinessProbe: {exec: {command: [x]}}\n", ["cannot run here, on a real cluster it can: spec.containers[0].readinessProbe.exec (line 14, column 24): "]),
    ("not UTF-8", b"kind: \xff\xfe\n", []),
]
world = {}


def case_row(name, spec, words):
    def run():
        cluster = world["cluster"]
        began = time.monotonic()
        answer = cluster.init(spec, check=False)
        took = time.monotonic() - began
        assert answer.status in ((400, 413) if name == "2 MiB" else (400,)), answer
        message = answer.json["message"]
        if name not in ("2 MiB",):
            assert re.search(r"line \d+", message), message
            assert re.search(r"column \d+", message), message
        for word in words:
            assert word in message, (word, message)
        # Sanitizers slow everything down; a refusal must still be fast.
        assert took < 30, f"{took:.2f} s"  # it did not wait for a pod
        assert request_list() == [] and cluster.pods() == []
    return run


def request_list():
    return harness.request("GET", world["cluster"].url("/v1/etl")).json


def case_json_is_read_too():
    cluster = world["cluster"]
    spec = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "asjson", "annotations": {"wait_timeout": "3s"}},
            "spec": {"containers": [{"name": "s", "image": "test/none:1", "ports": [{"containerPort": 80}]}]}}
    answer = cluster.init(json.dumps(spec, indent="\t"), check=False)
    assert answer.status == 400 and "test/none" in answer.text, answer  # the spec was read: the failure is the image


def case_2025_messages():
    cluster = world["cluster"]
    for body, words in (
        ({"name": "short", "runtime": {"image": "x"}}, ["name"]),
        ({"name": "Upper-Case", "runtime": {"image": "x"}}, ["name"]),
        ({"name": "no-image", "runtime": {}}, ["image"]),
        ({"name": "bad-comm", "communication": "smoke://", "runtime": {"image": "x"}}, ["communication"]),
        ({"name": "bad-time", "init_timeout": "soon", "runtime": {"image": "x"}}, ["init_timeout"]),
        ({"name": "bad-spec", "spec": "!!!"}, ["spec"]),
        ("[]", []),
        ("{", []),
    ):
        text = body if isinstance(body, str) else json.dumps(body)
        answer = harness.request("PUT", cluster.url("/v1/etl"), text.encode())
        assert answer.status == 400, (body, answer)
        for word in words:
            assert word in answer.json["message"], (word, answer)


with harness.Cluster(targets=1) as made:
    world["cluster"] = made
    harness.run([(f"refused: {row[0]}", case_row(*row)) for row in ROWS] + [
        ("JSON is read too", case_json_is_read_too),
        ("messages of today", case_2025_messages),
    ])
