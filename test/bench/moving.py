# SPDX-License-Identifier: MIT
"""A row about growing and shrinking: what it costs to move objects between targets, and what clients notice of it."""
import os
import shutil
import statistics
import subprocess
import time

from common import MIB, Bench, Load, Settings, bad, cpu_seconds_fine, proc_status, request, until
from drive import cpu_around
from fill import fill, put_all, start

OBJECTS, ROUNDS, RATE = 40_000, 2, 500
# Long enough that the beginning of a rebalance (the command, the new document, the first pages: some 40 ms) is not the slowest hundredth of it.
WINDOW_MIN = 15
LARGE, LARGE_SIZE = 64, 64 * MIB
MANY = 1_000_000


def cluster_now(b):
    return request("GET", b.url("/v1/cluster?what=nodes")).json


def wait_moved(b, count):
    """Until `count` targets are active and nothing moves; returns the time."""
    def is_done():
        now = cluster_now(b)
        return not now["moving"] and sum(1 for node in now["nodes"] if node["role"] == "target" and node["state"] == "active") == count

    until(is_done, "nothing moves any more", limit=300, step=0.01)
    return time.monotonic()


def last_job(b):
    return request("GET", b.url("/v1/jobs")).json["jobs"][-1]


def target_pids(b):
    return {target.name: target.pid for target in b.targets}


def small_objects(table, b):
    """40,000 objects of 4 KiB on two targets; a third one joins."""
    used, _ = cpu_around(target_pids(b), lambda: put_all(b, OBJECTS, lambda i: f"small/o{i:06}", lambda i: b"%08d" % i * 512))
    put_us = sum(used.values()) / OBJECTS * 1e6
    own = [path for path in (f"/v1/objects/small/o{i:06}" for i in range(2000)) if request("GET", b.target.url + path, follow=False).status == 200]
    used, result = cpu_around({"target": b.target.pid}, lambda: Load(b.address, own[:500], connections=8, requests=20_000, duration=60).result())
    assert not bad(result), result
    get_us = used["target"] / 20_000 * 1e6
    idle = b.rss()
    b.reset_high_water()
    began = time.monotonic()
    before = {pid: cpu_seconds_fine(pid) for pid in target_pids(b).values()}
    b.add_target(3)
    seconds = wait_moved(b, 3) - began
    moved = last_job(b)["done"]
    cpu_us = sum(cpu_seconds_fine(pid) - before.get(pid, 0) for pid in target_pids(b).values()) / moved * 1e6
    table.at_most(f"{OBJECTS:,} objects of 4 KiB, 2 to 3 targets: start to end of the job", seconds, 4, "s", note=f"{moved:,} moved")
    table.add("the same, CPU a moved object, all targets", cpu_us, "us")
    table.at_most("the same / (GET + PUT)", cpu_us / (get_us + put_us), 1.5, "x", note=f"GET {get_us:.1f} us, PUT {put_us:.1f} us, both without the client")
    table.at_most("memory of a giver above its rest", (b.high_water() - idle) / MIB, 16, "MiB")


def readers(table, b):
    """GETs of 4 KiB at one target, at a fixed rate, without and with a rebalance: the third target is drained and activated in turn."""
    third = next(node["id"] for node in cluster_now(b)["nodes"] if node["url"] == b.targets[2].url)
    own = [path for path in (f"/v1/objects/small/o{i:06}" for i in range(4000)) if request("GET", b.target.url + path, follow=False).status == 200][:500]
    alone, beside, wrong, slow = [], [], 0, []
    for round_number in range(2 * ROUNDS):
        is_drain = round_number % 2 == 0
        result = b.load(own, connections=16, rate=RATE, duration=max(Settings.seconds, WINDOW_MIN)).result()
        wrong += bad(result)
        alone.append(result["latency"]["p99_ms"])
        load = b.load(own, connections=16, rate=RATE, duration=max(Settings.seconds, WINDOW_MIN))
        time.sleep(0.2)
        began = time.monotonic()
        b.run("etlctl", "target", "drain" if is_drain else "activate", third)
        result = load.result()
        wrong += bad(result)
        beside.append(result["latency"]["p99_ms"])
        slow.append(wait_moved(b, 2 if is_drain else 3) - began)
    table.at_most("GETs that failed meanwhile", wrong, 0)
    table.at_most("p99 of GET beside a rebalance / without", statistics.median(beside) / statistics.median(alone), 1.5, "x",
                  note=f"all {' '.join('%.2f' % v for v in beside)} / {' '.join('%.2f' % v for v in alone)} ms; rebalances took {min(slow):.1f} to {max(slow):.1f} s")


