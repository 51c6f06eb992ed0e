# SPDX-License-Identifier: MIT
"""Rows about speed: what a request costs the node, compared with nginx doing the same kind of work in the same run.

Most goals are ratios of CPU time, because it is steadier than time where a machine is shared.
"""
import dataclasses
import json
import os
import re
import statistics
import threading
import time

import peers
from common import KIB, MIB, Bench, Settings, proc_status, request
from drive import Subject, ratios_of, series, size_text
from fill import fill, start
# Of test/e2e, which common makes known.
import test_document

SIZES = (KIB, 64 * KIB, MIB, 64 * MIB)
IDLE_RSS_MAX = 16 * MIB
LATENCY_ADDED_MAX_US = 100
INIT_MAX_MS = 300
INIT_ROUNDS = 5


class Speed(Bench):
    """A node beside peers that have files with the same sizes and paths."""

    def path(self, size):
        """An object of that size."""
        return self.objects_of(size, count=1)[0]

    def nginx_static(self, sizes, name="static", nopush=False):
        return self.peer(peers.static(self.dir, {self.path(size): size for size in sizes}, name, nopush))

    def nginx_proxy(self, sizes):
        """A proxy in front of another nginx that has the files: the least that a read through a second server can cost."""
        return self.peer(peers.proxy(self.dir, self.nginx_static(sizes, "upstream").address))


def of_nginx(peer, path, size, name="nginx static", **rest):
    return Subject(name, peer.pid, peer.url + path, size=size, **rest)


def of_target(b, path, size, name="target", **rest):
    return Subject(name, b.target.pid, b.target.url + path, size=size, **rest)


# --- plain reads

def row_get(table):
    """GET of a cached object, beside nginx with the file. Also reported: nginx that holds back a head until the file follows, which is Debian's default."""
    with Speed() as b:
        nginx = b.nginx_static(SIZES)
        corked = b.nginx_static(SIZES, "corked", nopush=True)
        for size in SIZES:
            peer = of_nginx(nginx, b.path(size), size)
            other = of_nginx(corked, b.path(size), size, "nginx static, tcp_nopush")
            target = of_target(b, b.path(size), size, peer=peer, ratio_max=0.75)
            series(table, f"GET {size_text(size)}", [peer, target, other])
            ratios = ratios_of(dataclasses.replace(target, peer=other))
            table.add(f"GET {size_text(size)}: CPU, target / nginx with tcp_nopush", statistics.median(ratios), "x", note=f"{min(ratios):.2f}..{max(ratios):.2f}")


def row_check(table):
    """First reads, whose blocks are compared with their sums, beside repeated reads; alternating objects, one connection. The second target forgets at once."""
    with Speed() as hot, Speed(extra_env={"ETLNODE_WARM_MS": "1"}) as cold:
        for size, count in ((64 * KIB, 256), (MIB, 16), (8 * MIB, 4)):
            subjects = []
            for b, name in ((hot, "target, read again"), (cold, "target, first read")):
                paths = b.objects_of(size, count)
                file = os.path.join(b.dir, f"paths-{size}")
                with open(file, "w", encoding="ascii") as out:
                    out.write("\n".join(paths) + "\n")
                subjects.append(of_target(b, paths[0], size, name, connections=1, script="paths.lua", environment={"BENCH_PATHS": file}))
            subjects[1].peer = subjects[0]
            series(table, f"GET {size_text(size)}", subjects)


def row_head(table):
    """HEAD, beside nginx. The object is empty, because wrk waits for the body that Content-Length announces."""
    with Speed() as b:
        nginx = b.nginx_static([0])
        peer = of_nginx(nginx, b.path(0), 0, "nginx static", method="HEAD")
        series(table, "HEAD", [peer, of_target(b, b.path(0), 0, method="HEAD", peer=peer)])


