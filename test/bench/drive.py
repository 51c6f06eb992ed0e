# SPDX-License-Identifier: MIT
"""Drives servers with wrk, one thread, one server at a time, and reads what each used of CPU meanwhile.

CPU per request is what counts: it is steady where requests per second are not, because client, server and pod share the machine. A ratio is
made within a round, of two measurements that are neighbours in time; the median over the rounds is judged, the least and the greatest are shown.

On loopback the kernel does a part of the sender's work in the receiver's time: what a window could not take is sent when the receiver has read, and
charged to it. With large bodies, of which wrk reads 8 KiB at a time, the part varies; so wrk's own CPU is told too, and the ratio of the sums.
"""
import dataclasses
import http.client
import json
import math
import os
import shutil
import signal
import statistics
import subprocess
import threading
import time
import typing
import urllib.parse

from common import HERE, KIB, MIB, Answer, Settings, cpu_seconds, cpu_seconds_fine, proc_status, request

# With bodies this large, several would be in progress at the end of a window: paid for but not counted.
WHOLE_SIZE = 16 * MIB


def size_text(size):
    return f"{size // MIB} MiB" if size >= MIB else f"{size // KIB} KiB" if size >= KIB else f"{size} B"


def connections_for(size):
    return 4 if size >= 16 * MIB else 8 if size >= MIB else 32


def wrk_version():
    done = subprocess.run(["wrk", "--version"], capture_output=True, text=True, check=False, timeout=10)
    return " ".join(done.stdout.split()[:2]).removesuffix(" [epoll]")


def wrk(url, seconds, connections=32, script="report.lua", environment=None, whole=False):
    """One run. Returns its result as report.lua writes it. A status above 399 or a socket error ends the row."""
    assert shutil.which("wrk"), "wrk is missing: src/demo/packages.sh bench installs it"
    env = {name: value for name, value in os.environ.items() if not name.startswith("BENCH_")}
    env.update(environment or {})
    limit = math.ceil(seconds)
    if whole:
        env.update({"BENCH_WINDOW": str(seconds), "BENCH_CONNECTIONS": str(connections)})
        limit += 60
    command = ["wrk", "-t1", f"-c{connections}", f"-d{limit}s", "--timeout", "20s", "-s", os.path.join(HERE, script), url]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=env, text=True)
    try:
        if not whole and limit != seconds:
            time.sleep(seconds)
            process.send_signal(signal.SIGINT)  # wrk counts only whole seconds, and reports when it is interrupted
        out, _ = process.communicate(timeout=limit + 60)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    lines = [line for line in out.splitlines() if line.startswith("RESULT ")]
    assert process.returncode == 0 and lines, f"wrk ended with {process.returncode}: {out}"
    result = json.loads(lines[-1].removeprefix("RESULT "))
    assert not any(result["errors"].values()), f"wrk {url}: {result}"
    assert result["requests"] > 0, f"wrk {url}: no request in {seconds:g} s: {out}"
    return result


def exchange(method, url, body_size):
    """One request whose body is sent while the answer is read. Otherwise an echo larger than the socket buffers would block for ever."""
    if not body_size:
        return request(method, url, follow=False)
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    try:
        connection.putrequest(method, parts.path + ("?" + parts.query if parts.query else ""))
        connection.putheader("Content-Length", str(body_size))
        connection.endheaders()
        sender = threading.Thread(target=send_quietly, args=(connection, b"x" * body_size), daemon=True)
        sender.start()
        reply = connection.getresponse()
        answer = Answer(reply.status, reply.headers, reply.read())
        sender.join(60)
        return answer
    finally:
        connection.close()


def send_quietly(connection, body):
    try:
        connection.send(body)
    except OSError:
        pass  # the server answered early and closed: the answer decides