def large_objects(table):
    """4 GiB in objects of 64 MiB on two targets; a third one joins. Beside it `cp` of the same files, with a sync."""
    with Bench() as b:
        b.add_target(2)
        wait_moved(b, 2)
        b.bucket("large")
        block = os.urandom(MIB)
        for i in range(LARGE):
            assert b.put("large", f"o{i:06}", (b"%032d" % i + block[32:]) * (LARGE_SIZE // MIB)).status == 200
        os.sync()
        began = time.monotonic()
        b.add_target(3)
        until(lambda: cluster_now(b)["moving"], "objects move", limit=60, step=0.01)
        began = time.monotonic()
        seconds = wait_moved(b, 3) - began
        job = last_job(b)
        folder = os.path.join(b.dir, b.targets[2].name, "objects")
        files = [os.path.join(at, name) for at, _, names in os.walk(folder) for name in names]
        copies = os.path.join(b.dir, "copies")
        os.mkdir(copies)
        os.sync()
        began = time.monotonic()
        for file in files:
            subprocess.run(["cp", file, copies], check=True)
        os.sync()
        cp = sum(map(os.path.getsize, files)) / (time.monotonic() - began)
        shutil.rmtree(copies)
        rate = job["bytes"] / seconds
        table.at_least("objects of 64 MiB, 2 to 3 targets / cp", rate / cp, 0.5, "x", note=f"{rate / MIB:.0f} / {cp / MIB:.0f} MiB/s, {job['done']} moved")


def row_rebalance(table):
    """Small and large objects that move to a third target, and what clients notice of it."""
    with Bench() as b:
        b.add_target(2)
        wait_moved(b, 2)
        b.bucket("small")
        small_objects(table, b)
        readers(table, b)
    large_objects(table)


def objects_at(target, bucket):
    """How many objects of the bucket a target has."""
    for line in request("GET", target.url + "/metrics").text.splitlines():
        if line.startswith(f'etlnode_bucket_objects{{bucket="{bucket}"'):
            return int(float(line.rsplit(" ", 1)[1]))
    return 0


def row_million(table):
    """A million objects of 100 bytes on one target; a second one joins. From the moment when objects are to move: until the first has moved, and until all have; memory of both above their rest."""
    with Bench() as b:
        b.bucket("many")
        fill(b, "many", (f"folder/object-{i:07d}" for i in range(MANY)), b"x" * 100, has_content=lambda name: True)
        start(b)
        assert objects_at(b.target, "many") == MANY
        b.reset_high_water()
        giver_rest = b.rss()
        b.add_target(2)
        owner = b.targets[1]
        owner_rest = proc_status(owner.pid, "VmRSS")
        until(lambda: cluster_now(b)["moving"], "objects move", limit=60, step=0.001)
        began = time.monotonic()
        until(lambda: objects_at(owner, "many") > 0, "the first has moved", limit=60, step=0.005)
        table.at_most("10^6 objects of 100 B, 1 to 2 targets: until the first has moved", time.monotonic() - began, 1, "s")
        until(lambda: not cluster_now(b)["moving"], "nothing moves any more", limit=3600, step=0.1)
        seconds = time.monotonic() - began
        moved = last_job(b)["done"]
        assert objects_at(owner, "many") == moved and objects_at(b.target, "many") == MANY - moved
        table.add("the same: until the end of the job", seconds, "s", note=f"{moved:,} moved, {moved / seconds:,.0f} a second")
        table.at_most("the same: memory of the giver above its rest", (b.high_water() - giver_rest) / MIB, 16, "MiB", note=f"rest {giver_rest / MIB:.1f} MiB")
        table.at_most("the same: memory of the owner above its rest", (proc_status(owner.pid, "VmHWM") - owner_rest) / MIB, 16, "MiB", note=f"rest {owner_rest / MIB:.1f} MiB")


ROWS = {"rebalance": row_rebalance, "million": row_million}
