# SPDX-License-Identifier: MIT
"""Instructions of a request, counted by valgrind: what `make bench BASE=COMMIT` compares where a machine is too noisy for CPU time.

The count is the node's own code in user space, without the kernel's. It is the same on a busy machine and on a quiet one, to a fraction of a percent. System
calls are counted beside it: together they say whether a change made a request dearer.
"""
import glob
import http.client
import os
import re
import signal
import stat
import statistics
import subprocess
import time
import urllib.parse

from common import KIB, MIB
from drive import size_text
from harness import until
from speed import Speed, uploads

DEARER_MAX = 1.03
SIZES = ((KIB, 200), (64 * KIB, 100), (MIB, 40), (16 * MIB, 8))  # bytes, requests that are counted
# Each count is the median of so many. How a body falls into pieces depends on when they come, and housekeeping or a checkpoint falls into some rounds.
ROUNDS = {"instructions": 3, "system calls": 5}
WARM = 20  # more than pod_watch_count of src/base/limits.h
WATCH_S = 1.5  # longer than idle_ms of http_client_options
WRAPPER = """#!/bin/sh
exec valgrind --tool=callgrind --callgrind-out-file={dir}/counts.%p --quiet {program} "$@"
"""


class Counted(Speed):
    """A cluster whose nodes run under callgrind; kubectl-local and the pods run as they are."""

    def start(self):
        wrapper = os.path.join(self.dir, "etlnode-counted")
        with open(wrapper, "w", encoding="utf-8") as file:
            file.write(WRAPPER.format(dir=self.dir, program=self.etlnode))
        os.chmod(wrapper, stat.S_IRWXU)
        self.etlnode = wrapper
        return super().start()

    def dump(self, pid):
        """Instructions since the last dump."""
        known = set(glob.glob(os.path.join(self.dir, f"counts.{pid}*")))
        done = subprocess.run(["callgrind_control", "--dump", str(pid)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"callgrind_control: {done.stdout}"
        fresh = []

        def is_there():
            fresh[:] = set(glob.glob(os.path.join(self.dir, f"counts.{pid}*"))) - known
            return fresh and "\ntotals:" in read(fresh[0])

        until(is_there, "the dump of instruction counts", limit=60)
        return int(re.search(r"^totals: (\d+)", read(fresh[0]), re.M).group(1))


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


class Client:
    """Requests one after the other over one connection, so that the count of system calls does not depend on how they arrive."""

    def __init__(self, url):
        parts = urllib.parse.urlsplit(url)
        self.connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=300)

    def ask(self, method, path, body, status):
        self.connection.request(method, path, body=body)
        answer = self.connection.getresponse()
        answer.read()
        assert answer.status == status, f"{method} {path}: {answer.status}"


def instructions(cluster, pid, ask, count):
    for _ in range(WARM):
        ask()
    cluster.dump(pid)
    for _ in range(count):
        ask()
    return cluster.dump(pid) / count


def system_calls(pid, ask, count, folder):
    """System calls of all threads for one request, counted by strace; None if the process cannot be traced."""
    for _ in range(WARM):
        ask()
    out = os.path.join(folder, "system-calls")
    tracer = subprocess.Popen(["strace", "-f", "-c", "-o", out, "-p", str(pid)], stderr=subprocess.PIPE, text=True)
    try:
        if "attached" not in tracer.stderr.readline():
            return None
        for _ in range(count):
            ask()
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(60)
        tracer.stderr.close()
    total = re.search(r"^100.00\s+\S+\s+(?:\d+\s+)?(\d+)\s+(?:\d+\s+)?total", read(out), re.M)
    return int(total.group(1)) / count if total else None


def transformed(cluster, etl, size):
    """A function that reads through the ETL over connections that its pod has proven.

    A node reuses a pod's connections after enough of them have stayed silent behind an answer. Until then the time decides how many requests connect.
    """
    client, path = Client(cluster.target.url), f"{cluster.path(size)}?uuid={etl}"

    def ask():
        client.ask("GET", path, None, 200)

    for _ in range(WARM):
        ask()
    time.sleep(WATCH_S)
    return ask


def cases(cluster):
    """(what, pid, function that makes one request, how many)"""
    for size, count in SIZES:
        client, path = Client(cluster.target.url), cluster.path(size)
        yield f"GET {size_text(size)}", cluster.target.pid, lambda c=client, p=path: c.ask("GET", p, None, 200), count
    client, path = Client(cluster.proxy.url), cluster.path(KIB)
    yield "redirect", cluster.proxy.pid, lambda: client.ask("GET", path, None, 301), SIZES[0][1]
    for size, count in SIZES:
        subject, body = uploads(cluster, size), b"x" * size
        put, put_path = Client(cluster.target.url), subject.environment["BENCH_PREFIX"] + "counted" + subject.environment["BENCH_QUERY"]
        yield f"PUT {size_text(size)}", cluster.target.pid, lambda c=put, p=put_path, b=body: c.ask("PUT", p, b, 200), count
    for mode in ("hpush", "hrev"):
        etl = cluster.etl_on_host(mode, mode=mode + "://")[0]
        for size, count in SIZES:
            yield f"{mode} {size_text(size)}", cluster.target.pid, transformed(cluster, etl, size), count


def measure(kind, unit):
    """{what: count of a request} of the programs that clusters are made of now."""
    found = {}
    with kind() as cluster:
        for what, pid, ask, count in cases(cluster):
            if unit == "instructions":
                counts = [instructions(cluster, pid, ask, count) for _ in range(ROUNDS[unit])]
            else:
                counts = [system_calls(pid, ask, count, cluster.dir) for _ in range(ROUNDS[unit])]
            found[what] = None if None in counts else statistics.median(counts)
    return found


def compare(table, base_programs):
    """`base_programs()`: a context manager; clusters that are made under it take the base's programs."""
    for kind, unit in ((Counted, "instructions"), (Speed, "system calls")):
        with base_programs():
            base = measure(kind, unit)
        now = measure(kind, unit)
        for what, count in now.items():
            if count is None or base[what] is None:
                table.add(f"{what}: {unit} of a request, now / base", 0.0, "x", note="not measurable here: a process cannot be traced")
                continue
            table.at_most(f"{what}: {unit} of a request, now / base", count / base[what], DEARER_MAX, "x", f"{count:,.0f} beside {base[what]:,.0f}")
