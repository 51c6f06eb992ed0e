#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Targets that are silent or belong to another cluster, and restored data directories: nothing misleads users."""
import http.server
import json
import os
import re
import shutil
import signal

import harness
from harness import Cluster, pod_spec, request, until
from filled_cluster import NAMES, Filled, id_of, keep, listed, nodes, put_back, readable


def etlctl(cluster, *words, check=False):
    return cluster.run("etlctl", *words, check=check)


def case_silent_is_shown():
    with Filled(3) as cluster:
        cluster.image("silent:v1", {"srv.py": harness_server()})
        etl = cluster.init(pod_spec("silent", "silent:v1", command=["/srv.py"]))
        for name in NAMES:
            assert cluster.get("b", name, "uuid=" + etl).status == 200
        healthy = json.loads(etlctl(cluster, "etl", "ls", "-o", "json", check=True).stdout)["items"][0]
        assert "partial" not in healthy and healthy["objects"] == len(NAMES), healthy
        still = cluster.targets[2]
        quiet = id_of(cluster, still)
        still.process.send_signal(signal.SIGSTOP)
        try:
            until(lambda: nodes(cluster)[quiet]["state"] == "silent", "it is silent", 60)
            shown = etlctl(cluster, "cluster", "show", check=True)
            line = next(line for line in shown.stdout.decode().splitlines() if quiet in line)
            assert re.search(r"silent \d+", line), line
            assert quiet in shown.stderr.decode() and "is silent" in shown.stderr.decode(), shown
            assert nodes(cluster)[quiet]["silent_seconds"] >= 10
            counted = etlctl(cluster, "etl", "ls", check=True)
            assert f"the counters do not include targets that did not answer: {quiet}" in counted.stderr.decode(), counted
            item = json.loads(etlctl(cluster, "etl", "ls", "-o", "json", check=True).stdout)["items"][0]
            assert item["partial"] is True, item
            answer = listed(cluster)[0]
            assert answer.status == 503 and quiet in answer.text and "silent" in answer.text, answer
        finally:
            still.process.send_signal(signal.SIGCONT)
        until(lambda: nodes(cluster)[quiet]["state"] == "active", "it is back", 60)
        cluster.stop_etl(etl)


def case_the_dead_one_is_named():
    """Until the target counts as silent, a list fails with the dead target's name and reason, never with a healthy one's."""
    with Filled(3) as cluster:
        dead = cluster.targets[1]
        gone = id_of(cluster, dead)
        dead.kill(signal.SIGKILL)
        seen = set()

        def silent_now():
            answer = listed(cluster)[0]
            assert answer.status == 503 and gone in answer.text and "canceled" not in answer.text, answer
            seen.add("does not answer" if "does not answer" in answer.text else "silent" if "silent" in answer.text else answer.text)
            return "silent" in answer.text
        until(silent_now, "it counts as silent", 60)
        assert seen <= {"does not answer", "silent"}, seen
        dead.start()
        until(lambda: listed(cluster)[1] == NAMES, "the list is whole again", 60)


def case_another_cluster():
    """The proxy's directory is lost: both sides report it, and what to do."""
    with Filled() as cluster:
        old = cluster.smap()["uuid"]
        assert cluster.proxy.kill(signal.SIGTERM) == 0
        saved = os.path.join(cluster.dir, "saved")
        shutil.move(os.path.join(cluster.dir, "proxy"), saved)
        cluster.proxy.start()
        assert cluster.smap()["uuid"] != old

        def told():
            shown = etlctl(cluster, "cluster", "show", check=True)
            return "2 targets of another cluster" in shown.stderr.decode() and shown
        shown = until(told, "cluster show tells of both", 90)
        strangers = json.loads(etlctl(cluster, "cluster", "show", "-o", "json", check=True).stdout)["strangers"]
        assert len(strangers) == 2 and all(one["cluster"] == old and one["peer"] for one in strangers), strangers
        health = etlctl(cluster, "cluster", "health")
        assert health.returncode == 6 and "2 targets of another cluster" in health.stderr.decode(), health
        assert json.loads(etlctl(cluster, "cluster", "health", "-o", "json").stdout)["strangers"] == strangers
        assert old in shown.stderr.decode() and "lost its data directory" in shown.stderr.decode(), shown
        for name in ("proxy", "target1"):
            log = cluster.log_tail(name, 200)
            assert old in log and "lost its data directory" in log, (name, log)
        assert cluster.proxy.kill(signal.SIGTERM) == 0
        shutil.rmtree(os.path.join(cluster.dir, "proxy"))
        shutil.move(saved, os.path.join(cluster.dir, "proxy"))
        cluster.proxy.start()
        until(lambda: readable(cluster) == NAMES, "the copy of the directory brings all back", 90)


