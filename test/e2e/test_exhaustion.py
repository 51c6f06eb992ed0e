#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Exhaustion with real processes: descriptors, disk, pod connections, child processes. Each time the refusal has the documented status,
requests that do not need the resource continue, the node recovers without a restart, and no descriptor, file, child or pod is left.

Limits of the running node are set from outside (prlimit). A small file system needs root. Without it that case is skipped, and a limit on
the file size replaces it.
"""
import collections
import contextlib
import glob
import json
import os
import pwd
import select
import shutil
import socket
import sqlite3
import subprocess
import threading
import time
import urllib.parse

import harness
import leftovers
import transformers
from harness import Cluster, pod_spec, request, until

PREFIX = f"spent{os.getpid()}"
world = {"count": 0}

# Returns the object after the number of seconds that its content gives.
HELD = transformers.COMMON + '''
class H(Base):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        body = b"".join(self.pieces())
        end = time.monotonic() + float(body or b"0")
        while time.monotonic() < end: time.sleep(0.05)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
serve(H)
'''


def cluster():
    return world["cluster"]


def target():
    return cluster().targets[0]


def spec(**rest):
    world["count"] += 1
    return pod_spec(f"{PREFIX}-{world['count']}", rest.pop("image", "spent/echo:1"), wait=rest.pop("wait", "20s"), **rest)


@contextlib.contextmanager
def limited(node, what, value):
    """The node runs with that soft limit. It is set by the program, as the node's user, because root may not be allowed to limit other
    users."""
    before = node_limit(node, what)
    node.cluster.run("prlimit", "--pid", str(node.pid), f"--{what}={value}:")
    try:
        yield
    finally:
        if node.alive():
            node.cluster.run("prlimit", "--pid", str(node.pid), f"--{what}={before}:")


def node_limit(node, what):
    return node.cluster.run("prlimit", "--pid", str(node.pid), "--" + what, "--noheadings", "--raw", "--output=SOFT").stdout.decode().strip()


def well(etl=None):
    """Everything works: objects, and a transformed read."""
    name = f"well{world['count']}"
    world["count"] += 1
    answer = cluster().put("b", name, b"well " * 1000)
    assert answer.status == 200, answer
    assert cluster().get("b", name).body == b"well " * 1000
    if etl:
        got = cluster().get("b", name, "uuid=" + etl)
        assert got.status == 200 and got.body == b"well " * 1000, got


@contextlib.contextmanager
def nothing_leaks(limit=20):
    """Descriptors and children of the target are back to their earlier counts, and housekeeping leaves nothing."""
    node = target()
    before = until(lambda: settled(node), "the node is at rest")
    open_before = listed_descriptors(node)
    yield
    wrong = []

    def back():
        now = len_of(node)
        wrong[:] = leftovers.of_content(os.path.join(cluster().dir, node.name)) + leftovers.of_pods(cluster(), PREFIX) + leftovers.of_calls(cluster())
        open_now = listed_descriptors(node)
        if now[0] > before[0] + kept(open_before, open_now) or now[1] > before[1]:
            wrong.append(f"descriptors and children {before} became {now}: {open_before} became {open_now}")
        return not wrong
    try:
        until(back, "nothing is left", limit, 0.2)
    except AssertionError:
        raise AssertionError(f"left after {limit} s: {leftovers.show(wrong)}") from None


IDLE_PIPES = 2 * 64  # descriptors of pipes that relays keep for reuse (relay_pipes_max)
IDLE_SOCKETS = 2      # connections between the nodes that stay open for reuse


def len_of(node):
    return sum(listed_descriptors(node).values()), len(leftovers.children(node.pid))


def kept(before, now):
    """The number of additional descriptors that may be open, because they are kept for reuse, each kind with its own limit."""
    return min(max(now.get("pipe", 0) - before.get("pipe", 0), 0), IDLE_PIPES) + min(max(now.get("socket", 0) - before.get("socket", 0), 0), IDLE_SOCKETS)


def listed_descriptors(node):
    """{description: count}, without contents that are kept open on purpose (the bounded cache); those of removed files count."""
    out = {}
    for fd in os.listdir(f"/proc/{node.pid}/fd"):
        try:
            path = os.readlink(f"/proc/{node.pid}/fd/{fd}").split(":")[0]
        except OSError:
            continue
        if "/objects/" in path and not path.endswith("(deleted)"):
            continue
        out[path] = out.get(path, 0) + 1
    return out


def settled(node):
    first = len_of(node)
    time.sleep(0.3)
    return first if len_of(node) == first else None


class Line:
    """A kept connection, so that requests need no descriptor that the node does not have."""

    def __init__(self, url):
        parts = urllib.parse.urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=120)

    def ask(self, method, path, body=b""):
        self.send(method, path, body)
        return self.answer()

    def send(self, method, path, body=b""):
        self.socket.sendall(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    def answer(self):
        data = b""
        while b"\r\n\r\n" not in data:
            piece = self.socket.recv(65536)
            if not piece:
                raise ConnectionError(f"ended after {data!r}")
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}
        while len(body) < int(headers.get("content-length", "0")):
            piece = self.socket.recv(65536)
            if not piece:
                raise ConnectionError("the body is cut")
            body += piece
        return harness.Answer(int(lines[0].split()[1]), headers, body)

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def changing(name):
    """Path and query for a PUT or DELETE sent directly to the target."""
    hop = request("PUT", cluster().url(f"/v1/objects/b/{name}"), b"", follow=False)
    assert hop.status == 307, hop
    parts = urllib.parse.urlsplit(hop.headers["Location"])
    return parts.path + "?" + parts.query


def case_descriptors():
    etl = cluster().init(spec())
    names = [f"fd{i}" for i in range(40)]
    for name in names:
        assert cluster().put("b", name, name.encode() * 50_000).status == 200
    well(etl)
    with nothing_leaks():
        with Line(target().url) as line:
            assert line.ask("GET", "/v1/objects/b/fd0").status == 200
            path = changing("refused")
            with limited(target(), "nofile", 3):  # no new descriptor at all
                seen = set()
                for _ in range(3):
                    answer = line.ask("PUT", path, b"x" * 200_000)
                    seen.add(answer.status)
                    if answer.status != 200:  # 200: the cache gave up a descriptor for it
                        assert answer.status == 503 and answer.headers.get("retry-after"), answer
                for name in names:
                    answer = line.ask("GET", "/v1/objects/b/" + name)
                    seen.add(answer.status)
                    assert answer.status == 200 and answer.body == name.encode() * 50_000 or answer.status == 503 and answer.headers.get("retry-after"), answer
                answer = line.ask("GET", f"/v1/objects/b/fd1?uuid={etl}")
                assert answer.status in (200, 503) and (answer.status == 200 or answer.headers.get("retry-after")), answer
                assert line.ask("GET", "/v1/health").status == 200
                assert line.ask("HEAD", "/v1/objects/b/fd1").status in (200, 503)
                # New clients wait now. No request is refused, and the node does not spin.
                spent = cpu(target().pid)
                waiting = Line(target().url)
                waiting.send("GET", "/v1/health")
                time.sleep(1)
                assert not select.select([waiting.socket], [], [], 0)[0] or waiting.answer().status == 200
                assert cpu(target().pid) - spent < 0.7, "it spins"
                assert 503 in seen, seen
            if select.select([waiting.socket], [], [], 10)[0]:
                assert waiting.answer().status == 200
            waiting.close()
            assert line.ask("PUT", path, b"x" * 200_000).status == 200
            answer = line.ask("GET", "/v1/objects/b/refused")
            assert answer.status == 200 and answer.body == b"x" * 200_000
        well(etl)
    cluster().stop_etl(etl)


def cpu(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        words = file.read().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def case_descriptors_for_kubectl():
    well()
    with nothing_leaks():
        with Line(cluster().proxy.url) as line, limited(target(), "nofile", leftovers.descriptors(target().pid)):
            # The proxy may need a new connection to the target, which then waits: refused or in time, but never half an answer.
            body = spec(wait="3s").encode()
            line.socket.settimeout(60)
            answer = line.ask("POST", "/v1/etl/init", body)
            assert answer.status in (400, 503), answer
        until(lambda: not leftovers.etl_ids(cluster()), "the ETL is forgotten", 40)
    etl = cluster().init(spec())
    well(etl)
    cluster().stop_etl(etl)


def case_descriptors_of_the_proxy():
    proxy = cluster().proxy
    with Line(proxy.url) as line:
        assert line.ask("GET", "/v1/objects/b/o").status == 301
        with limited(proxy, "nofile", 3):
            for _ in range(5):
                assert line.ask("GET", "/v1/objects/b/o").status == 301
            answer = line.ask("POST", "/v1/buckets/while-out", json.dumps({"action": "create-bck"}).encode())
            assert answer.status in (200, 503), answer
            time.sleep(1)
        if answer.status != 200:
            cluster().bucket("while-out")
    until(lambda: request("HEAD", cluster().url("/v1/buckets/while-out")).status == 200, "the proxy is itself again")
    well()


def case_size_of_files():
    """EFBIG for every user. If a file cannot grow, there is no space; if the index cannot, that is a disk error."""
    target().kill(15)
    target().start()  # with an empty log, because the commits of other cases may have filled more of it than the limit allows
    cluster().wait_registered()
    well()
    size = 3 << 20
    with nothing_leaks():
        with limited(target(), "fsize", 1 << 20):
            for _ in range(3):
                answer = cluster().put("b", "large", b"l" * size)
                assert answer.status == 507 and not answer.json["retryable"], answer
            assert cluster().get("b", "large").status == 404
            well()  # small objects still fit
        assert cluster().put("b", "large", b"l" * size).status == 200
        assert cluster().get("b", "large").body == b"l" * size
        kept = cluster().get("b", "large").headers["Ais-Version"]
        with limited(target(), "fsize", 4096):  # not even the index can be written
            for _ in range(3):
                answer = cluster().put("b", "small", b"s")
                assert answer.status in (500, 507), answer
                answer = request("DELETE", cluster().url("/v1/objects/b/large"))
                assert answer.status in (500, 507), answer
            assert cluster().get("b", "large").body == b"l" * size and cluster().get("b", "large").headers["Ais-Version"] == kept
            assert cluster().get("b", "small").status == 404
        well()
        assert cluster().put("b", "small", b"s").status == 200
        assert request("DELETE", cluster().url("/v1/objects/b/large")).status == 200
        assert cluster().get("b", "large").status == 404


def case_size_of_files_of_the_proxy():
    with limited(cluster().proxy, "fsize", 4096):
        for _ in range(2):
            answer = request("POST", cluster().url("/v1/buckets/refused"), json.dumps({"action": "create-bck"}))
            assert answer.status in (500, 507), answer
            answer = cluster().init(spec(), check=False)
            assert answer.status in (500, 507), answer
        assert request("HEAD", cluster().url("/v1/buckets/refused")).status == 404
        well()  # objects do not need the proxy's disk
    assert not cluster().pods() and not leftovers.etl_ids(cluster())
    cluster().bucket("refused")
    etl = cluster().init(spec())
    well(etl)
    cluster().stop_etl(etl)


def case_disk():
    if os.getuid() != 0:
        raise harness.Skip("a small file system needs root")
    lone = Cluster(targets=0, target_arguments=["--out-of-space", "100"])  # to the last byte
    small = os.path.join(lone.dir, "target1")
    os.mkdir(small)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", small], check=True, timeout=120)
    outer, world["cluster"] = world["cluster"], lone
    try:
        with lone:
            lone.count = 1
            lone.add_target(1)
            lone.wait_registered()
            lone.image("spent/echo:1", {"srv.py": transformers.ECHO_PUT}, ["/srv.py", "80"])
            lone.bucket("b")
            etl = lone.init(spec())
            with nothing_leaks(30):
                fill_and_free(small, etl)
            lone.stop_etl(etl)
    finally:
        world["cluster"] = outer
        subprocess.run(["umount", "-l", small], check=False, timeout=120)
        shutil.rmtree(lone.dir, ignore_errors=True)


def fill_and_free(small, etl):
    c = cluster()
    stored = []
    for size in (300_000, 20_000, 1_000, 10):  # files first, then the index
        for i in range(4000):
            name = f"fill-{size}-{i}"
            answer = c.put("b", name, bytes([i % 251]) * size)
            if answer.status != 200:
                assert answer.status == 507 and not answer.json["retryable"], answer
                break
            stored.append((name, i, size))
        else:
            raise AssertionError("a disk of 12 MiB holds everything")
    with contextlib.suppress(OSError), open(os.path.join(small, "ballast"), "wb", buffering=0) as file:  # to the last byte
        while True:
            file.write(b"0" * 4096)
    for _ in range(3):
        assert c.put("b", "no more", b"n" * 5_000).status == 507
        assert c.put("b", stored[0][0], b"o" * 400_000).status == 507  # an overwrite that fails keeps the old object
    for name, i, size in stored[::7]:
        assert c.get("b", name).body == bytes([i % 251]) * size
        assert c.get("b", name, "uuid=" + etl).body == bytes([i % 251]) * size
    assert c.get("b", "no more").status == 404
    # Deletion must make room even if nothing is left: contents in the index first, which free no block, then files. It must also work while
    # other clients try to store.
    stop = threading.Event()
    refused = []

    def store_all_the_time():
        while not stop.is_set():
            refused.append(c.put("b", f"meanwhile-{len(refused)}", b"m" * 3_000).status)

    storing = [threading.Thread(target=store_all_the_time) for _ in range(3)]
    for thread in storing:
        thread.start()
    try:
        gone = [entry for entry in stored if entry[2] in (1_000, 300_000)]
        deleted = [request("DELETE", c.url("/v1/objects/b/" + name)).status for name, _, size in sorted(gone, key=lambda entry: entry[2])]
    finally:
        stop.set()
        for thread in storing:
            thread.join()
    assert set(deleted) == {200}, collections.Counter(deleted)
    assert set(refused) <= {200, 507} and 507 in refused, collections.Counter(refused)
    with contextlib.suppress(FileNotFoundError):
        os.remove(os.path.join(small, "ballast"))
    until(lambda: c.put("b", "room again", b"r" * 1_000_000).status == 200, "there is room again")
    assert c.get("b", "room again").body == b"r" * 1_000_000
    for name, i, size in stored:
        if (name, i, size) not in gone:
            assert c.get("b", name).body == bytes([i % 251]) * size


def content_file(name):
    """The file of an object, found in the index."""
    folder = os.path.join(cluster().dir, target().name)
    with contextlib.closing(sqlite3.connect(f"file:{folder}/node.db?mode=ro", uri=True)) as db:
        (number,) = db.execute("SELECT content_id FROM objects WHERE bucket = ? AND name = ?", (b"b", name.encode())).fetchone()
    (path,) = glob.glob(f"{folder}/objects/*/{number:016x}")
    return path


def case_content_lost_or_cut():
    """A disk that lost a file or half of it causes an error or a cut answer, but never a short answer that looks complete. Other objects
    are not affected."""
    names = ["lost", "cut", "fine"]
    for name in names:
        assert cluster().put("b", name, name.encode() * 100_000).status == 200
    until(lambda: not leftovers.of_content(os.path.join(cluster().dir, target().name)), "all is in its place")
    target().kill(15)
    path = content_file("lost")
    os.rename(path, path + ".away")
    half = content_file("cut")
    with open(half, "rb") as file:
        whole = file.read()
    os.truncate(half, len(whole) // 2)
    target().start()
    cluster().wait_registered()
    etl = cluster().init(spec())
    for query in ("", "uuid=" + etl):
        answer = cluster().get("b", "lost", query)
        assert answer.status == 500, answer
        try:
            answer = cluster().get("b", "cut", query)
            assert answer.status >= 500, (answer.status, len(answer.body))
        except (OSError, harness.http.client.HTTPException):
            pass  # cut
        assert cluster().get("b", "fine", query).body == b"fine" * 100_000
    for name in ("lost", "cut"):  # both can be stored again
        assert cluster().put("b", name, b"again").status == 200
        assert cluster().get("b", name).body == b"again"
    cluster().stop_etl(etl)
    os.remove(path + ".away")


def case_pod_connections():
    """More requests than a pod may have connections and a queue for: the excess is refused immediately, all others are served."""
    cluster().image("spent/held:1", {"srv.py": HELD}, ["/srv.py", "80"])
    etl = cluster().init(spec(image="spent/held:1", annotations={"obj_timeout": "60s"}))
    assert cluster().put("b", "hold", b"4").status == 200  # seconds
    assert cluster().put("b", "quick", b"0").status == 200
    other = cluster().init(spec())
    with nothing_leaks(40):
        lines = [Line(target().url) for _ in range(64 + 256 + 80)]
        began = time.monotonic()
        for line in lines:
            line.send("GET", f"/v1/objects/b/hold?uuid={etl}")
        refused, waiting = [], set(lines)
        while time.monotonic() < began + 15 and len(refused) < 80:
            for line in select.select([l.socket for l in waiting], [], [], 0.1)[0]:
                owner = next(l for l in waiting if l.socket is line)
                answer = owner.answer()
                assert answer.status == 503 and int(answer.headers["retry-after"]) >= 1, answer
                refused.append(owner)
                waiting.remove(owner)
        assert len(refused) == 80, f"{len(refused)} were refused"
        well(other)  # neither plain objects nor another ETL are affected
        statuses = {}
        for line in waiting:
            line.socket.settimeout(100)
            answer = line.answer()
            statuses[answer.status] = statuses.get(answer.status, 0) + 1
        assert statuses == {200: 320}, statuses
        got = cluster().get("b", "quick", "uuid=" + etl)
        assert got.status == 200 and got.body == b"0", got
        for line in lines:
            line.close()
    for one in (etl, other):
        cluster().stop_etl(one)


def case_child_processes():
    """No process can be created: a start fails with a message, running ETLs continue, and the next start succeeds."""
    if os.getuid() != 0:
        raise harness.Skip("another user is needed, whose processes can be counted")
    uid = next(i for i in range(61_000, 65_000) if not any(p.pw_uid == i for p in pwd.getpwall()))
    outer = world["cluster"]
    try:
        with Cluster(targets=1, uid=uid) as lone:
            world["cluster"] = lone
            lone.image("spent/echo:1", {"srv.py": transformers.ECHO_PUT}, ["/srv.py", "80"])
            lone.bucket("b")
            etl = lone.init(spec())
            well(etl)
            with nothing_leaks(30):
                with limited(lone.targets[0], "nproc", 1):
                    for _ in range(2):
                        answer = lone.init(spec(wait="5s"), check=False)
                        assert answer.status == 400 and answer.json["code"] == "etl_init_failed" and "kubectl" in answer.text, answer
                        well(etl)
                assert leftovers.etl_ids(lone) == {etl}
                second = lone.init(spec())
                well(second)
                lone.stop_etl(second)
            lone.stop_etl(etl)
    finally:
        world["cluster"] = outer


with Cluster(targets=1) as made:
    world["cluster"] = made
    made.image("spent/echo:1", {"srv.py": transformers.ECHO_PUT}, ["/srv.py", "80"])
    made.bucket("b")
    harness.run([(name[5:].replace("_", " "), function) for name, function in list(globals().items()) if name.startswith("case_")], limit=180)
