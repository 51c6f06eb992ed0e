#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What targets and buckets hold and how full disks are: the numbers follow every change and survive kill -9, and a disk that gets full
refuses writes at --out-of-space, says so before, and recovers by itself.

A small file system needs root; without it those cases are skipped.
"""
import contextlib
import json
import os
import re
import sqlite3

import harness
from harness import Cluster, request, until
from small_disk import on_a_small_disk

world = {}


def cluster():
    return world["cluster"]


def listed(c, *arguments):
    done = c.run("etlctl", *arguments, "-o", "json")
    return json.loads(done.stdout)


def usage(c, name):
    (item,) = listed(c, "du", name)["items"]
    return item["objects"], item["bytes"]


def metric(node, name):
    found = re.search("^" + re.escape(name) + r" (\S+)$", request("GET", node.url + "/metrics").text, re.M)
    assert found, (name, node.name)
    return float(found.group(1))


def case_sums_follow_every_change():
    c = cluster()
    c.bucket("sums")
    assert usage(c, "sums") == (0, 0)
    sizes = {f"dir{i % 2}/o{i}": 1000 * i + (i == 7) * 300_000 for i in range(20)}  # empty, in the index, in a file
    for name, size in sizes.items():
        assert c.put("sums", name, b"x" * size).status == 200
    assert usage(c, "sums") == (20, sum(sizes.values()))
    assert usage(c, "sums/dir1/") == (10, sum(size for name, size in sizes.items() if name.startswith("dir1/")))
    assert usage(c, "sums/none") == (0, 0)
    sizes["dir0/o0"], sizes["dir1/o7"] = 70_000, 10  # larger, smaller
    for name in ("dir0/o0", "dir1/o7"):
        assert c.put("sums", name, b"y" * sizes[name]).status == 200
    assert request("DELETE", c.url("/v1/objects/sums/dir0/o4")).status == 200
    assert request("DELETE", c.url("/v1/objects/sums/dir0/o4")).status == 404
    del sizes["dir0/o4"]
    expected = (19, sum(sizes.values()))
    assert usage(c, "sums") == expected
    wide = c.run("etlctl", "bucket", "ls", "-o", "wide").stdout.decode()
    assert re.search(r"^sums +ais +- +19 +[0-9.]+KiB$", wide, re.M), wide
    assert [(b["objects"], b["bytes"]) for b in listed(c, "bucket", "ls")["items"] if b["name"] == "sums"] == [expected]
    for total, name in ((19, "objects"), (expected[1], "bytes")):
        assert sum(metric(t, f'etlnode_bucket_{name}{{bucket="sums"}}') for t in c.targets) == total
    # AIStore's clients ask for a job first.
    ask = lambda uuid: request("GET", c.url("/v1/buckets/sums?provider=ais"), json.dumps({"action": "summary-bck", "value": {"uuid": uuid}}))
    first = ask("")
    assert first.status == 202 and len(first.text) >= 9, first
    (summary,) = ask(first.text).json
    assert summary["ObjCount"]["obj_count_present"] == "19" and summary["TotalSize"]["size_all_present_objs"] == str(expected[1]), summary
    assert summary["ObjSize"] == {"obj_min_size": 10, "obj_avg_size": expected[1] // 19, "obj_max_size": 70_000}, summary
    # Neither a kill nor a restart changes them; nothing is counted anew.
    for target in c.targets:
        target.kill()
        target.start()
    until(lambda: not listed_missing(c), "the targets are heard again")
    assert usage(c, "sums") == expected and usage(c, "sums/dir1/") == (10, sum(s for n, s in sizes.items() if n.startswith("dir1/")))
    for target in c.targets:
        path = os.path.join(c.dir, target.name, "node.db")
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            rows = db.execute("SELECT bucket, count(*), sum(size) FROM objects GROUP BY bucket").fetchall()
            assert sorted(rows) == sorted(db.execute("SELECT bucket, objects, bytes FROM buckets WHERE bucket <> x''").fetchall()), rows
    assert c.run("etlctl", "bucket", "rm", "sums", "--yes").returncode == 0
    gone = c.run("etlctl", "du", "sums", check=False)
    assert gone.returncode == 3 and b"does not exist" in gone.stderr, gone
    for target in c.targets:
        until(lambda: 'bucket="sums"' not in request("GET", target.url + "/metrics").text, "the bucket is gone")


def id_of(c, node):
    smap = c.smap()
    return next(one["daemon_id"] for one in list(smap["tmap"].values()) + list(smap["pmap"].values()) if one["public_net"]["direct_url"] == node.url)


def listed_missing(c):
    return request("GET", c.url("/v1/cluster?what=usage")).json["missing"]


def case_a_sum_that_would_be_too_small_is_refused():
    c = cluster()
    c.bucket("partly")
    assert c.put("partly", "o", b"x").status == 200
    c.targets[1].kill()
    until(lambda: listed_missing(c), "the target is silent")
    for name in ("partly", "partly/o"):
        done = c.run("etlctl", "du", name, check=False)
        assert done.returncode == 6 and id_of(c, c.targets[1]).encode() in done.stderr, done
    done = c.run("etlctl", "bucket", "ls", "-o", "wide")
    assert b"cannot be heard" in done.stderr and re.search(rb"^partly +ais +- +- +-$", done.stdout, re.M), done
    c.targets[1].start()
    until(lambda: not listed_missing(c), "the target is heard again")
    assert usage(c, "partly") == (1, 1)


def case_nodes_show_versions_and_disks():
    c = cluster()
    version = c.run("etlctl", "version", "--client", "-o", "json")
    version = json.loads(version.stdout)["client"]
    items = until(lambda: all("diskFree" in n and n["diskFree"] for n in targets_of(c)) and listed(c, "cluster", "show")["items"], "disks are reported")
    assert {n["version"] for n in items} == {version}, items
    disk = os.statvfs(c.dir)
    for node in items:
        if node["role"] == "target":
            assert node["diskSize"] == disk.f_blocks * disk.f_frsize and node["outOfSpace"] == 95 and node["diskState"] in ("ok", "low", "full"), node
    header = c.run("etlctl", "cluster", "show", "-o", "wide").stdout.decode().splitlines()[0]
    for column in ("VERSION", "OBJECTS", "BYTES", "DISK FREE", "USED%"):
        assert column in header, header
    # Both targets are on one disk, which the total counts once.
    answer = listed(c, "df")
    assert len(answer["items"]) == 2 and answer["total"]["diskSize"] == disk.f_blocks * disk.f_frsize and answer["total"]["complete"], answer
    assert answer["total"]["bytes"] == sum(item["bytes"] for item in answer["items"])
    table = c.run("etlctl", "df").stdout.decode().splitlines()
    assert table[0].split() == ["TARGET", "STATE", "OBJECTS", "BYTES", "SIZE", "USED", "FREE", "USED%"] and table[-1].startswith("total"), table
    for name in ("etlnode_disk_size_bytes", "etlnode_disk_free_bytes", "etlnode_store_bytes", "etlnode_disk_refused_total"):
        assert metric(c.targets[0], name) >= 0


def targets_of(c):
    return [n for n in listed(c, "cluster", "show")["items"] if n["role"] == "target"]


def case_aistores_clients_ask_single_nodes():
    c = cluster()
    for node in [c.proxy] + c.targets:
        headers = {"Ais-Node-Id": id_of(c, node)}
        ask = lambda what: request("GET", c.url("/v1/reverse/daemon?what=" + what), headers=headers).json
        assert ask("smap")["uuid"] == c.smap()["uuid"]
        status = ask("node_status")
        assert status["snode"]["daemon_id"] == id_of(c, node) and status["ais_version"] and status["status"] == "online", status
        assert status["sys_info"]["mem_avail"] > 0 and status["tracker"]["up.ns.time"] > 0 and status["cluster"]["smap"]["uuid"], status
        assert ("capacity" in status) == (node is not c.proxy)
        assert len(ask("mountpaths")["available"]) == (node is not c.proxy)
        assert set(status["tracker"]) <= set(ask("metrics")), node.name
        assert ask("config")["space"]["out_of_space"] == 95 and "@#" in ask("bmd")["providers"]["ais"]
    assert request("GET", c.url("/v1/reverse/daemon?what=smap")).status == 400
    assert request("GET", c.url("/v1/reverse/daemon?what=smap"), headers={"Ais-Node-Id": "nobody-01"}).status == 404
    assert request("GET", c.url("/v1/cluster?what=remote")).json == {"a": None, "ver": 0}


def state(c):
    (item,) = targets_of(c)
    return item["diskState"]


def case_a_disk_gets_full():
    with on_a_small_disk("40m", "--out-of-space", "60") as (c, small):
        c.bucket("b")
        until(lambda: state(c) == "ok", "the disk is reported")
        stored = []
        ballast = os.path.join(small, "ballast")

        def use_to(percent):
            disk = os.statvfs(small)
            wanted = disk.f_blocks * disk.f_frsize * percent // 100 - (disk.f_blocks - disk.f_bfree) * disk.f_frsize
            with open(ballast, "ab") as file:
                file.write(b"0" * max(wanted, 0))

        for i in range(5):
            assert c.put("b", f"o{i}", bytes([i]) * 500_000).status == 200
            stored.append(i)
        use_to(57)
        until(lambda: state(c) == "low", "it warns before")
        shown = c.run("etlctl", "cluster", "show").stderr.decode()
        assert "is nearly full: its disk is used to 57" in shown and "from 60% (--out-of-space) it stores nothing" in shown, shown
        assert metric(c.targets[0], "etlnode_disk_nearly_full") == 1 and metric(c.targets[0], "etlnode_disk_full") == 0
        assert c.put("b", "small", b"s").status == 200  # a warning refuses nothing
        too_large = c.put("b", "large", b"l" * 8_000_000)
        assert too_large.status == 507 and "the object has 8000000 bytes, and the disk of target" in too_large.json["message"], too_large
        use_to(61)
        until(lambda: state(c) == "full", "it is full")
        refused = c.put("b", "small", b"t")
        assert refused.status == 507 and refused.json["code"] == "no_space" and not refused.json["retryable"], refused
        for part in ("the disk of target", "from 60% (--out-of-space) it stores nothing", "remove objects, or give it more room"):
            assert part in refused.json["message"], refused
        done = c.run("etlctl", "put", "-", "b/small", stdin=b"t", check=False)
        assert done.returncode == 10 and b"--out-of-space" in done.stderr, done
        copy = request("PUT", c.url("/v1/objects/b/small?object_to=ais%2F%40%23%2Fb%2Fcopy"))
        assert copy.status == 507, copy
        shown = c.run("etlctl", "cluster", "show").stderr.decode()
        assert "stores nothing: its disk is used to 6" in shown and "the limit is 60%" in shown, shown
        assert "full" in c.run("etlctl", "df", "-o", "wide").stdout.decode()
        assert metric(c.targets[0], "etlnode_disk_full") == 1 and metric(c.targets[0], "etlnode_disk_refused_total") >= 3
        # Reads and deletes go on, and what was there is as it was.
        assert c.get("b", "small").body == b"s"
        for i in stored:
            assert c.get("b", f"o{i}").body == bytes([i]) * 500_000
        assert request("GET", c.targets[0].url + "/v1/health?readiness=true").status == 200
        # A target that starts on a full disk refuses, too.
        c.targets[0].kill()
        c.targets[0].start()
        c.wait_registered()
        assert c.put("b", "small", b"t").status == 507
        for i in stored:
            assert request("DELETE", c.url(f"/v1/objects/b/o{i}")).status == 200
        until(lambda: c.put("b", "small", b"room again").status == 200, "there is room again")
        assert c.get("b", "small").body == b"room again"
        os.remove(ballast)
        until(lambda: state(c) == "ok", "the disk has room")
        log = c.log_tail("target1", 400)
        assert "the disk is nearly full" in log and "writes are refused" in log and "the disk has room" in log, log


with Cluster(targets=2) as made:
    world["cluster"] = made
    harness.run([(name[5:].replace("_", " "), function) for name, function in list(globals().items()) if name.startswith("case_")], limit=180)
