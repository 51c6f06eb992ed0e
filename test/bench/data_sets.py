# SPDX-License-Identifier: MIT
"""A row about jobs over data sets: from the request until the job is over, and what the targets need for an object."""
import json
import os
import time

from common import MIB, Bench, proc_status, request, until
from drive import cpu_around
from moving import target_pids, wait_moved

COPIED, COPY_SIZE = 20_000, 4096
SMALL, SMALL_SIZE = 200, 1024


def job(b, source, to, action, value):
    """Seconds from the request until the job is over."""
    began = time.monotonic()
    answer = request("POST", b.url(f"/v1/buckets/{source}?bck_to=ais%2F%40%23%2F{to}%2F"), json.dumps({"action": action, "value": value}).encode())
    assert answer.status == 200, answer
    seen = {}

    def is_over():
        seen.update(request("GET", b.url("/v1/jobs/" + answer.text)).json)
        return seen["ended_ns"] != "0"
    until(is_over, "the job ends", limit=300, step=0.01)
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
    return max(proc_status(pid, "VmRSS") for pid in target_pids(b))


def row_data_sets(table):
    with Bench() as b:
        b.add_target(2)
        wait_moved(b, 2)
        b.bucket("large")
        b.bucket("small")
        source = folder(b, "copied", COPIED, COPY_SIZE)
        stored, _ = cpu_around(target_pids(b), lambda: b.run("etlctl", "put", "-r", source, "large", timeout=600))
        put = sum(stored.values()) / COPIED * 1e6
        idle, took = memory(b), []
        used, _ = cpu_around(target_pids(b), lambda: took.append(job(b, "large", "copy", "copy-bck", {})))
        copy = sum(used.values()) / COPIED * 1e6
        assert took[0][1] == COPIED, took
        table.at_most(f"copy-bck, {COPIED:,} objects of {COPY_SIZE // 1024} KiB, 2 targets, until it is over", took[0][0], 2, "s", note="AIStore 5.0: 14.9 s, not synced")
        table.at_most("CPU of the targets an object, of a durable PUT", copy / put, 1.2, "x", note=f"{copy:.0f} us and {put:.0f} us; AIStore 5.0: 170 us, not synced")
        table.at_most("memory above idle, the larger target", max(memory(b) - idle, 0) / MIB, 16, "MiB")
        etl = b.etl("echo")
        b.run("etlctl", "put", "-r", folder(b, "transformed", SMALL, SMALL_SIZE), "small", timeout=600)
        seconds, done = job(b, "small", "result", "etl-bck", {"id": etl})
        assert done == SMALL, done
        table.at_most(f"etl-bck, {SMALL} objects of {SMALL_SIZE // 1024} KiB, until it is over", seconds, 0.3, "s", note="AIStore 5.0: 13.3 s")


ROWS = {"job copy folder": row_data_sets}