def problem(node):
    answer = request("GET", node.url + "/v1/health?readiness=true")
    return answer.text if answer.status == 503 else ""


def case_a_restored_proxy_is_behind():
    """A copy of the proxy's directory is restored while the targets have a newer document: it changes nothing before it has taken that."""
    with Filled(1) as cluster:
        assert cluster.proxy.kill(signal.SIGTERM) == 0
        kept = keep(cluster, "proxy")
        cluster.proxy.start()
        cluster.bucket("b-later")
        version = int(cluster.smap()["version"])
        assert cluster.proxy.kill(signal.SIGTERM) == 0
        put_back(cluster, "proxy", kept)
        cluster.proxy.start()
        until(lambda: not problem(cluster.proxy) and int(cluster.smap()["version"]) > version, "the proxy has caught up", 60)
        log = cluster.log_tail("proxy", 200)
        assert "the proxy is behind" in log and "data directory is older" in log and "it took the newest of its targets" in log, log
        until(lambda: not problem(cluster.targets[0]), "the target agrees", 60)
        until(lambda: readable(cluster) == NAMES, "objects can be read", 90)
        assert request("HEAD", cluster.url("/v1/buckets/b-later")).status == 200
        cluster.bucket("c")


def case_lines_that_diverged():
    """The copy is restored and changed while the target is away. Both then have the same version number, but are not taken for the same
    document."""
    with Filled(1) as cluster:
        target = cluster.targets[0]
        assert cluster.proxy.kill(signal.SIGTERM) == 0
        kept = keep(cluster, "proxy")
        cluster.proxy.start()
        cluster.bucket("line-one")
        version = cluster.smap()["version"]
        assert target.kill(signal.SIGTERM) == 0
        assert cluster.proxy.kill(signal.SIGTERM) == 0
        put_back(cluster, "proxy", kept)
        cluster.proxy.start()
        cluster.bucket("line-two")
        assert cluster.smap()["version"] == version
        target.start()
        until(lambda: "diverged" in problem(cluster.proxy), "the proxy says it", 60)
        until(lambda: "diverged" in problem(target), "so does the target", 60)
        assert f"version {version} " in problem(target), problem(target)
        shown = etlctl(cluster, "cluster", "show", check=True)
        assert "diverged" in shown.stdout.decode() and "restored or copied" in shown.stderr.decode(), shown
        item = next(one for one in json.loads(etlctl(cluster, "cluster", "show", "-o", "json", check=True).stdout)["items"] if one["role"] == "target")
        assert item["state"] == "diverged" and "restored or copied" in item["reason"], item
        health = etlctl(cluster, "cluster", "health")
        assert health.returncode == 6 and "restored or copied" in health.stderr.decode(), health
        assert re.search(item["id"] + r" +target +diverged", health.stdout.decode()), health
        item = next(one for one in json.loads(etlctl(cluster, "cluster", "health", "-o", "json").stdout)["items"] if one["role"] == "target")
        assert item["status"] == "diverged" and "restored or copied" in item["problem"], item
        refused = request("POST", cluster.url("/v1/buckets/c"), json.dumps({"action": "create-bck"}))
        assert refused.status == 409, refused
        # Never acknowledged as equal: no redirect to a target with another document, and the same message wherever it matters.
        for answer in (request("PUT", cluster.url("/v1/objects/line-two/x"), b"", follow=False), request("GET", cluster.url("/v1/objects/b/o1"), follow=False), listed(cluster)[0],
                       request("POST", cluster.url("/v1/etl/init"), pod_spec("x", "x:v1").encode())):
            assert answer.status == 409 and answer.json["code"] == "diverged" and "restored or copied" in answer.text and "silent" not in answer.text, answer


