# SPDX-License-Identifier: MIT
"""Shared by all rows: one proxy, one target and their pods, the load generator, process figures, and the table that is printed and stored."""
import array
import json
import os
import shutil
import signal
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "e2e"))
from harness import BUILD, ROOT, Answer, Cluster, pod_spec, request, until  # noqa: E402,F401: the other files take them from here

HERE = os.path.dirname(os.path.abspath(__file__))
LOAD = os.path.join(BUILD, "test/bench/load")
ECHO = os.path.join(BUILD, "test/bench/echo")
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
IMAGE = "bench/echo:1"

# src/base/limits.h
TRANSFERS_MAX, POD_CONNECTIONS_MAX, POD_QUEUE_MAX, CONNECTIONS_MAX = 1024, 64, 256, 16384
HEAD_TIMEOUT_S, IDLE_TIMEOUT_S, BODY_STALL_TIMEOUT_S = 10, 75, 30


class Settings:
    """Settings from the command line: the length of one measurement, of promises and of speeds, and the number of measurements of each speed."""
    seconds = 4.0
    window = 2.0
    rounds = 5


# --- processes

def proc_status(pid, name):
    """A line of /proc/PID/status in bytes."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith(name + ":"):
                return int(line.split()[1]) * KIB
    raise KeyError(name)


def cpu_seconds(pid):
    """CPU time of all threads, in clock ticks (10 ms): for windows of seconds."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_seconds_fine(pid):
    """The same in nanoseconds, from the scheduler, for work that takes only a few ticks. Threads that have ended do not count; nodes keep theirs."""
    total = 0
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as file:
                total += int(file.read().split()[0])
    except OSError:
        return cpu_seconds(pid)  # this kernel does not say
    return total / 1e9


def free_port():
    """A port that nothing listens on now. The caller must bind it soon."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def end_process(process, limit=10):
    """Ends a process that was started here: first gently, then by force."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


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
    """Requests that failed: other statuses, errors, wrong bytes, and requests that were long overdue but never answered."""
    return sum(n for status, n in result["statuses"].items() if not status.startswith("2")) + sum(result["errors"].values()) + result["mismatches"]


# --- the node

class Bench(Cluster):
    """One proxy and one target, with pods from the echo image and objects whose contents the load generator can check."""

    def __init__(self, **rest):
        super().__init__(targets=1, log_level="warn", **rest)
        self.peers = []  # ended before the nodes, because their files are in self.dir

    def start(self):
        self.allow("hostNetwork: true\n")
        super().start()
        folder = os.path.join(self.dir, "echo-image")
        os.mkdir(folder)
        shutil.copy(ECHO, os.path.join(folder, "echo"))
        self.run("kubectl-local", "image", IMAGE, folder, "/echo")
        self.bucket("bench")
        self.objects = {}
        return self

    def stop(self, expect_clean=True):
        try:
            for peer in reversed(self.peers):
                peer.end()
        finally:
            super().stop(expect_clean)

    def peer(self, peer):
        """Ends it with the cluster."""
        self.peers.append(peer)
        return peer.start()

    @property
    def target(self):
        return self.targets[0]

    @property
    def address(self):
        return self.target.url.split("//")[1]

    def etl(self, name, *options, mode="hpush://", wait="30s", obj_timeout=None):
        notes = {"obj_timeout": obj_timeout} if obj_timeout else None
        return self.init(pod_spec(name, IMAGE, mode=mode, command=["/echo", *options], wait=wait, annotations=notes))

    def etl_on_host(self, name, *options, mode="hpush://"):
        """An ETL whose pod is reached over loopback, like the upstream of a peer. Also returns its port."""
        port = free_port()
        return self.init(pod_spec(name, IMAGE, mode=mode, port=port, command=["/echo", "--port", str(port), *options], extra="  hostNetwork: true\n")), port

    def pod_process(self, etl):
        """The echo server of an ETL: its environment contains the address made for it."""
        wanted = f"/v1/etl/_object/{etl}/".encode()
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
                    name = file.read().strip()
                with open(f"/proc/{pid}/environ", "rb") as file:
                    environment = file.read()
            except OSError:
                continue
            if name == "echo" and wanted in environment:
                return int(pid)
        raise AssertionError(f"no echo server of {etl}")

    def objects_of(self, size, count=16, bucket="bench"):
        """Paths of `count` objects of that size. Object i has seed i."""
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
        return max(self.measure(paths, etl, connections=n, duration=Settings.seconds, check=True, **options)["ok_per_s"] for n in connections)

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