def row_redirect(table):
    """GET of an object at the proxy, which redirects to the target, beside nginx returning 307."""
    with Speed() as b:
        nginx = b.peer(peers.redirect(b.dir, b.target.url))
        path = b.path(KIB)
        peer = Subject("nginx return 307", nginx.pid, nginx.url + path, status=307)
        series(table, "redirect", [peer, Subject("proxy", b.proxy.pid, b.proxy.url + path, status=301, peer=peer, ratio_max=0.75)])


# --- uploads

def uploads(b, size, names=256, **rest):
    """Durable uploads directly to the target, as after the proxy's redirect."""
    hop = request("PUT", b.url(f"/v1/objects/bench/put{size}-"), b"", follow=False)
    assert hop.status == 307, hop
    path, query = re.fullmatch(r"http://[^/]+(/[^?]+)(\?.*)", hop.headers["Location"]).groups()

    def check(subject):
        url = b.target.url + path + "checked"
        answer = request("PUT", url + query, b"x" * size)
        assert answer.status == 200, answer
        assert len(request("GET", url).body) == size, f"{subject.name}: the upload was not kept"

    return Subject("target", b.target.pid, b.target.url, size=size, method="PUT", body_size=size, script="put.lua", check=check,
                   environment={"BENCH_PREFIX": path, "BENCH_QUERY": query, "BENCH_NAMES": str(names)}, **rest)


PLAIN_THREADS = 4  # as many as libuv's pool has