def case_the_last_count():
    """A stopping target reports how many objects it has when nothing more can be stored."""
    with Filled(2) as cluster:
        target = cluster.targets[1]
        ending = id_of(cluster, target)
        for round_number in range(3):
            for i in range(12):
                assert cluster.put("b", f"more-{round_number}-{i}", b"x").status == 200
            names = listed(cluster)[1]
            held = sum(1 for name in names if cluster.holder("b", name) is target)
            assert target.kill(signal.SIGTERM) == 0
            assert nodes(cluster)[ending]["objects"] == held, (nodes(cluster), held)
            target.start()
            until(lambda: nodes(cluster)[ending]["state"] == "active" and listed(cluster)[1] == names, "it is back", 60)


def case_counts_that_are_none():
    """What a target reports about itself is validated; missing values are unknown, not 0."""
    with Filled(1) as cluster:
        target = cluster.targets[0]
        gone = id_of(cluster, target)
        with open(cluster.secret_arguments[1], encoding="ascii") as file:
            secret = {"Etlnode-Cluster-Secret": file.read().strip()}
        document = heard_from(target, secret)
        target.kill(signal.SIGKILL)
        for key, values in (("object_count", (-1, 1.5, "many", "-1", [], {}, None, True, 1e300)), ("document_version", (-1, "x", [])), ("document_digest", (1.5, {}))):
            for value in values:
                answer = request("POST", cluster.url("/v1/node/register"), json.dumps({**document, key: value}), secret)
                assert answer.status == 400 and f"{key}: expected a whole number" in answer.text, (key, value, answer)
        whole = {key: value for key, value in document.items() if key != "object_count"}
        assert request("POST", cluster.url("/v1/node/register"), json.dumps(whole), secret).status in (200, 204)
        assert "objects" not in nodes(cluster)[gone], nodes(cluster)
        shown = json.loads(etlctl(cluster, "cluster", "show", "-o", "json", check=True).stdout)["items"]
        assert next(one for one in shown if one["id"] == gone)["objects"] is None, shown
        until(lambda: nodes(cluster)[gone]["state"] == "silent", "it is silent", 60)
        refused = etlctl(cluster, "target", "rm", gone)
        assert refused.returncode == 2 and "an unknown number of objects" in refused.stderr.decode() and "0 objects" not in refused.stderr.decode(), refused
        for wrong in (-1, "x", 1.5, None):
            answer = request("PUT", cluster.url("/v1/cluster"), json.dumps({"action": "decommission-node", "value": {"sid": gone, "objects": wrong}}))
            assert answer.status == 400 and "value.objects: expected a whole number" in answer.text, (wrong, answer)
        answer = request("PUT", cluster.url("/v1/cluster"), json.dumps({"action": "decommission-node", "value": {"sid": gone, "objects": 0}}))
        assert answer.status == 409 and "an unknown number of objects, not 0" in answer.text, answer
        refused = etlctl(cluster, "target", "rm", gone, "--yes")
        assert refused.returncode == 4 and "is the last one that holds objects" in refused.stderr.decode(), refused


def heard_from(target, secret):
    """The registration that a target sends, as another proxy on its proxy's port would receive it."""
    cluster = target.cluster
    assert cluster.proxy.kill(signal.SIGTERM) == 0
    heard = []

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/v1/node/register" and self.headers["Etlnode-Cluster-Secret"] == secret["Etlnode-Cluster-Secret"]:
                heard.append(body)
            self.send_error(503)

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", cluster.proxy.announced["port"]), Listener) as server:
        server.timeout = 5
        until(lambda: server.handle_request() or heard, "the target registers", 60)
    cluster.proxy.start()
    until(lambda: nodes(cluster)[heard[0]["id"]]["state"] == "active", "the target is back", 60)
    return heard[0]