# --- results

def shown(value):
    """Three digits; integers above a hundred."""
    return f"{value:.3g}" if isinstance(value, float) and abs(value) < 100 else f"{value:,.0f}" if isinstance(value, (int, float)) else str(value)


def verdict_of(ok):
    return "" if ok is None else "ok" if ok else "MISSED"


class Table:
    """The numbers of one row, printed as they arrive and kept for JSON and Markdown. A line is either a value or a server that was measured under load."""

    # key, title, width in text
    MEASURED = (("what", "what", -30), ("server", "server", -26), ("per_s", "requests/s", 10), ("cpu_us", "CPU µs/request", 14), ("ns_per_byte", "ns/byte", 7),
                ("driver_us", "wrk's µs", 8), ("p50_ms", "p50 ms", 7), ("p99_ms", "p99 ms", 7), ("rss_mib", "resident MiB", 12),
                ("ratio", "CPU / peer (min..max)", 21), ("ratio_both", "with wrk's", 10), ("goal", "goal", -14), ("verdict", "verdict", -7),
                ("note", "note", -1))
    VALUES = (("what", "what", 0), ("value", "value", 0), ("goal", "goal", 0), ("verdict", "verdict", 0), ("note", "note", 0))

    def __init__(self, row):
        self.row, self.lines = row, []
        self.headed = False

    def add(self, what, value, unit="", goal=None, ok=None, note=""):
        """ok: None if the number is only informative."""
        self.lines.append({"row": self.row, "what": what, "value": value, "unit": unit, "goal": goal, "ok": ok, "note": note})
        print(f"{self.row:<11} {what:<64} {shown(value):>12} {unit:<8} {('goal ' + goal) if goal else '':<18} {verdict_of(ok):<7} {note}".rstrip(), flush=True)
        self.headed = False

    def at_most(self, what, value, limit, unit="", note=""):
        self.add(what, value, unit, f"<= {limit:g}", value <= limit, note)

    def at_least(self, what, value, limit, unit="", note=""):
        self.add(what, value, unit, f">= {limit:g}", value >= limit, note)

    def measured(self, what, server, figures, goal=None, ok=None, note=""):
        """figures: those of MEASURED, ratio_min and ratio_max, and anything else to store; None is not shown."""
        line = {"row": self.row, "what": what, "server": server, **figures, "goal": goal, "ok": ok, "note": note}
        self.lines.append(line)
        if not self.headed:
            print(f"\n{'':<11} " + " ".join(self.cell(title, width) for _, title, width in self.MEASURED).rstrip())
            self.headed = True
        cells = self.cells(line)
        print(f"{self.row:<11} " + " ".join(self.cell(cells.get(key, ""), width) for key, _, width in self.MEASURED).rstrip(), flush=True)

    @staticmethod
    def cell(text, width):
        return f"{text:<{-width}}" if width < 0 else f"{text:>{width}}"

    @staticmethod
    def cells(line):
        """A line as texts by column."""
        cells = {key: shown(value) if isinstance(value, (int, float)) else value or "" for key, value in line.items() if key not in ("ok", "samples")}
        cells["verdict"] = verdict_of(line["ok"])
        if "value" in line:
            cells["value"] = (shown(line["value"]) + " " + line["unit"]).strip()
        elif line.get("ratio") is not None:
            cells["ratio"] = f"{line['ratio']:.2f} ({line['ratio_min']:.2f}..{line['ratio_max']:.2f})"
            cells["ratio_both"] = f"{line['ratio_both']:.2f}"
        return cells

    def markdown(self):
        out = []
        for columns, mark in ((self.MEASURED, "server"), (self.VALUES, "value")):
            lines = [line for line in self.lines if mark in line]
            kept = [(key, title) for key, title, _ in columns if any(self.cells(line).get(key) for line in lines)]
            if not kept:
                continue
            out.append("| " + " | ".join(title for _, title in kept) + " |")
            out.append("|" + "---|" * len(kept))
            for line in lines:
                out.append("| " + " | ".join(self.cells(line).get(key, "").replace("|", "\\|") for key, _ in kept) + " |")
            out.append("")
        return "\n".join(out)

    def missed(self):
        return sum(1 for line in self.lines if line["ok"] is False)

    def unmeasured(self):
        """Lines whose goal could not be judged, because the machine was too noisy."""
        return sum(1 for line in self.lines if line["goal"] and line["ok"] is None)
