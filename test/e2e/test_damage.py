#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A flipped bit in stored content is detected before any client can accept it: all sizes, all positions, cold and warm, ranges and
transforms."""
import http.client
import os
import random
import signal
import sqlite3
import time

import harness
import transformers
from harness import Cluster, pod_spec, request, until

SEED = int(os.environ.get("SEED", "0")) or int(time.time())
BLOCK = 256 << 10
IN_INDEX = 16 << 10
SIZES = [1 << 10, IN_INDEX, IN_INDEX + 1, 100_000, BLOCK, BLOCK + 1, 1 << 20, (5 << 20) + 3, 64 << 20]
draw = random.Random(SEED)
world = {}

# Treats whatever it got of its source as the whole, whatever happened to the source.
CARELESS = transformers.COMMON + '''
class H(Base):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        got = bytearray()
        try:
            with urllib.request.urlopen(os.environ["AIS_TARGET_URL"] + self.path, timeout=30) as source:
                while True:
                    piece = source.read1(65536)
                    if not piece: break
                    got += piece
        except Exception: pass
        self.send_response(200)
        self.send_header("Content-Length", str(len(got)))
        self.end_headers()
        self.wfile.write(got)
serve(H)
'''


def content(size):
    return random.Random(size).randbytes(size)


def name_of(size):
    return f"o-{size}"


def target():
    return world["cluster"].targets[0]


def data_dir():
    return os.path.join(world["cluster"].dir, target().name)


def content_id(name):
    database = sqlite3.connect(f"file:{data_dir()}/node.db?mode=ro", uri=True, timeout=30)
    try:
        return database.execute("SELECT content_id FROM objects WHERE bucket = ? AND name = ?", (b"damage", name.encode())).fetchone()[0]
    finally:
        database.close()


def path_of(name):
    wanted = f"{content_id(name):016x}"
    path = os.path.join(data_dir(), "objects", wanted[12:14], wanted)
    until(lambda: os.path.exists(path), "the content in its place")
    return path


def flip(path, offset, bit, cold=False):
    fd = os.open(path, os.O_RDWR)
    try:
        byte = os.pread(fd, 1, offset)[0]
        os.pwrite(fd, bytes([byte ^ (1 << bit)]), offset)
        if cold:
            os.fsync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


def metric(name):
    for line in request("GET", target().url + "/metrics").text.splitlines():
        if line.startswith(name + " ") or line.startswith(name + "{"):
            return float(line.split()[-1])
    raise AssertionError(f"no metric {name}")


def read(name, query="", headers=None):
    """(status, body), or ("cut", None) if the answer did not end properly."""
    try:
        answer = world["cluster"].get("damage", name, query, headers=headers)
    except (http.client.HTTPException, OSError):
        return "cut", None
    if answer.status >= 400:
        assert answer.status == 500 or query, (name, answer)
        if not query:
            assert f"ais://damage/{name}: data is corrupt" in answer.json["message"], answer
    return answer.status, answer.body


def must_be_refused(name, size, offset, query="", headers=None):
    status, body = read(name, query, headers)
    assert status not in (200, 206), f"seed {SEED}: {name} {query} with a bit flipped at {offset} of {size} was answered {status}, {len(body)} bytes"
    # The first block of the answer decides between an error status and a truncated answer.
    if not query and headers is None:
        assert status == (500 if offset < BLOCK else "cut"), (name, offset, status)


def must_be_good(name, size, query=""):
    status, body = read(name, query)
    assert status == 200 and body == content(size), f"seed {SEED}: {name} {query}: {status}"


def places(size):
    last = size - 1
    return sorted({0, last, draw.randrange(size), min(last, BLOCK), min(last, draw.randrange(BLOCK, max(size, BLOCK + 1)))})


def ranges_around(name, size, offset):
    """Ranges that touch the block are refused; all others are good."""
    begin = offset // BLOCK * BLOCK
    end = min(size, begin + BLOCK)
    must_be_refused(name, size, offset, headers={"Range": f"bytes={offset}-{offset}"})
    first = draw.randrange(begin, end)
    must_be_refused(name, size, offset, headers={"Range": f"bytes={first}-{min(size, first + 10) - 1}"} if first <= offset < first + 10 else {"Range": f"bytes={begin}-{end - 1}"})
    if begin > 0:
        must_be_refused(name, size, offset, headers={"Range": f"bytes={draw.randrange(begin)}-{offset}"})
        at = draw.randrange(begin)
        status, body = read(name, headers={"Range": f"bytes={at}-{begin - 1}"})
        assert status == 206 and body == content(size)[at:begin], f"seed {SEED}: range before the damage: {status}"
    if end < size:
        status, body = read(name, headers={"Range": f"bytes={end}-{size - 1}"})
        assert status == 206 and body == content(size)[end:], f"seed {SEED}: range behind the damage: {status}"


def case_warm():
    """The file is changed under a node that has just sent it, and repaired again."""
    for size in SIZES:
        name = name_of(size)
        must_be_good(name, size)
        if size <= IN_INDEX:
            continue
        for offset in places(size):
            path, bit = path_of(name), draw.randrange(8)
            must_be_good(name, size)
            before = metric("etlnode_store_damaged_total")
            flip(path, offset, bit)
            must_be_refused(name, size, offset)
            assert metric("etlnode_store_damaged_total") > before
            ranges_around(name, size, offset)
            head = request("HEAD", world["cluster"].url(f"/v1/objects/damage/{name}"))
            assert head.status == 200 and int(head.headers["Content-Length"]) == size, head
            flip(path, offset, bit)
            must_be_good(name, size)


def restart_cold():
    assert target().kill(signal.SIGTERM) == 0
    target().start()
    world["cluster"].wait_registered()


def flip_all():
    flips = []
    for size in SIZES:
        offset, bit = draw.randrange(size), draw.randrange(8)
        if size <= IN_INDEX:
            wanted = content_id(name_of(size))
            database = sqlite3.connect(data_dir() + "/node.db", timeout=30, isolation_level=None)
            data = bytearray(database.execute("SELECT bytes FROM contents WHERE content_id = ?", (wanted,)).fetchone()[0])
            data[offset] ^= 1 << bit
            database.execute("UPDATE contents SET bytes = ? WHERE content_id = ?", (bytes(data), wanted))
            database.close()
            flips.append((size, None, offset, bit))
        else:
            path = path_of(name_of(size))
            flip(path, offset, bit, cold=True)
            flips.append((size, path, offset, bit))
    return flips


def case_cold():
    """The bits are flipped on disk while the node is down; the node starts with them."""
    for _ in range(2):
        flips = flip_all()
        restart_cold()
        for size, path, offset, bit in flips:
            must_be_refused(name_of(size), size, offset)
            if path is None:
                assert world["cluster"].put("damage", name_of(size), content(size)).status == 200 # only an overwrite repairs it
            else:
                ranges_around(name_of(size), size, offset)
                flip(path, offset, bit, cold=True)
        for size in SIZES:
            must_be_good(name_of(size), size)
    log = world["cluster"].log_tail(target().name, 2000)
    assert "data is corrupt" in log and f"ais://damage/{name_of(64 << 20)}" in log, log


def case_transforms():
    """No mode turns a damaged object into something that a client could accept, even if the pod does not check."""
    for size in SIZES:
        name = name_of(size)
        if size <= IN_INDEX:
            continue
        for how in ("push", "rev", "careless"):
            must_be_good(name, size, "etl_name=" + how)
        for offset in places(size):
            path, bit = path_of(name), draw.randrange(8)
            for how in ("push", "rev", "careless"):
                flip(path, offset, bit)
                must_be_refused(name, size, offset, "etl_name=" + how)
                flip(path, offset, bit)
    status, body = None, None
    flip(path_of(name_of(1 << 20)), 5, 1)
    answer = world["cluster"].get("damage", name_of(1 << 20), "etl_name=push")
    assert answer.status == 500 and "data is corrupt" in answer.text, answer
    flip(path_of(name_of(1 << 20)), 5, 1)
    for size in SIZES:
        must_be_good(name_of(size), size, "etl_name=push")


def case_other_clients():
    """curl and etlctl notice it as well."""
    cluster = world["cluster"]
    size = (5 << 20) + 3
    name = name_of(size)
    for offset in (7, size - 1):
        flip(path_of(name), offset, 3)
        out = os.path.join(cluster.dir, "out")
        assert cluster.run("etlctl", "get", "ais://damage/" + name, out, check=False).returncode != 0
        assert not os.path.exists(out), "etlctl left a file"
        assert cluster.run("curl", "-fsSL", "-o", out, cluster.url("/v1/objects/damage/" + name), check=False).returncode != 0
        flip(path_of(name), offset, 3)
        if os.path.exists(out):
            os.remove(out)


def case_lost_bytes():
    """A truncated file counts as damaged."""
    size = 1 << 20
    name = name_of(size)
    must_be_good(name, size)
    path = path_of(name)
    os.truncate(path, size - 1)
    must_be_refused(name, size, size - 1)
    with open(path, "ab") as file:
        file.write(content(size)[-1:])
    must_be_good(name, size)


def case_stored_before():
    """Contents without sums, as stored by an earlier version, get them. Content that was already damaged is detected as well."""
    assert target().kill(signal.SIGTERM) == 0
    good, bad = name_of(1 << 20), name_of((5 << 20) + 3)
    database = sqlite3.connect(data_dir() + "/node.db", timeout=30, isolation_level=None)
    database.execute("DELETE FROM sums")
    database.execute("INSERT INTO unsummed SELECT content_id, bucket, name FROM objects WHERE content_id <> 0 AND NOT in_index")
    database.close()
    flip(path_of(bad), 4 << 20, 2)
    target().start()
    world["cluster"].wait_registered()
    status, _ = read(bad)
    assert status == 500, status
    must_be_good(good, 1 << 20)

    def left():
        reader = sqlite3.connect(f"file:{data_dir()}/node.db?mode=ro", uri=True, timeout=30)
        try:
            return reader.execute("SELECT count(*) FROM unsummed").fetchone()[0]
        finally:
            reader.close()
    until(lambda: left() == 0, "sums of all contents", limit=60)
    assert read(bad)[0] == 500
    for size in SIZES:
        if name_of(size) != bad:
            must_be_good(name_of(size), size)
    flip(path_of(good), 700_000, 6)
    must_be_refused(good, 1 << 20, 700_000)
    flip(path_of(good), 700_000, 6)
    assert world["cluster"].put("damage", bad, content((5 << 20) + 3)).status == 200
    must_be_good(bad, (5 << 20) + 3)


def start():
    cluster = world["cluster"]
    print(f"# seed {SEED}", flush=True)
    for image, program in (("push", transformers.ECHO_2020), ("pull", transformers.PULL), ("careless", CARELESS)):
        cluster.image(f"test/{image}:1", {"srv.py": program}, ["/srv.py", "80"])
    cluster.init(pod_spec("push", "test/push:1"))
    cluster.init(pod_spec("rev", "test/pull:1", mode="hrev://"))
    cluster.init(pod_spec("careless", "test/careless:1", mode="hrev://"))
    cluster.bucket("damage")
    for size in SIZES:
        assert cluster.put("damage", name_of(size), content(size)).status == 200


if __name__ == "__main__":
    with Cluster(targets=1) as world["cluster"]:
        harness.run([("start", start), ("warm", case_warm), ("cold", case_cold), ("transforms", case_transforms), ("other clients", case_other_clients),
                     ("lost bytes", case_lost_bytes), ("contents stored before", case_stored_before)], limit=400)
