#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The hostile-pod matrix: misbehaviour of pods x hpush, hrev, hpull, with real processes; one row of the table per behaviour.

Every cell checks the client's answer (PROTOCOL.md, "What a transformed read answers"), a line in the target's log, and a counter in its
/metrics. The next request of the same ETL must succeed, including the pod's own reads from the target. So must a plain read of the same
target. Two healthy ETLs on that target are read all the time, without errors or delays. With hpull the target's part ends with the 307.
What the client makes of the pod's answer is checked as well, so that the table shows it.
"""
import collections
import concurrent.futures
import http.client
import os
import re
import signal
import statistics
import threading
import time
import urllib.parse

import harness
import hostile_pod
import transformers
from harness import pod_spec, request, until

CUT = "cut"              # the answer began, and the connection broke before its end
BROKEN = "no HTTP"       # the client could not parse the answer
REFUSED = "refused"
TIMED_OUT = "timed out"
OBJ_TIMEOUT_S = 60       # a pod that answers never reaches it, however busy the machine is
# For rows in which no answer comes, or none that ends. It applies to the target; hpull's clients, which rely on themselves, get twice that.
IMPATIENT_S = 2
MODES = ("hpush", "hrev", "hpull")

# behaviour: what goes wrong. name: the object that requests it. answer: what hpush and hrev give the client. text: part of that answer.
# reason: part of the log line of hpush and hrev. outcome: the counter that changes. pull: what a client of hpull sees. also: another
# counter, in all modes. own: the pod dies with it, so the row gets its own pod. how: a function that plays the cell, if reading the object
# is not enough.
Row = collections.namedtuple("Row", "behaviour name answer text reason outcome pull also own how", defaults=(None, False, None))
world = {}


def rows():
    unsolicited = "etlnode_pod_unsolicited_total"
    restarts = "etlnode_etl_restarts_total"
    return [
        Row("refuse", "refuse", 503, "refuses connections", "refuses connections", "unavailable", REFUSED, own=True, how=play_refusal),
        Row("accept and hang", "hang", 504, "timeout", "timeout", "timeout", TIMED_OUT),
        Row("crash before the first byte", "crash-before", 502, "ETL error", "closed the connection without an answer|reset the connection", "pod_error", BROKEN, also=restarts, own=True),
        Row("reset before the first byte", "reset-before", 502, "ETL error", "the pod reset the connection", "pod_error", BROKEN),
        Row("close before the first byte", "close-before", 502, "the pod closed the connection without an answer", "without an answer", "pod_error", BROKEN),
        Row("crash after the first byte", "crash-after", CUT, None, "shorter|reset the connection", "cut", CUT, also=restarts, own=True),
        Row("short body", "short", CUT, None, "shorter than its Content-Length", "cut", CUT),
        Row("long body", "long", 502, "longer than its Content-Length", "longer than its Content-Length", "pod_error", 200),
        Row("wrong Content-Length: a word", "length-word", 502, "ETL error", "Content-Length", "pod_error", 200),
        Row("wrong Content-Length: two of them", "length-twice", 502, "ETL error", "Content-Length", "pod_error", 200),
        Row("garbage", "garbage", 502, "ETL error", "the pod.s answer is malformed: NUL byte", "pod_error", BROKEN),
        Row("flood of 1xx", "flood", 502, "ETL error", "informational", "pod_error", 102),
        Row("204", "no-content", 502, "status 204", "status 204", "pod_error", 204),
        Row("redirect", "redirect", 502, r"redirect (302)", r"redirect \(302\)", "pod_error", 302),
        Row("header bomb", "header-bomb", 502, "ETL error", "head", "pod_error", BROKEN),
        Row("endless body", "endless", 200, None, "the client has gone", "cut", 200, how=play_endless),
        Row("the answer of a previous request, at once", "twice", 200, None, "bytes that nobody asked for", "ok", 200, also=unsolicited, own=True, how=play_twice),
        Row("a head that drips", "drip-head", 504, "did not complete the head of its answer", "did not complete the head of its answer", "timeout", 200),
        Row("a chunk size that drips", "drip-size", CUT, None, "the pod.s answer made no progress for obj_timeout", "cut", 200),
        Row("the first chunk size that drips", "drip-first", 504, "timeout", "timeout", "timeout", 200),
        Row("an answer without a length whose connection stays open", "open-ended", 504, "neither Content-Length nor chunks", "neither Content-Length nor chunks", "timeout", TIMED_OUT),
        Row("closed inside the head", "head-cut", 502, "inside its answer's head", "inside its answer's head", "pod_error", 200),
        Row("white space behind a chunk's size", "padded", 200, None, "", "ok", 200, how=play_accepted),
        Row("a head whose lines end with LF alone", "bare-lf", 200, None, "", "ok", 200, how=play_accepted),
        Row("the answer of a previous request, later", "twice-late", 200, None, "bytes that nobody asked for", "ok", 200, also=unsolicited, own=True, how=play_late),
        Row("killed for memory", "slow", CUT, None, "shorter|reset the connection", "cut", CUT, also=restarts, own=True, how=play_killed),
        Row("never ready", None, None, None, None, None, None, how=play_never_ready),
        Row("ready-flap", None, None, None, None, None, None, how=play_flap),
        Row("slow start", None, None, None, None, None, None, how=play_slow_start),
    ]


# --- reading

def cluster():
    return world["cluster"]


def target():
    return cluster().targets[0]


def object_url(name, etl=None):
    return f"{target().url}/v1/objects/hostile/{urllib.parse.quote(name)}" + (f"?uuid={etl}" if etl else "")


def once(url, timeout, take=None):
    """One GET by a careful client: (status or how it broke, body, headers). take: read only this many bytes, then hang up."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        connection.request("GET", parts.path + ("?" + parts.query if parts.query else ""))
        try:
            answer = connection.getresponse()
        except TimeoutError:
            return TIMED_OUT, b"", {}
        except (http.client.HTTPException, OSError):
            return BROKEN, b"", {}
        try:
            return answer.status, answer.read() if take is None else answer.read(take), answer.headers
        except TimeoutError:
            return TIMED_OUT, b"", {}
        except (http.client.HTTPException, OSError):
            return CUT, b"", answer.headers
    except ConnectionRefusedError:
        return REFUSED, b"", {}
    except TimeoutError:
        return TIMED_OUT, b"", {}
    finally:
        connection.close()