def plain_files(folder, size, names):
    """CPU in ns per byte of this process when it does only what an upload must: write a new file, sync it, and rename it over an old one."""
    piece = bytes(min(size, 256 * KIB))
    end = time.monotonic() + Settings.window
    counts = [0] * PLAIN_THREADS

    def write(thread):
        while time.monotonic() < end:
            path = os.path.join(folder, f"plain{thread}")
            with open(path, "xb", buffering=0) as file:
                for _ in range(size // len(piece)):
                    file.write(piece)
                os.fdatasync(file.fileno())
            os.rename(path, os.path.join(folder, f"plain-{counts[thread] % names}"))
            counts[thread] += 1

    began = time.process_time()
    threads = [threading.Thread(target=write, args=(i,)) for i in range(PLAIN_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    used = time.process_time() - began
    for name in os.listdir(folder):
        if name.startswith("plain"):
            os.unlink(os.path.join(folder, name))
    return used * 1e9 / (sum(counts) * size)


def add_plain_files(table, b, size, names):
    """The machine's part of an upload: its page cache and its file system."""
    samples = [plain_files(b.dir, size, names) for _ in range(Settings.rounds)]
    table.add(f"PUT {size_text(size)}: a byte of the same files, written plainly", statistics.median(samples), "ns", note=f"{min(samples):.2f}..{max(samples):.2f}; write, fdatasync, rename")


def row_put(table):
    """Durable uploads, alternating new and overwritten names (only overwritten ones from 1 MiB on), CPU of all threads; and the least that such files cost."""
    with Speed() as b:
        nginx = b.nginx_static([KIB])
        peer = of_nginx(nginx, b.path(KIB), KIB, "nginx static, GET 1 KiB")
        series(table, "PUT 1 KiB", [peer, uploads(b, KIB, peer=peer, ratio_max=8)])
        series(table, "PUT 64 KiB", [uploads(b, 64 * KIB)])
        for size, names in ((MIB, 16), (64 * MIB, 4)):
            series(table, f"PUT {size_text(size)}", [uploads(b, size, names=names, ns_per_byte_max=1.5)])
            add_plain_files(table, b, size, names)


# --- listing

LISTED = 10_000


def listing(b, bucket, name, accept, count, page_size=0, **rest):
    """The first page of a bucket at the proxy. The target's part has its own line."""
    body = json.dumps({"action": "list", "value": {"pagesize": page_size}})

    def check(subject):
        entries = request("GET", subject.url, body, {"Content-Type": "application/json"}).json["entries"]
        assert len(entries) == count, f"{len(entries)} entries instead of {count}"

    return Subject(name, b.proxy.pid, b.proxy.url + "/v1/buckets/" + bucket, connections=4, check=check, own_lines=True,
                   also={name.replace("proxy", "target"): b.target.pid}, environment={"BENCH_BODY": body, "BENCH_ACCEPT": accept}, **rest)


def row_list(table):
    """All of a bucket with 10,000 objects in one request, at the proxy."""
    with Speed() as b:
        b.bucket("listed")
        fill(b, "listed", [f"folder/object-{i:06d}" for i in range(LISTED)], b"x" * KIB)
        start(b)
        kinds = {"MessagePack": "application/msgpack", "JSON": "application/json"}
        series(table, f"list {LISTED:,} names", [listing(b, "listed", f"proxy, {name}", accept, LISTED) for name, accept in kinds.items()])


# --- transformed reads

def row_hpush(table):
    """Echo through a pod, beside nginx in front of nginx (GET) and of the same echo server (POST)."""
    goals = {KIB: 1.6, 64 * KIB: 0.9, MIB: 0.8, 64 * MIB: 0.6}
    with Speed() as b:
        proxy = b.nginx_proxy(SIZES)
        near, _ = b.etl_on_host("near")
        far = b.etl("far")
        # nginx stops forwarding a body once the upstream has begun to answer, so its echo server answers when it has everything.
        _, whole_port = b.etl_on_host("whole", "--whole")
        post = b.peer(peers.proxy(b.dir, f"127.0.0.1:{whole_port}", "post"))
        near_pod, far_pod = {"pod": b.pod_process(near)}, {"pod": b.pod_process(far)}
        for size in SIZES:
            path = b.path(size)
            peer = of_nginx(proxy, f"{path}?uuid={near}", size, "nginx proxy, GET")
            posts = of_nginx(post, path, size, "nginx proxy, POST to pod", method="POST", body_size=size)
            series(table, f"hpush {size_text(size)}", [
                peer,
                of_target(b, f"{path}?uuid={near}", size, "target, pod on loopback", peer=peer, ratio_max=goals[size], also=near_pod),
                posts,
                of_target(b, f"{path}?uuid={far}", size, "target, pod in own network", peer=peer, also=far_pod),
            ])


def row_hrev(table):
    """The pod reads the object from the target, whose CPU covers both parts; beside nginx in front of nginx."""
    with Speed() as b:
        proxy = b.nginx_proxy(SIZES)
        etl, _ = b.etl_on_host("rev", mode="hrev://")
        pod = {"pod": b.pod_process(etl)}
        for size in SIZES:
            path = f"{b.path(size)}?uuid={etl}"
            peer = of_nginx(proxy, path, size, "nginx proxy, GET")
            series(table, f"hrev {size_text(size)}", [peer, of_target(b, path, size, "target, pod on loopback", peer=peer, ratio_max=2.0, also=pod)])


def row_hpull(table):
    """The client asks the pod, and the pod asks the target: the target's cost of that, and of redirecting the client there."""
    with Speed() as b:
        etl, _ = b.etl_on_host("pull", mode="hpull://")
        pod = {"pod": b.pod_process(etl)}
        for size in SIZES:
            hop = request("GET", f"{b.target.url}{b.path(size)}?uuid={etl}", follow=False)
            assert hop.status == 307, hop
            series(table, f"hpull {size_text(size)}", [Subject("target, of the pod's GET", b.target.pid, hop.headers["Location"], size=size, also=pod)])
        series(table, "hpull, redirect", [Subject("target", b.target.pid, f"{b.target.url}{b.path(KIB)}?uuid={etl}", status=307)])


# --- dependence on the number of connections

def row_clients(table):
    """GET and hpush of 1 KiB with 1, 32 and 256 connections, beside nginx."""
    with Speed() as b:
        static, proxy = b.nginx_static([KIB]), b.nginx_proxy([KIB])
        etl, _ = b.etl_on_host("clients")
        path = b.path(KIB)
        through = f"{path}?uuid={etl}"
        for count in (1, 32, 256):
            peer = of_nginx(static, path, KIB, connections=count)
            series(table, f"GET 1 KiB, {count} connections", [peer, of_target(b, path, KIB, connections=count, peer=peer)])
            peer = of_nginx(proxy, through, KIB, "nginx proxy, GET", connections=count)
            series(table, f"hpush 1 KiB, {count} connections", [peer, of_target(b, through, KIB, "target, pod on loopback", connections=count, peer=peer)])


def row_latency(table):
    """What hpush costs beyond a read and the pod's own time, 1 KiB, one connection."""
    with Speed() as b:
        path = b.path(KIB)
        near, port = b.etl_on_host("near")
        far = b.etl("far")
        hop = request("GET", b.url("/v1/etl/" + far)).json["targets"][0]["address"]
        for where, etl, address, goal in (("on loopback", near, f"127.0.0.1:{port}", LATENCY_ADDED_MAX_US), ("in its own network", far, hop, None)):
            read = of_target(b, path, KIB, "target, GET", connections=1)
            push = of_target(b, f"{path}?uuid={etl}", KIB, "target, hpush", connections=1)
            pod = Subject("pod, POST", b.pod_process(etl), f"http://{address.removeprefix('http://')}/o", size=KIB, method="POST", body_size=KIB, connections=1)
            series(table, f"latency, pod {where}", [read, push, pod])
            added = [(c["p50_ms"] - a["p50_ms"] - p["p50_ms"]) * 1000 for a, c, p in zip(read.samples, push.samples, pod.samples)]
            median = statistics.median(added)
            table.add(f"added by hpush, pod {where}: p50 of hpush - GET - POST", median, "us", *((f"<= {goal}", median <= goal) if goal else (None, None)),
                      note=f"{min(added):.0f}..{max(added):.0f}")


# --- starting and resting

def all_of(values):
    return " ".join(f"{value:.0f}" for value in values)


def row_init(table):
    """From the request for an ETL to its answer, with the example's pod."""
    server, spec = test_document.own_files()
    with Speed() as b:
        b.image("etlnode.example/md5_server:v1", {"code/server.py": server}, ["/code/server.py", "--listen", "0.0.0.0", "--port", "80"])
        taken = []
        for _ in range(max(INIT_ROUNDS, Settings.rounds)):
            began = time.monotonic()
            etl = b.init(spec)
            taken.append((time.monotonic() - began) * 1000)
            b.stop_etl(etl)
        table.at_most("init of the document's pod (Python), median", statistics.median(taken), INIT_MAX_MS, "ms", note=all_of(taken))
        # The pod's part: an echo server in C needs no time to start.
        taken = []
        for i in range(max(INIT_ROUNDS, Settings.rounds)):
            began = time.monotonic()
            etl = b.etl(f"quick{i}")
            taken.append((time.monotonic() - began) * 1000)
            b.stop_etl(etl)
        table.add("init of a pod in C, median", statistics.median(taken), "ms", note=all_of(taken))


def row_resident(table):
    """Memory of nodes that have just started and hold one bucket."""
    with Speed() as b:
        nginx = b.nginx_static([KIB])
        # The node's own pages, and those of the program and its libraries, which other processes share.
        for name, node, limit in (("target", b.target, IDLE_RSS_MAX), ("proxy", b.proxy, None)):
            rss, own = proc_status(node.pid, "VmRSS"), proc_status(node.pid, "RssAnon")
            goal, ok = (f"<= {limit // MIB}", rss <= limit) if limit else (None, None)
            table.add(f"{name}, resident memory right after the start", rss / MIB, "MiB", goal, ok, note=f"{own / MIB:.1f} MiB of it its own")
        rss, own = proc_status(nginx.pid, "VmRSS"), proc_status(nginx.pid, "RssAnon")
        table.add("nginx worker, resident memory right after the start", rss / MIB, "MiB", note=f"{own / MIB:.1f} MiB of it its own")


ROWS = {"get": row_get, "check": row_check, "head": row_head, "redirect": row_redirect, "put": row_put, "list": row_list, "hpush": row_hpush, "hrev": row_hrev, "hpull": row_hpull,
        "clients": row_clients, "latency": row_latency, "init": row_init, "resident": row_resident}