def case_a_copy_beside_the_original():
    """A second process with a copy of a target's data directory and the same id is refused while the first one runs, and accepted when it
    has ended."""
    with Filled(1) as cluster:
        original = cluster.targets[0]
        original.kill(signal.SIGTERM)
        keep(cluster, "target1", ".copy")
        original.start()
        url = original.url
        until(lambda: [(node["url"], node["state"]) for node in nodes(cluster).values() if node["role"] == "target"] == [(url, "active")], "the original is back", 60)
        arguments = ["127.0.0.1:0" if before in ("--listen", "--pod-listen") else word for before, word in zip(["", *original.arguments], original.arguments)]
        second = harness.Node(cluster, "target1.copy", arguments).start()
        try:
            until(lambda: "has a copy of its data directory" in cluster.log_tail("target1.copy", 400), "the copy is told", 90)
            assert "has a copy of its data directory" in cluster.log_tail("proxy", 400)
            assert [node["url"] for node in nodes(cluster).values() if node["role"] == "target"] == [url], nodes(cluster)
            assert readable(cluster) == NAMES
            original.kill(signal.SIGKILL)
            until(lambda: [node["url"] for node in nodes(cluster).values() if node["role"] == "target"] == [second.url], "the copy takes its place when it has ended", 90)
            until(lambda: readable(cluster) == NAMES, "its objects can be read", 90)
        finally:
            second.kill(signal.SIGTERM)


UPPER = "test/upper:1"


def pod_lives(cluster):
    return sorted((pod["metadata"]["name"], pod["metadata"]["uid"], pod["metadata"].get("deletionTimestamp")) for pod in cluster.pods())


def with_etl(cluster):
    cluster.image(UPPER, {"srv.py": harness_server()}, ["/srv.py"])
    etl = cluster.init(pod_spec("upper", UPPER))
    answer = cluster.get("b", "o1", f"uuid={etl}")
    assert answer.status == 200 and answer.body == b"O1", answer
    return etl


def refused_ones_leave_pods_alone(cluster, etl, node, told):
    """A process whose registrations are refused, again and again, has no part in the pods with its name, and serves none of them."""
    before = pod_lives(cluster)
    assert len(before) == 1, before
    node.start()
    try:
        # The back-off between refusals doubles: after the third one, some time has passed in which pods could have been touched.
        until(lambda: cluster.log_tail("proxy", 4000).count(told) >= 3, "it has been refused three times", 120)
        assert pod_lives(cluster) == before, (before, pod_lives(cluster))
        answer = request("GET", node.url + f"/v1/objects/b/o1?uuid={etl}")
        assert answer.status == 503 and answer.json["code"] == "not_ready" and "has not accepted it yet" in answer.text, answer
        assert request("GET", node.url + "/v1/objects/b/o1").body == b"o1"
    finally:
        node.kill(signal.SIGTERM)
    assert pod_lives(cluster) == before, (before, pod_lives(cluster))
    return before


def case_a_refused_copy_leaves_pods_alone():
    """A copy of a running target's directory has the same pods' names. It must not replace the pods of the original."""
    with Filled(1) as cluster:
        etl = with_etl(cluster)
        keep(cluster, "target1", ".copy")
        original = cluster.targets[0]
        arguments = ["127.0.0.1:0" if before in ("--listen", "--pod-listen") else word for before, word in zip(["", *original.arguments], original.arguments)]
        second = harness.Node(cluster, "target1.copy", arguments)
        refused_ones_leave_pods_alone(cluster, etl, second, "registration refused")
        assert cluster.get("b", "o2", f"uuid={etl}").body == b"O2"
        # When the original is gone, the copy is accepted, and the pod is its own.
        original.kill(signal.SIGKILL)
        second.start()
        try:
            until(lambda: [node["url"] for node in nodes(cluster).values() if node["role"] == "target"] == [second.url], "the copy takes its place", 120)
            until(lambda: cluster.get("b", "o3", f"uuid={etl}").body == b"O3", "its ETL serves", 120)
            cluster.stop_etl(etl)
            assert cluster.pods() == []
        finally:
            second.kill(signal.SIGTERM)


