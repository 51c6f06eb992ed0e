#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measures what promises rest on: isolation, overload, memory. `bench.py` runs all rows, `--row NAME` (repeatable) some, `--list` names them.

Real daemons and real pods through kubectl-local, as in test/e2e; load and transformer are load.cc and echo.cc beside this file. ETLNODE_BUILD is a
release build. A text table goes to stdout, the same numbers as JSON to build/bench/<row>.json. A goal that is missed is said, and is exit code 1.
Times are compared within a run only, alternating with and without what is measured, because machines are shared; --seconds scales the parts.
"""
import argparse
import array
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "e2e"))
import harness  # noqa: E402
from harness import BUILD, ROOT, Cluster, pod_spec, request, until  # noqa: E402

LOAD = os.path.join(BUILD, "test/bench/load")
ECHO = os.path.join(BUILD, "test/bench/echo")
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
IMAGE = "bench/echo:1"
SECONDS = 4.0

# src/base/limits.h
TRANSFERS_MAX, POD_CONNECTIONS_MAX, POD_QUEUE_MAX, CONNECTIONS_MAX = 1024, 64, 256, 16384
HEAD_TIMEOUT_S, IDLE_TIMEOUT_S, BODY_STALL_TIMEOUT_S = 10, 75, 30


def proc_status(pid, name):
    """A line of /proc/PID/status in bytes."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith(name + ":"):
                return int(line.split()[1]) * KIB
    raise KeyError(name)


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Load:
    """One run of the load generator; result() waits for it."""

    def __init__(self, url, paths, **options):
        command = [LOAD, "--url", url]
        for path in paths:
            command += ["--path", path]
        for name, value in options.items():
            flag = "--" + name.replace("_", "-")
            if value is True:
                command.append(flag)
            elif value is not None and value is not False:
                command += [flag, str(value)]
        self.limit = float(options.get("duration", 1)) + 60
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)

    def result(self):
        try:
            out, _ = self.process.communicate(timeout=self.limit)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise AssertionError("the load generator did not end")
        assert self.process.returncode == 0, f"load ended with {self.process.returncode}"
        return json.loads(out)

    def end(self):
        """Ends a background load early; its numbers are lost."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def bad(result):
    """Requests that did not end well: other statuses, errors, wrong bytes, and ones that were never answered but long overdue."""
    return sum(n for status, n in result["statuses"].items() if not status.startswith("2")) + sum(result["errors"].values()) + result["mismatches"]


class Bench(Cluster):
    """One proxy, one target; pods from the echo image, objects whose contents the load generator can check."""

    def __init__(self, **rest):
        super().__init__(targets=1, log_level="warn", **rest)

    def start(self):
        super().start()
        folder = os.path.join(self.dir, "echo-image")
        os.mkdir(folder)
        shutil.copy(ECHO, os.path.join(folder, "echo"))
        self.run("kubectl-local", "image", IMAGE, folder, "/echo")
        self.bucket("bench")
        self.objects = {}
        return self

    @property
    def target(self):
        return self.targets[0]

    @property
    def address(self):
        return self.target.url.split("//")[1]

    def etl(self, name, *options, mode="hpush://", wait="30s", obj_timeout=None):
        notes = {"obj_timeout": obj_timeout} if obj_timeout else None
        return self.init(pod_spec(name, IMAGE, mode=mode, command=["/echo", *options], wait=wait, annotations=notes))

    def objects_of(self, size, count=16, bucket="bench"):
        """Paths of `count` objects of that size; the i-th has seed i."""
        if size not in self.objects:
            paths = []
            for seed in range(count):
                words = array.array("Q", range(seed << 40, (seed << 40) + (size + 7) // 8))
                if sys.byteorder == "big":
                    words.byteswap()
                answer = self.put(bucket, f"o{size}-{seed}", words.tobytes()[:size])
                assert answer.status == 200, answer
                paths.append(f"/v1/objects/{bucket}/o{size}-{seed}")
            self.objects[size] = paths
        return self.objects[size]

    def load(self, paths, etl=None, **options):
        query = f"?uuid={etl}" if etl else ""
        return Load(self.address, [path + query for path in paths], **options)

    def measure(self, paths, etl=None, **options):
        return self.load(paths, etl, **options).result()

    def peak(self, paths, etl=None, connections=(8, 32, 64), **options):
        """The best goodput of a closed loop."""
        return max(self.measure(paths, etl, connections=n, duration=SECONDS, check=True, **options)["ok_per_s"] for n in connections)

    def rss(self):
        return proc_status(self.target.pid, "VmRSS")

    def high_water(self):
        return proc_status(self.target.pid, "VmHWM")

    def reset_high_water(self):
        with open(f"/proc/{self.target.pid}/clear_refs", "w", encoding="ascii") as file:
            file.write("5")

    def metric(self, name):
        total = 0.0
        for line in request("GET", self.target.url + "/metrics").text.splitlines():
            if line.startswith(name) and line[len(name)] in " {":
                total += float(line.rsplit(" ", 1)[1])
        return total

    def settled(self):
        until(lambda: self.metric("etlnode_transfers_in_flight") == 0, "no transfer in flight", limit=60)


class Table:
    """Numbers of one row: printed as they come, kept for JSON."""

    def __init__(self, row):
        self.row, self.lines = row, []

    def add(self, what, value, unit="", goal=None, ok=None, note=""):
        """ok: None where the number is only told."""
        self.lines.append({"row": self.row, "what": what, "value": value, "unit": unit, "goal": goal, "ok": ok, "note": note})
        shown = f"{value:.3g}" if isinstance(value, float) and abs(value) < 100 else f"{value:,.0f}" if isinstance(value, (int, float)) else str(value)
        verdict = "" if ok is None else "ok" if ok else "MISSED"
        print(f"{self.row:<11} {what:<64} {shown:>12} {unit:<8} {('goal ' + goal) if goal else '':<18} {verdict:<7} {note}".rstrip(), flush=True)

    def at_most(self, what, value, limit, unit="", note=""):
        self.add(what, value, unit, f"<= {limit:g}", value <= limit, note)

    def at_least(self, what, value, limit, unit="", note=""):
        self.add(what, value, unit, f">= {limit:g}", value >= limit, note)


# --- isolation

def row_isolation(table):
    """A healthy ETL at half load, alternating without and with a bad neighbour on the same target."""
    with Bench() as b:
        paths = b.objects_of(4 * KIB)
        healthy = b.etl("healthy")
        peak = b.peak(paths, healthy)
        rate = peak / 2
        table.add("healthy ETL, 4 KiB, peak", peak, "1/s")
        crashing = b.etl("crashing", "--exit-after", "700", wait="30s")
        hung = b.etl("hung", "--hang", obj_timeout="120s")
        flood = b.etl("flood", "--generate", str(1 << 50))
        neighbours = {
            # 500 requests a second: while it lives it serves them; the others wait for Ready, are refused, or meet a pod that dies. Not more, because
            # what two pods take from each other when both are busy is the operating system's to divide.
            "crash-looping": lambda seconds: b.load(paths, crashing, connections=256, rate=500, duration=seconds),
            "hung, 320 waiting": lambda seconds: b.load(paths, hung, connections=POD_CONNECTIONS_MAX + POD_QUEUE_MAX, duration=seconds, timeout=300),
            "flooding 64 slow readers": lambda seconds: b.load(paths, flood, kind="slow-reader", connections=64, duration=seconds, slow_bytes=64 * KIB, receive_buffer=64 * KIB),
        }

        def healthy_run():
            return b.measure(paths, healthy, connections=64, rate=rate, duration=SECONDS, check=True)

        healthy_run()
        for name, start in neighbours.items():
            alone, beside, errors = [], [], 0
            for _ in range(5):
                result = healthy_run()
                errors += bad(result)
                alone.append(result["latency"]["p99_ms"])
                neighbour = start(SECONDS + 30)
                time.sleep(0.5)
                result = healthy_run()
                neighbour.end()
                errors += bad(result)
                beside.append(result["latency"]["p99_ms"])
                time.sleep(0.3)
            table.at_most(f"errors beside {name}", errors, 0)
            usual, now = statistics.median(alone), statistics.median(beside)
            table.at_most(f"p99 beside {name} / alone", now / usual, 1.25,
                          note=f"medians {now:.2f} / {usual:.2f} ms; all {' '.join('%.2f' % v for v in beside)} / {' '.join('%.2f' % v for v in alone)}")


# --- overload

def recovery_ms(result, rate):
    """Until the answers of a 100 ms window are again as many as wanted, and none was bad."""
    for i, (ok, wrong, _) in enumerate(result["windows"]):
        if ok >= 0.9 * rate / 10 and wrong == 0:
            return (i + 1) * 100
    return float("inf")


def overload(table, b, what, paths, etl, connections=1024, closed=(32, 64), refusals=True, **options):
    """Three times the peak in an open loop, then at once half of it. The peak is measured before and after, because machines are shared."""
    before = b.peak(paths, etl, connections=closed)
    used = cpu_seconds(b.target.pid)
    result = b.measure(paths, etl, connections=connections, rate=3 * before, duration=2 * SECONDS, check=True, **options)
    used = cpu_seconds(b.target.pid) - used
    after = b.measure(paths, etl, connections=64, rate=before / 2, duration=2, check=True)
    b.settled()
    peak = (before + b.peak(paths, etl, connections=closed)) / 2
    ratio = result["ok_per_s"] / peak
    table.at_least(f"{what}: goodput at 3x / peak", ratio, 0.9,
                   note=f"{result['ok_per_s']:,.0f} of {peak:,.0f} /s, {result['statuses']}, unsent {result['unsent']}, target's CPU {used / result['seconds']:.0%}")
    other = sum(n for status, n in result["statuses"].items() if status not in ("200", "503")) + sum(result["errors"].values())
    table.at_most(f"{what}: other answers, errors, wrong bytes", other + result["mismatches"], 0, note=str(result["errors"] or ""))
    if refusals:
        table.at_least(f"{what}: refusals", result["refused"]["count"], 1)
        table.at_most(f"{what}: 503 without Retry-After", result["no_retry_after"], 0)
        table.at_most(f"{what}: p99 of refusals", result["refused"]["p99_ms"], 10, "ms",
                      note=f"p50 {result['refused']['p50_ms']:.2f}, max {result['refused']['max_ms']:.2f}")
    table.at_most(f"{what}: recovery", recovery_ms(after, before / 2), 1000, "ms", note=f"p99 afterwards {after['latency']['p99_ms']:.2f} ms, bad {bad(after)}")


def row_overload(table):
    """Peak goodput in a closed loop, then three times as much in an open one."""
    with Bench() as b:
        paths = b.objects_of(4 * KIB)
        # A pod that works 20 ms on each request: its 64 connections are the bottleneck, not the CPU.
        slow = b.etl("slow", "--delay", "20")
        overload(table, b, "hpush, pod of 20 ms", paths, slow, closed=(POD_CONNECTIONS_MAX,))

        # Three times transfers_max readers over four ETLs, who come again when Retry-After says.
        slows = [slow] + [b.etl(f"slow{i}", "--delay", "100") for i in range(2, 6)]
        runs = [b.load(paths, etl, connections=POD_CONNECTIONS_MAX, duration=SECONDS, check=True) for etl in slows[1:]]
        peak = sum(run.result()["ok_per_s"] for run in runs)
        runs = [b.load(paths, etl, connections=3 * TRANSFERS_MAX // 4, duration=2 * SECONDS, check=True, retry_after=True) for etl in slows[1:]]
        results = [run.result() for run in runs]
        goodput = sum(result["ok_per_s"] for result in results)
        wrong = sum(bad(result) - result["statuses"].get("503", 0) for result in results)
        table.at_least(f"{3 * TRANSFERS_MAX} readers, 4 ETLs of 100 ms: goodput / peak", goodput / peak, 0.9, note=f"{goodput:,.0f} of {peak:,.0f} /s")
        table.at_most(f"{3 * TRANSFERS_MAX} readers: errors but 503", wrong, 0)
        table.at_least(f"{3 * TRANSFERS_MAX} readers: refusals", sum(result["refused"]["count"] for result in results), 1)
        table.at_most(f"{3 * TRANSFERS_MAX} readers: p99 of refusals", max(result["refused"]["p99_ms"] for result in results), 10, "ms",
                      note=f"max {max(result['refused']['max_ms'] for result in results):.2f}")
        table.at_most(f"{3 * TRANSFERS_MAX} readers: 503 without Retry-After", sum(result["no_retry_after"] for result in results), 0)
        b.settled()

        # A pod that costs nothing: the CPU is the bottleneck, which client, target and pod share. Clients that do as Retry-After says; then ones
        # that come again at once, so that refusals, some 10 us each against some 30 us of a read, take what there is.
        fast = b.etl("fast")
        overload(table, b, "hpush, CPU-bound, clients rest", paths, fast, retry_after=True)
        overload(table, b, "hpush, CPU-bound, clients hammer", paths, fast)
        overload(table, b, "GET 4 KiB", paths, None, refusals=False)


# --- idle connections

def row_idle(table):
    """10,000 keep-alive connections that have had an answer each and say nothing more."""
    count = 10_000
    with Bench() as b:
        paths = b.objects_of(4 * KIB)
        etl = b.etl("healthy")
        rate = b.peak(paths, etl) / 2
        b.measure(paths, connections=64, duration=1)
        alone = b.measure(paths, etl, connections=64, rate=rate, duration=SECONDS, check=True)
        before = b.rss()
        idle = b.load(paths, kind="idle", connections=count, duration=IDLE_TIMEOUT_S + 25, timeout=300, connect_rate=5000)
        until(lambda: b.metric("etlnode_http_connections") >= count, "all connections are open", limit=30)
        time.sleep(1)
        each = (b.rss() - before) / count
        table.at_most(f"{count:,} idle connections: resident memory each", each / KIB, 16, "KiB", note=f"{before / MIB:.1f} to {b.rss() / MIB:.1f} MiB")
        beside = b.measure(paths, etl, connections=64, rate=rate, duration=SECONDS, check=True)
        table.at_most("errors of healthy reads meanwhile", bad(beside), 0)
        usual, now = alone["latency"]["p99_ms"], beside["latency"]["p99_ms"]
        table.add("p99 of healthy reads meanwhile / alone", now / usual, note=f"{now:.2f} / {usual:.2f} ms")
        result = idle.result()
        table.at_least("closed by the server", result["ended"]["count"], count, note=f"{result['errors']}, {result['open']} open at the end")
        table.add("life of a connection, first", result["ended"]["first_s"], "s", f"{IDLE_TIMEOUT_S}", abs(result["ended"]["first_s"] - IDLE_TIMEOUT_S) < 3)
        table.add("life of a connection, last", result["ended"]["last_s"], "s", f"{IDLE_TIMEOUT_S}", abs(result["ended"]["last_s"] - IDLE_TIMEOUT_S) < 8)
        table.add("resident memory afterwards", b.rss() / MIB, "MiB")


# --- slow clients

def row_slow(table):
    """300 clients of each slow kind at a time, healthy reads beside them."""
    count = 300
    with Bench() as b:
        paths = b.objects_of(4 * KIB)
        large = b.objects_of(16 * MIB, count=1)
        etl = b.etl("healthy")
        endless = b.etl("endless", "--generate", str(1 << 50))
        rate = b.peak(paths, etl) / 2
        hop = request("PUT", b.url("/v1/objects/bench/slow"), b"", follow=False).headers["Location"]
        upload = hop[len(b.target.url):]

        def healthy():
            return b.measure(paths, etl, connections=64, rate=rate, duration=SECONDS, check=True)

        def put(seconds, **rest):
            return Load(b.address, [upload], method="PUT", body_size=GIB, kind="slow-body", connections=count, duration=seconds, **rest)

        def read(kind_paths, seconds, rate_bytes, one=None, clients=count):
            return b.load(kind_paths, one, kind="slow-reader", slow_bytes=rate_bytes, connections=clients, duration=seconds, receive_buffer=64 * KIB)

        stall = BODY_STALL_TIMEOUT_S
        # name, what starts it, when the server ends it, how
        kinds = [
            ("head of 1 byte/s", lambda: b.load(paths, kind="slow-head", connections=count, duration=HEAD_TIMEOUT_S + 10), HEAD_TIMEOUT_S, "408"),
            ("body that stops", lambda: put(stall + 10, slow_bytes=0), stall, "408"),
            ("reader that stops, plain", lambda: read(large, stall + 20, 0), stall, "cut"),
            ("reader that stops, transformed", lambda: read(paths, stall + 20, 0, endless, POD_CONNECTIONS_MAX), stall, "cut"),
            # Progress resets the deadline: these live as long as they trickle, within their own memory.
            ("body of 1 byte/s", lambda: put(20), None, None),
            ("reader of 64 KiB/s, plain", lambda: read(large, 20, 64 * KIB), None, None),
        ]
        healthy()
        for name, start, deadline, how in kinds:
            alone = healthy()
            b.reset_high_water()
            before = b.rss()
            slow = start()
            time.sleep(2)
            clients = slow.process.args[slow.process.args.index("--connections") + 1]
            beside = healthy()
            result = slow.result()
            ratio = beside["latency"]["p99_ms"] / alone["latency"]["p99_ms"]
            table.at_most(f"{clients} x {name}: errors of healthy reads", bad(beside), 0)
            table.add(f"{clients} x {name}: p99 of healthy reads / alone", ratio, note=f"{beside['latency']['p99_ms']:.2f} / {alone['latency']['p99_ms']:.2f} ms")
            table.at_most(f"{clients} x {name}: memory each", (b.high_water() - before) / int(clients) / KIB, 256, "KiB", note="peak above what it was, by clients")
            if deadline is None:
                table.at_least(f"{clients} x {name}: still served after 20 s", result["open"], int(clients), note=str(result["errors"] or ""))
                continue
            ways = {**result["statuses"], **result["errors"]}
            table.at_least(f"{clients} x {name}: ended by the server", result["ended"]["count"], int(clients), note=f"{ways}, expected {how}")
            table.add(f"{clients} x {name}: ended after (last)", result["ended"]["last_s"], "s", f"{deadline} (+5)", deadline - 1 <= result["ended"]["last_s"] <= deadline + 5,
                      note=f"first {result['ended']['first_s']:.1f}")


# --- memory of large and many streams

def row_memory(table):
    """Endless bodies through each mode: what the target's memory was at most."""
    size = 64 * GIB
    with Bench() as b:
        tiny = b.objects_of(4 * KIB)[:1]
        large = b.objects_of(GIB, count=1)
        generators = {
            "hpush, Content-Length": (b.etl("push", "--generate", str(size)), tiny, size, 1),
            "hpush, chunks": (b.etl("chunks", "--generate", str(size), "--chunked"), tiny, size, 1),
            "hrev, Content-Length": (b.etl("rev", "--generate", str(size), mode="hrev://"), tiny, size, 1),
            "hpush, echo of 1 GiB": (b.etl("echo"), large, size // 8, size // 8 // GIB),
            "hrev, pod reads 1 GiB": (b.etl("pull", mode="hrev://"), large, size // 8, size // 8 // GIB),
        }
        for name, (etl, paths, total, requests) in generators.items():
            b.reset_high_water()
            used = cpu_seconds(b.target.pid)
            result = b.measure(paths, etl, connections=1, requests=requests, duration=180, timeout=300)
            used = cpu_seconds(b.target.pid) - used
            done = result["bytes"] or "none"
            table.at_least(f"{name}: bytes", result["bytes"], total, note=f"in {result['seconds']:.1f} s, {result['bytes'] / GIB / result['seconds']:.2f} GiB/s, "
                           f"target's CPU {used / max(result['bytes'], 1) * 1e9:.2f} ns/byte" + (f" {result['errors']}" if done == "none" else ""))
            table.at_most(f"{name}: peak resident memory", b.high_water() / MIB, 64.25, "MiB")
        # hpull: the target sends the source to the pod, the pod answers the client itself.
        pull = b.etl("pullpull", mode="hpull://")
        hop = request("GET", b.target.url + large[0] + "?uuid=" + pull, follow=False)
        assert hop.status == 307, hop
        address, path = hop.headers["Location"].split("//")[1].split("/", 1)
        b.reset_high_water()
        result = Load(address, ["/" + path], connections=1, requests=8, duration=120, timeout=120).result()
        table.at_least("hpull, pod reads 1 GiB: bytes", result["bytes"], 8 * GIB, note=f"in {result['seconds']:.1f} s")
        table.at_most("hpull, pod reads 1 GiB: peak resident memory", b.high_water() / MIB, 64.25, "MiB")

        streams = 256
        floods = [b.etl(f"flood{i}", "--generate", str(1 << 50)) for i in range(streams // POD_CONNECTIONS_MAX)]
        b.reset_high_water()
        slow = {"kind": "slow-reader", "slow_bytes": 256 * KIB, "receive_buffer": 128 * KIB}
        runs = [b.load(tiny, etl, connections=POD_CONNECTIONS_MAX, duration=15, **slow) for etl in floods]
        time.sleep(10)
        in_flight = b.metric("etlnode_transfers_in_flight")
        for run in runs:
            run.result()
        table.at_least(f"{streams} streams to slow readers: in flight", in_flight, streams)
        table.at_most(f"{streams} streams to slow readers: peak resident memory", b.high_water() / MIB, 64 + streams / 4, "MiB")


# --- more connections than there may be

def row_connections(table):
    """More connections than connections_max: the excess is answered 503, the others live on, and room is used again."""
    wanted = CONNECTIONS_MAX + 500
    with Bench() as b:
        paths = b.objects_of(4 * KIB)
        etl = b.etl("healthy")
        before = b.rss()
        idle = b.load(paths, kind="idle", connections=wanted, duration=25, timeout=300, connect_rate=4000)
        until(lambda: proc_sockets(b.target.pid) >= CONNECTIONS_MAX, "the target is full", limit=30)
        time.sleep(8)
        table.add("resident memory when full", b.rss() / MIB, "MiB", note=f"{(b.rss() - before) / CONNECTIONS_MAX / KIB:.1f} KiB a connection")
        result = idle.result()
        served, refused = result["statuses"].get("200", 0), result["statuses"].get("503", 0)
        table.at_least(f"{wanted:,} connections: served", served, CONNECTIONS_MAX - 64, note=f"{result['statuses']} {result['errors']}")
        table.at_least("answered 503", refused, wanted - CONNECTIONS_MAX, note=f"without Retry-After {result['no_retry_after']}")
        table.at_most("ended without an answer", sum(result["errors"].get(name, 0) for name in ("reset_before_answer", "closed_before_answer", "connect")), 0)
        until(lambda: b.metric("etlnode_http_connections") < 100, "the connections are gone", limit=30)
        after = b.measure(paths, etl, connections=32, duration=1, check=True)
        table.at_most("afterwards: errors", bad(after), 0, note=f"{after['ok_per_s']:,.0f} /s")


def proc_sockets(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


ROWS = {"isolation": row_isolation, "overload": row_overload, "idle": row_idle, "slow": row_slow, "memory": row_memory, "connections": row_connections}


def main():
    global SECONDS
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--row", action="append", choices=list(ROWS), help="run this row only (repeatable)")
    parser.add_argument("--list", action="store_true", help="name the rows")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"length of one measurement (default {SECONDS:g})")
    parser.add_argument("--out", default=os.path.join(ROOT, "build/bench"), help="folder of the JSON results")
    arguments = parser.parse_args()
    if arguments.list:
        for name, function in ROWS.items():
            print(f"{name:<12} {function.__doc__}")
        return 0
    SECONDS = arguments.seconds
    os.makedirs(arguments.out, exist_ok=True)
    missed = 0
    for name in arguments.row or ROWS:
        table = Table(name)
        began = time.time()
        ROWS[name](table)
        with open(os.path.join(arguments.out, name + ".json"), "w", encoding="utf-8") as file:
            machine = {"cpus": os.cpu_count(), "load_average": os.getloadavg()[0]}
            json.dump({"row": name, "began": began, "seconds": time.time() - began, "machine": machine, "lines": table.lines}, file, indent=1)
        missed += sum(1 for line in table.lines if line["ok"] is False)
    print(f"{missed} goals missed" if missed else "all goals met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
