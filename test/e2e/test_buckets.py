#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Buckets as wholes: other names and properties, as AIStore's clients and etlctl ask for them."""
import json
import signal
import threading

import harness
from harness import request, until
from filled_cluster import NAMES, Filled, act, counts, ended, job_of, listed, to

world = {}


def cluster():
    return world["cluster"]


def move(source, destination):
    return act(cluster(), "POST", f"/v1/buckets/{source}" + to(destination), "move-bck", None)


def status(bucket):
    return request("HEAD", cluster().url(f"/v1/buckets/{bucket}")).status


def fill(bucket, count):
    cluster().bucket(bucket)
    for i in range(count):
        assert cluster().put(bucket, f"many/{i:03}", b"%d" % i * 50).status == 200


def complete(bucket, count):
    return all(cluster().get(bucket, f"many/{i:03}").body == b"%d" % i * 50 for i in range(count))


def goes_to(target, bucket, name):
    return request("PUT", cluster().url(f"/v1/objects/{bucket}/{name}"), b"", follow=False).headers.get("Location", "").startswith(target.url + "/")


def case_a_bucket_gets_another_name():
    c = cluster()
    fill("old", 40)
    job = ended(c, job_of(c, move("old", "new")))
    assert job["state"] == "done" and counts(job) == (40, 0, 0), job
    assert status("old") == 404 and complete("new", 40) and len(listed(c, "new")[1]) == 40
    assert c.put("new", "later", b"x").status == 200
    c.bucket("old")  # the name is free, and nothing of the former bucket comes back
    until(lambda: listed(c, "old")[1] == [], "the former objects are gone")
    again = ended(c, job_of(c, move("old", "empty")))
    assert counts(again) == (0, 0, 0) and status("old") == 404 and status("empty") == 200, again


def case_what_moves_takes_no_writes():
    """A target stands still, so that the job cannot end; nothing is lost, and a cancel leaves the source as it was."""
    c = cluster()
    fill("held", 8)
    still = c.targets[1]
    here = next(name for name in listed(c, "held")[1] if c.holder("held", name) is c.targets[0])
    still.process.send_signal(signal.SIGSTOP)
    try:
        job = job_of(c, move("held", "other"))
        for bucket, text in (("held", "is giving it the name ais://other"), ("other", "is filling it from ais://held")):
            name = here if bucket == "held" else next(f"n{i}" for i in range(99) if goes_to(c.targets[0], "other", f"n{i}"))
            refused = c.put(bucket, name, b"changed")
            assert refused.status == 409 and text in refused.text, refused
            assert request("DELETE", c.url(f"/v1/objects/{bucket}/{name}")).status == 409
            destroyed = act(c, "DELETE", f"/v1/buckets/{bucket}", "destroy-bck", None)
            assert destroyed.status == 409 and job in destroyed.text, destroyed
        assert c.get("held", here).status == 200
        for path, action in (("/v1/buckets/held" + to("x"), "copy-bck"), ("/v1/buckets/b" + to("other"), "copy-bck")):
            answer = act(c, "POST", path, action, {})
            assert answer.status == 409 and job in answer.text, answer
        assert act(c, "PUT", "/v1/cluster", "stop", {"ID": job}).status == 200
    finally:
        still.process.send_signal(signal.SIGCONT)
    over = ended(c, job)
    assert over["state"] == "cancelled" and status("held") == 200 and complete("held", 8), over
    assert c.put("held", here, b"changed").status == 200 and c.get("held", here).body == b"changed"
    assert act(c, "DELETE", "/v1/buckets/other", "destroy-bck", None).status == 200