def read(mode, etl, name, take=None, patience=OBJ_TIMEOUT_S):
    """A transformed read at the target; with hpull, the 307 is checked and followed."""
    if mode != "hpull":
        return once(object_url(name, etl), 2 * OBJ_TIMEOUT_S, take)
    status, _, headers = once(object_url(name, etl), OBJ_TIMEOUT_S)
    assert status == 307, f"hpull: {status} instead of 307"
    return once(headers["Location"], patience, take)


def is_fine(mode, etl, name):
    status, body, _ = read(mode, etl, name)
    return status == 200 and body == world["content"][name]


def assert_fine(mode, etl):
    """The next requests: of this ETL, with two different objects, and of the target itself."""
    for name in ("ok-1", "ok-2"):
        status, body, _ = read(mode, etl, name)
        assert status == 200 and body == world["content"][name], f"the next request ({name}): {status} {body[:100]}"
    status, body, _ = once(object_url("ok-1"), 30)
    assert status == 200 and body == world["content"]["ok-1"], status


def await_fine(mode, etl):
    until(lambda: is_fine(mode, etl, "ok-1"), "the ETL serves again", 40)
    assert_fine(mode, etl)


# --- the target's log and counters

def metric(name, **labels):
    total = 0.0
    for line in request("GET", target().url + "/metrics").text.splitlines():
        if re.match(re.escape(name) + r"[{ ]", line) and all(f'{key}="{value}"' in line for key, value in labels.items()):
            total += float(line.rpartition(" ")[2])
    return total


