#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Executes every block of commands in docs/OPERATING.md, chapter by chapter. A chapter runs on one cluster that `make up` started, unless OWN has
a function for it, which prepares a cluster of its own."""
import os
import re
import sqlite3

import harness
from harness import Cluster, request, until
from small_disk import on_a_small_disk

# Text that the output of a chapter on the shared cluster must contain.
EXPECTED = {
    "Back up and restore": ["refused, as it should be", "--force-old", "restored: cluster", "a cat"],
    "Move the proxy": ["a cat"],
    "Lose the proxy's disk": ["of another cluster", "recovered: cluster", "a cat"],
}


def chapters():
    """The blocks before the first chapter, and {title: [block of commands]}."""
    with open(os.path.join(harness.ROOT, "docs/OPERATING.md"), encoding="utf-8") as file:
        parts = re.split(r"^## (.*)$", file.read(), flags=re.M)
    blocks = [re.findall(r"^```sh\n(.*?)^```$", text, re.S | re.M) for text in parts[0::2]]
    return blocks[0], dict(zip(parts[1::2], blocks[1:]))


FRAME, CHAPTERS = chapters()
shared = {}


def on_shared_cluster(title):
    cluster, state = shared["cluster"], shared["state"]
    script = "set -eu -o pipefail\ncd " + harness.ROOT + "\n" + "".join(FRAME + CHAPTERS[title])
    done = cluster.run("bash", "-c", script, env={"BUILD": harness.BUILD, "STATE": state}, timeout=110 * harness.PATIENCE, check=False)
    text = done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
    assert done.returncode == 0, text
    missing = [one for one in EXPECTED.get(title, []) if one not in text]
    assert not missing, (missing, text)


# Text that the output of a chapter on a fresh cluster must contain.
FRESH = {
    "Add a target": [" active ", "EPOCH", "rebalance"],
    "Drain a machine": ["rebalance g", ": done: ", "maintenance"],
    "Take a dead target out": ["silent", "may still take writes", "was removed with its objects"],
    "Replace a disk": ["etlctl target replace", "may still take writes", " active "],
    "Upgrade node by node": ["VERSION"],
    "Objects at the wrong target": ["FOUND", " active "],
}


def on_fresh_cluster(title):
    """What the chapters before this one of the same kind leave behind is part of the text: a third target, a bucket with objects."""
    with Cluster(targets=0) as cluster:
        state = os.path.join(cluster.dir, "up")
        os.mkdir(state)
        environment = {"BUILD": harness.BUILD, "STATE": state, "PORT": "0"}
        cluster.run("bash", os.path.join(harness.ROOT, "src/demo/up.sh"), env=environment)
        before = [] if title == "Add a target" else ["etlctl bucket create photos\nfor i in $(seq 100); do echo \"picture $i\" | etlctl put - \"photos/$i\"; done\n"]
        if title == "Drain a machine":
            before = CHAPTERS["Add a target"]
        script = "set -eu -o pipefail\ncd " + harness.ROOT + "\n" + "".join(FRAME + before + CHAPTERS[title])
        try:
            done = cluster.run("bash", "-c", script, env=environment, timeout=140 * harness.PATIENCE, check=False)
        finally:
            cluster.run("bash", os.path.join(harness.ROOT, "src/demo/down.sh"), env=environment)
        text = done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
        assert done.returncode == 0, text
        missing = [one for one in FRESH[title] if one not in text]
        assert not missing, (missing, text)


# --- chapters with a cluster of their own: a generator that, before each block, prepares what the text says has happened, and yields the cluster
# --- and what the block's output has to look like (regular expressions)

def play(steps, blocks):
    try:
        for block in blocks:
            cluster, expected = next(steps)
            done = cluster.run("bash", "-c", "set -euo pipefail\n" + block, env={"ETLNODE_ENDPOINT": cluster.proxy.url}, timeout=240 * harness.PATIENCE)
            shown = (done.stdout + done.stderr).decode()
            for pattern in expected:
                assert re.search(pattern, shown, re.M), f"{block}\ndoes not show {pattern}:\n{shown}"
        assert next(steps, None) is None, "the chapter has fewer blocks than its function"
    finally:
        steps.close()


def disk_state(cluster):
    nodes = request("GET", cluster.url("/v1/cluster?what=nodes")).json["nodes"]
    return next(node["disk"]["state"] for node in nodes if node["role"] == "target" and "disk" in node)


def a_disk_gets_full():
    with on_a_small_disk("48m") as (cluster, mounted):
        cluster.bucket("photos")
        cluster.bucket("tiny")
        cluster.put("tiny", "o", b"x")
        for year in (2024, 2025):
            for i in range(4):
                assert cluster.put("photos", f"{year}/{i}.jpg", b"p" * 1_000_000).status == 200

        def use_to(percent):
            disk = os.statvfs(mounted)
            wanted = disk.f_blocks * disk.f_frsize * percent // 100 - (disk.f_blocks - disk.f_bfree) * disk.f_frsize
            with open(os.path.join(mounted, "others"), "ab") as file:
                file.write(b"0" * max(wanted, 0))

        use_to(92)
        until(lambda: disk_state(cluster) == "low", "the disk is nearly full")
        yield cluster, [r"^TARGET +STATE +OBJECTS +BYTES +SIZE +USED +FREE +USED%$", r" 9[0-5](\.\d)?$", r"is nearly full: its disk is used to 9",
                        r"^tiny .* 1 +1B\nphotos .* 8 +7\.6MiB$", r"^photos/2024/ +4 +3\.8MiB$"]
        use_to(96)
        until(lambda: disk_state(cluster) == "full", "the disk is full")
        yield cluster, [r"used to 9\d\.\d%, and from 95% \(--out-of-space\) it stores nothing", r"^exit code 10$"]
        yield cluster, []
        yield cluster, [r"^TARGET"]
        assert cluster.get("photos", "note.txt").body == b"a note\n"
        assert cluster.get("photos", "2025/0.jpg").status == 200 and cluster.get("photos", "2024/0.jpg").status == 404


# --- and functions that run all blocks of a chapter in one shell

def find_damage(blocks):
    with Cluster(targets=2) as cluster:
        cluster.bucket("photos")
        folder = os.path.join(cluster.dir, "work")
        os.makedirs(os.path.join(folder, "backup/photos"))
        for i in range(4):
            content = bytes([i]) * (300_000 + i)
            with open(os.path.join(folder, f"backup/photos/{i}.jpg"), "wb") as file:
                file.write(content)
            assert cluster.put("photos", f"{i}.jpg", content).status == 200
        target = cluster.holder("photos", "2.jpg")
        database = sqlite3.connect(f"file:{cluster.dir}/{target.name}/node.db?mode=ro", uri=True, timeout=30)
        wanted = "%016x" % database.execute("SELECT content_id FROM objects WHERE name = ?", (b"2.jpg",)).fetchone()[0]
        database.close()
        path = os.path.join(cluster.dir, target.name, "objects", wanted[12:14], wanted)
        until(lambda: os.path.exists(path), "the content in its place")
        with open(path, "r+b") as file:
            file.write(b"\xff")
        script = "set -eu\ncd " + folder + "\n" + "".join(blocks)
        printed = cluster.run("bash", "-c", script, env={"ETLNODE_ENDPOINT": cluster.proxy.url}, timeout=240 * harness.PATIENCE).stdout.decode()
        assert "photos/2.jpg" in printed and "is not what was stored" in printed, printed
        assert "done: 4 objects" in printed and ", 0 failed" in printed, printed
        with open(os.path.join(folder, "damaged.txt"), encoding="ascii") as file:
            assert file.read() == "photos/2.jpg\n"
        assert cluster.get("photos", "2.jpg").body == bytes([2]) * 300_002


OWN = {
    "A disk gets full": lambda blocks: play(a_disk_gets_full(), blocks),
    "Find damage": find_damage,
}


def case_of(title):
    if title in FRESH:
        return lambda: on_fresh_cluster(title)
    return lambda: OWN[title](CHAPTERS[title]) if title in OWN else on_shared_cluster(title)


def main():
    with Cluster(targets=0) as cluster:
        state = os.path.join(cluster.dir, "up")
        os.mkdir(state)
        environment = {"BUILD": harness.BUILD, "STATE": state, "PORT": "0"}
        cluster.run("bash", os.path.join(harness.ROOT, "src/demo/up.sh"), env=environment)
        shared.update(cluster=cluster, state=state)
        assert set(EXPECTED) | set(OWN) | set(FRESH) == set(CHAPTERS), (sorted(EXPECTED), sorted(OWN), sorted(FRESH), sorted(CHAPTERS))
        try:
            harness.run([(title, case_of(title)) for title, blocks in CHAPTERS.items() if blocks], limit=600)
        finally:
            cluster.run("bash", os.path.join(harness.ROOT, "src/demo/down.sh"), env=environment)


main()
