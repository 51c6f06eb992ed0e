# SPDX-License-Identifier: MIT
"""Rows about jobs over data sets: from the request until the job is over, what the targets need for an object, and what clients notice."""
import json
import os
import sqlite3
import statistics
import threading
import time

from common import KIB, MIB, Bench, bad, proc_status, request, until
from drive import cpu_around
from fill import fill, put_all, start
from moving import MANY, RATE, WINDOW_MIN, objects_at, target_pids, wait_moved

COPIED, COPY_SIZE = 20_000, 4096
SMALL, SMALL_SIZE = 200, 1024
TRANSFORMED, ALONE = 100_000, 20_000
LARGE, LARGE_SIZE = 4096, MIB
SLOW, SLOW_MS = 2_000, 20
PAIRS = 2
LEDGER = ("jobs", "job_ahead", "job_failures")


def job(b, source, to, action, value, limit=300):
    """Seconds from the request until the job is over."""
    began = time.monotonic()
    answer = request("POST", b.url(f"/v1/buckets/{source}?bck_to=ais%2F%40%23%2F{to}%2F"), json.dumps({"action": action, "value": value}).encode())
    assert answer.status == 200, answer
    seen = {}

    def is_over():
        seen.update(request("GET", b.url("/v1/jobs/" + answer.text)).json)
        return seen["ended_ns"] != "0"
    until(is_over, "the job ends", limit=limit, step=0.01)
    assert seen["state"] == "done" and seen["failed"] == 0, seen
    return time.monotonic() - began, seen["done"]


def folder(b, name, count, size):
    where = os.path.join(b.dir, name)
    for i in range(count):
        os.makedirs(f"{where}/{i % 20:02}", exist_ok=True)
        with open(f"{where}/{i % 20:02}/{i:05}", "wb") as file:
            file.write(os.urandom(size))
    return where


def memory(b):
    return max(proc_status(pid, "VmRSS") for pid in target_pids(b).values())


def row_copy(table):
    """A bucket of small objects is copied."""
    with Bench() as b:
        two_targets(b)
        b.bucket("large")
        source = folder(b, "copied", COPIED, COPY_SIZE)
        stored, _ = cpu_around(target_pids(b), lambda: b.run("etlctl", "put", "-r", source, "large", timeout=600))
        put = sum(stored.values()) / COPIED * 1e6
        idle, took = memory(b), []
        used, _ = cpu_around(target_pids(b), lambda: took.append(job(b, "large", "copy", "copy-bck", {})))
        copy = sum(used.values()) / COPIED * 1e6
        assert took[0][1] == COPIED, took
        table.at_most(f"copy-bck, {COPIED:,} objects of {COPY_SIZE // 1024} KiB, 2 targets, until it is over", took[0][0], 2, "s", note="AIStore 5.0: 14.9 s, not synced")
        table.at_most("CPU of the targets an object, of a durable PUT by etlctl put -r", copy / put, 1.2, "x", note=f"{copy:.0f} us and {put:.0f} us; AIStore 5.0: 170 us, not synced")
        table.at_most("memory above idle, the larger target", max(memory(b) - idle, 0) / MIB, 16, "MiB")


def few_objects(table, b):
    b.bucket("few")
    etl = b.etl("echo")
    b.run("etlctl", "put", "-r", folder(b, "transformed", SMALL, SMALL_SIZE), "few", timeout=600)
    seconds, done = job(b, "few", "result", "etl-bck", {"id": etl})
    assert done == SMALL, done
    table.at_most(f"etl-bck, {SMALL} objects of {SMALL_SIZE // 1024} KiB, until it is over", seconds, 0.3, "s", note="AIStore 5.0: 13.3 s")


def two_targets(b):
    b.add_target(2)
    wait_moved(b, 2)


def cpu_of_puts(b, count, size, bucket):
    """CPU seconds of the targets for durable uploads, each."""
    block = os.urandom(size - 16)
    used, _ = cpu_around(target_pids(b), lambda: put_all(b, count, lambda i: f"{bucket}/o{i:06}", lambda i: b"%016d" % i + block))
    return sum(used.values()) / count


def cpu_of_reads(b, etl, count, bucket, requests, connections):
    """CPU seconds of one target for reads through the ETL, each."""
    own = [path for path in (f"/v1/objects/{bucket}/o{i:06}" for i in range(min(count, 1000))) if request("GET", b.target.url + path, follow=False).status == 200]
    used, result = cpu_around({"target": b.target.pid}, lambda: b.load(own[:400], etl, connections=connections, requests=requests, duration=300).result())
    assert not bad(result), result
    return used["target"] / requests


def transformed(table, b, count, size, bucket, requests, connections):
    """(CPU seconds of the targets an object, the same of a read through the ETL and of an upload, seconds of the job)"""
    b.bucket(bucket)
    put = cpu_of_puts(b, count, size, bucket)
    etl = b.etl("echo" + bucket)
    read = cpu_of_reads(b, etl, count, bucket, requests, connections)
    idle, took = memory(b), []
    used, _ = cpu_around(target_pids(b), lambda: took.append(job(b, bucket, bucket + "-made", "etl-bck", {"id": etl})))
    assert took[0][1] == count, took
    table.at_most(f"{count:,} objects of {size // KIB:,} KiB: memory above idle, the larger target", max(memory(b) - idle, 0) / MIB, 16, "MiB")
    return sum(used.values()) / count, read, put, took[0][0]