class Log:
    def __init__(self):
        self.path = os.path.join(cluster().log_dir, target().name + ".log")
        self.at = os.path.getsize(self.path)

    def await_line(self, *patterns):
        """A later line that matches all of them."""
        def find():
            with open(self.path, encoding="utf-8", errors="replace") as file:
                file.seek(self.at)
                return next((line for line in file if all(re.search(p, line) for p in patterns)), None)
        return until(find, f"a line in the log with {patterns}", 20)


# --- the neighbours

class Neighbours(threading.Thread):
    """Alternately reads two healthy ETLs of the same target until stopped."""

    def __init__(self):
        super().__init__(daemon=True)
        self.ended = threading.Event()
        self.took, self.problems = [], []

    def run(self):
        turn = 0
        while not self.ended.is_set():
            mode = ("hpush", "hrev")[turn % 2]
            turn += 1
            began = time.monotonic()
            try:
                status, body, _ = once(object_url("ok-1", world["healthy"][mode]), 2 * OBJ_TIMEOUT_S)
                if status != 200 or body != world["content"]["ok-1"]:
                    self.problems.append(f"{mode}: {status} {body[:100]}")
            except OSError as error:
                self.problems.append(f"{mode}: {error}")
            self.took.append(time.monotonic() - began)
            self.ended.wait(0.02)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *what):
        self.ended.set()
        self.join(4 * OBJ_TIMEOUT_S)

    def assert_untouched(self):
        assert not self.is_alive(), "a read of a healthy ETL does not end"
        assert not self.problems, self.problems[:5]
        assert len(self.took) >= 4, "too few reads of the healthy ETLs to judge"
        # Compare the order of magnitude only, because the machine has other work. Reads that wait for a hostile pod take at least
        # IMPATIENT_S.
        assert statistics.median(self.took) < IMPATIENT_S / 2, f"median {statistics.median(self.took):.3f} s"


# --- ETLs

def start(mode, name, how="now", wait="60s", probe="", obj_timeout_s=OBJ_TIMEOUT_S):
    spec = pod_spec(name, "test/hostile:1", mode=mode + "://", wait=wait, command=["/srv.py", "80", how], annotations={"obj_timeout": f"{obj_timeout_s}s"})
    return cluster().init(spec + probe, check=False)


def start_well(mode, name, **rest):
    answer = start(mode, name, **rest)
    assert answer.status == 200, answer
    return answer.text


READY_PROBE = """      readinessProbe:
        httpGet: {path: /ready, port: 80}
        periodSeconds: 1
        failureThreshold: 1
"""


def pod_of(etl):
    return next(p["metadata"]["name"] for p in cluster().pods() if etl in str(p["metadata"]))


def resident_mib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1)) / 1024


# --- one cell

def assert_answer(row, mode, got):
    status, body, headers = got
    expected = row.pull if mode == "hpull" else row.answer
    if expected == CUT and status == BROKEN and mode != "hpull":
        status = CUT  # cut before any byte of a small answer had been sent
    assert status == expected, f"expected {expected}, got {status} {body[:200]}"
    if mode == "hpull" or not isinstance(expected, int) or expected < 400:
        return
    assert row.text in body.decode(), body[:300]
    if expected == 503:
        assert headers["Retry-After"], "503 without Retry-After"


def outcome_of(row, mode):
    return "redirected" if mode == "hpull" else row.outcome


def await_log(log, row, mode, etl):
    if mode == "hpull":
        log.await_line("outcome=redirected", f"etl={etl} ")
    elif row.outcome != "ok":
        log.await_line(f"outcome={row.outcome} ", f"etl={etl} ", row.reason)
    elif row.reason:
        log.await_line(row.reason)


def play_requests(row, mode, etl):
    """Several at once, unless the pod dies with it."""
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        patience = 2 * IMPATIENT_S if row.name in ("hang", "open-ended") else OBJ_TIMEOUT_S
        for job in [pool.submit(read, mode, etl, row.name, patience=patience) for _ in range(1 if row.own else 4)]:
            assert_answer(row, mode, job.result())


