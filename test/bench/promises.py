# SPDX-License-Identifier: MIT
"""Rows about promises: isolation, overload, idle and slow clients, memory of streams, too many connections."""
import os
import statistics
import time

from common import (BODY_STALL_TIMEOUT_S, CONNECTIONS_MAX, GIB, HEAD_TIMEOUT_S, IDLE_TIMEOUT_S, KIB, MIB, POD_CONNECTIONS_MAX, POD_QUEUE_MAX, TRANSFERS_MAX,
                    Bench, Load, Settings, bad, cpu_seconds, request, until)


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
            # 500 requests a second: while the pod lives, it serves them. The others wait for Ready, are refused, or meet a dying pod. The rate is not higher,
            # because the operating system decides how two busy pods share the CPU.
            "crash-looping": lambda seconds: b.load(paths, crashing, connections=256, rate=500, duration=seconds),
            "hung, 320 waiting": lambda seconds: b.load(paths, hung, connections=POD_CONNECTIONS_MAX + POD_QUEUE_MAX, duration=seconds, timeout=300),
            "flooding 64 slow readers": lambda seconds: b.load(paths, flood, kind="slow-reader", connections=64, duration=seconds, slow_bytes=64 * KIB,
                                                               receive_buffer=64 * KIB),
        }

        def healthy_run():
            return b.measure(paths, healthy, connections=64, rate=rate, duration=Settings.seconds, check=True)

        healthy_run()
        for name, start in neighbours.items():
            alone, beside, errors = [], [], 0
            for _ in range(5):
                result = healthy_run()
                errors += bad(result)
                alone.append(result["latency"]["p99_ms"])
                neighbour = start(Settings.seconds + 30)
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
    """Waits until a 100 ms window has enough answers again, and no bad ones."""
    for i, (ok, wrong, _) in enumerate(result["windows"]):
        if ok >= 0.9 * rate / 10 and wrong == 0:
            return (i + 1) * 100
    return float("inf")


def overload(table, b, what, paths, etl, connections=1024, closed=(32, 64), refusals=True, **options):
    """Three times the peak in an open loop, then at once half of it. The peak is measured before and after, because the machine is shared."""
    before = b.peak(paths, etl, connections=closed)
    used = cpu_seconds(b.target.pid)
    result = b.measure(paths, etl, connections=connections, rate=3 * before, duration=2 * Settings.seconds, check=True, **options)
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

        # Three times transfers_max readers over four ETLs, which return when Retry-After says.
        slows = [slow] + [b.etl(f"slow{i}", "--delay", "100") for i in range(2, 6)]
        runs = [b.load(paths, etl, connections=POD_CONNECTIONS_MAX, duration=Settings.seconds, check=True) for etl in slows[1:]]
        peak = sum(run.result()["ok_per_s"] for run in runs)
        runs = [b.load(paths, etl, connections=3 * TRANSFERS_MAX // 4, duration=2 * Settings.seconds, check=True, retry_after=True) for etl in slows[1:]]
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

        # A pod that costs nothing: the bottleneck is the CPU that client, target and pod share. First the clients obey Retry-After. Then they return at
        # once, so that refusals, some 10 us each against some 30 us for a read, take what there is.
        fast = b.etl("fast")
        overload(table, b, "hpush, CPU-bound, clients rest", paths, fast, retry_after=True)
        overload(table, b, "hpush, CPU-bound, clients hammer", paths, fast)
        overload(table, b, "GET 4 KiB", paths, None, refusals=False)


# --- idle connections

def row_idle(table):
    """10,000 keep-alive connections that have received one answer each and stay silent."""
    count = 10_000
    with Bench() as b:
        paths = b.objects_of(4 * KIB)
        etl = b.etl("healthy")
        rate = b.peak(paths, etl) / 2
        b.measure(paths, connections=64, duration=1)
        alone = b.measure(paths, etl, connections=64, rate=rate, duration=Settings.seconds, check=True)
        before = b.rss()
        idle = b.load(paths, kind="idle", connections=count, duration=IDLE_TIMEOUT_S + 25, timeout=300, connect_rate=5000)
        until(lambda: b.metric("etlnode_http_connections") >= count, "all connections are open", limit=30)
        time.sleep(1)
        each = (b.rss() - before) / count
        table.at_most(f"{count:,} idle connections: resident memory each", each / KIB, 16, "KiB", note=f"{before / MIB:.1f} to {b.rss() / MIB:.1f} MiB")
        beside = b.measure(paths, etl, connections=64, rate=rate, duration=Settings.seconds, check=True)
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
    """300 clients of each slow kind at a time, with healthy reads beside them."""
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
            return b.measure(paths, etl, connections=64, rate=rate, duration=Settings.seconds, check=True)

        def put(seconds, **rest):
            return Load(b.address, [upload], method="PUT", body_size=GIB, kind="slow-body", connections=count, duration=seconds, **rest)

        def read(kind_paths, seconds, rate_bytes, one=None, clients=count):
            return b.load(kind_paths, one, kind="slow-reader", slow_bytes=rate_bytes, connections=clients, duration=seconds, receive_buffer=64 * KIB)

        stall = BODY_STALL_TIMEOUT_S
        # name, how it starts, when the server ends it, how
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
    """Endless bodies through each mode: the target's highest memory use."""
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
        # hpull: the target redirects the source to the pod, and the pod answers the client itself.
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


# --- more connections than allowed

def row_connections(table):
    """More connections than connections_max: the excess gets 503, the others live on, and free slots are used again."""
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