def case_without_the_proxy_pods_wait():
    """A target that starts while the proxy is away cannot know whether it is the one. It serves plain objects, and adopts its pod when the
    proxy accepts it."""
    with Filled(1) as cluster:
        etl = with_etl(cluster)
        target = cluster.targets[0]
        before = pod_lives(cluster)
        assert cluster.proxy.kill(signal.SIGTERM) == 0
        target.kill(signal.SIGTERM)
        target.start()
        until(lambda: "the proxy cannot be reached" in cluster.log_tail("target1", 400), "it has tried", 60)
        assert request("GET", target.url + "/v1/objects/b/o1").body == b"o1"
        answer = request("GET", target.url + f"/v1/objects/b/o1?uuid={etl}")
        assert answer.status == 503 and answer.json["retryable"] is True and "has not accepted it yet" in answer.text, answer
        assert pod_lives(cluster) == before
        cluster.proxy.start()
        until(lambda: cluster.get("b", "o1", f"uuid={etl}").body == b"O1", "the ETL serves again", 120)
        assert pod_lives(cluster) == before, (before, pod_lives(cluster))
        cluster.stop_etl(etl)


def case_an_older_copy_is_refused():
    """A copy of a target's directory is restored, from before a delete and an overwrite. Neither is undone: the copy serves nothing."""
    with Filled(2) as cluster:
        target = cluster.targets[0]
        identity = id_of(cluster, target)
        own = [name for name in NAMES if request("GET", target.url + f"/v1/objects/b/{name}", follow=False).status == 200]
        gone, changed, kept_as_it_is = own[:3]
        assert target.kill(signal.SIGTERM) == 0
        older = keep(cluster, "target1")
        target.start()
        until(lambda: readable(cluster) == NAMES, "it is back", 60)
        assert request("DELETE", cluster.url(f"/v1/objects/b/{gone}")).status == 200
        assert cluster.put("b", changed, b"changed").status == 200
        assert target.kill(signal.SIGTERM) == 0
        newest = keep(cluster, "target1", ".newest")

        put_back(cluster, "target1", older)
        target.start()
        until(lambda: "older state of its data directory" in problem(target), "the copy is refused", 60)
        for name in (gone, changed, kept_as_it_is):
            assert cluster.get("b", name).status == 503, name
            assert request("GET", target.url + f"/v1/objects/b/{name}").status == 503, name
        until(lambda: "older state of its data directory" in nodes(cluster)[identity]["reason"], "the proxy says why", 60)
        assert "older state" in etlctl(cluster, "target", "ls", check=True).stderr.decode()
        cluster.proxy.kill(signal.SIGTERM)
        cluster.proxy.start()  # what it heard outlives it, once it is a minute old
        assert target.kill(signal.SIGTERM) == 0

        put_back(cluster, "target1", newest)
        target.start()
        until(lambda: cluster.get("b", kept_as_it_is).status == 200, "the newest state is accepted", 60)
        assert cluster.get("b", gone).status == 404
        assert cluster.get("b", changed).body == b"changed"


def harness_server():
    return """#!/usr/local/bin/python
import http.server
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).upper()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    do_PUT = do_POST
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer(("0.0.0.0", 80), H).serve_forever()
"""


harness.run([
    ("a silent target is shown", case_silent_is_shown),
    ("the dead target is named", case_the_dead_one_is_named),
    ("targets of another cluster", case_another_cluster),
    ("a restored proxy is behind", case_a_restored_proxy_is_behind),
    ("lines that diverged", case_lines_that_diverged),
    ("the last count", case_the_last_count),
    ("counts that are none", case_counts_that_are_none),
    ("an older copy is refused", case_an_older_copy_is_refused),
    ("a copy beside the original", case_a_copy_beside_the_original),
    ("a refused copy leaves pods alone", case_a_refused_copy_leaves_pods_alone),
    ("without the proxy pods wait", case_without_the_proxy_pods_wait),
])