def row_job(table):
    """Whole data sets through an echo server in C."""
    with Bench() as b:
        two_targets(b)
        few_objects(table, b)
        cost, read, put, seconds = transformed(table, b, TRANSFORMED, 4 * KIB, "small", ALONE, 16)
        table.at_most(f"{TRANSFORMED:,} objects of 4 KiB: CPU of the targets an object, of hpush and a durable PUT", cost / (read + put), 1.3, "x",
                      note=f"{cost * 1e6:.0f} us; hpush {read * 1e6:.0f} us, PUT {put * 1e6:.0f} us; the job took {seconds:.1f} s")
        beside_a_job(table, b)
    with Bench() as b:
        two_targets(b)
        cost, read, put, seconds = transformed(table, b, LARGE, LARGE_SIZE, "large", 2_000, 8)
        table.at_least(f"{LARGE:,} objects of 1 MiB: bytes a CPU second, of hpush and PUT alone", (read + put) / cost, 0.7, "x",
                       note=f"{1 / cost:.0f} MiB a CPU second; hpush {read * 1e6:.0f} us and PUT {put * 1e6:.0f} us a MiB; the job took {seconds:.1f} s")
    with Bench() as b:
        two_targets(b)
        busy_pods(table, b)


def beside_a_job(table, b):
    """GETs of 4 KiB at one target, at a fixed rate, without and with a job that copies the same bucket."""
    own = [path for path in (f"/v1/objects/small/o{i:06}" for i in range(2000)) if request("GET", b.target.url + path, follow=False).status == 200][:500]
    alone, beside, wrong = [], [], 0
    for pair in range(PAIRS):
        result = b.load(own, connections=16, rate=RATE, duration=WINDOW_MIN).result()
        wrong += bad(result)
        alone.append(result["latency"]["p99_ms"])
        load = b.load(own, connections=16, rate=RATE, duration=WINDOW_MIN)
        copying = threading.Thread(target=job, args=(b, "small", f"copy-{pair}", "copy-bck", {}))
        time.sleep(0.2)
        copying.start()
        result = load.result()
        wrong += bad(result)
        beside.append(result["latency"]["p99_ms"])
        assert copying.is_alive(), "the job ended before the load"
        copying.join()
    table.at_most("GETs that failed beside a job", wrong, 0)
    table.at_most("p99 of GET beside a job / without", statistics.median(beside) / statistics.median(alone), 1.5, "x",
                  note=f"all {' '.join('%.2f' % v for v in beside)} / {' '.join('%.2f' % v for v in alone)} ms")


def busy_pods(table, b):
    """How long each pod has work while a job lasts. The pods answer after a fixed time, as a server does that computes."""
    b.bucket("slow")
    put_all(b, SLOW, lambda i: f"slow/o{i:06}", lambda i: b"%08d" % i * 128)
    etl = b.etl("slow", "--delay", str(SLOW_MS))
    over = threading.Event()
    seen = []

    def watch():
        while not over.wait(0.005):
            seen.append(all(" 0" not in line[-2:] for target in b.targets for line in request("GET", target.url + "/metrics").text.splitlines()
                            if line.startswith("etlnode_transfers_in_flight")))
    watcher = threading.Thread(target=watch)
    watcher.start()
    seconds, _ = job(b, "slow", "slow-made", "etl-bck", {"id": etl})
    over.set()
    watcher.join()
    table.at_least("share of the job's time in which every pod has work", sum(seen) / len(seen) * 100, 95, "%",
                   note=f"{SLOW:,} objects, pods that need {SLOW_MS} ms for each; {seconds:.1f} s, {len(seen)} samples")


def ledger_size(b):
    """Bytes of the ledger's tables of one target."""
    database = sqlite3.connect(f"file:{os.path.join(b.dir, b.target.name)}/node.db?mode=ro", uri=True)
    size = sum(size for name, size in database.execute("select name, sum(pgsize) from dbstat group by name") if name in LEDGER)
    database.close()
    return size


def row_million(table):
    """A million objects of 100 bytes on one target are copied to another bucket."""
    with Bench() as b:
        b.bucket("many")
        fill(b, "many", (f"folder/object-{i:07d}" for i in range(MANY)), b"x" * 100, has_content=lambda name: True)
        start(b)
        assert objects_at(b.target, "many") == MANY
        idle, proxy_idle = b.rss(), proc_status(b.proxy.pid, "VmRSS")
        b.reset_high_water()
        seconds, done = job(b, "many", "copies", "copy-bck", {}, limit=1800)
        assert done == MANY, done
        table.at_most("10^6 objects of 100 B: memory above idle, the target", (b.high_water() - idle) / MIB, 16, "MiB", note=f"the job took {seconds:.0f} s")
        table.at_most("the same, the proxy", (proc_status(b.proxy.pid, "VmHWM") - proxy_idle) / MIB, 16, "MiB")
        table.at_most("size of the ledger", ledger_size(b) / MIB, 1, "MiB")


ROWS = {"job": row_job, "copy": row_copy, "job-million": row_million}