@dataclasses.dataclass
class Subject:
    """A server under one kind of request. The CPU of `pid` counts; `also` are other processes involved, whose CPU per request is reported."""
    name: str
    pid: int
    url: str
    size: int = 0                   # bytes of content per request
    status: int = 200
    method: str = "GET"
    connections: int = 0            # 0: by size
    body_size: int = 0
    script: str = "report.lua"
    environment: dict = dataclasses.field(default_factory=dict)
    check: typing.Callable = None   # replaces the usual check of status and length
    peer: "Subject" = None          # the ratio compares with its CPU
    ratio_max: float = None         # goals; None: no goal
    ns_per_byte_max: float = None
    also: dict = dataclasses.field(default_factory=dict)   # name: pid
    own_lines: bool = False         # `also` get their own lines
    note: str = ""
    samples: list = dataclasses.field(default_factory=list)

    def verify(self):
        """Sends one request with another client first, because wrk counts answers without looking at them."""
        if self.check:
            self.check(self)
            return
        answer = exchange(self.method, self.url, self.body_size)
        length = int(answer.headers.get("Content-Length") or 0) if self.method == "HEAD" else len(answer.body)
        assert answer.status == self.status, f"{self.name}: {self.url}: {answer.status} instead of {self.status}: {answer}"
        assert self.status != 200 or length == self.size, f"{self.name}: {self.url}: {length} bytes instead of {self.size}"
        assert self.status == 200 or answer.headers.get("Location"), f"{self.name}: {self.url}: a redirect to nowhere"

    def run(self, seconds, run="warm"):
        """A sample: wrk's result, CPU of the processes, memory afterwards."""
        environment = {"BENCH_METHOD": self.method, "BENCH_BODY_SIZE": str(self.body_size), "BENCH_RUN": str(run), **self.environment}
        pids = {self.name: self.pid, **self.also}
        before = {name: cpu_seconds(pid) for name, pid in pids.items()}
        began = os.times()
        result = wrk(self.url, seconds, self.connections or connections_for(self.size), self.script, environment, whole=self.size >= WHOLE_SIZE)
        ended = os.times()
        # wrk only notices statuses above 399.
        wanted = self.size if self.method in ("GET", "POST") else 0
        each = result["bytes"] / result["requests"]
        assert each >= wanted, f"{self.name}: {self.url}: {each:.0f} bytes an answer instead of {wanted}"
        cpu = {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()}
        driver = ended.children_user + ended.children_system - began.children_user - began.children_system
        return {
            "requests": result["requests"],
            "seconds": result["seconds"],
            "per_s": result["requests"] / result["seconds"],
            "cpu_us": {name: used / result["requests"] * 1e6 for name, used in cpu.items()},
            "busy": cpu[self.name] / result["seconds"],
            "driver_busy": driver / (ended.elapsed - began.elapsed),
            "driver_us": driver / result["requests"] * 1e6,
            "p50_ms": result["p50_ms"],
            "p99_ms": result["p99_ms"],
            "rss_mib": {name: proc_status(pid, "VmRSS") / MIB for name, pid in pids.items()},
        }


def series(table, what, subjects, rounds=None, warm_up=None):
    """Measures the subjects in turn, and every other round backwards, so that peers are neighbours in time. Adds their lines."""
    for subject in subjects:
        subject.samples = []
        subject.verify()
    for subject in subjects:
        subject.run(warm_up or min(0.5, Settings.window))
    for number in range(rounds or Settings.rounds):
        for subject in subjects if number % 2 == 0 else reversed(subjects):
            subject.samples.append(subject.run(Settings.window, run=number))
    for subject in subjects:
        add_lines(table, what, subject)


def median_of(samples, key, name=None):
    return statistics.median(sample[key] if name is None else sample[key][name] for sample in samples)


def ratios_of(subject, with_driver=False):
    """The subject's CPU per request divided by that of its peer, for each round."""
    def cost(one, sample):
        return sample["cpu_us"][one.name] + (sample["driver_us"] if with_driver else 0)
    return [cost(subject, own) / max(cost(subject.peer, other), 1e-9) for own, other in zip(subject.samples, subject.peer.samples)]


def add_lines(table, what, subject):
    samples = subject.samples
    notes = [subject.note] if subject.note else []
    names = [subject.name] + (list(subject.also) if subject.own_lines else [])
    if not subject.own_lines:
        notes += [f"{name} {median_of(samples, 'cpu_us', name):,.1f} us" for name in subject.also]
    for name in names:
        cpu = median_of(samples, "cpu_us", name)
        figures = {
            "per_s": median_of(samples, "per_s"),
            "cpu_us": cpu,
            "ns_per_byte": cpu * 1000 / subject.size if subject.size else None,
            "driver_us": median_of(samples, "driver_us"),
            "p50_ms": median_of(samples, "p50_ms"),
            "p99_ms": median_of(samples, "p99_ms"),
            "rss_mib": max(sample["rss_mib"][name] for sample in samples),
            "ratio": None,
            "connections": subject.connections or connections_for(subject.size),
            "samples": samples if name == subject.name else None,
        }
        goal = ok = None
        if name == subject.name and subject.peer:
            ratios = ratios_of(subject)
            figures.update(ratio=statistics.median(ratios), ratio_min=min(ratios), ratio_max=max(ratios), peer=subject.peer.name,
                           ratio_both=statistics.median(ratios_of(subject, with_driver=True)))
            if subject.ratio_max is not None:
                goal, ok = f"<= {subject.ratio_max:g} x", figures["ratio"] <= subject.ratio_max
        if name == subject.name and subject.ns_per_byte_max is not None:
            goal, ok = f"<= {subject.ns_per_byte_max:g} ns/byte", figures["ns_per_byte"] <= subject.ns_per_byte_max
        table.measured(what, name, figures, goal, ok, "; ".join(notes))


def cpu_around(pids, action):
    """Fine-grained CPU seconds of processes while action() ran: {name: seconds}, and the result of action()."""
    before = {name: cpu_seconds_fine(pid) for name, pid in pids.items()}
    value = action()
    return {name: cpu_seconds_fine(pid) - before[name] for name, pid in pids.items()}, value