def play_refusal(row, mode, etl):
    """The pod closes its listener, and opens it again after a while."""
    status, body, _ = read(mode, etl, row.name)
    assert status == 200 and body == b"bye", (status, body)
    time.sleep(0.6)
    began = time.monotonic()
    got = read(mode, etl, "ok-1")
    if mode != "hpull" and os.geteuid() != 0 and got[0] == 502:
        return  # an ordinary user's pods are behind a relay, which accepts first and notices the refusal later
    assert_answer(row, mode, got)
    if mode != "hpull":
        assert 3 < time.monotonic() - began < OBJ_TIMEOUT_S, "a bounded wait"


def play_endless(row, mode, etl):
    before = resident_mib(target().pid)
    status, body, _ = read(mode, etl, row.name, take=64 << 20)
    assert status == 200 and body == b"e" * (64 << 20), (status, len(body))
    grown = resident_mib(target().pid) - before
    assert grown < 32, f"64 MiB passed through, the target grew by {grown:.0f} MiB"


def play_twice(row, mode, etl):
    """Each request gets its own answer, and none gets the data after it."""
    for _ in range(20):
        status, body, _ = read(mode, etl, row.name)
        assert status == 200 and body == b"new", (status, body)
        assert_fine(mode, etl)


def play_accepted(row, mode, etl):
    status, body, _ = read(mode, etl, row.name)
    assert status == 200 and body == b"abc", (status, body)


def play_late(row, mode, etl):
    """The surplus arrives 50 ms after a complete answer, on a kept connection. No later request may get it, whenever it is sent."""
    for pause in (0.1, 0.2, 0.0):
        assert_answer(row, mode, read(mode, etl, row.name))
        if pause == 0.0:
            break
        time.sleep(pause)
        assert_fine(mode, etl)
    # After the first surplus the pod's connections are not reused, so an immediate request is safe as well.
    for _ in range(20):
        status, body, _ = read(mode, etl, row.name)
        assert status == 200 and body == b"new", (status, body)
        assert_fine(mode, etl)


def play_killed(row, mode, etl):
    pid = harness.container_pid(pod_of(etl))
    assert pid, f"no process of {pod_of(etl)}"
    url = object_url(row.name, etl)
    if mode == "hpull":
        url = once(url, OBJ_TIMEOUT_S)[2]["Location"]
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=2 * OBJ_TIMEOUT_S)
    try:
        connection.request("GET", parts.path + ("?" + parts.query if parts.query else ""))
        answer = connection.getresponse()
        assert answer.status == 200 and answer.read(1), "the answer has begun"
        os.kill(pid, signal.SIGKILL)
        try:
            answer.read()
        except (http.client.HTTPException, OSError):
            return
        raise AssertionError("an answer that was cut looked whole")
    finally:
        connection.close()


def cell(row, mode):
    def run():
        if row.name is None:
            with Neighbours() as neighbours:
                row.how(mode)
            neighbours.assert_untouched()
            return
        etl = start_well(mode, f"{row.name}-{mode}") if row.own else world["impatient" if row.name in ("hang", "drip-head", "drip-size", "drip-first", "open-ended") else "hostile"][mode]
        if row.own:
            assert_fine(mode, etl)
            time.sleep(1.2)  # kept connections have expired, so no request is retried
        log = Log()
        outcomes = metric("etlnode_etl_requests_total", etl=etl, outcome=outcome_of(row, mode))
        asked = 0 if row.also is None else metric(row.also)
        with Neighbours() as neighbours:
            (row.how or play_requests)(row, mode, etl)
            await_log(log, row, mode, etl)
            if row.also == "etlnode_etl_restarts_total":
                log.await_line(f"etl={etl} ", "the container ended and was restarted", "exit_code=137" if row.name == "slow" else "exit_code=3")
            if not (row.also == "etlnode_pod_unsolicited_total" and mode == "hpull"):  # the target is not on that path
                until(lambda: row.also is None or metric(row.also) > asked, f"{row.also} has moved")
            until(lambda: metric("etlnode_etl_requests_total", etl=etl, outcome=outcome_of(row, mode)) > outcomes, "the outcome was counted")
            if row.own:
                await_fine(mode, etl)
            else:
                assert_fine(mode, etl)
            if len(neighbours.took) < 4:
                time.sleep(0.3)
        neighbours.assert_untouched()
        if row.own:
            cluster().stop_etl(etl)
    return run