def case_what_cannot_move():
    c = cluster()
    c.bucket("there")
    rows = [
        (move("b", "b"), 400, "onto itself"),
        (move("b", "there"), 409, "already exists"),
        (move("nope", "x"), 404, "nope"),
        (move("b", ".x"), 400, "invalid bucket name"),
        (act(c, "POST", "/v1/buckets/b", "move-bck", None), 400, "bck_to="),
        (act(c, "POST", "/v1/buckets/b" + to("x"), "move-bck", {"prefix": "a"}), 400, "as a whole"),
        (act(c, "POST", "/v1/buckets/b?bck_to=s3%2F%40%23%2Fd%2F", "move-bck", None), 501, "only provider ais"),
    ]
    for answer, code, text in rows:
        assert answer.status == code and text in answer.text, (code, text, answer)
    assert status("x") == 404 and listed(c, "b")[1] == NAMES


def case_nodes_are_killed_while_it_moves():
    """Writers go on: whatever was acknowledged is in the bucket that remains, and readers find each object in one of the two."""
    c = cluster()
    fill("from", 300)
    accepted, stopped, lost = {}, threading.Event(), []

    def write():
        i = 0
        while not stopped.is_set():
            i += 1
            try:
                if c.put("from", f"w{i}", b"w%d" % i).status == 200:
                    accepted[f"w{i}"] = b"w%d" % i
            except (OSError, AssertionError, harness.http.client.HTTPException):
                pass  # a node is down, or the bucket takes no writes

    def read():
        while not stopped.is_set():
            try:
                answers = [c.get(bucket, "many/007").status for bucket in ("from", "to")]
            except (OSError, AssertionError, harness.http.client.HTTPException):
                continue
            if answers == [404, 404]:
                lost.append(answers)
    threads = [threading.Thread(target=write), threading.Thread(target=read)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: len(accepted) > 20, "writes are accepted")
        job = job_of(c, move("from", "to"))
        for node in (c.targets[0], c.proxy, c.targets[1]):
            node.kill(signal.SIGKILL)
            node.start()
            until(lambda: request("GET", c.url("/v1/health?readiness=true")).status == 200, "the cluster is back", 60)
        over = ended(c, job, 120)
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
    assert over["state"] == "done" and over["failed"] == 0, over
    assert status("from") == 404 and complete("to", 300) and not lost, lost
    for name, body in accepted.items():
        assert c.get("to", name).body == body, name
    assert over["done"] + over["skipped"] >= 300 + len(accepted), (over, len(accepted))


def case_targets_change_while_it_moves():
    """An object may have gone to a target that had done its share, so the source stays, and the move can be done again."""
    c = cluster()
    fill("grown", 60)
    still = c.targets[1]
    still.process.send_signal(signal.SIGSTOP)
    try:
        job = job_of(c, move("grown", "larger"))
        before = request("GET", c.url("/v1/cluster?what=nodes")).json["epoch"]
        c.add_target(3)
        until(lambda: request("GET", c.url("/v1/cluster?what=nodes")).json["epoch"] != before, "the new target is placed", 60)
    finally:
        still.process.send_signal(signal.SIGCONT)
    over = ended(c, job)
    assert over["state"] == "done" and "ais://grown stays: the targets have changed" in over["error"], over
    assert complete("grown", 60) and c.put("larger", "mine", b"x").status == 200
    until(lambda: not request("GET", c.url("/v1/cluster?what=nodes")).json["moving"], "objects have settled", 60)
    again = ended(c, job_of(c, move("grown", "larger")))
    assert again["state"] == "done" and again["error"] == "" and status("grown") == 404 and complete("larger", 60), again
    assert c.get("larger", "mine").body == b"x"


def props(bucket):
    return json.loads(request("HEAD", cluster().url(f"/v1/buckets/{bucket}")).headers["Ais-Bucket-Props"])


