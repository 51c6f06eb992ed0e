# SPDX-License-Identifier: MIT
"""A row about whole folders: what etlctl needs for 10,000 small files, beside what the targets need."""
import os
import resource
import time

from common import MIB, Bench
from drive import cpu_around
from moving import target_pids, wait_moved

FILES, SIZE = 10_000, 4096


def measured(b, *words):
    """Seconds, CPU of etlctl and of the targets in microseconds a file, and etlctl's memory."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    took = []

    def run():
        began = time.monotonic()
        b.run("etlctl", *words, timeout=600)
        took.append(time.monotonic() - began)
    used, _ = cpu_around(target_pids(b), run)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    own = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return took[0], own / FILES * 1e6, sum(used.values()) / FILES * 1e6, after.ru_maxrss / 1024


def row_folder(table):
    """Whole folders of small files with etlctl: put -r, get -r, and sync with nothing to do."""
    with Bench() as b:
        b.add_target(2)
        wait_moved(b, 2)
        b.bucket("folders")
        folder = os.path.join(b.dir, "in")
        for i in range(FILES):
            os.makedirs(f"{folder}/{i % 20:02}", exist_ok=True)
            with open(f"{folder}/{i % 20:02}/{i:05}", "wb") as file:
                file.write(os.urandom(SIZE))
        what = f"{FILES:,} files of {SIZE // 1024} KiB, 2 targets"
        for words, verb, goal in ((("put", "-r", folder, "folders"), "put -r", 5), (("get", "-r", "folders", os.path.join(b.dir, "out")), "get -r", 5),
                                  (("sync", folder, "ais://folders"), "sync, nothing to do", 2)):
            seconds, own, targets, memory = measured(b, *words)
            table.at_most(f"{verb}, {what}", seconds, goal, "s", note=f"CPU a file: etlctl {own:.0f} us, targets {targets:.0f} us")
        table.at_most("etlctl's memory, the largest of these", memory * 1024 * 1024 / MIB, 64, "MiB")


ROWS = {"folder": row_folder}