def play_never_ready(mode):
    log, failed = Log(), metric("etlnode_etl_starts_total", result="failed")
    answer = start(mode, f"neverready-{mode}", how="unready", wait="3s", probe=READY_PROBE)
    assert answer.status == 400 and "timeout" in answer.text and "wait_timeout" in answer.text, answer
    log.await_line("state=deleting")  # the start is answered before its pod is removed
    assert metric("etlnode_etl_starts_total", result="failed") == failed + 1
    until(lambda: not [p for p in cluster().pods() if f"neverready-{mode}" in p["metadata"]["name"]], "its pod is removed")
    assert once(object_url("ok-1", f"neverready-{mode}"), 30)[0] == 404


def play_flap(mode):
    etl = start_well(mode, f"flap-{mode}", how="flap", probe=READY_PROBE)
    log, changes = Log(), metric("etlnode_etl_readiness_changes_total", etl=etl)
    began = time.monotonic()
    while metric("etlnode_etl_readiness_changes_total", etl=etl) < changes + 3:
        assert_fine(mode, etl)
        assert time.monotonic() - began < 120, "the probe's verdict does not change"
        time.sleep(0.05)
    log.await_line(f"etl={etl} ", "ready=false")
    assert metric("etlnode_etl_restarts_total", etl=etl) == 0
    cluster().stop_etl(etl)


def play_slow_start(mode):
    log, served = Log(), metric("etlnode_etl_starts_total", result="served")
    began = time.monotonic()
    etl = start_well(mode, f"slow-{mode}", how="late")
    assert time.monotonic() - began > 2, "it answered before the pod could listen"
    log.await_line(f"etl={etl} ", "state=serving")
    assert metric("etlnode_etl_starts_total", result="served") == served + 1
    assert_fine(mode, etl)
    cluster().stop_etl(etl)


def measure_usual():
    with Neighbours() as neighbours:
        time.sleep(2)
    assert not neighbours.problems, neighbours.problems
    print(f"# healthy reads take {statistics.median(neighbours.took) * 1000:.1f} ms, of {len(neighbours.took)}")


with harness.Cluster(targets=1, log_level="debug") as made:
    world["cluster"] = made
    made.image("test/hostile:1", {"srv.py": hostile_pod.PROGRAM}, ["/srv.py", "80"])
    made.image("test/pull:1", {"srv.py": transformers.PULL}, ["/srv.py", "80"])
    made.image("test/echo:1", {"srv.py": transformers.ECHO_PUT}, ["/srv.py", "80"])
    made.bucket("hostile")
    table = rows()
    world["content"] = {name: f"content of {name}, ".encode() * 100 for name in ["ok-1", "ok-2"] + [r.name for r in table if r.name]}
    for key, content in world["content"].items():
        assert made.put("hostile", key, content).status == 200
    world["healthy"] = {"hpush": made.init(pod_spec("healthypush", "test/echo:1")), "hrev": made.init(pod_spec("healthyrev", "test/pull:1", mode="hrev://"))}
    world["hostile"] = {mode: start_well(mode, "hostile-" + mode) for mode in MODES}
    world["impatient"] = {mode: start_well(mode, "impatient-" + mode, obj_timeout_s=IMPATIENT_S) for mode in MODES}
    measure_usual()
    harness.run([(f"{mode}, {row.behaviour}", cell(row, mode)) for row in table for mode in MODES])
