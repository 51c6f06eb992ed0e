#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Overload on a small scale: a full pool of pod connections, slow and idle clients, more bytes than memory. Bounds are generous: bench.py
measures, while this checks that the limits of src/base/limits.h exist. Load generator and transformer are those of test/bench."""
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.parse

import harness
from harness import BUILD, Cluster, pod_spec, request, until

LOAD = os.path.join(BUILD, "test/bench/load")
ECHO = os.path.join(BUILD, "test/bench/echo")
# src/base/limits.h
POD_CONNECTIONS_MAX, POD_QUEUE_MAX, TRANSFERS_MAX, TRANSFERS_RESERVED = 64, 256, 1024, 256
HEAD_TIMEOUT_S, BODY_STALL_TIMEOUT_S = 10, 30
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
SANITIZED = os.path.isdir(os.path.join(BUILD, "meson-private")) and "sanitize=address" in open(os.path.join(BUILD, "build.ninja"), encoding="utf-8").read()
world = {}


def cluster():
    return world["cluster"]


def target():
    return cluster().targets[0]


def address():
    return target().url.split("//")[1]


def etl(name, *options, **rest):
    return cluster().init(pod_spec(name, "test/bench-echo:1", command=["/echo", *options], **rest))


class Load:
    """The load generator in the background; result() waits for it."""

    def __init__(self, *paths, **options):
        command = [LOAD, "--url", address()]
        for path in paths:
            command += ["--path", path]
        for name, value in options.items():
            command += ["--" + name.replace("_", "-")] + ([] if value is True else [str(value)])
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def result(self):
        out, _ = self.process.communicate(timeout=300)
        assert self.process.returncode == 0, self.process.returncode
        return json.loads(out)

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def metric(name):
    lines = request("GET", target().url + "/metrics").text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name) and line[len(name)] in " {")


def memory(name="VmRSS"):
    with open(f"/proc/{target().pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * KIB for line in file if line.startswith(name + ":"))


def lines_with(text):
    with open(os.path.join(cluster().log_dir, target().name + ".log"), encoding="utf-8", errors="replace") as file:
        return sum(text in line for line in file)


def settled():
    until(lambda: metric("etlnode_transfers_in_flight") == 0, "no transfer in flight", limit=60)


def healthy():
    """Plain and transformed reads continue as usual."""
    for query in ("", "?uuid=" + world["echo"]):
        with Load("/v1/objects/over/a" + query, connections=4, duration=0.5, check=True) as load:
            result = load.result()
        assert set(result["statuses"]) == {"200"} and not result["errors"] and not result["mismatches"] and result["ok"] > 10, result


def start_all():
    c = cluster()
    folder = os.path.join(c.dir, "echo-image")
    os.mkdir(folder)
    shutil.copy(ECHO, os.path.join(folder, "echo"))
    c.run("kubectl-local", "image", "test/bench-echo:1", folder, "/echo")
    c.bucket("over")
    words = b"".join(i.to_bytes(8, "little") for i in range(512))
    assert c.put("over", "a", words).status == 200
    assert c.put("over", "big", os.urandom(MIB) * 32).status == 200
    world["echo"] = etl("echo")
    healthy()


def case_pool_full():
    hung = etl("hung", "--hang", annotations={"obj_timeout": "100s"})
    path = "/v1/objects/over/a?uuid=" + hung
    with Load(path, connections=POD_CONNECTIONS_MAX + POD_QUEUE_MAX, duration=60, timeout=100):
        until(lambda: metric("etlnode_transfers_in_flight") == POD_CONNECTIONS_MAX + POD_QUEUE_MAX, "the queue is full", limit=30)
        for _ in range(20):
            began = time.monotonic()
            answer = request("GET", target().url + path)
            assert answer.status == 503 and int(answer.headers["Retry-After"]) >= 1 and answer.json["code"] == "overloaded", answer
            assert time.monotonic() - began < 20, "a refusal waits for nothing"  # the queue would keep it for 100 s
        with Load(path, connections=8, duration=3) as load:
            refused = load.result()["refused"]["count"]
        logged = lines_with("status=503")
        assert refused > 500 and 20 <= logged <= 250, f"{logged} lines for {refused} refusals"
        time.sleep(1)
        assert request("GET", target().url + path).status == 503
        assert lines_with("more requests were answered 503") >= 1
        healthy()
    settled()
    cluster().stop_etl(hung)


def case_hung_etls_leave_room():
    slow = [etl(f"slow{i}", "--hang", annotations={"obj_timeout": "100s"}) for i in range(4)]
    loads = [Load("/v1/objects/over/a?uuid=" + one, connections=POD_CONNECTIONS_MAX + POD_QUEUE_MAX, duration=60, timeout=100) for one in slow]
    try:
        until(lambda: metric("etlnode_transfers_in_flight") >= TRANSFERS_MAX - TRANSFERS_RESERVED, "as many transfers as ETLs with many may have", limit=40)
        answer = request("GET", target().url + "/v1/objects/over/a?uuid=" + slow[0])
        assert answer.status == 503 and answer.headers["Retry-After"], answer
        for _ in range(20):
            assert request("GET", target().url + "/v1/objects/over/a?uuid=" + world["echo"]).status == 200, "an ETL with few requests has its room"
        assert metric("etlnode_transfers_in_flight") <= TRANSFERS_MAX
        assert request("GET", target().url + "/v1/objects/over/a").status == 200, "plain reads have no part in it"
    finally:
        for load in loads:
            load.__exit__()
    settled()
    healthy()
    for one in slow:
        cluster().stop_etl(one)


def case_excess_is_refused_and_the_rest_served():
    slow = etl("slow", "--delay", "50")
    with Load("/v1/objects/over/a?uuid=" + slow, connections=3 * (POD_CONNECTIONS_MAX + POD_QUEUE_MAX), duration=4, check=True, retry_after=True) as load:
        result = load.result()
    assert set(result["statuses"]) == {"200", "503"} and not result["errors"] and result["mismatches"] == 0, result
    assert result["no_retry_after"] == 0, result
    assert result["ok"] >= POD_CONNECTIONS_MAX * 4 / 0.05 * 0.1, result
    settled()
    healthy()
    cluster().stop_etl(slow)


def case_waiting_is_first_come_first_served():
    # One after the other through a queue that is never empty: the last request is not served before earlier ones.
    slow = etl("fifo", "--delay", "200")
    path = "/v1/objects/over/a?uuid=" + slow
    with Load(path, connections=POD_CONNECTIONS_MAX * 4, duration=8, check=True) as load:
        result = load.result()
    # Four rounds of 200 ms each. A request that is passed over repeatedly is refused when its time in the queue is up.
    assert set(result["statuses"]) == {"200"} and result["latency"]["max_ms"] < 60_000 and result["latency"]["p50_ms"] > 300, result
    settled()
    cluster().stop_etl(slow)


def trickle(data, until_s, pause=0.5):
    """Sends one byte of `data` after every pause. Returns the answer and the elapsed time."""
    host, port = address().split(":")
    with socket.create_connection((host, int(port))) as conn:
        conn.settimeout(pause)
        began = time.monotonic()
        got = b""
        for i in range(len(data)):
            try:
                conn.sendall(data[i:i + 1])
                piece = conn.recv(65536)
                got += piece
                if not piece:
                    break
            except socket.timeout:
                pass
            except OSError:
                break
            if got or time.monotonic() - began > until_s:
                break
        return got, time.monotonic() - began


def case_slow_head():
    head = b"GET /v1/objects/over/a HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * 1000
    got, took = trickle(head, HEAD_TIMEOUT_S + 60)
    assert got.startswith(b"HTTP/1.1 408 "), (got, took)
    assert HEAD_TIMEOUT_S - 1 < took, took


def case_slow_head_after_a_request():
    # The same on a used connection: half of the second head arrives with the first.
    host, port = address().split(":")
    with socket.create_connection((host, int(port))) as conn:
        conn.settimeout(HEAD_TIMEOUT_S + 60)
        conn.sendall(b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\nGET /v1/hea")
        began = time.monotonic()
        got = b""
        while b" 408 " not in got:
            piece = conn.recv(65536)
            assert piece, got
            got += piece
        assert got.startswith(b"HTTP/1.1 200 ") and time.monotonic() - began > HEAD_TIMEOUT_S - 1, got


def case_slow_clients_have_deadlines():
    upload = urllib.parse.urlsplit(request("PUT", cluster().url("/v1/objects/over/slow"), b"", follow=False).headers["Location"])
    endless = etl("endless", "--generate", str(1 << 50))
    before = memory()
    stop = dict(slow_bytes=0, connections=50, duration=BODY_STALL_TIMEOUT_S + 60)
    loads = {
        "body": Load(f"{upload.path}?{upload.query}", method="PUT", body_size=GIB, kind="slow-body", **stop),
        "plain reader": Load("/v1/objects/over/big", kind="slow-reader", receive_buffer=64 * KIB, **stop),
        "transformed reader": Load("/v1/objects/over/a?uuid=" + endless, kind="slow-reader", receive_buffer=64 * KIB, **stop),
    }
    try:
        time.sleep(3)
        healthy()
        grown = memory() - before
        assert grown < 150 * 256 * KIB * (3 if SANITIZED else 1), f"{grown} bytes for 150 slow clients"
        results = {name: load.result() for name, load in loads.items()}
    finally:
        for load in loads.values():
            load.__exit__()
    for name, result in results.items():
        assert result["ended"]["count"] == 50 and result["open"] == 0, (name, result)
        assert BODY_STALL_TIMEOUT_S - 1 < result["ended"]["first_s"] and result["ended"]["last_s"] < BODY_STALL_TIMEOUT_S + 55, (name, result)
    assert results["body"]["statuses"] == {"408": 50}, results["body"]
    settled()
    until(lambda: metric("etlnode_http_connections") < 20, "the connections are gone")
    cluster().stop_etl(endless)


def case_idle_connections_are_small():
    before = memory()
    with Load("/v1/objects/over/a", kind="idle", connections=1000, duration=30, timeout=100):
        until(lambda: metric("etlnode_http_connections") >= 1000, "all are open")
        time.sleep(0.5)
        each = (memory() - before) / 1000
        assert each < 16 * KIB * (4 if SANITIZED else 1), f"{each / KIB:.1f} KiB an idle connection"
        healthy()
    until(lambda: metric("etlnode_http_connections") < 20, "the connections are gone")


def case_large_streams_need_no_memory():
    generate = etl("generate", "--generate", str(4 * GIB))
    chunks = etl("chunks", "--generate", str(GIB), "--chunked")
    reverse = etl("reverse", "--generate", str(4 * GIB), mode="hrev://")
    for name, one, size in (("hpush", generate, 4 * GIB), ("hpush, chunks", chunks, GIB), ("hrev", reverse, 4 * GIB)):
        before = memory("VmHWM")
        with Load("/v1/objects/over/a?uuid=" + one, connections=1, requests=1, duration=60) as load:
            result = load.result()
        assert result["bytes"] == size and not result["errors"], (name, result)
        grown = memory("VmHWM") - before
        assert grown < 64 * MIB, f"{name}: {grown / MIB:.0f} MiB more for {size} bytes"
    for one in (generate, chunks, reverse):
        cluster().stop_etl(one)


with Cluster(targets=1) as made:
    world["cluster"] = made
    start_all()
    harness.run([
        ("pool full: 503 with Retry-After", case_pool_full),
        ("hung ETLs leave room for others", case_hung_etls_leave_room),
        ("the excess is refused and the rest served", case_excess_is_refused_and_the_rest_served),
        ("waiting is first come, first served", case_waiting_is_first_come_first_served),
        ("a slow head is answered 408", case_slow_head),
        ("a slow head after a request is answered 408", case_slow_head_after_a_request),
        ("slow clients have deadlines", case_slow_clients_have_deadlines),
        ("idle connections are small", case_idle_connections_are_small),
        ("large streams need no memory", case_large_streams_need_no_memory),
    ])
