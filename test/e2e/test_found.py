#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a target holds and should not, or cannot give: damaged objects that a drain leaves behind, and objects of other targets found while nothing moves."""
import json
import os
import re
import signal
import sqlite3

import harness
from filled_cluster import id_of, nodes
from harness import Cluster, request, until

LARGE = 3 << 20


def content(name, size):
    return (name.encode() + b"|") * (size // (len(name) + 1)) + b"x" * (size % (len(name) + 1))


def database(target):
    return sqlite3.connect(os.path.join(target.cluster.dir, target.name, "node.db"), timeout=60, isolation_level=None)


def etlctl(cluster, *words, check=True):
    return cluster.run("etlctl", *words, check=check)


def fill(cluster, bucket):
    cluster.bucket(bucket)
    bodies = {f"o{i}": content(f"o{i}", LARGE if i % 4 == 0 else 700) for i in range(40)}
    for name, body in bodies.items():
        assert cluster.put(bucket, name, body).status == 200
    return bodies


def away(target, change):
    """Stops the target, changes its data directory, and starts it again."""
    assert target.kill(signal.SIGTERM) == 0
    change()
    target.start()
    cluster = target.cluster
    until(lambda: all(node["state"] == "active" for node in nodes(cluster).values()), "all targets are heard", 60)


def damage(target, bucket, names):
    """Changes a byte of each object, in the index or in its file."""
    db = database(target)
    for name in names:
        identity, in_index = db.execute("SELECT content_id, in_index FROM objects WHERE bucket = ? AND name = ?", (bucket.encode(), name.encode())).fetchone()
        if in_index:
            data = bytearray(db.execute("SELECT bytes FROM contents WHERE content_id = ?", (identity,)).fetchone()[0])
            data[10] ^= 4
            db.execute("UPDATE contents SET bytes = ? WHERE content_id = ?", (bytes(data), identity))
        else:
            hexadecimal = f"{identity:016x}"
            path = os.path.join(target.cluster.dir, target.name, "objects", hexadecimal[12:14], hexadecimal)
            with open(path, "r+b") as file:
                file.seek(10)
                byte = file.read(1)[0]
                file.seek(10)
                file.write(bytes([byte ^ 4]))
    db.close()


def case_damaged_objects_are_left():
    with Cluster(targets=3) as cluster:
        bodies = fill(cluster, "b")
        giver = cluster.targets[0]
        identity = id_of(cluster, giver)
        on_it = [name for name in bodies if cluster.holder("b", name) is giver]
        small = next(name for name in on_it if len(bodies[name]) < LARGE)
        large = next(name for name in on_it if len(bodies[name]) == LARGE)
        away(giver, lambda: damage(giver, "b", [small, large]))
        job = etlctl(cluster, "target", "drain", identity).stdout.decode().strip()
        until(lambda: request("GET", cluster.url("/v1/jobs/" + job)).json["failed"] == 2, "two objects cannot be moved", 120)
        for name in (small, large):
            answer = cluster.get("b", name)
            assert answer.status == 500 and "damaged" in answer.text and "store it again under this name, or delete it" in answer.text, answer
        assert etlctl(cluster, "target", "drain", identity, "--leave-damaged").stdout.decode().strip() == job
        waited = etlctl(cluster, "job", "wait", job, "--timeout", "200s", check=False)
        assert waited.returncode == 8 and b"2 failed" in waited.stdout, waited
        assert nodes(cluster)[identity]["state"] == "maintenance"
        until(lambda: nodes(cluster)[identity].get("objects") == 0, "it is empty", 60)
        shown = json.loads(etlctl(cluster, "job", "report", job, "-o", "json").stdout)["items"]
        assert sorted(one["object"] for one in shown) == sorted(["b/" + small, "b/" + large]), shown
        for one in shown:
            kept = re.search(r"it was damaged, and moved without its content: .* What is left of it is in (\S+)$", one["message"])
            assert kept and os.path.getsize(kept.group(1)) == len(bodies[one["object"][2:]]), one
        for name, body in bodies.items():
            answer = cluster.get("b", name)
            if name in (small, large):
                assert answer.status == 500 and "data is corrupt: the content was damaged when the object moved" in answer.text, answer
            else:
                assert answer.status == 200 and answer.body == body, name
        scrubbed = etlctl(cluster, "scrub", "--wait", check=False)
        assert scrubbed.returncode == 8 and b"2 failed" in scrubbed.stdout, scrubbed
        # They move on like any others, and are as before once they are stored again or deleted.
        etlctl(cluster, "target", "activate", identity)
        until(lambda: not request("GET", cluster.url("/v1/cluster?what=nodes")).json["moving"] and nodes(cluster)[identity]["state"] == "active", "it holds objects again", 120)
        assert [cluster.get("b", name).status for name in (small, large)] == [500, 500]
        assert cluster.put("b", small, b"again").status == 200 and cluster.get("b", small).body == b"again"
        assert request("DELETE", cluster.url("/v1/objects/b/" + large)).status == 200 and cluster.get("b", large).status == 404
        assert etlctl(cluster, "scrub", "--wait").returncode == 0


def bring_in(target, source, bucket, names):
    """Rows of another target's directory appear in this one's, as if its disk had come back from an earlier time."""
    here, there = database(target), database(source)
    identity = here.execute("SELECT max(content_id) FROM objects").fetchone()[0] + 1000
    for name in names:
        row = list(there.execute("SELECT * FROM objects WHERE bucket = ? AND name = ?", (bucket.encode(), name.encode())).fetchone())
        data = there.execute("SELECT bytes FROM contents WHERE content_id = ?", (row[2],)).fetchone()[0]
        identity += 1
        row[2] = identity
        here.execute("INSERT INTO contents VALUES(?, ?)", (identity, data))
        here.execute(f"INSERT INTO objects VALUES({','.join('?' * len(row))})", row)
    here.execute("UPDATE buckets SET objects = objects + ?, content_id_max = ? WHERE bucket = x''", (len(names), identity))
    here.close()
    there.close()


def case_objects_of_others_are_found():
    with Cluster(targets=2) as cluster:
        bodies = fill(cluster, "b")
        target, owner = cluster.targets
        identity = id_of(cluster, target)
        small = [name for name in bodies if cluster.holder("b", name) is owner and len(bodies[name]) < LARGE]
        kept, deleted, rewritten = small[:3]
        until(lambda: etlctl(cluster, "target", "found", identity, check=False).returncode == 0, "it has counted", 60)
        nothing = etlctl(cluster, "target", "found", identity, "--give")
        assert (nothing.stdout, nothing.stderr) == (b"", b""), nothing
        away(target, lambda: bring_in(target, owner, "b", [kept, deleted, rewritten]))
        assert request("DELETE", cluster.url("/v1/objects/b/" + deleted)).status == 200
        assert cluster.put("b", rewritten, b"newer").status == 200
        until(lambda: (request("GET", target.url + "/v1/health?readiness=true").json or {}).get("found", {}).get("objects") == 3, "they are found", 60)
        told = etlctl(cluster, "target", "ls", "-o", "wide")
        assert b"has 3 objects (2.1KiB) that belong to other targets, though nothing moves" in told.stderr and f"etlctl target found {identity}".encode() in told.stderr, told
        assert b"FOUND" in told.stdout and b"though nothing moves" in etlctl(cluster, "cluster", "health").stderr
        assert "\netlnode_found_objects 3\n" in request("GET", target.url + "/metrics").text
        assert cluster.get("b", deleted).status == 404  # nobody is served what was found
        assert etlctl(cluster, "target", "found", identity, "-o", "name").stdout.decode().split() == sorted("b/" + name for name in (kept, deleted, rewritten))
        asked = etlctl(cluster, "target", "found", identity, "--give", check=False)
        assert asked.returncode == 2 and b"what was deleted meanwhile comes back" in asked.stderr and b"--give --yes" in asked.stderr, asked
        wrong = request("POST", cluster.url("/v1/cluster/found/" + identity), json.dumps({"objects": 2}))
        assert wrong.status == 409 and "has found 3 objects that belong to others, not 2" in wrong.text, wrong
        for body, says in (({"objects": "many"}, "objects: expected a whole number"), ({}, "how many objects"), ([], "expected an object")):
            bad = request("POST", cluster.url("/v1/cluster/found/" + identity), json.dumps(body))
            assert bad.status == 400 and says in bad.text, bad
        assert request("GET", cluster.url("/v1/cluster/found/nowhere1")).status == 404
        assert cluster.get("b", deleted).status == 404 and request("GET", f"{target.url}/v1/objects/b/{kept}", follow=False).status == 301
        etlctl(cluster, "target", "found", identity, "--give", "--yes")
        assert request("GET", cluster.url("/v1/cluster/found/" + identity)).json["found"] == 0
        assert cluster.get("b", rewritten).body == b"newer" and cluster.get("b", kept).body == bodies[kept]
        assert cluster.get("b", deleted).body == bodies[deleted]  # it is back: nobody could know
        assert etlctl(cluster, "target", "found", identity, "-o", "name").stdout == b""
        assert etlctl(cluster, "scrub", "--wait").returncode == 0


if __name__ == "__main__":
    harness.run([
        ("a drain leaves damaged objects if it is told to", case_damaged_objects_are_left),
        ("objects of others are found, and given when somebody says so", case_objects_of_others_are_found),
    ], limit=400)