def case_properties():
    c = cluster()
    before = props("b")
    assert act(c, "POST", "/v1/buckets/set", "create-bck", {"versioning": {"enabled": False}, "mirror": None}).status == 200
    assert props("set")["versioning"]["enabled"] is False and props("set")["mirror"] == before["mirror"]
    assert act(c, "PATCH", "/v1/buckets/set", "set-bprops", {"checksum": {"type": "md5"}, "mirror": {"copies": 2, "enabled": False}}).status == 200
    c.proxy.kill(signal.SIGKILL)
    c.proxy.start()
    until(lambda: request("GET", c.url("/v1/health?readiness=true")).status == 200, "the proxy is back", 60)
    shown = props("set")
    assert (shown["versioning"]["enabled"], shown["checksum"]["type"], shown["mirror"]["copies"]) == (False, "md5", 2), shown
    bmd = request("GET", c.url("/v1/daemon?what=bmd")).json["providers"]["ais"]["@#"]["set"]
    assert bmd["checksum"]["type"] == "md5", bmd
    job = ended(c, job_of(c, move("set", "renamed")))
    assert job["state"] == "done" and props("renamed")["checksum"]["type"] == "md5", job
    for value, code, text in [({"mirror": {"enabled": True}}, 501, "mirror.enabled cannot be true: there is one copy"), ({"nope": 1}, 400, "unknown property nope"),
                              ({"ec": {"enabled": True}, "versioning": {"enabled": True}}, 501, "ec.enabled")]:
        answer = act(c, "PATCH", "/v1/buckets/renamed", "set-bprops", value)
        assert answer.status == code and text in answer.text, answer
        answer = act(c, "POST", "/v1/buckets/never", "create-bck", value)
        assert answer.status == code and text in answer.text and status("never") == 404, answer
    assert props("renamed")["versioning"]["enabled"] is False
    assert act(c, "PATCH", "/v1/buckets/renamed", "reset-bprops", None).status == 200
    assert {**props("renamed"), "bid": 0, "created": 0} == {**before, "bid": 0, "created": 0}
    assert act(c, "PATCH", "/v1/buckets/nowhere", "set-bprops", {}).status == 404
    assert act(c, "PATCH", "/v1/buckets/b", "make-n-copies", 2).status == 501


def case_calls_about_nodes_and_other_jobs():
    c = cluster()
    nodes = [*request("GET", c.url("/v1/daemon?what=smap")).json["tmap"], request("GET", c.url("/v1/daemon?what=smap")).json["proxy_si"]["daemon_id"]]
    for node in nodes:
        def ask(query, node=node):
            return request("GET", c.url("/v1/reverse/daemon?what=" + query), headers={"Ais-Node-Id": node})
        log = ask("log&severity=info")
        assert log.status == 200 and f"node={node}" in log.text and log.headers["Content-Type"].startswith("text/plain"), log
        assert "level=info" not in ask("log&severity=error").text
        assert ask("log&severity=loud").status == 400 and ask("log&severity=info&all=true").status == 501
        assert ask("disk").json == {} and ask("node_stats").json["snode"]["daemon_id"] == node == ask("snode").json["daemon_id"]
    for path in ("/v1/sort", "/v1/download"):
        assert request("GET", c.url(path)).json == []
        assert request("GET", c.url(path + "?id=x&uuid=x")).status == 404
    for method, path in (("POST", "/v1/sort"), ("DELETE", "/v1/sort/abort"), ("PUT", "/v1/cluster/set-config?mirror.enabled=true"), ("PUT", "/v1/cluster/proxy/p1")):
        assert request(method, c.url(path), b"{}").status == 501, (method, path)
    for act_name in ("rechunk", "index-shard", "make-n-copies"):
        assert act(c, "POST", "/v1/buckets/b", act_name, None).status == 501
    assert request("GET", c.url("/v1/buckets/b?namespace=%40%23ns1")).status == 501


with Filled(2) as made:
    world["cluster"] = made
    harness.run([
        ("a bucket gets another name", case_a_bucket_gets_another_name),
        ("what moves takes no writes", case_what_moves_takes_no_writes),
        ("what cannot move", case_what_cannot_move),
        ("nodes are killed while it moves", case_nodes_are_killed_while_it_moves),
        ("properties", case_properties),
        ("targets change while it moves", case_targets_change_while_it_moves),
        ("calls about nodes and other jobs", case_calls_about_nodes_and_other_jobs),
    ])
